//! What pgvector needs to be there: a new enough extension, the tables, and an index for the vectors' length.

use std::collections::BTreeSet;
use std::fmt::Write;
use std::sync::Arc;

use sqlx::any::AnyRow;
use sqlx::{AssertSqlSafe, Executor, Row};
use tokio::sync::Semaphore;

use crate::domain::Fault;
use crate::store::Store;

const SCHEMA: &str = include_str!("../../../migrations/pgvector/0001_vectors.sql");
/// Any number: servers that start at once make the tables one after the other.
const SCHEMA_LOCK: i64 = 0x7265_6b6f;
/// The oldest that has what a search here uses: half-precision vectors came with 0.7, scans that go on with 0.8.
const OLDEST: (u32, u32) = (0, 8);

/// Copies of changes that a server makes at once, of faces and users together, where there are enough connections. Each takes two: were
/// there one copy for each connection, each would hold one and wait for another.
const COPIES: u32 = 2;

/// Why no server can search by pgvector with this database; each message ends with what helps.
#[derive(Debug, thiserror::Error)]
pub enum Unfit {
    /// A copy would wait for itself.
    #[error(
        "--search pgvector needs two connections to the database, and --database-connections (REKOLLECT_DATABASE_CONNECTIONS) allows one: \
         raise it to 2 or more"
    )]
    OneConnection,
    /// The extension is too old.
    #[error(
        "--search pgvector needs pgvector 0.8 or later, and this database has {0}: install a newer one in Postgres, and then run \
         `ALTER EXTENSION vector UPDATE` in the database"
    )]
    Version(String),
    /// No Postgres, no extension, or no right to create it.
    #[error(
        "--search pgvector needs a Postgres with the extension pgvector 0.8 or later, and the right to create it: {0}"
    )]
    Database(#[from] Fault),
}

/// Permits for the copies that a server makes at once.
#[derive(Clone)]
pub struct Copies(pub Arc<Semaphore>);

/// Makes the tables and, for vectors of these lengths, the indexes; done by every server at its start. Gives the permits of all copies that
/// the server makes at once.
pub async fn prepare(store: &Store, lengths: &BTreeSet<usize>) -> Result<Copies, Unfit> {
    let connections = store.pool().most();
    if connections < 2 {
        return Err(Unfit::OneConnection);
    }
    make_tables(store, lengths).await?;
    // Half of the connections are for everything else, if that leaves enough for one copy.
    Ok(Copies(Arc::new(Semaphore::new((connections / 4).clamp(1, COPIES) as usize))))
}

async fn make_tables(store: &Store, lengths: &BTreeSet<usize>) -> Result<(), Unfit> {
    const CONTEXT: &str = "preparing the tables of pgvector";
    let mut transaction = store.pool().begin_long().await.map_err(Fault::internal(CONTEXT))?;
    let locking = sqlx::query("SELECT CAST(pg_advisory_xact_lock($1) AS TEXT)").bind(SCHEMA_LOCK);
    transaction.execute(locking).await.map_err(Fault::internal(CONTEXT))?;
    let version = sqlx::query(
        "SELECT coalesce((SELECT extversion FROM pg_extension WHERE extname = 'vector'), \
         (SELECT default_version FROM pg_available_extensions WHERE name = 'vector'))",
    );
    let version = version.try_map(|row: AnyRow| row.try_get::<Option<String>, _>(0)).fetch_one(&mut *transaction).await;
    match version.map_err(Fault::internal(CONTEXT))? {
        Some(version) if !is_new_enough(&version) => return Err(Unfit::Version(version)),
        // Without any, the statement that would create it says so.
        _ => {}
    }
    let mut statements = SCHEMA.to_owned();
    for dimensions in lengths {
        for table in ["face_vectors", "user_vectors"] {
            let _ = write!(
                statements,
                "CREATE INDEX IF NOT EXISTS {table}_{dimensions} ON {table} USING hnsw ((embedding::halfvec({dimensions})) halfvec_ip_ops) \
                 WHERE vector_dims(embedding) = {dimensions};"
            );
        }
    }
    transaction.execute(sqlx::raw_sql(AssertSqlSafe(statements))).await.map_err(Fault::internal(CONTEXT))?;
    Ok(transaction.commit().await.map_err(Fault::internal(CONTEXT))?)
}

/// Whether a version, such as 0.8.0, is one that a search here works with. One that is no number is not.
fn is_new_enough(version: &str) -> bool {
    let mut numbers = version.split('.').map(|number| number.parse::<u32>().ok());
    let version = numbers.next().flatten().zip(numbers.next().flatten());
    version.is_some_and(|version| version >= OLDEST)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_compared_as_numbers() {
        for version in ["0.8.0", "0.8", "0.10.1", "1.0"] {
            assert!(is_new_enough(version), "{version}");
        }
        for version in ["0.7.4", "0.5.1", "0", "", "unpackaged"] {
            assert!(!is_new_enough(version), "{version}");
        }
    }
}
