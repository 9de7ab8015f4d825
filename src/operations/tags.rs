//! TagResource, UntagResource and ListTagsForResource. The resources are collections.

use crate::domain::{CollectionId, Fault, TagKey, Tags};
use crate::telemetry::Stage;

use super::Call;

/// Adds tags to a collection; a tag with the same key is replaced. Fails with [`Fault::TooManyTags`], and then changes nothing.
pub async fn tag_resource(call: Call<'_>, (arn, tags): (String, Tags)) -> Result<(), Fault> {
    call.check_tags(&tags)?;
    let collection = call.collection(&collection_of_arn(call, &arn)?).await?;
    call.trail.intend([]).await?;
    call.stages.time_async(Stage::Store, call.service.store.put_tags(&collection, tags)).await
}

/// Removes tags from a collection; keys that it does not have are passed over.
pub async fn untag_resource(call: Call<'_>, (arn, keys): (String, Vec<TagKey>)) -> Result<(), Fault> {
    let collection = call.collection(&collection_of_arn(call, &arn)?).await?;
    call.trail.intend([]).await?;
    call.stages.time_async(Stage::Store, call.service.store.remove_tags(&collection, keys)).await
}

/// The tags of a collection.
pub async fn list_tags_for_resource(call: Call<'_>, arn: String) -> Result<Tags, Fault> {
    let collection = call.collection(&collection_of_arn(call, &arn)?).await?;
    call.stages.time_async(Stage::Store, call.service.store.tags(&collection)).await
}

/// The collection that an ARN names, with or without the `arn:` that CreateCollection leaves out. What is no ARN of a collection
/// is an invalid parameter; one of another region or account names a collection that is not here.
fn collection_of_arn(call: Call<'_>, arn: &str) -> Result<CollectionId, Fault> {
    let full = arn.strip_prefix("arn:").unwrap_or(arn);
    let parts: Vec<&str> = full.splitn(5, ':').collect();
    let ["aws", "rekognition", region, account, resource] = parts[..] else { return Err(Fault::InvalidParameters) };
    let id = resource.strip_prefix("collection/").ok_or(Fault::InvalidParameters)?;
    let id = CollectionId::try_from(id.to_owned()).map_err(|_| Fault::InvalidParameters)?;
    if region == call.service.region && account == call.account().as_str() {
        Ok(id)
    } else {
        Err(Fault::CollectionNotFound(id))
    }
}
