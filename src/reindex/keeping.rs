//! Users and deletions: what the old collection says of its faces is made true in the new one.

use std::collections::{BTreeMap, HashSet};

use uuid::Uuid;

use crate::client::{CallError, Client};
use crate::domain::limits::{MAX_FACES_PER_ASSOCIATION, MAX_ITEMS};
use crate::domain::{CollectionId, Operation};
use crate::enrol::{AssociateFaces, Associated, Done, make_user};

use super::gallery::{Gallery, users_of};
use super::replies::{DeleteFaces, Deleted, DisassociateFaces};
use super::report::Record;

/// The new collection, as it is to be changed.
pub struct Keeping<'a> {
    /// Who calls.
    pub client: &'a Client,
    /// The old collection.
    pub from: &'a CollectionId,
    /// The new one.
    pub to: &'a CollectionId,
}

/// What was kept.
pub struct Kept {
    /// Users of the old collection.
    pub users: usize,
    /// Faces that the endpoint did not associate with their user.
    pub not_associated: usize,
    /// What the new collection has now.
    pub new: Gallery,
}

impl Keeping<'_> {
    /// Deletes faces that the old collection has no longer, makes its users, and gives them their faces.
    pub async fn keep(&self, old: &Gallery, record: &Record) -> Result<Kept, CallError> {
        let new = Gallery::of(self.client, self.to).await?;
        // Faces that leave a user, by the user; faces that go; and faces that come to a user, by the user.
        let (mut leave, mut go, mut come) = (BTreeMap::<_, Vec<_>>::new(), Vec::new(), BTreeMap::<_, Vec<_>>::new());
        for (old_id, new_id) in &record.pairs {
            let Some(is) = new.face(new_id) else { continue };
            let Some(was) = old.face(old_id) else {
                go.push(new_id.as_str());
                if let Some(user) = &is.user_id {
                    leave.entry(user).or_default().push(new_id.as_str());
                }
                continue;
            };
            // A face that has no user there may have got one here.
            let Some(user) = was.user_id.as_ref().filter(|user| is.user_id.as_ref() != Some(user)) else { continue };
            come.entry(user).or_default().push(new_id.as_str());
            if let Some(other) = &is.user_id {
                leave.entry(other).or_default().push(new_id.as_str());
            }
        }
        for (user, faces) in &leave {
            self.disassociate(user, faces).await?;
        }
        for face_ids in go.chunks(MAX_ITEMS as usize) {
            let request = DeleteFaces { collection_id: self.to.as_str(), face_ids };
            self.client.call::<Deleted>(Operation::DeleteFaces, &request).await?;
        }
        let users = users_of(self.client, self.from).await?;
        for user in users.difference(&users_of(self.client, self.to).await?) {
            make_user(self.client, self.to, user).await?;
        }
        let mut not_associated = 0;
        for (user, faces) in &come {
            not_associated += self.associate(user, faces).await?;
        }
        let gone: HashSet<_> = go.into_iter().map(str::to_owned).collect();
        Ok(Kept { users: users.len(), not_associated, new: new.without(&gone) })
    }

    async fn disassociate(&self, user: &str, faces: &[&str]) -> Result<(), CallError> {
        for face_ids in faces.chunks(MAX_FACES_PER_ASSOCIATION) {
            let request = DisassociateFaces {
                collection_id: self.to.as_str(),
                user_id: user,
                face_ids,
                client_request_token: &Uuid::new_v4().to_string(),
            };
            self.client.call::<Done>(Operation::DisassociateFaces, &request).await?;
        }
        Ok(())
    }

    /// How many of the faces were not associated.
    async fn associate(&self, user: &str, faces: &[&str]) -> Result<usize, CallError> {
        let mut not_associated = 0;
        for face_ids in faces.chunks(MAX_FACES_PER_ASSOCIATION) {
            let request = AssociateFaces {
                collection_id: self.to.as_str(),
                user_id: user,
                face_ids,
                // Whose they are was decided before. Whether the new model finds them alike is what the comparison tells.
                user_match_threshold: Some(0.0),
                client_request_token: &Uuid::new_v4().to_string(),
            };
            let reply: Associated = self.client.call(Operation::AssociateFaces, &request).await?;
            not_associated += reply.unsuccessful_face_associations.len();
        }
        Ok(not_associated)
    }
}
