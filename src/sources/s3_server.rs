//! A server that speaks S3, through `object_store`.

use std::time::Duration;

use async_trait::async_trait;
use bytes::{Bytes, BytesMut};
use futures_util::StreamExt;
use object_store::aws::{AmazonS3Builder, AwsCredentialProvider};
use object_store::client::{
    ClientOptions, HttpClient, HttpConnector, HttpError, HttpErrorKind, HttpRequest, HttpResponse, HttpService,
};
use object_store::path::Path;
use object_store::{Error, GetOptions, ObjectStore, RetryConfig};
use secrecy::{ExposeSecret, SecretString};
use tokio::time::timeout;

use crate::domain::{BucketName, Fault, S3Object};

use super::size::check_size;
use super::style::Style;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// Times that a server may stay silent for as long as it may before the object has to be there: a new connection often helps.
const SILENCES: u32 = 3;
/// The client's own retries come on top.
const RETRIES: usize = 2;
/// A log line's share of what S3 says.
const LONGEST_REASON: usize = 500;
/// What tells of a key that the machine's role gives; the rest of the environment is not this server's.
const ROLE_VARIABLES: [&str; 6] = [
    "AWS_WEB_IDENTITY_TOKEN_FILE",
    "AWS_ROLE_ARN",
    "AWS_ROLE_SESSION_NAME",
    "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
    "AWS_CONTAINER_CREDENTIALS_FULL_URI",
    "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE",
];

/// Which server, and with which key.
#[derive(Clone, Debug)]
pub struct S3ServerSettings {
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
    /// Within what time an object has to come, whole.
    pub limit: Duration,
}

/// An object in a list.
#[derive(Clone, Debug)]
pub struct ListedObject {
    /// Its key.
    pub key: String,
    /// Its entity tag, which changes with its content.
    pub tag: Option<String>,
}

/// The server.
pub struct S3Server {
    settings: S3ServerSettings,
    /// All but the bucket.
    builder: AmazonS3Builder,
    /// Shared by every bucket, since it may hold a key that was fetched and is good for a while.
    credentials: AwsCredentialProvider,
}

