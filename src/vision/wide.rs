//! Nets on several cores at once, for the photo that comes alone.
//!
//! A worker has a core, and its nets one thread each. While it is the only one with a photo, the other cores stand idle. So the two nets that
//! take most of the time are there once more with several threads, for a worker that finds the others idle. These need not do anything for
//! that: to wake them would take the cores that they lend. The outcome is the same to the last bit, because threads share out the numbers of
//! a layer and never the terms of one number.

use std::error::Error;
use std::ops::{Deref, DerefMut};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, TryLockError};

use ort::session::Session;

/// A net on more cores hardly gets faster.
const MOST: usize = 4;

/// The cores of some workers.
#[derive(Clone)]
pub struct Cores {
    busy: Arc<AtomicUsize>,
    workers: usize,
}

impl Cores {
    /// Of so many workers, which have nothing to do yet.
    pub fn of(workers: usize) -> Self {
        Self { busy: Arc::default(), workers }
    }

    /// How many a net takes, that of the worker that runs it among them.
    pub fn together(&self) -> usize {
        self.workers.min(MOST)
    }

    /// A worker does this.
    pub fn busy_with(&self, work: impl FnOnce()) {
        self.busy.fetch_add(1, Ordering::Relaxed);
        work();
        self.busy.fetch_sub(1, Ordering::Relaxed);
    }

    /// Whether a busy worker finds enough others with nothing to do.
    fn are_free(&self) -> bool {
        self.busy.load(Ordering::Relaxed) + self.together() <= self.workers + 1
    }
}

/// A net on several cores, which all workers share.
pub struct WideNet {
    role: &'static str,
    cores: Cores,
    make: Box<Make>,
    /// Made when it is first of use: it takes memory. Nothing if that failed.
    session: OnceLock<Option<Mutex<Session>>>,
}

type Make = dyn Fn() -> Result<Session, Box<dyn Error + Send + Sync>> + Send + Sync;

impl WideNet {
    /// On the cores of these workers. `make` makes a session for as many threads as [`Cores::together`] says.
    pub fn new(
        role: &'static str,
        cores: Cores,
        make: impl Fn() -> Result<Session, Box<dyn Error + Send + Sync>> + Send + Sync + 'static,
    ) -> Self {
        Self { role, cores, make: Box::new(make), session: OnceLock::new() }
    }

    /// Its session, if the cores are free for it and nobody else has it.
    fn lease(&self) -> Option<MutexGuard<'_, Session>> {
        if !self.cores.are_free() {
            return None;
        }
        // The first photo waits for it. Beside the photo it could still be under way when the process ends, which ONNX Runtime does not bear.
        match self.session.get_or_init(|| self.made()).as_ref()?.try_lock() {
            Ok(session) => Some(session),
            // A session holds no state between runs.
            Err(TryLockError::Poisoned(poisoned)) => Some(poisoned.into_inner()),
            Err(TryLockError::WouldBlock) => None,
        }
    }

    fn made(&self) -> Option<Mutex<Session>> {
        match (self.make)() {
            Ok(session) => {
                let cores = self.cores.together();
                tracing::info!(net = self.role, cores, "a photo that comes alone gets several cores");
                Some(Mutex::new(session))
            }
            Err(error) => {
                tracing::warn!(net = self.role, %error, "a photo that comes alone gets one core: the net cannot be loaded once more");
                None
            }
        }
    }
}

/// A net as one worker has it.
pub struct Net {
    own: Session,
    wide: Option<Arc<WideNet>>,
}

impl Net {
    /// On one core.
    pub fn new(own: Session) -> Self {
        Self { own, wide: None }
    }

    /// And from now on on several, where they are free.
    pub fn widen(&mut self, wide: Arc<WideNet>) {
        self.wide = Some(wide);
    }

    /// The worker's own session.
    pub fn own(&mut self) -> Running<'_> {
        Running::Own(&mut self.own)
    }

    /// The session on several cores while they are free, or else the worker's own.
    pub fn widest(&mut self) -> Running<'_> {
        match self.wide.as_ref().and_then(|wide| wide.lease()) {
            Some(session) => Running::Wide(session),
            None => Running::Own(&mut self.own),
        }
    }
}

/// A session for a run.
pub enum Running<'a> {
    /// Of the worker itself.
    Own(&'a mut Session),
    /// On several cores, for one worker at a time.
    Wide(MutexGuard<'a, Session>),
}

impl Deref for Running<'_> {
    type Target = Session;

    fn deref(&self) -> &Session {
        match self {
            Self::Own(session) => session,
            Self::Wide(session) => session,
        }
    }
}

impl DerefMut for Running<'_> {
    fn deref_mut(&mut self) -> &mut Session {
        match self {
            Self::Own(session) => session,
            Self::Wide(session) => session,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cores_are_free_while_enough_workers_have_nothing_to_do() {
        let busy = |workers, number| {
            let cores = Cores::of(workers);
            let mut free = false;
            nested(&cores, number, &mut free);
            assert_eq!(cores.busy.load(Ordering::Relaxed), 0);
            free
        };
        fn nested(cores: &Cores, number: usize, free: &mut bool) {
            match number {
                0 => *free = cores.are_free(),
                _ => cores.busy_with(|| nested(cores, number - 1, free)),
            }
        }
        assert!(busy(2, 1) && !busy(2, 2));
        assert!(busy(3, 1) && !busy(3, 2));
        assert!(busy(8, 5) && !busy(8, 6));
        assert_eq!([1, 2, 4, 100].map(|workers| Cores::of(workers).together()), [1, 2, 4, MOST]);
    }

    #[test]
    fn a_net_that_cannot_be_made_is_asked_for_once() {
        let asked = Arc::new(AtomicUsize::new(0));
        let counting = asked.clone();
        let make = move || {
            counting.fetch_add(1, Ordering::Relaxed);
            Err("a failure that this test wants".into())
        };
        let net = WideNet::new("test", Cores::of(2), make);
        assert!(net.lease().is_none() && net.lease().is_none());
        assert_eq!(asked.load(Ordering::Relaxed), 1);
    }
}
