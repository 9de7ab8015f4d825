//! One collection's vectors, and the scan over them.

use std::cmp::{Ordering, Reverse};
use std::collections::hash_map::Entry;
use std::collections::{BinaryHeap, HashMap};
use std::fmt::Debug;
use std::hash::Hash;

use crate::domain::{Fault, cosine};

/// What a search starts from.
#[derive(Clone, Debug)]
pub enum Probe<Id> {
    /// A member of the gallery.
    Member(Id),
    /// A vector of unit length.
    Embedding(Vec<f32>),
}

/// A member of a gallery and how near it is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Neighbour<Id> {
    /// The member found.
    pub id: Id,
    /// The cosine of the two vectors, -1 to 1.
    pub cosine: f32,
}

impl<Id: PartialEq> Eq for Neighbour<Id> {}

impl<Id: Ord> Ord for Neighbour<Id> {
    /// Nearer is greater; of two equally near ones the smaller id, so that a search has one answer.
    fn cmp(&self, other: &Self) -> Ordering {
        self.cosine.total_cmp(&other.cosine).then_with(|| other.id.cmp(&self.id))
    }
}

impl<Id: Ord> PartialOrd for Neighbour<Id> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// The vectors of a collection's faces, or of its users: all of one length, side by side.
#[derive(Debug)]
pub struct Gallery<Id> {
    /// The collection's revision that this is an image of.
    pub revision: i64,
    ids: Vec<Id>,
    vectors: Vec<f32>,
    slots: HashMap<Id, usize>,
}

impl<Id> Default for Gallery<Id> {
    fn default() -> Self {
        Self { revision: 0, ids: Vec::new(), vectors: Vec::new(), slots: HashMap::new() }
    }
}

impl<Id: Copy + Eq + Hash + Ord + Debug> Gallery<Id> {
    /// Adds a member, or gives one that is there this vector.
    pub fn insert(&mut self, id: Id, embedding: &[f32]) -> Result<(), Fault> {
        if !self.ids.is_empty() && embedding.len() != self.dimensions() || embedding.is_empty() {
            return Err(Fault::Internal {
                context: "loading a vector",
                source: format!("{id:?} has {} dimensions", embedding.len()).into(),
            });
        }
        match self.slots.entry(id) {
            Entry::Occupied(slot) => {
                let start = slot.get() * embedding.len();
                self.vectors[start..start + embedding.len()].copy_from_slice(embedding);
            }
            Entry::Vacant(slot) => {
                slot.insert(self.ids.len());
                self.ids.push(id);
                self.vectors.extend_from_slice(embedding);
            }
        }
        Ok(())
    }

    /// Removes a member, if it is there.
    pub fn remove(&mut self, id: &Id) {
        let Some(slot) = self.slots.remove(id) else { return };
        let dimensions = self.dimensions();
        // The last member moves into the gap.
        let last = self.ids.len() - 1;
        self.ids.swap_remove(slot);
        if slot != last {
            self.vectors.copy_within(last * dimensions..(last + 1) * dimensions, slot * dimensions);
            self.slots.insert(self.ids[slot], slot);
        }
        self.vectors.truncate(last * dimensions);
    }

    /// See `Galleries::nearest`; `None` when the probe is a member that is not here.
    pub fn nearest(&self, probe: &Probe<Id>, min_cosine: f32, limit: usize) -> Option<Vec<Neighbour<Id>>> {
        let (query, left_out) = match probe {
            Probe::Member(id) => (self.vector(*self.slots.get(id)?), Some(id)),
            Probe::Embedding(embedding) => (embedding.as_slice(), None),
        };
        // The worst of the best on top, to be thrown out first.
        let mut best = BinaryHeap::new();
        for (slot, id) in self.ids.iter().enumerate() {
            let cosine = cosine(query, self.vector(slot));
            if cosine >= min_cosine && Some(id) != left_out {
                best.push(Reverse(Neighbour { id: *id, cosine }));
                if best.len() > limit {
                    best.pop();
                }
            }
        }
        // Ascending in `Reverse` is descending in nearness.
        Some(best.into_sorted_vec().into_iter().map(|Reverse(neighbour)| neighbour).collect())
    }

