//! How much the service takes and gives, as its documentation has it. What an operator may set is in `cli` instead.

/// Bytes of an image in a request.
pub const MAX_IMAGE_BYTES: usize = 5 * 1024 * 1024;
/// Bytes of an image in S3.
pub const MAX_OBJECT_BYTES: u64 = 15 * 1024 * 1024;
/// Pixels of an image's shorter side.
pub const MIN_IMAGE_SIDE: u32 = 80;
/// Pixels of an image's longer side.
pub const MAX_IMAGE_SIDE: u32 = 10_000;
/// Faces of an image that are looked at: the largest ones.
pub const MAX_FACES_PER_IMAGE: usize = 100;

/// Ids of a request, matches of a search for faces, items of a page.
pub const MAX_ITEMS: u32 = 4096;
/// Items of a page whose caller names no number.
pub const DEFAULT_ITEMS: u32 = 1000;
/// Matches of a search for faces whose caller names no number. The service documents no default.
pub const DEFAULT_MATCHES: u32 = 80;
/// Matches of all faces of a photo together, and as many users: what a reply holds of them is bounded, however many faces there are.
pub const MAX_MATCHES_OF_A_PHOTO: u32 = 16_384;
/// Users of a page or of a search; also what a caller gets who names no number.
pub const MAX_USERS: u32 = 500;
/// Similarity from which a face matches, unless the caller says otherwise.
pub const DEFAULT_THRESHOLD: f32 = 80.0;
/// Similarity from which a face is taken for a user's, unless the caller says otherwise.
pub const DEFAULT_ASSOCIATION_THRESHOLD: f32 = 75.0;

/// Faces of one association.
pub const MAX_FACES_PER_ASSOCIATION: usize = 100;
/// Faces of a user.
pub const MAX_FACES_PER_USER: usize = 100;
/// Tags of a collection, and of a request.
pub const MAX_TAGS: usize = 200;
