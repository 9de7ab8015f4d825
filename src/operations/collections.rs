//! CreateCollection, DescribeCollection, ListCollections, DeleteCollection.

use crate::domain::{CollectionId, Fault, ModelVersion, Operation, Tags};
use crate::store::{After, Collection};
use crate::telemetry::Stage;

use super::{Call, PageRequest};

/// Names this long or longer do not fit into a token of 255 characters; those go on behind the collection's key.
const LONGEST_NAME_IN_TOKEN: usize = 160;

/// A collection, described.
pub struct DescribedCollection {
    /// What the store knows.
    pub collection: Collection,
    /// `arn:aws:rekognition:<region>:<account>:collection/<id>`.
    pub arn: String,
}

/// A page of collections.
pub struct CollectionPage {
    /// Names and model versions, in the order of the names.
    pub collections: Vec<(CollectionId, ModelVersion)>,
    /// The token of the next page, unless this is the last one.
    pub next_token: Option<String>,
}

/// Makes an empty collection for the server's models, or those that a tag names, and returns its ARN and their version.
pub async fn create_collection(
    call: Call<'_>,
    (id, tags): (CollectionId, Tags),
) -> Result<(String, ModelVersion), Fault> {
    call.check_tags(&tags)?;
    let version = call.models_of_new(&tags).await?.pack.face_model_version.clone();
    let creation =
        call.service.store.create_collection(call.account(), &id, &version, tags, call.service.quotas.collections);
    call.trail.intend([]).await?;
    call.stages.time_async(Stage::Store, creation).await?;
    Ok((call.service.collection_arn(call.account(), &id), version))
}

/// Describes a collection.
pub async fn describe_collection(call: Call<'_>, id: CollectionId) -> Result<DescribedCollection, Fault> {
    let collection = call.collection(&id).await?;
    Ok(DescribedCollection { arn: call.service.collection_arn(call.account(), &id), collection })
}

/// Lists the account's collections in the order of their names.
pub async fn list_collections(call: Call<'_>, request: PageRequest) -> Result<CollectionPage, Fault> {
    let pages = call.listing(Operation::ListCollections, "");
    let after = pages.place(&request)?.map(parse_place).transpose()?;
    let size = request.size();
    let listing = call.service.store.collections(call.account(), after.as_ref(), size as i64 + 1);
    let mut collections = call.stages.time_async(Stage::Store, listing).await?;
    let next_token = pages.cut(&mut collections, size, place_behind);
    Ok(CollectionPage { collections: collections.into_iter().map(|c| (c.id, c.model_version)).collect(), next_token })
}

/// Deletes a collection with all its faces.
pub async fn delete_collection(call: Call<'_>, id: CollectionId) -> Result<(), Fault> {
    call.trail.intend([]).await?;
    call.stages.time_async(Stage::Store, call.service.store.delete_collection(call.account(), &id)).await?;
    call.forget(&id);
    Ok(())
}

fn place_behind(collection: &Collection) -> Vec<u8> {
    let name = collection.id.as_str().as_bytes();
    match name.get(..LONGEST_NAME_IN_TOKEN) {
        None => [b"n", name].concat(),
        Some(beginning) => [b"k", &collection.key.to_be_bytes()[..], beginning].concat(),
    }
}

fn parse_place(place: Vec<u8>) -> Result<After, Fault> {
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).ok();
    let after = match place.split_first() {
        Some((b'n', name)) => text(name).map(After::Name),
        Some((b'k', rest)) => rest
            .split_first_chunk()
            .and_then(|(key, beginning)| Some(After::Key(i64::from_be_bytes(*key), text(beginning)?))),
        _ => None,
    };
    after.ok_or(Fault::InvalidPaginationToken)
}
