"""TensorFlow Lite to ONNX, for small convolutional networks.

Activations turn from NHWC to NCHW and the batch becomes the symbolic dimension `N`; weights in FP16 widen to FP32. Each operator has a
function in `OPERATORS`; an operator or option without one is an error, never a guess.
"""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import tflite
from onnx import ModelProto

from . import prelu
from .graph import Graph, float_tensor, same_padding

Operator = tflite.BuiltinOperator
Activation = tflite.ActivationFunctionType
NUMPY_TYPES = {
    tflite.TensorType.FLOAT16: np.float16,
    tflite.TensorType.FLOAT32: np.float32,
    tflite.TensorType.INT32: np.int32,
}


@dataclass(frozen=True)
class Output:
    """What becomes of an output of the file: its name, its shape behind the batch, and whether a logit turns into a probability."""

    name: str
    shape: list[int]
    probability: bool = False


def convert_mobilefacenet(source: Path) -> ModelProto:
    """MobileFaceNet: `input` [N,3,112,112], RGB as (x-127.5)/128, to `embedding` [N,192], which is not normalised: the server does that."""
    return convert(source, [Output("embedding", [192])])


def convert_face_mesh(source: Path) -> ModelProto:
    """MediaPipe's face mesh: `input` [N,3,192,192], RGB as 0 to 255, to `landmarks` [N,468,3] in pixels of the crop and `presence` [N,1]."""
    return convert(source, [Output("landmarks", [468, 3]), Output("presence", [1], probability=True)], scale=1 / 255)


def convert_iris(source: Path) -> ModelProto:
    """MediaPipe's iris: `input` [N,3,64,64], RGB as 0 to 255, to `contour` [N,71,3] and `iris` [N,5,3], both in pixels of the crop."""
    return convert(source, [Output("contour", [71, 3]), Output("iris", [5, 3])], scale=1 / 255)


def convert(source: Path, outputs: list[Output], scale: float = 1.0) -> ModelProto:
    """Convert a network with one image as input; the file's own input is ours times `scale`."""
    network = Network(source.read_bytes())
    graph = Graph()
    writer = Writer(network, graph, {network.inputs[0]: "input"})
    writer.name_outputs(outputs)
    spelled, swallowed = find_spelled_prelus(network)
    for op in network.operators:
        if op.index in spelled:
            x, slope = spelled[op.index]
            writer.prelu(x, slope, op.outputs[0])
        elif op.index not in swallowed:
            writer.operator(op)
    writer.finish_outputs(outputs)
    if scale != 1.0:
        prelu.scale_readers(graph, "input", scale)
    prelu.rewrite(graph)
    image = float_tensor("input", ["N", *nchw(network.shape(network.inputs[0]))[1:]])
    return graph.model([image], [float_tensor(output.name, ["N", *output.shape]) for output in outputs])


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
        operators = [self._operator(i) for i in range(self._graph.OperatorsLength())]
        # Weights in FP16 are constants behind an operator that widens them.
        self._widened = {op.outputs[0]: op.inputs[0] for op in operators if op.kind == Operator.DEQUANTIZE}
        self.operators = [op for op in operators if op.kind != Operator.DEQUANTIZE]

    def _operator(self, index: int) -> Op:
        raw = self._graph.Operators(index)
        code = self._model.OperatorCodes(raw.OpcodeIndex())
        # Old files have only the deprecated byte, newer ones put operators above 127 in the wide field.
        return Op(index, max(code.BuiltinCode(), code.DeprecatedBuiltinCode()), raw)

    def shape(self, tensor: int) -> list[int]:
        return [int(d) for d in self._graph.Tensors(tensor).ShapeAsNumpy()]

    def constant(self, tensor: int) -> np.ndarray | None:
        """The value of a tensor that the file holds, `None` for one that is computed."""
        if tensor in self._widened:
            value = self.constant(self._widened[tensor])
            if value is None or value.dtype != np.float16:
                raise ValueError("no conversion for a dequantization of anything but FP16 constants")
            return value.astype(np.float32)
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

    def name_outputs(self, outputs: list[Output]) -> None:
        """Give the final name to what is final; `finish_outputs` writes the rest."""
        for tensor, output in zip(self.network.outputs, outputs, strict=True):
            if self.network.shape(tensor)[1:] == output.shape and not output.probability:
                self._names[tensor] = output.name

    def finish_outputs(self, outputs: list[Output]) -> None:
        for tensor, output in zip(self.network.outputs, outputs, strict=True):
            name = self.name(tensor)
            if name == output.name:
                continue
            if len(shape := self.network.shape(tensor)) == 4 and shape[1:3] != [1, 1]:
                raise ValueError("no conversion for an output that is an image")
            result = f"{output.name}.logit" if output.probability else output.name
            target = self.graph.constant(f"{output.name}.shape", np.array([0, *output.shape], np.int64))
            self.graph.add("Reshape", [name, target], result)
            if output.probability:
                self.graph.add("Sigmoid", [result], output.name)

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


def max_pool_2d(writer: Writer, op: Op) -> None:
    x, options = op.inputs[0], op.options(tflite.Pool2DOptions)
    kernel = [options.FilterHeight(), options.FilterWidth()]
    stride = [options.StrideH(), options.StrideW()]
    pads = [0, 0, 0, 0]
    if options.Padding() == tflite.Padding.SAME:
        pads = same_padding(writer.network.shape(x)[1:3], kernel, stride)
    result = writer.finish(op.outputs[0], options.FusedActivationFunction())
    writer.graph.add("MaxPool", [writer.name(x)], result, kernel_shape=kernel, strides=stride, pads=pads)
    writer.activate(op.outputs[0], result)


def pad(writer: Writer, op: Op) -> None:
    """Zero channels at the end, with which a residual block lets its shortcut grow."""
    x, name = op.inputs[0], writer.name(op.outputs[0])
    amounts = writer.network.constant(op.inputs[1]).reshape(-1, 2).tolist()
    if len(amounts) != 4 or amounts[:3] != [[0, 0]] * 3 or amounts[3][0] != 0:
        raise ValueError("no conversion for a padding of anything but channels at the end")
    before = writer.network.shape(x)[3]
    grown = writer.graph.constant(
        f"{name}.weight", np.eye(before + amounts[3][1], before, dtype=np.float32)[:, :, None, None]
    )
    writer.graph.add("Conv", [writer.name(x), grown], name, group=1, kernel_shape=[1, 1])


def prelu_channels(writer: Writer, op: Op) -> None:
    """Slopes [1,1,C]: one a channel."""
    x, slope = op.inputs
    slopes = writer.network.constant(slope)
    if slopes.shape != (1, 1, writer.network.shape(x)[3]):
        raise ValueError("no conversion for a PReLU whose slopes are not one a channel")
    writer.prelu(x, slopes, op.outputs[0])


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
    Operator.MAX_POOL_2D: max_pool_2d,
    Operator.PAD: pad,
    Operator.PRELU: prelu_channels,
    Operator.RESHAPE: reshape,
}
