//! Face detection: passes of YuNet over the image at several sizes, one list of faces out.
//!
//! A coarse pass sees the face that fills the frame, a fine one the face of 20 pixels; each is trusted where it is good. Within a
//! pass the cells that see one face vote on its box and landmarks. A tilted face is looked at once more upright, because YuNet
//! reports less tilt than there is. `docs/benchmarks.md` has the figures behind each constant.

use std::sync::Arc;

use fast_image_resize::images::Image;
use fast_image_resize::{FilterType, PixelType, ResizeAlg, ResizeOptions, Resizer};
use ort::session::Session;

use crate::telemetry::{Stage, Stages};

use super::affine::Affine;
use super::alignment::warped_crop;
use super::decode::Photo;
use super::orientation::Orientation;
use super::pack::DetectorSpec;
use super::roll::RollNet;
use super::runtime::{Runtime, RuntimeError};
use super::wide::WideNet;
use super::yunet::{self, Detection, Yunet};

/// A small image is enlarged at most this much: below 20 px recall rises from .85 to .99, at no more cost than a large image.
const MAX_ENLARGEMENT: u32 = 2;
/// In all passes but the coarsest a box longer than this, in pixels of the pass, is left to the coarser ones, which see it whole.
const FINE_TRUSTED_TO: f32 = 400.0;
/// In the coarsest of several passes a box shorter than this is left to the finer ones, which see it better.
const COARSEST_TRUSTED_FROM: f32 = 40.0;
/// A face that the next finer pass would have seen shorter than this, where it is good, and did not find ...
const CONFIRMED_TO: f32 = 240.0;
/// ... needs this score.
const UNCONFIRMED_FROM_SCORE: f32 = 0.8;
/// Boxes of two passes that overlap this much are one face.
const CONFIRMED_FROM_IOU: f32 = 0.3;
/// A hint of a face shorter than this, in pixels of the finest pass, is worth one more pass over a larger image ...
const TINY_TO: f32 = 32.0;
/// ... and this score, below that of a face, is a hint.
const TINY_FROM_SCORE: f32 = 0.45;
/// Cells whose boxes overlap the best one by this much see the same face and have a vote.
const VOTE_IOU: f32 = 0.6;
/// Where two boxes share this much of the smaller one, the less sure one is a part of the other's face ...
const CONTAINED_SHARE: f32 = 0.5;
/// ... if its landmarks are in that box, or lie so near to the other's on average, in lengths of the smaller box. Cheek to cheek a
/// child's eyes and mouth are its own, and not all of them in the parent's box.
const SAME_LANDMARKS: f32 = 0.2;

/// A face with at least this much roll (degrees) is looked at upright.
const REFINE_FROM_ROLL: f32 = 8.0;
/// The same for a face whose box was shorter than this many pixels when it was seen: at 100 px YuNet reports a quarter of a tilt of
/// 20 degrees, from 200 px on nearly all of it.
const REFINE_SMALL_FROM_ROLL: f32 = 3.0;
const SMALL_WHEN_SEEN: f32 = 180.0;
/// A look that finds the roll within this many degrees of the one before confirms it: the landmarks stay as they are.
const ROLL_CONFIRMED_WITHIN: f32 = 4.0;
/// Side of the upright crop of a tilted face, in pixels, and how long the face's box is in it.
const REFINE_SIDE: u32 = 256;
const REFINE_BOX: f32 = 176.0;
const REFINE_MIN_SCORE: f32 = 0.5;
const REFINE_MIN_IOU: f32 = 0.3;

/// The graph that our head for lying faces belongs to.
const KNOWS_LYING_FACES: &str = "yunet-2023mar";

/// What is less sure than this is not looked at.
const HINT_FROM_SCORE: f32 = 0.1;
/// Hints kept of a pass, and the cells that they are sought among.
const HINTS: usize = 12;
const HINT_CELLS: usize = 300;

