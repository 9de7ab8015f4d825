"""What the attributes are worth, over the running server: `make bench-attributes DATA=folder` with crops.zip and labels.csv (CelebA, research
only). Balanced accuracy on the split `val`, by sex and for men with only a mustache. With EMOTIONS=file.onnx (the FER network of 64 px) also a
confusion table on the faces of the test photos. And what `ALL` costs over `DEFAULT`.
"""

import argparse
import csv
import io
import os
import statistics
import sys
import tempfile
import time
import zipfile
from collections import Counter, defaultdict
from pathlib import Path

import numpy
import onnxruntime
import photos
from PIL import Image, ImageOps

sys.path.insert(0, str(Path(__file__).parents[1] / "tests/clients"))
import pictures  # noqa: E402
from servers import ROOT, Server  # noqa: E402

BY_EYE = ROOT / "training/beard-corrections.csv"
LABELS = {
    "beard": "Beard",
    "mustache": "Mustache",
    "eyeglasses": "Eyeglasses",
    "sunglasses": "Sunglasses",
    "smile": "Smile",
    "mouth_open": "MouthOpen",
    "male": "Gender",
}
BARS = {"beard": 0.86, "mustache": 0.90, "eyeglasses": 0.95, "sunglasses": 0.95, "smile": 0.90, "mouth_open": 0.88, "male": 0.93}
# The crops end close to the face: their borders go on for so many pixels, so that the detector sees one.
BORDER = 32
FER = ["ANGRY", "DISGUSTED", "FEAR", "HAPPY", "SAD", "SURPRISED", "CALM"]
FER_SIDE = 64
CALLS = 40
WARM_UP = 5


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("data", type=Path, nargs="?", help="folder with crops.zip and labels.csv")
    parser.add_argument("--pack", default="standard")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, Server(Path(folder), pack=options.pack) as server:
        costs(server.client)
        if options.data:
            accuracies(server.client, options.data)
        if os.environ.get("EMOTIONS"):
            emotions(server.client, onnxruntime.InferenceSession(os.environ["EMOTIONS"]))


def costs(client):
    """Milliseconds of DetectFaces without and with all attributes, in turn."""
    print("| | DEFAULT, p50 | ALL, p50 | ratio | extra | bar |\n|---|---|---|---|---|---|")
    for name, data, bar in (
        ("one face, 1080p", photos.one_face(client, (1920, 1080))[0], "2.2 times"),
        ("twenty faces, 1600 x 1280", photos.group(client), "300 ms extra"),
    ):
        times = defaultdict(list)
        for call in range(WARM_UP + CALLS):
            for wanted in ("DEFAULT", "ALL"):
                begin = time.perf_counter()
                client.detect_faces(Image={"Bytes": data}, Attributes=[wanted])
                if call >= WARM_UP:
                    times[wanted].append(1000 * (time.perf_counter() - begin))
        default, everything = (statistics.median(times[wanted]) for wanted in ("DEFAULT", "ALL"))
        print(f"| {name} | {default:.1f} ms | {everything:.1f} ms | {everything / default:.2f} | {everything - default:.0f} ms | {bar} |")
    print()


def accuracies(client, data):
    with zipfile.ZipFile(data / "crops.zip") as crops, open(data / "labels.csv", newline="") as labels:
        rows = [row for row in csv.DictReader(labels) if row["split"] == "val"]
        found = {row["file"]: answers(client, crops.read(row["file"])) for row in rows}
    seen = [row for row in rows if found[row["file"]]]
    print(f"{len(rows)} faces of val, {len(seen)} found\n")
    print("| | balanced accuracy | bar | yes found | no found | men | women |\n|---|---|---|---|---|---|---|")
    for label in LABELS:
        whole, men, women = (
            rates([(row[label], found[row["file"]][label]) for row in seen if row[label] and row["male"] in sex]) for sex in ("01", "1", "0")
        )
        by_sex = " | " if label == "male" else f"{balanced(men)} | {balanced(women)}"
        print(f"| {label} | {balanced(whole)} | {BARS[label]:.2f} | {whole[0]:.3f} | {whole[1]:.3f} | {by_sex} |")
    with open(BY_EYE, newline="") as corrections:
        to_the_eye = {row["file"]: row["seen"] for row in csv.DictReader(corrections)}
    only = [row for row in seen if (row["male"], row["mustache"], row["beard"]) == ("1", "1", "0")]
    groups = {"by label": only, "by eye": [row for row in only if to_the_eye.get(row["file"]) == "mustache"]}
    print("\n| men with only a mustache | faces | beard fires | mustache fires |\n|---|---|---|---|")
    for name, men in groups.items():
        shares = [numpy.mean([found[row["file"]][label] for row in men]) for label in ("beard", "mustache")] if men else []
        print(f"| {name} | {len(men)} | " + " | ".join(f"{share:.3f}" for share in shares) + " |")


