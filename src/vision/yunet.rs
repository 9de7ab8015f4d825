//! The YuNet network (Wu, Peng, Yu, "YuNet: A Tiny Millisecond-level Face Detector", 2023): one image in at one size, every cell
//! whose score passes out, overlapping ones and all.

use std::sync::Arc;

use ort::session::Session;
use ort::value::TensorRef;

use super::affine::Affine;
use super::orientation::Orientation;
use super::runtime::{Runtime, RuntimeError};
use super::wide::{Net, WideNet};

/// The strides of YuNet's three heads; input sides are multiples of the last.
const STRIDES: [usize; 3] = [8, 16, 32];

/// A head of our own on the features of YuNet 2023mar: how likely a cell of the first stride is the middle of a face, even one that
/// lies turned. `training/lying.py` makes it. A graph is a protobuf message, and messages one behind the other are one: its nodes and
/// outputs join those of YuNet.
const LYING_HEAD: &[u8] = include_bytes!("lying_head.onnx");
/// What the log calls it.
pub const ROLE: &str = "detector";
const LYING: &str = "lying_8";
/// What is less likely is no hint. Of 330 lying faces of 22 to 90 px, not trained on, 96 % have .9 and more; so have many that stand, and
/// off every face .43 places a frame. What is no face is told later.
const LYING_FROM: f32 = 0.8;

/// A run over fewer pixels is over before several cores have shared it out.
const WIDE_FROM_PIXELS: usize = 200_000;

/// A face as a detector sees it, in pixel coordinates of an upright image (the centre of the first pixel is (0, 0)).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Detection {
    /// Left, top, width, height of its box.
    pub rect: [f32; 4],
    /// 0 to 1.
    pub score: f32,
    /// Image-left eye, image-right eye, nose, image-left and image-right mouth corner.
    pub landmarks: [[f32; 2]; 5],
    /// The longer side of its box in pixels of the network's input: landmarks are best from about 200 to 400.
    pub seen: f32,
}

impl Detection {
    /// The same face where `map`, a similarity, sends it. Its box stands upright there too: of a face on its side the sides are swapped.
    /// What it was `seen` as stays.
    pub fn turned_by(&self, map: &Affine) -> Self {
        let [left, top, width, height] = self.rect;
        let scale = map.scale();
        let lies_on_its_side = map.x[1].abs() > map.x[0].abs();
        let (width, height) = if lies_on_its_side { (height, width) } else { (width, height) };
        let [x, y] = map.apply([left + self.rect[2] / 2.0, top + self.rect[3] / 2.0]);
        let (width, height) = (scale * width, scale * height);
        let rect = [x - width / 2.0, y - height / 2.0, width, height];
        Self { rect, landmarks: self.landmarks.map(|point| map.apply(point)), ..*self }
    }

    /// Area of the box.
    pub fn area(&self) -> f32 {
        self.rect[2] * self.rect[3]
    }

    /// The longer side of the box.
    pub fn longer(&self) -> f32 {
        self.rect[2].max(self.rect[3])
    }

    /// Whether a point lies in the box.
    pub fn contains(&self, point: [f32; 2]) -> bool {
        (0..2).all(|axis| (self.rect[axis]..=self.rect[axis] + self.rect[axis + 2]).contains(&point[axis]))
    }

    /// Area that the two boxes share.
    pub fn intersection(&self, other: &Self) -> f32 {
        let side = |axis: usize| {
            let end = (self.rect[axis] + self.rect[axis + 2]).min(other.rect[axis] + other.rect[axis + 2]);
            (end - self.rect[axis].max(other.rect[axis])).max(0.0)
        };
        side(0) * side(1)
    }

    /// Intersection over union of the two boxes, 0 to 1.
    pub fn overlap(&self, other: &Self) -> f32 {
        let shared = self.intersection(other);
        shared / (self.area() + other.area() - shared).max(f32::MIN_POSITIVE)
    }
}

