"""SFace out of OpenCV Zoo's file with block-wise 8-bit weights (2021dec_int8bq), as FP32.

The published graph lists its weights as inputs too, and those shadow what it dequantises: ONNX Runtime refuses it. Here the weights
become constants, and the one input that is left is the image. The network is a chain of convolutions, each with a BatchNormalization and
a PReLU, and a Gemm between two more BatchNormalizations at its end. What a constant does to a convolution's numbers is folded into the
convolution. The Gemm becomes a convolution as large as its input, so that the slopes of the last PReLU fold into it too.
"""

import math
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
from onnx import ModelProto, NodeProto, helper, numpy_helper

from . import prelu
from .graph import Graph, float_tensor

INPUT = "data"
# What the published graph does to its pixels first. The manifest says it to the server, which does it for every embedder.
MEAN, SCALE = 127.5, 0.0078125


def convert(source: Path) -> ModelProto:
    """Gives `input` [N,3,112,112], RGB as (x-127.5)/128, to `embedding` [N,128], which is not normalised: the server does that."""
    reader = Reader(onnx.load(source))
    for node in reader.nodes:
        if node.op_type not in OPERATORS:
            raise ValueError(f"no conversion for operator {node.op_type}")
        OPERATORS[node.op_type](reader, node)
    return reader.finish()


class Reader:
    """Walks the nodes, which the file lists in execution order. Constants are kept in FP64 until the graph is complete."""

    def __init__(self, model: ModelProto) -> None:
        self.graph = Graph()
        self.nodes = model.graph.node
        (image,) = [value for value in model.graph.input if value.name == INPUT]
        (output,) = model.graph.output
        self._shape = [dimension.dim_value for dimension in image.type.tensor_type.shape.dim]
        self._output = output.name
        self._dimensions = output.type.tensor_type.shape.dim[1].dim_value
        self.values = {tensor.name: numpy_helper.to_array(tensor) for tensor in model.graph.initializer}
        # Which tensor of the new graph stands for one of the file's.
        self.names = {INPUT: "input"}
        # What is left to fold into the weights that read a tensor: a factor and a summand for each of its channels.
        self.pending: dict[str, tuple[np.ndarray, np.ndarray]] = {}
        uses = Counter(name for node in self.nodes for name in node.input if name not in self.values)
        if max(uses.values()) > 1:
            raise ValueError("no conversion for a network that is not a chain: folding would change what else reads a result")
        self._steps = dict.fromkeys(("Sub", "Mul"), False)

    def skip(self, node: NodeProto) -> None:
        """The node's result is its first input."""
        self.names[node.output[0]] = self.names[node.input[0]]

    def preprocess(self, node: NodeProto, expected: float) -> None:
        """Leave a step of the pre-processing to the server."""
        number = self.values[node.input[1]]
        if self.names.get(node.input[0]) != "input" or number.tolist() != [expected] or self._steps[node.op_type]:
            raise ValueError(f"{node.op_type} is not the known pre-processing")
        self._steps[node.op_type] = True
        self.skip(node)

    def producer(self, name: str) -> NodeProto | None:
        """The new graph's node for a tensor of the file; `None` for the image."""
        return next((node for node in self.graph.nodes if node.output[0] == self.names[name]), None)

    def finish(self) -> ModelProto:
        if not all(self._steps.values()):
            raise ValueError("the known pre-processing is missing")
        if self.pending:
            raise ValueError("a BatchNormalization without a layer to fold it into")
        for name, value in self.graph.constants.items():
            self.graph.constant(name, value.astype(np.float32))
        prelu.rewrite(self.graph)
        self.graph.add("Flatten", [self.names[self._output]], "embedding", axis=1)
        image = float_tensor("input", ["N", *self._shape[1:]])
        return self.graph.model([image], [float_tensor("embedding", ["N", self._dimensions])])


def attributes(node: NodeProto) -> dict:
    return {attribute.name: helper.get_attribute_value(attribute) for attribute in node.attribute}


