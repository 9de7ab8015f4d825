//! From the command line's plain values to what each room takes.

use secrecy::SecretString;

use crate::access::{Access, Keyring, Principal, Rates};
use crate::audit::AuditSettings;
#[cfg(feature = "s3")]
use crate::cli::DEFAULT_REGION;
use crate::cli::{AuditLogSettings, Auth, S3Settings, Settings, StoreSettings, Switch, TlsSettings};
use crate::domain::limits::{MAX_IMAGE_BYTES, MAX_IMAGE_SIDE, MAX_OBJECT_BYTES, MIN_IMAGE_SIDE};
use crate::operations::Quotas;
use crate::sources::{Folder, S3};
#[cfg(feature = "s3")]
use crate::sources::{S3Server, S3ServerSettings};
use crate::store::{Limits, StorePlace, Vault};
use crate::telemetry::metrics::resident_bytes;
use crate::tls;
use crate::vision::{Formats, ImageLimits};

#[cfg(feature = "client")]
mod client;

/// What decoding takes at its worst: a PNG of 16 bits, or a progressive CMYK JPEG.
const BYTES_A_PIXEL: u64 = 11;

impl StoreSettings {
    /// Where the store is, and the keys of its vectors. Fails when these cannot be read.
    pub fn place(&self) -> Result<StorePlace, String> {
        let (data_dir, database_url) = (self.data_dir.clone(), self.database_url.clone());
        Ok(StorePlace { data_dir, database_url, vault: self.vault()? })
    }

    fn vault(&self) -> Result<Vault, String> {
        let (text, place) = match (&self.vector_keys, &self.vector_key) {
            (Some(file), _) => {
                let text = std::fs::read_to_string(file).map(SecretString::from);
                let text =
                    text.map_err(|error| format!("cannot read the keys of vectors {}: {error}", file.display()))?;
                (text, file.display().to_string())
            }
            (None, Some(text)) => (text.clone(), "REKOLLECT_VECTOR_KEY".to_owned()),
            (None, None) => return Ok(Vault::default()),
        };
        let vault = Vault::of(&text).map_err(|error| format!("cannot read the keys of vectors in {place}: {error}"))?;
        // Somebody means to encrypt.
        vault.key().is_some().then_some(vault).ok_or_else(|| format!("{place} has no key of vectors"))
    }
}

impl TlsSettings {
    /// The files, where TLS is wanted.
    pub fn files(&self) -> Option<tls::Files> {
        let (certificate, key) = self.tls_certificate.clone().zip(self.tls_key.clone())?;
        Some(tls::Files { certificate, key, client_ca: self.tls_client_ca.clone() })
    }
}

impl AuditLogSettings {
    /// Where the lines go, where any are wanted.
    pub fn wanted(&self) -> Option<AuditSettings> {
        Some(AuditSettings {
            place: self.audit_log.clone()?,
            most_bytes: Some(self.audit_log_size).filter(|most| *most > 0),
            most_files: self.audit_log_files.map(|most| most as usize),
            key: self.audit_key.clone(),
        })
    }
}

impl S3Settings {
    /// Opens the folder, or prepares the client; asks no server yet.
    pub fn open(&self) -> Result<S3, String> {
        if let Some(path) = &self.s3_dir {
            let folder =
                Folder::open(path).map_err(|error| format!("cannot open the S3 folder {}: {error}", path.display()))?;
            return Ok(S3::Folder(folder));
        }
        if self.s3_endpoint.is_none() && self.s3_region.is_none() {
            return Ok(S3::Nowhere);
        }
        self.server()
    }

    #[cfg(not(feature = "s3"))]
    fn server(&self) -> Result<S3, String> {
        Err(built_without("s3", "an S3 server (--s3-endpoint, --s3-region)"))
    }

    #[cfg(feature = "s3")]
    fn server(&self) -> Result<S3, String> {
        let settings = S3ServerSettings {
            endpoint: self.s3_endpoint.clone(),
            region: self.s3_region.clone().unwrap_or_else(|| DEFAULT_REGION.to_owned()),
            style: self.s3_style,
            key: self.s3_access_key_id.clone().zip(self.s3_secret_access_key.clone()),
            token: self.s3_session_token.clone(),
            limit: self.s3_timeout,
        };
        S3Server::new(settings)
            .map(|server| S3::Server(Box::new(server)))
            .map_err(|error| format!("cannot prepare the S3 client: {error}"))
    }
}

