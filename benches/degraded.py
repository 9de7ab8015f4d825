"""Which faces are found and known again in poor photos, through the API: `make bench-degraded`.

The collection holds one photo a person. The probe is another photo of the person, made worse in one way at a time; where a set has no
second photo of a person it is the same photo. SearchFacesByImage answers for it, at the API's default threshold. Three shares:
found: a face was found; matched: the person is among the answers; a stranger: somebody else is (the collection is small, so rarely).
"""

import argparse
import contextlib
import os
import re
import sys
import tempfile
import zipfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import labelled
from photos import FIXTURES, PHOTOS
from PIL import Image, ImageDraw, ImageEnhance, ImageFilter, ImageOps

sys.path.insert(0, str(Path(__file__).parents[1] / "tests/clients"))
import pictures  # noqa: E402
from servers import Server  # noqa: E402

THRESHOLD = 80
FRAME = (1920, 1080)
REACH = 1.3  # of the disc around a face's middle, in face heights
LONGEST = 1600  # pixels of a photo
TALLEST = 200  # pixels of a face that is turned in a frame
NOISE = Image.effect_noise(FRAME, 60).convert("RGB")
COVER = (120, 120, 120)
COLLECTION = "degraded"


@dataclass
class Probe:
    """An upright photo of a person, its face's box in pixels, and the middles of its eyes."""

    person: str
    image: Image.Image
    box: tuple
    eyes: list


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--pack", action="append", help="model packs (default: standard and compact)")
    parser.add_argument("--data", type=Path, help="folder with crops.zip and labels.csv (CelebA, research only)")
    parser.add_argument("--people", type=int, default=30, help="so many people of the crops")
    options = parser.parse_args()
    with contextlib.ExitStack() as stack:
        clients = {}
        for pack in options.pack or ["standard", "compact"]:
            folder = stack.enter_context(tempfile.TemporaryDirectory())
            clients[pack] = stack.enter_context(Server(Path(folder), pack=pack)).client
        sets = {name: measured(clients, name, people) for name, people in sets_of(options).items()}
    print("found / matched / a stranger, in %; probes: " + ", ".join(f"{name} {len(probes)}" for name, (probes, _) in sets.items()))
    columns = [(pack, name) for pack in clients for name in sets]
    for title, conditions in CONDITIONS.items():
        print(f"\n| {title} | " + " | ".join(f"{pack}: {name}" for pack, name in columns) + " |\n|---" + "|---" * len(columns) + "|")
        for condition in conditions:
            cells = [cell(*sets[name][1][title, condition, pack], len(sets[name][0])) for pack, name in columns]
            print(f"| {condition} | " + " | ".join(cells) + " |")


def sets_of(options):
    """Set -> person -> the photo of the collection and those that are made worse."""
    sets, several = {}, {}
    if options.data:
        with zipfile.ZipFile(options.data / "crops.zip") as archive:
            people = list(labelled.people_of_crops(options.data).items())[: options.people]
            sets["crops"] = {name: [labelled.opened(archive, row["file"]) for row in rows[:2]] for name, rows in people}
    for path in [*sorted(FIXTURES.glob("identities/Family*.jpg")), *sorted(PHOTOS.glob("obama*.jpg"))]:
        several.setdefault(re.sub(r"\d*$", "", path.stem), []).append(photo(path))
    sets["Family* and obama"] = {name: photos for name, photos in several.items() if len(photos) > 1}
    alone = sorted(FIXTURES.glob("identities/synthetic/face_[0-9]*.jpg"))
    alone = [path for path in alone if path.stem.count("_") == 1][::6]
    sets["synthetic, the same photo"] = {path.stem: [photo(path)] * 2 for path in alone}
    return {name: people for name, people in sets.items() if people}


def photo(path):
    image = ImageOps.exif_transpose(Image.open(path)).convert("RGB")
    image.thumbnail((LONGEST, LONGEST))
    return image


def measured(clients, name, people):
    """The probes, and (table, condition, pack) -> how many were asked, found, matched, taken for strangers."""
    for client in clients.values():
        client.create_collection(CollectionId=COLLECTION)
        for person, (known, *_) in people.items():
            data = {"Bytes": pictures.saved(known)}
            client.index_faces(CollectionId=COLLECTION, Image=data, ExternalImageId=person, MaxFaces=1, QualityFilter="NONE")
    detector = next(iter(clients.values()))
    probes = [probe(detector, person, other) for person, (_, *others) in people.items() for other in others]
    probes = [one for one in probes if one]
    answers = {}
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for title, conditions in CONDITIONS.items():
            for condition, worse in conditions.items():
                asked = list(pool.map(lambda one: ask(clients, one, worse), probes))
                for number, pack in enumerate(clients):
                    counts = answers[title, condition, pack] = [sum(each) for each in zip((0, 0, 0, 0), *(one[number] for one in asked))]
                    print(f"{name}, {title}, {condition}, {pack}: {counts}", file=sys.stderr, flush=True)
    for client in clients.values():
        client.delete_collection(CollectionId=COLLECTION)
    return probes, answers


