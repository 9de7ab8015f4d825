//! Requests and replies, as much of them as a reindexing needs beside those of an enrolment.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::enrol::BoundingBox;

/// The request of CreateCollection.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct CreateCollection<'a> {
    /// Its name.
    pub collection_id: &'a str,
    /// Its tags.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub tags: &'a BTreeMap<String, String>,
}

/// The reply of DescribeCollection.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Described {
    /// What its tags are asked by.
    #[serde(rename = "CollectionARN")]
    pub arn: String,
    /// Of its model.
    pub face_model_version: String,
    /// When it was made, in seconds since 1970.
    pub creation_timestamp: f64,
}

/// The request of ListTagsForResource.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct OfResource<'a> {
    /// Whose tags.
    pub resource_arn: &'a str,
}

/// The reply of ListTagsForResource.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Tagged {
    /// The tags.
    #[serde(default)]
    pub tags: BTreeMap<String, String>,
}

/// The request of ListFaces and ListUsers.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct PageOf<'a> {
    /// Of what.
    pub collection_id: &'a str,
    /// How much at a time.
    pub max_results: u32,
    /// Where it goes on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_token: Option<String>,
}

/// A reply that has more than a page.
pub trait Page {
    /// What is listed.
    type Item;
    /// The items, and where the next page goes on.
    fn open(self) -> (Vec<Self::Item>, Option<String>);
}

/// The reply of ListFaces.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Faces {
    faces: Vec<StoredFace>,
    #[serde(default)]
    next_token: Option<String>,
}

impl Page for Faces {
    type Item = StoredFace;

    fn open(self) -> (Vec<StoredFace>, Option<String>) {
        (self.faces, self.next_token)
    }
}

/// A face that a collection has.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct StoredFace {
    /// Its id.
    pub face_id: String,
    /// Of its photo.
    pub image_id: String,
    /// What its photo was called.
    #[serde(default)]
    pub external_image_id: Option<String>,
    /// Whose it is.
    #[serde(default)]
    pub user_id: Option<String>,
    /// Where it is in the photo.
    pub bounding_box: BoundingBox,
}

/// The reply of ListUsers.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Users {
    users: Vec<User>,
    #[serde(default)]
    next_token: Option<String>,
}

/// A user.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct User {
    /// Its id.
    pub user_id: String,
}

impl Page for Users {
    type Item = User;

    fn open(self) -> (Vec<User>, Option<String>) {
        (self.users, self.next_token)
    }
}

/// The request of DeleteFaces.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct DeleteFaces<'a> {
    /// From where.
    pub collection_id: &'a str,
    /// Which.
    pub face_ids: &'a [&'a str],
}

/// The request of DisassociateFaces.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct DisassociateFaces<'a> {
    /// From where.
    pub collection_id: &'a str,
    /// From whom.
    pub user_id: &'a str,
    /// Which.
    pub face_ids: &'a [&'a str],
    /// Makes a repetition harmless.
    pub client_request_token: &'a str,
}

/// The request of SearchFaces.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct SearchFaces<'a> {
    /// Where.
    pub collection_id: &'a str,
    /// Whom the others are to resemble.
    pub face_id: &'a str,
    /// How much, in percent.
    pub face_match_threshold: f32,
    /// How many of them.
    pub max_faces: u32,
}

/// The reply of SearchFaces.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Found {
    /// Who resembles it.
    #[serde(default)]
    pub face_matches: Vec<FaceMatch>,
}

/// A face that resembles another.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct FaceMatch {
    /// How much, in percent.
    pub similarity: f32,
    /// The face.
    pub face: Matched,
}

/// A face, by its id.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Matched {
    /// Its id.
    pub face_id: String,
}
