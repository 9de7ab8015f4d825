//! A reindexing.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::io::Write;
use std::path::PathBuf;

use crate::client::{CallError, Client};
use crate::domain::{CollectionId, Operation, QualityFilter};
use crate::enrol::{Done, EnrolError, OfCollection, Plan, Walked, side_by_side};

use super::comparison::Comparison;
use super::errors::ReindexError;
use super::gallery::Gallery;
use super::keeping::{Keeping, Kept};
use super::photo::{Copying, Readable};
use super::replies::{CreateCollection, Described, OfResource, Tagged};
use super::report::{Difference, Lost, Outcome, Pair, Record, Report, Terms, VERSION};
use super::summary::{Counts, Summary};

/// The tag that names the pack of a new collection.
const PACK_TAG: &str = "rekollect:pack";
/// Of a face whose photo is not among those of the source.
const NO_PHOTO: &str = "NO_PHOTO";
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
        let (mut report, record) = self.prepare().await?;
        let old = Gallery::of(&self.client, from).await?;
        let record = RefCell::new(record);
        let mut counts = Counts { photos: self.plan.photos.len(), old_faces: old.faces().len(), ..Counts::default() };
        let copying = Copying {
            client: &self.client,
            to,
            old: &old,
            record: &record,
            new_faces: self.settings.new_faces,
            quality_filter: self.settings.quality_filter.into(),
        };
        let copy = |photo| copying.copy(photo);
        let walked = side_by_side(&self.plan.photos, "photos", self.settings.parallel, copy, |entry| {
            let Some(entry) = entry else {
                counts.photos_done_before += 1;
                return Ok(counts.failed_photos);
            };
            report.note(&entry)?;
            record.borrow_mut().take_up(&entry);
            counts.unknown_photos += usize::from(matches!(entry.outcome, Outcome::Unknown));
            counts.failed_photos += usize::from(matches!(entry.outcome, Outcome::Failed { .. }));
            Ok(counts.failed_photos)
        });
        let Walked { mut interrupted, failure } = walked.await?;
        let record = record.into_inner();
        counts.faces = record.pairs.keys().filter(|face| old.face(face).is_some()).count();
        if let Some(error) = failure {
            report.finish()?;
            return Err(error.into());
        }
        if !interrupted {
            interrupted = self.finish(&record, &mut counts, &mut report).await?;
        }
        report.finish()?;
        Ok(Summary { counts, interrupted, report: self.settings.report })
    }

    /// Writes what [`run`](Self::run) would do. Calls nothing that changes anything.
    pub async fn rehearse(self, out: &mut impl Write) -> Result<String, ReindexError> {
        let fail = |source| EnrolError::File { place: "standard output".to_owned(), source };
        self.described(&self.settings.from).await?.ok_or_else(|| self.no_collection())?;
        let old = Gallery::of(&self.client, &self.settings.from).await?;
        let (mut photos, mut unknown, mut failed) = (0, 0, 0);
        for photo in &self.plan.photos {
            let names = match Readable::of(photo).await {
                Ok(readable) => readable.names(photo, &old),
                Err(failure) => {
                    failed += 1;
                    writeln!(out, "would fail: {}: {}", photo.name, failure.message).map_err(fail)?;
                    continue;
                }
            };
            for name in &names {
                let name = name.map_or("no ExternalImageId".to_owned(), |name| format!("ExternalImageId {name}"));
                writeln!(out, "would index {}: {name}", photo.name).map_err(fail)?;
            }
            photos += usize::from(!names.is_empty());
            if names.is_empty() {
                unknown += 1;
                writeln!(out, "not in the old collection: {}", photo.name).map_err(fail)?;
            }
        }
        let faces = old.faces().len();
        Ok(format!(
            "nothing was done; {photos} photos would be indexed for {faces} faces of the old collection, {unknown} are not in it, {failed} would fail"
        ))
    }

    /// Finds both collections, makes the new one if need be, and opens the report.
    async fn prepare(&self) -> Result<(Report, Record), ReindexError> {
        let Settings { from, to, new_faces, quality_filter, report, .. } = &self.settings;
        if from == to {
            return Err(ReindexError::Same(from.to_string()));
        }
        let old = self.described(from).await?.ok_or_else(|| self.no_collection())?;
        let found = self.described(to).await?;
        let is_new = found.is_none();
        let new = match found {
            Some(new) => new,
            None => self.make(&old).await?,
        };
        let opened = if old.face_model_version == new.face_model_version {
            Err(ReindexError::SameModel(to.to_string(), new.face_model_version, from.to_string()))
        } else {
            let terms = Terms {
                version: VERSION,
                from: from.to_string(),
                from_model: old.face_model_version,
                to: to.to_string(),
                to_model: new.face_model_version,
                to_created: new.creation_timestamp,
                endpoint: self.client.configuration().endpoint.to_string(),
                new_faces: *new_faces,
                quality_filter: <&str>::from(*quality_filter).to_owned(),
            };
            Report::open(report, terms).map_err(ReindexError::from)
        };
        if opened.is_err() && is_new {
            self.client.call::<Done>(Operation::DeleteCollection, &OfCollection::new(to)).await?;
        }
        let (mut report, record) = opened?;
        report.begin()?;
        Ok((report, record))
    }

    async fn described(&self, collection: &CollectionId) -> Result<Option<Described>, CallError> {
        match self.client.call(Operation::DescribeCollection, &OfCollection::new(collection)).await {
            Ok(described) => Ok(Some(described)),
            Err(error) if error.code() == Some("ResourceNotFoundException") => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn no_collection(&self) -> ReindexError {
        let endpoint = self.client.configuration().endpoint.to_string();
        ReindexError::NoCollection(self.settings.from.to_string(), endpoint)
    }

    /// Makes the new collection, with the tags of the old one.
    async fn make(&self, old: &Described) -> Result<Described, ReindexError> {
        let to = &self.settings.to;
        let of_old = OfResource { resource_arn: &old.arn };
        let mut tags = self.client.call::<Tagged>(Operation::ListTagsForResource, &of_old).await?.tags;
        tags.remove(PACK_TAG);
        tags.extend(self.settings.pack.clone().map(|pack| (PACK_TAG.to_owned(), pack)));
        self.create(&tags).await?;
        let gone = || ReindexError::NoCollection(to.to_string(), self.client.configuration().endpoint.to_string());
        self.described(to).await?.ok_or_else(gone)
    }

    async fn create(&self, tags: &BTreeMap<String, String>) -> Result<(), CallError> {
        let request = CreateCollection { collection_id: self.settings.to.as_str(), tags };
        match self.client.call::<Done>(Operation::CreateCollection, &request).await {
            Ok(Done {}) => Ok(()),
            // Somebody else was quicker.
            Err(error) if error.code() == Some("ResourceAlreadyExistsException") => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// When all photos are done: users, deletions, and how the two differ. Whether somebody stopped that.
    async fn finish(&self, record: &Record, counts: &mut Counts, report: &mut Report) -> Result<bool, ReindexError> {
        let Settings { from, to, compared, threshold, parallel, .. } = &self.settings;
        // The old one may have changed meanwhile.
        let old = Gallery::of(&self.client, from).await?;
        let keeping = Keeping { client: &self.client, from, to };
        let Kept { users, not_associated, new } = keeping.keep(&old, record).await?;
        let mut both = Vec::new();
        for face in old.faces() {
            let id = &face.face_id;
            let reasons = match record.pairs.get(id) {
                Some(face_id) if new.face(face_id).is_some() => {
                    both.push(Pair { old_face_id: id.clone(), face_id: face_id.clone() });
                    continue;
                }
                Some(_) => vec![DELETED.to_owned()],
                None => record.lost.get(id).cloned().unwrap_or_else(|| vec![NO_PHOTO.to_owned()]),
            };
            report.tell(&Difference::LostFace(&Lost { old_face_id: id.clone(), reasons }))?;
            counts.lost_faces += 1;
        }
        (counts.users, counts.not_associated) = (users, not_associated);
        (counts.old_faces, counts.faces) = (old.faces().len(), both.len());
        counts.won_faces = record.won.len();
        counts.kept_faces = record.won.values().filter(|kept| **kept).count();
        let comparison =
            Comparison { client: &self.client, from, to, old: &old, threshold: *threshold, parallel: *parallel };
        let tell = |changed: &_| report.tell(&Difference::ChangedMatches(changed));
        let Walked { interrupted, failure } = comparison.compare(&both, *compared, counts, tell).await?;
        if let Some(error) = failure {
            return Err(error.into());
        }
        report.tell(&Difference::Summary(counts))?;
        Ok(interrupted)
    }
}
