//! DetectFaces: the faces of an image, without a collection.

use crate::domain::{AttributeSet, FaceDetail, Fault, ImageSource, OrientationCorrection};

use crate::telemetry::Stages;
use crate::vision::{Pipeline, Scene, Wanted};

use super::Call;

/// The faces of an image.
pub struct DetectedFaces {
    /// From larger to smaller box.
    pub details: Vec<FaceDetail>,
    /// How the image as it was sent is to be turned, where that was estimated.
    pub orientation_correction: Option<OrientationCorrection>,
}

/// What is known about each face of an image, and what else is asked for about it.
pub async fn detect_faces(
    call: Call<'_>,
    (image, attributes): (Option<ImageSource>, AttributeSet),
) -> Result<DetectedFaces, Fault> {
    let work = |_: &mut Pipeline, _: &[u8], scene: Scene, _: &Stages| {
        let details = scene.faces.into_iter().map(|face| face.detail).collect();
        Ok(DetectedFaces { details, orientation_correction: scene.orientation_correction })
    };
    call.with_faces(call.service.packs.ours(), image, Wanted::all_with(attributes), work).await
}
