//! Collections and faces in SQL: a SQLite file or Postgres behind one set of statements, through sqlx's `Any` driver.
//!
//! Both take numbered placeholders, `ON CONFLICT` and `RETURNING`, so a statement is written once; only the migrations have a
//! dialect each. Every change of a collection's faces is one transaction whose first statement takes the collection's next
//! revision: that locks the collection's row (Postgres) or the file (SQLite), so revisions become visible in their order.
//!
//! A change runs as a task of its own: a client that goes away must not stop it half-way. sqlx returns a connection whose BEGIN was
//! cancelled to the pool inside an open transaction, and the next change on it would be acknowledged and never committed.

mod change;
mod collections;
mod connections;
mod encryption;
mod erasure;
mod expiry;
mod faces;
mod marks;
mod place;
mod rows;
mod tags;
mod tokens;
mod tombstones;
mod transfer;
mod users;
mod vault;

use std::sync::Arc;

use tokio::sync::Semaphore;

use crate::domain::{AccountId, CollectionId, ModelVersion};

use connections::Connections;

pub use change::or_unavailable;
pub use collections::After;
pub use connections::Transaction;
pub use encryption::{Rewritten, WrongKeys};
pub use faces::Deletion;
pub use place::{Limits, OpenError, StorePlace};
pub use tokens::Token;
pub use transfer::{Founding, Snapshot};
pub use users::{Association, Reassignment};
pub use vault::{KeyId, NoKey, Unreadable, Vault};

/// The store of one server; clones share its connections.
#[derive(Clone)]
pub struct Store {
    pool: Connections,
    /// SQLite has one writer: here the others queue in order instead of polling for the file's lock.
    writers: Arc<Semaphore>,
    place: String,
    /// The keys of its vectors.
    vault: Vault,
}

/// A collection as the store knows it at one moment.
#[derive(Clone, Debug)]
pub struct Collection {
    /// The store's own key, never used again after the collection is deleted.
    pub key: i64,
    /// Its owner.
    pub account: AccountId,
    /// Its name.
    pub id: CollectionId,
    /// The models that its vectors are of.
    pub model_version: ModelVersion,
    /// When it was made, in milliseconds since 1970.
    pub created_at_ms: i64,
    /// Changes with every change of its faces.
    pub revision: i64,
    /// How many faces it holds.
    pub face_count: i64,
    /// How many users it holds.
    pub user_count: i64,
}

/// The store's own key of a user, never used again after the user is deleted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct UserKey(pub i64);
