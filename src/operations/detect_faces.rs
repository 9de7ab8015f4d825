//! DetectFaces: the faces of an image, without a collection.

use bytes::Bytes;

use crate::domain::{FaceDetail, Fault};
use crate::telemetry::Stages;

use super::Service;

/// What is known about each face of an image, from larger to smaller box.
pub async fn detect_faces(service: &Service, image: Bytes, stages: &Stages) -> Result<Vec<FaceDetail>, Fault> {
    service.with_faces(image, stages, |_, _, faces, _| Ok(faces.into_iter().map(|face| face.detail).collect())).await
}
