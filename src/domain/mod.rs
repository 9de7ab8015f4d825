//! Parsed values. None of them can be built invalid, and none knows HTTP, SQL or a tensor.

mod constraint;
mod face;
mod fault;
mod geometry;
mod ids;
mod percent;
mod tags;

pub use constraint::{Constraint, violations_of_text};
pub use face::{Face, FaceDetail, IndexedFace, Landmark, LandmarkType, Match, Pose, Quality, QualityFilter, Reason};
pub use fault::Fault;
pub use geometry::BoundingBox;
pub use ids::{AccountId, CollectionId, ExternalImageId, FaceId, ImageDigest, ImageId, ModelVersion};
pub use percent::Percent;
pub use tags::{MAX_TAGS, TagKey, TagValue, Tags};
