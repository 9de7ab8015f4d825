//! The command line: every setting, each a flag and a variable, as plain values.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use axum::http::HeaderValue;
use clap::{Args, Parser, Subcommand, ValueEnum, value_parser};
use clap_complete::Shell;
use secrecy::SecretString;

use crate::access::RateSettings;
use crate::domain::{AccountId, CollectionId, Preload};
use crate::sources::Style;
use crate::telemetry::{LogFormat, Timing};
use crate::vision::{Format, Provider};

#[cfg(feature = "client")]
mod client;
mod values;

#[cfg(feature = "client")]
pub use client::{ClientSettings, EnrolSettings, EraseSettings, GroupSettings, IdentifySettings, ReindexSettings};

use values::collection;

/// Of the cloud: its oldest.
pub const DEFAULT_REGION: &str = "us-east-1";

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
    Models(ModelsSettings),
    /// Write collections with faces, vectors and users as JSON Lines: a backup, or the way to another store.
    Export(ExportSettings),
    /// Look after the audit log.
    #[command(subcommand)]
    Audit(AuditCommand),
    /// Read what `export` wrote into a store. What the store has already stays as it is.
    Import(ImportSettings),
    /// Encrypt every vector in the database with the first of the keys, or bring it under that key.
    Encrypt(EncryptSettings),
    /// Index the photos of a folder, a manifest or a bucket into a collection, on any endpoint that speaks the protocol.
    #[cfg(feature = "client")]
    Enrol(Box<EnrolSettings>),
    /// Bring a collection's faces into a new one of another model pack, out of their photos, and tell how the two differ.
    #[cfg(feature = "client")]
    Reindex(Box<ReindexSettings>),
    /// Tell who is on photos, every face of each, out of a collection on a server.
    #[cfg(feature = "client")]
    Identify(IdentifySettings),
    /// Erase a person from a collection on a server, which then looks for what is left.
    #[cfg(feature = "client")]
    Erase(EraseSettings),
    /// Group a collection's faces by who may be one person, as lines of JSON.
    #[cfg(feature = "client")]
    Group(GroupSettings),
    /// Print the completions of a shell.
    Completions {
        /// Whose.
        shell: Shell,
    },
    /// Print the manual page, as roff.
    Man,
    /// Ask a running server whether it is ready, and exit with 0 if it is. For health checks of containers.
    Healthcheck {
        /// Where the server listens. If that is every address, the loopback address is asked.
        #[arg(long, env = "REKOLLECT_LISTEN", default_value = "127.0.0.1:7350", value_parser = address)]
        listen: SocketAddr,
        /// As the server was told.
        #[command(flatten)]
        tls: TlsSettings,
    },
}

/// Where the weights are, and what runs them.
#[derive(Clone, Debug, Args)]
pub struct ModelsSettings {
    /// Folder with manifest.toml, the weights and ONNX Runtime. models/setup.py fills it.
    #[arg(long, env = "REKOLLECT_MODELS_DIR", help_heading = heading::VISION, default_value = "./models")]
    pub models_dir: PathBuf,
    /// Another build of the ONNX Runtime library. The default is the one in the models folder.
    #[arg(long, env = "REKOLLECT_ONNXRUNTIME", help_heading = heading::VISION)]
    pub onnxruntime: Option<PathBuf>,
}

/// Where collections are kept.
#[derive(Clone, Debug, Args)]
pub struct StoreSettings {
    /// Folder for the SQLite file. It is made if it does not exist.
    #[arg(long, env = "REKOLLECT_DATA_DIR", help_heading = heading::STORAGE, default_value = "./data")]
    pub data_dir: PathBuf,
    /// Most bytes of gallery files, a cache of vectors in the data folder. Collections of many faces are searched from them: that saves memory, and the time to read the database after a start. 0 is for none.
    #[arg(long, env = "REKOLLECT_GALLERY_FILES", help_heading = heading::STORAGE, default_value = "68719476736")]
    pub gallery_files: u64,
    /// A Postgres to keep everything in: `postgres://user:password@host/database`, with the password percent-encoded. The default is a SQLite file in the data folder.
    #[arg(long, env = "DATABASE_URL", help_heading = heading::STORAGE, hide_env_values = true)]
    pub database_url: Option<String>,
    /// File of keys that encrypt the vectors in the database: 32 bytes at random in base64, one key a line. The first encrypts, the others only open what was encrypted with them. The default is to encrypt nothing.
    #[arg(long, env = "REKOLLECT_VECTOR_KEYS", help_heading = heading::STORAGE)]
    pub vector_keys: Option<PathBuf>,
    /// The same keys themselves, for those who keep secrets in the environment.
    #[arg(long, env = "REKOLLECT_VECTOR_KEY", help_heading = heading::STORAGE, hide_env_values = true, conflicts_with = "vector_keys")]
    pub vector_key: Option<SecretString>,
}

