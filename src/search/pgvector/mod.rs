//! Nearest faces and users inside Postgres, by pgvector's HNSW index: for collections that no server's memory holds. Approximate: a near
//! member can be missed (docs/scaling.md has the measured recall), but none that is told has a wrong cosine.
//!
//! The tables are a copy of the store's vectors, like a gallery, and catch up in the same way: before each search, by revision, in a
//! transaction that any server may make.

mod copying;
mod walk;

use std::collections::HashMap;
use std::fmt::Write;
use std::marker::PhantomData;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use sqlx::any::AnyRow;
use sqlx::{AssertSqlSafe, Executor, Row};
use tokio::sync::Semaphore;

use super::{Member, Neighbour, Probe, Query};
use crate::domain::Fault;
use crate::store::{Collection, Store};

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
pub struct Copies(Arc<Semaphore>);

/// The vectors of one kind of members, after [`prepare`].
pub struct Tables<Id> {
    store: Store,
    /// How long a search waits until they are up to date.
    wait: Duration,
    /// By the collection's key: requests for one collection wait here, without a connection, for the one that brings it up to date.
    turns: Mutex<HashMap<i64, Arc<tokio::sync::Mutex<()>>>>,
    copies: Copies,
    members: PhantomData<fn() -> Id>,
}

/// Makes the tables and, for vectors of this length, the indexes; done by every server at its start. Gives the permits of all copies that
/// the server makes at once.
pub async fn prepare(store: &Store, dimensions: usize) -> Result<Copies, Unfit> {
    let connections = store.pool().most();
    if connections < 2 {
        return Err(Unfit::OneConnection);
    }
    make_tables(store, dimensions).await?;
    // Half of the connections are for everything else, if that leaves enough for one copy.
    Ok(Copies(Arc::new(Semaphore::new((connections / 4).clamp(1, COPIES) as usize))))
}

async fn make_tables(store: &Store, dimensions: usize) -> Result<(), Unfit> {
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
    for table in ["face_vectors", "user_vectors"] {
        let _ = write!(
            statements,
            "CREATE INDEX IF NOT EXISTS {table}_{dimensions} ON {table} USING hnsw ((embedding::halfvec({dimensions})) halfvec_ip_ops) \
             WHERE vector_dims(embedding) = {dimensions};"
        );
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

impl<Id: Member> Tables<Id> {
    /// Of this store, in tables that [`prepare`] made, with the permits that it gave.
    pub fn new(store: Store, wait: Duration, copies: Copies) -> Self {
        Self { store, wait, turns: Mutex::default(), copies, members: PhantomData }
    }

    /// See [`super::Index::nearest`].
    pub async fn nearest(
        &self,
        collection: &Collection,
        query: Query<Id>,
    ) -> Result<Option<Vec<Neighbour<Id>>>, Fault> {
        let (vector, left_out) = match query.probe {
            Probe::Embedding(vector) => {
                self.up_to_date(collection).await?;
                (vector, None)
            }
            Probe::Member(id) => match self.vector(collection, &id).await? {
                Some(vector) => (vector, Some(id)),
                None => return Ok(None),
            },
        };
        // One more than asked for: the probe itself is among them.
        let limit = query.limit + usize::from(left_out.is_some());
        let found = walk::walk::<Id>(&self.store, collection.key, vector, limit).await?;
        let mut nearest: Vec<(Id, f64)> = found
            .into_iter()
            .filter(|(id, cosine)| Some(*id) != left_out && *cosine >= f64::from(query.min_cosine))
            .collect();
        // The index ordered them by half-precision numbers.
        nearest.sort_unstable_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
        nearest.truncate(query.limit);
        Ok(Some(nearest.into_iter().map(|(id, cosine)| Neighbour { id, cosine: cosine as f32 }).collect()))
    }

    /// The vector of a member, if it is there.
    pub async fn vector(&self, collection: &Collection, id: &Id) -> Result<Option<Vec<f32>>, Fault> {
        self.up_to_date(collection).await?;
        let statement =
            format!("SELECT CAST(embedding AS TEXT) FROM {} WHERE collection_id = $1 AND member = $2", Id::VECTORS);
        sqlx::query(AssertSqlSafe(statement))
            .bind(collection.key)
            .bind(id.to_bytes())
            .try_map(|row: AnyRow| vector_of(row.try_get(0)?))
            .fetch_optional(self.store.pool())
            .await
            .map_err(Fault::internal("reading a vector of pgvector"))
    }
}

/// pgvector's text form, from which every 32-bit number comes back as it was.
fn text_of(vector: &[f32]) -> String {
    let mut text = String::with_capacity(12 * vector.len());
    for (n, value) in vector.iter().enumerate() {
        let _ = write!(text, "{}{value}", if n == 0 { '[' } else { ',' });
    }
    text.push(']');
    text
}

fn vector_of(text: &str) -> sqlx::Result<Vec<f32>> {
    let numbers = text.trim_matches(['[', ']']).split(',');
    numbers.map(|number| number.parse().map_err(|error| sqlx::Error::Decode(Box::new(error)))).collect()
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

    #[test]
    fn vectors_survive_their_text_form() {
        let vector = vec![0.1f32, -1.0, 1e-30, f32::MIN_POSITIVE, 0.333_333_34];
        assert_eq!(vector_of(&text_of(&vector)).unwrap(), vector);
        assert!(vector_of("[1,x]").is_err());
    }
}
