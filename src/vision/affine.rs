//! Plane maps: p -> A p + t.

/// An affine map of the plane, rows `[a, b, tx]` and `[c, d, ty]`, from pixel coordinates to pixel coordinates
/// (the centre of the first pixel is (0, 0)).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Affine {
    /// The row of x.
    pub x: [f32; 3],
    /// The row of y.
    pub y: [f32; 3],
}

impl Affine {
    /// Where the map sends a point.
    pub fn apply(&self, [px, py]: [f32; 2]) -> [f32; 2] {
        [self.x[0] * px + self.x[1] * py + self.x[2], self.y[0] * px + self.y[1] * py + self.y[2]]
    }

    /// The map that does `first` and then `self`.
    pub fn after(&self, first: &Self) -> Self {
        let row = |[a, b, t]: [f32; 3]| {
            [a * first.x[0] + b * first.y[0], a * first.x[1] + b * first.y[1], a * first.x[2] + b * first.y[2] + t]
        };
        Self { x: row(self.x), y: row(self.y) }
    }

    /// The similarity (rotation, uniform scale, shift; no mirroring) that brings `from` nearest to `to` in the least-squares
    /// sense: Umeyama, "Least-squares estimation of transformation parameters between two point patterns" (1991), which in the
    /// plane and without reflection is one division of complex numbers. `None` when the points of `from` coincide.
    pub fn similarity<const N: usize>(from: &[[f32; 2]; N], to: &[[f32; 2]; N]) -> Option<Self> {
        let mean = |points: &[[f32; 2]; N]| {
            let sum = points.iter().fold([0.0, 0.0], |s, p| [s[0] + f64::from(p[0]), s[1] + f64::from(p[1])]);
            [sum[0] / N as f64, sum[1] / N as f64]
        };
        let (mean_from, mean_to) = (mean(from), mean(to));
        let (mut re, mut im, mut spread) = (0.0, 0.0, 0.0);
        for (f, t) in from.iter().zip(to) {
            let f = [f64::from(f[0]) - mean_from[0], f64::from(f[1]) - mean_from[1]];
            let t = [f64::from(t[0]) - mean_to[0], f64::from(t[1]) - mean_to[1]];
            re += f[0] * t[0] + f[1] * t[1];
            im += f[0] * t[1] - f[1] * t[0];
            spread += f[0] * f[0] + f[1] * f[1];
        }
        let (re, im) = (re / spread, im / spread);
        let shift = [
            mean_to[0] - (re * mean_from[0] - im * mean_from[1]),
            mean_to[1] - (im * mean_from[0] + re * mean_from[1]),
        ];
        let map = Self { x: [re as f32, -im as f32, shift[0] as f32], y: [im as f32, re as f32, shift[1] as f32] };
        let finite = map.x.iter().chain(&map.y).all(|v| v.is_finite());
        (finite && (re != 0.0 || im != 0.0)).then_some(map)
    }

    /// How much longer the map makes a unit step (the root of the determinant's magnitude).
    pub fn scale(&self) -> f32 {
        (self.x[0] * self.y[1] - self.x[1] * self.y[0]).abs().sqrt()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn similarity_recovers_rotation_scale_and_shift() {
        let from = [[0.0, 0.0], [10.0, 0.0], [4.0, 7.0], [1.0, 9.0], [8.0, 9.0]];
        let (sin, cos) = 0.6f32.sin_cos();
        let truth = Affine { x: [2.5 * cos, -2.5 * sin, 30.0], y: [2.5 * sin, 2.5 * cos, -7.0] };
        let found = Affine::similarity(&from, &from.map(|p| truth.apply(p))).unwrap();
        for p in from {
            let (a, b) = (truth.apply(p), found.apply(p));
            assert!((a[0] - b[0]).abs() < 1e-3 && (a[1] - b[1]).abs() < 1e-3);
        }
        assert!((found.scale() - 2.5).abs() < 1e-4);
    }

    #[test]
    fn coinciding_points_have_no_similarity() {
        assert_eq!(
            Affine::similarity(&[[3.0, 3.0]; 5], &[[0.0, 0.0], [1.0, 0.0], [2.0, 1.0], [3.0, 1.0], [1.0, 5.0]]),
            None
        );
    }

    #[test]
    fn after_composes_right_to_left() {
        let shift = Affine { x: [1.0, 0.0, 5.0], y: [0.0, 1.0, 0.0] };
        let double = Affine { x: [2.0, 0.0, 0.0], y: [0.0, 2.0, 0.0] };
        assert_eq!(double.after(&shift).apply([1.0, 1.0]), [12.0, 2.0]);
    }
}