/// The passes over one photo so far, by their size and the photo's orientation, and the small images that they looked at: none is made
/// twice.
pub(super) struct Seen {
    passes: Vec<(u32, Orientation, Pass)>,
    /// The photo's stored pixels by their long side, in the order in which they were made.
    small: Vec<(u32, Image<'static>)>,
    stages: Stages,
}

impl Seen {
    /// Nothing yet; what looking takes goes to this stopwatch.
    pub(super) fn new(stages: &Stages) -> Self {
        Self { passes: Vec::new(), small: Vec::new(), stages: stages.clone() }
    }
}

/// The detector of one worker.
pub struct Detector {
    yunet: Yunet,
    spec: DetectorSpec,
    pub(super) roll_net: RollNet,
    pub(super) resizer: Resizer,
}

impl Detector {
    /// Loads the graph.
    pub fn new(runtime: &Runtime, graph: &[u8], spec: DetectorSpec) -> Result<Self, RuntimeError> {
        let yunet = Yunet::new(runtime, graph, spec.file == KNOWS_LYING_FACES)?;
        Ok(Self { yunet, spec, roll_net: RollNet::new(runtime)?, resizer: Resizer::new() })
    }

    /// A session over the graph on so many threads, for [`Self::widen`].
    pub fn session(
        runtime: &Runtime,
        graph: &[u8],
        spec: &DetectorSpec,
        threads: usize,
    ) -> Result<Session, RuntimeError> {
        Yunet::session(runtime, graph, spec.file == KNOWS_LYING_FACES, threads)
    }

    /// From now on it may run on several cores; `wide` is of the same graph.
    pub fn widen(&mut self, wide: Arc<WideNet>) {
        self.yunet.widen(wide);
    }

    /// Every face of the image, in pixel coordinates of the upright image, in no order.
    pub fn detect(&mut self, photo: &Photo, stages: &Stages) -> ort::Result<Vec<Detection>> {
        self.detect_further(photo, &mut Seen::new(stages))
    }

    /// The same, after some passes were made.
    pub(super) fn detect_further(&mut self, photo: &Photo, seen: &mut Seen) -> ort::Result<Vec<Detection>> {
        let long = long_side(photo);
        let mut sides: Vec<u32> = self.spec.long_sides.iter().map(|side| (*side).min(long)).collect();
        sides.push(self.coarse_side(photo));
        sides.sort_unstable();
        sides.dedup();
        let mut passes = Vec::new();
        for side in sides {
            passes.push(self.look(photo, side, seen)?.clone());
        }
        let tiny_side = self.spec.tiny_faces_side.min(long.saturating_mul(MAX_ENLARGEMENT));
        if passes.last().is_some_and(|finest| finest.hints_at_tiny_faces && finest.side < tiny_side) {
            passes.push(self.pass(photo, tiny_side, seen)?);
        }
        // The finest pass knows best how large something is.
        let hints = passes.iter().rev().flat_map(|pass| pass.lying.iter().copied()).collect();
        let found = without_parts(first_of_overlapping(trusted(passes), self.spec.nms_iou));
        let stages = seen.stages.clone();
        stages.time(Stage::Detect, || self.with_lying_faces(photo, found, hints))
    }

    /// Boxes that overlap more are one face.
    pub(super) fn iou(&self) -> f32 {
        self.spec.nms_iou
    }

    /// What has this score is a face.
    pub(super) fn least_score(&self) -> f32 {
        self.spec.score_threshold
    }

    /// The long side of the coarse pass: only that one enlarges a small image, which costs little.
    pub(super) fn coarse_side(&self, photo: &Photo) -> u32 {
        let enlarged = long_side(photo).saturating_mul(MAX_ENLARGEMENT);
        self.spec.long_sides.first().map_or(enlarged, |side| enlarged.min(*side))
    }

    /// The long side of the finest pass that every image gets.
    pub(super) fn fine_side(&self, photo: &Photo) -> u32 {
        self.spec.long_sides.last().map_or(long_side(photo), |side| long_side(photo).min(*side))
    }

