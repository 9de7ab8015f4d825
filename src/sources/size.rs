//! How large an object may be.

use crate::domain::Fault;

/// The service's limit on the bytes of an image in S3.
pub const MAX_OBJECT_BYTES: u64 = 15 * 1024 * 1024;

/// Refuses an object by its size, before it is read.
pub fn check_size(size: u64) -> Result<(), Fault> {
    if size > MAX_OBJECT_BYTES { Err(Fault::S3ObjectTooLarge(size)) } else { Ok(()) }
}
