//! Collections and faces in SQL: a SQLite file or Postgres behind one set of statements, through sqlx's `Any` driver.
//!
//! Both take numbered placeholders, `ON CONFLICT` and `RETURNING`, so a statement is written once; only the migrations have a
//! dialect each. Every change of a collection's faces is one transaction whose first statement takes the collection's next
//! revision: that locks the collection's row (Postgres) or the file (SQLite), so revisions become visible in their order.
//!
//! A change runs as a task of its own: a client that goes away must not stop it half-way. sqlx returns a connection whose BEGIN was
//! cancelled to the pool inside an open transaction, and the next change on it would be acknowledged and never committed.

mod connections;
mod transfer;
mod users;

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use futures_util::{Stream, StreamExt};
use rustix::fs::Access;
use sqlx::any::{AnyArguments, AnyPoolOptions, AnyRow};
use sqlx::migrate::{MigrateError, Migration, MigrationType, Migrator};
use sqlx::query::Query;
use sqlx::{Any, AnyConnection, AssertSqlSafe, Connection, Executor, Row, SqlStr};
use tokio::sync::Semaphore;
use uuid::Uuid;

use crate::config::StorePlace;
use crate::domain::{
    AccountId, BoundingBox, CollectionId, ExternalImageId, Face, FaceId, Fault, ImageId, IndexedFace, MAX_TAGS,
    ModelVersion, Percent, TagKey, TagValue, Tags, UserId,
};

use crate::task;

use connections::{Connections, settings_of, timed_out};

pub use connections::Transaction;
pub use transfer::{Founding, Snapshot};
pub use users::{Association, Reassignment, Token, UserKey};

/// Numbered steps of the schema in each dialect, applied in their order and never changed once released.
const SQLITE: [(i64, &str, &str); 4] = [
    (1, "collections and faces", include_str!("../../migrations/sqlite/0001_collections_and_faces.sql")),
    (2, "tags", include_str!("../../migrations/sqlite/0002_tags.sql")),
    (3, "users", include_str!("../../migrations/sqlite/0003_users.sql")),
    (4, "accounts, secrets, tokens", include_str!("../../migrations/sqlite/0004_accounts_secrets_tokens.sql")),
];
const POSTGRES: [(i64, &str, &str); 4] = [
    (1, "collections and faces", include_str!("../../migrations/postgres/0001_collections_and_faces.sql")),
    (2, "tags", include_str!("../../migrations/postgres/0002_tags.sql")),
    (3, "users", include_str!("../../migrations/postgres/0003_users.sql")),
    (4, "accounts, secrets, tokens", include_str!("../../migrations/postgres/0004_accounts_secrets_tokens.sql")),
];

/// The SQLite file of a data folder.
const SQLITE_FILE: &str = "rekollect.db";

/// What [`collection_of`] reads.
const COLLECTION_COLUMNS: &str = "id, name, face_model_version, created_at_ms, revision, face_count, user_count";
/// What [`face_of`] reads, with the name of the face's user behind it.
const FACE_COLUMNS: &str = "face_id, image_id, external_image_id, box_left, box_top, box_width, box_height, confidence";
/// Faces of one statement: twelve parameters each, and Postgres takes 65,535, SQLite 32,766.
const FACES_AT_ONCE: usize = 200;

/// Postgres: serialization_failure, deadlock_detected. SQLite: SQLITE_BUSY and SQLITE_BUSY_SNAPSHOT.
const GIVEN_UP: [&str; 4] = ["40001", "40P01", "5", "517"];
/// Postgres: too_many_connections, lock_not_available, query_canceled (by its timeout), admin_shutdown, crash_shutdown,
/// cannot_connect_now, connection_failure, idle_in_transaction_session_timeout.
const PASSING: [&str; 8] = ["53300", "55P03", "57014", "57P01", "57P02", "57P03", "08006", "25P03"];
/// How often a change is tried that the database gives up.
const ATTEMPTS: u32 = 12;
/// The unit of the pause before the next try, which is taken at random and grows.
const PAUSE: Duration = Duration::from_millis(5);

/// How long the database may take to give a sign of life.
const PING_TIMEOUT: Duration = Duration::from_secs(2);

/// SQLite: a write-ahead log so that readers never wait, a sync at each commit so that what was acknowledged survives a power cut, and
/// zeros over what was deleted: the vector of a person's face must not stay in the file.
const SQLITE_SETTINGS: &str = "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA busy_timeout = 10000; \
                               PRAGMA foreign_keys = ON; PRAGMA secure_delete = ON;";

