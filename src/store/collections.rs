//! Collections, and an account's number of them.

use sqlx::any::AnyRow;
use sqlx::{AssertSqlSafe, Row};

use crate::domain::{AccountId, CollectionId, Fault, ModelVersion, Tags};

use super::change::to_the_end;
use super::connections::Transaction;
use super::rows::{COLLECTION_COLUMNS, collection_of, decode_error, now_ms};
use super::tags::put_tags;
use super::{Collection, Store};

/// Where a listing of collections goes on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum After {
    /// Behind this name.
    Name(String),
    /// Behind the name of the collection with this key; if that is gone, behind the beginning of its name.
    Key(i64, String),
}

impl Store {
    /// Makes an empty collection with these tags. Fails with [`Fault::CollectionExists`], or with [`Fault::QuotaExceeded`] when the
    /// account would have more than `quota`.
    pub async fn create_collection(
        &self,
        account: &AccountId,
        id: &CollectionId,
        model_version: &ModelVersion,
        tags: Tags,
        quota: u32,
    ) -> Result<(), Fault> {
        const CONTEXT: &str = "making a collection";
        to_the_end(
            CONTEXT,
            (self.clone(), account.clone(), id.clone(), model_version.clone(), tags),
            move |(store, account, id, model_version, tags)| async move {
                let _writer = store.writer(CONTEXT).await?;
                let mut transaction = store.pool.begin().await.map_err(Fault::internal(CONTEXT))?;
                let count = count_collections(&mut transaction, &account, 1).await.map_err(Fault::internal(CONTEXT))?;
                let key = sqlx::query(
                "INSERT INTO collections (account, name, face_model_version, created_at_ms) VALUES ($1, $2, $3, $4) \
                 ON CONFLICT DO NOTHING RETURNING id",
            )
            .bind(account.as_str())
            .bind(id.as_str())
            .bind(model_version.as_str())
            .bind(now_ms())
            .try_map(|row: AnyRow| row.try_get::<i64, _>(0))
            .fetch_optional(&mut *transaction)
            .await
            .map_err(Fault::internal(CONTEXT))?
            .ok_or(Fault::CollectionExists(id))?;
                if count > i64::from(quota) {
                    return Err(Fault::QuotaExceeded("collections in an account", quota));
                }
                put_tags(&mut transaction, key, &tags).await.map_err(Fault::internal(CONTEXT))?;
                transaction.commit().await.map_err(Fault::internal(CONTEXT))
            },
        )
        .await
    }

    /// The collection of this name. Fails with [`Fault::CollectionNotFound`].
    pub async fn collection(&self, account: &AccountId, id: &CollectionId) -> Result<Collection, Fault> {
        let statement = format!("SELECT {COLLECTION_COLUMNS} FROM collections WHERE account = $1 AND name = $2");
        sqlx::query(AssertSqlSafe(statement))
            .bind(account.as_str())
            .bind(id.as_str())
            .try_map(|row| collection_of(account, &row))
            .fetch_optional(&self.pool)
            .await
            .map_err(Fault::internal("reading a collection"))?
            .ok_or_else(|| Fault::CollectionNotFound(id.clone()))
    }

    /// Up to `limit` collections of the account in the order of their names.
    pub async fn collections(
        &self,
        account: &AccountId,
        after: Option<&After>,
        limit: i64,
    ) -> Result<Vec<Collection>, Fault> {
        let name = match after {
            None => String::new(),
            Some(After::Name(name)) => name.clone(),
            Some(After::Key(key, beginning)) => {
                sqlx::query("SELECT name FROM collections WHERE account = $1 AND id = $2")
                    .bind(account.as_str())
                    .bind(*key)
                    .try_map(|row: AnyRow| row.try_get::<String, _>(0))
                    .fetch_optional(&self.pool)
                    .await
                    .map_err(Fault::internal("finding the place of a listing"))?
                    .unwrap_or_else(|| beginning.clone())
            }
        };
        let statement = format!(
            "SELECT {COLLECTION_COLUMNS} FROM collections WHERE account = $1 AND name > $2 ORDER BY name LIMIT $3"
        );
        sqlx::query(AssertSqlSafe(statement))
            .bind(account.as_str())
            .bind(name)
            .bind(limit)
            .try_map(|row| collection_of(account, &row))
            .fetch_all(&self.pool)
            .await
            .map_err(Fault::internal("listing collections"))
    }

    /// How many collections there are of each model version, whoever owns them.
    pub async fn collections_by_version(&self) -> Result<Vec<(ModelVersion, i64)>, Fault> {
        sqlx::query("SELECT face_model_version, count(*) FROM collections GROUP BY face_model_version ORDER BY 1")
            .try_map(|row: AnyRow| {
                let version = ModelVersion::try_from(row.try_get::<String, _>(0)?).map_err(decode_error)?;
                Ok((version, row.try_get(1)?))
            })
            .fetch_all(&self.pool)
            .await
            .map_err(Fault::internal("counting the collections of each model version"))
    }

    /// Deletes a collection and all that it holds. Fails with [`Fault::CollectionNotFound`].
    pub async fn delete_collection(&self, account: &AccountId, id: &CollectionId) -> Result<(), Fault> {
        const CONTEXT: &str = "deleting a collection";
        to_the_end(CONTEXT, (self.clone(), account.clone(), id.clone()), |(store, account, id)| async move {
            let _writer = store.writer(CONTEXT).await?;
            let mut transaction = store.pool.begin_long().await.map_err(Fault::internal(CONTEXT))?;
            count_collections(&mut transaction, &account, -1).await.map_err(Fault::internal(CONTEXT))?;
            let gone = sqlx::query("DELETE FROM collections WHERE account = $1 AND name = $2")
                .bind(account.as_str())
                .bind(id.as_str())
                .execute(&mut *transaction)
                .await
                .map_err(Fault::internal(CONTEXT))?;
            if gone.rows_affected() == 0 {
                return Err(Fault::CollectionNotFound(id));
            }
            transaction.commit().await.map_err(Fault::internal(CONTEXT))
        })
        .await
    }
}

/// Adds to an account's number of collections, and locks it until the transaction ends; the number.
pub(super) async fn count_collections(
    transaction: &mut Transaction,
    account: &AccountId,
    more: i64,
) -> sqlx::Result<i64> {
    sqlx::query(
        "INSERT INTO accounts (account, collection_count) VALUES ($1, $2) \
         ON CONFLICT (account) DO UPDATE SET collection_count = accounts.collection_count + $2 RETURNING collection_count",
    )
    .bind(account.as_str().to_owned())
    .bind(more)
    .try_map(|row: AnyRow| row.try_get::<i64, _>(0))
    .fetch_one(&mut **transaction)
    .await
}
