//! A signed request: the first line is the query, the lines up to an empty one are headers, the digest of the body is zeros. Nobody can
//! sign without the secret, so nothing is ever let in.

#![no_main]

use libfuzzer_sys::fuzz_target;
use rekollect::access::{Access, Keyring, Rates, SignedRequest};

fuzz_target!(|input: &[u8]| {
    let Ok(text) = std::str::from_utf8(input) else { return };
    let (query, headers) = text.split_once('\n').unwrap_or((text, ""));
    let headers = headers.lines().filter_map(|line| line.split_once(':'));
    let headers = headers.map(|(name, value)| (name, value.as_bytes())).collect();
    let request = SignedRequest::new("POST", "/", query, headers);
    let sender = ACCESS.get_or_init(access).identify(&request).and_then(|claimant| claimant.prove(&[0; 32]));
    assert!(sender.is_err());
});

static ACCESS: std::sync::OnceLock<Access> = std::sync::OnceLock::new();

fn access() -> Access {
    let keyring = Keyring::of_pair("AKIDEXAMPLE", SECRET.into(), "111122223333".parse().unwrap()).unwrap();
    Access::signed(keyring, None, Vec::new(), Rates::default())
}

const SECRET: &str = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY";
