//! The size of a store.

/// What a store holds, of all accounts together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stored {
    /// Collections.
    pub collections: i64,
    /// Their faces.
    pub faces: i64,
    /// Their users.
    pub users: i64,
    /// Bytes of the database.
    pub bytes: i64,
}
