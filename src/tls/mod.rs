//! TLS: what the server proves to its clients, and they to it. The files are followed: a certificate that was renewed is served to the next
//! connection, and one that is broken never takes the place of one that works.

mod asking;
mod files;
mod own;

use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use time::OffsetDateTime;
use tokio::sync::Notify;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use crate::connection::Connection;
use crate::task;

pub use asking::asking;
pub use files::Files;
use files::{Contents, Credentials};

/// How often the files are looked at.
const LOOK_EVERY: Duration = Duration::from_secs(5);

/// How long before its end a certificate is warned of.
const WARN_BEFORE: time::Duration = time::Duration::days(14);

/// How often that is done.
const WARN_EVERY: Duration = Duration::from_secs(24 * 60 * 60);

/// The server's side of TLS.
pub struct Tls {
    files: Files,
    /// For a handshake.
    limit: Duration,
    /// A whole configuration, and not the certificate alone: sessions that were agreed under another one are not resumed under this.
    credentials: ArcSwap<Credentials>,
    look: Notify,
}

impl Tls {
    /// From these files. Fails when they cannot be served: a server that no client would talk to should not seem to run.
    pub fn open(files: Files, limit: Duration) -> Result<Self, String> {
        let credentials = files.read()?.credentials(&files)?;
        Ok(Self { files, limit, credentials: ArcSwap::from_pointee(credentials), look: Notify::new() })
    }

    /// Shakes hands with a client. None when it does not, or not in time.
    pub async fn accept(&self, connection: Connection) -> Option<TlsStream<Connection>> {
        let acceptor = TlsAcceptor::from(self.credentials.load().config.clone());
        match timeout(self.limit, acceptor.accept(connection)).await {
            Ok(Ok(stream)) => Some(stream),
            Ok(Err(error)) => {
                tracing::debug!(%error, "a TLS handshake failed");
                None
            }
            Err(_) => None,
        }
    }

    /// Has the files looked at now.
    pub fn look_now(&self) {
        self.look.notify_one();
    }

    /// Takes what the files hold whenever it has changed, until the server stops.
    pub async fn follow(&self) {
        tokio::select! {
            () = task::ending() => {}
            () = self.look_again_and_again() => {}
        }
    }

    async fn look_again_and_again(&self) {
        let mut seen = Ok(self.credentials.load().digest);
        let mut warning = tokio::time::interval(WARN_EVERY);
        loop {
            tokio::select! {
                _ = warning.tick() => {
                    warn_of_the_end(self.credentials.load().expires);
                    continue;
                }
                () = tokio::time::sleep(LOOK_EVERY) => {}
                () = self.look.notified() => {}
            }
            let files = self.files.clone();
            let contents = task::on_a_thread("reading the files of TLS", move || files.read()).await;
            let contents = contents.unwrap_or_else(|fault| Err(fault.to_string()));
            let found = contents.as_ref().map(Contents::digest).map_err(Clone::clone);
            // What was told once is not told again.
            if found == seen {
                continue;
            }
            seen = found;
            match contents.and_then(|contents| contents.credentials(&self.files)) {
                Ok(credentials) => {
                    tracing::info!(expires = %credentials.expires, "TLS: the files have changed, and new connections get the new certificate");
                    warn_of_the_end(credentials.expires);
                    self.credentials.store(Arc::new(credentials));
                }
                Err(error) => {
                    tracing::error!(error, "TLS: the files have changed and cannot be used, the old certificate stays")
                }
            }
        }
    }
}

fn warn_of_the_end(expires: OffsetDateTime) {
    let left = expires - OffsetDateTime::now_utc();
    if left.is_negative() {
        tracing::error!(%expires, "TLS: the certificate has expired, and clients refuse it");
    } else if left < WARN_BEFORE {
        tracing::warn!(%expires, "TLS: the certificate expires soon");
    }
}