    /// The vector of a member.
    pub fn vector_of(&self, id: &Id) -> Option<&[f32]> {
        self.slots.get(id).map(|slot| self.vector(*slot))
    }

    fn dimensions(&self) -> usize {
        self.vectors.len().checked_div(self.ids.len()).unwrap_or(0)
    }

    fn vector(&self, slot: usize) -> &[f32] {
        let dimensions = self.dimensions();
        &self.vectors[slot * dimensions..(slot + 1) * dimensions]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::FaceId;

    fn id(n: u8) -> FaceId {
        FaceId::from_bytes([n; 16])
    }

    fn gallery(faces: &[(u8, [f32; 2])]) -> Gallery<FaceId> {
        let mut gallery = Gallery::default();
        for (n, vector) in faces {
            gallery.insert(id(*n), vector).unwrap();
        }
        gallery
    }

    fn ids(found: Option<Vec<Neighbour<FaceId>>>) -> Vec<FaceId> {
        found.unwrap().iter().map(|n| n.id).collect()
    }

    #[test]
    fn nearest_are_sorted_limited_and_above_the_threshold() {
        let gallery = gallery(&[(1, [1.0, 0.0]), (2, [0.6, 0.8]), (3, [0.8, 0.6]), (4, [-1.0, 0.0])]);
        let probe = Probe::Embedding(vec![1.0, 0.0]);
        assert_eq!(ids(gallery.nearest(&probe, -1.0, 9)), [id(1), id(3), id(2), id(4)]);
        assert_eq!(ids(gallery.nearest(&probe, 0.7, 9)), [id(1), id(3)]);
        assert_eq!(ids(gallery.nearest(&probe, -1.0, 2)), [id(1), id(3)]);
        assert_eq!(ids(gallery.nearest(&Probe::Member(id(1)), 0.7, 9)), [id(3)]);
        assert_eq!(gallery.nearest(&Probe::Member(id(9)), 0.0, 9), None);
    }

    #[test]
    fn equally_near_faces_come_in_the_order_of_their_ids() {
        let gallery = gallery(&[(3, [1.0, 0.0]), (1, [1.0, 0.0]), (2, [1.0, 0.0])]);
        assert_eq!(ids(gallery.nearest(&Probe::Embedding(vec![1.0, 0.0]), 0.0, 2)), [id(1), id(2)]);
    }

    #[test]
    fn vectors_of_another_length_are_refused() {
        let mut gallery = gallery(&[(1, [1.0, 0.0])]);
        assert!(gallery.insert(id(2), &[1.0, 0.0, 0.0]).is_err());
        assert!(gallery.insert(id(2), &[]).is_err());
    }

    proptest::proptest! {
        #[test]
        fn a_gallery_is_what_a_list_would_be(steps in proptest::collection::vec((proptest::bool::ANY, 0u8..12), 0..60)) {
            let mut gallery = Gallery::default();
            let mut list = std::collections::BTreeMap::new();
            for (insert, n) in steps {
                let vector = [f32::from(n), 1.0, -1.0];
                if insert {
                    gallery.insert(id(n), &vector).unwrap();
                    list.insert(id(n), vector);
                } else {
                    gallery.remove(&id(n));
                    list.remove(&id(n));
                }
            }
            let mut found: Vec<_> = gallery.nearest(&Probe::Embedding(vec![1.0, 0.0, 0.0]), f32::NEG_INFINITY, 99).unwrap();
            found.sort_by_key(|n| n.id);
            let expected: Vec<_> = list.iter().map(|(id, v)| Neighbour { id: *id, cosine: v[0] }).collect();
            proptest::prop_assert_eq!(found, expected);
        }
    }
}
