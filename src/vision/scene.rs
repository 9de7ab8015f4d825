//! What an image shows: its faces, ready to be judged and embedded.

use crate::domain::{FaceDetail, OrientationCorrection};

/// A face of an image, ready to be judged and embedded.
#[derive(Clone, Debug)]
pub struct DetectedFace {
    /// Its place among the image's faces, 0 being the largest: part of its id.
    pub rank: usize,
    /// What is known about it.
    pub detail: FaceDetail,
    /// The shorter side of its box, in pixels of the image.
    pub short_side: f32,
    /// Its box in pixels of the upright image: left, top, width, height.
    pub(super) rect: [f32; 4],
    /// Its five landmarks in pixels of the upright image.
    pub(super) points: [[f32; 2]; 5],
    /// Whether an eye of it, at least, is in the image.
    pub(super) shows_an_eye: bool,
    /// The embedder's aligned crop.
    pub(super) crop: Vec<u8>,
    /// The one that quality is measured on, where it is another.
    pub(super) quality_crop: Option<Vec<u8>>,
}

impl DetectedFace {
    /// The aligned crop that quality is measured on.
    pub(super) fn quality_crop(&self) -> &[u8] {
        self.quality_crop.as_ref().unwrap_or(&self.crop)
    }
}

/// What an image shows.
#[derive(Debug)]
pub struct Scene {
    /// Its faces from larger to smaller box, at most [`MAX_FACES_PER_IMAGE`](crate::domain::limits::MAX_FACES_PER_IMAGE).
    pub faces: Vec<DetectedFace>,
    /// How the image as it was sent is to be turned, where that was estimated.
    pub orientation_correction: Option<OrientationCorrection>,
}
