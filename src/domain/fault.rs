//! Why an operation was refused.
//!
//! A [`Fault`] says what happened in the domain's words; `wire::errors` alone decides which AWS code, status and text a client
//! sees. Use a variant of its own for what a client can act on, and [`Fault::Internal`] for what only an operator can: its
//! source goes to the log and never into a reply.

use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use super::{ClientRequestToken, CollectionId, ModelVersion, NoRetention, UserId};

/// A refusal or failure of an operation.
#[derive(Clone, Debug, thiserror::Error)]
pub enum Fault {
    /// No collection of that name in the account.
    #[error("collection {0} does not exist")]
    CollectionNotFound(CollectionId),
    /// The account has a collection of that name already.
    #[error("collection {0} already exists")]
    CollectionExists(CollectionId),
    /// The models that made the collection's vectors do not run here.
    #[error("collection {collection} holds faces of model version {version}, which this server cannot run")]
    NoModels {
        /// The collection asked for.
        collection: CollectionId,
        /// The version that its vectors are of.
        version: ModelVersion,
        /// The pack of that version, if the manifest has one.
        pack: Option<String>,
    },
    /// What is to be brought into a collection is of other models than its vectors.
    #[error("collection {collection} holds faces of model version {theirs}, and those that come are of {ours}")]
    ModelVersionMismatch {
        /// The collection.
        collection: CollectionId,
        /// The version that its vectors are of.
        theirs: ModelVersion,
        /// The version of those that come.
        ours: ModelVersion,
    },
    /// A tag that the server goes by says nothing that it understands.
    #[error(transparent)]
    NoRetention(NoRetention),
    /// A new collection is to have the models of a pack that there is not.
    #[error("there is no pack {0}, or its files are missing")]
    NoPack(String),
    /// No user of that name in the collection.
    #[error("user {0} does not exist")]
    UserNotFound(UserId),
    /// The collection has a user of that name already.
    #[error("user {0} already exists")]
    UserExists(UserId),
    /// A user would have more faces than it may.
    #[error("user {0} would have too many faces")]
    TooManyFacesOfUser(UserId),
    /// The token came with another request before.
    #[error("the client request token {0} was used for another request")]
    TokenMismatch(ClientRequestToken),
    /// The probe face is not in the collection.
    #[error("the face is not in the collection")]
    FaceNotFound,
    /// A search by image needs a face, and there is none.
    #[error("the image has no face to search by")]
    NoFaceInImage,
    /// The request breaks a rule that no single member breaks by itself.
    #[error("invalid parameters")]
    InvalidParameters,
    /// The image's object in S3 cannot be had; why.
    #[error("the S3 object cannot be had: {0}")]
    S3ObjectUnavailable(String),
    /// The image's object in S3 is there, and its bytes did not come; why.
    #[error("the S3 object cannot be read: {0}")]
    S3ObjectUnreadable(String),
    /// The image's object in S3 has more bytes than an image may.
    #[error("the S3 object has {0} bytes")]
    S3ObjectTooLarge(u64),
    /// S3 wants fewer requests.
    #[error("S3 is busy: {0}")]
    S3Busy(String),
    /// The account has as many collections, or the collection as many faces or users, as it may; of what, and how many.
    #[error("no more than {1} {0}")]
    QuotaExceeded(&'static str, u32),
    /// No image that can be decoded, or of a format that is not taken.
    #[error("the image cannot be decoded: {0}")]
    InvalidImageFormat(String),
    /// An image side is shorter than faces can be found in.
    #[error("the image is too small: {width} x {height} px")]
    ImageTooSmall {
        /// Width in pixels, from the header.
        width: u32,
        /// Height in pixels, from the header.
        height: u32,
    },
    /// An image side is longer than the limit, or the image has more pixels than the operator allows.
    #[error("the image is too large: {width} x {height} px")]
    ImageTooLarge {
        /// Width in pixels, from the header.
        width: u32,
        /// Height in pixels, from the header.
        height: u32,
    },
    /// A collection would have more tags than it may.
    #[error("too many tags")]
    TooManyTags,
    /// The token is not one that this listing gave out.
    #[error("the pagination token does not belong to this listing")]
    InvalidPaginationToken,
    /// There is more work than there is room for; which limit was reached.
    #[error("overloaded: {0}")]
    Overloaded(&'static str),
    /// The collection's vectors are not in memory yet. They are being loaded, whether the caller waits or not.
    #[error("the vectors of the collection are loading: {loaded} of {of}")]
    Loading {
        /// How many are there.
        loaded: usize,
        /// How many there will be, about.
        of: usize,
        /// When it is worth while to ask again.
        again_after: Duration,
    },
    /// The collection's vectors take more memory than all of them together may.
    #[error("collection {collection} needs about {needs} bytes of memory to be searched, and {limit} are allowed")]
    GalleryTooLarge {
        /// The collection.
        collection: CollectionId,
        /// What it needs, in bytes.
        needs: usize,
        /// What there is, in bytes.
        limit: usize,
    },
    /// Something that an operation needs is away for the moment.
    #[error("{context}: {source}")]
    Unavailable {
        /// What was being done.
        context: &'static str,
        /// What went wrong.
        source: Arc<dyn Error + Send + Sync>,
    },
    /// Something broke that no client can mend.
    #[error("{context}: {source}")]
    Internal {
        /// What was being done.
        context: &'static str,
        /// What went wrong.
        source: Arc<dyn Error + Send + Sync>,
    },
}

impl Fault {
    /// Turns any error into one that passes by itself, as [`Self::internal`] does.
    pub fn unavailable<E: Into<Box<dyn Error + Send + Sync>>>(context: &'static str) -> impl Fn(E) -> Self {
        move |source| Self::Unavailable { context, source: source.into().into() }
    }

    /// Turns any error into an internal failure: `context` says what was being done, in the words of a log line.
    pub fn internal<E: Into<Box<dyn Error + Send + Sync>>>(context: &'static str) -> impl Fn(E) -> Self {
        move |source| Self::Internal { context, source: source.into().into() }
    }
}
