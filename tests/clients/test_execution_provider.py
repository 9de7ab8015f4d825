"""--execution-provider: what the library has is used, and what it has not is said."""

import os
import subprocess

import pytest
from servers import BINARY, MODELS, ROOT, Server

CAPI = ROOT / ".venv-test/openvino/onnxruntime/capi"


@pytest.fixture
def openvino():
    libraries = sorted(CAPI.glob("libonnxruntime.so.*"))
    if not libraries:
        pytest.skip("no wheel of onnxruntime-openvino fits this machine")
    return str(libraries[0])


def run(*args):
    environment = {"PATH": os.environ["PATH"], "REKOLLECT_MODELS_DIR": str(MODELS)}
    return subprocess.run([BINARY, *args], env=environment, capture_output=True, text=True, timeout=60)


def test_what_a_library_offers_is_listed(openvino):
    assert "execution providers: cpu\n" in run("models").stdout
    assert "execution providers: cpu, openvino\n" in run("models", "--onnxruntime", openvino).stdout


@pytest.mark.parametrize("provider, package", [("openvino", "onnxruntime-openvino"), ("cuda", "onnxruntime-gpu"), ("coreml", "macOS")])
def test_a_library_without_the_provider_is_an_error_that_says_how_to_get_one(tmp_path, provider, package):
    outcome = run("serve", "--listen", "127.0.0.1:0", "--data-dir", str(tmp_path), "--execution-provider", provider)
    assert outcome.returncode == 1
    assert f"cannot run nets with {provider}: it was built for cpu;" in outcome.stderr
    assert package in outcome.stderr


def test_a_provider_whose_own_libraries_are_missing_is_an_error_that_names_it(tmp_path, openvino):
    """As CUDA is without its driver: the library says that it has the provider, and cannot load it."""
    broken = tmp_path / "alone/libonnxruntime.so"
    broken.parent.mkdir()
    broken.write_bytes((CAPI / os.path.basename(openvino)).read_bytes())
    outcome = run("serve", "--listen", "127.0.0.1:0", "--data-dir", str(tmp_path), "--execution-provider", "openvino", "--onnxruntime", str(broken))
    assert outcome.returncode == 1
    assert "cannot run nets with openvino: Failed to load provider" in outcome.stderr


@pytest.mark.parametrize("pack", ["standard", "compact"])
def test_openvino_sees_what_onnx_runtime_sees(tmp_path, photo, openvino, pack):
    names = ["obama.jpg", "sample4.jpg"]

    def detected(client, name):
        return client.detect_faces(Image={"Bytes": photo(name)}, Attributes=["ALL"])["FaceDetails"]

    with Server(tmp_path, pack=pack) as server:
        server.client.create_collection(CollectionId="people")
        for name in names:
            server.client.index_faces(CollectionId="people", Image={"Bytes": photo(name)}, ExternalImageId=name)
        plain = {name: detected(server.client, name) for name in names}
    args = ["--execution-provider", "openvino", "--onnxruntime", openvino]
    with Server(tmp_path, pack=pack, args=args, patience=120) as server:
        for name in names:
            for face, same in zip(plain[name], detected(server.client, name), strict=True):
                for side, length in face["BoundingBox"].items():
                    assert same["BoundingBox"][side] == pytest.approx(length, abs=0.01)
                assert same["Smile"]["Value"] == face["Smile"]["Value"]
            matches = server.client.search_faces_by_image(CollectionId="people", Image={"Bytes": photo(name)})["FaceMatches"]
            assert matches[0]["Face"]["ExternalImageId"] == name
            assert matches[0]["Similarity"] > 99.5