/// What a run of the network says.
#[derive(Default)]
pub struct Seen {
    /// The cells that see a face, overlapping ones and all.
    pub candidates: Vec<Detection>,
    /// How likely something is a face, whichever way it lies, and its box; the landmarks are rubbish. Empty without our head.
    pub lying: Vec<(f32, Detection)>,
}

/// A session and its reusable input.
pub struct Yunet {
    net: Net,
    tensor: Vec<f32>,
}

impl Yunet {
    /// Loads the graph; `knows_lying_faces` if it is the one that our head belongs to.
    pub fn new(runtime: &Runtime, graph: &[u8], knows_lying_faces: bool) -> Result<Self, RuntimeError> {
        let session = Self::session(runtime, graph, knows_lying_faces, 1)?;
        Ok(Self { net: Net::new(session), tensor: Vec::new() })
    }

    /// A session over the graph on so many threads.
    pub fn session(
        runtime: &Runtime,
        graph: &[u8],
        knows_lying_faces: bool,
        threads: usize,
    ) -> Result<Session, RuntimeError> {
        match knows_lying_faces {
            true => runtime.session_of(ROLE, &[graph, LYING_HEAD].concat(), threads),
            false => runtime.session_of(ROLE, graph, threads),
        }
    }

    /// From now on it may run on several cores; `wide` is of the same graph.
    pub fn widen(&mut self, wide: Arc<WideNet>) {
        self.net.widen(wide);
    }

    /// Every cell with at least `min_score`, and whatever may be a lying face, in coordinates of the upright form of `pixels` (8-bit RGB
    /// of size `stored`).
    pub fn look(
        &mut self,
        pixels: &[u8],
        stored: (u32, u32),
        orientation: Orientation,
        min_score: f32,
    ) -> ort::Result<Seen> {
        let upright = orientation.turn_size(stored);
        let padded = |side: u32| (side as usize).next_multiple_of(STRIDES[2]);
        let (columns, rows) = (padded(upright.0), padded(upright.1));
        fill_tensor(&mut self.tensor, (columns, rows), pixels, stored, orientation);
        let input = TensorRef::from_array_view(([1, 3, rows, columns], self.tensor.as_slice()))?;
        let mut session = if rows * columns < WIDE_FROM_PIXELS { self.net.own() } else { self.net.widest() };
        let outputs = session.run(ort::inputs!["input" => input])?;

        let mut seen = Seen::default();
        for stride in STRIDES {
            let head = |name: &str| {
                outputs[format!("{name}_{stride}").as_str()].try_extract_tensor::<f32>().map(|(_, values)| values)
            };
            let (class, object, boxes, points) = (head("cls")?, head("obj")?, head("bbox")?, head("kps")?);
            let lying = match outputs.get(LYING) {
                Some(lying) if stride == STRIDES[0] => lying.try_extract_tensor::<f32>()?.1,
                _ => &[],
            };
            let step = stride as f32;
            for (cell, (class, object)) in class.iter().zip(object).enumerate() {
                let score = (class.clamp(0.0, 1.0) * object.clamp(0.0, 1.0)).sqrt();
                let lies = lying.get(cell).copied().unwrap_or(0.0);
                if score < min_score && lies < LYING_FROM {
                    continue;
                }
                let (column, row) = ((cell % (columns / stride)) as f32, (cell / (columns / stride)) as f32);
                let at = |dx: f32, dy: f32| [(column + dx) * step, (row + dy) * step];
                let b = &boxes[4 * cell..4 * cell + 4];
                let (centre, size) = (at(b[0], b[1]), [b[2].exp() * step, b[3].exp() * step]);
                let rect = [centre[0] - size[0] / 2.0, centre[1] - size[1] / 2.0, size[0], size[1]];
                let landmarks = std::array::from_fn(|k| at(points[10 * cell + 2 * k], points[10 * cell + 2 * k + 1]));
                if !rect.iter().chain(landmarks.iter().flatten()).all(|v| v.is_finite()) {
                    continue;
                }
                let face = Detection { rect, score, landmarks, seen: size[0].max(size[1]) };
                if score >= min_score {
                    seen.candidates.push(face);
                }
                if lies >= LYING_FROM {
                    seen.lying.push((lies, face));
                }
            }
        }
        Ok(seen)
    }
}

