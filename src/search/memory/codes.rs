//! Vectors in eight bits a number, kept as two halves, and how far off either is.
//!
//! Number i of a vector v is about `scale * c[i]`, where c[i] is a whole number from -127 to 127. Of c[i] + 128, the upper four bits are
//! the coarse half, h[i], and the lower four the fine one, l[i]:
//!
//! ```text
//! c[i] = 16 h[i] + l[i] - 128, and about 16 h[i] + 7.5 - 128 where only h[i] is known.
//! ```
//!
//! A scan reads the coarse half of everybody, 64 bytes at 128 dimensions, and the fine one of the few that it cannot rule out. Both say
//! what they say within bounds that are proven, so nothing is ever lost: for a probe q and its own codes q', and for v and what is known
//! of it, v',
//!
//! ```text
//! |q v - q' v'| = |q (v - v') + (q - q') v'| <= |q| |v - v'| + |q - q'| (|v| + |v - v'|)
//! ```
//!
//! by the Cauchy-Schwarz inequality for either product and the triangle inequality for |v'|. What is known of the lengths is told by
//! [`Quantised`] for one vector and by [`Worst`] for all of a gallery.

use multiversion::multiversion;
use serde::{Deserialize, Serialize};

use super::kernels::{CoarseProbe, LANES, fine_product};

/// What 32-bit arithmetic on approximate cosines rounds by is less than this. The largest sums are those of the coarse half: at most 16
/// times 15 times 127 for a dimension, times the scales of both vectors, of which each is at most 1 / 127 and, with d numbers of the same
/// size, 1 / (127 sqrt(d)). At 512 dimensions that is below 50, of which 32 bits keep 24.
const ROUNDING: f64 = 1e-5;

/// What a fine half is taken for where it is not known, less the 128 that every code was raised by.
pub const COARSE_OFFSET: f64 = 7.5 - RAISED as f64;
/// What makes a code positive.
pub const RAISED: i32 = 128;
/// What a coarse half is worth, in fine ones.
pub const COARSE: i32 = 16;

/// The codes of members. They only grow.
///
/// The coarse halves lie in blocks of [`LANES`] members: eight dimensions of the first member in four bytes, the same eight of the second,
/// and so on; then the next eight. So a processor adds up a block's members side by side. Of these eight, the first four are the lower
/// halves of the bytes and the others the upper. The fine halves have the same order of dimensions, but one member's lie together.
#[derive(Clone, Debug, Default)]
pub struct Codes {
    coarse: Vec<u8>,
    fine: Vec<u8>,
    len: usize,
}

/// Bytes of either half of a vector, so many dimensions long.
pub fn half(dimensions: usize) -> usize {
    dimensions.div_ceil(EIGHT) * 4
}

/// Dimensions that lie together.
pub const EIGHT: usize = 8;

impl Codes {
    /// With room for so many members.
    pub fn with_capacity(members: usize, dimensions: usize) -> Self {
        let bytes = members * half(dimensions);
        Self { coarse: Vec::with_capacity(bytes), fine: Vec::with_capacity(bytes), len: 0 }
    }

    /// What they take in memory.
    pub fn bytes(&self) -> usize {
        self.coarse.capacity() + self.fine.capacity()
    }

    /// Appends those of a vector, as long as all the others.
    pub fn push(&mut self, vector: &[f32]) -> Quantised {
        let mut codes = Vec::with_capacity(vector.len().next_multiple_of(EIGHT));
        let quantised = Quantised::of(vector, &mut codes);
        let lane = self.len % LANES;
        if lane == 0 {
            self.coarse.resize(self.coarse.len() + LANES * half(vector.len()), 0);
        }
        let block = self.coarse.len() - LANES * half(vector.len());
        let rows = self.coarse[block..].as_chunks_mut::<4>().0.iter_mut().skip(lane).step_by(LANES);
        for (row, eight) in rows.zip(codes.as_chunks::<EIGHT>().0) {
            let raised = |place: usize| eight[place].cast_unsigned() ^ RAISED as u8;
            *row = std::array::from_fn(|place| raised(place) >> 4 | raised(place + 4) & !15);
            self.fine.extend_from_slice(&std::array::from_fn::<u8, 4, _>(|place| {
                raised(place) & 15 | raised(place + 4) << 4
            }));
        }
        self.len += 1;
        quantised
    }