/// The store of one server; clones share its connections.
#[derive(Clone)]
pub struct Store {
    pool: Connections,
    /// SQLite has one writer: here the others queue in order instead of polling for the file's lock.
    writers: Arc<Semaphore>,
    place: String,
}

/// How much of the database the store may take, and how long it waits for it.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// The most connections.
    pub connections: u32,
    /// How long anybody waits for one of them, a new one among them.
    pub wait: Duration,
    /// How long Postgres may take over a statement.
    pub statement: Duration,
}

/// A collection as the store knows it at one moment.
#[derive(Clone, Debug)]
pub struct Collection {
    /// The store's own key, never used again after the collection is deleted.
    pub key: i64,
    /// Its owner.
    pub account: AccountId,
    /// Its name.
    pub id: CollectionId,
    /// The models that its vectors are of.
    pub model_version: ModelVersion,
    /// When it was made, in milliseconds since 1970.
    pub created_at_ms: i64,
    /// Changes with every change of its faces.
    pub revision: i64,
    /// How many faces it holds.
    pub face_count: i64,
    /// How many users it holds.
    pub user_count: i64,
}

/// What a store holds, of all accounts together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stored {
    /// Collections.
    pub collections: i64,
    /// Their faces.
    pub faces: i64,
    /// Their users.
    pub users: i64,
    /// Bytes of the database.
    pub bytes: i64,
}

/// What became of faces that were to be deleted.
#[derive(Debug)]
pub struct Deletion {
    /// Those that are gone.
    pub deleted: Vec<FaceId>,
    /// Those that belong to a user and so stay.
    pub of_users: Vec<(FaceId, UserId)>,
}

/// Where a listing of collections goes on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum After {
    /// Behind this name.
    Name(String),
    /// Behind the name of the collection with this key; if that is gone, behind the beginning of its name.
    Key(i64, String),
}

/// The store cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The data folder cannot be made, written or named.
    #[error("cannot use the data folder {path}: {reason}")]
    DataDir {
        /// The folder.
        path: String,
        /// What went wrong, and what helps.
        reason: String,
    },
    /// A URL of another kind.
    #[error(
        "the database URL begins with neither postgres:// nor postgresql://; leave it out to keep a SQLite file in the data folder"
    )]
    UnknownUrl,
    /// The database cannot be reached, or refuses.
    #[error("cannot open the database {place}: {source}")]
    Connect {
        /// Where it is, without a password.
        place: String,
        /// What went wrong.
        source: sqlx::Error,
    },
    /// The schema cannot be brought up to date.
    #[error("cannot bring the database's schema up to date: {0}")]
    Migrate(MigrateError),
    /// A later version of this program has worked on the database.
    #[error(
        "the database has step {0} of the schema, which this version does not know: a newer rekollect has used it; run that one, or restore a backup from before"
    )]
    NewerSchema(i64),
}

impl From<MigrateError> for OpenError {
    fn from(error: MigrateError) -> Self {
        match error {
            MigrateError::VersionMissing(step) => Self::NewerSchema(step),
            other => Self::Migrate(other),
        }
    }
}

impl Store {
    /// Opens the Postgres that is named, or else the SQLite file of the data folder, and brings its schema up to date.
    pub async fn open(place: &StorePlace, limits: Limits) -> Result<Self, OpenError> {
        sqlx::any::install_default_drivers();
        let Limits { connections, wait, statement } = limits;
        let options = AnyPoolOptions::new().max_connections(connections).acquire_timeout(wait);
        // An empty variable is as good as none.
        match place.database_url.as_deref().filter(|url| !url.is_empty()) {
            Some(url) if url.starts_with("postgres://") || url.starts_with("postgresql://") => {
                let place = without_password(url);
                let fail = |source| OpenError::Connect { place: place.clone(), source };
                // A pool would go on trying until its timeout, and then tell of that.
                let first = tokio::time::timeout(wait, AnyConnection::connect(url)).await;
                let first = first.unwrap_or_else(|_| Err(timed_out(format!("it does not answer within {wait:?}"))));
                let mut first = first.map_err(fail)?;
                // A step of the schema may take long: this connection has no limits.
                migrator(POSTGRES).run(&mut first).await?;
                first.close().await.map_err(fail)?;
                let options = options.after_connect(move |connection, _| {
                    let settings = sqlx::raw_sql(AssertSqlSafe(settings_of(wait, statement)));
                    Box::pin(async move { connection.execute(settings).await.map(drop) })
                });
                let pool = Connections::new(options.connect(url).await.map_err(fail)?, wait, Some(statement));
                Ok(Self { pool, writers: Arc::new(Semaphore::new(Semaphore::MAX_PERMITS)), place })
            }
            Some(_) => Err(OpenError::UnknownUrl),
            None => {
                let file = sqlite_file(&place.data_dir)?;
                let (url, place) = (sqlite_url(&file), file);
                let fail = |source| OpenError::Connect { place: place.clone(), source };
                let mut first = AnyConnection::connect(&url).await.map_err(fail)?;
                first.execute(SQLITE_SETTINGS).await.map_err(fail)?;
                migrator(SQLITE).run(&mut first).await?;
                first.close().await.map_err(fail)?;
                let options = options.after_connect(|connection, _| {
                    Box::pin(async move { connection.execute(SQLITE_SETTINGS).await.map(drop) })
                });
                let pool = Connections::new(options.connect(&url).await.map_err(fail)?, wait, None);
                Ok(Self { pool, writers: Arc::new(Semaphore::new(1)), place })
            }
        }
    }

