//! One function an operation: typed request in, typed reply or [`Fault`] out. No HTTP, no JSON, no SQL.

mod cleaning;
mod collections;
mod compare_faces;
mod describe_user;
mod detect_faces;
mod erase_faces;
mod expiry;
mod faces;
mod group_faces;
mod index_faces;
mod page;
mod preload;
mod search_all_faces;
mod search_faces;
mod search_users;
mod tags;
mod touched;
mod users;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::Semaphore;

use crate::access::{Principal, authorize_reading};
use crate::audit::{Audit, Trail};
use crate::domain::{
    AccountId, CollectionId, Face, Fault, ImageSource, Operation, PACK_TAG, Percent, Preload, Retention, Tags,
    average_cosines,
};
use crate::search::Indexes;
use crate::sources::S3;
use crate::store::{Collection, Store};
use crate::telemetry::{Stage, Stages};
use crate::vision::{ImageLimits, Models, Packs, Photo, Pipeline, Scene, Wanted};

pub use collections::{
    CollectionPage, DescribedCollection, create_collection, delete_collection, describe_collection, list_collections,
};
pub use compare_faces::{CompareFaces, ComparedFaces, compare_faces};
pub use describe_user::{DescribeUser, DescribedUser, describe_user};
pub use detect_faces::{DetectedFaces, detect_faces};
pub use erase_faces::{EraseFaces, ErasedFaces, Where, Whose, erase_faces};
use expiry::Expirable;
pub use faces::{DeletedFaces, FacePage, ListFaces, delete_faces, list_faces};
pub use group_faces::{FaceGroup, FaceGroups, GroupFaces, WhichFaces, group_faces};
pub use index_faces::{IndexFaces, IndexedFaces, UnindexedFace, index_faces};
use page::Listing;
pub use page::{PageRequest, TokenKey};
use preload::Loadable;
pub use preload::Preloads;
pub use search_all_faces::{AllFacesSearch, SearchAllFacesByImage, SearchedFace, search_all_faces_by_image};
pub use search_faces::{FaceSearch, ImageSearch, SearchFaces, SearchFacesByImage, search_faces, search_faces_by_image};
pub use search_users::{
    SearchUsers, SearchUsersByImage, UserImageSearch, UserProbe, UserSearch, search_users, search_users_by_image,
};
pub use tags::{list_tags_for_resource, tag_resource, untag_resource};
pub use touched::Touches;
pub use users::{
    Association, UserPage, UserRequest, associate_faces, create_user, delete_user, disassociate_faces, list_users,
};

/// A scan's threshold is this much lower than the caller's, since going from similarity to cosine and back rounds; the similarity
/// itself decides in the end.
const ROUNDING: f32 = 1e-6;

/// What the operations work with.
pub struct Service {
    /// Collections and faces.
    pub store: Store,
    /// Where the nearest faces and users are found.
    pub indexes: Indexes,
    /// What is to be in memory before it is asked for.
    pub preloads: Preloads,
    /// What looks at images.
    pub packs: Packs,
    /// Grouping a collection's faces keeps the cores busy for long: one call at a time does.
    pub grouping: Semaphore,
    /// Where images lie that a request only names.
    pub s3: S3,
    /// The region in ARNs.
    pub region: String,
    /// What an image may measure.
    pub image_limits: ImageLimits,
    /// Whether tags of ours mean something.
    pub extensions: bool,
    /// How much an account may have.
    pub quotas: Quotas,
    /// The key of the tokens between pages.
    pub tokens: TokenKey,
}

/// How much an account may have.
#[derive(Clone, Copy, Debug)]
pub struct Quotas {
    /// Collections of an account.
    pub collections: u32,
    /// Faces of a collection.
    pub faces: u32,
    /// Users of a collection.
    pub users: u32,
}

/// One call of an operation.
#[derive(Clone, Copy)]
pub struct Call<'a> {
    /// The tools.
    pub service: &'a Service,
    /// Who calls.
    pub caller: &'a Principal,
    /// The call's stopwatch.
    pub stages: &'a Stages,
    /// What the audit log is told of it. Whoever changes the store says so first, with [`Trail::intend`].
    pub trail: &'a Trail<'a>,
}

impl Service {
    /// See [`Preloads::load`].
    pub async fn preload(&self, wanted: &[Preload]) {
        self.preloads.load(self.loadable(), wanted).await;
    }

    /// Removes vectors of those who are gone from gallery files, at once and then every so often, until the server stops.
    pub async fn clean_now_and_then(&self, every: Duration) {
        cleaning::now_and_then(self.loadable(), every).await;
    }

    /// Deletes faces that their collections keep no longer, at once and then every so often, until the server stops.
    pub async fn expire_now_and_then(&self, audit: Option<&Audit>, every: Duration) {
        expiry::now_and_then(Expirable { store: &self.store, audit }, every).await;
    }

    fn loadable(&self) -> Loadable<'_> {
        Loadable { store: &self.store, indexes: &self.indexes, packs: &self.packs }
    }

    /// `arn:aws:rekognition:<region>:<account>:collection/<id>`.
    pub fn collection_arn(&self, account: &AccountId, id: &CollectionId) -> String {
        format!("arn:aws:rekognition:{}:{}:collection/{id}", self.region, account.as_str())
    }
}

/// A collection, and what makes and compares its vectors.
struct Comparable {
    collection: Collection,
    models: Arc<Models>,
}

