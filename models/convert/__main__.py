"""`python -m convert NAME OUTPUT SOURCE...`: what `setup.py` runs in the virtual environment that has numpy and onnx."""

import sys
from pathlib import Path

from . import faceapi, openvino_ir, sface, tflite, yunet

CONVERTERS = {
    "yunet": yunet.convert,
    "mobilefacenet": tflite.convert_mobilefacenet,
    "openvino-ir": openvino_ir.convert,
    "sface": sface.convert,
    "face-mesh": tflite.convert_face_mesh,
    "iris": tflite.convert_iris,
    "age-gender": faceapi.convert_age_gender,
    "expressions": faceapi.convert_expressions,
}


def main(name: str, output: str, *sources: str) -> None:
    model = CONVERTERS[name](*(Path(source) for source in sources))
    Path(output).write_bytes(model.SerializeToString(deterministic=True))


if __name__ == "__main__":
    main(*sys.argv[1:])
