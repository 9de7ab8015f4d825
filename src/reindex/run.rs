//! A reindexing.

use std::cell::RefCell;
use std::collections::{BTreeMap, HashSet};
use std::io::Write;
use std::path::PathBuf;

use crate::client::{CallError, Client};
use crate::domain::{CollectionId, Operation, PACK_TAG, QualityFilter};
use crate::enrol::{Done, EnrolError, Held, OfCollection, Plan, Signals, Walked, side_by_side};

use super::comparison::Comparison;
use super::errors::ReindexError;
use super::gallery::Gallery;
use super::keeping::{Keeping, Kept};
use super::photo::{Copying, Readable, own_name};
use super::replies::{CreateCollection, Described, OfResource, StoredFace, Tagged};
use super::report::{Difference, Lost, Outcome, Pair, Record, Report, Terms, VERSION};
use super::summary::{Counts, Summary};

/// Of a face whose photo is not among those of the source.
const NO_PHOTO: &str = "NO_PHOTO";
/// Of a face whose photo could not be indexed in this run.
const PHOTO_FAILED: &str = "PHOTO_FAILED";
/// Of a face that somebody deleted from the new collection.
const DELETED: &str = "DELETED";

/// How a collection is reindexed.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The old collection.
    pub from: CollectionId,
    /// The new one, which is made if it is not there.
    pub to: CollectionId,
    /// The pack of a new one; the server's own choice without it.
    pub pack: Option<String>,
    /// Whether faces stay that the old one has not.
    pub new_faces: bool,
    /// How good faces have to be.
    pub quality_filter: QualityFilter,
    /// Of how many faces the matches are compared.
    pub compared: usize,
    /// How alike matches are, in percent.
    pub threshold: f32,
    /// How many photos at a time.
    pub parallel: usize,
    /// Where it is noted what became of each.
    pub report: PathBuf,
}

/// A collection on its way into another one.
pub struct Reindexing {
    client: Client,
    settings: Settings,
    plan: Plan,
}

impl Reindexing {
    /// Out of these photos, by this client.
    pub fn new(client: Client, settings: Settings, plan: Plan) -> Self {
        Self { client, settings, plan }
    }

    /// Reindexes the photos. SIGINT and SIGTERM let those in progress finish, and hand out no further ones. A second one stops at once.
    pub async fn run(self) -> Result<Summary, ReindexError> {
        let Settings { from, to, .. } = &self.settings;
        let described = self.old_collection().await?;
        let old = Gallery::of(&self.client, from).await?;
        let (mut report, record) = self.prepare(described).await?;
        let (record, claimed) = (RefCell::new(record), self.claimed());
        let mut counts = Counts { photos: self.plan.photos.len(), old_faces: old.faces().len(), ..Counts::default() };
        let copying = Copying {
            client: &self.client,
            to,
            old: &old,
            record: &record,
            claimed: &claimed,
            new_faces: self.settings.new_faces,
            quality_filter: self.settings.quality_filter.into(),
        };
        // Photos that could not be indexed, by their content and by their names.
        let (mut failed_images, mut failed_names) = (HashSet::new(), HashSet::new());
        let copying = &copying;
        let copy = |photo| async move { Ok((photo, copying.copy(photo).await?)) };
        let walked = side_by_side(&self.plan.photos, "photos", self.settings.parallel, copy, |(photo, entry)| {
            let Some(entry) = entry else {
                counts.photos_done_before += 1;
                return Ok(counts.failed_photos);
            };
            report.note(&entry)?;
            record.borrow_mut().take_up(&entry);
            counts.unknown_photos += usize::from(matches!(entry.outcome, Outcome::Unknown));
            if matches!(entry.outcome, Outcome::Failed { .. }) {
                counts.failed_photos += 1;
                failed_images.extend(entry.image_id);
                failed_names.extend(own_name(photo));
            }
            Ok(counts.failed_photos)
        });
        let Walked { mut interrupted, failure } = walked.await?;
        let record = record.into_inner();
        counts.faces = record.pairs.keys().filter(|face| old.face(face).is_some()).count();
        let mut failure = failure.map(ReindexError::from);
        if !interrupted && failure.is_none() {
            let has_failed = |face: &StoredFace| {
                failed_images.contains(&face.image_id)
                    || face.external_image_id.as_deref().is_some_and(|name| failed_names.contains(name))
            };
            match self.finish(&record, has_failed, &mut counts, &mut report).await {
                Ok(stopped) => interrupted = stopped,
                Err(error) => failure = Some(error),
            }
        }
        report.finish()?;
        let summary = Summary { counts, interrupted: interrupted || failure.is_some(), report: self.settings.report };
        match failure {
            None => Ok(summary),
            Some(error) => {
                eprintln!("rekollect: {summary}");
                eprintln!("rekollect: an error ends it; when that is mended, the same command goes on from here");
                Err(error)
            }
        }
    }

