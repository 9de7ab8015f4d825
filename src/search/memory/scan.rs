//! The exact scan over a gallery.
//!
//! A scan reads a byte for each number of a vector and not four, since memory is what limits it. What these bytes say is off by no more
//! than a bound that is known ([`Quantised::bound`]); every vector that the bound leaves in question is then compared in full. So the
//! answer is the one that a comparison of all vectors in 64 bits gives.

use std::cmp::{Ordering, Reverse};
use std::collections::BinaryHeap;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::thread;

use super::super::member::Member;
use super::super::question::{Neighbour, Probe, Query};
use super::gallery::{CHUNK, Chunk, Gallery};
use super::quantised::{Quantised, inner_products};
use crate::domain::cosine;

/// So many members are compared with one probe after the other: their codes stay in the processor's cache meanwhile.
const BLOCK: usize = 256;
/// With fewer members for each, further threads take longer to start than they save.
const MEMBERS_OF_A_THREAD: usize = 65_536;
/// Candidates for the nearest members before the list is gone through.
const MOST_CANDIDATES: usize = 4096;

impl<Id: Member> Gallery<Id> {
    /// The members nearest to each probe by cosine: at least `min_cosine`, best first and of equally near ones the smaller id, at most
    /// `limit`. `None` for a probe that is a member and not here. All questions share one pass over memory.
    pub fn nearest(&self, queries: &[Query<Id>]) -> Vec<Option<Vec<Neighbour<Id>>>> {
        let probes: Vec<Option<PreparedProbe<'_>>> = queries.iter().map(|query| self.prepare(query)).collect();
        let present: Vec<&PreparedProbe<'_>> = probes.iter().flatten().collect();
        let mut found = self.scan(&present).into_iter();
        let answer = |(probe, query): (Option<PreparedProbe<'_>>, &Query<Id>)| {
            let probe = probe?;
            Some(self.compare_in_full(&probe, found.next()?, query))
        };
        probes.into_iter().zip(queries).map(answer).collect()
    }

    fn prepare<'a>(&'a self, query: &'a Query<Id>) -> Option<PreparedProbe<'a>> {
        let (vector, left_out) = match &query.probe {
            Probe::Member(id) => self.slot(id).map(|slot| (self.vector(slot), Some(slot)))?,
            Probe::Embedding(embedding) => (embedding.as_slice(), None),
        };
        let mut codes = Vec::with_capacity(vector.len());
        let quantised = Quantised::of(vector, &mut codes);
        let bound = quantised.bound(self.worst()) as f32;
        let floor = query.min_cosine - bound;
        let codes = codes.into_iter().map(i16::from).collect();
        Some(PreparedProbe { vector, codes, scale: quantised.scale, left_out, bound, floor, limit: query.limit })
    }

