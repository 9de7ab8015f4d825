//! Bytes to pixels: format, size limits from the header, Exif orientation, 8-bit RGB.

use std::io::Cursor;
use std::panic::{AssertUnwindSafe, catch_unwind};

use image::codecs::jpeg::JpegDecoder;
use image::codecs::png::PngDecoder;
use image::codecs::webp::WebPDecoder;
use image::{DynamicImage, ImageDecoder, Limits, RgbImage};

use crate::domain::{Fault, Pose};

use super::formats::{Format, Formats};
use super::orientation::Orientation;
use super::webp::WebP;

/// What a PNG's decoder may allocate beside the pixels. A row of 10,000 px takes 80 kB; without a limit a colour profile of a few
/// megabytes of compressed zeros unpacks to gigabytes.
const PNG_BUFFERS: u64 = 32 << 20;

/// What an image may be and measure, checked from its header before a pixel is decoded.
#[derive(Clone, Copy, Debug)]
pub struct ImageLimits {
    /// The formats that are taken.
    pub formats: Formats,
    /// The shortest side that is accepted, in pixels.
    pub min_side: u32,
    /// The longest side that is accepted, in pixels.
    pub max_side: u32,
    /// The most pixels that are accepted, whatever the sides: it bounds the memory of a worker.
    pub max_pixels: u64,
}

/// A decoded image: pixels as stored in the file, and how they are to be turned upright.
pub struct Photo {
    pub(super) stored: RgbImage,
    pub(super) orientation: Orientation,
    /// Whether its Exif says so. Then places in it are told in the upright image; otherwise in the image as it was sent.
    pub(super) declared: bool,
}

impl Photo {
    /// Decodes a JPEG, PNG or WebP. Grey, palette, CMYK and 16-bit images become 8-bit RGB; alpha is dropped; a PNG's Exif is ignored.
    ///
    /// Fails with [`Fault::InvalidImageFormat`], [`Fault::ImageTooSmall`] or [`Fault::ImageTooLarge`].
    pub fn decode(bytes: &[u8], limits: &ImageLimits) -> Result<Self, Fault> {
        // Decoders of others' images panic now and then where an error was due (zune-jpeg 0.5.15 does). Nothing of theirs is used again.
        catch_unwind(AssertUnwindSafe(|| Self::read(bytes, limits)))
            .unwrap_or_else(|_| Err(Fault::InvalidImageFormat("its decoder gave up with a panic".to_owned())))
    }

    fn read(bytes: &[u8], limits: &ImageLimits) -> Result<Self, Fault> {
        let undecodable = |error: image::ImageError| Fault::InvalidImageFormat(error.to_string());
        let kind = image::guess_format(bytes).map_err(undecodable)?;
        let format = Format::of(kind).filter(|format| limits.formats.has(*format));
        let format = format.ok_or_else(|| Fault::InvalidImageFormat(format!("{kind:?} is no format that is taken")))?;
        match format {
            Format::Jpeg => {
                let mut decoder = JpegDecoder::new(Cursor::new(bytes)).map_err(undecodable)?;
                check_size(decoder.dimensions(), limits)?;
                let exif = decoder.exif_metadata().map_err(undecodable)?;
                let declared = exif.and_then(Orientation::from_exif);
                Ok(Self::declaring(declared, pixels(decoder).map_err(undecodable)?))
            }
            Format::Png => {
                let mut buffers = Limits::no_limits();
                buffers.max_alloc = Some(PNG_BUFFERS);
                let decoder = PngDecoder::with_limits(Cursor::new(bytes), buffers).map_err(undecodable)?;
                check_size(decoder.dimensions(), limits)?;
                Ok(Self::declaring(None, pixels(decoder).map_err(undecodable)?))
            }
            Format::Webp => {
                let picture = WebP::read(bytes).map_err(|why| Fault::InvalidImageFormat(why.to_owned()))?;
                check_size(picture.size, limits)?;
                let declared = picture.exif.and_then(|block| Orientation::from_exif(block.to_vec()));
                let decoder = WebPDecoder::new(Cursor::new(picture.alone())).map_err(undecodable)?;
                Ok(Self::declaring(declared, pixels(decoder).map_err(undecodable)?))
            }
        }
    }

    fn declaring(orientation: Option<Orientation>, stored: RgbImage) -> Self {
        Self { stored, orientation: orientation.unwrap_or(Orientation::UPRIGHT), declared: orientation.is_some() }
    }

    /// Width and height of the upright image, in pixels.
    pub fn size(&self) -> (u32, u32) {
        self.orientation.turn_size(self.stored.dimensions())
    }

