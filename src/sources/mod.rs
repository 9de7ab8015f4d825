//! Where image bytes come from when a request only names them: a server that speaks S3, or a folder that stands in for one.

mod folder;
#[cfg(feature = "s3")]
mod s3_server;
mod size;
mod style;

use bytes::Bytes;

use crate::domain::{Fault, S3Object};

pub use folder::Folder;
#[cfg(feature = "s3")]
pub use s3_server::{ListedObject, S3Server, S3ServerSettings};
pub use style::Style;

/// Where objects are.
pub enum S3 {
    /// Nowhere: none was configured.
    Nowhere,
    /// In a folder with a sub-folder for each bucket.
    Folder(Folder),
    /// On a server.
    #[cfg(feature = "s3")]
    Server(Box<S3Server>),
}

impl S3 {
    /// The bytes of an object. Fails with one of the S3 faults; an object that is too large is not read.
    pub async fn get(&self, object: &S3Object) -> Result<Bytes, Fault> {
        match self {
            Self::Nowhere => {
                Err(Fault::S3ObjectUnavailable("neither an S3 server nor a folder is configured".to_owned()))
            }
            Self::Folder(folder) => folder.get(object).await,
            #[cfg(feature = "s3")]
            Self::Server(server) => server.get(object).await,
        }
    }
}
