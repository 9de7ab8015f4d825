"""Which faces the server finds, by their size: `make bench-detection`.

Faces that the server finds in the tests' photos are cut out, brought to a size and set into a Full HD picture, or made to fill a square
one, and looked for again. What is not found at full size is not in the count: the recall is of findable faces.
"""

import sys
import tempfile
from pathlib import Path

import numpy
from photos import FIXTURES, SETS
from PIL import Image

sys.path.insert(0, str(Path(__file__).parents[1] / "tests/clients"))
from pictures import saved  # noqa: E402
from servers import Server  # noqa: E402

HEIGHTS = (12, 16, 20, 24, 30, 40, 60, 100)
FILLS = (0.5, 0.75, 0.9, 1.05)
MARGIN = 0.3
SURE = 99.0
SAME_FACE = 0.3


def main():
    pack = sys.argv[1] if len(sys.argv) > 1 else "standard"
    photos = [*SETS["photos of registry packages"], *SETS["identities/Family*"], *sorted(FIXTURES.glob("scenes/detection*.jpg"))]
    with tempfile.TemporaryDirectory() as folder, Server(Path(folder), pack=pack) as server:
        faces = [face for photo in photos for face in cut_out(server.client, photo)]
        print(f"Pack {pack}, {len(faces)} faces of {len(photos)} photos.\n")
        print("| face height in 1920x1080, px | recall | false boxes a picture |\n|---|---|---|")
        for height in HEIGHTS:
            found, false, pictures = look_for(server.client, faces, height)
            print(f"| {height} | {100 * found / len(faces):.0f} % | {false / pictures:.2f} |")
        print("\n| face height over the frame's, 1200 px | recall | false boxes a picture |\n|---|---|---|")
        for fill in FILLS:
            found, false = fill_frame(server.client, faces, fill)
            print(f"| {fill} | {100 * found / len(faces):.0f} % | {false / len(faces):.2f} |")


def cut_out(client, path):
    """The faces of a photo, each with a margin and the place of its box."""
    image = Image.open(path).convert("RGB")
    for box in boxes(client, image, SURE):
        left, top, width, height = box
        dx, dy = MARGIN * width, MARGIN * height
        edge = [max(0, left - dx), max(0, top - dy), min(image.width, left + width + dx), min(image.height, top + height + dy)]
        yield image.crop([round(v) for v in edge]), (left - edge[0], top - edge[1], width, height)


def boxes(client, image, confidence=0.0):
    details = client.detect_faces(Image={"Bytes": saved(image)})["FaceDetails"]
    sides = [detail["BoundingBox"] for detail in details if detail["Confidence"] >= confidence]
    return [(b["Left"] * image.width, b["Top"] * image.height, b["Width"] * image.width, b["Height"] * image.height) for b in sides]


def scaled(face, height):
    image, box = face
    scale = height / box[3]
    size = (max(1, round(image.width * scale)), max(1, round(image.height * scale)))
    return image.resize(size, Image.Resampling.LANCZOS), tuple(v * scale for v in box)


def look_for(client, faces, height):
    """How many of the faces are found at this height, how many boxes are none of them, and in how many pictures."""
    found = false = pictures = 0
    step = max(3 * height, 120)
    columns, rows = 1920 // step, 1080 // step
    for first in range(0, len(faces), columns * rows):
        canvas, wanted = background(), []
        for place, face in enumerate(faces[first : first + columns * rows]):
            image, box = scaled(face, height)
            x, y = place % columns * step, place // columns * step
            canvas.paste(image, (x, y))
            wanted.append((x + box[0], y + box[1], box[2], box[3]))
        seen = boxes(client, canvas)
        found += sum(any(overlap(w, s) >= SAME_FACE for s in seen) for w in wanted)
        false += sum(all(overlap(w, s) < SAME_FACE for w in wanted) for s in seen)
        pictures += 1
    return found, false, pictures


def fill_frame(client, faces, fill):
    found = false = 0
    for face in faces:
        image, box = scaled(face, 1200 * fill)
        left, top = round(box[0] + box[2] / 2 - 600), round(box[1] + box[3] / 2 - 600)
        frame = background().resize((1200, 1200))
        frame.paste(image, (-left, -top))
        seen = boxes(client, frame)
        wanted = (box[0] - left, box[1] - top, box[2], box[3])
        found += any(overlap(wanted, s) >= SAME_FACE for s in seen)
        false += sum(overlap(wanted, s) < SAME_FACE for s in seen)
    return found, false


def background():
    """A grey slope with the noise of a sensor."""
    slope = numpy.linspace(60, 180, 1920)[None, :, None] + numpy.zeros((1080, 1, 3))
    noise = numpy.random.default_rng(7).normal(0, 4, slope.shape)
    return Image.fromarray((slope + noise).clip(0, 255).astype(numpy.uint8))


def overlap(a, b):
    width = min(a[0] + a[2], b[0] + b[2]) - max(a[0], b[0])
    height = min(a[1] + a[3], b[1] + b[3]) - max(a[1], b[1])
    shared = max(0, width) * max(0, height)
    return shared / (a[2] * a[3] + b[2] * b[3] - shared)


if __name__ == "__main__":
    main()
