//! Faces that lie on their side or their head in a photo that stands upright: somebody in bed, a print in a collage, a phone held sideways.
//!
//! YuNet knows upright faces. It finds a large lying one with a poor score and reads it as if it stood; a smaller one it does not see, but
//! a head of our own on its features does. So where a face is unsure, or hinted at by that head, a small network ([`super::roll`]) tells
//! from a small square whether there is a face and how it is turned; then YuNet looks at it upright, and a face that is clearly surer so
//! gives box and landmarks. A portrait hardly pays for this, since most faces are sure; a group with unsure faces does.
//! `docs/benchmarks.md` has the figures.

use super::alignment::warped_crop;
use super::decode::Photo;
use super::detector::{Detector, Look, between, one_box_a_face};
use super::roll::{self, Roll};
use super::yunet::Detection;

/// A face with at least this score stands upright, as far as can be told: of lying ones in frames few have more, and of upright ones of
/// the test photos 2 % (seen from 180 px) to 11 % (below 100 px) have less.
const STANDS_FROM: f32 = 0.91;
/// No more hints of a photo than these are looked at.
const HINTS: usize = 6;
/// A hint of which this share lies on a face is a part of it.
const PART_OF_A_FACE: f32 = 0.3;
/// What the network of rolls takes for a face with less is none: nearly every lying face has more, and half of the false hints less.
const A_FACE_FROM: f32 = 0.002;
/// What is turned less is read as it is: YuNet is good at that ...
const LEVEL: f32 = 15.0;
/// ... and up to here it is only tilted: its box is good as it is, and its landmarks are better upright.
const TILTED: f32 = 60.0;
/// The network of rolls looks at this square ...
const SQUARE: Look = Look { roll: 0.0, side: roll::SIDE, length: roll::BOX, min_score: 0.0 };
/// ... and YuNet at this one: enough to tell a face, even if its box is half or twice as long as it should be.
const GLANCE: Look = Look { roll: 0.0, side: 128, length: 54.0, min_score: 0.3 };
/// A glance that sees less than this was turned the wrong way; then others are tried ...
const NEARLY_FROM: f32 = 0.4;
const QUARTERS: [f32; 3] = [180.0, 90.0, -90.0];
/// ... if the network took it for a face with this much.
const MISREAD_FROM: f32 = 0.5;
/// A face has at least this score when YuNet looks at it the right way up: of what is no face in 63 photos the surest had .865 ...
const LIES_FROM: f32 = 0.88;
/// ... or this one, if the network of rolls agrees: it takes it for a face by so much, and for upright within so many degrees.
const LIES_WITH_BOTH_FROM: f32 = 0.8;
const STANDS_THERE_FROM: f32 = 0.5;
const NEAR: f32 = 25.0;
/// And so much more than in the photo as it is, unless it is only tilted.
const MARGIN: f32 = 0.02;
/// Until then it is glanced at in so many turns that are so far apart: as the network says then, or else by so much further. What is
/// hardly a face to the network gets fewer.
const TRIES: usize = 4;
const TRIES_IF_UNLIKELY: usize = 2;
const APART: f32 = 6.0;
const FURTHER: [f32; 4] = [22.5, -22.5, 45.0, -45.0];
/// Then its landmarks are read, where the face is as long as they need. What is no face has less there: of 435 lying ones 1 % have less than
/// .88.
const READING: Look = Look { roll: 0.0, side: 384, length: 192.0, min_score: 0.85 };
/// The glance and the reading mean one face from this overlap on.
const SAME_FROM_IOU: f32 = 0.3;

