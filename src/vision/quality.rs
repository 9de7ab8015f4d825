//! How usable a face is, and where each level of the quality filter draws its line.
//!
//! Both numbers are measured on the face's aligned crop, so that they do not depend on how much of the image it fills beyond what
//! recognition can use: an enlarged small face is a blurred one. `docs/quality.md` has the curves and what each level drops.

use crate::domain::{Percent, Quality, QualityFilter, Reason};

use super::calibration::interpolate;
use super::embedder::Embedding;
use super::scene::DetectedFace;

/// Side of the crop that quality is measured on, in pixels.
pub const SIDE: u32 = 112;
/// Where the five landmarks lie in it: the ArcFace template.
pub const TEMPLATE: [[f32; 2]; 5] =
    [[38.2946, 51.6963], [73.5318, 51.5014], [56.0252, 71.7366], [41.5493, 92.3655], [70.7299, 92.2041]];

const N: usize = SIDE as usize;

/// From the mean of gamma-coded luma (0 to 255) over the middle of the face; a well-lit face comes to 60 to 90.
const BRIGHTNESS: [[f32; 2]; 11] = [
    [0.0, 0.0],
    [20.0, 5.0],
    [40.0, 15.0],
    [60.0, 30.0],
    [80.0, 45.0],
    [100.0, 57.0],
    [125.0, 70.0],
    [150.0, 80.0],
    [180.0, 88.0],
    [210.0, 94.0],
    [255.0, 100.0],
];

/// Eyes, nose and mouth, where a face has its edges: what lies within so many pixels of a landmark.
const NEAR: f32 = 13.0;
/// Added to mean and deviation of luma, so that noise in the dark is no detail.
const DARK: f32 = 4.0;
const FLAT: f32 = 2.0;

/// From the logarithm (base 10) of fine detail over light and contrast; a face of 200 px in focus comes to 91, one of 20 px to 25.
const SHARPNESS: [[f32; 2]; 11] = [
    [-2.6, 0.0],
    [-2.3, 8.0],
    [-2.1, 17.0],
    [-1.93, 31.0],
    [-1.8, 46.0],
    [-1.7, 58.0],
    [-1.58, 74.0],
    [-1.46, 87.0],
    [-1.36, 94.0],
    [-1.2, 98.0],
    [-0.9, 100.0],
];

/// Brightness and sharpness of an aligned crop (8-bit RGB, [`SIDE`] squared, [`TEMPLATE`]).
pub fn measure(crop: &[u8]) -> Quality {
    let luma: Vec<f32> = crop
        .chunks_exact(3)
        .map(|rgb| 0.299 * f32::from(rgb[0]) + 0.587 * f32::from(rgb[1]) + 0.114 * f32::from(rgb[2]))
        .collect();
    let brightness = mean(24..88, 32..104, |at| luma[at]);
    // Sensor noise and JPEG's grain live in single pixels: a [1 2 1] kernel takes them out before detail is measured.
    let smooth = blur(&luma, &[0.25, 0.5, 0.25]);
    let less = blur(&smooth, &gaussian(1.2));
    let near = near_landmarks();
    let mean_near = |value: &dyn Fn(usize) -> f32| near.iter().map(|at| value(*at)).sum::<f32>() / near.len() as f32;
    let light = mean_near(&|at| luma[at]);
    let contrast = mean_near(&|at| (luma[at] - light).powi(2)).sqrt();
    // The mean of roots, squared: many faint edges count, and the few strong ones of a frame of glasses do not decide.
    let fine = mean_near(&|at| (smooth[at] - less[at]).abs().sqrt()).powi(2);
    let detail = (fine / ((light + DARK) * (contrast + FLAT)).sqrt()).max(f32::MIN_POSITIVE).log10();
    Quality {
        brightness: Percent::clamped(interpolate(&BRIGHTNESS, brightness, 0, 1)),
        sharpness: Percent::clamped(interpolate(&SHARPNESS, detail, 0, 1)),
    }
}

/// The pixels within [`NEAR`] of a landmark.
fn near_landmarks() -> Vec<usize> {
    let is_near = |at: &usize| {
        let (x, y) = ((at % N) as f32, (at / N) as f32);
        TEMPLATE.iter().any(|landmark| (x - landmark[0]).hypot(y - landmark[1]) <= NEAR)
    };
    (0..N * N).filter(is_near).collect()
}

fn mean(columns: std::ops::Range<usize>, rows: std::ops::Range<usize>, value: impl Fn(usize) -> f32) -> f32 {
    let count = (columns.len() * rows.len()) as f32;
    rows.flat_map(|row| columns.clone().map(move |column| row * N + column)).map(value).sum::<f32>() / count
}

/// The kernel of a Gaussian, four deviations to each side, with sum 1.
fn gaussian(sigma: f32) -> Vec<f32> {
    let radius = (4.0 * sigma).round() as i32;
    let bell: Vec<f32> = (-radius..=radius).map(|i| (-0.5 * (i as f32 / sigma).powi(2)).exp()).collect();
    let sum: f32 = bell.iter().sum();
    bell.iter().map(|v| v / sum).collect()
}

