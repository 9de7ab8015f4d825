//! The store alone, on either database: no server, no models.
//!
//! Faces here have vectors of two numbers, and ids that are numbers too.

mod changes;
mod collections;
mod connections;
mod encryption;
mod expiry;
mod faces;
mod marks;
mod tokens;
mod tombstones;
mod transfer;
mod users;

use std::ops::Deref;
use std::time::Duration;

use rekollect::domain::{
    AccountId, BoundingBox, CollectionId, Face, FaceId, ImageId, IndexedFace, ModelVersion, Percent, Tags, UserId,
};
use rekollect::store::{Collection, Limits, OpenError, Store, StorePlace, Vault};

use crate::support::{self, new_database};

const NO_QUOTA: u32 = u32::MAX;
const VERSION: &str = "7.1";

/// A store on a database of its own.
pub struct Opened {
    store: Store,
    place: StorePlace,
    // Removed after the store is gone.
    _data: tempfile::TempDir,
}

impl Deref for Opened {
    type Target = Store;

    fn deref(&self) -> &Store {
        &self.store
    }
}

impl Opened {
    async fn new(database_url: Option<String>, limits: Limits) -> Self {
        let data = tempfile::tempdir().unwrap();
        let place = StorePlace { data_dir: data.path().to_owned(), database_url, vault: Vault::default() };
        let store = Store::open(&place, limits).await.unwrap();
        Self { store, place, _data: data }
    }

    /// Another server's store on the same database.
    pub async fn twin(&self) -> Store {
        Store::open(&self.place, limits()).await.unwrap()
    }

    /// The store of a server that has these keys of vectors.
    pub async fn with_keys(&self, keys: &str) -> Result<Store, OpenError> {
        let vault = Vault::of(&keys.into()).unwrap();
        Store::open(&StorePlace { vault, ..self.place.clone() }, limits()).await
    }

    pub fn is_postgres(&self) -> bool {
        self.place.database_url.is_some()
    }

    /// A connection of nobody's, where the database is Postgres.
    pub async fn stranger(&self) -> sqlx::PgConnection {
        <sqlx::PgConnection as sqlx::Connection>::connect(self.place.database_url.as_ref().unwrap()).await.unwrap()
    }

    /// Makes a collection.
    pub async fn made(&self, name: &str) -> Collection {
        self.create_collection(&account(), &id(name), &version(VERSION), Tags::new(), NO_QUOTA).await.unwrap();
        self.read(name).await
    }

    /// A collection as it is now.
    pub async fn read(&self, name: &str) -> Collection {
        self.collection(&account(), &id(name)).await.unwrap()
    }

    /// A number out of the database.
    pub async fn number(&self, statement: &'static str) -> i64 {
        sqlx::query_scalar(statement).fetch_one(self.pool()).await.unwrap()
    }

    /// The ids of all faces of a collection.
    pub async fn ids(&self, collection: &Collection) -> Vec<FaceId> {
        let faces = self.faces(collection, None, None, None, 100_000).await.unwrap();
        faces.iter().map(|face| face.face_id).collect()
    }
}

/// Defines each test once for both databases.
macro_rules! on_both_databases {
    ($($name:ident($store:ident) $body:block)*) => {
        $(
            mod $name {
                #[allow(unused_imports)]
                use super::*;

                async fn run($store: &crate::store::Opened) $body

                #[test]
                fn sqlite() {
                    crate::store::with_store(crate::support::Store::Sqlite, async |store| run(&store).await);
                }

                #[test]
                fn postgres() {
                    crate::store::with_store(crate::support::Store::Postgres, async |store| run(&store).await);
                }
            }
        )*
    };
}
use on_both_databases;

/// Runs a test on a new store, unless there is no such database.
fn with_store(kind: support::Store, test: impl AsyncFnOnce(Opened)) {
    run_with(kind, limits(), test);
}

fn run_with(kind: support::Store, limits: Limits, test: impl AsyncFnOnce(Opened)) {
    let database_url = match kind {
        support::Store::Sqlite => None,
        support::Store::Postgres => match new_database() {
            None => return,
            url => url,
        },
    };
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(async { test(Opened::new(database_url, limits).await).await });
}

fn limits() -> Limits {
    let time = Duration::from_secs(20);
    Limits { connections: 8, wait: time, statement: time }
}

fn account() -> AccountId {
    "000000000000".parse().unwrap()
}

fn id(name: &str) -> CollectionId {
    CollectionId::try_from(name.to_owned()).unwrap()
}

fn version(text: &str) -> ModelVersion {
    ModelVersion::try_from(text.to_owned()).unwrap()
}

fn user(name: &str) -> UserId {
    UserId::try_from(name.to_owned()).unwrap()
}

fn face_id(number: u64) -> FaceId {
    FaceId::from_bytes(u128::from(number).to_be_bytes())
}

fn face_ids(numbers: impl IntoIterator<Item = u64>) -> Vec<FaceId> {
    numbers.into_iter().map(face_id).collect()
}

/// A face whose vector has this angle in degrees.
fn face_at(number: u64, angle: f32) -> IndexedFace {
    let face = Face {
        face_id: face_id(number),
        image_id: ImageId::from_bytes([7; 16]),
        external_image_id: None,
        user_id: None,
        bounding_box: BoundingBox { left: 0.25, top: 0.5, width: 0.125, height: 0.0625 },
        confidence: Percent::clamped(99.5),
    };
    let (sine, cosine) = angle.to_radians().sin_cos();
    IndexedFace { face, embedding: vec![cosine, sine] }
}

fn face(number: u64) -> IndexedFace {
    face_at(number, 0.0)
}

fn faces(numbers: impl IntoIterator<Item = u64>) -> std::sync::Arc<[IndexedFace]> {
    numbers.into_iter().map(face).collect()
}

/// Asserts that something was refused for this reason.
macro_rules! assert_refused {
    ($outcome:expr, $fault:pat $(if $guard:expr)?) => {{
        let outcome: Result<_, rekollect::domain::Fault> = $outcome;
        assert!(matches!(&outcome, Err($fault) $(if $guard)?), "{outcome:?}");
    }};
}
use assert_refused;

/// Waits until a question is answered with yes.
async fn until(what: &str, mut asked: impl AsyncFnMut() -> bool) {
    for _ in 0..500 {
        if asked().await {
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("still not after 10 s: {what}");
}

/// Waits until somebody waits for a lock of Postgres.
async fn until_somebody_waits(connection: &mut sqlx::PgConnection) {
    until("somebody waits for a lock", async || {
        let waiting =
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'";
        sqlx::query_scalar::<_, i64>(waiting).fetch_one(&mut *connection).await.unwrap() > 0
    })
    .await;
}
