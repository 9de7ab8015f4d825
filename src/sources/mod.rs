//! Where image bytes come from when a request only names them: a server that speaks S3, or a folder that stands in for one.

mod folder;
mod server;

use bytes::Bytes;

use crate::domain::{Fault, S3Object};

pub use folder::Folder;
pub use server::{Server, ServerSettings, Style};

/// The service's limit on the bytes of an image in S3.
pub const MAX_OBJECT_BYTES: u64 = 15 * 1024 * 1024;

/// Where objects are.
pub enum S3 {
    /// Nowhere: none was configured.
    Nowhere,
    /// In a folder with a sub-folder for each bucket.
    Folder(Folder),
    /// On a server.
    Server(Box<Server>),
}

impl S3 {
    /// The bytes of an object. Fails with one of the S3 faults; an object that is too large is not read.
    pub async fn get(&self, object: &S3Object) -> Result<Bytes, Fault> {
        match self {
            Self::Nowhere => {
                Err(Fault::S3ObjectUnavailable("neither an S3 server nor a folder is configured".to_owned()))
            }
            Self::Folder(folder) => folder.get(object).await,
            Self::Server(server) => server.get(object).await,
        }
    }
}

/// Refuses an object by its size, before it is read.
fn check_size(size: u64) -> Result<(), Fault> {
    if size > MAX_OBJECT_BYTES { Err(Fault::S3ObjectTooLarge(size)) } else { Ok(()) }
}
