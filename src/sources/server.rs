//! A server that speaks S3, through `object_store`.

use std::time::Duration;

use bytes::Bytes;
use object_store::aws::{AmazonS3Builder, AwsCredentialProvider};
use object_store::client::{ClientOptions, HttpClient, HttpConnector};
use object_store::path::Path;
use object_store::{Error, GetOptions, ObjectStore, RetryConfig};
use secrecy::{ExposeSecret, SecretString};

use crate::domain::{Fault, S3Object};

use super::check_size;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// For an object to come, whole.
const TIMEOUT: Duration = Duration::from_secs(30);
/// The client's own retries come on top.
const RETRIES: usize = 2;

/// How the address of a bucket is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Style {
    /// `http://server/bucket/key`.
    Path,
    /// `http://bucket.server/key`.
    Virtual,
}

/// Which server, and with which key.
#[derive(Clone, Debug)]
pub struct ServerSettings {
    /// Its URL; without one, the cloud's own.
    pub endpoint: Option<String>,
    /// Its region.
    pub region: String,
    /// How the address of a bucket is made.
    pub style: Style,
    /// The key's two halves; without one, what the machine's role gives (web identity, container, instance).
    pub key: Option<(String, SecretString)>,
    /// The token of a temporary key.
    pub token: Option<SecretString>,
}

/// The server.
pub struct Server {
    settings: ServerSettings,
    /// All but the bucket.
    builder: AmazonS3Builder,
    /// Shared by every bucket, since it may hold a key that was fetched and is good for a while.
    credentials: AwsCredentialProvider,
}

impl Server {
    /// Prepares a client; asks nobody yet.
    pub fn new(settings: ServerSettings) -> Result<Self, String> {
        // Fails when another one is installed already, which will do.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let client = reqwest::Client::builder().connect_timeout(CONNECT_TIMEOUT).timeout(TIMEOUT).build();
        let client = client.map_err(|error| chain(&error))?;
        let mut builder = AmazonS3Builder::new()
            .with_region(&settings.region)
            .with_virtual_hosted_style_request(settings.style == Style::Virtual)
            .with_http_connector(Shared(HttpClient::new(client)))
            .with_retry(RetryConfig { max_retries: RETRIES, retry_timeout: TIMEOUT, ..RetryConfig::default() });
        if let Some((id, secret)) = &settings.key {
            builder = builder.with_access_key_id(id).with_secret_access_key(secret.expose_secret());
        }
        if let Some(token) = &settings.token {
            builder = builder.with_token(token.expose_secret());
        }
        // Any bucket will do: the key is the same for all.
        let some_bucket = at(&settings, builder.clone(), "bucket").build().map_err(|error| chain(&error))?;
        Ok(Self { settings, builder, credentials: some_bucket.credentials().clone() })
    }

    /// See [`S3::get`](super::S3::get).
    pub async fn get(&self, object: &S3Object) -> Result<Bytes, Fault> {
        let key = object.key.as_str();
        let path = Path::parse(key).ok().filter(|path| path.as_ref() == key).ok_or_else(|| {
            Fault::S3ObjectUnavailable("a key with an empty part, . or .. in it cannot be asked for".to_owned())
        })?;
        let bucket = at(&self.settings, self.builder.clone(), object.bucket.as_str());
        let bucket = bucket.with_credentials(self.credentials.clone()).build().map_err(unavailable)?;
        let version = object.version.as_ref().map(|version| version.as_str().to_owned());
        let answer = bucket.get_opts(&path, GetOptions::new().with_version(version)).await.map_err(unavailable)?;
        check_size(answer.meta.size)?;
        answer.bytes().await.map_err(|error| Fault::S3ObjectUnreadable(chain(&error)))
    }
}

/// The address of a bucket.
fn at(settings: &ServerSettings, builder: AmazonS3Builder, bucket: &str) -> AmazonS3Builder {
    let builder = builder.with_bucket_name(bucket);
    match &settings.endpoint {
        None => builder,
        Some(endpoint) => {
            let address = match (settings.style, endpoint.split_once("://")) {
                (Style::Virtual, Some((scheme, host))) => format!("{scheme}://{bucket}.{host}"),
                _ => endpoint.clone(),
            };
            builder.with_allow_http(address.starts_with("http://")).with_endpoint(address)
        }
    }
}

fn unavailable(error: Error) -> Fault {
    let text = chain(&error);
    // The status of the answer is private to the crate, S3's own code is in the text.
    if text.contains("SlowDown") { Fault::S3Busy(text) } else { Fault::S3ObjectUnavailable(text) }
}

/// What went wrong, and why, and why that.
fn chain(error: &dyn std::error::Error) -> String {
    match error.source() {
        Some(cause) => format!("{error}: {}", chain(cause)),
        None => error.to_string(),
    }
}

/// One HTTP client, and with it one set of connections, for every bucket.
#[derive(Debug)]
struct Shared(HttpClient);

impl HttpConnector for Shared {
    fn connect(&self, _: &ClientOptions) -> object_store::Result<HttpClient> {
        Ok(self.0.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(endpoint: Option<&str>, style: Style) -> ServerSettings {
        ServerSettings {
            endpoint: endpoint.map(str::to_owned),
            region: "eu-west-1".to_owned(),
            style,
            key: Some(("id".to_owned(), "secret".into())),
            token: None,
        }
    }

    #[test]
    fn a_bucket_is_in_the_path_or_in_the_host() {
        let address = |endpoint, style| {
            let settings = settings(endpoint, style);
            let server = Server::new(settings.clone()).unwrap();
            format!("{:?}", at(&settings, server.builder, "photos").build().unwrap())
        };
        assert!(address(Some("http://s3:9000"), Style::Path).contains("\"http://s3:9000/photos\""));
        assert!(address(Some("http://s3:9000"), Style::Virtual).contains("\"http://photos.s3:9000\""));
        assert!(address(None, Style::Virtual).contains("\"https://photos.s3.eu-west-1.amazonaws.com\""));
    }
}
