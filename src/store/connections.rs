//! Connections to the database, where every wait has an end.
//!
//! sqlx bounds only the wait for a connection. Whatever waits for an answer on one waits for as long as the socket lives, and a peer that
//! stalls keeps its socket: so statements run here and nowhere else, each within a time. A connection that gave no answer in time is
//! closed, because the answer may still come, and the next statement would take it for its own.

use std::ops::{Deref, DerefMut};
use std::time::Duration;
use std::{future, io};

use futures_util::future::BoxFuture;
use futures_util::stream::{self, BoxStream, StreamExt, TryStreamExt};
use sqlx::any::{AnyQueryResult, AnyRow, AnyStatement, AnyTypeInfo};
use sqlx::pool::PoolConnection;
use sqlx::{Any, AnyConnection, AnyPool, Either, Execute, Executor, SqlStr};
use tokio::sync::mpsc;
use tokio::time::timeout;

use crate::task;

/// What takes long by its nature, such as deleting a whole collection, may take so many times as long as any other statement.
const LONG: u32 = 20;
/// Rows that a stream hands over at once.
const ROWS_AT_ONCE: usize = 256;

type Rows<'e> = BoxStream<'e, sqlx::Result<Either<AnyQueryResult, AnyRow>>>;

/// The connections of a store. Statements run on any of them, by [`Executor`].
#[derive(Clone, Debug)]
pub struct Connections {
    pool: AnyPool,
    wait: Duration,
    /// How long Postgres may take over a statement. A file has no peer that could stall.
    limit: Option<Duration>,
}

/// What Postgres is told on a new connection. It ends the statements that the server gave up, and the transactions of a server that it
/// does not hear of any more: in one that is well, what a statement waits for is at most another connection and two answers on it.
pub fn settings_of(wait: Duration, limit: Duration) -> String {
    let (statement, idle) = (limit.as_millis(), (wait + 2 * limit).as_millis());
    format!("SET statement_timeout = {statement}; SET idle_in_transaction_session_timeout = {idle}")
}

const BEGIN_LONG: &str = "BEGIN; SET LOCAL statement_timeout = 0; SET LOCAL idle_in_transaction_session_timeout = 0";

impl Connections {
    /// Of a pool whose acquire timeout is `wait`, with the `limit` of a statement for Postgres.
    pub fn new(pool: AnyPool, wait: Duration, limit: Option<Duration>) -> Self {
        Self { pool, wait, limit }
    }

    /// Whether they lead to Postgres.
    pub fn are_postgres(&self) -> bool {
        self.limit.is_some()
    }

    /// How long anybody waits for one of them.
    pub fn wait(&self) -> Duration {
        self.wait
    }

    /// The most of them.
    pub fn most(&self) -> u32 {
        self.pool.options().get_max_connections()
    }

    /// Begins a transaction, which is rolled back unless it is committed.
    pub async fn begin(&self) -> sqlx::Result<Transaction> {
        self.begin_by("BEGIN").await
    }

    /// Begins a transaction whose statements may take long.
    pub async fn begin_long(&self) -> sqlx::Result<Transaction> {
        let Some(limit) = self.limit else { return self.begin().await };
        let mut transaction = self.begin_by(BEGIN_LONG).await?;
        transaction.limit = Some(limit * LONG);
        Ok(transaction)
    }

    async fn begin_by(&self, statement: &'static str) -> sqlx::Result<Transaction> {
        let mut lease = self.lease().await?;
        lease.in_transaction = true;
        lease.run(statement).await?;
        Ok(Transaction(lease))
    }

    /// Closes every connection, after those that hold one.
    pub async fn close(&self) {
        self.pool.close().await;
    }

    async fn lease(&self) -> sqlx::Result<Lease> {
        let connection = self.pool.acquire().await.map_err(|error| match error {
            sqlx::Error::PoolTimedOut => {
                let (size, most) = (self.pool.size(), self.most());
                let busy = size as usize - self.pool.num_idle().min(size as usize);
                timed_out(format!("no connection was free or made within {:?}: {busy} of {most} are busy", self.wait))
            }
            other => other,
        })?;
        Ok(Lease { connection: Some(connection), limit: self.limit, in_transaction: false, is_lost: false })
    }
}

