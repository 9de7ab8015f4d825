//! Nearest faces and users: an exact scan of vectors in memory. The store is the truth; a gallery is its image and catches up
//! before every search, so that a search sees whatever any server on the same database acknowledged before it.

mod gallery;

use std::collections::HashMap;
use std::fmt::Debug;
use std::hash::Hash;
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use futures_util::{Stream, TryStreamExt};

use crate::domain::{AccountId, CollectionId, FaceId, Fault};
use crate::store::{Collection, Store, UserKey};

use gallery::Gallery;
pub use gallery::{Neighbour, Probe};

/// What a gallery can hold: ids with vectors whose changes the store tells by revision.
pub trait Member: Copy + Debug + Eq + Hash + Ord + Send + Sync + 'static {
    /// The ids that have no vector any more since `revision`.
    fn gone_since(
        store: &Store,
        collection: &Collection,
        revision: i64,
    ) -> impl Future<Output = Result<Vec<Self>, Fault>> + Send;

    /// The ids that came, or got another vector, since `revision`.
    fn changed_since<'a>(
        store: &'a Store,
        collection: &Collection,
        revision: i64,
    ) -> impl Stream<Item = Result<(Self, Vec<f32>), Fault>> + Send + 'a;
}

impl Member for FaceId {
    async fn gone_since(store: &Store, collection: &Collection, revision: i64) -> Result<Vec<Self>, Fault> {
        store.deleted_since(collection, revision).await
    }

    fn changed_since<'a>(
        store: &'a Store,
        collection: &Collection,
        revision: i64,
    ) -> impl Stream<Item = Result<(Self, Vec<f32>), Fault>> + Send + 'a {
        store.embeddings_since(collection, revision)
    }
}

impl Member for UserKey {
    async fn gone_since(store: &Store, collection: &Collection, revision: i64) -> Result<Vec<Self>, Fault> {
        store.users_without_vector_since(collection, revision).await
    }

    fn changed_since<'a>(
        store: &'a Store,
        collection: &Collection,
        revision: i64,
    ) -> impl Stream<Item = Result<(Self, Vec<f32>), Fault>> + Send + 'a {
        store.user_vectors_since(collection, revision)
    }
}

/// The galleries of one server, of its collections' faces or of their users.
pub struct Galleries<Id> {
    by_name: Mutex<Entries<Id>>,
}

type Entries<Id> = HashMap<(AccountId, CollectionId), Arc<Entry<Id>>>;

/// A gallery, and the lock that lets one request at a time bring it up to date.
struct Entry<Id> {
    /// The collection's key in the store: a collection that was deleted and made anew under its old name has another one.
    key: i64,
    catching_up: tokio::sync::Mutex<()>,
    gallery: RwLock<Gallery<Id>>,
}

impl<Id> Default for Galleries<Id> {
    fn default() -> Self {
        Self { by_name: Mutex::default() }
    }
}

impl<Id: Member> Galleries<Id> {
    /// The members nearest to `probe` by cosine: at least `min_cosine`, best first, at most `limit`; a probe that is a member is left
    /// out itself. `None` when that member is not there.
    pub async fn nearest(
        &self,
        store: &Store,
        collection: &Collection,
        probe: Probe<Id>,
        min_cosine: f32,
        limit: usize,
    ) -> Result<Option<Vec<Neighbour<Id>>>, Fault> {
        let entry = self.up_to_date(store, collection).await?;
        let scan =
            move || entry.gallery.read().unwrap_or_else(PoisonError::into_inner).nearest(&probe, min_cosine, limit);
        tokio::task::spawn_blocking(scan).await.map_err(Fault::internal("scanning a gallery"))
    }

    /// The vector of a member, if it is there.
    pub async fn vector(&self, store: &Store, collection: &Collection, id: &Id) -> Result<Option<Vec<f32>>, Fault> {
        let entry = self.up_to_date(store, collection).await?;
        let gallery = entry.gallery.read().unwrap_or_else(PoisonError::into_inner);
        Ok(gallery.vector_of(id).map(<[f32]>::to_vec))
    }

    /// Forgets a collection that does not exist any more, whoever deleted it.
    pub fn forget(&self, account: &AccountId, id: &CollectionId) {
        self.lock().remove(&(account.clone(), id.clone()));
    }

    /// The gallery of `collection` with at least every change up to `collection.revision`.
    async fn up_to_date(&self, store: &Store, collection: &Collection) -> Result<Arc<Entry<Id>>, Fault> {
        let entry = self.entry(collection);
        if entry.revision() >= collection.revision {
            return Ok(entry);
        }
        {
            let _turn = entry.catching_up.lock().await;
            let known = entry.revision();
            if known < collection.revision {
                // A change that commits while this reads may be seen in part. It has a later revision than the one noted at the
                // end, so the next request reads it again, whole.
                let gone = Id::gone_since(store, collection, known).await?;
                let changed: Vec<(Id, Vec<f32>)> = Id::changed_since(store, collection, known).try_collect().await?;
                let mut gallery = entry.gallery.write().unwrap_or_else(PoisonError::into_inner);
                gone.iter().for_each(|id| gallery.remove(id));
                for (id, embedding) in changed {
                    gallery.insert(id, &embedding)?;
                }
                gallery.revision = collection.revision;
            }
        }
        Ok(entry)
    }

    fn entry(&self, collection: &Collection) -> Arc<Entry<Id>> {
        let mut entries = self.lock();
        let name = (collection.account.clone(), collection.id.clone());
        let entry = entries.entry(name).or_insert_with(|| Entry::new(collection.key));
        if entry.key != collection.key {
            *entry = Entry::new(collection.key);
        }
        entry.clone()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Entries<Id>> {
        self.by_name.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<Id: Member> Entry<Id> {
    fn new(key: i64) -> Arc<Self> {
        Arc::new(Self { key, catching_up: tokio::sync::Mutex::new(()), gallery: RwLock::default() })
    }

    fn revision(&self) -> i64 {
        self.gallery.read().unwrap_or_else(PoisonError::into_inner).revision
    }
}
