//! The way through the index to the nearest members.

use futures_util::FutureExt;
use sqlx::any::AnyRow;
use sqlx::{AssertSqlSafe, Executor, Row};

use super::super::member::Member;
use super::text::text_of;
use crate::domain::Fault;
use crate::store::Store;
use crate::task;

/// Candidates that a walk through the index keeps: more find more and take longer. pgvector takes at most 1,000.
const CANDIDATES: std::ops::RangeInclusive<usize> = 400..=1000;

/// A way through the index.
pub struct Walk {
    /// Where it begins.
    pub vector: Vec<f32>,
    /// The most members that it meets.
    pub most: usize,
}

/// For each walk the members of a collection that it meets first, with their true cosines; about the nearest ones, in no order. All walks
/// are of vectors of one length, and one connection makes them.
pub async fn walk<Id: Member>(store: &Store, collection: i64, walks: Vec<Walk>) -> Result<Vec<Vec<(Id, f64)>>, Fault> {
    const CONTEXT: &str = "searching with pgvector";
    let Some(most) = walks.iter().map(|walk| walk.most).max() else { return Ok(Vec::new()) };
    let (n, candidates) = (walks[0].vector.len(), most.clamp(*CANDIDATES.start(), *CANDIDATES.end()));
    let statement = format!(
        "SELECT member, -(embedding <#> CAST($1 AS vector)) FROM {} \
         WHERE collection_id = $2 AND vector_dims(embedding) = {n} \
         ORDER BY embedding::halfvec({n}) <#> CAST($1 AS halfvec({n})) LIMIT $3",
        Id::VECTORS
    );
    // The index knows nothing of collections: the walk goes on until enough members of this one were met.
    let settings = format!(
        "SET LOCAL hnsw.iterative_scan = strict_order; SET LOCAL hnsw.ef_search = {candidates}; \
         SET LOCAL hnsw.max_scan_tuples = 200000"
    );
    let store = store.clone();
    // As with a change of the store: a client that goes away must not leave a transaction open.
    let walking = async move {
        let mut transaction = store.pool().begin().await?;
        transaction.execute(sqlx::raw_sql(AssertSqlSafe(settings))).await?;
        let mut found = Vec::with_capacity(walks.len());
        for Walk { vector, most } in walks {
            let met = sqlx::query(AssertSqlSafe(statement.clone()))
                .bind(text_of(&vector))
                .bind(collection)
                .bind(most as i64)
                .try_map(|row: AnyRow| Ok((member_of::<Id>(&row)?, row.try_get::<f64, _>(1)?)))
                .fetch_all(&mut *transaction)
                .await?;
            found.push(met);
        }
        transaction.rollback().await?;
        Ok(found)
    };
    task::to_the_end(CONTEXT, walking.map(|outcome: sqlx::Result<_>| outcome.map_err(Fault::internal(CONTEXT)))).await
}

fn member_of<Id: Member>(row: &AnyRow) -> sqlx::Result<Id> {
    let bytes: &[u8] = row.try_get(0)?;
    Id::from_bytes(bytes).ok_or_else(|| sqlx::Error::Decode("a member's id has another length".into()))
}
