//! One worker's models, and an image's way through them.

use fast_image_resize::Resizer;

use crate::domain::{BoundingBox, FaceDetail, Landmark, LandmarkType, ModelVersion};
use crate::telemetry::{Stage, Stages};

use super::alignment::aligned_crop;
use super::decode::Photo;
use super::detector::Detector;
use super::embedder::Embedder;
use super::pack::VerifiedPack;
use super::runtime::{Runtime, RuntimeError};
use super::yunet::Detection;
use super::{pose, quality};

/// The service looks at this many faces of an image, the largest ones.
pub const MAX_FACES_PER_IMAGE: usize = 100;

/// A face of an image, ready to be judged and embedded.
#[derive(Clone, Debug)]
pub struct DetectedFace {
    /// Its place among the image's faces, 0 being the largest: part of its id.
    pub rank: usize,
    /// What is known about it.
    pub detail: FaceDetail,
    /// The shorter side of its box, in pixels of the image.
    pub short_side: f32,
    crop: Vec<u8>,
}

/// The models of a pack, for one thread.
pub struct Pipeline {
    detector: Detector,
    embedder: Embedder,
    confidence: super::Calibration,
    version: ModelVersion,
    resizer: Resizer,
}

impl Pipeline {
    /// Loads the pack's graphs.
    pub fn new(runtime: &Runtime, pack: &VerifiedPack) -> Result<Self, RuntimeError> {
        Ok(Self {
            detector: Detector::new(runtime, &pack.detector, pack.pack.detector.clone())?,
            embedder: Embedder::new(runtime, &pack.embedder, pack.pack.embedder.clone())?,
            confidence: pack.pack.detector.confidence.clone(),
            version: pack.pack.face_model_version.clone(),
            resizer: Resizer::new(),
        })
    }

    /// The version of the vectors that [`Self::embed`] makes.
    pub fn version(&self) -> &ModelVersion {
        &self.version
    }

    /// The image's faces from larger to smaller box, at most [`MAX_FACES_PER_IMAGE`].
    pub fn detect(&mut self, photo: &Photo, stages: &Stages) -> ort::Result<Vec<DetectedFace>> {
        let mut detections = stages.time(Stage::Detect, || self.detector.detect(photo))?;
        // Ties in size fall to the better score, then to the place: the rank is part of the face's id and must not waver.
        detections.sort_by(|a, b| {
            b.area().total_cmp(&a.area()).then(b.score.total_cmp(&a.score)).then(a.rect[0].total_cmp(&b.rect[0]))
        });
        detections.truncate(MAX_FACES_PER_IMAGE);
        for detection in &mut detections {
            detection.landmarks = stages.time(Stage::Detect, || self.detector.refine(photo, detection))?;
        }
        Ok(stages.time(Stage::Align, || {
            let faces = detections.iter().filter_map(|detection| self.describe(photo, detection));
            faces.enumerate().map(|(rank, face)| DetectedFace { rank, ..face }).collect()
        }))
    }

    /// The vectors of these faces, in their order.
    pub fn embed(&mut self, faces: &[&DetectedFace], stages: &Stages) -> ort::Result<Vec<Vec<f32>>> {
        let crops: Vec<&[u8]> = faces.iter().map(|face| face.crop.as_slice()).collect();
        stages.time(Stage::Embed, || self.embedder.embed(&crops))
    }

    /// `None` for a detection whose landmarks coincide: there is no face to align.
    fn describe(&mut self, photo: &Photo, detection: &Detection) -> Option<DetectedFace> {
        let spec = self.embedder.spec();
        let mut crop = |template: &[[f32; 2]; 5], side: u32| {
            aligned_crop(photo, &detection.landmarks, template, side, &mut self.resizer)
        };
        let embedder_crop = crop(&spec.template, spec.input_size)?;
        // Quality is measured in one framing, whatever the embedder's.
        let quality = if (spec.template, spec.input_size) == (quality::TEMPLATE, quality::SIDE) {
            quality::measure(&embedder_crop)
        } else {
            quality::measure(&crop(&quality::TEMPLATE, quality::SIDE)?)
        };
        let (width, height) = photo.size();
        let (width, height) = (width as f32, height as f32);
        let [left, top, box_width, box_height] = detection.rect;
        let landmark = |k: usize| Landmark {
            kind: LandmarkType::FIVE[k],
            x: detection.landmarks[k][0] / width,
            y: detection.landmarks[k][1] / height,
        };
        Some(DetectedFace {
            rank: 0,
            detail: FaceDetail {
                bounding_box: BoundingBox {
                    left: left / width,
                    top: top / height,
                    width: box_width / width,
                    height: box_height / height,
                },
                confidence: self.confidence.percent(detection.score),
                landmarks: std::array::from_fn(landmark),
                pose: pose::from_landmarks(&detection.landmarks),
                quality,
            },
            short_side: box_width.min(box_height),
            crop: embedder_crop,
        })
    }
}