impl Settings {
    /// Whether browsers find the console.
    pub fn has_console(&self) -> Result<bool, String> {
        match self.console {
            Some(Switch::On) if !cfg!(feature = "console") => Err(built_without("console", "--console on")),
            console => Ok(console.map_or(self.listen.ip().is_loopback(), |console| console == Switch::On)),
        }
    }

    /// Where traces go, if anywhere.
    pub fn collector(&self) -> Result<Option<&str>, String> {
        match self.otlp_endpoint.as_deref().filter(|place| !place.is_empty()) {
            Some(_) if !cfg!(feature = "otlp") => Err(built_without("otlp", "--otlp-endpoint")),
            collector => Ok(collector),
        }
    }

    /// How the store uses the database.
    pub fn database_limits(&self) -> Limits {
        let (connections, wait) = (self.database_connections, self.database_wait);
        Limits { connections, wait, statement: self.database_timeout }
    }

    /// What vectors may take of `max_memory` beside a server of so many workers that is ready, in bytes. Fails when that is nothing.
    pub fn gallery_bytes(&self, workers: usize) -> Result<Option<usize>, String> {
        let Some(most) = self.max_memory else { return Ok(None) };
        let has_s3 = self.s3.s3_dir.is_some() || self.s3.s3_endpoint.is_some() || self.s3.s3_region.is_some();
        let image = if has_s3 { MAX_OBJECT_BYTES } else { MAX_IMAGE_BYTES as u64 };
        // CompareFaces has two images.
        let waiting = u64::from(self.max_bodies) + u64::from(self.max_replies);
        let requests = u64::from(self.max_requests) * 2 * image + waiting;
        let decoding = workers as u64 * self.max_pixels * BYTES_A_PIXEL;
        let server = resident_bytes().unwrap_or(0.0) as u64;
        let left = most.saturating_sub(server + requests + decoding);
        if left == 0 {
            return Err(format!(
                "--max-memory (REKOLLECT_MAX_MEMORY) leaves nothing for the vectors of collections: the server has {} MiB, requests can take {} MiB \
                 (--max-requests, --max-bodies, --max-replies), and decoded images {} MiB (--workers, --max-pixels); raise it, or lower one of those",
                server >> 20,
                requests >> 20,
                decoding >> 20
            ));
        }
        tracing::info!(
            vectors_mib = left >> 20,
            requests_mib = requests >> 20,
            decoding_mib = decoding >> 20,
            server_mib = server >> 20,
            "memory"
        );
        Ok(Some(usize::try_from(left).unwrap_or(usize::MAX)))
    }

    /// How much an account may have.
    pub fn quotas(&self) -> Quotas {
        Quotas { collections: self.max_collections, faces: self.max_faces, users: self.max_users }
    }

    /// The gate. Fails when it would be open by accident, or when its keys cannot be read.
    pub fn access(&self) -> Result<Access, String> {
        let rates = Rates::new(&self.rates);
        let keyring = match (&self.credentials, &self.access_key_id, &self.secret_access_key) {
            (Some(file), _, _) => Some(Keyring::read(file).map_err(|error| format!("credentials: {error}"))?),
            (None, Some(id), Some(secret)) => Some(
                Keyring::of_pair(id, secret.clone(), self.account.clone())
                    .map_err(|error| format!("REKOLLECT_ACCESS_KEY_ID: {error}"))?,
            ),
            (None, _, _) => None,
        };
        match (keyring, self.auth) {
            (Some(keyring), None | Some(Auth::Signed)) => {
                Ok(Access::signed(keyring, self.credentials.clone(), self.signed_regions.clone(), rates))
            }
            (None, None | Some(Auth::Open)) if self.listen.ip().is_loopback() || self.auth.is_some() => {
                Ok(Access::open(Principal::unrestricted("anybody", self.account.clone()), rates))
            }
            (Some(_), Some(Auth::Open)) => {
                Err("REKOLLECT_AUTH=open checks no signatures, and keys are configured: take one of them away"
                    .to_owned())
            }
            (None, Some(Auth::Signed)) => {
                Err("REKOLLECT_AUTH=signed needs keys: name a file of them with REKOLLECT_CREDENTIALS \
                 (--credentials), or one pair with REKOLLECT_ACCESS_KEY_ID and REKOLLECT_SECRET_ACCESS_KEY"
                    .to_owned())
            }
            (None, _) => Err(format!(
                "{} is not a loopback address and no keys are configured: everybody who reaches it could read and delete faces; \
                 configure keys (REKOLLECT_CREDENTIALS, or REKOLLECT_ACCESS_KEY_ID and REKOLLECT_SECRET_ACCESS_KEY), or, if that is \
                 what you want, say so with REKOLLECT_AUTH=open (--auth open)",
                self.listen
            )),
        }
    }

