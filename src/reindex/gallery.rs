//! What a collection has, read page by page.

use std::collections::{BTreeSet, HashMap, HashSet};

use serde::de::DeserializeOwned;

use crate::client::{CallError, Client};
use crate::domain::limits::{MAX_ITEMS, MAX_USERS};
use crate::domain::{CollectionId, Operation};

use super::replies::{Faces, Page, PageOf, StoredFace, User, Users};

/// The faces of a collection.
#[derive(Default)]
pub struct Gallery {
    faces: Vec<StoredFace>,
    by_id: HashMap<String, usize>,
    by_image: HashMap<String, Vec<usize>>,
    names: HashSet<Option<String>>,
}

impl Gallery {
    /// Reads it.
    pub async fn of(client: &Client, collection: &CollectionId) -> Result<Self, CallError> {
        Ok(Self::new(pages::<Faces>(client, collection, Operation::ListFaces, MAX_ITEMS).await?))
    }

    fn new(faces: Vec<StoredFace>) -> Self {
        let mut gallery = Self::default();
        for (place, face) in faces.iter().enumerate() {
            gallery.by_id.insert(face.face_id.clone(), place);
            gallery.by_image.entry(face.image_id.clone()).or_default().push(place);
            gallery.names.insert(face.external_image_id.clone());
        }
        Self { faces, ..gallery }
    }

    /// The same without these.
    pub fn without(self, gone: &HashSet<String>) -> Self {
        Self::new(self.faces.into_iter().filter(|face| !gone.contains(&face.face_id)).collect())
    }

    /// All of them.
    pub fn faces(&self) -> &[StoredFace] {
        &self.faces
    }

    /// The face of this id.
    pub fn face(&self, id: &str) -> Option<&StoredFace> {
        self.by_id.get(id).map(|place| &self.faces[*place])
    }

    /// The faces of a photo.
    pub fn of_image<'a>(&'a self, image_id: &str) -> impl Iterator<Item = &'a StoredFace> + use<'a> {
        self.by_image.get(image_id).into_iter().flatten().map(|place| &self.faces[*place])
    }

    /// Whether a photo of this ExternalImageId, or of none, has faces here.
    pub fn has_name(&self, external_image_id: Option<&str>) -> bool {
        self.names.contains(&external_image_id.map(str::to_owned))
    }

    /// As what a photo was indexed, each name once: its own, and those that no other photo of the source is `claimed` to have.
    pub fn names_of(&self, image_id: &str, own: Option<&str>, claimed: &HashSet<&str>) -> Vec<Option<&str>> {
        let names: BTreeSet<_> = self.of_image(image_id).map(|face| face.external_image_id.as_deref()).collect();
        let is_its = |name: &Option<&str>| *name == own || name.is_none_or(|name| !claimed.contains(name));
        names.into_iter().filter(is_its).collect()
    }
}

/// The users of a collection.
pub async fn users_of(client: &Client, collection: &CollectionId) -> Result<BTreeSet<String>, CallError> {
    let users = pages::<Users>(client, collection, Operation::ListUsers, MAX_USERS).await?;
    Ok(users.into_iter().map(|User { user_id }| user_id).collect())
}

async fn pages<P: Page + DeserializeOwned>(
    client: &Client,
    collection: &CollectionId,
    operation: Operation,
    max_results: u32,
) -> Result<Vec<P::Item>, CallError> {
    let (mut all, mut next_token) = (Vec::new(), None);
    loop {
        let request = PageOf { collection_id: collection.as_str(), max_results, next_token };
        let (items, next) = client.call::<P>(operation, &request).await?.open();
        all.extend(items);
        next_token = next;
        if next_token.is_none() {
            return Ok(all);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::enrol::BoundingBox;

    fn face(id: &str, image: &str, name: Option<&str>) -> StoredFace {
        StoredFace {
            face_id: id.to_owned(),
            image_id: image.to_owned(),
            external_image_id: name.map(str::to_owned),
            user_id: None,
            bounding_box: BoundingBox::default(),
        }
    }

    #[test]
    fn a_photo_keeps_every_name_that_it_has() {
        let gallery = Gallery::new(vec![
            face("1", "party", Some("anna")),
            face("2", "party", Some("anna")),
            face("3", "party", Some("ben")),
            face("4", "hall", None),
        ]);
        let names = |image, own, claimed: &[&'static str]| {
            gallery.names_of(image, own, &claimed.iter().copied().collect()).into_iter().collect::<Vec<_>>()
        };
        assert_eq!(names("party", None, &[]), [Some("anna"), Some("ben")]);
        // The name of another photo of the source is that one's affair.
        assert_eq!(names("party", Some("ben"), &["ben", "anna"]), [Some("ben")]);
        assert_eq!(names("party", Some("ben"), &["ben", "carl"]), [Some("anna"), Some("ben")]);
        assert_eq!(names("party", Some("carl"), &["carl"]), [Some("anna"), Some("ben")]);
        assert_eq!(names("hall", Some("hall.jpg"), &["hall.jpg"]), [None]);
        assert!(names("street", Some("anna"), &["anna"]).is_empty());
        assert_eq!(gallery.of_image("party").count(), 3);
        assert!(gallery.has_name(Some("ben")) && gallery.has_name(None) && !gallery.has_name(Some("hall.jpg")));
        assert_eq!(gallery.face("4").unwrap().image_id, "hall");
    }
}
