//! The signer of `aws-sigv4` as a peer: what it signs is let in, and nothing that differs in any part.

use std::time::{Duration, SystemTime};

use aws_credential_types::Credentials;
use aws_sigv4::http_request::{SignableBody, SignableRequest, SignatureLocation, SigningSettings, sign};
use aws_sigv4::sign::v4;
use proptest::prelude::*;
use sha2::{Digest, Sha256};

use super::*;

const ID: &str = "AKIDEXAMPLE";
const SECRET: &str = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY";

/// A request on the wire.
#[derive(Clone, Debug)]
struct Message {
    method: &'static str,
    path: String,
    query: String,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
}

impl Message {
    fn new(body: &[u8]) -> Self {
        let headers = [
            ("host", "127.0.0.1:7350"),
            ("content-type", "application/x-amz-json-1.1"),
            ("x-amz-target", "RekognitionService.ListFaces"),
            ("x-custom", "  two   words "),
        ];
        Self {
            method: "POST",
            path: "/".to_owned(),
            query: String::new(),
            headers: headers.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec(),
            body: body.to_vec(),
        }
    }

    /// Signs it as `aws-sigv4` does.
    fn signed(mut self, at: SignatureLocation, token: Option<&str>, time: SystemTime) -> Self {
        let credentials = Credentials::new(ID, SECRET, token.map(str::to_owned), None, "test").into();
        let mut settings = SigningSettings::default();
        settings.signature_location = at;
        settings.expires_in = (at == SignatureLocation::QueryParams).then(|| Duration::from_secs(600));
        let params = v4::SigningParams::builder()
            .identity(&credentials)
            .region("us-east-1")
            .name(SERVICE)
            .time(time)
            .settings(settings)
            .build()
            .unwrap();
        let headers = self.headers.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        let url = format!("http://127.0.0.1:7350{}", self.path);
        let request = SignableRequest::new(self.method, url, headers, SignableBody::Bytes(&self.body)).unwrap();
        let (instructions, _) = sign(request, &params.into()).unwrap().into_parts();
        let (headers, query) = instructions.into_parts();
        self.headers.extend(headers.iter().map(|header| (header.name().to_owned(), header.value().to_owned())));
        let encoded =
            |text: &str| percent_encoding::utf8_percent_encode(text, percent_encoding::NON_ALPHANUMERIC).to_string();
        self.query =
            query.iter().map(|(name, value)| format!("{name}={}", encoded(value))).collect::<Vec<_>>().join("&");
        self
    }

    fn sender(&self, keyring: &Arc<Keyring>, now: SystemTime) -> Result<Arc<Principal>, Refusal> {
        let headers = self.headers.iter().map(|(name, value)| (name.as_str(), value.as_bytes())).collect();
        let request = SignedRequest::new(self.method, &self.path, &self.query, headers);
        claimant(&request, keyring.clone(), &[], now.into())?.prove(&Sha256::digest(&self.body).into())
    }
}

fn keyring() -> Arc<Keyring> {
    Arc::new(Keyring::of_pair(ID, SECRET.into(), "111122223333".parse().unwrap()).unwrap())
}

const BOTH: [SignatureLocation; 2] = [SignatureLocation::Headers, SignatureLocation::QueryParams];

#[test]
fn what_the_peer_signs_is_let_in() {
    let now = SystemTime::now();
    for at in BOTH {
        let message = Message::new(b"{}").signed(at, None, now);
        assert_eq!(message.sender(&keyring(), now).unwrap().arn(), "arn:aws:iam::111122223333:user/root", "{at:?}");
        // A token that nobody gave out.
        let message = Message::new(b"{}").signed(at, Some("token"), now);
        assert_eq!(message.sender(&keyring(), now).unwrap_err(), Refusal::UnknownKey(ID.to_owned()), "{at:?}");
    }
    assert_eq!(Message::new(b"{}").sender(&keyring(), now).unwrap_err(), Refusal::MissingAuthentication);
}

