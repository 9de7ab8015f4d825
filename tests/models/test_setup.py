"""`models/setup.py`: carriers are tried in order, and only bytes with the pinned digest are ever put in place."""

import hashlib
import time
from pathlib import Path

import pytest
from conftest import run_setup

GOOD = b"the published bytes"
SHA256 = hashlib.sha256(GOOD).hexdigest()


@pytest.fixture
def workshop(setup_module, tmp_path):
    with setup_module.Workshop({}, tmp_path / "cache with a space") as workshop:
        yield workshop


@pytest.fixture
def make(setup_module, workshop, tmp_path):
    """Make a file out of a source named `data.bin` with the given carriers; gives its path."""

    def make(carriers: list[dict]) -> Path:
        target = tmp_path / "place" / "data.bin"
        workshop.make(setup_module.Item(target, SHA256, None, [setup_module.Source("data.bin", SHA256, carriers)]))
        return target

    return make


def mirror(monkeypatch, *folders: tuple[Path, bytes]) -> None:
    for folder, content in folders:
        folder.mkdir()
        (folder / "data.bin").write_bytes(content)
    monkeypatch.setenv("REKOLLECT_MODEL_MIRROR", ":".join(str(folder) for folder, _ in folders))


def test_a_carrier_with_other_bytes_is_reported_and_the_next_one_tried(make, monkeypatch, tmp_path, capsys):
    mirror(monkeypatch, (tmp_path / "bad", b"something else"), (tmp_path / "good one", GOOD))
    assert make([]).read_bytes() == GOOD
    assert "has other bytes" in capsys.readouterr().out


def test_when_no_carrier_works_the_error_names_file_attempts_and_remedy(make, setup_module, monkeypatch, tmp_path):
    mirror(monkeypatch, (tmp_path / "bad", b"something else"))
    with pytest.raises(setup_module.SetupError) as failure:
        make([{"url": "http://localhost/data.bin"}])
    message = str(failure.value)
    assert "data.bin" in message and SHA256 in message
    assert f"file {tmp_path / 'bad' / 'data.bin'}: wrong SHA-256" in message
    assert "http://localhost/data.bin: only https is allowed" in message
    assert "REKOLLECT_MODEL_MIRROR" in message


def test_missing_npm_is_named_with_its_remedy(setup_module, monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(setup_module.SetupError, match="npm is missing .*apt-get install npm"):
        setup_module.fetch_from_npm({"package": "any", "version": "1"}, tmp_path)


def test_missing_venv_is_named_with_its_remedy(setup_module, monkeypatch, tmp_path):
    monkeypatch.setattr(setup_module, "VENV", tmp_path / "venv")
    monkeypatch.setattr(setup_module.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(setup_module.SetupError, match="apt-get install python3-venv"):
        setup_module.ensure_venv.__wrapped__()


def test_a_file_without_sources_is_the_operators_to_put_there(setup_module, workshop, tmp_path):
    item = setup_module.Item(tmp_path / "own.onnx", SHA256, None, [])
    with pytest.raises(setup_module.SetupError, match="put the file with SHA-256"):
        workshop.make(item)


@pytest.fixture
def committed(setup_module, monkeypatch, tmp_path) -> dict:
    """A manifest with one attribute model that is committed beside it, in a checkout of its own."""
    monkeypatch.setattr(setup_module, "HERE", tmp_path / "checkout")
    (tmp_path / "checkout").mkdir()
    (tmp_path / "checkout" / "own.onnx").write_bytes(GOOD)
    return {"attributes": {"own": "own"}, "file": {"own": {"path": "own.onnx", "sha256": SHA256}}}


def test_a_committed_file_is_in_place_in_the_checkout_and_copied_to_another_folder(
    setup_module, workshop, committed, tmp_path
):
    (item,) = setup_module.model_items(committed, [], tmp_path / "checkout")
    assert setup_module.in_place(item)
    (item,) = setup_module.model_items(committed, [], tmp_path / "elsewhere")
    assert not setup_module.in_place(item)
    workshop.make(item)
    assert (tmp_path / "elsewhere" / "own.onnx").read_bytes() == GOOD


def test_a_committed_file_with_other_bytes_is_refused(setup_module, workshop, committed, tmp_path):
    (tmp_path / "checkout" / "own.onnx").write_bytes(b"something else")
    for folder in ("checkout", "elsewhere"):
        (item,) = setup_module.model_items(committed, [], tmp_path / folder)
        with pytest.raises(setup_module.SetupError, match="own.onnx is missing or differs .*git restore"):
            workshop.make(item)
    assert not (tmp_path / "elsewhere").exists()


def test_every_pack_brings_the_attribute_models(manifest, setup_module, tmp_path):
    for pack in manifest["pack"]:
        paths = {item.path.name for item in setup_module.model_items(manifest, [pack], tmp_path)}
        assert paths >= {manifest["file"][name]["path"] for name in ["face-mesh", "iris", "age-gender", "expressions", "traits"]}


def test_a_second_run_is_quick_and_changes_nothing(compact):
    files = [compact / "runtime", compact / "mobilefacenet.onnx", compact / "yunet-2023mar.onnx"]
    before = [path.stat().st_mtime_ns for path in files]
    start = time.monotonic()
    done = run_setup()
    assert time.monotonic() - start < 2.0
    assert done.returncode == 0 and "nothing to do" in done.stdout
    assert [path.stat().st_mtime_ns for path in files] == before


def test_every_pack_names_files_of_the_manifest_with_pinned_digests(manifest, setup_module, tmp_path):
    for item in setup_module.model_items(manifest, manifest["pack"], tmp_path):
        digests = [item.sha256, *(source.sha256 for source in item.sources)]
        assert all(len(digest) == 64 for digest in digests)
        assert item.sources or setup_module.holds(item.committed, item.sha256)


def test_every_carrier_names_an_archive_or_an_https_url(manifest):
    tables = [*manifest["runtime"].values(), *manifest["photo"].values()]
    tables += [source for file in manifest["file"].values() for source in file.get("sources", [])]
    for carrier in (carrier for table in tables for carrier in table["carriers"]):
        assert carrier.get("archive") in manifest["archive"] or carrier["url"].startswith("https://")
