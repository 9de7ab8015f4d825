//! Loading vectors before somebody asks for them.

use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::Duration;

use crate::domain::{Fault, Preload};
use crate::search::Indexes;
use crate::store::{Collection, Store};
use crate::task;
use crate::vision::Packs;

/// How long to wait until what failed is tried again.
const PAUSE: Duration = Duration::from_secs(5);

/// What is still to be loaded.
#[derive(Debug, Default)]
pub struct Preloads {
    waiting: AtomicUsize,
}

impl Preloads {
    /// Notes that there will be something, before it is known how much.
    pub fn begin(&self) {
        self.waiting.store(1, Relaxed);
    }

    /// How many collections are not loaded yet, those that are loading among them.
    pub fn waiting(&self) -> usize {
        self.waiting.load(Relaxed)
    }

    /// Loads the vectors of these collections, one after the other, and tries again where the database is away. Stops when the server does.
    pub async fn load(&self, of: Loadable<'_>, wanted: &[Preload]) {
        tokio::select! {
            biased;
            () = task::ending() => {}
            () = self.load_all(of, wanted) => {}
        }
        self.waiting.store(0, Relaxed);
    }

    async fn load_all(&self, of: Loadable<'_>, wanted: &[Preload]) {
        let collections = loop {
            match of.collections(wanted).await {
                Ok(collections) => break collections,
                Err(fault) => {
                    tracing::warn!(error = %fault, "cannot find what to preload: again in {PAUSE:?}");
                    tokio::time::sleep(PAUSE).await;
                }
            }
        };
        for name in wanted {
            if let Preload::Named(id) = name
                && !collections.iter().any(|collection| name.is_of(&collection.id))
            {
                tracing::warn!(collection = %id, "there is nothing to preload: no collection of this name and of one of the server's packs");
            }
        }
        self.waiting.store(collections.len(), Relaxed);
        for collection in &collections {
            loop {
                match of.indexes.preload(collection).await {
                    Ok(()) => break,
                    // What cannot be or need not be is for the first search to say.
                    Err(fault @ (Fault::CollectionNotFound(_) | Fault::GalleryTooLarge { .. })) => {
                        tracing::warn!(collection = %collection.id, error = %fault, "not preloaded");
                        break;
                    }
                    Err(_) => tokio::time::sleep(PAUSE).await,
                }
            }
            self.waiting.fetch_sub(1, Relaxed);
        }
        tracing::info!(collections = collections.len(), "preloaded");
    }
}

/// Where there may be something to load, and into what.
#[derive(Clone, Copy)]
pub struct Loadable<'a> {
    /// What has the collections.
    pub store: &'a Store,
    /// What takes their vectors.
    pub indexes: &'a Indexes,
    /// What makes vectors that the server can compare.
    pub packs: &'a Packs,
}

impl Loadable<'_> {
    /// Which collections these are.
    pub async fn collections(self, wanted: &[Preload]) -> Result<Vec<Collection>, Fault> {
        let mut collections = self.store.snapshot().await?.collections().await?;
        collections.retain(|collection| {
            self.packs.making(&collection.model_version).is_some()
                && wanted.iter().any(|name| name.is_of(&collection.id))
        });
        Ok(collections)
    }
}