    /// Whether there is a store, or may be one that has to be asked: a SQLite file would be made.
    pub fn is_there(place: &StorePlace) -> bool {
        place.database_url.as_ref().is_some_and(|url| !url.is_empty()) || place.data_dir.join(SQLITE_FILE).exists()
    }

    /// Where the store is, without a password: for the log.
    pub fn place(&self) -> &str {
        &self.place
    }

    /// The connections, for the search inside Postgres.
    pub fn pool(&self) -> &Connections {
        &self.pool
    }

    /// Whether the database answers, and soon: whoever asks has a timeout of their own.
    pub async fn ping(&self) -> Result<(), Fault> {
        const CONTEXT: &str = "asking the database for a sign of life";
        let answer = tokio::time::timeout(PING_TIMEOUT, sqlx::query("SELECT 1").execute(&self.pool)).await;
        answer.map_err(Fault::internal(CONTEXT))?.map(drop).map_err(Fault::internal(CONTEXT))
    }

    /// What it holds, of all accounts together. Fails when the database does not answer soon.
    pub async fn size(&self) -> Result<Stored, Fault> {
        let answer = tokio::time::timeout(PING_TIMEOUT, self.ask_for_size()).await;
        answer.map_err(Fault::internal("asking the database for its size"))?
    }

    async fn ask_for_size(&self) -> Result<Stored, Fault> {
        const CONTEXT: &str = "asking the database for its size";
        let bytes = if self.pool.are_postgres() {
            "SELECT pg_database_size(current_database())"
        } else {
            "SELECT page_count * page_size FROM pragma_page_count(), pragma_page_size()"
        };
        let bytes = sqlx::query(bytes).try_map(|row: AnyRow| row.try_get(0)).fetch_one(&self.pool).await;
        let bytes = bytes.map_err(Fault::internal(CONTEXT))?;
        let sums = "SELECT count(*), CAST(coalesce(sum(face_count), 0) AS BIGINT), CAST(coalesce(sum(user_count), 0) AS BIGINT) FROM collections";
        sqlx::query(sums)
            .try_map(|row: AnyRow| {
                Ok(Stored { collections: row.try_get(0)?, faces: row.try_get(1)?, users: row.try_get(2)?, bytes })
            })
            .fetch_one(&self.pool)
            .await
            .map_err(Fault::internal(CONTEXT))
    }

    /// Closes every connection, after the requests that hold one.
    pub async fn close(&self) {
        self.pool.close().await;
    }

    /// The secret of this name, which every server on this database shares; made up if there is none.
    pub async fn secret(&self, name: &str) -> Result<Vec<u8>, Fault> {
        const CONTEXT: &str = "reading a secret";
        to_the_end(CONTEXT, (self.clone(), name.to_owned()), |(store, name)| async move {
            let _writer = store.writer().await;
            let fresh = [*Uuid::new_v4().as_bytes(), *Uuid::new_v4().as_bytes()].concat();
            sqlx::query("INSERT INTO secrets (name, secret) VALUES ($1, $2) ON CONFLICT DO NOTHING")
                .bind(name.clone())
                .bind(fresh)
                .execute(&store.pool)
                .await
                .map_err(Fault::internal(CONTEXT))?;
            sqlx::query("SELECT secret FROM secrets WHERE name = $1")
                .bind(name)
                .try_map(|row: AnyRow| row.try_get::<Vec<u8>, _>(0))
                .fetch_one(&store.pool)
                .await
                .map_err(Fault::internal(CONTEXT))
        })
        .await
    }

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
                let _writer = store.writer().await;
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
            let _writer = store.writer().await;
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
            let _writer = store.writer().await;
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
            let _writer = store.writer().await;
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

