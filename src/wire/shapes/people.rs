//! GroupFaces and DescribeUser, which are ours: who may be whom.

use serde::{Deserialize, Serialize};

use crate::domain::limits::DEFAULT_THRESHOLD;
use crate::domain::{self, Percent};
use crate::operations::{self, WhichFaces};
use crate::wire::validation::{Checks, Violations, one_of, whole_number};

use super::common::{Input, Subject, collection_id, threshold_or};
use super::faces::Face;
use super::users::{User, user_id};
use super::values::{Float, Threshold};

/// Two faces are the least that belong together.
const LEAST_FACES: i32 = 2;

/// GroupFaces' request.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct GroupFacesRequest {
    collection_id: Option<String>,
    face_match_threshold: Option<Threshold>,
    min_faces: Option<i32>,
    faces: Option<String>,
}

impl Input for GroupFacesRequest {
    type Command = operations::GroupFaces;

    fn parse(self) -> Result<Self::Command, Violations> {
        let mut checks = Checks::default();
        let collection_id = collection_id(&mut checks, self.collection_id);
        let threshold = threshold_or(&mut checks, "faceMatchThreshold", self.face_match_threshold, DEFAULT_THRESHOLD);
        let min_faces = checks.optional("minFaces", self.min_faces, whole_number(LEAST_FACES, i32::MAX));
        let faces = checks.optional("faces", self.faces, one_of::<WhichFaces>).unwrap_or(WhichFaces::Unassigned);
        let collection_id = checks.finish(collection_id)?;
        let min_faces = min_faces.unwrap_or(LEAST_FACES.unsigned_abs());
        Ok(operations::GroupFaces { collection_id, threshold, min_faces, faces })
    }

    fn subject(command: &Self::Command) -> Subject<'_> {
        Subject::Collection(&command.collection_id)
    }
}

/// A face, and its average similarity to the others.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct MemberFace {
    similarity: Float,
    face: Face,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Group {
    confidence: Float,
    faces: Vec<MemberFace>,
}

/// GroupFaces' reply.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct GroupFacesResponse {
    groups: Vec<Group>,
    ungrouped_faces: Vec<Face>,
    face_model_version: String,
}

fn members(faces: Vec<(Percent, domain::Face)>) -> Vec<MemberFace> {
    // The reply has the version once: it may have many faces.
    let member =
        |(similarity, face): (Percent, _)| MemberFace { similarity: similarity.into(), face: Face::new(face, None) };
    faces.into_iter().map(member).collect()
}

impl From<operations::FaceGroups> for GroupFacesResponse {
    fn from(found: operations::FaceGroups) -> Self {
        let group =
            |group: operations::FaceGroup| Group { confidence: group.confidence.into(), faces: members(group.faces) };
        Self {
            groups: found.groups.into_iter().map(group).collect(),
            ungrouped_faces: found.ungrouped.into_iter().map(|face| Face::new(face, None)).collect(),
            face_model_version: found.model_version.to_string(),
        }
    }
}

/// DescribeUser's request.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct DescribeUserRequest {
    collection_id: Option<String>,
    user_id: Option<String>,
}

impl Input for DescribeUserRequest {
    type Command = operations::DescribeUser;

    fn parse(self) -> Result<Self::Command, Violations> {
        let mut checks = Checks::default();
        let collection_id = collection_id(&mut checks, self.collection_id);
        let user_id = user_id(&mut checks, self.user_id);
        let (collection_id, user_id) = checks.finish(collection_id.zip(user_id))?;
        Ok(operations::DescribeUser { collection_id, user_id })
    }

    fn subject(command: &Self::Command) -> Subject<'_> {
        Subject::Collection(&command.collection_id)
    }
}

/// DescribeUser's reply.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct DescribeUserResponse {
    user: User,
    faces: Vec<MemberFace>,
    face_model_version: String,
}

impl From<operations::DescribedUser> for DescribeUserResponse {
    fn from(described: operations::DescribedUser) -> Self {
        let user = domain::User { id: described.user_id, face_count: described.faces.len() };
        Self {
            user: user.into(),
            faces: members(described.faces),
            face_model_version: described.model_version.to_string(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::common::testing::{parse, violations};
    use super::*;

    #[test]
    fn groups_are_of_faces_without_a_user_unless_all_are_asked_for() {
        let parsed = |members: &str| parse::<GroupFacesRequest>(&format!(r#"{{"CollectionId":"people"{members}}}"#));
        let plain = parsed("").unwrap();
        assert_eq!((plain.threshold.get(), plain.min_faces, plain.faces), (80.0, 2, WhichFaces::Unassigned));
        let full = parsed(r#","FaceMatchThreshold":0,"MinFaces":5,"Faces":"ALL""#).unwrap();
        assert_eq!((full.threshold.get(), full.min_faces, full.faces), (0.0, 5, WhichFaces::All));
        let broken = violations(parsed(r#","FaceMatchThreshold":101,"MinFaces":1,"Faces":"SOME""#));
        let paths = broken.iter().map(|text| text.split('\'').nth(3).unwrap()).collect::<Vec<_>>();
        assert_eq!(paths, ["faceMatchThreshold", "minFaces", "faces"]);
        assert_eq!(violations(parse::<DescribeUserRequest>("{}")).len(), 2);
    }
}
