//! Nearest faces: an exact scan of vectors in memory. The store is the truth; a gallery is its image and catches up before
//! every search, so that a search sees whatever any server on the same database acknowledged before it.

mod gallery;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use futures_util::TryStreamExt;

use crate::domain::{AccountId, CollectionId, FaceId, Fault};
use crate::store::{Collection, Store};

use gallery::Gallery;
pub use gallery::{Neighbour, Probe, cosine};

/// The galleries of one server.
#[derive(Default)]
pub struct Galleries {
    by_name: Mutex<HashMap<(AccountId, CollectionId), Arc<Entry>>>,
}

/// A gallery, and the lock that lets one request at a time bring it up to date.
struct Entry {
    /// The collection's key in the store: a collection that was deleted and made anew under its old name has another one.
    key: i64,
    catching_up: tokio::sync::Mutex<()>,
    gallery: std::sync::RwLock<Gallery>,
}

impl Galleries {
    /// The faces of `collection` nearest to `probe` by cosine: at least `min_cosine`, best first, at most `limit`; the probe
    /// itself left out when it is a face of the collection. Fails with [`Fault::FaceNotFound`] when that face is not there.
    pub async fn nearest(
        &self,
        store: &Store,
        collection: &Collection,
        probe: Probe,
        min_cosine: f32,
        limit: usize,
    ) -> Result<Vec<Neighbour>, Fault> {
        let entry = self.up_to_date(store, collection).await?;
        let scan =
            move || entry.gallery.read().unwrap_or_else(PoisonError::into_inner).nearest(&probe, min_cosine, limit);
        tokio::task::spawn_blocking(scan)
            .await
            .map_err(Fault::internal("scanning a gallery"))?
            .ok_or(Fault::FaceNotFound)
    }

    /// Forgets a collection that does not exist any more, whoever deleted it.
    pub fn forget(&self, account: &AccountId, id: &CollectionId) {
        self.lock().remove(&(account.clone(), id.clone()));
    }

    /// The gallery of `collection` with at least every change up to `collection.revision`.
    async fn up_to_date(&self, store: &Store, collection: &Collection) -> Result<Arc<Entry>, Fault> {
        let entry = self.entry(collection);
        if entry.revision() >= collection.revision {
            return Ok(entry);
        }
        let _turn = entry.catching_up.lock().await;
        let known = entry.revision();
        if known < collection.revision {
            // A change that commits while this reads may be seen in part. It has a later revision than the one noted at the
            // end, so the next request reads it again, whole.
            let deleted: Vec<FaceId> = store.deleted_since(collection, known).await?;
            let added: Vec<(FaceId, Vec<f32>)> = store.embeddings_since(collection, known).try_collect().await?;
            let mut gallery = entry.gallery.write().unwrap_or_else(PoisonError::into_inner);
            deleted.iter().for_each(|id| gallery.remove(id));
            for (id, embedding) in added {
                gallery.insert(id, &embedding)?;
            }
            gallery.revision = collection.revision;
        }
        drop(_turn);
        Ok(entry)
    }

    fn entry(&self, collection: &Collection) -> Arc<Entry> {
        let mut entries = self.lock();
        let name = (collection.account.clone(), collection.id.clone());
        let entry = entries.entry(name).or_insert_with(|| Entry::new(collection.key));
        if entry.key != collection.key {
            *entry = Entry::new(collection.key);
        }
        entry.clone()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<(AccountId, CollectionId), Arc<Entry>>> {
        self.by_name.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Entry {
    fn new(key: i64) -> Arc<Self> {
        Arc::new(Self { key, catching_up: tokio::sync::Mutex::new(()), gallery: std::sync::RwLock::default() })
    }

    fn revision(&self) -> i64 {
        self.gallery.read().unwrap_or_else(PoisonError::into_inner).revision
    }
}
