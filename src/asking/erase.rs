//! `rekollect erase`: a person goes, and what the server found afterwards.

use std::error::Error;
use std::io::Write;

use serde::{Deserialize, Serialize};

use crate::client::Client;
use crate::domain::{CollectionId, Operation};

/// Who is erased.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct Erasure {
    /// From which collection.
    #[serde(serialize_with = "as_text")]
    pub collection_id: CollectionId,
    /// A user, with all of its faces ...
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user_id: Option<String>,
    /// ... or these faces.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub face_ids: Vec<String>,
}

fn as_text<S: serde::Serializer>(id: &CollectionId, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(id.as_str())
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Reply {
    erased_faces: Vec<String>,
    erased_user: Option<String>,
    places: Vec<Place>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Place {
    place: String,
    #[serde(default)]
    bytes: u64,
    found: u64,
}

/// Erases somebody and tells what the server looked through. Whether nothing is left.
pub async fn erase(client: &Client, erasure: &Erasure, out: &mut impl Write) -> Result<bool, Box<dyn Error>> {
    let reply: Reply = client.call(Operation::EraseFaces, erasure).await?;
    if let Some(user) = &reply.erased_user {
        writeln!(out, "erased user {user}")?;
    }
    for face in &reply.erased_faces {
        writeln!(out, "erased face {face}")?;
    }
    if reply.erased_faces.is_empty() && reply.erased_user.is_none() {
        writeln!(out, "there was no such face")?;
    }
    for Place { place, bytes, found } in &reply.places {
        let place = place.to_lowercase().replace('_', " ");
        let looked = if *bytes > 0 { format!(" ({bytes} bytes looked through)") } else { String::new() };
        writeln!(out, "left in {place}: {found}{looked}")?;
    }
    Ok(reply.places.iter().all(|place| place.found == 0))
}
