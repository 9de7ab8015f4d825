//! AWS Signature Version 4, verified: the canonical request is built from exactly the headers that the client lists, and signed with
//! the primitives of `aws-sigv4`. One file a grammar.
//!
//! Source: "Signature Version 4 signing process" of the IAM user guide; the texts are the service's where they are known.

mod authorization;
mod credential;
mod date;
mod errors;
mod presigned;
mod query;
#[cfg(test)]
mod vectors;

use std::borrow::Cow;

use aws_sigv4::sign::v4::{calculate_signature, generate_signing_key};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;
use time::Duration;

use authorization::{ALGORITHM, Authorization};
pub use credential::Credential;
pub use date::AmzDate;
pub use errors::{Malformed, Untrue};
use presigned::Presigned;
use query::Query;

const TERMINATOR: &str = "aws4_request";
/// How far the clocks of client and server may be apart. Five minutes, not the fifteen of other services.
const SKEW_MINUTES: i64 = 5;

/// What a signature may cover of a request, but for its body.
pub struct SignedRequest<'a> {
    method: &'a str,
    path: &'a str,
    query: Query<'a>,
    headers: Vec<(&'a str, &'a [u8])>,
}

impl<'a> SignedRequest<'a> {
    /// A request. `path` is in its canonical form already: no route of this server has another. `headers` have lower-case names.
    pub fn new(method: &'a str, path: &'a str, query: &'a str, headers: Vec<(&'a str, &'a [u8])>) -> Self {
        Self { method, path, query: Query::parse(query), headers }
    }

    /// The one value of a header; two are as good as none that can be read.
    fn header(&self, name: &'static str) -> Result<Option<&'a str>, Malformed> {
        let mut values = self.headers.iter().filter(|(known, _)| *known == name).map(|(_, value)| *value);
        let (value, more) = (values.next(), values.next());
        let text = value.map(std::str::from_utf8).transpose().ok().filter(|_| more.is_none());
        text.ok_or_else(|| Malformed::new(format!("The header '{name}' must be given once, as text.")))
    }
}

/// What a signed request says of its signature.
#[derive(Debug)]
pub struct Claim<'a> {
    credential: Cow<'a, str>,
    signed_headers: Cow<'a, str>,
    signature: Cow<'a, str>,
    date: AmzDate,
    /// The header that the date came in; `None` for a presigned URL, whose query is signed whole.
    date_header: Option<&'static str>,
    /// For how long after its date a presigned URL is good.
    life: Option<Duration>,
    /// The token of a temporary key.
    pub token: Option<Cow<'a, str>>,
}

impl<'a> Claim<'a> {
    /// The claim of a request in either form; `None` when it has no signature at all.
    pub fn read(request: &SignedRequest<'a>) -> Result<Option<Self>, Malformed> {
        let authorization = request.header("authorization")?;
        match (authorization, Presigned::is_in(&request.query)) {
            (None, false) => Ok(None),
            (Some(header), false) => Self::of_header(request, Authorization::parse(header)?).map(Some),
            (None, true) => Self::of_query(Presigned::parse(&request.query)?).map(Some),
            (Some(_), true) => Err(Malformed::new(
                "Only one auth mechanism allowed; the X-Amz-Algorithm query parameter or the Authorization header should be specified."
                    .to_owned(),
            )),
        }
    }

    fn of_header(request: &SignedRequest<'a>, authorization: Authorization<'a>) -> Result<Self, Malformed> {
        let (date, date_header) = match (request.header("x-amz-date")?, request.header("date")?) {
            (Some(text), _) => (parsed_date(text)?, "x-amz-date"),
            (None, Some(text)) => {
                (AmzDate::parse(text).or_else(|| AmzDate::parse_http(text)).ok_or_else(|| no_date(text))?, "date")
            }
            (None, None) => {
                let text = "Authorization header requires existence of either a 'X-Amz-Date' or a 'Date' header.";
                return Err(Malformed::new(text));
            }
        };
        Ok(Self {
            credential: authorization.credential.into(),
            signed_headers: authorization.signed_headers.into(),
            signature: authorization.signature.into(),
            date,
            date_header: Some(date_header),
            life: None,
            token: request.header("x-amz-security-token")?.map(Cow::from),
        })
    }

    fn of_query(presigned: Presigned<'a>) -> Result<Self, Malformed> {
        Ok(Self {
            date: parsed_date(&presigned.date)?,
            date_header: None,
            life: Some(Duration::seconds(presigned.expires_s.into())),
            credential: presigned.credential,
            signed_headers: presigned.signed_headers,
            signature: presigned.signature,
            token: presigned.token,
        })
    }