    /// The blocks of coarse halves.
    pub fn coarse(&self) -> &[u8] {
        &self.coarse
    }

    /// The fine halves, one member's after the other's.
    pub fn all_fine(&self) -> &[u8] {
        &self.fine
    }

    /// The fine half of a member.
    pub fn fine(&self, place: usize, dimensions: usize) -> &[u8] {
        let half = half(dimensions);
        &self.fine[place * half..(place + 1) * half]
    }

    /// An exact copy, with room for so many members.
    pub fn copy_with_room(&self, members: usize, dimensions: usize) -> Self {
        let mut copy = Self::with_capacity(members, dimensions);
        copy.coarse.extend_from_slice(&self.coarse);
        copy.fine.extend_from_slice(&self.fine);
        copy.len = self.len;
        copy
    }
}

/// What the codes of one vector keep of it.
#[derive(Clone, Copy, Debug)]
pub struct Quantised {
    /// What a code is worth.
    pub scale: f32,
    /// The length of the vector.
    norm: f64,
    /// The length of the difference between the vector and what its codes say.
    error: f64,
    /// And what their coarse halves say.
    coarse_error: f64,
}

/// No vector is kept worse, of some.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
#[serde(from = "[u64; 3]", into = "[u64; 3]")]
pub struct Worst {
    norm: f64,
    error: f64,
    /// Coarse errors, each divided by its scale. They hardly differ then, while scales do.
    coarse_error: f64,
}

impl Quantised {
    /// Appends the codes, in eights.
    fn of(vector: &[f32], codes: &mut Vec<i8>) -> Self {
        let first = codes.len();
        codes.resize(first + vector.len().next_multiple_of(EIGHT), 0);
        quantise(vector, &mut codes[first..])
    }
}

/// Numbers of eight, so that a processor does them at once.
type Eight<T> = [T; EIGHT];

#[multiversion(targets("x86_64+avx512f+avx512bw+avx512vl", "x86_64+avx2", "aarch64+neon"))]
fn quantise(vector: &[f32], codes: &mut [i8]) -> Quantised {
    // Numbers without a sign have the order of their bits.
    let largest = vector.iter().map(|value| value.abs().to_bits()).max().map_or(0.0, f32::from_bits);
    let scale = if largest > 0.0 { largest / 127.0 } else { 1.0 };
    let (mut norm, mut error, mut coarse_error) = ([0.0; EIGHT], [0.0; EIGHT], [0.0; EIGHT]);
    let mut step = |values: &Eight<f32>, codes: &mut Eight<i8>, used: usize| {
        for place in 0..EIGHT {
            // Never beyond 127, but for what a division rounds by.
            codes[place] = (values[place] / scale).round_ties_even() as i8;
            let coarse = (i32::from(codes[place]) + RAISED) & !(COARSE - 1);
            let (value, scale) = (f64::from(values[place]), f64::from(scale));
            let off =
                [value, value - scale * f64::from(codes[place]), value - scale * (f64::from(coarse) + COARSE_OFFSET)];
            // What is there for the sake of eight is no part of the vector.
            let counts = f64::from(u8::from(place < used));
            norm[place] += counts * off[0] * off[0];
            error[place] += counts * off[1] * off[1];
            coarse_error[place] += counts * off[2] * off[2];
        }
    };
    let (eights, rest) = vector.as_chunks();
    let (codes, _) = codes.as_chunks_mut();
    for (values, codes) in eights.iter().zip(&mut *codes) {
        step(values, codes, EIGHT);
    }
    if let Some(codes) = codes.get_mut(eights.len()) {
        let mut values = [0.0; EIGHT];
        values[..rest.len()].copy_from_slice(rest);
        step(&values, codes, rest.len());
    }
    let length = |squares: Eight<f64>| squares.iter().sum::<f64>().sqrt();
    Quantised { scale, norm: length(norm), error: length(error), coarse_error: length(coarse_error) }
}

