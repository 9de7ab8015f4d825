//! Requests and replies of the operations on collections.

use serde::{Deserialize, Serialize};

use crate::domain::{CollectionId, ModelVersion, Operation, Tags};
use crate::operations;
use crate::wire::validation::{Checks, Violations};

use super::common::{Input, Subject, collection_id, page};
use super::tags::{TagMap, tags};

/// CreateCollection's request.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct CreateCollectionRequest {
    collection_id: Option<String>,
    tags: Option<TagMap>,
}

impl Input for CreateCollectionRequest {
    type Command = (CollectionId, Tags);

    fn parse(self) -> Result<Self::Command, Violations> {
        let mut checks = Checks::default();
        let id = collection_id(&mut checks, self.collection_id);
        let tags = tags(&mut checks, self.tags.unwrap_or_default());
        checks.finish(id.zip(tags))
    }

    fn subject(command: &Self::Command) -> Subject<'_> {
        Subject::Collection(&command.0)
    }

    // As the documentation has it, tags at creation need the right to tag as well.
    fn needs(operation: Operation, command: &Self::Command) -> Vec<(Operation, Subject<'_>)> {
        let tagging = (!command.1.is_empty()).then(|| (Operation::TagResource, Self::subject(command)));
        std::iter::once((operation, Self::subject(command))).chain(tagging).collect()
    }
}

/// CreateCollection's reply.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct CreateCollectionResponse {
    status_code: u16,
    collection_arn: String,
    face_model_version: String,
}

impl From<(String, ModelVersion)> for CreateCollectionResponse {
    fn from((arn, version): (String, ModelVersion)) -> Self {
        // The service leaves out `arn:` here, and only here.
        let collection_arn = arn.strip_prefix("arn:").map_or_else(|| arn.clone(), str::to_owned);
        Self { status_code: 200, collection_arn, face_model_version: version.to_string() }
    }
}

/// DescribeCollection's and DeleteCollection's request.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct CollectionRequest {
    collection_id: Option<String>,
}

impl Input for CollectionRequest {
    type Command = CollectionId;

    fn parse(self) -> Result<CollectionId, Violations> {
        let mut checks = Checks::default();
        let id = collection_id(&mut checks, self.collection_id);
        checks.finish(id)
    }

    fn subject(command: &Self::Command) -> Subject<'_> {
        Subject::Collection(command)
    }
}

/// DescribeCollection's reply.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct DescribeCollectionResponse {
    face_count: i64,
    face_model_version: String,
    #[serde(rename = "CollectionARN")]
    collection_arn: String,
    creation_timestamp: f64,
    user_count: i64,
}

impl From<operations::DescribedCollection> for DescribeCollectionResponse {
    fn from(described: operations::DescribedCollection) -> Self {
        Self {
            face_count: described.collection.face_count,
            face_model_version: described.collection.model_version.to_string(),
            collection_arn: described.arn,
            creation_timestamp: described.collection.created_at_ms as f64 / 1e3,
            user_count: described.collection.user_count,
        }
    }
}

/// DeleteCollection's reply.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct DeleteCollectionResponse {
    status_code: u16,
}

impl From<()> for DeleteCollectionResponse {
    fn from((): ()) -> Self {
        Self { status_code: 200 }
    }
}

/// ListCollections' request.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct ListCollectionsRequest {
    max_results: Option<i32>,
    next_token: Option<String>,
}

impl Input for ListCollectionsRequest {
    type Command = operations::PageRequest;

    fn parse(self) -> Result<Self::Command, Violations> {
        let mut checks = Checks::default();
        let page = page(&mut checks, self.max_results, self.next_token);
        checks.finish(Some(page))
    }

    fn subject(_: &Self::Command) -> Subject<'_> {
        Subject::Nothing
    }
}

/// ListCollections' reply.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct ListCollectionsResponse {
    collection_ids: Vec<String>,
    face_model_versions: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_token: Option<String>,
}

impl From<operations::CollectionPage> for ListCollectionsResponse {
    fn from(page: operations::CollectionPage) -> Self {
        let (collection_ids, face_model_versions) =
            page.collections.iter().map(|(id, version)| (id.to_string(), version.to_string())).unzip();
        Self { collection_ids, face_model_versions, next_token: page.next_token }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_that_is_there_twice_is_refused() {
        for json in [r#"{"CollectionId":"a","CollectionId":"b"}"#, r#"{"CollectionId":"a","Tags":{"k":"1","k":"2"}}"#] {
            assert!(serde_json::from_str::<CreateCollectionRequest>(json).is_err(), "{json}");
        }
    }
}
