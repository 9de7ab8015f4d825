//! Age, gender and expression, from the nets of face-api.js (MIT): small, trained on public photos, and to be read with care.

use fast_image_resize::Resizer;

use crate::domain::{Emotion, Gender, Percent};
use crate::vision::affine::Affine;
use crate::vision::alignment::warped_crop;
use crate::vision::decode::Photo;
use crate::vision::net::{CropFormat, CropNet};
use crate::vision::runtime::{Runtime, RuntimeError};

use super::mesh::{Outline, direction, distance, middle, turned_square};

const SIDE: u32 = 112;
/// The crops are squares of so many distances between eyes and mouth: two of them, whose answers are averaged, since the nets are
/// sensitive to the framing.
const REACHES: [f32; 2] = [2.2, 2.6];
/// The distance between the eyes stands for that between eyes and mouth, so many times, where the latter is foreshortened.
const EYES_FOR_HEIGHT: f32 = 1.155;
/// Half the width of an age range in years: a fixed part, and one that grows with age. The net's mean error is 4.5 years.
const AGE_MARGIN: (f32, f32) = (2.5, 0.12);

/// Youngest and oldest likely age in years, and how the face looks, and how sure.
pub type AgeAndGender = ((u32, u32), (Gender, Percent));

/// The two nets of one worker.
pub struct Looks {
    age_gender: CropNet,
    expressions: CropNet,
}

impl Looks {
    /// Loads the graphs.
    pub fn new(runtime: &Runtime, age_gender: &[u8], expressions: &[u8]) -> Result<Self, RuntimeError> {
        Ok(Self {
            age_gender: CropNet::new(runtime, "age and gender net", age_gender, CropFormat::plain(SIDE))?,
            expressions: CropNet::new(runtime, "expression net", expressions, CropFormat::plain(SIDE))?,
        })
    }

    /// Age range in years, and gender, of each face of these crops.
    pub fn ages_and_genders(&mut self, crops: &Crops) -> ort::Result<Vec<AgeAndGender>> {
        let results = self.age_gender.run(&crops.slices(), ["age", "gender"])?;
        let face = |framings: &[[Vec<f32>; 2]]| {
            let mean =
                |output: usize| framings.iter().map(|numbers| numbers[output][0]).sum::<f32>() / framings.len() as f32;
            (age_range(mean(0)), likelier(mean(1)))
        };
        Ok(results.chunks_exact(REACHES.len()).map(face).collect())
    }

    /// The emotions of each face of these crops, surest first.
    pub fn emotions(&mut self, crops: &Crops) -> ort::Result<Vec<Vec<(Emotion, Percent)>>> {
        let results = self.expressions.run(&crops.slices(), ["expressions"])?;
        let face = |framings: &[[Vec<f32>; 1]]| {
            let mean = |k: usize| framings.iter().map(|[chances]| chances[k]).sum::<f32>() / framings.len() as f32;
            emotions(std::array::from_fn(mean))
        };
        Ok(results.chunks_exact(REACHES.len()).map(face).collect())
    }
}

/// The crops that the nets look at: each face in every framing, one after another.
pub struct Crops(Vec<Vec<u8>>);

