//! What can be wrong with a signature.

/// Enough for every text and an `Authorization` header of the longest key.
const LONGEST_TEXT: usize = 2048;

/// A signature that cannot be read; the text says why.
#[derive(Debug, PartialEq, Eq)]
pub struct Malformed(String);

/// A signature that is read and not true; the text says why.
#[derive(Debug, PartialEq, Eq)]
pub struct Untrue(String);

impl Malformed {
    /// For this reason.
    pub fn new(text: impl Into<String>) -> Self {
        Self(cut(text.into()))
    }

    /// Why, for the client.
    pub fn into_text(self) -> String {
        self.0
    }
}

impl Untrue {
    /// For this reason.
    pub fn new(text: impl Into<String>) -> Self {
        Self(cut(text.into()))
    }

    /// Why, for the client.
    pub fn into_text(self) -> String {
        self.0
    }
}

/// Texts repeat what was sent, in bounds.
fn cut(mut text: String) -> String {
    text.truncate(text.floor_char_boundary(LONGEST_TEXT));
    text
}
