//! Requests and replies of the searches for faces.

use serde::{Deserialize, Serialize};

use crate::audit::Touched;
use crate::domain::limits::{DEFAULT_MATCHES, MAX_ITEMS};
use crate::domain::{self, FaceId, ModelVersion, QualityFilter};
use crate::operations;
use crate::wire::validation::{Checks, Violations, whole_number};

use super::common::{Input, Subject, collection_id, threshold};
use super::face_detail::BoundingBox;
use super::faces::Face;
use super::images::{Image, image};
use super::names::quality_filter;
use super::values::{Float, Object, Threshold};

/// How many faces may match.
pub fn max_matches(checks: &mut Checks, max: Option<i32>) -> u32 {
    checks.optional("maxFaces", max, whole_number(1, MAX_ITEMS as i32)).unwrap_or(DEFAULT_MATCHES)
}

/// A face of a collection that resembles a probe.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct FaceMatch {
    similarity: Float,
    face: Face,
}

/// The faces that resemble a probe.
pub fn face_matches(matches: Vec<domain::Match>, version: &ModelVersion) -> Vec<FaceMatch> {
    let found = |found: domain::Match| FaceMatch {
        similarity: found.similarity.into(),
        face: Face::new(found.face, Some(version)),
    };
    matches.into_iter().map(found).collect()
}

/// SearchFaces' request.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct SearchFacesRequest {
    collection_id: Option<String>,
    face_id: Option<String>,
    max_faces: Option<i32>,
    face_match_threshold: Option<Threshold>,
}

impl Input for SearchFacesRequest {
    type Command = operations::SearchFaces;

    fn parse(self) -> Result<Self::Command, Violations> {
        let mut checks = Checks::default();
        let collection_id = collection_id(&mut checks, self.collection_id);
        let face_id = checks.required("faceId", self.face_id, FaceId::try_from);
        let max_faces = max_matches(&mut checks, self.max_faces);
        let threshold = threshold(&mut checks, "faceMatchThreshold", self.face_match_threshold);
        let (collection_id, face_id) = checks.finish(collection_id.zip(face_id))?;
        Ok(operations::SearchFaces { collection_id, face_id, max_faces, threshold })
    }

    fn subject(command: &Self::Command) -> Subject<'_> {
        Subject::Collection(&command.collection_id)
    }

    fn names(command: &Self::Command) -> Touched {
        Touched { faces: vec![command.face_id], ..Touched::default() }
    }
}

/// SearchFaces' reply.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct SearchFacesResponse {
    searched_face_id: String,
    face_matches: Vec<FaceMatch>,
    face_model_version: String,
}

impl From<operations::FaceSearch> for SearchFacesResponse {
    fn from(result: operations::FaceSearch) -> Self {
        Self {
            searched_face_id: result.face_id.to_string(),
            face_matches: face_matches(result.matches, &result.model_version),
            face_model_version: result.model_version.to_string(),
        }
    }
}

/// SearchFacesByImage's request.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct SearchFacesByImageRequest {
    collection_id: Option<String>,
    image: Option<Object<Image>>,
    max_faces: Option<i32>,
    face_match_threshold: Option<Threshold>,
    quality_filter: Option<String>,
}

impl Input for SearchFacesByImageRequest {
    type Command = operations::SearchFacesByImage;

    fn parse(self) -> Result<Self::Command, Violations> {
        let mut checks = Checks::default();
        let collection_id = collection_id(&mut checks, self.collection_id);
        let image = image(&mut checks, "image", self.image);
        let max_faces = max_matches(&mut checks, self.max_faces);
        let threshold = threshold(&mut checks, "faceMatchThreshold", self.face_match_threshold);
        let quality_filter = quality_filter(&mut checks, self.quality_filter).unwrap_or(QualityFilter::None);
        let (collection_id, image) = checks.finish(collection_id.zip(image))?;
        Ok(operations::SearchFacesByImage { collection_id, image, max_faces, threshold, quality_filter })
    }

    fn subject(command: &Self::Command) -> Subject<'_> {
        Subject::Collection(&command.collection_id)
    }
}

/// SearchFacesByImage's reply.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct SearchFacesByImageResponse {
    searched_face_bounding_box: BoundingBox,
    searched_face_confidence: Float,
    face_matches: Vec<FaceMatch>,
    face_model_version: String,
}

impl From<operations::ImageSearch> for SearchFacesByImageResponse {
    fn from(result: operations::ImageSearch) -> Self {
        Self {
            searched_face_bounding_box: result.bounding_box.into(),
            searched_face_confidence: result.confidence.into(),
            face_matches: face_matches(result.matches, &result.model_version),
            face_model_version: result.model_version.to_string(),
        }
    }
}
