//! The lines, and the order that they have to come in.

use std::collections::BTreeMap;
use std::fmt;

use base64_simd::STANDARD;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::domain::{
    BoundingBox, ExternalImageId, Face, IndexedFace, MAX_TAGS, Percent, TagKey, TagValue, Tags, UserId,
};
use crate::store::{Collection, Founding};

/// Of this format.
const VERSION: u32 = 1;

/// No line is longer, in bytes: a collection has two hundred tags of 384 characters at most, a face some hundred numbers.
pub const LONGEST_LINE: u64 = 1 << 20;

/// How far the length of a vector may be from one: that of a vector of 32-bit numbers that was divided by its length is nearer.
const LENGTH_TOLERANCE: f64 = 1e-3;

/// One line as it is in a file.
#[derive(Debug, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Line {
    /// The first.
    Header {
        /// See [`VERSION`].
        version: u32,
    },
    /// A collection begins.
    Collection(CollectionLine),
    /// A user of the collection.
    User {
        /// Its name.
        user_id: String,
    },
    /// A face of the collection.
    Face(FaceLine),
    /// The collection is whole.
    End(EndLine),
    /// The last.
    Complete {
        /// How many were written.
        collections: u64,
    },
}

/// A collection without what it holds.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CollectionLine {
    account: String,
    collection_id: String,
    face_model_version: String,
    created_at_ms: i64,
    tags: BTreeMap<String, String>,
    /// At the moment of the export: an export that goes on later sees by it whether the collection has changed.
    revision: i64,
}

/// A face and its vector.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FaceLine {
    face_id: String,
    image_id: String,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    external_image_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    user_id: Option<String>,
    /// Left, top, width and height as fractions of the image's.
    bounding_box: [f32; 4],
    /// In percent.
    confidence: f32,
    /// Base64 of little-endian 32-bit floats.
    embedding: String,
}

/// What has come between a collection's beginning and its end.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EndLine {
    users: u64,
    faces: u64,
    /// Of the collection's lines before this one, in hexadecimal.
    sha256: String,
}

impl Line {
    /// The first line of every file.
    pub fn header() -> Self {
        Self::Header { version: VERSION }
    }

    /// The line of a collection.
    pub fn collection(collection: &Collection, tags: &Tags) -> Self {
        let text = |text: &str| text.to_owned();
        Self::Collection(CollectionLine {
            account: text(collection.account.as_str()),
            collection_id: text(collection.id.as_str()),
            face_model_version: text(collection.model_version.as_str()),
            created_at_ms: collection.created_at_ms,
            tags: tags.iter().map(|(key, value)| (text(key.as_str()), text(value.as_str()))).collect(),
            revision: collection.revision,
        })
    }

    /// The line of a face.
    pub fn face(IndexedFace { face, embedding }: &IndexedFace) -> Self {
        let BoundingBox { left, top, width, height } = face.bounding_box;
        let bytes: Vec<u8> = embedding.iter().flat_map(|number| number.to_le_bytes()).collect();
        Self::Face(FaceLine {
            face_id: face.face_id.to_string(),
            image_id: face.image_id.to_string(),
            external_image_id: face.external_image_id.as_ref().map(|id| id.as_str().to_owned()),
            user_id: face.user_id.as_ref().map(|id| id.as_str().to_owned()),
            bounding_box: [left, top, width, height],
            confidence: face.confidence.get(),
            embedding: STANDARD.encode_to_string(bytes),
        })
    }

    /// The line with its line feed.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = serde_json::to_vec(self).expect("a line is text and numbers");
        bytes.push(b'\n');
        bytes
    }
}

/// A line that was understood, and came in its place.
#[derive(Debug)]
pub enum Entry {
    /// The file begins.
    Header,
    /// A collection begins.
    Collection(Box<Founding>),
    /// A user of the collection that began.
    User(UserId),
    /// A face of the collection that began.
    Face(Box<IndexedFace>),
    /// The collection that began is whole.
    End,
    /// The file is whole.
    Complete,
}

