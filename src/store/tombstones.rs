//! Tombstones: the ids of deleted faces and users, each with the revision that deleted it. Galleries learn of deletions from them.
//!
//! The oldest go after a while. `pruned_to` of the collection's row says up to which revision, in the transaction that removes them. A
//! gallery that knows only an earlier revision has to begin anew.

use sqlx::any::AnyRow;
use sqlx::{AssertSqlSafe, Row, ValueRef};

use crate::domain::{FaceId, Fault};

use super::connections::Transaction;
use super::rows::{FACES_AT_ONCE, about_faces, face_id_of, placeholders};
use super::{Collection, Store, UserKey};

/// A collection keeps about as many tombstones as it has faces and users, and about so many if it has fewer. Whoever is further behind
/// loses little by beginning anew: as much went as there is.
const KEPT: i64 = 10_000;
/// So many more gather before the oldest go: most deletions remove nothing.
const SLACK: i64 = 1000;
/// A change removes about so many at most, so that it stays short. It cannot leave as many.
const PRUNED_AT_ONCE: i64 = 10_000;

impl Store {
    /// The ids of faces that were deleted after `revision`; `None` when some of these are not known any more.
    pub async fn deleted_since(&self, collection: &Collection, revision: i64) -> Result<Option<Vec<FaceId>>, Fault> {
        let gone = "SELECT face_id AS member FROM deleted_faces WHERE collection_id = $1 AND revision > $2";
        self.gone_since(collection, revision, gone, |row| face_id_of(row, 1)).await
    }

    /// The keys of users that were deleted, or lost their last face, after `revision`; `None` when some of these are not known any more.
    pub async fn users_without_vector_since(
        &self,
        collection: &Collection,
        revision: i64,
    ) -> Result<Option<Vec<UserKey>>, Fault> {
        let gone = "SELECT user_id AS member FROM deleted_users WHERE collection_id = $1 AND revision > $2 \
                    UNION ALL SELECT id FROM users WHERE collection_id = $1 AND revision > $2 AND embedding IS NULL";
        self.gone_since(collection, revision, gone, |row| row.try_get(1).map(UserKey)).await
    }

    /// One statement tells both what went and whether that is all: a tombstone could go between two.
    async fn gone_since<T: Send + Unpin>(
        &self,
        collection: &Collection,
        revision: i64,
        gone: &str,
        member: fn(&AnyRow) -> sqlx::Result<T>,
    ) -> Result<Option<Vec<T>>, Fault> {
        let statement = format!(
            "SELECT pruned_to, gone.member FROM collections LEFT JOIN ({gone}) AS gone ON pruned_to <= $2 WHERE id = $1"
        );
        let rows = sqlx::query(AssertSqlSafe(statement))
            .bind(collection.key)
            .bind(revision)
            .try_map(|row: AnyRow| {
                let is_known = row.try_get::<i64, _>(0)? <= revision;
                let member = if row.try_get_raw(1)?.is_null() { None } else { Some(member(&row)?) };
                Ok((is_known, member))
            })
            .fetch_all(&self.pool)
            .await
            .map_err(Fault::internal("reading deletions"))?;
        let is_known = rows.first().is_some_and(|(is_known, _)| *is_known);
        Ok(is_known.then(|| rows.into_iter().filter_map(|(_, member)| member).collect()))
    }
}

/// Leaves the tombstones of faces that were deleted.
pub(super) async fn leave_faces(
    transaction: &mut Transaction,
    collection: &Collection,
    faces: &[FaceId],
    revision: i64,
) -> sqlx::Result<()> {
    for some in faces.chunks(FACES_AT_ONCE) {
        let rows: Vec<_> =
            (0..some.len()).map(|row| format!("($1, {}, {revision})", placeholders(row + 2, 1))).collect();
        let statement =
            format!("INSERT INTO deleted_faces (collection_id, face_id, revision) VALUES {}", rows.join(", "));
        about_faces(statement, collection, some).execute(&mut **transaction).await?;
    }
    count(transaction, collection, faces.len() as i64).await
}

/// Removes the tombstones of faces that came again.
pub(super) async fn forget_faces(
    transaction: &mut Transaction,
    collection: &Collection,
    faces: &[FaceId],
) -> sqlx::Result<()> {
    let mut removed = 0;
    for some in faces.chunks(FACES_AT_ONCE) {
        let ids = placeholders(2, some.len());
        let statement = format!("DELETE FROM deleted_faces WHERE collection_id = $1 AND face_id IN ({ids})");
        removed += about_faces(statement, collection, some).execute(&mut **transaction).await?.rows_affected() as i64;
    }
    if removed == 0 { Ok(()) } else { count(transaction, collection, -removed).await }
}

/// Leaves the tombstone of a user that was deleted.
pub(super) async fn leave_user(
    transaction: &mut Transaction,
    collection: &Collection,
    user: i64,
    revision: i64,
) -> sqlx::Result<()> {
    sqlx::query("INSERT INTO deleted_users (collection_id, user_id, revision) VALUES ($1, $2, $3)")
        .bind(collection.key)
        .bind(user)
        .bind(revision)
        .execute(&mut **transaction)
        .await?;
    count(transaction, collection, 1).await
}

/// Adds to the number of tombstones, and removes the oldest if there are too many.
async fn count(transaction: &mut Transaction, collection: &Collection, more: i64) -> sqlx::Result<()> {
    let (tombstones, members) = sqlx::query(
        "UPDATE collections SET tombstones = tombstones + $1 WHERE id = $2 RETURNING tombstones, face_count + user_count",
    )
    .bind(more)
    .bind(collection.key)
    .try_map(|row: AnyRow| Ok((row.try_get::<i64, _>(0)?, row.try_get::<i64, _>(1)?)))
    .fetch_one(&mut **transaction)
    .await?;
    let excess = tombstones - members.max(KEPT);
    if more > 0 && excess > SLACK { prune(transaction, collection, excess.min(PRUNED_AT_ONCE)).await } else { Ok(()) }
}

/// Removes about so many of the oldest tombstones: those of one revision go together.
async fn prune(transaction: &mut Transaction, collection: &Collection, number: i64) -> sqlx::Result<()> {
    let oldest = |table: &str| {
        format!(
            "SELECT * FROM (SELECT revision FROM {table} WHERE collection_id = $1 ORDER BY revision LIMIT $2) AS {table}"
        )
    };
    let statement = format!(
        "SELECT max(revision) FROM (SELECT revision FROM ({} UNION ALL {}) AS oldest ORDER BY revision LIMIT $2) AS going",
        oldest("deleted_faces"),
        oldest("deleted_users")
    );
    let floor = sqlx::query(AssertSqlSafe(statement))
        .bind(collection.key)
        .bind(number)
        .try_map(|row: AnyRow| row.try_get::<i64, _>(0))
        .fetch_one(&mut **transaction)
        .await?;
    let mut removed = 0;
    for table in ["deleted_faces", "deleted_users"] {
        let statement = format!("DELETE FROM {table} WHERE collection_id = $1 AND revision <= $2");
        let query = sqlx::query(AssertSqlSafe(statement)).bind(collection.key).bind(floor);
        removed += query.execute(&mut **transaction).await?.rows_affected() as i64;
    }
    sqlx::query("UPDATE collections SET tombstones = tombstones - $1, pruned_to = $2 WHERE id = $3")
        .bind(removed)
        .bind(floor)
        .bind(collection.key)
        .execute(&mut **transaction)
        .await
        .map(drop)
}
