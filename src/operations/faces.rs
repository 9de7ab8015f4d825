//! ListFaces and DeleteFaces.

use sha2::{Digest, Sha256};

use crate::domain::{CollectionId, Face, FaceId, Fault, ModelVersion};
use crate::telemetry::{Stage, Stages};

use super::{PageRequest, Service, page};

/// A request for a page of faces.
pub struct ListFaces {
    /// The collection.
    pub collection_id: CollectionId,
    /// Only these faces, when given; ids that the collection does not have are passed over.
    pub face_ids: Option<Vec<FaceId>>,
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
    /// Those that the collection does not have.
    pub not_found: Vec<FaceId>,
}

/// Lists a collection's faces.
pub async fn list_faces(service: &Service, request: ListFaces, stages: &Stages) -> Result<FacePage, Fault> {
    let collection = service.collection(&request.collection_id, stages).await?;
    let scope = format!("faces of {} among {:?}", collection.key, request.face_ids.as_deref().map(digest_of));
    let place = request.page.place(&scope)?.map(|place| place.try_into().map(FaceId::from_bytes));
    let after = place.transpose().map_err(|_| Fault::InvalidPaginationToken)?;
    let size = request.page.size();
    // One more than asked for tells whether there is another page.
    let listing = service.store.faces(&collection, after, request.face_ids.as_deref(), size as i64 + 1);
    let mut faces = stages.time_async(Stage::Store, listing).await?;
    let more = faces.len() > size;
    faces.truncate(size);
    let next_token = faces.last().filter(|_| more).map(|last| page::token(&scope, last.face_id.as_bytes()));
    Ok(FacePage { faces, model_version: collection.model_version, next_token })
}

/// Deletes faces from a collection. Unknown ids are no error.
pub async fn delete_faces(
    service: &Service,
    id: CollectionId,
    face_ids: Vec<FaceId>,
    stages: &Stages,
) -> Result<DeletedFaces, Fault> {
    let collection = service.collection(&id, stages).await?;
    let mut asked = Vec::with_capacity(face_ids.len());
    let mut seen = std::collections::HashSet::new();
    asked.extend(face_ids.into_iter().filter(|face| seen.insert(*face)));
    let gone = stages.time_async(Stage::Store, service.store.delete_faces(&collection, asked.clone())).await?;
    let gone: std::collections::HashSet<FaceId> = gone.into_iter().collect();
    let (deleted, not_found) = asked.into_iter().partition(|face| gone.contains(face));
    Ok(DeletedFaces { deleted, not_found })
}

fn digest_of(faces: &[FaceId]) -> String {
    let hash = faces.iter().fold(Sha256::new(), |hash, face| hash.chain_update(face.as_bytes()));
    hex::encode(hash.finalize())
}
