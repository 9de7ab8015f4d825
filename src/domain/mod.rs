//! Parsed values. None of them can be built invalid, and none knows HTTP, SQL or a tensor.

mod absent;
mod attributes;
mod constraint;
mod face;
mod fault;
mod geometry;
mod ids;
mod image;
pub mod limits;
mod operation;
mod percent;
mod preload;
mod retention;
mod stored;
mod tags;
mod users;
mod vectors;

pub use attributes::{
    Attribute, AttributeSet, Attributes, Emotion, EyeDirection, Gender, Judgement, OrientationCorrection,
};
pub use constraint::{Constraint, violations_of_text};
pub use face::{Face, FaceDetail, IndexedFace, Landmark, LandmarkType, Match, Pose, Quality, QualityFilter, Reason};
pub use fault::Fault;
pub use geometry::BoundingBox;
pub use ids::{
    AccountId, BucketName, ClientRequestToken, CollectionId, ExternalImageId, FaceId, ImageDigest, ImageId,
    ModelVersion, ObjectName, UserId,
};
pub use image::{ImageSource, S3Object};
pub use limits::{MAX_FACES_PER_USER, MAX_TAGS};
pub use operation::{Operation, UnknownOperation};
pub use percent::Percent;
pub use preload::Preload;
pub use retention::{NoRetention, RETENTION_TAG, Retention};
pub use stored::Stored;
pub use tags::{PACK_TAG, TagKey, TagValue, Tags};
pub use users::User;
pub use vectors::{average_cosines, cosine, mean_direction};
