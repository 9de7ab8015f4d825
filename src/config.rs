//! Every setting of the server, each a flag and a variable.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use axum::http::HeaderValue;
use clap::{Args, Parser, Subcommand, ValueEnum, value_parser};
use clap_complete::Shell;

use secrecy::SecretString;

use crate::access::{Access, Keyring, Principal, RateSettings, Rates};
use crate::domain::{AccountId, CollectionId};
use crate::operations::Quotas;
use crate::sources::{Folder, S3, Server, ServerSettings, Style};
use crate::vision::ImageLimits;

const DEFAULT_REGION: &str = "us-east-1";

/// The command line.
#[derive(Debug, Parser)]
#[command(
    name = "rekollect",
    version,
    about = "A self-hosted face-collection service that speaks the Amazon Rekognition protocol"
)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What the program can do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Serve the API.
    #[command(args_override_self = true)]
    Serve(Box<Settings>),
    /// List the model packs with origin and licence, and check their files.
    Models(ModelsDir),
    /// Write collections with faces, vectors and users as JSON Lines: a backup, or the way to another store.
    Export(ExportSettings),
    /// Read what `export` wrote into a store; what it has already stays as it is.
    Import(ImportSettings),
    /// Print the completions of a shell.
    Completions {
        /// Whose.
        shell: Shell,
    },
    /// Print the manual page, as roff.
    Man,
    /// Ask a running server whether it is ready; exit with 0 if it is (for container health checks).
    Healthcheck {
        /// Where it listens; the loopback address stands in for "every address".
        #[arg(long, env = "REKOLLECT_LISTEN", default_value = "127.0.0.1:7350", value_parser = address)]
        listen: SocketAddr,
    },
}

/// Where the weights are.
#[derive(Clone, Debug, Args)]
pub struct ModelsDir {
    /// Folder with manifest.toml, the weights and runtime/ that models/setup.py fills.
    #[arg(long, env = "REKOLLECT_MODELS_DIR", default_value = "./models")]
    pub models_dir: PathBuf,
}

/// Where collections are kept.
#[derive(Clone, Debug, Args)]
pub struct StorePlace {
    /// Folder for the SQLite file; made if it does not exist.
    #[arg(long, env = "REKOLLECT_DATA_DIR", default_value = "./data")]
    pub data_dir: PathBuf,
    /// Where collections are kept: `postgres://user:password@host/database` (the password percent-encoded); without it, a SQLite file in the data folder.
    #[arg(long, env = "DATABASE_URL", hide_env_values = true)]
    pub database_url: Option<String>,
}

/// What `rekollect export` writes.
#[derive(Clone, Debug, Args)]
pub struct ExportSettings {
    /// File to write, or `-` for standard output. A file that is not whole yet is called FILE.part, and is continued by the next export to FILE.
    pub file: PathBuf,
    /// Only this collection; may be given several times.
    #[arg(long = "collection", value_name = "ID", value_parser = collection)]
    pub collections: Vec<CollectionId>,
    /// Only the collections of this account.
    #[arg(long)]
    pub account: Option<AccountId>,
    /// From where.
    #[command(flatten)]
    pub place: StorePlace,
}

/// What `rekollect import` reads.
#[derive(Clone, Debug, Args)]
pub struct ImportSettings {
    /// File to read, or `-` for standard input. A file is checked as a whole before anything of it is stored.
    pub file: PathBuf,
    /// Into where.
    #[command(flatten)]
    pub place: StorePlace,
}

