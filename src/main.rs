//! The command line.

use std::error::Error;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use clap::{CommandFactory, Parser};
use indicatif::{ProgressBar, ProgressStyle};
use rekollect::audit::{self, Seal};
use rekollect::cli::{
    AuditCommand, Cli, Command, EncryptSettings, ExportSettings, ImportSettings, ModelsSettings, VerifySettings,
};
#[cfg(feature = "client")]
use rekollect::cli::{ClientSettings, EnrolSettings, EraseSettings, GroupSettings, IdentifySettings, ReindexSettings};
use rekollect::store::{Limits, Rewritten, Store, StorePlace};
use rekollect::transfer::{self, Choice, Imported};
use rekollect::vision::pack::{Manifest, read_verified};
use rekollect::vision::{Provider, Runtime};
#[cfg(feature = "client")]
use rekollect::{asking, client, enrol, reindex};
use rekollect::{server, telemetry, tls};

fn main() -> ExitCode {
    let outcome = match Cli::parse().command {
        Command::Serve(settings) => without_reports().and_then(|()| {
            telemetry::init(settings.log_format);
            in_runtime(server::serve(*settings))
        }),
        Command::Export(settings) => in_runtime(export(settings)),
        Command::Import(settings) => in_runtime(import(settings)),
        Command::Encrypt(settings) => in_runtime(encrypt(settings)),
        #[cfg(feature = "client")]
        Command::Identify(settings) => return in_runtime(identified(settings)).unwrap_or_else(|error| told(&*error)),
        #[cfg(feature = "client")]
        Command::Erase(settings) => return in_runtime(erased(settings)).unwrap_or_else(|error| told(&*error)),
        #[cfg(feature = "client")]
        Command::Group(settings) => in_runtime(grouped(settings)),
        #[cfg(feature = "client")]
        Command::Enrol(settings) => return in_runtime(enrolled(*settings)).unwrap_or_else(|error| told(&*error)),
        #[cfg(feature = "client")]
        Command::Reindex(settings) => return in_runtime(reindexed(*settings)).unwrap_or_else(|error| told(&*error)),
        Command::Audit(AuditCommand::Verify(settings)) => verify(&settings),
        Command::Models(settings) => without_reports().and_then(|()| models(&settings)),
        Command::Completions { shell } => {
            clap_complete::generate(shell, &mut Cli::command(), "rekollect", &mut std::io::stdout());
            Ok(())
        }
        Command::Man => manual(),
        Command::Healthcheck { listen, tls } => healthcheck(listen, tls.files().as_ref()),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => told(&*error),
    }
}

/// Tells an error, with its reasons.
fn told(error: &dyn Error) -> ExitCode {
    // Some errors tell their reason themselves.
    let (mut text, mut reason) = (error.to_string(), error.source());
    while let Some(error) = reason {
        let further = error.to_string();
        if !text.ends_with(&further) {
            text = format!("{text}: {further}");
        }
        reason = error.source();
    }
    eprintln!("rekollect: {text}");
    ExitCode::FAILURE
}

/// Keeps ONNX Runtime from reporting to its maker: by itself it writes an id of the machine into the home folder and sends events.
///
/// The library decides when it is loaded, by this variable alone: its API's switch comes too late. A safe program cannot set a variable
/// of its own, so it starts itself anew, in the same process.
fn without_reports() -> Result<(), Box<dyn Error>> {
    const SWITCH: &str = "ORT_DISABLE_TELEMETRY";
    const OFF: &str = "1";
    if std::env::var_os(SWITCH).is_some_and(|value| value == OFF) {
        return Ok(());
    }
    let mut arguments = std::env::args_os();
    let mut again = std::process::Command::new(std::env::current_exe()?);
    if let Some(name) = arguments.next() {
        again.arg0(name);
    }
    Err(again.args(arguments).env(SWITCH, OFF).exec().into())
}

fn in_runtime<T>(work: impl Future<Output = Result<T, Box<dyn Error>>>) -> Result<T, Box<dyn Error>> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let outcome = runtime.block_on(work);
    // Dropped, it would wait for every scan and every name that is looked up.
    runtime.shutdown_background();
    outcome
}

/// Of a program that moves collections: one connection reads or writes, and nobody waits for an answer.
const LIMITS: Limits = Limits { connections: 2, wait: Duration::from_secs(30), statement: Duration::from_secs(300) };

/// In place of the name of a file: standard output, or standard input.
const STANDARD: &str = "-";

async fn export(settings: ExportSettings) -> Result<(), Box<dyn Error>> {
    let store = open_store(&settings.store.place()?).await?;
    let choice = Choice { account: settings.account, collections: settings.collections };
    let totals = if settings.file == Path::new(STANDARD) {
        transfer::export_to_writer(&store, &choice, std::io::stdout()).await?
    } else {
        transfer::export_to_file(&store, &choice, &settings.file).await?
    };
    eprintln!("rekollect: exported {totals} from {}", store.place());
    Ok(())
}

