//! One collection's vectors, as a search sees them.
//!
//! A gallery that is searched never changes. Whoever brings it up to date changes a copy, which then takes its place. Copy and original
//! share what is the same in both: a copy of 20 million members costs a fraction of a millisecond, and each change of it the chunks and
//! tables that it touches.
//!
//! Members are held in memory, or mapped from files ([`Segment`]). What comes is held at first.

use std::path::Path;
use std::sync::Arc;

use super::super::member::Member;
use super::codes::{Codes, Worst, half};
use super::kernels::LANES;
use super::segment::{CHUNK, Segment};
use super::slots::Slots;
use crate::domain::Fault;

/// The most members of a segment that is made of others, and so about the most that are written at once.
pub const SEGMENT: usize = 1 << 20;

/// The vectors of a collection's faces, or of its users: all of one length.
#[derive(Clone, Debug)]
pub struct Gallery<Id> {
    /// The collection's revision that this is a copy of.
    pub revision: i64,
    /// Slot n is at place n modulo [`CHUNK`] of chunk n / [`CHUNK`].
    chunks: Vec<Arc<Chunk<Id>>>,
    /// The chunk that new members go to; all others are full, or mapped, or empty and in `free`.
    open: Option<usize>,
    /// Chunks that hold nobody.
    free: Vec<usize>,
    /// Of members that are held.
    slots: Slots,
    segments: Vec<Located>,
    len: usize,
    dimensions: usize,
    /// Of all vectors that were ever here.
    worst: Worst,
}

/// A segment, and which chunk of the gallery each of its chunks is, or was.
#[derive(Clone, Debug)]
struct Located {
    segment: Arc<Segment>,
    chunks: Vec<usize>,
}

/// Members side by side. One that is gone stays where it was, without a scale that is a number.
#[derive(Clone, Debug)]
pub struct Chunk<Id> {
    /// All that ever came.
    pub members: Members<Id>,
    /// Of each member's codes, for whole blocks of codes; not a number for one that is gone, or has not come yet.
    pub scales: Vec<f32>,
    /// How many are there.
    pub live: usize,
}

/// Where a chunk has its members.
#[derive(Clone, Debug)]
pub enum Members<Id> {
    /// In memory.
    Held(Arc<Held<Id>>),
    /// In this chunk of a segment.
    Mapped(Arc<Segment>, usize),
}

/// What a chunk holds of its members; it only grows.
#[derive(Debug)]
pub struct Held<Id> {
    ids: Vec<Id>,
    vectors: Vec<f32>,
    /// Of the vectors.
    codes: Codes,
}

impl<Id> Default for Chunk<Id> {
    fn default() -> Self {
        let held = Held { ids: Vec::new(), vectors: Vec::new(), codes: Codes::default() };
        Self { members: Members::Held(Arc::new(held)), scales: Vec::new(), live: 0 }
    }
}

impl<Id> Chunk<Id> {
    /// The places where somebody is.
    fn there(&self) -> impl Iterator<Item = usize> {
        (0..self.scales.len()).filter(|place| !self.scales[*place].is_nan())
    }
}

impl<Id: Member> Members<Id> {
    /// Blocks of coarse halves.
    pub fn coarse(&self) -> &[u8] {
        match self {
            Self::Held(held) => held.codes.coarse(),
            Self::Mapped(segment, number) => segment.coarse(*number),
        }
    }

    /// The fine half at a place, of so many dimensions.
    pub fn fine(&self, place: usize, dimensions: usize) -> &[u8] {
        match self {
            Self::Held(held) => held.codes.fine(place, dimensions),
            Self::Mapped(segment, number) => segment.fine(number * CHUNK + place),
        }
    }

    fn id(&self, place: usize) -> Id {
        match self {
            Self::Held(held) => held.ids[place],
            Self::Mapped(segment, number) => {
                Id::from_bytes(segment.id(number * CHUNK + place)).expect("a segment has ids of this length")
            }
        }
    }

    fn vector(&self, place: usize, dimensions: usize) -> Result<&[f32], Fault> {
        match self {
            Self::Held(held) => Ok(&held.vectors[place * dimensions..(place + 1) * dimensions]),
            Self::Mapped(segment, number) => segment.vector(number * CHUNK + place).ok_or_else(|| {
                let file = segment.file().display();
                Fault::internal("reading a gallery file")(format!("vectors of {file} are not what was written"))
            }),
        }
    }
}