def answers(client, crop):
    """Label -> yes or no for the largest face, or nothing."""
    pixels = numpy.asarray(Image.open(io.BytesIO(crop)).convert("RGB"))
    padded = Image.fromarray(numpy.pad(pixels, ((BORDER, BORDER), (BORDER, BORDER), (0, 0)), "edge"))
    faces = detect(client, padded, "PNG")
    if not faces:
        return None
    values = {label: faces[0][member]["Value"] for label, member in LABELS.items()}
    return {**values, "male": values["male"] == "Male"}


def rates(pairs):
    """How many of the yes and of the no are told so; NaN where there are fewer than ten."""
    sides = [[answer == (label == "1") for label, answer in pairs if label == wanted] for wanted in "10"]
    return [numpy.mean(side) if len(side) >= 10 else float("nan") for side in sides]


def balanced(both):
    return "(few)" if numpy.isnan(both).any() else f"{numpy.mean(both):.3f}"


def emotions(client, reference):
    files = [*photos.PHOTOS.glob("*.jpg"), *photos.FIXTURES.glob("identities/**/*.jpg"), *photos.FIXTURES.glob("scenes/*.jpg")]
    table, smiles, faces = defaultdict(Counter), Counter(), 0
    for photo in sorted(files):
        image = ImageOps.exif_transpose(Image.open(photo)).convert("RGB")
        for face in detect(client, image, "JPEG", quality=85):
            if face["BoundingBox"]["Height"] * image.height < FER_SIDE:
                continue
            faces += 1
            top = face["Emotions"][0]["Type"]
            table[judged(reference, image, face["BoundingBox"])][top] += 1
            if face["Smile"]["Value"] and face["Smile"]["Confidence"] >= 95:
                smiles[top] += 1
    ours = ["HAPPY", "SURPRISED", "CALM", "CONFUSED", "SAD", "DISGUSTED", "FEAR", "ANGRY"]
    print(f"\n{faces} faces; rows: the reference, columns: the server's first\n")
    print("| | " + " | ".join(ours) + " |\n|---|" + "---|" * len(ours))
    for emotion in FER:
        print(f"| {emotion} | " + " | ".join(str(table[emotion][own]) for own in ours) + " |")
    agree = sum(table[emotion][emotion] for emotion in FER)
    print(f"\n{agree} of {faces} agree. Of {smiles.total()} clear smiles (Smile with 95 or more) {smiles['HAPPY']} have HAPPY first: {dict(smiles)}")


def judged(reference, image, box):
    """The reference's first emotion of a square around the box."""
    width, height = box["Width"] * image.width, box["Height"] * image.height
    x, y, side = box["Left"] * image.width + width / 2, box["Top"] * image.height + height / 2, max(width, height)
    crop = image.convert("L").crop((round(x - side / 2), round(y - side / 2), round(x + side / 2), round(y + side / 2)))
    grey = numpy.asarray(crop.resize((FER_SIDE, FER_SIDE), Image.Resampling.BILINEAR), numpy.float32) / 127.5 - 1
    shape = reference.get_inputs()[0].shape
    logits = reference.run(None, {reference.get_inputs()[0].name: grey[None, :, :, None] if shape[-1] == 1 else grey[None, None]})[0]
    return FER[int(logits.ravel().argmax())]


def detect(client, image, kind, **options):
    return client.detect_faces(Image={"Bytes": pictures.saved(image, kind, **options)}, Attributes=["ALL"])["FaceDetails"]


if __name__ == "__main__":
    main()
