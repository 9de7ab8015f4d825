//! Whole collections, read in one view of the database and written again: what `rekollect export` and `import` need.

use std::collections::HashMap;

use futures_util::{Stream, StreamExt};
use sqlx::any::AnyRow;
use sqlx::{AssertSqlSafe, Executor, Row};

use crate::domain::{
    AccountId, CollectionId, FaceId, Fault, IndexedFace, MAX_FACES_PER_USER, ModelVersion, Tags, UserId,
};

use super::change::{finish_change, to_the_end};
use super::collections::count_collections;
use super::connections::Transaction;
use super::faces::insert_faces_of;
use super::rows::{
    COLLECTION_COLUMNS, FACE_COLUMNS, face_of, owned_collection_of, placeholders, tag_of, user_name, vector_of,
};
use super::tags::put_tags;
use super::users::{count_users, refresh};
use super::vault::{Owner, Vault, dimensions_of};
use super::{Collection, Store, UserKey};

/// The database as it is at one moment, whatever changes meanwhile.
pub struct Snapshot {
    transaction: Transaction,
    vault: Vault,
}

impl Store {
    /// A view of the database that stays the same.
    pub async fn snapshot(&self) -> Result<Snapshot, Fault> {
        const CONTEXT: &str = "beginning to read everything";
        let mut transaction = self.pool.begin_long().await.map_err(Fault::internal(CONTEXT))?;
        // A transaction of SQLite sees one state of the file anyway.
        if self.pool.are_postgres() {
            let one_state = sqlx::raw_sql("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY");
            transaction.execute(one_state).await.map_err(Fault::internal(CONTEXT))?;
        }
        Ok(Snapshot { transaction, vault: self.vault.clone() })
    }
}

impl Snapshot {
    /// Every collection of every account.
    pub async fn collections(&mut self) -> Result<Vec<Collection>, Fault> {
        let statement = format!("SELECT {COLLECTION_COLUMNS}, account FROM collections ORDER BY account, name");
        sqlx::query(AssertSqlSafe(statement))
            .try_map(|row| owned_collection_of(&row))
            .fetch_all(&mut *self.transaction)
            .await
            .map_err(Fault::internal("reading every collection"))
    }

    /// A collection's tags.
    pub async fn tags(&mut self, collection: &Collection) -> Result<Tags, Fault> {
        let rows = sqlx::query("SELECT tag_key, tag_value FROM tags WHERE collection_id = $1")
            .bind(collection.key)
            .try_map(|row| tag_of(&row))
            .fetch_all(&mut *self.transaction)
            .await
            .map_err(Fault::internal("reading tags"))?;
        Ok(rows.into_iter().collect())
    }

    /// A collection's users, in the order in which they were made.
    pub fn users(&mut self, collection: &Collection) -> impl Stream<Item = Result<UserId, Fault>> + Send + '_ {
        sqlx::query("SELECT name FROM users WHERE collection_id = $1 ORDER BY id")
            .bind(collection.key)
            .fetch(&mut *self.transaction)
            .map(|row| row.and_then(|row| user_name(&row, 0)).map_err(Fault::internal("reading users")))
    }

    /// A collection's faces in the order of their ids, behind `after` when given.
    pub fn faces(
        &mut self,
        collection: &Collection,
        after: Option<FaceId>,
    ) -> impl Stream<Item = Result<IndexedFace, Fault>> + Send + '_ {
        let statement = format!(
            "SELECT {FACE_COLUMNS}, users.name, faces.embedding FROM faces LEFT JOIN users ON users.id = faces.user_id \
             WHERE faces.collection_id = $1 AND faces.face_id > $2 ORDER BY faces.face_id"
        );
        let (key, vault) = (collection.key, &self.vault);
        let face = move |row: AnyRow| {
            let face = face_of(&row)?;
            let embedding = vector_of(vault, Owner::Face(key, face.face_id), &row, 9)?;
            Ok(IndexedFace { face, embedding })
        };
        sqlx::query(AssertSqlSafe(statement))
            .bind(key)
            .bind(after.map_or(Vec::new(), |id| id.as_bytes().to_vec()))
            .fetch(&mut *self.transaction)
            .map(move |row| row.and_then(face).map_err(Fault::internal("reading faces")))
    }
}