impl Comparable {
    /// The cosine below which nothing reaches the threshold.
    fn min_cosine(&self, threshold: Percent) -> f32 {
        let similarity = &self.models.pack.embedder.similarity;
        // Similarity 0 stands for every cosine below the curve's first knot.
        if threshold.get() > 0.0 { similarity.raw(threshold) - ROUNDING } else { f32::NEG_INFINITY }
    }

    /// How similar two faces with this cosine are.
    fn similarity(&self, cosine: f32) -> Percent {
        self.models.pack.embedder.similarity.percent(cosine)
    }
}

impl Call<'_> {
    /// The owner of what the call is about.
    fn account(&self) -> &AccountId {
        &self.caller.account
    }

    /// The collection of this name, as it is now.
    async fn collection(&self, id: &CollectionId) -> Result<Collection, Fault> {
        let found = self.stages.time_async(Stage::Store, self.service.store.collection(self.account(), id)).await;
        if let Err(Fault::CollectionNotFound(_)) = found {
            self.forget(id);
        }
        found
    }

    /// See [`TokenKey::listing`].
    fn listing(&self, operation: Operation, filters: &str) -> Listing {
        self.service.tokens.listing(operation, self.account(), filters)
    }

    /// Forgets the vectors of a collection that does not exist any more.
    fn forget(&self, id: &CollectionId) {
        self.service.indexes.forget(self.account(), id);
    }

    /// Fails where a tag of ours says nothing that the server understands.
    fn check_tags(&self, tags: &Tags) -> Result<(), Fault> {
        if self.service.extensions {
            Retention::of(tags).map_err(Fault::NoRetention)?;
        }
        Ok(())
    }

    /// The models of a new collection with these tags: the server's own, or those of the pack that a tag names.
    async fn models_of_new(&self, tags: &Tags) -> Result<Arc<Models>, Fault> {
        let packs = &self.service.packs;
        let named = tags.iter().find(|(key, _)| self.service.extensions && key.as_str() == PACK_TAG);
        let Some((_, name)) = named else { return Ok(packs.ours().clone()) };
        let models = match packs.all().find(|pack| pack.name == name.as_str()) {
            Some(pack) => packs.of(&pack.face_model_version).await?,
            None => None,
        };
        models.ok_or_else(|| Fault::NoPack(name.as_str().to_owned()))
    }

    /// The collection of this name, with the models that made its vectors, which are started if need be.
    async fn comparable(&self, id: &CollectionId) -> Result<Comparable, Fault> {
        let collection = self.collection(id).await?;
        let packs = &self.service.packs;
        match packs.of(&collection.model_version).await? {
            Some(models) => Ok(Comparable { collection, models }),
            None => Err(Fault::NoModels {
                pack: packs.making(&collection.model_version).map(|pack| pack.name.clone()),
                collection: collection.id,
                version: collection.model_version,
            }),
        }
    }

    /// Faces of a collection, each with its average cosine to the others, from the least to the most typical. Those that are gone
    /// drop out.
    async fn compared(&self, comparable: &Comparable, faces: Vec<Face>) -> Result<Vec<(f64, Face)>, Fault> {
        let (mut there, mut vectors) = (Vec::with_capacity(faces.len()), Vec::with_capacity(faces.len()));
        for face in faces {
            let vector = self.service.indexes.faces.vector(&comparable.collection, &face.face_id).await?;
            if let Some(vector) = vector {
                vectors.push(vector);
                there.push(face);
            }
        }
        let mut compared: Vec<(f64, Face)> = average_cosines(&vectors).into_iter().zip(there).collect();
        compared.sort_by(|a, b| a.0.total_cmp(&b.0).then(b.1.face_id.cmp(&a.1.face_id)));
        Ok(compared)
    }

    /// The bytes of an image, wherever they are. A request that names no image, or two, is refused here.
    async fn image(&self, source: Option<ImageSource>) -> Result<Bytes, Fault> {
        match source {
            None => Err(Fault::InvalidParameters),
            Some(ImageSource::Bytes(bytes)) => Ok(bytes),
            Some(ImageSource::S3(object)) => {
                authorize_reading(self.caller, &object)?;
                self.stages.time_async(Stage::Fetch, self.service.s3.get(&object)).await
            }
        }
    }

    /// Finds what is wanted of an image on a worker of these models, and does `work` with it there.
    async fn with_faces<T: Send + 'static>(
        &self,
        models: &Models,
        source: Option<ImageSource>,
        wanted: Wanted,
        work: impl FnOnce(&mut Pipeline, &[u8], Scene, &Stages) -> Result<T, Fault> + Send + 'static,
    ) -> Result<T, Fault> {
        let image = self.image(source).await?;
        let (limits, worker_stages) = (self.service.image_limits, self.stages.clone());
        let job = move |pipeline: &mut Pipeline| {
            let scene = find_faces(pipeline, &image, wanted, &limits, &worker_stages)?;
            work(pipeline, &image, scene, &worker_stages)
        };
        models.workers.run(self.stages, job).await
    }
}

/// What is wanted of an image.
fn find_faces(
    pipeline: &mut Pipeline,
    image: &[u8],
    wanted: Wanted,
    limits: &ImageLimits,
    stages: &Stages,
) -> Result<Scene, Fault> {
    let photo = stages.time(Stage::Decode, || Photo::decode(image, limits))?;
    pipeline.detect(photo, wanted, stages).map_err(Fault::internal("finding faces"))
}
