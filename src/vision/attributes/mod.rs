//! What a face shows beside where it is: 30 landmarks, and the attributes that a caller asks for. Each net runs only when one of its
//! answers is asked for, and then once for all faces of an image.

mod looks;
mod mesh;
mod plain;
mod traits;

use fast_image_resize::Resizer;

use crate::domain::{Attribute, AttributeSet, Judgement, Landmark, LandmarkType, Percent};

use super::decode::Photo;
use super::pack::VerifiedAttributes;
use super::runtime::{Runtime, RuntimeError};
use super::scene::DetectedFace;

use looks::Looks;
use mesh::{FaceMesh, Mesher, Place};
use traits::{Trait, Traits};

/// A face of which more than this share of the mesh lies beyond the image's edge is cut off.
const CUT_OFF_FROM: f32 = 0.1;

/// The nets of one worker.
pub struct AttributeNets {
    mesher: Mesher,
    looks: Looks,
    /// Absent where it is switched off: plainer means stand in.
    traits: Option<Traits>,
}

impl AttributeNets {
    /// Loads the graphs.
    pub fn new(runtime: &Runtime, graphs: &VerifiedAttributes) -> Result<Self, RuntimeError> {
        let traits = graphs.traits.as_ref();
        Ok(Self {
            mesher: Mesher::new(runtime, &graphs.mesh, &graphs.iris)?,
            looks: Looks::new(runtime, &graphs.age_gender, &graphs.expressions)?,
            traits: traits.map(|(graph, spec)| Traits::new(runtime, graph, spec.clone())).transpose()?,
        })
    }

    /// Finds out what is wanted about these faces.
    pub fn describe(
        &mut self,
        photo: &Photo,
        faces: &mut [DetectedFace],
        wanted: AttributeSet,
        resizer: &mut Resizer,
    ) -> ort::Result<()> {
        if faces.is_empty() {
            return Ok(());
        }
        self.look_at_traits(photo, faces, wanted, resizer)?;
        self.look_at_looks(photo, faces, wanted, resizer)?;
        self.look_at_mesh(photo, faces, wanted, resizer)
    }

    fn look_at_traits(
        &mut self,
        photo: &Photo,
        faces: &mut [DetectedFace],
        wanted: AttributeSet,
        resizer: &mut Resizer,
    ) -> ort::Result<()> {
        use Attribute::*;
        if !wanted.has_any(&[Beard, Mustache, Eyeglasses, Sunglasses, Smile, MouthOpen, Gender, FaceOccluded]) {
            return Ok(());
        }
        let found = match &mut self.traits {
            Some(traits) => traits.of(photo, &places(faces), resizer)?.into_iter().map(Some).collect(),
            None => vec![None; faces.len()],
        };
        for (face, traits) in faces.iter_mut().zip(found) {
            let crop = plain::Crop::new(face.quality_crop());
            let judged = |kind: Trait, plainly: &dyn Fn() -> Judgement| match &traits {
                Some(traits) => traits.judgement(kind),
                None => plainly(),
            };
            let sunglasses = judged(Trait::Sunglasses, &|| crop.sunglasses());
            let mut shown = face.detail.attributes.clone();
            let asked = |attribute, judgement: Judgement| wanted.has(attribute).then_some(judgement);
            shown.beard = asked(Beard, judged(Trait::Beard, &|| crop.beard()));
            shown.mustache = asked(Mustache, judged(Trait::Mustache, &|| crop.mustache()));
            shown.eyeglasses = asked(Eyeglasses, judged(Trait::Eyeglasses, &|| crop.eyeglasses()));
            shown.sunglasses = asked(Sunglasses, sunglasses);
            if wanted.has(FaceOccluded) {
                let dark = if sunglasses.value { sunglasses.confidence.get() } else { 0.0 };
                shown.face_occluded = Some(Judgement::of_chance(Percent::clamped(dark.max(crop.covered()))));
            }
            if let Some(traits) = traits {
                shown.smile = asked(Smile, traits.judgement(Trait::Smile));
                shown.mouth_open = asked(MouthOpen, traits.judgement(Trait::MouthOpen));
                if wanted.has(Gender) {
                    shown.gender = Some(looks::likelier(traits.chance(Trait::Male) / 100.0));
                }
            }
            face.detail.attributes = shown;
        }
        Ok(())
    }

