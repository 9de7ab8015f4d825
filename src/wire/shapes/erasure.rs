//! EraseFaces, which is ours.

use serde::{Deserialize, Serialize};

use crate::audit::Touched;
use crate::domain::FaceId;
use crate::domain::limits::MAX_ITEMS;
use crate::operations::{self, Whose};
use crate::wire::validation::{Checks, Violations};

use super::common::{Input, Subject, collection_id};

/// EraseFaces' request: a user, or faces, and not both.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct EraseFacesRequest {
    collection_id: Option<String>,
    user_id: Option<String>,
    face_ids: Option<Vec<String>>,
}

impl Input for EraseFacesRequest {
    type Command = operations::EraseFaces;

    fn parse(self) -> Result<Self::Command, Violations> {
        let mut checks = Checks::default();
        let collection_id = collection_id(&mut checks, self.collection_id);
        let user = checks.optional("userId", self.user_id, crate::domain::UserId::try_from);
        let lengths = (1, MAX_ITEMS as usize);
        let faces = checks.list("faceIds", self.face_ids, lengths, FaceId::RULES, FaceId::try_from);
        let collection_id = checks.finish(collection_id)?;
        let whose = match (user, faces) {
            (Some(user), None) => Some(Whose::User(user)),
            (None, Some(faces)) => Some(Whose::Faces(faces)),
            _ => None,
        };
        Ok(operations::EraseFaces { collection_id, whose })
    }

    fn subject(command: &Self::Command) -> Subject<'_> {
        Subject::Collection(&command.collection_id)
    }

    fn names(command: &Self::Command) -> Touched {
        match &command.whose {
            Some(Whose::User(user)) => Touched { users: vec![user.clone()], ..Touched::default() },
            Some(Whose::Faces(faces)) => Touched { faces: faces.clone(), ..Touched::default() },
            None => Touched::default(),
        }
    }
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Place {
    place: &'static str,
    #[serde(skip_serializing_if = "is_zero")]
    bytes: u64,
    found: u64,
}

fn is_zero(number: &u64) -> bool {
    *number == 0
}

/// EraseFaces' reply.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct EraseFacesResponse {
    erased_faces: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    erased_user: Option<String>,
    places: Vec<Place>,
}

impl From<operations::ErasedFaces> for EraseFacesResponse {
    fn from(erased: operations::ErasedFaces) -> Self {
        let places = erased.places.into_iter();
        Self {
            erased_faces: erased.faces.iter().map(FaceId::to_string).collect(),
            erased_user: erased.user.map(|user| user.to_string()),
            places: places
                .map(|(place, looked)| Place { place: place.into(), bytes: looked.bytes, found: looked.found })
                .collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::common::testing::{parse, violations};
    use super::*;

    #[test]
    fn either_a_user_or_faces_are_erased() {
        let parsed = |members: &str| parse::<EraseFacesRequest>(&format!(r#"{{"CollectionId":"people"{members}}}"#));
        assert!(matches!(parsed(r#","UserId":"ada""#).unwrap().whose, Some(Whose::User(_))));
        let id = "11111111-2222-3333-4444-555555555555";
        let faces = format!(r#","FaceIds":["{id}"]"#);
        assert!(matches!(parsed(&faces).unwrap().whose, Some(Whose::Faces(ids)) if ids.len() == 1));
        assert!(parsed("").unwrap().whose.is_none());
        assert!(parsed(&format!(r#","UserId":"ada"{faces}"#)).unwrap().whose.is_none());
        assert_eq!(violations(parsed(r#","UserId":"","FaceIds":[]"#)).len(), 3);
    }
}