/// What `rekollect export` writes.
#[derive(Clone, Debug, Args)]
pub struct ExportSettings {
    /// File to write, or `-` for standard output. A file that is not whole yet is called FILE.part. The next export to FILE continues it.
    pub file: PathBuf,
    /// Only this collection. Give the flag several times for several collections.
    #[arg(long = "collection", value_name = "ID", value_parser = collection)]
    pub collections: Vec<CollectionId>,
    /// Only the collections of this account.
    #[arg(long)]
    pub account: Option<AccountId>,
    /// From where.
    #[command(flatten)]
    pub store: StoreSettings,
}

/// What `rekollect import` reads.
#[derive(Clone, Debug, Args)]
pub struct ImportSettings {
    /// File to read, or `-` for standard input. A file is checked as a whole before any of it is stored.
    pub file: PathBuf,
    /// Into where.
    #[command(flatten)]
    pub store: StoreSettings,
}

/// What `rekollect encrypt` does.
#[derive(Clone, Debug, Args)]
#[command(
    after_help = "Example:\n  openssl rand -base64 32 > vector.keys\n  rekollect encrypt --vector-keys vector.keys --data-dir ./data"
)]
pub struct EncryptSettings {
    /// Decrypt every vector instead, so that no key is needed any more.
    #[arg(long)]
    pub decrypt: bool,
    /// Where the vectors are.
    #[command(flatten)]
    pub store: StoreSettings,
}

/// What can be done with an audit log.
#[derive(Debug, Subcommand)]
pub enum AuditCommand {
    /// Check that no line of an audit log was changed, removed or moved. The first line that is wrong is named, and the exit code is 1.
    #[command(
        after_help = "Example, for a log of several files:\n  rekollect audit verify --audit-key /etc/rekollect/audit.key audit.jsonl.* audit.jsonl"
    )]
    Verify(VerifySettings),
}

/// What `rekollect audit verify` reads.
#[derive(Clone, Debug, Args)]
pub struct VerifySettings {
    /// The log's files from the oldest to the newest, or `-` for standard input.
    #[arg(required = true)]
    pub files: Vec<PathBuf>,
    /// File with the key that the log was written with, if it was.
    #[arg(long, env = "REKOLLECT_AUDIT_KEY", value_name = "FILE")]
    pub audit_key: Option<PathBuf>,
    /// A hash that was noted before and has to be there. It shows when lines at the end, or a whole log, were replaced.
    #[arg(long, value_name = "HASH")]
    pub contains: Option<String>,
}

/// Headings of the settings, in `--help` and in docs/configuration.md.
mod heading {
    pub const ADDRESS: &str = "Address and browsers";
    pub const TLS: &str = "TLS";
    pub const ACCESS: &str = "Who may call";
    pub const STORAGE: &str = "Storage";
    pub const IMAGES: &str = "Images in S3";
    pub const VISION: &str = "Models and recognition";
    pub const LIMITS: &str = "Limits";
    pub const AUDIT: &str = "Audit log";
    pub const OPERATION: &str = "Logs and metrics";
}

/// Settings of `rekollect serve`.
#[derive(Clone, Debug, Args)]
pub struct Settings {
    /// IP address and port to listen on. Port 0 takes a free port and prints it.
    #[arg(long, env = "REKOLLECT_LISTEN", help_heading = heading::ADDRESS, default_value = "127.0.0.1:7350", value_parser = address)]
    pub listen: SocketAddr,
    /// Whether browsers find the console at /console/. The default is `on` if only this machine can reach the server, else `off`.
    #[arg(long, env = "REKOLLECT_CONSOLE", help_heading = heading::ADDRESS, value_enum)]
    pub console: Option<Switch>,
    /// Web pages whose scripts may call, as origins such as `https://photos.example`, separated by commas. `*` allows every page.
    #[arg(long, env = "REKOLLECT_CORS_ORIGINS", help_heading = heading::ADDRESS, value_delimiter = ',', value_parser = origin)]
    pub cors_origins: Vec<HeaderValue>,
    /// Whether there are operations that Amazon Rekognition does not have, such as `SearchAllFacesByImage`. With `off` they are unknown.
    #[arg(long, env = "REKOLLECT_EXTENSIONS", help_heading = heading::ADDRESS, value_enum, default_value_t = Switch::On)]
    pub extensions: Switch,
    /// Region in the ARNs of replies.
    #[arg(long, env = "REKOLLECT_REGION", help_heading = heading::ADDRESS, default_value = DEFAULT_REGION, value_parser = region)]
    pub region: String,

