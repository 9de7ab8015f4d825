//! Searches in the tables.

use std::collections::HashMap;
use std::marker::PhantomData;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use sqlx::any::AnyRow;
use sqlx::{AssertSqlSafe, Row};

use super::super::member::Member;
use super::super::question::{Neighbour, Probe, Query};
use super::schema::Copies;
use super::text::vector_of;
use super::walk::walk;
use crate::domain::Fault;
use crate::store::{Collection, Store};

/// The vectors of one kind of members, after [`prepare`](super::prepare).
pub struct Tables<Id> {
    pub(super) store: Store,
    /// How long a search waits until they are up to date.
    pub(super) wait: Duration,
    /// By the collection's key: requests for one collection wait here, without a connection, for the one that brings it up to date.
    pub(super) turns: Mutex<HashMap<i64, Arc<tokio::sync::Mutex<()>>>>,
    pub(super) copies: Copies,
    members: PhantomData<fn() -> Id>,
}

impl<Id: Member> Tables<Id> {
    /// Of this store, in tables that [`prepare`](super::prepare) made, with the permits that it gave.
    pub fn new(store: Store, wait: Duration, copies: Copies) -> Self {
        Self { store, wait, turns: Mutex::default(), copies, members: PhantomData }
    }

    /// See [`Index::nearest`](super::super::Index::nearest).
    pub async fn nearest(
        &self,
        collection: &Collection,
        query: Query<Id>,
    ) -> Result<Option<Vec<Neighbour<Id>>>, Fault> {
        let (vector, left_out) = match query.probe {
            Probe::Embedding(vector) => {
                self.up_to_date(collection).await?;
                (vector, None)
            }
            Probe::Member(id) => match self.vector(collection, &id).await? {
                Some(vector) => (vector, Some(id)),
                None => return Ok(None),
            },
        };
        // One more than asked for: the probe itself is among them.
        let limit = query.limit + usize::from(left_out.is_some());
        let found = walk::<Id>(&self.store, collection.key, vector, limit).await?;
        let mut nearest: Vec<(Id, f64)> = found
            .into_iter()
            .filter(|(id, cosine)| Some(*id) != left_out && *cosine >= f64::from(query.min_cosine))
            .collect();
        // The index ordered them by half-precision numbers.
        nearest.sort_unstable_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
        nearest.truncate(query.limit);
        Ok(Some(nearest.into_iter().map(|(id, cosine)| Neighbour { id, cosine: cosine as f32 }).collect()))
    }

    /// The vector of a member, if it is there.
    pub async fn vector(&self, collection: &Collection, id: &Id) -> Result<Option<Vec<f32>>, Fault> {
        self.up_to_date(collection).await?;
        let statement =
            format!("SELECT CAST(embedding AS TEXT) FROM {} WHERE collection_id = $1 AND member = $2", Id::VECTORS);
        sqlx::query(AssertSqlSafe(statement))
            .bind(collection.key)
            .bind(id.to_bytes())
            .try_map(|row: AnyRow| vector_of(row.try_get(0)?))
            .fetch_optional(self.store.pool())
            .await
            .map_err(Fault::internal("reading a vector of pgvector"))
    }
}
