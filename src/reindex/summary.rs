//! What a reindexing came to.

use std::fmt;
use std::path::PathBuf;

use indicatif::HumanCount;
use serde::Serialize;

/// The numbers of a reindexing.
#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct Counts {
    /// Photos of the source.
    pub photos: usize,
    /// Photos of which the old collection has no face.
    pub unknown_photos: usize,
    /// Photos that an earlier run with this report did.
    pub photos_done_before: usize,
    /// Photos that did not work.
    pub failed_photos: usize,
    /// Faces of the old collection.
    pub old_faces: usize,
    /// Those of them that the new one has.
    pub faces: usize,
    /// Those that it has not.
    pub lost_faces: usize,
    /// Faces that only the new model finds.
    pub won_faces: usize,
    /// Those of them that are in the new collection.
    pub kept_faces: usize,
    /// Faces that were deleted from the new collection, since the old one has them no longer.
    pub deleted_faces: usize,
    /// Faces of the new collection that are neither of the old one nor of this report.
    pub other_faces: usize,
    /// Users of the old collection.
    pub users: usize,
    /// Faces that their user did not get.
    pub not_associated: usize,
    /// Faces whose matches were compared.
    pub compared_faces: usize,
    /// Those of them whose matches changed.
    pub changed_faces: usize,
    /// Matches that are gone.
    pub lost_matches: usize,
    /// Matches that are new.
    pub won_matches: usize,
    /// Matches of two faces that belong to two users.
    pub matches_of_two_users: OldAndNew,
}

/// A number of both collections.
#[derive(Clone, Copy, Debug, Default, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct OldAndNew {
    /// In the old one.
    pub old: usize,
    /// In the new one.
    pub new: usize,
}

/// What a reindexing came to.
#[derive(Debug)]
pub struct Summary {
    /// In numbers.
    pub counts: Counts,
    /// Whether it was stopped before its end. Then nothing was compared.
    pub interrupted: bool,
    /// Where more is told.
    pub report: PathBuf,
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let count = |number: usize| HumanCount(number as u64);
        let Counts { photos, unknown_photos, failed_photos, old_faces, faces, .. } = self.counts;
        write!(
            f,
            "{} photos, {} of them not in the old collection, {} failed",
            count(photos),
            count(unknown_photos),
            count(failed_photos)
        )?;
        if self.counts.photos_done_before > 0 {
            write!(f, ", {} done before", count(self.counts.photos_done_before))?;
        }
        write!(f, "; {} of {} faces are in the new collection", count(faces), count(old_faces))?;
        if !self.interrupted {
            let Counts { lost_faces, won_faces, kept_faces, users, not_associated, .. } = self.counts;
            write!(f, "; {} lost, {} won", count(lost_faces), count(won_faces))?;
            if won_faces > 0 {
                write!(f, " and {} of those kept", count(kept_faces))?;
            }
            let Counts { deleted_faces, other_faces, .. } = self.counts;
            if deleted_faces > 0 {
                write!(f, "; {} deleted, since the old collection has them no longer", count(deleted_faces))?;
            }
            if other_faces > 0 {
                write!(
                    f,
                    "; {} others are in the new collection, and this report knows nothing of them",
                    count(other_faces)
                )?;
            }
            write!(f, "; {} users", count(users))?;
            if not_associated > 0 {
                write!(f, ", {} faces not associated with theirs", count(not_associated))?;
            }
            let Counts { compared_faces, changed_faces, lost_matches, won_matches, matches_of_two_users, .. } =
                self.counts;
            if compared_faces > 0 {
                write!(
                    f,
                    "; of {} faces that were compared, {} have other matches: {} matches lost, {} won; matches of two different users: {} \
                     before, {} now",
                    count(compared_faces),
                    count(changed_faces),
                    count(lost_matches),
                    count(won_matches),
                    count(matches_of_two_users.old),
                    count(matches_of_two_users.new)
                )?;
            }
        }
        write!(f, "; report: {}", self.report.display())
    }
}
