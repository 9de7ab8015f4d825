//! What light and colour alone say about a face, without a net that was trained for it: the lower half hidden, and, where the net of
//! traits is switched off, hair and glasses. Coarse, and never surer than [`SUREST`].

use crate::domain::{Judgement, Percent};
use crate::vision::calibration::interpolate;
use crate::vision::quality::SIDE;

/// No judgement from here is surer, and none less sure than the other way round.
const SUREST: f32 = 80.0;

/// Areas of the crop that quality is measured on, left to right and top to bottom, in pixels.
type Area = (std::ops::Range<usize>, std::ops::Range<usize>);
const CHEEKS: [Area; 2] = [(26..36, 68..80), (76..86, 68..80)];
const FOREHEAD: [Area; 1] = [(44..68, 30..40)];
const LENSES: [Area; 2] = [(29..47, 46..59), (65..83, 46..59)];
const BRIDGE: [Area; 1] = [(50..62, 46..58)];
const UPPER_LIP: [Area; 1] = [(46..66, 79..86)];
const CHIN: [Area; 3] = [(48..64, 103..112), (28..38, 96..110), (74..84, 96..110)];
const LOWER_HALF: [Area; 1] = [(42..70, 84..106)];

/// From how dark an area is next to the cheeks (a ratio of luma) to the chance of hair there, or of a dark lens.
const HAIR: [[f32; 2]; 4] = [[0.35, 92.0], [0.6, 70.0], [0.75, 40.0], [0.95, 6.0]];
const DARK_LENS: [[f32; 2]; 4] = [[0.2, 97.0], [0.4, 70.0], [0.55, 30.0], [0.8, 3.0]];
/// From the contrast across the bridge of the nose, over the cheeks' brightness, to the chance of a frame there.
const FRAME: [[f32; 2]; 4] = [[0.05, 8.0], [0.12, 35.0], [0.2, 60.0], [0.4, 90.0]];
/// From the distance in colour (Cb and Cr) of the lower half from forehead and cheeks to the chance that something covers it.
const COVERED: [[f32; 2]; 4] = [[8.0, 2.0], [16.0, 20.0], [24.0, 65.0], [40.0, 96.0]];

/// An aligned crop (8-bit RGB, [`SIDE`] squared) with its brightness and colours.
pub struct Crop<'a>(&'a [u8]);

impl<'a> Crop<'a> {
    /// The crop that quality is measured on.
    pub fn new(crop: &'a [u8]) -> Self {
        Self(crop)
    }

    fn pixels(&self, areas: &[Area]) -> impl Iterator<Item = [f32; 3]> {
        let at = |row: usize, column: usize| {
            let start = 3 * (row * SIDE as usize + column);
            [self.0[start], self.0[start + 1], self.0[start + 2]].map(f32::from)
        };
        areas.iter().flat_map(move |(columns, rows)| {
            rows.clone().flat_map(move |row| columns.clone().map(move |column| at(row, column)))
        })
    }

    fn mean(&self, areas: &[Area], value: impl Fn([f32; 3]) -> f32) -> f32 {
        let (mut sum, mut count) = (0.0, 0.0f32);
        for pixel in self.pixels(areas) {
            sum += value(pixel);
            count += 1.0;
        }
        sum / count.max(1.0)
    }

    /// Luma of an area over that of the cheeks.
    fn darkness(&self, areas: &[Area]) -> f32 {
        self.mean(areas, luma) / self.mean(&CHEEKS, luma).max(1.0)
    }

    /// The chance that something covers nose or mouth: a colour that the rest of the face does not have. A hand has it.
    pub fn covered(&self) -> f32 {
        let skin = [0, 1]
            .map(|plane| (self.mean(&FOREHEAD, |p| chroma(p)[plane]) + self.mean(&CHEEKS, |p| chroma(p)[plane])) / 2.0);
        let lower = [0, 1].map(|plane| self.mean(&LOWER_HALF, |p| chroma(p)[plane]));
        interpolate(&COVERED, (skin[0] - lower[0]).hypot(skin[1] - lower[1]), 0, 1)
    }

    /// Dark lenses.
    pub fn sunglasses(&self) -> Judgement {
        judged(interpolate(&DARK_LENS, self.darkness(&LENSES), 0, 1))
    }

    /// A frame with clear lenses.
    pub fn eyeglasses(&self) -> Judgement {
        let mean = self.mean(&BRIDGE, luma);
        let contrast = self.mean(&BRIDGE, |p| (luma(p) - mean).powi(2)).sqrt() / self.mean(&CHEEKS, luma).max(1.0);
        let dark = interpolate(&DARK_LENS, self.darkness(&LENSES), 0, 1) / 100.0;
        judged(interpolate(&FRAME, contrast, 0, 1) * (1.0 - dark))
    }

    /// Hair on the upper lip.
    pub fn mustache(&self) -> Judgement {
        judged(interpolate(&HAIR, self.darkness(&UPPER_LIP), 0, 1))
    }

    /// Hair on chin and jaw.
    pub fn beard(&self) -> Judgement {
        judged(interpolate(&HAIR, self.darkness(&CHIN), 0, 1))
    }
}

fn judged(chance: f32) -> Judgement {
    Judgement::of_chance(Percent::clamped(chance.clamp(100.0 - SUREST, SUREST)))
}

fn luma([r, g, b]: [f32; 3]) -> f32 {
    0.299 * r + 0.587 * g + 0.114 * b
}

/// Cb and Cr, as JPEG has them, without their offset.
fn chroma([r, g, b]: [f32; 3]) -> [f32; 2] {
    [-0.168_736 * r - 0.331_264 * g + 0.5 * b, 0.5 * r - 0.418_688 * g - 0.081_312 * b]
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A crop of one colour with areas of another.
    fn painted(areas: &[Area], colour: [u8; 3]) -> Vec<u8> {
        let mut crop = [200, 160, 140].repeat((SIDE * SIDE) as usize);
        for (columns, rows) in areas {
            for row in rows.clone() {
                for column in columns.clone() {
                    let start = 3 * (row * SIDE as usize + column);
                    crop[start..start + 3].copy_from_slice(&colour);
                }
            }
        }
        crop
    }

    #[test]
    fn dark_areas_are_hair_or_lenses_and_bare_ones_are_not() {
        let bare = painted(&[], [0; 3]);
        let bare = Crop::new(&bare);
        for judgement in [bare.sunglasses(), bare.eyeglasses(), bare.mustache(), bare.beard()] {
            assert!(!judgement.value && judgement.confidence.get() <= SUREST, "{judgement:?}");
        }
        assert!(Crop::new(&painted(&LENSES, [10; 3])).sunglasses().value);
        assert!(Crop::new(&painted(&UPPER_LIP, [40, 30, 20])).mustache().value);
        assert!(Crop::new(&painted(&CHIN, [40, 30, 20])).beard().value);
    }

    #[test]
    fn a_blue_mask_covers_a_face_and_skin_does_not() {
        assert!(Crop::new(&painted(&LOWER_HALF, [90, 140, 220])).covered() > 60.0);
        assert!(Crop::new(&painted(&[], [0; 3])).covered() < 10.0);
    }
}
