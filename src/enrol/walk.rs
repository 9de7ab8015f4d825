//! Many things side by side, until all are done or somebody wants the program to stop.

use std::cell::Cell;
use std::pin::pin;

use futures_util::{StreamExt, stream};
use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::client::CallError;

use super::errors::EnrolError;
use super::progress::Progress;

/// How a walk ended.
pub struct Walked {
    /// Whether somebody stopped it before its end.
    pub interrupted: bool,
    /// What ended it before its end, since the next thing would have met it as well.
    pub failure: Option<CallError>,
}

/// Handles `things`, so many at a time, and shows how far it is, in `noun`. `done` gets each outcome, and tells how many have failed by now.
/// SIGINT, SIGTERM and an error let the things in progress finish, and hand out no further ones. A second signal stops at once.
pub async fn side_by_side<'a, A, T, F>(
    things: &'a [A],
    noun: &str,
    parallel: usize,
    handle: impl Fn(&'a A) -> F,
    mut done: impl FnMut(T) -> Result<usize, EnrolError>,
) -> Result<Walked, EnrolError>
where
    F: Future<Output = Result<T, CallError>>,
{
    let mut signals = Signals::new()?;
    let mut progress = Progress::new(things.len(), noun);
    let mut walked = Walked { interrupted: false, failure: None };
    let stop = Cell::new(false);
    let handed_out = stream::iter(things).take_while(|_| std::future::ready(!stop.get()));
    let mut outcomes = pin!(handed_out.map(handle).buffer_unordered(parallel));
    loop {
        tokio::select! {
            biased;
            () = signals.next() => {
                walked.interrupted = true;
                if stop.replace(true) {
                    break;
                }
                progress.say(&format!("stopping when the {noun} in progress are done; once more stops at once"));
            }
            () = progress.tell() => {}
            outcome = outcomes.next() => match outcome {
                None => break,
                Some(Ok(outcome)) => progress.advance(done(outcome)?),
                Some(Err(error)) => {
                    stop.set(true);
                    walked.failure.get_or_insert(error);
                }
            },
        }
    }
    progress.end();
    Ok(walked)
}

/// Whoever wants the program to stop.
pub struct Signals {
    interrupt: Signal,
    terminate: Signal,
}

impl Signals {
    /// Whoever wants it from now on. The process no longer ends by itself then, for good.
    pub fn new() -> Result<Self, EnrolError> {
        let fail = |source| EnrolError::File { place: "signals".to_owned(), source };
        Ok(Self {
            interrupt: signal(SignalKind::interrupt()).map_err(fail)?,
            terminate: signal(SignalKind::terminate()).map_err(fail)?,
        })
    }

    /// Until somebody does.
    pub async fn next(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}
