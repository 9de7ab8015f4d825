//! One collection's vectors, and the exact scan over them.
//!
//! A scan reads a byte for each number of a vector and not four, since memory is what limits it. What these bytes say is off by no more
//! than a bound that is known ([`Quantised::error`]); every vector that the bound leaves in question is then compared in full. So the
//! answer is the one that a comparison of all vectors in 64 bits gives.

use std::cmp::{Ordering, Reverse};
use std::collections::BinaryHeap;
use std::fmt::Debug;
use std::hash::{BuildHasher, Hash, RandomState};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::thread;

use hashbrown::HashTable;
use multiversion::multiversion;

use crate::domain::{Fault, cosine};

/// Members side by side in one allocation: memory grows by so many at a time, and a scan hands them out to its threads.
const SEGMENT: usize = 65_536;
/// So many members are compared with one probe after the other: their codes stay in the processor's cache meanwhile.
const BLOCK: usize = 256;
/// 32-bit arithmetic on the approximate cosines rounds by less than this.
const ROUNDING: f64 = 1e-5;

/// Candidates for the nearest members before the list is gone through.
const MOST_CANDIDATES: usize = 4096;

/// What a search starts from.
#[derive(Clone, Debug)]
pub enum Probe<Id> {
    /// A member of the gallery.
    Member(Id),
    /// A vector of unit length.
    Embedding(Vec<f32>),
}

/// A question to a gallery.
#[derive(Clone, Debug)]
pub struct Query<Id> {
    /// What it starts from; a member is left out of its own answer.
    pub probe: Probe<Id>,
    /// The least cosine of an answer.
    pub min_cosine: f32,
    /// The most answers.
    pub limit: usize,
}

/// A member of a gallery and how near it is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Neighbour<Id> {
    /// The member found.
    pub id: Id,
    /// The cosine of the two vectors, -1 to 1.
    pub cosine: f32,
}

/// The vectors of a collection's faces, or of its users: all of one length.
#[derive(Debug)]
pub struct Gallery<Id> {
    /// The collection's revision that this is an image of.
    pub revision: i64,
    /// All but the last are full.
    segments: Vec<Segment<Id>>,
    /// Where each member is, counted through all segments.
    slots: HashTable<u32>,
    hasher: RandomState,
    dimensions: usize,
    /// At least as large as that of any vector that was ever here.
    worst: Quantised,
}

/// Members side by side.
#[derive(Debug)]
struct Segment<Id> {
    ids: Vec<Id>,
    vectors: Vec<f32>,
    codes: Vec<i8>,
    scales: Vec<f32>,
}

/// How well a vector is kept in bytes: number i of it is about code i times the scale.
#[derive(Clone, Copy, Debug, Default)]
struct Quantised {
    scale: f32,
    /// The length of the difference between the vector and what its codes say.
    error: f64,
    /// The length of the vector.
    norm: f64,
}

impl Quantised {
    /// Appends the codes of a vector.
    fn of(vector: &[f32], codes: &mut Vec<i8>) -> Self {
        let largest = vector.iter().fold(0.0f32, |largest, value| largest.max(value.abs()));
        let scale = if largest > 0.0 { largest / 127.0 } else { 1.0 };
        let (mut error, mut norm) = (0.0, 0.0);
        for value in vector {
            let code = (value / scale).round().clamp(-127.0, 127.0);
            codes.push(code as i8);
            error += (f64::from(*value) - f64::from(code) * f64::from(scale)).powi(2);
            norm += f64::from(*value).powi(2);
        }
        Self { scale, error: error.sqrt(), norm: norm.sqrt() }
    }

    /// How far the cosine of the codes can be from that of the vectors: |q v - q'v'| = |q (v - v') + (q - q') v'|, and the Cauchy-Schwarz
    /// inequality for either product.
    fn bound(&self, other: &Self) -> f64 {
        self.norm * other.error + self.error * (other.norm + other.error) + ROUNDING
    }