/// Settings of `rekollect serve`.
#[derive(Clone, Debug, Args)]
pub struct Settings {
    /// Address and port to listen on; port 0 takes a free one and prints it.
    #[arg(long, env = "REKOLLECT_LISTEN", default_value = "127.0.0.1:7350", value_parser = address)]
    pub listen: SocketAddr,
    /// Who may call. Without it: whoever signs with a configured key; with no key configured, every program on this machine.
    #[arg(long, env = "REKOLLECT_AUTH", value_enum)]
    pub auth: Option<Auth>,
    /// TOML file of principals with their keys and policies; SIGHUP has it read anew.
    #[arg(long, env = "REKOLLECT_CREDENTIALS", value_name = "FILE", conflicts_with = "access_key_id")]
    pub credentials: Option<PathBuf>,
    /// The one key of a server without a file; may do everything. Its secret half belongs into the environment.
    #[arg(long, env = "REKOLLECT_ACCESS_KEY_ID", requires = "secret_access_key")]
    pub access_key_id: Option<String>,
    /// The secret half of that key.
    #[arg(long, env = "REKOLLECT_SECRET_ACCESS_KEY", hide_env_values = true, requires = "access_key_id", value_parser = secret)]
    pub secret_access_key: Option<SecretString>,
    /// Regions that signatures may be for, separated by commas; without it, every region.
    #[arg(long, env = "REKOLLECT_SIGNED_REGIONS", value_delimiter = ',', value_parser = region)]
    pub signed_regions: Vec<String>,
    /// Calls a second of each account, by operation, such as `IndexFaces=5,*=50`; beyond, callers get ProvisionedThroughputExceededException.
    #[arg(long, env = "REKOLLECT_RATES", default_value = "")]
    pub rates: RateSettings,
    /// Collections of an account.
    #[arg(long, env = "REKOLLECT_MAX_COLLECTIONS", default_value = "100000", value_parser = value_parser!(u32).range(1..))]
    pub max_collections: u32,
    /// Faces of a collection.
    #[arg(long, env = "REKOLLECT_MAX_FACES", default_value = "20000000", value_parser = value_parser!(u32).range(1..))]
    pub max_faces: u32,
    /// Users of a collection.
    #[arg(long, env = "REKOLLECT_MAX_USERS", default_value = "10000000", value_parser = value_parser!(u32).range(1..))]
    pub max_users: u32,
    /// Where the objects of S3Object are.
    #[command(flatten)]
    pub s3: S3Settings,
    /// Web pages whose scripts may call, by origin, separated by commas, such as `https://photos.example`; `*` for all.
    #[arg(long, env = "REKOLLECT_CORS_ORIGINS", value_delimiter = ',', value_parser = origin)]
    pub cors_origins: Vec<HeaderValue>,
    /// Offer the resource /_faults, whose rules make chosen calls slow or fail: for a client's integration tests.
    #[arg(long, env = "REKOLLECT_ENABLE_FAULTS")]
    pub enable_faults: bool,
    /// Where collections are kept.
    #[command(flatten)]
    pub place: StorePlace,
    /// Connections to the database.
    #[arg(long, env = "REKOLLECT_DATABASE_CONNECTIONS", default_value = "8", value_parser = value_parser!(u32).range(1..=1000))]
    pub database_connections: u32,
    /// Folder of the weights.
    #[command(flatten)]
    pub models: ModelsDir,
    /// Another build of the ONNX Runtime library than the one in the models folder.
    #[arg(long, env = "REKOLLECT_ONNXRUNTIME")]
    pub onnxruntime: Option<PathBuf>,
    /// Model pack; without it, the manifest's default.
    #[arg(long, env = "REKOLLECT_PACK")]
    pub pack: Option<String>,
    /// Where the nearest faces are found: in this server's memory, exactly; or by pgvector in Postgres, nearly so, for more faces than memory holds.
    #[arg(long, env = "REKOLLECT_SEARCH", value_enum, default_value_t = SearchSetting::Memory)]
    pub search: SearchSetting,
    /// What becomes of an image whose Exif declares no orientation: it is estimated, as the service did until 2021, or never turned, as today.
    #[arg(long, env = "REKOLLECT_ORIENTATION", value_enum, default_value_t = OrientationSetting::Estimate)]
    pub orientation: OrientationSetting,
    /// The project's own net for beard, mustache, glasses, smile, mouth and gender, trained on CelebA (non-commercial research data); `off`: plainer means.
    #[arg(long, env = "REKOLLECT_ATTRIBUTE_MODEL", value_enum, default_value_t = Switch::On)]
    pub attribute_model: Switch,
    /// Region in the ARNs of replies.
    #[arg(long, env = "REKOLLECT_REGION", default_value = DEFAULT_REGION, value_parser = region)]
    pub region: String,
    /// Account that owns the collections, where no credentials file says so: twelve digits.
    #[arg(long, env = "REKOLLECT_ACCOUNT", default_value = "000000000000")]
    pub account: AccountId,
    /// Whether anybody who reaches the server may read /metrics; without it, `off` where signatures are checked and `on` elsewhere.
    #[arg(long, env = "REKOLLECT_METRICS", value_enum)]
    pub metrics: Option<Switch>,
    /// Collector of OpenTelemetry's that spans of every request are sent to by OTLP over HTTP, such as http://127.0.0.1:4318; without it, none.
    #[arg(long, env = "OTEL_EXPORTER_OTLP_ENDPOINT", value_parser = collector)]
    pub otlp_endpoint: Option<String>,
    /// Whether browsers find the console at /console/; without it, `on` where nobody but this machine can reach it.
    #[arg(long, env = "REKOLLECT_CONSOLE", value_enum)]
    pub console: Option<Switch>,
    /// How log lines look.
    #[arg(long, env = "REKOLLECT_LOG_FORMAT", value_enum, default_value_t = LogFormat::Text)]
    pub log_format: LogFormat,
    /// Vision workers, one thread and one set of models each; without it, one a core.
    #[arg(long, env = "REKOLLECT_WORKERS", value_parser = value_parser!(u32).range(1..=256))]
    pub workers: Option<u32>,
    /// Images that may wait for a worker; beyond, callers get the throttling error at once.
    #[arg(long, env = "REKOLLECT_QUEUE", default_value = "64", value_parser = value_parser!(u32).range(1..=65_536))]
    pub queue: u32,
    /// Requests in progress, whatever they wait for; beyond, callers get the throttling error at once.
    #[arg(long, env = "REKOLLECT_MAX_REQUESTS", default_value = "256", value_parser = value_parser!(u32).range(1..=65_536))]
    pub max_requests: u32,
    /// Open connections; further ones wait to be accepted.
    #[arg(long, env = "REKOLLECT_MAX_CONNECTIONS", default_value = "4096", value_parser = value_parser!(u32).range(1..=65_536))]
    pub max_connections: u32,
    /// Seconds for a request's head to arrive, and for an idle connection to stay open.
    #[arg(long, env = "REKOLLECT_HEADER_TIMEOUT", default_value = "20", value_parser = seconds_from_one)]
    pub header_timeout: Duration,
    /// Largest request body in bytes (a 5 MiB image is 6.7 MiB of base64).
    #[arg(long, env = "REKOLLECT_MAX_BODY", default_value = "16777216", value_parser = value_parser!(u32).range(1..))]
    pub max_body: u32,
    /// Bytes of all bodies that have arrived and are not parsed yet; beyond, callers get the throttling error.
    #[arg(long, env = "REKOLLECT_MAX_BODIES", default_value = "268435456", value_parser = value_parser!(u32).range(1..))]
    pub max_bodies: u32,
    /// Seconds within which a request's body has to arrive.
    #[arg(long, env = "REKOLLECT_BODY_TIMEOUT", default_value = "60", value_parser = seconds_from_one)]
    pub body_timeout: Duration,
    /// Most pixels of an image that is decoded; bounds the memory of a worker: about 3 bytes a pixel, 11 for a 16-bit PNG.
    #[arg(long, env = "REKOLLECT_MAX_PIXELS", default_value = "100000000", value_parser = value_parser!(u64).range(6400..))]
    pub max_pixels: u64,
    /// Seconds that requests in progress get to finish after SIGTERM or SIGINT.
    #[arg(long, env = "REKOLLECT_SHUTDOWN_TIMEOUT", default_value = "30", value_parser = seconds)]
    pub shutdown_timeout: Duration,
}

