//! The thread that writes: everything that waits at a time in one go.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, RecvTimeoutError};
use time::OffsetDateTime;
use tokio::sync::oneshot;

use super::line::{Event, text};
use super::log::Log;

/// The most lines that are written at once.
const BATCH: usize = 256;

/// How long lines that nobody waits on a disk for may wait for it, and how often a log that fails is tried again.
const PERIOD: Duration = Duration::from_secs(1);

/// Something to write.
pub enum Order {
    /// A line.
    Line(Box<Entry>),
    /// Nothing any more.
    Close(oneshot::Sender<()>),
}

/// A line to write.
pub struct Entry {
    /// When it happened.
    pub time: OffsetDateTime,
    /// What.
    pub event: Event,
    /// What hangs on it.
    pub weight: Weight,
    /// Told whether the line is written.
    pub done: oneshot::Sender<bool>,
}

/// What hangs on a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Weight {
    /// A change that is not made before the line is on the disk.
    Change,
    /// What came of a change that may have been made: it is written when it can be, whatever becomes of who waits.
    Made,
    /// An answer, which is not given before.
    Answer,
}

/// The writer.
pub struct Writer {
    log: Log,
    is_failing: Arc<AtomicBool>,
    failure: Option<Failure>,
    /// What was written and may not be on the disk.
    has_unsynced: bool,
}

/// Since lines could not be written.
struct Failure {
    since: OffsetDateTime,
    last_try: Instant,
    unwritten: u64,
    /// What has to be written as soon as it can be.
    owed: Vec<(OffsetDateTime, Event)>,
}

impl Writer {
    /// For this log.
    pub fn new(log: Log, is_failing: Arc<AtomicBool>) -> Self {
        Self { log, is_failing, failure: None, has_unsynced: false }
    }

    /// Writes until the log is closed.
    pub fn run(mut self, queue: &Receiver<Order>) {
        let mut closing = None;
        while closing.is_none() {
            let first = match queue.recv_timeout(PERIOD) {
                Ok(order) => Some(order),
                Err(RecvTimeoutError::Timeout) => None,
                Err(RecvTimeoutError::Disconnected) => break,
            };
            let mut entries = Vec::new();
            for order in first.into_iter().chain(queue.try_iter().take(BATCH)) {
                match order {
                    Order::Line(entry) => entries.push(*entry),
                    Order::Close(done) => closing = Some(done),
                }
            }
            if entries.is_empty() {
                self.rest();
            } else {
                self.take(entries);
            }
        }
        self.rest();
        if let Some(failure) = self.failure.as_ref().filter(|failure| !failure.owed.is_empty()) {
            tracing::error!(
                lines = failure.owed.len(),
                "the audit log never took what came of changes: those lines are lost"
            );
        }
        if let Some(done) = closing {
            let _ = done.send(());
        }
    }

    fn take(&mut self, entries: Vec<Entry>) {
        self.try_again();
        let Some(entries) = self.write(entries) else { return };
        let Some(failure) = &mut self.failure else { return };
        for Entry { time, event, weight, done } in entries {
            match weight {
                Weight::Made => failure.owed.push((time, event)),
                Weight::Change | Weight::Answer => failure.unwritten += 1,
            }
            let _ = done.send(false);
        }
    }

    /// Writes lines, or returns them while the log fails.
    fn write(&mut self, entries: Vec<Entry>) -> Option<Vec<Entry>> {
        if self.failure.is_some() {
            return Some(entries);
        }
        let durably = entries.iter().any(|entry| entry.weight == Weight::Change);
        let events = entries.iter().map(|entry| (entry.time, &entry.event));
        match self.log.write(events, durably) {
            Ok(()) => {
                self.has_unsynced = !durably;
                for entry in entries {
                    let _ = entry.done.send(true);
                }
                None
            }
            Err(error) => {
                self.fail(&error);
                Some(entries)
            }
        }
    }

    fn fail(&mut self, error: &std::io::Error) {
        tracing::error!(
            %error,
            place = self.log.place(),
            "the audit log cannot be written: changes and searches are refused until it can"
        );
        self.is_failing.store(true, Ordering::Relaxed);
        let (since, last_try) = (OffsetDateTime::now_utc(), Instant::now());
        self.failure = Some(Failure { since, last_try, unwritten: 0, owed: Vec::new() });
    }

    /// Writes what is owed, if the log fails and was not just tried.
    fn try_again(&mut self) {
        let Some(failure) = self.failure.as_mut().filter(|failure| failure.last_try.elapsed() >= PERIOD) else {
            return;
        };
        failure.last_try = Instant::now();
        let resume = Event::Resume { failed_since: text(failure.since), unwritten: failure.unwritten };
        let owed = failure.owed.iter().map(|(time, event)| (*time, event));
        if self.log.write(owed.chain([(OffsetDateTime::now_utc(), &resume)]), true).is_ok() {
            tracing::info!(unwritten = failure.unwritten, "the audit log can be written again");
            self.failure = None;
            self.is_failing.store(false, Ordering::Relaxed);
        }
    }

    /// What there is to do when nobody wants anything.
    fn rest(&mut self) {
        self.try_again();
        if std::mem::take(&mut self.has_unsynced)
            && let Err(error) = self.log.sync()
        {
            self.fail(&error);
        }
    }
}
