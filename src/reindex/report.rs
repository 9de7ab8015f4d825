//! The report: what became of each photo, and then how the two collections differ.

use std::collections::{HashMap, HashSet};
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::enrol::{BoundingBox, EnrolError, Failure, Journal};

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
    /// The endpoint's reasons to leave it out, or `NOT_FOUND`, or `NO_PHOTO` where no photo of the source is the one that it came from.
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
    /// Whether it stays there.
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

/// A line behind those of the photos: how the two collections differ. Each run adds its own, and the last counts.
#[derive(Serialize)]
pub enum Difference<'a> {
    /// A face that is not in the new one.
    LostFace(&'a Lost),
    /// A face whose matches are others.
    ChangedMatches(&'a Changed),
    /// In numbers; the last line of a run.
    Summary(&'a super::summary::Counts),
}

/// What a line says that a later run needs.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Recorded {
    photo: Option<String>,
    content: Option<String>,
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
    photos: HashSet<(String, Option<String>)>,
    /// The faces' new ids by their old ones.
    pub pairs: HashMap<String, String>,
    /// Faces that were not found, and why, by their old ids.
    pub lost: HashMap<String, Vec<String>>,
    /// Faces that the old collection has not.
    pub won: HashMap<String, bool>,
}

impl Record {
    /// Whether a photo with this content was indexed, and these faces of the old collection were looked for in it.
    pub fn has<'a>(&self, photo: &str, content: Option<&str>, mut old: impl Iterator<Item = &'a str>) -> bool {
        self.photos.contains(&(photo.to_owned(), content.map(str::to_owned)))
            && old.all(|face| self.pairs.contains_key(face) || self.lost.contains_key(face))
    }

    fn read(&mut self, line: &[u8]) -> Result<(), serde_json::Error> {
        let Recorded { photo, content, status, faces, lost_faces, won_faces } = serde_json::from_slice(line)?;
        if let (Some(photo), Some("indexed")) = (photo, status.as_deref()) {
            self.add(photo, content, faces, lost_faces, won_faces);
        }
        Ok(())
    }

    /// Takes up what became of a photo.
    pub fn take_up(&mut self, entry: &Entry<'_>) {
        if let Outcome::Indexed { faces, lost_faces, won_faces } = &entry.outcome {
            let (photo, content) = (entry.photo.to_owned(), entry.content.clone());
            self.add(photo, content, faces.clone(), lost_faces.clone(), won_faces.clone());
        }
    }

    fn add(&mut self, photo: String, content: Option<String>, faces: Vec<Pair>, lost: Vec<Lost>, won: Vec<Won>) {
        self.photos.insert((photo, content));
        for Pair { old_face_id, face_id } in faces {
            self.lost.remove(&old_face_id);
            self.pairs.insert(old_face_id, face_id);
        }
        for Lost { old_face_id, reasons } in lost {
            if !self.pairs.contains_key(&old_face_id) {
                self.lost.insert(old_face_id, reasons);
            }
        }
        self.won.extend(won.into_iter().map(|face| (face.face_id, face.kept)));
    }
}

/// The report's file, held by this run alone.
pub struct Report {
    terms: FirstLine,
    journal: Journal,
}

impl Report {
    /// Opens a report, or makes one, and reads what is done. Fails if another run holds it, or if it is something else.
    pub fn open(path: &Path, terms: Terms) -> Result<(Self, Record), EnrolError> {
        let (terms, mut record) = (FirstLine { reindexing: terms }, Record::default());
        let journal = Journal::open(path, &terms, |line| record.read(line))?;
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
            to: text("people-2"),
            to_model: text("2"),
            to_created: 1.5,
            endpoint: text("http://a:1/"),
            new_faces: false,
            quality_filter: text("NONE"),
        };
        let (mut report, _) = Report::open(&path, terms.clone()).unwrap();
        report.begin().unwrap();
        let lost = Lost { old_face_id: text("old-2"), reasons: vec![text("NOT_FOUND")] };
        let won = Won { face_id: text("new-3"), bounding_box: BoundingBox::default(), kept: false };
        let outcome = Outcome::Indexed {
            faces: vec![pair("old-1", "new-1")],
            lost_faces: vec![lost.clone()],
            won_faces: vec![won],
        };
        report.note(&Entry { photo: "a.jpg", content: Some(text("1")), outcome }).unwrap();
        report.note(&Entry { photo: "b.jpg", content: None, outcome: Outcome::Unknown }).unwrap();
        report.tell(&Difference::LostFace(&lost)).unwrap();
        report.finish().unwrap();

        let (report, record) = Report::open(&path, terms.clone()).unwrap();
        assert_eq!((record.pairs.len(), record.lost.len(), record.won.get("new-3")), (1, 1, Some(&false)));
        assert!(record.has("a.jpg", Some("1"), ["old-1", "old-2"].into_iter()));
        // Another content, a face that came to the old collection since, and what was unknown.
        assert!(!record.has("a.jpg", Some("2"), ["old-1"].into_iter()));
        assert!(!record.has("a.jpg", Some("1"), ["old-1", "old-9"].into_iter()));
        assert!(!record.has("b.jpg", None, [].into_iter()));
        drop(report);
        assert!(Report::open(&path, Terms { new_faces: true, ..terms }).is_err());
    }
}
