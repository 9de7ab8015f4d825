//! One collection's vectors, as a search sees them.
//!
//! A gallery that is searched never changes. Whoever brings it up to date changes a copy, which then takes its place. Copy and original
//! share what is the same in both: a copy of 20 million members costs a fraction of a millisecond, and each change of it the chunks and
//! tables that it touches.

use std::sync::Arc;

use super::super::member::Member;
use super::codes::{Codes, Worst, half};
use super::kernels::LANES;
use super::slots::Slots;
use crate::domain::Fault;

/// Members side by side in one allocation: what is copied when one is added.
pub const CHUNK: usize = 1024;

/// The vectors of a collection's faces, or of its users: all of one length.
#[derive(Clone, Debug)]
pub struct Gallery<Id> {
    /// The collection's revision that this is a copy of.
    pub revision: i64,
    /// Slot n is at place n modulo [`CHUNK`] of chunk n / [`CHUNK`].
    chunks: Vec<Arc<Chunk<Id>>>,
    /// The chunk that new members go to; all others are full, or empty and in `free`.
    open: usize,
    /// Chunks that hold nobody.
    free: Vec<usize>,
    slots: Slots,
    len: usize,
    dimensions: usize,
    /// Of all vectors that were ever here.
    worst: Worst,
}

/// Members side by side. One that is gone stays where it was, without a scale that is a number.
#[derive(Clone, Debug)]
pub struct Chunk<Id> {
    /// All that ever came.
    pub members: Arc<Members<Id>>,
    /// Of each member's codes, for whole blocks of codes; not a number for one that is gone, or has not come yet.
    pub scales: Vec<f32>,
    /// How many are there.
    pub live: usize,
}

/// What a chunk holds of its members; it only grows.
#[derive(Debug)]
pub struct Members<Id> {
    ids: Vec<Id>,
    vectors: Vec<f32>,
    /// Of the vectors.
    pub codes: Codes,
}

impl<Id> Default for Chunk<Id> {
    fn default() -> Self {
        let members = Members { ids: Vec::new(), vectors: Vec::new(), codes: Codes::default() };
        Self { members: Arc::new(members), scales: Vec::new(), live: 0 }
    }
}

impl<Id: Copy> Clone for Members<Id> {
    /// A copy is made to be added to.
    fn clone(&self) -> Self {
        let len = self.ids.len();
        let room = (len + 1).next_power_of_two().min(CHUNK);
        let dimensions = self.vectors.len() / len.max(1);
        let mut copy = Self {
            ids: Vec::with_capacity(room),
            vectors: Vec::with_capacity(room * dimensions),
            codes: self.codes.copy_with_room(room, dimensions),
        };
        copy.ids.extend_from_slice(&self.ids);
        copy.vectors.extend_from_slice(&self.vectors);
        copy
    }
}

impl<Id: Member> Gallery<Id> {
    /// An empty one that will get about so many members.
    pub fn for_members(count: usize) -> Self {
        Self {
            revision: 0,
            chunks: Vec::new(),
            open: 0,
            free: Vec::new(),
            slots: Slots::for_members(count),
            len: 0,
            dimensions: 0,
            worst: Worst::default(),
        }
    }

    /// How many members it has.
    pub fn len(&self) -> usize {
        self.len
    }

    /// What they take in memory.
    pub fn bytes(&self) -> usize {
        let chunk = |chunk: &Arc<Chunk<Id>>| {
            let Members { ids, vectors, codes } = &*chunk.members;
            size_of_val(&**chunk)
                + ids.capacity() * size_of::<Id>()
                + (vectors.capacity() + chunk.scales.capacity()) * size_of::<f32>()
                + codes.bytes()
        };
        self.chunks.iter().map(chunk).sum::<usize>() + self.slots.bytes()
    }

    /// About what so many members with vectors of this length take in memory.
    pub fn bytes_of(members: usize, dimensions: usize) -> usize {
        // A slot takes between 6 and 13 bytes, as full as the tables are.
        members * (size_of::<Id>() + dimensions * size_of::<f32>() + 2 * half(dimensions) + size_of::<f32>() + 13)
    }

    /// Adds a member, or gives one that is there this vector.
    pub fn insert(&mut self, id: Id, embedding: &[f32]) -> Result<(), Fault> {
        if self.len > 0 && embedding.len() != self.dimensions || embedding.is_empty() {
            let problem = format!("{id:?} has {} dimensions", embedding.len());
            return Err(Fault::internal("loading a vector")(problem));
        }
        self.dimensions = embedding.len();
        if let Some(old) = self.append(id, embedding) {
            self.bury(old);
        }
        Ok(())
    }

