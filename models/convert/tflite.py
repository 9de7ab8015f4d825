"""TensorFlow Lite to ONNX, for small convolutional networks.

Activations turn from NHWC to NCHW and the batch becomes the symbolic dimension `N`. Each operator has a function in `OPERATORS`; an operator
or option without one is an error, never a guess.
"""

from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
import tflite
from onnx import ModelProto

from . import prelu
from .graph import Graph, float_tensor

Operator = tflite.BuiltinOperator
Activation = tflite.ActivationFunctionType
NUMPY_TYPES = {tflite.TensorType.FLOAT32: np.float32, tflite.TensorType.INT32: np.int32}


def convert_mobilefacenet(source: Path) -> ModelProto:
    """MobileFaceNet: `input` [N,3,112,112], RGB as (x-127.5)/128, to `embedding` [N,192], which is not normalised: the server does that."""
    return convert(source, "input", ["embedding"])


def convert(source: Path, input_name: str, output_names: list[str]) -> ModelProto:
    network = Network(source.read_bytes())
    graph = Graph()
    names = {network.inputs[0]: input_name, **dict(zip(network.outputs, output_names, strict=True))}
    writer = Writer(network, graph, names)
    spelled, swallowed = find_spelled_prelus(network)
    for op in network.operators:
        if op.index in spelled:
            x, slope = spelled[op.index]
            writer.prelu(x, slope, op.outputs[0])
        elif op.index not in swallowed:
            writer.operator(op)
    prelu.rewrite(graph)
    inputs = [float_tensor(input_name, ["N", *nchw(network.shape(network.inputs[0]))[1:]])]
    outputs = [
        float_tensor(name, ["N", *nchw(network.shape(tensor))[1:]])
        for tensor, name in zip(network.outputs, output_names, strict=True)
    ]
    return graph.model(inputs, outputs)


def nchw(shape: list[int]) -> list[int]:
    """The shape of an activation in our layout; only those of four dimensions have one."""
    return [shape[0], shape[3], shape[1], shape[2]] if len(shape) == 4 else shape


class Op:
    """One operator of the file: its kind, tensors (by number; -1 stands for a missing one) and options."""

    def __init__(self, index: int, kind: int, raw: tflite.Operator) -> None:
        self.index = index
        self.kind = kind
        self.inputs = [int(i) for i in raw.InputsAsNumpy()]
        self.outputs = [int(i) for i in raw.OutputsAsNumpy()]
        self._raw = raw

    def options(self, options_class: type):
        options = options_class()
        table = self._raw.BuiltinOptions()
        options.Init(table.Bytes, table.Pos)
        return options


class Network:
    """Read access to the one subgraph of a file."""

    def __init__(self, data: bytes) -> None:
        self._model = tflite.Model.GetRootAs(data, 0)
        self._graph = self._model.Subgraphs(0)
        self.inputs = [int(i) for i in self._graph.InputsAsNumpy()]
        self.outputs = [int(i) for i in self._graph.OutputsAsNumpy()]
        self.operators = [self._operator(i) for i in range(self._graph.OperatorsLength())]

    def _operator(self, index: int) -> Op:
        raw = self._graph.Operators(index)
        code = self._model.OperatorCodes(raw.OpcodeIndex())
        # Old files have only the deprecated byte, newer ones put operators above 127 in the wide field.
        return Op(index, max(code.BuiltinCode(), code.DeprecatedBuiltinCode()), raw)

    def shape(self, tensor: int) -> list[int]:
        return [int(d) for d in self._graph.Tensors(tensor).ShapeAsNumpy()]

    def constant(self, tensor: int) -> np.ndarray | None:
        """The value of a tensor that the file holds, `None` for one that is computed."""
        raw = self._graph.Tensors(tensor)
        buffer = self._model.Buffers(raw.Buffer())
        if buffer.DataLength() == 0:
            return None
        return buffer.DataAsNumpy().view(NUMPY_TYPES[raw.Type()]).reshape(self.shape(tensor))


def find_spelled_prelus(network: Network) -> tuple[dict[int, tuple[int, np.ndarray]], set[int]]:
    """Find relu(x) + k*(x-|x|), which is prelu(x, 2k) as TensorFlow's graph builders spell it.

    Returns for the operator that ends each one its x and slope, and the operators that it makes needless.
    """
    producers = {op.outputs[0]: op for op in network.operators}
    readers = Counter(tensor for op in network.operators for tensor in op.inputs)
    spelled, swallowed = {}, set()
    for end in network.operators:
        if end.kind != Operator.ADD:
            continue
        relu, product = (producers.get(tensor) for tensor in end.inputs)
        if relu is None or product is None or (relu.kind, product.kind) != (Operator.RELU, Operator.MUL):
            continue
        factor, difference = network.constant(product.inputs[0]), producers.get(product.inputs[1])
        if factor is None or difference is None or difference.kind != Operator.SUB:
            continue
        magnitude = producers.get(difference.inputs[1])
        x = relu.inputs[0]
        if magnitude is None or magnitude.kind != Operator.ABS or magnitude.inputs != [x] or difference.inputs[0] != x:
            continue
        parts = [relu, product, difference, magnitude]
        if all(readers[part.outputs[0]] == 1 for part in parts):
            spelled[end.index] = (x, 2.0 * factor)
            swallowed.update(part.index for part in parts)
    return spelled, swallowed


