//! The galleries of one server, of its collections' faces or of their users.

use std::collections::HashMap;
use std::sync::atomic::AtomicUsize;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use arc_swap::ArcSwap;
use tokio::sync::{oneshot, watch};
use tokio_util::sync::CancellationToken;

use super::super::member::Member;
use super::super::question::{Neighbour, Query};
use super::budget::{Budget, Share};
use super::files::{Files, GalleryFiles};
use super::gallery::Gallery;
use super::progress::{Loading, Progress, Room};
use crate::domain::{AccountId, CollectionId, Fault, ModelVersion};
use crate::store::{Collection, Store};
use crate::task::{self, lock};

/// Galleries by their collections' names.
pub struct Galleries<Id> {
    by_name: Arc<Mutex<Entries<Id>>>,
    /// What loading needs.
    pub(super) store: Store,
    /// Within what time a gallery has to be up to date, or its search is refused.
    pub(super) wait: Duration,
    /// How many load, or catch up, at once.
    pub(super) room: Arc<Room>,
    budget: Arc<Budget>,
    files: Option<Arc<Files>>,
    pub(super) dimensions: Dimensions,
}

/// How long the vectors of each model version are.
pub type Dimensions = Arc<HashMap<ModelVersion, usize>>;

/// Where galleries may be, and how much of them.
#[derive(Clone)]
pub struct Place {
    /// In memory.
    pub budget: Arc<Budget>,
    /// On the disk, if anywhere.
    pub files: Option<Arc<Files>>,
}

impl Place {
    /// In memory alone, as much as they need.
    pub fn memory() -> Self {
        Self { budget: Budget::new(None), files: None }
    }
}

type Entries<Id> = HashMap<(AccountId, CollectionId), Arc<Entry<Id>>>;

/// A gallery, and what happens to it.
pub struct Entry<Id> {
    /// The collection's key in the store: a collection that was deleted and made anew under its old name has another one, which is higher.
    key: i64,
    /// What searches see. It never changes: another takes its place.
    pub(super) gallery: ArcSwap<Gallery<Id>>,
    /// How far loading it is.
    pub(super) progress: watch::Sender<Progress>,
    /// Cancelled when the collection is gone.
    pub(super) gone: CancellationToken,
    pub(super) share: Share,
    pub(super) files: Option<GalleryFiles>,
    /// How many members it held when they could not be moved to a file; 0 where they could.
    pub(super) refused: AtomicUsize,
    /// One scan at a time goes over it.
    scanning: Arc<tokio::sync::Mutex<()>>,
    waiting: Mutex<Vec<Asking<Id>>>,
}

/// Questions of one pass over a gallery, at most, so that what a scan notes of each stays bounded; more than one caller has.
const MOST_QUESTIONS: usize = 512;

/// Questions of one call, and who waits for the answers.
type Asking<Id> = (Vec<Query<Id>>, Reply<Id>);
type Answer<Id> = Option<Vec<Neighbour<Id>>>;
type Reply<Id> = oneshot::Sender<Result<Vec<Answer<Id>>, Fault>>;

impl<Id: Member> Galleries<Id> {
    /// None yet.
    pub fn new(store: Store, wait: Duration, room: Arc<Room>, place: Place, dimensions: Dimensions) -> Self {
        Self { by_name: Arc::default(), store, wait, room, budget: place.budget, files: place.files, dimensions }
    }

    /// See [`super::super::Index::nearest_to_each`].
    pub async fn nearest(&self, collection: &Collection, queries: Vec<Query<Id>>) -> Result<Vec<Answer<Id>>, Fault> {
        let entry = self.entry(collection)?;
        entry.share.touch();
        let answers = match self.up_to_date(&entry, collection).await {
            Ok(()) => entry.clone().ask(queries).await,
            Err(fault) => Err(fault),
        };
        self.mend(&entry, collection);
        answers
    }

    /// See [`super::super::Index::vector`].
    pub async fn vector(&self, collection: &Collection, id: &Id) -> Result<Option<Vec<f32>>, Fault> {
        let entry = self.entry(collection)?;
        let vector = match self.up_to_date(&entry, collection).await {
            Ok(()) => entry.gallery.load().vector_of(id).map(|vector| vector.map(<[f32]>::to_vec)),
            Err(fault) => Err(fault),
        };
        self.mend(&entry, collection);
        vector
    }