    /// Adds all of these faces or none, and returns after they are durable. Faces that the collection has already stay as they are.
    /// Fails with [`Fault::CollectionNotFound`] when the collection is gone, or with [`Fault::QuotaExceeded`] when it would have more
    /// faces than `quota`.
    pub async fn insert_faces(
        &self,
        collection: &Collection,
        faces: Arc<[IndexedFace]>,
        quota: u32,
    ) -> Result<(), Fault> {
        const CONTEXT: &str = "storing faces";
        if faces.is_empty() {
            return Ok(());
        }
        to_the_end(CONTEXT, (self.clone(), collection.clone(), faces), move |(store, collection, faces)| async move {
            let _writer = store.writer().await;
            let (mut transaction, revision) = store.begin_change(&collection, CONTEXT).await?;
            let rows: Vec<_> = faces.iter().map(|face| (face, None)).collect();
            let added = insert_faces_of(&mut transaction, &collection, &rows, revision)
                .await
                .map_err(Fault::internal(CONTEXT))?;
            finish_change(transaction, &collection, added.len() as i64, quota, CONTEXT).await
        })
        .await
    }

    /// Deletes those of these faces that the collection has and that belong to no user; returns their ids, and those of the faces
    /// that belong to a user. Fails with [`Fault::CollectionNotFound`] when the collection is gone.
    pub async fn delete_faces(&self, collection: &Collection, faces: Vec<FaceId>) -> Result<Deletion, Fault> {
        const CONTEXT: &str = "deleting faces";
        to_the_end(CONTEXT, (self.clone(), collection.clone(), faces), move |(store, collection, faces)| async move {
            let _writer = store.writer().await;
            let (mut transaction, revision) = store.begin_change(&collection, CONTEXT).await?;
            let internal = Fault::internal(CONTEXT);
            let deleted = delete_faces_of(&mut transaction, &collection, &faces, revision).await.map_err(&internal)?;
            let of_users = if deleted.len() < faces.len() {
                faces_of_users(&mut transaction, &collection, &faces).await.map_err(&internal)?
            } else {
                Vec::new()
            };
            finish_change(transaction, &collection, -(deleted.len() as i64), u32::MAX, CONTEXT).await?;
            Ok(Deletion { deleted, of_users })
        })
        .await
    }

    /// Up to `limit` faces in the order of their ids, behind `after` when given, only those of `among` and of `user` when given.
    pub async fn faces(
        &self,
        collection: &Collection,
        after: Option<FaceId>,
        among: Option<&[FaceId]>,
        user: Option<UserKey>,
        limit: i64,
    ) -> Result<Vec<Face>, Fault> {
        let user_clause = user.map_or(String::new(), |key| format!(" AND faces.user_id = {}", key.0));
        // Asked for some faces in order, Postgres may read the whole collection in that order to find them: those are sorted here.
        let which = match among {
            Some(ids) => format!("AND faces.face_id IN ({})", placeholders(3, ids.len())),
            None => "ORDER BY faces.face_id LIMIT $3".to_owned(),
        };
        let statement = format!(
            "SELECT {FACE_COLUMNS}, users.name FROM faces LEFT JOIN users ON users.id = faces.user_id \
             WHERE faces.collection_id = $1 AND faces.face_id > $2{user_clause} {which}"
        );
        // Nothing sorts before the empty string of bytes.
        let after = after.map_or(Vec::new(), |id| id.as_bytes().to_vec());
        let query = sqlx::query(AssertSqlSafe(statement)).persistent(among.is_none() && user.is_none());
        let query = query.bind(collection.key).bind(after);
        let query = match among {
            Some(ids) => ids.iter().fold(query, |query, face| query.bind(face.as_bytes().to_vec())),
            None => query.bind(limit),
        };
        let found = query.try_map(|row| face_of(&row)).fetch_all(&self.pool).await;
        let mut faces = found.map_err(Fault::internal("reading faces"))?;
        faces.sort_unstable_by_key(|face| face.face_id);
        faces.truncate(limit as usize);
        Ok(faces)
    }

