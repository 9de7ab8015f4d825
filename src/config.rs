//! Every setting of the server, each a flag and a variable.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum, value_parser};

use crate::domain::AccountId;
use crate::vision::ImageLimits;

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

/// Settings of `rekollect serve`.
#[derive(Clone, Debug, Args)]
pub struct Settings {
    /// Address and port to listen on; port 0 takes a free one and prints it.
    #[arg(long, env = "REKOLLECT_LISTEN", default_value = "127.0.0.1:7350", value_parser = address)]
    pub listen: SocketAddr,
    /// Who may connect. This version checks no signatures: any other address than loopback needs `open` in so many words.
    #[arg(long, env = "REKOLLECT_AUTH", value_enum, default_value_t = Auth::Loopback)]
    pub auth: Auth,
    /// Folder for the SQLite file; made if it does not exist.
    #[arg(long, env = "REKOLLECT_DATA_DIR", default_value = "./data")]
    pub data_dir: PathBuf,
    /// Where collections are kept: `postgres://user:password@host/database` (the password percent-encoded); without it, a SQLite file in the data folder.
    #[arg(long, env = "DATABASE_URL", hide_env_values = true)]
    pub database_url: Option<String>,
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
    /// Region in the ARNs of replies.
    #[arg(long, env = "REKOLLECT_REGION", default_value = "us-east-1", value_parser = region)]
    pub region: String,
    /// Account that owns the collections: twelve digits.
    #[arg(long, env = "REKOLLECT_ACCOUNT", default_value = "000000000000")]
    pub account: AccountId,
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
    #[arg(long, env = "REKOLLECT_MAX_CONNECTIONS", default_value = "1024", value_parser = value_parser!(u32).range(1..=65_536))]
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

impl Settings {
    /// What an image may measure: the service's own limits on sides, the operator's on pixels.
    pub fn image_limits(&self) -> ImageLimits {
        ImageLimits { min_side: 80, max_side: 10_000, max_pixels: self.max_pixels }
    }

    /// Refuses to be reachable from elsewhere by accident.
    pub fn check(&self) -> Result<(), String> {
        if self.listen.ip().is_loopback() || self.auth == Auth::Open {
            return Ok(());
        }
        Err(format!(
            "{} is not a loopback address and this version checks no signatures: everybody who reaches it could read and delete faces; \
             if that is what you want, say so with REKOLLECT_AUTH=open (--auth open)",
            self.listen
        ))
    }
}

/// Who may connect.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Auth {
    /// Programs on this machine.
    Loopback,
    /// Everybody who reaches the address.
    Open,
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
        assert!(settings(&["--listen", "127.0.0.1:0"]).check().is_ok());
        assert!(settings(&["--listen", "[::1]:0"]).check().is_ok());
        assert!(settings(&["--listen", "0.0.0.0:7350"]).check().unwrap_err().contains("REKOLLECT_AUTH=open"));
        assert!(settings(&["--listen", "0.0.0.0:7350", "--auth", "open"]).check().is_ok());
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
