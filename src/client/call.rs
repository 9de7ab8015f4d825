//! A call: signed, sent, and sent again while that helps.

use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use reqwest::Certificate;
use reqwest::header::{CONTENT_TYPE, RETRY_AFTER};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::domain::Operation;

use super::configuration::Configuration;
use super::errors::{CallError, Refused};
use super::patience::{ATTEMPTS, ATTEMPTS_AT_FIRST, wait};
use super::signature::sign_post;

const CONTENT: &str = "application/x-amz-json-1.1";
const TARGET: &str = "x-amz-target";
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// How long the endpoint may be silent. A photo of 5 MiB has to get there within it, too.
const SILENCE: Duration = Duration::from_secs(120);

/// A client of one endpoint with one key. Calls may be made side by side.
pub struct Client {
    configuration: Configuration,
    http: reqwest::Client,
    repeats: AtomicU64,
    was_answered: AtomicBool,
}

impl Client {
    /// Prepares a client; calls nobody yet. The error says what is wrong with the file of CAs.
    pub fn new(configuration: Configuration) -> Result<Self, String> {
        // Another choice that was made before is as good.
        let _ = rustls::crypto::ring::default_provider().install_default();
        // A redirect would take photos and the key's token wherever the answer says.
        let mut http = reqwest::Client::builder()
            .user_agent(concat!("rekollect/", env!("CARGO_PKG_VERSION")))
            .connect_timeout(CONNECT_TIMEOUT)
            .read_timeout(SILENCE)
            .redirect(reqwest::redirect::Policy::none());
        if let Some(file) = &configuration.ca_bundle {
            http = http.tls_certs_only(authorities(file)?);
        }
        let http = http.build().map_err(|error| error.to_string())?;
        Ok(Self { configuration, http, repeats: AtomicU64::new(0), was_answered: AtomicBool::new(false) })
    }

    /// Makes a call. `body` is the operation's request, `T` is as much of its reply as the caller reads. A call that was throttled, that
    /// broke the server or that got no answer is made again, up to ten times, with growing waits in between.
    pub async fn call<T: DeserializeOwned>(&self, operation: Operation, body: &impl Serialize) -> Result<T, CallError> {
        let body = Bytes::from(serde_json::to_vec(body).expect("a request is made of what JSON can say"));
        let mut failed = 0;
        loop {
            let (error, asked) = match self.attempt(operation, body.clone()).await {
                Ok(reply) => return Ok(reply),
                Err(failure) => failure,
            };
            failed += 1;
            let attempts = if self.was_answered.load(Ordering::Relaxed) { ATTEMPTS } else { ATTEMPTS_AT_FIRST };
            if failed >= attempts || !error.is_passing() {
                return Err(error);
            }
            self.repeats.fetch_add(1, Ordering::Relaxed);
            tokio::time::sleep(wait(failed, asked)).await;
        }
    }

    /// Whom it calls, and with which key.
    pub fn configuration(&self) -> &Configuration {
        &self.configuration
    }

    /// How often a call had to be made again, of all calls so far.
    pub fn repeats(&self) -> u64 {
        self.repeats.load(Ordering::Relaxed)
    }

    /// Makes a call once. A failure comes with the time that the server asks to wait.
    async fn attempt<T: DeserializeOwned>(
        &self,
        operation: Operation,
        body: Bytes,
    ) -> Result<T, (CallError, Option<Duration>)> {
        let Configuration { endpoint, region, key, .. } = &self.configuration;
        let target = format!("RekognitionService.{operation}");
        let headers = [(CONTENT_TYPE.as_str(), CONTENT), (TARGET, target.as_str())];
        let signed = sign_post(key, region, endpoint.as_str(), &headers, &body, SystemTime::now());
        let signed = signed.map_err(|error| (CallError::Unsigned { operation, reason: error.to_string() }, None))?;
        let mut request = self.http.post(endpoint.clone()).body(body);
        for (name, value) in headers {
            request = request.header(name, value);
        }
        for (name, value) in signed {
            request = request.header(name, value);
        }
        let unanswered = |error: reqwest::Error| {
            let endpoint = endpoint.to_string();
            (CallError::Unanswered { operation, endpoint, source: error.without_url() }, None)
        };
        let reply = request.send().await.map_err(unanswered)?;
        self.was_answered.store(true, Ordering::Relaxed);
        let status = reply.status().as_u16();
        let header = |name: &str| reply.headers().get(name)?.to_str().ok().map(str::to_owned);
        let (kind, asked) = (header("x-amzn-errortype"), header(RETRY_AFTER.as_str()));
        let asked = asked.and_then(|seconds| seconds.parse().ok()).map(Duration::from_secs);
        let body = reply.bytes().await.map_err(unanswered)?;
        let foreign = || CallError::Foreign { operation, endpoint: endpoint.to_string(), status };
        if status == 200 {
            return serde_json::from_slice(&body).map_err(|_| (foreign(), None));
        }
        let refused = Refused::read(status, kind.as_deref(), &body);
        Err((refused.map_or_else(foreign, |refused| CallError::Refused { operation, refused }), asked))
    }
}

/// The certificates of a PEM file.
fn authorities(file: &Path) -> Result<Vec<Certificate>, String> {
    let wrong =
        |reason: String| format!("AWS_CA_BUNDLE, or the profile's ca_bundle, names {}: {reason}", file.display());
    let pem = std::fs::read(file).map_err(|error| wrong(error.to_string()))?;
    let certificates = Certificate::from_pem_bundle(&pem).map_err(|error| wrong(error.to_string()))?;
    if certificates.is_empty() { Err(wrong("it has no certificate".to_owned())) } else { Ok(certificates) }
}

#[cfg(test)]
mod tests {
    use super::super::configuration::Key;
    use super::*;

    #[tokio::test]
    async fn nobody_at_the_address_is_told_soon() {
        let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let client = Client::new(Configuration {
            endpoint: format!("http://{nobody}").parse().unwrap(),
            region: "us-east-1".to_owned(),
            key: Key { id: "id".to_owned(), secret: "hush".into(), token: None },
            s3_endpoint: None,
            ca_bundle: None,
        });
        let client = client.unwrap();
        let request = serde_json::json!({"CollectionId": "people"});
        let outcome = client.call::<serde_json::Value>(Operation::DescribeCollection, &request).await;
        let error = outcome.unwrap_err();
        assert!(matches!(error, CallError::Unanswered { .. }) && error.code().is_none(), "{error:?}");
        assert!(error.to_string().contains(&nobody.to_string()) && !format!("{error:?}").contains("hush"), "{error:?}");
        assert_eq!(client.repeats(), u64::from(ATTEMPTS_AT_FIRST - 1));
    }
}
