//! Images of requests.

use serde::Deserialize;

use crate::domain::limits::MAX_IMAGE_BYTES;
use crate::domain::{self, BucketName, Constraint, ImageSource, ObjectName};
use crate::wire::validation::Checks;

use super::values::{Blob, Object};

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
pub fn image(checks: &mut Checks, path: &str, image: Option<Object<Image>>) -> Option<Option<ImageSource>> {
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
