//! Head pose from the five landmarks.

use crate::domain::Pose;

/// Provisional.
pub fn from_landmarks(landmarks: &[[f32; 2]; 5]) -> Pose {
    let [left, right, ..] = landmarks;
    let roll = (right[1] - left[1]).atan2(right[0] - left[0]).to_degrees();
    Pose { roll, yaw: 0.0, pitch: 0.0 }
}
