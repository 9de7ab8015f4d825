//! A photo that is to be enrolled.

use std::path::{Path, PathBuf};

use crate::domain::limits::MAX_IMAGE_BYTES;
use crate::domain::{ExternalImageId, S3Object, UserId};

use super::failure::Failure;

/// A photo, and as what it is to be enrolled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Photo {
    /// What the report calls it: its path below the folder, its path in the manifest, or `s3://bucket/key`.
    pub name: String,
    /// Where its bytes are.
    pub place: Place,
    /// What its faces are to be called.
    pub external_image_id: Option<ExternalImageId>,
    /// Whom it shows.
    pub user_id: Option<UserId>,
}

/// Where a photo's bytes are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// In a file here.
    File(PathBuf),
    /// In S3, from where the endpoint reads it.
    Object {
        /// The object.
        object: S3Object,
        /// What S3 says of its content, if it was asked.
        tag: Option<String>,
    },
}

/// The bytes of a photo's file, as many as a request takes.
pub fn bytes_of(path: &Path) -> Result<Vec<u8>, Failure> {
    let unreadable = |error: std::io::Error| Failure::unreadable(error.to_string());
    let length = path.metadata().map_err(unreadable)?.len();
    if length > MAX_IMAGE_BYTES as u64 {
        return Err(Failure::too_large(length));
    }
    std::fs::read(path).map_err(unreadable)
}
