//! Nearest faces and users: by an exact scan of vectors in memory, or by pgvector. The store is the truth; what is searched is a copy of
//! its vectors, and catches up before every search, so that a search sees whatever any server on the same database acknowledged before it.

mod groups;
mod member;
mod memory;
mod pgvector;
mod question;

use std::sync::Arc;
use std::time::Duration;

use crate::domain::{AccountId, CollectionId, FaceId, Fault};
use crate::looking::Looked;
use crate::store::{Collection, Store, UserKey};
use crate::task;

pub use groups::Graph;
pub use member::Member;
pub use memory::{Budget, Dimensions, Files, Loading, Place};
use memory::{Galleries, Room};
use pgvector::Tables;
pub use pgvector::{Copies, prepare as prepare_pgvector};
pub use question::{Neighbour, Probe, Query};

/// What finds the members nearest to a probe: the faces of collections, or their users.
pub struct Index<Id>(Way<Id>);

enum Way<Id> {
    /// In this server's memory, exactly.
    Memory(Galleries<Id>),
    /// In Postgres, nearly so.
    Pgvector(Tables<Id>),
}

/// The indexes of a server.
pub struct Indexes {
    /// Its collections' faces.
    pub faces: Index<FaceId>,
    /// Their users.
    pub users: Index<UserKey>,
    files: Option<Arc<Files>>,
}

impl Indexes {
    /// In this server's memory and its files: vectors of this store, so long as their versions say. A search waits so long until those of
    /// its collection are up to date.
    pub fn in_memory(store: &Store, wait: Duration, place: Place, dimensions: Dimensions) -> Self {
        let room = Room::beside(store.pool().most());
        let (faces, users) = (
            Galleries::new(store.clone(), wait, room.clone(), place.clone(), dimensions.clone()),
            Galleries::new(store.clone(), wait, room, place.clone(), dimensions),
        );
        Self { faces: Index(Way::Memory(faces)), users: Index(Way::Memory(users)), files: place.files }
    }

    /// In Postgres, with what [`prepare_pgvector`] gave. Waits as [`Self::in_memory`] does.
    pub fn in_postgres(store: &Store, wait: Duration, copies: &Copies) -> Self {
        let (faces, users) =
            (Tables::new(store.clone(), wait, copies.clone()), Tables::new(store.clone(), wait, copies.clone()));
        Self { faces: Index(Way::Pgvector(faces)), users: Index(Way::Pgvector(users)), files: None }
    }

    /// Forgets a collection that does not exist any more, whoever deleted it.
    pub fn forget(&self, account: &AccountId, id: &CollectionId) {
        self.faces.forget(account, id);
        self.users.forget(account, id);
        if let Some(files) = &self.files {
            task::in_place(|| files.forget(account, id));
        }
    }

    /// What gallery files take on the disk, in bytes.
    pub fn file_bytes(&self) -> u64 {
        self.files.as_ref().map_or(0, |files| files.bytes())
    }

    /// Loads what a first search of this collection would load, however long that takes.
    pub async fn preload(&self, collection: &Collection) -> Result<(), Fault> {
        self.faces.preload(collection).await?;
        self.users.preload(collection).await
    }

    /// Removes vectors of faces and users that are gone from this server's files of a collection.
    pub async fn clean(&self, collection: &Collection) -> Result<(), Fault> {
        if let (Way::Memory(faces), Way::Memory(users)) = (&self.faces.0, &self.users.0) {
            faces.clean(collection).await?;
            users.clean(collection).await?;
        }
        Ok(())
    }

    /// Lets those who are gone go from wherever this server has copies of vectors of a collection: memory, files, tables of pgvector.
    pub async fn let_go(&self, collection: &Collection) -> Result<(), Fault> {
        self.faces.catch_up(collection).await?;
        self.users.catch_up(collection).await?;
        self.clean(collection).await
    }

    /// Looks for vectors in this server's files of a collection; `None` where it has none of any collection.
    pub async fn look_in_files(&self, collection: &Collection, for_any: Vec<Vec<u8>>) -> Result<Option<Looked>, Fault> {
        const CONTEXT: &str = "looking through gallery files";
        let Some(files) = self.files.clone() else { return Ok(None) };
        let collection = collection.clone();
        let looking = task::on_a_thread(CONTEXT, move || files.look(&collection, &for_any));
        looking.await?.map(Some).map_err(Fault::internal(CONTEXT))
    }

    /// How many vectors are in this server's memory, and their bytes.
    pub fn size(&self) -> (usize, usize) {
        let (faces, users) = (self.faces.size(), self.users.size());
        (faces.0 + users.0, faces.1 + users.1)
    }

    /// What is being loaded.
    pub fn loading(&self) -> Loading {
        self.faces.loading() + self.users.loading()
    }
}

impl<Id: Member> Index<Id> {
    /// See [`Query`]: answers in the order of the questions, which together cost little more than one. `None` where the probe is a member
    /// that is not there. Fails with [`Fault::Loading`] or [`Fault::GalleryTooLarge`].
    pub async fn nearest_to_each(
        &self,
        collection: &Collection,
        queries: Vec<Query<Id>>,
    ) -> Result<Vec<Option<Vec<Neighbour<Id>>>>, Fault> {
        match &self.0 {
            Way::Memory(galleries) => galleries.nearest(collection, queries).await,
            Way::Pgvector(tables) => tables.nearest(collection, queries).await,
        }
    }

    /// The vector of a member, if it is there. Fails as [`Self::nearest_to_each`] does.
    pub async fn vector(&self, collection: &Collection, id: &Id) -> Result<Option<Vec<f32>>, Fault> {
        match &self.0 {
            Way::Memory(galleries) => galleries.vector(collection, id).await,
            Way::Pgvector(tables) => tables.vector(collection, id).await,
        }
    }

    async fn catch_up(&self, collection: &Collection) -> Result<(), Fault> {
        match &self.0 {
            Way::Memory(galleries) => galleries.catch_up(collection).await,
            Way::Pgvector(tables) => tables.catch_up(collection).await,
        }
    }

    fn forget(&self, account: &AccountId, id: &CollectionId) {
        // Tables of pgvector lose their rows with the collection.
        if let Way::Memory(galleries) = &self.0 {
            galleries.forget(account, id);
        }
    }

    async fn preload(&self, collection: &Collection) -> Result<(), Fault> {
        match &self.0 {
            Way::Memory(galleries) => galleries.preload(collection).await,
            Way::Pgvector(tables) => tables.catch_up(collection).await,
        }
    }

    fn size(&self) -> (usize, usize) {
        match &self.0 {
            Way::Memory(galleries) => galleries.size(),
            Way::Pgvector(_) => (0, 0),
        }
    }

    fn loading(&self) -> Loading {
        match &self.0 {
            Way::Memory(galleries) => galleries.loading(),
            Way::Pgvector(_) => Loading::default(),
        }
    }
}
