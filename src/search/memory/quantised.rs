//! Vectors in bytes, and how far off these are.

use multiversion::multiversion;

/// 32-bit arithmetic on the approximate cosines rounds by less than this.
const ROUNDING: f64 = 1e-5;

/// How well a vector is kept in bytes: number i of it is about code i times the scale.
#[derive(Clone, Copy, Debug, Default)]
pub struct Quantised {
    /// What a code is worth.
    pub scale: f32,
    /// The length of the difference between the vector and what its codes say.
    error: f64,
    /// The length of the vector.
    norm: f64,
}

impl Quantised {
    /// Appends the codes of a vector.
    pub fn of(vector: &[f32], codes: &mut Vec<i8>) -> Self {
        let largest = vector.iter().fold(0.0f32, |largest, value| largest.max(value.abs()));
        let scale = if largest > 0.0 { largest / 127.0 } else { 1.0 };
        let (mut error, mut norm) = (0.0, 0.0);
        for value in vector {
            let code = (value / scale).round().clamp(-127.0, 127.0);
            codes.push(code as i8);
            error += (f64::from(*value) - f64::from(code) * f64::from(scale)).powi(2);
            norm += f64::from(*value).powi(2);
        }
        Self { scale, error: error.sqrt(), norm: norm.sqrt() }
    }

    /// How far the cosine of the codes can be from that of the vectors: |q v - q'v'| = |q (v - v') + (q - q') v'|, and the Cauchy-Schwarz
    /// inequality for either product.
    pub fn bound(&self, other: &Self) -> f64 {
        self.norm * other.error + self.error * (other.norm + other.error) + ROUNDING
    }

    /// One whose bound is no smaller than that of either.
    pub fn worse_of(&self, other: &Self) -> Self {
        Self { scale: 0.0, error: self.error.max(other.error), norm: self.norm.max(other.norm) }
    }
}

/// The inner products of a probe's codes with those of each member. The compiler makes a version for each kind of processor, and the running one's
/// is taken: 7 ms for a million of 192 numbers on one core (memory alone takes as long), where simsimd's calls, one a member, take 15.
#[multiversion(targets("x86_64+avx512f+avx512bw+avx512vl", "x86_64+avx2", "aarch64+neon"))]
pub fn inner_products(probe: &[i16], codes: &[i8], products: &mut [i32]) {
    for (product, codes) in products.iter_mut().zip(codes.chunks_exact(probe.len())) {
        *product = codes.iter().zip(probe).map(|(code, own)| i32::from(i16::from(*code)) * i32::from(*own)).sum();
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::vector;
    use super::*;
    use crate::domain::cosine;

    proptest::proptest! {
        #[test]
        fn the_bound_holds(seeds in (0u64..1 << 40, 0u64..1 << 40), dimensions in 1usize..300) {
            let (a, b) = (vector(seeds.0, dimensions), vector(seeds.1, dimensions));
            let (mut codes_a, mut codes_b) = (Vec::new(), Vec::new());
            let (of_a, of_b) = (Quantised::of(&a, &mut codes_a), Quantised::of(&b, &mut codes_b));
            let (codes_a, mut product): (Vec<i16>, _) = (codes_a.into_iter().map(i16::from).collect(), [0]);
            inner_products(&codes_a, &codes_b, &mut product);
            let about = product[0] as f32 * (of_a.scale * of_b.scale);
            let off = (f64::from(about) - cosine(&a, &b)).abs();
            proptest::prop_assert!(off <= of_a.bound(&of_b), "{off} {}", of_a.bound(&of_b));
        }
    }
}
