//! The lines of one call.

use std::net::SocketAddr;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};

use time::OffsetDateTime;
use tokio::sync::oneshot;

use crate::domain::{FaceId, Fault, Operation, UserId};

use super::line::{About, Event};
use super::writer::{Entry, Order, Weight};
use super::{Audit, Touched};

/// The outcome of a call whose client went away before there was an answer.
const ABANDONED: &str = "abandoned";

/// The outcome of a call that was answered.
const OK: &str = "ok";

/// Who calls.
#[derive(Clone, Debug, Default)]
pub struct Caller {
    /// The ARN, once proven.
    pub arn: Option<String>,
    /// The key, as far as it is known.
    pub access_key_id: Option<String>,
    /// The account, once proven.
    pub account: Option<String>,
}

/// What the audit log is told of one call. It gets its last line when it is dropped, at the latest.
pub struct Trail<'a> {
    /// None where nothing is audited.
    audit: Option<&'a Audit>,
    request_id: String,
    operation: Option<Operation>,
    source: Option<SocketAddr>,
    /// Set when the caller is let in.
    caller: OnceLock<Caller>,
    collection: OnceLock<String>,
    named: OnceLock<Touched>,
    found: OnceLock<Touched>,
    has_begun: AtomicBool,
    has_ended: AtomicBool,
}

impl<'a> Trail<'a> {
    /// Of a call that has just come.
    pub fn new(
        audit: Option<&'a Audit>,
        operation: Option<Operation>,
        request_id: &str,
        source: Option<SocketAddr>,
    ) -> Self {
        Self {
            audit,
            request_id: request_id.to_owned(),
            operation,
            source,
            caller: OnceLock::new(),
            collection: OnceLock::new(),
            named: OnceLock::new(),
            found: OnceLock::new(),
            has_begun: AtomicBool::new(false),
            has_ended: AtomicBool::new(false),
        }
    }

    /// Whether anybody listens.
    pub fn is_followed(&self) -> bool {
        self.audit.is_some()
    }

    /// The caller was let in.
    pub fn admitted(&self, caller: Caller) {
        let _ = self.caller.set(caller);
    }

    /// What the request names.
    pub fn names(&self, collection: Option<&str>, touched: Touched) {
        if let Some(collection) = collection {
            let _ = self.collection.set(collection.to_owned());
        }
        let _ = self.named.set(touched);
    }

    /// What the answer names, instead of what the request does.
    pub fn found(&self, touched: Touched) {
        let _ = self.found.set(touched);
    }

    /// Notes that the call is about to change what is stored: what its request names, and these faces. Fails when that cannot be noted; then
    /// nothing may be changed.
    pub async fn intend(&self, more: impl IntoIterator<Item = FaceId>) -> Result<(), Fault> {
        let Some(audit) = self.audit else { return Ok(()) };
        let mut touched = self.named.get().cloned().unwrap_or_default();
        touched.faces.extend(more);
        let caller = self.caller.get().cloned().unwrap_or_default();
        let event = Event::Intent(self.about(&caller, &touched));
        // Set first: whatever becomes of this call from here on, a second line tells.
        self.has_begun.store(true, Ordering::Relaxed);
        if written(order(audit, event, Weight::Change)).await {
            return Ok(());
        }
        self.has_begun.store(false, Ordering::Relaxed);
        Err(unwritten())
    }

    /// Notes what came of the call: `Err` has the error's name. `is_at_the_door` says that it was refused because of who sent it, and
    /// `claimed_key` as whom. Fails when an answer may not be given because it cannot be noted.
    pub async fn end(
        &self,
        outcome: Result<(), &'static str>,
        is_at_the_door: bool,
        claimed_key: Option<String>,
    ) -> Result<(), Fault> {
        let Some(audit) = self.audit else { return Ok(()) };
        if !self.is_audited() && !is_at_the_door {
            return Ok(());
        }
        let is_answer = outcome.is_ok();
        let done = self.order_outcome(audit, outcome.err().unwrap_or(OK), claimed_key);
        self.has_ended.store(true, Ordering::Relaxed);
        let Some(done) = done else { return Ok(()) };
        // A change that was made is told to its client: the intent stands in the log, and its outcome will.
        if written(done).await || !is_answer || self.has_begun.load(Ordering::Relaxed) {
            Ok(())
        } else {
            Err(unwritten())
        }
    }

    /// Whether the log tells of such calls. Of others it tells when they are refused at the door.
    fn is_audited(&self) -> bool {
        self.operation.is_some_and(|operation| operation.is_change() || operation.is_search())
    }

    fn order_outcome(
        &self,
        audit: &Audit,
        outcome: &'static str,
        claimed_key: Option<String>,
    ) -> Option<oneshot::Receiver<bool>> {
        let nobody = Caller { access_key_id: claimed_key, ..Caller::default() };
        let caller = self.caller.get();
        let left_out = if caller.is_some() { 0 } else { audit.knock()? };
        let nothing = Touched::default();
        let named = self.named.get().unwrap_or(&nothing);
        let touched = self.found.get().filter(|_| outcome == OK).unwrap_or(named);
        let about = self.about(caller.unwrap_or(&nobody), touched);
        let weight = if self.has_begun.load(Ordering::Relaxed) { Weight::Made } else { Weight::Answer };
        Some(order(audit, Event::Outcome { about, outcome, left_out }, weight))
    }

    fn about(&self, caller: &Caller, touched: &Touched) -> About {
        let Caller { arn, access_key_id, account } = caller.clone();
        About {
            request_id: self.request_id.clone(),
            operation: self.operation.map(Operation::name),
            caller: arn,
            access_key_id,
            account,
            source: self.source.map(|source| source.to_string()),
            collection: self.collection.get().cloned(),
            faces: touched.faces.iter().map(FaceId::to_string).collect(),
            users: touched.users.iter().map(UserId::to_string).collect(),
        }
    }
}

impl Drop for Trail<'_> {
    fn drop(&mut self) {
        let Some(audit) = self.audit.filter(|_| !self.has_ended.load(Ordering::Relaxed)) else { return };
        if self.is_audited() && self.caller.get().is_some() {
            drop(self.order_outcome(audit, ABANDONED, None));
        }
    }
}

fn order(audit: &Audit, event: Event, weight: Weight) -> oneshot::Receiver<bool> {
    let (done, written) = oneshot::channel();
    // Where the writer is gone, so is the other end of `done`, which says it.
    let _ = audit.orders.send(Order::Line(Box::new(Entry { time: OffsetDateTime::now_utc(), event, weight, done })));
    written
}

async fn written(done: oneshot::Receiver<bool>) -> bool {
    done.await.unwrap_or(false)
}

fn unwritten() -> Fault {
    Fault::internal("writing the audit log")("the line cannot be written")
}
