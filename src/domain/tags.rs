//! Tags: words of the client's own on a collection.

use std::collections::BTreeMap;

use icu_properties::CodePointMapData;
use icu_properties::props::{GeneralCategory, GeneralCategoryGroup};

use super::{Constraint, violations_of_text};

/// A collection's tags in the order of their keys.
pub type Tags = BTreeMap<TagKey, TagValue>;

/// The tag that names the pack of a new collection.
pub const PACK_TAG: &str = "rekollect:pack";

const PATTERN: &str = r"^([\p{L}\p{Z}\p{N}_.:/=+\-@]*)$";
const KEY_PATTERN: &str = r"^(?!aws:)[\p{L}\p{Z}\p{N}_.:/=+\-@]*$";

fn is_tag_char(c: char) -> bool {
    let category = CodePointMapData::<GeneralCategory>::new().get(c);
    [GeneralCategoryGroup::Letter, GeneralCategoryGroup::Separator, GeneralCategoryGroup::Number]
        .iter()
        .any(|group| group.contains(category))
        || "_.:/=+-@".contains(c)
}

/// A tag's key: 1 to 128 characters, not beginning with `aws:`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct TagKey(String);

/// A tag's value: up to 256 characters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TagValue(String);

impl TagKey {
    /// Every rule of its text.
    pub const RULES: &[Constraint] =
        &[Constraint::MaxLength(128), Constraint::MinLength(1), Constraint::Pattern(KEY_PATTERN)];

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TagValue {
    /// Every rule of its text.
    pub const RULES: &[Constraint] =
        &[Constraint::MaxLength(256), Constraint::MinLength(0), Constraint::Pattern(PATTERN)];

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for TagKey {
    type Error = Vec<Constraint>;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        let mut broken = violations_of_text(&text, (1, 128), KEY_PATTERN, is_tag_char);
        if text.starts_with("aws:") {
            broken.push(Constraint::Pattern(KEY_PATTERN));
        }
        if broken.is_empty() { Ok(Self(text)) } else { Err(broken) }
    }
}

impl TryFrom<String> for TagValue {
    type Error = Vec<Constraint>;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        let broken = violations_of_text(&text, (0, 256), PATTERN, is_tag_char);
        if broken.is_empty() { Ok(Self(text)) } else { Err(broken) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_and_values_keep_to_their_patterns() {
        for good in ["k", "größe", "a b", "x_.:/=+-@1", &"k".repeat(128)] {
            assert!(TagKey::try_from(good.to_owned()).is_ok(), "{good}");
        }
        for bad in ["", "aws:k", "a#b", "a\nb", "k\u{93e}", "Ⓐ", &"k".repeat(129)] {
            assert!(TagKey::try_from(bad.to_owned()).is_err(), "{bad}");
        }
        assert!(TagValue::try_from(String::new()).is_ok() && TagValue::try_from("aws:v".to_owned()).is_ok());
        assert!(TagValue::try_from("v".repeat(257)).is_err() && TagValue::try_from("a#b".to_owned()).is_err());
    }
}