    fn look_at_looks(
        &mut self,
        photo: &Photo,
        faces: &mut [DetectedFace],
        wanted: AttributeSet,
        resizer: &mut Resizer,
    ) -> ort::Result<()> {
        use Attribute::*;
        let by_traits = self.traits.is_some();
        let age_or_gender = wanted.has(AgeRange) || (wanted.has(Gender) && !by_traits);
        let emotions_or_smile = wanted.has(Emotions) || (wanted.has(Smile) && !by_traits);
        if !age_or_gender && !emotions_or_smile {
            return Ok(());
        }
        let crops = looks::Crops::new(photo, &places(faces), resizer);
        if age_or_gender {
            for (face, (age, gender)) in faces.iter_mut().zip(self.looks.ages_and_genders(&crops)?) {
                let shown = &mut face.detail.attributes;
                shown.age_range = wanted.has(AgeRange).then_some(age);
                if wanted.has(Gender) && !by_traits {
                    shown.gender = Some(gender);
                }
            }
        }
        if emotions_or_smile {
            for (face, emotions) in faces.iter_mut().zip(self.looks.emotions(&crops)?) {
                let shown = &mut face.detail.attributes;
                if wanted.has(Smile) && !by_traits {
                    let happy = emotions.iter().find(|(emotion, _)| *emotion == crate::domain::Emotion::Happy);
                    shown.smile = happy.map(|(_, chance)| Judgement::of_chance(*chance));
                }
                shown.emotions = wanted.has(Emotions).then_some(emotions);
            }
        }
        Ok(())
    }

    fn look_at_mesh(
        &mut self,
        photo: &Photo,
        faces: &mut [DetectedFace],
        wanted: AttributeSet,
        resizer: &mut Resizer,
    ) -> ort::Result<()> {
        use Attribute::*;
        let mouth_by_mesh = wanted.has(MouthOpen) && self.traits.is_none();
        let with_eyes = wanted.wants_all_landmarks() || wanted.has_any(&[EyeDirection, EyesOpen]);
        if !with_eyes && !mouth_by_mesh && !wanted.has(FaceOccluded) {
            return Ok(());
        }
        let mut meshes = self.mesher.meshes(photo, &places(faces), resizer)?;
        if with_eyes {
            self.mesher.look_at_eyes(photo, &mut meshes, resizer)?;
        }
        for (face, mesh) in faces.iter_mut().zip(&meshes) {
            let shown = &mut face.detail.attributes;
            if wanted.has(EyesOpen) {
                shown.eyes_open = mesh.eyes_open();
            }
            if mouth_by_mesh {
                shown.mouth_open = Some(mesh.mouth_open());
            }
            if wanted.has(EyeDirection) {
                shown.eye_direction = mesh.eye_direction();
            }
            if let Some(occluded) = &mut shown.face_occluded
                && mesh.share_outside(photo.size()) > CUT_OFF_FROM
            {
                *occluded = Judgement { value: true, confidence: Percent::clamped(95.0) };
            }
            if wanted.wants_all_landmarks() {
                face.detail.landmarks = all_landmarks(photo, face, mesh);
            }
        }
        Ok(())
    }
}

/// All landmarks in the service's order. Where the mesh is a guess, the detector's five are told as they are, and the others, which a
/// client expects, where the guess puts them.
fn all_landmarks(photo: &Photo, face: &DetectedFace, mesh: &FaceMesh) -> Vec<Landmark> {
    let five = |kind: LandmarkType| LandmarkType::FIVE.iter().position(|known| *known == kind).map(|k| face.points[k]);
    let place = |kind: LandmarkType| {
        if mesh.is_trusted() { mesh.landmark(kind) } else { five(kind).or_else(|| mesh.landmark(kind)) }
    };
    let landmark = |kind: &LandmarkType| {
        let [x, y] = photo.reported_point(place(*kind)?);
        Some(Landmark { kind: *kind, x, y })
    };
    LandmarkType::ALL.iter().filter_map(landmark).collect()
}

fn places(faces: &[DetectedFace]) -> Vec<Place<'_>> {
    faces.iter().map(|face| (&face.rect, &face.points)).collect()
}
