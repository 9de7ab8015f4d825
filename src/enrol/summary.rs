//! What an enrolment came to.

use std::fmt;
use std::path::{Path, PathBuf};

use indicatif::HumanCount;

use super::report::Outcome;

/// What an enrolment came to.
#[derive(Debug)]
pub struct Summary {
    photos: usize,
    report: PathBuf,
    /// Photos that an earlier enrolment with this report did.
    pub done_before: usize,
    /// Photos of which faces were stored.
    pub indexed: usize,
    /// These faces.
    pub faces: usize,
    /// Photos of which none was.
    pub unindexed: usize,
    /// Photos that did not work.
    pub failed: usize,
    /// Photos whose largest face was not associated with its user.
    pub not_associated: usize,
    /// Calls that had to be made again.
    pub repeats: u64,
    /// Whether it was stopped before its end.
    pub interrupted: bool,
}

impl Summary {
    /// Of so many photos, of which nothing is done yet.
    pub(super) fn new(photos: usize, report: &Path) -> Self {
        Self {
            photos,
            report: report.to_owned(),
            done_before: 0,
            indexed: 0,
            faces: 0,
            unindexed: 0,
            failed: 0,
            not_associated: 0,
            repeats: 0,
            interrupted: false,
        }
    }

    /// Counts a photo.
    pub(super) fn count(&mut self, outcome: &Outcome) {
        match outcome {
            Outcome::Indexed { faces, unsuccessful_face_associations, .. } => {
                self.indexed += 1;
                self.faces += faces.len();
                self.not_associated += usize::from(!unsuccessful_face_associations.is_empty());
            }
            Outcome::Unindexed { .. } => self.unindexed += 1,
            Outcome::Failed { .. } => self.failed += 1,
        }
    }

    /// Photos of which nothing is known yet.
    pub fn left(&self) -> usize {
        self.photos - self.done_before - self.indexed - self.unindexed - self.failed
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let count = |number: usize| HumanCount(number as u64);
        write!(
            f,
            "{} photos: {} indexed with {} faces, {} without a face to index, {} failed",
            count(self.photos),
            count(self.indexed),
            count(self.faces),
            count(self.unindexed),
            count(self.failed)
        )?;
        for (number, what) in [
            (self.done_before, "done before"),
            (self.left(), "still to do"),
            (self.not_associated, "not associated with their users"),
        ] {
            if number > 0 {
                write!(f, ", {} {what}", count(number))?;
            }
        }
        if self.repeats > 0 {
            write!(f, "; {} calls made again", HumanCount(self.repeats))?;
        }
        write!(f, "; report: {}", self.report.display())
    }
}
