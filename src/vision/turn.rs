//! Which way up a photo lies whose Exif does not say: YuNet is surest of upright faces, so the turn with the surest face wins.
//!
//! Where one look tells, it ends there: a face that is sure enough stands upright. Coarse looks at the other turns follow, then close ones
//! at what may be small faces. The numbers come from 305 photos and 1,000 CelebA crops in four turns, and from photos without a face.

use crate::domain::OrientationCorrection;
use crate::telemetry::Stages;

use super::affine::Affine;
use super::alignment::warped_crop;
use super::decode::Photo;
use super::detector::{Detector, Seen};
use super::orientation::Orientation;
use super::yunet::Detection;

/// A face with this score stands upright: one on its side or its head reaches less ...
const UPRIGHT_FROM: f32 = 0.925;
/// ... and one on its side less than this, so that only the head is left to be looked at.
const NOT_ON_ITS_SIDE_FROM: f32 = 0.91;
/// A face in another turn needs this score: cats and smears have less ...
const TURNED_FROM: f32 = 0.85;
/// ... and so much more than the surest one in the image as it was sent.
const MARGIN: f32 = 0.02;
/// The long side of the finer looks at the other turns, where the coarse ones see nobody clearly.
const FINER_SIDE: u32 = 640;
/// So many of a look's surest hints are looked at closely, in a square of so many times the box's longer side, so many pixels a side.
const HINTS: usize = 2;
const CLOSE_REACH: f32 = 3.0;
const CLOSE_SIDE: u32 = 128;

/// Quarter turns clockwise that make an image upright: a place in [`OrientationCorrection::EACH`].
type Turn = usize;
/// The other turns: on its head first, as a sure enough face excludes its sides.
const OTHERS: [Turn; 3] = [2, 1, 3];

impl Detector {
    /// Every face of an image that may lie on its side or its head, and how it does: the photo's orientation becomes the likeliest.
    pub fn detect_any_way_up(
        &mut self,
        photo: &mut Photo,
        stages: &Stages,
    ) -> ort::Result<(Vec<Detection>, OrientationCorrection)> {
        let mut seen = Seen::new(stages);
        let turn = self.likeliest_turn(photo, &mut seen)?;
        turn_to(photo, turn);
        let found = self.detect_further(photo, &mut seen)?;
        if turn != 0 && found.is_empty() {
            turn_to(photo, 0);
            return Ok((self.detect_further(photo, &mut seen)?, OrientationCorrection::Rotate0));
        }
        Ok((found, OrientationCorrection::EACH[turn]))
    }

    fn likeliest_turn(&mut self, photo: &mut Photo, seen: &mut Seen) -> ort::Result<Turn> {
        let mut scores = [0.0; 4];
        scores[0] = self.surest(photo, 0, self.coarse_side(photo), seen)?;
        if scores[0] >= UPRIGHT_FROM {
            return Ok(0);
        }
        let others = if scores[0] >= NOT_ON_ITS_SIDE_FROM { &OTHERS[..1] } else { &OTHERS };
        for turn in others {
            scores[*turn] = self.surest(photo, *turn, self.coarse_side(photo), seen)?;
            if scores[*turn] >= UPRIGHT_FROM {
                return Ok(*turn);
            }
        }
        if scores.iter().any(|score| *score >= TURNED_FROM) {
            return Ok(clearest(scores));
        }
        self.likeliest_turn_of_small_faces(photo, scores[0], seen)
    }

