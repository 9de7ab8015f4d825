//! The face mesh (Kartynnik et al., "Real-time Facial Surface Geometry from Monocular Video on Mobile GPUs", 2019) and the iris model
//! (Ablavatski et al., "Real-time Pupil Tracking from Monocular Video for Digital Puppetry", 2020): points of a face, and what follows from
//! where they are.

use crate::domain::{EyeDirection, Judgement, LandmarkType, Percent};
use crate::vision::affine::Affine;
use crate::vision::alignment::warped_crop;
use crate::vision::calibration::interpolate;
use crate::vision::decode::Photo;
use crate::vision::net::{CropFormat, CropNet};
use crate::vision::runtime::{Runtime, RuntimeError};

use fast_image_resize::Resizer;

/// Sides of the crops in pixels.
const MESH_SIDE: u32 = 192;
const IRIS_SIDE: u32 = 64;
/// The mesh's crop is a square of so many longer sides of the face's box, whose centre lies this share of one further down: YuNet's box
/// is taller than the one that the mesh was trained with.
const MESH_REACH: f32 = 1.35;
const MESH_DOWN: f32 = 0.05;
/// A face whose mesh is turned by more degrees than its crop was is looked at again, in a crop around its mesh ...
const LOOK_AGAIN_FROM: f32 = 10.0;
/// ... of so many longer sides of it.
const LOOK_AGAIN_REACH: f32 = 1.4;
/// The iris model's crop is a square of so many widths of the eye.
const IRIS_REACH: f32 = 2.3;

/// Points of the mesh, by MediaPipe's numbers. Left is the image's.
mod point {
    /// The corners of an eye, from the image's left to its right.
    pub const LEFT_EYE: [usize; 2] = [33, 133];
    pub const RIGHT_EYE: [usize; 2] = [362, 263];
    pub const INNER_LIPS: [usize; 4] = [78, 308, 13, 14];
    /// What lies where the detector's five landmarks lie, each in the middle of two.
    pub const FIVE: [[usize; 2]; 5] = [[33, 133], [362, 263], [1, 4], [61, 61], [291, 291]];
}

/// Which two points of the mesh a landmark lies between, as in published replies of the service; the eyes' centres and the pupils come
/// from the iris model.
fn mesh_points(kind: LandmarkType) -> Option<[usize; 2]> {
    use LandmarkType::*;
    Some(match kind {
        EyeLeft | EyeRight | LeftPupil | RightPupil => return None,
        MouthLeft => [61, 61],
        MouthRight => [291, 291],
        Nose => [1, 4],
        LeftEyeBrowLeft => [70, 70],
        LeftEyeBrowRight => [107, 65],
        LeftEyeBrowUp => [105, 105],
        RightEyeBrowLeft => [336, 295],
        RightEyeBrowRight => [300, 300],
        RightEyeBrowUp => [334, 334],
        LeftEyeLeft => [33, 33],
        LeftEyeRight => [133, 155],
        LeftEyeUp => [159, 159],
        LeftEyeDown => [145, 145],
        RightEyeLeft => [362, 382],
        RightEyeRight => [263, 263],
        RightEyeUp => [386, 386],
        RightEyeDown => [374, 374],
        NoseLeft => [75, 75],
        NoseRight => [305, 305],
        MouthUp => [0, 0],
        MouthDown => [16, 16],
        UpperJawlineLeft => [127, 127],
        MidJawlineLeft => [58, 172],
        ChinBottom => [152, 175],
        MidJawlineRight => [288, 397],
        UpperJawlineRight => [356, 356],
    })
}

/// The iris model's points of an eye: corners, lower and upper lid.
const CONTOUR: [usize; 4] = [0, 8, 4, 12];