    /// What the server proves to its clients, and they to it.
    #[command(flatten)]
    pub tls: TlsSettings,

    /// `signed`: every call must be signed with a configured key. `open`: everybody who reaches the address may call. The default is `signed` if a key is configured. Without a key, only programs on this machine may call.
    #[arg(long, env = "REKOLLECT_AUTH", help_heading = heading::ACCESS, value_enum)]
    pub auth: Option<Auth>,
    /// One key for everything, without a file of keys.
    #[arg(long, env = "REKOLLECT_ACCESS_KEY_ID", help_heading = heading::ACCESS, requires = "secret_access_key")]
    pub access_key_id: Option<String>,
    /// The secret half of that key. Set it as a variable: other users of the machine can see flags.
    #[arg(long, env = "REKOLLECT_SECRET_ACCESS_KEY", help_heading = heading::ACCESS, hide_env_values = true, requires = "access_key_id", value_parser = secret)]
    pub secret_access_key: Option<SecretString>,
    /// TOML file with several principals, their keys and their policies. SIGHUP makes the server read it again.
    #[arg(long, env = "REKOLLECT_CREDENTIALS", help_heading = heading::ACCESS, value_name = "FILE", conflicts_with = "access_key_id")]
    pub credentials: Option<PathBuf>,
    /// Account that owns the collections if no file of keys names one. Twelve digits.
    #[arg(long, env = "REKOLLECT_ACCOUNT", help_heading = heading::ACCESS, default_value = "000000000000")]
    pub account: AccountId,
    /// Regions that a signature may be for, separated by commas. The default is every region.
    #[arg(long, env = "REKOLLECT_SIGNED_REGIONS", help_heading = heading::ACCESS, value_delimiter = ',', value_parser = region)]
    pub signed_regions: Vec<String>,

    /// Where collections are kept.
    #[command(flatten)]
    pub store: StoreSettings,
    /// Most connections to the database.
    #[arg(long, env = "REKOLLECT_DATABASE_CONNECTIONS", help_heading = heading::STORAGE, default_value = "8", value_parser = value_parser!(u32).range(1..=1000))]
    pub database_connections: u32,
    /// Seconds that a call waits for one of these connections, or for a new one; with SQLite, also for its turn to write. Then it gets ThrottlingException.
    #[arg(long, env = "REKOLLECT_DATABASE_WAIT", help_heading = heading::STORAGE, default_value = "10", value_parser = seconds_from_one)]
    pub database_wait: Duration,
    /// Seconds that Postgres may take over a statement. Then the call gets ThrottlingException. Deleting a collection may take 20 times as long.
    #[arg(long, env = "REKOLLECT_DATABASE_TIMEOUT", help_heading = heading::STORAGE, default_value = "20", value_parser = seconds_from_one)]
    pub database_timeout: Duration,

    /// Where the objects of S3Object are.
    #[command(flatten)]
    pub s3: S3Settings,

