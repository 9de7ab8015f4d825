//! Nearest faces and users inside Postgres, by pgvector's HNSW index: for collections that no server's memory holds. Approximate: a near
//! member can be missed (docs/scaling.md has the measured recall), but none that is told has a wrong cosine.
//!
//! The tables are an image of the store's vectors, like a gallery, and catch up in the same way: before each search, by revision, in a
//! transaction that any server may make.

use std::collections::HashMap;
use std::fmt::Write;
use std::marker::PhantomData;
use std::pin::pin;
use std::sync::{Arc, Mutex};

use futures_util::TryStreamExt;
use sqlx::any::AnyRow;
use sqlx::{AssertSqlSafe, Executor, Row};
use tokio::sync::Semaphore;

use crate::domain::Fault;
use crate::store::{Collection, Store, Transaction};

use super::{Member, Neighbour, Probe, Query, lock};

const SCHEMA: &str = include_str!("../../migrations/pgvector/0001_vectors.sql");
/// Any number: servers that start at once make the tables one after the other.
const SCHEMA_LOCK: i64 = 0x7265_6b6f;
/// Vectors of one statement: Postgres takes 65,535 parameters.
const AT_ONCE: usize = 500;
/// Vectors of which one statement asks whether their members are still there.
const CHECKED_AT_ONCE: i64 = 10_000;
/// Candidates that a walk through the index keeps: more find more and take longer. pgvector takes at most 1,000.
const CANDIDATES: std::ops::RangeInclusive<usize> = 400..=1000;

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

/// The vectors of one kind of members, after [`prepare`].
pub struct Pgvector<Id> {
    /// By the collection's key: requests for one collection wait here, without a connection, for the one that brings it up to date.
    turns: Mutex<HashMap<i64, Arc<tokio::sync::Mutex<()>>>>,
    copies: Arc<Semaphore>,
    members: PhantomData<fn() -> Id>,
}

