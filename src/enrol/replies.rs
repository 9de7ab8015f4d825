//! Requests and replies, as much of them as an enrolment needs.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::domain::CollectionId;

use super::photo::Place;

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

impl<'a> Image<'a> {
    /// Of a photo; `bytes` in base64 where it is a file.
    pub fn of(place: &'a Place, bytes: Option<&'a str>) -> Self {
        match place {
            Place::Object { object, .. } => {
                Self::S3Object { bucket: object.bucket.as_str(), name: object.key.as_str() }
            }
            Place::File(_) => Self::Bytes(bytes.unwrap_or_default()),
        }
    }
}

/// The reply of IndexFaces, with as much of a face as is needed.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Indexed<F> {
    /// Faces that were stored.
    #[serde(default = "Vec::new")]
    pub face_records: Vec<FaceRecord<F>>,
    /// Faces that were left out.
    #[serde(default)]
    pub unindexed_faces: Vec<UnindexedFace>,
}

/// A face that was stored.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct FaceRecord<F> {
    /// The face.
    pub face: F,
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

    /// What both cover, as a share of what either does: intersection over union, from 0 to 1.
    pub fn overlap(&self, other: &Self) -> f32 {
        let common = |start: f32, length: f32, other_start: f32, other_length: f32| {
            ((start + length).min(other_start + other_length) - start.max(other_start)).max(0.0)
        };
        let both = common(self.left, self.width, other.left, other.width)
            * common(self.top, self.height, other.top, other.height);
        let either = self.area() + other.area() - both;
        if either > 0.0 { both / either } else { 0.0 }
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
    pub face_ids: &'a [&'a str],
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
