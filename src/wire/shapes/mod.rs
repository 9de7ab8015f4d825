//! Requests and replies as the service model spells them.
//!
//! A request's members are all optional and loosely typed here; [`Input::parse`] turns them into an operation's command or into
//! every violation at once. A reply's numbers are 32-bit values printed as the doubles they widen to, as the service prints them.

mod users;

use std::cell::Cell;
use std::collections::BTreeMap;
use std::marker::PhantomData;
use std::ops::BitOr;
use std::time::{Duration, Instant};

use bytes::Bytes;
use serde::de::value::MapAccessDeserializer;
use serde::de::{DeserializeOwned, MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::domain::{
    self, AccountId, Attribute, AttributeSet, BucketName, CollectionId, Constraint, ExternalImageId, FaceId,
    ImageSource, MAX_TAGS, ModelVersion, ObjectName, Operation, OrientationCorrection, Percent, QualityFilter, TagKey,
    TagValue, Tags, UserId,
};
use crate::operations;

use super::errors::Rejection;
use super::validation::{Checks, one_of, rules, whole_number};

pub use users::*;

/// The service's limit on the bytes of an image in a request.
const MAX_IMAGE_BYTES: usize = 5_242_880;
/// Most ids of a request, most matches of a search, most items of a page.
const MOST: usize = 4096;
/// Matches of a search whose caller names no number. The service documents no default.
const DEFAULT_MATCHES: u32 = 80;
/// The service's default threshold of a search.
const DEFAULT_THRESHOLD: f32 = 80.0;

const QUALITY_FILTERS: [&str; 5] = ["NONE", "AUTO", "LOW", "MEDIUM", "HIGH"];
const QUALITY_FILTER_VALUES: [QualityFilter; 5] =
    [QualityFilter::None, QualityFilter::Auto, QualityFilter::Low, QualityFilter::Medium, QualityFilter::High];
const ATTRIBUTES: [&str; 14] = [
    "DEFAULT",
    "ALL",
    "AGE_RANGE",
    "BEARD",
    "EMOTIONS",
    "EYE_DIRECTION",
    "EYEGLASSES",
    "EYES_OPEN",
    "GENDER",
    "MOUTH_OPEN",
    "MUSTACHE",
    "FACE_OCCLUDED",
    "SMILE",
    "SUNGLASSES",
];
const ATTRIBUTE_SETS: [AttributeSet; 14] = [
    AttributeSet::DEFAULT,
    AttributeSet::ALL,
    AttributeSet::of(Attribute::AgeRange),
    AttributeSet::of(Attribute::Beard),
    AttributeSet::of(Attribute::Emotions),
    AttributeSet::of(Attribute::EyeDirection),
    AttributeSet::of(Attribute::Eyeglasses),
    AttributeSet::of(Attribute::EyesOpen),
    AttributeSet::of(Attribute::Gender),
    AttributeSet::of(Attribute::MouthOpen),
    AttributeSet::of(Attribute::Mustache),
    AttributeSet::of(Attribute::FaceOccluded),
    AttributeSet::of(Attribute::Smile),
    AttributeSet::of(Attribute::Sunglasses),
];

/// A request body.
pub trait Input: DeserializeOwned {
    /// What the operation takes.
    type Command;

    /// Checks every member.
    fn parse(self) -> Result<Self::Command, Rejection>;

    /// What the command is about.
    fn subject(command: &Self::Command) -> Subject<'_>;

    /// The operations that its sender needs the right to, and on what: `operation` itself, as a rule.
    fn needs(operation: Operation, command: &Self::Command) -> Vec<(Operation, Subject<'_>)> {
        vec![(operation, Self::subject(command))]
    }
}

/// What a request is about, as policies see it.
pub enum Subject<'a> {
    /// No resource, or every one.
    Nothing,
    /// A collection.
    Collection(&'a CollectionId),
    /// Whatever this ARN names, with or without the `arn:` that CreateCollection leaves out.
    Arn(&'a str),
}

impl Subject<'_> {
    /// The ARN of the resource; `*` for none.
    pub fn resource(&self, service: &operations::Service, account: &AccountId) -> String {
        match self {
            Self::Nothing => "*".to_owned(),
            Self::Collection(id) => service.collection_arn(account, id),
            Self::Arn(arn) if arn.starts_with("arn:") => (*arn).to_owned(),
            Self::Arn(arn) => format!("arn:{arn}"),
        }
    }
}

/// A structure that is an object on the wire. serde would take a list of its members as well.
pub struct Object<T>(pub T);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Object<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Members<T>(PhantomData<T>);
        impl<'de, T: Deserialize<'de>> Visitor<'de> for Members<T> {
            type Value = Object<T>;

            fn expecting(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, members: A) -> Result<Object<T>, A::Error> {
                T::deserialize(MapAccessDeserializer::new(members)).map(Object)
            }
        }
        deserializer.deserialize_map(Members(PhantomData))
    }
}

