//! How a gallery comes to be what the store says. That is the server's work: a request waits for it, and may stop waiting.

use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Instant;

use futures_util::TryStreamExt;
use tokio::sync::watch;
use tokio::time::timeout;

use super::super::member::Member;
use super::budget::Full;
use super::files::GalleryFiles;
use super::galleries::{Entry, Galleries};
use super::gallery::{Gallery, SEGMENT};
use super::heap;
use super::progress::{Progress, Room, Whole};
use crate::domain::Fault;
use crate::store::{self, Collection, Store};
use crate::task;

/// Vectors that go into a gallery at once.
const AT_ONCE: usize = 1024;
/// More vectors than these, and than a sixteenth of the gallery or a quarter of a segment, go to a file.
const WORTH_A_FILE: usize = 16_384;
/// A gallery that lacks more vectors takes its turn among those that load, so that it holds up none that only has to catch up.
const LARGE: usize = 65_536;

impl<Id: Member> Galleries<Id> {
    /// Returns when searches of this gallery see at least every change up to `collection.revision`. Fails with [`Fault::Loading`] when
    /// that takes too long; loading goes on.
    pub(super) async fn up_to_date(&self, entry: &Arc<Entry<Id>>, collection: &Collection) -> Result<(), Fault> {
        match timeout(self.wait, self.loaded(entry, collection)).await {
            Ok(outcome) => outcome,
            Err(_) => Err(entry.progress.borrow().refusal()),
        }
    }

    /// As [`Self::up_to_date`], without a time-out.
    pub(super) async fn loaded(&self, entry: &Arc<Entry<Id>>, collection: &Collection) -> Result<(), Fault> {
        let mut progress = entry.progress.subscribe();
        let failures = progress.borrow().failures;
        loop {
            // What searches see comes before what is told of it.
            if entry.gallery.load().revision >= collection.revision {
                return Ok(());
            }
            self.begin(entry, collection);
            let ended = |now: &Progress| now.revision >= collection.revision || now.failures > failures || !now.at_work;
            let Ok(now) = progress.wait_for(ended).await.map(|now| now.clone()) else {
                return Err(Fault::Overloaded("the gallery is gone"));
            };
            if now.failures > failures
                && let Some(fault) = now.failure
            {
                return Err(fault);
            }
        }
    }

    /// Sees to it that somebody brings the gallery up to date.
    fn begin(&self, entry: &Arc<Entry<Id>>, collection: &Collection) {
        if entry.takes_the_work() {
            task::in_background("loading a gallery", self.work(entry, collection).run());
        }
    }

    /// Writes a file of the gallery anew without members that are gone, when nobody else is at work on it.
    pub(super) async fn cleaned(&self, entry: &Arc<Entry<Id>>, collection: &Collection) -> Result<(), Fault> {
        let mut progress = entry.progress.subscribe();
        while !entry.takes_the_work() {
            progress.wait_for(|now| !now.at_work).await.map_err(Fault::internal("cleaning gallery files"))?;
        }
        task::to_the_end("cleaning gallery files", self.work(entry, collection).clean()).await
    }

    fn work(&self, entry: &Arc<Entry<Id>>, collection: &Collection) -> Work<Id> {
        Work {
            entry: entry.clone(),
            collection: collection.clone(),
            store: self.store.clone(),
            room: self.room.clone(),
            dimensions: self.dimensions.get(&collection.model_version).copied().unwrap_or_default(),
        }
    }
}

/// Bringing one gallery to the revision of its collection.
struct Work<Id: Member> {
    entry: Arc<Entry<Id>>,
    collection: Collection,
    store: Store,
    room: Arc<Room>,
    dimensions: usize,
}

impl<Id: Member> Work<Id> {
    async fn run(self) {
        // Whatever becomes of it, a panic included: those who wait are told.
        let told = Told { progress: &self.entry.progress, outcome: None };
        let outcome = tokio::select! {
            biased;
            () = self.entry.gone.cancelled() => Err(Fault::CollectionNotFound(self.collection.id.clone())),
            () = task::ending() => Err(Fault::Overloaded("the server stops")),
            outcome = self.catch_up() => outcome.map_err(store::or_unavailable),
        };
        if let Err(fault) = &outcome {
            tracing::warn!(collection = %self.collection.id, error = %fault, "a gallery could not be brought up to date");
        }
        self.entry.share.settle(|| self.entry.gallery.load().bytes());
        told.tell(outcome.map(|()| self.collection.revision));
    }

