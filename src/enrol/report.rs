//! The report: what became of each photo, a line each, and with that what need not be done again.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::errors::EnrolError;
use super::failure::Failure;
use super::journal::{Held, Journal};
use super::photo::Photo;
use super::replies::{BoundingBox, Face};

/// What all lines of a report have in common: its first line. Another enrolment's report is not continued.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub struct Terms {
    /// Of the report's grammar.
    pub version: u32,
    /// The collection.
    pub collection_id: String,
    /// Where it is.
    pub endpoint: String,
    /// How many faces of a photo, at most.
    pub max_faces: Option<u32>,
    /// How good they have to be.
    pub quality_filter: Option<String>,
}

/// Of the report's grammar.
pub const VERSION: u32 = 1;

#[derive(Debug, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct FirstLine {
    enrolment: Terms,
}

/// A further line: what became of a photo.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct Entry<'a> {
    /// The photo's name.
    pub photo: &'a str,
    /// What its content is known by.
    pub content: Option<String>,
    /// As what it was enrolled.
    pub external_image_id: Option<&'a str>,
    /// With whom its largest face was to be associated.
    pub user_id: Option<&'a str>,
    /// What became of it.
    #[serde(flatten)]
    pub outcome: Outcome,
}

impl<'a> Entry<'a> {
    /// Of a photo with this content.
    pub fn new(photo: &'a Photo, content: Option<String>, outcome: Outcome) -> Self {
        let external_image_id = photo.external_image_id.as_ref().map(|id| id.as_str());
        let user_id = photo.user_id.as_ref().map(|id| id.as_str());
        Self { photo: &photo.name, content, external_image_id, user_id, outcome }
    }
}

/// What became of a photo.
#[derive(Clone, Debug, Serialize)]
#[serde(tag = "Status", rename_all = "lowercase")]
pub enum Outcome {
    /// Faces were stored.
    #[serde(rename_all = "PascalCase")]
    Indexed {
        /// These.
        faces: Vec<Face>,
        /// These were left out.
        unindexed_faces: Vec<LeftOut>,
        /// Why the largest was not associated with the user, in the endpoint's words.
        #[serde(skip_serializing_if = "Vec::is_empty")]
        unsuccessful_face_associations: Vec<Value>,
    },
    /// No face was stored: none was found, or all were left out.
    #[serde(rename_all = "PascalCase")]
    Unindexed {
        /// These were left out.
        unindexed_faces: Vec<LeftOut>,
    },
    /// It did not work. The next enrolment with this report tries again.
    #[serde(rename_all = "PascalCase")]
    Failed {
        /// Why.
        error: Failure,
    },
}

/// A face that was left out.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct LeftOut {
    /// Why.
    pub reasons: Vec<String>,
    /// Where it is.
    pub bounding_box: BoundingBox,
}

/// What a line says that a later enrolment needs.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Recorded {
    photo: String,
    content: Option<String>,
    external_image_id: Option<String>,
    user_id: Option<String>,
    status: Status,
}

#[derive(Deserialize, PartialEq)]
#[serde(rename_all = "lowercase")]
enum Status {
    Indexed,
    Unindexed,
    Failed,
}

/// What is done: by a photo's name, content and ExternalImageId, with whom its face was associated.
#[derive(Debug, Default)]
pub struct DoneBefore(HashMap<(String, Option<String>, Option<String>), Option<String>>);

impl DoneBefore {
    fn read(&mut self, line: &[u8]) -> Result<(), serde_json::Error> {
        let recorded: Recorded = serde_json::from_slice(line)?;
        if recorded.status != Status::Failed {
            self.0.insert((recorded.photo, recorded.content, recorded.external_image_id), recorded.user_id);
        }
        Ok(())
    }

    /// Whether a photo with this content need not be enrolled again.
    pub fn has(&self, photo: &Photo, content: Option<&str>) -> bool {
        let id = photo.external_image_id.as_ref().map(ToString::to_string);
        let recorded = self.0.get(&(photo.name.clone(), content.map(str::to_owned), id));
        recorded
            .is_some_and(|user| photo.user_id.as_ref().is_none_or(|wanted| user.as_deref() == Some(wanted.as_str())))
    }
}

/// The report's file, held by this enrolment alone.
#[derive(Debug)]
pub struct Report {
    terms: FirstLine,
    journal: Journal,
    done: Arc<DoneBefore>,
}

impl Report {
    /// Opens a report, or makes one, and reads what is done. Fails if another enrolment holds it, or if it is something else.
    pub fn open(path: &Path, terms: Terms) -> Result<Self, EnrolError> {
        let (terms, mut done) = (FirstLine { enrolment: terms }, DoneBefore::default());
        let journal = Held::hold(path)?.open(&terms, |line| done.read(line))?;
        Ok(Self { terms, journal, done: Arc::new(done) })
    }

    /// Reads what is done, and changes nothing: for an enrolment that only says what it would do.
    pub fn peek(path: &Path, terms: Terms) -> Result<Arc<DoneBefore>, EnrolError> {
        let mut done = DoneBefore::default();
        Journal::peek(path, &FirstLine { enrolment: terms }, |line| done.read(line))?;
        Ok(Arc::new(done))
    }

    /// What is done.
    pub fn done(&self) -> Arc<DoneBefore> {
        self.done.clone()
    }

    /// Writes the first line, if there is none.
    pub fn begin(&mut self) -> Result<(), EnrolError> {
        self.journal.begin(&self.terms)
    }

