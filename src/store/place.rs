//! Where the database is: a SQLite file or a Postgres, opened with its schema up to date, and what it is asked as a whole.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use rustix::fs::Access;
use sqlx::any::{AnyPoolOptions, AnyRow};
use sqlx::migrate::{MigrateError, Migration, MigrationType, Migrator};
use sqlx::{AnyConnection, AssertSqlSafe, Connection, Executor, Row, SqlStr};
use tokio::sync::Semaphore;
use uuid::Uuid;

use crate::domain::{Fault, Stored};

use super::Store;
use super::change::to_the_end;
use super::connections::{Connections, settings_of, timed_out};
use super::encryption::WrongKeys;
use super::vault::{KeyId, Vault};

/// Numbered steps of the schema in each dialect, applied in their order and never changed once released.
const SQLITE: [(i64, &str, &str); 7] = [
    (1, "collections and faces", include_str!("../../migrations/sqlite/0001_collections_and_faces.sql")),
    (2, "tags", include_str!("../../migrations/sqlite/0002_tags.sql")),
    (3, "users", include_str!("../../migrations/sqlite/0003_users.sql")),
    (4, "accounts, secrets, tokens", include_str!("../../migrations/sqlite/0004_accounts_secrets_tokens.sql")),
    (5, "pruned tombstones", include_str!("../../migrations/sqlite/0005_pruned_tombstones.sql")),
    (6, "gallery marks", include_str!("../../migrations/sqlite/0006_gallery_marks.sql")),
    (7, "ages of faces", include_str!("../../migrations/sqlite/0007_ages_of_faces.sql")),
];
const POSTGRES: [(i64, &str, &str); 7] = [
    (1, "collections and faces", include_str!("../../migrations/postgres/0001_collections_and_faces.sql")),
    (2, "tags", include_str!("../../migrations/postgres/0002_tags.sql")),
    (3, "users", include_str!("../../migrations/postgres/0003_users.sql")),
    (4, "accounts, secrets, tokens", include_str!("../../migrations/postgres/0004_accounts_secrets_tokens.sql")),
    (5, "pruned tombstones", include_str!("../../migrations/postgres/0005_pruned_tombstones.sql")),
    (6, "gallery marks", include_str!("../../migrations/postgres/0006_gallery_marks.sql")),
    (7, "ages of faces", include_str!("../../migrations/postgres/0007_ages_of_faces.sql")),
];

/// The SQLite file of a data folder.
const SQLITE_FILE: &str = "rekollect.db";

/// How long the database may take to give a sign of life.
const PING_TIMEOUT: Duration = Duration::from_secs(2);

/// SQLite: a write-ahead log so that readers never wait, a sync at each commit so that what was acknowledged survives a power cut, and
/// zeros over what was deleted: the vector of a person's face must not stay in the file.
const SQLITE_SETTINGS: &str = "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; \
                               PRAGMA foreign_keys = ON; PRAGMA secure_delete = ON;";

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

/// Where a store is.
#[derive(Clone, Debug)]
pub struct StorePlace {
    /// Folder for the SQLite file. It is made if it does not exist.
    pub data_dir: PathBuf,
    /// A Postgres to keep everything in, instead of the file.
    pub database_url: Option<String>,
    /// The keys of its vectors.
    pub vault: Vault,
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
    /// The keys are not those of the database, or there are none.
    #[error(transparent)]
    Keys(#[from] WrongKeys),
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
        let store = Self::connected(place, limits).await?;
        store.check_keys().await?;
        Ok(store)
    }

    async fn connected(place: &StorePlace, limits: Limits) -> Result<Self, OpenError> {
        let vault = place.vault.clone();
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
                Ok(Self { pool, writers: Arc::new(Semaphore::new(Semaphore::MAX_PERMITS)), place, vault })
            }
            Some(_) => Err(OpenError::UnknownUrl),
            None => {
                let file = sqlite_file(&place.data_dir)?;
                let (url, place) = (sqlite_url(&file), file);
                let fail = |source| OpenError::Connect { place: place.clone(), source };
                // First of all: another process may be at work on the file.
                let settings = format!("PRAGMA busy_timeout = {}; {SQLITE_SETTINGS}", wait.as_millis());
                let mut first = AnyConnection::connect(&url).await.map_err(fail)?;
                first.execute(AssertSqlSafe(settings.clone())).await.map_err(fail)?;
                migrator(SQLITE).run(&mut first).await?;
                first.close().await.map_err(fail)?;
                let options = options.after_connect(move |connection, _| {
                    let settings = sqlx::raw_sql(AssertSqlSafe(settings.clone()));
                    Box::pin(async move { connection.execute(settings).await.map(drop) })
                });
                let pool = Connections::new(options.connect(&url).await.map_err(fail)?, wait, None);
                Ok(Self { pool, writers: Arc::new(Semaphore::new(1)), place, vault })
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

    /// The key that encrypts vectors, unless they lie open.
    pub fn key(&self) -> Option<KeyId> {
        self.vault.key()
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
            let _writer = store.writer(CONTEXT).await?;
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_log_gets_a_database_url_without_secrets() {
        for url in
            ["postgres://me:p@ss@db:5432/faces?password=x", "postgres://db:5432/faces#x", "postgres://db:5432/faces"]
        {
            assert_eq!(without_password(url), "postgres://db:5432/faces");
        }
    }
}
