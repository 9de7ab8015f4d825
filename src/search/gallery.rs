//! One collection's vectors, and the scan over them.

use std::cmp::{Ordering, Reverse};
use std::collections::{BinaryHeap, HashMap};

use simsimd::SpatialSimilarity;

use crate::domain::{FaceId, Fault};

/// What a search starts from.
#[derive(Clone, Debug)]
pub enum Probe {
    /// A face of the collection.
    Face(FaceId),
    /// A vector of unit length.
    Embedding(Vec<f32>),
}

/// A face and how near it is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Neighbour {
    /// The face found.
    pub face_id: FaceId,
    /// The cosine of the two vectors, -1 to 1.
    pub cosine: f32,
}

impl Eq for Neighbour {}

impl Ord for Neighbour {
    /// Nearer is greater; of two equally near ones the smaller id, so that a search has one answer.
    fn cmp(&self, other: &Self) -> Ordering {
        self.cosine.total_cmp(&other.cosine).then_with(|| other.face_id.cmp(&self.face_id))
    }
}

impl PartialOrd for Neighbour {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// The cosine of two vectors of unit length; of vectors of different length, less than any.
pub fn cosine(a: &[f32], b: &[f32]) -> f32 {
    f32::dot(a, b).map_or(f32::NEG_INFINITY, |dot| dot as f32)
}

/// The vectors of a collection, all of one length, side by side.
#[derive(Debug, Default)]
pub struct Gallery {
    /// The collection's revision that this is an image of.
    pub revision: i64,
    ids: Vec<FaceId>,
    vectors: Vec<f32>,
    slots: HashMap<FaceId, usize>,
}

impl Gallery {
    /// Adds a face; one that is there already is left as it is, since an id stands for one image and so for one vector.
    pub fn insert(&mut self, id: FaceId, embedding: &[f32]) -> Result<(), Fault> {
        if !self.ids.is_empty() && embedding.len() != self.dimensions() || embedding.is_empty() {
            return Err(Fault::Internal {
                context: "loading a vector",
                source: format!("face {id} has {} dimensions", embedding.len()).into(),
            });
        }
        if let std::collections::hash_map::Entry::Vacant(slot) = self.slots.entry(id) {
            slot.insert(self.ids.len());
            self.ids.push(id);
            self.vectors.extend_from_slice(embedding);
        }
        Ok(())
    }

    /// Removes a face, if it is there.
    pub fn remove(&mut self, id: &FaceId) {
        let Some(slot) = self.slots.remove(id) else { return };
        let dimensions = self.dimensions();
        // The last face moves into the gap.
        let last = self.ids.len() - 1;
        self.ids.swap_remove(slot);
        if slot != last {
            self.vectors.copy_within(last * dimensions..(last + 1) * dimensions, slot * dimensions);
            self.slots.insert(self.ids[slot], slot);
        }
        self.vectors.truncate(last * dimensions);
    }

    /// See `Galleries::nearest`; `None` when the probe is a face that is not here.
    pub fn nearest(&self, probe: &Probe, min_cosine: f32, limit: usize) -> Option<Vec<Neighbour>> {
        let (query, left_out) = match probe {
            Probe::Face(id) => (self.vector(*self.slots.get(id)?), Some(id)),
            Probe::Embedding(embedding) => (embedding.as_slice(), None),
        };
        // The worst of the best on top, to be thrown out first.
        let mut best = BinaryHeap::new();
        for (slot, id) in self.ids.iter().enumerate() {
            let cosine = cosine(query, self.vector(slot));
            if cosine >= min_cosine && Some(id) != left_out {
                best.push(Reverse(Neighbour { face_id: *id, cosine }));
                if best.len() > limit {
                    best.pop();
                }
            }
        }
        // Ascending in `Reverse` is descending in nearness.
        Some(best.into_sorted_vec().into_iter().map(|Reverse(neighbour)| neighbour).collect())
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

    fn id(n: u8) -> FaceId {
        FaceId::from_bytes([n; 16])
    }

    fn gallery(faces: &[(u8, [f32; 2])]) -> Gallery {
        let mut gallery = Gallery::default();
        for (n, vector) in faces {
            gallery.insert(id(*n), vector).unwrap();
        }
        gallery
    }

    fn ids(found: Option<Vec<Neighbour>>) -> Vec<FaceId> {
        found.unwrap().iter().map(|n| n.face_id).collect()
    }

    #[test]
    fn nearest_are_sorted_limited_and_above_the_threshold() {
        let gallery = gallery(&[(1, [1.0, 0.0]), (2, [0.6, 0.8]), (3, [0.8, 0.6]), (4, [-1.0, 0.0])]);
        let probe = Probe::Embedding(vec![1.0, 0.0]);
        assert_eq!(ids(gallery.nearest(&probe, -1.0, 9)), [id(1), id(3), id(2), id(4)]);
        assert_eq!(ids(gallery.nearest(&probe, 0.7, 9)), [id(1), id(3)]);
        assert_eq!(ids(gallery.nearest(&probe, -1.0, 2)), [id(1), id(3)]);
        assert_eq!(ids(gallery.nearest(&Probe::Face(id(1)), 0.7, 9)), [id(3)]);
        assert_eq!(gallery.nearest(&Probe::Face(id(9)), 0.0, 9), None);
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
            found.sort_by_key(|n| n.face_id);
            let expected: Vec<_> = list.iter().map(|(id, v)| Neighbour { face_id: *id, cosine: v[0] }).collect();
            proptest::prop_assert_eq!(found, expected);
        }
    }
}