impl S3Server {
    /// Prepares a client; asks nobody yet. Panics in a process that has not chosen rustls' cryptography.
    pub fn new(settings: S3ServerSettings) -> Result<Self, String> {
        settings.check()?;
        // A redirect would take the key's token wherever the answer says.
        let client = reqwest::Client::builder()
            .connect_timeout(CONNECT_TIMEOUT)
            .read_timeout(settings.limit / SILENCES)
            .redirect(reqwest::redirect::Policy::none())
            .build();
        let client = client.map_err(|error| chain(&error))?;
        let mut builder = AmazonS3Builder::new()
            .with_region(&settings.region)
            .with_virtual_hosted_style_request(settings.style == Style::Virtual)
            .with_http_connector(Shared(HttpClient::new(Sending(client))))
            .with_retry(RetryConfig { max_retries: RETRIES, retry_timeout: settings.limit, ..RetryConfig::default() });
        match &settings.key {
            Some((id, secret)) => {
                builder = builder.with_access_key_id(id).with_secret_access_key(secret.expose_secret());
            }
            None => {
                for name in ROLE_VARIABLES {
                    let (Ok(value), Ok(key)) = (std::env::var(name), name.to_ascii_lowercase().parse()) else {
                        continue;
                    };
                    builder = builder.with_config(key, value);
                }
            }
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
        let limit = self.settings.limit;
        timeout(limit, self.fetch(object)).await.unwrap_or_else(|_| Err(away(format!("no object within {limit:?}"))))
    }

    /// The objects of a bucket whose keys lie below a prefix: a folder's name, without a slash at its ends, or nothing for all of them.
    pub async fn list(&self, bucket: &BucketName, prefix: &str) -> Result<Vec<ListedObject>, String> {
        if self.settings.style == Style::Virtual && !is_host_name(bucket.as_str()) {
            return Err("the bucket's name is no part of a host's name".to_owned());
        }
        let below = Path::parse(prefix).map_err(|error| chain(&error))?;
        let bucket = at(&self.settings, self.builder.clone(), bucket.as_str());
        let bucket = bucket.with_credentials(self.credentials.clone()).build().map_err(|error| reason(&error))?;
        let mut listing = bucket.list(Some(&below).filter(|_| !prefix.is_empty()));
        let mut objects = Vec::new();
        while let Some(object) = listing.next().await {
            let object = object.map_err(|error| reason(&error))?;
            objects.push(ListedObject { key: object.location.into(), tag: object.e_tag });
        }
        Ok(objects)
    }

    async fn fetch(&self, object: &S3Object) -> Result<Bytes, Fault> {
        if self.settings.style == Style::Virtual && !is_host_name(object.bucket.as_str()) {
            return Err(Fault::S3ObjectUnavailable("the bucket's name is no part of a host's name".to_owned()));
        }
        let key = object.key.as_str();
        let path = Path::parse(key).ok().filter(|path| path.as_ref() == key).ok_or_else(|| {
            Fault::S3ObjectUnavailable(
                "a key with an empty part, . or .., or a control character in it cannot be asked for".to_owned(),
            )
        })?;
        let bucket = at(&self.settings, self.builder.clone(), object.bucket.as_str());
        let bucket = bucket.with_credentials(self.credentials.clone()).build().map_err(unavailable)?;
        let version = object.version.as_ref().map(|version| version.as_str().to_owned());
        let answer = bucket.get_opts(&path, GetOptions::new().with_version(version)).await.map_err(unavailable)?;
        check_size(answer.meta.size)?;
        let mut bytes = BytesMut::with_capacity(answer.meta.size as usize);
        let mut stream = answer.into_stream();
        while let Some(part) = stream.next().await {
            bytes.extend_from_slice(&part.map_err(unreadable)?);
            // A part that was asked for again may belong to a larger object by now.
            check_size(bytes.len() as u64)?;
        }
        Ok(bytes.freeze())
    }
}

impl S3ServerSettings {
    /// Refuses what would fail at every request.
    fn check(&self) -> Result<(), String> {
        if let Some(endpoint) = &self.endpoint {
            let address = address(endpoint, self.style, "bucket");
            let valid = reqwest::Url::parse(&address).is_ok() && address.is_ascii();
            if !valid {
                return Err(format!("{address} is not a URL"));
            }
        }
        let id = self.key.as_ref().map(|(id, _)| id.as_str());
        for text in id.into_iter().chain(self.token.as_ref().map(ExposeSecret::expose_secret)) {
            if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_graphic()) {
                return Err("a key's id or its token is empty, or has characters that no header carries".to_owned());
            }
        }
        Ok(())
    }
}

/// Whether a bucket can be a part of a host's name: other names would be taken for another bucket's, or for no host at all.
fn is_host_name(bucket: &str) -> bool {
    let label = |label: &str| {
        !label.is_empty()
            && !label.starts_with("xn--")
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
    };
    bucket.len() <= 63 && bucket.split('.').all(label)
}

/// The URL of a bucket.
fn address(endpoint: &str, style: Style, bucket: &str) -> String {
    match (style, endpoint.split_once("://")) {
        (Style::Virtual, Some((scheme, host))) => format!("{scheme}://{bucket}.{host}"),
        _ => endpoint.to_owned(),
    }
}

/// The address of a bucket.
fn at(settings: &S3ServerSettings, builder: AmazonS3Builder, bucket: &str) -> AmazonS3Builder {
    let builder = builder.with_bucket_name(bucket);
    match &settings.endpoint {
        None => builder,
        Some(endpoint) => {
            let address = address(endpoint, settings.style, bucket);
            builder.with_allow_http(address.starts_with("http://")).with_endpoint(address)
        }
    }
}

