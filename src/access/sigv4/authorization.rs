//! The header form: `Authorization: AWS4-HMAC-SHA256 Credential=..., SignedHeaders=..., Signature=...`.

use super::errors::Malformed;

/// The one algorithm.
pub const ALGORITHM: &str = "AWS4-HMAC-SHA256";

/// The three parts of an `Authorization` header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Authorization<'a> {
    /// See [`Credential`](super::Credential).
    pub credential: &'a str,
    /// Names joined by semicolons.
    pub signed_headers: &'a str,
    /// Hexadecimal digits.
    pub signature: &'a str,
}

impl<'a> Authorization<'a> {
    /// Parses the value of the header. Parts come in any order, each once, with or without spaces around them.
    pub fn parse(header: &'a str) -> Result<Self, Malformed> {
        let (algorithm, rest) = header.split_once(' ').unwrap_or((header, ""));
        if algorithm != ALGORITHM {
            return Err(Malformed::new(format!("Unsupported AWS 'algorithm': '{algorithm}'.")));
        }
        let (mut credential, mut signed_headers, mut signature) = (None, None, None);
        for part in rest.split(',').map(str::trim).filter(|part| !part.is_empty()) {
            let (name, value) = part.split_once('=').ok_or_else(|| {
                Malformed::new(format!(
                    "'{part}' not a valid key=value pair (missing equal-sign) in Authorization header: '{header}'."
                ))
            })?;
            let place = match name {
                "Credential" => &mut credential,
                "SignedHeaders" => &mut signed_headers,
                "Signature" => &mut signature,
                _ => continue,
            };
            if place.replace(value).is_some() {
                return Err(Malformed::new(format!("'{name}' is given twice in Authorization header: '{header}'.")));
            }
        }
        match (credential, signed_headers, signature) {
            (Some(credential), Some(signed_headers), Some(signature)) => {
                Ok(Self { credential, signed_headers, signature })
            }
            _ => {
                let required =
                    [("Credential", credential), ("Signature", signature), ("SignedHeaders", signed_headers)];
                let missing = required.iter().filter(|(_, value)| value.is_none());
                let missing: String =
                    missing.map(|(name, _)| format!("Authorization header requires '{name}' parameter. ")).collect();
                Err(Malformed::new(format!("{missing}Authorization={header}")))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_come_in_any_order_with_or_without_spaces() {
        let expected = Authorization { credential: "a/b/c/d/e", signed_headers: "host;x-amz-date", signature: "0f" };
        for header in [
            "AWS4-HMAC-SHA256 Credential=a/b/c/d/e, SignedHeaders=host;x-amz-date, Signature=0f",
            "AWS4-HMAC-SHA256 Signature=0f,SignedHeaders=host;x-amz-date,Credential=a/b/c/d/e",
            "AWS4-HMAC-SHA256   Credential=a/b/c/d/e ,  SignedHeaders=host;x-amz-date,Future=x, Signature=0f,",
        ] {
            assert_eq!(Authorization::parse(header).unwrap(), expected, "{header}");
        }
    }

    #[test]
    fn what_is_wrong_is_said_in_the_services_words() {
        let text = |header| Authorization::parse(header).unwrap_err().into_text();
        assert_eq!(
            text("AWS4-HMAC-SHA256 Credential"),
            "'Credential' not a valid key=value pair (missing equal-sign) in Authorization header: 'AWS4-HMAC-SHA256 Credential'."
        );
        assert_eq!(
            text("AWS4-HMAC-SHA256 Credential=a"),
            "Authorization header requires 'Signature' parameter. Authorization header requires 'SignedHeaders' parameter. \
             Authorization=AWS4-HMAC-SHA256 Credential=a"
        );
        assert_eq!(text("Bearer abc"), "Unsupported AWS 'algorithm': 'Bearer'.");
        assert!(text("AWS4-HMAC-SHA256 Signature=a, Signature=b").starts_with("'Signature' is given twice"));
    }
}
