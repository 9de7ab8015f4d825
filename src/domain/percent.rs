//! Numbers on the service's 0-100 scale.

use super::Constraint;

/// A finite number from 0 to 100: a confidence, a similarity, a threshold.
#[derive(Clone, Copy, Debug, PartialEq, PartialOrd)]
pub struct Percent(f32);

impl Percent {
    /// The number, clamped to 0-100; what is no number becomes 0.
    pub fn clamped(value: f32) -> Self {
        Self(if value.is_nan() { 0.0 } else { value.clamp(0.0, 100.0) })
    }

    /// The number itself.
    pub fn get(self) -> f32 {
        self.0
    }
}

impl TryFrom<f64> for Percent {
    type Error = Vec<Constraint>;

    fn try_from(value: f64) -> Result<Self, Self::Error> {
        if value > 100.0 {
            Err(vec![Constraint::MaxValue(100)])
        } else if value >= 0.0 {
            Ok(Self(value as f32))
        } else {
            Err(vec![Constraint::MinValue(0)])
        }
    }
}