fn unavailable(error: Error) -> Fault {
    let reason = reason(&error);
    // S3 asks for patience with either.
    if reason.starts_with("S3 answered 503") || reason.starts_with("S3 answered 429") {
        Fault::S3Busy(reason)
    } else if reason.starts_with("S3 answered 5") || is_of_the_way(&error) {
        away(reason)
    } else {
        Fault::S3ObjectUnavailable(reason)
    }
}

fn unreadable(error: Error) -> Fault {
    let reason = reason(&error);
    if is_of_the_way(&error) { away(reason) } else { Fault::S3ObjectUnreadable(reason) }
}

/// S3 is away, which says nothing of the object: its caller may ask again.
fn away(reason: String) -> Fault {
    Fault::unavailable("reading from S3")(reason)
}

/// Whether no answer came, or only a part of one.
fn is_of_the_way(error: &Error) -> bool {
    causes(error)
        .find_map(|cause| cause.downcast_ref::<HttpError>())
        .is_some_and(|error| error.kind() != HttpErrorKind::Unknown)
}

/// What an error came of, from the nearest on.
fn causes<'a>(
    error: &'a (dyn std::error::Error + 'static),
) -> impl Iterator<Item = &'a (dyn std::error::Error + 'static)> {
    std::iter::successors(error.source(), |&cause| cause.source())
}

/// What went wrong, for the log: of an answer the status and S3's own code, never its body, which may repeat the key's token.
fn reason(error: &Error) -> String {
    let text = chain(error);
    // The crate keeps the status to itself and tells it in its text, behind a URL that has no spaces.
    match text.split_once("status code: ") {
        None => text,
        Some((_, answer)) => {
            let status: String = answer.chars().take_while(|c| *c != ':').take(LONGEST_REASON).collect();
            let code = answer.split_once("<Code>").map_or("", |(_, rest)| rest);
            let code: String = code.chars().take_while(char::is_ascii_alphanumeric).take(LONGEST_REASON).collect();
            format!("S3 answered {status} {code}").trim_end().to_owned()
        }
    }
}

/// What went wrong, and why, and why that, where the one does not tell the other already.
fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = error.to_string();
    for cause in causes(error) {
        let why = cause.to_string();
        if !text.contains(&why) {
            text = format!("{text}: {why}");
        }
    }
    if !text.contains("status code: ") {
        text.truncate(text.floor_char_boundary(LONGEST_REASON));
    }
    text
}

/// `reqwest`, but that a request that never left is told from one that nobody can send.
#[derive(Debug)]
struct Sending(reqwest::Client);

#[async_trait]
impl HttpService for Sending {
    async fn call(&self, request: HttpRequest) -> Result<HttpResponse, HttpError> {
        // A connection that ends between its opening and its first request cancels that request. `object_store` takes that for an error
        // that it does not know, and would not try again.
        self.0.call(request).await.map_err(|error| match error.kind() {
            HttpErrorKind::Unknown if is_canceled(&error) => HttpError::new(HttpErrorKind::Request, error),
            _ => error,
        })
    }
}