/// A blob: base64 on the wire.
pub struct Blob(Bytes);

thread_local! {
    static IN_BASE64: Cell<Duration> = const { Cell::new(Duration::ZERO) };
}

impl Blob {
    /// How long this thread spent on base64 since it was last asked: serde gives a visitor no place to say so.
    pub fn take_time() -> Duration {
        IN_BASE64.take()
    }
}

impl<'de> Deserialize<'de> for Blob {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Base64;
        impl Visitor<'_> for Base64 {
            type Value = Blob;

            fn expecting(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
                f.write_str("a base64 string")
            }

            // Decoded straight from the request's body where the string has no escapes.
            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Blob, E> {
                let start = Instant::now();
                let decoded = base64_simd::STANDARD.decode_to_vec(text);
                IN_BASE64.set(IN_BASE64.get() + start.elapsed());
                decoded.map(|bytes| Blob(bytes.into())).map_err(|_| E::custom("invalid base64"))
            }
        }
        deserializer.deserialize_str(Base64)
    }
}

/// A map of tags. A key that is there twice is refused: no two readers agree on which one counts.
#[derive(Default)]
pub struct TagMap(BTreeMap<String, String>);

impl<'de> Deserialize<'de> for TagMap {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Entries;
        impl<'de> Visitor<'de> for Entries {
            type Value = TagMap;

            fn expecting(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
                f.write_str("a map")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<TagMap, A::Error> {
                let mut tags = BTreeMap::new();
                while let Some((key, value)) = entries.next_entry()? {
                    if tags.insert(key, value).is_some() {
                        return Err(serde::de::Error::custom("duplicate key"));
                    }
                }
                Ok(TagMap(tags))
            }
        }
        deserializer.deserialize_map(Entries)
    }
}

/// An image of a request.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Image {
    bytes: Option<Blob>,
    s3_object: Option<Object<S3Object>>,
}

/// An image of a request that lies in S3.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct S3Object {
    bucket: Option<String>,
    name: Option<String>,
    version: Option<String>,
}

/// Where an image is; nowhere when the request gives none, or two, which the operation will refuse.
fn image(checks: &mut Checks, path: &str, image: Option<Object<Image>>) -> Option<Option<ImageSource>> {
    let Some(Object(Image { bytes, s3_object })) = image else {
        checks.report(path, None, &Constraint::NotNull);
        return None;
    };
    let s3_object = s3_object.map(|Object(object)| {
        let bucket = checks.optional(&format!("{path}.s3Object.bucket"), object.bucket, BucketName::try_from);
        let key = checks.optional(&format!("{path}.s3Object.name"), object.name, ObjectName::try_from);
        let version = checks.optional(&format!("{path}.s3Object.version"), object.version, ObjectName::try_from);
        Some(domain::S3Object { bucket: bucket?, key: key?, version })
    });
    if let Some(Blob(bytes)) = &bytes
        && !(1..=MAX_IMAGE_BYTES).contains(&bytes.len())
    {
        // The service prints the buffer that it holds the bytes in, not the bytes.
        let buffer = format!("java.nio.HeapByteBuffer[pos=0 lim={0} cap={0}]", bytes.len());
        let rule = if bytes.is_empty() { Constraint::MinLength(1) } else { Constraint::MaxLength(MAX_IMAGE_BYTES) };
        checks.report(&format!("{path}.bytes"), Some(buffer), &rule);
        return None;
    }
    Some(match (bytes, s3_object) {
        (Some(Blob(bytes)), None) => Some(ImageSource::Bytes(bytes)),
        // The model requires neither bucket nor name.
        (None, Some(object)) => object.map(ImageSource::S3),
        (Some(_), Some(_)) | (None, None) => None,
    })
}

