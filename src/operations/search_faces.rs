//! SearchFaces and SearchFacesByImage: the faces of a collection that resemble a probe.

use std::collections::{HashMap, HashSet};

use crate::domain::{
    BoundingBox, CollectionId, Face, FaceId, Fault, ImageSource, Match, ModelVersion, Percent, QualityFilter,
};
use crate::search::{Neighbour, Probe, Query};
use crate::telemetry::Stage;
use crate::vision::Wanted;

use super::{Call, Comparable};

/// A search by a face that is in the collection.
pub struct SearchFaces {
    /// The collection.
    pub collection_id: CollectionId,
    /// The probe; it is not among its own matches.
    pub face_id: FaceId,
    /// The most matches.
    pub max_faces: u32,
    /// Matches are at least this similar.
    pub threshold: Percent,
}

/// A search by the largest face of an image.
pub struct SearchFacesByImage {
    /// The collection.
    pub collection_id: CollectionId,
    /// The image file.
    pub image: Option<ImageSource>,
    /// The most matches.
    pub max_faces: u32,
    /// Matches are at least this similar.
    pub threshold: Percent,
    /// How good the probe has to be.
    pub quality_filter: QualityFilter,
}

/// What a search by a face found.
pub struct FaceSearch {
    /// The probe.
    pub face_id: FaceId,
    /// Most similar first.
    pub matches: Vec<Match>,
    /// The models compared.
    pub model_version: ModelVersion,
}

/// What a search by image found.
pub struct ImageSearch {
    /// Where the probe is in the image.
    pub bounding_box: BoundingBox,
    /// How sure detection is of it.
    pub confidence: Percent,
    /// Most similar first.
    pub matches: Vec<Match>,
    /// The models compared.
    pub model_version: ModelVersion,
}

/// Searches by a face of the collection. Fails with [`Fault::FaceNotFound`].
pub async fn search_faces(call: Call<'_>, request: SearchFaces) -> Result<FaceSearch, Fault> {
    let comparable = call.comparable(&request.collection_id).await?;
    let matches =
        matches(call, &comparable, Probe::Member(request.face_id), request.threshold, request.max_faces).await?;
    Ok(FaceSearch { face_id: request.face_id, matches, model_version: comparable.collection.model_version })
}

/// Searches by the largest face of an image; nothing is stored. Fails with [`Fault::NoFaceInImage`].
pub async fn search_faces_by_image(call: Call<'_>, request: SearchFacesByImage) -> Result<ImageSearch, Fault> {
    let models = call.comparable(&request.collection_id).await?.models;
    let filter = request.quality_filter;
    let probe = call
        .with_faces(&models, request.image, Wanted::LARGEST, move |pipeline, _, scene, stages| {
            let largest =
                scene.faces.first().filter(|face| face.shortcomings(filter).is_empty()).ok_or(Fault::NoFaceInImage)?;
            let embedding =
                pipeline.embed(&[largest], stages).map_err(Fault::internal("embedding the probe"))?.swap_remove(0);
            if embedding.shortcoming(filter).is_some() {
                return Err(Fault::NoFaceInImage);
            }
            Ok((largest.detail.clone(), embedding.vector))
        })
        .await?;
    // Read anew: what was acknowledged while the image was looked at is found as well.
    let comparable = call.comparable(&request.collection_id).await?;
    let (detail, embedding) = probe;
    let matches = matches(call, &comparable, Probe::Embedding(embedding), request.threshold, request.max_faces).await?;
    Ok(ImageSearch {
        bounding_box: detail.bounding_box,
        confidence: detail.confidence,
        matches,
        model_version: comparable.collection.model_version,
    })
}

async fn matches(
    call: Call<'_>,
    comparable: &Comparable,
    probe: Probe<FaceId>,
    threshold: Percent,
    max_faces: u32,
) -> Result<Vec<Match>, Fault> {
    Ok(matches_of_each(call, comparable, vec![probe], threshold, max_faces).await?.pop().unwrap_or_default())
}

/// The faces of a collection that resemble each of these probes, most similar first.
pub(super) async fn matches_of_each(
    call: Call<'_>,
    comparable: &Comparable,
    probes: Vec<Probe<FaceId>>,
    threshold: Percent,
    max_faces: u32,
) -> Result<Vec<Vec<Match>>, Fault> {
    let (min_cosine, limit) = (comparable.min_cosine(threshold), max_faces as usize);
    let queries = probes.into_iter().map(|probe| Query { probe, min_cosine, limit }).collect();
    let search = call.service.indexes.faces.nearest_to_each(&comparable.collection, queries);
    let answers = call.stages.time_async(Stage::Search, search).await?;
    let found: Vec<_> = answers.into_iter().collect::<Option<_>>().ok_or(Fault::FaceNotFound)?;
    let ids: HashSet<FaceId> = found.iter().flatten().map(|neighbour| neighbour.id).collect();
    let ids: Vec<FaceId> = ids.into_iter().collect();
    if ids.is_empty() {
        return Ok(found.iter().map(|_| Vec::new()).collect());
    }
    let reading = call.service.store.faces(&comparable.collection, None, Some(&ids), None, ids.len() as i64);
    let faces = call.stages.time_async(Stage::Store, reading).await?;
    let by_id: HashMap<FaceId, Face> = faces.into_iter().map(|face| (face.face_id, face)).collect();
    // A face that was deleted since the scan has no metadata any more and drops out here.
    let matched = |neighbour: &Neighbour<FaceId>| {
        let face = by_id.get(&neighbour.id)?.clone();
        let similarity = comparable.similarity(neighbour.cosine);
        (similarity >= threshold).then_some(Match { similarity, face })
    };
    Ok(found.iter().map(|neighbours| neighbours.iter().filter_map(matched).collect()).collect())
}
