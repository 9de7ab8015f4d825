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
use super::walk::{Walk, walk};
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

    /// See [`Index::nearest_to_each`](super::super::Index::nearest_to_each).
    pub async fn nearest(
        &self,
        collection: &Collection,
        queries: Vec<Query<Id>>,
    ) -> Result<Vec<Option<Vec<Neighbour<Id>>>>, Fault> {
        self.up_to_date(collection).await?;
        let (mut answers, mut asked, mut walks) = (vec![None; queries.len()], Vec::new(), Vec::new());
        for (place, query) in queries.into_iter().enumerate() {
            let (vector, left_out) = match query.probe {
                Probe::Embedding(vector) => (vector, None),
                Probe::Member(id) => match self.noted_vector(collection, &id).await? {
                    Some(vector) => (vector, Some(id)),
                    None => continue,
                },
            };
            // One more than asked for: the probe itself is among them.
            let most = query.limit + usize::from(left_out.is_some());
            asked.push((place, left_out, query.min_cosine, query.limit));
            walks.push(Walk { vector, most });
        }
        let found = walk::<Id>(&self.store, collection.key, walks).await?;
        for ((place, left_out, min_cosine, limit), mut nearest) in asked.into_iter().zip(found) {
            nearest.retain(|(id, cosine)| Some(*id) != left_out && *cosine >= f64::from(min_cosine));
            // The index ordered them by half-precision numbers.
            nearest.sort_unstable_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
            nearest.truncate(limit);
            let neighbour = |(id, cosine)| Neighbour { id, cosine: cosine as f32 };
            answers[place] = Some(nearest.into_iter().map(neighbour).collect());
        }
        Ok(answers)
    }

    /// The vector of a member, if it is there.
    pub async fn vector(&self, collection: &Collection, id: &Id) -> Result<Option<Vec<f32>>, Fault> {
        self.up_to_date(collection).await?;
        self.noted_vector(collection, id).await
    }

    async fn noted_vector(&self, collection: &Collection, id: &Id) -> Result<Option<Vec<f32>>, Fault> {
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
