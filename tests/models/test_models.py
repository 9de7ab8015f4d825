"""Each made file against the published one in its own runtime, on noise and on faces, and against its pinned digest."""

import hashlib
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
from conftest import PHOTOS, SOURCES, cosine, infer

faces = pytest.importorskip("faces", reason="Pillow is not installed")

EMBEDDED_PHOTOS = ["obama.jpg", "obama2.jpg", "biden.jpg"]


def pack(manifest: dict, name: str) -> dict:
    return next(pack for pack in manifest["pack"] if pack["name"] == name)


def noise(*shape: int, low: float = 0.0, high: float = 255.0) -> np.ndarray:
    return np.random.default_rng(7).uniform(low, high, shape).astype(np.float32)


def aligned(manifest: dict, name: str, folder: Path) -> np.ndarray:
    """A batch with one face of each photo, aligned for a pack's embedder."""
    chosen = pack(manifest, name)
    detector = folder / manifest["file"][chosen["detector"]["file"]]["path"]
    batch = []
    for photo in EMBEDDED_PHOTOS:
        image = faces.load(PHOTOS / photo)
        landmarks = faces.best_landmarks(detector, image)
        batch.append(faces.embedder_input(image, landmarks, chosen["embedder"]))
    return np.concatenate(batch)


# --- detectors ---


def assert_same_outputs(made: Path, published: Path, image: np.ndarray) -> None:
    ours, theirs = infer(made, image), infer(published, image)
    assert list(ours) == list(theirs)
    for name, value in theirs.items():
        np.testing.assert_allclose(ours[name], value, rtol=1e-5, atol=1e-5, err_msg=name)


def test_yunet_equals_the_published_file_at_its_one_size(compact):
    image = np.zeros((1, 3, 640, 640), np.float32)
    photo = faces.detector_input(faces.load(PHOTOS / "sample1.jpg"))
    image[:, :, : photo.shape[2], : photo.shape[3]] = photo
    for pixels in (image, noise(1, 3, 640, 640)):
        assert_same_outputs(compact / "yunet-2023mar.onnx", SOURCES / "face_detection_yunet_2023mar.onnx", pixels)


def test_yunet_n_equals_the_published_file(accurate):
    image = faces.detector_input(faces.load(PHOTOS / "sample1.jpg"))
    for pixels in (image, noise(1, 3, 480, 640)):
        assert_same_outputs(accurate / "yunet-n.onnx", SOURCES / "yunet_n_dynamic.onnx", pixels)


