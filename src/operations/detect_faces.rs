//! DetectFaces: the faces of an image, without a collection.

use crate::domain::{FaceDetail, Fault, ImageSource};

use super::Call;

/// What is known about each face of an image, from larger to smaller box.
pub async fn detect_faces(call: Call<'_>, image: Option<ImageSource>) -> Result<Vec<FaceDetail>, Fault> {
    call.with_faces(image, |_, _, faces, _| Ok(faces.into_iter().map(|face| face.detail).collect())).await
}
