//! The eight Exif orientations, as maps between the upright image and the pixels as stored.
//!
//! Pixels are never turned as a whole: detection turns its small input, alignment turns the map of each crop.

use exif::{In, Tag};

use super::affine::Affine;

/// How stored pixels lie relative to the upright image: Exif's values 1 to 8.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Orientation(u8);

impl Orientation {
    /// Stored upright.
    pub const UPRIGHT: Self = Self(1);

    /// The orientation that an image's Exif block (TIFF header first) declares; upright when it declares none that exists.
    pub fn from_exif(block: Vec<u8>) -> Self {
        exif::Reader::new()
            .read_raw(block)
            .ok()
            .and_then(|exif| exif.get_field(Tag::Orientation, In::PRIMARY)?.value.get_uint(0))
            .and_then(|value| u8::try_from(value).ok())
            .filter(|value| (1..=8).contains(value))
            .map_or(Self::UPRIGHT, Self)
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
    pub fn from_value(value: u8) -> Self {
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
    fn exif_rubbish_is_upright() {
        for block in [vec![], vec![0; 64], b"II*\0\xff\xff\xff\xff".to_vec()] {
            assert_eq!(Orientation::from_exif(block), Orientation::UPRIGHT);
        }
    }
}
