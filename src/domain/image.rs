//! Where an image is.

use bytes::Bytes;

use super::{BucketName, ObjectName};

/// An image of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ImageSource {
    /// The file itself: 1 byte to 5 MiB.
    Bytes(Bytes),
    /// A file in S3.
    S3(S3Object),
}

/// An object in S3.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct S3Object {
    /// Its bucket.
    pub bucket: BucketName,
    /// Its key.
    pub key: ObjectName,
    /// One of its versions; absent: the current one.
    pub version: Option<ObjectName>,
}

impl S3Object {
    /// The action that a policy has to allow for it to be read.
    pub fn action(&self) -> &'static str {
        if self.version.is_some() { "s3:GetObjectVersion" } else { "s3:GetObject" }
    }

    /// `arn:aws:s3:::<bucket>/<key>`.
    pub fn arn(&self) -> String {
        format!("arn:aws:s3:::{}/{}", self.bucket, self.key.as_str())
    }
}
