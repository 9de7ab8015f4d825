//! One photo into the new collection.

use std::cell::RefCell;
use std::collections::HashSet;

use crate::client::{CallError, Client};
use crate::domain::{CollectionId, ImageDigest, Operation};
use crate::enrol::{Done, Failure, Image, IndexFaces, Indexed, Photo, Place, UnindexedFace, bytes_of, of_this_photo};
use crate::task;

use super::gallery::Gallery;
use super::pairing::pairs;
use super::replies::{DeleteFaces, StoredFace};
use super::report::{Entry, Lost, Outcome, Pair, Record, Won};

/// Of a face that is not found in its photo.
const NOT_FOUND: &str = "NOT_FOUND";

/// What it takes to bring photos into the new collection.
pub struct Copying<'a> {
    /// Who calls.
    pub client: &'a Client,
    /// The new collection.
    pub to: &'a CollectionId,
    /// What the old one has.
    pub old: &'a Gallery,
    /// What is done.
    pub record: &'a RefCell<Record>,
    /// What the source calls its photos.
    pub claimed: &'a HashSet<&'a str>,
    /// Whether faces stay that the old one has not.
    pub new_faces: bool,
    /// How good faces have to be.
    pub quality_filter: &'static str,
}

/// A photo that can be sent.
pub struct Readable {
    /// What its content is known by.
    pub content: Option<String>,
    /// Its bytes, unless the endpoint reads it from S3.
    bytes: Option<Vec<u8>>,
}

impl Readable {
    /// Reads a photo, as far as it is here.
    pub async fn of(photo: &Photo) -> Result<Self, Failure> {
        let path = match &photo.place {
            Place::Object { tag, .. } => return Ok(Self { content: tag.clone(), bytes: None }),
            Place::File(path) => path.clone(),
        };
        let reading = task::on_a_thread("reading a photo", move || {
            let bytes = bytes_of(&path)?;
            Ok(Self { content: Some(ImageDigest::of(&bytes).image_id().to_string()), bytes: Some(bytes) })
        });
        reading.await.unwrap_or_else(|fault| Err(Failure::unreadable(fault.to_string())))
    }

    /// The photo's ImageId. Of one in S3 only the endpoint knows it.
    pub fn image_id(&self) -> Option<&str> {
        self.bytes.as_ref().and(self.content.as_deref())
    }

    /// As what the old collection has this photo. Of one in S3 that is not known: as what the source calls it, if there is such a face.
    pub fn names<'a>(&self, photo: &'a Photo, old: &'a Gallery, claimed: &HashSet<&str>) -> Vec<Option<&'a str>> {
        let own = own_name(photo);
        match self.image_id() {
            Some(image_id) => old.names_of(image_id, own, claimed),
            None => Vec::from_iter(old.has_name(own).then_some(own)),
        }
    }
}

/// What the source calls a photo.
pub fn own_name(photo: &Photo) -> Option<&str> {
    photo.external_image_id.as_ref().map(|id| id.as_str())
}

/// What became of faces.
#[derive(Default)]
struct Faces {
    image_id: Option<String>,
    both: Vec<Pair>,
    lost: Vec<Lost>,
    won: Vec<Won>,
}