    /// Writes one file anew that has members that are gone.
    async fn clean(self) -> Result<(), Fault> {
        let told = Told { progress: &self.entry.progress, outcome: None };
        let gallery = self.entry.gallery.load_full();
        let outcome = self.put_into_files(&gallery, true).await;
        // Those who wait, wait for another revision: one of them begins that work now.
        told.tell(Ok(gallery.revision));
        outcome
    }

    async fn catch_up(&self) -> Result<(), Fault> {
        let Self { entry, collection, store, .. } = self;
        let mut known = entry.gallery.load_full();
        let expected = usize::try_from(Id::count(collection)).unwrap_or(0);
        if known.len() == 0 {
            self.begins_anew(expected);
        }
        let is_large = expected.saturating_sub(known.len()) > LARGE;
        let room = if is_large { &self.room.loads } else { &self.room.catch_ups };
        let _place = room.acquire().await.map_err(Fault::internal("waiting for a turn to load"))?;
        // What it will take is taken before it is there.
        let most_held = if entry.files.is_some() { SEGMENT } else { usize::MAX };
        let bytes = Gallery::<Id>::bytes_of(expected.max(known.len()), most_held, self.dimensions);
        entry.share.resize(bytes, true).map_err(|full| self.refusal(full, bytes))?;

        if known.revision == 0
            && let Some((kept, mark)) = self.with_files(GalleryFiles::read).await?.flatten()
        {
            if store.knows_mark(collection, &mark).await? {
                known = Arc::new(kept);
                // Whoever finds damage in it looks for it there.
                entry.gallery.store(known.clone());
            } else {
                tracing::info!(collection = %collection.id, "gallery files are not of this database's past: it is read again");
            }
        }

        // A change that commits while this reads may be seen in part. It has a later revision than the one noted at the end, so the
        // next request reads it again, whole. Nobody searches at the new revision before that is noted.
        let (mut gallery, since) = match self.without_those_gone(&known).await? {
            Some(gallery) => (gallery, known.revision),
            None => {
                self.begins_anew(expected);
                self.with_files(GalleryFiles::remove).await?;
                (Gallery::for_members(expected), 0)
            }
        };
        let mut changed =
            pin!(Id::changed_since(store, collection, since).try_chunks(AT_ONCE).map_err(|error| error.1));
        let mut next = changed.try_next().await?;
        while let Some(batch) = next {
            // What is more than a few goes in while the next are read.
            (gallery, next) = if batch.len() < AT_ONCE {
                (with(gallery, batch, since == 0)?, changed.try_next().await?)
            } else {
                let entry = entry.clone();
                let going_in = task::on_a_thread("loading vectors", move || {
                    let mut gallery = with(gallery, batch, since == 0)?;
                    if gallery.held() >= SEGMENT
                        && let Some(files) = entry.files_for(&gallery)
                    {
                        let held = gallery.held();
                        entry.tell_of_files(held, files.write(&mut gallery));
                    }
                    Ok(gallery)
                });
                let (gallery, next) = tokio::join!(going_in, changed.try_next());
                (gallery??, next?)
            };
            let loaded = gallery.len();
            entry.progress.send_if_modified(|now| {
                now.whole.iter_mut().for_each(|whole| whole.loaded = loaded);
                // Nobody waits for a number.
                false
            });
        }
        // The request may know less than the files did.
        gallery.revision = collection.revision.max(since);
        // What was written while it was read is of use only with the rest.
        let is_partly_written = since == 0 && gallery.held() < gallery.len();
        let is_worth_a_file =
            is_partly_written || gallery.held() > (gallery.len() / 16).clamp(WORTH_A_FILE, SEGMENT / 4);
        let gallery = Arc::new(gallery);
        entry.gallery.store(gallery.clone());
        if since == 0 {
            task::dispose(known);
        }
        if is_worth_a_file && entry.files_for(&gallery).is_some() {
            // Searches go on with what is there.
            entry.progress.send_modify(|now| (now.revision, now.whole) = (collection.revision, None));
            let held = gallery.held();
            entry.tell_of_files(held, self.put_into_files(&gallery, false).await);
        }
        Ok(())
    }

