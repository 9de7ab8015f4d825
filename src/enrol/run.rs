//! An enrolment.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::client::{CallError, Client};
use crate::domain::{CollectionId, ImageDigest, Operation, QualityFilter};
use crate::task;

use super::errors::EnrolError;
use super::failure::{Failure, of_this_photo};
use super::people::{People, Users};
use super::photo::{Photo, Place, bytes_of};
use super::plan::Plan;
use super::replies::{Done, Face, Image, IndexFaces, Indexed, OfCollection};
use super::report::{DoneBefore, Entry, LeftOut, Outcome, Report, Terms, VERSION};
use super::summary::Summary;
use super::walk::{Walked, side_by_side};

/// How photos are enrolled.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Into which collection.
    pub collection: CollectionId,
    /// Whether it is made if it is not there.
    pub create_collection: bool,
    /// What is done with users, if anything.
    pub users: Option<Users>,
    /// How many faces of a photo, at most; the endpoint's own choice without one.
    pub max_faces: Option<u32>,
    /// How good they have to be; the endpoint's own choice without one.
    pub quality_filter: Option<QualityFilter>,
    /// How many photos at a time.
    pub parallel: usize,
    /// Where it is noted what became of each.
    pub report: PathBuf,
}

/// Photos on their way into a collection.
pub struct Enrolment {
    client: Client,
    settings: Settings,
    plan: Plan,
}

/// What there is to do with a photo.
enum Work {
    /// Nothing: an earlier enrolment did it.
    None,
    /// It cannot be sent.
    Unfit(Failure),
    /// It is to be indexed.
    Index {
        /// What its content is known by.
        content: Option<String>,
        /// Its bytes in base64, unless the endpoint reads it from S3.
        bytes: Option<String>,
    },
}

impl Enrolment {
    /// Of these photos, by this client.
    pub fn new(client: Client, settings: Settings, plan: Plan) -> Self {
        Self { client, settings, plan }
    }

    /// Enrols the photos. SIGINT and SIGTERM let the photos in progress finish, and hand out no further ones. A second one stops at once.
    pub async fn run(self) -> Result<Summary, EnrolError> {
        let mut report = Report::open(&self.settings.report, self.terms())?;
        self.prepare_collection().await?;
        report.begin()?;

        let people = self.settings.users.map(|users| People::new(&self.client, &self.settings.collection, users));
        let done = report.done();
        let mut summary = Summary::new(self.plan.photos.len(), &self.settings.report);
        let enrol = |photo| self.enrol(photo, people.as_ref(), done.clone());
        let walked = side_by_side(&self.plan.photos, "photos", self.settings.parallel, enrol, |entry| {
            match entry {
                None => summary.done_before += 1,
                Some(entry) => {
                    report.note(&entry)?;
                    summary.count(&entry.outcome);
                }
            }
            Ok(summary.failed)
        });
        let Walked { interrupted, failure } = walked.await?;
        report.finish()?;
        summary.interrupted = interrupted;
        summary.repeats = self.client.repeats();
        match failure {
            None => Ok(summary),
            Some(error) => {
                eprintln!("rekollect: {summary}");
                Err(error.into())
            }
        }
    }

    /// Writes what [`run`](Self::run) would do. Calls nothing that changes anything.
    pub async fn rehearse(self, out: &mut impl Write) -> Result<Summary, EnrolError> {
        let fail = |source| EnrolError::File { place: "standard output".to_owned(), source };
        let done = Report::peek(&self.settings.report, self.terms())?;
        let mut summary = Summary::new(self.plan.photos.len(), &self.settings.report);
        if !self.has_collection().await? {
            if !self.settings.create_collection {
                return Err(self.no_collection());
            }
            writeln!(out, "would make the collection {}", self.settings.collection).map_err(fail)?;
        }
        for photo in &self.plan.photos {
            match look(photo, done.clone()).await {
                Work::None => summary.done_before += 1,
                Work::Unfit(failure) => {
                    summary.failed += 1;
                    writeln!(out, "would fail: {}: {}", photo.name, failure.message).map_err(fail)?;
                }
                Work::Index { .. } => {
                    let id = photo
                        .external_image_id
                        .as_ref()
                        .map_or("no ExternalImageId".to_owned(), |id| format!("ExternalImageId {id}"));
                    let user = photo.user_id.as_ref().map_or(String::new(), |user| format!(", user {user}"));
                    writeln!(out, "would index {}: {id}{user}", photo.name).map_err(fail)?;
                }
            }
        }
        Ok(summary)
    }

    fn terms(&self) -> Terms {
        Terms {
            version: VERSION,
            collection_id: self.settings.collection.to_string(),
            endpoint: self.client.configuration().endpoint.to_string(),
            max_faces: self.settings.max_faces,
            quality_filter: self.quality_filter().map(str::to_owned),
        }
    }

