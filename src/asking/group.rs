//! `rekollect group`: who may be one person, in lines of JSON.

use std::error::Error;
use std::io::Write;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::client::Client;
use crate::domain::{CollectionId, Operation};

/// What is grouped, and how.
pub struct Grouping {
    /// Of which collection.
    pub collection: CollectionId,
    /// How alike faces of one person are, from 0 to 100; absent: what the server takes.
    pub threshold: Option<f32>,
    /// The least faces of a group; absent: what the server takes.
    pub min_faces: Option<u32>,
    /// Whether faces that have a user are grouped as well.
    pub all: bool,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Request<'a> {
    collection_id: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    face_match_threshold: Option<f32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    min_faces: Option<u32>,
    faces: &'static str,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Reply {
    groups: Vec<Group>,
    ungrouped_faces: Vec<Value>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Group {
    confidence: f64,
    faces: Vec<Value>,
}

/// Groups faces, and writes a line of JSON for each group, from larger to smaller, and a last one for the faces that are in none. What it
/// came to, for people.
pub async fn group(client: &Client, grouping: &Grouping, out: &mut impl Write) -> Result<String, Box<dyn Error>> {
    let request = Request {
        collection_id: grouping.collection.as_str(),
        face_match_threshold: grouping.threshold,
        min_faces: grouping.min_faces,
        faces: if grouping.all { "ALL" } else { "UNASSIGNED" },
    };
    let reply: Reply = client.call(Operation::GroupFaces, &request).await?;
    let (groups, ungrouped) = (reply.groups.len(), reply.ungrouped_faces.len());
    let mut grouped = 0;
    for (number, group) in (1..).zip(reply.groups) {
        grouped += group.faces.len();
        writeln!(out, "{}", json!({"Group": number, "Confidence": group.confidence, "Faces": group.faces}))?;
    }
    writeln!(out, "{}", json!({"UngroupedFaces": reply.ungrouped_faces}))?;
    out.flush()?;
    Ok(format!("{grouped} faces in {groups} groups, {ungrouped} in none"))
}