    /// Whether a point of the upright image, in pixels, lies in it.
    pub fn shows(&self, [x, y]: [f32; 2]) -> bool {
        let (width, height) = self.size();
        (-0.5..width as f32 - 0.5).contains(&x) && (-0.5..height as f32 - 0.5).contains(&y)
    }

    /// A pose in the upright image as replies tell it: with the tilt that is seen in the image as it was sent, unless its Exif declares
    /// how it lies.
    pub fn reported_pose(&self, pose: Pose) -> Pose {
        if self.declared {
            return pose;
        }
        let roll = pose.roll + self.orientation.tilt();
        Pose { roll: roll - 360.0 * (roll / 360.0).round(), ..pose }
    }

    /// A place in pixels of the upright image as replies tell it: in fractions of the upright image's width and height when its
    /// Exif declares how it lies, otherwise of the image's as it was sent.
    pub fn reported_point(&self, point: [f32; 2]) -> [f32; 2] {
        let ((width, height), [x, y]) = if self.declared {
            (self.size(), point)
        } else {
            // Edges and not centres of pixels: a turn keeps the edges of the image where they are.
            let map = self.orientation.upright_to_stored(self.stored.dimensions());
            let [x, y] = map.apply([point[0] - 0.5, point[1] - 0.5]);
            (self.stored.dimensions(), [x + 0.5, y + 0.5])
        };
        [x / width as f32, y / height as f32]
    }
}

/// All of an image as 8-bit RGB.
fn pixels(decoder: impl ImageDecoder) -> image::ImageResult<RgbImage> {
    DynamicImage::from_decoder(decoder).map(DynamicImage::into_rgb8)
}