    /// The ids of faces that were deleted after `revision`.
    pub async fn deleted_since(&self, collection: &Collection, revision: i64) -> Result<Vec<FaceId>, Fault> {
        sqlx::query("SELECT face_id FROM deleted_faces WHERE collection_id = $1 AND revision > $2")
            .bind(collection.key)
            .bind(revision)
            .try_map(|row: AnyRow| face_id_of(&row, 0))
            .fetch_all(&self.pool)
            .await
            .map_err(Fault::internal("reading deletions"))
    }

    /// The ids and vectors of faces that came after `revision`, as they come from the database.
    pub fn embeddings_since(
        &self,
        collection: &Collection,
        revision: i64,
    ) -> impl Stream<Item = Result<(FaceId, Vec<f32>), Fault>> + Send + '_ {
        sqlx::query("SELECT face_id, embedding FROM faces WHERE collection_id = $1 AND revision > $2")
            .bind(collection.key)
            .bind(revision)
            .fetch(&self.pool)
            .map(|row| row.and_then(|row| vector_of(&row)).map_err(Fault::internal("loading vectors")))
    }

    async fn writer(&self) -> tokio::sync::SemaphorePermit<'_> {
        self.writers.acquire().await.expect("the semaphore is never closed")
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

    /// Begins a change of a collection's faces and takes its next revision.
    async fn begin_change(&self, collection: &Collection, context: &'static str) -> Result<(Transaction, i64), Fault> {
        let mut transaction = self.pool.begin().await.map_err(Fault::internal(context))?;
        let revision = sqlx::query("UPDATE collections SET revision = revision + 1 WHERE id = $1 RETURNING revision")
            .bind(collection.key)
            .try_map(|row: AnyRow| row.try_get::<i64, _>(0))
            .fetch_optional(&mut *transaction)
            .await
            .map_err(Fault::internal(context))?
            .ok_or_else(|| Fault::CollectionNotFound(collection.id.clone()))?;
        Ok((transaction, revision))
    }
}

/// Makes a change as a task of its own, which ends whatever becomes of the client. A change that the database gave up for the sake of
/// another one (a deadlock, a failed serialization, a busy file) is made again: nothing of it was committed.
async fn to_the_end<A, T, F>(
    context: &'static str,
    with: A,
    change: impl Fn(A) -> F + Send + 'static,
) -> Result<T, Fault>
where
    A: Clone + Send + 'static,
    T: Send + 'static,
    F: Future<Output = Result<T, Fault>> + Send,
{
    let trying = async move {
        let mut attempt = 1;
        loop {
            match change(with.clone()).await {
                Err(fault) if attempt < ATTEMPTS && was_given_up(&fault) => {
                    tracing::debug!(context, attempt, "the database gave a change up for the sake of another: again");
                    tokio::time::sleep(PAUSE * fastrand::u32(1..=attempt)).await;
                    attempt += 1;
                }
                outcome => return outcome,
            }
        }
    };
    task::to_the_end(context, trying).await
}

/// Whether the database says that the same change may succeed a moment later.
fn was_given_up(fault: &Fault) -> bool {
    let Fault::Internal { source, .. } = fault else { return false };
    source.downcast_ref::<sqlx::Error>().is_some_and(|error| has_code(error, &GIVEN_UP))
}

fn has_code(error: &sqlx::Error, codes: &[&str]) -> bool {
    let code = error.as_database_error().and_then(|error| error.code());
    code.is_some_and(|code| codes.contains(&code.as_ref()))
}

/// Tells apart what passes by itself: a database that is away, stalled, starting, stopping or crowded, and no other failure of it. The
/// caller is to try again.
pub fn or_unavailable(fault: Fault) -> Fault {
    use sqlx::Error::{Io, PoolClosed, PoolTimedOut};
    let passes = |error: &sqlx::Error| {
        matches!(error, Io(_) | PoolClosed | PoolTimedOut) || has_code(error, &PASSING) || has_code(error, &GIVEN_UP)
    };
    match fault {
        Fault::Internal { context, source } if source.downcast_ref().is_some_and(passes) => {
            Fault::Unavailable { context, source }
        }
        other => other,
    }
}

