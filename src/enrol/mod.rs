//! `rekollect enrol`: photos of a folder, of a manifest or of a bucket into a collection of any endpoint that speaks the protocol.
//!
//! [`Plan::of`] finds the photos and whatever is wrong with them, before anything is called. [`Enrolment`] calls IndexFaces for each, and
//! notes in a report what became of it. The same report read again says what is done, so an enrolment that was stopped in any way goes on.

#[cfg_attr(not(feature = "s3"), path = "no_bucket.rs")]
mod bucket;
mod errors;
mod failure;
mod folder;
mod journal;
mod manifest;
mod names;
mod people;
mod photo;
mod plan;
mod progress;
mod replies;
mod report;
mod run;
mod source;
mod summary;
mod walk;

pub use errors::EnrolError;
pub(crate) use failure::{Failure, of_this_photo};
pub(crate) use journal::{Held, Journal};
pub use names::Naming;
pub use people::Users;
pub(crate) use people::make_user;
pub(crate) use photo::{Photo, Place, bytes_of};
pub use plan::{Choice, Plan};
pub(crate) use replies::{
    AssociateFaces, Associated, BoundingBox, Done, Image, IndexFaces, Indexed, OfCollection, UnindexedFace,
};
pub use run::{Enrolment, Settings};
pub use source::Source;
pub use summary::Summary;
pub(crate) use walk::{Signals, Walked, side_by_side};
