//! Faces that a collection keeps for a time.

use sqlx::Row;
use sqlx::any::AnyRow;

use crate::domain::{FaceId, Fault};

use super::change::{finish_change, to_the_end};
use super::faces::delete_faces_of;
use super::rows::{COLLECTION_COLUMNS, about_faces, face_id_of, owned_collection_of, placeholders};
use super::users::refresh;
use super::{Collection, Store, UserKey};

/// Faces that are looked for, and deleted, at once.
const AT_ONCE: i64 = 500;

impl Store {
    /// Every collection that has a tag with this key, whoever owns it, and the tag's value.
    pub async fn collections_with_tag(&self, key: &str) -> Result<Vec<(Collection, String)>, Fault> {
        let statement = format!(
            "SELECT {COLLECTION_COLUMNS}, account, tag_value FROM collections JOIN tags ON collection_id = id \
             WHERE tag_key = $1 ORDER BY id"
        );
        sqlx::query(sqlx::AssertSqlSafe(statement))
            .bind(key.to_owned())
            .try_map(|row: AnyRow| Ok((owned_collection_of(&row)?, row.try_get(8)?)))
            .fetch_all(&self.pool)
            .await
            .map_err(Fault::internal("finding collections by a tag"))
    }

    /// Deletes these faces, also those that users have: the users lose them. The ids of those that were there. Fails with
    /// [`Fault::CollectionNotFound`].
    pub async fn take_and_delete_faces(
        &self,
        collection: &Collection,
        faces: Vec<FaceId>,
    ) -> Result<Vec<FaceId>, Fault> {
        const CONTEXT: &str = "deleting faces, users' among them";
        if faces.is_empty() {
            return Ok(faces);
        }
        to_the_end(CONTEXT, (self.clone(), collection.clone(), faces), |(store, collection, faces)| async move {
            let _writer = store.writer(CONTEXT).await?;
            let (mut transaction, revision) = store.begin_change(&collection, CONTEXT).await?;
            let internal = Fault::internal::<sqlx::Error>(CONTEXT);
            let these = placeholders(2, faces.len());
            let statement = format!(
                "SELECT DISTINCT user_id FROM faces WHERE collection_id = $1 AND user_id IS NOT NULL AND face_id IN ({these})"
            );
            let owners: Vec<i64> = about_faces(statement, &collection, &faces)
                .try_map(|row: AnyRow| row.try_get(0))
                .fetch_all(&mut *transaction)
                .await
                .map_err(&internal)?;
            if !owners.is_empty() {
                let statement =
                    format!("UPDATE faces SET user_id = NULL WHERE collection_id = $1 AND face_id IN ({these})");
                about_faces(statement, &collection, &faces).execute(&mut *transaction).await.map_err(&internal)?;
            }
            let deleted = delete_faces_of(&mut transaction, &collection, &faces, revision).await.map_err(&internal)?;
            for owner in owners {
                refresh(&mut transaction, &store.vault, &collection, UserKey(owner), revision)
                    .await
                    .map_err(&internal)?;
            }
            finish_change(transaction, &collection, -(deleted.len() as i64), u32::MAX, CONTEXT).await?;
            Ok(deleted)
        })
        .await
    }

    /// The oldest faces of those that were indexed before a moment, in milliseconds since 1970. There may be more of them.
    ///
    /// Revisions follow one another in time, so the oldest faces have the lowest, and an index has these in their order.
    pub async fn oldest_faces(&self, collection: &Collection, before_ms: i64) -> Result<Vec<FaceId>, Fault> {
        let faces: Vec<(FaceId, i64)> = sqlx::query(
            "SELECT face_id, coalesce(indexed_at_ms, (SELECT begin_at_ms FROM ages)) FROM faces \
             WHERE collection_id = $1 ORDER BY revision LIMIT $2",
        )
        .bind(collection.key)
        .bind(AT_ONCE)
        .try_map(|row: AnyRow| Ok((face_id_of(&row, 0)?, row.try_get(1)?)))
        .fetch_all(&self.pool)
        .await
        .map_err(Fault::internal("finding faces that are kept no longer"))?;
        Ok(faces.into_iter().filter(|(_, at)| *at < before_ms).map(|(face, _)| face).collect())
    }
}