/// Adds to an account's number of collections, and locks it until the transaction ends; the number.
async fn count_collections(transaction: &mut Transaction, account: &AccountId, more: i64) -> sqlx::Result<i64> {
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

async fn put_tags(transaction: &mut Transaction, collection_key: i64, tags: &Tags) -> sqlx::Result<()> {
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

/// Adds those of these faces that the collection does not have, each with its user; the ids of those.
async fn insert_faces_of(
    transaction: &mut Transaction,
    collection: &Collection,
    faces: &[(&IndexedFace, Option<UserKey>)],
    revision: i64,
) -> sqlx::Result<Vec<FaceId>> {
    let mut added = Vec::new();
    for some in faces.chunks(FACES_AT_ONCE) {
        let rows: Vec<_> = (0..some.len()).map(|row| format!("({})", placeholders(12 * row + 1, 12))).collect();
        let statement = format!(
            "INSERT INTO faces (collection_id, face_id, image_id, external_image_id, box_left, box_top, box_width, box_height, \
             confidence, embedding, revision, user_id) VALUES {} ON CONFLICT DO NOTHING RETURNING face_id",
            rows.join(", ")
        );
        // Kept prepared for the sizes that come again and again.
        let keep = [1, FACES_AT_ONCE].contains(&some.len());
        let query = some.iter().fold(
            sqlx::query(AssertSqlSafe(statement)).persistent(keep),
            |query, (IndexedFace { face, embedding }, user)| {
                let stored = face.as_stored();
                query
                    .bind(collection.key)
                    .bind(stored.face_id.as_bytes().to_vec())
                    .bind(stored.image_id.as_bytes().to_vec())
                    .bind(stored.external_image_id.as_ref().map(|id| id.as_str().to_owned()))
                    .bind(f64::from(stored.bounding_box.left))
                    .bind(f64::from(stored.bounding_box.top))
                    .bind(f64::from(stored.bounding_box.width))
                    .bind(f64::from(stored.bounding_box.height))
                    .bind(f64::from(stored.confidence.get()))
                    .bind(bytes_of(embedding))
                    .bind(revision)
                    .bind(user.map(|key| key.0))
            },
        );
        added.extend(query.try_map(|row: AnyRow| face_id_of(&row, 0)).fetch_all(&mut **transaction).await?);
    }
    for some in added.chunks(FACES_AT_ONCE) {
        let ids = placeholders(2, some.len());
        let statement = format!("DELETE FROM deleted_faces WHERE collection_id = $1 AND face_id IN ({ids})");
        about_faces(statement, collection, some).execute(&mut **transaction).await?;
    }
    Ok(added)
}

/// Deletes faces and leaves their ids in `deleted_faces`; those that were there.
async fn delete_faces_of(
    transaction: &mut Transaction,
    collection: &Collection,
    faces: &[FaceId],
    revision: i64,
) -> sqlx::Result<Vec<FaceId>> {
    // Not `user_id IS NULL`: without statistics Postgres takes the index of users for that, and reads every face that has none.
    let statement = format!(
        "DELETE FROM faces WHERE collection_id = $1 AND coalesce(user_id, 0) = 0 AND face_id IN ({}) RETURNING face_id",
        placeholders(2, faces.len())
    );
    let query = about_faces(statement, collection, faces);
    let deleted = query.try_map(|row: AnyRow| face_id_of(&row, 0)).fetch_all(&mut **transaction).await?;
    for face in &deleted {
        sqlx::query(
            "INSERT INTO deleted_faces (collection_id, face_id, revision) VALUES ($1, $2, $3) \
             ON CONFLICT (collection_id, face_id) DO UPDATE SET revision = EXCLUDED.revision",
        )
        .bind(collection.key)
        .bind(face.as_bytes().to_vec())
        .bind(revision)
        .execute(&mut **transaction)
        .await?;
    }
    Ok(deleted)
}

/// Those of these faces that belong to a user.
async fn faces_of_users(
    transaction: &mut Transaction,
    collection: &Collection,
    faces: &[FaceId],
) -> sqlx::Result<Vec<(FaceId, UserId)>> {
    let statement = format!(
        "SELECT faces.face_id, users.name FROM faces JOIN users ON users.id = faces.user_id \
         WHERE faces.collection_id = $1 AND faces.face_id IN ({})",
        placeholders(2, faces.len())
    );
    let query = about_faces(statement, collection, faces);
    let owned =
        |row: AnyRow| Ok((face_id_of(&row, 0)?, UserId::try_from(row.try_get::<String, _>(1)?).map_err(decode_error)?));
    query.try_map(owned).fetch_all(&mut **transaction).await
}

/// Counts and commits a change, or forgets it when it changed nothing. Fails with [`Fault::QuotaExceeded`] when it added faces and the
/// collection would have more than `quota`.
async fn finish_change(
    mut transaction: Transaction,
    collection: &Collection,
    added: i64,
    quota: u32,
    context: &'static str,
) -> Result<(), Fault> {
    if added == 0 {
        return transaction.rollback().await.map_err(Fault::internal(context));
    }
    let count = sqlx::query("UPDATE collections SET face_count = face_count + $1 WHERE id = $2 RETURNING face_count")
        .bind(added)
        .bind(collection.key)
        .try_map(|row: AnyRow| row.try_get::<i64, _>(0))
        .fetch_one(&mut *transaction)
        .await
        .map_err(Fault::internal(context))?;
    if added > 0 && count > i64::from(quota) {
        return Err(Fault::QuotaExceeded("faces in a collection", quota));
    }
    transaction.commit().await.map_err(Fault::internal(context))
}

/// sqlx's `migrate!` would build every database driver a second time, for the compiler's side.
fn migrator<const N: usize>(steps: [(i64, &'static str, &'static str); N]) -> Migrator {
    let migration = |(version, description, sql): (i64, &'static str, &'static str)| {
        Migration::new(version, description.into(), MigrationType::Simple, SqlStr::from_static(sql), false)
    };
    Migrator::with_migrations(steps.map(migration).into())
}

/// The SQLite file of a data folder. Both are made, for their owner alone, if they do not exist; SQLite gives the files beside it the same rights.
fn sqlite_file(data_dir: &Path) -> Result<String, OpenError> {
    use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
    let fail = |reason: String| OpenError::DataDir { path: data_dir.display().to_string(), reason };
    let folder = std::path::absolute(data_dir).map_err(|e| fail(e.to_string()))?;
    let unwritable = |path: &Path, error: &io::Error| fail(unwritable(&folder, path, error));
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(&folder).map_err(|e| unwritable(&folder, &e))?;
    let file = folder.join(SQLITE_FILE);
    let mut options = std::fs::OpenOptions::new();
    options.append(true).create(true).mode(0o600).open(&file).map_err(|e| unwritable(&file, &e))?;
    // The log and the index of the database come and go beside it, so the folder has to be writable too.
    rustix::fs::access(&folder, Access::WRITE_OK).map_err(|e| unwritable(&folder, &e.into()))?;
    file.to_str().map(str::to_owned).ok_or_else(|| fail("its name is not UTF-8".to_owned()))
}

/// Why a path of the data folder cannot be written, and what helps. In a container the folder is a volume, and who may write it is not
/// seen from outside.
fn unwritable(folder: &Path, path: &Path, error: &io::Error) -> String {
    use std::os::unix::fs::MetadataExt;
    let (user, group) = (rustix::process::geteuid().as_raw(), rustix::process::getegid().as_raw());
    let advice = match error.kind() {
        io::ErrorKind::PermissionDenied => {
            format!("give it to the server (chown -R {user}:{group} {})", folder.display())
        }
        io::ErrorKind::ReadOnlyFilesystem => "mount a volume there that can be written".to_owned(),
        _ => return format!("{error} ({})", path.display()),
    };
    // The nearest that is there: its owner is the one to ask.
    let there = path.ancestors().find_map(|path| Some((path, std::fs::metadata(path).ok()?)));
    let owner = there.map_or_else(String::new, |(path, data)| {
        let (owner, group, mode) = (data.uid(), data.gid(), data.mode() & 0o7777);
        format!("; {} belongs to user {owner} and group {group}, mode {mode:o}", path.display())
    });
    format!(
        "{error}; this server runs as user {user} and group {group}{owner}; {advice}, or name another folder with --data-dir (REKOLLECT_DATA_DIR)"
    )
}

fn sqlite_url(file: &str) -> String {
    // What a URL would take for its own.
    let path = file.replace('%', "%25").replace('?', "%3F").replace('#', "%23");
    format!("sqlite://{path}?mode=rwc")
}

/// A database URL for the log: without user, password and parameters, any of which may be a secret.
fn without_password(url: &str) -> String {
    let (scheme, rest) = url.split_once("://").unwrap_or(("", url));
    let place = rest.rsplit_once('@').map_or(rest, |(_, place)| place);
    format!("{scheme}://{}", place.split(['?', '#']).next().unwrap_or_default())
}

/// A statement about a collection and some of its faces. It is not kept prepared: there is one for every number of ids.
fn about_faces<'a>(statement: String, collection: &Collection, faces: &[FaceId]) -> Query<'a, Any, AnyArguments> {
    let query = sqlx::query(AssertSqlSafe(statement)).persistent(false).bind(collection.key);
    faces.iter().fold(query, |query, face| query.bind(face.as_bytes().to_vec()))
}

/// `$first, ...`: `count` numbered placeholders.
fn placeholders(first: usize, count: usize) -> String {
    (first..first + count).map(|n| format!("${n}")).collect::<Vec<_>>().join(", ")
}

fn now_ms() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as i64)
}