fn collection_id(checks: &mut Checks, id: Option<String>) -> Option<CollectionId> {
    checks.required("collectionId", id, CollectionId::try_from)
}

fn page(checks: &mut Checks, max_results: Option<i32>, next_token: Option<String>) -> operations::PageRequest {
    page_of(checks, max_results, next_token, (0, MOST as i32))
}

/// A page of between `sizes` items.
fn page_of(
    checks: &mut Checks,
    max_results: Option<i32>,
    next_token: Option<String>,
    sizes: (i32, i32),
) -> operations::PageRequest {
    operations::PageRequest {
        max_results: checks.optional("maxResults", max_results, whole_number(sizes.0, sizes.1)),
        next_token: checks.optional("nextToken", next_token, |token| {
            if token.chars().count() > 255 { Err(vec![Constraint::MaxLength(255)]) } else { Ok(token) }
        }),
    }
}

fn tags(checks: &mut Checks, TagMap(tags): TagMap) -> Option<Tags> {
    let shown = tags.iter().take(MAX_TAGS).map(|(key, value)| format!("{key}={value}")).collect::<Vec<_>>();
    let shown = format!("{{{}}}", shown.join(", "));
    if tags.len() > MAX_TAGS {
        checks.report("tags", Some(shown), &Constraint::MaxLength(MAX_TAGS));
        return None;
    }
    let (keys, values): (Vec<String>, Vec<String>) = tags.into_iter().unzip();
    let keys: Result<Vec<TagKey>, _> = keys.into_iter().map(TagKey::try_from).collect();
    let values: Result<Vec<TagValue>, _> = values.into_iter().map(TagValue::try_from).collect();
    if keys.is_err() {
        checks.report(
            "tags",
            Some(shown.clone()),
            &format!("Map keys must satisfy constraint: [{}]", rules(TagKey::RULES)),
        );
    }
    if values.is_err() {
        checks.report("tags", Some(shown), &format!("Map value must satisfy constraint: [{}]", rules(TagValue::RULES)));
    }
    Some(keys.ok()?.into_iter().zip(values.ok()?).collect())
}

fn resource_arn(checks: &mut Checks, arn: Option<String>) -> Option<String> {
    checks.required("resourceArn", arn, |arn| match arn.chars().count() {
        0..20 => Err(vec![Constraint::MinLength(20)]),
        20..=2048 => Ok(arn),
        _ => Err(vec![Constraint::MaxLength(2048)]),
    })
}

fn quality_filter(checks: &mut Checks, filter: Option<String>) -> Option<QualityFilter> {
    checks.optional("qualityFilter", filter, one_of(&QUALITY_FILTERS, &QUALITY_FILTER_VALUES))
}

/// A 32-bit number of a request, which the service prints with a fraction even where it has none.
#[derive(Clone, Copy, Deserialize)]
struct Threshold(f64);

impl std::fmt::Display for Threshold {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:?}", self.0)
    }
}

fn threshold(checks: &mut Checks, path: &str, threshold: Option<Threshold>) -> Percent {
    threshold_or(checks, path, threshold, DEFAULT_THRESHOLD)
}

fn threshold_or(checks: &mut Checks, path: &str, threshold: Option<Threshold>, default: f32) -> Percent {
    checks.optional(path, threshold, |Threshold(value)| Percent::try_from(value)).unwrap_or(Percent::clamped(default))
}

