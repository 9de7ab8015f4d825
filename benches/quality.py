"""Quality over the running server: `make bench-quality`. The tables of docs/quality.md.

What each level of the filter leaves out, by reason; and brightness and sharpness over series of blur, exposure and size made from faces of
the photos, with how many steps go the wrong way. With LIGHTQNET=file.onnx also the rank correlation of sharpness with LightQNet's score.
"""

import argparse
import os
import sys
import tempfile
from collections import Counter, defaultdict
from pathlib import Path

import numpy
import onnxruntime
from photos import SETS
from PIL import Image, ImageFilter, ImageOps

sys.path.insert(0, str(Path(__file__).parents[1] / "tests/clients"))
import pictures  # noqa: E402
from servers import Server  # noqa: E402

# Faces for the series: real photos, not generated ones.
IN_SERIES = list(SETS)[:3]
LEVELS = ("LOW", "AUTO", "MEDIUM", "HIGH")
HEIGHT = 200  # of the face that a series starts from, in pixels
NATIVE = 130  # a face is taken that was at least so high
SERIES = {
    "Gaussian blur, deviation in px": (0, 1, 2, 3, 4, 5, 6),
    "exposure, stops": (-3, -2, -1, 0, 1, 2, 3),
    "face height, px": (200, 150, 100, 60, 40, 30, 20, 12),
}
EYES_NOSE_MOUTH = ("eyeLeft", "eyeRight", "nose", "mouthLeft", "mouthRight")
ARCFACE = numpy.array([[38.2946, 51.6963], [73.5318, 51.5014], [56.0252, 71.7366], [41.5493, 92.3655], [70.7299, 92.2041]])
LIGHTQNET_SIDE = 96


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("pack", nargs="?", default="standard")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, Server(Path(folder), pack=options.pack) as server:
        filters(server.client)
        series(server.client)


def filters(client):
    print("| | faces | " + " | ".join(LEVELS) + " |\n|---|---|" + "---|" * len(LEVELS))
    client.create_collection(CollectionId="quality")
    for name, photos in SETS.items():
        if photos:
            columns = [dropped(client, photos, level) for level in LEVELS]
            print(f"| {name} | {columns[0][0]} | " + " | ".join(text for _, text in columns) + " |")


def dropped(client, photos, level):
    """How many faces the photos have, and which of them the level leaves out."""
    faces, left_out, reasons = 0, 0, Counter()
    for photo in photos:
        reply = client.index_faces(CollectionId="quality", Image={"Bytes": photo.read_bytes()}, QualityFilter=level)
        faces += len(reply["FaceRecords"]) + len(reply["UnindexedFaces"])
        left_out += len(reply["UnindexedFaces"])
        reasons.update(reason for face in reply["UnindexedFaces"] for reason in face["Reasons"])
    listed = ", ".join(f"{count} {reason}" for reason, count in reasons.most_common())
    return faces, f"{left_out} ({listed})" if left_out else "0"


def series(client):
    path = os.environ.get("LIGHTQNET")
    judge = onnxruntime.InferenceSession(path) if path else None
    found = defaultdict(lambda: defaultdict(list))  # series -> step -> (brightness, sharpness) of each face
    wrong, steps, scored, faces = Counter(), Counter(), [], 0
    for photo in (photo for name in IN_SERIES for photo in SETS[name]):
        for image in portraits(client, photo):
            faces += 1
            for name, values in SERIES.items():
                column = 1 if name.startswith("exposure") else 2
                rows = [(value, *seen) for value in values if (seen := look(client, varied(image, name, value), judge))]
                for value, brightness, sharpness, score in rows:
                    found[name][value].append((brightness, sharpness))
                    scored += [] if score is None else [(sharpness, score)]
                changes = numpy.diff([row[column] for row in rows]) * (1 if column == 1 else -1)
                steps[name] += len(changes)
                wrong[name] += int((changes < 0).sum())
                wrong[name, "by more than 1"] += int((changes < -1).sum())
    print(f"\n{faces} faces; median [5th, 95th percentile]")
    for name, values in SERIES.items():
        what = 0 if name.startswith("exposure") else 1
        print(f"\n| {name} | " + " | ".join(map(str, values)) + " |\n|---|" + "---|" * len(values))
        print(f"| {('Brightness', 'Sharpness')[what]} | " + " | ".join(spread([row[what] for row in found[name][v]]) for v in values) + " |")
        print(f"{steps[name]} steps, {wrong[name]} the wrong way, {wrong[name, 'by more than 1']} of them by more than 1")
    if scored:
        ours, theirs = (rank(column) for column in numpy.array(scored).T)
        print(f"\nSpearman's rank correlation with LightQNet over {len(scored)} images: {numpy.corrcoef(ours, theirs)[0, 1]:.3f}")