    /// The pass over the photo as it is turned now, unless it was made before.
    pub(super) fn look<'s>(&mut self, photo: &Photo, side: u32, seen: &'s mut Seen) -> ort::Result<&'s Pass> {
        let is_it =
            |(made, orientation, _): &(u32, Orientation, Pass)| *made == side && *orientation == photo.orientation;
        let place = match seen.passes.iter().position(is_it) {
            Some(place) => place,
            None => {
                let pass = self.pass(photo, side, seen)?;
                seen.passes.push((side, photo.orientation, pass));
                seen.passes.len() - 1
            }
        };
        Ok(&seen.passes[place].2)
    }

    /// Whatever may be a face in pixels of this size, in coordinates of their upright form.
    pub(super) fn candidates(
        &mut self,
        pixels: &[u8],
        size: (u32, u32),
        orientation: Orientation,
    ) -> ort::Result<Vec<Detection>> {
        Ok(self.yunet.look(pixels, size, orientation, HINT_FROM_SCORE)?.candidates)
    }

    /// The landmarks of a face, measured anew in an upright crop if the face is tilted more than the detector said.
    pub fn refine(&mut self, photo: &Photo, face: &Detection) -> ort::Result<[[f32; 2]; 5]> {
        let mut landmarks = face.landmarks;
        let mut from = if face.seen < SMALL_WHEN_SEEN { REFINE_SMALL_FROM_ROLL } else { REFINE_FROM_ROLL };
        for _ in 0..2 {
            let roll = roll_of(&landmarks);
            if roll.abs() < from {
                break;
            }
            from = REFINE_FROM_ROLL;
            match self.look_upright(photo, face, roll)? {
                Some(upright) if between(roll_of(&upright), roll) >= ROLL_CONFIRMED_WITHIN => landmarks = upright,
                _ => break,
            }
        }
        Ok(landmarks)
    }

    /// One pass over the image brought to a long side of `side` pixels.
    fn pass(&mut self, photo: &Photo, side: u32, seen: &mut Seen) -> ort::Result<Pass> {
        let stages = seen.stages.clone();
        let resized = stages.time(Stage::Resize, || self.resized(photo, side, seen));
        let (pixels, small) = match resized {
            Some(image) => (image.buffer(), (image.width(), image.height())),
            None => (photo.stored.as_raw().as_slice(), photo.stored.dimensions()),
        };
        let looking = || self.yunet.look(pixels, small, photo.orientation, HINT_FROM_SCORE);
        let yunet::Seen { mut candidates, mut lying } = stages.time(Stage::Detect, looking)?;
        lying.sort_by(|a, b| b.0.total_cmp(&a.0));
        lying.truncate(HINT_CELLS);
        let hints_at_tiny_faces = candidates.iter().any(|hint| hint.seen <= TINY_TO && hint.score >= TINY_FROM_SCORE);
        candidates.sort_by(|a, b| b.score.total_cmp(&a.score));
        let surest = candidates.iter().take(HINT_CELLS).copied().collect();
        let mut hints = first_of_overlapping(surest, self.spec.nms_iou);
        hints.truncate(HINTS);
        candidates.retain(|face| face.score >= self.spec.score_threshold);
        // Pixel centres of the small image on those of the whole one.
        let (full, upright) = (photo.size(), photo.orientation.turn_size(small));
        let grow = [full.0 as f32 / upright.0 as f32, full.1 as f32 / upright.1 as f32];
        let point = |[x, y]: [f32; 2]| [(x + 0.5) * grow[0] - 0.5, (y + 0.5) * grow[1] - 0.5];
        let to_full = |face: Detection| {
            let [left, top] = point([face.rect[0], face.rect[1]]);
            let rect = [left, top, face.rect[2] * grow[0], face.rect[3] * grow[1]];
            Detection { rect, landmarks: face.landmarks.map(point), ..face }
        };
        let faces = elect(candidates, self.spec.nms_iou).into_iter().map(to_full).collect();
        let hints = hints.into_iter().map(to_full).collect();
        let lying = first_of_overlapping(
            lying.into_iter().map(|(_, face)| to_full(with_likely_size(face))).collect(),
            self.spec.nms_iou,
        );
        Ok(Pass { side, faces, hints, lying, hints_at_tiny_faces })
    }

    /// The landmarks of the face in a crop that is turned by its roll.
    fn look_upright(&mut self, photo: &Photo, face: &Detection, roll: f32) -> ort::Result<Option<[[f32; 2]; 5]>> {
        let look = Look { roll, side: REFINE_SIDE, length: REFINE_BOX, min_score: REFINE_MIN_SCORE };
        let (seen, crop_to_photo) = self.look_closely(photo, &face.rect, look)?;
        let expected = look.expected(face);
        let seen = seen
            .into_iter()
            .filter(|seen| seen.overlap(&expected) >= REFINE_MIN_IOU)
            .max_by(|a, b| a.overlap(&expected).total_cmp(&b.overlap(&expected)));
        Ok(seen.map(|seen| seen.landmarks.map(|p| crop_to_photo.apply(p))))
    }

    /// The faces in a square around a box of the photo, in pixels of that square, and the way from there into the photo.
    pub(super) fn look_closely(
        &mut self,
        photo: &Photo,
        rect: &[f32; 4],
        look: Look,
    ) -> ort::Result<(Vec<Detection>, Affine)> {
        let crop_to_photo = look.crop_to_photo(rect);
        let crop = warped_crop(photo, &crop_to_photo, look.side, &mut self.resizer);
        let side = (look.side, look.side);
        let candidates = self.yunet.look(&crop, side, Orientation::UPRIGHT, look.min_score)?.candidates;
        Ok((elect(candidates, self.spec.nms_iou), crop_to_photo))
    }

    /// The stored pixels with a long side of `side`, or nothing when they have that size already.
    fn resized<'s>(&mut self, photo: &Photo, side: u32, seen: &'s mut Seen) -> Option<&'s Image<'static>> {
        let stored = photo.stored.dimensions();
        let long = stored.0.max(stored.1);
        if side == long {
            return None;
        }
        let known = |seen: &Seen, side: u32| seen.small.iter().position(|(made, _)| *made == side);
        if let Some(place) = known(seen, side) {
            return Some(&seen.small[place].1);
        }
        // Every image is looked at in its fine size sooner or later: a much smaller one is quicker made of that than of the photo.
        let fine = self.fine_side(photo);
        let from = (fine < long && 2 * side <= fine).then(|| {
            self.resized(photo, fine, seen);
            known(seen, fine)
        });
        let scaled = |length: u32| ((length as f32 * side as f32 / long as f32).round() as u32).max(1);
        let mut small = Image::new(scaled(stored.0), scaled(stored.1), PixelType::U8x3);
        // Bilinear convolution: the kernel grows with the reduction, so that no pixel is skipped.
        let options = ResizeOptions::new().resize_alg(ResizeAlg::Convolution(FilterType::Bilinear));
        let done = match from.flatten() {
            Some(place) => self.resizer.resize(&seen.small[place].1, &mut small, &options),
            None => self.resizer.resize(&photo.stored, &mut small, &options),
        };
        done.expect("both images are 8-bit RGB");
        seen.small.push((side, small));
        seen.small.last().map(|(_, image)| image)
    }
}

