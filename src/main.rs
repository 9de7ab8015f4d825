//! The command line.

use std::error::Error;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream};
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use rekollect::config::{Cli, Command, ModelsDir};
use rekollect::vision::Runtime;
use rekollect::vision::pack::{Manifest, read_verified};
use rekollect::{server, telemetry};

fn main() -> ExitCode {
    let outcome = match Cli::parse().command {
        Command::Serve(settings) => {
            telemetry::init(settings.log_format);
            tokio::runtime::Builder::new_multi_thread()
                .enable_all()
                .build()
                .map_err(Into::into)
                .and_then(|runtime| runtime.block_on(server::serve(*settings)))
        }
        Command::Models(ModelsDir { models_dir }) => models(&models_dir),
        Command::Healthcheck { listen } => healthcheck(listen),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("rekollect: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Prints every pack with the state of its files; fails when the default pack cannot be served.
fn models(models_dir: &Path) -> Result<(), Box<dyn Error>> {
    let manifest = Manifest::read(models_dir)?;
    let mut out = std::io::stdout().lock();
    let mut default_is_whole = true;
    for pack in &manifest.packs {
        let is_default = pack.name == manifest.default_pack;
        writeln!(out, "{}{}: {}", pack.name, if is_default { " (default)" } else { "" }, pack.summary)?;
        writeln!(out, "    face model version {}", pack.face_model_version)?;
        for name in manifest.files_of(pack) {
            let file = manifest.file(name)?;
            let state = match read_verified(models_dir, file, &pack.name) {
                Ok(_) => "verified".to_owned(),
                Err(error) => {
                    default_is_whole &= !is_default;
                    error.to_string()
                }
            };
            writeln!(
                out,
                "    {name}: {}\n        licence {}; origin: {}\n        {state}",
                file.path.display(),
                file.licence,
                file.origin
            )?;
        }
    }
    match Runtime::load(None, models_dir) {
        Ok(_) => writeln!(out, "ONNX Runtime: loads")?,
        Err(error) => {
            default_is_whole = false;
            writeln!(out, "ONNX Runtime: {error}")?;
        }
    }
    if default_is_whole { Ok(()) } else { Err("the default pack cannot be served".into()) }
}

/// Asks a server whether it is ready.
fn healthcheck(mut address: SocketAddr) -> Result<(), Box<dyn Error>> {
    if address.ip().is_unspecified() {
        address.set_ip(if address.is_ipv4() { Ipv4Addr::LOCALHOST.into() } else { Ipv6Addr::LOCALHOST.into() });
    }
    let timeout = Some(Duration::from_secs(5));
    let mut connection = TcpStream::connect(address)?;
    connection.set_read_timeout(timeout)?;
    connection.set_write_timeout(timeout)?;
    write!(connection, "GET /readyz HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n")?;
    let mut reply = String::new();
    connection.read_to_string(&mut reply)?;
    match reply.lines().next() {
        Some(line) if line.contains(" 200 ") => Ok(()),
        line => Err(format!("not ready: {}", line.unwrap_or("no answer")).into()),
    }
}
