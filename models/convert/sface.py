"""SFace out of OpenCV Zoo's file with block-wise 8-bit weights (2021dec_int8bq).

The published graph lists its weights as inputs too, and those shadow what it dequantises: ONNX Runtime refuses it. Here the weights
become constants, and the one input that is left is the image. The network is a chain of convolutions, each with a BatchNormalization and
a PReLU, and a Gemm between two more BatchNormalizations at its end.

The convolutions' weights widen to FP32 and take up the BatchNormalizations. The Gemm's are two thirds of all and keep their 8 bits, in
ONNX Runtime's MatMulNBits: that reads a quarter of the bytes and needs a third of the memory. It rounds what it reads to 8 bits too, in
blocks of 64 numbers with a scale each, which moves an embedding by less than a cosine of .99999 shows. On a processor without a kernel
for it (no AVX2, no ARM dot product) ONNX Runtime widens the weights in each run, which is right but slow.
"""

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
ONNX_RUNTIME_DOMAIN = "com.microsoft"
# Products of 8-bit numbers, summed as integers within a block.
ACCURACY_LEVEL_INT8 = 4


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
        # The node that dequantises a weight.
        self.dequantizers: dict[str, NodeProto] = {}
        # Which tensor of the new graph stands for one of the file's.
        self.names = {INPUT: "input"}
        self._steps = dict.fromkeys(("Sub", "Mul"), False)
        uses = Counter(name for node in self.nodes for name in node.input if name not in self.values)
        if max(uses.values()) > 1:
            raise ValueError("no conversion for a network that is not a chain: folding would change what else reads a result")

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
        for name, value in self.graph.constants.items():
            if value.dtype == np.float64:
                self.graph.constant(name, value.astype(np.float32))
        prelu.rewrite(self.graph)
        last = self.producer(self._output)
        last.name = last.output[0] = "embedding"
        image = float_tensor("input", ["N", *self._shape[1:]])
        model = self.graph.model([image], [float_tensor("embedding", ["N", self._dimensions])])
        model.opset_import.append(helper.make_opsetid(ONNX_RUNTIME_DOMAIN, 1))
        return model


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
    reader.dequantizers[node.output[0]] = node


def reshape(reader: Reader, node: NodeProto) -> None:
    """Only of weights: a KeyError says that something computed is reshaped."""
    value, shape = (reader.values[name] for name in node.input)
    reader.values[node.output[0]] = value.reshape(shape)


def add_convolution(reader: Reader, node: NodeProto, weight: np.ndarray, bias: np.ndarray, **options) -> None:
    name = reader.names[node.output[0]] = node.output[0]
    constants = [reader.graph.constant(f"{name}.weight", weight), reader.graph.constant(f"{name}.bias", bias)]
    reader.graph.add("Conv", [reader.names[node.input[0]], *constants], name, **options)


def convolution(reader: Reader, node: NodeProto) -> None:
    weight = reader.values[node.input[1]].astype(np.float64)
    add_convolution(reader, node, weight, np.zeros(len(weight)), **attributes(node))


def batch_normalization(reader: Reader, node: NodeProto) -> None:
    """Fold it into the weights before it; behind a PReLU it is a depthwise convolution, into which the slopes fold."""
    gamma, beta, mean, variance = (reader.values[name].astype(np.float64) for name in node.input[1:])
    factor = gamma / np.sqrt(variance + attributes(node)["epsilon"])
    summand = beta - mean * factor
    before = reader.producer(node.input[0])
    if before is None or before.op_type not in ("Conv", "MatMulNBits"):
        add_convolution(reader, node, factor.reshape(-1, 1, 1, 1), summand, group=len(factor), kernel_shape=[1, 1])
        return
    constants = reader.graph.constants
    scaled, bias = before.input[2 if before.op_type == "MatMulNBits" else 1], before.input[-1]
    constants[scaled] = constants[scaled] * factor.reshape(-1, *[1] * (constants[scaled].ndim - 1))
    constants[bias] = constants[bias] * factor + summand
    reader.skip(node)


def parametric_relu(reader: Reader, node: NodeProto) -> None:
    x, slope = node.input
    name = reader.names[node.output[0]] = node.output[0]
    reader.graph.add("PRelu", [reader.names[x], reader.graph.constant(f"{name}.slope", reader.values[slope])], name)


def flatten(reader: Reader, node: NodeProto) -> None:
    name = reader.names[node.output[0]] = node.output[0]
    reader.graph.add("Flatten", [reader.names[node.input[0]]], name, axis=1)


def gemm(reader: Reader, node: NodeProto) -> None:
    """Its weights stay as they are published, but for the sign: MatMulNBits counts from 0."""
    options = attributes(node)
    if (options["alpha"], options["beta"], options["transA"], options["transB"]) != (1.0, 1.0, 0, 1):
        raise ValueError("no conversion for a Gemm with other options")
    x, weight, bias = node.input
    dequantizer = reader.dequantizers[weight]  # a KeyError says that the weights are not quantised
    quantized, scale, zero = (reader.values[name] for name in dequantizer.input)
    if quantized.dtype != np.int8 or zero.dtype != np.int8:
        raise ValueError("no conversion for a Gemm whose weights are not signed 8-bit numbers")
    (rows, numbers), block = quantized.shape, attributes(dequantizer)["block_size"]
    name = reader.names[node.output[0]] = node.output[0]
    parts = {
        "quantized": (quantized.astype(np.int16) + 128).astype(np.uint8).reshape(rows, -1, block),
        "scale": scale.astype(np.float64),
        "zero": (zero.astype(np.int16) + 128).astype(np.uint8),
        "bias": reader.values[bias].astype(np.float64),
    }
    quantized, scale, zero, bias = (reader.graph.constant(f"{name}.{part}", value) for part, value in parts.items())
    reader.graph.add(
        "MatMulNBits",
        [reader.names[x], quantized, scale, zero, "", bias],
        name,
        domain=ONNX_RUNTIME_DOMAIN,
        K=numbers,
        N=rows,
        bits=8,
        block_size=block,
        accuracy_level=ACCURACY_LEVEL_INT8,
    )


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
    "Flatten": flatten,
    "Gemm": gemm,
}
