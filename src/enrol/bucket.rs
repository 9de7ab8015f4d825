//! Photos of a bucket: their names are listed here, their bytes are read by the endpoint.

use std::time::Duration;

use crate::client::Configuration;
use crate::domain::{BucketName, ObjectName, S3Object};
use crate::sources::{S3Server, S3ServerSettings, Style};

use super::names::{Found, is_photo};
use super::photo::Place;

/// Within what time a page of the list has to come.
const LIMIT: Duration = Duration::from_secs(60);

/// Every photo below a prefix, in the order of their keys, and how many other objects there are. The configuration is one of a
/// [`Client`](crate::client::Client), which has chosen the cryptography that this needs as well.
pub async fn find(
    configuration: &Configuration,
    bucket: &BucketName,
    prefix: &str,
    problems: &mut Vec<String>,
) -> Result<(Vec<Found>, usize), String> {
    let listed = S3Server::new(settings(configuration))?.list(bucket, prefix).await?;
    let (mut found, mut others) = (Vec::new(), 0);
    for object in listed {
        if !is_photo(&object.key) {
            others += 1;
            continue;
        }
        let name = format!("s3://{}/{}", bucket.as_str(), object.key);
        let path = object.key.strip_prefix(prefix).unwrap_or(&object.key).trim_start_matches('/').to_owned();
        match ObjectName::try_from(object.key) {
            Ok(key) => {
                let (bucket, tag) = (bucket.clone(), object.tag);
                let object = S3Object { bucket, key, version: None };
                found.push(Found { name, path, place: Place::Object { object, tag } });
            }
            Err(_) => problems.push(format!("{name} is too long a key: at most 1024 characters")),
        }
    }
    found.sort_by(|one, other| one.name.cmp(&other.name));
    Ok((found, others))
}

/// The S3 server, with the key that signs the calls as well. Amazon's own wants the bucket in the host's name.
fn settings(configuration: &Configuration) -> S3ServerSettings {
    let Configuration { region, key, s3_endpoint, .. } = configuration;
    S3ServerSettings {
        endpoint: s3_endpoint.clone(),
        region: region.clone(),
        style: if s3_endpoint.is_some() { Style::Path } else { Style::Virtual },
        key: Some((key.id.clone(), key.secret.clone())),
        token: key.token.clone(),
        limit: LIMIT,
    }
}
