//! Work that outlives whoever asked for it. Nothing else in this program starts a task or a thread.
//!
//! A future runs only while somebody polls it. When a client goes away, its request is dropped at whatever it was waiting for. Most of a
//! request may end like that. What may not (a change of the store, a scan that others wait for, a gallery that loads) runs here:
//!
//! - It keeps the permit of the request that asked for it ([`answering`]), so `--max-requests` bounds it too. Work of the server itself
//!   holds no such permit, and its room bounds it: galleries that load, connections that are given back.
//! - A panic in it becomes a [`Fault`] and a line in the log. So does its failure when nobody waits for it any more.
//! - [`end`] tells it that the server stops, and waits for it. How long that may take is the caller's affair.
//!
//! The runtime is the process's, and so is what counts its tasks: there is one server in a process.

use std::panic::AssertUnwindSafe;
use std::sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use std::{io, thread};

use futures_util::FutureExt;
use tokio::runtime::Handle;
use tokio::sync::{OwnedSemaphorePermit, oneshot};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::domain::Fault;

static RUNNING: LazyLock<TaskTracker> = LazyLock::new(TaskTracker::new);
static ENDING: LazyLock<CancellationToken> = LazyLock::new(CancellationToken::new);

type Share = Option<Arc<OwnedSemaphorePermit>>;

tokio::task_local! {
    /// The permit of the request that this task works for.
    static SHARE: Share;
}

/// Answers a request that has this permit. The permit is free again when the answer is there or dropped, and everything that it started
/// here has ended.
pub async fn answering<T>(permit: OwnedSemaphorePermit, answer: impl Future<Output = T>) -> T {
    SHARE.scope(Some(Arc::new(permit)), answer).await
}

fn share() -> Share {
    SHARE.try_with(Clone::clone).unwrap_or_default()
}

/// Runs `work` to its end, whatever becomes of the caller. `context`, for the log, says what it does. A panic is [`Fault::Internal`].
pub async fn to_the_end<T: Send + 'static>(
    context: &'static str,
    work: impl Future<Output = Result<T, Fault>> + Send + 'static,
) -> Result<T, Fault> {
    let (reply, outcome) = oneshot::channel();
    let working = SHARE.scope(share(), async move {
        let outcome = AssertUnwindSafe(work).catch_unwind().await.unwrap_or_else(|_| Err(panicked(context)));
        if let Err(Err(fault)) = reply.send(outcome) {
            tracing::warn!(context, error = %fault, "work whose caller had gone failed");
        }
    });
    RUNNING.spawn(working);
    outcome.await.map_err(Fault::internal(context))?
}

/// Runs `work` that nobody waits for, on behalf of the server and not of a request. Its outcome is its own affair; it is to stop soon
/// after [`ending`].
pub fn in_background(context: &'static str, work: impl Future<Output = ()> + Send + 'static) {
    RUNNING.spawn(async move {
        if AssertUnwindSafe(work).catch_unwind().await.is_err() {
            panicked(context);
        }
    });
}

/// Runs `work` that computes or waits for files, on a thread for such work; it ends whatever becomes of the caller.
pub async fn on_a_thread<T: Send + 'static>(
    context: &'static str,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, Fault> {
    let share = share();
    let working = RUNNING.spawn_blocking(move || {
        let outcome = std::panic::catch_unwind(AssertUnwindSafe(work)).map_err(|_| panicked(context));
        drop(share);
        outcome
    });
    working.await.map_err(Fault::internal(context))?
}

/// Runs `work` that computes for milliseconds where it is called. Other tasks of this thread go elsewhere meanwhile.
pub fn in_place<T>(work: impl FnOnce() -> T) -> T {
    tokio::task::block_in_place(work)
}

/// Drops what takes long to drop, such as a gallery, on a thread for such work.
pub fn dispose(thing: impl Send + 'static) {
    // Without a runtime there is nobody to keep waiting.
    if Handle::try_current().is_ok() {
        drop(RUNNING.spawn_blocking(move || drop(thing)));
    }
}

/// Starts a thread that lives as long as its work, which no runtime knows of.
pub fn thread_of(name: String, work: impl FnOnce() + Send + 'static) -> io::Result<()> {
    thread::Builder::new().name(name).spawn(work).map(drop)
}

/// Returns when the server stops.
pub async fn ending() {
    ENDING.cancelled().await;
}

/// Does `work` at once, and again so long after each time, until the server stops. What is under way then is dropped.
pub async fn now_and_then<Work: Future<Output = ()>>(every: Duration, mut work: impl FnMut() -> Work) {
    loop {
        let once = async {
            work().await;
            tokio::time::sleep(every).await;
        };
        tokio::select! {
            biased;
            () = ending() => return,
            () = once => {}
        }
    }
}

/// Tells all work that the server stops, and waits until it has ended.
pub async fn end() {
    ENDING.cancel();
    RUNNING.close();
    RUNNING.wait().await;
}

/// Locks for a moment. Whoever panicked with the lock is told of above, and what it protects is whole between two statements.
pub fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn panicked(context: &'static str) -> Fault {
    tracing::error!(context, "a panic: this is a bug");
    Fault::internal(context)("a panic")
}