/// From 1970 to 9999, in milliseconds: what a time of creation can be in a reply.
const YEARS: std::ops::Range<i64> = 0..253_402_300_800_000;

/// What a file holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// Whole collections.
    pub collections: u64,
    /// Their users.
    pub users: u64,
    /// Their faces.
    pub faces: u64,
}

impl fmt::Display for Totals {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} collections, {} users, {} faces", self.collections, self.users, self.faces)
    }
}

/// Where in a file the next line is.
#[derive(Clone, Debug)]
enum Position {
    Start,
    Between,
    /// `dimensions`: of its first face's vector.
    Within {
        digest: Box<Sha256>,
        users: u64,
        faces: u64,
        dimensions: Option<usize>,
    },
    Over,
}

/// Takes one line after the other, and refuses those that cannot come where they come. A collection counts when its end has come.
#[derive(Clone, Debug)]
pub struct Checker {
    position: Position,
    totals: Totals,
}

impl Checker {
    /// Before the first line.
    pub fn new() -> Self {
        Self { position: Position::Start, totals: Totals::default() }
    }

    /// What has come whole so far.
    pub fn totals(&self) -> Totals {
        self.totals
    }

    /// Whether the last line has come.
    pub fn is_complete(&self) -> bool {
        matches!(self.position, Position::Over)
    }

    /// The end of the collection that began. There has to be one.
    pub fn end(&self) -> Line {
        let Position::Within { digest, users, faces, .. } = &self.position else { panic!("no collection has begun") };
        Line::End(end_of(digest, *users, *faces))
    }

    /// The next line, with its line feed.
    pub fn take(&mut self, line: &[u8]) -> Result<Entry, String> {
        let parsed = serde_json::from_slice(line).map_err(|error| format!("no line of an export: {error}"))?;
        match (&mut self.position, parsed) {
            (Position::Start, Line::Header { version: VERSION }) => {
                self.position = Position::Between;
                Ok(Entry::Header)
            }
            (Position::Start, Line::Header { version }) => {
                Err(format!("an export of version {version}; this program knows version {VERSION}"))
            }
            (Position::Between, Line::Collection(collection)) => {
                let founding = Box::new(collection.try_into()?);
                let digest = Box::new(Sha256::new_with_prefix(line));
                self.position = Position::Within { digest, users: 0, faces: 0, dimensions: None };
                Ok(Entry::Collection(founding))
            }
            (Position::Within { digest, users, faces: 0, .. }, Line::User { user_id }) => {
                digest.update(line);
                *users += 1;
                Ok(Entry::User(user_id.try_into().map_err(|_| invalid("user_id"))?))
            }
            (Position::Within { digest, faces, dimensions, .. }, Line::Face(face)) => {
                let face = IndexedFace::try_from(face)?;
                if *dimensions.get_or_insert(face.embedding.len()) != face.embedding.len() {
                    return Err("an embedding of another length than those before".to_owned());
                }
                digest.update(line);
                *faces += 1;
                Ok(Entry::Face(Box::new(face)))
            }
            (Position::Within { digest, users, faces, .. }, Line::End(written)) => {
                let came = end_of(digest, *users, *faces);
                if (written.users, written.faces) != (came.users, came.faces) {
                    return Err(format!(
                        "the collection has {} users and {} faces, {} and {} came",
                        written.users, written.faces, came.users, came.faces
                    ));
                }
                if written != came {
                    return Err(
                        "the collection's lines are not those that were written: their digest differs".to_owned()
                    );
                }
                self.totals.collections += 1;
                self.totals.users += came.users;
                self.totals.faces += came.faces;
                self.position = Position::Between;
                Ok(Entry::End)
            }
            (Position::Between, Line::Complete { collections }) if collections == self.totals.collections => {
                self.position = Position::Over;
                Ok(Entry::Complete)
            }
            (Position::Between, Line::Complete { collections }) => {
                Err(format!("{collections} collections were written, {} came", self.totals.collections))
            }
            _ => Err("a line that cannot come here".to_owned()),
        }
    }
}

