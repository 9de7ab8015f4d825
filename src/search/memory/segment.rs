//! Members of a gallery in a file that never changes. It is mapped: the kernel holds of it what is read, and gives that memory to others
//! when they need it.
//!
//! ```text
//! header    a line of JSON, filled up to 4,096 bytes
//! scales    32 bits a place, whole chunks; not a number where nobody is
//! order     places, 32 bits each, in the order of their members' ids
//! ids       of the members
//! coarse    halves of their codes, whole chunks
//! fine      halves of their codes
//! sums      a checksum for the vectors of each chunk
//! vectors   32 bits a number
//! ```
//!
//! Each part begins at a multiple of 64 bytes. Numbers are little-endian. The header has a checksum of all parts but the vectors, which is
//! compared when the file is opened. Vectors are most of the file and few are read: those of a chunk are compared with their checksum
//! before the first of them is used.

#![allow(unsafe_code)] // To map a file. Its folder is the server's own, and a segment is never written again.

use std::fs::{File, OpenOptions};
use std::io;
use std::ops::Range;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};

use memmap2::{Mmap, UncheckedAdvice};
use serde::{Deserialize, Serialize};

use super::super::member::Member;
use super::codes::{Codes, Worst, half};
use crate::domain::Fault;

/// Members side by side: what is copied when one is added to a gallery.
pub const CHUNK: usize = 1024;

const FORMAT: u32 = 1;
const HEADER: usize = 4096;
const ALIGNED: usize = 64;
/// What the kernel maps around an address that is read, where it has it.
const AROUND: usize = 64 << 10;
/// No more than this part of the vectors counts as the server's memory.
const MAPPED_PART: usize = 16;

/// The file, mapped.
#[derive(Debug)]
pub struct Segment {
    map: Mmap,
    parts: Parts,
    header: Header,
    /// Whether the vectors of a chunk are what was written.
    checked: Box<[AtomicBool]>,
    is_damaged: AtomicBool,
    /// Bytes of vectors that were mapped, about.
    mapped: AtomicUsize,
    file: PathBuf,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Header {
    format: u32,
    members: usize,
    dimensions: usize,
    id_bytes: usize,
    worst: Worst,
    sum: u32,
}

/// Where each part is.
#[derive(Debug)]
struct Parts {
    scales: Range<usize>,
    order: Range<usize>,
    ids: Range<usize>,
    coarse: Range<usize>,
    fine: Range<usize>,
    sums: Range<usize>,
    vectors: Range<usize>,
}

impl Header {
    fn chunks(&self) -> usize {
        self.members.div_ceil(CHUNK)
    }

    /// `None` where these are no numbers of a segment.
    fn parts(&self) -> Option<Parts> {
        let places = self.chunks().checked_mul(CHUNK)?;
        let half = half(self.dimensions);
        let mut end = HEADER;
        let mut part = |number: usize, bytes: usize| {
            let begin = end.next_multiple_of(ALIGNED);
            end = begin.checked_add(number.checked_mul(bytes)?)?;
            Some(begin..end)
        };
        Some(Parts {
            scales: part(places, size_of::<f32>())?,
            order: part(self.members, size_of::<u32>())?,
            ids: part(self.members, self.id_bytes)?,
            coarse: part(places, half)?,
            fine: part(self.members, half)?,
            sums: part(self.chunks(), size_of::<u32>())?,
            vectors: part(self.members, self.dimensions.checked_mul(size_of::<f32>())?)?,
        })
    }

    /// Of itself and of everything before the vectors.
    fn sum_with(&self, map: &[u8], parts: &Parts) -> u32 {
        let mut sum = crc32fast::Hasher::new();
        for number in [self.members, self.dimensions, self.id_bytes] {
            sum.update(&number.to_le_bytes());
        }
        sum.update(&self.worst.to_bytes());
        sum.update(&map[parts.scales.start..parts.sums.end]);
        sum.finalize()
    }
}

impl Segment {
    /// About how many bytes the file of so many members has.
    pub fn bytes_of<Id>(members: usize, dimensions: usize) -> usize {
        members * (dimensions * size_of::<f32>() + 2 * half(dimensions) + size_of::<Id>() + 2 * size_of::<f32>())
            + HEADER
    }