def spread(values):
    return "{:.0f} [{:.0f}, {:.0f}]".format(*numpy.percentile(values, (50, 5, 95))) if values else ""


def rank(values):
    return numpy.argsort(numpy.argsort(values))


def portraits(client, photo):
    """Each large enough face of a photo with its surroundings, brought to HEIGHT."""
    image = ImageOps.exif_transpose(Image.open(photo)).convert("RGB")
    for face in client.detect_faces(Image={"Bytes": pictures.saved(image, "JPEG", quality=85)})["FaceDetails"]:
        box = face["BoundingBox"]
        height = box["Height"] * image.height
        left, top, width = box["Left"] * image.width, box["Top"] * image.height, box["Width"] * image.width
        if height < NATIVE or face["Confidence"] < 90:
            continue
        margin = 0.6 * height
        around = image.crop((max(0, left - margin), max(0, top - margin), min(image.width, left + width + margin), min(image.height, top + height + margin)))
        yield resized(around, HEIGHT / height)


def resized(image, scale):
    size = (max(1, round(image.width * scale)), max(1, round(image.height * scale)))
    return image.resize(size, Image.Resampling.BICUBIC)


def varied(image, series, value):
    if series.startswith("Gaussian"):
        return image.filter(ImageFilter.GaussianBlur(value))
    if series.startswith("face height"):
        small = resized(image, value / HEIGHT)
        # The service takes no image below 80 px: the rest of the canvas is grey.
        canvas = Image.new("RGB", (max(80, small.width), max(80, small.height)), (128, 128, 128))
        canvas.paste(small)
        return canvas
    coded = numpy.asarray(image) / 255
    linear = numpy.where(coded <= 0.04045, coded / 12.92, ((coded + 0.055) / 1.055) ** 2.4) * 2.0**value
    coded = numpy.where(linear <= 0.0031308, 12.92 * linear, 1.055 * numpy.clip(linear, 0, 1) ** (1 / 2.4) - 0.055)
    return Image.fromarray((255 * coded.clip(0, 1) + 0.5).astype(numpy.uint8))


def look(client, image, judge):
    """Brightness, sharpness and LightQNet's score of the largest face, or nothing where none is seen."""
    faces = client.detect_faces(Image={"Bytes": pictures.saved(image, "PNG")})["FaceDetails"]
    if not faces:
        return None
    quality = faces[0]["Quality"]
    return quality["Brightness"], quality["Sharpness"], judge and score(judge, image, faces[0])


def score(judge, image, face):
    """LightQNet's judgement (0 to 1) of the face, aligned to its own template of 96 px."""
    points = {mark["Type"]: (mark["X"] * image.width - 0.5, mark["Y"] * image.height - 0.5) for mark in face["Landmarks"]}
    template = (ARCFACE + 0.5) * LIGHTQNET_SIDE / 112 - 0.5
    source = numpy.array([points[name] for name in EYES_NOSE_MOUTH])
    # Least squares for the similarity that takes the template to the landmarks (Umeyama, without mirroring).
    (u, v), (x, y) = (template - template.mean(0)).T, (source - source.mean(0)).T
    norm = (u * u + v * v).sum()
    a, b = (u * x + v * y).sum() / norm, (u * y - v * x).sum() / norm
    (mx, my), (mu, mv) = source.mean(0), template.mean(0)
    # PIL's coefficients are for pixel edges: half a pixel in, half a pixel out.
    shift = (mx - a * mu + b * mv, my - b * mu - a * mv)
    c, f = (shift[0] + 0.5 - 0.5 * a + 0.5 * b, shift[1] + 0.5 - 0.5 * b - 0.5 * a)
    crop = image.transform((LIGHTQNET_SIDE,) * 2, Image.Transform.AFFINE, (a, -b, c, b, a, f), Image.Resampling.BILINEAR)
    planes = ((numpy.asarray(crop, numpy.float32) - 128) / 128).transpose(2, 0, 1)[None]
    return float(judge.run(None, {judge.get_inputs()[0].name: planes})[0].ravel()[0])


if __name__ == "__main__":
    main()
