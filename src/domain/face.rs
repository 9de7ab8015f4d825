//! What is known about a face.

use strum::{EnumString, IntoStaticStr, VariantArray, VariantNames};

use super::geometry::six_digits;
use super::{Attributes, BoundingBox, ExternalImageId, FaceId, ImageId, Percent, UserId};

/// A named point of a face. Left and right are the image's: `EyeLeft` has the smaller x on an upright face, and the parts of
/// `LeftEye` belong to it.
#[allow(missing_docs)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, IntoStaticStr, VariantArray)]
#[strum(serialize_all = "camelCase")]
pub enum LandmarkType {
    EyeLeft,
    EyeRight,
    MouthLeft,
    MouthRight,
    Nose,
    LeftEyeBrowLeft,
    LeftEyeBrowRight,
    LeftEyeBrowUp,
    RightEyeBrowLeft,
    RightEyeBrowRight,
    RightEyeBrowUp,
    LeftEyeLeft,
    LeftEyeRight,
    LeftEyeUp,
    LeftEyeDown,
    RightEyeLeft,
    RightEyeRight,
    RightEyeUp,
    RightEyeDown,
    NoseLeft,
    NoseRight,
    MouthUp,
    MouthDown,
    LeftPupil,
    RightPupil,
    UpperJawlineLeft,
    MidJawlineLeft,
    ChinBottom,
    MidJawlineRight,
    UpperJawlineRight,
}

impl LandmarkType {
    /// Every landmark in the order in which replies with all of them list them.
    pub const ALL: &[Self] = Self::VARIANTS;
    /// The five landmarks in the order in which replies with no others list them, and in which detectors of the field give them.
    pub const FIVE: [Self; 5] = [Self::EyeLeft, Self::EyeRight, Self::Nose, Self::MouthLeft, Self::MouthRight];

    /// The name on the wire.
    pub fn name(self) -> &'static str {
        self.into()
    }
}

/// Where a landmark is, as fractions of the image's width and height.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Landmark {
    /// Which point of the face.
    pub kind: LandmarkType,
    /// Fraction of the image's width.
    pub x: f32,
    /// Fraction of the image's height.
    pub y: f32,
}

/// How a head is turned, in degrees from -180 to 180. `vision::pose` states the signs.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Pose {
    /// Tilt in the image's plane.
    pub roll: f32,
    /// Turn to a side.
    pub yaw: f32,
    /// Nod.
    pub pitch: f32,
}

/// How usable a face is for recognition. `vision::quality` states the formulas.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Quality {
    /// 0 is black, 100 is white.
    pub brightness: Percent,
    /// 0 is a blur, 100 has all the detail that recognition can use.
    pub sharpness: Percent,
}

/// What detection says about a face.
#[derive(Clone, Debug, PartialEq)]
pub struct FaceDetail {
    /// Where it is.
    pub bounding_box: BoundingBox,
    /// How sure it is that the box holds a face.
    pub confidence: Percent,
    /// The five landmarks, in the order of [`LandmarkType::FIVE`], or all, in that of [`LandmarkType::ALL`].
    pub landmarks: Vec<Landmark>,
    /// How the head is turned.
    pub pose: Pose,
    /// How usable the face is.
    pub quality: Quality,
    /// What else was asked for.
    pub attributes: Attributes,
}

/// What a collection remembers of a face beside its vector.
#[derive(Clone, Debug, PartialEq)]
pub struct Face {
    /// The face's id.
    pub face_id: FaceId,
    /// The id of the image that it came from.
    pub image_id: ImageId,
    /// The client's name for that image.
    pub external_image_id: Option<ExternalImageId>,
    /// The user that it belongs to.
    pub user_id: Option<UserId>,
    /// Where it was in that image.
    pub bounding_box: BoundingBox,
    /// How sure detection was.
    pub confidence: Percent,
}

impl Face {
    /// The face as the service keeps it: numbers with six significant digits.
    pub fn as_stored(&self) -> Self {
        Self {
            bounding_box: self.bounding_box.as_stored(),
            confidence: Percent::clamped(six_digits(self.confidence.get())),
            ..self.clone()
        }
    }
}

/// A face with the vector by which it is found.
#[derive(Clone, Debug)]
pub struct IndexedFace {
    /// What is remembered of it.
    pub face: Face,
    /// Its embedding: as many numbers as the pack's embedder has dimensions, of unit length.
    pub embedding: Vec<f32>,
}

/// A face of a collection that resembles a probe.
#[derive(Clone, Debug, PartialEq)]
pub struct Match {
    /// How alike the two are.
    pub similarity: Percent,
    /// The face found.
    pub face: Face,
}

/// How good a face has to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, EnumString, IntoStaticStr, VariantNames)]
#[strum(serialize_all = "SCREAMING_SNAKE_CASE")]
pub enum QualityFilter {
    /// Every face will do.
    None,
    /// The service's own choice.
    Auto,
    /// All but the poorest.
    Low,
    /// Middling ones and better.
    Medium,
    /// Only the best.
    High,
}

/// Why a face was left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, IntoStaticStr)]
#[strum(serialize_all = "SCREAMING_SNAKE_CASE")]
pub enum Reason {
    /// A search by image looks at the largest face only.
    FaceNotLargest,
    /// There are more faces than the caller asked for.
    ExceedsMaxFaces,
    /// The head is turned too far.
    ExtremePose,
    /// Too dark.
    LowBrightness,
    /// Too blurred.
    LowSharpness,
    /// Perhaps no face at all.
    LowConfidence,
    /// Too few pixels.
    SmallBoundingBox,
    /// Poor in a way of its own, such as washed-out by light.
    LowFaceQuality,
}

impl Reason {
    /// The name on the wire.
    pub fn name(self) -> &'static str {
        self.into()
    }
}
