//! Networks that look at square crops of faces, a batch at a time.

use std::sync::Arc;

use ort::value::TensorRef;

use super::pack::Channels;
use super::runtime::{Runtime, RuntimeError};
use super::wide::{Net, WideNet};

/// What a network wants of its crops: squares of this many pixels a side, whose planes hold (pixel - mean) * scale.
#[derive(Clone, Copy, Debug)]
pub struct CropFormat {
    /// In pixels.
    pub side: u32,
    /// Order of the planes.
    pub channels: Channels,
    /// See above.
    pub mean: f32,
    /// See above.
    pub scale: f32,
}

impl CropFormat {
    /// Red first, 0 to 255: what a graph wants that does the rest itself.
    pub fn plain(side: u32) -> Self {
        Self { side, channels: Channels::Rgb, mean: 0.0, scale: 1.0 }
    }
}

/// A session over such a graph, with the input `input` of [N, 3, side, side], and its reusable tensor.
pub struct CropNet {
    net: Net,
    format: CropFormat,
    tensor: Vec<f32>,
    /// Crops a run.
    batch: usize,
}

impl CropNet {
    /// Loads the graph.
    pub fn new(runtime: &Runtime, role: &'static str, graph: &[u8], format: CropFormat) -> Result<Self, RuntimeError> {
        Ok(Self {
            net: Net::new(runtime.session(role, graph)?),
            format,
            tensor: Vec::new(),
            batch: runtime.provider().batch(),
        })
    }

    /// From now on it may run on several cores; `wide` is of the same graph.
    pub fn widen(&mut self, wide: Arc<WideNet>) {
        self.net.widen(wide);
    }

    /// For each crop (8-bit RGB, rows from the top) the numbers of each of these outputs.
    pub fn run<const OUTPUTS: usize>(
        &mut self,
        crops: &[&[u8]],
        outputs: [&str; OUTPUTS],
    ) -> ort::Result<Vec<[Vec<f32>; OUTPUTS]>> {
        let (side, format) = (self.format.side as usize, self.format);
        let mut results: Vec<[Vec<f32>; OUTPUTS]> = Vec::with_capacity(crops.len());
        for batch in crops.chunks(self.batch) {
            self.tensor.clear();
            for crop in batch {
                for plane in 0..3 {
                    let channel = if format.channels == Channels::Rgb { plane } else { 2 - plane };
                    let values =
                        crop.chunks_exact(3).map(|pixel| (f32::from(pixel[channel]) - format.mean) * format.scale);
                    self.tensor.extend(values);
                }
            }
            let input = TensorRef::from_array_view(([batch.len(), 3, side, side], self.tensor.as_slice()))?;
            let mut session = self.net.widest();
            let answers = session.run(ort::inputs!["input" => input])?;
            let first = results.len();
            results.resize_with(first + batch.len(), || std::array::from_fn(|_| Vec::new()));
            for (place, name) in outputs.iter().enumerate() {
                let output = answers.get(name).ok_or_else(|| ort::Error::new(format!("it has no output {name}")))?;
                let (_, values) = output.try_extract_tensor::<f32>()?;
                let each = values.len() / batch.len();
                if each == 0 || each * batch.len() != values.len() {
                    return Err(ort::Error::new(format!(
                        "the output {name} has {} numbers for {} crops",
                        values.len(),
                        batch.len()
                    )));
                }
                for (result, own) in results[first..].iter_mut().zip(values.chunks_exact(each)) {
                    result[place] = own.to_vec();
                }
            }
        }
        Ok(results)
    }
}
