//! In place of `bucket` in a program that was built without S3.

use crate::client::Configuration;
use crate::domain::BucketName;

use super::names::Found;

/// Refuses.
pub async fn find(
    _configuration: &Configuration,
    _bucket: &BucketName,
    _prefix: &str,
    _problems: &mut Vec<String>,
) -> Result<(Vec<Found>, usize), String> {
    Err("that needs a program that was built with the feature `s3`, and this one was not".to_owned())
}