    /// The weights, and what runs them.
    #[command(flatten)]
    pub models: ModelsSettings,
    /// Model pack of new collections. The default is the one that manifest.toml names. Collections of other packs are served with their own, if its files are there.
    #[arg(long, env = "REKOLLECT_PACK", help_heading = heading::VISION)]
    pub pack: Option<String>,
    /// What runs the models: ONNX Runtime itself, or an execution provider that the library has. `rekollect models` lists those.
    #[arg(long, env = "REKOLLECT_EXECUTION_PROVIDER", help_heading = heading::VISION, value_enum, default_value_t = Provider::Cpu)]
    pub execution_provider: Provider,
    /// The project's own net for beard, mustache, glasses, smile, mouth and gender. It was trained on CelebA, which is non-commercial research data. `off` uses plainer means.
    #[arg(long, env = "REKOLLECT_ATTRIBUTE_MODEL", help_heading = heading::VISION, value_enum, default_value_t = Switch::On)]
    pub attribute_model: Switch,
    /// What to do with an image whose Exif gives no orientation. `estimate` finds out which way is up. `null` takes the image as it is, as the cloud does today.
    #[arg(long, env = "REKOLLECT_ORIENTATION", help_heading = heading::VISION, value_enum, default_value_t = OrientationSetting::Estimate)]
    pub orientation: OrientationSetting,
    /// Where searches run. `memory` is exact and keeps every vector in this server. `pgvector` runs in Postgres, misses a few faces, and needs no memory here.
    #[arg(long, env = "REKOLLECT_SEARCH", help_heading = heading::VISION, value_enum, default_value_t = SearchSetting::Memory)]
    pub search: SearchSetting,
    /// Collections whose vectors are loaded at the start and not by a first search, as names separated by commas. `*` loads every collection. /readyz?full tells when they are there.
    #[arg(long, env = "REKOLLECT_PRELOAD", help_heading = heading::VISION, value_delimiter = ',', value_parser = preload)]
    pub preload: Vec<Preload>,
    /// Seconds that a search waits until the vectors of its collection are up to date. Then it gets ThrottlingException, with the time after which to try again. Loading goes on.
    #[arg(long, env = "REKOLLECT_GALLERY_WAIT", help_heading = heading::VISION, default_value = "30", value_parser = seconds_from_one)]
    pub gallery_wait: Duration,
    /// Seconds after which vectors of deleted faces and users are removed from gallery files again. That is also done after a start.
    #[arg(long, env = "REKOLLECT_GALLERY_CLEANING", help_heading = heading::VISION, default_value = "3600", value_parser = seconds_from_one)]
    pub gallery_cleaning: Duration,
    /// Seconds after which the server looks again for faces that are older than the tag `rekollect:expire-after` of their collection allows.
    #[arg(long, env = "REKOLLECT_EXPIRY_CHECK", help_heading = heading::STORAGE, default_value = "3600", value_parser = seconds_from_one)]
    pub expiry_check: Duration,
    /// Vision workers. Each has one thread and its own copy of the models. To one that works alone the others lend their cores. The default is one a core.
    #[arg(long, env = "REKOLLECT_WORKERS", help_heading = heading::VISION, value_parser = value_parser!(u32).range(1..=256))]
    pub workers: Option<u32>,

