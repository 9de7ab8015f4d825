//! Which faces and users an answer is about, for the audit log.

use crate::audit::Touched;
use crate::domain::{FaceId, Match, ModelVersion, Percent, Tags, User, UserId};

use super::{
    AllFacesSearch, Association, CollectionPage, ComparedFaces, DeletedFaces, DescribedCollection, DescribedUser,
    DetectedFaces, ErasedFaces, FaceGroups, FacePage, FaceSearch, ImageSearch, IndexedFaces, UserImageSearch, UserPage,
    UserProbe, UserSearch,
};

/// What an operation answers.
pub trait Touches {
    /// The faces and users that it changed or found; none when those are the ones that the request names, or the answer is not audited.
    fn touched(&self) -> Option<Touched> {
        None
    }
}

impl Touches for () {}
impl Touches for (String, ModelVersion) {}
impl Touches for Tags {}
impl Touches for DescribedCollection {}
impl Touches for CollectionPage {}
impl Touches for FacePage {}
impl Touches for UserPage {}
impl Touches for DetectedFaces {}
impl Touches for ComparedFaces {}
impl Touches for DescribedUser {}
// It is about all of a collection's faces, and says nothing of anybody that ListFaces does not.
impl Touches for FaceGroups {}

impl Touches for IndexedFaces {
    fn touched(&self) -> Option<Touched> {
        Some(faces(self.indexed.iter().map(|(face, _)| face.face_id)))
    }
}

impl Touches for DeletedFaces {
    fn touched(&self) -> Option<Touched> {
        Some(faces(self.deleted.iter().copied()))
    }
}

impl Touches for ErasedFaces {
    fn touched(&self) -> Option<Touched> {
        Some(Touched { faces: self.faces.clone(), users: self.user.iter().cloned().collect() })
    }
}

impl Touches for FaceSearch {
    fn touched(&self) -> Option<Touched> {
        Some(faces([self.face_id].into_iter().chain(found(&self.matches))))
    }
}

impl Touches for ImageSearch {
    fn touched(&self) -> Option<Touched> {
        Some(faces(found(&self.matches)))
    }
}

impl Touches for AllFacesSearch {
    fn touched(&self) -> Option<Touched> {
        Some(Touched {
            faces: self.faces.iter().flat_map(|face| found(&face.faces)).collect(),
            users: self.faces.iter().flat_map(|face| found_users(&face.users)).collect(),
        })
    }
}

impl Touches for Association {
    fn touched(&self) -> Option<Touched> {
        Some(Touched { faces: self.changed.clone(), users: vec![self.user.id.clone()] })
    }
}

impl Touches for UserSearch {
    fn touched(&self) -> Option<Touched> {
        let mut touched = self.probe.named();
        touched.users.extend(found_users(&self.matches));
        Some(touched)
    }
}

impl Touches for UserImageSearch {
    fn touched(&self) -> Option<Touched> {
        Some(Touched { users: found_users(&self.matches).collect(), ..Touched::default() })
    }
}

impl UserProbe {
    /// Whom it names.
    pub fn named(&self) -> Touched {
        match self {
            Self::Face(id) => Touched { faces: vec![*id], ..Touched::default() },
            Self::User(id) => Touched { users: vec![id.clone()], ..Touched::default() },
        }
    }
}

fn faces(ids: impl Iterator<Item = FaceId>) -> Touched {
    Touched { faces: ids.collect(), ..Touched::default() }
}

fn found(matches: &[Match]) -> impl Iterator<Item = FaceId> {
    matches.iter().map(|found| found.face.face_id)
}

fn found_users(matches: &[(Percent, User)]) -> impl Iterator<Item = UserId> {
    matches.iter().map(|(_, user)| user.id.clone())
}
