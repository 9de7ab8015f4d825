//! What a face shows beside where it is.

use strum::{EnumString, IntoStaticStr, VariantArray, VariantNames};

use super::Percent;

/// Something that can be asked for about a face, in the order of the service's own list.
#[allow(missing_docs)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, EnumString, VariantArray, VariantNames)]
#[strum(serialize_all = "SCREAMING_SNAKE_CASE")]
pub enum Attribute {
    AgeRange,
    Beard,
    Emotions,
    EyeDirection,
    Eyeglasses,
    EyesOpen,
    Gender,
    MouthOpen,
    Mustache,
    FaceOccluded,
    Smile,
    Sunglasses,
}

impl Attribute {
    /// Every attribute.
    pub const EACH: &[Self] = <Self as VariantArray>::VARIANTS;
    /// Their names on the wire.
    pub const NAMES: &[&str] = <Self as VariantNames>::VARIANTS;
}

/// What is asked for about a face beside the DEFAULT attributes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AttributeSet {
    bits: u16,
    /// All of the landmarks are asked for too.
    everything: bool,
}

impl AttributeSet {
    /// Nothing beside the DEFAULT attributes.
    pub const DEFAULT: Self = Self { bits: 0, everything: false };
    /// Every attribute, and every landmark.
    pub const ALL: Self = Self { bits: (1 << Attribute::EACH.len()) - 1, everything: true };

    /// One attribute.
    pub const fn of(attribute: Attribute) -> Self {
        Self { bits: 1 << attribute as u16, everything: false }
    }

    /// Whether this attribute is asked for.
    pub fn has(self, attribute: Attribute) -> bool {
        self.bits & 1 << attribute as u16 != 0
    }

    /// Whether one of these is asked for.
    pub fn has_any(self, attributes: &[Attribute]) -> bool {
        attributes.iter().any(|attribute| self.has(*attribute))
    }

    /// Whether every landmark is asked for, and not five alone.
    pub fn wants_all_landmarks(self) -> bool {
        self.everything
    }
}

impl std::ops::BitOr for AttributeSet {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        Self { bits: self.bits | other.bits, everything: self.everything || other.everything }
    }
}

/// A yes or no, and how sure it is (50 to 100).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Judgement {
    /// The answer.
    pub value: bool,
    /// How sure.
    pub confidence: Percent,
}

impl Judgement {
    /// From the chance (0 to 100) of a yes.
    pub fn of_chance(chance: Percent) -> Self {
        let value = chance.get() >= 50.0;
        Self { value, confidence: if value { chance } else { Percent::clamped(100.0 - chance.get()) } }
    }
}

/// How a face looks to others, as far as a model can say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Gender {
    /// Looks male.
    Male,
    /// Looks female.
    Female,
}

/// What an expression looks like; not what is felt.
#[allow(missing_docs)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, IntoStaticStr)]
#[strum(serialize_all = "SCREAMING_SNAKE_CASE")]
pub enum Emotion {
    Happy,
    Surprised,
    Calm,
    Confused,
    Sad,
    Disgusted,
    Fear,
    Angry,
}

impl Emotion {
    /// The name on the wire.
    pub fn name(self) -> &'static str {
        self.into()
    }
}

/// Where the eyes look, in degrees relative to the face: yaw is positive to the image's right, pitch upwards.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct EyeDirection {
    /// To a side.
    pub yaw: f32,
    /// Up or down.
    pub pitch: f32,
    /// How sure that is.
    pub confidence: Percent,
}

/// What was asked for about a face; what was not is absent.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Attributes {
    /// Youngest and oldest likely age in years.
    pub age_range: Option<(u32, u32)>,
    /// A smile.
    pub smile: Option<Judgement>,
    /// Glasses with clear lenses.
    pub eyeglasses: Option<Judgement>,
    /// Glasses with dark lenses.
    pub sunglasses: Option<Judgement>,
    /// How the face looks, and how sure.
    pub gender: Option<(Gender, Percent)>,
    /// Hair on chin and cheeks.
    pub beard: Option<Judgement>,
    /// Hair on the upper lip.
    pub mustache: Option<Judgement>,
    /// Both eyes open.
    pub eyes_open: Option<Judgement>,
    /// The mouth open.
    pub mouth_open: Option<Judgement>,
    /// Each emotion with how sure it is, surest first.
    pub emotions: Option<Vec<(Emotion, Percent)>>,
    /// A part of eyes, nose or mouth hidden.
    pub face_occluded: Option<Judgement>,
    /// Where the eyes look.
    pub eye_direction: Option<EyeDirection>,
}

/// How many quarter turns an image needs, clockwise, to be upright: so far was it turned counterclockwise.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, IntoStaticStr, VariantArray)]
pub enum OrientationCorrection {
    /// None.
    #[default]
    #[strum(serialize = "ROTATE_0")]
    Rotate0,
    /// One.
    #[strum(serialize = "ROTATE_90")]
    Rotate90,
    /// Two.
    #[strum(serialize = "ROTATE_180")]
    Rotate180,
    /// Three.
    #[strum(serialize = "ROTATE_270")]
    Rotate270,
}

impl OrientationCorrection {
    /// The four.
    pub const EACH: &[Self] = Self::VARIANTS;

    /// The name on the wire.
    pub fn name(self) -> &'static str {
        self.into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_set_has_what_was_put_into_it() {
        let set = AttributeSet::of(Attribute::Smile) | AttributeSet::of(Attribute::Beard);
        let has = Attribute::EACH.iter().filter(|attribute| set.has(**attribute));
        assert_eq!(has.count(), 2);
        assert!(set.has(Attribute::Smile) && set.has(Attribute::Beard) && !set.wants_all_landmarks());
        assert!(Attribute::EACH.iter().all(|attribute| AttributeSet::ALL.has(*attribute)));
        assert!((set | AttributeSet::ALL).wants_all_landmarks());
    }
}