async fn import(settings: ImportSettings) -> Result<(), Box<dyn Error>> {
    let store = Store::open(&settings.store.place()?, LIMITS).await?;
    let imported = if settings.file == Path::new(STANDARD) {
        transfer::import_stream(&store, std::io::stdin().lock()).await?
    } else {
        transfer::import_file(&store, &settings.file).await?
    };
    let Imported { totals, new_faces } = imported;
    eprintln!("rekollect: imported {totals} into {}: {new_faces} faces are new there", store.place());
    Ok(())
}

async fn encrypt(EncryptSettings { decrypt, store }: EncryptSettings) -> Result<(), Box<dyn Error>> {
    let place = store.place()?;
    let Some(key) = place.vault.key() else {
        return Err("no keys are given: name their file with --vector-keys (REKOLLECT_VECTOR_KEYS)".into());
    };
    let store = open_store(&place).await?;
    let bar = ProgressBar::new_spinner().with_message("vectors rewritten");
    bar.set_style(ProgressStyle::with_template("{pos} {msg}, {per_sec}")?);
    let Rewritten { faces, users, are_overwritten } =
        store.rewrite_vectors(decrypt, |count| bar.set_position(count)).await?;
    bar.finish_and_clear();
    let now = if decrypt { "lie open".to_owned() } else { format!("are encrypted with key {key}") };
    eprintln!(
        "rekollect: all vectors in {} {now}: {faces} of faces and {users} of users were rewritten",
        store.place()
    );
    if !decrypt && !are_overwritten {
        eprintln!("rekollect: the database's files still have the bytes of before: docs/privacy.md says how they go");
    }
    store.close().await;
    Ok(())
}

/// Opens a store that is there.
async fn open_store(place: &StorePlace) -> Result<Store, Box<dyn Error>> {
    if !Store::is_there(place) {
        return Err(format!("there is no store in {}", place.data_dir.display()).into());
    }
    Ok(Store::open(place, LIMITS).await?)
}

/// Of a command that left something undone.
#[cfg(feature = "client")]
const SOME_FAILED: u8 = 3;
/// Of a program that was told to stop, as shells have it for Ctrl-C.
#[cfg(feature = "client")]
const INTERRUPTED: u8 = 130;

#[cfg(feature = "client")]
async fn enrolled(settings: EnrolSettings) -> Result<ExitCode, Box<dyn Error>> {
    let client = client_of(&settings.client)?;
    let plan = plan_of(&settings.choice(), &client).await?;
    if plan.unused_users > 0 {
        eprintln!("rekollect: {} photos have a UserId, and without --users it is not used", plan.unused_users);
    }
    let enrolment = enrol::Enrolment::new(client, settings.enrolment(), plan);
    if settings.dry_run {
        let summary = enrolment.rehearse(&mut std::io::stdout().lock()).await?;
        eprintln!(
            "rekollect: nothing was done; {} photos would be indexed, {} would fail, {} are done before",
            summary.left(),
            summary.failed,
            summary.done_before
        );
        return Ok(exit_code(false, summary.failed));
    }
    let summary = enrolment.run().await?;
    eprintln!("rekollect: {summary}");
    Ok(exit_code(summary.interrupted, summary.failed))
}

#[cfg(feature = "client")]
async fn reindexed(settings: ReindexSettings) -> Result<ExitCode, Box<dyn Error>> {
    let client = client_of(&settings.client)?;
    let plan = plan_of(&settings.choice(), &client).await?;
    let reindexing = reindex::Reindexing::new(client, settings.reindexing(), plan);
    if settings.dry_run {
        let summary = reindexing.rehearse(&mut std::io::stdout().lock()).await?;
        eprintln!("rekollect: {summary}");
        return Ok(ExitCode::SUCCESS);
    }
    let summary = reindexing.run().await?;
    eprintln!("rekollect: {summary}");
    Ok(exit_code(summary.interrupted, summary.counts.failed_photos))
}

#[cfg(feature = "client")]
async fn plan_of(choice: &enrol::Choice, client: &client::Client) -> Result<enrol::Plan, enrol::EnrolError> {
    let plan = enrol::Plan::of(choice, client.configuration()).await?;
    if plan.others > 0 {
        eprintln!("rekollect: {} other files are left out: they are not called .jpg, .jpeg or .png", plan.others);
    }
    Ok(plan)
}

#[cfg(feature = "client")]
async fn identified(settings: IdentifySettings) -> Result<ExitCode, Box<dyn Error>> {
    let client = client_of(&settings.client)?;
    let mut out = std::io::stdout().lock();
    let failed = asking::identify(&client, &settings.identification(), &settings.photos, &mut out).await?;
    Ok(if failed == 0 { ExitCode::SUCCESS } else { ExitCode::from(SOME_FAILED) })
}

