//! Vectors that the database cannot read: encrypted with keys that only the server has.
//!
//! An encrypted vector is AES-256-GCM (NIST SP 800-38D) over its numbers:
//!
//! ```text
//! 1 byte     1, the format
//! 4 bytes    which key: the beginning of the SHA-256 of a label and the key
//! 12 bytes   the nonce, at random
//! n bytes    the numbers, 32 bits each, encrypted
//! 16 bytes   the tag
//! ```
//!
//! These are 33 bytes more than the numbers, so no length is that of an open vector, and both can lie in one table. The tag also covers whose
//! vector it is: one that is copied to another row does not open. Nonces of 96 bits at random are good for 2^32 vectors under one key
//! (SP 800-38D, 8.3); a key is changed by `rekollect encrypt` long before.

use std::fmt;
use std::sync::Arc;

use base64_simd::STANDARD;
use ring::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use ring::rand::{SecureRandom, SystemRandom};
use secrecy::{ExposeSecret, SecretString};
use sha2::{Digest, Sha256};

use crate::domain::FaceId;

const FORMAT: u8 = 1;
const HEADER: usize = 1 + size_of::<[u8; 4]>() + NONCE_LEN;
const KEY_LABEL: &[u8] = b"rekollect vector key";

/// The keys of vectors: none where they lie open. The first one encrypts, and the others only open what was encrypted with them.
#[derive(Clone, Default)]
pub struct Vault(Arc<Vec<Key>>);

struct Key {
    id: KeyId,
    key: LessSafeKey,
}

/// What tells keys apart. It does not help to guess one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeyId([u8; 4]);

/// Whose a vector is.
#[derive(Clone, Copy, Debug)]
pub enum Owner {
    /// A face of a collection, which has this key.
    Face(i64, FaceId),
    /// A user of a collection, with both keys.
    User(i64, i64),
    /// Nobody: what shows whether a key is the right one.
    Probe,
}

/// A line that should be a key is none.
#[derive(Debug, thiserror::Error)]
#[error(
    "line {0} is no key: a key is 32 bytes at random in base64, 44 characters, such as `openssl rand -base64 32` prints"
)]
pub struct NoKey(usize);

/// A vector that does not open.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unreadable {
    /// Its key is not among those that are given.
    #[error("it is encrypted with key {0}, which this server does not have")]
    UnknownKey(KeyId),
    /// It is not what was written, or not here.
    #[error("it is encrypted with key {0}, and was changed or belongs to another row")]
    Changed(KeyId),
    /// It is neither numbers nor an encrypted vector.
    #[error("{0} bytes are no vector")]
    Length(usize),
}

impl Vault {
    /// The keys of a text, one a line. Empty lines and those that begin with # are passed over.
    pub fn of(text: &SecretString) -> Result<Self, NoKey> {
        let lines = text.expose_secret().lines().map(str::trim).enumerate();
        let keys = lines.filter(|(_, line)| !line.is_empty() && !line.starts_with('#'));
        let keys: Vec<Key> =
            keys.map(|(number, line)| Key::of(line).ok_or(NoKey(number + 1))).collect::<Result<_, _>>()?;
        Ok(Self(Arc::new(keys)))
    }

    /// The key that encrypts, unless vectors lie open.
    pub fn key(&self) -> Option<KeyId> {
        self.0.first().map(|key| key.id)
    }

    /// A vector as the database keeps it.
    pub fn seal(&self, owner: Owner, vector: &[f32]) -> Vec<u8> {
        let numbers = vector.iter().flat_map(|number| number.to_le_bytes());
        let Some(Key { id, key }) = self.0.first() else { return numbers.collect() };
        let mut nonce = [0; NONCE_LEN];
        SystemRandom::new().fill(&mut nonce).expect("the operating system gives random bytes");
        let mut sealed = Vec::with_capacity(HEADER + 4 * vector.len() + AES_256_GCM.tag_len());
        sealed.push(FORMAT);
        sealed.extend(id.0);
        sealed.extend(nonce);
        sealed.extend(numbers);
        let tag = key
            .seal_in_place_separate_tag(
                Nonce::assume_unique_for_key(nonce),
                Aad::from(owner.label()),
                &mut sealed[HEADER..],
            )
            .expect("a vector is far shorter than the cipher allows");
        sealed.extend(tag.as_ref());
        sealed
    }

    /// The vector that the database keeps as these bytes.
    pub fn open(&self, owner: Owner, bytes: &[u8]) -> Result<Vec<f32>, Unreadable> {
        let numbers = |bytes: &[u8]| bytes.as_chunks().0.iter().map(|four| f32::from_le_bytes(*four)).collect();
        let Some(id) = key_of(bytes)? else { return Ok(numbers(bytes)) };
        let key = self.0.iter().find(|key| key.id == id).ok_or(Unreadable::UnknownKey(id))?;
        let (header, rest) = bytes.split_at(HEADER);
        let nonce =
            Nonce::try_assume_unique_for_key(&header[HEADER - NONCE_LEN..]).map_err(|_| Unreadable::Changed(id))?;
        let mut rest = rest.to_vec();
        let opened = key.key.open_in_place(nonce, Aad::from(owner.label()), &mut rest);
        opened.map(|opened| numbers(opened)).map_err(|_| Unreadable::Changed(id))
    }
}