/// A look at a square around something, turned.
#[derive(Clone, Copy)]
pub(super) struct Look {
    /// By how many degrees clockwise the square lies in the photo: a face with that roll stands upright in it.
    pub(super) roll: f32,
    /// Its side in pixels.
    pub(super) side: u32,
    /// How long the longer side of the box in its middle comes out, in pixels.
    pub(super) length: f32,
    /// What a face in it has to score.
    pub(super) min_score: f32,
}

impl Look {
    fn middle(&self) -> f32 {
        (self.side as f32 - 1.0) / 2.0
    }

    pub(super) fn crop_to_photo(&self, [left, top, width, height]: &[f32; 4]) -> Affine {
        let scale = width.max(*height) / self.length;
        let (sin, cos) = self.roll.to_radians().sin_cos();
        let (a, b, middle) = (scale * cos, scale * sin, self.middle());
        let (x, y) = (left + width / 2.0, top + height / 2.0);
        Affine { x: [a, -b, x - a * middle + b * middle], y: [b, a, y - b * middle - a * middle] }
    }

    /// Where a face would lie in the square if its box turned with it.
    fn expected(&self, face: &Detection) -> Detection {
        let [_, _, width, height] = face.rect;
        let scale = width.max(height) / self.length;
        let (width, height, middle) = (width / scale, height / scale, self.middle());
        Detection { rect: [middle - width / 2.0, middle - height / 2.0, width, height], ..*face }
    }