impl<'c> Executor<'c> for &'c Connections {
    type Database = Any;

    /// For what streams, which is whole collections: it may take as long as it likes, as long as rows come.
    fn fetch_many<'e, 'q: 'e, E>(self, query: E) -> Rows<'e>
    where
        'c: 'e,
        E: 'q + Execute<'q, Any>,
    {
        // The rows borrow the connection, so a stream of them cannot own it: a future does, which the stream drives.
        let (send, mut receive) = mpsc::channel(1);
        let reading = async move {
            let mut transaction = self.begin_long().await?;
            transaction.limit = self.limit;
            let mut rows = (&mut *transaction).fetch_many(query).try_ready_chunks(ROWS_AT_ONCE);
            while let Some(some) = rows.try_next().await.map_err(|error| error.1)? {
                if send.send(some).await.is_err() {
                    break;
                }
            }
            Ok(())
        };
        let rows = stream::poll_fn(move |context| receive.poll_recv(context));
        let rows = rows.flat_map(|some| stream::iter(some.into_iter().map(Ok)));
        let failure = stream::once(reading).filter_map(|outcome| future::ready(outcome.err().map(Err)));
        stream::select(rows, failure).boxed()
    }

    fn fetch_all<'e, 'q: 'e, E>(self, query: E) -> BoxFuture<'e, sqlx::Result<Vec<AnyRow>>>
    where
        'c: 'e,
        E: 'q + Execute<'q, Any>,
    {
        Box::pin(async move { self.lease().await?.fetch_all(query).await })
    }

    fn fetch_optional<'e, 'q: 'e, E>(self, query: E) -> BoxFuture<'e, sqlx::Result<Option<AnyRow>>>
    where
        'c: 'e,
        E: 'q + Execute<'q, Any>,
    {
        Box::pin(async move { self.lease().await?.fetch_optional(query).await })
    }

    fn execute<'e, 'q: 'e, E>(self, query: E) -> BoxFuture<'e, sqlx::Result<AnyQueryResult>>
    where
        'c: 'e,
        E: 'q + Execute<'q, Any>,
    {
        Box::pin(async move { self.lease().await?.execute(query).await })
    }

    fn prepare_with<'e>(self, sql: SqlStr, types: &'e [AnyTypeInfo]) -> BoxFuture<'e, sqlx::Result<AnyStatement>>
    where
        'c: 'e,
    {
        Box::pin(async move { self.lease().await?.prepare_with(sql, types).await })
    }
}

/// Statements that take effect together, or not at all.
#[derive(Debug)]
pub struct Transaction(Lease);

impl Transaction {
    /// Makes its changes last.
    pub async fn commit(mut self) -> sqlx::Result<()> {
        self.end("COMMIT").await
    }

    /// Forgets its changes.
    pub async fn rollback(mut self) -> sqlx::Result<()> {
        self.end("ROLLBACK").await
    }

    async fn end(&mut self, how: &'static str) -> sqlx::Result<()> {
        self.run(how).await?;
        self.in_transaction = false;
        Ok(())
    }
}

impl Deref for Transaction {
    type Target = Lease;

    fn deref(&self) -> &Lease {
        &self.0
    }
}

impl DerefMut for Transaction {
    fn deref_mut(&mut self) -> &mut Lease {
        &mut self.0
    }
}

/// One connection, for as long as it is needed.
#[derive(Debug)]
pub struct Lease {
    connection: Option<PoolConnection<Any>>,
    limit: Option<Duration>,
    in_transaction: bool,
    /// It gave no answer in time.
    is_lost: bool,
}

impl Lease {
    async fn run(&mut self, statement: &'static str) -> sqlx::Result<()> {
        self.execute(sqlx::raw_sql(statement)).await.map(drop)
    }