/// From how wide an eye is open (its lids' distance over its corners', in the iris model; .32 in the median) to the chance that it is
/// called open.
const EYE_OPEN: [[f32; 2]; 6] = [[0.0, 0.0], [0.06, 4.0], [0.11, 30.0], [0.14, 55.0], [0.2, 92.0], [0.32, 100.0]];
/// The same for a mouth: the lips' distance over their corners'.
const MOUTH_OPEN: [[f32; 2]; 6] = [[0.0, 0.0], [0.03, 10.0], [0.08, 45.0], [0.12, 70.0], [0.25, 97.0], [0.6, 100.0]];
/// An eyeball's radius in widths of the eye (12 of 30 mm): how far the iris moves tells how far the eye turns.
const EYEBALL: f32 = 0.4;
/// A mesh with less presence than this is a guess ...
const PRESENT_FROM: f32 = 0.5;
/// ... as is one whose points lie further from the detector's than this, on average, in sides of the box (.03 is usual).
const ASTRAY_FROM: f32 = 0.1;

/// The two models of one worker.
pub struct Mesher {
    mesh: CropNet,
    iris: CropNet,
}

/// The points of a face in pixels of the upright image.
pub struct FaceMesh {
    points: Vec<[f32; 2]>,
    /// Left and right, once asked for.
    eyes: Option<[Eye; 2]>,
    /// How sure it is that the points are a face's, 0 to 1.
    trust: f32,
}

/// An eye as the iris model sees it.
struct Eye {
    pupil: [f32; 2],
    /// The lids' distance over the corners'.
    opening: f32,
}

/// A face as it is found: its box (left, top, width, height) and five landmarks.
pub type Outline<'a> = (&'a [f32; 4], &'a [[f32; 2]; 5]);

impl Mesher {
    /// Loads the graphs.
    pub fn new(runtime: &Runtime, mesh: &[u8], iris: &[u8]) -> Result<Self, RuntimeError> {
        Ok(Self {
            mesh: CropNet::new(runtime, "face mesh", mesh, CropFormat::plain(MESH_SIDE))?,
            iris: CropNet::new(runtime, "iris model", iris, CropFormat::plain(IRIS_SIDE))?,
        })
    }