    /// Removes a member, if it is there.
    pub fn remove(&mut self, id: &Id) {
        let chunks = &self.chunks;
        let Some(slot) = self.slots.remove(id, |slot| id_at(chunks, slot)) else { return };
        self.bury(slot);
        if self.len == 0 {
            *self = Self { revision: self.revision, ..Self::for_members(0) };
        }
    }

    /// Whoever was in this slot is there no more.
    fn bury(&mut self, slot: u32) {
        let (number, place) = (slot as usize / CHUNK, slot as usize % CHUNK);
        let chunk = Arc::make_mut(&mut self.chunks[number]);
        chunk.scales[place] = f32::NAN;
        chunk.live -= 1;
        self.len -= 1;
        self.tidy(number);
    }

    /// The vector of a member.
    pub fn vector_of(&self, id: &Id) -> Option<&[f32]> {
        self.slot(id).map(|slot| self.vector(slot))
    }

    /// Where a member is.
    pub fn slot(&self, id: &Id) -> Option<u32> {
        self.slots.find(id, |slot| self.id_at(slot))
    }

    /// Whose a slot is.
    pub fn id_at(&self, slot: u32) -> Id {
        id_at(&self.chunks, slot)
    }

    /// The vector in a slot.
    pub fn vector(&self, slot: u32) -> &[f32] {
        let start = slot as usize % CHUNK * self.dimensions;
        &self.chunks[slot as usize / CHUNK].members.vectors[start..start + self.dimensions]
    }

    /// All members, and places of some that are gone.
    pub fn chunks(&self) -> &[Arc<Chunk<Id>>] {
        &self.chunks
    }

    /// How badly a vector may be kept here.
    pub fn worst(&self) -> &Worst {
        &self.worst
    }

    /// The slot that the member had before.
    fn append(&mut self, id: Id, embedding: &[f32]) -> Option<u32> {
        if self.chunks.get(self.open).is_none_or(|open| open.members.ids.len() == CHUNK) {
            self.open_another();
        }
        let chunk = Arc::make_mut(&mut self.chunks[self.open]);
        let members = Arc::make_mut(&mut chunk.members);
        if members.ids.is_empty() && self.len > 0 {
            // What has filled one chunk will likely fill the next.
            members.ids.reserve_exact(CHUNK);
            members.vectors.reserve_exact(CHUNK * embedding.len());
            members.codes = Codes::with_capacity(CHUNK, embedding.len());
            chunk.scales.reserve_exact(CHUNK);
        }
        let place = members.ids.len();
        if place.is_multiple_of(LANES) {
            chunk.scales.resize(place + LANES, f32::NAN);
        }
        members.ids.push(id);
        members.vectors.extend_from_slice(embedding);
        let quantised = members.codes.push(embedding);
        chunk.scales[place] = quantised.scale;
        chunk.live += 1;
        self.len += 1;
        self.worst = self.worst.or(&quantised);
        let chunks = &self.chunks;
        self.slots.put(&id, (self.open * CHUNK + place) as u32, |slot| id_at(chunks, slot))
    }

    fn open_another(&mut self) {
        let full = self.open;
        self.open = self.free.pop().unwrap_or_else(|| {
            self.chunks.push(Arc::default());
            self.chunks.len() - 1
        });
        if full != self.open {
            self.tidy(full);
        }
    }

    /// Gives up a chunk that is no longer added to and of which less than half is there: those few move. So a gallery has at most twice
    /// the memory that its members need, and a member moves at most once for each one that went.
    fn tidy(&mut self, number: usize) {
        if number == self.open || self.chunks[number].live >= CHUNK / 2 {
            return;
        }
        let chunk = self.chunks[number].clone();
        let there = || (0..chunk.scales.len()).filter(|place| !chunk.scales[*place].is_nan());
        for place in there() {
            let chunks = &self.chunks;
            self.slots.remove(&chunk.members.ids[place], |slot| id_at(chunks, slot));
        }
        self.len -= chunk.live;
        self.chunks[number] = Arc::default();
        self.free.push(number);
        for place in there() {
            let start = place * self.dimensions;
            self.append(chunk.members.ids[place], &chunk.members.vectors[start..start + self.dimensions]);
        }
    }
}

fn id_at<Id: Copy>(chunks: &[Arc<Chunk<Id>>], slot: u32) -> Id {
    chunks[slot as usize / CHUNK].members.ids[slot as usize % CHUNK]
}
