//! A query string, decoded, and in the canonical form that is signed.

use std::borrow::Cow;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, percent_encode};

/// Everything but RFC 3986's unreserved characters is encoded.
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// The parameters of a query string in their order, decoded.
pub struct Query<'a>(Vec<(Part<'a>, Part<'a>)>);

/// A name or a value, which need not be text.
type Part<'a> = Cow<'a, [u8]>;

impl<'a> Query<'a> {
    /// Parses what follows the question mark. A plus sign is a plus sign.
    pub fn parse(text: &'a str) -> Self {
        let decoded = |text: &'a str| Cow::from(percent_decode_str(text));
        let pair = |part: &'a str| {
            let (name, value) = part.split_once('=').unwrap_or((part, ""));
            (decoded(name), decoded(value))
        };
        Self(text.split('&').filter(|part| !part.is_empty()).map(pair).collect())
    }

    /// The values of a parameter; what is not UTF-8 in them is replaced.
    pub fn values(&self, name: &str) -> impl Iterator<Item = Cow<'a, str>> {
        let text = |value: &Part<'a>| match value {
            Cow::Borrowed(bytes) => String::from_utf8_lossy(bytes),
            Cow::Owned(bytes) => Cow::Owned(String::from_utf8_lossy(bytes).into_owned()),
        };
        self.0.iter().filter(move |(known, _)| **known == *name.as_bytes()).map(move |(_, value)| text(value))
    }

    /// Encoded, sorted by name and value, joined; without the parameter `left_out`.
    pub fn canonical(&self, left_out: &str) -> String {
        let encoded = |bytes: &[u8]| percent_encode(bytes, RESERVED).to_string();
        let kept = self.0.iter().filter(|(name, _)| **name != *left_out.as_bytes());
        let mut pairs: Vec<(String, String)> = kept.map(|(name, value)| (encoded(name), encoded(value))).collect();
        pairs.sort();
        pairs.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join("&")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_canonical_form_is_encoded_and_sorted() {
        let query = Query::parse("b=2&a=%2f/&&B&a=+&X-Amz-Signature=0f");
        assert_eq!(query.canonical("X-Amz-Signature"), "B=&a=%2B&a=%2F%2F&b=2");
        assert_eq!(query.values("a").collect::<Vec<_>>(), ["//", "+"]);
    }

    proptest::proptest! {
        #[test]
        fn the_canonical_form_of_itself_is_itself(text in "[ -~]{0,60}") {
            let once = Query::parse(&text).canonical("");
            proptest::prop_assert_eq!(Query::parse(&once).canonical(""), once);
        }
    }
}
