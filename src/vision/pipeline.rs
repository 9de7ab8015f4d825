//! One worker's models, and an image's way through them.

use std::sync::Arc;

use fast_image_resize::Resizer;

use crate::domain::limits::MAX_FACES_PER_IMAGE;
use crate::domain::{AttributeSet, Attributes, BoundingBox, FaceDetail, Landmark, LandmarkType, ModelVersion};
use crate::telemetry::{Stage, Stages};

use super::alignment::aligned_crop;
use super::attributes::AttributeNets;
use super::decode::Photo;
use super::detector::Detector;
use super::embedder::{self, Embedder, Embedding};
use super::pack::VerifiedPack;
use super::provider::Provider;
use super::runtime::{Runtime, RuntimeError};
use super::scene::{DetectedFace, Scene};
use super::together::Help;
use super::wide::{Cores, WideNet};
use super::yunet::{self, Detection};
use super::{pose, quality};

/// What is wanted of an image.
#[derive(Clone, Copy, Debug)]
pub struct Wanted {
    /// About each face.
    attributes: AttributeSet,
    /// So many of its largest faces.
    most: usize,
}

impl Wanted {
    /// Every face, as far as an image can have them, with these attributes.
    pub fn all_with(attributes: AttributeSet) -> Self {
        Self { attributes, most: MAX_FACES_PER_IMAGE }
    }

    /// Every face, with what every reply tells.
    pub const ALL: Self = Self { attributes: AttributeSet::DEFAULT, most: MAX_FACES_PER_IMAGE };
    /// The largest face, with what every reply tells.
    pub const LARGEST: Self = Self { attributes: AttributeSet::DEFAULT, most: 1 };
}

/// The models of a pack, for one thread.
pub struct Pipeline {
    detector: Detector,
    embedder: Embedder,
    attributes: AttributeNets,
    confidence: super::Calibration,
    version: ModelVersion,
    estimates_orientation: bool,
    resizer: Resizer,
    help: Help<Self>,
}

/// The nets that take most of the time, on several cores.
pub struct WideNets {
    detector: Arc<WideNet>,
    embedder: Arc<WideNet>,
}

impl WideNets {
    /// Of a pack, on the cores of its workers. `None` where that gains nothing: there is one worker, or something else than the processor runs
    /// the nets, or shares them out by itself.
    pub fn of(runtime: &Runtime, pack: &VerifiedPack, cores: &Cores) -> Option<Self> {
        let threads = cores.together();
        if threads < 2 || runtime.provider() != Provider::Cpu {
            return None;
        }
        let (again, file, spec) = (runtime.clone(), pack.detector.file.clone(), pack.pack.detector.clone());
        let detector = move || Ok(Detector::session(&again, &file.read()?, &spec, threads)?);
        let (again, file) = (runtime.clone(), pack.embedder.file.clone());
        let embedder = move || Ok(again.session_of(embedder::ROLE, &file.read()?, threads)?);
        Some(Self {
            detector: Arc::new(WideNet::new(yunet::ROLE, cores.clone(), detector)),
            embedder: Arc::new(WideNet::new(embedder::ROLE, cores.clone(), embedder)),
        })
    }
}

impl Pipeline {
    /// Loads the pack's graphs. `estimates_orientation`: whether an image whose Exif declares none may be found to lie turned. `help`: of whom
    /// a worker with many faces is helped. `wide`: what it may run on the cores of others.
    pub fn new(
        runtime: &Runtime,
        pack: &VerifiedPack,
        estimates_orientation: bool,
        help: Help<Self>,
        wide: Option<&WideNets>,
    ) -> Result<Self, RuntimeError> {
        let mut detector = Detector::new(runtime, &pack.detector.bytes, pack.pack.detector.clone())?;
        let mut embedder = Embedder::new(runtime, &pack.embedder.bytes, pack.pack.embedder.clone())?;
        if let Some(wide) = wide {
            detector.widen(wide.detector.clone());
            embedder.widen(wide.embedder.clone());
        }
        Ok(Self {
            detector,
            embedder,
            attributes: AttributeNets::new(runtime, &pack.attributes)?,
            confidence: pack.pack.detector.confidence.clone(),
            version: pack.pack.face_model_version.clone(),
            estimates_orientation,
            resizer: Resizer::new(),
            help,
        })
    }

    /// The version of the vectors that [`Self::embed`] makes.
    pub fn version(&self) -> &ModelVersion {
        &self.version
    }

