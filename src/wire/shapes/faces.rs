//! Requests and replies of the operations on the faces of a collection.

use serde::{Deserialize, Serialize};

use crate::audit::Touched;
use crate::domain::limits::MAX_ITEMS;
use crate::domain::{
    self, CollectionId, ExternalImageId, FaceId, ModelVersion, OrientationCorrection, QualityFilter, UserId,
};
use crate::operations;
use crate::wire::validation::{Checks, Violations, whole_number};

use super::common::{Input, Subject, collection_id, page};
use super::face_detail::{BoundingBox, FaceDetail};
use super::images::{Image, image};
use super::names::{attributes, quality_filter};
use super::values::{Float, Object};

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct Face {
    face_id: String,
    bounding_box: BoundingBox,
    image_id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    external_image_id: Option<String>,
    confidence: Float,
    #[serde(skip_serializing_if = "Option::is_none")]
    user_id: Option<String>,
    /// IndexFaces leaves it out, listings and matches have it.
    #[serde(skip_serializing_if = "Option::is_none")]
    index_faces_model_version: Option<String>,
}

impl Face {
    pub fn new(face: domain::Face, version: Option<&ModelVersion>) -> Self {
        Self {
            face_id: face.face_id.to_string(),
            bounding_box: face.bounding_box.into(),
            image_id: face.image_id.to_string(),
            external_image_id: face.external_image_id.map(|id| id.to_string()),
            confidence: face.confidence.into(),
            user_id: face.user_id.map(|id| id.to_string()),
            index_faces_model_version: version.map(ToString::to_string),
        }
    }
}

/// IndexFaces' request.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct IndexFacesRequest {
    collection_id: Option<String>,
    image: Option<Object<Image>>,
    external_image_id: Option<String>,
    detection_attributes: Option<Vec<String>>,
    max_faces: Option<i32>,
    quality_filter: Option<String>,
}

impl Input for IndexFacesRequest {
    type Command = operations::IndexFaces;

    fn parse(self) -> Result<Self::Command, Violations> {
        let mut checks = Checks::default();
        let collection_id = collection_id(&mut checks, self.collection_id);
        let image = image(&mut checks, "image", self.image);
        let external_image_id = checks.optional("externalImageId", self.external_image_id, ExternalImageId::try_from);
        let attributes = attributes(&mut checks, "detectionAttributes", self.detection_attributes);
        let max_faces = checks.optional("maxFaces", self.max_faces, whole_number(1, i32::MAX));
        let quality_filter = quality_filter(&mut checks, self.quality_filter).unwrap_or(QualityFilter::Auto);
        let (collection_id, image) = checks.finish(collection_id.zip(image))?;
        Ok(operations::IndexFaces { collection_id, image, external_image_id, attributes, max_faces, quality_filter })
    }

    fn subject(command: &Self::Command) -> Subject<'_> {
        Subject::Collection(&command.collection_id)
    }
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct FaceRecord {
    face: Face,
    face_detail: FaceDetail,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct UnindexedFace {
    reasons: Vec<&'static str>,
    face_detail: FaceDetail,
}

/// IndexFaces' reply. `OrientationCorrection` is null, and so left out, when an Exif orientation was applied or none is estimated.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct IndexFacesResponse {
    face_records: Vec<FaceRecord>,
    face_model_version: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    orientation_correction: Option<&'static str>,
    unindexed_faces: Vec<UnindexedFace>,
}

impl From<operations::IndexedFaces> for IndexFacesResponse {
    fn from(result: operations::IndexedFaces) -> Self {
        let record = |(face, detail): (domain::Face, domain::FaceDetail)| FaceRecord {
            face: Face::new(face, None),
            face_detail: detail.into(),
        };
        let unindexed = |face: operations::UnindexedFace| UnindexedFace {
            reasons: face.reasons.into_iter().map(domain::Reason::name).collect(),
            face_detail: face.detail.into(),
        };
        Self {
            face_records: result.indexed.into_iter().map(record).collect(),
            face_model_version: result.model_version.to_string(),
            orientation_correction: result.orientation_correction.map(OrientationCorrection::name),
            unindexed_faces: result.unindexed.into_iter().map(unindexed).collect(),
        }
    }
}

/// ListFaces' request.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct ListFacesRequest {
    collection_id: Option<String>,
    face_ids: Option<Vec<String>>,
    max_results: Option<i32>,
    next_token: Option<String>,
    user_id: Option<String>,
}

impl Input for ListFacesRequest {
    type Command = operations::ListFaces;

    fn parse(self) -> Result<Self::Command, Violations> {
        let mut checks = Checks::default();
        let collection_id = collection_id(&mut checks, self.collection_id);
        let face_ids = checks.list("faceIds", self.face_ids, (1, MAX_ITEMS as usize), FaceId::RULES, FaceId::try_from);
        let user_id = checks.optional("userId", self.user_id, UserId::try_from);
        let page = page(&mut checks, self.max_results, self.next_token);
        let collection_id = checks.finish(collection_id)?;
        Ok(operations::ListFaces { collection_id, face_ids, user_id, page })
    }

