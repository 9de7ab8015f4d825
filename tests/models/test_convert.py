"""The converters' parts on graphs small enough to work out by hand."""

import numpy as np
import pytest
from conftest import infer

pytest.importorskip("onnx", reason="onnx is not installed")
pytest.importorskip("tflite", reason="the tflite reader is not installed")

from convert import prelu  # noqa: E402
from convert.graph import Graph, float_tensor  # noqa: E402
from convert.tflite import same_padding  # noqa: E402

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
