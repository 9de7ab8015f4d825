"""A list of ONNX nodes and constants under construction, and the metadata that every made file shares."""

from collections import Counter

import numpy as np
from onnx import ModelProto, NodeProto, TensorProto, ValueInfoProto, helper, numpy_helper

OPSET = 17
IR_VERSION = 8
PRODUCER = "rekollect"


def set_metadata(model: ModelProto, opset: int = OPSET) -> ModelProto:
    """Fix everything that is not the graph itself: no tool version and no date may leak into a file that is pinned by digest."""
    model.ir_version = IR_VERSION
    model.producer_name = PRODUCER
    model.producer_version = "1"
    model.graph.name = PRODUCER
    for field in ("domain", "doc_string", "model_version", "metadata_props"):
        model.ClearField(field)
    del model.opset_import[:]
    model.opset_import.append(helper.make_opsetid("", opset))
    return model


def float_tensor(name: str, shape: list[int | str]) -> ValueInfoProto:
    """Describe an input or output; a string in the shape is a dimension that each call may choose."""
    return helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)


def same_padding(size: list[int], kernel: list[int], stride: list[int], dilation: tuple[int, int] = (1, 1)) -> list[int]:
    """TensorFlow's SAME, which puts the odd pixel at the end, as ONNX `pads`."""
    begin, end = [], []
    for n, k, s, d in zip(size, kernel, stride, dilation, strict=True):
        total = max((-(-n // s) - 1) * s + (k - 1) * d + 1 - n, 0)
        begin.append(total // 2)
        end.append(total - total // 2)
    return begin + end


class Graph:
    """Nodes in execution order and constants by name."""

    def __init__(self) -> None:
        self.nodes: list[NodeProto] = []
        self.constants: dict[str, np.ndarray] = {}

    def constant(self, name: str, value: np.ndarray) -> str:
        self.constants[name] = np.ascontiguousarray(value)
        return name

    def add(self, op: str, inputs: list[str], output: str, **attributes) -> NodeProto:
        node = helper.make_node(op, inputs, [output], name=output, **attributes)
        self.nodes.append(node)
        return node

    def uses(self) -> Counter:
        """How many inputs each tensor feeds."""
        return Counter(name for node in self.nodes for name in node.input)

    def model(self, inputs: list[ValueInfoProto], outputs: list[ValueInfoProto]) -> ModelProto:
        """Close the graph; constants that no node reads any more are left out."""
        used = self.uses()
        initializers = [numpy_helper.from_array(value, name) for name, value in self.constants.items() if used[name]]
        graph = helper.make_graph(self.nodes, PRODUCER, inputs, outputs, initializers)
        return set_metadata(helper.make_model(graph))