impl Copying<'_> {
    /// Indexes a photo, unless that is done. An error is one that the next photo would meet as well.
    pub async fn copy<'p>(&self, photo: &'p Photo) -> Result<Option<Entry<'p>>, CallError> {
        let entry = |content, image_id, outcome| Ok(Some(Entry { photo: &photo.name, content, image_id, outcome }));
        let readable = match Readable::of(photo).await {
            Ok(readable) => readable,
            Err(error) => return entry(None, None, Outcome::Failed { error }),
        };
        let content = readable.content.clone();
        let mut names = readable.names(photo, self.old, self.claimed);
        if names.is_empty() {
            if !self.new_faces {
                return entry(content, None, Outcome::Unknown);
            }
            names.push(own_name(photo));
        }
        let is_known = |image_id: Option<&str>| {
            let faces = image_id.into_iter().flat_map(|image| self.old.of_image(image));
            let faces = faces.filter(|face| names.contains(&face.external_image_id.as_deref()));
            self.record.borrow().has_all(faces.map(|face| face.face_id.as_str()))
        };
        let done = self.record.borrow().image_of(&photo.name, content.as_deref());
        if done.is_some_and(|image_id| is_known(readable.image_id().or(image_id.as_deref()))) {
            return Ok(None);
        }
        let mut faces = Faces { image_id: readable.image_id().map(str::to_owned), ..Faces::default() };
        let bytes = readable.bytes.map(|bytes| base64_simd::STANDARD.encode_to_string(&bytes));
        for name in names {
            if let Err(error) = self.copy_as(photo, name, bytes.as_deref(), &mut faces).await {
                return entry(content, faces.image_id, Outcome::Failed { error: of_this_photo(error)? });
            }
        }
        let Faces { image_id, both, lost, won } = faces;
        entry(content, image_id, Outcome::Indexed { faces: both, lost_faces: lost, won_faces: won })
    }

    /// Indexes a photo under one of its names, and takes those faces out again that the old collection has not.
    async fn copy_as(
        &self,
        photo: &Photo,
        name: Option<&str>,
        bytes: Option<&str>,
        faces: &mut Faces,
    ) -> Result<(), CallError> {
        let request = IndexFaces {
            collection_id: self.to.as_str(),
            image: Image::of(&photo.place, bytes),
            external_image_id: name,
            max_faces: None,
            quality_filter: Some(self.quality_filter),
        };
        let reply: Indexed<StoredFace> = self.client.call(Operation::IndexFaces, &request).await?;
        let new: Vec<_> = reply.face_records.into_iter().map(|record| record.face).collect();
        if faces.image_id.is_none() {
            faces.image_id = new.first().map(|face| face.image_id.clone());
        }
        let old = faces.image_id.iter().flat_map(|image| self.old.of_image(image));
        let old: Vec<_> = old.filter(|face| face.external_image_id.as_deref() == name).collect();
        let (both, alone, unpaired) = told_apart(&old, &new);
        faces.both.extend(both);
        faces.lost.extend(lost(&alone, &reply.unindexed_faces));
        if !unpaired.is_empty() && !self.new_faces {
            let face_ids: Vec<_> = unpaired.iter().map(|face| face.face_id.as_str()).collect();
            let request = DeleteFaces { collection_id: self.to.as_str(), face_ids: &face_ids };
            self.client.call::<Done>(Operation::DeleteFaces, &request).await?;
        }
        faces.won.extend(unpaired.into_iter().map(|face| Won {
            face_id: face.face_id.clone(),
            bounding_box: face.bounding_box.clone(),
            kept: self.new_faces,
        }));
        Ok(())
    }
}

/// The faces that both have, those that only the old collection has, and those that only the new one has.
fn told_apart<'a>(
    old: &[&'a StoredFace],
    new: &'a [StoredFace],
) -> (Vec<Pair>, Vec<&'a StoredFace>, Vec<&'a StoredFace>) {
    let boxes_of_old: Vec<_> = old.iter().map(|face| &face.bounding_box).collect();
    let boxes_of_new: Vec<_> = new.iter().map(|face| &face.bounding_box).collect();
    let paired = pairs(&boxes_of_old, &boxes_of_new);
    let pair = |&(one, other): &(usize, usize)| Pair {
        old_face_id: old[one].face_id.clone(),
        face_id: new[other].face_id.clone(),
    };
    let alone = (0..old.len()).filter(|place| paired.iter().all(|(one, _)| one != place)).map(|place| old[place]);
    let unpaired = (0..new.len()).filter(|place| paired.iter().all(|(_, other)| other != place));
    (paired.iter().map(pair).collect(), alone.collect(), unpaired.map(|place| &new[place]).collect())
}

/// Faces that were not indexed, and why: what the endpoint says of what is at their place, if anything is.
fn lost<'a>(old: &'a [&StoredFace], left_out: &'a [UnindexedFace]) -> impl Iterator<Item = Lost> + use<'a> {
    let boxes: Vec<_> = old.iter().map(|face| &face.bounding_box).collect();
    let boxes_left_out: Vec<_> = left_out.iter().map(|face| &face.face_detail.bounding_box).collect();
    let paired = pairs(&boxes, &boxes_left_out);
    old.iter().enumerate().map(move |(place, face)| {
        let found = paired.iter().find(|(one, _)| *one == place);
        let reasons = found.map_or_else(|| vec![NOT_FOUND.to_owned()], |(_, other)| left_out[*other].reasons.clone());
        Lost { old_face_id: face.face_id.clone(), reasons }
    })
}
