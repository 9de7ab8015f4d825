//! Where image bytes come from when a request only names them: a server that speaks S3, or a folder that stands in for one.

mod folder;
mod server;
mod size;

use bytes::Bytes;

use crate::domain::{Fault, S3Object};

pub use folder::Folder;
pub use server::{Server, ServerSettings, Style};

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
