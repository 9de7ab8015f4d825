//! Names that clients choose, and ids that follow from an image's bytes.

use std::fmt;

use sha2::{Digest, Sha256};
use uuid::Uuid;

use super::{Constraint, violations_of_text};

fn is_name_char(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-')
}

macro_rules! text_id {
    ($(#[$doc:meta])* $name:ident, $lengths:expr, $pattern:literal, $allowed:expr) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name(String);

        impl $name {
            /// The text as the client wrote it.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl TryFrom<String> for $name {
            type Error = Vec<Constraint>;

            fn try_from(text: String) -> Result<Self, Self::Error> {
                let broken = violations_of_text(&text, $lengths, $pattern, $allowed);
                if broken.is_empty() { Ok(Self(text)) } else { Err(broken) }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

text_id!(
    /// A collection's name: 1 to 255 of `[a-zA-Z0-9_.\-]`, case-sensitive, unique within an account.
    CollectionId,
    (1, 255),
    r"[a-zA-Z0-9_.\-]+",
    is_name_char
);

text_id!(
    /// The client's own name for an image: 1 to 255 of `[a-zA-Z0-9_.\-:]`.
    ExternalImageId,
    (1, 255),
    r"[a-zA-Z0-9_.\-:]+",
    |c| is_name_char(c) || c == ':'
);

text_id!(
    /// The client's name for a person of a collection: 1 to 128 of `[a-zA-Z0-9_.\-:]`.
    UserId,
    (1, 128),
    r"[a-zA-Z0-9_.\-:]+",
    |c| is_name_char(c) || c == ':'
);

text_id!(
    /// A client's token for one request: 1 to 64 of `[a-zA-Z0-9-_]`.
    ClientRequestToken,
    (1, 64),
    "^[a-zA-Z0-9-_]+$",
    |c| c.is_ascii_alphanumeric() || c == '-' || c == '_'
);

text_id!(
    /// A bucket's name: 3 to 255 of `[0-9A-Za-z.\-_]`.
    BucketName,
    (3, 255),
    r"[0-9A-Za-z\.\-_]*",
    is_name_char
);

/// An object's key in its bucket, or the id of one of its versions: 1 to 1024 characters, any.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ObjectName(String);

impl ObjectName {
    /// The text as the client wrote it.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for ObjectName {
    type Error = Vec<Constraint>;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        match text.chars().count() {
            0 => Err(vec![Constraint::MinLength(1)]),
            1..=1024 => Ok(Self(text)),
            _ => Err(vec![Constraint::MaxLength(1024)]),
        }
    }
}

/// The account that owns a collection: 12 digits.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct AccountId(String);

impl AccountId {
    /// The twelve digits.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl std::str::FromStr for AccountId {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.len() == 12 && text.bytes().all(|b| b.is_ascii_digit()) {
            Ok(Self(text.to_owned()))
        } else {
            Err("an account id has twelve digits".to_owned())
        }
    }
}

/// The version of the models that made a collection's vectors: digits and dots, as the service documents it.
///
/// Vectors of different versions are never compared.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ModelVersion(String);

impl ModelVersion {
    /// The version as it appears on the wire, for example `7.1`.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for ModelVersion {
    type Error = String;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        if !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit() || b == b'.') {
            Ok(Self(text))
        } else {
            Err(format!("face model version {text:?} is not made of digits and dots"))
        }
    }
}

impl fmt::Display for ModelVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

macro_rules! uuid_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name(Uuid);

        impl $name {
            /// Every rule of its text.
            pub const RULES: &[Constraint] =
                &[Constraint::Pattern("[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")];

            /// The sixteen bytes, in the order in which their hexadecimal text sorts.
            pub fn as_bytes(&self) -> &[u8; 16] {
                self.0.as_bytes()
            }

            /// The id with these sixteen bytes.
            pub fn from_bytes(bytes: [u8; 16]) -> Self {
                Self(Uuid::from_bytes(bytes))
            }
        }

        impl TryFrom<String> for $name {
            type Error = Vec<Constraint>;

            fn try_from(text: String) -> Result<Self, Self::Error> {
                let hyphenated = text.len() == 36
                    && text.bytes().enumerate().all(|(i, b)| match i {
                        8 | 13 | 18 | 23 => b == b'-',
                        _ => matches!(b, b'0'..=b'9' | b'a'..=b'f'),
                    });
                let parsed = if hyphenated { Uuid::try_parse(&text).ok() } else { None };
                parsed.map(Self).ok_or_else(|| Self::RULES.to_vec())
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    };
}

uuid_id!(
    /// The id of one face of one image: a pure function, see [`ImageDigest::face_id`].
    FaceId
);
uuid_id!(
    /// The id of an image: a pure function of its bytes.
    ImageId
);

