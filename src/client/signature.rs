//! Signature Version 4 on a request, by `aws-sigv4`.

use std::time::SystemTime;

use aws_credential_types::Credentials;
use aws_sigv4::http_request::{SignableBody, SignableRequest, SigningSettings, sign};
use aws_sigv4::sign::v4;
use secrecy::ExposeSecret;

use super::configuration::Key;

/// The service's name in the scope of a signature.
const SERVICE: &str = "rekognition";

/// The headers that sign a POST of this body to this URL. `headers` are covered by the signature as well.
pub fn sign_post(
    key: &Key,
    region: &str,
    url: &str,
    headers: &[(&'static str, &str)],
    body: &[u8],
    now: SystemTime,
) -> Result<Vec<(&'static str, String)>, Box<dyn std::error::Error + Send + Sync>> {
    let token = key.token.as_ref().map(|token| token.expose_secret().to_owned());
    let identity = Credentials::new(&key.id, key.secret.expose_secret(), token, None, "rekollect").into();
    let params = v4::SigningParams::builder()
        .identity(&identity)
        .region(region)
        .name(SERVICE)
        .time(now)
        .settings(SigningSettings::default())
        .build()?
        .into();
    let request = SignableRequest::new("POST", url, headers.iter().copied(), SignableBody::Bytes(body))?;
    let (instructions, _) = sign(request, &params)?.into_parts();
    let (headers, _) = instructions.into_parts();
    Ok(headers.iter().map(|header| (header.name(), header.value().to_owned())).collect())
}