    /// Gives up a gallery of which a file is damaged: the next search reads the database.
    fn mend(&self, entry: &Arc<Entry<Id>>, collection: &Collection) {
        if !entry.gallery.load().is_damaged() {
            return;
        }
        let name = (collection.account.clone(), collection.id.clone());
        let mut entries = lock(&self.by_name);
        if entries.get(&name).is_some_and(|now| Arc::ptr_eq(now, entry)) {
            tracing::error!(collection = %collection.id, "a gallery file is damaged: the database is read again");
            let gone = entries.remove(&name);
            drop(entries);
            entry.files.iter().for_each(GalleryFiles::remove);
            task::dispose(gone);
        }
    }

    /// Loads the gallery of a collection, if it is not there, however long that takes.
    pub async fn preload(&self, collection: &Collection) -> Result<(), Fault> {
        let entry = self.entry(collection)?;
        let outcome = self.loaded(&entry, collection).await;
        self.mend(&entry, collection);
        outcome
    }

    /// Brings the gallery of a collection up to date, if it is in memory.
    pub async fn catch_up(&self, collection: &Collection) -> Result<(), Fault> {
        let name = (collection.account.clone(), collection.id.clone());
        let is_known = lock(&self.by_name).get(&name).is_some_and(|entry| entry.gallery.load().revision > 0);
        if is_known { self.preload(collection).await } else { Ok(()) }
    }

    /// Removes vectors of members that are gone from the collection's files.
    pub async fn clean(&self, collection: &Collection) -> Result<(), Fault> {
        let Some(files) = &self.files else { return Ok(()) };
        let name = (collection.account.clone(), collection.id.clone());
        let is_mapped = lock(&self.by_name).get(&name).is_some_and(|entry| entry.gallery.load().number_of_files() > 0);
        if !is_mapped && !task::in_place(|| files.of::<Id>(collection).may_have_gone(collection.revision)) {
            return Ok(());
        }
        self.preload(collection).await?;
        let entry = self.entry(collection)?;
        // A file at a time: a search that has to see what is newer waits for one, and not for all.
        for _ in 0..entry.gallery.load().number_of_files() {
            if !entry.gallery.load().has_gone_in_files() {
                break;
            }
            let outcome = self.cleaned(&entry, collection).await;
            self.mend(&entry, collection);
            outcome?;
        }
        Ok(())
    }

    /// How many vectors there are, and their bytes.
    pub fn size(&self) -> (usize, usize) {
        let galleries: Vec<_> = self.all().iter().map(|entry| entry.gallery.load_full()).collect();
        galleries.iter().fold((0, 0), |(members, bytes), one| (members + one.len(), bytes + one.bytes()))
    }

    /// What is being loaded.
    pub fn loading(&self) -> Loading {
        self.all().iter().map(|entry| entry.progress.borrow().loading()).sum()
    }

    /// Forgets a collection that does not exist any more.
    pub fn forget(&self, account: &AccountId, id: &CollectionId) {
        let gone = lock(&self.by_name).remove(&(account.clone(), id.clone()));
        gone.into_iter().for_each(Entry::end);
    }

    fn all(&self) -> Vec<Arc<Entry<Id>>> {
        lock(&self.by_name).values().cloned().collect()
    }

    /// The gallery of a collection, empty if there was none. Fails when the collection has been deleted and made anew meanwhile.
    fn entry(&self, collection: &Collection) -> Result<Arc<Entry<Id>>, Fault> {
        let mut entries = lock(&self.by_name);
        let name = (collection.account.clone(), collection.id.clone());
        match entries.get(&name) {
            Some(entry) if entry.key == collection.key => return Ok(entry.clone()),
            Some(entry) if entry.key > collection.key => {
                return Err(Fault::CollectionNotFound(collection.id.clone()));
            }
            _ => {}
        }
        let (galleries, key, its_name) = (Arc::downgrade(&self.by_name), collection.key, name.clone());
        let share = self.budget.share(move || {
            let Some(galleries) = galleries.upgrade() else { return };
            let mut entries = lock(&galleries);
            if entries.get(&its_name).is_some_and(|entry| entry.key == key) {
                let gone = entries.remove(&its_name);
                drop(entries);
                tracing::info!(
                    key,
                    "a gallery makes room for another: the next search of its collection loads it again"
                );
                task::dispose(gone);
            }
        });
        let files = self.files.as_ref().map(|files| files.of::<Id>(collection));
        let entry = Arc::new(Entry::new(collection, share, files));
        let old = entries.insert(name, entry.clone());
        drop(entries);
        old.into_iter().for_each(Entry::end);
        Ok(entry)
    }
}

