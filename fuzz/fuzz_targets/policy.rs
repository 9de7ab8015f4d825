//! A policy: read, and asked.

#![no_main]

use libfuzzer_sys::fuzz_target;
use rekollect::access::Policy;

fuzz_target!(|text: &str| {
    if let Ok(policy) = Policy::parse(text) {
        Policy::decide([&policy], "rekognition:IndexFaces", "arn:aws:rekognition:us-east-1:111122223333:collection/people");
    }
});
