//! How large an object may be.

use crate::domain::Fault;
use crate::domain::limits::MAX_OBJECT_BYTES;

/// Refuses an object by its size, before it is read.
pub fn check_size(size: u64) -> Result<(), Fault> {
    if size > MAX_OBJECT_BYTES { Err(Fault::S3ObjectTooLarge(size)) } else { Ok(()) }
}