    /// For each probe the slots whose members may be among its nearest.
    fn scan(&self, probes: &[&PreparedProbe<'_>]) -> Vec<Candidates> {
        let most = self.len().div_ceil(MEMBERS_OF_A_THREAD);
        let threads = thread::available_parallelism().map_or(1, usize::from).min(most);
        let (chunks, next) = (self.chunks(), AtomicUsize::new(0));
        let part = || {
            let mut found: Vec<Candidates> = probes.iter().map(|probe| Candidates::new(probe)).collect();
            while let Some((number, chunk)) =
                Some(next.fetch_add(1, Relaxed)).and_then(|number| Some((number, chunks.get(number)?)))
            {
                chunk.scan(number * CHUNK, self.dimensions(), probes, &mut found);
            }
            found
        };
        if threads < 2 {
            return part();
        }
        thread::scope(|scope| {
            let others: Vec<_> = (1..threads).map(|_| scope.spawn(part)).collect();
            let mut found = part();
            for other in others {
                let theirs = other.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
                found.iter_mut().zip(theirs).for_each(|(ours, theirs)| ours.merge(theirs));
            }
            found
        })
    }

    fn compare_in_full(&self, probe: &PreparedProbe<'_>, found: Candidates, query: &Query<Id>) -> Vec<Neighbour<Id>> {
        let mut nearest: Vec<(f64, Id)> = found
            .in_question()
            .map(|slot| (cosine(probe.vector, self.vector(slot)), self.id_at(slot)))
            .filter(|(cosine, _)| *cosine >= f64::from(query.min_cosine))
            .collect();
        nearest.sort_unstable_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
        nearest.truncate(query.limit);
        nearest.into_iter().map(|(cosine, id)| Neighbour { id, cosine: cosine as f32 }).collect()
    }
}

impl<Id> Chunk<Id> {
    /// Members that are gone have no scale that is a number, and so no cosine that reaches any floor.
    fn scan(&self, first: usize, dimensions: usize, probes: &[&PreparedProbe<'_>], found: &mut [Candidates]) {
        if self.live == 0 {
            return;
        }
        let mut products = [0; BLOCK];
        let blocks = self.members.codes.chunks(BLOCK * dimensions).zip(self.scales.chunks(BLOCK));
        for (number, (codes, scales)) in blocks.enumerate() {
            for (probe, candidates) in probes.iter().zip(found.iter_mut()) {
                inner_products(&probe.codes, codes, &mut products[..scales.len()]);
                for (place, (product, scale)) in products.iter().zip(scales).enumerate() {
                    let about = *product as f32 * (probe.scale * scale);
                    let slot = (first + number * BLOCK + place) as u32;
                    if about >= candidates.floor && Some(slot) != probe.left_out {
                        candidates.add(about, slot);
                    }
                }
            }
        }
    }
}

/// A question, ready to be asked of each member.
struct PreparedProbe<'a> {
    vector: &'a [f32],
    codes: Vec<i16>,
    scale: f32,
    left_out: Option<u32>,
    /// How far an approximate cosine can be off.
    bound: f32,
    /// The least approximate cosine that can be one of `min_cosine`.
    floor: f32,
    limit: usize,
}

/// The members that may be among the nearest ones to a probe.
///
/// The `limit` best approximate cosines, less the bound, are reached by as many members in truth; so a member whose approximate cosine
/// lies more than two bounds below the worst of them is not among the nearest.
struct Candidates {
    /// What is below cannot be among the nearest.
    floor: f32,
    bound: f32,
    limit: usize,
    /// The best approximate cosines so far, the worst on top.
    best: BinaryHeap<Reverse<Approximate>>,
    /// Everything that was above the floor when it came.
    all: Vec<Approximate>,
    /// With more than these it is time to see which of them are still above the floor.
    most: usize,
}

/// An approximate cosine, and whose.
#[derive(Clone, Copy, Debug)]
struct Approximate {
    cosine: f32,
    slot: u32,
}

impl Candidates {
    fn new(probe: &PreparedProbe<'_>) -> Self {
        Self {
            floor: probe.floor,
            bound: probe.bound,
            limit: probe.limit,
            best: BinaryHeap::new(),
            all: Vec::new(),
            most: MOST_CANDIDATES,
        }
    }

    fn add(&mut self, cosine: f32, slot: u32) {
        let new = Approximate { cosine, slot };
        self.all.push(new);
        self.best.push(Reverse(new));
        if self.best.len() > self.limit {
            self.best.pop();
        }
        if self.best.len() == self.limit {
            let worst = self.best.peek().map_or(f32::NEG_INFINITY, |Reverse(worst)| worst.cosine);
            self.floor = self.floor.max(worst - 2.0 * self.bound);
        }
        // What the floor has risen above is forgotten now and then; where that is little, later.
        if self.all.len() > self.most {
            self.all.retain(|candidate| candidate.cosine >= self.floor);
            self.most = 2 * self.all.len() + MOST_CANDIDATES;
        }
    }

    fn merge(&mut self, other: Self) {
        for candidate in other.all {
            if candidate.cosine >= self.floor {
                self.add(candidate.cosine, candidate.slot);
            }
        }
    }

    fn in_question(self) -> impl Iterator<Item = u32> {
        self.all.into_iter().filter(move |candidate| candidate.cosine >= self.floor).map(|candidate| candidate.slot)
    }
}

impl PartialEq for Approximate {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Approximate {}

impl PartialOrd for Approximate {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Approximate {
    fn cmp(&self, other: &Self) -> Ordering {
        self.cosine.total_cmp(&other.cosine).then(self.slot.cmp(&other.slot))
    }
}
