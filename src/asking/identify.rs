//! `rekollect identify`: who is on a photo.

use std::fmt::Write as _;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use base64_simd::STANDARD;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::client::{CallError, Client};
use crate::domain::{CollectionId, Operation};

/// Who is looked for, and how it is told.
pub struct Identification {
    /// Among whom.
    pub collection: CollectionId,
    /// How alike a match is, from 0 to 100; absent: what the server takes.
    pub threshold: Option<f32>,
    /// The most faces, and the most users, that match each face.
    pub matches: u32,
    /// Whether a line of JSON is told for each photo, and not text.
    pub json: bool,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Request<'a> {
    collection_id: &'a str,
    image: Value,
    max_faces: u32,
    max_users: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    face_match_threshold: Option<f32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    user_match_threshold: Option<f32>,
}

/// As much of the reply as text tells.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Reply {
    faces: Vec<Face>,
    unsearched_faces: Vec<Unsearched>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Face {
    face_detail: Detail,
    face_matches: Vec<FaceMatch>,
    user_matches: Vec<UserMatch>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Detail {
    bounding_box: BoundingBox,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct BoundingBox {
    left: f64,
    top: f64,
    width: f64,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct FaceMatch {
    similarity: f64,
    face: Named,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Named {
    face_id: String,
    external_image_id: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct UserMatch {
    similarity: f64,
    user: User,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct User {
    user_id: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Unsearched {
    reasons: Vec<String>,
}

/// Looks at each photo, and tells who is on it. How many photos could not be looked at: why is told on standard error. Fails where the next
/// photo would fare no better, or where nothing can be told any more.
pub async fn identify(
    client: &Client,
    who: &Identification,
    photos: &[PathBuf],
    out: &mut impl Write,
) -> Result<usize, Box<dyn std::error::Error>> {
    let mut failed = 0;
    for photo in photos {
        let reason = match ask(client, who, photo).await {
            Ok(reply) => {
                tell(who, photo, reply, out)?;
                continue;
            }
            Err(Failure::Unreadable(error)) => error.to_string(),
            Err(Failure::Refused(error)) if is_of_the_photo(&error) => error.to_string(),
            Err(Failure::Refused(error)) => return Err(error.into()),
        };
        failed += 1;
        eprintln!("rekollect: {}: {reason}", photo.display());
    }
    Ok(failed)
}

enum Failure {
    Unreadable(io::Error),
    Refused(CallError),
}

async fn ask(client: &Client, who: &Identification, photo: &Path) -> Result<Value, Failure> {
    let bytes = std::fs::read(photo).map_err(Failure::Unreadable)?;
    let request = Request {
        collection_id: who.collection.as_str(),
        image: json!({"Bytes": STANDARD.encode_to_string(bytes)}),
        max_faces: who.matches,
        max_users: who.matches,
        face_match_threshold: who.threshold,
        user_match_threshold: who.threshold,
    };
    client.call(Operation::SearchAllFacesByImage, &request).await.map_err(Failure::Refused)
}

/// Of another photo the server may think otherwise.
fn is_of_the_photo(error: &CallError) -> bool {
    let CallError::Refused { refused, .. } = error else { return false };
    !refused.is_of_every_call() && refused.code != "ResourceNotFoundException"
}

fn tell(who: &Identification, photo: &Path, reply: Value, out: &mut impl Write) -> io::Result<()> {
    if who.json {
        let mut line = json!({"Photo": photo.display().to_string()});
        if let (Some(line), Value::Object(reply)) = (line.as_object_mut(), reply) {
            line.extend(reply);
        }
        writeln!(out, "{line}")
    } else {
        let reply: Reply = serde_json::from_value(reply)?;
        write!(out, "{}", text(&photo.display().to_string(), &reply))
    }
}

fn text(photo: &str, reply: &Reply) -> String {
    let mut text = match reply.faces.len() {
        1 => format!("{photo}: 1 face\n"),
        faces => format!("{photo}: {faces} faces\n"),
    };
    for (number, face) in (1..).zip(&reply.faces) {
        let BoundingBox { left, top, width } = face.face_detail.bounding_box;
        let [left, top, width] = [left, top, width].map(|part| 100.0 * part);
        let _ = write!(text, "  {number}  {left:.0} % from the left, {top:.0} % from the top, {width:.0} % wide: ");
        let users = face.user_matches.iter().map(|found| (found.similarity, found.user.user_id.as_str()));
        let faces = face
            .face_matches
            .iter()
            .map(|found| (found.similarity, found.face.external_image_id.as_deref().unwrap_or(&found.face.face_id)));
        let named = |(similarity, name): (f64, &str)| format!("{name} ({similarity:.1})");
        let (users, faces): (Vec<_>, Vec<_>) = (users.map(named).collect(), faces.map(named).collect());
        let _ = match (users.as_slice(), faces.as_slice()) {
            ([], []) => writeln!(text, "nobody known"),
            ([], faces) => writeln!(text, "faces {}", faces.join(", ")),
            (users, []) => writeln!(text, "{}", users.join(", ")),
            (users, faces) => writeln!(text, "{}; faces {}", users.join(", "), faces.join(", ")),
        };
    }
    for unsearched in &reply.unsearched_faces {
        let _ = writeln!(text, "  -  not searched: {}", unsearched.reasons.join(", "));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_names_users_first_and_then_faces() {
        let detail = json!({"BoundingBox": {"Left": 0.123, "Top": 0.5, "Width": 0.25, "Height": 0.3}});
        let face =
            |name: Option<&str>| json!({"Similarity": 98.76, "Face": {"FaceId": "f-1", "ExternalImageId": name}});
        let user = json!({"Similarity": 99.5, "User": {"UserId": "ada", "UserStatus": "ACTIVE"}});
        let reply = json!({
            "Faces": [
                {"FaceDetail": detail, "FaceMatches": [face(Some("a.jpg")), face(None)], "UserMatches": [user]},
                {"FaceDetail": detail, "FaceMatches": [face(None)], "UserMatches": []},
                {"FaceDetail": detail, "FaceMatches": [], "UserMatches": [user]},
                {"FaceDetail": detail, "FaceMatches": [], "UserMatches": []},
            ],
            "UnsearchedFaces": [{"FaceDetails": detail, "Reasons": ["LOW_SHARPNESS", "SMALL_BOUNDING_BOX"]}],
        });
        let place = "12 % from the left, 50 % from the top, 25 % wide";
        let expected = format!(
            "party.jpg: 4 faces\n  1  {place}: ada (99.5); faces a.jpg (98.8), f-1 (98.8)\n  2  {place}: faces f-1 (98.8)\n  \
             3  {place}: ada (99.5)\n  4  {place}: nobody known\n  -  not searched: LOW_SHARPNESS, SMALL_BOUNDING_BOX\n"
        );
        assert_eq!(text("party.jpg", &serde_json::from_value(reply).unwrap()), expected);
    }
}
