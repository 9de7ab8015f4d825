//! From the bytes of an image to its faces: pixels and tensors, synchronous, without database or network.
//!
//! An image's way: [`Photo::decode`] (header, limits, pixels, orientation) → [`Pipeline::detect`] (boxes, landmarks, aligned
//! crops, pose, quality) → [`Pipeline::embed`] (vectors). [`Workers`] have a pipeline each, and
//! [`Packs`] has workers for each pack in use.

mod affine;
mod alignment;
mod attributes;
mod calibration;
mod decode;
mod detector;
mod embedder;
mod formats;
mod lying;
mod net;
mod orientation;
pub mod pack;
mod packs;
mod pipeline;
mod pose;
mod provider;
mod quality;
mod roll;
mod runtime;
mod scene;
mod together;
mod turn;
mod webp;
mod wide;
mod workers;
mod yunet;

pub use calibration::Calibration;
pub use decode::{ImageLimits, Photo};
pub use embedder::Embedding;
pub use formats::{Format, Formats};
pub use orientation::Orientation;
pub use packs::{Models, Packs, StartError, Starter};
pub use pipeline::{Pipeline, Wanted};
pub use provider::Provider;
pub use runtime::{Runtime, RuntimeError};
pub use scene::{DetectedFace, Scene};
pub use workers::Workers;
