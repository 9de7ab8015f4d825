//! Nearest faces and users: by an exact scan of vectors in memory, or by pgvector. The store is the truth; a gallery is its image and
//! catches up before every search, so that a search sees whatever any server on the same database acknowledged before it.

mod gallery;
mod pgvector;

use std::collections::HashMap;
use std::fmt::Debug;
use std::hash::Hash;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use futures_util::{Stream, TryStreamExt};
use tokio::sync::{Semaphore, oneshot};

use crate::domain::{AccountId, CollectionId, FaceId, Fault};
use crate::store::{Collection, Store, UserKey};

use gallery::Gallery;
pub use gallery::{Neighbour, Probe, Query};
use pgvector::Pgvector;
pub use pgvector::prepare as prepare_pgvector;

/// Vectors that go into a gallery at once: a search of what is there already waits for no more.
const AT_ONCE: usize = 1024;

/// What a gallery can hold: ids with vectors whose changes the store tells by revision.
pub trait Member: Copy + Debug + Eq + Hash + Ord + Send + Sync + Unpin + 'static {
    /// The table of their vectors where pgvector searches.
    const VECTORS: &'static str;

    /// The id as that table has it.
    fn to_bytes(self) -> Vec<u8>;

    /// And back; `None` when it has another length.
    fn from_bytes(bytes: &[u8]) -> Option<Self>;

    /// The ids that have no vector any more since `revision`; `None` when the store does not know them all.
    fn gone_since(
        store: &Store,
        collection: &Collection,
        revision: i64,
    ) -> impl Future<Output = Result<Option<Vec<Self>>, Fault>> + Send;

    /// The ids that came, or got another vector, since `revision`.
    fn changed_since<'a>(
        store: &'a Store,
        collection: &Collection,
        revision: i64,
    ) -> impl Stream<Item = Result<(Self, Vec<f32>), Fault>> + Send + 'a;
}

impl Member for FaceId {
    const VECTORS: &'static str = "face_vectors";

    fn to_bytes(self) -> Vec<u8> {
        self.as_bytes().to_vec()
    }

    fn from_bytes(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().ok().map(FaceId::from_bytes)
    }

