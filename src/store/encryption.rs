//! Whether the keys of vectors are the right ones, and bringing every vector under another key, or under none.

use sqlx::Row;
use sqlx::any::AnyRow;

use crate::domain::{FaceId, Fault};

use super::change::to_the_end;
use super::rows::{decode_error, face_id_of};
use super::vault::{Owner, Unreadable, Vault, key_of};
use super::{Collection, Store};

/// The secret that only the right key opens. A database without encrypted vectors has none.
const PROBE: &str = "vector key";
const CONTEXT: &str = "bringing vectors under another key";
/// Vectors that one transaction rewrites.
const AT_ONCE: i64 = 500;

/// The keys of vectors are not known to be the right ones.
#[derive(Debug, thiserror::Error)]
pub enum WrongKeys {
    /// The vectors of the database need a key that was not given.
    #[error(
        "the vectors of this database do not open: {0}; name a file of keys that has this one with --vector-keys (REKOLLECT_VECTOR_KEYS)"
    )]
    Closed(Unreadable),
    /// The database does not tell.
    #[error(transparent)]
    Unread(#[from] Fault),
}

/// Vectors that were brought under another key.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rewritten {
    /// Of faces.
    pub faces: u64,
    /// Of users.
    pub users: u64,
    /// Whether the bytes of before are gone from the database's own files.
    pub are_overwritten: bool,
}

/// A row whose vector lies otherwise than it should: whose it is, and the bytes that are there.
type Other = (Owner, Vec<u8>);

impl Store {
    /// Fails when the database's vectors are encrypted and the keys do not open them. Notes the first key of a database that had none.
    pub(super) async fn check_keys(&self) -> Result<(), WrongKeys> {
        if self.vault.key().is_some() {
            self.note_key(false).await?;
        }
        if let Some(probe) = self.probe().await? {
            self.vault.open(Owner::Probe, &probe).map_err(WrongKeys::Closed)?;
        }
        Ok(())
    }

    async fn probe(&self) -> Result<Option<Vec<u8>>, Fault> {
        sqlx::query("SELECT secret FROM secrets WHERE name = $1")
            .bind(PROBE)
            .try_map(|row: AnyRow| row.try_get::<Vec<u8>, _>(0))
            .fetch_optional(&self.pool)
            .await
            .map_err(Fault::internal("reading which key opens vectors"))
    }

    /// Notes which key the vectors need; `anew`: in place of the one that they needed.
    async fn note_key(&self, anew: bool) -> Result<(), Fault> {
        const CONTEXT: &str = "noting which key opens vectors";
        let what = if anew { "UPDATE SET secret = excluded.secret" } else { "NOTHING" };
        let statement = format!("INSERT INTO secrets (name, secret) VALUES ($1, $2) ON CONFLICT (name) DO {what}");
        let _writer = self.writer(CONTEXT).await?;
        sqlx::query(sqlx::AssertSqlSafe(statement))
            .bind(PROBE)
            .bind(self.vault.seal(Owner::Probe, &[]))
            .execute(&self.pool)
            .await
            .map(drop)
            .map_err(Fault::internal(CONTEXT))
    }

    /// Brings every vector under the first key, or under none when they are to lie open. `told` hears how many have been rewritten so far.
    ///
    /// Servers may work meanwhile, if they have the keys of before and the new one. What they write with another first key stays so.
    pub async fn rewrite_vectors(&self, open: bool, told: impl Fn(u64)) -> Result<Rewritten, Fault> {
        let target = if open { Vault::default() } else { self.vault.clone() };
        let mut rewritten = Rewritten::default();
        for collection in self.snapshot().await?.collections().await? {
            let mut after = Vec::new();
            while let Some(last) = self.rewrite_some_faces(&collection, &target, &after, &mut rewritten.faces).await? {
                after = last;
                told(rewritten.faces + rewritten.users);
            }
            let mut after = 0;
            while let Some(last) = self.rewrite_some_users(&collection, &target, after, &mut rewritten.users).await? {
                after = last;
                told(rewritten.faces + rewritten.users);
            }
        }
        if open {
            self.forget_key().await?;
        } else {
            self.note_key(true).await?;
        }
        rewritten.are_overwritten = self.overwrite_old_bytes().await?;
        Ok(rewritten)
    }

    /// Whether the bytes of before are gone from the database's own files. SQLite puts zeros over them when its log is written back.
    pub(super) async fn overwrite_old_bytes(&self) -> Result<bool, Fault> {
        if self.pool.are_postgres() {
            return Ok(false);
        }
        let checkpoint = sqlx::query("PRAGMA wal_checkpoint(TRUNCATE)");
        let is_busy = checkpoint.try_map(|row: AnyRow| row.try_get::<i64, _>(0)).fetch_one(&self.pool).await;
        is_busy.map(|busy| busy == 0).map_err(Fault::internal("writing the database's log back"))
    }