fn max_matches(checks: &mut Checks, max: Option<i32>) -> u32 {
    checks.optional("maxFaces", max, whole_number(1, MOST as i32)).unwrap_or(DEFAULT_MATCHES)
}

/// What is asked for beside DEFAULT. ALL wins over whatever stands next to it, and an empty list is DEFAULT.
fn attributes(checks: &mut Checks, path: &str, attributes: Option<Vec<String>>) -> AttributeSet {
    let parse = one_of(&ATTRIBUTES, &ATTRIBUTE_SETS);
    let wanted = checks.list(path, attributes, (0, usize::MAX), &[Constraint::OneOf(&ATTRIBUTES)], parse);
    wanted.unwrap_or_default().into_iter().fold(AttributeSet::DEFAULT, AttributeSet::bitor)
}

/// CreateCollection's request.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct CreateCollectionRequest {
    collection_id: Option<String>,
    tags: Option<TagMap>,
}

impl Input for CreateCollectionRequest {
    type Command = (CollectionId, Tags);

    fn parse(self) -> Result<Self::Command, Rejection> {
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

/// A request that names a collection and nothing else.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct CollectionRequest {
    collection_id: Option<String>,
}

impl Input for CollectionRequest {
    type Command = CollectionId;

    fn parse(self) -> Result<CollectionId, Rejection> {
        let mut checks = Checks::default();
        let id = collection_id(&mut checks, self.collection_id);
        checks.finish(id)
    }

    fn subject(command: &Self::Command) -> Subject<'_> {
        Subject::Collection(command)
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

    fn parse(self) -> Result<Self::Command, Rejection> {
        let mut checks = Checks::default();
        let page = page(&mut checks, self.max_results, self.next_token);
        checks.finish(Some(page))
    }

    fn subject(_: &Self::Command) -> Subject<'_> {
        Subject::Nothing
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

    fn parse(self) -> Result<Self::Command, Rejection> {
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

    fn parse(self) -> Result<Self::Command, Rejection> {
        let mut checks = Checks::default();
        let collection_id = collection_id(&mut checks, self.collection_id);
        let face_ids = checks.list("faceIds", self.face_ids, (1, MOST), FaceId::RULES, FaceId::try_from);
        let user_id = checks.optional("userId", self.user_id, UserId::try_from);
        let page = page(&mut checks, self.max_results, self.next_token);
        let collection_id = checks.finish(collection_id)?;
        Ok(operations::ListFaces { collection_id, face_ids, user_id, page })
    }

    fn subject(command: &Self::Command) -> Subject<'_> {
        Subject::Collection(&command.collection_id)
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

    fn parse(self) -> Result<Self::Command, Rejection> {
        let mut checks = Checks::default();
        let collection_id = collection_id(&mut checks, self.collection_id);
        let face_ids = checks.required_list("faceIds", self.face_ids, (1, MOST), FaceId::RULES, FaceId::try_from);
        checks.finish(collection_id.zip(face_ids))
    }

    fn subject(command: &Self::Command) -> Subject<'_> {
        Subject::Collection(&command.0)
    }
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

    fn parse(self) -> Result<Self::Command, Rejection> {
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

    fn parse(self) -> Result<Self::Command, Rejection> {
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

/// DetectFaces' request.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct DetectFacesRequest {
    image: Option<Object<Image>>,
    attributes: Option<Vec<String>>,
}

impl Input for DetectFacesRequest {
    type Command = (Option<ImageSource>, AttributeSet);

    fn parse(self) -> Result<Self::Command, Rejection> {
        let mut checks = Checks::default();
        let image = image(&mut checks, "image", self.image);
        let attributes = attributes(&mut checks, "attributes", self.attributes);
        Ok((checks.finish(image)?, attributes))
    }

    fn subject(_: &Self::Command) -> Subject<'_> {
        Subject::Nothing
    }
}

/// CompareFaces' request.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct CompareFacesRequest {
    source_image: Option<Object<Image>>,
    target_image: Option<Object<Image>>,
    similarity_threshold: Option<Threshold>,
    quality_filter: Option<String>,
}

impl Input for CompareFacesRequest {
    type Command = operations::CompareFaces;

