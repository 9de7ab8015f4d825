//! From settings to a listening server, and its end.

use std::error::Error;
use std::io::Write;
use std::net::SocketAddr;
use std::sync::Arc;
use std::thread;
use std::time::Instant;

use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{Semaphore, oneshot};

use crate::config::{Auth, Settings};
use crate::operations::Service;
use crate::search::Galleries;
use crate::store::Store;
use crate::vision::pack::Manifest;
use crate::vision::{Engine, Runtime};
use crate::wire::router::{self, Front};

/// Serves until SIGTERM or SIGINT; requests in progress then get the shutdown timeout to finish.
///
/// Standard output carries what a starting script waits for: the line `rekollect ready: http://ADDRESS` once the weights are
/// loaded and the store is open, and a first call to try.
pub async fn serve(settings: Settings) -> Result<(), Box<dyn Error>> {
    let started = Instant::now();
    settings.check()?;
    // Bound first: a taken port is told before the weights are loaded.
    let listener =
        TcpListener::bind(settings.listen).await.map_err(|e| format!("cannot listen on {}: {e}", settings.listen))?;
    let address = listener.local_addr()?;
    let workers = settings.workers.map_or_else(|| thread::available_parallelism().map_or(1, usize::from), usize::from);
    let (front, store_kind) = front(&settings, workers).await?;
    let front = Arc::new(front);
    tracing::info!(
        %address,
        pack = front.service.pack.name,
        face_model_version = front.service.pack.face_model_version.as_str(),
        store = store_kind,
        workers,
        start_ms = started.elapsed().as_millis() as u64,
        "serving"
    );
    if settings.auth == Auth::Open {
        tracing::warn!("REKOLLECT_AUTH=open: everybody who reaches the address may read, add and delete faces");
    }
    // Caught from before the server says that it is ready: whoever waits for that may stop it at once.
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    announce(address, &settings.region);

    let (stop, stopped) = oneshot::channel();
    let stopping = async move {
        let name = tokio::select! {
            _ = terminate.recv() => "SIGTERM",
            _ = interrupt.recv() => "SIGINT",
        };
        tracing::info!(signal = name, "stopping: requests in progress finish, new ones are refused");
        let _ = stop.send(());
    };
    let serving = axum::serve(listener, router::routes(front.clone())).with_graceful_shutdown(stopping);
    let overdue = async {
        // Without a signal there is no deadline; if the sender is gone the server has ended by itself.
        if stopped.await.is_ok() {
            tokio::time::sleep(settings.shutdown_timeout).await;
        } else {
            std::future::pending::<()>().await;
        }
    };
    tokio::select! {
        result = serving => result?,
        () = overdue => tracing::warn!("requests still in progress at the end of the shutdown timeout are cut off"),
    }
    front.service.store.close().await;
    tracing::info!("stopped");
    Ok(())
}

async fn front(settings: &Settings, workers: usize) -> Result<(Front, &'static str), Box<dyn Error>> {
    let (models_dir, library) = (settings.models.models_dir.clone(), settings.onnxruntime.clone());
    let (pack_name, queue) = (settings.pack.clone(), settings.queue.get());
    // Loading weights is work of a second core while the store opens.
    let loading = tokio::task::spawn_blocking(move || -> Result<_, Box<dyn Error + Send + Sync>> {
        let pack = Manifest::read(&models_dir)?.load(&models_dir, pack_name.as_deref())?;
        let runtime = Runtime::load(library.as_deref(), &models_dir)?;
        let engine = Engine::start(&runtime, &pack, workers, queue)?;
        Ok((engine, pack.pack))
    });
    let connections = u32::try_from(settings.database_connections.get())?;
    let store = Store::open(settings.database_url.as_deref(), &settings.data_dir, connections).await?;
    let (engine, pack) = loading.await?.map_err(|e| e as Box<dyn Error>)?;
    let service = Service {
        store,
        galleries: Galleries::default(),
        engine,
        pack: Arc::new(pack),
        account: settings.account.clone(),
        region: settings.region.clone(),
        image_limits: settings.image_limits(),
    };
    let front = Front {
        service,
        requests: Semaphore::new(settings.max_requests.get()),
        max_body: settings.max_body,
        body_timeout: settings.body_timeout,
    };
    Ok((front, if settings.database_url.is_some() { "postgres" } else { "sqlite" }))
}

fn announce(address: SocketAddr, region: &str) {
    let text = format!(
        "rekollect ready: http://{address}\n\
         try: AWS_ACCESS_KEY_ID=any AWS_SECRET_ACCESS_KEY=any aws rekognition create-collection --collection-id people \
         --region {region} --endpoint-url http://{address}\n"
    );
    // A closed standard output is no reason not to serve.
    let mut out = std::io::stdout().lock();
    let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
}
