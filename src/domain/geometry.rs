//! Boxes in an image.

/// A face's box as fractions of the image's width and height, origin at the top left.
///
/// Left and top may be negative, and right and bottom may pass 1, where the image's edge cuts the face.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct BoundingBox {
    /// Left edge, fraction of the image's width.
    pub left: f32,
    /// Top edge, fraction of the image's height.
    pub top: f32,
    /// Fraction of the image's width.
    pub width: f32,
    /// Fraction of the image's height.
    pub height: f32,
}

impl BoundingBox {
    /// The box as the service keeps it: six significant digits a number.
    pub fn as_stored(self) -> Self {
        Self {
            left: six_digits(self.left),
            top: six_digits(self.top),
            width: six_digits(self.width),
            height: six_digits(self.height),
        }
    }
}

/// `value` rounded to six significant decimal digits: what the service shows of a stored number
/// (0.40926530957 becomes 0.409265, 99.99999237 becomes 100).
pub(super) fn six_digits(value: f32) -> f32 {
    // Formatting is the definition: five digits behind the first, correctly rounded.
    format!("{value:.5e}").parse().unwrap_or(value)
}

#[cfg(test)]
mod tests {
    use super::six_digits;

    #[test]
    fn stored_numbers_have_six_significant_digits() {
        for (exact, stored) in
            [(0.409_265_3, 0.409265), (99.999_99, 100.0), (99.9852, 99.9852), (-0.012_345_678, -0.0123457), (0.0, 0.0)]
        {
            assert_eq!(six_digits(exact), stored);
        }
    }
}
