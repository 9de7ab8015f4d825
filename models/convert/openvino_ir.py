"""OpenVINO IR (opset1, FP16 or FP32 constants) to ONNX, as far as face-reidentification-retail-0095 needs it.

The IR is NCHW like ONNX and its operators map one to one. Constants widen to FP32, the batch becomes the symbolic dimension `N`, an Add of
a constant after a convolution becomes its bias, and the result loses its 1x1 pixels.
"""

from collections.abc import Callable
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
from onnx import ModelProto

from . import prelu
from .graph import Graph, float_tensor

CONSTANT_TYPES = {"f16": np.float16, "f32": np.float32}


def convert(description: Path, weights: Path) -> ModelProto:
    """Takes the `.xml` and the `.bin`; gives `input` [N,...] to `embedding` [N,k], which is not normalised: the server does that."""
    root = ElementTree.parse(description).getroot()
    reader = Reader(root, weights.read_bytes())
    for layer in root.find("layers"):
        reader.layer(layer)
    merge_biases(reader.graph)
    prelu.rewrite(reader.graph)
    return reader.graph.model([reader.input], [reader.output])


def numbers(text: str) -> list[int]:
    return [int(part) for part in text.split(",")]


class Reader:
    """Walks the layers, which the file lists in execution order, and keeps the name of what each one gives."""

    def __init__(self, root: ElementTree.Element, weights: bytes) -> None:
        self.graph = Graph()
        self.input = self.output = None
        self._weights = weights
        self._names: dict[str, str] = {}
        self._sources: dict[str, list[str]] = {}
        edges = root.find("edges")
        for edge in sorted(edges, key=lambda e: int(e.get("to-port"))):
            self._sources.setdefault(edge.get("to-layer"), []).append(edge.get("from-layer"))

    def layer(self, layer: ElementTree.Element) -> None:
        kind, number, data = layer.get("type"), layer.get("id"), layer.find("data")
        name = f"l{number}"
        inputs = [self._names[source] for source in self._sources.get(number, [])]
        if kind == "Const":
            self.graph.constant(name, self._constant(data))
        elif kind == "Convert":
            # Only the widening of constants, which are widened where they are read.
            if inputs[0] not in self.graph.constants or data.get("destination_type") != "f32":
                raise ValueError("no conversion for a Convert of computed values")
            name = inputs[0]
        elif kind == "Parameter":
            name = "input"
            self.input = float_tensor(name, ["N", *numbers(data.get("shape"))[1:]])
        elif kind == "Result":
            name = "embedding"
            dimensions = [int(d.text) for d in layer.find("input/port")]
            if dimensions[2:] != [1, 1]:
                raise ValueError("the result is not a vector")
            self.graph.add("Flatten", inputs, name, axis=1)
            self.output = float_tensor(name, ["N", dimensions[1]])
        elif kind in OPERATORS:
            OPERATORS[kind](self.graph, inputs, name, data)
        else:
            raise ValueError(f"no conversion for OpenVINO layer {kind}")
        self._names[number] = name

    def _constant(self, data: ElementTree.Element) -> np.ndarray:
        start, size = int(data.get("offset")), int(data.get("size"))
        raw = np.frombuffer(self._weights[start : start + size], CONSTANT_TYPES[data.get("element_type")])
        return raw.reshape(numbers(data.get("shape"))).astype(np.float32)


def window(data: ElementTree.Element) -> dict[str, list[int]]:
    """The attributes that convolutions and pools share."""
    if data.get("auto_pad") != "explicit":
        raise ValueError("no conversion for automatic padding")
    return {
        "strides": numbers(data.get("strides")),
        "pads": numbers(data.get("pads_begin")) + numbers(data.get("pads_end")),
    }


def write_convolution(graph: Graph, inputs: list[str], name: str, data: ElementTree.Element, group: int) -> None:
    kernel = list(graph.constants[inputs[1]].shape[2:])
    dilations = numbers(data.get("dilations"))
    graph.add("Conv", inputs, name, group=group, kernel_shape=kernel, dilations=dilations, **window(data))


def convolution(graph: Graph, inputs: list[str], name: str, data: ElementTree.Element) -> None:
    write_convolution(graph, inputs, name, data, group=1)


def group_convolution(graph: Graph, inputs: list[str], name: str, data: ElementTree.Element) -> None:
    """Weights GOIHW; ONNX has the groups within the output channels."""
    x, weight = inputs
    value = graph.constants[weight]
    merged = graph.constant(f"{name}.weight", value.reshape(-1, *value.shape[2:]))
    write_convolution(graph, [x, merged], name, data, group=value.shape[0])


def average_pool(graph: Graph, inputs: list[str], name: str, data: ElementTree.Element) -> None:
    include = int(data.get("exclude-pad") == "false")
    kernel = numbers(data.get("kernel"))
    graph.add("AveragePool", inputs, name, kernel_shape=kernel, count_include_pad=include, **window(data))


def elementwise(op: str) -> Callable:
    """An operator that has the same meaning in ONNX and takes no attributes."""

    def write(graph: Graph, inputs: list[str], name: str, _data) -> None:
        graph.add(op, inputs, name)

    return write


OPERATORS: dict[str, Callable] = {
    "Add": elementwise("Add"),
    "AvgPool": average_pool,
    "Convolution": convolution,
    "GroupConvolution": group_convolution,
    "Multiply": elementwise("Mul"),
    "PReLU": elementwise("PRelu"),
    "Sigmoid": elementwise("Sigmoid"),
}


def merge_biases(graph: Graph) -> None:
    """Turn Conv followed by Add of a [1,C,1,1] constant into one Conv with a bias."""
    uses = graph.uses()
    convolutions = {node.output[0]: node for node in graph.nodes if node.op_type == "Conv"}
    kept = []
    for node in graph.nodes:
        conv = convolutions.get(node.input[0]) if node.op_type == "Add" else None
        bias = graph.constants.get(node.input[1]) if conv is not None else None
        if bias is not None and uses[node.input[0]] == 1 and bias.shape == (1, bias.size, 1, 1):
            conv.input.append(graph.constant(f"{node.output[0]}.bias", bias.reshape(-1)))
            conv.output[0] = conv.name = node.output[0]
        else:
            kept.append(node)
    graph.nodes = kept