    /// Moves what the gallery holds to files, notes that, and lets searches see it. `cleans`: writes one file anew, too, that has members that
    /// are gone. Where it fails, the gallery is as good as before.
    async fn put_into_files(&self, gallery: &Gallery<Id>, cleans: bool) -> Result<(), Fault> {
        let mark = self.store.mark_gallery(&self.collection).await.map_err(store::or_unavailable)?;
        let mut gallery = gallery.clone();
        let writing = self.with_files(move |files| {
            if gallery.held() > 0 {
                files.write(&mut gallery)?;
            }
            if cleans {
                files.write_without_gone(&mut gallery)?;
            }
            files.note(&gallery, mark)?;
            Ok(gallery)
        });
        if let Some(gallery) = writing.await?.transpose()? {
            let held = self.entry.gallery.swap(Arc::new(gallery));
            let giving_back = move || {
                drop(held);
                heap::give_back();
            };
            task::on_a_thread("giving memory back", giving_back).await?;
        }
        Ok(())
    }

    /// What `work` gives on a thread for files, where there are to be some.
    async fn with_files<T: Send + 'static>(
        &self,
        work: impl FnOnce(&GalleryFiles) -> T + Send + 'static,
    ) -> Result<Option<T>, Fault> {
        let entry = self.entry.clone();
        task::on_a_thread("using gallery files", move || entry.files.as_ref().map(work)).await
    }

    fn begins_anew(&self, expected: usize) {
        let whole = Whole { loaded: 0, of: expected, began: Instant::now() };
        self.entry.progress.send_modify(|now| now.whole = Some(whole));
    }

    /// A copy of what is known without those who went since; `None` where to begin anew: where nothing is known (the store may know of
    /// many deletions), or where the store has forgotten some of them.
    async fn without_those_gone(&self, known: &Gallery<Id>) -> Result<Option<Gallery<Id>>, Fault> {
        if known.len() == 0 {
            return Ok(None);
        }
        let Some(gone) = Id::gone_since(&self.store, &self.collection, known.revision).await? else { return Ok(None) };
        let mut gallery = known.clone();
        for some in gone.chunks(AT_ONCE) {
            some.iter().try_for_each(|id| gallery.remove(id))?;
            // Each may copy what is shared: others get their turn.
            tokio::task::yield_now().await;
        }
        Ok(Some(gallery))
    }

    fn refusal(&self, full: Full, needs: usize) -> Fault {
        match full {
            Full::Always(limit) => Fault::GalleryTooLarge { collection: self.collection.id.clone(), needs, limit },
            Full::Now => Fault::Overloaded("the memory for galleries is used up by those that are loading"),
        }
    }
}

impl<Id: Member> Entry<Id> {
    /// Gives one of the two the work on the gallery who want it; whether this is the one.
    fn takes_the_work(&self) -> bool {
        self.progress.send_if_modified(|now| !std::mem::replace(&mut now.at_work, true))
    }

    /// The files that what this gallery of it holds may be moved to: not those that had no room for not much less.
    fn files_for(&self, gallery: &Gallery<Id>) -> Option<&GalleryFiles> {
        let refused = self.refused.load(Relaxed);
        self.files.as_ref().filter(|_| gallery.held() >= refused + refused / 2)
    }

    /// Notes how it went to move so many members to files. Where it did not, the gallery is as good as before, but larger.
    fn tell_of_files(&self, held: usize, outcome: Result<(), Fault>) {
        if let Err(fault) = &outcome {
            tracing::warn!(error = %fault, "a gallery stays in memory");
        }
        // A database that is away for a moment is no reason not to try again soon.
        let is_refused = matches!(outcome, Err(Fault::Internal { .. }));
        self.refused.store(if is_refused { held } else { 0 }, Relaxed);
    }
}

/// The gallery with these vectors. `are_new`: none of their members is there.
fn with<Id: Member>(
    mut gallery: Gallery<Id>,
    vectors: Vec<(Id, Vec<f32>)>,
    are_new: bool,
) -> Result<Gallery<Id>, Fault> {
    for (id, vector) in vectors {
        if are_new {
            gallery.add(id, &vector)?;
        } else {
            gallery.insert(id, &vector)?;
        }
    }
    Ok(gallery)
}

/// Tells those who wait that nobody is at work any more, and why.
struct Told<'a> {
    progress: &'a watch::Sender<Progress>,
    outcome: Option<Result<i64, Fault>>,
}

impl Told<'_> {
    fn tell(mut self, outcome: Result<i64, Fault>) {
        self.outcome = Some(outcome);
    }
}

impl Drop for Told<'_> {
    fn drop(&mut self) {
        let outcome = self.outcome.take().unwrap_or_else(|| Err(Fault::internal("loading a gallery")("a panic")));
        self.progress.send_modify(|now| {
            (now.at_work, now.whole) = (false, None);
            match outcome {
                Ok(revision) => now.revision = revision,
                Err(fault) => {
                    now.failures += 1;
                    now.failure = Some(fault);
                }
            }
        });
    }
}