    /// Writes `count` members, each with its vector. The file must not be there; it is on the disk when this returns.
    pub fn write<'a, Id: Member>(
        file: &Path,
        dimensions: usize,
        count: usize,
        members: impl Iterator<Item = Result<(Id, &'a [f32]), Fault>>,
    ) -> Result<(), Fault> {
        let failed = Fault::internal::<io::Error>("writing a gallery file");
        let out = OpenOptions::new().read(true).write(true).create_new(true).mode(0o600).open(file).map_err(&failed)?;
        let id_bytes = size_of::<Id>();
        let mut header =
            Header { format: FORMAT, members: count, dimensions, id_bytes, worst: Worst::default(), sum: 0 };
        let parts = header.parts().ok_or_else(|| failed(io::ErrorKind::FileTooLarge.into()))?;
        out.set_len(parts.vectors.end as u64).map_err(&failed)?;
        let mut keys = Vec::with_capacity(count);
        let mut members = members.peekable();
        for chunk in 0..header.chunks() {
            let (mut codes, mut scales) = (Codes::with_capacity(CHUNK, dimensions), Vec::with_capacity(CHUNK));
            let (mut ids, mut vectors) = (Vec::new(), Vec::with_capacity(CHUNK * dimensions));
            for member in members.by_ref().take(CHUNK) {
                let (id, vector) = member?;
                let quantised = codes.push(vector);
                header.worst = header.worst.or(&quantised);
                scales.push(quantised.scale);
                vectors.extend_from_slice(vector);
                let bytes = id.to_bytes();
                keys.push((key(&bytes), keys.len() as u32));
                ids.extend_from_slice(&bytes);
            }
            scales.resize(CHUNK, f32::NAN);
            let first = chunk * CHUNK;
            let vectors: &[u8] = bytemuck::cast_slice(&vectors);
            let sum = crc32fast::hash(vectors).to_le_bytes();
            let put = |part: &Range<usize>, number: usize, bytes: usize, data: &[u8]| {
                out.write_all_at(data, (part.start + number * bytes) as u64)
            };
            let written = put(&parts.scales, first, size_of::<f32>(), bytemuck::cast_slice(&scales))
                .and_then(|()| put(&parts.ids, first, id_bytes, &ids))
                .and_then(|()| put(&parts.coarse, first, half(dimensions), codes.coarse()))
                .and_then(|()| put(&parts.fine, first, half(dimensions), codes.all_fine()))
                .and_then(|()| put(&parts.sums, chunk, sum.len(), &sum))
                .and_then(|()| put(&parts.vectors, first, dimensions * size_of::<f32>(), vectors));
            written.map_err(&failed)?;
        }
        if members.peek().is_some() || keys.len() != count {
            return Err(Fault::internal("writing a gallery file")(format!("{} members and not {count}", keys.len())));
        }
        keys.sort_unstable();
        let order: Vec<u32> = keys.into_iter().map(|(_, place)| place).collect();
        out.write_all_at(bytemuck::cast_slice(&order), parts.order.start as u64).map_err(&failed)?;
        // SAFETY: see the top of this file.
        header.sum = header.sum_with(&unsafe { Mmap::map(&out) }.map_err(&failed)?, &parts);
        let line = serde_json::to_vec(&header).map_err(Fault::internal("writing a gallery file"))?;
        out.write_all_at(&line, 0).and_then(|()| out.sync_all()).map_err(&failed)
    }

    /// Maps a file. Says what is wrong with one that was not written as it is.
    pub fn open<Id: Member>(file: &Path) -> Result<Self, String> {
        let map = File::open(file).map_err(|error| error.to_string())?;
        // SAFETY: see the top of this file.
        let map = unsafe { Mmap::map(&map) }.map_err(|error| error.to_string())?;
        let line = map.get(..HEADER).ok_or("it has no header")?;
        let line = line.split(|byte| *byte == 0).next().unwrap_or_default();
        let header: Header = serde_json::from_slice(line).map_err(|error| error.to_string())?;
        if header.format != FORMAT {
            return Err(format!("it has format {} and not {FORMAT}", header.format));
        }
        if header.id_bytes != size_of::<Id>() || header.dimensions == 0 {
            return Err("it is of something else".to_owned());
        }
        let parts = header.parts().filter(|parts| parts.vectors.end == map.len()).ok_or("its length is another")?;
        if header.sum != header.sum_with(&map, &parts) {
            return Err("its checksum is another".to_owned());
        }
        let checked = (0..header.chunks()).map(|_| AtomicBool::new(false)).collect();
        Ok(Self {
            map,
            parts,
            header,
            checked,
            is_damaged: AtomicBool::new(false),
            mapped: AtomicUsize::new(0),
            file: file.to_owned(),
        })
    }

