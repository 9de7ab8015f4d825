//! The project's own net of traits (`docs/attribute-model.md`): beard, mustache, glasses, smile, mouth, and how male a face looks.

use fast_image_resize::Resizer;
use strum::{IntoStaticStr, VariantArray};

use crate::domain::{Judgement, Percent};
use crate::vision::alignment::aligned_crop;
use crate::vision::decode::Photo;
use crate::vision::net::{CropFormat, CropNet};
use crate::vision::pack::TraitsSpec;
use crate::vision::runtime::{Runtime, RuntimeError};

use super::mesh::Outline;

const ROLE: &str = "net of traits";

/// What the net judges.
#[derive(Clone, Copy, Debug, PartialEq, Eq, IntoStaticStr, VariantArray)]
#[strum(serialize_all = "snake_case")]
pub enum Trait {
    Beard,
    Mustache,
    Eyeglasses,
    Sunglasses,
    Smile,
    MouthOpen,
    Male,
}

impl Trait {
    /// The name in the manifest.
    fn name(self) -> &'static str {
        self.into()
    }
}

const EACH: &[Trait] = Trait::VARIANTS;

/// The chances (0 to 100) of a yes, by [`Trait`].
#[derive(Clone, Copy, Debug)]
pub struct Chances([f32; EACH.len()]);

impl Chances {
    /// The chance of a yes.
    pub fn chance(&self, kind: Trait) -> f32 {
        self.0[kind as usize]
    }

    /// The judgement that follows.
    pub fn judgement(&self, kind: Trait) -> Judgement {
        Judgement::of_chance(Percent::clamped(self.chance(kind)))
    }
}

/// The net of one worker.
pub struct Traits {
    net: CropNet,
    spec: TraitsSpec,
    /// Where each trait stands among the net's numbers.
    places: [usize; EACH.len()],
}

impl Traits {
    /// Loads the graph.
    pub fn new(runtime: &Runtime, graph: &[u8], spec: TraitsSpec) -> Result<Self, RuntimeError> {
        let mut places = [0; EACH.len()];
        for (place, kind) in places.iter_mut().zip(EACH) {
            *place = spec.place(kind.name()).ok_or(RuntimeError::NoCurve(kind.name()))?;
        }
        let net = CropNet::new(runtime, ROLE, graph, CropFormat::plain(spec.input_size))?;
        let mut traits = Self { net, spec, places };
        // Whether the manifest fits the graph is told at the start, and not by every request.
        traits.run(&[&traits.blank()]).map_err(|source| RuntimeError::Graph { role: ROLE, source })?;
        Ok(traits)
    }

    /// The chances of each of these faces.
    pub fn of(&mut self, photo: &Photo, faces: &[Outline<'_>], resizer: &mut Resizer) -> ort::Result<Vec<Chances>> {
        let side = self.spec.input_size;
        // Faces whose landmarks coincide were dropped before: there is always a crop.
        let crop = |outline: &Outline<'_>| {
            aligned_crop(photo, outline.1, &self.spec.template, side, resizer).unwrap_or_else(|| self.blank())
        };
        let crops: Vec<Vec<u8>> = faces.iter().map(crop).collect();
        let crops: Vec<&[u8]> = crops.iter().map(Vec::as_slice).collect();
        let logits = self.run(&crops)?;
        let chances = |[numbers]: &[Vec<f32>; 1]| {
            Chances(self.places.map(|k| self.spec.curves[k].curve.percent(numbers[k]).get()))
        };
        Ok(logits.iter().map(chances).collect())
    }

    fn blank(&self) -> Vec<u8> {
        vec![0; 3 * (self.spec.input_size * self.spec.input_size) as usize]
    }

    /// The numbers as the net gives them.
    fn run(&mut self, crops: &[&[u8]]) -> ort::Result<Vec<[Vec<f32>; 1]>> {
        let logits = self.net.run(crops, ["logits"])?;
        if logits.iter().any(|[numbers]| numbers.len() != self.spec.curves.len()) {
            return Err(ort::Error::new(format!(
                "it has another number of outputs than the manifest has [[attributes.traits.curve]] ({})",
                self.spec.curves.len()
            )));
        }
        Ok(logits)
    }
}