/// Writes stored RGB pixels into a planar BGR tensor, turned upright, at the top left of a zeroed canvas.
fn fill_tensor(
    tensor: &mut Vec<f32>,
    (columns, rows): (usize, usize),
    pixels: &[u8],
    stored: (u32, u32),
    orientation: Orientation,
) {
    let plane = columns * rows;
    tensor.clear();
    tensor.resize(3 * plane, 0.0);
    let (blue, rest) = tensor.split_at_mut(plane);
    let (green, red) = rest.split_at_mut(plane);
    let (width, height) = orientation.turn_size(stored);
    let map = orientation.upright_to_stored(stored);
    // Stepping along an upright row moves by a fixed number of stored bytes.
    let row_bytes = 3 * stored.0 as isize;
    let step = 3 * map.x[0] as isize + row_bytes * map.y[0] as isize;
    for row in 0..height as usize {
        let [x, y] = map.apply([0.0, row as f32]);
        let mut at = 3 * x as isize + row_bytes * y as isize;
        for column in row * columns..row * columns + width as usize {
            let pixel = &pixels[at as usize..at as usize + 3];
            red[column] = f32::from(pixel[0]);
            green[column] = f32::from(pixel[1]);
            blue[column] = f32::from(pixel[2]);
            at += step;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn overlap_is_intersection_over_union() {
        let face = |left: f32, size: f32| Detection {
            rect: [left, 0.0, size, size],
            score: 1.0,
            landmarks: [[0.0; 2]; 5],
            seen: size,
        };
        assert_eq!(face(0.0, 10.0).overlap(&face(0.0, 10.0)), 1.0);
        assert_eq!(face(0.0, 10.0).overlap(&face(5.0, 10.0)), 1.0 / 3.0);
        assert_eq!(face(0.0, 10.0).overlap(&face(20.0, 10.0)), 0.0);
        assert_eq!(face(0.0, 0.0).overlap(&face(0.0, 0.0)), 0.0);
    }

    #[test]
    fn a_face_on_its_side_keeps_an_upright_box() {
        let face = Detection { rect: [10.0, 0.0, 20.0, 40.0], score: 0.9, landmarks: [[20.0, 10.0]; 5], seen: 40.0 };
        // (x, y) -> 2 (-y, x): what was on top comes to lie on the right.
        let turned = face.turned_by(&Affine { x: [0.0, -2.0, 0.0], y: [2.0, 0.0, 0.0] });
        assert_eq!(turned.rect, [-80.0, 20.0, 80.0, 40.0]);
        assert_eq!(turned.landmarks, [[-20.0, 40.0]; 5]);
        assert_eq!((turned.score, turned.seen), (0.9, 40.0));
    }

    #[test]
    fn the_tensor_is_upright_planar_blue_first_and_padded() {
        // Two stored pixels side by side; orientation 6 puts the left one on top.
        let pixels = [1, 2, 3, 4, 5, 6];
        let mut tensor = vec![9.0; 5];
        fill_tensor(&mut tensor, (2, 3), &pixels, (2, 1), Orientation::from_value(6));
        let (blue, green, red) =
            ([3.0, 0.0, 6.0, 0.0, 0.0, 0.0], [2.0, 0.0, 5.0, 0.0, 0.0, 0.0], [1.0, 0.0, 4.0, 0.0, 0.0, 0.0]);
        assert_eq!(tensor, [blue, green, red].concat());
    }
}
