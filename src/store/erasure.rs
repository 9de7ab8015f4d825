//! What is left of faces and users after they were deleted.

use std::path::PathBuf;

use sqlx::Row;
use sqlx::any::AnyRow;

use crate::domain::{FaceId, Fault};
use crate::looking::{Looked, look};
use crate::task;

use super::change::to_the_end;
use super::rows::{about_faces, placeholders};
use super::{Collection, Store, UserKey};

/// What SQLite may have beside its file.
const BESIDE: [&str; 3] = ["", "-wal", "-journal"];

impl Store {
    /// The vectors of these faces and of this user, as the database keeps them.
    pub async fn stored_vectors(
        &self,
        collection: &Collection,
        faces: &[FaceId],
        user: Option<UserKey>,
    ) -> Result<Vec<Vec<u8>>, Fault> {
        let statement = format!(
            "SELECT embedding FROM faces WHERE collection_id = $1 AND face_id IN ({}) \
             UNION ALL SELECT embedding FROM users WHERE collection_id = $1 AND id = {} AND embedding IS NOT NULL",
            these(faces),
            key(user)
        );
        about_faces(statement, collection, faces)
            .try_map(|row: AnyRow| row.try_get(0))
            .fetch_all(&self.pool)
            .await
            .map_err(Fault::internal("reading what is to be erased"))
    }

    /// How many rows there are of these faces and of this user.
    pub async fn rows_about(
        &self,
        collection: &Collection,
        faces: &[FaceId],
        user: Option<UserKey>,
    ) -> Result<u64, Fault> {
        let statement = format!(
            "SELECT (SELECT count(*) FROM faces WHERE collection_id = $1 AND face_id IN ({})) \
             + (SELECT count(*) FROM users WHERE collection_id = $1 AND id = {})",
            these(faces),
            key(user)
        );
        about_faces(statement, collection, faces)
            .try_map(|row: AnyRow| row.try_get::<i64, _>(0))
            .fetch_one(&self.pool)
            .await
            .map(|rows| rows as u64)
            .map_err(Fault::internal("counting what is left"))
    }

    /// Forgets the requests with a token that changed one of these faces.
    pub async fn forget_tokens_about(&self, collection: &Collection, faces: Vec<FaceId>) -> Result<(), Fault> {
        const CONTEXT: &str = "forgetting tokens of requests";
        to_the_end(CONTEXT, (self.clone(), collection.clone(), faces), |(store, collection, faces)| async move {
            let _writer = store.writer(CONTEXT).await?;
            let internal = Fault::internal::<sqlx::Error>(CONTEXT);
            let mut transaction = store.pool.begin().await.map_err(&internal)?;
            let tokens: Vec<(String, Vec<u8>)> =
                sqlx::query("SELECT token, changed FROM client_tokens WHERE collection_id = $1")
                    .bind(collection.key)
                    .try_map(|row: AnyRow| Ok((row.try_get(0)?, row.try_get(1)?)))
                    .fetch_all(&mut *transaction)
                    .await
                    .map_err(&internal)?;
            let is_about =
                |changed: &[u8]| changed.as_chunks().0.iter().any(|id| faces.contains(&FaceId::from_bytes(*id)));
            for (token, _) in tokens.into_iter().filter(|(_, changed)| is_about(changed)) {
                sqlx::query("DELETE FROM client_tokens WHERE collection_id = $1 AND token = $2")
                    .bind(collection.key)
                    .bind(token)
                    .execute(&mut *transaction)
                    .await
                    .map_err(&internal)?;
            }
            transaction.commit().await.map_err(&internal)
        })
        .await
    }

    /// Looks for vectors in the database's own files; `None` where these are not this server's to read.
    pub async fn look_in_files(&self, for_any: Vec<Vec<u8>>) -> Result<Option<Looked>, Fault> {
        const CONTEXT: &str = "looking through the database's files";
        if self.pool.are_postgres() {
            return Ok(None);
        }
        self.overwrite_old_bytes().await?;
        let files = BESIDE.map(|name| PathBuf::from(format!("{}{name}", self.place)));
        let looking = task::on_a_thread(CONTEXT, move || look(&files, &for_any));
        looking.await?.map(Some).map_err(Fault::internal(CONTEXT))
    }
}

/// In a statement. There may be none: a user without faces.
fn these(faces: &[FaceId]) -> String {
    if faces.is_empty() { "NULL".to_owned() } else { placeholders(2, faces.len()) }
}

/// In a statement; nobody has the key 0.
fn key(user: Option<UserKey>) -> i64 {
    user.map_or(0, |key| key.0)
}