#[test]
fn clocks_may_be_five_minutes_apart() {
    let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000);
    let verdict = |at, earlier: i64| {
        let signed = if earlier < 0 {
            now + Duration::from_secs(-earlier as u64)
        } else {
            now - Duration::from_secs(earlier as u64)
        };
        Message::new(b"{}").signed(at, None, signed).sender(&keyring(), now).map(drop)
    };
    let header = SignatureLocation::Headers;
    assert_eq!((verdict(header, 300), verdict(header, -300)), (Ok(()), Ok(())));
    assert_eq!(
        verdict(header, 301).unwrap_err().to_string(),
        "Signature expired: 20231114T220819Z is now earlier than 20231114T220820Z (20231114T221320Z - 5 min.)"
    );
    assert_eq!(
        verdict(header, -301).unwrap_err().to_string(),
        "Signature not yet current: 20231114T221821Z is still later than 20231114T221820Z (20231114T221320Z + 5 min.)"
    );
    let query = SignatureLocation::QueryParams;
    assert_eq!((verdict(query, 600), verdict(query, -300)), (Ok(()), Ok(())));
    assert!(verdict(query, 601).is_err() && verdict(query, -301).is_err());
}

#[test]
fn headers_that_say_what_is_wanted_have_to_be_signed() {
    let now = SystemTime::now();
    for at in BOTH {
        for (name, value) in [("content-encoding", "gzip"), ("x-amz-target", "RekognitionService.DeleteFaces")] {
            let mut message = Message::new(b"{}");
            message.headers.retain(|(known, _)| known != name);
            let mut message = message.signed(at, None, now);
            assert!(message.sender(&keyring(), now).is_ok());
            message.headers.push((name.to_owned(), value.to_owned()));
            assert!(matches!(message.sender(&keyring(), now), Err(Refusal::InvalidSignature(_))), "{at:?} {name}");
        }
    }
}

/// Another character in the place of one, so that the text differs.
fn flipped(text: &str, place: usize) -> String {
    let mut characters: Vec<char> = text.chars().collect();
    let place = place % characters.len();
    characters[place] = if characters[place] == 'a' { 'b' } else { 'a' };
    characters.into_iter().collect()
}

proptest! {
    #[test]
    fn no_part_of_a_signed_request_can_be_changed(
        body in proptest::collection::vec(0u8.., 1..200),
        in_query in any::<bool>(),
        part in 0usize..7,
        place in 0usize..1000,
    ) {
        let now = SystemTime::now();
        let at = if in_query { SignatureLocation::QueryParams } else { SignatureLocation::Headers };
        let good = Message::new(&body).signed(at, None, now);
        prop_assert!(good.sender(&keyring(), now).is_ok());
        let mut bad = good.clone();
        match part {
            0 => {
                let place = place % bad.body.len();
                bad.body[place] ^= 1 << (place % 8);
            }
            1 => bad.body.push(b' '),
            2 => bad.method = "PUT",
            3 => bad.path.push('a'),
            4 => bad.query = if bad.query.is_empty() { "a=b".to_owned() } else { flipped(&bad.query, place) },
            5 => {
                let header = place % bad.headers.len();
                bad.headers[header].1 = flipped(&bad.headers[header].1, place);
            }
            _ => drop(bad.headers.remove(place % good.headers.len())),
        }
        // What is only spaces more or less, or more of one, is the same to both sides; `flipped` makes neither.
        prop_assert!(bad.sender(&keyring(), now).is_err(), "{bad:?}");
    }

    #[test]
    fn no_message_makes_it_panic(
        authorization in "(AWS4-HMAC-SHA256 )?[ -~]{0,80}",
        query in "(X-Amz-Signature=[a-f0-9&=%]{0,20})?[ -~]{0,80}",
        date in "([0-9]{8}T[0-9]{6}Z)|([ -~]{0,20})",
        body in proptest::collection::vec(0u8.., 0..20),
    ) {
        let mut message = Message::new(&body);
        message.query = query;
        message.headers.push(("authorization".to_owned(), authorization));
        message.headers.push(("x-amz-date".to_owned(), date));
        prop_assert!(message.sender(&keyring(), SystemTime::now()).is_err());
    }
}