    fn worse_of(&self, other: &Self) -> Self {
        Self { scale: 0.0, error: self.error.max(other.error), norm: self.norm.max(other.norm) }
    }
}

impl<Id> Default for Gallery<Id> {
    fn default() -> Self {
        Self {
            revision: 0,
            segments: Vec::new(),
            slots: HashTable::new(),
            hasher: RandomState::new(),
            dimensions: 0,
            worst: Quantised::default(),
        }
    }
}

impl<Id: Copy + Eq + Hash + Ord + Debug + Send + Sync> Gallery<Id> {
    /// How many members it has.
    pub fn len(&self) -> usize {
        self.segments.last().map_or(0, |last| (self.segments.len() - 1) * SEGMENT + last.ids.len())
    }

    /// What they take in memory.
    pub fn bytes(&self) -> usize {
        let segment = |segment: &Segment<Id>| {
            segment.ids.capacity() * size_of::<Id>()
                + segment.vectors.capacity() * size_of::<f32>()
                + segment.codes.capacity()
                + segment.scales.capacity() * size_of::<f32>()
        };
        self.segments.iter().map(segment).sum::<usize>() + self.slots.allocation_size()
    }

    /// Adds a member, or gives one that is there this vector.
    pub fn insert(&mut self, id: Id, embedding: &[f32]) -> Result<(), Fault> {
        if self.len() > 0 && embedding.len() != self.dimensions || embedding.is_empty() {
            return Err(Fault::Internal {
                context: "loading a vector",
                source: format!("{id:?} has {} dimensions", embedding.len()).into(),
            });
        }
        self.dimensions = embedding.len();
        if let Some(slot) = self.slot(&id) {
            let (segment, start) = (&mut self.segments[slot / SEGMENT], slot % SEGMENT * embedding.len());
            let mut codes = Vec::with_capacity(embedding.len());
            let quantised = Quantised::of(embedding, &mut codes);
            segment.vectors[start..start + embedding.len()].copy_from_slice(embedding);
            segment.codes[start..start + embedding.len()].copy_from_slice(&codes);
            segment.scales[slot % SEGMENT] = quantised.scale;
            self.worst = self.worst.worse_of(&quantised);
            return Ok(());
        }
        let slot = self.len();
        if slot.is_multiple_of(SEGMENT) {
            self.segments.push(Segment::new());
        }
        let segment = &mut self.segments[slot / SEGMENT];
        if segment.ids.is_empty() && slot > 0 {
            segment.reserve(embedding.len());
        }
        segment.ids.push(id);
        segment.vectors.extend_from_slice(embedding);
        let quantised = Quantised::of(embedding, &mut segment.codes);
        segment.scales.push(quantised.scale);
        self.worst = self.worst.worse_of(&quantised);
        let (segments, hasher) = (&self.segments, &self.hasher);
        let hash_of = |slot: &u32| hasher.hash_one(id_at(segments, *slot));
        self.slots.insert_unique(hasher.hash_one(id), slot as u32, hash_of);
        Ok(())
    }

    /// Removes a member, if it is there.
    pub fn remove(&mut self, id: &Id) {
        let (segments, hasher) = (&self.segments, &self.hasher);
        let Ok(entry) = self.slots.find_entry(hasher.hash_one(id), |slot| id_at(segments, *slot) == *id) else {
            return;
        };
        let slot = entry.remove().0 as usize;
        // The last member moves into the gap.
        let last = self.len() - 1;
        let moved = id_at(segments, last as u32);
        if slot != last {
            let found = self.slots.find_mut(hasher.hash_one(moved), |slot| *slot as usize == last);
            *found.expect("every member has a slot") = slot as u32;
        }
        let member = self.segments[last / SEGMENT].pop(self.dimensions);
        if slot != last {
            self.segments[slot / SEGMENT].replace(slot % SEGMENT, member);
        }
        if self.segments[last / SEGMENT].ids.is_empty() {
            self.segments.pop();
        }
    }

