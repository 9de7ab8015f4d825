//! How far galleries are, and how many load at once.

use std::iter::Sum;
use std::ops::Add;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::Semaphore;

use crate::domain::Fault;

/// The bounds of what a caller is told to wait before it asks again.
const AGAIN_AFTER: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(60));

/// How many galleries read from the database at once, of faces and of users together.
pub struct Room {
    /// For galleries that lack many vectors.
    pub loads: Semaphore,
    /// For all others.
    pub catch_ups: Semaphore,
}

impl Room {
    /// For a store with so many connections: half of them, and a quarter for what takes long, are for others.
    pub fn beside(connections: u32) -> Arc<Self> {
        let part = |of: u32| Semaphore::new((connections / of).max(1) as usize);
        Arc::new(Self { loads: part(4), catch_ups: part(2) })
    }
}

/// How far loading one gallery is.
#[derive(Clone, Debug, Default)]
pub struct Progress {
    /// The revision that searches see.
    pub revision: i64,
    /// Whether somebody brings it up to date.
    pub at_work: bool,
    /// What is read, where all of it has to be.
    pub whole: Option<Whole>,
    /// How often that has failed.
    pub failures: u64,
    /// Why it failed last.
    pub failure: Option<Fault>,
}

/// A gallery that is read as a whole.
#[derive(Clone, Copy, Debug)]
pub struct Whole {
    /// How many of its vectors are there.
    pub loaded: usize,
    /// How many there will be, about.
    pub of: usize,
    /// Since when it loads.
    pub began: Instant,
}

/// Galleries that are being loaded, and their vectors.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Loading {
    /// How many galleries.
    pub galleries: usize,
    /// How many of their vectors are there.
    pub loaded: usize,
    /// How many there will be, about.
    pub of: usize,
}

impl Add for Loading {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self { galleries: self.galleries + other.galleries, loaded: self.loaded + other.loaded, of: self.of + other.of }
    }
}

impl Sum for Loading {
    fn sum<I: Iterator<Item = Self>>(all: I) -> Self {
        all.fold(Self::default(), Self::add)
    }
}

impl Progress {
    /// What of it is loading.
    pub fn loading(&self) -> Loading {
        match self.whole {
            Some(Whole { loaded, of, .. }) => Loading { galleries: 1, loaded, of },
            None => Loading::default(),
        }
    }

    /// What a caller hears who cannot wait any longer.
    pub fn refusal(&self) -> Fault {
        let Some(Whole { loaded, of, began }) = self.whole else {
            return Fault::Overloaded("the gallery is not up to date in time");
        };
        let rest = of.saturating_sub(loaded) as f64 / loaded.max(1) as f64;
        let again_after = began.elapsed().mul_f64(rest).clamp(AGAIN_AFTER.0, AGAIN_AFTER.1);
        Fault::Loading { loaded, of, again_after }
    }
}
