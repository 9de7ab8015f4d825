//! Face detection with YuNet (Wu, Peng, Yu, "YuNet: A Tiny Millisecond-level Face Detector", 2023): an image in at one or more
//! sizes, scored boxes with five landmarks out, overlapping ones merged by non-maximum suppression.

use fast_image_resize::images::Image;
use fast_image_resize::{FilterType, PixelType, ResizeAlg, ResizeOptions, Resizer};
use ort::session::Session;
use ort::value::TensorRef;

use super::decode::Photo;
use super::orientation::Orientation;
use super::pack::DetectorSpec;
use super::runtime::{Runtime, RuntimeError};

/// The strides of YuNet's three heads; input sides are multiples of the last.
const STRIDES: [usize; 3] = [8, 16, 32];

/// A face as the detector sees it, in pixel coordinates of the upright image (the centre of the first pixel is (0, 0)).
#[derive(Clone, Copy, Debug)]
pub struct Detection {
    /// Left, top, width, height of its box.
    pub rect: [f32; 4],
    /// 0 to 1.
    pub score: f32,
    /// Image-left eye, image-right eye, nose, image-left and image-right mouth corner.
    pub landmarks: [[f32; 2]; 5],
}

impl Detection {
    fn area(&self) -> f32 {
        self.rect[2] * self.rect[3]
    }

    /// Intersection over union of the two boxes.
    fn overlap(&self, other: &Self) -> f32 {
        let side = |axis: usize| {
            let end = (self.rect[axis] + self.rect[axis + 2]).min(other.rect[axis] + other.rect[axis + 2]);
            (end - self.rect[axis].max(other.rect[axis])).max(0.0)
        };
        let intersection = side(0) * side(1);
        intersection / (self.area() + other.area() - intersection).max(f32::MIN_POSITIVE)
    }
}

/// A YuNet session and its reusable input.
pub struct Detector {
    session: Session,
    spec: DetectorSpec,
    resizer: Resizer,
    tensor: Vec<f32>,
}

impl Detector {
    /// Loads the graph.
    pub fn new(runtime: &Runtime, graph: &[u8], spec: DetectorSpec) -> Result<Self, RuntimeError> {
        Ok(Self { session: runtime.session("detector", graph)?, spec, resizer: Resizer::new(), tensor: Vec::new() })
    }

    /// Every face of the image, best score first.
    pub fn detect(&mut self, photo: &Photo) -> ort::Result<Vec<Detection>> {
        let (width, height) = photo.size();
        let long = width.max(height);
        let mut sizes: Vec<u32> = self.spec.long_sides.iter().map(|side| *side.min(&long)).collect();
        sizes.dedup();
        let mut candidates = Vec::new();
        for side in sizes {
            self.detect_at(photo, side as f32 / long as f32, &mut candidates)?;
        }
        Ok(suppress(candidates, self.spec.nms_iou))
    }

    /// Adds the faces that one pass over the image at `scale` (at most 1) finds.
    fn detect_at(&mut self, photo: &Photo, scale: f32, found: &mut Vec<Detection>) -> ort::Result<()> {
        let (width, height) = photo.stored.dimensions();
        let scaled = |side: u32| ((side as f32 * scale).round() as u32).max(1);
        let small = (scaled(width), scaled(height));
        let resized = self.resize(photo, small);
        let pixels = resized.as_ref().map_or(photo.stored.as_raw().as_slice(), Image::buffer);
        let (upright_width, upright_height) = photo.orientation.turn_size(small);
        let padded = |side: u32| (side as usize).next_multiple_of(STRIDES[2]);
        let (columns, rows) = (padded(upright_width), padded(upright_height));
        fill_tensor(&mut self.tensor, (columns, rows), pixels, small, photo.orientation);

        let input = TensorRef::from_array_view(([1, 3, rows, columns], self.tensor.as_slice()))?;
        let outputs = self.session.run(ort::inputs!["input" => input])?;
        // Pixel centres of the small image on those of the whole one.
        let (full_width, full_height) = photo.size();
        let grow = [full_width as f32 / upright_width as f32, full_height as f32 / upright_height as f32];
        let point = |x: f32, y: f32| [(x + 0.5) * grow[0] - 0.5, (y + 0.5) * grow[1] - 0.5];
        for stride in STRIDES {
            let head = |name: &str| {
                outputs[format!("{name}_{stride}").as_str()].try_extract_tensor::<f32>().map(|(_, values)| values)
            };
            let (class, object, boxes, points) = (head("cls")?, head("obj")?, head("bbox")?, head("kps")?);
            let step = stride as f32;
            for (cell, (class, object)) in class.iter().zip(object).enumerate() {
                let score = (class.clamp(0.0, 1.0) * object.clamp(0.0, 1.0)).sqrt();
                if score < self.spec.score_threshold {
                    continue;
                }
                let (column, row) = ((cell % (columns / stride)) as f32, (cell / (columns / stride)) as f32);
                let at = |dx: f32, dy: f32| [(column + dx) * step, (row + dy) * step];
                let b = &boxes[4 * cell..4 * cell + 4];
                let (centre, size) = (at(b[0], b[1]), [b[2].exp() * step, b[3].exp() * step]);
                let corner = point(centre[0] - size[0] / 2.0, centre[1] - size[1] / 2.0);
                let landmarks = std::array::from_fn(|k| {
                    let [x, y] = at(points[10 * cell + 2 * k], points[10 * cell + 2 * k + 1]);
                    point(x, y)
                });
                let rect = [corner[0], corner[1], size[0] * grow[0], size[1] * grow[1]];
                if rect.iter().chain(landmarks.iter().flatten()).all(|v| v.is_finite()) {
                    found.push(Detection { rect, score, landmarks });
                }
            }
        }
        Ok(())
    }

