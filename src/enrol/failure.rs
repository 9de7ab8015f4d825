//! Why a photo failed, alone or with all that would come after it.

use serde::Serialize;

use crate::client::{CallError, Refused};
use crate::domain::Operation;
use crate::domain::limits::{MAX_IMAGE_BYTES, MAX_OBJECT_BYTES};

/// Why a photo failed.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct Failure {
    /// The endpoint's code, or `Unreadable` or `TooLarge` for a file that was never sent.
    pub code: String,
    /// What is wrong, in the same words.
    pub message: String,
    /// The call that failed, if one was made.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub operation: Option<&'static str>,
}

impl Failure {
    /// Of a file that cannot be read; why.
    pub fn unreadable(message: String) -> Self {
        Self { code: "Unreadable".to_owned(), message, operation: None }
    }

    /// Of a file of so many bytes.
    pub fn too_large(bytes: u64) -> Self {
        let message = format!(
            "the file has {bytes} bytes, and a request takes a photo of {MAX_IMAGE_BYTES} at most: make it smaller, or put it in S3, \
             from where {MAX_OBJECT_BYTES} are read"
        );
        Self { code: "TooLarge".to_owned(), message, operation: None }
    }

    /// Of a call that was refused.
    pub fn refused(operation: Operation, refused: Refused) -> Self {
        Self { code: refused.code, message: refused.message, operation: Some(operation.name()) }
    }
}

/// A failure of this photo alone. An error is one that the next photo would meet as well: nobody answers, the key is refused, the
/// collection is gone or full.
pub fn of_this_photo(error: CallError) -> Result<Failure, CallError> {
    const OF_THE_COLLECTION: [&str; 3] =
        ["LimitExceededException", "ResourceNotFoundException", "ServiceQuotaExceededException"];
    match error {
        CallError::Refused { operation, refused } => {
            let is_of_collection =
                operation == Operation::IndexFaces && OF_THE_COLLECTION.contains(&refused.code.as_str());
            if refused.is_of_every_call() || is_of_collection {
                Err(CallError::Refused { operation, refused })
            } else {
                Ok(Failure::refused(operation, refused))
            }
        }
        error => Err(error),
    }
}
