"""YuNet (2023mar and YuNet-n): any height and width that are multiples of 32.

The published 2023mar file declares 640x640, but its nodes work at any size: only the declarations tie it down. YuNet-n is dynamic, but
gives one name to dimensions that differ. Both come out with the same interface: `input` [1,3,H,W], and per stride s the outputs
`cls_s`, `obj_s`, `bbox_s` and `kps_s` of [1,n_s,k]. The nodes and weights stay as they are, opset included.
"""

from pathlib import Path

import onnx
from onnx import ModelProto

from .graph import float_tensor, set_metadata


def convert(source: Path) -> ModelProto:
    model = onnx.load(source)
    graph = model.graph
    (image,) = graph.input
    image.CopyFrom(float_tensor(image.name, [1, 3, "H", "W"]))
    for output in graph.output:
        stride = output.name.rpartition("_")[2]
        width = output.type.tensor_type.shape.dim[2].dim_value
        output.CopyFrom(float_tensor(output.name, [1, f"n{stride}", width]))
    del graph.value_info[:]
    return set_metadata(model, opset=model.opset_import[0].version)