    /// Calls a second of each account, by operation, such as `IndexFaces=5,*=50`. Further calls get ProvisionedThroughputExceededException.
    #[arg(long, env = "REKOLLECT_RATES", help_heading = heading::LIMITS, default_value = "")]
    pub rates: RateSettings,
    /// Most collections of an account.
    #[arg(long, env = "REKOLLECT_MAX_COLLECTIONS", help_heading = heading::LIMITS, default_value = "100000", value_parser = value_parser!(u32).range(1..))]
    pub max_collections: u32,
    /// Most faces of a collection.
    #[arg(long, env = "REKOLLECT_MAX_FACES", help_heading = heading::LIMITS, default_value = "20000000", value_parser = value_parser!(u32).range(1..))]
    pub max_faces: u32,
    /// Most users of a collection.
    #[arg(long, env = "REKOLLECT_MAX_USERS", help_heading = heading::LIMITS, default_value = "10000000", value_parser = value_parser!(u32).range(1..))]
    pub max_users: u32,
    /// Formats of images that are taken, separated by commas: `jpeg`, `png`, `webp`. The default is what the cloud takes. A WebP has to be one picture, compressed with loss.
    #[arg(long, env = "REKOLLECT_IMAGE_FORMATS", help_heading = heading::VISION, value_enum, value_delimiter = ',', default_value = "jpeg,png")]
    pub image_formats: Vec<Format>,
    /// Most pixels of an image. A worker that decodes one needs 3 bytes a pixel, 5 for a WebP, 7 for a PNG with transparency, about 9 for a progressive JPEG, and up to 11 for a PNG of 16 bits or a progressive CMYK JPEG.
    #[arg(long, env = "REKOLLECT_MAX_PIXELS", help_heading = heading::LIMITS, default_value = "100000000", value_parser = value_parser!(u64).range(6400..))]
    pub max_pixels: u64,
    /// Images that may wait for a worker. Further calls get ThrottlingException at once.
    #[arg(long, env = "REKOLLECT_QUEUE", help_heading = heading::LIMITS, default_value = "64", value_parser = value_parser!(u32).range(1..=65_536))]
    pub queue: u32,
    /// Requests in progress. Further calls get ThrottlingException at once.
    #[arg(long, env = "REKOLLECT_MAX_REQUESTS", help_heading = heading::LIMITS, default_value = "256", value_parser = value_parser!(u32).range(1..=65_536))]
    pub max_requests: u32,
    /// Open connections. Further ones wait until they are accepted.
    #[arg(long, env = "REKOLLECT_MAX_CONNECTIONS", help_heading = heading::LIMITS, default_value = "4096", value_parser = value_parser!(u32).range(1..=65_536))]
    pub max_connections: u32,
    /// Most bytes of a request. An image of 5 MiB becomes 6.7 MiB of base64.
    #[arg(long, env = "REKOLLECT_MAX_BODY", help_heading = heading::LIMITS, default_value = "16777216", value_parser = value_parser!(u32).range(1..))]
    pub max_body: u32,
    /// Most bytes of all requests that have arrived and are not parsed yet. Further calls get ThrottlingException.
    #[arg(long, env = "REKOLLECT_MAX_BODIES", help_heading = heading::LIMITS, default_value = "268435456", value_parser = value_parser!(u32).range(1..))]
    pub max_bodies: u32,
    /// Most bytes of all replies that clients have not taken yet. Further calls get ThrottlingException. A page of 4,096 faces takes 1.2 MB or more.
    #[arg(long, env = "REKOLLECT_MAX_REPLIES", help_heading = heading::LIMITS, default_value = "268435456", value_parser = value_parser!(u32).range(1..))]
    pub max_replies: u32,
    /// Most bytes of memory for the server, its requests and the vectors of its collections. What the server needs at its start and what its requests can need come first. Vectors get the rest. If they need more, the collections go out that were searched longest ago. The default is no limit.
    #[arg(long, env = "REKOLLECT_MAX_MEMORY", help_heading = heading::LIMITS, value_parser = value_parser!(u64).range(1..))]
    pub max_memory: Option<u64>,
    /// Seconds in which the head of a request has to arrive, and before it a TLS handshake. An idle connection is closed after the same time.
    #[arg(long, env = "REKOLLECT_HEADER_TIMEOUT", help_heading = heading::LIMITS, default_value = "20", value_parser = seconds_from_one)]
    pub header_timeout: Duration,
    /// Seconds in which the body of a request has to arrive.
    #[arg(long, env = "REKOLLECT_BODY_TIMEOUT", help_heading = heading::LIMITS, default_value = "60", value_parser = seconds_from_one)]
    pub body_timeout: Duration,
    /// Seconds in which a client has to take a reply. Then the connection is cut off.
    #[arg(long, env = "REKOLLECT_REPLY_TIMEOUT", help_heading = heading::LIMITS, default_value = "60", value_parser = seconds_from_one)]
    pub reply_timeout: Duration,
    /// Seconds that requests in progress have to finish after SIGTERM or SIGINT.
    #[arg(long, env = "REKOLLECT_SHUTDOWN_TIMEOUT", help_heading = heading::LIMITS, default_value = "30", value_parser = seconds)]
    pub shutdown_timeout: Duration,

    /// Who did what, line by line.
    #[command(flatten)]
    pub audit: AuditLogSettings,

    /// Log lines for people (`text`), or one JSON object a line (`json`).
    #[arg(long, env = "REKOLLECT_LOG_FORMAT", help_heading = heading::OPERATION, value_enum, default_value_t = LogFormat::Text)]
    pub log_format: LogFormat,
    /// Whether everybody who reaches the server may read /metrics. The default is `off` if signatures are checked, else `on`.
    #[arg(long, env = "REKOLLECT_METRICS", help_heading = heading::OPERATION, value_enum)]
    pub metrics: Option<Switch>,
    /// Whose replies tell in the header `Server-Timing` how long each stage took: nobody's (`off`), those to callers whose signature was checked (`signed`), or everybody's (`all`).
    #[arg(long, env = "REKOLLECT_SERVER_TIMING", help_heading = heading::OPERATION, value_enum, default_value_t = Timing::Signed)]
    pub server_timing: Timing,
    /// OpenTelemetry collector that gets a trace of every request by OTLP over HTTP, such as `http://127.0.0.1:4318`. The default is none.
    #[arg(long, env = "OTEL_EXPORTER_OTLP_ENDPOINT", help_heading = heading::OPERATION, value_parser = collector)]
    pub otlp_endpoint: Option<String>,
    /// Offer /_faults, where tests of a client can make chosen calls slow or fail.
    #[arg(long, env = "REKOLLECT_ENABLE_FAULTS", help_heading = heading::OPERATION)]
    pub enable_faults: bool,
}