#[cfg(feature = "client")]
async fn erased(settings: EraseSettings) -> Result<ExitCode, Box<dyn Error>> {
    let client = client_of(&settings.client)?;
    let nothing_is_left = asking::erase(&client, &settings.erasure(), &mut std::io::stdout().lock()).await?;
    Ok(if nothing_is_left { ExitCode::SUCCESS } else { ExitCode::from(SOME_FAILED) })
}

#[cfg(feature = "client")]
async fn grouped(settings: GroupSettings) -> Result<(), Box<dyn Error>> {
    let client = client_of(&settings.client)?;
    let mut out = std::io::BufWriter::new(std::io::stdout().lock());
    let summary = asking::group(&client, &settings.grouping(), &mut out).await?;
    eprintln!("rekollect: {summary}");
    Ok(())
}

#[cfg(feature = "client")]
fn client_of(settings: &ClientSettings) -> Result<client::Client, Box<dyn Error>> {
    Ok(client::Client::new(client::Configuration::find(&settings.given())?)?)
}

/// Of a command that handles photos. Tells how it goes on if it was stopped.
#[cfg(feature = "client")]
fn exit_code(was_interrupted: bool, failed: usize) -> ExitCode {
    if was_interrupted {
        eprintln!("rekollect: stopped: the same command goes on from here");
        return ExitCode::from(INTERRUPTED);
    }
    if failed == 0 { ExitCode::SUCCESS } else { ExitCode::from(SOME_FAILED) }
}

/// Tells that an audit log is whole, or fails.
fn verify(VerifySettings { files, audit_key, contains }: &VerifySettings) -> Result<(), Box<dyn Error>> {
    let seal = audit_key.as_deref().map_or_else(|| Ok(Seal::plain()), Seal::read)?;
    let audit::Whole { lines, before, end } = audit::verify(files, &seal, contains.as_deref())?;
    let mut out = std::io::stdout().lock();
    writeln!(out, "whole: {lines} lines, number {} to {}", before.seq + 1, end.seq)?;
    if before.seq > 0 {
        writeln!(out, "the lines before follow from their last hash: {}", hex::encode(before.hash))?;
    }
    writeln!(out, "last hash: {}", hex::encode(end.hash))?;
    Ok(())
}

/// Prints the manual: the program's page, then those of its subcommands.
fn manual() -> Result<(), Box<dyn Error>> {
    let command = Cli::command().name("rekollect");
    let mut out = std::io::stdout().lock();
    clap_mangen::Man::new(command.clone()).render(&mut out)?;
    pages(&command, "rekollect", &mut out)
}

fn pages(command: &clap::Command, name: &str, out: &mut impl Write) -> Result<(), Box<dyn Error>> {
    for subcommand in command.get_subcommands() {
        let name = format!("{name} {}", subcommand.get_name());
        let page = clap_mangen::Man::new(subcommand.clone().bin_name(&name));
        writeln!(out, ".SH \"{}\"", name.to_uppercase())?;
        page.render_description_section(out)?;
        page.render_synopsis_section(out)?;
        page.render_options_section(out)?;
        pages(subcommand, &name, out)?;
    }
    Ok(())
}

/// Prints every pack with the state of its files, and what can run them; fails when the default pack cannot be served.
fn models(ModelsSettings { models_dir, onnxruntime }: &ModelsSettings) -> Result<(), Box<dyn Error>> {
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
    match Runtime::load(onnxruntime.as_deref(), models_dir, Provider::Cpu) {
        Ok(_) => {
            let offered: Vec<_> = Provider::offered()?.iter().map(ToString::to_string).collect();
            writeln!(out, "ONNX Runtime: loads; execution providers: {}", offered.join(", "))?;
        }
        Err(error) => {
            default_is_whole = false;
            writeln!(out, "ONNX Runtime: {error}")?;
        }
    }
    if default_is_whole { Ok(()) } else { Err("the default pack cannot be served".into()) }
}

/// Asks a server whether it is ready: by TLS where it has these files.
fn healthcheck(mut address: SocketAddr, files: Option<&tls::Files>) -> Result<(), Box<dyn Error>> {
    if address.ip().is_unspecified() {
        address.set_ip(if address.is_ipv4() { Ipv4Addr::LOCALHOST.into() } else { Ipv6Addr::LOCALHOST.into() });
    }
    let timeout = Some(Duration::from_secs(5));
    let connection = TcpStream::connect(address)?;
    connection.set_read_timeout(timeout)?;
    connection.set_write_timeout(timeout)?;
    match files {
        None => ask(connection, address),
        Some(files) => ask(tls::asking(connection, address.ip(), files)?, address),
    }
}

fn ask(mut connection: impl Read + Write, address: SocketAddr) -> Result<(), Box<dyn Error>> {
    write!(connection, "GET /readyz HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n")?;
    let mut reply = String::new();
    connection.read_to_string(&mut reply)?;
    match reply.lines().next() {
        Some(line) if line.contains(" 200 ") => Ok(()),
        line => Err(format!("not ready: {}", line.unwrap_or("no answer")).into()),
    }
}