    fn parse(self) -> Result<Self::Command, Rejection> {
        let mut checks = Checks::default();
        let source = image(&mut checks, "sourceImage", self.source_image);
        let target = image(&mut checks, "targetImage", self.target_image);
        let threshold = threshold(&mut checks, "similarityThreshold", self.similarity_threshold);
        let quality_filter = quality_filter(&mut checks, self.quality_filter).unwrap_or(QualityFilter::None);
        let (source, target) = checks.finish(source.zip(target))?;
        Ok(operations::CompareFaces { source, target, threshold, quality_filter })
    }

    fn subject(_: &Self::Command) -> Subject<'_> {
        Subject::Nothing
    }
}

/// TagResource's request.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct TagResourceRequest {
    resource_arn: Option<String>,
    tags: Option<TagMap>,
}

impl Input for TagResourceRequest {
    type Command = (String, Tags);

    fn parse(self) -> Result<Self::Command, Rejection> {
        let mut checks = Checks::default();
        let arn = resource_arn(&mut checks, self.resource_arn);
        if self.tags.is_none() {
            checks.report("tags", None, &Constraint::NotNull);
        }
        let tags = self.tags.and_then(|members| tags(&mut checks, members));
        checks.finish(arn.zip(tags))
    }

    fn subject(command: &Self::Command) -> Subject<'_> {
        Subject::Arn(&command.0)
    }
}

/// UntagResource's request.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct UntagResourceRequest {
    resource_arn: Option<String>,
    tag_keys: Option<Vec<String>>,
}

impl Input for UntagResourceRequest {
    type Command = (String, Vec<TagKey>);

    fn parse(self) -> Result<Self::Command, Rejection> {
        let mut checks = Checks::default();
        let arn = resource_arn(&mut checks, self.resource_arn);
        let keys = checks.required_list("tagKeys", self.tag_keys, (0, MAX_TAGS), TagKey::RULES, TagKey::try_from);
        checks.finish(arn.zip(keys))
    }

    fn subject(command: &Self::Command) -> Subject<'_> {
        Subject::Arn(&command.0)
    }
}

/// ListTagsForResource's request.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct ListTagsForResourceRequest {
    resource_arn: Option<String>,
}

impl Input for ListTagsForResourceRequest {
    type Command = String;

    fn parse(self) -> Result<String, Rejection> {
        let mut checks = Checks::default();
        let arn = resource_arn(&mut checks, self.resource_arn);
        checks.finish(arn)
    }

    fn subject(command: &Self::Command) -> Subject<'_> {
        Subject::Arn(command)
    }
}

/// A 32-bit number, printed as the double that it widens to.
struct Float(f32);

impl Serialize for Float {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_f64(f64::from(self.0))
    }
}

