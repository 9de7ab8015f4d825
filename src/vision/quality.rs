//! How usable a face is, and where each level of the quality filter draws its line.

use crate::domain::{Percent, Quality, QualityFilter, Reason};

use super::DetectedFace;

/// Provisional.
pub fn measure(crop: &[u8], _side: usize) -> Quality {
    let mean = crop.iter().map(|v| f32::from(*v)).sum::<f32>() / crop.len() as f32;
    Quality { brightness: Percent::clamped(mean / 2.55), sharpness: Percent::clamped(90.0) }
}

impl DetectedFace {
    /// Why the face does not pass the filter; empty when it does.
    pub fn shortcomings(&self, _filter: QualityFilter) -> Vec<Reason> {
        Vec::new()
    }
}
