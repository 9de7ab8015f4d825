"""The attribute models: mesh and iris against the published files in their own runtime, face-api's nets against its own numbers."""

from pathlib import Path

import numpy as np
import pytest
from conftest import PHOTOS, SOURCES, infer

faces = pytest.importorskip("faces", reason="Pillow is not installed")
Image = pytest.importorskip("PIL.Image")

PEOPLE = ["obama.jpg", "obama2.jpg", "biden.jpg"]
EXPRESSIONS = ["neutral", "happy", "sad", "angry", "fearful", "disgusted", "surprised"]
# Outer and inner corner of the eye on the image's left and on its right, of the 468 points.
EYE_CORNERS = [(33, 133), (263, 362)]
# What encloses the face, the tight square, and the eye, as multiples of the distances between landmarks.
MESH_FACTOR, FACE_FACTOR, EYE_FACTOR = 3.7, 2.4, 2.3


def noise(*shape: int) -> np.ndarray:
    return np.random.default_rng(7).integers(0, 256, shape).astype(np.float32)


@pytest.fixture(scope="module")
def people(compact: Path) -> list[tuple[Image.Image, np.ndarray]]:
    """Photos of one face each and its five landmarks."""
    images = [faces.load(PHOTOS / photo) for photo in PEOPLE]
    return [(image, faces.best_landmarks(compact / "yunet-2023mar.onnx", image)) for image in images]


@pytest.fixture(scope="module")
def mesh_crops(people) -> np.ndarray:
    return np.concatenate([faces.face_square(image, points, MESH_FACTOR, 192) for image, points in people])


@pytest.fixture(scope="module")
def face_crops(people) -> np.ndarray:
    return np.concatenate([faces.face_square(image, points, FACE_FACTOR, 112) for image, points in people])


@pytest.fixture(scope="module")
def eye_crops(compact, mesh_crops) -> np.ndarray:
    """Both eyes of each face out of its mesh crop, [6,3,64,64], the second one mirrored."""
    meshes = infer(compact / "face-mesh.onnx", mesh_crops)["landmarks"][:, :, :2]
    crops = []
    for pixels, mesh in zip(mesh_crops, meshes, strict=True):
        image = Image.fromarray(pixels.transpose(1, 2, 0).astype(np.uint8))
        for mirror, (outer, inner) in enumerate(EYE_CORNERS):
            across = (mesh[inner] - mesh[outer]) * (-1 if mirror else 1)
            centre, angle = (mesh[outer] + mesh[inner]) / 2, np.arctan2(across[1], across[0])
            side = EYE_FACTOR * np.linalg.norm(across)
            crops.append(faces.square(image, centre, side, angle, 64, mirror=bool(mirror)))
    return np.concatenate(crops)


# --- face mesh and iris ---


def run_tflite(source: Path, images: np.ndarray) -> list[np.ndarray]:
    """The published files take one image, NHWC, 0 to 1; gives their outputs in the file's order."""
    try:
        from ai_edge_litert.interpreter import Interpreter
    except ImportError:
        pytest.skip("ai-edge-litert, the runtime of the published mesh and iris, is not installed")
    interpreter = Interpreter(str(source), num_threads=1)
    interpreter.allocate_tensors()
    (taken,), given = interpreter.get_input_details(), interpreter.get_output_details()
    results = []
    for image in images:
        interpreter.set_tensor(taken["index"], np.ascontiguousarray(image.transpose(1, 2, 0)[None] / np.float32(255)))
        interpreter.invoke()
        results.append([interpreter.get_tensor(output["index"]).reshape(-1) for output in given])
    return [np.stack(column) for column in zip(*results, strict=True)]


def assert_same_points(ours: np.ndarray, theirs: np.ndarray, *shape: int) -> None:
    """In pixels of the crop: a thousandth is far below what matters and far above rounding."""
    assert ours.shape == (len(theirs), *shape)
    np.testing.assert_allclose(ours.reshape(len(theirs), -1), theirs, atol=1e-3)


def test_face_mesh_agrees_with_the_published_file(compact, mesh_crops):
    images = np.concatenate([noise(2, 3, 192, 192), mesh_crops])
    landmarks, logits = run_tflite(SOURCES / "face_landmark.tflite", images)
    ours = infer(compact / "face-mesh.onnx", images)
    assert_same_points(ours["landmarks"], landmarks, 468, 3)
    np.testing.assert_allclose(ours["presence"], 1 / (1 + np.exp(-logits)), atol=1e-5)


def test_iris_agrees_with_the_published_file(compact, eye_crops):
    images = np.concatenate([noise(2, 3, 64, 64), eye_crops])
    contour, iris = run_tflite(SOURCES / "iris_landmark.tflite", images)
    ours = infer(compact / "iris.onnx", images)
    assert_same_points(ours["contour"], contour, 71, 3)
    assert_same_points(ours["iris"], iris, 5, 3)


def test_mesh_lies_on_the_face_and_knows_that_there_is_one(compact, people, mesh_crops):
    made = infer(compact / "face-mesh.onnx", mesh_crops)
    assert made["presence"].min() > 0.95
    assert infer(compact / "face-mesh.onnx", noise(1, 3, 192, 192))["presence"].max() < 0.05
    for (_, points), mesh in zip(people, made["landmarks"], strict=True):
        left, right = (mesh[list(corners), :2].mean(0) for corners in EYE_CORNERS)
        distance = np.linalg.norm(points[1] - points[0]) * 192 / faces.face_side(points, MESH_FACTOR)
        assert abs(right[0] - left[0] - distance) < 0.15 * distance
        assert abs(right[1] - left[1]) < 0.15 * distance