    fn subject(command: &Self::Command) -> Subject<'_> {
        Subject::Collection(&command.collection_id)
    }
}

/// ListFaces' reply.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct ListFacesResponse {
    faces: Vec<Face>,
    face_model_version: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_token: Option<String>,
}

impl From<operations::FacePage> for ListFacesResponse {
    fn from(page: operations::FacePage) -> Self {
        let version = page.model_version;
        Self {
            faces: page.faces.into_iter().map(|face| Face::new(face, Some(&version))).collect(),
            face_model_version: version.to_string(),
            next_token: page.next_token,
        }
    }
}

/// DeleteFaces' request.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct DeleteFacesRequest {
    collection_id: Option<String>,
    face_ids: Option<Vec<String>>,
}

impl Input for DeleteFacesRequest {
    type Command = (CollectionId, Vec<FaceId>);

    fn parse(self) -> Result<Self::Command, Violations> {
        let mut checks = Checks::default();
        let collection_id = collection_id(&mut checks, self.collection_id);
        let face_ids =
            checks.required_list("faceIds", self.face_ids, (1, MAX_ITEMS as usize), FaceId::RULES, FaceId::try_from);
        checks.finish(collection_id.zip(face_ids))
    }

    fn subject(command: &Self::Command) -> Subject<'_> {
        Subject::Collection(&command.0)
    }

    fn names((_, faces): &Self::Command) -> Touched {
        Touched { faces: faces.clone(), ..Touched::default() }
    }
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct UnsuccessfulFaceDeletion {
    face_id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    user_id: Option<String>,
    reasons: [&'static str; 1],
}

/// DeleteFaces' reply.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct DeleteFacesResponse {
    deleted_faces: Vec<String>,
    unsuccessful_face_deletions: Vec<UnsuccessfulFaceDeletion>,
}

impl From<operations::DeletedFaces> for DeleteFacesResponse {
    fn from(result: operations::DeletedFaces) -> Self {
        let kept = |id: &FaceId, user_id, reason| UnsuccessfulFaceDeletion {
            face_id: id.to_string(),
            user_id,
            reasons: [reason],
        };
        let of_users = result
            .of_users
            .iter()
            .map(|(id, owner)| kept(id, Some(owner.to_string()), "ASSOCIATED_TO_AN_EXISTING_USER"));
        let not_found = result.not_found.iter().map(|id| kept(id, None, "FACE_NOT_FOUND"));
        Self {
            deleted_faces: result.deleted.iter().map(ToString::to_string).collect(),
            unsuccessful_face_deletions: of_users.chain(not_found).collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::common::testing::{inline, parse, violations};
    use super::*;

    #[test]
    fn index_faces_takes_every_member_of_its_model() {
        let command = parse::<IndexFacesRequest>(
            r#"{"CollectionId":"c","Image":{"Bytes":"aGk="},"ExternalImageId":"a:b","DetectionAttributes":["DEFAULT"],"MaxFaces":3,"QualityFilter":"HIGH","Unknown":[1]}"#,
        )
        .unwrap();
        assert_eq!(
            (command.collection_id.as_str(), command.image, command.max_faces, command.quality_filter),
            ("c", inline(b"hi"), Some(3), QualityFilter::High)
        );
        let plain =
            parse::<IndexFacesRequest>(r#"{"CollectionId":"c","Image":{"Bytes":"aGk="},"ExternalImageId":null}"#)
                .unwrap();
        assert_eq!((plain.external_image_id, plain.max_faces, plain.quality_filter), (None, None, QualityFilter::Auto));
    }

    #[test]
    fn every_broken_rule_of_a_request_is_reported() {
        let broken = violations(parse::<IndexFacesRequest>(
            r#"{"ExternalImageId":"a/b","Image":{"Bytes":""},"MaxFaces":0,"QualityFilter":"BEST"}"#,
        ));
        assert_eq!(
            broken,
            [
                "Value null at 'collectionId' failed to satisfy constraint: Member must not be null",
                "Value 'java.nio.HeapByteBuffer[pos=0 lim=0 cap=0]' at 'image.bytes' failed to satisfy constraint: Member must have length greater than or equal to 1",
                r"Value 'a/b' at 'externalImageId' failed to satisfy constraint: Member must satisfy regular expression pattern: [a-zA-Z0-9_.\-:]+",
                "Value '0' at 'maxFaces' failed to satisfy constraint: Member must have value greater than or equal to 1",
                "Value 'BEST' at 'qualityFilter' failed to satisfy constraint: Member must satisfy enum value set: [NONE, AUTO, LOW, MEDIUM, HIGH]",
            ]
        );
    }
}