    fn quality_filter(&self) -> Option<&'static str> {
        self.settings.quality_filter.map(Into::into)
    }

    fn no_collection(&self) -> EnrolError {
        EnrolError::NoCollection(self.settings.collection.to_string(), self.client.configuration().endpoint.to_string())
    }

    /// Finds out whether the collection is there, and with that whether the endpoint answers and the key is right.
    async fn has_collection(&self) -> Result<bool, CallError> {
        let request = OfCollection::new(&self.settings.collection);
        match self.client.call::<Done>(Operation::DescribeCollection, &request).await {
            Ok(Done {}) => Ok(true),
            Err(error) if error.code() == Some("ResourceNotFoundException") => Ok(false),
            Err(error) => Err(error),
        }
    }

    async fn prepare_collection(&self) -> Result<(), EnrolError> {
        if self.has_collection().await? {
            return Ok(());
        }
        if !self.settings.create_collection {
            return Err(self.no_collection());
        }
        let request = OfCollection::new(&self.settings.collection);
        match self.client.call::<Done>(Operation::CreateCollection, &request).await {
            Ok(Done {}) => Ok(()),
            // Somebody else was quicker.
            Err(error) if error.code() == Some("ResourceAlreadyExistsException") => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// Enrols a photo, unless that is done. An error is one that the next photo would meet as well.
    async fn enrol<'a>(
        &self,
        photo: &'a Photo,
        people: Option<&People<'_>>,
        done: Arc<DoneBefore>,
    ) -> Result<Option<Entry<'a>>, CallError> {
        let (content, bytes) = match look(photo, done).await {
            Work::None => return Ok(None),
            Work::Unfit(failure) => return Ok(Some(Entry::new(photo, None, Outcome::Failed { error: failure }))),
            Work::Index { content, bytes } => (content, bytes),
        };
        let outcome = match self.index(photo, bytes.as_deref(), people).await {
            Ok(outcome) => outcome,
            Err(error) => Outcome::Failed { error: of_this_photo(error)? },
        };
        Ok(Some(Entry::new(photo, content, outcome)))
    }

    async fn index(
        &self,
        photo: &Photo,
        bytes: Option<&str>,
        people: Option<&People<'_>>,
    ) -> Result<Outcome, CallError> {
        let request = IndexFaces {
            collection_id: self.settings.collection.as_str(),
            image: Image::of(&photo.place, bytes),
            external_image_id: photo.external_image_id.as_ref().map(|id| id.as_str()),
            max_faces: self.settings.max_faces,
            quality_filter: self.quality_filter(),
        };
        let reply: Indexed<Face> = self.client.call(Operation::IndexFaces, &request).await?;
        let left_out = reply.unindexed_faces.into_iter();
        let unindexed_faces = left_out
            .map(|face| LeftOut { reasons: face.reasons, bounding_box: face.face_detail.bounding_box })
            .collect();
        let faces: Vec<_> = reply.face_records.into_iter().map(|record| record.face).collect();
        let largest = faces.iter().max_by(|one, other| one.bounding_box.area().total_cmp(&other.bounding_box.area()));
        let Some(largest) = largest else { return Ok(Outcome::Unindexed { unindexed_faces }) };
        let unsuccessful_face_associations = match (people, &photo.user_id) {
            (Some(people), Some(user)) => people.associate(user, &largest.face_id).await?,
            _ => Vec::new(),
        };
        Ok(Outcome::Indexed { faces, unindexed_faces, unsuccessful_face_associations })
    }
}

/// Finds out what there is to do with a photo.
async fn look(photo: &Photo, done: Arc<DoneBefore>) -> Work {
    match &photo.place {
        Place::Object { tag, .. } if done.has(photo, tag.as_deref()) => Work::None,
        Place::Object { tag, .. } => Work::Index { content: tag.clone(), bytes: None },
        Place::File(path) => {
            let (path, photo) = (path.clone(), photo.clone());
            let reading = task::on_a_thread("reading a photo", move || read(&path, &photo, &done));
            reading.await.unwrap_or_else(|fault| Work::Unfit(Failure::unreadable(fault.to_string())))
        }
    }
}

fn read(path: &Path, photo: &Photo, done: &DoneBefore) -> Work {
    let bytes = match bytes_of(path) {
        Ok(bytes) => bytes,
        Err(failure) => return Work::Unfit(failure),
    };
    let content = Some(ImageDigest::of(&bytes).image_id().to_string());
    if done.has(photo, content.as_deref()) {
        return Work::None;
    }
    Work::Index { content, bytes: Some(base64_simd::STANDARD.encode_to_string(&bytes)) }
}
