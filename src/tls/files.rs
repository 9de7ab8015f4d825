//! From files to what TLS works with, and what is wrong with them.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::{fs, io};

use rustls::crypto::ring;
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, UnixTime};
use rustls::server::WebPkiClientVerifier;
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::{RootCertStore, ServerConfig};
use secrecy::{ExposeSecret, SecretString};
use sha2::{Digest, Sha256};
use time::OffsetDateTime;

use super::own::OursOrTheirs;

const CERTIFICATE: &str = "--tls-certificate (REKOLLECT_TLS_CERTIFICATE)";
const KEY: &str = "--tls-key (REKOLLECT_TLS_KEY)";
const CLIENT_CA: &str = "--tls-client-ca (REKOLLECT_TLS_CLIENT_CA)";

/// What is spoken within TLS.
const PROTOCOL: &[u8] = b"http/1.1";

/// Where the certificates and the key are.
#[derive(Clone, Debug)]
pub struct Files {
    /// The server's certificate, and after it those between it and a root.
    pub certificate: PathBuf,
    /// Its private key.
    pub key: PathBuf,
    /// The CAs of client certificates, where those are required.
    pub client_ca: Option<PathBuf>,
}

/// What the files held at one time, as text.
pub struct Contents {
    certificate: String,
    key: SecretString,
    client_ca: Option<String>,
}

/// What the server serves with.
pub struct Credentials {
    /// For handshakes.
    pub config: Arc<ServerConfig>,
    /// When the first of its certificates ends.
    pub expires: OffsetDateTime,
    /// Of the contents that it was made of.
    pub digest: [u8; 32],
}

impl Files {
    /// What they hold now.
    pub fn read(&self) -> Result<Contents, String> {
        Ok(Contents {
            certificate: text(CERTIFICATE, &self.certificate)?,
            key: text(KEY, &self.key)?.into(),
            client_ca: self.client_ca.as_deref().map(|path| text(CLIENT_CA, path)).transpose()?,
        })
    }
}

fn text(setting: &str, path: &Path) -> Result<String, String> {
    let read = fs::read(path).and_then(|bytes| {
        String::from_utf8(bytes).map_err(|_| io::Error::new(io::ErrorKind::InvalidData, "it is not in PEM form"))
    });
    read.map_err(|error| format!("{setting}: cannot read {}: {error}", path.display()))
}

impl Contents {
    /// Tells one state of the files from another.
    pub fn digest(&self) -> [u8; 32] {
        let mut digest = Sha256::new();
        for text in [Some(self.certificate.as_str()), Some(self.key.expose_secret()), self.client_ca.as_deref()] {
            let text = text.unwrap_or_default();
            digest.update((text.len() as u64).to_be_bytes());
            digest.update(text);
        }
        digest.finalize().into()
    }

    /// The certificate with its key. `files` names them in errors.
    pub fn pair(&self, files: &Files) -> Result<CertifiedKey, String> {
        let chain = certificates(CERTIFICATE, &files.certificate, &self.certificate)?;
        let key = PrivateKeyDer::from_pem_slice(self.key.expose_secret().as_bytes()).map_err(|error| match error {
            pem::Error::NoItemsFound => wrong(KEY, &files.key, "has no private key, or one behind a password"),
            error => wrong(KEY, &files.key, &format!("cannot be understood: {error}")),
        })?;
        CertifiedKey::from_der(chain, key, &ring::default_provider()).map_err(|error| match error {
            rustls::Error::InconsistentKeys(_) => {
                wrong(KEY, &files.key, &format!("is not the key of the certificate in {}", files.certificate.display()))
            }
            rustls::Error::InvalidCertificate(error) => {
                wrong(CERTIFICATE, &files.certificate, &format!("cannot be used: {error}"))
            }
            error => wrong(KEY, &files.key, &format!("cannot be used: {error}")),
        })
    }

    /// What the server serves with, if it can be served today.
    pub fn credentials(&self, files: &Files) -> Result<Credentials, String> {
        let pair = self.pair(files)?;
        let now = OffsetDateTime::now_utc();
        let mut expires = None;
        for certificate in &pair.cert {
            let (begin, end) = validity(certificate)
                .ok_or_else(|| wrong(CERTIFICATE, &files.certificate, "has a certificate without a time"))?;
            if end < now {
                return Err(wrong(
                    CERTIFICATE,
                    &files.certificate,
                    &format!("has a certificate that expired at {end}: clients refuse it"),
                ));
            }
            if begin > now {
                return Err(wrong(
                    CERTIFICATE,
                    &files.certificate,
                    &format!("has a certificate that is not valid before {begin}: clients refuse it"),
                ));
            }
            expires = Some(expires.map_or(end, |first| end.min(first)));
        }
        let expires = expires.ok_or_else(|| wrong(CERTIFICATE, &files.certificate, "has no certificate"))?;
        let provider = Arc::new(ring::default_provider());
        let builder = ServerConfig::builder_with_provider(provider.clone())
            .with_safe_default_protocol_versions()
            .map_err(|error| error.to_string())?;
        let builder = match files.client_ca.as_deref().zip(self.client_ca.as_deref()) {
            None => builder.with_no_client_auth(),
            Some((path, text)) => {
                let mut roots = RootCertStore::empty();
                for certificate in certificates(CLIENT_CA, path, text)? {
                    roots
                        .add(certificate)
                        .map_err(|error| wrong(CLIENT_CA, path, &format!("cannot be used: {error}")))?;
                }
                let theirs = WebPkiClientVerifier::builder_with_provider(roots.into(), provider).build();
                let theirs = theirs.map_err(|error| wrong(CLIENT_CA, path, &format!("cannot be used: {error}")))?;
                builder.with_client_cert_verifier(Arc::new(OursOrTheirs { ours: pair.cert[0].clone(), theirs }))
            }
        };
        let mut config = builder.with_cert_resolver(Arc::new(SingleCertAndKey::from(pair)));
        config.alpn_protocols = vec![PROTOCOL.to_vec()];
        Ok(Credentials { config: Arc::new(config), expires, digest: self.digest() })
    }
}

fn certificates(setting: &str, path: &Path, text: &str) -> Result<Vec<CertificateDer<'static>>, String> {
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(text.as_bytes()).collect();
    let found = found.map_err(|error| wrong(setting, path, &format!("cannot be understood: {error}")))?;
    if found.is_empty() { Err(wrong(setting, path, "has no certificate")) } else { Ok(found) }
}

fn wrong(setting: &str, path: &Path, what: &str) -> String {
    format!("{setting}: {} {what}", path.display())
}

/// From when to when a certificate is valid. The library tells it to those who ask at a wrong time.
fn validity(certificate: &CertificateDer<'_>) -> Option<(OffsetDateTime, OffsetDateTime)> {
    let certificate = webpki::EndEntityCert::try_from(certificate).ok()?;
    let asked_at = |seconds| {
        let time = UnixTime::since_unix_epoch(std::time::Duration::from_secs(seconds));
        certificate.verify_for_usage(&[], &[], &[], time, webpki::KeyUsage::server_auth(), None, None).err()
    };
    let instant = |time: UnixTime| OffsetDateTime::from_unix_timestamp(i64::try_from(time.as_secs()).ok()?).ok();
    let Some(webpki::Error::CertExpired { not_after, .. }) = asked_at(u64::MAX) else { return None };
    let begin = match asked_at(0) {
        Some(webpki::Error::CertNotValidYet { not_before, .. }) => instant(not_before)?,
        _ => OffsetDateTime::UNIX_EPOCH,
    };
    Some((begin, instant(not_after)?))
}
