//! A body as the request of each operation: the first byte chooses it.

#![no_main]

use libfuzzer_sys::fuzz_target;
use rekollect::domain::Operation;

fuzz_target!(|input: &[u8]| {
    let Some((first, body)) = input.split_first() else { return };
    let operation = Operation::ALL[usize::from(*first) % Operation::ALL.len()];
    if let Err(rejection) = rekollect::wire::parse(operation, body) {
        rejection.reply();
    }
});
