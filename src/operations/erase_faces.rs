//! EraseFaces: faces, or a user with all of its faces, are deleted, and what this server has of them is looked for.

use crate::domain::limits::MAX_FACES_PER_USER;
use crate::domain::{CollectionId, FaceId, Fault, UserId};
use crate::looking::Looked;
use crate::telemetry::Stage;

use super::Call;
use super::faces::without_repetitions;

/// A request to erase faces.
pub struct EraseFaces {
    /// The collection.
    pub collection_id: CollectionId,
    /// Whose; absent is refused.
    pub whose: Option<Whose>,
}

/// Which faces are erased.
pub enum Whose {
    /// A user's, and the user.
    User(UserId),
    /// These. Ids that the collection does not have are passed over.
    Faces(Vec<FaceId>),
}

/// What was erased, and what is left.
pub struct ErasedFaces {
    /// The faces that were deleted.
    pub faces: Vec<FaceId>,
    /// The user that was deleted.
    pub user: Option<UserId>,
    /// Where was looked for what is left.
    pub places: Vec<(Where, Looked)>,
}

/// Where vectors of faces may be left.
#[derive(Clone, Copy, Debug, PartialEq, Eq, strum::IntoStaticStr)]
#[strum(serialize_all = "SCREAMING_SNAKE_CASE")]
pub enum Where {
    /// Rows of the database.
    Database,
    /// The database's own files, where this server has them.
    DatabaseFiles,
    /// What this server searches: its memory, or tables of pgvector.
    Search,
    /// Its gallery files.
    GalleryFiles,
}

/// Erases faces. Fails with [`Fault::UserNotFound`].
pub async fn erase_faces(call: Call<'_>, request: EraseFaces) -> Result<ErasedFaces, Fault> {
    let collection = call.collection(&request.collection_id).await?;
    let (store, indexes) = (&call.service.store, &call.service.indexes);
    let (user, faces) = match request.whose.ok_or(Fault::InvalidParameters)? {
        Whose::Faces(faces) => (None, without_repetitions(faces)),
        Whose::User(id) => {
            let key = call.stages.time_async(Stage::Store, store.user(&collection, &id)).await?;
            let reading = store.faces(&collection, None, None, Some(key), MAX_FACES_PER_USER as i64);
            let faces = call.stages.time_async(Stage::Store, reading).await?;
            (Some((id, key)), faces.iter().map(|face| face.face_id).collect())
        }
    };
    let key = user.as_ref().map(|(_, key)| *key);
    let vectors = store.stored_vectors(&collection, &faces, key).await?;
    call.trail.intend(faces.iter().copied()).await?;
    let erasing = async {
        let deleted = store.take_and_delete_faces(&collection, faces.clone()).await?;
        if let Some((id, _)) = &user {
            store.delete_user(&collection, id, None).await?;
        }
        store.forget_tokens_about(&collection, faces.clone()).await?;
        Ok::<_, Fault>(deleted)
    };
    let deleted = call.stages.time_async(Stage::Store, erasing).await?;

    let collection = call.collection(&request.collection_id).await?;
    indexes.let_go(&collection).await?;
    let mut searched = Looked::default();
    for face in &faces {
        searched.found += u64::from(indexes.faces.vector(&collection, face).await?.is_some());
    }
    let rows = store.rows_about(&collection, &faces, key).await?;
    let mut places = vec![(Where::Database, Looked { found: rows, ..Looked::default() }), (Where::Search, searched)];
    places.extend(store.look_in_files(vectors.clone()).await?.map(|looked| (Where::DatabaseFiles, looked)));
    let looked = indexes.look_in_files(&collection, vectors).await?;
    places.extend(looked.map(|looked| (Where::GalleryFiles, looked)));
    Ok(ErasedFaces { faces: deleted, user: user.map(|(id, _)| id), places })
}
