//! A line: what it tells, and the hash that ties it to the line before.
//!
//! `{"seq":7,"time":"...","event":"outcome",...,"previous":"<hash of line 6>","hash":"<hash of this line>"}`. The hash is of every byte
//! before `,"hash":`, so nobody has to agree on a form of JSON.

use std::fs;
use std::path::Path;

use hmac::{Hmac, KeyInit, Mac};
use secrecy::{ExposeSecret, SecretSlice};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// The longest line that is read, in bytes: one with the ids of thousands of faces has 200 KB.
pub const LONGEST: usize = 16 << 20;

/// The shortest key, in bytes.
const SHORTEST_KEY: usize = 32;

const BEFORE_HASH: &[u8] = br#","hash":""#;
const BEHIND_HASH: &[u8] = br#""}"#;
const HEX: usize = 64;

/// A hash of a line.
pub type Hash = [u8; 32];

/// Where a chain of lines ends.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Head {
    /// The number of the last line; 0 before the first.
    pub seq: u64,
    /// Its hash; zeros before the first.
    pub hash: Hash,
}

/// What a line tells.
#[derive(Clone, Debug, Serialize)]
#[serde(tag = "event", rename_all = "lowercase")]
pub enum Event {
    /// A server starts.
    Start {
        /// Of the program.
        version: &'static str,
        /// Whether the hashes have a key.
        keyed: bool,
    },
    /// The file ended in a line that was cut off. This line stands in its place.
    Repair {
        /// How much there was of it.
        cut_bytes: u64,
        /// Its beginning.
        cut: String,
    },
    /// Lines can be written again.
    Resume {
        /// Since when they could not.
        failed_since: String,
        /// Lines of calls that were refused meanwhile.
        unwritten: u64,
    },
    /// A call is about to change what is stored.
    Intent(About),
    /// What came of a call.
    Outcome {
        /// Of which.
        #[serde(flatten)]
        about: About,
        /// `ok`, the name of the error, or `abandoned` when the client went away before there was an answer.
        outcome: &'static str,
        /// Lines about callers who proved nothing that were left out before this one, where that happened.
        #[serde(skip_serializing_if = "is_zero")]
        left_out: u64,
    },
}

fn is_zero(number: &u64) -> bool {
    *number == 0
}

/// A call.
#[derive(Clone, Debug, Default, Serialize)]
pub struct About {
    /// As in the reply's header and in the log.
    pub request_id: String,
    /// The operation, if the call named one that there is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub operation: Option<&'static str>,
    /// The ARN of the caller, once proven.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub caller: Option<String>,
    /// The key that the call was signed with, or says so.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub access_key_id: Option<String>,
    /// The caller's account.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub account: Option<String>,
    /// The address that the call came from.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
    /// The collection.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub collection: Option<String>,
    /// Ids of faces.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub faces: Vec<String>,
    /// Ids of users.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub users: Vec<String>,
}

#[derive(Serialize)]
struct Line<'a> {
    seq: u64,
    time: &'a str,
    #[serde(flatten)]
    event: &'a Event,
    previous: &'a str,
}

/// What [`Seal::open`] reads.
#[derive(Deserialize)]
struct Links {
    seq: u64,
    previous: String,
}

/// A line that was read, and fits its own hash.
#[derive(Clone, Copy, Debug)]
pub struct Sealed {
    /// Itself.
    pub head: Head,
    /// The hash of the line before, as it has it.
    pub previous: Hash,
}

/// What is wrong with one line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Broken {
    /// Not of this form.
    #[error("it is no line of an audit log")]
    NoLine,
    /// Of this form.
    #[error("its hash does not fit: the line was changed, or it was written with another key")]
    Hash,
}

/// What makes hashes: SHA-256, or HMAC-SHA256 for those who have a key.
#[derive(Clone)]
pub struct Seal(Option<Hmac<Sha256>>);

impl Seal {
    /// Without a key: whoever can write the file can write a whole new chain.
    pub fn plain() -> Self {
        Self(None)
    }

    /// With a key out of a file.
    pub fn read(path: &Path) -> Result<Self, String> {
        let fail = |what: &str| format!("--audit-key (REKOLLECT_AUDIT_KEY): {} {what}", path.display());
        let mut bytes = fs::read(path).map_err(|error| fail(&format!("cannot be read: {error}")))?;
        bytes.truncate(bytes.trim_ascii_end().len());
        let key = SecretSlice::from(bytes);
        if key.expose_secret().len() < SHORTEST_KEY {
            return Err(fail("has less than 32 bytes: `openssl rand -hex 32` makes a key"));
        }
        Ok(Self(Some(Hmac::new_from_slice(key.expose_secret()).expect("HMAC takes a key of any length"))))
    }