/// A collection that is to be as it was elsewhere, without what it holds.
#[derive(Clone, Debug)]
pub struct Founding {
    /// Its owner.
    pub account: AccountId,
    /// Its name.
    pub id: CollectionId,
    /// The models that its vectors are of.
    pub model_version: ModelVersion,
    /// When it was first made, in milliseconds since 1970.
    pub created_at_ms: i64,
    /// Its tags.
    pub tags: Tags,
}

impl Store {
    /// Makes a collection, unless the account has it. Fails with [`Fault::ModelVersionMismatch`] when it has one with vectors of other
    /// models.
    pub async fn found_collection(&self, founding: Founding) -> Result<Collection, Fault> {
        const CONTEXT: &str = "making a collection as it was elsewhere";
        let Founding { account, id, model_version, .. } = founding.clone();
        to_the_end(CONTEXT, (self.clone(), founding), |(store, founding)| async move {
            let _writer = store.writer(CONTEXT).await?;
            let internal = Fault::internal(CONTEXT);
            let mut transaction = store.pool.begin().await.map_err(&internal)?;
            // Before the collection's row, as whoever makes or deletes one does: see `Store::begin_change`.
            count_collections(&mut transaction, &founding.account, 1).await.map_err(&internal)?;
            let made = sqlx::query(
                "INSERT INTO collections (account, name, face_model_version, created_at_ms) VALUES ($1, $2, $3, $4) \
                 ON CONFLICT DO NOTHING RETURNING id",
            )
            .bind(founding.account.as_str().to_owned())
            .bind(founding.id.as_str().to_owned())
            .bind(founding.model_version.as_str().to_owned())
            .bind(founding.created_at_ms)
            .try_map(|row: AnyRow| row.try_get::<i64, _>(0))
            .fetch_optional(&mut *transaction)
            .await
            .map_err(&internal)?;
            match made {
                None => transaction.rollback().await.map_err(&internal),
                Some(key) => {
                    put_tags(&mut transaction, key, &founding.tags).await.map_err(&internal)?;
                    transaction.commit().await.map_err(&internal)
                }
            }
        })
        .await?;
        let collection = self.collection(&account, &id).await?;
        if collection.model_version == model_version {
            Ok(collection)
        } else {
            let (theirs, ours) = (model_version, collection.model_version);
            Err(Fault::ModelVersionMismatch { collection: id, theirs, ours })
        }
    }

    /// How many numbers the vectors of the collection have, if it has any.
    pub async fn dimensions(&self, collection: &Collection) -> Result<Option<usize>, Fault> {
        let first = sqlx::query("SELECT length(embedding) FROM faces WHERE collection_id = $1 LIMIT 1")
            .bind(collection.key)
            .try_map(|row: AnyRow| Ok(dimensions_of(row.try_get::<i64, _>(0)? as usize)))
            .fetch_optional(&self.pool);
        first.await.map_err(Fault::internal("reading a vector"))
    }

