//! Users: faces of a collection that are one person.

use super::UserId;

/// A user of a collection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct User {
    /// Its name.
    pub id: UserId,
    /// How many faces it has.
    pub face_count: usize,
}

impl User {
    /// Where the user stands, in the word of the wire: a user's vector is current as soon as its change is acknowledged.
    pub fn status(&self) -> &'static str {
        if self.face_count == 0 { "CREATED" } else { "ACTIVE" }
    }
}
