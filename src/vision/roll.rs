//! By how much a face is turned in the plane of the photo: a small network of our own that looks at a small square.

use super::net::{CropFormat, CropNet};
use super::runtime::{Runtime, RuntimeError};

/// `training/roll.py` makes it: [N, 3, 48, 48] in, of nine classes the logits out. Eight are turns, the last is no face.
const GRAPH: &[u8] = include_bytes!("roll.onnx");
const TURNS: usize = 8;
/// Side of the square, in pixels, and how long the face's box is in it, a half more or less.
pub const SIDE: u32 = 48;
/// See above.
pub const BOX: f32 = 24.0;

/// What a square shows.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Roll {
    /// How likely it is a face, 0 to 1.
    pub likely: f32,
    /// By how many degrees clockwise that is turned, -180 to 180.
    pub degrees: f32,
}

/// The network of one worker.
pub struct RollNet(CropNet);

impl RollNet {
    /// Loads the graph.
    pub fn new(runtime: &Runtime) -> Result<Self, RuntimeError> {
        Ok(Self(CropNet::new(runtime, "roll", GRAPH, CropFormat::plain(SIDE))?))
    }

    /// What each of these squares (8-bit RGB, [`SIDE`] squared, rows from the top) shows.
    pub fn of(&mut self, squares: &[&[u8]]) -> ort::Result<Vec<Roll>> {
        Ok(self.0.run(squares, ["logits"])?.iter().map(|[logits]| told(logits)).collect())
    }
}

/// The softmax of the logits; the roll is the mean of the turns as directions.
fn told(logits: &[f32]) -> Roll {
    let most = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let shares: Vec<f32> = logits.iter().map(|logit| (logit - most).exp()).collect();
    let turns = &shares[..TURNS.min(shares.len())];
    let direction = |turn: usize| (turn as f32 / TURNS as f32 * 360.0).to_radians();
    let sum = |part: fn(f32) -> f32| -> f32 {
        turns.iter().zip(0..).map(|(share, turn)| share * part(direction(turn))).sum()
    };
    Roll {
        likely: turns.iter().sum::<f32>() / shares.iter().sum::<f32>(),
        degrees: sum(f32::sin).atan2(sum(f32::cos)).to_degrees(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_roll_lies_between_the_turns_that_share_it() {
        let told_of = |likely: [usize; 2]| {
            let mut logits = [-20.0; TURNS + 1];
            likely.into_iter().for_each(|turn| logits[turn] = 3.0);
            told(&logits)
        };
        let near = |a: f32, b: f32| (a - b).abs() < 1e-3;
        let diagonal = told_of([1, 2]);
        assert!(near(diagonal.degrees, 67.5) && near(diagonal.likely, 1.0));
        // 315 and 0 degrees, the short way.
        assert!(near(told_of([7, 0]).degrees, -22.5));
        assert!(near(told_of([2, TURNS]).likely, 0.5) && near(told_of([2, TURNS]).degrees, 90.0));
    }
}