def dequantize(reader: Reader, node: NodeProto) -> None:
    """(q - zero) * scale, where a scale and a zero point serve `block_size` numbers along `axis`."""
    quantized, scale, zero = (reader.values[name].astype(np.float64) for name in node.input)
    options = attributes(node)
    axis, block = options["axis"], options["block_size"]
    scale, zero = (np.repeat(part, block, axis) for part in (scale, zero))
    if not quantized.shape == scale.shape == zero.shape:
        raise ValueError("no conversion for a block that is not full")
    reader.values[node.output[0]] = (quantized - zero) * scale


def reshape(reader: Reader, node: NodeProto) -> None:
    """Only of weights: a KeyError says that something computed is reshaped."""
    value, shape = (reader.values[name] for name in node.input)
    reader.values[node.output[0]] = value.reshape(shape)


def convolution(reader: Reader, node: NodeProto) -> None:
    x, weight = node.input
    if reader.names[x] in reader.pending:
        raise ValueError("no conversion for a BatchNormalization before a convolution, whose padding it would change")
    name = reader.names[node.output[0]] = node.output[0]
    value = reader.values[weight].astype(np.float64)
    weight = reader.graph.constant(f"{name}.weight", value)
    bias = reader.graph.constant(f"{name}.bias", np.zeros(len(value)))
    reader.graph.add("Conv", [reader.names[x], weight, bias], name, **attributes(node))


def batch_normalization(reader: Reader, node: NodeProto) -> None:
    """Fold it into the convolution before it; behind a PReLU it waits for the Gemm."""
    gamma, beta, mean, variance = (reader.values[name].astype(np.float64) for name in node.input[1:])
    factor = gamma / np.sqrt(variance + attributes(node)["epsilon"])
    summand = beta - mean * factor
    before = reader.producer(node.input[0])
    if before is not None and before.op_type == "Conv":
        constants = reader.graph.constants
        _, weight, bias = before.input
        constants[weight] = constants[weight] * factor[:, None, None, None]
        constants[bias] = constants[bias] * factor + summand
    else:
        reader.pending[reader.names[node.input[0]]] = (factor, summand)
    reader.skip(node)


def parametric_relu(reader: Reader, node: NodeProto) -> None:
    x, slope = node.input
    name = reader.names[node.output[0]] = node.output[0]
    reader.graph.add("PRelu", [reader.names[x], reader.graph.constant(f"{name}.slope", reader.values[slope])], name)


def gemm(reader: Reader, node: NodeProto) -> None:
    """Behind a Flatten of square planes: a convolution whose kernel covers them."""
    options = attributes(node)
    if (options["alpha"], options["beta"], options["transA"], options["transB"]) != (1.0, 1.0, 0, 1):
        raise ValueError("no conversion for a Gemm with other options")
    x, weight, bias = reader.names[node.input[0]], *(reader.values[name] for name in node.input[1:])
    factor, summand = reader.pending.pop(x)
    channels = len(factor)
    side = round((weight.shape[1] / channels) ** 0.5)
    value = weight.reshape(len(weight), channels, side, side)
    # Exact sums: those of numpy depend on the processor, and the bytes must not.
    bias = bias + [math.fsum((row * summand[:, None, None]).flat) for row in value]
    name = reader.names[node.output[0]] = node.output[0]
    weight = reader.graph.constant(f"{name}.weight", value * factor[None, :, None, None])
    reader.graph.add("Conv", [x, weight, reader.graph.constant(f"{name}.bias", bias)], name, group=1, kernel_shape=[side, side])


OPERATORS: dict[str, Callable[[Reader, NodeProto], None]] = {
    "DequantizeLinear": dequantize,
    "Reshape": reshape,
    "Sub": lambda reader, node: reader.preprocess(node, MEAN),
    "Mul": lambda reader, node: reader.preprocess(node, SCALE),
    "Conv": convolution,
    "BatchNormalization": batch_normalization,
    "PRelu": parametric_relu,
    "Constant": lambda _reader, _node: None,  # the ratio of the Dropout
    "Dropout": Reader.skip,
    "Flatten": Reader.skip,
    "Gemm": gemm,
}