@pytest.mark.parametrize(("height", "width"), [(32, 32), (224, 320), (480, 640), (736, 1280)])
def test_yunet_takes_any_multiple_of_32(compact, height, width):
    outputs = infer(compact / "yunet-2023mar.onnx", noise(1, 3, height, width))
    for stride in (8, 16, 32):
        cells = (height // stride) * (width // stride)
        for name, numbers in (("cls", 1), ("obj", 1), ("bbox", 4), ("kps", 10)):
            assert outputs[f"{name}_{stride}"].shape == (1, cells, numbers)


def test_yunet_finds_the_same_face_at_another_size(compact):
    image = faces.load(PHOTOS / "obama.jpg")
    smaller = image.resize((image.width // 2, image.height // 2))
    whole = faces.best_landmarks(compact / "yunet-2023mar.onnx", image)
    half = faces.best_landmarks(compact / "yunet-2023mar.onnx", smaller)
    np.testing.assert_allclose(half * 2, whole, atol=0.05 * np.ptp(whole))


# --- embedders ---


def run_tflite(source: Path, images: np.ndarray) -> np.ndarray:
    """The published MobileFaceNet takes NHWC in pairs."""
    try:
        from ai_edge_litert.interpreter import Interpreter
    except ImportError:
        pytest.skip("ai-edge-litert, the runtime of the published MobileFaceNet, is not installed")
    interpreter = Interpreter(str(source), num_threads=1)
    interpreter.allocate_tensors()
    (taken,), (given,) = interpreter.get_input_details(), interpreter.get_output_details()
    results = []
    for image in images:
        interpreter.set_tensor(taken["index"], np.repeat(image.transpose(1, 2, 0)[None], 2, axis=0))
        interpreter.invoke()
        results.append(interpreter.get_tensor(given["index"])[0])
    return np.stack(results)


def run_openvino(source: Path, images: np.ndarray) -> np.ndarray:
    openvino = pytest.importorskip("openvino", reason="openvino, the runtime of the published 0095, is not installed")
    hints = {"INFERENCE_PRECISION_HINT": "f32", "INFERENCE_NUM_THREADS": 1}
    model = openvino.Core().compile_model(str(source), "CPU", hints)
    return np.concatenate([model(image[None])[0].reshape(1, -1) for image in images])


def run_dequantizing(source: Path, images: np.ndarray) -> np.ndarray:
    """The published SFace node by node: its weights are dequantised in each run, and nothing is folded or fused. Only its further inputs
    are taken away, since they shadow the weights and keep ONNX Runtime from loading it. It takes one image as 0 to 255."""
    onnx = pytest.importorskip("onnx", reason="onnx is not installed")
    model = onnx.load(source)
    (image,) = [value for value in model.graph.input if value.name == "data"]
    del model.graph.input[:]
    model.graph.input.append(image)
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.intra_op_num_threads = 1
    options.log_severity_level = 3  # it names constants that nothing reads
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    return np.concatenate([session.run(["fc1"], {"data": image[None] * 128 + 127.5})[0] for image in images])


def assert_same_embeddings(ours: np.ndarray, theirs: np.ndarray, tolerance: float = 1e-3) -> None:
    assert ours.shape == theirs.shape
    assert cosine(ours, theirs).min() > 0.99999
    assert np.abs(ours - theirs).max() < tolerance * np.abs(theirs).max()


def test_mobilefacenet_agrees_with_the_published_file(compact, manifest):
    images = np.concatenate([noise(2, 3, 112, 112, low=-1, high=1), aligned(manifest, "compact", compact)])
    ours = infer(compact / "mobilefacenet.onnx", images)["embedding"]
    assert_same_embeddings(ours, run_tflite(SOURCES / "MobileFaceNet.tflite", images))


def test_sface_agrees_with_the_published_file(standard, manifest):
    images = np.concatenate([noise(2, 3, 112, 112, low=-1, high=1), aligned(manifest, "standard", standard)])
    ours = infer(standard / "sface.onnx", images)["embedding"]
    theirs = run_dequantizing(SOURCES / "face_recognition_sface_2021dec_int8bq.onnx", images)
    # The last layer rounds what it reads to 8 bits.
    assert_same_embeddings(ours, theirs, tolerance=5e-3)


def test_0095_agrees_with_the_published_file(accurate, manifest):
    images = np.concatenate([noise(2, 3, 128, 128), aligned(manifest, "accurate", accurate)])
    ours = infer(accurate / "face-reidentification-retail-0095.onnx", images)["embedding"]
    assert_same_embeddings(ours, run_openvino(SOURCES / "face-reidentification-retail-0095.xml", images))


@pytest.mark.parametrize(
    ("name", "file"),
    [("compact", "mobilefacenet"), ("standard", "sface"), ("accurate", "face-reidentification-retail-0095")],
)
def test_embedding(compact, request, manifest, name, file):
    """A batch gives what its faces give alone; a person is more like himself than like another."""
    folder = request.getfixturevalue(name)
    model = folder / manifest["file"][file]["path"]
    images = aligned(manifest, name, folder)
    batch = infer(model, images)["embedding"]
    assert batch.shape == (3, pack(manifest, name)["embedder"]["dimensions"])
    alone = np.concatenate([infer(model, image[None])["embedding"] for image in images])
    np.testing.assert_allclose(batch, alone, rtol=1e-4, atol=1e-4 * np.abs(alone).max())
    obama, obama2, biden = batch
    assert cosine(obama, obama2) > 0.5
    assert cosine(obama, biden) < 0.3


# --- the made files themselves ---


@pytest.mark.parametrize(
    "file, name",
    [
        ("yunet-2023mar", "compact"),
        ("mobilefacenet", "compact"),
        ("sface", "standard"),
        ("face-mesh", "compact"),
        ("iris", "compact"),
        ("age-gender", "compact"),
        ("expressions", "compact"),
        ("yunet-n", "accurate"),
        ("face-reidentification-retail-0095", "accurate"),
    ],
)
def test_conversion_is_deterministic_and_pinned(request, manifest, file, name):
    onnx = pytest.importorskip("onnx", reason="onnx is not installed")
    pytest.importorskip("tflite", reason="the tflite reader is not installed")
    request.getfixturevalue(name)
    from convert.__main__ import CONVERTERS

    table = manifest["file"][file]
    sources = [SOURCES / source["name"] for source in table["sources"]]
    models = [CONVERTERS[table["converter"]](*sources) for _ in range(2)]
    first, second = (model.SerializeToString(deterministic=True) for model in models)
    assert first == second
    assert hashlib.sha256(first).hexdigest() == table["sha256"]
    onnx.checker.check_model(models[0], full_check=True)
