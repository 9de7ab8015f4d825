//! Embedding: an aligned crop in, a vector of unit length out, so that the cosine of two faces is their dot product.

use ort::session::Session;
use ort::value::TensorRef;

use super::pack::{Channels, EmbedderSpec};
use super::runtime::{Runtime, RuntimeError};

/// Crops a run of the graph: enough to amortise the call, few enough to keep activations small.
const BATCH: usize = 8;

/// An embedder session and its reusable input.
pub struct Embedder {
    session: Session,
    spec: EmbedderSpec,
    tensor: Vec<f32>,
}

impl Embedder {
    /// Loads the graph.
    pub fn new(runtime: &Runtime, graph: &[u8], spec: EmbedderSpec) -> Result<Self, RuntimeError> {
        Ok(Self { session: runtime.session("embedder", graph)?, spec, tensor: Vec::new() })
    }

    /// What the crops have to be.
    pub fn spec(&self) -> &EmbedderSpec {
        &self.spec
    }

    /// One vector of `spec.dimensions` numbers and unit length for each crop (8-bit RGB, `spec.input_size` squared).
    pub fn embed(&mut self, crops: &[&[u8]]) -> ort::Result<Vec<Vec<f32>>> {
        let side = self.spec.input_size as usize;
        let mut embeddings = Vec::with_capacity(crops.len());
        for batch in crops.chunks(BATCH) {
            self.tensor.clear();
            for crop in batch {
                for plane in 0..3 {
                    let channel = if self.spec.channels == Channels::Rgb { plane } else { 2 - plane };
                    let values = crop
                        .chunks_exact(3)
                        .map(|pixel| (f32::from(pixel[channel]) - self.spec.mean) * self.spec.scale);
                    self.tensor.extend(values);
                }
            }
            let input = TensorRef::from_array_view(([batch.len(), 3, side, side], self.tensor.as_slice()))?;
            let outputs = self.session.run(ort::inputs!["input" => input])?;
            let (_, values) = outputs["embedding"].try_extract_tensor::<f32>()?;
            embeddings.extend(values.chunks_exact(self.spec.dimensions).map(unit_length));
        }
        if embeddings.len() == crops.len() {
            Ok(embeddings)
        } else {
            Err(ort::Error::new("the embedder's output has another size than the manifest says"))
        }
    }
}

fn unit_length(vector: &[f32]) -> Vec<f32> {
    let norm = vector.iter().map(|v| f64::from(*v) * f64::from(*v)).sum::<f64>().sqrt().max(f64::MIN_POSITIVE);
    vector.iter().map(|v| (f64::from(*v) / norm) as f32).collect()
}

#[cfg(test)]
mod tests {
    use super::unit_length;

    #[test]
    fn vectors_come_out_with_unit_length() {
        assert_eq!(unit_length(&[3.0, 4.0]), [0.6, 0.8]);
        assert_eq!(unit_length(&[0.0, 0.0]), [0.0, 0.0]);
    }
}