    /// Who signed, and for what.
    pub fn credential(&self) -> Result<Credential<'_>, Malformed> {
        Credential::parse(&self.credential)
    }

    /// Checks everything but the signature itself: that it is for this service, one of `regions` (every region when there is none),
    /// the day of its date, and `now`.
    pub fn check(
        &self,
        credential: &Credential<'_>,
        service: &str,
        regions: &[String],
        now: AmzDate,
    ) -> Result<(), Untrue> {
        let untrue = |text: String| Err(Untrue::new(text));
        if credential.terminator != TERMINATOR {
            return untrue(format!(
                "Credential should be scoped with a valid terminator: '{TERMINATOR}', not '{}'. ",
                credential.terminator
            ));
        }
        if credential.service != service {
            return untrue(format!("Credential should be scoped to correct service: '{service}'. "));
        }
        if !regions.is_empty() && !regions.iter().any(|region| region == credential.region) {
            return untrue(format!("Credential should be scoped to a valid region, not '{}'. ", credential.region));
        }
        if credential.day != self.date.day() {
            return untrue(format!(
                "Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date from HTTP: '{}' != '{}', from '{}'.",
                credential.day,
                self.date.day(),
                self.date
            ));
        }
        let skew = Duration::minutes(SKEW_MINUTES);
        let past = self.life.unwrap_or(skew);
        let (date, oldest, newest) = (self.date, now.plus(-past), now.plus(skew));
        if date < oldest {
            let span = if past.whole_seconds() % 60 == 0 {
                format!("{} min.", past.whole_minutes())
            } else {
                format!("{} sec.", past.whole_seconds())
            };
            return untrue(format!("Signature expired: {date} is now earlier than {oldest} ({now} - {span})"));
        }
        if date > newest {
            return untrue(format!(
                "Signature not yet current: {date} is still later than {newest} ({now} + {SKEW_MINUTES} min.)"
            ));
        }
        Ok(())
    }

    /// Checks the signature against a secret, in constant time. `covered` are the headers that it has to cover beside the host and the
    /// date: those that decide what the request means.
    pub fn verify(
        &self,
        credential: &Credential<'_>,
        secret: &str,
        request: &SignedRequest<'_>,
        body_sha256: &[u8; 32],
        covered: &[&str],
    ) -> Result<(), Untrue> {
        let signed: Vec<&str> = self.signed_headers.split(';').collect();
        if !signed.contains(&"host") && !signed.contains(&":authority") {
            let text = "'Host' or ':authority' must be a 'SignedHeader' in the AWS Authorization.";
            return Err(Untrue::new(text));
        }
        for name in covered.iter().copied().chain(self.date_header) {
            if request.headers.iter().any(|(known, _)| *known == name) && !signed.contains(&name) {
                return Err(Untrue::new(format!("'{name}' must be a 'SignedHeader' in the AWS Authorization.")));
            }
        }
        let expected = self.canonical_request(&signed, request, body_sha256).map(|canonical| {
            let digest = hex::encode(Sha256::digest(canonical));
            let to_sign = [ALGORITHM, &self.date.to_string(), &credential.scope(), &digest].join("\n");
            let date = self.date.system_time();
            let key = generate_signing_key(secret, date, credential.region, credential.service);
            calculate_signature(key, to_sign.as_bytes())
        });
        // A signature of another length is refused at once: the right length is no secret.
        let same = expected.is_some_and(|expected| expected.as_bytes().ct_eq(self.signature.as_bytes()).into());
        if same {
            Ok(())
        } else {
            Err(Untrue::new(
                "The request signature we calculated does not match the signature you provided. Check your AWS Secret Access Key \
                 and signing method. Consult the service documentation for details."
                    .to_owned(),
            ))
        }
    }

    /// What the client signed, if it signed this; `None` when it lists a header that is not there, or does not list them in order.
    fn canonical_request(
        &self,
        signed: &[&str],
        request: &SignedRequest<'_>,
        body_sha256: &[u8; 32],
    ) -> Option<Vec<u8>> {
        if !signed.is_sorted_by(|a, b| a < b) {
            return None;
        }
        let mut text =
            [request.method, request.path, &request.query.canonical("X-Amz-Signature"), ""].join("\n").into_bytes();
        for name in signed {
            let mut values =
                request.headers.iter().filter(|(known, _)| known == name).map(|(_, value)| collapsed(value));
            let first = values.next()?;
            text.extend_from_slice(name.as_bytes());
            text.push(b':');
            text.extend(first);
            for value in values {
                text.push(b',');
                text.extend(value);
            }
            text.push(b'\n');
        }
        text.push(b'\n');
        text.extend_from_slice(self.signed_headers.as_bytes());
        text.push(b'\n');
        text.extend_from_slice(hex::encode(body_sha256).as_bytes());
        Some(text)
    }
}

fn parsed_date(text: &str) -> Result<AmzDate, Malformed> {
    AmzDate::parse(text).ok_or_else(|| no_date(text))
}

fn no_date(text: &str) -> Malformed {
    Malformed::new(format!(
        "Date must be in ISO-8601 'basic format'. Got '{text}'. See http://en.wikipedia.org/wiki/ISO_8601"
    ))
}

/// A header's value without spaces at its ends, and one for many between.
fn collapsed(value: &[u8]) -> Vec<u8> {
    let words = value.trim_ascii().split(|byte| *byte == b' ').filter(|word| !word.is_empty());
    words.collect::<Vec<_>>().join(&b' ')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spaces_are_collapsed() {
        assert_eq!(collapsed(b"  a   b c "), b"a b c");
        assert_eq!(collapsed(b""), b"");
    }
}