    /// Whether something in the square lies near its middle: within a quarter of the side.
    pub(super) fn has_in_the_middle(&self, face: &Detection) -> bool {
        let off = |start: f32, length: f32| (start + length / 2.0 - self.middle()).abs() < self.side as f32 / 4.0;
        off(face.rect[0], face.rect[2]) && off(face.rect[1], face.rect[3])
    }
}

/// What one pass saw.
#[derive(Clone)]
pub(super) struct Pass {
    /// The long side of its input, in pixels.
    side: u32,
    /// In pixel coordinates of the upright image, best score first.
    faces: Vec<Detection>,
    /// The surest things that may be faces, as the cells see them, best score first.
    pub(super) hints: Vec<Detection>,
    /// What may be a face that lies turned, likeliest first.
    lying: Vec<Detection>,
    /// Whether there may be faces that a larger input would show.
    hints_at_tiny_faces: bool,
}

fn long_side(photo: &Photo) -> u32 {
    let (width, height) = photo.size();
    width.max(height)
}

/// What each pass (coarsest first) is good at, finest first: where two passes see a face, the finer one places it better.
fn trusted(passes: Vec<Pass>) -> Vec<Detection> {
    let finer_sides: Vec<Option<u32>> = (1..=passes.len()).map(|next| passes.get(next).map(|pass| pass.side)).collect();
    let mut found: Vec<Detection> = Vec::new();
    for (place, pass) in passes.into_iter().enumerate().rev() {
        let coarsest_of_several = place == 0 && finer_sides[place].is_some();
        for face in pass.faces {
            let too_short = coarsest_of_several && face.seen < COARSEST_TRUSTED_FROM;
            let too_long = place > 0 && face.seen > FINE_TRUSTED_TO;
            let confirmable =
                finer_sides[place].is_some_and(|finer| face.seen * finer as f32 / pass.side as f32 <= CONFIRMED_TO);
            let confirmed = || found.iter().any(|finer| finer.overlap(&face) >= CONFIRMED_FROM_IOU);
            if too_short || too_long || (confirmable && face.score < UNCONFIRMED_FROM_SCORE && !confirmed()) {
                continue;
            }
            found.push(face);
        }
    }
    found
}

/// A hint of a lying face with a box as large as that face likely is: YuNet takes small ones for larger than they are, and large ones for
/// smaller. Fitted to faces of 17 to 133 px, half of which come out within 15 %.
fn with_likely_size(hint: Detection) -> Detection {
    let grow = 0.079 * hint.seen.powf(0.58);
    let [left, top, width, height] = hint.rect;
    let (x, y) = (left + width / 2.0, top + height / 2.0);
    let (width, height) = (width * grow, height * grow);
    Detection { rect: [x - width / 2.0, y - height / 2.0, width, height], seen: hint.seen * grow, ..hint }
}

/// The mean distance between the landmarks of two faces, in pixels.
fn mean_distance(a: &Detection, b: &Detection) -> f32 {
    let distances = a.landmarks.iter().zip(&b.landmarks).map(|(p, q)| (p[0] - q[0]).hypot(p[1] - q[1]));
    distances.sum::<f32>() / a.landmarks.len() as f32
}

/// Tilt in degrees, from the eyes and the mouth: steadier than the eyes alone.
fn roll_of([left_eye, right_eye, _, left_mouth, right_mouth]: &[[f32; 2]; 5]) -> f32 {
    let along = |axis: usize| right_eye[axis] - left_eye[axis] + right_mouth[axis] - left_mouth[axis];
    along(1).atan2(along(0)).to_degrees()
}