    /// The meshes of these faces, in their order.
    pub fn meshes(
        &mut self,
        photo: &Photo,
        faces: &[Outline<'_>],
        resizer: &mut Resizer,
    ) -> ort::Result<Vec<FaceMesh>> {
        let maps: Vec<Affine> = faces.iter().map(|(rect, landmarks)| mesh_crop(rect, landmarks)).collect();
        let mut meshes = self.meshes_in(photo, &maps, resizer)?;
        // The detector reports too little of a large tilt; the mesh tells.
        let again: Vec<usize> =
            (0..faces.len()).filter(|k| meshes[*k].turn_from(&maps[*k]).abs() > LOOK_AGAIN_FROM).collect();
        let closer: Vec<Affine> = again.iter().map(|k| meshes[*k].own_crop()).collect();
        for (k, mesh) in again.into_iter().zip(self.meshes_in(photo, &closer, resizer)?) {
            if mesh.trust >= meshes[k].trust {
                meshes[k] = mesh;
            }
        }
        for (mesh, outline) in meshes.iter_mut().zip(faces) {
            mesh.compare_with(outline);
        }
        Ok(meshes)
    }

    fn meshes_in(&mut self, photo: &Photo, maps: &[Affine], resizer: &mut Resizer) -> ort::Result<Vec<FaceMesh>> {
        let crops: Vec<Vec<u8>> = maps.iter().map(|map| warped_crop(photo, map, MESH_SIDE, resizer)).collect();
        let crops: Vec<&[u8]> = crops.iter().map(Vec::as_slice).collect();
        let results = self.mesh.run(&crops, ["landmarks", "presence"])?;
        let mesh = |(map, [points, presence]): (&Affine, [Vec<f32>; 2])| FaceMesh {
            points: points.chunks_exact(3).map(|p| from_edges(map, [p[0], p[1]])).collect(),
            eyes: None,
            trust: ((presence[0] - PRESENT_FROM) / (1.0 - PRESENT_FROM)).clamp(0.0, 1.0),
        };
        Ok(maps.iter().zip(results).map(mesh).collect())
    }

    /// Looks closely at the eyes of these meshes.
    pub fn look_at_eyes(&mut self, photo: &Photo, meshes: &mut [FaceMesh], resizer: &mut Resizer) -> ort::Result<()> {
        let maps: Vec<Affine> = meshes.iter().flat_map(|mesh| [mesh.eye_crop(false), mesh.eye_crop(true)]).collect();
        let crops: Vec<Vec<u8>> = maps.iter().map(|map| warped_crop(photo, map, IRIS_SIDE, resizer)).collect();
        let crops: Vec<&[u8]> = crops.iter().map(Vec::as_slice).collect();
        let found = self.iris.run(&crops, ["iris", "contour"])?;
        let eye = |map: &Affine, [iris, contour]: &[Vec<f32>; 2]| {
            let [start, end, low, high] = CONTOUR.map(|k| [contour[3 * k], contour[3 * k + 1]]);
            let opening = distance(low, high) / distance(start, end).max(f32::MIN_POSITIVE);
            Eye { pupil: from_edges(map, [iris[0], iris[1]]), opening }
        };
        for (mesh, (maps, found)) in meshes.iter_mut().zip(maps.chunks_exact(2).zip(found.chunks_exact(2))) {
            mesh.eyes = Some([eye(&maps[0], &found[0]), eye(&maps[1], &found[1])]);
        }
        Ok(())
    }
}

/// Where a point that a net gives lies in the image: nets count from the crop's edge, maps from the centre of its first pixel.
fn from_edges(map: &Affine, [x, y]: [f32; 2]) -> [f32; 2] {
    map.apply([x - 0.5, y - 0.5])
}

/// The map from the mesh's crop into the upright image: a square around the box, turned so that the eyes are level.
fn mesh_crop(rect: &[f32; 4], landmarks: &[[f32; 2]; 5]) -> Affine {
    let longer = rect[2].max(rect[3]);
    let along = direction(landmarks[0], landmarks[1]);
    let down = MESH_DOWN * longer;
    let centre = [rect[0] + rect[2] / 2.0 - along[1] * down, rect[1] + rect[3] / 2.0 + along[0] * down];
    turned_square(centre, along, MESH_REACH * longer, MESH_SIDE, false)
}

/// The map into a square of `side` pixels around `centre`, whose rows run along `along`; mirrored if told to.
pub(super) fn turned_square(centre: [f32; 2], along: [f32; 2], side: f32, pixels: u32, mirrored: bool) -> Affine {
    let (step, last) = (side / pixels as f32, pixels as f32 - 1.0);
    let [cos, sin] = along;
    let flip = if mirrored { -1.0 } else { 1.0 };
    let (x, y) = ([flip * cos * step, -sin * step], [flip * sin * step, cos * step]);
    let shift = |row: [f32; 2], centre: f32| centre - (row[0] + row[1]) * last / 2.0;
    Affine { x: [x[0], x[1], shift(x, centre[0])], y: [y[0], y[1], shift(y, centre[1])] }
}

/// The unit vector from one point to another; to the right when they are one.
pub(super) fn direction(from: [f32; 2], to: [f32; 2]) -> [f32; 2] {
    let length = distance(from, to);
    if length > 0.0 { [(to[0] - from[0]) / length, (to[1] - from[1]) / length] } else { [1.0, 0.0] }
}

pub(super) fn distance(a: [f32; 2], b: [f32; 2]) -> f32 {
    (a[0] - b[0]).hypot(a[1] - b[1])
}

pub(super) fn middle(a: [f32; 2], b: [f32; 2]) -> [f32; 2] {
    [(a[0] + b[0]) / 2.0, (a[1] + b[1]) / 2.0]
}

impl FaceMesh {
    /// A landmark in pixels of the upright image; `None` for eyes and pupils that were not looked at, and for any when the mesh is a
    /// guess.
    pub fn landmark(&self, kind: LandmarkType) -> Option<[f32; 2]> {
        let eye = |right: usize| self.eyes.as_ref().map(|eyes| eyes[right].pupil);
        match kind {
            // In replies of the service an eye's centre is its pupil.
            LandmarkType::EyeLeft | LandmarkType::LeftPupil => eye(0),
            LandmarkType::EyeRight | LandmarkType::RightPupil => eye(1),
            kind => mesh_points(kind).map(|[a, b]| middle(self.points[a], self.points[b])),
        }
    }