def probe(client, person, image):
    """Nothing where no face is found."""
    faces = client.detect_faces(Image={"Bytes": pictures.saved(image)})["FaceDetails"]
    if not faces:
        return None
    face = max(faces, key=lambda face: face["BoundingBox"]["Height"])
    box = face["BoundingBox"]
    box = (box["Left"] * image.width, box["Top"] * image.height, box["Width"] * image.width, box["Height"] * image.height)
    points = {point["Type"]: (point["X"] * image.width, point["Y"] * image.height) for point in face["Landmarks"]}
    return Probe(person, image, box, [points["eyeLeft"], points["eyeRight"]])


def ask(clients, one, worse):
    """For each client asked, found, matched, a stranger: zeros and ones."""
    data = worse(one)
    if data is None:
        return [(0, 0, 0, 0)] * len(clients)
    if isinstance(data, Image.Image):
        data = pictures.saved(data)
    return [answer(client, one.person, data) for client in clients.values()]


def answer(client, person, data):
    try:
        found = client.search_faces_by_image(
            CollectionId=COLLECTION, Image={"Bytes": data}, FaceMatchThreshold=THRESHOLD, MaxFaces=4096, QualityFilter="NONE"
        )
    except client.exceptions.InvalidParameterException:  # what the API answers to a photo without a face
        return 1, 0, 0, 0
    names = {match["Face"]["ExternalImageId"] for match in found["FaceMatches"]}
    return 1, 1, int(person in names), int(bool(names - {person}))


def cell(asked, found, matched, strangers, probes):
    if not asked:
        return "-"
    return " / ".join(f"{100 * count / asked:.0f}" for count in (found, matched, strangers)) + (f" of {asked}" if asked < probes else "")


def of_height(height):
    """In a Full HD frame, of no face that would have to be enlarged for it."""
    return lambda one: framed(one, height) if height <= 1.05 * one.box[3] else None


def turned(degrees):
    return lambda one: framed(one, min(TALLEST, one.box[3]), degrees)


def framed(one, height, degrees=0):
    """A Full HD frame in the photo's colours; in its middle a disc around the face, brought to a height and turned clockwise."""
    spots = one.image.resize((4, 3), Image.Resampling.BOX).resize(FRAME, Image.Resampling.BICUBIC)
    frame = Image.blend(spots, NOISE, 0.15)
    x, y, reach = *middle(one.box), REACH * one.box[3]
    area = (round(x - reach), round(y - reach), round(x + reach), round(y + reach))
    side = round(2 * REACH * height)
    disc = one.image.crop(area).rotate(-degrees, Image.Resampling.BICUBIC).resize((side, side), Image.Resampling.LANCZOS)
    mask = Image.new("L", disc.size)
    ImageDraw.Draw(mask).ellipse((1, 1, side - 2, side - 2), fill=255)
    # What of the disc lies outside of the photo stays frame.
    inside = Image.new("L", one.image.size, 255).crop(area).rotate(-degrees).resize((side, side))
    frame.paste(disc, ((FRAME[0] - side) // 2, (FRAME[1] - side) // 2), Image.composite(mask, Image.new("L", disc.size), inside))
    return frame


def middle(box):
    return box[0] + box[2] / 2, box[1] + box[3] / 2


def jpeg(quality):
    return lambda one: pictures.saved(one.image, quality=quality)


def blurred(percent):
    return lambda one: one.image.filter(ImageFilter.GaussianBlur(percent / 100 * one.box[3]))


def brightness(factor):
    return lambda one: ImageEnhance.Brightness(one.image).enhance(factor)


def without_lower_half(one):
    left, top, width, height = one.box
    return covered(one, (left, top + height / 2, left + width, top + 1.05 * height))


def without_eyes(one):
    y = sum(eye[1] for eye in one.eyes) / 2
    return covered(one, (one.box[0], y - 0.13 * one.box[3], one.box[0] + one.box[2], y + 0.13 * one.box[3]))


def covered(one, area):
    image = one.image.copy()
    ImageDraw.Draw(image).rectangle(area, fill=COVER)
    return image


def as_it_is(one):
    return one.image


# The tables: what is said of a condition, and what makes it of a probe.
CONDITIONS = {
    "face height in a Full HD frame": {f"{height} px": of_height(height) for height in (16, 24, 32, 48, 64, 96, 160)},
    "JPEG quality": {str(quality): jpeg(quality) for quality in (10, 30, 50, 95)},
    "blur, sigma in % of the face's height": {f"{percent} %": blurred(percent) for percent in (1, 2, 4, 6)},
    "brightness": {f"times {factor}": brightness(factor) for factor in (0.1, 0.25, 0.5, 2, 3)},
    "the face turned in an upright frame": {f"{degrees}°": turned(degrees) for degrees in (0, 30, 60, 90, 135, 180)},
    "colour and cover": {
        "as it is": as_it_is,
        "grey-scale": lambda one: ImageOps.grayscale(one.image).convert("RGB"),
        "lower half of the face covered": without_lower_half,
        "eyes covered": without_eyes,
    },
}


if __name__ == "__main__":
    main()