impl Detector {
    /// The faces found in a photo, those that lie turned read the right way up, and with them the hints that turn out to be such faces.
    /// Of two hints on one place the first counts.
    pub(super) fn with_lying_faces(
        &mut self,
        photo: &Photo,
        found: Vec<Detection>,
        hints: Vec<Detection>,
    ) -> ort::Result<Vec<Detection>> {
        let (mut known, unsure): (Vec<_>, Vec<_>) = found.into_iter().partition(|face| face.score >= STANDS_FROM);
        let rolls = self.rolls(photo, &unsure)?;
        let mut doubtful = Vec::new();
        for (face, roll) in unsure.into_iter().zip(rolls) {
            let is_face = roll.likely >= A_FACE_FROM;
            let tilt = roll.degrees.abs();
            match if is_face && tilt > LEVEL { self.look_turned(photo, &face, roll)? } else { None } {
                Some((Turn::Lying, read)) => known.push(read),
                // The better look is the better reading, but the box is good as it is.
                Some((Turn::Tilted, read)) => known.push(Detection { rect: face.rect, seen: face.seen, ..read }),
                None if roll.likely >= STANDS_THERE_FROM && tilt <= TILTED => known.push(face),
                None => doubtful.push(face),
            }
        }
        let hints = apart(hints, &known, self.iou());
        let rolls = self.rolls(photo, &hints)?;
        for (hint, roll) in hints.into_iter().zip(rolls) {
            if roll.likely < A_FACE_FROM || known.iter().any(|face| is_part(&hint, face)) {
                continue;
            }
            if let Some((_, face)) = self.look_turned(photo, &hint, roll)? {
                // What was seen there as upright was this one.
                doubtful.retain(|other| !is_part(other, &face));
                known.push(face);
            }
        }
        known.append(&mut doubtful);
        Ok(one_box_a_face(known, self.iou()))
    }

    /// How each of these is turned, if it is a face.
    fn rolls(&mut self, photo: &Photo, seen: &[Detection]) -> ort::Result<Vec<Roll>> {
        let squares: Vec<Vec<u8>> = seen.iter().map(|face| self.square(photo, face, 0.0)).collect();
        self.roll_net.of(&squares.iter().map(Vec::as_slice).collect::<Vec<_>>())
    }

    /// What the network of rolls looks at, turned by so much.
    fn square(&mut self, photo: &Photo, face: &Detection, roll: f32) -> Vec<u8> {
        let look = Look { roll, ..SQUARE };
        warped_crop(photo, &look.crop_to_photo(&face.rect), look.side, &mut self.resizer)
    }

    /// The face that is clear where `seen` is looked at turned by about `told`, and clearer than upright.
    fn look_turned(&mut self, photo: &Photo, seen: &Detection, told: Roll) -> ort::Result<Option<(Turn, Detection)>> {
        let mut best = (told.degrees, self.glance(photo, seen, told.degrees)?);
        if best.1.score < NEARLY_FROM && told.likely >= MISREAD_FROM {
            for turn in QUARTERS {
                best = surer(best, (told.degrees + turn, self.glance(photo, seen, told.degrees + turn)?));
                if best.1.score >= NEARLY_FROM {
                    break;
                }
            }
        }
        if best.1.score == 0.0 {
            return Ok(None);
        }
        let tries = if told.likely >= MISREAD_FROM { TRIES } else { TRIES_IF_UNLIKELY };
        let mut tried = vec![best.0];
        while best.1.score < LIES_FROM {
            let (roll, face) = best;
            let square = self.square(photo, &face, roll);
            let Some(&left) = self.roll_net.of(&[&square])?.first() else { return Ok(None) };
            if face.score >= LIES_WITH_BOTH_FROM && left.likely >= STANDS_THERE_FROM && left.degrees.abs() <= NEAR {
                break;
            }
            let as_told = (left.likely >= A_FACE_FROM).then_some(left.degrees);
            let next = as_told.into_iter().chain(FURTHER).map(|further| roll + further);
            let is_new = |next: &f32| tried.iter().all(|tried| between(*tried, *next) >= APART);
            match next.into_iter().find(is_new) {
                Some(next) if tried.len() < tries => {
                    tried.push(next);
                    best = surer(best, (next, self.glance(photo, &face, next)?));
                }
                _ => return Ok(None),
            }
        }
        let (roll, face) = best;
        let turn = if between(roll, 0.0) > TILTED { Turn::Lying } else { Turn::Tilted };
        if turn == Turn::Lying {
            let upright = self.glance(photo, &face, 0.0)?.score;
            if face.score < seen.score.max(upright) + MARGIN {
                return Ok(None);
            }
        }
        // One that was found is looked at upright in any case ([`Detector::refine`]).
        if turn == Turn::Tilted && seen.score >= self.least_score() {
            return Ok(Some((turn, face)));
        }
        Ok(self.read(photo, &face, roll)?.map(|face| (turn, face)))
    }

