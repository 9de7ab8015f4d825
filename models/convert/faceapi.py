"""face-api's networks to ONNX: the package holds only their weights, the layers are written down here after its source.

A `-weights_manifest.json` lists the weights in the order in which the `.bin` holds them, most of them as bytes q that stand for q*scale+min.
TensorFlow.js has NHWC and SAME padding; here it is NCHW, the batch is the symbolic dimension `N`, and what the package does to the pixels
before the first layer is inside the graph: `input` [N,3,112,112] is RGB as 0 to 255.
"""

import json
from pathlib import Path

import numpy as np
from onnx import ModelProto

from .graph import Graph, float_tensor, same_padding

SIZE = 112
MEAN_RGB = [122.782, 117.001, 104.298]


def convert_age_gender(manifest: Path, weights: Path) -> ModelProto:
    """Gives `age` [N,1] in years and `gender` [N,2], the probabilities of male and female (`src/ageGenderNet`, `src/xception`)."""
    net = Net(read_weights(manifest, weights))
    x = net.relu(net.conv(net.image(), "entry_flow/conv_in", stride=2))
    x = reduction_block(net, x, "entry_flow/reduction_block_0", first=True)
    x = reduction_block(net, x, "entry_flow/reduction_block_1")
    for index in range(2):
        x = main_block(net, x, f"middle_flow/main_block_{index}")
    x = reduction_block(net, x, "exit_flow/reduction_block")
    x = net.relu(net.separable(x, "exit_flow/separable_conv"))
    x = net.average(x)
    net.dense(x, "fc/age", "age")
    net.softmax(net.dense(x, "fc/gender", "gender.logits"), "gender")
    return net.model(age=1, gender=2)


def convert_expressions(manifest: Path, weights: Path) -> ModelProto:
    """Gives `expressions` [N,7], the probabilities of neutral, happy, sad, angry, fearful, disgusted, surprised
    (`src/faceExpressionNet`, `src/faceFeatureExtractor`).
    """
    net = Net(read_weights(manifest, weights))
    x = dense_block(net, net.conv(net.image(), "dense0/conv0", stride=2), "dense0")
    for block in ("dense1", "dense2", "dense3"):
        x = dense_block(net, net.separable(x, f"{block}/conv0", stride=2), block)
    net.softmax(net.dense(net.average(x), "fc", "expressions.logits"), "expressions")
    return net.model(expressions=7)


def reduction_block(net: "Net", x: str, name: str, first: bool = False) -> str:
    y = net.separable(x if first else net.relu(x), f"{name}/separable_conv0")
    y = net.separable(net.relu(y), f"{name}/separable_conv1")
    return net.add(net.max_pool(y), net.conv(x, f"{name}/expansion_conv", stride=2))


def main_block(net: "Net", x: str, name: str) -> str:
    y = x
    for index in range(3):
        y = net.separable(net.relu(y), f"{name}/separable_conv{index}")
    return net.add(y, x)


def dense_block(net: "Net", x: str, name: str) -> str:
    """What comes in is the first convolution's result; each later one reads the sum of all before it."""
    x = net.relu(x)
    total = net.add(x, net.separable(x, f"{name}/conv1"))
    for index in (2, 3):
        total = net.add(total, net.separable(net.relu(total), f"{name}/conv{index}"))
    return net.relu(total)


def read_weights(manifest: Path, weights: Path) -> dict[str, np.ndarray]:
    """Every weight by name, widened to FP32 as TensorFlow.js does it; bytes too many or too few are an error."""
    raw, start, values = weights.read_bytes(), 0, {}
    for entry in (entry for group in json.loads(manifest.read_text()) for entry in group["weights"]):
        quantization = entry.get("quantization")
        if entry["dtype"] != "float32" or (quantization and quantization["dtype"] != "uint8"):
            raise ValueError(f"no conversion for the type of weight {entry['name']}")
        shape = entry["shape"]
        stored = np.dtype("u1" if quantization else "<f4")
        value = np.frombuffer(raw, stored, int(np.prod(shape)), start).reshape(shape)
        start += value.nbytes
        if quantization:
            value = value.astype(np.float64) * quantization["scale"] + quantization["min"]
        values[entry["name"]] = value.astype(np.float32)
    if start != len(raw):
        raise ValueError(f"{weights.name} has {len(raw)} bytes, its manifest describes {start}")
    return values