    fn connection(&mut self) -> &mut AnyConnection {
        self.connection.as_mut().expect("it is there until the lease is dropped")
    }

    async fn within<T>(&mut self, answer: impl AsyncFnOnce(&mut AnyConnection) -> sqlx::Result<T>) -> sqlx::Result<T> {
        let limit = self.limit;
        let answer = answer(self.connection());
        let Some(limit) = limit else { return answer.await };
        let outcome = timeout(limit, answer).await;
        outcome.unwrap_or_else(|_| {
            self.is_lost = true;
            Err(no_answer(limit))
        })
    }
}

impl<'c> Executor<'c> for &'c mut Lease {
    type Database = Any;

    fn fetch_many<'e, 'q: 'e, E>(self, query: E) -> Rows<'e>
    where
        'c: 'e,
        E: 'q + Execute<'q, Any>,
    {
        let Lease { connection, limit, is_lost, .. } = self;
        let connection: &mut AnyConnection = connection.as_mut().expect("it is there until the lease is dropped");
        let rows = connection.fetch_many(query);
        let Some(limit) = *limit else { return rows };
        // The limit is of each row: how long the others take is their reader's affair.
        let next = move |(mut rows, is_lost): (Rows<'e>, &'e mut bool)| async move {
            if *is_lost {
                return None;
            }
            let row = timeout(limit, rows.next()).await.unwrap_or_else(|_| {
                *is_lost = true;
                Some(Err(no_answer(limit)))
            });
            row.map(|row| (row, (rows, is_lost)))
        };
        stream::unfold((rows, is_lost), next).boxed()
    }

    fn fetch_all<'e, 'q: 'e, E>(self, query: E) -> BoxFuture<'e, sqlx::Result<Vec<AnyRow>>>
    where
        'c: 'e,
        E: 'q + Execute<'q, Any>,
    {
        Box::pin(self.within(async move |connection| connection.fetch_all(query).await))
    }

    fn fetch_optional<'e, 'q: 'e, E>(self, query: E) -> BoxFuture<'e, sqlx::Result<Option<AnyRow>>>
    where
        'c: 'e,
        E: 'q + Execute<'q, Any>,
    {
        Box::pin(self.within(async move |connection| connection.fetch_optional(query).await))
    }

    fn execute<'e, 'q: 'e, E>(self, query: E) -> BoxFuture<'e, sqlx::Result<AnyQueryResult>>
    where
        'c: 'e,
        E: 'q + Execute<'q, Any>,
    {
        Box::pin(self.within(async move |connection| connection.execute(query).await))
    }

    fn prepare_with<'e>(self, sql: SqlStr, types: &'e [AnyTypeInfo]) -> BoxFuture<'e, sqlx::Result<AnyStatement>>
    where
        'c: 'e,
    {
        Box::pin(self.within(async move |connection| connection.prepare_with(sql, types).await))
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        let Some(mut connection) = self.connection.take() else { return };
        if self.is_lost {
            connection.close_on_drop();
            return;
        }
        // The pool would ask a connection that comes back for a sign of life, and wait for that without end.
        let (limit, in_transaction) = (self.limit, self.in_transaction);
        task::in_background("giving a connection back", async move {
            let giving_back = async {
                if in_transaction {
                    let _ = connection.execute(sqlx::raw_sql("ROLLBACK")).await;
                }
                connection.return_to_pool().await;
            };
            let is_back = match limit {
                Some(limit) => timeout(limit, giving_back).await.is_ok(),
                None => {
                    giving_back.await;
                    true
                }
            };
            if !is_back {
                // Dropped as it is, it would be asked once more.
                connection.close_on_drop();
            }
        });
    }
}

fn no_answer(limit: Duration) -> sqlx::Error {
    timed_out(format!("the database gave no answer within {limit:?}"))
}

pub fn timed_out(text: String) -> sqlx::Error {
    sqlx::Error::Io(io::Error::new(io::ErrorKind::TimedOut, text))
}