fn bytes_of(embedding: &[f32]) -> Vec<u8> {
    embedding.iter().flat_map(|v| v.to_le_bytes()).collect()
}

fn floats_of(bytes: &[u8]) -> Vec<f32> {
    bytes.as_chunks().0.iter().map(|four| f32::from_le_bytes(*four)).collect()
}

fn decode_error(what: impl std::fmt::Debug) -> sqlx::Error {
    sqlx::Error::Decode(format!("the database holds an invalid value: {what:?}").into())
}

fn uuid_bytes(row: &AnyRow, column: usize) -> sqlx::Result<[u8; 16]> {
    let bytes: &[u8] = row.try_get(column)?;
    bytes.try_into().map_err(|_| decode_error(bytes))
}

fn face_id_of(row: &AnyRow, column: usize) -> sqlx::Result<FaceId> {
    uuid_bytes(row, column).map(FaceId::from_bytes)
}

fn tag_of(row: &AnyRow) -> sqlx::Result<(TagKey, TagValue)> {
    let key = TagKey::try_from(row.try_get::<String, _>(0)?).map_err(decode_error)?;
    Ok((key, TagValue::try_from(row.try_get::<String, _>(1)?).map_err(decode_error)?))
}

fn vector_of(row: &AnyRow) -> sqlx::Result<(FaceId, Vec<f32>)> {
    Ok((face_id_of(row, 0)?, floats_of(row.try_get(1)?)))
}