class Net:
    """The graph under construction, with the side of every square tensor, on which SAME padding depends."""

    def __init__(self, weights: dict[str, np.ndarray]) -> None:
        self.graph = Graph()
        self._weights = weights
        self._sides: dict[str, int] = {}

    def image(self) -> str:
        """The pixels less their mean, over 255: not folded into the first convolution, whose padding is 0 after it."""
        mean = self.graph.constant("mean", np.array(MEAN_RGB, np.float32).reshape(1, 3, 1, 1))
        scale = self.graph.constant("scale", np.array(255, np.float32))
        self.graph.add("Sub", ["input", mean], "centred")
        return self._add("Div", ["centred", scale], "normalized", SIZE)

    def conv(self, x: str, name: str, stride: int) -> str:
        """Weights HWIO."""
        weight = self._weight(f"{name}/filters", (3, 2, 0, 1))
        return self._conv([x, weight, self._weight(f"{name}/bias", (0,))], name, stride)

    def separable(self, x: str, name: str, stride: int = 1) -> str:
        """A depthwise convolution with weights HWC1 and a pointwise one with weights 11IO, nothing between them."""
        depthwise = self._weight(f"{name}/depthwise_filter", (2, 3, 0, 1))
        pointwise = self._weight(f"{name}/pointwise_filter", (3, 2, 0, 1))
        group = self.graph.constants[depthwise].shape[0]
        inner = self._conv([x, depthwise], f"{name}/depthwise", stride, group)
        return self._conv([inner, pointwise, self._weight(f"{name}/bias", (0,))], name, 1)

    def max_pool(self, x: str) -> str:
        side, window = self._sides[x], {"kernel_shape": [3, 3], "strides": [2, 2]}
        pads = same_padding([side, side], [3, 3], [2, 2])
        return self._add("MaxPool", [x], f"{x}/pool", -(-side // 2), pads=pads, **window)

    def relu(self, x: str) -> str:
        return self._add("Relu", [x], f"{x}/relu", self._sides[x])

    def add(self, x: str, y: str) -> str:
        return self._add("Add", [x, y], f"{x}/sum", self._sides[x])

    def average(self, x: str) -> str:
        """The package pools windows of 7x7, and its last image is one such window."""
        if self._sides[x] != 7:
            raise ValueError("the last image is not 7x7")
        self.graph.add("GlobalAveragePool", [x], "average")
        self.graph.add("Flatten", ["average"], "features", axis=1)
        return "features"

    def dense(self, x: str, name: str, output: str) -> str:
        weight, bias = self._weight(f"{name}/weights", (0, 1)), self._weight(f"{name}/bias", (0,))
        self.graph.add("Gemm", [x, weight, bias], output)
        return output

    def softmax(self, x: str, output: str) -> None:
        self.graph.add("Softmax", [x], output, axis=1)

    def model(self, **outputs: int) -> ModelProto:
        if left := self._weights.keys() - self.graph.constants.keys():
            raise ValueError(f"weights without a layer: {', '.join(sorted(left))}")
        tensors = [float_tensor(name, ["N", width]) for name, width in outputs.items()]
        return self.graph.model([float_tensor("input", ["N", 3, SIZE, SIZE])], tensors)

    def _weight(self, name: str, axes: tuple[int, ...]) -> str:
        return self.graph.constant(name, self._weights[name].transpose(axes))

    def _conv(self, inputs: list[str], name: str, stride: int, group: int = 1) -> str:
        side, kernel = self._sides[inputs[0]], list(self.graph.constants[inputs[1]].shape[2:])
        strides = [stride, stride]
        window = {"kernel_shape": kernel, "strides": strides, "pads": same_padding([side, side], kernel, strides)}
        return self._add("Conv", inputs, name, -(-side // stride), group=group, **window)

    def _add(self, op: str, inputs: list[str], output: str, side: int, **attributes) -> str:
        self.graph.add(op, inputs, output, **attributes)
        self._sides[output] = side
        return output
