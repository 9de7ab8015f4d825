"""Spell PReLU in operators that keep ONNX Runtime's blocked layout.

ONNX Runtime has no blocked PRelu kernel: each PRelu costs two reorders of its tensor and a slow loop, which more than doubles the time of
a small network. With the slope s of a channel,

    prelu(x, s) = s*x + (1-s)*relu(x) = (1-s) * (relu(x) + s/(1-s) * x)

so a Relu, a depthwise 1x1 convolution by s/(1-s) and a sum do the work, all of them blocked (and the sum fused into the convolution),
when the factor (1-s) is folded into the convolutions that read the result. This holds for every slope but 1; max(x, s*x) would be wrong
above 1. A layer whose slopes are all the same is a LeakyRelu.
"""

import numpy as np
from onnx import NodeProto, helper

from .graph import Graph

# Below this the division by (1-s) would cost precision.
SMALLEST_FACTOR = 1e-3


def rewrite(graph: Graph) -> None:
    """Replace every PRelu node; its slope is a constant of one number or of shape [C,1,1]."""
    nodes, graph.nodes = graph.nodes, []
    for node in nodes:
        if node.op_type == "PRelu":
            _replace(graph, node, [other for other in nodes if node.output[0] in other.input])
        else:
            graph.nodes.append(node)


def scale_readers(graph: Graph, name: str, factor: float) -> None:
    """Make every reader of a tensor, all of them convolutions, take it times a number."""
    readers = [node for node in graph.nodes if name in node.input]
    if not all(_reads_as_input(reader, name) for reader in readers):
        raise ValueError(f"something else than a convolution reads {name}")
    for reader in readers:
        group = next(helper.get_attribute_value(a) for a in reader.attribute if a.name == "group")
        channels = graph.constants[reader.input[1]].shape[1] * group
        _scale_input(graph, reader, np.full(channels, factor))


def _replace(graph: Graph, prelu: NodeProto, readers: list[NodeProto]) -> None:
    x, slope_name = prelu.input
    (output,) = prelu.output
    slope = graph.constants[slope_name].astype(np.float64).reshape(-1)
    if (slope == slope[0]).all():
        graph.add("LeakyRelu", [x], output, alpha=float(slope[0]))
        return
    factor = 1.0 - slope
    relu = f"{output}.relu"
    graph.add("Relu", [x], relu)
    if np.abs(factor).min() >= SMALLEST_FACTOR and all(_reads_as_input(reader, output) for reader in readers):
        linear = _scale_channels(graph, x, slope / factor, f"{output}.linear")
        for reader in readers:
            _scale_input(graph, reader, factor)
    else:
        linear = _scale_channels(graph, x, slope, f"{output}.linear")
        relu = _scale_channels(graph, relu, factor, f"{output}.positive")
    graph.add("Add", [linear, relu], output)


def _reads_as_input(node: NodeProto, name: str) -> bool:
    return node.op_type == "Conv" and node.input[0] == name and name not in node.input[1:]


def _scale_channels(graph: Graph, x: str, factor: np.ndarray, output: str) -> str:
    """Multiply each channel by its number: a depthwise 1x1 convolution, since a broadcast Mul leaves the blocked layout."""
    weight = graph.constant(f"{output}.weight", factor.astype(np.float32).reshape(-1, 1, 1, 1))
    graph.add("Conv", [x, weight], output, group=len(factor), kernel_shape=[1, 1])
    return output


def _scale_input(graph: Graph, conv: NodeProto, factor: np.ndarray) -> None:
    """Make a convolution multiply each of its input channels by a number."""
    group = next(helper.get_attribute_value(a) for a in conv.attribute if a.name == "group")
    weight = graph.constants[conv.input[1]].astype(np.float64)
    per_group = factor.reshape(group, 1, -1, 1, 1)
    scaled = weight.reshape(group, -1, *weight.shape[1:]) * per_group
    conv.input[1] = graph.constant(f"{conv.output[0]}.scaled", scaled.reshape(weight.shape).astype(np.float32))