    /// Whether there is a key.
    pub fn is_keyed(&self) -> bool {
        self.0.is_some()
    }

    fn of(&self, bytes: &[u8]) -> Hash {
        match &self.0 {
            None => Sha256::digest(bytes).into(),
            Some(mac) => mac.clone().chain_update(bytes).finalize().into_bytes().into(),
        }
    }

    /// Appends the line behind `head` to `lines`, and returns the new head.
    pub fn line(&self, lines: &mut Vec<u8>, head: Head, time: OffsetDateTime, event: &Event) -> Head {
        let (seq, begin) = (head.seq + 1, lines.len());
        let line = Line { seq, time: &text(time), event, previous: &hex::encode(head.hash) };
        serde_json::to_writer(&mut *lines, &line).expect("a line has nothing that JSON has not");
        // The last brace comes behind the hash.
        lines.pop();
        let hash = self.of(&lines[begin..]);
        for part in [BEFORE_HASH, hex::encode(hash).as_bytes(), BEHIND_HASH, b"\n"] {
            lines.extend_from_slice(part);
        }
        Head { seq, hash }
    }

    /// Reads a line, without its end of line.
    pub fn open(&self, line: &[u8]) -> Result<Sealed, Broken> {
        let body = line.strip_suffix(BEHIND_HASH).ok_or(Broken::NoLine)?;
        let (body, hash) = body.split_last_chunk::<HEX>().ok_or(Broken::NoLine)?;
        let body = body.strip_suffix(BEFORE_HASH).ok_or(Broken::NoLine)?;
        let hash = parse_hash(hash).ok_or(Broken::NoLine)?;
        if !bool::from(self.of(body).ct_eq(&hash)) {
            return Err(Broken::Hash);
        }
        let links: Links = serde_json::from_slice(&[body, b"}"].concat()).map_err(|_| Broken::NoLine)?;
        let previous = parse_hash(links.previous.as_bytes()).ok_or(Broken::NoLine)?;
        Ok(Sealed { head: Head { seq: links.seq, hash }, previous })
    }
}

/// A time as it stands in a line.
pub fn text(time: OffsetDateTime) -> String {
    time.format(&Rfc3339).expect("the years of a clock have four digits")
}

/// A hash as it stands in a line.
pub fn parse_hash(text: &[u8]) -> Option<Hash> {
    let mut hash = Hash::default();
    hex::decode_to_slice(text, &mut hash).ok().map(|()| hash)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event() -> Event {
        let about = About { request_id: "r\"\n".to_owned(), faces: vec!["f".to_owned()], ..About::default() };
        Event::Outcome { about, outcome: "ok", left_out: 0 }
    }

    #[test]
    fn a_line_has_one_form_and_is_tied_to_the_one_before() {
        let seal = Seal::plain();
        let mut lines = Vec::new();
        let first = seal.line(&mut lines, Head::default(), OffsetDateTime::UNIX_EPOCH, &event());
        let second = seal.line(&mut lines, first, OffsetDateTime::UNIX_EPOCH, &event());
        let text = String::from_utf8(lines).unwrap();
        let [one, two] = text.lines().collect::<Vec<_>>()[..] else { panic!("{text}") };
        assert!(
            one.starts_with(
                r#"{"seq":1,"time":"1970-01-01T00:00:00Z","event":"outcome","request_id":"r\"\n","faces":["f"],"outcome":"ok","previous":"00"#
            ),
            "{one}"
        );
        let read = seal.open(two.as_bytes()).unwrap();
        assert_eq!((read.head, read.previous), (second, first.hash));
        assert!(serde_json::from_str::<serde_json::Value>(two).is_ok());
    }

    #[test]
    fn every_changed_byte_shows() {
        let seal = Seal::plain();
        let mut line = Vec::new();
        seal.line(&mut line, Head::default(), OffsetDateTime::UNIX_EPOCH, &event());
        line.pop();
        assert!(seal.open(&line).is_ok());
        for place in 0..line.len() {
            let mut changed = line.clone();
            changed[place] ^= 1;
            assert!(seal.open(&changed).is_err(), "byte {place}");
            assert!(seal.open(&line[..place]).is_err(), "cut at {place}");
        }
    }

    #[test]
    fn another_key_or_none_does_not_fit() {
        let keyed = |key: &[u8]| Seal(Some(Hmac::new_from_slice(key).unwrap()));
        let mut line = Vec::new();
        keyed(b"one").line(&mut line, Head::default(), OffsetDateTime::UNIX_EPOCH, &event());
        line.pop();
        assert!(keyed(b"one").open(&line).is_ok());
        assert_eq!(keyed(b"two").open(&line).unwrap_err(), Broken::Hash);
        assert_eq!(Seal::plain().open(&line).unwrap_err(), Broken::Hash);
    }
}
