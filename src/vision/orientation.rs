//! The eight Exif orientations, as maps between the upright image and the pixels as stored.
//!
//! Pixels are never turned as a whole: detection turns its small input, alignment turns the map of each crop.

use exif::{In, Tag};

use crate::domain::OrientationCorrection;

use super::affine::Affine;

/// How stored pixels lie relative to the upright image: Exif's values 1 to 8.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Orientation(u8);

impl Orientation {
    /// Stored upright.
    pub const UPRIGHT: Self = Self(1);

    /// The orientation that an image's Exif block (TIFF header first) declares; `None` when it declares none that exists.
    pub fn from_exif(block: Vec<u8>) -> Option<Self> {
        exif::Reader::new()
            .read_raw(block)
            .ok()
            .and_then(|exif| exif.get_field(Tag::Orientation, In::PRIMARY)?.value.get_uint(0))
            .and_then(|value| u8::try_from(value).ok())
            .filter(|value| (1..=8).contains(value))
            .map(Self)
    }

    /// How pixels lie that need this correction.
    pub fn needing(correction: OrientationCorrection) -> Self {
        match correction {
            OrientationCorrection::Rotate0 => Self(1),
            OrientationCorrection::Rotate90 => Self(6),
            OrientationCorrection::Rotate180 => Self(3),
            OrientationCorrection::Rotate270 => Self(8),
        }
    }

    /// By how many degrees clockwise the stored image shows what stands upright, for the orientations that are turns.
    pub fn tilt(self) -> f32 {
        match self.0 {
            3 => 180.0,
            6 => -90.0,
            8 => 90.0,
            _ => 0.0,
        }
    }

    /// Whether upright rows are stored columns.
    fn swaps_sides(self) -> bool {
        self.0 >= 5
    }

    /// Width and height of the upright image from those stored, or the reverse.
    pub fn turn_size(self, (width, height): (u32, u32)) -> (u32, u32) {
        if self.swaps_sides() { (height, width) } else { (width, height) }
    }

    /// The map from the upright image's pixel coordinates to those of the stored image of this size.
    pub fn upright_to_stored(self, (width, height): (u32, u32)) -> Affine {
        let (right, bottom) = (width as f32 - 1.0, height as f32 - 1.0);
        let (x, y) = match self.0 {
            2 => ([-1.0, 0.0, right], [0.0, 1.0, 0.0]),
            3 => ([-1.0, 0.0, right], [0.0, -1.0, bottom]),
            4 => ([1.0, 0.0, 0.0], [0.0, -1.0, bottom]),
            5 => ([0.0, 1.0, 0.0], [1.0, 0.0, 0.0]),
            6 => ([0.0, 1.0, 0.0], [-1.0, 0.0, bottom]),
            7 => ([0.0, -1.0, right], [-1.0, 0.0, bottom]),
            8 => ([0.0, -1.0, right], [1.0, 0.0, 0.0]),
            _ => ([1.0, 0.0, 0.0], [0.0, 1.0, 0.0]),
        };
        Affine { x, y }
    }

    #[cfg(test)]
    pub(super) fn from_value(value: u8) -> Self {
        Self(value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use image::metadata::Orientation as Reference;
    use image::{DynamicImage, GrayImage, Luma};

    #[test]
    fn every_orientation_agrees_with_the_image_crate() {
        let stored = GrayImage::from_fn(3, 2, |x, y| Luma([(10 * y + x) as u8]));
        for value in 1..=8 {
            let orientation = Orientation(value);
            let mut upright = DynamicImage::ImageLuma8(stored.clone());
            upright.apply_orientation(Reference::from_exif(value).unwrap());
            let upright = upright.into_luma8();
            assert_eq!(upright.dimensions(), orientation.turn_size(stored.dimensions()));
            let map = orientation.upright_to_stored(stored.dimensions());
            for (x, y, pixel) in upright.enumerate_pixels() {
                let [u, v] = map.apply([x as f32, y as f32]);
                assert_eq!(stored.get_pixel(u as u32, v as u32), pixel, "orientation {value}");
            }
        }
    }

    #[test]
    fn a_correction_brings_a_point_where_published_clients_expect_it() {
        use OrientationCorrection::*;
        let (width, height) = (30u32, 20u32);
        let (x, y) = (7.0, 4.0);
        // (x, y) of the image as sent, W x H, lies there in the upright one: edges, not centres of pixels.
        let expected = [
            (Rotate0, [x, y]),
            (Rotate90, [height as f32 - y, x]),
            (Rotate180, [width as f32 - x, height as f32 - y]),
            (Rotate270, [y, width as f32 - x]),
        ];
        for (correction, [u, v]) in expected {
            let map = Orientation::needing(correction).upright_to_stored((width, height));
            let [a, b] = map.apply([u - 0.5, v - 0.5]);
            assert_eq!([a + 0.5, b + 0.5], [x, y], "{correction:?}");
        }
    }

    #[test]
    fn exif_rubbish_is_none() {
        for block in [vec![], vec![0; 64], b"II*\0\xff\xff\xff\xff".to_vec()] {
            assert_eq!(Orientation::from_exif(block), None);
        }
    }
}
