//! CreateUser, DeleteUser, ListUsers, AssociateFaces, DisassociateFaces.

use crate::domain::{ClientRequestToken, CollectionId, FaceId, Fault, Operation, Percent, User, UserId};
use crate::store::{self, Reassignment, Token, UserKey};
use crate::telemetry::Stage;

use super::faces::without_repetitions;
use super::{Call, PageRequest};

/// A request about one user.
pub struct UserRequest {
    /// The collection.
    pub collection_id: CollectionId,
    /// The user.
    pub user_id: UserId,
    /// Makes a repetition of the request harmless.
    pub token: Option<ClientRequestToken>,
}

/// A page of users.
pub struct UserPage {
    /// In a stable order.
    pub users: Vec<User>,
    /// The token of the next page, unless this is the last one.
    pub next_token: Option<String>,
}

/// What became of faces that were to be associated with a user, or taken from it.
pub struct Association {
    /// Those that were.
    pub changed: Vec<FaceId>,
    /// Those that the collection does not have.
    pub not_found: Vec<FaceId>,
    /// Those that belong to another user.
    pub of_others: Vec<(FaceId, UserId)>,
    /// Those that are too unlike the user.
    pub unlike: Vec<(FaceId, Percent)>,
    /// The user as it is now.
    pub user: User,
}

impl UserRequest {
    fn token(&self, operation: &str, more: &[&str]) -> Option<Token> {
        let parts = [&[operation, self.collection_id.as_str(), self.user_id.as_str()], more].concat();
        self.token.clone().map(|token| Token::new(token, &parts))
    }
}

/// Makes a user without faces.
pub async fn create_user(call: Call<'_>, request: UserRequest) -> Result<(), Fault> {
    let collection = call.collection(&request.collection_id).await?;
    let token = request.token("CreateUser", &[]);
    call.trail.intend([]).await?;
    call.stages
        .time_async(
            Stage::Store,
            call.service.store.create_user(&collection, &request.user_id, token, call.service.quotas.users),
        )
        .await
}

/// Deletes a user. Its faces stay in the collection.
pub async fn delete_user(call: Call<'_>, request: UserRequest) -> Result<(), Fault> {
    let collection = call.collection(&request.collection_id).await?;
    let token = request.token("DeleteUser", &[]);
    call.trail.intend([]).await?;
    call.stages.time_async(Stage::Store, call.service.store.delete_user(&collection, &request.user_id, token)).await
}

/// Lists a collection's users.
pub async fn list_users(call: Call<'_>, (id, request): (CollectionId, PageRequest)) -> Result<UserPage, Fault> {
    let collection = call.collection(&id).await?;
    let pages = call.listing(Operation::ListUsers, &collection.key.to_string());
    let place = pages.place(&request)?.map(|place| place.try_into().map(i64::from_be_bytes));
    let after = place.transpose().map_err(|_| Fault::InvalidPaginationToken)?.map(UserKey);
    let size = request.size();
    let listing = call.service.store.users(&collection, after, None, size as i64 + 1);
    let mut users = call.stages.time_async(Stage::Store, listing).await?;
    let next_token = pages.cut(&mut users, size, |(key, _)| key.0.to_be_bytes().to_vec());
    Ok(UserPage { users: users.into_iter().map(|(_, user)| user).collect(), next_token })
}

/// Gives faces to a user. Once it has some, each further one has to be at least `threshold` similar to it.
pub async fn associate_faces(
    call: Call<'_>,
    (request, faces, threshold): (UserRequest, Vec<FaceId>, Percent),
) -> Result<Association, Fault> {
    // The threshold is one of its models.
    let comparable = call.comparable(&request.collection_id).await?;
    let faces = without_repetitions(faces);
    let token = request.token("AssociateFaces", &[&format!("{faces:?}"), &threshold.get().to_string()]);
    let gift = Reassignment::Give { min_cosine: comparable.min_cosine(threshold) };
    let change = call.service.store.reassign_faces(&comparable.collection, &request.user_id, faces, gift, token);
    call.trail.intend([]).await?;
    let outcome = call.stages.time_async(Stage::Store, change).await?;
    Ok(association(request.user_id, outcome, |cosine| comparable.similarity(cosine)))
}

/// Takes faces from a user. They stay in the collection.
pub async fn disassociate_faces(
    call: Call<'_>,
    (request, faces): (UserRequest, Vec<FaceId>),
) -> Result<Association, Fault> {
    let collection = call.collection(&request.collection_id).await?;
    let faces = without_repetitions(faces);
    let token = request.token("DisassociateFaces", &[&format!("{faces:?}")]);
    let change = call.service.store.reassign_faces(&collection, &request.user_id, faces, Reassignment::Take, token);
    call.trail.intend([]).await?;
    let outcome = call.stages.time_async(Stage::Store, change).await?;
    Ok(association(request.user_id, outcome, |_| Percent::clamped(0.0)))
}

fn association(id: UserId, outcome: store::Association, similarity: impl Fn(f32) -> Percent) -> Association {
    Association {
        changed: outcome.changed,
        not_found: outcome.not_found,
        of_others: outcome.of_others,
        unlike: outcome.unlike.into_iter().map(|(face, cosine)| (face, similarity(cosine))).collect(),
        user: User { id, face_count: outcome.face_count },
    }
}
