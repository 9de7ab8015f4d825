//! Faces: what comes, what goes, and what a gallery has to learn of both.

use std::sync::Arc;

use futures_util::{Stream, StreamExt};
use sqlx::any::AnyRow;
use sqlx::{AssertSqlSafe, Row};

use crate::domain::{Face, FaceId, Fault, IndexedFace, UserId};

use super::change::{finish_change, to_the_end};
use super::connections::Transaction;
use super::rows::{
    FACE_COLUMNS, FACES_AT_ONCE, about_faces, decode_error, face_id_of, face_of, now_ms, placeholders, vector_of,
};
use super::tombstones::{forget_faces, leave_faces};
use super::vault::{Owner, Vault};
use super::{Collection, Store, UserKey};

/// What became of faces that were to be deleted.
#[derive(Debug)]
pub struct Deletion {
    /// Those that are gone.
    pub deleted: Vec<FaceId>,
    /// Those that belong to a user and so stay.
    pub of_users: Vec<(FaceId, UserId)>,
}

impl Store {
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
            let _writer = store.writer(CONTEXT).await?;
            let (mut transaction, revision) = store.begin_change(&collection, CONTEXT).await?;
            let rows: Vec<_> = faces.iter().map(|face| (face, None)).collect();
            let added = insert_faces_of(&mut transaction, &store.vault, &collection, &rows, revision)
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
            let _writer = store.writer(CONTEXT).await?;
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

    /// The ids and vectors of faces that came after `revision`, as they come from the database.
    pub fn embeddings_since(
        &self,
        collection: &Collection,
        revision: i64,
    ) -> impl Stream<Item = Result<(FaceId, Vec<f32>), Fault>> + Send + '_ {
        let key = collection.key;
        sqlx::query("SELECT face_id, embedding FROM faces WHERE collection_id = $1 AND revision > $2")
            .bind(key)
            .bind(revision)
            .fetch(&self.pool)
            .map(move |row| {
                let vector = |row: AnyRow| {
                    let face = face_id_of(&row, 0)?;
                    Ok((face, vector_of(&self.vault, Owner::Face(key, face), &row, 1)?))
                };
                row.and_then(vector).map_err(Fault::internal("loading vectors"))
            })
    }
}

/// Adds those of these faces that the collection does not have, each with its user; the ids of those.
pub(super) async fn insert_faces_of(
    transaction: &mut Transaction,
    vault: &Vault,
    collection: &Collection,
    faces: &[(&IndexedFace, Option<UserKey>)],
    revision: i64,
) -> sqlx::Result<Vec<FaceId>> {
    let (mut added, now) = (Vec::new(), now_ms());
    for some in faces.chunks(FACES_AT_ONCE) {
        let rows: Vec<_> = (0..some.len()).map(|row| format!("({})", placeholders(13 * row + 1, 13))).collect();
        let statement = format!(
            "INSERT INTO faces (collection_id, face_id, image_id, external_image_id, box_left, box_top, box_width, box_height, \
             confidence, embedding, revision, user_id, indexed_at_ms) VALUES {} ON CONFLICT DO NOTHING RETURNING face_id",
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
                    .bind(vault.seal(Owner::Face(collection.key, stored.face_id), embedding))
                    .bind(revision)
                    .bind(user.map(|key| key.0))
                    .bind(now)
            },
        );
        added.extend(query.try_map(|row: AnyRow| face_id_of(&row, 0)).fetch_all(&mut **transaction).await?);
    }
    forget_faces(transaction, collection, &added).await?;
    Ok(added)
}

/// Deletes faces and leaves their tombstones; those that were there.
pub(super) async fn delete_faces_of(
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
    leave_faces(transaction, collection, &deleted, revision).await?;
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
