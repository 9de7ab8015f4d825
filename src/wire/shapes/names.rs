//! Names on the wire of what callers choose from.

use std::ops::BitOr;

use crate::domain::{Attribute, AttributeSet, Constraint, QualityFilter};
use crate::wire::validation::{Checks, one_of};

const QUALITY_FILTERS: [&str; 5] = ["NONE", "AUTO", "LOW", "MEDIUM", "HIGH"];
const QUALITY_FILTER_VALUES: [QualityFilter; 5] =
    [QualityFilter::None, QualityFilter::Auto, QualityFilter::Low, QualityFilter::Medium, QualityFilter::High];
const ATTRIBUTES: [&str; 14] = [
    "DEFAULT",
    "ALL",
    "AGE_RANGE",
    "BEARD",
    "EMOTIONS",
    "EYE_DIRECTION",
    "EYEGLASSES",
    "EYES_OPEN",
    "GENDER",
    "MOUTH_OPEN",
    "MUSTACHE",
    "FACE_OCCLUDED",
    "SMILE",
    "SUNGLASSES",
];
const ATTRIBUTE_SETS: [AttributeSet; 14] = [
    AttributeSet::DEFAULT,
    AttributeSet::ALL,
    AttributeSet::of(Attribute::AgeRange),
    AttributeSet::of(Attribute::Beard),
    AttributeSet::of(Attribute::Emotions),
    AttributeSet::of(Attribute::EyeDirection),
    AttributeSet::of(Attribute::Eyeglasses),
    AttributeSet::of(Attribute::EyesOpen),
    AttributeSet::of(Attribute::Gender),
    AttributeSet::of(Attribute::MouthOpen),
    AttributeSet::of(Attribute::Mustache),
    AttributeSet::of(Attribute::FaceOccluded),
    AttributeSet::of(Attribute::Smile),
    AttributeSet::of(Attribute::Sunglasses),
];

/// Which faces are good enough.
pub fn quality_filter(checks: &mut Checks, filter: Option<String>) -> Option<QualityFilter> {
    checks.optional("qualityFilter", filter, one_of(&QUALITY_FILTERS, &QUALITY_FILTER_VALUES))
}

/// What is asked for beside DEFAULT. ALL wins over whatever stands next to it, and an empty list is DEFAULT.
pub fn attributes(checks: &mut Checks, path: &str, attributes: Option<Vec<String>>) -> AttributeSet {
    let parse = one_of(&ATTRIBUTES, &ATTRIBUTE_SETS);
    let wanted = checks.list(path, attributes, (0, usize::MAX), &[Constraint::OneOf(&ATTRIBUTES)], parse);
    wanted.unwrap_or_default().into_iter().fold(AttributeSet::DEFAULT, AttributeSet::bitor)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_name_stands_beside_its_attribute() {
        for (name, set) in ATTRIBUTES.iter().zip(ATTRIBUTE_SETS).skip(2) {
            let named = Attribute::EACH.iter().filter(|attribute| set.has(**attribute)).map(|a| format!("{a:?}"));
            assert_eq!(named.collect::<Vec<_>>().join(" ").to_lowercase(), name.replace('_', "").to_lowercase());
        }
    }
}