fn collection_of(account: &AccountId, row: &AnyRow) -> sqlx::Result<Collection> {
    Ok(Collection {
        key: row.try_get(0)?,
        account: account.clone(),
        id: CollectionId::try_from(row.try_get::<String, _>(1)?).map_err(decode_error)?,
        model_version: ModelVersion::try_from(row.try_get::<String, _>(2)?).map_err(decode_error)?,
        created_at_ms: row.try_get(3)?,
        revision: row.try_get(4)?,
        face_count: row.try_get(5)?,
        user_count: row.try_get(6)?,
    })
}

fn face_of(row: &AnyRow) -> sqlx::Result<Face> {
    let number = |column: usize| row.try_get::<f64, _>(column).map(|v| v as f32);
    Ok(Face {
        face_id: face_id_of(row, 0)?,
        image_id: ImageId::from_bytes(uuid_bytes(row, 1)?),
        user_id: row.try_get::<Option<String>, _>(8)?.map(UserId::try_from).transpose().map_err(decode_error)?,
        external_image_id: row
            .try_get::<Option<String>, _>(2)?
            .map(ExternalImageId::try_from)
            .transpose()
            .map_err(decode_error)?,
        bounding_box: BoundingBox { left: number(3)?, top: number(4)?, width: number(5)?, height: number(6)? },
        confidence: Percent::clamped(number(7)?),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_passes_by_itself_is_to_be_tried_again_and_no_other_failure() {
        let told = |error: sqlx::Error| or_unavailable(Fault::internal("testing")(error));
        for passing in [timed_out("no answer".to_owned()), sqlx::Error::PoolTimedOut, sqlx::Error::PoolClosed] {
            assert!(matches!(told(passing), Fault::Unavailable { context: "testing", .. }));
        }
        for lasting in [sqlx::Error::RowNotFound, decode_error("x")] {
            assert!(matches!(told(lasting), Fault::Internal { .. }));
        }
        assert!(matches!(or_unavailable(Fault::FaceNotFound), Fault::FaceNotFound));
    }

    #[test]
    fn the_log_gets_a_database_url_without_secrets() {
        for url in
            ["postgres://me:p@ss@db:5432/faces?password=x", "postgres://db:5432/faces#x", "postgres://db:5432/faces"]
        {
            assert_eq!(without_password(url), "postgres://db:5432/faces");
        }
    }
}