/// Where the objects of `S3Object` are: nowhere, unless a server, a region of the cloud or a folder is named.
#[derive(Clone, Debug, Args)]
pub struct S3Settings {
    /// URL of a server that speaks S3, such as http://127.0.0.1:9000; without it but with a region, the cloud's own.
    #[arg(long, env = "REKOLLECT_S3_ENDPOINT", value_parser = endpoint)]
    pub s3_endpoint: Option<String>,
    /// Region of the S3 server.
    #[arg(long, env = "REKOLLECT_S3_REGION", value_parser = region)]
    pub s3_region: Option<String>,
    /// Whether a bucket is in the path of its address or in its host.
    #[arg(long, env = "REKOLLECT_S3_STYLE", value_enum, default_value_t = Style::Path)]
    pub s3_style: Style,
    /// Key for the S3 server; without one, what the machine's role gives (web identity, container, instance).
    #[arg(long, env = "REKOLLECT_S3_ACCESS_KEY_ID", requires = "s3_secret_access_key")]
    pub s3_access_key_id: Option<String>,
    /// The secret half of that key.
    #[arg(long, env = "REKOLLECT_S3_SECRET_ACCESS_KEY", hide_env_values = true, requires = "s3_access_key_id", value_parser = secret)]
    pub s3_secret_access_key: Option<SecretString>,
    /// The token of a temporary key.
    #[arg(long, env = "REKOLLECT_S3_SESSION_TOKEN", hide_env_values = true, requires = "s3_access_key_id", value_parser = secret)]
    pub s3_session_token: Option<SecretString>,
    /// Folder that stands in for S3: one sub-folder a bucket.
    #[arg(long, env = "REKOLLECT_S3_DIR", conflicts_with_all = ["s3_endpoint", "s3_region"])]
    pub s3_dir: Option<PathBuf>,
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
        let settings = ServerSettings {
            endpoint: self.s3_endpoint.clone(),
            region: self.s3_region.clone().unwrap_or_else(|| DEFAULT_REGION.to_owned()),
            style: self.s3_style,
            key: self.s3_access_key_id.clone().zip(self.s3_secret_access_key.clone()),
            token: self.s3_session_token.clone(),
        };
        Server::new(settings)
            .map(|server| S3::Server(Box::new(server)))
            .map_err(|error| format!("cannot prepare the S3 client: {error}"))
    }
}