impl From<[u64; 3]> for Worst {
    fn from(bits: [u64; 3]) -> Self {
        let [norm, error, coarse_error] = bits.map(f64::from_bits);
        Self { norm, error, coarse_error }
    }
}

impl From<Worst> for [u64; 3] {
    /// Bits, since a text may round.
    fn from(worst: Worst) -> Self {
        [worst.norm, worst.error, worst.coarse_error].map(f64::to_bits)
    }
}

impl Worst {
    /// For a checksum.
    pub fn to_bytes(self) -> Vec<u8> {
        <[u64; 3]>::from(self).iter().flat_map(|bits| bits.to_le_bytes()).collect()
    }

    /// Of those before and those of another.
    pub fn and(&self, other: &Self) -> Self {
        Self {
            norm: self.norm.max(other.norm),
            error: self.error.max(other.error),
            coarse_error: self.coarse_error.max(other.coarse_error),
        }
    }

    /// Of those before and this one.
    pub fn or(&self, other: &Quantised) -> Self {
        Self {
            norm: self.norm.max(other.norm),
            error: self.error.max(other.error),
            coarse_error: self.coarse_error.max(other.coarse_error / f64::from(other.scale)),
        }
    }
}

/// A probe's codes.
#[derive(Clone, Debug)]
pub struct ProbeCodes {
    /// The greatest cosine that a member can have is `scale * (factor * product + term) + coarse_rest`, with the member's scale and the
    /// product of the coarse half.
    pub coarse: CoarseProbe,
    scale: f32,
    /// For [`Self::fine`]: the sum of all codes, times what each of a member's was raised by.
    raised: i32,
    coarse_rest: f32,
    /// How far the cosine of all codes can be off.
    pub bound: f32,
}

impl ProbeCodes {
    /// Those of a probe for a gallery.
    pub fn of(probe: &[f32], gallery: &Worst) -> Self {
        let mut codes = Vec::new();
        let quantised = Quantised::of(probe, &mut codes);
        let fours = codes.as_chunks().0.iter().copied();
        let (lower, upper) = (fours.clone().step_by(2).collect(), fours.skip(1).step_by(2).collect());
        let sum: i32 = codes.iter().map(|code| i32::from(*code)).sum();
        let scale = f64::from(quantised.scale);
        let bound = quantised.norm * gallery.error + quantised.error * (gallery.norm + gallery.error) + ROUNDING;
        Self {
            coarse: CoarseProbe {
                lower,
                upper,
                factor: (scale * f64::from(COARSE)) as f32,
                term: (scale * COARSE_OFFSET * f64::from(sum)
                    + gallery.coarse_error * (quantised.norm + quantised.error)) as f32,
            },
            scale: quantised.scale,
            raised: sum * RAISED,
            coarse_rest: (quantised.error * gallery.norm + ROUNDING) as f32,
            bound: bound as f32,
        }
    }

    /// What is to be compared with [`Self::coarse`], for a member that may have a cosine of so much.
    pub fn coarse_floor(&self, cosine: f32) -> f32 {
        cosine - self.coarse_rest
    }

    /// The cosine of all codes of a member, of which are known the coarse product and the fine half.
    pub fn cosine(&self, coarse: i32, fine: &[u8], scale: f32) -> f32 {
        let fine = fine_product(self.coarse.lower.as_flattened(), self.coarse.upper.as_flattened(), fine);
        (COARSE * coarse + fine - self.raised) as f32 * (self.scale * scale)
    }
}

#[cfg(test)]
mod tests {
    use super::super::kernels::{Asked, Hit, Kernel};
    use super::super::tests::vector;
    use super::*;
    use crate::domain::cosine;

