//! Requests and replies, as much of them as an enrolment needs.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::domain::{CollectionId, S3Object};

/// Names a collection: the request of CreateCollection and DescribeCollection.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct OfCollection<'a> {
    collection_id: &'a str,
}

impl<'a> OfCollection<'a> {
    /// Of this one.
    pub fn new(collection: &'a CollectionId) -> Self {
        Self { collection_id: collection.as_str() }
    }
}

/// A reply of which nothing is read.
#[derive(Deserialize)]
pub struct Done {}

/// The request of IndexFaces.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct IndexFaces<'a> {
    /// Into where.
    pub collection_id: &'a str,
    /// The photo.
    pub image: Image<'a>,
    /// What its faces are to be called.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub external_image_id: Option<&'a str>,
    /// How many faces, at most.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_faces: Option<u32>,
    /// How good they have to be.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub quality_filter: Option<&'static str>,
}

/// An image of a request.
#[derive(Serialize)]
pub enum Image<'a> {
    /// In base64.
    Bytes(&'a str),
    /// By its name.
    #[serde(rename_all = "PascalCase")]
    S3Object {
        /// Its bucket.
        bucket: &'a str,
        /// Its key.
        name: &'a str,
    },
}

impl<'a> From<&'a S3Object> for Image<'a> {
    fn from(object: &'a S3Object) -> Self {
        Self::S3Object { bucket: object.bucket.as_str(), name: object.key.as_str() }
    }
}

/// The reply of IndexFaces.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Indexed {
    /// Faces that were stored.
    #[serde(default)]
    pub face_records: Vec<FaceRecord>,
    /// Faces that were left out.
    #[serde(default)]
    pub unindexed_faces: Vec<UnindexedFace>,
}

/// A face that was stored.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct FaceRecord {
    /// The face.
    pub face: Face,
}

/// A face that was stored.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct Face {
    /// Its id.
    pub face_id: String,
    /// Where it is in the photo.
    pub bounding_box: BoundingBox,
}

/// A part of a photo, in shares of its sides.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct BoundingBox {
    width: f32,
    height: f32,
    left: f32,
    top: f32,
}

impl BoundingBox {
    /// How much of the photo it covers.
    pub fn area(&self) -> f32 {
        self.width * self.height
    }
}

/// A face that was left out.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct UnindexedFace {
    /// Why.
    #[serde(default)]
    pub reasons: Vec<String>,
    /// Its details.
    #[serde(default)]
    pub face_detail: FaceDetail,
}

/// Where a face that was left out is.
#[derive(Default, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct FaceDetail {
    /// In the photo.
    #[serde(default)]
    pub bounding_box: BoundingBox,
}

/// The request of CreateUser.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct CreateUser<'a> {
    /// In where.
    pub collection_id: &'a str,
    /// Who.
    pub user_id: &'a str,
    /// Makes a repetition harmless.
    pub client_request_token: &'a str,
}

/// The request of AssociateFaces.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct AssociateFaces<'a> {
    /// In where.
    pub collection_id: &'a str,
    /// With whom.
    pub user_id: &'a str,
    /// Which.
    pub face_ids: [&'a str; 1],
    /// How alike they have to be.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user_match_threshold: Option<f32>,
    /// Makes a repetition harmless.
    pub client_request_token: &'a str,
}

/// The reply of AssociateFaces.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Associated {
    /// Faces that were not associated, in the endpoint's words.
    #[serde(default)]
    pub unsuccessful_face_associations: Vec<Value>,
}