    /// The stored pixels at another size, or nothing when they have that size already.
    fn resize(&mut self, photo: &Photo, (width, height): (u32, u32)) -> Option<Image<'static>> {
        if photo.stored.dimensions() == (width, height) {
            return None;
        }
        let mut small = Image::new(width, height, PixelType::U8x3);
        // Bilinear convolution: the kernel grows with the reduction, so that no pixel is skipped.
        let options = ResizeOptions::new().resize_alg(ResizeAlg::Convolution(FilterType::Bilinear));
        self.resizer.resize(&photo.stored, &mut small, &options).expect("both images are 8-bit RGB");
        Some(small)
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

/// Greedy non-maximum suppression: best score first, dropping what overlaps a kept box by more than `iou`.
fn suppress(mut candidates: Vec<Detection>, iou: f32) -> Vec<Detection> {
    candidates.sort_by(|a, b| b.score.total_cmp(&a.score));
    let mut kept: Vec<Detection> = Vec::new();
    for candidate in candidates {
        if kept.iter().all(|better| better.overlap(&candidate) <= iou) {
            kept.push(candidate);
        }
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    fn face(left: f32, size: f32, score: f32) -> Detection {
        Detection { rect: [left, 0.0, size, size], score, landmarks: [[0.0; 2]; 5] }
    }

    #[test]
    fn the_better_of_two_overlapping_boxes_stays() {
        let kept = suppress(vec![face(0.0, 10.0, 0.7), face(1.0, 10.0, 0.9), face(30.0, 10.0, 0.8)], 0.45);
        assert_eq!(kept.iter().map(|d| d.score).collect::<Vec<_>>(), [0.9, 0.8]);
    }

    #[test]
    fn overlap_is_intersection_over_union() {
        assert_eq!(face(0.0, 10.0, 1.0).overlap(&face(0.0, 10.0, 1.0)), 1.0);
        assert_eq!(face(0.0, 10.0, 1.0).overlap(&face(5.0, 10.0, 1.0)), 1.0 / 3.0);
        assert_eq!(face(0.0, 10.0, 1.0).overlap(&face(20.0, 10.0, 1.0)), 0.0);
        assert_eq!(face(0.0, 0.0, 1.0).overlap(&face(0.0, 0.0, 1.0)), 0.0);
    }

    #[test]
    fn the_tensor_is_upright_planar_blue_first_and_padded() {
        // Two stored pixels side by side; orientation 6 puts the left one on top.
        let pixels = [1, 2, 3, 4, 5, 6];
        let mut tensor = vec![9.0; 5];
        fill_tensor(&mut tensor, (2, 3), &pixels, (2, 1), Orientation::from_value(6));
        assert_eq!(tensor, [3.0, 0.0, 6.0, 0.0, 0.0, 0.0, 2.0, 0.0, 5.0, 0.0, 0.0, 0.0, 1.0, 0.0, 4.0, 0.0, 0.0, 0.0]);
    }
}