    /// Faces behind `after`; the id of the last of them, unless there was none.
    async fn rewrite_some_faces(
        &self,
        collection: &Collection,
        target: &Vault,
        after: &[u8],
        count: &mut u64,
    ) -> Result<Option<Vec<u8>>, Fault> {
        let key = collection.key;
        let rows: Vec<(FaceId, Vec<u8>)> = sqlx::query(
            "SELECT face_id, embedding FROM faces WHERE collection_id = $1 AND face_id > $2 ORDER BY face_id LIMIT $3",
        )
        .bind(key)
        .bind(after.to_vec())
        .bind(AT_ONCE)
        .try_map(|row: AnyRow| Ok((face_id_of(&row, 0)?, row.try_get(1)?)))
        .fetch_all(&self.pool)
        .await
        .map_err(Fault::internal(CONTEXT))?;
        let last = rows.last().map(|(face, _)| face.as_bytes().to_vec());
        *count += self.rewrite(target, rows.into_iter().map(|(face, bytes)| (Owner::Face(key, face), bytes))).await?;
        Ok(last)
    }

    /// Users behind `after`; the key of the last of them, unless there was none.
    async fn rewrite_some_users(
        &self,
        collection: &Collection,
        target: &Vault,
        after: i64,
        count: &mut u64,
    ) -> Result<Option<i64>, Fault> {
        let key = collection.key;
        let rows: Vec<(i64, Vec<u8>)> = sqlx::query(
            "SELECT id, embedding FROM users WHERE collection_id = $1 AND id > $2 AND embedding IS NOT NULL ORDER BY id LIMIT $3",
        )
        .bind(key)
        .bind(after)
        .bind(AT_ONCE)
        .try_map(|row: AnyRow| Ok((row.try_get(0)?, row.try_get(1)?)))
        .fetch_all(&self.pool)
        .await
        .map_err(Fault::internal(CONTEXT))?;
        let last = rows.last().map(|(user, _)| *user);
        let users = rows.into_iter().map(|(user, bytes)| (Owner::User(key, user), bytes));
        *count += self.rewrite(target, users).await?;
        Ok(last)
    }

    /// Rewrites those of these vectors that lie otherwise than `target` would keep them, in one transaction; how many.
    async fn rewrite(&self, target: &Vault, rows: impl Iterator<Item = Other>) -> Result<u64, Fault> {
        let lies_otherwise = |(_, bytes): &Other| key_of(bytes).map_or(true, |key| key != target.key());
        let others: Vec<Other> = rows.filter(lies_otherwise).collect();
        if others.is_empty() {
            return Ok(0);
        }
        to_the_end(CONTEXT, (self.clone(), target.clone(), others), |(store, target, others)| async move {
            let _writer = store.writer(CONTEXT).await?;
            let internal = Fault::internal::<sqlx::Error>(CONTEXT);
            let mut transaction = store.pool.begin_long().await.map_err(&internal)?;
            let mut rewritten = 0;
            for (owner, bytes) in others {
                let vector = store
                    .vault
                    .open(owner, &bytes)
                    .map_err(|unreadable| internal(decode_error(format_args!("{owner:?}: {unreadable}"))))?;
                // Of a row that changed meanwhile, what is there now is as whoever changed it keeps it.
                let query = match owner {
                    Owner::Face(collection, face) => sqlx::query(
                        "UPDATE faces SET embedding = $1 WHERE embedding = $2 AND collection_id = $3 AND face_id = $4",
                    )
                    .bind(target.seal(owner, &vector))
                    .bind(bytes)
                    .bind(collection)
                    .bind(face.as_bytes().to_vec()),
                    Owner::User(_, user) => {
                        sqlx::query("UPDATE users SET embedding = $1 WHERE embedding = $2 AND id = $3")
                            .bind(target.seal(owner, &vector))
                            .bind(bytes)
                            .bind(user)
                    }
                    Owner::Probe => continue,
                };
                rewritten += query.execute(&mut *transaction).await.map_err(&internal)?.rows_affected();
            }
            transaction.commit().await.map_err(&internal)?;
            Ok(rewritten)
        })
        .await
    }

    async fn forget_key(&self) -> Result<(), Fault> {
        const CONTEXT: &str = "forgetting which key opens vectors";
        let _writer = self.writer(CONTEXT).await?;
        let forgetting = sqlx::query("DELETE FROM secrets WHERE name = $1").bind(PROBE).execute(&self.pool);
        forgetting.await.map(drop).map_err(Fault::internal(CONTEXT))
    }
}