    /// Notes what became of a photo. A kill from now on does not undo it.
    pub fn note(&mut self, entry: &Entry<'_>) -> Result<(), EnrolError> {
        self.journal.note(entry)
    }

    /// Sees to it that a loss of power does not undo it either.
    pub fn finish(self) -> Result<(), EnrolError> {
        self.journal.finish()
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::domain::{ExternalImageId, UserId};
    use crate::enrol::photo::Place;

    fn terms() -> Terms {
        let (collection_id, endpoint) = ("people".to_owned(), "http://a:1/".to_owned());
        Terms { version: VERSION, collection_id, endpoint, max_faces: Some(1), quality_filter: None }
    }

    fn photo(name: &str, user: Option<&str>) -> Photo {
        Photo {
            name: name.to_owned(),
            place: Place::File(name.into()),
            external_image_id: Some(ExternalImageId::try_from(name.to_owned()).unwrap()),
            user_id: user.map(|user| UserId::try_from(user.to_owned()).unwrap()),
        }
    }

    fn note(report: &mut Report, name: &str, user: Option<&str>, outcome: Outcome) {
        let photo = photo(name, user);
        report.note(&Entry::new(&photo, Some("1".to_owned()), outcome)).unwrap();
    }

    fn indexed() -> Outcome {
        let face = Face { face_id: "f".to_owned(), bounding_box: BoundingBox::default() };
        Outcome::Indexed { faces: vec![face], unindexed_faces: vec![], unsuccessful_face_associations: vec![] }
    }

    /// A report with a photo of each kind.
    fn filled(path: &Path) -> Vec<u8> {
        let mut report = Report::open(path, terms()).unwrap();
        report.begin().unwrap();
        note(&mut report, "a.jpg", Some("anna"), indexed());
        let left_out = LeftOut { reasons: vec!["LOW_SHARPNESS".to_owned()], bounding_box: BoundingBox::default() };
        note(&mut report, "b.jpg", None, Outcome::Unindexed { unindexed_faces: vec![left_out] });
        let error = Failure { code: "Unreadable".to_owned(), message: "it is".to_owned(), operation: None };
        note(&mut report, "c.jpg", None, Outcome::Failed { error });
        report.finish().unwrap();
        fs::read(path).unwrap()
    }

    #[test]
    fn what_is_done_is_read_again() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("report.jsonl");
        filled(&path);
        let done = Report::open(&path, terms()).unwrap().done();
        let has = |name, user, content| done.has(&photo(name, user), Some(content));
        assert!(has("a.jpg", Some("anna"), "1") && has("a.jpg", None, "1") && has("b.jpg", None, "1"));
        // Another content, another user, and what failed are to be done.
        assert!(!has("a.jpg", Some("anna"), "2") && !has("a.jpg", Some("ben"), "1"));
        assert!(!has("b.jpg", Some("ben"), "1") && !has("c.jpg", None, "1") && !has("d.jpg", None, "1"));
        let renamed = Photo { external_image_id: None, ..photo("a.jpg", None) };
        assert!(!done.has(&renamed, Some("1")));
    }

    #[test]
    fn a_report_that_was_cut_off_anywhere_goes_on() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("report.jsonl");
        let whole = filled(&path);
        let ends: Vec<_> =
            whole.iter().enumerate().filter(|(_, byte)| **byte == b'\n').map(|(place, _)| place + 1).collect();
        for length in 0..whole.len() {
            fs::write(&path, &whole[..length]).unwrap();
            let mut report = Report::open(&path, terms()).unwrap();
            report.begin().unwrap();
            let lines = ends.iter().filter(|end| **end <= length).count();
            assert_eq!(report.done().0.len(), lines.saturating_sub(1).min(2), "{length}");
            note(&mut report, "z.jpg", None, indexed());
            drop(report);
            let done = Report::peek(&path, terms()).unwrap();
            assert!(done.has(&photo("z.jpg", None), Some("1")), "{length}");
        }
    }

    #[test]
    fn what_is_another_report_or_none_is_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("report.jsonl");
        let whole = filled(&path);
        for other in [
            Terms { collection_id: "others".to_owned(), ..terms() },
            Terms { endpoint: "http://b:1/".to_owned(), ..terms() },
            Terms { max_faces: None, ..terms() },
        ] {
            let error = Report::open(&path, other).unwrap_err().to_string();
            assert!(error.contains("another run"), "{error}");
        }
        for foreign in ["{\"path\":\"a.jpg\"}\n", "path,UserId\n", "x", "\n"] {
            fs::write(&path, foreign).unwrap();
            let error = Report::open(&path, terms()).unwrap_err().to_string();
            assert!(error.contains("is no report"), "{foreign}: {error}");
            assert_eq!(fs::read_to_string(&path).unwrap(), foreign);
        }
        let damaged = String::from_utf8(whole).unwrap().replacen("\"Status\":\"unindexed\"", "\"Status\":\"x\"", 1);
        fs::write(&path, &damaged).unwrap();
        assert!(Report::open(&path, terms()).unwrap_err().to_string().contains("damaged in line 3"));
        assert_eq!(fs::read_to_string(&path).unwrap(), damaged);
    }

    #[test]
    fn two_enrolments_do_not_share_a_report() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("report.jsonl");
        let first = Report::open(&path, terms()).unwrap();
        assert!(Report::open(&path, terms()).unwrap_err().to_string().contains("goes on now"));
        drop(first);
        assert!(Report::open(&path, terms()).is_ok());
    }
}