    /// The image's faces, largest first.
    pub fn detect(&mut self, mut photo: Photo, wanted: Wanted, stages: &Stages) -> ort::Result<Scene> {
        let (mut detections, orientation_correction) = if self.estimates_orientation && !photo.declared {
            let (found, correction) = self.detector.detect_any_way_up(&mut photo, stages)?;
            (found, Some(correction))
        } else {
            (self.detector.detect(&photo, stages)?, None)
        };
        // Ties in size fall to the better score, then to the place: the rank is part of the face's id and must not waver.
        detections.sort_by(|a, b| {
            b.area().total_cmp(&a.area()).then(b.score.total_cmp(&a.score)).then(a.rect[0].total_cmp(&b.rect[0]))
        });
        detections.truncate(MAX_FACES_PER_IMAGE);
        let photo = Arc::new(photo);
        let mut faces = Vec::new();
        // A closer look at each face is most of the work on a photo of many: all of them together, or one after the other until there are as
        // many as are wanted.
        let at_once = if wanted.most < detections.len() { 1 } else { detections.len().max(1) };
        for some in detections.chunks(at_once) {
            faces.extend(self.look_closer(&photo, some, wanted.attributes, stages)?);
            if faces.len() >= wanted.most {
                break;
            }
        }
        faces.iter_mut().enumerate().for_each(|(rank, face)| face.rank = rank);
        Ok(Scene { faces, orientation_correction })
    }

    /// The faces at these places, in their order, without those of which there is nothing to align.
    fn look_closer(
        &mut self,
        photo: &Arc<Photo>,
        detections: &[Detection],
        attributes: AttributeSet,
        stages: &Stages,
    ) -> ort::Result<Vec<DetectedFace>> {
        let (photo, detections, count) = (photo.clone(), detections.to_vec(), detections.len());
        let look = move |worker: &mut Self, number: usize, stages: &Stages| {
            let mut detection = detections[number];
            detection.landmarks = stages.time(Stage::Detect, || worker.detector.refine(&photo, &detection))?;
            let mut face = stages.time(Stage::Align, || worker.describe(&photo, &detection));
            if attributes != AttributeSet::DEFAULT {
                let Self { attributes: nets, resizer, .. } = worker;
                let describing = || nets.describe(&photo, face.as_mut_slice(), attributes, resizer);
                stages.time(Stage::Attributes, describing)?;
            }
            Ok(face)
        };
        let looked = self.help.clone().share(self, count, stages, look);
        Ok(looked.into_iter().collect::<ort::Result<Vec<_>>>()?.into_iter().flatten().collect())
    }

    /// What these faces come to, in their order. One at a time: more at once are hardly quicker, and the vectors would differ in their last
    /// digits by who did how many.
    pub fn embed(&mut self, faces: &[&DetectedFace], stages: &Stages) -> ort::Result<Vec<Embedding>> {
        let crops: Vec<Vec<u8>> = faces.iter().map(|face| face.crop.clone()).collect();
        let embed = move |worker: &mut Self, number: usize, stages: &Stages| {
            stages.time(Stage::Embed, || worker.embedder.embed(&crops[number]))
        };
        self.help.clone().share(self, faces.len(), stages, embed).into_iter().collect()
    }

    /// `None` for a detection whose landmarks coincide: there is no face to align.
    fn describe(&mut self, photo: &Photo, detection: &Detection) -> Option<DetectedFace> {
        let spec = self.embedder.spec();
        let mut crop = |template: &[[f32; 2]; 5], side: u32| {
            aligned_crop(photo, &detection.landmarks, template, side, &mut self.resizer)
        };
        let embedder_crop = crop(&spec.template, spec.input_size)?;
        // Quality is measured in one framing, whatever the embedder's.
        let quality_crop = if (spec.template, spec.input_size) == (quality::TEMPLATE, quality::SIDE) {
            None
        } else {
            Some(crop(&quality::TEMPLATE, quality::SIDE)?)
        };
        let quality = quality::measure(quality_crop.as_ref().unwrap_or(&embedder_crop));
        let landmark = |k: usize| {
            let [x, y] = photo.reported_point(detection.landmarks[k]);
            Landmark { kind: LandmarkType::FIVE[k], x, y }
        };
        Some(DetectedFace {
            rank: 0,
            detail: FaceDetail {
                bounding_box: reported_box(photo, detection.rect),
                confidence: self.confidence.percent(detection.score),
                landmarks: (0..5).map(landmark).collect(),
                pose: photo.reported_pose(pose::from_landmarks(&detection.landmarks)),
                quality,
                attributes: Attributes::default(),
            },
            short_side: detection.rect[2].min(detection.rect[3]),
            rect: detection.rect,
            points: detection.landmarks,
            shows_an_eye: detection.landmarks[..2].iter().any(|eye| photo.shows(*eye)),
            crop: embedder_crop,
            quality_crop,
        })
    }
}

/// A box (left, top, width, height in pixels of the upright image) as replies tell it.
fn reported_box(photo: &Photo, [left, top, width, height]: [f32; 4]) -> BoundingBox {
    let [a, b] = photo.reported_point([left, top]);
    let [c, d] = photo.reported_point([left + width, top + height]);
    BoundingBox { left: a.min(c), top: b.min(d), width: (a - c).abs(), height: (b - d).abs() }
}