    /// Whether the points are to be believed.
    pub fn is_trusted(&self) -> bool {
        self.trust > 0.0
    }

    /// How many degrees the mesh is turned from the crop that it was found in.
    fn turn_from(&self, crop: &Affine) -> f32 {
        let own = direction(self.points[point::LEFT_EYE[0]], self.points[point::RIGHT_EYE[1]]);
        let along = direction([0.0, 0.0], [crop.x[0], crop.y[0]]);
        (along[0] * own[1] - along[1] * own[0]).atan2(along[0] * own[0] + along[1] * own[1]).to_degrees()
    }

    /// The crop around the mesh itself, turned as it is.
    fn own_crop(&self) -> Affine {
        let along = direction(self.points[point::LEFT_EYE[0]], self.points[point::RIGHT_EYE[1]]);
        let turned = |p: &[f32; 2]| [p[0] * along[0] + p[1] * along[1], p[1] * along[0] - p[0] * along[1]];
        let (mut low, mut high) = ([f32::INFINITY; 2], [f32::NEG_INFINITY; 2]);
        for point in self.points.iter().map(turned) {
            for axis in 0..2 {
                low[axis] = low[axis].min(point[axis]);
                high[axis] = high[axis].max(point[axis]);
            }
        }
        let [u, v] = middle(low, high);
        let centre = [u * along[0] - v * along[1], v * along[0] + u * along[1]];
        let side = LOOK_AGAIN_REACH * (high[0] - low[0]).max(high[1] - low[1]).max(1.0);
        turned_square(centre, along, side, MESH_SIDE, false)
    }

    /// Takes away the trust in a mesh that is not where the face is.
    fn compare_with(&mut self, (rect, landmarks): &Outline<'_>) {
        let own = point::FIVE.map(|[a, b]| middle(self.points[a], self.points[b]));
        let apart = own.iter().zip(*landmarks).map(|(a, b)| distance(*a, *b)).sum::<f32>() / 5.0;
        if apart > ASTRAY_FROM * (rect[2] * rect[3]).max(0.0).sqrt() {
            self.trust = 0.0;
        }
    }

    /// The share of the points that lie beyond an image of this size.
    pub fn share_outside(&self, (width, height): (u32, u32)) -> f32 {
        let inside = |p: &&[f32; 2]| (0.0..=width as f32).contains(&p[0]) && (0.0..=height as f32).contains(&p[1]);
        1.0 - self.points.iter().filter(inside).count() as f32 / self.points.len().max(1) as f32
    }

    fn corners(&self, right: bool) -> [[f32; 2]; 2] {
        (if right { point::RIGHT_EYE } else { point::LEFT_EYE }).map(|place| self.points[place])
    }

    /// The crop of an eye; that on the right is mirrored, since the model knows the one on the left.
    fn eye_crop(&self, right: bool) -> Affine {
        let [start, end] = self.corners(right);
        let side = (IRIS_REACH * distance(start, end)).max(1.0);
        turned_square(middle(start, end), direction(start, end), side, IRIS_SIDE, right)
    }

