//! Starting, and refusing to.

use std::process::Command;

use crate::support::{models_dir, serve};

fn refusal(command: &mut Command) -> String {
    let output = command.output().unwrap();
    assert!(!output.status.success());
    String::from_utf8(output.stderr).unwrap()
}

#[test]
fn other_addresses_than_loopback_need_open_in_so_many_words() {
    let data = tempfile::tempdir().unwrap();
    let said = refusal(serve(data.path()).args(["--listen", "0.0.0.0:0"]));
    assert!(said.contains("REKOLLECT_AUTH=open"), "{said}");
}

#[test]
fn weights_with_another_digest_are_refused_with_the_remedy() {
    let (data, models) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    std::fs::copy(models_dir().join("manifest.toml"), models.path().join("manifest.toml")).unwrap();
    let missing = refusal(serve(data.path()).arg("--models-dir").arg(models.path()));
    assert!(missing.contains("setup.py --pack standard"), "{missing}");
    std::fs::write(models.path().join("yunet-2023mar.onnx"), b"tampered").unwrap();
    let tampered = refusal(serve(data.path()).arg("--models-dir").arg(models.path()));
    assert!(tampered.contains("SHA-256") && tampered.contains("setup.py --pack standard"), "{tampered}");
}

#[test]
fn a_database_that_is_not_there_is_named_without_its_password() {
    let data = tempfile::tempdir().unwrap();
    let said = refusal(serve(data.path()).env("DATABASE_URL", "postgres://me:hunter2@127.0.0.1:1/faces"));
    assert!(said.contains("cannot open the database") && !said.contains("hunter2"), "{said}");
    let said = refusal(serve(data.path()).env("DATABASE_URL", "mysql://me:hunter2@127.0.0.1:1/faces"));
    assert!(said.contains("postgres://") && !said.contains("hunter2"), "{said}");
}

#[test]
fn packs_are_listed_with_licence_origin_and_state() {
    let output = Command::new(env!("CARGO_BIN_EXE_rekollect"))
        .arg("models")
        .arg("--models-dir")
        .arg(models_dir())
        .output()
        .unwrap();
    let listing = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{listing}");
    for word in
        ["standard (default)", "compact", "accurate", "MIT", "Apache-2.0", "OpenCV Zoo", "CASIA-WebFace", "verified"]
    {
        assert!(listing.contains(word), "{word} is not in\n{listing}");
    }
}