impl<Id: Member> Entry<Id> {
    fn new(collection: &Collection, share: Share, files: Option<GalleryFiles>) -> Self {
        Self {
            key: collection.key,
            gallery: ArcSwap::from_pointee(Gallery::for_members(0)),
            progress: watch::Sender::default(),
            gone: CancellationToken::new(),
            share,
            files,
            refused: AtomicUsize::new(0),
            scanning: Arc::default(),
            waiting: Mutex::default(),
        }
    }

    /// Its collection is gone.
    fn end(self: Arc<Self>) {
        self.gone.cancel();
        task::dispose(self);
    }

    /// Asks what is there. Questions that come while a scan goes on share the next one.
    async fn ask(self: Arc<Self>, queries: Vec<Query<Id>>) -> Result<Vec<Answer<Id>>, Fault> {
        const CONTEXT: &str = "scanning a gallery";
        let (reply, mut answers) = oneshot::channel();
        lock(&self.waiting).push((queries, reply));
        loop {
            let turn = tokio::select! {
                biased;
                answers = &mut answers => return answers.map_err(Fault::internal(CONTEXT))?,
                turn = self.scanning.clone().lock_owned() => turn,
            };
            // The scan has the turn, and not its caller, who may go. Where very much waits, it may have been for others alone.
            let entry = self.clone();
            let scan = move || {
                entry.answer_waiting();
                drop(turn);
            };
            task::on_a_thread(CONTEXT, scan).await?;
        }
    }

    /// Answers the questions that wait, in one pass.
    fn answer_waiting(&self) {
        let (asked, replies): (Vec<_>, Vec<_>) = self.next_questions().into_iter().unzip();
        let numbers: Vec<usize> = asked.iter().map(Vec::len).collect();
        let queries: Vec<Query<Id>> = asked.into_iter().flatten().collect();
        match self.gallery.load().nearest(&queries) {
            Ok(answers) => {
                let mut answers = answers.into_iter();
                for (number, reply) in numbers.into_iter().zip(replies) {
                    let _ = reply.send(Ok(answers.by_ref().take(number).collect()));
                }
            }
            Err(fault) => replies.into_iter().for_each(|reply| drop(reply.send(Err(fault.clone())))),
        }
    }

