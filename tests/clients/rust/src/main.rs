//! The scenario of test_scenario.py, the listings of test_pagination.py and the call of test_retries.py with the AWS SDK for Rust:
//! `rekollect-rust-client scenario COLLECTION PHOTOS | pages COLLECTION | describe COLLECTION`.
//! Server, region and credentials are read from the usual AWS_* variables; the reply is one JSON object on standard output.

use std::collections::BTreeMap;
use std::env::{args, var};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use aws_sdk_rekognition::config::interceptors::BeforeTransmitInterceptorContextRef;
use aws_sdk_rekognition::config::{BehaviorVersion, ConfigBag, Credentials, Intercept, Region, RuntimeComponents};
use aws_sdk_rekognition::error::{BoxError, ProvideErrorMetadata};
use aws_sdk_rekognition::primitives::Blob;
use aws_sdk_rekognition::types::{Attribute, Face, FaceMatch, Image, QualityFilter, UserMatch};
use aws_sdk_rekognition::{Client, Config, Error};
use serde_json::{Map, Value, json};

const UNKNOWN_FACE: &str = "11111111-2222-3333-4444-555555555555";

fn client() -> Client {
    let setting = |name| var(name).unwrap_or_else(|_| panic!("{name} is not set"));
    let key = Credentials::new(
        setting("AWS_ACCESS_KEY_ID"),
        setting("AWS_SECRET_ACCESS_KEY"),
        var("AWS_SESSION_TOKEN").ok(),
        None,
        "environment",
    );
    let config = Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .http_client(aws_smithy_http_client::Builder::new().build_http())
        .endpoint_url(setting("AWS_ENDPOINT_URL"))
        .region(Region::new(setting("AWS_REGION")))
        .credentials_provider(key);
    Client::from_conf(config.build())
}

fn image(bytes: Vec<u8>) -> Image {
    Image::builder().bytes(Blob::new(bytes)).build()
}

fn rounded(number: Option<f32>) -> Option<f64> {
    number.map(|number| (f64::from(number) * 100.0).round() / 100.0)
}

fn names(face: Option<&Face>) -> Value {
    json!(face.map(|face| [face.face_id(), face.image_id(), face.external_image_id()]))
}

fn face_matches(matches: &[FaceMatch]) -> Value {
    let pair = |found: &FaceMatch| json!([found.face().and_then(Face::external_image_id), rounded(found.similarity())]);
    matches.iter().map(pair).collect()
}

fn user_matches(matches: &[UserMatch]) -> Value {
    let one = |found: &UserMatch| {
        let user = found.user();
        let status = user.and_then(|user| user.user_status()).map(|status| status.as_str());
        json!([user.and_then(|user| user.user_id()), status, rounded(found.similarity())])
    };
    matches.iter().map(one).collect()
}

fn refusal(error: &Error) -> Value {
    json!([error.code().expect("an error of the service"), error.message()])
}

fn refused<T>(reply: Result<T, impl Into<Error>>) -> Value {
    reply.map_or_else(|error| refusal(&error.into()), |_| Value::Null)
}