    /// The vector of a member.
    pub fn vector_of(&self, id: &Id) -> Option<&[f32]> {
        self.slot(id).map(|slot| self.vector(slot))
    }

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
            Probe::Member(id) => self.slot(id).map(|slot| (self.vector(slot), Some(slot as u32)))?,
            Probe::Embedding(embedding) => (embedding.as_slice(), None),
        };
        let mut codes = Vec::with_capacity(vector.len());
        let quantised = Quantised::of(vector, &mut codes);
        let bound = quantised.bound(&self.worst) as f32;
        let floor = query.min_cosine - bound;
        let codes = codes.into_iter().map(i16::from).collect();
        Some(PreparedProbe { vector, codes, scale: quantised.scale, left_out, bound, floor, limit: query.limit })
    }

    /// For each probe the slots whose members may be among its nearest.
    fn scan(&self, probes: &[&PreparedProbe<'_>]) -> Vec<Candidates> {
        let threads = thread::available_parallelism().map_or(1, usize::from).min(self.segments.len());
        let next = AtomicUsize::new(0);
        let part = || {
            let mut found: Vec<Candidates> = probes.iter().map(|probe| Candidates::new(probe)).collect();
            while let Some((number, segment)) =
                Some(next.fetch_add(1, Relaxed)).and_then(|n| Some((n, self.segments.get(n)?)))
            {
                segment.scan(number * SEGMENT, self.dimensions, probes, &mut found);
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
            .map(|slot| (cosine(probe.vector, self.vector(slot as usize)), id_at(&self.segments, slot)))
            .filter(|(cosine, _)| *cosine >= f64::from(query.min_cosine))
            .collect();
        nearest.sort_unstable_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
        nearest.truncate(query.limit);
        nearest.into_iter().map(|(cosine, id)| Neighbour { id, cosine: cosine as f32 }).collect()
    }

    fn slot(&self, id: &Id) -> Option<usize> {
        let found = self.slots.find(self.hasher.hash_one(id), |slot| id_at(&self.segments, *slot) == *id);
        found.map(|slot| *slot as usize)
    }

    fn vector(&self, slot: usize) -> &[f32] {
        let start = slot % SEGMENT * self.dimensions;
        &self.segments[slot / SEGMENT].vectors[start..start + self.dimensions]
    }
}

fn id_at<Id: Copy>(segments: &[Segment<Id>], slot: u32) -> Id {
    segments[slot as usize / SEGMENT].ids[slot as usize % SEGMENT]
}

/// The inner products of a probe's codes with those of each member. The compiler makes a version for each kind of processor, and the running one's
/// is taken: 7 ms for a million of 192 numbers on one core (memory alone takes as long), where simsimd's calls, one a member, take 15.
#[multiversion(targets("x86_64+avx512f+avx512bw+avx512vl", "x86_64+avx2", "aarch64+neon"))]
fn inner_products(probe: &[i16], codes: &[i8], products: &mut [i32]) {
    for (product, codes) in products.iter_mut().zip(codes.chunks_exact(probe.len())) {
        *product = codes.iter().zip(probe).map(|(code, own)| i32::from(i16::from(*code)) * i32::from(*own)).sum();
    }
}

/// What a segment holds of one member.
struct Moved<Id> {
    id: Id,
    vector: Vec<f32>,
    codes: Vec<i8>,
    scale: f32,
}

impl<Id: Copy> Segment<Id> {
    fn new() -> Self {
        Self { ids: Vec::new(), vectors: Vec::new(), codes: Vec::new(), scales: Vec::new() }
    }

    /// Takes the room of a whole segment at once: a gallery that fills one will likely fill the next.
    fn reserve(&mut self, dimensions: usize) {
        self.ids.reserve_exact(SEGMENT);
        self.vectors.reserve_exact(SEGMENT * dimensions);
        self.codes.reserve_exact(SEGMENT * dimensions);
        self.scales.reserve_exact(SEGMENT);
    }

    fn pop(&mut self, dimensions: usize) -> Moved<Id> {
        let place = self.ids.len() - 1;
        Moved {
            id: self.ids.remove(place),
            vector: self.vectors.split_off(place * dimensions),
            codes: self.codes.split_off(place * dimensions),
            scale: self.scales.remove(place),
        }
    }

    fn replace(&mut self, place: usize, member: Moved<Id>) {
        let range = place * member.vector.len()..(place + 1) * member.vector.len();
        self.ids[place] = member.id;
        self.vectors[range.clone()].copy_from_slice(&member.vector);
        self.codes[range].copy_from_slice(&member.codes);
        self.scales[place] = member.scale;
    }

    fn scan(&self, first: usize, dimensions: usize, probes: &[&PreparedProbe<'_>], found: &mut [Candidates]) {
        let mut products = [0; BLOCK];
        let blocks = self.codes.chunks(BLOCK * dimensions).zip(self.scales.chunks(BLOCK));
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::FaceId;

    fn id(n: u32) -> FaceId {
        let mut bytes = [0; 16];
        bytes[12..].copy_from_slice(&n.to_be_bytes());
        FaceId::from_bytes(bytes)
    }

    fn gallery<const N: usize>(faces: &[(u32, [f32; N])]) -> Gallery<FaceId> {
        let mut gallery = Gallery::default();
        for (n, vector) in faces {
            gallery.insert(id(*n), vector).unwrap();
        }
        gallery
    }

    fn nearest(
        gallery: &Gallery<FaceId>,
        probe: Probe<FaceId>,
        min_cosine: f32,
        limit: usize,
    ) -> Option<Vec<Neighbour<FaceId>>> {
        gallery.nearest(&[Query { probe, min_cosine, limit }]).swap_remove(0)
    }

    fn ids(found: Option<Vec<Neighbour<FaceId>>>) -> Vec<FaceId> {
        found.unwrap().iter().map(|n| n.id).collect()
    }

    #[test]
    fn nearest_are_sorted_limited_and_above_the_threshold() {
        let gallery = gallery(&[(1, [1.0, 0.0]), (2, [0.6, 0.8]), (3, [0.8, 0.6]), (4, [-1.0, 0.0])]);
        let probe = || Probe::Embedding(vec![1.0, 0.0]);
        assert_eq!(ids(nearest(&gallery, probe(), -1.0, 9)), [id(1), id(3), id(2), id(4)]);
        assert_eq!(ids(nearest(&gallery, probe(), 0.7, 9)), [id(1), id(3)]);
        assert_eq!(ids(nearest(&gallery, probe(), -1.0, 2)), [id(1), id(3)]);
        assert_eq!(ids(nearest(&gallery, Probe::Member(id(1)), 0.7, 9)), [id(3)]);
        assert_eq!(nearest(&gallery, Probe::Member(id(9)), 0.0, 9), None);
    }

    #[test]
    fn equally_near_faces_come_in_the_order_of_their_ids() {
        let gallery = gallery(&[(3, [1.0, 0.0]), (1, [1.0, 0.0]), (2, [1.0, 0.0])]);
        assert_eq!(ids(nearest(&gallery, Probe::Embedding(vec![1.0, 0.0]), 0.0, 2)), [id(1), id(2)]);
    }

    #[test]
    fn vectors_of_another_length_are_refused() {
        let mut gallery = gallery(&[(1, [1.0, 0.0])]);
        assert!(gallery.insert(id(2), &[1.0, 0.0, 0.0]).is_err());
        assert!(gallery.insert(id(2), &[]).is_err());
    }

    #[test]
    fn a_member_that_moves_is_found_where_it_went() {
        let mut gallery = gallery(&[(1, [1.0, 0.0]), (2, [0.6, 0.8]), (3, [0.0, 1.0])]);
        gallery.insert(id(1), &[0.0, -1.0]).unwrap();
        assert_eq!(gallery.len(), 3);
        gallery.remove(&id(2));
        assert_eq!(gallery.vector_of(&id(3)), Some(&[0.0, 1.0][..]));
        assert_eq!(ids(nearest(&gallery, Probe::Embedding(vec![0.0, -1.0]), 0.5, 9)), [id(1)]);
    }

    /// A vector of unit length, the same for the same number.
    fn vector(seed: u64, dimensions: usize) -> Vec<f32> {
        let mut random = fastrand::Rng::with_seed(seed);
        let raw: Vec<f32> = (0..dimensions).map(|_| (0..4).map(|_| random.f32() - 0.5).sum()).collect();
        let norm = raw.iter().map(|v| v * v).sum::<f32>().sqrt();
        raw.iter().map(|v| v / norm).collect()
    }

    /// What a comparison of everything in 64 bits says.
    fn truth(faces: &[(FaceId, Vec<f32>)], probe: &[f32], min_cosine: f32, limit: usize) -> Vec<FaceId> {
        let mut all: Vec<(f64, FaceId)> = faces.iter().map(|(id, vector)| (cosine(probe, vector), *id)).collect();
        all.retain(|(cosine, _)| *cosine >= f64::from(min_cosine));
        all.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
        all.into_iter().take(limit).map(|(_, id)| id).collect()
    }

    #[test]
    fn several_questions_over_several_segments_get_the_answers_of_a_full_comparison() {
        let mut gallery = Gallery::default();
        let faces: Vec<(FaceId, Vec<f32>)> =
            (0..2 * SEGMENT as u32 + 100).map(|n| (id(n), vector(u64::from(n), 16))).collect();
        for (id, vector) in &faces {
            gallery.insert(*id, vector).unwrap();
        }
        let queries: Vec<Query<FaceId>> = (0..24)
            .map(|n| Query {
                probe: Probe::Embedding(vector(1_000_000 + n, 16)),
                min_cosine: [-1.0, 0.5, 0.8][n as usize % 3],
                limit: [1, 7, 300, 4096][n as usize % 4],
            })
            .collect();
        for (query, found) in queries.iter().zip(gallery.nearest(&queries)) {
            let Probe::Embedding(probe) = &query.probe else { unreachable!() };
            assert_eq!(ids(found), truth(&faces, probe, query.min_cosine, query.limit));
        }
    }

    proptest::proptest! {
        #[test]
        fn a_gallery_is_what_a_list_would_be(steps in proptest::collection::vec((proptest::bool::ANY, 0u32..12), 0..60)) {
            let mut gallery = Gallery::default();
            let mut list = std::collections::BTreeMap::new();
            for (insert, n) in steps {
                let vector = [n as f32, 1.0, -1.0];
                if insert {
                    gallery.insert(id(n), &vector).unwrap();
                    list.insert(id(n), vector);
                } else {
                    gallery.remove(&id(n));
                    list.remove(&id(n));
                }
            }
            let mut found = nearest(&gallery, Probe::Embedding(vec![1.0, 0.0, 0.0]), f32::NEG_INFINITY, 99).unwrap();
            found.sort_by_key(|n| n.id);
            let expected: Vec<_> = list.iter().map(|(id, v)| Neighbour { id: *id, cosine: v[0] }).collect();
            proptest::prop_assert_eq!(found, expected);
        }

        #[test]
        fn the_bound_holds(seeds in (0u64..1 << 40, 0u64..1 << 40), dimensions in 1usize..300) {
            let (a, b) = (vector(seeds.0, dimensions), vector(seeds.1, dimensions));
            let (mut codes_a, mut codes_b) = (Vec::new(), Vec::new());
            let (of_a, of_b) = (Quantised::of(&a, &mut codes_a), Quantised::of(&b, &mut codes_b));
            let (codes_a, mut product): (Vec<i16>, _) = (codes_a.into_iter().map(i16::from).collect(), [0]);
            inner_products(&codes_a, &codes_b, &mut product);
            let about = product[0] as f32 * (of_a.scale * of_b.scale);
            let off = (f64::from(about) - cosine(&a, &b)).abs();
            proptest::prop_assert!(off <= of_a.bound(&of_b), "{off} {}", of_a.bound(&of_b));
        }
    }
}