    /// Nothing is clear from afar: looks closely at whatever may be a face.
    fn likeliest_turn_of_small_faces(&mut self, photo: &mut Photo, coarse: f32, seen: &mut Seen) -> ort::Result<Turn> {
        let fine = self.surest(photo, 0, self.fine_side(photo), seen)?;
        let mut scores = [coarse.max(fine), 0.0, 0.0, 0.0];
        let upright = scores[0];
        if upright >= UPRIGHT_FROM {
            return Ok(0);
        }
        let side = if fine >= coarse { self.fine_side(photo) } else { self.coarse_side(photo) };
        for hint in self.hints(photo, 0, side, seen)? {
            for (turn, score) in scores.iter_mut().enumerate() {
                *score = score.max(self.close_look(photo, 0, &hint, turn)?);
            }
        }
        let is_clear = upright >= TURNED_FROM || scores.iter().any(|score| *score >= UPRIGHT_FROM);
        // A small image has shown all that it has.
        if is_clear || self.fine_side(photo) <= self.coarse_side(photo) {
            return Ok(clearest(scores));
        }
        for turn in OTHERS {
            let side = FINER_SIDE.min(self.fine_side(photo));
            scores[turn] = scores[turn].max(self.surest(photo, turn, side, seen)?);
            for hint in self.hints(photo, turn, side, seen)? {
                let score = self.close_look(photo, turn, &hint, 0)?;
                scores[turn] = scores[turn].max(score);
                // A face that is clear in one turn may be clearer in another.
                for further in if score >= TURNED_FROM { 1..4 } else { 0..0 } {
                    let other = (turn + further) % 4;
                    scores[other] = scores[other].max(self.close_look(photo, turn, &hint, further)?);
                }
            }
            if scores.iter().any(|score| *score >= UPRIGHT_FROM) {
                break;
            }
        }
        Ok(clearest(scores))
    }

    /// The score of the surest face of one pass over the photo in this turn; 0 when it has none.
    fn surest(&mut self, photo: &mut Photo, turn: Turn, side: u32, seen: &mut Seen) -> ort::Result<f32> {
        turn_to(photo, turn);
        Ok(self.look(photo, side, seen)?.hints.first().map_or(0.0, |face| face.score))
    }

    /// The surest things of a pass that may be faces, in pixels of the photo in this turn.
    fn hints(&mut self, photo: &mut Photo, turn: Turn, side: u32, seen: &mut Seen) -> ort::Result<Vec<Detection>> {
        turn_to(photo, turn);
        Ok(self.look(photo, side, seen)?.hints.iter().take(HINTS).copied().collect())
    }

    /// The score of the face in the middle of a square around what was seen in the photo in one turn, turned `further` by so much.
    fn close_look(&mut self, photo: &mut Photo, turn: Turn, hint: &Detection, further: Turn) -> ort::Result<f32> {
        turn_to(photo, turn);
        let [left, top, width, height] = hint.rect;
        let scale = CLOSE_REACH * width.max(height) / CLOSE_SIDE as f32;
        let middle = (CLOSE_SIDE as f32 - 1.0) / 2.0;
        let start = [left + width / 2.0 - scale * middle, top + height / 2.0 - scale * middle];
        let map = Affine { x: [scale, 0.0, start[0]], y: [0.0, scale, start[1]] };
        let crop = warped_crop(photo, &map, CLOSE_SIDE, &mut self.resizer);
        let size = (CLOSE_SIDE, CLOSE_SIDE);
        let found = self.candidates(&crop, size, Orientation::needing(OrientationCorrection::EACH[further]))?;
        let in_the_middle = |face: &&Detection| {
            let off = |start: f32, length: f32| (start + length / 2.0 - middle).abs() < CLOSE_SIDE as f32 / 4.0;
            off(face.rect[0], face.rect[2]) && off(face.rect[1], face.rect[3])
        };
        Ok(found.iter().filter(in_the_middle).map(|face| face.score).fold(0.0, f32::max))
    }
}

fn turn_to(photo: &mut Photo, turn: Turn) {
    photo.orientation = Orientation::needing(OrientationCorrection::EACH[turn]);
}

/// The turn with the highest score, if that is a face and clearly more than upright.
fn clearest(scores: [f32; 4]) -> Turn {
    let turn = (0..4).max_by(|a, b| scores[*a].total_cmp(&scores[*b])).unwrap_or(0);
    if scores[turn] >= TURNED_FROM && scores[turn] >= scores[0] + MARGIN { turn } else { 0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_turn_needs_a_clear_face() {
        assert_eq!(clearest([0.9, 0.0, 0.93, 0.5]), 2);
        assert_eq!(clearest([0.9, 0.0, 0.91, 0.5]), 0, "hardly surer than upright");
        assert_eq!(clearest([0.1, 0.8, 0.0, 0.0]), 0, "hardly a face");
    }
}