/// A line for every change and search.
#[derive(Clone, Debug, Args)]
pub struct AuditLogSettings {
    /// File that gets a line of JSON for every change and search and for every call that was refused at the door, or `-` for standard output. Without its line no change is made and no search answered. The default is none.
    #[arg(long, env = "REKOLLECT_AUDIT_LOG", help_heading = heading::AUDIT, value_name = "FILE")]
    pub audit_log: Option<PathBuf>,
    /// Most bytes of that file. Then it gets the time and a number behind its name, and a new one is begun. 0 is for no end.
    #[arg(long, env = "REKOLLECT_AUDIT_LOG_SIZE", help_heading = heading::AUDIT, value_name = "BYTES", default_value = "104857600", requires = "audit_log")]
    pub audit_log_size: u64,
    /// Finished files to keep. Older ones are deleted. The default is all of them.
    #[arg(long, env = "REKOLLECT_AUDIT_LOG_FILES", help_heading = heading::AUDIT, value_name = "NUMBER", requires = "audit_log")]
    pub audit_log_files: Option<u32>,
    /// File with a secret of 32 bytes or more. The hashes of the lines are then made with it, and who can write the log but not read the key cannot forge them.
    #[arg(long, env = "REKOLLECT_AUDIT_KEY", help_heading = heading::AUDIT, value_name = "FILE", requires = "audit_log")]
    pub audit_key: Option<PathBuf>,
}

/// A certificate for HTTPS. Without one the server speaks plain HTTP.
#[derive(Clone, Debug, Args)]
pub struct TlsSettings {
    /// PEM file with the server's certificate and, after it, those of the CAs between it and a root. The server then speaks HTTPS alone, and reads this file and the next two again when they change.
    #[arg(long, env = "REKOLLECT_TLS_CERTIFICATE", help_heading = heading::TLS, value_name = "FILE", requires = "tls_key")]
    pub tls_certificate: Option<PathBuf>,
    /// PEM file with the private key of that certificate, without a password.
    #[arg(long, env = "REKOLLECT_TLS_KEY", help_heading = heading::TLS, value_name = "FILE", requires = "tls_certificate")]
    pub tls_key: Option<PathBuf>,
    /// PEM file with the CAs of client certificates. Whoever has none of theirs cannot connect. The default asks for none.
    #[arg(long, env = "REKOLLECT_TLS_CLIENT_CA", help_heading = heading::TLS, value_name = "FILE", requires = "tls_certificate")]
    pub tls_client_ca: Option<PathBuf>,
}

