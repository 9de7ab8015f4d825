"""The converters' parts on graphs small enough to work out by hand."""

import json

import numpy as np
import pytest
from conftest import infer

pytest.importorskip("onnx", reason="onnx is not installed")
pytest.importorskip("tflite", reason="the tflite reader is not installed")

from convert import faceapi, prelu  # noqa: E402
from convert.graph import Graph, float_tensor, same_padding  # noqa: E402

CHANNELS = 4


def network(slope: np.ndarray, group: int, residual: bool) -> Graph:
    """input -> PRelu -> Conv, whose padding sees the folded factor too; and the PRelu's own result added on request."""
    graph = Graph()
    weights = np.random.default_rng(3).normal(size=(CHANNELS, CHANNELS // group, 3, 3)).astype(np.float32)
    graph.constant("slope", slope.astype(np.float32))
    graph.constant("weight", weights)
    graph.add("PRelu", ["input", "slope"], "active")
    output = "convolved" if residual else "output"
    graph.add("Conv", ["active", "weight"], output, group=group, kernel_shape=[3, 3], pads=[1, 1, 1, 1])
    if residual:
        graph.add("Add", ["convolved", "active"], "output")
    return graph


def run(graph: Graph, x: np.ndarray) -> np.ndarray:
    shape = ["N", CHANNELS, 5, 5]
    model = graph.model([float_tensor("input", shape)], [float_tensor("output", shape)])
    return infer(model.SerializeToString(), x)["output"]


@pytest.mark.parametrize("group", [1, 2, CHANNELS])
@pytest.mark.parametrize("residual", [False, True])
@pytest.mark.parametrize(
    "slope",
    [
        [[[-9.0]], [[0.25]], [[2.0]], [[9.0]]],
        [[[1.0]], [[0.0]], [[0.9999]], [[3.0]]],
        [[[2.5]]],
    ],
    ids=["any", "one", "scalar"],
)
def test_prelu_rewrite_keeps_the_function(slope, residual, group):
    x = np.random.default_rng(4).normal(size=(2, CHANNELS, 5, 5)).astype(np.float32)
    slope = np.array(slope)
    rewritten = network(slope, group, residual)
    prelu.rewrite(rewritten)
    assert all(node.op_type != "PRelu" for node in rewritten.nodes)
    np.testing.assert_allclose(run(rewritten, x), run(network(slope, group, residual), x), rtol=1e-4, atol=1e-4)


def convolution(group: int) -> Graph:
    graph = Graph()
    weights = np.random.default_rng(3).normal(size=(CHANNELS, CHANNELS // group, 3, 3)).astype(np.float32)
    graph.constant("weight", weights)
    graph.add("Conv", ["input", "weight"], "output", group=group, kernel_shape=[3, 3], pads=[1, 1, 1, 1])
    return graph


@pytest.mark.parametrize("group", [1, 2, CHANNELS])
def test_scaling_the_readers_of_a_tensor_is_scaling_the_tensor(group):
    x = np.random.default_rng(4).uniform(0, 255, size=(2, CHANNELS, 5, 5)).astype(np.float32)
    scaled = convolution(group)
    prelu.scale_readers(scaled, "input", 1 / 255)
    np.testing.assert_allclose(run(scaled, x), run(convolution(group), x / 255), rtol=1e-5, atol=1e-5)


def test_readers_that_cannot_scale_are_an_error():
    graph = Graph()
    graph.add("Relu", ["input"], "output")
    with pytest.raises(ValueError, match="something else than a convolution reads input"):
        prelu.scale_readers(graph, "input", 2.0)


def face_api_files(folder, content: bytes):
    """A manifest of two weights, four bytes and one float, and the `.bin` with the given content."""
    weights = [
        {"name": "a", "shape": [2, 2], "dtype": "float32", "quantization": {"dtype": "uint8", "scale": 0.5, "min": -1}},
        {"name": "b", "shape": [1], "dtype": "float32"},
    ]
    (folder / "manifest.json").write_text(json.dumps([{"weights": weights, "paths": ["w.bin"]}]))
    (folder / "w.bin").write_bytes(content)
    return folder / "manifest.json", folder / "w.bin"


def test_face_api_weights_are_read_in_order_and_widened(tmp_path):
    content = bytes([0, 1, 2, 255]) + np.array([0.25], "<f4").tobytes()
    weights = faceapi.read_weights(*face_api_files(tmp_path, content))
    assert list(weights) == ["a", "b"]
    assert all(value.dtype == np.float32 for value in weights.values())
    assert weights["a"].tolist() == [[-1.0, -0.5], [0.0, 126.5]]
    assert weights["b"].tolist() == [0.25]


@pytest.mark.parametrize("length", [7, 9])
def test_face_api_weights_of_another_length_are_an_error(tmp_path, length):
    with pytest.raises(ValueError):
        faceapi.read_weights(*face_api_files(tmp_path, bytes(length)))


def test_a_face_api_weight_without_a_layer_is_an_error():
    net = faceapi.Net({"left": np.zeros(1, np.float32)})
    with pytest.raises(ValueError, match="weights without a layer: left"):
        net.model(output=1)


@pytest.mark.parametrize(
    ("size", "kernel", "stride", "dilation", "pads"),
    [
        ([112, 112], [3, 3], [2, 2], [1, 1], [0, 0, 1, 1]),
        ([7, 7], [3, 3], [2, 2], [1, 1], [1, 1, 1, 1]),
        ([56, 28], [3, 5], [1, 1], [1, 1], [1, 2, 1, 2]),
        ([10, 10], [3, 3], [1, 1], [2, 2], [2, 2, 2, 2]),
        ([8, 8], [1, 1], [2, 2], [1, 1], [0, 0, 0, 0]),
    ],
)
def test_same_padding_puts_the_odd_pixel_last(size, kernel, stride, dilation, pads):
    assert same_padding(size, kernel, stride, dilation) == pads
