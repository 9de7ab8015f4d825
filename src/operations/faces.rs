//! ListFaces and DeleteFaces.

use std::collections::HashSet;

use sha2::{Digest, Sha256};

use crate::domain::{CollectionId, Face, FaceId, Fault, ModelVersion, Operation, UserId};
use crate::telemetry::Stage;

use super::{Call, PageRequest};

/// A request for a page of faces.
pub struct ListFaces {
    /// The collection.
    pub collection_id: CollectionId,
    /// Only these faces, when given; ids that the collection does not have are passed over.
    pub face_ids: Option<Vec<FaceId>>,
    /// Only faces of this user, when given.
    pub user_id: Option<UserId>,
    /// Which page.
    pub page: PageRequest,
}

/// A page of faces.
pub struct FacePage {
    /// In ascending order of their ids.
    pub faces: Vec<Face>,
    /// The models that made the collection's vectors.
    pub model_version: ModelVersion,
    /// The token of the next page, unless this is the last one.
    pub next_token: Option<String>,
}

/// What became of faces that were to be deleted.
pub struct DeletedFaces {
    /// Those that were deleted, in the order of the request.
    pub deleted: Vec<FaceId>,
    /// Those that belong to a user and so stay.
    pub of_users: Vec<(FaceId, UserId)>,
    /// Those that the collection does not have.
    pub not_found: Vec<FaceId>,
}

/// Lists a collection's faces.
pub async fn list_faces(call: Call<'_>, request: ListFaces) -> Result<FacePage, Fault> {
    let collection = call.collection(&request.collection_id).await?;
    let user = match &request.user_id {
        None => None,
        Some(id) => Some(call.stages.time_async(Stage::Store, call.service.store.user(&collection, id)).await?),
    };
    let among = request.face_ids.as_deref().map(digest_of);
    let pages = call.listing(Operation::ListFaces, &format!("{} among {among:?} of {user:?}", collection.key));
    let place = pages.place(&request.page)?.map(|place| place.try_into().map(FaceId::from_bytes));
    let after = place.transpose().map_err(|_| Fault::InvalidPaginationToken)?;
    let size = request.page.size();
    let listing = call.service.store.faces(&collection, after, request.face_ids.as_deref(), user, size as i64 + 1);
    let mut faces = call.stages.time_async(Stage::Store, listing).await?;
    let next_token = pages.cut(&mut faces, size, |last| last.face_id.as_bytes().to_vec());
    Ok(FacePage { faces, model_version: collection.model_version, next_token })
}

/// Deletes faces from a collection. Unknown ids are no error.
pub async fn delete_faces(call: Call<'_>, (id, face_ids): (CollectionId, Vec<FaceId>)) -> Result<DeletedFaces, Fault> {
    let collection = call.collection(&id).await?;
    let asked = without_repetitions(face_ids);
    call.trail.intend([]).await?;
    let outcome =
        call.stages.time_async(Stage::Store, call.service.store.delete_faces(&collection, asked.clone())).await?;
    let gone: HashSet<FaceId> = outcome.deleted.into_iter().collect();
    let owned: HashSet<FaceId> = outcome.of_users.iter().map(|(face, _)| *face).collect();
    let (deleted, rest): (Vec<_>, Vec<_>) = asked.into_iter().partition(|face| gone.contains(face));
    let not_found = rest.into_iter().filter(|face| !owned.contains(face)).collect();
    Ok(DeletedFaces { deleted, of_users: outcome.of_users, not_found })
}

/// The ids in their order, each once.
pub(super) fn without_repetitions(mut faces: Vec<FaceId>) -> Vec<FaceId> {
    let mut seen = HashSet::new();
    faces.retain(|face| seen.insert(*face));
    faces
}

fn digest_of(faces: &[FaceId]) -> String {
    let hash = faces.iter().fold(Sha256::new(), |hash, face| hash.chain_update(face.as_bytes()));
    hex::encode(hash.finalize())
}
