//! What a signature's `Credential` says: whose key, and the day, region and service that the key was derived for.

use super::errors::Malformed;

/// `<access key id>/<day>/<region>/<service>/aws4_request`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Credential<'a> {
    /// The key's public name.
    pub access_key_id: &'a str,
    /// `YYYYMMDD`.
    pub day: &'a str,
    /// For example `us-east-1`.
    pub region: &'a str,
    /// For example `rekognition`.
    pub service: &'a str,
    /// `aws4_request`.
    pub terminator: &'a str,
}

impl<'a> Credential<'a> {
    /// Parses the five parts, whatever they are.
    pub fn parse(text: &'a str) -> Result<Self, Malformed> {
        // A key's name may hold slashes, the other parts may not.
        let mut parts = text.rsplitn(5, '/');
        let mut part = || parts.next();
        let (terminator, service, region, day) = (part(), part(), part(), part());
        match (part(), day, region, service, terminator) {
            (Some(access_key_id), Some(day), Some(region), Some(service), Some(terminator)) => {
                Ok(Self { access_key_id, day, region, service, terminator })
            }
            _ => Err(Malformed::new(format!(
                "Credential must have exactly 5 slash-delimited elements, e.g. keyid/date/region/service/term, got '{text}'"
            ))),
        }
    }

    /// `<day>/<region>/<service>/aws4_request`, as it is signed.
    pub fn scope(&self) -> String {
        [self.day, self.region, self.service, self.terminator].join("/")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_credential_has_five_parts() {
        let credential = Credential::parse("AKIDEXAMPLE/20150830/us-east-1/iam/aws4_request").unwrap();
        assert_eq!(
            (credential.access_key_id, credential.day, credential.region),
            ("AKIDEXAMPLE", "20150830", "us-east-1")
        );
        assert_eq!(credential.scope(), "20150830/us-east-1/iam/aws4_request");
        assert_eq!(Credential::parse("a/b/20150830/r/s/t").unwrap().access_key_id, "a/b");
        for bad in ["", "AKID", "AKID/20150830/us-east-1/iam"] {
            assert!(Credential::parse(bad).is_err(), "{bad}");
        }
    }
}
