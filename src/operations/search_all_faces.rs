//! SearchAllFacesByImage, which is ours: for every face of an image the faces and users of a collection that resemble it. The service
//! searches by the largest face alone, so that a client has to cut the others out and ask once for each.

use crate::domain::limits::{MAX_FACES_PER_IMAGE, MAX_MATCHES_OF_A_PHOTO};
use crate::domain::{
    CollectionId, FaceDetail, FaceId, Fault, ImageSource, Match, ModelVersion, OrientationCorrection, Percent,
    QualityFilter, User,
};
use crate::search::Probe;
use crate::store::UserKey;
use crate::vision::{DetectedFace, Wanted};

use super::index_faces::choose;
use super::{Call, UnindexedFace, search_faces, search_users};

/// A search by every face of an image.
pub struct SearchAllFacesByImage {
    /// The collection.
    pub collection_id: CollectionId,
    /// The image file.
    pub image: Option<ImageSource>,
    /// The most faces that match each of them.
    pub max_faces: u32,
    /// They are at least this similar.
    pub face_threshold: Percent,
    /// The most users that match each of them.
    pub max_users: u32,
    /// They are at least this similar.
    pub user_threshold: Percent,
    /// How good a face has to be.
    pub quality_filter: QualityFilter,
}

/// What a search by every face of an image found.
pub struct AllFacesSearch {
    /// Whom it was searched by, largest first.
    pub faces: Vec<SearchedFace>,
    /// The other faces, and why they were not searched by.
    pub unsearched: Vec<UnindexedFace>,
    /// The models compared.
    pub model_version: ModelVersion,
    /// How the image as it was sent is to be turned, where that was estimated.
    pub orientation_correction: Option<OrientationCorrection>,
}

/// A face of the image, and whom it resembles.
pub struct SearchedFace {
    /// What detection says about it.
    pub detail: FaceDetail,
    /// Faces, most similar first.
    pub faces: Vec<Match>,
    /// Users, most similar first.
    pub users: Vec<(Percent, User)>,
}

/// Searches by every face of an image that passes the filter; nothing is stored. Fails with [`Fault::NoFaceInImage`] where there is none,
/// passing or not.
pub async fn search_all_faces_by_image(
    call: Call<'_>,
    request: SearchAllFacesByImage,
) -> Result<AllFacesSearch, Fault> {
    let models = call.comparable(&request.collection_id).await?.models;
    let filter = request.quality_filter;
    let (accepted, unsearched, orientation_correction) = call
        .with_faces(&models, request.image, Wanted::ALL, move |pipeline, _, scene, stages| {
            if scene.faces.is_empty() {
                return Err(Fault::NoFaceInImage);
            }
            let embed =
                |faces: &[&DetectedFace]| pipeline.embed(faces, stages).map_err(Fault::internal("embedding probes"));
            let (accepted, unsearched) = choose(scene.faces, filter, MAX_FACES_PER_IMAGE, embed)?;
            Ok((accepted, unsearched, scene.orientation_correction))
        })
        .await?;
    // Read anew: what was acknowledged while the image was looked at is found as well.
    let comparable = call.comparable(&request.collection_id).await?;
    let (details, vectors): (Vec<FaceDetail>, Vec<Vec<f32>>) =
        accepted.into_iter().map(|(face, embedding)| (face.detail, embedding.vector)).unzip();
    let most = MAX_MATCHES_OF_A_PHOTO / details.len().max(1) as u32;
    let probes: Vec<Probe<FaceId>> = vectors.iter().cloned().map(Probe::Embedding).collect();
    let max_faces = request.max_faces.min(most);
    let faces = search_faces::matches_of_each(call, &comparable, probes, request.face_threshold, max_faces).await?;
    let probes: Vec<Probe<UserKey>> = vectors.into_iter().map(Probe::Embedding).collect();
    let max_users = request.max_users.min(most);
    let users = search_users::matches_of_each(call, &comparable, probes, request.user_threshold, max_users).await?;
    let searched = details.into_iter().zip(faces).zip(users);
    Ok(AllFacesSearch {
        faces: searched.map(|((detail, faces), users)| SearchedFace { detail, faces, users }).collect(),
        unsearched,
        model_version: comparable.collection.model_version,
        orientation_correction,
    })
}
