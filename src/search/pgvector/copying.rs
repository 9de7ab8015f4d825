//! How the tables come to be what the store says: changes are copied by revision, in a transaction that any server may make.

use std::pin::pin;

use futures_util::TryStreamExt;
use sqlx::any::AnyRow;
use sqlx::{AssertSqlSafe, Row};
use tokio::time::timeout;

use super::super::member::Member;
use super::tables::Tables;
use super::text::text_of;
use crate::domain::Fault;
use crate::store::{Collection, Store, Transaction};
use crate::task::{self, lock};

/// Vectors of one statement: Postgres takes 65,535 parameters.
const AT_ONCE: usize = 500;
/// Vectors of which one statement asks whether their members are still there.
const CHECKED_AT_ONCE: i64 = 10_000;

impl<Id: Member> Tables<Id> {
    /// Brings the tables to at least `collection.revision`. A caller that waits too long is refused; the copying goes on.
    pub(super) async fn up_to_date(&self, collection: &Collection) -> Result<(), Fault> {
        let outcome = timeout(self.wait, self.catch_up(collection)).await;
        outcome.unwrap_or(Err(Fault::Overloaded("the tables of pgvector are not up to date in time")))
    }

    /// As [`Self::up_to_date`], without a time-out.
    pub async fn catch_up(&self, collection: &Collection) -> Result<(), Fault> {
        const CONTEXT: &str = "bringing the tables of pgvector up to date";
        if noted_revision::<Id>(&self.store, collection).await? >= collection.revision {
            return Ok(());
        }
        let turn = lock(&self.turns).entry(collection.key).or_default().clone();
        let turn = turn.lock_owned().await;
        if noted_revision::<Id>(&self.store, collection).await? >= collection.revision {
            return Ok(());
        }
        let permit = self.copies.0.clone().acquire_owned().await.map_err(Fault::internal(CONTEXT))?;
        let (store, collection) = (self.store.clone(), collection.clone());
        // The copying has the turn and the permit, and not its caller, who may go.
        let copying = async move {
            let _held = (turn, permit);
            copy_changes::<Id>(&store, &collection).await
        };
        task::to_the_end(CONTEXT, copying).await
    }
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
