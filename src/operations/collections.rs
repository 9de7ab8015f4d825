//! CreateCollection, DescribeCollection, ListCollections, DeleteCollection.

use crate::domain::{CollectionId, Fault, ModelVersion, Tags};
use crate::store::{After, Collection};
use crate::telemetry::{Stage, Stages};

use super::{PageRequest, Service, page};

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

impl Service {
    fn arn(&self, id: &CollectionId) -> String {
        format!("arn:aws:rekognition:{}:{}:collection/{id}", self.region, self.account.as_str())
    }
}

/// Makes an empty collection for the models that this server runs, and returns its ARN and their version.
pub async fn create_collection(
    service: &Service,
    id: CollectionId,
    tags: Tags,
    stages: &Stages,
) -> Result<(String, ModelVersion), Fault> {
    let version = service.pack.face_model_version.clone();
    let creation = service.store.create_collection(&service.account, &id, &version, tags);
    stages.time_async(Stage::Store, creation).await?;
    Ok((service.arn(&id), version))
}

/// Describes a collection.
pub async fn describe_collection(
    service: &Service,
    id: CollectionId,
    stages: &Stages,
) -> Result<DescribedCollection, Fault> {
    let collection = service.collection(&id, stages).await?;
    Ok(DescribedCollection { arn: service.arn(&id), collection })
}

/// Lists the account's collections in the order of their names.
pub async fn list_collections(
    service: &Service,
    request: PageRequest,
    stages: &Stages,
) -> Result<CollectionPage, Fault> {
    let scope = format!("collections of {}", service.account.as_str());
    let after = request.place(&scope)?.map(parse_place).transpose()?;
    let size = request.size();
    let listing = service.store.collections(&service.account, after.as_ref(), size as i64 + 1);
    let mut collections = stages.time_async(Stage::Store, listing).await?;
    let next_token = page::cut(&mut collections, size, &scope, place_behind);
    Ok(CollectionPage { collections: collections.into_iter().map(|c| (c.id, c.model_version)).collect(), next_token })
}

/// Deletes a collection with all its faces.
pub async fn delete_collection(service: &Service, id: CollectionId, stages: &Stages) -> Result<(), Fault> {
    stages.time_async(Stage::Store, service.store.delete_collection(&service.account, &id)).await?;
    service.forget(&id);
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
