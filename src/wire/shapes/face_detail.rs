//! What replies tell of a face that was found in an image.

use serde::Serialize;

use crate::domain::{self, Percent};

use super::values::Float;

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct BoundingBox {
    width: Float,
    height: Float,
    left: Float,
    top: Float,
}

impl From<domain::BoundingBox> for BoundingBox {
    fn from(b: domain::BoundingBox) -> Self {
        Self { width: Float(b.width), height: Float(b.height), left: Float(b.left), top: Float(b.top) }
    }
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Landmark {
    r#type: &'static str,
    x: Float,
    y: Float,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Pose {
    roll: Float,
    yaw: Float,
    pitch: Float,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct ImageQuality {
    brightness: Float,
    sharpness: Float,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct AgeRange {
    low: u32,
    high: u32,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Judgement {
    value: bool,
    confidence: Float,
}

impl From<domain::Judgement> for Judgement {
    fn from(judgement: domain::Judgement) -> Self {
        Self { value: judgement.value, confidence: judgement.confidence.into() }
    }
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Gender {
    value: &'static str,
    confidence: Float,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Emotion {
    r#type: &'static str,
    confidence: Float,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct EyeDirection {
    yaw: Float,
    pitch: Float,
    confidence: Float,
}

/// A face's DEFAULT attributes, and of the others those that were asked for.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct FaceDetail {
    bounding_box: BoundingBox,
    #[serde(skip_serializing_if = "Option::is_none")]
    age_range: Option<AgeRange>,
    #[serde(skip_serializing_if = "Option::is_none")]
    smile: Option<Judgement>,
    #[serde(skip_serializing_if = "Option::is_none")]
    eyeglasses: Option<Judgement>,
    #[serde(skip_serializing_if = "Option::is_none")]
    sunglasses: Option<Judgement>,
    #[serde(skip_serializing_if = "Option::is_none")]
    gender: Option<Gender>,
    #[serde(skip_serializing_if = "Option::is_none")]
    beard: Option<Judgement>,
    #[serde(skip_serializing_if = "Option::is_none")]
    mustache: Option<Judgement>,
    #[serde(skip_serializing_if = "Option::is_none")]
    eyes_open: Option<Judgement>,
    #[serde(skip_serializing_if = "Option::is_none")]
    mouth_open: Option<Judgement>,
    #[serde(skip_serializing_if = "Option::is_none")]
    emotions: Option<Vec<Emotion>>,
    landmarks: Vec<Landmark>,
    pose: Pose,
    quality: ImageQuality,
    confidence: Float,
    #[serde(skip_serializing_if = "Option::is_none")]
    face_occluded: Option<Judgement>,
    #[serde(skip_serializing_if = "Option::is_none")]
    eye_direction: Option<EyeDirection>,
}

impl From<domain::FaceDetail> for FaceDetail {
    fn from(detail: domain::FaceDetail) -> Self {
        let landmark = |l: domain::Landmark| Landmark { r#type: l.kind.name(), x: Float(l.x), y: Float(l.y) };
        let shown = detail.attributes;
        let gender = |(gender, confidence): (domain::Gender, Percent)| Gender {
            value: match gender {
                domain::Gender::Male => "Male",
                domain::Gender::Female => "Female",
            },
            confidence: confidence.into(),
        };
        let emotion = |(emotion, confidence): (domain::Emotion, Percent)| Emotion {
            r#type: emotion.name(),
            confidence: confidence.into(),
        };
        let direction = |d: domain::EyeDirection| EyeDirection {
            yaw: Float(d.yaw),
            pitch: Float(d.pitch),
            confidence: d.confidence.into(),
        };
        Self {
            bounding_box: detail.bounding_box.into(),
            age_range: shown.age_range.map(|(low, high)| AgeRange { low, high }),
            smile: shown.smile.map(Into::into),
            eyeglasses: shown.eyeglasses.map(Into::into),
            sunglasses: shown.sunglasses.map(Into::into),
            gender: shown.gender.map(gender),
            beard: shown.beard.map(Into::into),
            mustache: shown.mustache.map(Into::into),
            eyes_open: shown.eyes_open.map(Into::into),
            mouth_open: shown.mouth_open.map(Into::into),
            emotions: shown.emotions.map(|emotions| emotions.into_iter().map(emotion).collect()),
            landmarks: detail.landmarks.into_iter().map(landmark).collect(),
            pose: Pose { roll: Float(detail.pose.roll), yaw: Float(detail.pose.yaw), pitch: Float(detail.pose.pitch) },
            quality: ImageQuality {
                brightness: detail.quality.brightness.into(),
                sharpness: detail.quality.sharpness.into(),
            },
            confidence: detail.confidence.into(),
            face_occluded: shown.face_occluded.map(Into::into),
            eye_direction: shown.eye_direction.map(direction),
        }
    }
}
