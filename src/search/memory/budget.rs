//! How much memory all galleries of a server may take together, and who goes when it is used up.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use crate::task::lock;

/// The memory of a server's galleries, those of faces and those of users.
pub struct Budget {
    /// In bytes; without it, galleries take what they need.
    limit: Option<usize>,
    holders: Mutex<Holders>,
}

#[derive(Default)]
struct Holders {
    used: usize,
    /// Counts searches, for their order.
    clock: u64,
    by_number: HashMap<u64, Holder>,
    last_number: u64,
}

struct Holder {
    bytes: usize,
    searched: u64,
    is_loading: bool,
    evict: Arc<dyn Fn() + Send + Sync>,
}

/// The share of one gallery. Dropped, it is given back.
pub struct Share {
    budget: Arc<Budget>,
    number: u64,
}

/// There is no room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Full {
    /// Nor will there ever be: the limit.
    Always(usize),
    /// Until other galleries have been loaded.
    Now,
}

impl Budget {
    /// One of so many bytes, if there is a limit.
    pub fn new(limit: Option<usize>) -> Arc<Self> {
        Arc::new(Self { limit, holders: Mutex::default() })
    }

    /// A share of nothing yet; `evict` makes its gallery go.
    pub fn share(self: &Arc<Self>, evict: impl Fn() + Send + Sync + 'static) -> Share {
        let mut holders = lock(&self.holders);
        holders.last_number += 1;
        let number = holders.last_number;
        let searched = holders.tick();
        holders.by_number.insert(number, Holder { bytes: 0, searched, is_loading: false, evict: Arc::new(evict) });
        Share { budget: self.clone(), number }
    }
}

impl Holders {
    fn tick(&mut self) -> u64 {
        self.clock += 1;
        self.clock
    }

    fn remove(&mut self, number: u64) -> Option<Holder> {
        let holder = self.by_number.remove(&number)?;
        self.used -= holder.bytes;
        Some(holder)
    }

    /// Whose gallery was searched longest ago, of those that are there and not `own`.
    fn oldest(&self, own: u64) -> Option<u64> {
        let there =
            self.by_number.iter().filter(|(number, holder)| **number != own && !holder.is_loading && holder.bytes > 0);
        there.min_by_key(|(_, holder)| holder.searched).map(|(number, _)| *number)
    }
}

impl Share {
    /// Notes that the gallery is searched.
    pub fn touch(&self) {
        if self.budget.limit.is_none() {
            return;
        }
        let mut holders = lock(&self.budget.holders);
        let searched = holders.tick();
        if let Some(holder) = holders.by_number.get_mut(&self.number) {
            holder.searched = searched;
        }
    }

    /// Makes it a share of so many bytes, for which other galleries go if need be: those first that were searched longest ago, and none
    /// that is loading. `is_loading`: whether this one is, from now on.
    pub fn resize(&self, bytes: usize, is_loading: bool) -> Result<(), Full> {
        let Some(limit) = self.budget.limit else { return Ok(()) };
        if bytes > limit {
            return Err(Full::Always(limit));
        }
        let mut gone = Vec::new();
        {
            let mut holders = lock(&self.budget.holders);
            let others_that_stay = |holders: &Holders| {
                let stay = |(number, holder): (&u64, &Holder)| {
                    (*number != self.number && holder.is_loading).then_some(holder.bytes)
                };
                holders.by_number.iter().filter_map(stay).sum::<usize>()
            };
            if others_that_stay(&holders) + bytes > limit {
                return Err(Full::Now);
            }
            // What it had is free now.
            let Some(own) = holders.by_number.get_mut(&self.number) else { return Err(Full::Now) };
            let before = std::mem::take(&mut own.bytes);
            holders.used -= before;
            while holders.used + bytes > limit {
                let oldest = holders.oldest(self.number).and_then(|oldest| holders.remove(oldest));
                gone.push(oldest.expect("without those that may go there is room").evict);
            }
            holders.used += bytes;
            let own = holders.by_number.get_mut(&self.number).expect("it was there");
            (own.bytes, own.is_loading) = (bytes, is_loading);
        }
        // Outside of the lock: a gallery that goes gives back its share.
        gone.iter().for_each(|evict| evict());
        Ok(())
    }

    /// Notes that the gallery does not load any more; what it did not need is free again. `bytes`, which takes a walk through the gallery to
    /// tell, is asked only where there is a limit.
    pub fn settle(&self, bytes: impl FnOnce() -> usize) {
        if self.budget.limit.is_none() {
            return;
        }
        let bytes = bytes();
        let mut holders = lock(&self.budget.holders);
        let Some(own) = holders.by_number.get_mut(&self.number) else { return };
        let before = std::mem::replace(&mut own.bytes, bytes);
        own.is_loading = false;
        holders.used = holders.used - before + bytes;
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        let holder = lock(&self.budget.holders).remove(self.number);
        // Outside of the lock, like its gallery.
        drop(holder);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_was_searched_longest_ago_goes_and_nobody_who_loads() {
        let budget = Budget::new(Some(100));
        let gone = Arc::new(Mutex::new(Vec::new()));
        let share = |name: &'static str| {
            let gone = gone.clone();
            budget.share(move || lock(&gone).push(name))
        };
        let (a, b, c) = (share("a"), share("b"), share("c"));
        assert_eq!(a.resize(40, false), Ok(()));
        assert_eq!(b.resize(40, true), Ok(()));
        a.touch();
        assert_eq!(c.resize(200, false), Err(Full::Always(100)));
        assert_eq!(c.resize(50, false), Ok(()));
        assert_eq!(*lock(&gone), ["a"]);
        assert_eq!(a.resize(1, false), Err(Full::Now));
        let d = share("d");
        assert_eq!(d.resize(70, false), Err(Full::Now));
        assert_eq!(*lock(&gone), ["a"]);
        b.settle(|| 30);
        c.touch();
        assert_eq!(d.resize(50, false), Ok(()));
        assert_eq!(*lock(&gone), ["a", "b"]);
        drop(d);
        assert_eq!(share("e").resize(70, false), Ok(()));
    }
}
