//! `rekollect reindex`: the faces of a collection in a new one, of another pack, out of the photos that they came from.
//!
//! [`Reindexing`] reads what the old collection has, indexes each of its photos into the new one, and keeps there the faces that the old one
//! has, with their ExternalImageIds and users. The old collection is only read. Then both are asked the same questions, and the report says
//! what differs.

mod comparison;
mod errors;
mod gallery;
mod keeping;
mod pairing;
mod photo;
mod replies;
mod report;
mod run;
mod summary;

pub use errors::ReindexError;
pub use run::{Reindexing, Settings};
pub use summary::Summary;