    /// How many members it has, those included that have gone since.
    pub fn len(&self) -> usize {
        self.header.members
    }

    /// How many chunks they are.
    pub fn chunks(&self) -> usize {
        self.header.chunks()
    }

    /// The length of the vectors.
    pub fn dimensions(&self) -> usize {
        self.header.dimensions
    }

    /// How badly a vector may be kept here.
    pub fn worst(&self) -> &Worst {
        &self.header.worst
    }

    /// The file.
    pub fn file(&self) -> &Path {
        &self.file
    }

    /// Whether some of it is not what was written.
    pub fn is_damaged(&self) -> bool {
        self.is_damaged.load(Relaxed)
    }

    /// The scales of a chunk's places.
    pub fn scales(&self, chunk: usize) -> &[f32] {
        bytemuck::cast_slice(&self.map[part_of(&self.parts.scales, chunk * CHUNK, CHUNK, size_of::<f32>())])
    }

    /// The coarse halves of a chunk.
    pub fn coarse(&self, chunk: usize) -> &[u8] {
        &self.map[part_of(&self.parts.coarse, chunk * CHUNK, CHUNK, half(self.header.dimensions))]
    }

    /// The fine half of a place.
    pub fn fine(&self, place: usize) -> &[u8] {
        &self.map[part_of(&self.parts.fine, place, 1, half(self.header.dimensions))]
    }

    /// Whose a place is.
    pub fn id(&self, place: usize) -> &[u8] {
        &self.map[part_of(&self.parts.ids, place, 1, self.header.id_bytes)]
    }

    /// The vector of a place; `None` if it is not what was written.
    pub fn vector(&self, place: usize) -> Option<&[f32]> {
        let (chunk, bytes) = (place / CHUNK, self.header.dimensions * size_of::<f32>());
        self.count(AROUND);
        if !self.checked[chunk].load(Relaxed) {
            let first = chunk * CHUNK;
            let vectors = part_of(&self.parts.vectors, first, CHUNK.min(self.header.members - first), bytes);
            self.count(vectors.len());
            let sums: &[u32] = bytemuck::cast_slice(&self.map[self.parts.sums.clone()]);
            if crc32fast::hash(&self.map[vectors]) != sums[chunk] {
                self.is_damaged.store(true, Relaxed);
                return None;
            }
            self.checked[chunk].store(true, Relaxed);
        }
        Some(bytemuck::cast_slice(&self.map[part_of(&self.parts.vectors, place, 1, bytes)]))
    }

    /// Counts bytes of vectors that are read, and gives their memory back now and then: the kernel keeps what it has room for, but it is no
    /// longer the server's.
    fn count(&self, bytes: usize) {
        let all = self.parts.vectors.clone();
        if self.mapped.fetch_add(bytes, Relaxed) > (all.len() / MAPPED_PART).max(16 * AROUND) {
            self.mapped.store(0, Relaxed);
            // SAFETY: what is read again comes from the file, which has not changed.
            let _ = unsafe { self.map.unchecked_advise_range(UncheckedAdvice::DontNeed, all.start, all.len()) };
        }
    }

    /// Where a member is.
    pub fn find(&self, id: &[u8]) -> Option<usize> {
        let order: &[u32] = bytemuck::cast_slice(&self.map[self.parts.order.clone()]);
        let found = order.binary_search_by_key(&key(id), |place| key(self.id(*place as usize))).ok()?;
        Some(order[found] as usize)
    }
}

/// So many items of a part, each of so many bytes, from one on.
fn part_of(part: &Range<usize>, first: usize, count: usize, bytes: usize) -> Range<usize> {
    let begin = part.start + first * bytes;
    begin..begin + count * bytes
}

/// A number in the order of ids, which have at most 16 bytes.
fn key(id: &[u8]) -> u128 {
    let mut bytes = [0; 16];
    bytes[16 - id.len()..].copy_from_slice(id);
    u128::from_be_bytes(bytes)
}
