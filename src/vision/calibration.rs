//! Monotone curves from a model's raw number to the service's 0-100 scale.

use serde::Deserialize;

use crate::domain::Percent;

/// A piecewise linear, strictly rising curve through knots `[raw, percent]`; constant outside of them.
#[derive(Clone, Debug, Deserialize)]
#[serde(try_from = "Vec<[f32; 2]>")]
pub struct Calibration(Vec<[f32; 2]>);

impl Calibration {
    /// The 0-100 value of a raw number.
    pub fn percent(&self, raw: f32) -> Percent {
        Percent::clamped(interpolate(&self.0, raw, 0, 1))
    }

    /// The smallest raw number whose 0-100 value is (to rounding) `percent`: a search's threshold on the raw scale.
    pub fn raw(&self, percent: Percent) -> f32 {
        interpolate(&self.0, percent.get(), 1, 0)
    }
}

/// The line through rising knots, read off from coordinate `from` to coordinate `to`; constant outside of the knots.
pub fn interpolate(knots: &[[f32; 2]], at: f32, from: usize, to: usize) -> f32 {
    let right = knots.partition_point(|knot| knot[from] < at);
    let Some(b) = knots.get(right) else { return knots[knots.len() - 1][to] };
    let Some(a) = right.checked_sub(1).map(|left| knots[left]) else { return b[to] };
    a[to] + (at - a[from]) / (b[from] - a[from]) * (b[to] - a[to])
}

impl TryFrom<Vec<[f32; 2]>> for Calibration {
    type Error = &'static str;

    fn try_from(knots: Vec<[f32; 2]>) -> Result<Self, Self::Error> {
        let rises = knots.windows(2).all(|pair| pair[0][0] < pair[1][0] && pair[0][1] < pair[1][1]);
        let in_range = knots.iter().all(|knot| knot[0].is_finite() && (0.0..=100.0).contains(&knot[1]));
        if knots.len() >= 2 && rises && in_range {
            Ok(Self(knots))
        } else {
            Err("a calibration has two or more rising knots [raw, 0..100]")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn curves_pass_through_their_knots_and_back() {
        let curve = Calibration::try_from(vec![[0.0, 0.0], [0.345, 50.0], [0.529, 80.0], [0.9999, 100.0]]).unwrap();
        for (raw, percent) in [(0.345, 50.0), (0.529, 80.0), (-0.3, 0.0), (1.0, 100.0), (0.437, 65.0)] {
            assert!((curve.percent(raw).get() - percent).abs() < 1e-3, "{raw}");
        }
        assert!((curve.raw(Percent::clamped(80.0)) - 0.529).abs() < 1e-6);
        assert_eq!(curve.raw(Percent::clamped(0.0)), 0.0);
    }

    #[test]
    fn curves_that_do_not_rise_are_refused() {
        for knots in [
            vec![],
            vec![[0.0, 0.0]],
            vec![[0.0, 10.0], [1.0, 5.0]],
            vec![[1.0, 0.0], [0.0, 5.0]],
            vec![[0.0, 0.0], [1.0, 101.0]],
        ] {
            assert!(Calibration::try_from(knots).is_err());
        }
    }

    proptest::proptest! {
        #[test]
        fn more_is_never_less(a in -1.0f32..1.0, b in -1.0f32..1.0) {
            let curve = Calibration::try_from(vec![[-0.2, 0.0], [0.3, 50.0], [0.5, 80.0], [0.9999, 100.0]]).unwrap();
            let (low, high) = if a < b { (a, b) } else { (b, a) };
            proptest::prop_assert!(curve.percent(low) <= curve.percent(high));
        }
    }
}
