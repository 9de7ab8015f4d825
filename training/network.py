"""The network, and its translation to ONNX: written out by hand, so that the file depends on nothing but the weights."""

import math
from pathlib import Path

import numpy as np
import onnx
import torch
from onnx import TensorProto, helper, numpy_helper
from torch import nn

from faces import ATTRIBUTES, SIDE, TARGETS

OPSET = 17
MEAN, SCALE = 127.5, 1 / 64


class Unit(nn.Module):
    """Convolution, batch norm and, but for a block's second half, ReLU."""

    def __init__(self, before: int, after: int, *, side: int = 3, stride: int = 1, padding: int = 1, groups: int = 1, relu: bool = True):
        super().__init__()
        self.convolution = nn.Conv2d(before, after, side, stride, padding, bias=False, groups=groups)
        self.norm = nn.BatchNorm2d(after)
        self.relu = relu

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.norm(self.convolution(x))
        return torch.relu(x) if self.relu else x

    def folded(self) -> tuple[np.ndarray, np.ndarray]:
        """Weights and bias of the one convolution that does what this unit does when it no longer learns."""
        factor = self.norm.weight / torch.sqrt(self.norm.running_var + self.norm.eps)
        weight = self.convolution.weight * factor[:, None, None, None]
        bias = self.norm.bias - self.norm.running_mean * factor
        return weight.detach().double().numpy(), bias.detach().double().numpy()


class Block(nn.Module):
    """Two units and a way past them."""

    def __init__(self, channels: int):
        super().__init__()
        self.first, self.second = Unit(channels, channels), Unit(channels, channels, relu=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.relu(x + self.second(self.first(x)))


class Traits(nn.Module):
    """A small residual network. A weight for each place and channel sums the last map up: in an aligned face, a chin is where chins are."""

    def __init__(self, channels: tuple[int, ...], blocks: tuple[int, ...], dropout: float):
        super().__init__()
        steps, before = [], 3
        for after, count in zip(channels, blocks):
            steps += [Unit(before, after, stride=2), *(Block(after) for _ in range(count))]
            before = after
        steps.append(Unit(before, before, side=math.ceil(SIDE / 2 ** len(channels)), padding=0, groups=before))
        self.steps = nn.Sequential(*steps)
        self.dropout = nn.Dropout(dropout)
        self.last = nn.Linear(before, len(TARGETS))

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        features = self.steps((pixels - MEAN) * SCALE).flatten(1)
        return self.last(self.dropout(features))


class Graph:
    """Nodes and weights of an ONNX graph under way. Weights are kept in 16 bits: half the file, and widened once when it is loaded."""

    def __init__(self) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.weights: list[onnx.TensorProto] = []

    def add(self, operator: str, inputs: list[str], **attributes) -> str:
        name = f"{operator.lower()}_{len(self.nodes)}"
        self.nodes.append(helper.make_node(operator, inputs, [name], name=name, **attributes))
        return name

    def weight(self, value: np.ndarray) -> str:
        name = f"weight_{len(self.weights)}"
        self.weights.append(numpy_helper.from_array(np.ascontiguousarray(value, np.float16), name))
        return self.add("Cast", [name], to=TensorProto.FLOAT)

    def unit(self, unit: Unit, x: str, scale: float = 1) -> str:
        weight, bias = unit.folded()
        convolution = unit.convolution
        padding = list(convolution.padding) * 2
        inputs = [x, self.weight(weight * scale), self.weight(bias)]
        x = self.add("Conv", inputs, strides=list(convolution.stride), pads=padding, group=convolution.groups)
        return self.add("Relu", [x]) if unit.relu else x

    def block(self, block: Block, x: str) -> str:
        return self.add("Relu", [self.add("Add", [x, self.unit(block.second, self.unit(block.first, x))])])


def write_onnx(model: Traits, path: Path, metadata: dict[str, str]) -> None:
    """The model as ONNX: `input` [N,3,S,S], RGB 0-255, to `logits` [N,K] in the order of ATTRIBUTES; the helpers are left out."""
    graph = Graph()
    mean = numpy_helper.from_array(np.array(MEAN, np.float32), "mean")
    # The mean is taken off here and not in the first convolution's bias, which the zeros of the padding would belie.
    x, scale = graph.add("Sub", ["input", "mean"]), SCALE
    for step in model.steps:
        x = graph.block(step, x) if isinstance(step, Block) else graph.unit(step, x, scale)
        scale = 1
    x = graph.add("Flatten", [x])
    count = len(ATTRIBUTES)
    weight, bias = (value.detach().numpy()[:count] for value in (model.last.weight, model.last.bias))
    graph.nodes.append(helper.make_node("Gemm", [x, graph.weight(weight), graph.weight(bias)], ["logits"], name="logits", transB=1))
    taken = helper.make_tensor_value_info("input", TensorProto.FLOAT, ["N", 3, SIDE, SIDE])
    given = helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["N", count])
    proto = helper.make_graph(graph.nodes, "traits", [taken], [given], [mean, *graph.weights])
    made = helper.make_model(proto, opset_imports=[helper.make_opsetid("", OPSET)], producer_name="rekollect")
    made.ir_version = 8
    helper.set_model_props(made, metadata)
    onnx.checker.check_model(made, full_check=True)
    path.write_bytes(made.SerializeToString(deterministic=True))
