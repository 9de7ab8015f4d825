//! Values that several commands take.

use crate::domain::CollectionId;

/// A collection's name.
pub fn collection(text: &str) -> Result<CollectionId, String> {
    let id = CollectionId::try_from(text.to_owned());
    id.map_err(|_| "a collection's name has 1 to 255 letters, digits, dots, hyphens and underscores".to_owned())
}
