//! What every change is made of: a task that ends whatever becomes of the client, the queue of SQLite's writers, a transaction that
//! takes the collection's next revision, and its end.

use std::time::{Duration, Instant};

use sqlx::Row;
use sqlx::any::AnyRow;

use tokio::sync::SemaphorePermit;
use tokio::time::timeout;

use crate::domain::Fault;
use crate::task;

use super::connections::{Transaction, timed_out};
use super::{Collection, Store};

/// Postgres: serialization_failure, deadlock_detected. SQLite: SQLITE_BUSY_SNAPSHOT.
const GIVEN_UP: [&str; 3] = ["40001", "40P01", "517"];
/// Postgres: too_many_connections, lock_not_available, query_canceled (by its timeout), admin_shutdown, crash_shutdown,
/// cannot_connect_now, connection_failure, idle_in_transaction_session_timeout. SQLite: SQLITE_BUSY, which comes after the wait for the file.
const PASSING: [&str; 9] = ["5", "53300", "55P03", "57014", "57P01", "57P02", "57P03", "08006", "25P03"];
/// For how long a change is tried that the database gives up.
const PATIENCE: Duration = Duration::from_secs(10);
/// The pause before the second try is at most so long. It is taken at random, and each may be twice as long as the one before: changes
/// that met once are soon further apart than they take, on a busy machine too.
const PAUSE: Duration = Duration::from_millis(5);
/// The most that a pause may be.
const LONGEST_PAUSE: Duration = Duration::from_millis(500);

impl Store {
    /// The right to write, for which everybody waits as long as for a connection.
    pub(super) async fn writer(&self, context: &'static str) -> Result<SemaphorePermit<'_>, Fault> {
        let wait = self.pool.wait();
        match timeout(wait, self.writers.acquire()).await {
            Ok(permit) => permit.map_err(Fault::internal(context)),
            Err(_) => Err(Fault::internal(context)(timed_out(format!("other changes took longer than {wait:?}")))),
        }
    }

    /// Begins a change of a collection's faces and takes its next revision.
    ///
    /// Every change locks rows in one order, or two would wait for each other until Postgres gives one of them up: the account's row (who
    /// makes or deletes a collection), the collection's row, and then what belongs to the collection.
    pub(super) async fn begin_change(
        &self,
        collection: &Collection,
        context: &'static str,
    ) -> Result<(Transaction, i64), Fault> {
        let mut transaction = self.pool.begin().await.map_err(Fault::internal(context))?;
        let revision = sqlx::query("UPDATE collections SET revision = revision + 1 WHERE id = $1 RETURNING revision")
            .bind(collection.key)
            .try_map(|row: AnyRow| row.try_get::<i64, _>(0))
            .fetch_optional(&mut *transaction)
            .await
            .map_err(Fault::internal(context))?
            .ok_or_else(|| Fault::CollectionNotFound(collection.id.clone()))?;
        Ok((transaction, revision))
    }
}

/// Counts and commits a change, or forgets it when it changed nothing. Fails with [`Fault::QuotaExceeded`] when it added faces and the
/// collection would have more than `quota`.
pub(super) async fn finish_change(
    mut transaction: Transaction,
    collection: &Collection,
    added: i64,
    quota: u32,
    context: &'static str,
) -> Result<(), Fault> {
    if added == 0 {
        return transaction.rollback().await.map_err(Fault::internal(context));
    }
    let count = sqlx::query("UPDATE collections SET face_count = face_count + $1 WHERE id = $2 RETURNING face_count")
        .bind(added)
        .bind(collection.key)
        .try_map(|row: AnyRow| row.try_get::<i64, _>(0))
        .fetch_one(&mut *transaction)
        .await
        .map_err(Fault::internal(context))?;
    if added > 0 && count > i64::from(quota) {
        return Err(Fault::QuotaExceeded("faces in a collection", quota));
    }
    transaction.commit().await.map_err(Fault::internal(context))
}

/// Makes a change as a task of its own, which ends whatever becomes of the client. A change that the database gave up for the sake of
/// another one (a deadlock, a failed serialization, a file that changed) is made again: nothing of it was committed.
pub(super) async fn to_the_end<A, T, F>(
    context: &'static str,
    with: A,
    change: impl Fn(A) -> F + Send + 'static,
) -> Result<T, Fault>
where
    A: Clone + Send + 'static,
    T: Send + 'static,
    F: Future<Output = Result<T, Fault>> + Send,
{
    let trying = async move {
        let begin = Instant::now();
        let mut attempt = 1;
        loop {
            match change(with.clone()).await {
                Err(fault) if begin.elapsed() < PATIENCE && was_given_up(&fault) => {
                    tracing::debug!(context, attempt, "the database gave a change up for the sake of another: again");
                    tokio::time::sleep(pause_after(attempt)).await;
                    attempt += 1;
                }
                outcome => return outcome,
            }
        }
    };
    task::to_the_end(context, trying).await
}

/// A random pause after a try, the first being 1.
fn pause_after(attempt: u32) -> Duration {
    LONGEST_PAUSE.min(PAUSE * 2_u32.saturating_pow(attempt - 1)).mul_f64(fastrand::f64())
}

/// Whether the database says that the same change may succeed a moment later.
fn was_given_up(fault: &Fault) -> bool {
    let Fault::Internal { source, .. } = fault else { return false };
    source.downcast_ref::<sqlx::Error>().is_some_and(|error| has_code(error, &GIVEN_UP))
}

fn has_code(error: &sqlx::Error, codes: &[&str]) -> bool {
    let code = error.as_database_error().and_then(|error| error.code());
    code.is_some_and(|code| codes.contains(&code.as_ref()))
}

/// Tells apart what passes by itself: a database that is away, stalled, starting, stopping or crowded, and no other failure of it. The
/// caller is to try again.
pub fn or_unavailable(fault: Fault) -> Fault {
    use sqlx::Error::{Io, PoolClosed, PoolTimedOut};
    let passes = |error: &sqlx::Error| {
        matches!(error, Io(_) | PoolClosed | PoolTimedOut) || has_code(error, &PASSING) || has_code(error, &GIVEN_UP)
    };
    match fault {
        Fault::Internal { context, source } if source.downcast_ref().is_some_and(passes) => {
            Fault::Unavailable { context, source }
        }
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::super::rows::decode_error;
    use super::*;

    #[test]
    fn what_passes_by_itself_is_to_be_tried_again_and_no_other_failure() {
        let told = |error: sqlx::Error| or_unavailable(Fault::internal("testing")(error));
        for passing in [timed_out("no answer".to_owned()), sqlx::Error::PoolTimedOut, sqlx::Error::PoolClosed] {
            assert!(matches!(told(passing), Fault::Unavailable { context: "testing", .. }));
        }
        for lasting in [sqlx::Error::RowNotFound, decode_error("x")] {
            assert!(matches!(told(lasting), Fault::Internal { .. }));
        }
        assert!(matches!(or_unavailable(Fault::FaceNotFound), Fault::FaceNotFound));
    }
}
