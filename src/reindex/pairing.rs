//! Which face of a photo is which: two models find the same face in much the same place.

use crate::enrol::BoundingBox;

/// The least overlap (intersection over union) of two boxes of one face. Detectors differ in how much of hair and chin a box has; boxes of
/// neighbours hardly overlap at all.
const LEAST_OVERLAP: f32 = 0.3;

/// The pairs of boxes that overlap most, each box in one pair at most, as places in the two lists. The best pair is taken first.
pub fn pairs(old: &[&BoundingBox], new: &[&BoundingBox]) -> Vec<(usize, usize)> {
    let all = (0..old.len()).flat_map(|one| (0..new.len()).map(move |other| (one, other)));
    let mut overlapping: Vec<_> = all
        .map(|(one, other)| (old[one].overlap(new[other]), one, other))
        .filter(|(overlap, ..)| *overlap >= LEAST_OVERLAP)
        .collect();
    overlapping.sort_by(|one, other| other.0.total_cmp(&one.0).then((one.1, one.2).cmp(&(other.1, other.2))));
    let (mut taken, mut given, mut pairs) = (vec![false; old.len()], vec![false; new.len()], Vec::new());
    for (_, one, other) in overlapping {
        if !taken[one] && !given[other] {
            (taken[one], given[other]) = (true, true);
            pairs.push((one, other));
        }
    }
    pairs
}

#[cfg(test)]
mod tests {
    use super::*;

    fn boxed(left: f32, width: f32) -> BoundingBox {
        serde_json::from_value(serde_json::json!({"Left": left, "Top": 0.1, "Width": width, "Height": 0.5})).unwrap()
    }

    fn paired(old: &[(f32, f32)], new: &[(f32, f32)]) -> Vec<(usize, usize)> {
        let boxes = |list: &[(f32, f32)]| list.iter().map(|(left, width)| boxed(*left, *width)).collect::<Vec<_>>();
        let (old, new) = (boxes(old), boxes(new));
        pairs(&old.iter().collect::<Vec<_>>(), &new.iter().collect::<Vec<_>>())
    }

    #[test]
    fn each_face_has_one_counterpart_at_most() {
        // In another order, a little moved, and one that only the new model finds.
        assert_eq!(paired(&[(0.1, 0.2), (0.5, 0.2)], &[(0.52, 0.2), (0.8, 0.1), (0.1, 0.19)]), [(0, 2), (1, 0)]);
        // Two claim one: the better gets it.
        assert_eq!(paired(&[(0.1, 0.2), (0.15, 0.2)], &[(0.15, 0.2)]), [(1, 0)]);
        // Neighbours that touch are two people.
        assert!(paired(&[(0.1, 0.2)], &[(0.3, 0.2)]).is_empty());
        assert!(paired(&[(0.1, 0.2)], &[]).is_empty());
        assert!(paired(&[(0.1, 0.0)], &[(0.1, 0.0)]).is_empty());
    }
}
