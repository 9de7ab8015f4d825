//! What an index holds.

use std::fmt::Debug;
use std::hash::Hash;

use futures_util::Stream;

use crate::domain::{FaceId, Fault};
use crate::store::{Collection, Store, UserKey};

/// What an index can hold: ids with vectors whose changes the store tells by revision.
pub trait Member: Copy + Debug + Eq + Hash + Ord + Send + Sync + Unpin + 'static {
    /// The table of their vectors where pgvector searches.
    const VECTORS: &'static str;

    /// The id as that table has it.
    fn to_bytes(self) -> Vec<u8>;

    /// And back; `None` when it has another length.
    fn from_bytes(bytes: &[u8]) -> Option<Self>;

    /// How many the collection has; of users, with those that have no vector.
    fn count(collection: &Collection) -> i64;

    /// The ids that have no vector any more since `revision`; `None` when the store does not know them all.
    fn gone_since(
        store: &Store,
        collection: &Collection,
        revision: i64,
    ) -> impl Future<Output = Result<Option<Vec<Self>>, Fault>> + Send;

    /// The ids that came, or got another vector, since `revision`.
    fn changed_since<'a>(
        store: &'a Store,
        collection: &Collection,
        revision: i64,
    ) -> impl Stream<Item = Result<(Self, Vec<f32>), Fault>> + Send + 'a;
}

impl Member for FaceId {
    const VECTORS: &'static str = "face_vectors";

    fn to_bytes(self) -> Vec<u8> {
        self.as_bytes().to_vec()
    }

    fn from_bytes(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().ok().map(FaceId::from_bytes)
    }

    fn count(collection: &Collection) -> i64 {
        collection.face_count
    }

    async fn gone_since(store: &Store, collection: &Collection, revision: i64) -> Result<Option<Vec<Self>>, Fault> {
        store.deleted_since(collection, revision).await
    }

    fn changed_since<'a>(
        store: &'a Store,
        collection: &Collection,
        revision: i64,
    ) -> impl Stream<Item = Result<(Self, Vec<f32>), Fault>> + Send + 'a {
        store.embeddings_since(collection, revision)
    }
}

impl Member for UserKey {
    const VECTORS: &'static str = "user_vectors";

    fn to_bytes(self) -> Vec<u8> {
        self.0.to_be_bytes().to_vec()
    }

    fn from_bytes(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().ok().map(i64::from_be_bytes).map(Self)
    }

    fn count(collection: &Collection) -> i64 {
        collection.user_count
    }

    async fn gone_since(store: &Store, collection: &Collection, revision: i64) -> Result<Option<Vec<Self>>, Fault> {
        store.users_without_vector_since(collection, revision).await
    }

    fn changed_since<'a>(
        store: &'a Store,
        collection: &Collection,
        revision: i64,
    ) -> impl Stream<Item = Result<(Self, Vec<f32>), Fault>> + Send + 'a {
        store.user_vectors_since(collection, revision)
    }
}
