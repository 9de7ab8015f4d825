"""The container image: what is in it, and that it runs as docs/production.md says."""

import os
import re
import subprocess
import time
from pathlib import Path

import pytest
from servers import ROOT, rekognition

PHOTOS = Path(os.environ.get("REKOLLECT_TEST_PHOTOS", ROOT / "tests/photos")).absolute()
OPEN = {"REKOLLECT_AUTH": "open"}
MEGABYTE = 1_000_000
VERSION = re.search(r'^version = "(.*)"', (ROOT / "Cargo.toml").read_text(), re.MULTILINE)[1]


def until_healthy(container, seconds=30):
    deadline = time.monotonic() + seconds
    while container.health() != "healthy":
        assert time.monotonic() < deadline, container.log()
        time.sleep(0.2)


def photo(name):
    return {"Bytes": (PHOTOS / name).read_bytes()}


def match(client):
    """Whom the collection knows on another photo of the president."""
    found = client.search_faces_by_image(CollectionId="people", Image=photo("obama2.jpg"))
    return [face["Face"]["ExternalImageId"] for face in found["FaceMatches"]]


def test_it_is_small(engine):
    for size, made_by in engine.layers():
        print(f"{size / MEGABYTE:8.1f} MB  {made_by[:100]}")
    print(f"{engine.bytes() / MEGABYTE:8.1f} MB")
    assert engine.bytes() <= 102 * MEGABYTE


def test_it_says_what_it_is(engine):
    labels = {name.removeprefix("org.opencontainers.image."): value for name, value in engine.config()["Labels"].items()}
    assert labels["title"] == "rekollect"
    assert labels["licenses"] == "MIT OR Apache-2.0"
    assert labels["version"] == VERSION
    head = subprocess.run(["git", "rev-parse", "HEAD"], cwd=ROOT, capture_output=True, text=True).stdout.strip()
    assert labels["revision"].removesuffix("-dirty") == head
    assert "source" in labels


def test_nothing_in_it_can_be_run_but_the_server(engine, tmp_path):
    engine.files(tmp_path)
    # An engine puts empty files of its own there, for what it mounts.
    is_program = lambda path: path.is_file() and not path.is_symlink() and os.access(path, os.X_OK) and path.stat().st_size  # noqa: E731
    programs = [path for path in tmp_path.rglob("*") if is_program(path) and ".so" not in path.name]
    assert programs == [tmp_path / "usr/local/bin/rekollect"]
    papers = tmp_path / "usr/share/doc"
    for paper in ["licences.md", "server.cdx.json", "console.cdx.json", "weights.toml", "LICENSE-MIT", "LICENSE-APACHE"]:
        assert (papers / "rekollect" / paper).stat().st_size > 500, paper
    licences = (papers / "rekollect/licences.md").read_text()
    locked = (ROOT / "Cargo.lock").read_text()
    for crate in ["axum", "ort", "sqlx", "ring", "image"]:
        assert re.search(rf"^- {crate} \S+$", licences, re.MULTILINE), crate
        assert f'name = "{crate}"' in locked
    packages = {path.name for path in (tmp_path / "var/lib/dpkg/status.d").iterdir()}
    assert packages == {"libc6", "libgcc-s1", "libstdc++6", "ca-certificates"}
    assert all((papers / package / "copyright").exists() for package in ("libc6", "ca-certificates"))
    # Nothing of the building machine, which may trust certificates of its own.
    bundle = (tmp_path / "etc/ssl/certs/ca-certificates.crt").read_text()
    assert bundle.count("BEGIN CERTIFICATE") > 100
    own = Path(os.environ.get("SSL_CERT_FILE", "/etc/ssl/certs/ca-certificates.crt")).read_text()
    extra = {block for block in certificates(own)} - set(certificates(bundle))
    assert not any(block in bundle for block in extra)
    variables = dict(variable.split("=", 1) for variable in engine.config()["Env"])
    assert not [name for name in variables if "CERT" in name or "CA_" in name or "cafile" in name]


def certificates(bundle):
    return re.findall(r"-----BEGIN CERTIFICATE-----(.*?)-----END CERTIFICATE-----", bundle, re.DOTALL)


def test_a_collection_lives_as_long_as_its_volume(start, volume):
    first = start(volume, env=OPEN)
    until_healthy(first)
    print(f"healthy after {time.monotonic() - first.begin:.2f} s")
    client = rekognition(first.url)
    client.create_collection(CollectionId="people")
    assert len(client.index_faces(CollectionId="people", Image=photo("obama.jpg"), ExternalImageId="obama")["FaceRecords"]) == 1
    assert match(client) == ["obama"]
    assert first.stop() == 0
    assert '"message":"stopped"' in first.log()
    assert match(rekognition(until(start(volume, env=OPEN)))) == ["obama"]


def until(container):
    until_healthy(container)
    return container.url


def test_any_user_of_group_0_can_run_it(start, volume):
    client = rekognition(until(start(volume, user="1234567:0", env=OPEN)))
    client.create_collection(CollectionId="people")
    assert client.list_collections()["CollectionIds"] == ["people"]
    assert (volume / "rekollect.db").stat().st_uid == 1234567


def test_a_folder_that_cannot_be_written_is_named_with_what_helps(start, volume):
    os.chown(volume, 0, 0)
    volume.chmod(0o755)
    container = start(volume, env=OPEN)
    assert container.wait(20) == 1
    log = container.log()
    assert "/data" in log and "10001" in log and "chown" in log, log
    # One line, without a way into the source.
    assert "panicked" not in log


def test_it_wants_keys_or_to_be_told_to_do_without(start, volume, engine):
    if engine.name == "buildah":
        pytest.skip("on the machine's own network it listens on loopback, where no keys are needed: run it with docker or podman")
    container = start(volume)
    assert container.wait(20) == 1
    assert "REKOLLECT_AUTH=open" in container.log()


def test_signatures_are_checked_with_a_key(start, volume):
    key = ("AKIAIMAGE", "hush")
    url = until(start(volume, env={"REKOLLECT_ACCESS_KEY_ID": key[0], "REKOLLECT_SECRET_ACCESS_KEY": key[1]}))
    assert rekognition(url, key).list_collections()["CollectionIds"] == []
    client = rekognition(url, ("AKIAIMAGE", "guessed"))
    with pytest.raises(client.exceptions.ClientError, match="InvalidSignatureException"):
        client.list_collections()
