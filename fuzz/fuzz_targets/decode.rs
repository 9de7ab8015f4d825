//! An image: format, header, Exif and pixels, within limits that keep each run short.

#![no_main]

use libfuzzer_sys::fuzz_target;
use rekollect::vision::{Formats, ImageLimits, Photo};

const LIMITS: ImageLimits = ImageLimits { formats: Formats::ALL, min_side: 1, max_side: 2000, max_pixels: 500_000 };

// A decoder's panic is an error to us. What goes beyond us still ends the run.
fuzz_target!(init: std::panic::set_hook(Box::new(|_| {})), |bytes: &[u8]| {
    if let Ok(photo) = Photo::decode(bytes, &LIMITS) {
        let (width, height) = photo.size();
        assert!(u64::from(width) * u64::from(height) <= LIMITS.max_pixels);
    }
});
