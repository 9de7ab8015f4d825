//! What is to be in memory before it is asked for.

use super::CollectionId;

/// Collections whose vectors are loaded at the start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Preload {
    /// All that hold vectors of the server's models.
    Every,
    /// Those of this name, of any account.
    Named(CollectionId),
}

impl Preload {
    /// Whether a collection of this name is one of those.
    pub fn is_of(&self, id: &CollectionId) -> bool {
        match self {
            Self::Every => true,
            Self::Named(name) => name == id,
        }
    }
}
