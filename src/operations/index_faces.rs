//! IndexFaces: the faces of an image go into a collection.

use std::sync::Arc;

use crate::domain::{
    AttributeSet, CollectionId, ExternalImageId, Face, FaceDetail, Fault, ImageDigest, ImageSource, IndexedFace,
    ModelVersion, OrientationCorrection, QualityFilter, Reason,
};
use crate::telemetry::{Stage, Stages};
use crate::vision::{DetectedFace, MAX_FACES_PER_IMAGE, Pipeline, Scene};

use super::Call;

/// A request to index an image.
pub struct IndexFaces {
    /// The collection.
    pub collection_id: CollectionId,
    /// The image file.
    pub image: Option<ImageSource>,
    /// The client's name for the image, given to every face of it.
    pub external_image_id: Option<ExternalImageId>,
    /// What to tell about each face beside the DEFAULT attributes.
    pub attributes: AttributeSet,
    /// The most faces to index; absent: [`MAX_FACES_PER_IMAGE`].
    pub max_faces: Option<u32>,
    /// How good a face has to be.
    pub quality_filter: QualityFilter,
}

/// What became of an image's faces.
pub struct IndexedFaces {
    /// Those that the collection has now, from larger to smaller box.
    pub indexed: Vec<(Face, FaceDetail)>,
    /// Those that were left out, from larger to smaller box.
    pub unindexed: Vec<UnindexedFace>,
    /// The models that made the vectors.
    pub model_version: ModelVersion,
    /// How the image as it was sent is to be turned, where that was estimated.
    pub orientation_correction: Option<OrientationCorrection>,
}

/// A face that was left out.
pub struct UnindexedFace {
    /// What detection says about it.
    pub detail: FaceDetail,
    /// Why; at least one.
    pub reasons: Vec<Reason>,
}

/// Finds the faces of an image and adds those that pass to a collection, all in one transaction or none.
///
/// The same image under the same external id gives the same face ids, so that indexing it again stores nothing new.
pub async fn index_faces(call: Call<'_>, request: IndexFaces) -> Result<IndexedFaces, Fault> {
    let collection = call.comparable_collection(&request.collection_id).await?;
    let IndexFaces { image, external_image_id, attributes, max_faces, quality_filter, .. } = request;
    let work = move |pipeline: &mut Pipeline, image: &[u8], scene: Scene, stages: &Stages| {
        let (accepted, unindexed) = choose(scene.faces, quality_filter, max_faces);
        let embeddings =
            pipeline.embed(&accepted.iter().collect::<Vec<_>>(), stages).map_err(Fault::internal("embedding faces"))?;
        let digest = ImageDigest::of(image);
        let name = |face: &DetectedFace| Face {
            face_id: digest.face_id(pipeline.version(), external_image_id.as_ref(), face.rank),
            image_id: digest.image_id(),
            external_image_id: external_image_id.clone(),
            user_id: None,
            bounding_box: face.detail.bounding_box,
            confidence: face.detail.confidence,
        };
        let indexed: Vec<(IndexedFace, FaceDetail)> = accepted
            .iter()
            .zip(embeddings)
            .map(|(face, embedding)| (IndexedFace { face: name(face), embedding }, face.detail.clone()))
            .collect();
        Ok((indexed, unindexed, scene.orientation_correction))
    };
    let (indexed, unindexed, orientation_correction) = call.with_faces(image, attributes, work).await?;
    let (faces, details): (Vec<IndexedFace>, Vec<FaceDetail>) = indexed.into_iter().unzip();
    let faces: Arc<[IndexedFace]> = faces.into();
    call.stages
        .time_async(
            Stage::Store,
            call.service.store.insert_faces(&collection, faces.clone(), call.service.quotas.faces),
        )
        .await?;
    let indexed = faces.iter().map(|indexed| indexed.face.clone()).zip(details).collect();
    Ok(IndexedFaces { indexed, unindexed, model_version: collection.model_version, orientation_correction })
}

/// Which of the faces (largest first) are to be indexed: those that pass the filter, and of them the largest.
fn choose(
    faces: Vec<DetectedFace>,
    filter: QualityFilter,
    max_faces: Option<u32>,
) -> (Vec<DetectedFace>, Vec<UnindexedFace>) {
    let room = max_faces.map_or(MAX_FACES_PER_IMAGE, |max| max as usize);
    let (mut accepted, mut unindexed) = (Vec::new(), Vec::new());
    for face in faces {
        let mut reasons = face.shortcomings(filter);
        if reasons.is_empty() && accepted.len() == room {
            reasons.push(Reason::ExceedsMaxFaces);
        }
        if reasons.is_empty() {
            accepted.push(face)
        } else {
            unindexed.push(UnindexedFace { detail: face.detail, reasons })
        }
    }
    (accepted, unindexed)
}