impl<Id: Copy> Clone for Held<Id> {
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
            open: None,
            free: Vec::new(),
            slots: Slots::for_members(count),
            segments: Vec::new(),
            len: 0,
            dimensions: 0,
            worst: Worst::default(),
        }
    }

    /// How many members it has.
    pub fn len(&self) -> usize {
        self.len
    }

    /// How many of them are held, and not in files.
    pub fn held(&self) -> usize {
        self.slots.len()
    }

    /// What they take in memory: of files, what every search reads.
    pub fn bytes(&self) -> usize {
        let chunk = |chunk: &Arc<Chunk<Id>>| {
            let members = match &chunk.members {
                Members::Held(held) => {
                    let Held { ids, vectors, codes } = &**held;
                    ids.capacity() * size_of::<Id>() + vectors.capacity() * size_of::<f32>() + codes.bytes()
                }
                Members::Mapped(segment, _) => CHUNK * half(segment.dimensions()),
            };
            size_of_val(&**chunk) + members + chunk.scales.capacity() * size_of::<f32>()
        };
        self.chunks.iter().map(chunk).sum::<usize>() + self.slots.bytes()
    }

    /// About what so many members with vectors of this length take in memory, of which at most so many are held.
    pub fn bytes_of(members: usize, held: usize, dimensions: usize) -> usize {
        let held = held.min(members);
        // A slot takes between 6 and 13 bytes, as full as the tables are.
        members * (half(dimensions) + size_of::<f32>())
            + held * (size_of::<Id>() + dimensions * size_of::<f32>() + half(dimensions) + 13)
    }

    /// Adds a member, or gives one that is there this vector.
    pub fn insert(&mut self, id: Id, embedding: &[f32]) -> Result<(), Fault> {
        let mapped = self.mapped(&id);
        if let Some(before) = self.add(id, embedding)?.or(mapped) {
            self.bury(before)?;
        }
        Ok(())
    }

    /// Adds a member that is in no file; the slot that it had before.
    pub fn add(&mut self, id: Id, embedding: &[f32]) -> Result<Option<u32>, Fault> {
        if self.len > 0 && embedding.len() != self.dimensions || embedding.is_empty() {
            let problem = format!("{id:?} has {} dimensions", embedding.len());
            return Err(Fault::internal("loading a vector")(problem));
        }
        self.dimensions = embedding.len();
        let open = self.open_chunk()?;
        let chunk = Arc::make_mut(&mut self.chunks[open]);
        let Members::Held(held) = &mut chunk.members else { unreachable!("an open chunk is held") };
        let held = Arc::make_mut(held);
        let place = held.ids.len();
        if place == 0 && self.len > 0 {
            // What has filled one chunk will likely fill the next.
            held.ids.reserve_exact(CHUNK);
            held.vectors.reserve_exact(CHUNK * embedding.len());
            held.codes = Codes::with_capacity(CHUNK, embedding.len());
            chunk.scales.reserve_exact(CHUNK);
        }
        if place.is_multiple_of(LANES) {
            chunk.scales.resize(place + LANES, f32::NAN);
        }
        held.ids.push(id);
        held.vectors.extend_from_slice(embedding);
        let quantised = held.codes.push(embedding);
        chunk.scales[place] = quantised.scale;
        chunk.live += 1;
        self.len += 1;
        self.worst = self.worst.or(&quantised);
        let chunks = &self.chunks;
        Ok(self.slots.put(&id, (open * CHUNK + place) as u32, |slot| id_at(chunks, slot)))
    }

    /// Removes a member, if it is there.
    pub fn remove(&mut self, id: &Id) -> Result<(), Fault> {
        let chunks = &self.chunks;
        let held = self.slots.remove(id, |slot| id_at(chunks, slot));
        let Some(slot) = held.or_else(|| self.mapped(id)) else { return Ok(()) };
        self.bury(slot)?;
        if self.len == 0 {
            *self = Self { revision: self.revision, ..Self::for_members(0) };
        }
        Ok(())
    }

    /// The vector of a member.
    pub fn vector_of(&self, id: &Id) -> Result<Option<&[f32]>, Fault> {
        self.slot(id).map(|slot| self.vector(slot)).transpose()
    }

    /// Where a member is.
    pub fn slot(&self, id: &Id) -> Option<u32> {
        self.slots.find(id, |slot| self.id_at(slot)).or_else(|| self.mapped(id))
    }

    /// Whose a slot is.
    pub fn id_at(&self, slot: u32) -> Id {
        id_at(&self.chunks, slot)
    }

    /// The vector in a slot. Fails when a file has another one than was written.
    pub fn vector(&self, slot: u32) -> Result<&[f32], Fault> {
        self.chunks[slot as usize / CHUNK].members.vector(slot as usize % CHUNK, self.dimensions)
    }

    /// All members, and places of some that are gone.
    pub fn chunks(&self) -> &[Arc<Chunk<Id>>] {
        &self.chunks
    }

    /// The length of the vectors.
    pub fn dimensions(&self) -> usize {
        self.dimensions
    }

    /// How badly a vector may be kept here.
    pub fn worst(&self) -> &Worst {
        &self.worst
    }

    /// Whether one of its files is not what was written.
    pub fn is_damaged(&self) -> bool {
        self.segments.iter().any(|located| located.segment.is_damaged())
    }

    /// Its segments, each with the places whose members are gone.
    pub fn segments(&self) -> impl Iterator<Item = (&Segment, Vec<u32>)> {
        self.segments.iter().map(|Located { segment, chunks }| {
            let is_gone = |place: &u32| {
                let (number, place) = (*place as usize / CHUNK, *place as usize % CHUNK);
                self.chunk_of(segment, number, chunks[number]).is_none_or(|chunk| chunk.scales[place].is_nan())
            };
            (&**segment, (0..segment.len() as u32).filter(is_gone).collect())
        })
    }

    /// Takes in a segment, but for the members in these places, which rise.
    pub fn map(&mut self, segment: Arc<Segment>, gone: &[u32]) {
        let mut chunks = Vec::with_capacity(segment.chunks());
        let mut gone = gone.iter().map(|place| *place as usize).peekable();
        for number in 0..segment.chunks() {
            chunks.push(self.place_for_a_chunk());
            let mut scales = segment.scales(number).to_vec();
            while let Some(place) = gone.next_if(|place| place / CHUNK == number) {
                scales[place % CHUNK] = f32::NAN;
            }
            let live = scales.iter().filter(|scale| !scale.is_nan()).count();
            let chunk = Chunk { members: Members::Mapped(segment.clone(), number), scales, live };
            self.chunks[chunks[number]] = Arc::new(chunk);
            self.len += live;
        }
        self.dimensions = segment.dimensions();
        self.worst = self.worst.and(segment.worst());
        self.segments.push(Located { segment, chunks });
    }

    /// Writes what is held into a file, together with segments that are not much larger, and maps that instead. Where it fails, nothing has
    /// changed.
    pub fn write(&mut self, file: &Path) -> Result<(), Fault> {
        let is_held = |number: &usize| {
            let chunk = &self.chunks[*number];
            matches!(chunk.members, Members::Held(_)) && (chunk.live > 0 || self.open == Some(*number))
        };
        let held: Vec<usize> = (0..self.chunks.len()).filter(is_held).collect();
        let mut by_size: Vec<(usize, usize)> =
            self.segments.iter().map(|located| self.live(located)).zip(0..).collect();
        by_size.sort_unstable();
        let (mut joining, mut count) = (Vec::new(), self.held());
        for (live, number) in by_size {
            if live == 0 || live <= 2 * count && count + live <= SEGMENT {
                count += live;
                joining.push(number);
            }
        }
        self.move_to(file, held, &joining)?;
        (self.open, self.slots) = (None, Slots::for_members(0));
        Ok(())
    }

    /// How many files it has.
    pub fn number_of_files(&self) -> usize {
        self.segments.len()
    }

    /// Whether a file has members that are gone.
    pub fn has_gone_in_files(&self) -> bool {
        self.with_gone().is_some()
    }

    /// How many members the first segment has that has some that are gone, those included.
    pub fn members_with_gone(&self) -> usize {
        self.with_gone().map_or(0, |number| self.segments[number].segment.len())
    }

    /// Writes the first segment that has members that are gone into a file, without them, and maps that instead. Where it fails, nothing has
    /// changed.
    pub fn write_without_gone(&mut self, file: &Path) -> Result<(), Fault> {
        let Some(number) = self.with_gone() else { return Ok(()) };
        self.move_to(file, Vec::new(), &[number])
    }

    fn with_gone(&self) -> Option<usize> {
        self.segments.iter().position(|located| self.live(located) < located.segment.len())
    }

    fn live(&self, located: &Located) -> usize {
        self.chunks_of(located).map(|(_, chunk)| chunk.live).sum()
    }

    /// Writes the members of these chunks, and of these segments, into one file, and maps that instead of them.
    fn move_to(&mut self, file: &Path, mut numbers: Vec<usize>, segments: &[usize]) -> Result<(), Fault> {
        let of_segments = segments.iter().flat_map(|number| self.chunks_of(&self.segments[*number]));
        numbers.extend(of_segments.map(|(number, _)| number));
        let count = numbers.iter().map(|number| self.chunks[*number].live).sum();
        let mut written = None;
        if count > 0 {
            let members = numbers.iter().flat_map(|number| {
                let chunk = &self.chunks[*number];
                chunk.there().map(|place| Ok((chunk.members.id(place), chunk.members.vector(place, self.dimensions)?)))
            });
            Segment::write(file, self.dimensions, count, members)?;
            written = Some(Segment::open::<Id>(file).map_err(Fault::internal("reading a gallery file"))?);
        }
        numbers.iter().for_each(|number| self.chunks[*number] = Arc::default());
        self.free.append(&mut numbers);
        let mut number = 0..;
        self.segments.retain(|_| !number.next().is_some_and(|number| segments.contains(&number)));
        self.len -= count;
        if let Some(segment) = written {
            self.map(Arc::new(segment), &[]);
        }
        Ok(())
    }

    /// A segment's chunks that are still here, with their numbers.
    fn chunks_of(&self, located: &Located) -> impl Iterator<Item = (usize, &Arc<Chunk<Id>>)> {
        located
            .chunks
            .iter()
            .enumerate()
            .filter_map(|(its, number)| Some((*number, self.chunk_of(&located.segment, its, *number)?)))
    }

    /// The chunk of this number, if it is the one of the segment that has its other number.
    fn chunk_of(&self, segment: &Arc<Segment>, its: usize, number: usize) -> Option<&Arc<Chunk<Id>>> {
        let chunk = self.chunks.get(number)?;
        matches!(&chunk.members, Members::Mapped(of, own) if Arc::ptr_eq(of, segment) && *own == its).then_some(chunk)
    }

    /// Where a member is whose vector is in a file.
    fn mapped(&self, id: &Id) -> Option<u32> {
        if self.segments.is_empty() {
            return None;
        }
        let id = id.to_bytes();
        self.segments.iter().find_map(|Located { segment, chunks }| {
            let found = segment.find(&id)?;
            let (its, place) = (found / CHUNK, found % CHUNK);
            let chunk = self.chunk_of(segment, its, chunks[its])?;
            (!chunk.scales[place].is_nan()).then_some((chunks[its] * CHUNK + place) as u32)
        })
    }

    /// Whoever was in this slot is there no more.
    fn bury(&mut self, slot: u32) -> Result<(), Fault> {
        let (number, place) = (slot as usize / CHUNK, slot as usize % CHUNK);
        let chunk = Arc::make_mut(&mut self.chunks[number]);
        chunk.scales[place] = f32::NAN;
        chunk.live -= 1;
        self.len -= 1;
        self.tidy(number)
    }

    fn open_chunk(&mut self) -> Result<usize, Fault> {
        let has_room = |open: &usize| match &self.chunks[*open].members {
            Members::Held(held) => held.ids.len() < CHUNK,
            Members::Mapped(..) => false,
        };
        if let Some(open) = self.open.filter(has_room) {
            return Ok(open);
        }
        let another = self.place_for_a_chunk();
        if let Some(full) = self.open.replace(another) {
            self.tidy(full)?;
        }
        Ok(another)
    }

    fn place_for_a_chunk(&mut self) -> usize {
        self.free.pop().unwrap_or_else(|| {
            self.chunks.push(Arc::default());
            self.chunks.len() - 1
        })
    }

    /// Gives up a chunk that is no longer added to and of which less than half is there: those few move. So a gallery has at most twice
    /// the memory that its members need, and a member moves at most once for each one that went.
    fn tidy(&mut self, number: usize) -> Result<(), Fault> {
        if self.open == Some(number) || self.chunks[number].live >= CHUNK / 2 {
            return Ok(());
        }
        let chunk = self.chunks[number].clone();
        for place in chunk.there() {
            let chunks = &self.chunks;
            self.slots.remove(&chunk.members.id(place), |slot| id_at(chunks, slot));
        }
        self.len -= chunk.live;
        self.chunks[number] = Arc::default();
        self.free.push(number);
        for place in chunk.there() {
            self.add(chunk.members.id(place), chunk.members.vector(place, self.dimensions)?)?;
        }
        Ok(())
    }
}

fn id_at<Id: Member>(chunks: &[Arc<Chunk<Id>>], slot: u32) -> Id {
    chunks[slot as usize / CHUNK].members.id(slot as usize % CHUNK)
}
