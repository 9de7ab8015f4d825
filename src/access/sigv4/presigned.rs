//! The query form: a URL that carries `X-Amz-Algorithm`, `X-Amz-Credential`, `X-Amz-Date`, `X-Amz-Expires`, `X-Amz-SignedHeaders` and
//! `X-Amz-Signature`.

use std::borrow::Cow;

use super::authorization::ALGORITHM;
use super::errors::Malformed;
use super::query::Query;

/// A presigned URL lives for a week at most.
const LONGEST_LIFE_S: u32 = 604_800;

/// The parameters of a presigned URL.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Presigned<'a> {
    /// See [`Credential`](super::Credential).
    pub credential: Cow<'a, str>,
    /// `YYYYMMDD'T'HHMMSS'Z'`.
    pub date: Cow<'a, str>,
    /// For how many seconds after its date the URL is good.
    pub expires_s: u32,
    /// Names joined by semicolons.
    pub signed_headers: Cow<'a, str>,
    /// Hexadecimal digits.
    pub signature: Cow<'a, str>,
    /// The token of a temporary key.
    pub token: Option<Cow<'a, str>>,
}

impl<'a> Presigned<'a> {
    /// Whether a query has a signature, well-formed or not.
    pub fn is_in(query: &Query<'_>) -> bool {
        query.values("X-Amz-Signature").next().is_some() || query.values("X-Amz-Algorithm").next().is_some()
    }

    /// Parses the parameters of a query that has a signature.
    pub fn parse(query: &Query<'a>) -> Result<Self, Malformed> {
        let optional = |name: &str| {
            let mut values = query.values(name);
            let value = values.next();
            match values.next() {
                None => Ok(value),
                Some(_) => Err(Malformed::new(format!("AWS query-string parameters must include '{name}' once."))),
            }
        };
        let required = |name: &str| {
            optional(name)?.ok_or_else(|| {
                Malformed::new(format!(
                    "AWS query-string parameters must include '{name}'. Re-examine the query-string parameters."
                ))
            })
        };
        let algorithm = required("X-Amz-Algorithm")?;
        if algorithm != ALGORITHM {
            return Err(Malformed::new(format!("Unsupported AWS 'algorithm': '{algorithm}'.")));
        }
        let expires = required("X-Amz-Expires")?;
        // `parse` alone would take a sign.
        let digits = !expires.is_empty() && expires.bytes().all(|b| b.is_ascii_digit());
        let expires_s = expires.parse().ok().filter(|seconds| digits && (1..=LONGEST_LIFE_S).contains(seconds));
        Ok(Self {
            credential: required("X-Amz-Credential")?,
            date: required("X-Amz-Date")?,
            expires_s: expires_s.ok_or_else(|| {
                Malformed::new(format!("X-Amz-Expires must be a number of seconds between 1 and {LONGEST_LIFE_S}."))
            })?,
            signed_headers: required("X-Amz-SignedHeaders")?,
            signature: required("X-Amz-Signature")?,
            token: optional("X-Amz-Security-Token")?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=AKID%2F20150830%2Fr%2Fs%2Faws4_request\
                        &X-Amz-Date=20150830T123600Z&X-Amz-Expires=60&X-Amz-SignedHeaders=host&X-Amz-Signature=0f";

    #[test]
    fn parameters_are_decoded() {
        let presigned = Presigned::parse(&Query::parse(GOOD)).unwrap();
        assert_eq!((&*presigned.credential, presigned.expires_s), ("AKID/20150830/r/s/aws4_request", 60));
        assert_eq!(presigned.token, None);
    }

    #[test]
    fn a_parameter_that_is_missing_twice_there_or_out_of_bounds_is_refused() {
        for (from, to) in [
            ("&X-Amz-Date=20150830T123600Z", ""),
            ("X-Amz-Expires=60", "X-Amz-Expires=0"),
            ("X-Amz-Expires=60", "X-Amz-Expires=604801"),
            ("X-Amz-Expires=60", "X-Amz-Expires=%2B60"),
            ("X-Amz-SignedHeaders=host", "X-Amz-SignedHeaders=host&X-Amz-SignedHeaders=host"),
            ("AWS4-HMAC-SHA256", "AWS4-HMAC-SHA1"),
        ] {
            let query = GOOD.replace(from, to);
            assert!(Presigned::parse(&Query::parse(&query)).is_err(), "{query}");
        }
    }
}
