"""The pictures that the benchmarks send, made from the photos of the tests."""

import itertools
import os
import sys
from pathlib import Path

from PIL import Image, ImageOps

sys.path.insert(0, str(Path(__file__).parents[1] / "tests/clients"))
import pictures  # noqa: E402
from servers import ROOT  # noqa: E402

PHOTOS = Path(os.environ.get("REKOLLECT_TEST_PHOTOS", ROOT / "tests/photos"))
# Photos beside some checkouts: none elsewhere.
FIXTURES = Path(os.environ.get("REKOLLECT_TEST_FIXTURES", "absent"))
# A name, and the photos: what most benchmarks tell apart.
SETS = {
    "photos of registry packages": sorted(PHOTOS.glob("*.jpg")),
    "identities/Family*": sorted(FIXTURES.glob("identities/Family*.jpg")),
    "scenes": sorted(FIXTURES.glob("scenes/*.[jp][pn]g")),
    "identities/synthetic": sorted(FIXTURES.glob("identities/synthetic/*.jpg")),
}
QUALITY = 90
TILE = 320
GROUP = (5, 4)


def one_face(client, size):
    """A JPEG of this size with one face, cut out of a photo, and the photo's name."""
    for path in sorted(PHOTOS.glob("*.jpg")):
        image = Image.open(path).convert("RGB")
        height = round(image.width * size[1] / size[0])
        if height > image.height:
            continue
        data = pictures.saved(image.crop((0, 0, image.width, height)).resize(size, Image.Resampling.LANCZOS), quality=QUALITY)
        if count_faces(client, data) == 1:
            return data, path.name
    sys.exit(f"no photo in {PHOTOS} gives a picture with one face: python3 models/setup.py --photos tests/photos")


def group(client):
    """A JPEG of 1600 x 1280 with twenty faces: portraits cut out of the photos, side by side, some of them mirrored."""
    tiles = [tile for path in sorted(PHOTOS.glob("*.jpg")) for tile in portraits(client, path)]
    tiles += [ImageOps.mirror(tile) for tile in tiles]
    picture = Image.new("RGB", (GROUP[0] * TILE, GROUP[1] * TILE))
    places = itertools.product(range(GROUP[1]), range(GROUP[0]))
    for (row, column), tile in zip(places, tiles):
        picture.paste(tile, (column * TILE, row * TILE))
    data = pictures.saved(picture, quality=QUALITY)
    found = count_faces(client, data)
    assert found == GROUP[0] * GROUP[1], f"{found} faces in the group"
    return data


def portraits(client, path):
    """A square around each clear face of a photo, if no other face is in it."""
    image = Image.open(path).convert("RGB")
    for face in client.detect_faces(Image={"Bytes": path.read_bytes()})["FaceDetails"]:
        box = face["BoundingBox"]
        side = 1.7 * box["Height"] * image.height
        left = (box["Left"] + box["Width"] / 2) * image.width - side / 2
        top = (box["Top"] + box["Height"] / 2) * image.height - side / 2
        if face["Confidence"] < 99 or left < 0 or top < 0 or left + side > image.width or top + side > image.height:
            continue
        tile = image.crop((round(left), round(top), round(left + side), round(top + side))).resize((TILE, TILE), Image.Resampling.LANCZOS)
        if count_faces(client, pictures.saved(tile)) == 1:
            yield tile


def count_faces(client, data):
    return len(client.detect_faces(Image={"Bytes": data})["FaceDetails"])