/// Where the objects of `S3Object` are: nowhere, unless a server, a region of the cloud or a folder is named.
#[derive(Clone, Debug, Args)]
pub struct S3Settings {
    /// URL of an S3 server, such as `http://127.0.0.1:9000`. If only a region is given, Amazon's own S3 is used.
    #[arg(long, env = "REKOLLECT_S3_ENDPOINT", help_heading = heading::IMAGES, value_parser = endpoint)]
    pub s3_endpoint: Option<String>,
    /// Region of the S3 server. The default with an endpoint is `us-east-1`.
    #[arg(long, env = "REKOLLECT_S3_REGION", help_heading = heading::IMAGES, value_parser = region)]
    pub s3_region: Option<String>,
    /// Whether the bucket stands in the path of an object's address or in the host name.
    #[arg(long, env = "REKOLLECT_S3_STYLE", help_heading = heading::IMAGES, value_enum, default_value_t = Style::Path)]
    pub s3_style: Style,
    /// Key for the S3 server. The default is the key of the machine's role (web identity, container, instance).
    #[arg(long, env = "REKOLLECT_S3_ACCESS_KEY_ID", help_heading = heading::IMAGES, requires = "s3_secret_access_key")]
    pub s3_access_key_id: Option<String>,
    /// The secret half of that key.
    #[arg(long, env = "REKOLLECT_S3_SECRET_ACCESS_KEY", help_heading = heading::IMAGES, hide_env_values = true, requires = "s3_access_key_id", value_parser = secret)]
    pub s3_secret_access_key: Option<SecretString>,
    /// Token of a temporary key.
    #[arg(long, env = "REKOLLECT_S3_SESSION_TOKEN", help_heading = heading::IMAGES, hide_env_values = true, requires = "s3_access_key_id", value_parser = secret)]
    pub s3_session_token: Option<SecretString>,
    /// Seconds in which an object has to come from the S3 server. Then the call gets ThrottlingException.
    #[arg(long, env = "REKOLLECT_S3_TIMEOUT", help_heading = heading::IMAGES, default_value = "20", value_parser = seconds_from_one)]
    pub s3_timeout: Duration,
    /// Folder to use instead of an S3 server. Each sub-folder is a bucket.
    #[arg(long, env = "REKOLLECT_S3_DIR", help_heading = heading::IMAGES, conflicts_with_all = ["s3_endpoint", "s3_region"])]
    pub s3_dir: Option<PathBuf>,
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

fn preload(text: &str) -> Result<Preload, String> {
    if text == "*" { Ok(Preload::Every) } else { collection(text).map(Preload::Named) }
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

fn region(text: &str) -> Result<String, String> {
    let valid = !text.is_empty() && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
    if valid { Ok(text.to_owned()) } else { Err("a region is made of a-z, 0-9 and -, such as us-east-1".to_owned()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The page that lists every setting: what the command line says, between these two lines of it.
    const PAGE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/configuration.md");
    const BEGIN: &str = "<!-- Written by a test: UPDATE_CONFIGURATION=1 cargo test --release --lib configuration -->\n";
    const END: &str = "<!-- End of what the test writes -->\n";

    /// A table of settings under each heading.
    fn tables(command: &clap::Command) -> String {
        let mut page = String::new();
        let mut heading = None;
        for arg in command.get_arguments().filter(|arg| arg.get_env().is_some()) {
            if arg.get_help_heading() != heading {
                heading = arg.get_help_heading();
                let name = heading.expect("every setting has a heading");
                page += &format!("\n## {name}\n\n| flag | variable | default | |\n|---|---|---|---|\n");
            }
            let flag = arg.get_long().expect("every setting is a flag");
            let variable = arg.get_env().unwrap().to_str().unwrap();
            let default: Vec<_> = arg.get_default_values().iter().filter_map(|value| value.to_str()).collect();
            let default = match default.join(",") {
                text if text.is_empty() || !arg.get_action().takes_values() => String::new(),
                text => format!("`{text}`"),
            };
            let help = arg.get_help().expect("every setting is explained").to_string();
            // A pipe would end the cell; clap takes the last full stop away.
            let help = format!("{}.", help.replace('|', "\\|"));
            let values: Vec<_> =
                arg.get_possible_values().iter().map(|value| format!("`{}`", value.get_name())).collect();
            let values = match values.as_slice() {
                [] => String::new(),
                _ if !arg.get_action().takes_values() || values.iter().all(|value| help.contains(value)) => {
                    String::new()
                }
                values => format!(" One of {}.", values.join(", ")),
            };
            page += &format!("| `--{flag}` | `{variable}` | {default} | {help}{values} |\n");
        }
        page
    }

    #[test]
    fn the_configuration_page_says_what_the_command_line_says() {
        let page = std::fs::read_to_string(PAGE).unwrap();
        let (before, rest) = page.split_once(BEGIN).expect("the line before the tables");
        let (_, after) = rest.split_once(END).expect("the line behind the tables");
        let cli = <Cli as clap::CommandFactory>::command();
        let serve = cli.find_subcommand("serve").unwrap();
        let wanted = format!("{before}{BEGIN}{}\n{END}{after}", tables(serve));
        if std::env::var_os("UPDATE_CONFIGURATION").is_some() {
            std::fs::write(PAGE, wanted).unwrap();
        } else {
            assert!(page == wanted, "docs/configuration.md is out of date; run this test with UPDATE_CONFIGURATION=1");
        }
    }

    fn settings(args: &[&str]) -> Settings {
        let cli = Cli::try_parse_from(["rekollect", "serve"].iter().chain(args)).unwrap();
        let Command::Serve(settings) = cli.command else { panic!("serve") };
        *settings
    }

    #[test]
    fn values_that_no_server_could_work_with_are_refused() {
        for bad in [
            ["--listen", "localhost"],
            ["--header-timeout", "0"],
            ["--reply-timeout", "0"],
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