    /// Takes what waits, from those who came first, as far as one pass bears it.
    fn next_questions(&self) -> Vec<Asking<Id>> {
        let mut waiting = lock(&self.waiting);
        // Whoever went away needs no answer.
        waiting.retain(|(_, reply)| !reply.is_closed());
        let mut questions = 0;
        let fitting = waiting.iter().take_while(|(queries, _)| {
            questions += queries.len();
            questions <= MOST_QUESTIONS
        });
        let next = fitting.count().max(1).min(waiting.len());
        waiting.drain(..next).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::question::Probe;
    use super::super::tests::collection;
    use super::*;
    use crate::domain::FaceId;
    use crate::store::{Limits, StorePlace, Vault};

    #[tokio::test]
    async fn who_knows_only_a_deleted_collection_does_not_evict_the_gallery_of_its_successor() {
        let folder = tempfile::tempdir().unwrap();
        let place = StorePlace { data_dir: folder.path().to_owned(), database_url: None, vault: Vault::default() };
        let second = Duration::from_secs(1);
        let store = Store::open(&place, Limits { connections: 1, wait: second, statement: second }).await.unwrap();
        let galleries = Galleries::<FaceId>::new(store, second, Room::beside(1), Place::memory(), Arc::default());
        let old = galleries.entry(&collection(1)).unwrap();
        let new = galleries.entry(&collection(2)).unwrap();
        assert!(old.gone.is_cancelled());
        assert!(matches!(galleries.entry(&collection(1)), Err(Fault::CollectionNotFound(_))));
        assert!(Arc::ptr_eq(&galleries.entry(&collection(2)).unwrap(), &new) && !new.gone.is_cancelled());
    }

    fn query() -> Query<FaceId> {
        Query { probe: Probe::Embedding(vec![1.0, 0.0, 0.0, 0.0]), min_cosine: -1.0, limit: 4096 }
    }

    /// A gallery over which a scan goes for some tenths of a second, the question that began it, and the answers to others that share it.
    async fn while_scanned() -> (
        Arc<Entry<FaceId>>,
        impl Future<Output = Result<Vec<Answer<FaceId>>, Fault>>,
        Vec<oneshot::Receiver<Result<Vec<Answer<FaceId>>, Fault>>>,
    ) {
        let entry = Arc::new(Entry::<FaceId>::new(&collection(1), Budget::new(None).share(|| {}), None));
        let mut gallery = Gallery::for_members(0);
        for n in 0..20_000u128 {
            gallery.insert(FaceId::from_bytes(n.to_be_bytes()), &[1.0, (n % 97) as f32, 2.0, 3.0]).unwrap();
        }
        entry.gallery.store(Arc::new(gallery));
        let mut others = Vec::new();
        for _ in 0..400 {
            let (reply, answer) = oneshot::channel();
            lock(&entry.waiting).push((vec![query()], reply));
            others.push(answer);
        }
        let mut asking = Box::pin(entry.clone().ask(vec![query()]));
        while entry.scanning.try_lock().is_ok() {
            let waited = tokio::time::timeout(Duration::from_millis(1), &mut asking).await;
            assert!(waited.is_err(), "the scan was too short to see");
        }
        (entry, asking, others)
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_scan_keeps_its_turn_although_its_caller_has_gone() {
        let (entry, asking, mut others) = while_scanned().await;
        drop(asking);
        tokio::time::sleep(Duration::from_millis(20)).await;
        assert!(entry.scanning.try_lock().is_err(), "the turn is free while the scan goes on");
        assert_eq!(found(entry.clone().ask(vec![query()]).await), [4096]);
        for other in &mut others {
            assert!(other.try_recv().is_ok(), "a question that shared the scan got no answer");
        }
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn neither_a_change_of_a_gallery_nor_a_look_at_it_waits_for_a_scan() {
        let (entry, asking, _others) = while_scanned().await;
        let mut changed = Gallery::clone(&entry.gallery.load());
        changed.remove(&FaceId::from_bytes(7u128.to_be_bytes())).unwrap();
        entry.gallery.store(Arc::new(changed));
        assert_eq!(entry.gallery.load().len(), 19_999);
        assert!(entry.scanning.try_lock().is_err(), "the scan ended first");
        assert_eq!(found(asking.await), [4096]);
        assert_eq!(found(entry.ask(vec![query()]).await), [4096]);
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn who_asks_several_questions_gets_their_answers_in_order_however_many_wait() {
        let entry = Arc::new(Entry::<FaceId>::new(&collection(1), Budget::new(None).share(|| {}), None));
        let mut gallery = Gallery::for_members(0);
        for n in 0..50u128 {
            gallery.insert(FaceId::from_bytes(n.to_be_bytes()), &[1.0, n as f32, 0.0, 0.0]).unwrap();
        }
        entry.gallery.store(Arc::new(gallery));
        let ask = |caller: usize| {
            let limits = (1..=20).map(move |n| (n * 7 + caller) % 50);
            let queries = limits.clone().map(|limit| Query { limit, ..query() }).collect();
            let entry = entry.clone();
            async move { assert_eq!(found(entry.ask(queries).await), limits.collect::<Vec<_>>(), "caller {caller}") }
        };
        // Before anybody has the turn, so that they wait together: 2,000 questions, and one who went away.
        let turn = entry.scanning.clone().lock_owned().await;
        let mut gone = Box::pin(ask(0));
        assert!(tokio::time::timeout(Duration::from_millis(5), &mut gone).await.is_err());
        let waiting = futures_util::future::join_all((0..100).map(ask));
        drop(gone);
        let (_, ()) = tokio::join!(waiting, async {
            tokio::task::yield_now().await;
            assert!(lock(&entry.waiting).len() > MOST_QUESTIONS / 20);
            drop(turn);
        });
        assert!(lock(&entry.waiting).is_empty());
    }

    /// How many neighbours each answer has.
    fn found(answers: Result<Vec<Answer<FaceId>>, Fault>) -> Vec<usize> {
        answers.unwrap().into_iter().map(|answer| answer.unwrap().len()).collect()
    }
}
