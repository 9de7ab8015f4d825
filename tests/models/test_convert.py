"""The converters' parts on graphs small enough to work out by hand."""

import json

import numpy as np
import pytest
from conftest import infer

pytest.importorskip("onnx", reason="onnx is not installed")
pytest.importorskip("tflite", reason="the tflite reader is not installed")

import onnx  # noqa: E402
from convert import faceapi, prelu, sface  # noqa: E402
from convert.graph import Graph, float_tensor, same_padding  # noqa: E402
from onnx.reference import ReferenceEvaluator  # noqa: E402

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


# --- SFace ---


def quantized(rng, name: str, shape: list[int], block: int) -> tuple[list, list]:
    """Nodes and constants of a weight in 8 bits with blocks; a kernel is reshaped, a matrix is not."""
    rows, numbers = shape[0], int(np.prod(shape[1:]))
    constants = {
        f"{name}.quantized": rng.integers(-128, 128, (rows, numbers)).astype(np.int8),
        f"{name}.scales": rng.uniform(0.001, 0.01, (rows, numbers // block)).astype(np.float32),
        f"{name}.zero": rng.integers(-9, 9, (rows, numbers // block)).astype(np.int8),
        f"{name}.shape": np.array(shape, np.int64),
    }
    parts = [f"{name}.quantized", f"{name}.scales", f"{name}.zero"]
    flat = f"{name}.flat" if len(shape) > 2 else name
    nodes = [onnx.helper.make_node("DequantizeLinear", parts, [flat], axis=1, block_size=block)]
    if flat != name:
        nodes.append(onnx.helper.make_node("Reshape", [flat, f"{name}.shape"], [name]))
    return nodes, [onnx.numpy_helper.from_array(value, key) for key, value in constants.items()]


def normalization(rng, x: str, name: str, channels: int) -> tuple[list, list]:
    numbers = {part: rng.uniform(0.5, 2.0, channels).astype(np.float32) for part in ("gamma", "beta", "mean", "variance")}
    node = onnx.helper.make_node("BatchNormalization", [x, *(f"{name}.{part}" for part in numbers)], [name], epsilon=0.1)
    return [node], [onnx.numpy_helper.from_array(value, f"{name}.{part}") for part, value in numbers.items()]


def like_sface(mean: float = 127.5, block: int = 9, normalized_first: bool = False) -> onnx.ModelProto:
    """Everything that the published graph has, on 4 x 4 pixels."""
    rng = np.random.default_rng(6)
    make, value = onnx.helper.make_node, onnx.numpy_helper.from_array
    parts = [
        quantized(rng, "w1", [4, 3, 3, 3], block),
        quantized(rng, "w2", [4, 1, 3, 3], 9),
        quantized(rng, "w3", [6, 64], 16),
        (
            [make("Sub", ["data", "mean"], ["centred"]), make("Mul", ["centred", "scale"], ["scaled"])],
            [value(np.array([mean], np.float32), "mean"), value(np.array([0.0078125], np.float32), "scale")],
        ),
        normalization(rng, "scaled", "early", 3) if normalized_first else ([], []),
        ([make("Conv", ["early" if normalized_first else "scaled", "w1"], ["c1"], group=1, kernel_shape=[3, 3], pads=[1] * 4)], []),
        normalization(rng, "c1", "n1", 4),
        ([make("PRelu", ["n1", "s1"], ["p1"])], [value(rng.uniform(-1, 2, (4, 1, 1)).astype(np.float32), "s1")]),
        ([make("Conv", ["p1", "w2"], ["c2"], group=4, kernel_shape=[3, 3], pads=[1] * 4)], []),
        normalization(rng, "c2", "n2", 4),
        ([make("PRelu", ["n2", "s2"], ["p2"])], [value(rng.uniform(-1, 2, (4, 1, 1)).astype(np.float32), "s2")]),
        normalization(rng, "p2", "n3", 4),
        ([make("Dropout", ["n3"], ["d"]), make("Flatten", ["d"], ["f"])], []),
        (
            [make("Gemm", ["f", "w3", "b3"], ["g"], alpha=1.0, beta=1.0, transA=0, transB=1)],
            [value(rng.normal(size=6).astype(np.float32), "b3")],
        ),
        normalization(rng, "g", "out", 6),
    ]
    nodes = [node for part, _ in parts for node in part]
    constants = [constant for _, part in parts for constant in part]
    shadows = [onnx.helper.make_tensor_value_info(c.name, c.data_type, list(c.dims)) for c in constants]
    image, output = float_tensor("data", [1, 3, 4, 4]), float_tensor("out", [1, 6])
    graph = onnx.helper.make_graph(nodes, "published", [image, *shadows], [output], constants)
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 21)])
    model.ir_version = 10
    return model


def convert_sface(folder, model: onnx.ModelProto) -> onnx.ModelProto:
    onnx.save(model, folder / "published.onnx")
    return sface.convert(folder / "published.onnx")


@pytest.mark.parametrize("normalized_first", [False, True])
def test_sface_keeps_the_function(tmp_path, normalized_first):
    published = like_sface(normalized_first=normalized_first)
    made = convert_sface(tmp_path, published)
    assert {node.op_type for node in made.graph.node} == {"Conv", "Relu", "Add", "Flatten", "MatMulNBits"}
    assert [value.name for value in made.graph.input] == ["input"]
    images = np.random.default_rng(7).uniform(0, 255, (3, 3, 4, 4)).astype(np.float32)
    ours = infer(made.SerializeToString(), (images - 127.5) / 128)["embedding"]
    reference = ReferenceEvaluator(published)
    theirs = np.concatenate([reference.run(["out"], {"data": image[None]})[0] for image in images])
    # The last layer rounds what it reads to 8 bits; a fold that went wrong moves the numbers by as much as they are.
    np.testing.assert_allclose(ours, theirs, atol=0.02 * np.abs(theirs).max())


def test_an_sface_with_a_branch_is_an_error(tmp_path):
    model = like_sface()
    model.graph.node.append(onnx.helper.make_node("Relu", ["p1"], ["branch"]))
    with pytest.raises(ValueError, match="not a chain"):
        convert_sface(tmp_path, model)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"mean": 128.0}, "Sub is not the known pre-processing"),
        ({"block": 8}, "a block that is not full"),
    ],
)
def test_an_sface_of_another_make_is_an_error(tmp_path, changed, message):
    with pytest.raises(ValueError, match=message):
        convert_sface(tmp_path, like_sface(**changed))
