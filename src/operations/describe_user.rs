//! DescribeUser: a user's faces, and which of them may not be the user's.

use crate::domain::limits::MAX_FACES_PER_USER;
use crate::domain::{CollectionId, Face, Fault, ModelVersion, Percent, UserId};
use crate::telemetry::Stage;

use super::Call;

/// A request to describe a user.
pub struct DescribeUser {
    /// The collection.
    pub collection_id: CollectionId,
    /// The user.
    pub user_id: UserId,
}

/// A user, described.
pub struct DescribedUser {
    /// Its name.
    pub user_id: UserId,
    /// Its faces, each with its average similarity to the others, the least similar first. A face that is alone has 100.
    pub faces: Vec<(Percent, Face)>,
    /// The models that made the collection's vectors.
    pub model_version: ModelVersion,
}

/// Describes a user. Fails with [`Fault::UserNotFound`].
pub async fn describe_user(call: Call<'_>, request: DescribeUser) -> Result<DescribedUser, Fault> {
    let comparable = call.comparable(&request.collection_id).await?;
    let store = &call.service.store;
    let key = call.stages.time_async(Stage::Store, store.user(&comparable.collection, &request.user_id)).await?;
    let reading = store.faces(&comparable.collection, None, None, Some(key), MAX_FACES_PER_USER as i64);
    let faces = call.stages.time_async(Stage::Store, reading).await?;
    let compared = call.stages.time_async(Stage::Search, call.compared(&comparable, faces)).await?;
    let faces = compared.into_iter().map(|(cosine, face)| (comparable.similarity(cosine as f32), face)).collect();
    Ok(DescribedUser { user_id: request.user_id, faces, model_version: comparable.collection.model_version })
}