/// The angle between two tilts, in degrees.
pub(super) fn between(a: f32, b: f32) -> f32 {
    let turn = (a - b).rem_euclid(360.0);
    turn.min(360.0 - turn)
}

/// Non-maximum suppression with a vote: each winner's box and landmarks are the score-weighted mean over the cells that see the
/// same face. The score stays the winner's own.
fn elect(mut candidates: Vec<Detection>, iou: f32) -> Vec<Detection> {
    candidates.sort_by(|a, b| b.score.total_cmp(&a.score));
    let winners = first_of_overlapping(candidates.clone(), iou);
    let elected = winners.iter().map(|winner| {
        let voters = || candidates.iter().filter(|voter| voter.overlap(winner) >= VOTE_IOU);
        let weight: f32 = voters().map(|voter| voter.score).sum();
        let mean = |value: &dyn Fn(&Detection) -> f32| voters().map(|v| v.score * value(v)).sum::<f32>() / weight;
        if weight <= 0.0 {
            return *winner;
        }
        Detection {
            rect: std::array::from_fn(|i| mean(&|v| v.rect[i])),
            landmarks: std::array::from_fn(|k| std::array::from_fn(|axis| mean(&|v| v.landmarks[k][axis]))),
            ..*winner
        }
    });
    elected.collect()
}

/// Of boxes that overlap by more than `iou` the one that comes first stays.
fn first_of_overlapping(faces: Vec<Detection>, iou: f32) -> Vec<Detection> {
    let mut kept: Vec<Detection> = Vec::new();
    for face in faces {
        if kept.iter().all(|earlier| earlier.overlap(&face) <= iou) {
            kept.push(face);
        }
    }
    kept
}

/// One box a face: of boxes that overlap by more than `iou`, or of which one is a part of the other's face, the surest stays.
pub(super) fn one_box_a_face(mut faces: Vec<Detection>, iou: f32) -> Vec<Detection> {
    faces.sort_by(|a, b| b.score.total_cmp(&a.score));
    without_parts(first_of_overlapping(faces, iou))
}