class Writer:
    """Writes one operator after another to the ONNX graph."""

    def __init__(self, network: Network, graph: Graph, names: dict[int, str]) -> None:
        self.network = network
        self.graph = graph
        self._names = names

    def operator(self, op: Op) -> None:
        if op.kind not in OPERATORS:
            raise ValueError(f"no conversion for TensorFlow Lite operator {op.kind}")
        OPERATORS[op.kind](self, op)

    def name(self, tensor: int) -> str:
        return self._names.get(tensor, f"t{tensor}")

    def weight(self, tensor: int, axes: tuple[int, ...]) -> str:
        return self.graph.constant(self.name(tensor), self.network.constant(tensor).transpose(axes))

    def operand(self, tensor: int) -> str:
        """An input of an elementwise operator; a constant is laid out to broadcast against NCHW."""
        value = self.network.constant(tensor)
        if value is None:
            return self.name(tensor)
        if value.ndim == 1:
            value = value.reshape(-1, 1, 1)
        elif value.ndim == 4:
            value = value.transpose(0, 3, 1, 2)
        return self.graph.constant(self.name(tensor), value)

    def prelu(self, x: int, slope: np.ndarray, output: int) -> None:
        name = self.name(output)
        slope = self.graph.constant(f"{name}.slope", slope.reshape(-1, 1, 1))
        self.graph.add("PRelu", [self.name(x), slope], name)

    def finish(self, output: int, activation: int) -> str:
        """The name for an operator's own result, followed by a Relu when one is fused into it."""
        name = self.name(output)
        if activation == Activation.NONE:
            return name
        if activation != Activation.RELU:
            raise ValueError(f"no conversion for fused activation {activation}")
        return f"{name}.linear"

    def activate(self, output: int, result: str) -> None:
        if result != self.name(output):
            self.graph.add("Relu", [result], self.name(output))


def same_padding(size: list[int], kernel: list[int], stride: list[int], dilation: list[int]) -> list[int]:
    """TensorFlow's SAME, which puts the odd pixel at the end, as ONNX `pads`."""
    begin, end = [], []
    for n, k, s, d in zip(size, kernel, stride, dilation, strict=True):
        total = max((-(-n // s) - 1) * s + (k - 1) * d + 1 - n, 0)
        begin.append(total // 2)
        end.append(total - total // 2)
    return begin + end


def write_convolution(writer: Writer, op: Op, options, axes: tuple[int, ...], group: int) -> None:
    x, weight, *bias = op.inputs
    weight_name = writer.weight(weight, axes)
    kernel = list(writer.graph.constants[weight_name].shape[2:])
    stride = [options.StrideH(), options.StrideW()]
    dilation = [options.DilationHFactor(), options.DilationWFactor()]
    pads = [0, 0, 0, 0]
    if options.Padding() == tflite.Padding.SAME:
        pads = same_padding(writer.network.shape(x)[1:3], kernel, stride, dilation)
    inputs = [writer.name(x), weight_name, *(writer.weight(tensor, (0,)) for tensor in bias if tensor >= 0)]
    result = writer.finish(op.outputs[0], options.FusedActivationFunction())
    writer.graph.add(
        "Conv", inputs, result, group=group, kernel_shape=kernel, strides=stride, dilations=dilation, pads=pads
    )
    writer.activate(op.outputs[0], result)


def conv_2d(writer: Writer, op: Op) -> None:
    """Weights OHWI."""
    write_convolution(writer, op, op.options(tflite.Conv2DOptions), (0, 3, 1, 2), 1)


def depthwise_conv_2d(writer: Writer, op: Op) -> None:
    """Weights 1HWC, where C counts output channels."""
    channels = writer.network.shape(op.inputs[0])[3]
    write_convolution(writer, op, op.options(tflite.DepthwiseConv2DOptions), (3, 0, 1, 2), channels)


def add(writer: Writer, op: Op) -> None:
    result = writer.finish(op.outputs[0], op.options(tflite.AddOptions).FusedActivationFunction())
    writer.graph.add("Add", [writer.operand(tensor) for tensor in op.inputs], result)
    writer.activate(op.outputs[0], result)


def reshape(writer: Writer, op: Op) -> None:
    """To [batch, ...]; the order of the numbers is that of NHWC."""
    x, name = writer.name(op.inputs[0]), writer.name(op.outputs[0])
    before, after = writer.network.shape(op.inputs[0]), writer.network.shape(op.outputs[0])
    if before[0] != after[0] or len(after) == 4:
        raise ValueError("no conversion for a reshape that touches the batch or ends in an image")
    if len(before) == 4 and before[1:3] != [1, 1]:
        writer.graph.add("Transpose", [x], f"{name}.nhwc", perm=[0, 2, 3, 1])
        x = f"{name}.nhwc"
    shape = writer.graph.constant(f"{name}.shape", np.array([0, *after[1:]], np.int64))
    writer.graph.add("Reshape", [x, shape], name)


OPERATORS: dict[int, Callable[[Writer, Op], None]] = {
    Operator.CONV_2D: conv_2d,
    Operator.DEPTHWISE_CONV_2D: depthwise_conv_2d,
    Operator.ADD: add,
    Operator.RESHAPE: reshape,
}
