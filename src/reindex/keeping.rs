//! Users and deletions: what the old collection says of its faces is made true in the new one.

use std::collections::BTreeMap;

use uuid::Uuid;

use crate::client::{CallError, Client};
use crate::domain::limits::{MAX_FACES_PER_ASSOCIATION, MAX_ITEMS};
use crate::domain::{CollectionId, Operation};
use crate::enrol::{AssociateFaces, Associated, Done, make_user};

use super::gallery::{Gallery, users_of};
use super::replies::{DeleteFaces, DisassociateFaces};
use super::report::{NotAssociated, Pair, Record};

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
    /// Faces that are no longer in the new one.
    pub deleted: Vec<Pair>,
    /// Faces that their user did not get.
    pub not_associated: Vec<NotAssociated>,
    /// What the new collection has now.
    pub new: Gallery,
}

impl Keeping<'_> {
    /// Deletes faces that the old collection has no longer, makes its users, and lets each face have the user that it has there, or none.
    pub async fn keep(&self, old: &Gallery, record: &Record) -> Result<Kept, CallError> {
        let new = Gallery::of(self.client, self.to).await?;
        // Faces that leave a user, by the user; faces that go; and faces that come to a user, by the user.
        let (mut leave, mut deleted, mut come) =
            (BTreeMap::<_, Vec<_>>::new(), Vec::new(), BTreeMap::<_, Vec<_>>::new());
        for (old_id, new_id) in &record.pairs {
            let was = old.face(old_id);
            let Some(is) = new.face(new_id) else { continue };
            if was.is_none() {
                deleted.push(Pair { old_face_id: old_id.clone(), face_id: new_id.clone() });
            }
            let user = was.and_then(|face| face.user_id.as_ref());
            if user == is.user_id.as_ref() {
                continue;
            }
            if let Some(other) = &is.user_id {
                leave.entry(other).or_default().push(new_id.as_str());
            }
            if let Some(user) = user {
                come.entry(user).or_default().push(new_id.as_str());
            }
        }
        for (user, faces) in &leave {
            self.disassociate(user, faces).await?;
        }
        let go: Vec<_> = deleted.iter().map(|pair| pair.face_id.as_str()).collect();
        for face_ids in go.chunks(MAX_ITEMS as usize) {
            let request = DeleteFaces { collection_id: self.to.as_str(), face_ids };
            self.client.call::<Done>(Operation::DeleteFaces, &request).await?;
        }
        let users = users_of(self.client, self.from).await?;
        for user in users.difference(&users_of(self.client, self.to).await?) {
            make_user(self.client, self.to, user).await?;
        }
        let mut not_associated = Vec::new();
        for (user, faces) in &come {
            self.associate(user, faces, &mut not_associated).await?;
        }
        let new = new.without(&deleted.iter().map(|pair| pair.face_id.clone()).collect());
        Ok(Kept { users: users.len(), deleted, not_associated, new })
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

    /// Faces that the endpoint does not associate are left without a user, and told.
    async fn associate(&self, user: &str, faces: &[&str], not: &mut Vec<NotAssociated>) -> Result<(), CallError> {
        for face_ids in faces.chunks(MAX_FACES_PER_ASSOCIATION) {
            let request = AssociateFaces {
                collection_id: self.to.as_str(),
                user_id: user,
                face_ids,
                // Whose they are was decided before. Whether the new model finds them alike is what the comparison tells.
                user_match_threshold: Some(0.0),
                client_request_token: &Uuid::new_v4().to_string(),
            };
            let outcome = self.client.call::<Associated>(Operation::AssociateFaces, &request).await;
            let (face_ids, reason) = match outcome {
                Ok(reply) if reply.unsuccessful_face_associations.is_empty() => continue,
                Ok(reply) => {
                    let unsuccessful = reply.unsuccessful_face_associations;
                    let ids = unsuccessful.iter().filter_map(|face| Some(face.get("FaceId")?.as_str()?.to_owned()));
                    (ids.collect(), unsuccessful.first().map_or(String::new(), |face| face["Reasons"].to_string()))
                }
                // The user was deleted meanwhile, or has as many faces as it may have.
                Err(CallError::Refused { refused, .. }) if !refused.is_of_every_call() => {
                    (face_ids.iter().map(|id| (*id).to_owned()).collect(), refused.to_string())
                }
                Err(error) => return Err(error),
            };
            not.push(NotAssociated { user_id: user.to_owned(), face_ids, reason });
        }
        Ok(())
    }
}