impl Settings {
    /// Whether browsers find the console.
    pub fn has_console(&self) -> bool {
        self.console.map_or(self.listen.ip().is_loopback(), |console| console == Switch::On)
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

    /// What an image may measure: the service's own limits on sides, the operator's on pixels.
    pub fn image_limits(&self) -> ImageLimits {
        ImageLimits { min_side: 80, max_side: 10_000, max_pixels: self.max_pixels }
    }
}

/// Who may call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Auth {
    /// Whoever signs with a configured key.
    Signed,
    /// Everybody who reaches the address.
    Open,
}

/// What becomes of an image whose Exif declares no orientation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum OrientationSetting {
    /// OrientationCorrection is estimated, and the faces are read upright.
    Estimate,
    /// OrientationCorrection is null.
    Null,
}

/// On or off.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Switch {
    /// On.
    On,
    /// Off.
    Off,
}

/// Where the nearest faces are found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum SearchSetting {
    /// In the server's memory.
    Memory,
    /// In Postgres.
    Pgvector,
}

/// How log lines look.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

fn seconds(text: &str) -> Result<Duration, String> {
    let seconds = text.parse().ok().filter(|seconds| (0..=3600).contains(seconds));
    seconds.map(Duration::from_secs).ok_or_else(|| "a whole number of seconds, 3600 at most".to_owned())
}

