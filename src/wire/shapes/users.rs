//! Requests and replies of the operations on users.

use serde::{Deserialize, Serialize};

use crate::audit::Touched;
use crate::domain::limits::{DEFAULT_ASSOCIATION_THRESHOLD, DEFAULT_THRESHOLD, MAX_FACES_PER_ASSOCIATION, MAX_USERS};
use crate::domain::{self, ClientRequestToken, CollectionId, FaceId, Percent, QualityFilter, UserId};
use crate::operations::{self, UserProbe};
use crate::wire::validation::{Checks, Violations, whole_number};

use super::common::{Input, Subject, collection_id, page_of, threshold_or};
use super::face_detail::FaceDetail;
use super::images::{Image, image};
use super::names::quality_filter;
use super::values::{Float, Object, Threshold};

/// The user that a request names.
pub fn user_id(checks: &mut Checks, id: Option<String>) -> Option<UserId> {
    checks.required("userId", id, UserId::try_from)
}

fn token(checks: &mut Checks, token: Option<String>) -> Option<ClientRequestToken> {
    checks.optional("clientRequestToken", token, ClientRequestToken::try_from)
}

fn face_ids(checks: &mut Checks, ids: Option<Vec<String>>) -> Option<Vec<FaceId>> {
    checks.required_list("faceIds", ids, (1, MAX_FACES_PER_ASSOCIATION), FaceId::RULES, FaceId::try_from)
}

/// How many users may match.
pub fn max_users(checks: &mut Checks, max: Option<i32>) -> u32 {
    checks.optional("maxUsers", max, whole_number(1, MAX_USERS as i32)).unwrap_or(MAX_USERS)
}

/// CreateUser's and DeleteUser's request.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct UserRequest {
    collection_id: Option<String>,
    user_id: Option<String>,
    client_request_token: Option<String>,
}

impl Input for UserRequest {
    type Command = operations::UserRequest;

    fn parse(self) -> Result<Self::Command, Violations> {
        let mut checks = Checks::default();
        let collection_id = collection_id(&mut checks, self.collection_id);
        let user_id = user_id(&mut checks, self.user_id);
        let token = token(&mut checks, self.client_request_token);
        let (collection_id, user_id) = checks.finish(collection_id.zip(user_id))?;
        Ok(operations::UserRequest { collection_id, user_id, token })
    }

    fn subject(command: &Self::Command) -> Subject<'_> {
        Subject::Collection(&command.collection_id)
    }

    fn names(command: &Self::Command) -> Touched {
        Touched { users: vec![command.user_id.clone()], ..Touched::default() }
    }
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct User {
    user_id: String,
    user_status: &'static str,
}

impl From<domain::User> for User {
    fn from(user: domain::User) -> Self {
        Self { user_status: user.status(), user_id: user.id.to_string() }
    }
}

/// ListUsers' request.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct ListUsersRequest {
    collection_id: Option<String>,
    max_results: Option<i32>,
    next_token: Option<String>,
}

impl Input for ListUsersRequest {
    type Command = (CollectionId, operations::PageRequest);

    fn parse(self) -> Result<Self::Command, Violations> {
        let mut checks = Checks::default();
        let collection_id = collection_id(&mut checks, self.collection_id);
        let mut page = page_of(&mut checks, self.max_results, self.next_token, (1, MAX_USERS as i32));
        page.max_results.get_or_insert(MAX_USERS);
        checks.finish(collection_id.zip(Some(page)))
    }

    fn subject(command: &Self::Command) -> Subject<'_> {
        Subject::Collection(&command.0)
    }
}

/// ListUsers' reply.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct ListUsersResponse {
    users: Vec<User>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_token: Option<String>,
}

impl From<operations::UserPage> for ListUsersResponse {
    fn from(page: operations::UserPage) -> Self {
        Self { users: page.users.into_iter().map(User::from).collect(), next_token: page.next_token }
    }
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct FaceReference {
    face_id: String,
}

impl From<FaceId> for FaceReference {
    fn from(id: FaceId) -> Self {
        Self { face_id: id.to_string() }
    }
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct UnsuccessfulFace {
    face_id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    user_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    confidence: Option<Float>,
    reasons: [&'static str; 1],
}

/// The faces of an association that were left as they are.
fn unsuccessful(outcome: &operations::Association) -> Vec<UnsuccessfulFace> {
    let face = |id: &FaceId, user_id, confidence, reason| UnsuccessfulFace {
        face_id: id.to_string(),
        user_id,
        confidence,
        reasons: [reason],
    };
    let not_found = outcome.not_found.iter().map(|id| face(id, None, None, "FACE_NOT_FOUND"));
    let of_others = outcome
        .of_others
        .iter()
        .map(|(id, owner)| face(id, Some(owner.to_string()), None, "ASSOCIATED_TO_A_DIFFERENT_USER"));
    let unlike = outcome.unlike.iter().map(|(id, alike)| face(id, None, Some((*alike).into()), "LOW_MATCH_CONFIDENCE"));
    not_found.chain(of_others).chain(unlike).collect()
}

/// AssociateFaces' request.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct AssociateFacesRequest {
    collection_id: Option<String>,
    user_id: Option<String>,
    face_ids: Option<Vec<String>>,
    user_match_threshold: Option<Threshold>,
    client_request_token: Option<String>,
}

impl Input for AssociateFacesRequest {
    type Command = (operations::UserRequest, Vec<FaceId>, Percent);