    /// Writes what [`run`](Self::run) would do. Calls nothing that changes anything.
    pub async fn rehearse(self, out: &mut impl Write) -> Result<String, ReindexError> {
        let fail = |source| EnrolError::File { place: "standard output".to_owned(), source };
        let Settings { from, to, .. } = &self.settings;
        let described = self.old_collection().await?;
        if let Some(new) = self.described(to).await? {
            self.check_model(&described, &new)?;
            self.check_pack(&new).await?;
        }
        let old = Gallery::of(&self.client, from).await?;
        let claimed = self.claimed();
        let (mut photos, mut unknown, mut failed) = (0, 0, 0);
        // Photos that are here, by their content, and photos elsewhere, by their names.
        let (mut images, mut named) = (HashSet::new(), HashSet::new());
        for photo in &self.plan.photos {
            let readable = match Readable::of(photo).await {
                Ok(readable) => readable,
                Err(failure) => {
                    failed += 1;
                    writeln!(out, "would fail: {}: {}", photo.name, failure.message).map_err(fail)?;
                    continue;
                }
            };
            let names = readable.names(photo, &old, &claimed);
            photos += usize::from(!names.is_empty());
            if names.is_empty() {
                unknown += 1;
                writeln!(out, "not in the old collection: {}", photo.name).map_err(fail)?;
            }
            for name in names {
                let told = name.map_or("no ExternalImageId".to_owned(), |name| format!("ExternalImageId {name}"));
                writeln!(out, "would index {}: {told}", photo.name).map_err(fail)?;
                match readable.image_id() {
                    Some(image_id) => _ = images.insert((image_id.to_owned(), name)),
                    None => _ = named.insert(name),
                }
            }
        }
        let has_photo = |face: &&StoredFace| {
            let name = face.external_image_id.as_deref();
            images.contains(&(face.image_id.clone(), name)) || named.contains(&name)
        };
        let faces = old.faces().iter().filter(has_photo).count();
        Ok(format!(
            "nothing was done; {photos} photos would be indexed for {faces} faces of the old collection, whose other {} have no photo \
             here; {unknown} photos are not in it, {failed} would fail",
            old.faces().len() - faces
        ))
    }

    /// What the source calls its photos.
    fn claimed(&self) -> HashSet<&str> {
        self.plan.photos.iter().filter_map(own_name).collect()
    }

    /// Makes the new collection if need be, and opens the report. What was made here goes again if it cannot be used.
    async fn prepare(&self, old: Described) -> Result<(Report, Record), ReindexError> {
        let to = &self.settings.to;
        // Before anything is made: another run may hold it, and work with what it has made.
        let file = Held::hold(&self.settings.report)?;
        let (new, is_own) = match self.described(to).await? {
            Some(new) => {
                self.check_pack(&new).await?;
                (new, false)
            }
            None => self.make(&old).await?,
        };
        let opened = self.check_model(&old, &new).and_then(|()| self.open_report(file, old, new));
        if opened.is_err() && is_own {
            let undone = self.client.call::<Done>(Operation::DeleteCollection, &OfCollection::new(to)).await;
            if let Err(error) = undone {
                eprintln!("rekollect: the collection {to} was made, is empty, and could not be deleted again: {error}");
            }
        }
        opened
    }

    fn open_report(&self, file: Held, old: Described, new: Described) -> Result<(Report, Record), ReindexError> {
        let Settings { from, to, new_faces, quality_filter, .. } = &self.settings;
        let terms = Terms {
            version: VERSION,
            from: from.to_string(),
            from_model: old.face_model_version,
            from_created: old.creation_timestamp,
            to: to.to_string(),
            to_model: new.face_model_version,
            to_created: new.creation_timestamp,
            endpoint: self.client.configuration().endpoint.to_string(),
            new_faces: *new_faces,
            quality_filter: <&str>::from(*quality_filter).to_owned(),
        };
        let (mut report, record) = Report::open(file, terms)?;
        report.begin()?;
        Ok((report, record))
    }

    fn check_model(&self, old: &Described, new: &Described) -> Result<(), ReindexError> {
        let Settings { from, to, .. } = &self.settings;
        if old.face_model_version == new.face_model_version {
            let version = new.face_model_version.clone();
            return Err(ReindexError::SameModel(to.to_string(), version, from.to_string()));
        }
        Ok(())
    }

    /// Of a new collection that is there already: whether it is of the pack that was asked for.
    async fn check_pack(&self, new: &Described) -> Result<(), ReindexError> {
        let Some(pack) = &self.settings.pack else { return Ok(()) };
        let tags = self.tags_of(new).await?;
        if tags.get(PACK_TAG) == Some(pack) {
            return Ok(());
        }
        Err(ReindexError::OtherPack(self.settings.to.to_string(), new.face_model_version.clone(), pack.clone()))
    }