    /// The surest face in the middle of a small square around what was seen, that is turned by so much; that itself, with a score of 0, if
    /// there is none.
    fn glance(&mut self, photo: &Photo, seen: &Detection, roll: f32) -> ort::Result<Detection> {
        let look = Look { roll, ..GLANCE };
        let (faces, to_photo) = self.look_closely(photo, &seen.rect, look)?;
        let in_the_middle = faces.into_iter().filter(|face| look.has_in_the_middle(face));
        let surest = in_the_middle.max_by(|a, b| a.score.total_cmp(&b.score));
        Ok(surest.map_or(Detection { score: 0.0, ..*seen }, |face| face.turned_by(&to_photo)))
    }

    /// The same face in a larger square, where its landmarks are at their best; nothing if it is none at that size.
    fn read(&mut self, photo: &Photo, face: &Detection, roll: f32) -> ort::Result<Option<Detection>> {
        let (faces, to_photo) = self.look_closely(photo, &face.rect, Look { roll, ..READING })?;
        let nearest = faces
            .iter()
            .map(|read| read.turned_by(&to_photo))
            .max_by(|a, b| a.overlap(face).total_cmp(&b.overlap(face)))
            .filter(|read| read.overlap(face) >= SAME_FROM_IOU);
        Ok(nearest.map(|read| Detection { score: face.score.max(read.score), ..read }))
    }
}

/// How a face that was looked at turned is turned: by [`TILTED`] degrees at most, or more.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Turn {
    Tilted,
    Lying,
}

/// The surer of two glances, each with its turn; the first of equals.
fn surer(one: (f32, Detection), other: (f32, Detection)) -> (f32, Detection) {
    if other.1.score > one.1.score { other } else { one }
}

/// The first of the hints that lie on no known face, and of overlapping ones the first.
fn apart(hints: Vec<Detection>, known: &[Detection], iou: f32) -> Vec<Detection> {
    let mut kept: Vec<Detection> = Vec::new();
    for hint in hints {
        let is_new =
            !known.iter().any(|face| is_part(&hint, face)) && kept.iter().all(|kept| kept.overlap(&hint) <= iou);
        if is_new && kept.len() < HINTS {
            kept.push(hint);
        }
    }
    kept
}

/// Whether a hint is a part of something, or that a part of the hint.
fn is_part(hint: &Detection, whole: &Detection) -> bool {
    hint.intersection(whole) > PART_OF_A_FACE * hint.area().min(whole.area())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn face(left: f32, size: f32, score: f32) -> Detection {
        Detection { rect: [left, 0.0, size, size], score, landmarks: [[left, 0.0]; 5], seen: size }
    }

    #[test]
    fn a_hint_on_a_face_is_a_part_of_it_whichever_is_larger() {
        let (large, small) = (face(0.0, 100.0, 0.9), face(40.0, 20.0, 0.2));
        assert!(is_part(&small, &large) && is_part(&large, &small));
        assert!(!is_part(&face(95.0, 20.0, 0.2), &large), "a quarter of it lies on the face");
    }

    #[test]
    fn the_surer_of_two_glances_counts_and_the_first_of_equals() {
        let (poor, good) = ((0.0, face(0.0, 10.0, 0.6)), (90.0, face(0.0, 10.0, 0.9)));
        assert_eq!((surer(poor, good), surer(good, poor)), (good, good));
        assert_eq!(surer(good, (180.0, good.1)), good);
    }

    #[test]
    fn hints_on_known_faces_and_on_earlier_hints_are_none() {
        let known = [face(0.0, 100.0, 0.95)];
        let hints = vec![face(20.0, 40.0, 0.1), face(300.0, 40.0, 0.1), face(305.0, 40.0, 0.1), face(400.0, 40.0, 0.1)];
        assert_eq!(apart(hints, &known, 0.45), [face(300.0, 40.0, 0.1), face(400.0, 40.0, 0.1)]);
        let many = (0..20).map(|place| face(200.0 * place as f32, 40.0, 0.1)).collect();
        assert_eq!(apart(many, &[], 0.45).len(), HINTS);
    }
}