fn seconds_from_one(text: &str) -> Result<Duration, String> {
    seconds(text).and_then(|time| if time.is_zero() { Err("at least one second".to_owned()) } else { Ok(time) })
}

fn address(text: &str) -> Result<SocketAddr, String> {
    text.parse().map_err(|_| "an IP address and a port, such as 127.0.0.1:7350".to_owned())
}

fn secret(text: &str) -> Result<SecretString, Infallible> {
    Ok(text.into())
}

fn endpoint(text: &str) -> Result<String, String> {
    let host = text.strip_prefix("http://").or_else(|| text.strip_prefix("https://"));
    match host.map(|host| host.trim_end_matches('/')) {
        Some(host) if !host.is_empty() && !host.contains(['/', '?', '#', '@']) => {
            Ok(text.trim_end_matches('/').to_owned())
        }
        _ => Err("a URL of scheme, host and port alone, such as http://127.0.0.1:9000".to_owned()),
    }
}

fn collector(text: &str) -> Result<String, String> {
    let place = text.strip_prefix("http://").or_else(|| text.strip_prefix("https://"));
    match place {
        // As the specification of the variable has it.
        None if text.is_empty() => Ok(String::new()),
        Some(place) if !place.is_empty() && !place.starts_with('/') && !place.contains(['?', '#', '@']) => {
            Ok(text.trim_end_matches('/').to_owned())
        }
        _ => Err("a URL of scheme, host, port and perhaps a path, such as http://127.0.0.1:4318".to_owned()),
    }
}

fn origin(text: &str) -> Result<HeaderValue, String> {
    let host = text.strip_prefix("http://").or_else(|| text.strip_prefix("https://"));
    let valid = text == "*" || host.is_some_and(|host| !host.is_empty() && !host.contains('/'));
    let value = HeaderValue::from_str(text).ok().filter(|_| valid);
    value.ok_or_else(|| {
        "an origin is a scheme, a host and, unless it is the scheme's own, a port: https://photos.example".to_owned()
    })
}

fn collection(text: &str) -> Result<CollectionId, String> {
    let id = CollectionId::try_from(text.to_owned());
    id.map_err(|_| "a collection's name has 1 to 255 letters, digits, dots, hyphens and underscores".to_owned())
}

fn region(text: &str) -> Result<String, String> {
    let valid = !text.is_empty() && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
    if valid { Ok(text.to_owned()) } else { Err("a region is made of a-z, 0-9 and -, such as us-east-1".to_owned()) }
}

#[cfg(test)]
mod tests {
    use super::*;

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
    fn values_that_no_server_could_work_with_are_refused() {
        for bad in [
            ["--listen", "localhost"],
            ["--header-timeout", "0"],
            ["--body-timeout", "18446744073709551615"],
            ["--max-pixels", "0"],
            ["--region", "Foo bar"],
            ["--workers", "100000"],
            ["--queue", "0"],
            ["--rates", "IndexFaces"],
            ["--cors-origins", "photos.example"],
            ["--s3-endpoint", "s3:9000"],
            ["--otlp-endpoint", "127.0.0.1:4318"],
            ["--otlp-endpoint", "http:///v1"],
            ["--s3-endpoint", "http://s3:9000/bucket"],
        ] {
            assert!(Cli::try_parse_from(["rekollect", "serve"].iter().chain(&bad)).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn accounts_have_twelve_digits() {
        assert!(Cli::try_parse_from(["rekollect", "serve", "--account", "12"]).is_err());
        assert_eq!(settings(&["--account", "123456789012"]).account.as_str(), "123456789012");
    }

    #[test]
    fn the_command_line_is_consistent() {
        <Cli as clap::CommandFactory>::command().debug_assert();
    }
}
