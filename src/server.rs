//! From settings to a listening server, and its end.

use std::collections::HashSet;
use std::error::Error;
use std::io::Write;
use std::net::SocketAddr;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use axum::Router;
use hyper::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::{Service as _, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::{GracefulShutdown, Watcher};
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{Semaphore, oneshot};
use tokio::time::timeout_at;
use tokio_util::sync::CancellationToken;

use crate::access::Access;
use crate::audit::Audit;
use crate::cli::{OrientationSetting, SearchSetting, Settings, Switch};
use crate::connection::Connection;
use crate::operations::{Preloads, Service, TokenKey};
use crate::search::{self, Budget, Files, Indexes, Place};
use crate::store::Store;
use crate::task;
use crate::telemetry::metrics::{Identity, Metrics};
use crate::telemetry::traces::Traces;
use crate::tls::Tls;
use crate::vision::pack::Manifest;
use crate::vision::{Packs, Runtime, Starter};
use crate::wire::console;
use crate::wire::front::{Front, Peer};
use crate::wire::injection::Injector;
use crate::wire::replies::Replies;
use crate::wire::router;

/// How long to wait when the operating system gives no connection.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// What the end of the store gets after all work has ended, and that of the traces at least.
const CLOSING: Duration = Duration::from_secs(2);

/// Open files that are no connections: the store's, the log, sockets to Postgres and S3.
const FILES_BESIDE_CONNECTIONS: u64 = 128;

/// Serves until SIGTERM or SIGINT; requests in progress then get the shutdown timeout to finish.
///
/// Standard output carries what a starting script waits for: the line `rekollect ready: http://ADDRESS` once the weights are
/// loaded and the store is open, and a first call to try.
pub async fn serve(settings: Settings) -> Result<(), Box<dyn Error>> {
    let started = Instant::now();
    // Of everything that speaks TLS in this process.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let access = settings.access()?;
    let tls = settings.tls.files().map(|files| Tls::open(files, settings.header_timeout)).transpose()?.map(Arc::new);
    raise_limit_of_files(settings.max_connections);
    // Bound first: a taken port is told before the weights are loaded.
    let listener = TcpListener::bind(settings.listen).await.map_err(|e| {
        format!("cannot listen on {}: {e}; choose another address with --listen (REKOLLECT_LISTEN)", settings.listen)
    })?;
    let address = listener.local_addr()?;
    let workers =
        settings.workers.map_or_else(|| thread::available_parallelism().map_or(1, usize::from), |n| n as usize);
    let front = Arc::new(front(&settings, access, workers).await?);
    tracing::info!(
        %address,
        pack = front.service.packs.ours().pack.name,
        face_model_version = front.service.packs.ours().pack.face_model_version.as_str(),
        store = front.service.store.place(),
        vector_key = front.service.store.key().map(tracing::field::display),
        workers,
        start_ms = started.elapsed().as_millis() as u64,
        "serving"
    );
    tell_of_other_packs(&front.service).await?;
    match (front.access.is_signed(), address.ip().is_loopback()) {
        (true, _) => {}
        (false, true) => {
            tracing::info!("no keys are configured: any signature is taken, from programs on this machine")
        }
        (false, false) => {
            tracing::warn!("REKOLLECT_AUTH=open: everybody who reaches the address may read, add and delete faces")
        }
    }
    if front.injector.is_some() {
        tracing::warn!("faults on demand are enabled: whoever may change /_faults can make calls slow or fail");
    }
    // Caught from before the server says that it is ready: whoever waits for that may stop it at once.
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    let mut hangup = signal(SignalKind::hangup())?;
    if settings.console == Some(Switch::On) && !front.console {
        tracing::warn!("this program was built without the console: `make build` builds it in");
    }
    announce(address, &settings.region, &front, tls.is_some());
    if let Some(tls) = tls.clone() {
        task::in_background("following the files of TLS", async move { tls.follow().await });
    }
    if !settings.preload.is_empty() {
        let (front, wanted) = (front.clone(), settings.preload.clone());
        // Noted before it begins: nobody is to hear meanwhile that all is there.
        front.service.preloads.begin();
        task::in_background("preloading", async move { front.service.preload(&wanted).await });
    }

    let (cleaned, every) = (front.clone(), settings.gallery_cleaning);
    task::in_background("cleaning gallery files", async move { cleaned.service.clean_now_and_then(every).await });

    if front.service.extensions {
        let (front, every) = (front.clone(), settings.expiry_check);
        task::in_background("deleting faces by their age", async move {
            front.service.expire_now_and_then(front.audit.as_ref(), every).await
        });
    }

    let connections = Arc::new(Semaphore::new(settings.max_connections as usize));
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(settings.header_timeout);
    let service = TowerToHyperService::new(router::routes(front.clone()));
    let (open, stopping) = (GracefulShutdown::new(), CancellationToken::new());
    let signal = loop {
        let accepted = async {
            let permit = connections.clone().acquire_owned().await.expect("the semaphore is never closed");
            (listener.accept().await, permit)
        };
        let (stream, peer, permit) = tokio::select! {
            (accepted, permit) = accepted => match accepted {
                Ok((stream, peer)) => (stream, peer, permit),
                Err(error) => {
                    // Out of file descriptors, most likely: some will come back.
                    tracing::warn!(%error, "cannot accept a connection");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                    continue;
                }
            },
            _ = hangup.recv() => {
                reload(&front.access, tls.as_deref());
                continue;
            }
            _ = terminate.recv() => break "SIGTERM",
            _ = interrupt.recv() => break "SIGINT",
        };
        let stream = Connection::new(stream, settings.reply_timeout);
        let line = Line { http: http.clone(), service: service.clone(), peer: Peer(peer), watcher: open.watcher() };
        let (tls, stopping) = (tls.clone(), stopping.clone());
        task::in_background("serving a connection", async move {
            match tls {
                None => line.serve(stream).await,
                Some(tls) => {
                    let shaken = stopping.run_until_cancelled_owned(tls.accept(stream)).await;
                    if let Some(Some(stream)) = shaken {
                        line.serve(stream).await;
                    }
                }
            }
            drop(permit);
        });
    };
    drop(listener);
    // Who is still shaking hands has no request that would be waited for.
    stopping.cancel();
    let at_most_s = settings.shutdown_timeout.as_secs();
    tracing::info!(signal, at_most_s, "stopping: requests in progress finish; a second signal stops at once");
    let deadline = tokio::time::Instant::now() + settings.shutdown_timeout;
    let orderly = async {
        if timeout_at(deadline, open.shutdown()).await.is_err() {
            tracing::warn!("connections that are still open are cut off");
        }
        if timeout_at(deadline, task::end()).await.is_err() {
            tracing::warn!("work that outlived its request is cut off");
        }
        let closing = tokio::time::Instant::now() + CLOSING;
        // A database that stalls would hold its connections, and with them the server, for as long as it likes. Nobody needs one any more.
        if timeout_at(closing, front.service.store.close()).await.is_err() {
            tracing::warn!("the database does not let go of its connections: they are cut off");
        }
        if let Some(audit) = &front.audit
            && timeout_at(closing, audit.close()).await.is_err()
        {
            tracing::warn!("the audit log takes no more lines");
        }
        if front.traces.is_some() {
            let (front, (done, flushed)) = (front.clone(), oneshot::channel());
            // A thread of the runtime would be waited for.
            let flushing = task::thread_of("traces".to_owned(), move || {
                front.traces.as_ref().inspect(|traces| traces.shutdown());
                let _ = done.send(());
            });
            if flushing.is_ok() {
                let _ = timeout_at(deadline.max(closing), flushed).await;
            }
        }
    };
    tokio::select! {
        () = orderly => tracing::info!("stopped"),
        _ = terminate.recv() => tracing::warn!("a second SIGTERM: stopped at once"),
        _ = interrupt.recv() => tracing::warn!("a second SIGINT: stopped at once"),
    }
    Ok(())
}

/// What answers a connection.
struct Line {
    http: http1::Builder,
    service: TowerToHyperService<Router>,
    peer: Peer,
    watcher: Watcher,
}

impl Line {
    /// Answers until the connection ends, or the server and the request in progress do.
    async fn serve(self, stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static) {
        let service = service_fn(|mut request: Request<Incoming>| {
            request.extensions_mut().insert(self.peer);
            self.service.call(request)
        });
        let connection = self.http.serve_connection(TokioIo::new(stream), service);
        // An error here is the client's: it went away, was too slow, or spoke no HTTP.
        let _ = self.watcher.watch(connection).await;
    }
}

/// Lets this process open as many files as it may, and warns where those are too few. A system that does not let it is no reason not to
/// serve: the limit may be high enough as it is.
fn raise_limit_of_files(max_connections: u32) {
    let wanted = u64::from(max_connections) + FILES_BESIDE_CONNECTIONS;
    let raised = rlimit::increase_nofile_limit(u64::MAX);
    let files = match &raised {
        Ok(files) => Some(*files),
        Err(_) => rlimit::Resource::NOFILE.get_soft().ok(),
    };
    if let Err(error) = raised {
        tracing::warn!(%error, files, wanted, "this process may not raise its limit of open files");
    }
    if files.is_some_and(|files| files < wanted) {
        tracing::warn!(
            files,
            wanted,
            "this process may open fewer files than --max-connections asks for: raise its limit (ulimit -n)"
        );
    }
}

/// Tells of collections that another pack made: whether they can be searched and added to.
async fn tell_of_other_packs(service: &Service) -> Result<(), Box<dyn Error>> {
    for (version, collections) in service.store.collections_by_version().await? {
        let face_model_version = version.as_str();
        match service.packs.making(&version) {
            Some(pack) if pack.name == service.packs.ours().pack.name => {}
            Some(pack) => match service.packs.missing(pack) {
                None => tracing::info!(
                    collections,
                    face_model_version,
                    pack = pack.name,
                    "collections of another pack: it starts when one of them is used"
                ),
                Some(error) => tracing::warn!(
                    collections,
                    face_model_version,
                    pack = pack.name,
                    %error,
                    "collections of another pack cannot be searched or added to: its files are not there"
                ),
            },
            None => tracing::warn!(
                collections,
                face_model_version,
                "collections cannot be searched or added to: no pack of the manifest made their vectors"
            ),
        }
    }
    Ok(())
}

/// Reads the keys anew, and the files of TLS; a file that cannot be read changes nothing.
fn reload(access: &Access, tls: Option<&Tls>) {
    if let Some(tls) = tls {
        tls.look_now();
    }
    match access.reload() {
        None if tls.is_some() => {}
        None => tracing::warn!("SIGHUP: there is no file of keys to read anew"),
        Some(Ok(keys)) => tracing::info!(keys, "SIGHUP: the file of keys was read anew"),
        Some(Err(error)) => tracing::error!(error, "SIGHUP: the file of keys is broken, the old keys stay"),
    }
}

async fn front(settings: &Settings, access: Access, workers: usize) -> Result<Front, Box<dyn Error>> {
    // First, before the weights: what is not built in, or not there, is told at once.
    let (has_console, collector, s3) = (settings.has_console()?, settings.collector()?, settings.s3.open()?);
    let (models_dir, library) = (settings.models.models_dir.clone(), settings.models.onnxruntime.clone());
    let (pack_name, queue) = (settings.pack.clone(), settings.queue as usize);
    let estimates_orientation = settings.orientation == OrientationSetting::Estimate;
    let provider = settings.execution_provider;
    let with_traits = settings.attribute_model == Switch::On;
    // Loading weights is work of a second core while the store opens.
    let loading = task::on_a_thread("loading the weights", move || -> Result<_, Box<dyn Error + Send + Sync>> {
        let manifest = Manifest::read(&models_dir)?;
        let name = manifest.pack(pack_name.as_deref())?.name.clone();
        let pack = manifest.load(&models_dir, &name, with_traits)?;
        if with_traits {
            let licence = &manifest.file(&manifest.attributes.traits.file)?.licence;
            tracing::info!(
                licence,
                "beard, mustache, glasses, smile, mouth and gender come from the net of traits; REKOLLECT_ATTRIBUTE_MODEL=off serves without it"
            );
        }
        let runtime = Runtime::load(library.as_deref(), &models_dir, provider)?;
        let starter = Starter { manifest, models_dir, runtime, with_traits, estimates_orientation, workers, queue };
        Ok(Packs::start(starter, pack)?)
    });
    let place = settings.store.place()?;
    if place.vault.key().is_some() && settings.search == SearchSetting::Pgvector {
        return Err("--search pgvector keeps vectors where Postgres can read them, and --vector-keys is to prevent that: leave one of them out".into());
    }
    let store = Store::open(&place, settings.database_limits()).await?;
    let tokens = TokenKey::new(&store.secret("pagination tokens").await?);
    let packs = loading.await?.map_err(|e| e as Box<dyn Error>)?;
    let lengths = || packs.all().map(|pack| (pack.face_model_version.clone(), pack.embedder.dimensions));
    let wait = settings.gallery_wait;
    let indexes = match settings.search {
        SearchSetting::Memory => {
            // A file that is mapped cannot be encrypted: there is none where vectors are, and those of before go.
            let files = Files::open(&settings.store.data_dir, settings.store.gallery_files);
            let files = match (files, place.vault.key()) {
                (Some(files), Some(_)) => {
                    files.keep(&HashSet::new());
                    None
                }
                (files, _) => files,
            };
            if let Some(files) = &files {
                let mut collections = store.snapshot().await?.collections().await?;
                // Nothing loads those of unknown models, and so nothing would keep them clean.
                collections.retain(|collection| packs.making(&collection.model_version).is_some());
                files.keep(&collections.iter().map(|collection| collection.key).collect::<HashSet<_>>());
            }
            let place = Place { budget: Budget::new(settings.gallery_bytes(workers)?), files };
            Indexes::in_memory(&store, wait, place, Arc::new(lengths().collect()))
        }
        SearchSetting::Pgvector => {
            let copies = search::prepare_pgvector(&store, &lengths().map(|(_, length)| length).collect()).await?;
            Indexes::in_postgres(&store, wait, &copies)
        }
    };
    let identity = Identity {
        version: env!("CARGO_PKG_VERSION"),
        pack: packs.ours().pack.name.clone(),
        face_model_version: packs.ours().pack.face_model_version.to_string(),
        search: match settings.search {
            SearchSetting::Memory => "memory",
            SearchSetting::Pgvector => "pgvector",
        },
    };
    let audit = settings.audit.wanted().map(|wanted| Audit::open(&wanted)).transpose()?;
    let service = Service {
        store,
        indexes,
        preloads: Preloads::default(),
        packs,
        grouping: Semaphore::new(1),
        s3,
        region: settings.region.clone(),
        extensions: settings.extensions == Switch::On,
        image_limits: settings.image_limits(),
        quotas: settings.quotas(),
        tokens,
    };
    let signed = access.is_signed();
    let metrics_by_default = if signed { Switch::Off } else { Switch::On };
    Ok(Front {
        service,
        access,
        audit,
        this_machine_only: settings.auth.is_none() && !signed,
        console: has_console && console::is_built_in(),
        injector: settings.enable_faults.then(Injector::default),
        cors_origins: settings.cors_origins.clone(),
        metrics: Metrics::new(identity),
        traces: collector.map(Traces::to).transpose()?,
        timing: settings.server_timing,
        tells_metrics: settings.metrics.unwrap_or(metrics_by_default) == Switch::On,
        max_requests: settings.max_requests as usize,
        requests: Arc::new(Semaphore::new(settings.max_requests as usize)),
        max_bodies: settings.max_bodies as usize,
        body_bytes: Semaphore::new(settings.max_bodies as usize),
        max_body: settings.max_body as usize,
        replies: Replies::new(settings.max_replies as usize),
        body_timeout: settings.body_timeout,
    })
}

fn announce(address: SocketAddr, region: &str, front: &Front, is_tls: bool) {
    let scheme = if is_tls { "https" } else { "http" };
    let key = if front.access.is_signed() { "" } else { "AWS_ACCESS_KEY_ID=any AWS_SECRET_ACCESS_KEY=any " };
    let console = if front.console { format!("console: {scheme}://{address}/console/\n") } else { String::new() };
    let text = format!(
        "rekollect ready: {scheme}://{address}\n{console}\
         try: {key}aws rekognition create-collection --collection-id people \
         --region {region} --endpoint-url {scheme}://{address}\n"
    );
    // A closed standard output is no reason not to serve.
    let mut out = std::io::stdout().lock();
    let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
}
