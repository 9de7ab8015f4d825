//! The report: what became of each photo, and then how the two collections differ.

use std::collections::{HashMap, HashSet};

use serde::{Deserialize, Serialize};

use crate::enrol::{BoundingBox, EnrolError, Failure, Held, Journal};

/// The report's first line. Another reindexing's report is not continued.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub struct Terms {
    /// Of the report's grammar.
    pub version: u32,
    /// The old collection.
    pub from: String,
    /// Its model.
    pub from_model: String,
    /// When it was made, in seconds since 1970: in another one of the same name there are other faces.
    pub from_created: f64,
    /// The new one.
    pub to: String,
    /// Its model.
    pub to_model: String,
    /// When it was made, in seconds since 1970: of another one of the same name, nothing is done.
    pub to_created: f64,
    /// Where they are.
    pub endpoint: String,
    /// Whether faces stay that only the new model finds.
    pub new_faces: bool,
    /// How good faces have to be.
    pub quality_filter: String,
}

/// Of the report's grammar.
pub const VERSION: u32 = 1;

#[derive(Debug, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct FirstLine {
    reindexing: Terms,
}

/// A line: what became of a photo.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct Entry<'a> {
    /// The photo's name.
    pub photo: &'a str,
    /// What its content is known by.
    pub content: Option<String>,
    /// Its ImageId in both collections, where it is known.
    pub image_id: Option<String>,
    /// What became of it.
    #[serde(flatten)]
    pub outcome: Outcome,
}

/// What became of a photo.
#[derive(Debug, Serialize)]
#[serde(tag = "Status", rename_all = "lowercase")]
pub enum Outcome {
    /// It was indexed.
    #[serde(rename_all = "PascalCase")]
    Indexed {
        /// Faces that both collections have.
        faces: Vec<Pair>,
        /// Faces that the new one has not.
        lost_faces: Vec<Lost>,
        /// Faces that the old one has not.
        won_faces: Vec<Won>,
    },
    /// The old collection has no face of it, so neither gets the new one.
    Unknown,
    /// It did not work. The next run with this report tries again.
    #[serde(rename_all = "PascalCase")]
    Failed {
        /// Why.
        error: Failure,
    },
}

/// A face that both collections have.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct Pair {
    /// Its id in the old one.
    pub old_face_id: String,
    /// Its id in the new one.
    pub face_id: String,
}

/// A face that the new collection has not.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct Lost {
    /// Its id in the old one.
    pub old_face_id: String,
    /// The endpoint's reasons to leave it out, or one of ours: see [`super::run`].
    pub reasons: Vec<String>,
}

/// A face that the old collection has not.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct Won {
    /// Its id in the new one.
    pub face_id: String,
    /// Where it is in its photo.
    #[serde(skip_deserializing)]
    pub bounding_box: BoundingBox,
    /// Whether it may stay there.
    pub kept: bool,
}

/// A face whose matches are not the same in both collections.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct Changed {
    /// The face.
    #[serde(flatten)]
    pub face: Pair,
    /// Faces that matched it, and do not any more.
    pub lost_matches: Vec<Match>,
    /// Faces that match it now.
    pub won_matches: Vec<Match>,
}

/// A face that matches another.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct Match {
    /// The face.
    #[serde(flatten)]
    pub face: Pair,
    /// How alike it is, in percent, where it matches.
    pub similarity: f32,
}

/// Faces that a user does not get.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct NotAssociated {
    /// The user.
    pub user_id: String,
    /// The faces, in the new collection.
    pub face_ids: Vec<String>,
    /// Why, in the endpoint's words.
    pub reason: String,
}