fn check_size((width, height): (u32, u32), limits: &ImageLimits) -> Result<(), Fault> {
    if width.max(height) > limits.max_side || u64::from(width) * u64::from(height) > limits.max_pixels {
        Err(Fault::ImageTooLarge { width, height })
    } else if width.min(height) < limits.min_side {
        Err(Fault::ImageTooSmall { width, height })
    } else {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use image::{ImageEncoder, codecs::png::PngEncoder};

    const LIMITS: ImageLimits =
        ImageLimits { formats: Formats::ALL, min_side: 80, max_side: 10_000, max_pixels: 100_000_000 };
    const WEBP: &[u8] = include_bytes!("../../fuzz/seeds/decode/alpha-exif.webp");

    fn png(width: u32, height: u32) -> Vec<u8> {
        let mut bytes = Vec::new();
        let pixels = vec![7; (width * height) as usize];
        PngEncoder::new(&mut bytes).write_image(&pixels, width, height, image::ExtendedColorType::L8).unwrap();
        bytes
    }

    #[test]
    fn sides_are_held_to_their_limits() {
        assert_eq!(Photo::decode(&png(80, 100), &LIMITS).unwrap_or_else(|e| panic!("{e}")).size(), (80, 100));
        assert!(matches!(Photo::decode(&png(79, 100), &LIMITS), Err(Fault::ImageTooSmall { width: 79, height: 100 })));
        assert!(matches!(
            Photo::decode(&png(10_001, 80), &LIMITS),
            Err(Fault::ImageTooLarge { width: 10_001, height: 80 })
        ));
        let few = ImageLimits { max_pixels: 9_999, ..LIMITS };
        assert!(matches!(Photo::decode(&png(100, 100), &few), Err(Fault::ImageTooLarge { .. })));
    }

    #[test]
    fn an_image_that_makes_its_decoder_panic_is_an_image_that_cannot_be_decoded() {
        let found_by_fuzzing = include_bytes!("../../fuzz/seeds/decode/a-jpeg-that-its-decoder-gives-up");
        let any_size = ImageLimits { min_side: 1, ..LIMITS };
        assert!(matches!(Photo::decode(found_by_fuzzing, &any_size), Err(Fault::InvalidImageFormat(_))));
    }

    #[test]
    fn the_header_decides_before_the_pixels_are_read() {
        let mut bomb = png(100, 100);
        bomb[16..20].copy_from_slice(&60_000u32.to_be_bytes());
        let crc = crc32(&bomb[12..29]);
        bomb[29..33].copy_from_slice(&crc.to_be_bytes());
        assert!(matches!(Photo::decode(&bomb, &LIMITS), Err(Fault::ImageTooLarge { width: 60_000, .. })));
    }

    fn crc32(bytes: &[u8]) -> u32 {
        !bytes.iter().fold(!0u32, |crc, byte| {
            (0..8).fold(crc ^ u32::from(*byte), |crc, _| if crc & 1 == 1 { (crc >> 1) ^ 0xedb8_8320 } else { crc >> 1 })
        })
    }

    #[test]
    fn a_colour_profile_cannot_unpack_without_limit() {
        // A PNG encoder with a profile of 64 MiB of zeros, which compress to some 64 KiB.
        let mut bytes = Vec::new();
        let mut encoder = PngEncoder::new(&mut bytes);
        encoder.set_icc_profile(vec![0; 64 << 20]).unwrap();
        encoder.write_image(&vec![7; 100 * 100], 100, 100, image::ExtendedColorType::L8).unwrap();
        assert!(bytes.len() < 1 << 20);
        let mut buffers = Limits::no_limits();
        buffers.max_alloc = Some(PNG_BUFFERS);
        let mut decoder = PngDecoder::with_limits(Cursor::new(&bytes), buffers).unwrap();
        assert_eq!(decoder.icc_profile().unwrap(), None);
        assert!(Photo::decode(&bytes, &LIMITS).is_ok());
    }

    #[test]
    fn what_is_no_image_is_invalid_format() {
        let mut cut = png(100, 100);
        cut.truncate(60);
        for bytes in [&b""[..], b"GIF89a", b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", &cut] {
            assert!(matches!(Photo::decode(bytes, &LIMITS), Err(Fault::InvalidImageFormat(_))), "{bytes:?}");
        }
    }

    #[test]
    fn a_format_that_is_not_taken_is_invalid_however_good_the_file() {
        let plain = ImageLimits { formats: Formats::of(&[Format::Jpeg, Format::Png]), ..LIMITS };
        assert!(matches!(Photo::decode(WEBP, &plain), Err(Fault::InvalidImageFormat(why)) if why.contains("WebP")));
        let only = ImageLimits { formats: Formats::of(&[Format::Webp]), ..LIMITS };
        assert!(Photo::decode(WEBP, &only).is_ok());
        assert!(matches!(Photo::decode(&png(100, 100), &only), Err(Fault::InvalidImageFormat(_))));
    }

    #[test]
    fn a_webp_keeps_to_the_same_limits_and_turns_as_its_exif_says() {
        let photo = Photo::decode(WEBP, &LIMITS).unwrap_or_else(|e| panic!("{e}"));
        assert!(photo.declared);
        assert_eq!((photo.stored.dimensions(), photo.size()), ((120, 90), (90, 120)));
        // What was drawn there, up to what compression makes of it.
        let [red, green, blue] = photo.stored.get_pixel(100, 60).0;
        assert!(red.abs_diff(200) < 12 && green.abs_diff(120) < 12 && blue.abs_diff(160) < 12, "{red} {green} {blue}");
        let few = ImageLimits { max_pixels: 10_799, ..LIMITS };
        assert!(matches!(Photo::decode(WEBP, &few), Err(Fault::ImageTooLarge { width: 120, height: 90 })));
        let wide = ImageLimits { min_side: 91, ..LIMITS };
        assert!(matches!(Photo::decode(WEBP, &wide), Err(Fault::ImageTooSmall { width: 120, height: 90 })));
    }

    #[test]
    fn a_webp_says_how_large_it_is_before_its_pixels_are_read() {
        let mut bomb = WEBP.to_vec();
        let frame = bomb.windows(4).position(|window| window == b"VP8 ").unwrap() + 8;
        bomb[frame + 6..frame + 10].copy_from_slice(&[0xff, 0x3f, 0xff, 0x3f]);
        assert!(matches!(Photo::decode(&bomb, &LIMITS), Err(Fault::ImageTooLarge { width: 16_383, height: 16_383 })));
    }

    proptest::proptest! {
        #[test]
        fn rubbish_behind_a_signature_never_panics(kind in 0..3, tail in proptest::collection::vec(proptest::num::u8::ANY, 0..600)) {
            let mut bytes = match kind {
                0 => b"\xff\xd8\xff\xe0".to_vec(),
                1 => png(90, 90),
                _ => WEBP.to_vec(),
            };
            bytes.truncate(50);
            bytes.extend(tail);
            let _ = Photo::decode(&bytes, &LIMITS);
        }

        #[test]
        fn a_webp_with_changed_bytes_is_read_or_refused(changes in proptest::collection::vec((0..WEBP.len(), proptest::num::u8::ANY), 1..8)) {
            let mut bytes = WEBP.to_vec();
            for (place, byte) in changes {
                bytes[place] = byte;
            }
            let small = ImageLimits { min_side: 1, max_pixels: 500_000, ..LIMITS };
            match Photo::decode(&bytes, &small) {
                Ok(photo) => proptest::prop_assert!(u64::from(photo.size().0) * u64::from(photo.size().1) <= 500_000),
                Err(Fault::InvalidImageFormat(_) | Fault::ImageTooLarge { .. } | Fault::ImageTooSmall { .. }) => {}
                Err(other) => panic!("{other}"),
            }
        }
    }
}
