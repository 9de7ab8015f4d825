//! Tags of collections.

use sqlx::Row;
use sqlx::any::AnyRow;

use crate::domain::{Fault, MAX_TAGS, TagKey, Tags};

use super::change::to_the_end;
use super::connections::Transaction;
use super::rows::tag_of;
use super::{Collection, Store};

impl Store {
    /// The tags of a collection.
    pub async fn tags(&self, collection: &Collection) -> Result<Tags, Fault> {
        let rows = sqlx::query("SELECT tag_key, tag_value FROM tags WHERE collection_id = $1")
            .bind(collection.key)
            .try_map(|row| tag_of(&row))
            .fetch_all(&self.pool)
            .await
            .map_err(Fault::internal("reading tags"))?;
        Ok(rows.into_iter().collect())
    }

    /// Adds or replaces tags, all of them or none. Fails with [`Fault::TooManyTags`], or with [`Fault::CollectionNotFound`] when the
    /// collection is gone.
    pub async fn put_tags(&self, collection: &Collection, tags: Tags) -> Result<(), Fault> {
        const CONTEXT: &str = "tagging a collection";
        to_the_end(CONTEXT, (self.clone(), collection.clone(), tags), move |(store, collection, tags)| async move {
            let _writer = store.writer(CONTEXT).await?;
            let mut transaction = store.begin_tagging(&collection, CONTEXT).await?;
            put_tags(&mut transaction, collection.key, &tags).await.map_err(Fault::internal(CONTEXT))?;
            let count = sqlx::query("SELECT count(*) FROM tags WHERE collection_id = $1")
                .bind(collection.key)
                .try_map(|row: AnyRow| row.try_get::<i64, _>(0))
                .fetch_one(&mut *transaction)
                .await
                .map_err(Fault::internal(CONTEXT))?;
            if count > MAX_TAGS as i64 {
                return Err(Fault::TooManyTags);
            }
            transaction.commit().await.map_err(Fault::internal(CONTEXT))
        })
        .await
    }

    /// Removes tags. Fails with [`Fault::CollectionNotFound`] when the collection is gone.
    pub async fn remove_tags(&self, collection: &Collection, keys: Vec<TagKey>) -> Result<(), Fault> {
        const CONTEXT: &str = "untagging a collection";
        to_the_end(CONTEXT, (self.clone(), collection.clone(), keys), move |(store, collection, keys)| async move {
            let _writer = store.writer(CONTEXT).await?;
            let mut transaction = store.begin_tagging(&collection, CONTEXT).await?;
            for key in &keys {
                sqlx::query("DELETE FROM tags WHERE collection_id = $1 AND tag_key = $2")
                    .bind(collection.key)
                    .bind(key.as_str().to_owned())
                    .execute(&mut *transaction)
                    .await
                    .map_err(Fault::internal(CONTEXT))?;
            }
            transaction.commit().await.map_err(Fault::internal(CONTEXT))
        })
        .await
    }

    /// Begins a change of a collection's tags: locks the collection's row, so that two changes count one after the other.
    async fn begin_tagging(&self, collection: &Collection, context: &'static str) -> Result<Transaction, Fault> {
        let mut transaction = self.pool.begin().await.map_err(Fault::internal(context))?;
        let locked = sqlx::query("UPDATE collections SET revision = revision WHERE id = $1")
            .bind(collection.key)
            .execute(&mut *transaction)
            .await
            .map_err(Fault::internal(context))?;
        if locked.rows_affected() == 0 {
            Err(Fault::CollectionNotFound(collection.id.clone()))
        } else {
            Ok(transaction)
        }
    }
}

pub(super) async fn put_tags(transaction: &mut Transaction, collection_key: i64, tags: &Tags) -> sqlx::Result<()> {
    for (key, value) in tags {
        sqlx::query(
            "INSERT INTO tags (collection_id, tag_key, tag_value) VALUES ($1, $2, $3) \
             ON CONFLICT (collection_id, tag_key) DO UPDATE SET tag_value = EXCLUDED.tag_value",
        )
        .bind(collection_key)
        .bind(key.as_str().to_owned())
        .bind(value.as_str().to_owned())
        .execute(&mut **transaction)
        .await?;
    }
    Ok(())
}
