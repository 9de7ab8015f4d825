//! The audit log: one line for every call that changes or searches, and for every call that was refused at the door. Each line has the
//! hash of the line before, so that a change of the file shows.
//!
//! - No change without its line. The line that says what is about to change (the intent) is on the disk before the change is made, or the
//!   change is not made. What came of it (the outcome) is a second line.
//! - No answer of a search without its line.
//! - A line that cannot be written stops changes and searches until it can. What came of changes that were made by then is kept and
//!   written first.
//!
//! A thread of its own writes, so nothing of the runtime waits for a disk. Its queue has no limit of its own: whoever has a line to write
//! waits for it, so there is about one line for each call in progress.

mod line;
mod log;
mod trail;
mod verify;
mod writer;

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use crossbeam_channel::Sender;
use tokio::sync::oneshot;

use crate::domain::{FaceId, UserId};
use crate::task;

pub use line::{Head, Seal};
use log::Log;
pub use log::{AuditSettings, STANDARD};
pub use trail::{Caller, Trail};
pub use verify::{Whole, verify};
use writer::{Order, Writer};

/// Lines a second about callers who proved nothing. The rest is counted: nobody fills a disk by knocking.
const KNOCKS_A_SECOND: u32 = 10;

/// The faces and users that a call is about.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Touched {
    /// Faces.
    pub faces: Vec<FaceId>,
    /// Users.
    pub users: Vec<UserId>,
}

/// The audit log of a server.
pub struct Audit {
    orders: Sender<Order>,
    is_failing: Arc<AtomicBool>,
    knocks: Mutex<Knocks>,
}

/// Lines about callers who proved nothing, in the second that began then.
struct Knocks {
    since: Instant,
    lines: u32,
    left_out: u64,
}

impl Audit {
    /// Opens the log where it ended, and notes that the server starts. Fails when it cannot be continued.
    pub fn open(settings: &AuditSettings) -> Result<Self, String> {
        let seal = match &settings.key {
            None => Seal::plain(),
            Some(path) => Seal::read(path)?,
        };
        let log = Log::open(settings, seal)?;
        let (orders, queue) = crossbeam_channel::unbounded();
        let is_failing = Arc::new(AtomicBool::new(false));
        let writer = Writer::new(log, is_failing.clone());
        task::thread_of("audit".to_owned(), move || writer.run(&queue)).map_err(|error| error.to_string())?;
        let knocks = Mutex::new(Knocks { since: Instant::now(), lines: 0, left_out: 0 });
        Ok(Self { orders, is_failing, knocks })
    }

    /// Whether lines cannot be written at the moment.
    pub fn is_failing(&self) -> bool {
        self.is_failing.load(Ordering::Relaxed)
    }

    /// Writes what is left. Lines of later are lost, and so are refused.
    pub async fn close(&self) {
        let (done, closed) = oneshot::channel();
        if self.orders.send(Order::Close(done)).is_ok() {
            let _ = closed.await;
        }
    }

    /// Whether a line about a caller who proved nothing may be written, and how many before it were not.
    fn knock(&self) -> Option<u64> {
        let mut knocks = task::lock(&self.knocks);
        if knocks.since.elapsed() > Duration::from_secs(1) {
            (knocks.since, knocks.lines) = (Instant::now(), 0);
        }
        if knocks.lines < KNOCKS_A_SECOND {
            knocks.lines += 1;
            Some(std::mem::take(&mut knocks.left_out))
        } else {
            knocks.left_out += 1;
            None
        }
    }
}