    proptest::proptest! {
        #[test]
        fn the_bounds_hold(
            seeds in proptest::collection::vec(0u64..1 << 40, 2..40),
            dimensions in 1usize..300,
            spike in proptest::option::of(-9f32..9.0)
        ) {
            let mut vectors: Vec<_> = seeds.iter().map(|seed| vector(*seed, dimensions)).collect();
            if let Some(spike) = spike {
                // One number that is far larger than all others is what a scale suits worst.
                vectors.iter_mut().step_by(3).for_each(|vector| vector[0] = spike);
            }
            let (mut codes, mut worst, mut scales) = (Codes::default(), Worst::default(), Vec::new());
            for member in &vectors {
                let quantised = codes.push(member);
                worst = worst.or(&quantised);
                scales.push(quantised.scale);
            }
            scales.resize(scales.len().next_multiple_of(LANES), f32::NAN);
            let probe = ProbeCodes::of(&vectors[0], &worst);
            let mut asked = [Asked::of(&probe.coarse)];
            Kernel::PORTABLE.reaching(codes.coarse(), &scales, &mut asked);
            proptest::prop_assert_eq!(asked[0].hits.len(), vectors.len());
            for Hit { place, product } in &asked[0].hits {
                let truth = cosine(&vectors[0], &vectors[*place as usize]);
                let scale = scales[*place as usize];
                let about = f64::from(probe.cosine(*product, codes.fine(*place as usize, dimensions), scale));
                let most = scale * (probe.coarse.factor * *product as f32 + probe.coarse.term);
                let slack = 1e-6 * (1.0 + truth.abs());
                proptest::prop_assert!((about - truth).abs() <= f64::from(probe.bound) + slack, "{about} {truth}");
                proptest::prop_assert!(most >= probe.coarse_floor(truth as f32) - slack as f32, "{most} {truth}");
            }
        }
    }

    /// At least as many as there are.
    const MEMBERS: u64 = 100;

    #[test]
    fn every_kernel_of_this_processor_finds_what_the_portable_one_finds() {
        let kernels = Kernel::all();
        println!("{:?}", kernels.iter().map(|kernel| kernel.name).collect::<Vec<_>>());
        for dimensions in [1, 7, 8, 9, 40, 128, 192, 256, 509] {
            let (mut codes, mut worst, mut scales) = (Codes::default(), Worst::default(), Vec::new());
            for seed in 0..MEMBERS {
                let mut member = vector(seed, dimensions);
                if seed % 5 == 0 {
                    // The largest codes there are.
                    member.iter_mut().for_each(|value| *value = value.signum());
                }
                let quantised = codes.push(&member);
                worst = worst.or(&quantised);
                scales.push(if seed % 7 == 0 { f32::NAN } else { quantised.scale });
            }
            scales.resize(scales.len().next_multiple_of(LANES), f32::NAN);
            let probes = [vector(1 << 20, dimensions), vec![1.0; dimensions], vec![-1.0; dimensions]];
            let probes: Vec<_> = (0..7).map(|number| ProbeCodes::of(&probes[number % 3], &worst)).collect();
            let floors = [f32::NEG_INFINITY, 0.0, 0.4];
            let found = |kernel: &Kernel| {
                let mut asked: Vec<_> = probes.iter().map(|probe| Asked::of(&probe.coarse)).collect();
                asked.iter_mut().enumerate().for_each(|(number, asked)| asked.floor = floors[number / 3]);
                kernel.reaching(codes.coarse(), &scales, &mut asked);
                asked.into_iter().map(|asked| asked.hits).collect::<Vec<_>>()
            };
            let expected = found(&Kernel::PORTABLE);
            assert_eq!(expected[0].len(), scales.iter().filter(|scale| !scale.is_nan()).count());
            for kernel in &kernels {
                assert_eq!(found(kernel), expected, "{} {dimensions}", kernel.name);
            }
        }
    }
}
