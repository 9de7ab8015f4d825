//! What the two collections answer to the same questions.

use std::collections::HashMap;

use tokio::try_join;

use crate::client::{CallError, Client};
use crate::domain::limits::MAX_ITEMS;
use crate::domain::{CollectionId, Operation};
use crate::enrol::{EnrolError, Walked, side_by_side};

use super::gallery::Gallery;
use super::replies::{Found, SearchFaces};
use super::report::{Changed, Match, Pair};
use super::summary::Counts;

/// Two collections, and what is asked.
pub struct Comparison<'a> {
    /// Who calls.
    pub client: &'a Client,
    /// The old collection.
    pub from: &'a CollectionId,
    /// The new one.
    pub to: &'a CollectionId,
    /// What the old one has.
    pub old: &'a Gallery,
    /// How alike faces have to be, in percent.
    pub threshold: f32,
    /// How many faces at a time.
    pub parallel: usize,
}

/// What SearchFaces finds for one face in both.
struct Answers<'a> {
    face: &'a Pair,
    old: Vec<(Pair, f32)>,
    new: Vec<(Pair, f32)>,
}

impl Comparison<'_> {
    /// Searches for `most` of these faces, evenly chosen, in both collections. Faces that only one of them has count for nothing. `all` gets
    /// each face whose matches differ.
    pub async fn compare(
        &self,
        faces: &[Pair],
        most: usize,
        counts: &mut Counts,
        all: &mut Vec<Changed>,
    ) -> Result<Walked, EnrolError> {
        let some = most.min(faces.len());
        let chosen: Vec<Pair> = (0..some).map(|number| faces[number * faces.len() / some].clone()).collect();
        let by_old: HashMap<_, _> = faces.iter().map(|face| (face.old_face_id.as_str(), face)).collect();
        let by_new: HashMap<_, _> = faces.iter().map(|face| (face.face_id.as_str(), face)).collect();
        let ask = |face| self.ask(face, &by_old, &by_new);
        side_by_side(&chosen, "faces", self.parallel, ask, |answers| {
            let Some(answers) = answers else { return Ok(0) };
            counts.compared_faces += 1;
            counts.matches_of_two_users.old += self.of_two_users(answers.face, &answers.old);
            counts.matches_of_two_users.new += self.of_two_users(answers.face, &answers.new);
            let changed = changed(answers);
            if !(changed.lost_matches.is_empty() && changed.won_matches.is_empty()) {
                counts.changed_faces += 1;
                counts.lost_matches += changed.lost_matches.len();
                counts.won_matches += changed.won_matches.len();
                all.push(changed);
            }
            Ok(0)
        })
        .await
    }

    /// Asks both. Nothing if one of them has lost the face since.
    async fn ask<'f>(
        &self,
        face: &'f Pair,
        by_old: &HashMap<&str, &Pair>,
        by_new: &HashMap<&str, &Pair>,
    ) -> Result<Option<Answers<'f>>, CallError> {
        let asked = try_join!(self.search(self.from, &face.old_face_id), self.search(self.to, &face.face_id));
        let (old, new) = match asked {
            Ok(found) => found,
            Err(error) if error.code() == Some("InvalidParameterException") => return Ok(None),
            Err(error) => return Err(error),
        };
        let known = |found: Found, by: &HashMap<&str, &Pair>| -> Vec<(Pair, f32)> {
            let matches = found.face_matches.into_iter();
            matches
                .filter_map(|found| Some(((*by.get(found.face.face_id.as_str())?).clone(), found.similarity)))
                .collect()
        };
        Ok(Some(Answers { face, old: known(old, by_old), new: known(new, by_new) }))
    }

    async fn search(&self, collection: &CollectionId, face_id: &str) -> Result<Found, CallError> {
        let request = SearchFaces {
            collection_id: collection.as_str(),
            face_id,
            face_match_threshold: self.threshold,
            max_faces: MAX_ITEMS,
        };
        self.client.call(Operation::SearchFaces, &request).await
    }

    /// How many matches are of another user than the face.
    fn of_two_users(&self, face: &Pair, matches: &[(Pair, f32)]) -> usize {
        let user = |face: &Pair| self.old.face(&face.old_face_id).and_then(|face| face.user_id.as_deref());
        let Some(own) = user(face) else { return 0 };
        matches.iter().filter(|(other, _)| user(other).is_some_and(|other| other != own)).count()
    }
}

fn changed(Answers { face, old, new }: Answers<'_>) -> Changed {
    let only = |these: &[(Pair, f32)], those: &[(Pair, f32)]| -> Vec<Match> {
        let those: std::collections::HashSet<_> = those.iter().map(|(face, _)| face.face_id.as_str()).collect();
        let alone = these.iter().filter(|(face, _)| !those.contains(face.face_id.as_str()));
        alone.map(|(face, similarity)| Match { face: face.clone(), similarity: *similarity }).collect()
    };
    Changed { face: face.clone(), lost_matches: only(&old, &new), won_matches: only(&new, &old) }
}
