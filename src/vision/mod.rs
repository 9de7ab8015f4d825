//! From the bytes of an image to its faces: pixels and tensors, synchronous, without database or network.
//!
//! An image's way: [`Photo::decode`] (header, limits, pixels, orientation) → [`Pipeline::detect`] (boxes, landmarks, aligned
//! crops, pose, quality) → [`Pipeline::embed`] (vectors). [`Engine`] gives each worker thread a pipeline of its own.

mod affine;
mod alignment;
mod attributes;
mod calibration;
mod decode;
mod detector;
mod embedder;
mod engine;
mod lying;
mod net;
mod orientation;
pub mod pack;
mod pipeline;
mod pose;
mod quality;
mod roll;
mod runtime;
mod scene;
mod turn;
mod yunet;

pub use calibration::Calibration;
pub use decode::{ImageLimits, Photo};
pub use embedder::Embedding;
pub use engine::Engine;
pub use orientation::Orientation;
pub use pipeline::Pipeline;
pub use runtime::{Runtime, RuntimeError};
pub use scene::{DetectedFace, Scene};