impl From<Percent> for Float {
    fn from(percent: Percent) -> Self {
        Self(percent.get())
    }
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct BoundingBox {
    width: Float,
    height: Float,
    left: Float,
    top: Float,
}

impl From<domain::BoundingBox> for BoundingBox {
    fn from(b: domain::BoundingBox) -> Self {
        Self { width: Float(b.width), height: Float(b.height), left: Float(b.left), top: Float(b.top) }
    }
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Landmark {
    r#type: &'static str,
    x: Float,
    y: Float,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Pose {
    roll: Float,
    yaw: Float,
    pitch: Float,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct ImageQuality {
    brightness: Float,
    sharpness: Float,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct AgeRange {
    low: u32,
    high: u32,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Judgement {
    value: bool,
    confidence: Float,
}

impl From<domain::Judgement> for Judgement {
    fn from(judgement: domain::Judgement) -> Self {
        Self { value: judgement.value, confidence: judgement.confidence.into() }
    }
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Gender {
    value: &'static str,
    confidence: Float,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Emotion {
    r#type: &'static str,
    confidence: Float,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct EyeDirection {
    yaw: Float,
    pitch: Float,
    confidence: Float,
}

/// A face's DEFAULT attributes, and of the others those that were asked for.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct FaceDetail {
    bounding_box: BoundingBox,
    #[serde(skip_serializing_if = "Option::is_none")]
    age_range: Option<AgeRange>,
    #[serde(skip_serializing_if = "Option::is_none")]
    smile: Option<Judgement>,
    #[serde(skip_serializing_if = "Option::is_none")]
    eyeglasses: Option<Judgement>,
    #[serde(skip_serializing_if = "Option::is_none")]
    sunglasses: Option<Judgement>,
    #[serde(skip_serializing_if = "Option::is_none")]
    gender: Option<Gender>,
    #[serde(skip_serializing_if = "Option::is_none")]
    beard: Option<Judgement>,
    #[serde(skip_serializing_if = "Option::is_none")]
    mustache: Option<Judgement>,
    #[serde(skip_serializing_if = "Option::is_none")]
    eyes_open: Option<Judgement>,
    #[serde(skip_serializing_if = "Option::is_none")]
    mouth_open: Option<Judgement>,
    #[serde(skip_serializing_if = "Option::is_none")]
    emotions: Option<Vec<Emotion>>,
    landmarks: Vec<Landmark>,
    pose: Pose,
    quality: ImageQuality,
    confidence: Float,
    #[serde(skip_serializing_if = "Option::is_none")]
    face_occluded: Option<Judgement>,
    #[serde(skip_serializing_if = "Option::is_none")]
    eye_direction: Option<EyeDirection>,
}

impl From<domain::FaceDetail> for FaceDetail {
    fn from(detail: domain::FaceDetail) -> Self {
        let landmark = |l: domain::Landmark| Landmark { r#type: l.kind.name(), x: Float(l.x), y: Float(l.y) };
        let shown = detail.attributes;
        let gender = |(gender, confidence): (domain::Gender, Percent)| Gender {
            value: match gender {
                domain::Gender::Male => "Male",
                domain::Gender::Female => "Female",
            },
            confidence: confidence.into(),
        };
        let emotion = |(emotion, confidence): (domain::Emotion, Percent)| Emotion {
            r#type: emotion.name(),
            confidence: confidence.into(),
        };
        let direction = |d: domain::EyeDirection| EyeDirection {
            yaw: Float(d.yaw),
            pitch: Float(d.pitch),
            confidence: d.confidence.into(),
        };
        Self {
            bounding_box: detail.bounding_box.into(),
            age_range: shown.age_range.map(|(low, high)| AgeRange { low, high }),
            smile: shown.smile.map(Into::into),
            eyeglasses: shown.eyeglasses.map(Into::into),
            sunglasses: shown.sunglasses.map(Into::into),
            gender: shown.gender.map(gender),
            beard: shown.beard.map(Into::into),
            mustache: shown.mustache.map(Into::into),
            eyes_open: shown.eyes_open.map(Into::into),
            mouth_open: shown.mouth_open.map(Into::into),
            emotions: shown.emotions.map(|emotions| emotions.into_iter().map(emotion).collect()),
            landmarks: detail.landmarks.into_iter().map(landmark).collect(),
            pose: Pose { roll: Float(detail.pose.roll), yaw: Float(detail.pose.yaw), pitch: Float(detail.pose.pitch) },
            quality: ImageQuality {
                brightness: detail.quality.brightness.into(),
                sharpness: detail.quality.sharpness.into(),
            },
            confidence: detail.confidence.into(),
            face_occluded: shown.face_occluded.map(Into::into),
            eye_direction: shown.eye_direction.map(direction),
        }
    }
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Face {
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
    fn new(face: domain::Face, version: Option<&ModelVersion>) -> Self {
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

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct FaceMatch {
    similarity: Float,
    face: Face,
}

fn face_matches(matches: Vec<domain::Match>, version: &ModelVersion) -> Vec<FaceMatch> {
    let found = |found: domain::Match| FaceMatch {
        similarity: found.similarity.into(),
        face: Face::new(found.face, Some(version)),
    };
    matches.into_iter().map(found).collect()
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

/// DetectFaces' reply. `OrientationCorrection` as in IndexFaces.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct DetectFacesResponse {
    face_details: Vec<FaceDetail>,
    #[serde(skip_serializing_if = "Option::is_none")]
    orientation_correction: Option<&'static str>,
}

impl From<operations::DetectedFaces> for DetectFacesResponse {
    fn from(result: operations::DetectedFaces) -> Self {
        Self {
            face_details: result.details.into_iter().map(FaceDetail::from).collect(),
            orientation_correction: result.orientation_correction.map(OrientationCorrection::name),
        }
    }
}

/// The reply of an operation that has nothing to say: `{}`.
#[derive(Serialize)]
pub struct EmptyResponse {}

impl From<()> for EmptyResponse {
    fn from((): ()) -> Self {
        Self {}
    }
}

/// ListTagsForResource's reply.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct ListTagsForResourceResponse {
    tags: BTreeMap<String, String>,
}

impl From<Tags> for ListTagsForResourceResponse {
    fn from(tags: Tags) -> Self {
        let text = |(key, value): (TagKey, TagValue)| (key.as_str().to_owned(), value.as_str().to_owned());
        Self { tags: tags.into_iter().map(text).collect() }
    }
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct ComparedSourceImageFace {
    bounding_box: BoundingBox,
    confidence: Float,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct CompareFacesMatch {
    similarity: Float,
    face: FaceDetail,
}

/// CompareFaces' reply. A compared face has the members of the DEFAULT attributes; the two `OrientationCorrection`s are as in
/// IndexFaces.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct CompareFacesResponse {
    source_image_face: ComparedSourceImageFace,
    face_matches: Vec<CompareFacesMatch>,
    unmatched_faces: Vec<FaceDetail>,
    #[serde(skip_serializing_if = "Option::is_none")]
    source_image_orientation_correction: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    target_image_orientation_correction: Option<&'static str>,
}

impl From<operations::ComparedFaces> for CompareFacesResponse {
    fn from(result: operations::ComparedFaces) -> Self {
        let found = |(similarity, face): (Percent, domain::FaceDetail)| CompareFacesMatch {
            similarity: similarity.into(),
            face: face.into(),
        };
        Self {
            source_image_face: ComparedSourceImageFace {
                bounding_box: result.source.bounding_box.into(),
                confidence: result.source.confidence.into(),
            },
            face_matches: result.matches.into_iter().map(found).collect(),
            unmatched_faces: result.unmatched.into_iter().map(FaceDetail::from).collect(),
            source_image_orientation_correction: result.source_correction.map(OrientationCorrection::name),
            target_image_orientation_correction: result.target_correction.map(OrientationCorrection::name),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse<I: Input>(json: &str) -> Result<I::Command, Rejection> {
        serde_json::from_str::<I>(json).unwrap().parse()
    }

    fn inline(bytes: &[u8]) -> Option<ImageSource> {
        Some(ImageSource::Bytes(Bytes::copy_from_slice(bytes)))
    }

    fn violations<T>(result: Result<T, Rejection>) -> Vec<String> {
        match result {
            Err(Rejection::Validation(list)) => list.iter().map(ToString::to_string).collect(),
            Err(other) => panic!("{other:?}"),
            Ok(_) => panic!("no violation"),
        }
    }

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

    #[test]
    fn all_wins_over_single_attributes_and_an_empty_list_is_default() {
        let wanted =
            |list: &str| parse::<DetectFacesRequest>(&format!(r#"{{"Image":{{}},"Attributes":{list}}}"#)).unwrap().1;
        assert_eq!(wanted("[]"), AttributeSet::DEFAULT);
        assert_eq!(wanted("null"), AttributeSet::DEFAULT);
        assert_eq!(wanted(r#"["DEFAULT"]"#), AttributeSet::DEFAULT);
        assert_eq!(wanted(r#"["SMILE","DEFAULT"]"#), AttributeSet::of(Attribute::Smile));
        assert_eq!(wanted(r#"["DEFAULT","ALL","BEARD"]"#), AttributeSet::ALL);
        for (name, set) in ATTRIBUTES.iter().zip(ATTRIBUTE_SETS).skip(2) {
            let named = Attribute::EACH.iter().filter(|attribute| set.has(**attribute)).map(|a| format!("{a:?}"));
            assert_eq!(named.collect::<Vec<_>>().join(" ").to_lowercase(), name.replace('_', "").to_lowercase());
        }
    }

    #[test]
    fn an_image_is_given_once_in_one_of_two_ways() {
        let image = |json: &str| Ok(parse::<DetectFacesRequest>(&format!(r#"{{"Image":{json}}}"#))?.0);
        let object = r#""S3Object":{"Bucket":"photos","Name":"a/b c.jpg","Version":"v1"}"#;
        let Some(ImageSource::S3(found)) = image(&format!("{{{object}}}")).unwrap() else { panic!() };
        assert_eq!((found.arn().as_str(), found.action()), ("arn:aws:s3:::photos/a/b c.jpg", "s3:GetObjectVersion"));
        for json in [
            "{}".to_owned(),
            format!(r#"{{"Bytes":"aGk=",{object}}}"#),
            r#"{"S3Object":{"Bucket":"photos"}}"#.to_owned(),
            r#"{"S3Object":{}}"#.to_owned(),
        ] {
            assert_eq!(image(&json).unwrap(), None, "{json}");
        }
        let broken = violations(image(r#"{"S3Object":{"Bucket":"a/","Name":"","Version":""}}"#));
        let paths = broken.iter().map(|text| text.split('\'').nth(3).unwrap()).collect::<Vec<_>>();
        assert_eq!(
            paths,
            ["image.s3Object.bucket", "image.s3Object.bucket", "image.s3Object.name", "image.s3Object.version"]
        );
    }

    #[test]
    fn a_key_that_is_there_twice_is_refused() {
        for json in [r#"{"CollectionId":"a","CollectionId":"b"}"#, r#"{"CollectionId":"a","Tags":{"k":"1","k":"2"}}"#] {
            assert!(serde_json::from_str::<CreateCollectionRequest>(json).is_err(), "{json}");
        }
    }

    #[test]
    fn tags_are_a_map_whose_keys_and_values_are_checked() {
        let (_, tags) = parse::<CreateCollectionRequest>(r#"{"CollectionId":"c","Tags":{"b":"","a":"x y"}}"#).unwrap();
        assert_eq!(tags.iter().map(|(k, v)| (k.as_str(), v.as_str())).collect::<Vec<_>>(), [("a", "x y"), ("b", "")]);
        let broken = violations(parse::<TagResourceRequest>(r#"{"ResourceArn":"short","Tags":{"aws:a":"b"}}"#));
        assert_eq!(
            broken,
            [
                "Value 'short' at 'resourceArn' failed to satisfy constraint: Member must have length greater than or equal to 20",
                r"Value '{aws:a=b}' at 'tags' failed to satisfy constraint: Map keys must satisfy constraint: [Member must have length less than or equal to 128, Member must have length greater than or equal to 1, Member must satisfy regular expression pattern: ^(?!aws:)[\p{L}\p{Z}\p{N}_.:/=+\-@]*$]",
            ]
        );
    }

    #[test]
    fn blobs_are_base64_with_or_without_escapes() {
        let (image, _) = parse::<DetectFacesRequest>(r#"{"Image":{"Bytes":"\/\/\/\/"}}"#).unwrap();
        assert_eq!(image, inline(&[255, 255, 255]));
        for bad in [r#"{"Image":{"Bytes":"@@@"}}"#, r#"{"Image":{"Bytes":7}}"#, r#"{"Image":{"Bytes":"aGk"}}"#] {
            assert!(serde_json::from_str::<DetectFacesRequest>(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn numbers_are_floats_widened_to_doubles() {
        assert_eq!(serde_json::to_string(&Float(0.222_067_04)).unwrap(), "0.22206704318523407");
        assert_eq!(serde_json::to_string(&Float(100.0)).unwrap(), "100.0");
    }
}