def test_iris_lies_between_the_corners_of_its_eye(compact, eye_crops):
    made = infer(compact / "iris.onnx", eye_crops)
    for contour, iris in zip(made["contour"][:, :, :2], made["iris"][:, :, :2], strict=True):
        outer, lower, inner, upper = contour[[0, 4, 8, 12]]
        assert outer[0] < iris[0, 0] < inner[0]
        assert upper[1] - 2 < iris[0, 1] < lower[1] + 2
        radius = np.linalg.norm(iris[1:] - iris[0], axis=1)
        assert 0.12 < radius.mean() / np.linalg.norm(inner - outer) < 0.35


# --- face-api's nets ---


def pattern() -> np.ndarray:
    """Pixels by a formula, [112,112,3]."""
    y, x, c = np.meshgrid(np.arange(112), np.arange(112), np.arange(3), indexing="ij")
    return (3 * x + 5 * y + 40 * c + x * y // 16) % 256


def every_nth_pixel(photo: str, left: int, top: int, step: int) -> np.ndarray:
    """A face without any interpolation, which would be another one in each library."""
    pixels = np.asarray(Image.open(PHOTOS / photo).convert("RGB"))
    return pixels[top : top + 112 * step : step, left : left + 112 * step : step]


# What @vladmandic/face-api 1.7.15 itself gave for these pixels: its dist/face-api.esm.js with the TensorFlow.js 4.22.0 inside it, backend
# "cpu", in Node 20.20.2, `ageGenderNet.forward` and `faceExpressionNet.forward` on the tensor [1,112,112,3] of the pixels as 0 to 255
# (`toBatchTensor` leaves that size alone). Ours differed by at most 6e-6 years and 7e-7 of a probability. Photos get a wider tolerance
# for JPEG decoders that differ in the last bit.
REFERENCE = [
    pytest.param(
        pattern,
        29.65203857421875,
        [0.9882510304450989, 0.01174889039248228],
        [9.2549226e-06, 1.0476021e-04, 0.9996414184570312, 2.4006714e-04, 2.9310e-07, 4.1801e-06, 7.2990e-08],
        1e-4,
        id="pattern",
    ),
    pytest.param(
        lambda: every_nth_pixel("biden.jpg", 351, 152, 4),
        64.0314712524414,
        [0.9728144407272339, 0.02718557044863701],
        [0.6097869277000427, 2.2694811e-03, 0.38756877183914185, 6.2898e-06, 2.7256e-05, 3.0991744e-04, 3.1416e-05],
        2e-2,
        id="biden",
    ),
    pytest.param(
        lambda: every_nth_pixel("sample1.jpg", 394, 368, 2),
        25.144872665405273,
        [0.022627361118793488, 0.9773727059364319],
        [0.17963863909244537, 0.8199070692062378, 4.5422942e-04, 7.8943e-11, 1.8156e-12, 1.6393e-09, 8.4468e-10],
        2e-2,
        id="sample1",
    ),
]


@pytest.mark.parametrize(("pixels", "age", "gender", "expressions", "tolerance"), REFERENCE)
def test_face_api_nets_give_what_the_package_gives(compact, pixels, age, gender, expressions, tolerance):
    image = np.ascontiguousarray(pixels().transpose(2, 0, 1)[None], np.float32)
    ours = infer(compact / "age-gender.onnx", image)
    np.testing.assert_allclose(ours["age"], [[age]], atol=50 * tolerance)
    np.testing.assert_allclose(ours["gender"], [gender], atol=tolerance)
    np.testing.assert_allclose(infer(compact / "expressions.onnx", image)["expressions"], [expressions], atol=tolerance)


def test_ages_genders_and_expressions_are_sensible(compact, face_crops):
    made = infer(compact / "age-gender.onnx", face_crops)
    obama, obama2, biden = made["age"][:, 0]
    assert 40 < obama < 60 and 40 < obama2 < 60 and 58 < biden < 80
    assert made["gender"][:, 0].min() > 0.8
    expressions = infer(compact / "expressions.onnx", face_crops)["expressions"]
    assert [EXPRESSIONS[i] for i in expressions[[0, 2]].argmax(1)] == ["happy", "neutral"]
    np.testing.assert_allclose(expressions.sum(1), 1.0, atol=1e-5)


# --- all of them ---


@pytest.mark.parametrize("name", ["face-mesh", "iris", "age-gender", "expressions"])
def test_a_batch_gives_what_its_images_give_alone(compact, manifest, request, name):
    crops = {"face-mesh": "mesh_crops", "iris": "eye_crops"}.get(name, "face_crops")
    images = request.getfixturevalue(crops)[:3]
    model = compact / manifest["file"][name]["path"]
    batch = infer(model, images)
    alone = [infer(model, image[None]) for image in images]
    for output, values in batch.items():
        expected = np.concatenate([single[output] for single in alone])
        np.testing.assert_allclose(values, expected, rtol=1e-4, atol=1e-4, err_msg=output)


def test_the_manifest_names_all_four(manifest):
    assert {role: name for role, name in manifest["attributes"].items() if role != "traits"} == {
        "mesh": "face-mesh",
        "iris": "iris",
        "age_gender": "age-gender",
        "expressions": "expressions",
    }
