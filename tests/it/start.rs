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

/// A models folder with an edited manifest, and the files of the real one.
fn models_with(edit: impl Fn(&str) -> String) -> tempfile::TempDir {
    let models = tempfile::tempdir().unwrap();
    for entry in std::fs::read_dir(models_dir()).unwrap() {
        let (path, name) = entry.map(|entry| (entry.path(), entry.file_name())).unwrap();
        if name == "manifest.toml" {
            let manifest = std::fs::read_to_string(path).unwrap();
            let edited = edit(&manifest);
            assert_ne!(edited, manifest);
            std::fs::write(models.path().join(name), edited).unwrap();
        } else {
            std::os::unix::fs::symlink(path, models.path().join(name)).unwrap();
        }
    }
    models
}

#[test]
fn a_manifest_without_a_trait_s_curve_is_refused_by_its_name() {
    let data = tempfile::tempdir().unwrap();
    let models = models_with(|manifest| manifest.replace("name = \"smile\"", "name = \"smiles\""));
    let said = refusal(serve(data.path()).arg("--models-dir").arg(models.path()));
    assert!(!said.contains("panicked"), "{said}");
    for word in ["[[attributes.traits.curve]]", "\"smile\"", "manifest.toml", "REKOLLECT_ATTRIBUTE_MODEL=off"] {
        assert!(said.contains(word), "{word} is not in {said}");
    }
}

#[test]
fn a_manifest_that_does_not_fit_its_graphs_is_refused_at_the_start() {
    let data = tempfile::tempdir().unwrap();
    // One curve more than the net has numbers.
    let curve = "\n[[attributes.traits.curve]]\nname = \"hat\"\ncurve = [[0.0, 0.0], [1.0, 100.0]]\n\n# --- files";
    let models = models_with(|manifest| manifest.replace("\n# --- files", curve));
    let said = refusal(serve(data.path()).arg("--models-dir").arg(models.path()));
    assert!(said.contains("net of traits") && said.contains("[[attributes.traits.curve]] (8)"), "{said}");
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