impl Crops {
    /// Cuts them out.
    pub fn new(photo: &Photo, faces: &[Outline<'_>], resizer: &mut Resizer) -> Self {
        let maps = faces.iter().flat_map(|(_, landmarks)| REACHES.map(|reach| crop(landmarks, reach)));
        Self(maps.map(|map| warped_crop(photo, &map, SIDE, resizer)).collect())
    }

    fn slices(&self) -> Vec<&[u8]> {
        self.0.iter().map(Vec::as_slice).collect()
    }
}

/// The map into a level square around eyes and mouth.
fn crop([left_eye, right_eye, _, left_mouth, right_mouth]: &[[f32; 2]; 5], reach: f32) -> Affine {
    let (eyes, mouth) = (middle(*left_eye, *right_eye), middle(*left_mouth, *right_mouth));
    let height = distance(eyes, mouth).max(EYES_FOR_HEIGHT * distance(*left_eye, *right_eye)).max(1.0);
    turned_square(middle(eyes, mouth), direction(*left_eye, *right_eye), reach * height, SIDE, false)
}

fn age_range(age: f32) -> (u32, u32) {
    let age = age.clamp(0.0, 100.0);
    let margin = AGE_MARGIN.0 + AGE_MARGIN.1 * age;
    ((age - margin).max(0.0).round() as u32, (age + margin).round() as u32)
}

/// A gender from the chance (0 to 1) of a male one.
pub fn likelier(male: f32) -> (Gender, Percent) {
    let male = male.clamp(0.0, 1.0);
    if male >= 0.5 {
        (Gender::Male, Percent::clamped(100.0 * male))
    } else {
        (Gender::Female, Percent::clamped(100.0 * (1.0 - male)))
    }
}

/// The service's eight emotions from the seven chances of neutral, happy, sad, angry, fearful, disgusted, surprised, which sum to 1.
///
/// CALM is what the net calls neutral. CONFUSED no net here knows: a face that is a mixture of surprise and of displeasure (angry or sad)
/// is puzzled rather than either, so as much as both have in common is taken from them and given to it. The sum stays 100: no
/// certainty is made up.
fn emotions([neutral, happy, sad, angry, fearful, disgusted, surprised]: [f32; 7]) -> Vec<(Emotion, Percent)> {
    let displeased = sad + angry;
    let common = surprised.min(displeased);
    let kept = if displeased > 0.0 { 1.0 - common / displeased } else { 1.0 };
    let mut all = vec![
        (Emotion::Happy, happy),
        (Emotion::Surprised, surprised - common),
        (Emotion::Calm, neutral),
        (Emotion::Confused, 2.0 * common),
        (Emotion::Sad, sad * kept),
        (Emotion::Disgusted, disgusted),
        (Emotion::Fear, fearful),
        (Emotion::Angry, angry * kept),
    ];
    all.sort_by(|a, b| b.1.total_cmp(&a.1));
    all.into_iter().map(|(emotion, chance)| (emotion, Percent::clamped(100.0 * chance))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn emotions_are_eight_sorted_and_sum_to_a_hundred() {
        for chances in [
            [1.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0],
            [0.1, 0.1, 0.2, 0.1, 0.1, 0.1, 0.3],
            [0.0, 0.0, 0.5, 0.0, 0.0, 0.0, 0.5],
        ] {
            let found = emotions(chances);
            assert_eq!(found.len(), 8);
            assert!(found.is_sorted_by(|a, b| a.1.get() >= b.1.get()));
            let sum: f32 = found.iter().map(|(_, chance)| chance.get()).sum();
            assert!((sum - 100.0).abs() < 1e-3, "{found:?}");
        }
        assert_eq!(emotions([0.0, 0.0, 0.5, 0.0, 0.0, 0.0, 0.5])[0].0, Emotion::Confused);
        assert_eq!(emotions([0.1, 0.9, 0.0, 0.0, 0.0, 0.0, 0.0])[0].0, Emotion::Happy);
    }

    #[test]
    fn an_age_is_a_range_that_widens() {
        let (young, old) = (age_range(5.0), age_range(60.0));
        assert!(young.0 <= 5 && 5 <= young.1 && old.1 - old.0 > young.1 - young.0);
        assert_eq!(age_range(-3.0).0, 0);
    }

    #[test]
    fn the_crop_is_centred_between_eyes_and_mouth() {
        let landmarks = [[100.0, 100.0], [140.0, 100.0], [120.0, 125.0], [105.0, 150.0], [135.0, 150.0]];
        let map = crop(&landmarks, 2.4);
        assert!((map.scale() * SIDE as f32 - 2.4 * 50.0).abs() < 0.1);
        let centre = map.apply([(SIDE as f32 - 1.0) / 2.0; 2]);
        assert!(distance(centre, [120.0, 125.0]) < 0.01);
    }
}
