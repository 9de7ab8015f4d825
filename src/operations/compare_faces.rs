//! CompareFaces: the largest face of one image against the faces of another. Nothing is stored.

use crate::domain::{FaceDetail, Fault, ImageSource, OrientationCorrection, Percent, QualityFilter, cosine};
use crate::telemetry::Stage;
use crate::vision::{DetectedFace, Embedding, Pipeline, Wanted};

use super::{Call, find_faces};

/// A request to compare two images.
pub struct CompareFaces {
    /// The image file with the probe, its largest face.
    pub source: Option<ImageSource>,
    /// The image file with the faces to compare the probe with.
    pub target: Option<ImageSource>,
    /// Matches are at least this similar.
    pub threshold: Percent,
    /// How good a face has to be to be compared.
    pub quality_filter: QualityFilter,
}

/// What a comparison found.
pub struct ComparedFaces {
    /// The probe.
    pub source: FaceDetail,
    /// The target's faces that resemble it, most similar first.
    pub matches: Vec<(Percent, FaceDetail)>,
    /// The target's faces that do not, from larger to smaller box.
    pub unmatched: Vec<FaceDetail>,
    /// How the source as it was sent is to be turned, where that was estimated.
    pub source_correction: Option<OrientationCorrection>,
    /// The same of the target.
    pub target_correction: Option<OrientationCorrection>,
}

/// Compares the largest face of the source with the faces of the target.
/// Fails with [`Fault::InvalidParameters`] when either image has no face that passes the filter.
pub async fn compare_faces(call: Call<'_>, request: CompareFaces) -> Result<ComparedFaces, Fault> {
    let (limits, worker_stages) = (call.service.image_limits, call.stages.clone());
    let models = call.service.packs.ours();
    let similarity = models.pack.embedder.similarity.clone();
    let CompareFaces { source, target, threshold, quality_filter } = request;
    let (source, target) = (call.image(source).await?, call.image(target).await?);
    let job = move |pipeline: &mut Pipeline| {
        let stages = &worker_stages;
        let passes = |face: &DetectedFace| face.shortcomings(quality_filter).is_empty();
        let source = find_faces(pipeline, &source, Wanted::LARGEST, &limits, stages)?;
        let probe = source.faces.into_iter().next().filter(passes).ok_or(Fault::InvalidParameters)?;
        let target = find_faces(pipeline, &target, Wanted::ALL, &limits, stages)?;
        let mut faces = target.faces;
        faces.retain(passes);
        if faces.is_empty() {
            return Err(Fault::InvalidParameters);
        }
        let compared: Vec<&DetectedFace> = std::iter::once(&probe).chain(&faces).collect();
        let mut embeddings = pipeline.embed(&compared, stages).map_err(Fault::internal("embedding faces"))?.into_iter();
        let is_face = |embedding: &Embedding| embedding.shortcoming(quality_filter).is_none();
        let embedded_probe = embeddings.next().filter(is_face).ok_or(Fault::InvalidParameters)?;
        let embedded: Vec<(DetectedFace, Embedding)> =
            faces.into_iter().zip(embeddings).filter(|(_, embedding)| is_face(embedding)).collect();
        if embedded.is_empty() {
            return Err(Fault::InvalidParameters);
        }
        let (mut matches, mut unmatched) = (Vec::new(), Vec::new());
        stages.time(Stage::Search, || {
            for (face, embedding) in embedded {
                let alike = similarity.percent(cosine(&embedded_probe.vector, &embedding.vector) as f32);
                if alike >= threshold { matches.push((alike, face.detail)) } else { unmatched.push(face.detail) }
            }
            matches.sort_by(|a, b| b.0.get().total_cmp(&a.0.get()));
        });
        Ok(ComparedFaces {
            source: probe.detail,
            matches,
            unmatched,
            source_correction: source.orientation_correction,
            target_correction: target.orientation_correction,
        })
    };
    models.workers.run(call.stages, job).await
}
