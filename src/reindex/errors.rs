//! What ends a reindexing, or keeps it from its beginning.

use crate::client::CallError;
use crate::enrol::EnrolError;

/// A reindexing that could not begin, or that had to stop.
#[derive(Debug, thiserror::Error)]
pub enum ReindexError {
    /// The photos, or the report.
    #[error(transparent)]
    Photos(#[from] EnrolError),
    /// A call failed as the next one would.
    #[error(transparent)]
    Call(#[from] CallError),
    /// The old collection is not there.
    #[error("there is no collection {0} on {1}")]
    NoCollection(String, String),
    /// Both are the same collection.
    #[error("--from and --to both name {0}: faces of two models cannot be in one collection")]
    Same(String),
    /// The new one is there, and not of the pack that was asked for, as far as its tags say.
    #[error(
        "{0} is there already, with the model {1}, and its tags do not say that it is of the pack {2}: leave --model-pack out, or name another collection"
    )]
    OtherPack(String, String, String),
    /// Both have the same model, so nothing would be new.
    #[error(
        "{0} would have the model {1}, as {2} has: name another pack with --model-pack, or start the server with it"
    )]
    SameModel(String, String, String),
}