async fn scenario(
    client: &Client,
    summary: &mut Map<String, Value>,
    collection: &str,
    photos: &str,
) -> Result<(), Error> {
    let mut note = |key: &str, value: Value| drop(summary.insert(key.to_owned(), value));
    let photo = |name: &str| image(std::fs::read(format!("{photos}/{name}")).expect("the photo"));

    let created = client.create_collection().collection_id(collection).tags("team", "a").send().await?;
    note("created", json!([created.status_code(), created.collection_arn(), created.face_model_version()]));
    let described = client.describe_collection().collection_id(collection).send().await?;
    let arn = described.collection_arn().unwrap_or_default();
    note("described", json!([described.face_count(), described.user_count(), described.face_model_version(), arn]));
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("a time after 1970").as_secs_f64();
    let recent = described.creation_timestamp().is_some_and(|time| (now - time.as_secs_f64()).abs() < 300.0);
    note("described_recent", json!(recent));

    let first = client.index_faces().collection_id(collection).image(photo("obama.jpg")).external_image_id("obama");
    let first = first.detection_attributes(Attribute::Default).send().await?;
    note("indexed", first.face_records().iter().map(|record| names(record.face())).collect());
    let detail = first.face_records().first().and_then(|record| record.face_detail());
    let landmarks = detail.map(|detail| detail.landmarks()).unwrap_or_default();
    note("landmarks", landmarks.iter().map(|landmark| json!(landmark.r#type().map(|kind| kind.as_str()))).collect());
    let found = client.search_faces_by_image().collection_id(collection).image(photo("biden.jpg")).send().await?;
    note("strangers", face_matches(found.face_matches()));
    let second = client.index_faces().collection_id(collection).image(photo("biden.jpg")).external_image_id("biden");
    let second = second.max_faces(1).quality_filter(QualityFilter::None).send().await?;
    note("indexed_more", second.face_records().iter().map(|record| names(record.face())).collect());
    let id = |face: Option<&Face>| face.and_then(Face::face_id).unwrap_or_default().to_owned();
    let [obama, biden] =
        [&first, &second].map(|reply| id(reply.face_records().first().and_then(|record| record.face())));
    let listed = client.list_faces().collection_id(collection).send().await?;
    note("listed", listed.faces().iter().map(|face| names(Some(face))).collect());

    let found =
        client.search_faces().collection_id(collection).face_id(&obama).face_match_threshold(0.0).send().await?;
    note("found_by_face", json!([found.searched_face_id(), face_matches(found.face_matches())]));
    let found =
        client.search_faces_by_image().collection_id(collection).image(photo("obama2.jpg")).max_faces(1).send().await?;
    note("found_by_image", json!([rounded(found.searched_face_confidence()), face_matches(found.face_matches())]));
    let pair = client.compare_faces().source_image(photo("obama.jpg")).target_image(photo("obama2.jpg"));
    let compared = pair.similarity_threshold(0.5).send().await?;
    let similarities: Vec<_> = compared.face_matches().iter().map(|found| rounded(found.similarity())).collect();
    note("compared", json!([similarities, compared.unmatched_faces().len()]));
    let detected = client.detect_faces().image(photo("sample4.jpg")).attributes(Attribute::Default).send().await?;
    let details = detected.face_details().iter();
    note(
        "detected",
        details
            .map(|face| json!([rounded(face.confidence()), rounded(face.pose().and_then(|pose| pose.yaw()))]))
            .collect(),
    );

    let people = [("barack", &obama), ("joe", &biden)];
    for (user, face) in people {
        client.create_user().collection_id(collection).user_id(user).send().await?;
        let reply = client
            .associate_faces()
            .collection_id(collection)
            .user_id(user)
            .face_ids(face)
            .face_ids(UNKNOWN_FACE)
            .send()
            .await?;
        let ids: Vec<_> = reply.associated_faces().iter().map(|face| face.face_id()).collect();
        let failed: Vec<_> = reply
            .unsuccessful_face_associations()
            .iter()
            .map(|face| {
                json!([face.face_id(), face.reasons().iter().map(|reason| reason.as_str()).collect::<Vec<_>>()])
            })
            .collect();
        note(&format!("associated_{user}"), json!([ids, failed, reply.user_status().map(|status| status.as_str())]));
    }
    let users = client.list_users().collection_id(collection).send().await?;
    // In a map, because the order of users is nobody's promise.
    let users: BTreeMap<_, _> =
        users.users().iter().map(|user| (user.user_id(), user.user_status().map(|status| status.as_str()))).collect();
    note("users", users.into_iter().map(|user| json!(user)).collect());
    let found =
        client.search_users().collection_id(collection).user_id("barack").user_match_threshold(0.0).send().await?;
    note(
        "users_by_user",
        json!([found.searched_user().and_then(|user| user.user_id()), user_matches(found.user_matches())]),
    );
    let found =
        client.search_users_by_image().collection_id(collection).image(photo("obama2.jpg")).max_users(1).send().await?;
    let confidence = found.searched_face().and_then(|face| face.face_detail()).and_then(|detail| detail.confidence());
    note("users_by_image", json!([rounded(confidence), user_matches(found.user_matches())]));
    for (user, face) in people {
        let reply = client.disassociate_faces().collection_id(collection).user_id(user).face_ids(face).send().await?;
        let ids: Vec<_> = reply.disassociated_faces().iter().map(|face| face.face_id()).collect();
        note(&format!("disassociated_{user}"), json!([ids, reply.user_status().map(|status| status.as_str())]));
        client.delete_user().collection_id(collection).user_id(user).send().await?;
    }
    let users = client.list_users().collection_id(collection).send().await?;
    note("users_left", json!(users.users().len()));

    let tags = client.list_tags_for_resource().resource_arn(arn).send().await?;
    note("tags_at_first", json!(tags.tags()));
    client.tag_resource().resource_arn(arn).tags("team", "b").tags("stage", "test").send().await?;
    client.untag_resource().resource_arn(arn).tag_keys("team").send().await?;
    let tags = client.list_tags_for_resource().resource_arn(arn).send().await?;
    note("tags_at_last", json!(tags.tags()));
    let reply = client.list_collections().send().await?;
    let collections = reply.collection_ids().iter().zip(reply.face_model_versions());
    note(
        "collections",
        collections.filter(|(name, _)| *name == collection).map(|(_, version)| json!(version)).collect(),
    );

    let reply = client
        .delete_faces()
        .collection_id(collection)
        .face_ids(&obama)
        .face_ids(&biden)
        .face_ids(UNKNOWN_FACE)
        .send()
        .await?;
    let mut deleted = reply.deleted_faces().to_vec();
    deleted.sort();
    note("deleted", json!(deleted));
    note(
        "not_deleted",
        reply
            .unsuccessful_face_deletions()
            .iter()
            .map(|face| {
                json!([face.face_id(), face.reasons().iter().map(|reason| reason.as_str()).collect::<Vec<_>>()])
            })
            .collect(),
    );
    note("deleted_collection", json!(client.delete_collection().collection_id(collection).send().await?.status_code()));
    note("no_collection", refused(client.describe_collection().collection_id(collection).send().await));
    note("no_valid_name", refused(client.create_collection().collection_id("no spaces").send().await));
    // A program is no picture.
    note("no_picture", refused(client.detect_faces().image(image(include_bytes!("main.rs").to_vec())).send().await));
    Ok(())
}

async fn pages(client: &Client, summary: &mut Map<String, Value>, collection: &str) -> Result<(), Error> {
    let mut faces = client.list_faces().collection_id(collection).into_paginator().page_size(1000).items().send();
    let mut ids = Vec::new();
    while let Some(face) = faces.try_next().await? {
        ids.push(face.face_id);
    }
    summary.insert("faces".into(), json!(ids));
    let mut users = client.list_users().collection_id(collection).into_paginator().page_size(7).items().send();
    let mut names = Vec::new();
    while let Some(user) = users.try_next().await? {
        names.push(user.user_id);
    }
    summary.insert("users".into(), json!(names));
    let mut pages = client.list_collections().into_paginator().page_size(7).send();
    let mut names = Vec::new();
    while let Some(page) = pages.try_next().await? {
        names.extend(page.collection_ids.unwrap_or_default());
    }
    summary.insert("collections".into(), json!(names));
    Ok(())
}

/// Counts the attempts of a call, which the SDK does not tell otherwise.
#[derive(Clone, Debug, Default)]
struct Attempts(Arc<AtomicU32>);

impl Intercept for Attempts {
    fn name(&self) -> &'static str {
        "attempts"
    }

    fn read_before_attempt(
        &self,
        _: &BeforeTransmitInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        self.0.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }
}

async fn describe(client: &Client, summary: &mut Map<String, Value>, collection: &str) -> Result<(), Error> {
    let attempts = Attempts::default();
    client.describe_collection().collection_id(collection).customize().interceptor(attempts.clone()).send().await?;
    summary.insert("attempts".into(), json!(attempts.0.load(Ordering::Relaxed)));
    Ok(())
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let arguments: Vec<String> = args().skip(1).collect();
    let mut summary = Map::new();
    let done = match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["scenario", collection, photos] => scenario(&client(), &mut summary, collection, photos).await,
        ["pages", collection] => pages(&client(), &mut summary, collection).await,
        ["describe", collection] => describe(&client(), &mut summary, collection).await,
        _ => panic!("scenario COLLECTION PHOTOS | pages COLLECTION | describe COLLECTION"),
    };
    if let Err(error) = done {
        summary.insert("refused".into(), refusal(&error));
    }
    println!("{}", Value::Object(summary));
}
