//! IndexFaces: the faces of an image go into a collection.

use std::sync::Arc;

use crate::domain::limits::MAX_FACES_PER_IMAGE;
use crate::domain::{
    AttributeSet, CollectionId, ExternalImageId, Face, FaceDetail, Fault, ImageDigest, ImageSource, IndexedFace,
    ModelVersion, OrientationCorrection, Percent, QualityFilter, Reason,
};
use crate::telemetry::{Stage, Stages};
use crate::vision::{DetectedFace, Embedding, Pipeline, Scene, Wanted};

use super::{Call, Comparable};

/// Without a filter what is no face to the embedder is indexed too, with no more confidence than this.
const NO_FACE_CONFIDENCE: f32 = 50.0;

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
    let Comparable { collection, models } = call.comparable(&request.collection_id).await?;
    let IndexFaces { image, external_image_id, attributes, max_faces, quality_filter, .. } = request;
    let work = move |pipeline: &mut Pipeline, image: &[u8], scene: Scene, stages: &Stages| {
        let room = max_faces.map_or(MAX_FACES_PER_IMAGE, |max| max as usize);
        let embed = |faces: &[&DetectedFace]| pipeline.embed(faces, stages).map_err(Fault::internal("embedding faces"));
        let (accepted, unindexed) = choose(scene.faces, quality_filter, room, embed)?;
        let (digest, version) = (ImageDigest::of(image), pipeline.version());
        let name = |face: &DetectedFace| Face {
            face_id: digest.face_id(version, external_image_id.as_ref(), face.rank),
            image_id: digest.image_id(),
            external_image_id: external_image_id.clone(),
            user_id: None,
            bounding_box: face.detail.bounding_box,
            confidence: face.detail.confidence,
        };
        let indexed: Vec<(IndexedFace, FaceDetail)> = accepted
            .into_iter()
            .map(|(face, embedding)| (IndexedFace { face: name(&face), embedding: embedding.vector }, face.detail))
            .collect();
        Ok((indexed, unindexed, scene.orientation_correction))
    };
    let (indexed, unindexed, orientation_correction) =
        call.with_faces(&models, image, Wanted::all_with(attributes), work).await?;
    let (faces, details): (Vec<IndexedFace>, Vec<FaceDetail>) = indexed.into_iter().unzip();
    let faces: Arc<[IndexedFace]> = faces.into();
    call.trail.intend(faces.iter().map(|indexed| indexed.face.face_id)).await?;
    call.stages
        .time_async(
            Stage::Store,
            call.service.store.insert_faces(&collection, faces.clone(), call.service.quotas.faces),
        )
        .await?;
    let indexed = faces.iter().map(|indexed| indexed.face.clone()).zip(details).collect();
    Ok(IndexedFaces { indexed, unindexed, model_version: collection.model_version, orientation_correction })
}

/// A face to index, or to search by, and what it came to.
pub(super) type Accepted = (DetectedFace, Embedding);

/// Which of the faces (largest first) are to be indexed, or searched by: those that pass the filter, and of them the largest, as many as there is room for.
pub(super) fn choose(
    faces: Vec<DetectedFace>,
    filter: QualityFilter,
    room: usize,
    mut embed: impl FnMut(&[&DetectedFace]) -> Result<Vec<Embedding>, Fault>,
) -> Result<(Vec<Accepted>, Vec<UnindexedFace>), Fault> {
    let (mut accepted, mut left_out) = (Vec::new(), Vec::new());
    let mut passing = Vec::new();
    for face in faces {
        let reasons = face.shortcomings(filter);
        if reasons.is_empty() { passing.push(face) } else { left_out.push((face, reasons)) }
    }
    // Faces that turn out to be none leave their room to smaller ones.
    while accepted.len() < room && !passing.is_empty() {
        let smaller = passing.split_off(passing.len().min(room - accepted.len()));
        let embeddings = embed(&passing.iter().collect::<Vec<_>>())?;
        for (mut face, embedding) in std::mem::replace(&mut passing, smaller).into_iter().zip(embeddings) {
            if let Some(reason) = embedding.shortcoming(filter) {
                left_out.push((face, vec![reason]));
                continue;
            }
            if !embedding.has_face {
                face.detail.confidence = Percent::clamped(face.detail.confidence.get().min(NO_FACE_CONFIDENCE));
            }
            accepted.push((face, embedding));
        }
    }
    left_out.extend(passing.into_iter().map(|face| (face, vec![Reason::ExceedsMaxFaces])));
    left_out.sort_by_key(|(face, _)| face.rank);
    let unindexed = left_out.into_iter().map(|(face, reasons)| UnindexedFace { detail: face.detail, reasons });
    Ok((accepted, unindexed.collect()))
}
