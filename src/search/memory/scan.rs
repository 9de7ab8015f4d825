//! The exact scan over a gallery.
//!
//! Memory is what limits a scan. So it reads four bits for each number of a vector and not 32; then eight of those vectors that four do
//! not rule out, and in full what is still in question. How far off these bits can be is known ([`super::codes`]): the answer is the one
//! that a comparison of all vectors in 64 bits gives.

use std::cmp::{Ordering, Reverse};
use std::collections::BinaryHeap;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::thread;

use super::super::member::Member;
use super::super::question::{Neighbour, Probe, Query};
use super::codes::ProbeCodes;
use super::gallery::{Chunk, Gallery};
use super::kernels::{Asked, Hit, Kernel};
use super::segment::CHUNK;
use crate::domain::{Fault, cosine};

/// With fewer members for each, further threads take longer to start than they save.
const MEMBERS_OF_A_THREAD: usize = 65_536;
/// Candidates for the nearest members before the list is gone through.
const MOST_CANDIDATES: usize = 4096;

impl<Id: Member> Gallery<Id> {
    /// The members nearest to each probe by cosine: at least `min_cosine`, best first and of equally near ones the smaller id, at most
    /// `limit`. `None` for a probe that is a member and not here. All questions share one pass over memory.
    pub fn nearest(&self, queries: &[Query<Id>]) -> Result<Vec<Option<Vec<Neighbour<Id>>>>, Fault> {
        let probes: Vec<Option<PreparedProbe<'_>>> =
            queries.iter().map(|query| self.prepare(query)).collect::<Result<_, _>>()?;
        let present: Vec<&PreparedProbe<'_>> = probes.iter().flatten().collect();
        let mut found = self.scan(&present).into_iter();
        let answer = |(probe, query): (Option<PreparedProbe<'_>>, &Query<Id>)| {
            let (Some(probe), Some(found)) = (&probe, probe.as_ref().and_then(|_| found.next())) else {
                return Ok(None);
            };
            self.compare_in_full(probe, found, query).map(Some)
        };
        probes.into_iter().zip(queries).map(answer).collect()
    }

    fn prepare<'a>(&'a self, query: &'a Query<Id>) -> Result<Option<PreparedProbe<'a>>, Fault> {
        let (vector, left_out) = match &query.probe {
            Probe::Member(id) => {
                let Some(slot) = self.slot(id) else { return Ok(None) };
                (self.vector(slot)?, Some(slot))
            }
            Probe::Embedding(embedding) => (embedding.as_slice(), None),
        };
        let codes = ProbeCodes::of(vector, self.worst());
        Ok(Some(PreparedProbe { vector, codes, left_out, least: query.min_cosine, limit: query.limit }))
    }

    /// For each probe the slots whose members may be among its nearest.
    fn scan(&self, probes: &[&PreparedProbe<'_>]) -> Vec<Candidates> {
        let most = self.len().div_ceil(MEMBERS_OF_A_THREAD);
        let threads = thread::available_parallelism().map_or(1, usize::from).min(most);
        let (chunks, next) = (self.chunks(), AtomicUsize::new(0));
        let kernel = Kernel::fastest();
        let part = || {
            let mut found: Vec<Candidates> = probes.iter().map(|probe| Candidates::new(probe)).collect();
            let mut asked: Vec<Asked<'_>> = probes.iter().map(|probe| Asked::of(&probe.codes.coarse)).collect();
            while let Some((number, chunk)) =
                Some(next.fetch_add(1, Relaxed)).and_then(|number| Some((number, chunks.get(number)?)))
            {
                chunk.scan(kernel, probes, &mut asked, &found);
                for ((probe, asked), candidates) in probes.iter().zip(&asked).zip(&mut found) {
                    chunk.look_closer(number * CHUNK, self.dimensions(), probe, &asked.hits, candidates);
                }
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

    fn compare_in_full(
        &self,
        probe: &PreparedProbe<'_>,
        found: Candidates,
        query: &Query<Id>,
    ) -> Result<Vec<Neighbour<Id>>, Fault> {
        let in_full = |slot| Ok((cosine(probe.vector, self.vector(slot)?), slot));
        let mut nearest: Vec<(f64, u32)> = found.in_question().map(in_full).collect::<Result<_, Fault>>()?;
        nearest.retain(|(cosine, _)| *cosine >= f64::from(query.min_cosine));
        let mut nearest: Vec<(f64, Id)> =
            nearest.into_iter().map(|(cosine, slot)| (cosine, self.id_at(slot))).collect();
        nearest.sort_unstable_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
        nearest.truncate(query.limit);
        Ok(nearest.into_iter().map(|(cosine, id)| Neighbour { id, cosine: cosine as f32 }).collect())
    }
}

impl<Id: Member> Chunk<Id> {
    /// Finds the members that may be near enough by half of their codes. Those that are gone have no scale that is a number, and so no
    /// cosine that reaches any floor.
    fn scan(&self, kernel: Kernel, probes: &[&PreparedProbe<'_>], asked: &mut [Asked<'_>], found: &[Candidates]) {
        for ((probe, asked), candidates) in probes.iter().zip(asked.iter_mut()).zip(found) {
            asked.hits.clear();
            asked.floor = probe.codes.coarse_floor(candidates.least);
        }
        if self.live > 0 {
            kernel.reaching(self.members.coarse(), &self.scales, asked);
        }
    }

    /// Takes those of them that still may be by all of their codes.
    fn look_closer(
        &self,
        first: usize,
        dimensions: usize,
        probe: &PreparedProbe<'_>,
        hits: &[Hit],
        candidates: &mut Candidates,
    ) {
        for Hit { place, product } in hits {
            let place = *place as usize;
            let slot = (first + place) as u32;
            let fine = self.members.fine(place, dimensions);
            let about = probe.codes.cosine(*product, fine, self.scales[place]);
            if about + candidates.bound >= candidates.least && Some(slot) != probe.left_out {
                candidates.add(about, slot);
            }
        }
    }
}

/// A question, ready to be asked of each member.
struct PreparedProbe<'a> {
    vector: &'a [f32],
    codes: ProbeCodes,
    left_out: Option<u32>,
    /// The least cosine of an answer.
    least: f32,
    limit: usize,
}

/// The members that may be among the nearest ones to a probe.
///
/// The `limit` best approximate cosines, less the bound, are reached by as many members in truth; so a member that does not reach the worst
/// of these is not among the nearest.
struct Candidates {
    /// Whoever has a smaller cosine cannot be among the nearest.
    least: f32,
    /// How far an approximate cosine can be off.
    bound: f32,
    limit: usize,
    /// The best approximate cosines so far, the worst on top.
    best: BinaryHeap<Reverse<Approximate>>,
    /// Everything that might be when it came.
    all: Vec<Approximate>,
    /// With more than these it is time to see which of them still may be.
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
            least: probe.least,
            bound: probe.codes.bound,
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
            self.least = self.least.max(worst - self.bound);
        }
        // What can be no more is forgotten now and then; where that is little, later.
        if self.all.len() > self.most {
            self.all.retain(|candidate| candidate.cosine + self.bound >= self.least);
            self.most = 2 * self.all.len() + MOST_CANDIDATES;
        }
    }

    fn merge(&mut self, other: Self) {
        for candidate in other.all {
            if candidate.cosine + self.bound >= self.least {
                self.add(candidate.cosine, candidate.slot);
            }
        }
    }

    fn in_question(self) -> impl Iterator<Item = u32> {
        self.all
            .into_iter()
            .filter(move |candidate| candidate.cosine + self.bound >= self.least)
            .map(|candidate| candidate.slot)
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
