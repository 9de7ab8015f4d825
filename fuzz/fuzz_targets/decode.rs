//! An image: format, header, Exif and pixels, within limits that keep each run short.

#![no_main]

use libfuzzer_sys::fuzz_target;
use rekollect::vision::{ImageLimits, Photo};

const LIMITS: ImageLimits = ImageLimits { min_side: 1, max_side: 2000, max_pixels: 500_000 };

fuzz_target!(|bytes: &[u8]| {
    if let Ok(photo) = Photo::decode(bytes, &LIMITS) {
        let (width, height) = photo.size();
        assert!(u64::from(width) * u64::from(height) <= LIMITS.max_pixels);
    }
});
