//! The rules that a single member of a request can break, in the service model's own vocabulary.

use std::fmt;

/// One broken rule. Its `Display` is the text after `failed to satisfy constraint: ` in a `ValidationException`.
#[derive(Clone, Debug, PartialEq)]
pub enum Constraint {
    /// A required member is absent or null.
    NotNull,
    /// Fewer characters, bytes or items than this.
    MinLength(usize),
    /// More characters, bytes or items than this.
    MaxLength(usize),
    /// A number below this.
    MinValue(i64),
    /// A number above this.
    MaxValue(i64),
    /// The whole value does not match this regular expression.
    Pattern(&'static str),
    /// Not one of these words.
    OneOf(&'static [&'static str]),
}

impl fmt::Display for Constraint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotNull => write!(f, "Member must not be null"),
            Self::MinLength(n) => write!(f, "Member must have length greater than or equal to {n}"),
            Self::MaxLength(n) => write!(f, "Member must have length less than or equal to {n}"),
            Self::MinValue(n) => write!(f, "Member must have value greater than or equal to {n}"),
            Self::MaxValue(n) => write!(f, "Member must have value less than or equal to {n}"),
            Self::Pattern(pattern) => write!(f, "Member must satisfy regular expression pattern: {pattern}"),
            Self::OneOf(words) => write!(f, "Member must satisfy enum value set: [{}]", words.join(", ")),
        }
    }
}

/// Every rule that `text` breaks, in the order in which the service lists them: lengths, then the pattern.
///
/// `pattern` is what the service prints; `allowed` decides. All patterns of the face operations are "one or more of these
/// characters", or "any number of" them, so a predicate on one character and the pattern's end are the whole regular expression.
pub fn violations_of_text(
    text: &str,
    lengths: (usize, usize),
    pattern: &'static str,
    allowed: fn(char) -> bool,
) -> Vec<Constraint> {
    let length = text.chars().count();
    let mut broken = Vec::new();
    if length < lengths.0 {
        broken.push(Constraint::MinLength(lengths.0));
    }
    if length > lengths.1 {
        broken.push(Constraint::MaxLength(lengths.1));
    }
    let takes_none = !pattern.trim_end_matches('$').ends_with('+');
    if (text.is_empty() && !takes_none) || !text.chars().all(allowed) {
        broken.push(Constraint::Pattern(pattern));
    }
    broken
}