    /// How wide the eyes are open; the nearer one of a turned head, which is the wider one, counts for more.
    fn opening(&self) -> Option<f32> {
        let eyes = self.eyes.as_ref()?;
        let [left, right] = [false, true].map(|right| distance(self.corners(right)[0], self.corners(right)[1]));
        Some((eyes[0].opening * left + eyes[1].opening * right) / (left + right).max(f32::MIN_POSITIVE))
    }

    /// Whether the eyes are open, once they were looked at.
    pub fn eyes_open(&self) -> Option<Judgement> {
        self.opening().map(|opening| self.judged(interpolate(&EYE_OPEN, opening, 0, 1)))
    }

    /// Whether the mouth is open.
    pub fn mouth_open(&self) -> Judgement {
        let [left, right, up, down] = point::INNER_LIPS.map(|place| self.points[place]);
        let opening = distance(up, down) / distance(left, right).max(f32::MIN_POSITIVE);
        self.judged(interpolate(&MOUTH_OPEN, opening, 0, 1))
    }

    /// A judgement from the chance (0 to 100) of a yes, drawn towards 50 as far as the mesh itself is a guess.
    fn judged(&self, chance: f32) -> Judgement {
        Judgement::of_chance(Percent::clamped(50.0 + (chance - 50.0) * self.trust))
    }

    /// Where the eyes look, once they were looked at.
    pub fn eye_direction(&self) -> Option<EyeDirection> {
        let eyes = self.eyes.as_ref()?;
        // Of each eye: how far the pupil is from the middle of the corners, along them and across, in widths of the eye.
        let offsets = [false, true].map(|right| {
            let [start, end] = self.corners(right);
            let (along, width) = (direction(start, end), distance(start, end).max(f32::MIN_POSITIVE));
            let (centre, pupil) = (middle(start, end), eyes[usize::from(right)].pupil);
            let (dx, dy) = (pupil[0] - centre[0], pupil[1] - centre[1]);
            [(dx * along[0] + dy * along[1]) / width, (dy * along[0] - dx * along[1]) / width]
        });
        let mean = |axis: usize| (offsets[0][axis] + offsets[1][axis]) / 2.0;
        let angle = |offset: f32| (offset / EYEBALL).clamp(-1.0, 1.0).asin().to_degrees();
        // Two eyes that look apart are a sign of a bad fit, closed ones of none at all.
        let agreement = (1.0 - (angle(offsets[0][0]) - angle(offsets[1][0])).abs() / 60.0).clamp(0.0, 1.0);
        let open = interpolate(&EYE_OPEN, self.opening()?, 0, 1) / 100.0;
        let confidence = Percent::clamped(100.0 * self.trust * agreement * open);
        Some(EyeDirection { yaw: angle(mean(0)), pitch: -angle(mean(1)), confidence })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_crop_is_centred_turned_and_mirrored_as_told() {
        let near = |a: [f32; 2], b: [f32; 2]| assert!(distance(a, b) < 1e-3, "{a:?} {b:?}");
        let plain = turned_square([100.0, 50.0], [1.0, 0.0], 64.0, 64, false);
        near(plain.apply([31.5, 31.5]), [100.0, 50.0]);
        near(plain.apply([32.5, 31.5]), [101.0, 50.0]);
        let mirrored = turned_square([100.0, 50.0], [1.0, 0.0], 64.0, 64, true);
        near(mirrored.apply([32.5, 31.5]), [99.0, 50.0]);
        let turned = turned_square([100.0, 50.0], [0.0, 1.0], 64.0, 64, false);
        near(turned.apply([32.5, 31.5]), [100.0, 51.0]);
        near(turned.apply([31.5, 32.5]), [99.0, 50.0]);
    }

    #[test]
    fn every_landmark_but_those_of_eyes_and_pupils_is_a_point_of_the_mesh() {
        let missing = LandmarkType::ALL.iter().filter(|kind| mesh_points(**kind).is_none()).count();
        assert_eq!(missing, 4);
    }
}