/// SHA-256 of an image's bytes as sent, from which every id of the image follows.
///
/// SHA-256 and not the MD5 or SHA-1 of name-based UUIDs: whoever can send images must not be able to craft two that share ids.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ImageDigest([u8; 32]);

impl ImageDigest {
    /// Digests the bytes of an image file.
    pub fn of(bytes: &[u8]) -> Self {
        Self(Sha256::digest(bytes).into())
    }

    /// The image's id. Its version nibble is 3, as in the replies of today's service: clients that validate UUIDs know it.
    pub fn image_id(&self) -> ImageId {
        ImageId(uuid::Builder::from_md5_bytes(first_16(&self.0)).into_uuid())
    }

    /// The id of the image's face of this rank (0 is the largest) for one model version and external id.
    ///
    /// The collection plays no part: one image has the same face ids in every collection of one model version.
    /// The version nibble is 4, as in the replies of today's service.
    pub fn face_id(&self, version: &ModelVersion, external_image_id: Option<&ExternalImageId>, rank: usize) -> FaceId {
        let mut hash = Sha256::new();
        hash.update(self.0);
        for text in [Some(version.as_str()), external_image_id.map(ExternalImageId::as_str)] {
            // An absent id hashes as the empty one, which no client can send; the length keeps neighbours apart.
            let text = text.unwrap_or_default();
            hash.update((text.len() as u64).to_be_bytes());
            hash.update(text);
        }
        hash.update((rank as u64).to_be_bytes());
        FaceId(uuid::Builder::from_random_bytes(first_16(&hash.finalize().into())).into_uuid())
    }
}

fn first_16(digest: &[u8; 32]) -> [u8; 16] {
    let mut head = [0; 16];
    head.copy_from_slice(&digest[..16]);
    head
}

#[cfg(test)]
mod tests {
    use super::*;

    fn external(text: &str) -> ExternalImageId {
        ExternalImageId::try_from(text.to_owned()).unwrap()
    }

    #[test]
    fn names_keep_to_their_patterns() {
        for good in ["a", "1", "Team_7.x-y", &"c".repeat(255)] {
            assert_eq!(CollectionId::try_from(good.to_owned()).unwrap().as_str(), good);
        }
        let pattern = Constraint::Pattern(r"[a-zA-Z0-9_.\-]+");
        assert_eq!(CollectionId::try_from("a:b".to_owned()), Err(vec![pattern.clone()]));
        assert_eq!(CollectionId::try_from("é".to_owned()), Err(vec![pattern.clone()]));
        assert_eq!(CollectionId::try_from(String::new()), Err(vec![Constraint::MinLength(1), pattern]));
        assert_eq!(CollectionId::try_from("c".repeat(256)), Err(vec![Constraint::MaxLength(255)]));
        assert!(ExternalImageId::try_from("a:b".to_owned()).is_ok());
        assert!(ExternalImageId::try_from("a/b".to_owned()).is_err());
    }

    #[test]
    fn face_ids_are_lower_case_hyphenated_uuids() {
        let text = "0123abcd-0000-4000-8000-00000000000f";
        assert_eq!(FaceId::try_from(text.to_owned()).unwrap().to_string(), text);
        for bad in [
            "",
            "0123ABCD-0000-4000-8000-00000000000f",
            "0123abcd00004000800000000000000f",
            "{0123abcd-0000-4000-8000-00000000000f}",
        ] {
            assert!(FaceId::try_from(bad.to_owned()).is_err(), "{bad}");
        }
    }

    #[test]
    fn ids_follow_from_image_version_external_id_and_rank_alone() {
        let version = ModelVersion::try_from("7.1".to_owned()).unwrap();
        let other_version = ModelVersion::try_from("7.2".to_owned()).unwrap();
        let image = ImageDigest::of(b"image");
        let id = image.face_id(&version, Some(&external("x")), 0);
        assert_eq!(id, ImageDigest::of(b"image").face_id(&version, Some(&external("x")), 0));
        for other in [
            ImageDigest::of(b"other").face_id(&version, Some(&external("x")), 0),
            image.face_id(&other_version, Some(&external("x")), 0),
            image.face_id(&version, Some(&external("y")), 0),
            image.face_id(&version, None, 0),
            image.face_id(&version, Some(&external("x")), 1),
        ] {
            assert_ne!(id, other);
        }
        assert_eq!(image.image_id(), ImageDigest::of(b"image").image_id());
        assert_ne!(image.image_id(), ImageDigest::of(b"other").image_id());
        assert_eq!(id.to_string().as_bytes()[14], b'4');
        assert_eq!(image.image_id().to_string().as_bytes()[14], b'3');
    }
}