    fn parse(self) -> Result<Self::Command, Violations> {
        let mut checks = Checks::default();
        let collection_id = collection_id(&mut checks, self.collection_id);
        let user_id = user_id(&mut checks, self.user_id);
        let face_ids = face_ids(&mut checks, self.face_ids);
        let threshold =
            threshold_or(&mut checks, "userMatchThreshold", self.user_match_threshold, DEFAULT_ASSOCIATION_THRESHOLD);
        let token = token(&mut checks, self.client_request_token);
        let ((collection_id, user_id), face_ids) = checks.finish(collection_id.zip(user_id).zip(face_ids))?;
        Ok((operations::UserRequest { collection_id, user_id, token }, face_ids, threshold))
    }

    fn subject(command: &Self::Command) -> Subject<'_> {
        Subject::Collection(&command.0.collection_id)
    }

    fn names((request, faces, _): &Self::Command) -> Touched {
        Touched { faces: faces.clone(), users: vec![request.user_id.clone()] }
    }
}

/// AssociateFaces' reply.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct AssociateFacesResponse {
    associated_faces: Vec<FaceReference>,
    unsuccessful_face_associations: Vec<UnsuccessfulFace>,
    user_status: &'static str,
}

impl From<operations::Association> for AssociateFacesResponse {
    fn from(outcome: operations::Association) -> Self {
        Self {
            unsuccessful_face_associations: unsuccessful(&outcome),
            user_status: outcome.user.status(),
            associated_faces: outcome.changed.into_iter().map(FaceReference::from).collect(),
        }
    }
}

/// DisassociateFaces' request.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct DisassociateFacesRequest {
    collection_id: Option<String>,
    user_id: Option<String>,
    face_ids: Option<Vec<String>>,
    client_request_token: Option<String>,
}

impl Input for DisassociateFacesRequest {
    type Command = (operations::UserRequest, Vec<FaceId>);

    fn parse(self) -> Result<Self::Command, Violations> {
        let mut checks = Checks::default();
        let collection_id = collection_id(&mut checks, self.collection_id);
        let user_id = user_id(&mut checks, self.user_id);
        let face_ids = face_ids(&mut checks, self.face_ids);
        let token = token(&mut checks, self.client_request_token);
        let ((collection_id, user_id), face_ids) = checks.finish(collection_id.zip(user_id).zip(face_ids))?;
        Ok((operations::UserRequest { collection_id, user_id, token }, face_ids))
    }

    fn subject(command: &Self::Command) -> Subject<'_> {
        Subject::Collection(&command.0.collection_id)
    }

    fn names((request, faces): &Self::Command) -> Touched {
        Touched { faces: faces.clone(), users: vec![request.user_id.clone()] }
    }
}

/// DisassociateFaces' reply.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct DisassociateFacesResponse {
    disassociated_faces: Vec<FaceReference>,
    unsuccessful_face_disassociations: Vec<UnsuccessfulFace>,
    user_status: &'static str,
}

impl From<operations::Association> for DisassociateFacesResponse {
    fn from(outcome: operations::Association) -> Self {
        Self {
            unsuccessful_face_disassociations: unsuccessful(&outcome),
            user_status: outcome.user.status(),
            disassociated_faces: outcome.changed.into_iter().map(FaceReference::from).collect(),
        }
    }
}

/// A user of a collection whom a probe resembles.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct UserMatch {
    similarity: Float,
    user: User,
}

/// The users whom a probe resembles.
pub fn user_matches(matches: Vec<(Percent, domain::User)>) -> Vec<UserMatch> {
    let found =
        |(similarity, user): (Percent, domain::User)| UserMatch { similarity: similarity.into(), user: user.into() };
    matches.into_iter().map(found).collect()
}

/// SearchUsers' request.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct SearchUsersRequest {
    collection_id: Option<String>,
    user_id: Option<String>,
    face_id: Option<String>,
    user_match_threshold: Option<Threshold>,
    max_users: Option<i32>,
}