fn end_of(digest: &Sha256, users: u64, faces: u64) -> EndLine {
    EndLine { users, faces, sha256: hex::encode(digest.clone().finalize()) }
}

fn invalid(what: &str) -> String {
    format!("an invalid {what}")
}

impl TryFrom<CollectionLine> for Founding {
    type Error = String;

    fn try_from(line: CollectionLine) -> Result<Self, String> {
        let tag = |(key, value): (String, String)| {
            let key = TagKey::try_from(key).map_err(|_| invalid("key of a tag"))?;
            Ok((key, TagValue::try_from(value).map_err(|_| invalid("value of a tag"))?))
        };
        if line.tags.len() > MAX_TAGS || !YEARS.contains(&line.created_at_ms) {
            return Err(invalid("number of tags or time of creation"));
        }
        Ok(Self {
            account: line.account.parse()?,
            id: line.collection_id.try_into().map_err(|_| invalid("collection_id"))?,
            model_version: line.face_model_version.try_into()?,
            created_at_ms: line.created_at_ms,
            tags: line.tags.into_iter().map(tag).collect::<Result<_, String>>()?,
        })
    }
}

impl TryFrom<FaceLine> for IndexedFace {
    type Error = String;

    fn try_from(line: FaceLine) -> Result<Self, String> {
        let bytes = STANDARD.decode_to_vec(line.embedding).map_err(|_| invalid("base64 of an embedding"))?;
        let (numbers, rest) = bytes.as_chunks();
        let embedding: Vec<f32> = numbers.iter().map(|four| f32::from_le_bytes(*four)).collect();
        let length = embedding.iter().map(|number| f64::from(*number).powi(2)).sum::<f64>().sqrt();
        // Not a number is near to nothing.
        let is_of_length_one = (length - 1.0).abs() <= LENGTH_TOLERANCE;
        if !rest.is_empty() || !is_of_length_one {
            return Err(invalid("embedding"));
        }
        if !line.bounding_box.iter().all(|number| number.is_finite()) {
            return Err(invalid("bounding_box"));
        }
        let [left, top, width, height] = line.bounding_box;
        let external_image_id = line.external_image_id.map(ExternalImageId::try_from).transpose();
        let face = Face {
            face_id: line.face_id.try_into().map_err(|_| invalid("face_id"))?,
            image_id: line.image_id.try_into().map_err(|_| invalid("image_id"))?,
            external_image_id: external_image_id.map_err(|_| invalid("external_image_id"))?,
            user_id: line.user_id.map(UserId::try_from).transpose().map_err(|_| invalid("user_id"))?,
            bounding_box: BoundingBox { left, top, width, height },
            confidence: Percent::clamped(line.confidence),
        };
        Ok(Self { face, embedding })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{FaceId, ImageId};

    fn lines() -> Vec<Vec<u8>> {
        let collection = Line::Collection(CollectionLine {
            account: "000000000000".to_owned(),
            collection_id: "people".to_owned(),
            face_model_version: "7.1".to_owned(),
            created_at_ms: 1,
            tags: BTreeMap::from([("team".to_owned(), "a b".to_owned())]),
            revision: 3,
        });
        let face = IndexedFace {
            face: Face {
                face_id: FaceId::from_bytes([1; 16]),
                image_id: ImageId::from_bytes([2; 16]),
                external_image_id: Some("me.jpg".to_owned().try_into().unwrap()),
                user_id: Some("me".to_owned().try_into().unwrap()),
                bounding_box: BoundingBox { left: 0.1, top: 0.2, width: 0.3, height: 0.4 },
                confidence: Percent::clamped(99.123),
            },
            embedding: vec![0.6, -0.8],
        };
        let user = Line::User { user_id: "me".to_owned() };
        let mut checker = Checker::new();
        let mut lines: Vec<Vec<u8>> =
            [Line::header(), collection, user, Line::face(&face)].map(|line| line.to_bytes()).into();
        lines.iter().for_each(|line| assert!(checker.take(line).is_ok()));
        lines.push(checker.end().to_bytes());
        lines.push(Line::Complete { collections: 1 }.to_bytes());
        lines
    }

    fn read(lines: &[Vec<u8>]) -> Result<Checker, String> {
        let mut checker = Checker::new();
        lines.iter().try_for_each(|line| checker.take(line).map(drop)).map(|()| checker)
    }

    #[test]
    fn what_is_written_is_read() {
        let checker = read(&lines()).unwrap();
        assert!(checker.is_complete());
        assert_eq!(checker.totals(), Totals { collections: 1, users: 1, faces: 1 });
        let Entry::Face(face) = Checker { position: within(), ..Checker::new() }.take(&lines()[3]).unwrap() else {
            panic!()
        };
        assert_eq!(Line::face(&face).to_bytes(), lines()[3]);
        assert_eq!(face.embedding, [0.6, -0.8]);
    }

    fn within() -> Position {
        Position::Within { digest: Box::default(), users: 0, faces: 0, dimensions: None }
    }

    #[test]
    fn lines_that_are_missing_doubled_swapped_or_changed_are_found_out() {
        for place in 0..lines().len() - 1 {
            let mut missing = lines();
            missing.remove(place);
            assert!(read(&missing).is_err(), "without line {place}");
            let mut doubled = lines();
            doubled.insert(place, doubled[place].clone());
            assert!(read(&doubled).is_err(), "line {place} twice");
            let mut swapped = lines();
            swapped.swap(place, place + 1);
            assert!(read(&swapped).is_err(), "line {place} after the next");
        }
        let mut changed = lines();
        changed[3] = String::from_utf8(changed[3].clone()).unwrap().replace("me.jpg", "us.jpg").into_bytes();
        assert!(read(&changed).unwrap_err().contains("digest"));
        assert!(!read(&lines()[..5]).unwrap().is_complete());
    }

    #[test]
    fn the_vectors_of_a_collection_have_one_length() {
        let mut checker = Checker::new();
        lines()[..4].iter().for_each(|line| assert!(checker.take(line).is_ok()));
        let Entry::Face(mut face) = Checker { position: within(), ..Checker::new() }.take(&lines()[3]).unwrap() else {
            panic!()
        };
        face.embedding = vec![1.0, 0.0, 0.0];
        assert!(checker.take(&Line::face(&face).to_bytes()).unwrap_err().contains("length"));
    }

    #[test]
    fn values_that_the_service_would_not_have_are_refused() {
        for (good, bad) in [
            ("\"me.jpg\"", "\"m e\""),
            ("01010101-0101", "01010101_0101"),
            ("mpkZP83MTL8=", "mpkZ"),
            // Of length two, and no numbers at all.
            ("mpkZP83MTL8=", "AAAAQAAAAAA="),
            ("mpkZP83MTL8=", "AADAfwAAwH8="),
            ("[0.1,0.2,0.3,0.4]", "[0.1,0.2,1e39,0.4]"),
            ("\"created_at_ms\":1", "\"created_at_ms\":9223372036854775807"),
            ("people", "peo ple"),
            ("000000000000", "0"),
            ("\"version\":1", "\"version\":2"),
            ("\"kind\":\"user\"", "\"kind\":\"person\""),
            ("\"revision\"", "\"version\""),
        ] {
            let text: Vec<String> = lines().into_iter().map(|line| String::from_utf8(line).unwrap()).collect();
            assert!(text.concat().contains(good), "{good} is not in {text:?}");
            let broken: Vec<Vec<u8>> = text.iter().map(|line| line.replace(good, bad).into_bytes()).collect();
            assert!(read(&broken[..4]).is_err(), "{bad}");
        }
    }
}