/// A line behind those of the photos: how the two collections differ. A run that comes to its end adds them all at once, and the last ones
/// count.
#[derive(Serialize)]
pub enum Difference<'a> {
    /// A face that the old one has no longer, and was deleted from the new one. It is written as soon as that is done.
    DeletedFace(&'a Pair),
    /// A face that is not in the new one.
    LostFace(&'a Lost),
    /// Faces that a user does not get.
    NotAssociated(&'a NotAssociated),
    /// A face whose matches are others.
    ChangedMatches(&'a Changed),
    /// In numbers; the last line of a run.
    Summary(&'a super::summary::Counts),
}

/// What a line says that a later run needs.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Recorded {
    deleted_face: Option<Pair>,
    photo: Option<String>,
    content: Option<String>,
    image_id: Option<String>,
    status: Option<String>,
    #[serde(default)]
    faces: Vec<Pair>,
    #[serde(default)]
    lost_faces: Vec<Lost>,
    #[serde(default)]
    won_faces: Vec<Won>,
}

/// What is known of the photos so far, from earlier runs and this one.
#[derive(Debug, Default)]
pub struct Record {
    photos: HashMap<(String, Option<String>), Option<String>>,
    /// The faces' new ids by their old ones.
    pub pairs: HashMap<String, String>,
    /// Faces that were not found, and why, by their old ids.
    pub lost: HashMap<String, Vec<String>>,
    /// Faces that the old collection had not, by their new ids.
    pub won: HashSet<String>,
}

impl Record {
    /// Whether a photo with this content was indexed; then its ImageId, if that is known.
    pub fn image_of(&self, photo: &str, content: Option<&str>) -> Option<Option<String>> {
        self.photos.get(&(photo.to_owned(), content.map(str::to_owned))).cloned()
    }

    /// Whether all these faces of the old collection were looked for.
    pub fn has_all<'a>(&self, mut old: impl Iterator<Item = &'a str>) -> bool {
        old.all(|face| self.pairs.contains_key(face) || self.lost.contains_key(face))
    }

    fn read(&mut self, line: &[u8]) -> Result<(), serde_json::Error> {
        let line: Recorded = serde_json::from_slice(line)?;
        // It may come into the old collection again.
        if let Some(pair) = &line.deleted_face {
            self.pairs.remove(&pair.old_face_id);
        }
        if let (Some(photo), Some("indexed")) = (line.photo, line.status.as_deref()) {
            self.photos.insert((photo, line.content), line.image_id);
            self.add(line.faces, line.lost_faces, line.won_faces);
        }
        Ok(())
    }

    /// Takes up what became of a photo.
    pub fn take_up(&mut self, entry: &Entry<'_>) {
        if let Outcome::Indexed { faces, lost_faces, won_faces } = &entry.outcome {
            self.photos.insert((entry.photo.to_owned(), entry.content.clone()), entry.image_id.clone());
            self.add(faces.clone(), lost_faces.clone(), won_faces.clone());
        }
    }

    fn add(&mut self, faces: Vec<Pair>, lost: Vec<Lost>, won: Vec<Won>) {
        for Pair { old_face_id, face_id } in faces {
            self.lost.remove(&old_face_id);
            self.pairs.insert(old_face_id, face_id);
        }
        for Lost { old_face_id, reasons } in lost {
            if !self.pairs.contains_key(&old_face_id) {
                self.lost.insert(old_face_id, reasons);
            }
        }
        self.won.extend(won.into_iter().map(|face| face.face_id));
    }
}

/// The report's file, held by this run alone.
pub struct Report {
    terms: FirstLine,
    journal: Journal,
}

impl Report {
    /// Takes a file for a report, and reads what is done. Fails if it is something else.
    pub fn open(file: Held, terms: Terms) -> Result<(Self, Record), EnrolError> {
        let (terms, mut record) = (FirstLine { reindexing: terms }, Record::default());
        let journal = file.open(&terms, |line| record.read(line))?;
        Ok((Self { terms, journal }, record))
    }

    /// Writes the first line, if there is none.
    pub fn begin(&mut self) -> Result<(), EnrolError> {
        self.journal.begin(&self.terms)
    }

    /// Notes what became of a photo. A kill from now on does not undo it.
    pub fn note(&mut self, entry: &Entry<'_>) -> Result<(), EnrolError> {
        self.journal.note(entry)
    }

    /// Notes how the collections differ.
    pub fn tell(&mut self, difference: &Difference<'_>) -> Result<(), EnrolError> {
        self.journal.note(difference)
    }

    /// Sees to it that a loss of power does not undo it either.
    pub fn finish(self) -> Result<(), EnrolError> {
        self.journal.finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pair(old: &str, new: &str) -> Pair {
        Pair { old_face_id: old.to_owned(), face_id: new.to_owned() }
    }

    #[test]
    fn a_report_tells_which_face_is_which() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("report.jsonl");
        let text = |text: &str| text.to_owned();
        let terms = Terms {
            version: VERSION,
            from: text("people"),
            from_model: text("1"),
            from_created: 0.5,
            to: text("people-2"),
            to_model: text("2"),
            to_created: 1.5,
            endpoint: text("http://a:1/"),
            new_faces: false,
            quality_filter: text("NONE"),
        };
        let (mut report, _) = Report::open(Held::hold(&path).unwrap(), terms.clone()).unwrap();
        report.begin().unwrap();
        let lost = Lost { old_face_id: text("old-2"), reasons: vec![text("NOT_FOUND")] };
        let won = Won { face_id: text("new-3"), bounding_box: BoundingBox::default(), kept: false };
        let outcome = Outcome::Indexed {
            faces: vec![pair("old-1", "new-1")],
            lost_faces: vec![lost.clone()],
            won_faces: vec![won],
        };
        let (content, image_id) = (Some(text("1")), Some(text("image")));
        report.note(&Entry { photo: "a.jpg", content, image_id, outcome }).unwrap();
        report.note(&Entry { photo: "b.jpg", content: None, image_id: None, outcome: Outcome::Unknown }).unwrap();
        report.tell(&Difference::LostFace(&lost)).unwrap();
        report.finish().unwrap();

        let (mut report, record) = Report::open(Held::hold(&path).unwrap(), terms.clone()).unwrap();
        assert_eq!((record.pairs.len(), record.lost.len(), record.won.contains("new-3")), (1, 1, true));
        assert_eq!(record.image_of("a.jpg", Some("1")), Some(Some(text("image"))));
        assert!(record.has_all(["old-1", "old-2"].into_iter()));
        // Another content, a face that came to the old collection since, and what was unknown.
        assert!(record.image_of("a.jpg", Some("2")).is_none() && record.image_of("b.jpg", None).is_none());
        assert!(!record.has_all(["old-1", "old-9"].into_iter()));
        report.tell(&Difference::DeletedFace(&pair("old-1", "new-1"))).unwrap();
        drop(report);
        let (report, record) = Report::open(Held::hold(&path).unwrap(), terms.clone()).unwrap();
        assert!(!record.has_all(["old-1"].into_iter()) && record.pairs.is_empty());
        drop(report);
        assert!(Report::open(Held::hold(&path).unwrap(), Terms { new_faces: true, ..terms }).is_err());
    }
}
