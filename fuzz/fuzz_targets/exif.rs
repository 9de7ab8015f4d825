//! An Exif block, without the image around it: there a fuzzer seldom gets through to it.

#![no_main]

use libfuzzer_sys::fuzz_target;
use rekollect::vision::Orientation;

fuzz_target!(|block: &[u8]| {
    Orientation::from_exif(block.to_vec());
});