    async fn described(&self, collection: &CollectionId) -> Result<Option<Described>, CallError> {
        match self.client.call(Operation::DescribeCollection, &OfCollection::new(collection)).await {
            Ok(described) => Ok(Some(described)),
            Err(error) if error.code() == Some("ResourceNotFoundException") => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Finds the old collection, which is to be another one than the new.
    async fn old_collection(&self) -> Result<Described, ReindexError> {
        let Settings { from, to, .. } = &self.settings;
        if from == to {
            return Err(ReindexError::Same(from.to_string()));
        }
        self.described(from).await?.ok_or_else(|| self.no_collection(from))
    }

    fn no_collection(&self, collection: &CollectionId) -> ReindexError {
        ReindexError::NoCollection(collection.to_string(), self.client.configuration().endpoint.to_string())
    }

    async fn tags_of(&self, collection: &Described) -> Result<BTreeMap<String, String>, CallError> {
        let request = OfResource { resource_arn: &collection.arn };
        Ok(self.client.call::<Tagged>(Operation::ListTagsForResource, &request).await?.tags)
    }

    /// Makes the new collection, with the tags of the old one. Whether it was us: somebody else may be quicker.
    async fn make(&self, old: &Described) -> Result<(Described, bool), ReindexError> {
        let to = &self.settings.to;
        let mut tags = self.tags_of(old).await?;
        tags.remove(PACK_TAG);
        tags.extend(self.settings.pack.clone().map(|pack| (PACK_TAG.to_owned(), pack)));
        let request = CreateCollection { collection_id: to.as_str(), tags: &tags };
        let is_own = match self.client.call::<Done>(Operation::CreateCollection, &request).await {
            Ok(Done {}) => true,
            Err(error) if error.code() == Some("ResourceAlreadyExistsException") => false,
            Err(error) => return Err(error.into()),
        };
        Ok((self.described(to).await?.ok_or_else(|| self.no_collection(to))?, is_own))
    }

    /// When all photos are done: users, deletions, and how the two differ. Whether somebody stopped that.
    async fn finish(
        &self,
        record: &Record,
        has_failed: impl Fn(&StoredFace) -> bool,
        counts: &mut Counts,
        report: &mut Report,
    ) -> Result<bool, ReindexError> {
        let Settings { from, to, compared, threshold, parallel, .. } = &self.settings;
        let mut signals = Signals::new()?;
        let keeping = async {
            // The old one may have changed meanwhile.
            let old = Gallery::of(&self.client, from).await?;
            let kept = Keeping { client: &self.client, from, to }.keep(&old, record).await?;
            Ok::<_, CallError>((old, kept))
        };
        // All of it can be done again.
        let (old, Kept { users, deleted, not_associated, new }) = tokio::select! {
            () = signals.next() => return Ok(true),
            kept = keeping => kept?,
        };
        for pair in &deleted {
            report.tell(&Difference::DeletedFace(pair))?;
        }
        let (mut both, mut lost) = (Vec::new(), Vec::new());
        for face in old.faces() {
            let old_face_id = face.face_id.clone();
            let reasons = match record.pairs.get(&old_face_id) {
                Some(face_id) if new.face(face_id).is_some() => {
                    both.push(Pair { old_face_id, face_id: face_id.clone() });
                    continue;
                }
                Some(_) => vec![DELETED.to_owned()],
                None if has_failed(face) => vec![PHOTO_FAILED.to_owned()],
                None => record.lost.get(&old_face_id).cloned().unwrap_or_else(|| vec![NO_PHOTO.to_owned()]),
            };
            lost.push(Lost { old_face_id, reasons });
        }
        let known: HashSet<_> = both.iter().map(|pair| pair.face_id.as_str()).collect();
        let won: Vec<_> = record.won.iter().filter(|face| !known.contains(face.as_str())).collect();
        (counts.users, counts.deleted_faces) = (users, deleted.len());
        counts.not_associated = not_associated.iter().map(|these| these.face_ids.len()).sum();
        (counts.old_faces, counts.faces, counts.lost_faces) = (old.faces().len(), both.len(), lost.len());
        counts.won_faces = won.len();
        counts.kept_faces = won.into_iter().filter(|face| new.face(face).is_some()).count();
        counts.other_faces = new.faces().len() - known.len() - counts.kept_faces;
        let comparison =
            Comparison { client: &self.client, from, to, old: &old, threshold: *threshold, parallel: *parallel };
        let mut changed = Vec::new();
        let Walked { interrupted, failure } = comparison.compare(&both, *compared, counts, &mut changed).await?;
        if let Some(error) = failure {
            return Err(error.into());
        }
        if interrupted {
            return Ok(true);
        }
        lost.iter().try_for_each(|face| report.tell(&Difference::LostFace(face)))?;
        not_associated.iter().try_for_each(|these| report.tell(&Difference::NotAssociated(these)))?;
        changed.iter().try_for_each(|face| report.tell(&Difference::ChangedMatches(face)))?;
        report.tell(&Difference::Summary(counts))?;
        Ok(false)
    }
}
