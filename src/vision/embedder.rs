//! Embedding: an aligned crop in, a vector of unit length out, so that the cosine of two faces is their dot product.
//!
//! Before it is brought to unit length, the vector of what is no face lies near that of a crop without anything in it: the network found
//! nothing to tell. That distance tells faces from what only looks like one to the detector. `docs/quality.md` has the figures.

use std::sync::Arc;

use super::net::{CropFormat, CropNet};
use super::pack::EmbedderSpec;
use super::runtime::{Runtime, RuntimeError};
use super::wide::WideNet;

/// What the log calls it.
pub const ROLE: &str = "embedder";
/// All channels of the crop without anything in it.
const GREY: u8 = 128;

/// What an aligned crop came to.
#[derive(Clone, Debug)]
pub struct Embedding {
    /// Of unit length.
    pub vector: Vec<f32>,
    /// Whether the network found a face to tell. If not, the vector resembles those of other crops without one.
    pub has_face: bool,
}

/// An embedder.
pub struct Embedder {
    net: CropNet,
    spec: EmbedderSpec,
    /// What the network makes of nothing, not brought to unit length.
    nothing: Vec<f32>,
}

impl Embedder {
    /// Loads the graph.
    pub fn new(runtime: &Runtime, graph: &[u8], spec: EmbedderSpec) -> Result<Self, RuntimeError> {
        let format = CropFormat { side: spec.input_size, channels: spec.channels, mean: spec.mean, scale: spec.scale };
        let mut embedder = Self { net: CropNet::new(runtime, ROLE, graph, format)?, spec, nothing: Vec::new() };
        let grey = vec![GREY; 3 * (format.side * format.side) as usize];
        embedder.nothing = embedder.run(&grey).map_err(|source| RuntimeError::Graph { role: ROLE, source })?;
        Ok(embedder)
    }

    /// From now on it may run on several cores; `wide` is of the same graph.
    pub fn widen(&mut self, wide: Arc<WideNet>) {
        self.net.widen(wide);
    }

    /// What the crops have to be.
    pub fn spec(&self) -> &EmbedderSpec {
        &self.spec
    }

    /// A vector of `spec.dimensions` numbers for a crop (8-bit RGB, `spec.input_size` squared).
    pub fn embed(&mut self, crop: &[u8]) -> ort::Result<Embedding> {
        let raw = self.run(crop)?;
        Ok(Embedding {
            vector: unit_length(&raw),
            has_face: distance(&raw, &self.nothing) >= f64::from(self.spec.face_from_distance),
        })
    }

    /// The vector as the network gives it.
    fn run(&mut self, crop: &[u8]) -> ort::Result<Vec<f32>> {
        let vectors = self.net.run(&[crop], ["embedding"])?;
        let vector = vectors.into_iter().flatten().next().filter(|vector| vector.len() == self.spec.dimensions);
        vector.ok_or_else(|| ort::Error::new("the embedder's output has another size than the manifest says"))
    }
}

fn distance(a: &[f32], b: &[f32]) -> f64 {
    a.iter().zip(b).map(|(a, b)| (f64::from(*a) - f64::from(*b)).powi(2)).sum::<f64>().sqrt()
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
