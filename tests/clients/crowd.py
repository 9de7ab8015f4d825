"""Made-up faces, in the form that `rekollect import` takes: thousands of them in a second, where photos would take minutes."""

import base64
import hashlib
import json
import random
import struct
import uuid

DIMENSIONS = 512
ACCOUNT = "000000000000"


def export_of(collection, version, faces, alike=False):
    """An export of one collection with so many faces, the same every time. They resemble nobody, or each other if they are `alike`."""
    numbers = random.Random(1)
    common = [3 * numbers.gauss(0, 1) if alike else 0 for _ in range(DIMENSIONS)]
    lines = [
        {
            "kind": "collection",
            "account": ACCOUNT,
            "collection_id": collection,
            "face_model_version": version,
            "created_at_ms": 1_700_000_000_000,
            "tags": {},
            "revision": 0,
        }
    ]
    lines += [_face(numbers, common, number) for number in range(faces)]
    body = b"".join(json.dumps(line).encode() + b"\n" for line in lines)
    end = {"kind": "end", "users": 0, "faces": faces, "sha256": hashlib.sha256(body).hexdigest()}
    around = [json.dumps(line).encode() + b"\n" for line in ({"kind": "header", "version": 1}, end, {"kind": "complete", "collections": 1})]
    return around[0] + body + around[1] + around[2]


def _face(numbers, common, number):
    vector = [value + numbers.gauss(0, 1) for value in common]
    length = sum(value * value for value in vector) ** 0.5
    return {
        "kind": "face",
        "face_id": str(uuid.UUID(int=numbers.getrandbits(128), version=4)),
        "image_id": str(uuid.UUID(int=numbers.getrandbits(128), version=3)),
        "external_image_id": f"made-up-{number:05}.jpg",
        "bounding_box": [0.25, 0.25, 0.5, 0.5],
        "confidence": 99.5,
        "embedding": base64.b64encode(struct.pack(f"<{DIMENSIONS}f", *(value / length for value in vector))).decode(),
    }
