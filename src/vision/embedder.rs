//! Embedding: an aligned crop in, a vector of unit length out, so that the cosine of two faces is their dot product.

use super::net::{CropFormat, CropNet};
use super::pack::EmbedderSpec;
use super::runtime::{Runtime, RuntimeError};

/// An embedder.
pub struct Embedder {
    net: CropNet,
    spec: EmbedderSpec,
}

impl Embedder {
    /// Loads the graph.
    pub fn new(runtime: &Runtime, graph: &[u8], spec: EmbedderSpec) -> Result<Self, RuntimeError> {
        let format = CropFormat { side: spec.input_size, channels: spec.channels, mean: spec.mean, scale: spec.scale };
        Ok(Self { net: CropNet::new(runtime, "embedder", graph, format)?, spec })
    }

    /// What the crops have to be.
    pub fn spec(&self) -> &EmbedderSpec {
        &self.spec
    }

    /// One vector of `spec.dimensions` numbers and unit length for each crop (8-bit RGB, `spec.input_size` squared).
    pub fn embed(&mut self, crops: &[&[u8]]) -> ort::Result<Vec<Vec<f32>>> {
        let vectors = self.net.run(crops, ["embedding"])?;
        if vectors.iter().any(|[vector]| vector.len() != self.spec.dimensions) {
            return Err(ort::Error::new("the embedder's output has another size than the manifest says"));
        }
        Ok(vectors.iter().map(|[vector]| unit_length(vector)).collect())
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