    /// What an image may be and measure: the service's own limits on sides, the operator's on formats and pixels.
    pub fn image_limits(&self) -> ImageLimits {
        let formats = Formats::of(&self.image_formats);
        ImageLimits { formats, min_side: MIN_IMAGE_SIDE, max_side: MAX_IMAGE_SIDE, max_pixels: self.max_pixels }
    }
}

/// What is asked for, and is not in this program.
fn built_without(feature: &str, asked_for: &str) -> String {
    format!("{asked_for} needs a program that was built with the feature `{feature}`, and this one was not")
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::cli::{Cli, Command};

    fn settings(args: &[&str]) -> Settings {
        let cli = Cli::try_parse_from(["rekollect", "serve"].iter().chain(args)).unwrap();
        let Command::Serve(settings) = cli.command else { panic!("serve") };
        *settings
    }

    #[test]
    fn other_addresses_than_loopback_need_open_in_so_many_words() {
        let access = |args: &[&str]| settings(args).access();
        assert!(!access(&["--listen", "127.0.0.1:0"]).unwrap().is_signed());
        assert!(access(&["--listen", "[::1]:0"]).is_ok());
        assert!(access(&["--listen", "0.0.0.0:7350"]).err().unwrap().contains("REKOLLECT_AUTH=open"));
        assert!(!access(&["--listen", "0.0.0.0:7350", "--auth", "open"]).unwrap().is_signed());
    }

    #[test]
    fn a_key_means_that_signatures_are_checked() {
        let pair = ["--access-key-id", "AKIA", "--secret-access-key", "hush"];
        let access = |args: &[&str]| settings(&[&pair, args].concat()).access();
        assert!(access(&["--listen", "0.0.0.0:7350"]).unwrap().is_signed());
        assert!(access(&["--auth", "signed"]).unwrap().is_signed());
        assert!(access(&["--auth", "open"]).is_err());
        assert!(settings(&["--auth", "signed"]).access().is_err());
        assert!(settings(&["--credentials", "/nonexistent"]).access().err().unwrap().contains("/nonexistent"));
        assert!(Cli::try_parse_from(["rekollect", "serve", "--access-key-id", "AKIA"]).is_err());
        assert!(!format!("{:?}", settings(&pair)).contains("hush"));
    }

    #[test]
    fn what_is_not_built_in_is_refused_by_the_name_of_its_feature() {
        let says = |outcome: Option<String>, feature, is_built_in: bool| match outcome {
            None => assert!(is_built_in, "{feature}"),
            Some(error) => assert!(!is_built_in && error.contains(&format!("feature `{feature}`")), "{error}"),
        };
        // The client's TLS wants it.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let all =
            ["--console", "on", "--otlp-endpoint", "http://127.0.0.1:4318", "--s3-endpoint", "http://127.0.0.1:9000"];
        let all = settings(&all);
        says(all.has_console().err(), "console", cfg!(feature = "console"));
        says(all.collector().err(), "otlp", cfg!(feature = "otlp"));
        says(all.s3.open().err(), "s3", cfg!(feature = "s3"));
        let plain = settings(&[]);
        assert!(plain.has_console().unwrap() && plain.collector().unwrap().is_none() && plain.s3.open().is_ok());
    }
}
