//! One function an operation: typed request in, typed reply or [`Fault`] out. No HTTP, no JSON, no SQL.

mod cleaning;
mod collections;
mod compare_faces;
mod detect_faces;
mod faces;
mod index_faces;
mod page;
mod preload;
mod search_faces;
mod search_users;
mod tags;
mod touched;
mod users;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use crate::access::{Principal, authorize_reading};
use crate::audit::Trail;
use crate::domain::{
    AccountId, AttributeSet, CollectionId, Fault, ImageSource, ModelVersion, Operation, Percent, Preload,
};
use crate::search::Indexes;
use crate::sources::S3;
use crate::store::{Collection, Store};
use crate::telemetry::{Stage, Stages};
use crate::vision::pack::Pack;
use crate::vision::{ImageLimits, Photo, Pipeline, Scene, Workers};

pub use collections::{
    CollectionPage, DescribedCollection, create_collection, delete_collection, describe_collection, list_collections,
};
pub use compare_faces::{CompareFaces, ComparedFaces, compare_faces};
pub use detect_faces::{DetectedFaces, detect_faces};
pub use faces::{DeletedFaces, FacePage, ListFaces, delete_faces, list_faces};
pub use index_faces::{IndexFaces, IndexedFaces, UnindexedFace, index_faces};
use page::Listing;
pub use page::{PageRequest, TokenKey};
use preload::Loadable;
pub use preload::Preloads;
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
    /// The vision workers.
    pub workers: Workers,
    /// The models that the workers run.
    pub pack: Arc<Pack>,
    /// Every pack of the manifest, this one among them.
    pub packs: Vec<Pack>,
    /// Where images lie that a request only names.
    pub s3: S3,
    /// The region in ARNs.
    pub region: String,
    /// What an image may measure.
    pub image_limits: ImageLimits,
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

    fn loadable(&self) -> Loadable<'_> {
        Loadable { store: &self.store, indexes: &self.indexes, version: &self.pack.face_model_version }
    }

    /// `arn:aws:rekognition:<region>:<account>:collection/<id>`.
    pub fn collection_arn(&self, account: &AccountId, id: &CollectionId) -> String {
        format!("arn:aws:rekognition:{}:{}:collection/{id}", self.region, account.as_str())
    }

    /// The name of the pack that makes vectors of this version, if the manifest has one.
    pub fn pack_of(&self, version: &ModelVersion) -> Option<&str> {
        self.packs.iter().find(|pack| pack.face_model_version == *version).map(|pack| pack.name.as_str())
    }

    /// The cosine below which nothing reaches the threshold.
    fn min_cosine(&self, threshold: Percent) -> f32 {
        // Similarity 0 stands for every cosine below the curve's first knot.
        if threshold.get() > 0.0 { self.pack.embedder.similarity.raw(threshold) - ROUNDING } else { f32::NEG_INFINITY }
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

    /// The collection of this name, if its vectors are of the models that this server runs.
    async fn comparable_collection(&self, id: &CollectionId) -> Result<Collection, Fault> {
        let collection = self.collection(id).await?;
        let ours = &self.service.pack.face_model_version;
        if collection.model_version == *ours {
            Ok(collection)
        } else {
            Err(Fault::ModelVersionMismatch {
                collection: collection.id,
                pack: self.service.pack_of(&collection.model_version).map(str::to_owned),
                theirs: collection.model_version,
                ours: ours.clone(),
            })
        }
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

    /// Finds the faces of an image on a worker, with what is asked for about them, and does `work` with them there.
    async fn with_faces<T: Send + 'static>(
        &self,
        source: Option<ImageSource>,
        wanted: AttributeSet,
        work: impl FnOnce(&mut Pipeline, &[u8], Scene, &Stages) -> Result<T, Fault> + Send + 'static,
    ) -> Result<T, Fault> {
        let image = self.image(source).await?;
        let (limits, worker_stages) = (self.service.image_limits, self.stages.clone());
        let job = move |pipeline: &mut Pipeline| {
            let scene = find_faces(pipeline, &image, wanted, &limits, &worker_stages)?;
            work(pipeline, &image, scene, &worker_stages)
        };
        self.service.workers.run(self.stages, job).await
    }
}

/// The faces of an image, with what is asked for about them.
fn find_faces(
    pipeline: &mut Pipeline,
    image: &[u8],
    wanted: AttributeSet,
    limits: &ImageLimits,
    stages: &Stages,
) -> Result<Scene, Fault> {
    let photo = stages.time(Stage::Decode, || Photo::decode(image, limits))?;
    pipeline.detect(photo, wanted, stages).map_err(Fault::internal("finding faces"))
}