/// Whether the request's connection broke before the request was written.
fn is_canceled(error: &HttpError) -> bool {
    causes(error).any(|cause| cause.downcast_ref::<hyper::Error>().is_some_and(hyper::Error::is_canceled))
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

    fn settings(endpoint: Option<&str>, style: Style) -> S3ServerSettings {
        let _ = rustls::crypto::ring::default_provider().install_default();
        S3ServerSettings {
            endpoint: endpoint.map(str::to_owned),
            region: "eu-west-1".to_owned(),
            style,
            key: Some(("id".to_owned(), "secret".into())),
            token: None,
            limit: Duration::from_secs(20),
        }
    }

    #[test]
    fn a_bucket_is_in_the_path_or_in_the_host() {
        let address = |endpoint, style| {
            let settings = settings(endpoint, style);
            let server = S3Server::new(settings.clone()).unwrap();
            format!("{:?}", at(&settings, server.builder, "photos").build().unwrap())
        };
        assert!(address(Some("http://s3:9000"), Style::Path).contains("\"http://s3:9000/photos\""));
        assert!(address(Some("http://s3:9000"), Style::Virtual).contains("\"http://photos.s3:9000\""));
        assert!(address(None, Style::Virtual).contains("\"https://photos.s3.eu-west-1.amazonaws.com\""));
    }

    #[test]
    fn only_host_names_are_buckets_in_a_host() {
        for good in ["photos", "my-photos.2026", "123"] {
            assert!(is_host_name(good), "{good}");
        }
        for bad in ["Photos", "a_b", "a..b", ".ab", "ab.", "-ab", "ab-", "xn--a", "a.xn--zzzz", &"a".repeat(64)] {
            assert!(!is_host_name(bad), "{bad}");
        }
    }

    #[test]
    fn settings_that_could_never_work_are_refused() {
        let good = settings(Some("http://s3:9000"), Style::Path);
        let with_endpoint = |endpoint, style| settings(Some(endpoint), style);
        for bad in [
            with_endpoint("http://127.0.0.1:9000", Style::Virtual),
            with_endpoint("http://127.0.0.1:99999", Style::Path),
            with_endpoint("http://a b", Style::Path),
            with_endpoint("http://[::1", Style::Path),
            S3ServerSettings { token: Some("token\n".into()), ..good.clone() },
            S3ServerSettings { key: Some(("id\n".to_owned(), "secret".into())), ..good.clone() },
        ] {
            assert!(S3Server::new(bad.clone()).is_err(), "{bad:?}");
        }
        assert!(S3Server::new(good).is_ok());
    }

    #[test]
    fn connections_that_end_as_soon_as_they_are_open_say_nothing_of_the_object() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        // One ends properly, the next is reset.
        std::thread::spawn(move || {
            for (number, connection) in listener.incoming().enumerate() {
                let connection = connection.unwrap();
                let _ = match number % 2 {
                    0 => connection.shutdown(std::net::Shutdown::Both),
                    _ => socket2::SockRef::from(&connection).set_linger(Some(Duration::ZERO)),
                };
            }
        });
        let server = S3Server::new(settings(Some(&endpoint), Style::Path)).unwrap();
        let [bucket, key] = ["photos", "who.jpg"].map(str::to_owned);
        let object = S3Object { bucket: bucket.try_into().unwrap(), key: key.try_into().unwrap(), version: None };
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        // About one in a hundred breaks in the moment between its opening and its request.
        for _ in 0..8 {
            let found = runtime.block_on(futures_util::future::join_all((0..400).map(|_| server.get(&object))));
            for fault in found.into_iter().map(Result::unwrap_err) {
                assert!(matches!(fault, Fault::Unavailable { .. }), "{fault}");
            }
        }
    }

    #[test]
    fn the_log_gets_the_status_and_the_code_of_an_answer() {
        let error = |text: &str| Error::Generic { store: "S3", source: text.to_owned().into() };
        let answer = "Error performing GET http://s3/a/SlowDown in 1ms - Server returned non-2xx status code: 400 Bad Request: \
                      <Error><Code>ExpiredToken</Code><Token-0>hush</Token-0></Error>";
        assert_eq!(reason(&error(answer)), "S3 answered 400 Bad Request ExpiredToken");
        assert!(matches!(unavailable(error(answer)), Fault::S3ObjectUnavailable(_)));
        assert!(matches!(unavailable(error("status code: 503 Service Unavailable: ")), Fault::S3Busy(_)));
        assert!(matches!(unavailable(error("status code: 500 Internal Server Error: ")), Fault::Unavailable { .. }));
        assert!(reason(&error(&"x".repeat(10_000))).len() < 1000);
    }
}