impl Input for SearchUsersRequest {
    type Command = operations::SearchUsers;

    fn parse(self) -> Result<Self::Command, Violations> {
        let mut checks = Checks::default();
        let collection_id = collection_id(&mut checks, self.collection_id);
        let user_id = checks.optional("userId", self.user_id, UserId::try_from);
        let face_id = checks.optional("faceId", self.face_id, FaceId::try_from);
        let threshold = threshold_or(&mut checks, "userMatchThreshold", self.user_match_threshold, DEFAULT_THRESHOLD);
        let max_users = max_users(&mut checks, self.max_users);
        let collection_id = checks.finish(collection_id)?;
        let probe = match (user_id, face_id) {
            (Some(id), None) => Some(UserProbe::User(id)),
            (None, Some(id)) => Some(UserProbe::Face(id)),
            // Which the operation will refuse.
            (Some(_), Some(_)) | (None, None) => None,
        };
        Ok(operations::SearchUsers { collection_id, probe, max_users, threshold })
    }

    fn subject(command: &Self::Command) -> Subject<'_> {
        Subject::Collection(&command.collection_id)
    }

    fn names(command: &Self::Command) -> Touched {
        command.probe.as_ref().map_or_else(Touched::default, UserProbe::named)
    }
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct SearchedUser {
    user_id: String,
}

/// SearchUsers' reply.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct SearchUsersResponse {
    user_matches: Vec<UserMatch>,
    face_model_version: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    searched_face: Option<FaceReference>,
    #[serde(skip_serializing_if = "Option::is_none")]
    searched_user: Option<SearchedUser>,
}

impl From<operations::UserSearch> for SearchUsersResponse {
    fn from(result: operations::UserSearch) -> Self {
        let (searched_face, searched_user) = match result.probe {
            UserProbe::Face(id) => (Some(id.into()), None),
            UserProbe::User(id) => (None, Some(SearchedUser { user_id: id.to_string() })),
        };
        Self {
            user_matches: user_matches(result.matches),
            face_model_version: result.model_version.to_string(),
            searched_face,
            searched_user,
        }
    }
}

/// SearchUsersByImage's request.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct SearchUsersByImageRequest {
    collection_id: Option<String>,
    image: Option<Object<Image>>,
    user_match_threshold: Option<Threshold>,
    max_users: Option<i32>,
    quality_filter: Option<String>,
}

impl Input for SearchUsersByImageRequest {
    type Command = operations::SearchUsersByImage;

    fn parse(self) -> Result<Self::Command, Violations> {
        let mut checks = Checks::default();
        let collection_id = collection_id(&mut checks, self.collection_id);
        let image = image(&mut checks, "image", self.image);
        let threshold = threshold_or(&mut checks, "userMatchThreshold", self.user_match_threshold, DEFAULT_THRESHOLD);
        let max_users = max_users(&mut checks, self.max_users);
        let quality_filter = quality_filter(&mut checks, self.quality_filter).unwrap_or(QualityFilter::None);
        let (collection_id, image) = checks.finish(collection_id.zip(image))?;
        Ok(operations::SearchUsersByImage { collection_id, image, max_users, threshold, quality_filter })
    }

    fn subject(command: &Self::Command) -> Subject<'_> {
        Subject::Collection(&command.collection_id)
    }
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct SearchedFaceDetails {
    face_detail: FaceDetail,
}

/// A face of an image that was not searched by.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct UnsearchedFace {
    /// In the plural here, and only here.
    face_details: FaceDetail,
    reasons: Vec<&'static str>,
}

/// The faces of an image that were not searched by.
pub fn unsearched_faces(faces: Vec<operations::UnindexedFace>) -> Vec<UnsearchedFace> {
    let unsearched = |face: operations::UnindexedFace| UnsearchedFace {
        face_details: face.detail.into(),
        reasons: face.reasons.into_iter().map(domain::Reason::name).collect(),
    };
    faces.into_iter().map(unsearched).collect()
}

/// SearchUsersByImage's reply.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct SearchUsersByImageResponse {
    user_matches: Vec<UserMatch>,
    face_model_version: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    searched_face: Option<SearchedFaceDetails>,
    unsearched_faces: Vec<UnsearchedFace>,
}

impl From<operations::UserImageSearch> for SearchUsersByImageResponse {
    fn from(result: operations::UserImageSearch) -> Self {
        Self {
            user_matches: user_matches(result.matches),
            face_model_version: result.model_version.to_string(),
            searched_face: result.searched.map(|detail| SearchedFaceDetails { face_detail: detail.into() }),
            unsearched_faces: unsearched_faces(result.unsearched),
        }
    }
}