/// Which key bytes of the database are encrypted with; `None` for a vector that lies open.
pub fn key_of(bytes: &[u8]) -> Result<Option<KeyId>, Unreadable> {
    if bytes.len().is_multiple_of(size_of::<f32>()) {
        return Ok(None);
    }
    match bytes {
        [FORMAT, a, b, c, d, rest @ ..] if rest.len() >= NONCE_LEN + AES_256_GCM.tag_len() => {
            Ok(Some(KeyId([*a, *b, *c, *d])))
        }
        _ => Err(Unreadable::Length(bytes.len())),
    }
}

/// How many numbers a vector has that the database keeps as so many bytes.
pub fn dimensions_of(bytes: usize) -> usize {
    let numbers = if bytes.is_multiple_of(size_of::<f32>()) { bytes } else { bytes - HEADER - AES_256_GCM.tag_len() };
    numbers / size_of::<f32>()
}

impl Key {
    fn of(line: &str) -> Option<Self> {
        let bytes: [u8; 32] = STANDARD.decode_to_vec(line).ok()?.try_into().ok()?;
        let digest = Sha256::new().chain_update(KEY_LABEL).chain_update(bytes).finalize();
        let key = LessSafeKey::new(UnboundKey::new(&AES_256_GCM, &bytes).ok()?);
        Some(Self { id: KeyId(*digest.first_chunk()?), key })
    }
}

impl Owner {
    fn label(self) -> Vec<u8> {
        match self {
            Self::Face(collection, face) => [b"face", &collection.to_le_bytes()[..], face.as_bytes()].concat(),
            Self::User(collection, user) => [b"user", &collection.to_le_bytes()[..], &user.to_le_bytes()].concat(),
            Self::Probe => b"probe".to_vec(),
        }
    }
}

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

impl fmt::Debug for Vault {
    /// Names the keys and does not tell them.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.0.iter().map(|key| key.id.to_string())).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FIRST: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
    const SECOND: &str = "//////////////////////////////////////////8=";

    fn vault(text: &str) -> Vault {
        Vault::of(&SecretString::from(text)).unwrap()
    }

    fn face(number: u8) -> Owner {
        Owner::Face(7, FaceId::from_bytes([number; 16]))
    }

    #[test]
    fn a_vector_opens_for_its_owner_with_its_key_alone() {
        let (old, both, new) = (vault(FIRST), vault(&format!("# new\n{SECOND}\n\n {FIRST} \n")), vault(SECOND));
        let vector = vec![0.6, -0.8, f32::MIN_POSITIVE];
        let sealed = old.seal(face(1), &vector);
        assert_eq!((sealed.len(), dimensions_of(sealed.len())), (3 * 4 + 33, 3));
        assert_eq!(key_of(&sealed), Ok(old.key()));
        assert_eq!(old.open(face(1), &sealed).unwrap(), vector);
        assert_eq!(both.open(face(1), &sealed).unwrap(), vector, "an older key still opens");
        assert_eq!(both.key(), new.key(), "the first key encrypts");
        assert_eq!(new.open(face(1), &sealed), Err(Unreadable::UnknownKey(old.key().unwrap())));
        assert_eq!(Vault::default().open(face(1), &sealed), Err(Unreadable::UnknownKey(old.key().unwrap())));
        let changed = Err(Unreadable::Changed(old.key().unwrap()));
        assert_eq!(old.open(face(2), &sealed), changed, "another face's");
        assert_eq!(old.open(Owner::Face(8, FaceId::from_bytes([1; 16])), &sealed), changed, "another collection's");
        for place in 5..sealed.len() {
            let mut other = sealed.clone();
            other[place] ^= 1;
            assert_eq!(old.open(face(1), &other), changed, "byte {place}");
        }
        assert_ne!(old.seal(face(1), &vector), sealed, "the same nonce twice");
        assert!(!format!("{old:?}").contains("AAEC") && format!("{old:?}").contains(&old.key().unwrap().to_string()));
    }

    #[test]
    fn an_open_vector_is_kept_as_it_is_and_read_with_keys_too() {
        let vector = vec![1.0, -0.5];
        let open = Vault::default().seal(face(1), &vector);
        assert_eq!(open, [0, 0, 128, 63, 0, 0, 0, 191]);
        assert_eq!((key_of(&open), dimensions_of(open.len())), (Ok(None), 2));
        assert_eq!(vault(FIRST).open(face(1), &open).unwrap(), vector);
        assert_eq!(Vault::default().open(face(1), &[1; 7]), Err(Unreadable::Length(7)));
    }

    #[test]
    fn a_line_that_is_no_key_is_named() {
        assert!(vault("# nothing\n").key().is_none());
        for line in ["abc", &FIRST[1..], &FIRST.repeat(2), "AAAA"] {
            let error = Vault::of(&SecretString::from(format!("{FIRST}\n{line}"))).unwrap_err();
            assert!(error.to_string().starts_with("line 2 is no key"), "{line}");
        }
    }
}