/// Drops boxes that lie on a surer face and show nobody else.
fn without_parts(faces: Vec<Detection>) -> Vec<Detection> {
    let is_part = |part: &Detection, whole: &Detection| {
        whole.score > part.score
            && whole.intersection(part) > CONTAINED_SHARE * part.area().min(whole.area())
            && (part.landmarks.iter().all(|point| whole.contains(*point))
                || mean_distance(part, whole) <= SAME_LANDMARKS * part.longer().min(whole.longer()))
    };
    faces.iter().filter(|face| !faces.iter().any(|whole| is_part(face, whole))).copied().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn face(left: f32, size: f32, score: f32) -> Detection {
        Detection { rect: [left, 0.0, size, size], score, landmarks: [[left, 0.0]; 5], seen: size }
    }

    #[test]
    fn the_better_of_two_overlapping_boxes_wins_and_those_that_see_the_same_face_vote() {
        let elected = elect(vec![face(0.0, 10.0, 0.6), face(1.0, 10.0, 0.9), face(30.0, 10.0, 0.8)], 0.45);
        assert_eq!(elected.iter().map(|d| d.score).collect::<Vec<_>>(), [0.9, 0.8]);
        // (0.6 * 0 + 0.9 * 1) / 1.5
        assert!((elected[0].rect[0] - 0.6).abs() < 1e-6 && (elected[0].landmarks[2][0] - 0.6).abs() < 1e-6);
        assert_eq!(elected[1], face(30.0, 10.0, 0.8));
    }

    #[test]
    fn each_pass_is_trusted_with_what_it_is_good_at() {
        let seen = |seen: f32, score: f32| Detection { seen, ..face(0.0, 10.0, score) };
        let pass = |side: u32, faces: Vec<Detection>| Pass {
            side,
            faces,
            hints: Vec::new(),
            lying: Vec::new(),
            hints_at_tiny_faces: false,
        };
        let score = |passes: Vec<Pass>| trusted(passes).iter().map(|face| face.score).collect::<Vec<_>>();
        // A single pass has to do for everything.
        assert_eq!(score(vec![pass(320, vec![seen(10.0, 0.7), seen(500.0, 0.71)])]), [0.7, 0.71]);
        // The small one is the fine pass's, the large one the coarse pass's.
        let (small, large) = (seen(30.0, 0.9), seen(150.0, 0.9));
        assert_eq!(score(vec![pass(320, vec![small, large]), pass(1280, vec![seen(600.0, 0.95)])]), [0.9]);
        // 50 px at 320 are 200 px at 1280, which would have seen them: alone they have to be sure.
        assert_eq!(score(vec![pass(320, vec![seen(50.0, 0.7)]), pass(1280, vec![])]), [0.0; 0]);
        assert_eq!(score(vec![pass(320, vec![seen(50.0, 0.85)]), pass(1280, vec![])]), [0.85]);
        assert_eq!(score(vec![pass(320, vec![seen(50.0, 0.7)]), pass(1280, vec![seen(200.0, 0.66)])]), [0.66, 0.7]);
    }

    /// A face whose landmarks lie in its box as they do on a face that looks ahead.
    fn portrait(left: f32, top: f32, size: f32, score: f32) -> Detection {
        let landmarks = [[0.3, 0.4], [0.7, 0.4], [0.5, 0.6], [0.35, 0.8], [0.65, 0.8]];
        let landmarks = landmarks.map(|[x, y]| [left + size * x, top + size * y]);
        Detection { rect: [left, top, size, size], score, landmarks, seen: size }
    }

    #[test]
    fn a_box_on_a_surer_face_is_a_part_of_it() {
        let whole = portrait(0.0, 0.0, 100.0, 0.95);
        // A mouth, and a forehead that reaches beyond the hair; their boxes overlap too little to be one for that.
        for part in [portrait(30.0, 60.0, 30.0, 0.7), portrait(25.0, -20.0, 55.0, 0.9)] {
            assert!(part.overlap(&whole) < 0.45);
            assert_eq!(one_box_a_face(vec![part, whole], 0.45), [whole]);
        }
        // The same eyes and mouth, seen in a box that is larger and less sure.
        let mut loose = portrait(-30.0, -30.0, 160.0, 0.8);
        loose.landmarks = whole.landmarks;
        assert_eq!(one_box_a_face(vec![loose, whole], 0.45), [whole]);
    }

    #[test]
    fn faces_cheek_to_cheek_are_two() {
        let parent = portrait(0.0, 0.0, 100.0, 0.95);
        // More than half of the child's box lies on the parent's, but not its outer eye.
        let child = portrait(72.0, 45.0, 50.0, 0.9);
        assert!(parent.intersection(&child) > 0.5 * child.area());
        assert_eq!(one_box_a_face(vec![child, parent], 0.45), [parent, child]);
        // A surer child is no part of the parent's, nor the parent of the child's.
        let child = portrait(65.0, 40.0, 60.0, 0.97);
        assert!(parent.intersection(&child) > 0.5 * child.area());
        assert_eq!(one_box_a_face(vec![parent, child], 0.45), [child, parent]);
        let beside = portrait(95.0, 0.0, 30.0, 0.7);
        assert_eq!(one_box_a_face(vec![beside, parent], 0.45), [parent, beside]);
    }

    #[test]
    fn the_angle_between_two_tilts_goes_the_short_way() {
        assert_eq!(between(179.0, -179.0), 2.0);
        assert_eq!(between(-30.0, 20.0), 50.0);
    }

    #[test]
    fn roll_is_positive_when_the_image_right_side_is_lower() {
        let level = [[0.0, 0.0], [10.0, 0.0], [5.0, 5.0], [2.0, 10.0], [8.0, 10.0]];
        assert_eq!(roll_of(&level), 0.0);
        let lower_right = level.map(|[x, y]: [f32; 2]| [x, y + x]);
        assert!((roll_of(&lower_right) - 45.0).abs() < 1e-4);
    }
}