/// A square plane filtered with a kernel along its rows and its columns, mirrored at the edges.
fn blur(plane: &[f32], kernel: &[f32]) -> Vec<f32> {
    // Filtering the rows of the transpose is filtering the columns.
    transposed_rows(&transposed_rows(plane, kernel), kernel)
}

fn transposed_rows(plane: &[f32], kernel: &[f32]) -> Vec<f32> {
    let radius = kernel.len() / 2;
    let mut out = vec![0.0; N * N];
    let mut padded = vec![0.0; N + 2 * radius];
    for (row, values) in plane.chunks_exact(N).enumerate() {
        padded[radius..radius + N].copy_from_slice(values);
        for i in 0..radius {
            padded[radius - 1 - i] = values[i + 1];
            padded[radius + N + i] = values[N - 2 - i];
        }
        let mut filtered = [0.0; N];
        for (offset, weight) in kernel.iter().enumerate() {
            for (sum, value) in filtered.iter_mut().zip(&padded[offset..offset + N]) {
                *sum += weight * value;
            }
        }
        for (column, value) in filtered.iter().enumerate() {
            out[column * N + row] = *value;
        }
    }
    out
}

/// What a face needs at one level of the filter.
struct Bar {
    min_confidence: f32,
    min_brightness: f32,
    /// Above, the face is washed out.
    max_brightness: f32,
    min_sharpness: f32,
    /// Degrees to either side.
    max_yaw: f32,
    /// Degrees up or down.
    max_pitch: f32,
    /// Of the box's shorter side, in pixels of the image.
    min_side: f32,
    /// Of [`overall`], for faces that are just above several of the other limits.
    min_overall: f32,
}

#[rustfmt::skip]
const fn bar(filter: QualityFilter) -> Option<Bar> {
    Some(match filter {
        QualityFilter::None => return None,
        QualityFilter::Low => Bar { min_confidence: 80.0, min_brightness: 8.0, max_brightness: 100.0, min_sharpness: 15.0, max_yaw: 70.0, max_pitch: 60.0, min_side: 14.0, min_overall: 30.0 },
        QualityFilter::Auto => Bar { min_confidence: 88.0, min_brightness: 12.0, max_brightness: 99.0, min_sharpness: 30.0, max_yaw: 50.0, max_pitch: 45.0, min_side: 20.0, min_overall: 45.0 },
        QualityFilter::Medium => Bar { min_confidence: 97.5, min_brightness: 25.0, max_brightness: 98.0, min_sharpness: 50.0, max_yaw: 40.0, max_pitch: 35.0, min_side: 40.0, min_overall: 62.0 },
        QualityFilter::High => Bar { min_confidence: 99.0, min_brightness: 40.0, max_brightness: 96.0, min_sharpness: 75.0, max_yaw: 25.0, max_pitch: 25.0, min_side: 80.0, min_overall: 80.0 },
    })
}

impl Embedding {
    /// Why the face does not pass the filter, as its vector tells.
    pub fn shortcoming(&self, filter: QualityFilter) -> Option<Reason> {
        (!self.has_face && filter != QualityFilter::None).then_some(Reason::LowFaceQuality)
    }
}

impl DetectedFace {
    /// Why the face does not pass the filter, as far as the image tells; empty when it does.
    pub fn shortcomings(&self, filter: QualityFilter) -> Vec<Reason> {
        let Some(bar) = bar(filter) else { return Vec::new() };
        let (pose, brightness, sharpness) =
            (self.detail.pose, self.detail.quality.brightness.get(), self.detail.quality.sharpness.get());
        let mut reasons: Vec<Reason> = [
            (pose.yaw.abs() > bar.max_yaw || pose.pitch.abs() > bar.max_pitch, Reason::ExtremePose),
            (brightness < bar.min_brightness, Reason::LowBrightness),
            (sharpness < bar.min_sharpness, Reason::LowSharpness),
            (self.detail.confidence.get() < bar.min_confidence, Reason::LowConfidence),
            (self.short_side < bar.min_side, Reason::SmallBoundingBox),
        ]
        .into_iter()
        .filter_map(|(short, reason)| short.then_some(reason))
        .collect();
        if brightness > bar.max_brightness
            || !self.shows_an_eye
            || reasons.is_empty() && self.overall() < bar.min_overall
        {
            reasons.push(Reason::LowFaceQuality);
        }
        reasons
    }

    /// 0 to 100: the geometric mean of sharpness, brightness, frontality and size, each as a share of what is plenty.
    fn overall(&self) -> f32 {
        let share = |value: f32, plenty: f32| (value / plenty).clamp(0.0, 1.0);
        let quality = &self.detail.quality;
        let product = share(quality.sharpness.get(), 70.0)
            * share(quality.brightness.get(), 50.0)
            * share(90.0 - self.detail.pose.yaw.abs(), 60.0)
            * share(self.short_side, 60.0);
        100.0 * product.powf(0.25)
    }
}