    /// Makes those of these users that the collection does not have; the keys of all.
    pub async fn found_users(
        &self,
        collection: &Collection,
        users: Vec<UserId>,
    ) -> Result<Vec<(UserId, UserKey)>, Fault> {
        const CONTEXT: &str = "making users as they were elsewhere";
        to_the_end(CONTEXT, (self.clone(), collection.clone(), users), |(store, collection, users)| async move {
            let _writer = store.writer(CONTEXT).await?;
            let (mut transaction, revision) = store.begin_change(&collection, CONTEXT).await?;
            let (internal, mut made) = (Fault::internal(CONTEXT), 0);
            for user in &users {
                let inserted = sqlx::query(
                    "INSERT INTO users (collection_id, name, revision) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING",
                )
                .bind(collection.key)
                .bind(user.as_str().to_owned())
                .bind(revision)
                .execute(&mut *transaction)
                .await
                .map_err(&internal)?;
                made += inserted.rows_affected() as i64;
            }
            count_users(&mut transaction, &collection, made).await.map_err(&internal)?;
            let names = placeholders(2, users.len());
            let statement = format!("SELECT name, id FROM users WHERE collection_id = $1 AND name IN ({names})");
            let query = sqlx::query(AssertSqlSafe(statement)).persistent(false).bind(collection.key);
            let query = users.iter().fold(query, |query, user| query.bind(user.as_str().to_owned()));
            let keys = query
                .try_map(|row: AnyRow| Ok((user_name(&row, 0)?, UserKey(row.try_get(1)?))))
                .fetch_all(&mut *transaction)
                .await
                .map_err(&internal)?;
            transaction.commit().await.map_err(&internal)?;
            Ok(keys)
        })
        .await
    }

    /// Adds those of these faces that the collection does not have, each to its user; how many. Users' vectors stay as they are until
    /// [`Self::refresh_users`]. Fails with [`Fault::TooManyFacesOfUser`], and then adds none.
    pub async fn found_faces(
        &self,
        collection: &Collection,
        faces: Vec<(IndexedFace, Option<UserKey>)>,
    ) -> Result<usize, Fault> {
        const CONTEXT: &str = "storing faces as they were elsewhere";
        to_the_end(CONTEXT, (self.clone(), collection.clone(), faces), |(store, collection, faces)| async move {
            let _writer = store.writer(CONTEXT).await?;
            let (mut transaction, revision) = store.begin_change(&collection, CONTEXT).await?;
            let rows: Vec<_> = faces.iter().map(|(face, user)| (face, *user)).collect();
            let added = insert_faces_of(&mut transaction, &store.vault, &collection, &rows, revision)
                .await
                .map_err(Fault::internal(CONTEXT))?;
            let owners: HashMap<FaceId, (UserKey, &Option<UserId>)> = faces
                .iter()
                .filter_map(|(face, user)| Some((face.face.face_id, ((*user)?, &face.face.user_id))))
                .collect();
            for (key, name) in added.iter().filter_map(|face| owners.get(face)) {
                let count =
                    sqlx::query("UPDATE users SET face_count = face_count + 1 WHERE id = $1 RETURNING face_count")
                        .bind(key.0)
                        .try_map(|row: AnyRow| row.try_get::<i64, _>(0))
                        .fetch_one(&mut *transaction)
                        .await
                        .map_err(Fault::internal(CONTEXT))?;
                if let (true, Some(name)) = (count > MAX_FACES_PER_USER as i64, name) {
                    return Err(Fault::TooManyFacesOfUser(name.clone()));
                }
            }
            finish_change(transaction, &collection, added.len() as i64, u32::MAX, CONTEXT).await?;
            Ok(added.len())
        })
        .await
    }

    /// Brings the vectors of users up to date with their faces.
    pub async fn refresh_users(&self, collection: &Collection, users: Vec<UserKey>) -> Result<(), Fault> {
        const CONTEXT: &str = "bringing users up to date";
        to_the_end(CONTEXT, (self.clone(), collection.clone(), users), |(store, collection, users)| async move {
            let _writer = store.writer(CONTEXT).await?;
            let (mut transaction, revision) = store.begin_change(&collection, CONTEXT).await?;
            for user in &users {
                refresh(&mut transaction, &store.vault, &collection, *user, revision)
                    .await
                    .map_err(Fault::internal(CONTEXT))?;
            }
            transaction.commit().await.map_err(Fault::internal(CONTEXT))
        })
        .await
    }
}