/// Makes the tables and, for vectors of this length, the indexes; done by every server at its start. Gives the permits of all copies that
/// the server makes at once.
pub async fn prepare(store: &Store, dimensions: usize) -> Result<Arc<Semaphore>, Unfit> {
    let connections = store.pool().most();
    if connections < 2 {
        return Err(Unfit::OneConnection);
    }
    make_tables(store, dimensions).await?;
    // Half of the connections are for everything else, if that leaves enough for one copy.
    Ok(Arc::new(Semaphore::new((connections / 4).clamp(1, COPIES) as usize)))
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

impl<Id: Member> Pgvector<Id> {
    /// The search in tables that [`prepare`] made, with the permits that it gave.
    pub fn new(copies: Arc<Semaphore>) -> Self {
        Self { turns: Mutex::default(), copies, members: PhantomData }
    }

    /// See [`super::Engine::nearest`].
    pub async fn nearest(
        &self,
        store: &Store,
        collection: &Collection,
        query: Query<Id>,
    ) -> Result<Option<Vec<Neighbour<Id>>>, Fault> {
        const CONTEXT: &str = "searching with pgvector";
        let (vector, left_out) = match query.probe {
            Probe::Embedding(vector) => (vector, None),
            Probe::Member(id) => match self.vector(store, collection, &id).await? {
                Some(vector) => (vector, Some(id)),
                None => return Ok(None),
            },
        };
        self.catch_up(store, collection).await?;
        // One more than asked for: the probe itself is among them.
        let limit = query.limit + usize::from(left_out.is_some());
        // As with a change of the store: a client that goes away must not leave a transaction open.
        let walk = walk::<Id>(store.clone(), collection.key, vector, limit);
        let found = tokio::spawn(walk).await.map_err(Fault::internal(CONTEXT))?.map_err(Fault::internal(CONTEXT))?;
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
    pub async fn vector(&self, store: &Store, collection: &Collection, id: &Id) -> Result<Option<Vec<f32>>, Fault> {
        const CONTEXT: &str = "reading a vector of pgvector";
        self.catch_up(store, collection).await?;
        let statement =
            format!("SELECT CAST(embedding AS TEXT) FROM {} WHERE collection_id = $1 AND member = $2", Id::VECTORS);
        sqlx::query(AssertSqlSafe(statement))
            .bind(collection.key)
            .bind(id.to_bytes())
            .try_map(|row: AnyRow| vector_of(row.try_get(0)?))
            .fetch_optional(store.pool())
            .await
            .map_err(Fault::internal(CONTEXT))
    }

    /// Brings the tables to at least `collection.revision`.
    async fn catch_up(&self, store: &Store, collection: &Collection) -> Result<(), Fault> {
        const CONTEXT: &str = "bringing the tables of pgvector up to date";
        if noted_revision::<Id>(store, collection).await? >= collection.revision {
            return Ok(());
        }
        let turn = lock(&self.turns).entry(collection.key).or_default().clone();
        let _turn = turn.lock().await;
        if noted_revision::<Id>(store, collection).await? >= collection.revision {
            return Ok(());
        }
        let _permit = self.copies.acquire().await.map_err(Fault::internal(CONTEXT))?;
        let (store, collection) = (store.clone(), collection.clone());
        let change = async move { copy_changes::<Id>(&store, &collection).await };
        tokio::spawn(change).await.map_err(Fault::internal(CONTEXT))?
    }
}

/// The members of a collection that a walk through the index meets first, with their true cosines; about the nearest ones, in no order.
async fn walk<Id: Member>(
    store: Store,
    collection: i64,
    vector: Vec<f32>,
    limit: usize,
) -> sqlx::Result<Vec<(Id, f64)>> {
    let (n, candidates) = (vector.len(), limit.clamp(*CANDIDATES.start(), *CANDIDATES.end()));
    let statement = format!(
        "SELECT member, -(embedding <#> CAST($1 AS vector)) FROM {} \
         WHERE collection_id = $2 AND vector_dims(embedding) = {n} \
         ORDER BY embedding::halfvec({n}) <#> CAST($1 AS halfvec({n})) LIMIT $3",
        Id::VECTORS
    );
    // The index knows nothing of collections: the walk goes on until enough members of this one were met.
    let settings = format!(
        "SET LOCAL hnsw.iterative_scan = strict_order; SET LOCAL hnsw.ef_search = {candidates}; \
         SET LOCAL hnsw.max_scan_tuples = 200000"
    );
    let mut transaction = store.pool().begin().await?;
    transaction.execute(sqlx::raw_sql(AssertSqlSafe(settings))).await?;
    let found = sqlx::query(AssertSqlSafe(statement))
        .bind(text_of(&vector))
        .bind(collection)
        .bind(limit as i64)
        .try_map(|row: AnyRow| Ok((member_of::<Id>(&row)?, row.try_get::<f64, _>(1)?)))
        .fetch_all(&mut *transaction)
        .await?;
    transaction.rollback().await?;
    Ok(found)
}

async fn noted_revision<Id: Member>(store: &Store, collection: &Collection) -> Result<i64, Fault> {
    let noted = sqlx::query("SELECT revision FROM vector_images WHERE collection_id = $1 AND kind = $2")
        .bind(collection.key)
        .bind(Id::VECTORS)
        .try_map(|row: AnyRow| row.try_get::<i64, _>(0))
        .fetch_optional(store.pool())
        .await;
    Ok(noted.map_err(Fault::internal("reading how far the tables of pgvector are"))?.unwrap_or(0))
}

/// Copies what changed since the noted revision. One server at a time does so for a collection: the others wait for the note's row.
async fn copy_changes<Id: Member>(store: &Store, collection: &Collection) -> Result<(), Fault> {
    const CONTEXT: &str = "copying vectors to pgvector";
    let mut transaction = store.pool().begin().await.map_err(Fault::internal(CONTEXT))?;
    // The collection's row before the note's, as whoever deletes the collection locks them.
    sqlx::query("SELECT 1 FROM collections WHERE id = $1 FOR KEY SHARE")
        .bind(collection.key)
        .fetch_optional(&mut *transaction)
        .await
        .map_err(Fault::internal(CONTEXT))?
        .ok_or_else(|| Fault::CollectionNotFound(collection.id.clone()))?;
    sqlx::query("INSERT INTO vector_images (collection_id, kind, revision) VALUES ($1, $2, 0) ON CONFLICT DO NOTHING")
        .bind(collection.key)
        .bind(Id::VECTORS)
        .execute(&mut *transaction)
        .await
        .map_err(Fault::internal(CONTEXT))?;
    let known = sqlx::query("SELECT revision FROM vector_images WHERE collection_id = $1 AND kind = $2 FOR UPDATE")
        .bind(collection.key)
        .bind(Id::VECTORS)
        .try_map(|row: AnyRow| row.try_get::<i64, _>(0))
        .fetch_one(&mut *transaction)
        .await
        .map_err(Fault::internal(CONTEXT))?;
    if known >= collection.revision {
        return transaction.rollback().await.map_err(Fault::internal(CONTEXT));
    }
    // Before the first copy there is nothing to delete from.
    let gone = if known > 0 { Id::gone_since(store, collection, known).await? } else { Some(Vec::new()) };
    match gone {
        Some(gone) => delete(&mut transaction, collection, &gone).await,
        None => delete_absent::<Id>(&mut transaction, collection).await,
    }
    .map_err(Fault::internal(CONTEXT))?;
    let mut changed = pin!(Id::changed_since(store, collection, known).try_chunks(AT_ONCE));
    while let Some(batch) = changed.try_next().await.map_err(|error| error.1)? {
        upsert(&mut transaction, collection, &batch).await.map_err(Fault::internal(CONTEXT))?;
    }
    sqlx::query("UPDATE vector_images SET revision = $1 WHERE collection_id = $2 AND kind = $3")
        .bind(collection.revision)
        .bind(collection.key)
        .bind(Id::VECTORS)
        .execute(&mut *transaction)
        .await
        .map_err(Fault::internal(CONTEXT))?;
    transaction.commit().await.map_err(Fault::internal(CONTEXT))
}

async fn delete<Id: Member>(transaction: &mut Transaction, collection: &Collection, gone: &[Id]) -> sqlx::Result<()> {
    let statement = format!("DELETE FROM {} WHERE collection_id = $1 AND member = $2", Id::VECTORS);
    for id in gone {
        let query = sqlx::query(AssertSqlSafe(statement.clone())).bind(collection.key).bind(id.to_bytes());
        query.execute(&mut **transaction).await?;
    }
    Ok(())
}

/// Deletes what the collection does not have any more, where the store has forgotten what it deleted. To copy all vectors anew would take
/// longer by far: each has to find its place in the index. A statement looks at some of them, so that it ends in time.
async fn delete_absent<Id: Member>(transaction: &mut Transaction, collection: &Collection) -> sqlx::Result<()> {
    let vectors = Id::VECTORS;
    // The id of a face is longer than that of a user, so neither is taken for the other.
    let statement = format!(
        "WITH checked AS (SELECT member FROM {vectors} WHERE collection_id = $1 AND member > $2 ORDER BY member LIMIT $3), \
         gone AS (DELETE FROM {vectors} WHERE collection_id = $1 AND member IN (SELECT member FROM checked) \
         AND NOT EXISTS (SELECT 1 FROM faces WHERE collection_id = $1 AND face_id = member) \
         AND NOT EXISTS (SELECT 1 FROM users WHERE collection_id = $1 AND int8send(id) = member AND embedding IS NOT NULL)) \
         SELECT member FROM checked ORDER BY member DESC LIMIT 1"
    );
    let mut after = Some(Vec::new());
    while let Some(member) = after {
        after = sqlx::query(AssertSqlSafe(statement.clone()))
            .bind(collection.key)
            .bind(member)
            .bind(CHECKED_AT_ONCE)
            .try_map(|row: AnyRow| row.try_get(0))
            .fetch_optional(&mut **transaction)
            .await?;
    }
    Ok(())
}

async fn upsert<Id: Member>(
    transaction: &mut Transaction,
    collection: &Collection,
    batch: &[(Id, Vec<f32>)],
) -> sqlx::Result<()> {
    let rows: Vec<String> =
        (0..batch.len()).map(|n| format!("($1, ${}, CAST(${} AS vector))", 2 * n + 2, 2 * n + 3)).collect();
    let statement = format!(
        "INSERT INTO {} (collection_id, member, embedding) VALUES {} \
         ON CONFLICT (collection_id, member) DO UPDATE SET embedding = EXCLUDED.embedding",
        Id::VECTORS,
        rows.join(", ")
    );
    let query = sqlx::query(AssertSqlSafe(statement)).persistent(batch.len() == AT_ONCE).bind(collection.key);
    let query = batch.iter().fold(query, |query, (id, vector)| query.bind(id.to_bytes()).bind(text_of(vector)));
    query.execute(&mut **transaction).await.map(drop)
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

fn member_of<Id: Member>(row: &AnyRow) -> sqlx::Result<Id> {
    let bytes: &[u8] = row.try_get(0)?;
    Id::from_bytes(bytes).ok_or_else(|| sqlx::Error::Decode("a member's id has another length".into()))
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