    async fn gone_since(store: &Store, collection: &Collection, revision: i64) -> Result<Option<Vec<Self>>, Fault> {
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
    const VECTORS: &'static str = "user_vectors";

    fn to_bytes(self) -> Vec<u8> {
        self.0.to_be_bytes().to_vec()
    }

    fn from_bytes(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().ok().map(i64::from_be_bytes).map(Self)
    }

    async fn gone_since(store: &Store, collection: &Collection, revision: i64) -> Result<Option<Vec<Self>>, Fault> {
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

/// What finds the members nearest to a probe.
pub enum Engine<Id> {
    /// In this server's memory, exactly.
    Memory(Galleries<Id>),
    /// In Postgres, nearly so.
    Pgvector(Pgvector<Id>),
}

impl<Id: Member> Engine<Id> {
    /// An exact one.
    pub fn memory() -> Self {
        Self::Memory(Galleries::default())
    }

    /// One in Postgres, with what [`prepare_pgvector`] gave: all engines of a server share it.
    pub fn pgvector(copies: Arc<Semaphore>) -> Self {
        Self::Pgvector(Pgvector::new(copies))
    }

    /// See [`Query`]. `None` when the probe is a member that is not there.
    pub async fn nearest(
        &self,
        store: &Store,
        collection: &Collection,
        query: Query<Id>,
    ) -> Result<Option<Vec<Neighbour<Id>>>, Fault> {
        match self {
            Self::Memory(galleries) => galleries.nearest(store, collection, query).await,
            Self::Pgvector(tables) => tables.nearest(store, collection, query).await,
        }
    }

    /// The vector of a member, if it is there.
    pub async fn vector(&self, store: &Store, collection: &Collection, id: &Id) -> Result<Option<Vec<f32>>, Fault> {
        match self {
            Self::Memory(galleries) => galleries.vector(store, collection, id).await,
            Self::Pgvector(tables) => tables.vector(store, collection, id).await,
        }
    }

    /// Forgets a collection that does not exist any more, whoever deleted it.
    pub fn forget(&self, account: &AccountId, id: &CollectionId) {
        // Tables of pgvector lose their rows with the collection.
        if let Self::Memory(galleries) = self {
            galleries.forget(account, id);
        }
    }

    /// How many vectors are in this server's memory.
    pub fn members(&self) -> usize {
        match self {
            Self::Memory(galleries) => galleries.sum(Gallery::len),
            Self::Pgvector(_) => 0,
        }
    }

    /// What they take there, in bytes.
    pub fn bytes(&self) -> usize {
        match self {
            Self::Memory(galleries) => galleries.sum(Gallery::bytes),
            Self::Pgvector(_) => 0,
        }
    }
}

/// The galleries of one server, of its collections' faces or of their users.
pub struct Galleries<Id> {
    by_name: Mutex<Entries<Id>>,
}

type Entries<Id> = HashMap<(AccountId, CollectionId), Arc<Entry<Id>>>;

/// A gallery, and the locks that let one request at a time bring it up to date, and one scan at a time go over it.
struct Entry<Id> {
    /// The collection's key in the store: a collection that was deleted and made anew under its old name has another one.
    key: i64,
    catching_up: tokio::sync::Mutex<()>,
    gallery: RwLock<Gallery<Id>>,
    scanning: tokio::sync::Mutex<()>,
    waiting: Mutex<Vec<(Query<Id>, Reply<Id>)>>,
}

type Answer<Id> = Option<Vec<Neighbour<Id>>>;
type Reply<Id> = oneshot::Sender<Answer<Id>>;

impl<Id> Default for Galleries<Id> {
    fn default() -> Self {
        Self { by_name: Mutex::default() }
    }
}

impl<Id: Member> Galleries<Id> {
    async fn nearest(
        &self,
        store: &Store,
        collection: &Collection,
        query: Query<Id>,
    ) -> Result<Option<Vec<Neighbour<Id>>>, Fault> {
        const CONTEXT: &str = "scanning a gallery";
        let entry = self.up_to_date(store, collection).await?;
        let (reply, mut answer) = oneshot::channel();
        lock(&entry.waiting).push((query, reply));
        // Questions that come while a scan goes on share the next one.
        let turn = tokio::select! {
            biased;
            answer = &mut answer => return answer.map_err(Fault::internal(CONTEXT)),
            turn = entry.scanning.lock() => turn,
        };
        let scanned = entry.clone();
        tokio::task::spawn_blocking(move || scanned.answer_waiting()).await.map_err(Fault::internal(CONTEXT))?;
        drop(turn);
        answer.await.map_err(Fault::internal(CONTEXT))
    }

    async fn vector(&self, store: &Store, collection: &Collection, id: &Id) -> Result<Option<Vec<f32>>, Fault> {
        let entry = self.up_to_date(store, collection).await?;
        Ok(entry.read().vector_of(id).map(<[f32]>::to_vec))
    }

    fn sum(&self, of: impl Fn(&Gallery<Id>) -> usize) -> usize {
        let entries: Vec<Arc<Entry<Id>>> = lock(&self.by_name).values().cloned().collect();
        entries.iter().map(|entry| of(&entry.read())).sum()
    }

    fn forget(&self, account: &AccountId, id: &CollectionId) {
        lock(&self.by_name).remove(&(account.clone(), id.clone()));
    }

    /// The gallery of `collection` with at least every change up to `collection.revision`.
    async fn up_to_date(&self, store: &Store, collection: &Collection) -> Result<Arc<Entry<Id>>, Fault> {
        loop {
            let entry = self.entry(collection);
            if catch_up(&entry, store, collection).await? {
                return Ok(entry);
            }
            // A scan may still go over the old one, which is right for what was asked of it.
            let name = (collection.account.clone(), collection.id.clone());
            let mut entries = lock(&self.by_name);
            if entries.get(&name).is_some_and(|current| Arc::ptr_eq(current, &entry)) {
                entries.remove(&name);
            }
        }
    }

    fn entry(&self, collection: &Collection) -> Arc<Entry<Id>> {
        let mut entries = lock(&self.by_name);
        let name = (collection.account.clone(), collection.id.clone());
        let entry = entries.entry(name).or_insert_with(|| Entry::new(collection.key));
        if entry.key != collection.key {
            *entry = Entry::new(collection.key);
        }
        entry.clone()
    }
}

/// Brings a gallery to at least `collection.revision`. False when that is no longer possible, because the store has forgotten deletions that
/// the gallery does not know of.
async fn catch_up<Id: Member>(entry: &Entry<Id>, store: &Store, collection: &Collection) -> Result<bool, Fault> {
    if entry.revision() >= collection.revision {
        return Ok(true);
    }
    let _turn = entry.catching_up.lock().await;
    let known = entry.revision();
    if known < collection.revision {
        // A change that commits while this reads may be seen in part. It has a later revision than the one noted at the end, so the
        // next request reads it again, whole. Nobody searches at the new revision before that is noted.
        //
        // Where nothing is yet, there is nothing to remove: the first load would read every deletion that the store knows of.
        if entry.read().len() > 0 {
            let Some(gone) = Id::gone_since(store, collection, known).await? else { return Ok(false) };
            for id in gone {
                entry.write().remove(&id);
            }
        }
        let mut changed = std::pin::pin!(Id::changed_since(store, collection, known).try_ready_chunks(AT_ONCE));
        while let Some(batch) = changed.try_next().await.map_err(|error| error.1)? {
            let mut gallery = entry.write();
            for (id, embedding) in batch {
                gallery.insert(id, &embedding)?;
            }
        }
        entry.write().revision = collection.revision;
    }
    Ok(true)
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl<Id: Member> Entry<Id> {
    fn new(key: i64) -> Arc<Self> {
        Arc::new(Self {
            key,
            catching_up: tokio::sync::Mutex::new(()),
            gallery: RwLock::default(),
            scanning: tokio::sync::Mutex::new(()),
            waiting: Mutex::default(),
        })
    }

    fn revision(&self) -> i64 {
        self.read().revision
    }

    fn read(&self) -> RwLockReadGuard<'_, Gallery<Id>> {
        self.gallery.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Gallery<Id>> {
        self.gallery.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// Answers every question that waits, in one pass.
    fn answer_waiting(&self) {
        let mut waiting = std::mem::take(&mut *lock(&self.waiting));
        // Whoever went away needs no answer.
        waiting.retain(|(_, reply)| !reply.is_closed());
        let (queries, replies): (Vec<_>, Vec<_>) = waiting.into_iter().unzip();
        let answers = self.read().nearest(&queries);
        for (answer, reply) in answers.into_iter().zip(replies) {
            let _ = reply.send(answer);
        }
    }
}
