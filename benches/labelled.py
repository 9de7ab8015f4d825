"""Labelled photos as `make accuracy` reads them, with groups.csv: `python benches/labelled.py SET OUT`, then `make accuracy DIR=OUT`.

crops: face crops with labels (CelebA, research only): `--data` names the folder with crops.zip and labels.csv. Delete OUT afterwards: the
crops are not to be passed on.
synthetic: the drawn people of the fixtures. Their labels are ours, by eye, and empty where the eye was not sure.
family: the `Family*` photos of the fixtures; their names say who they are.
"""

import argparse
import csv
import io
import random
import re
import shutil
import sys
import zipfile
from collections import defaultdict
from pathlib import Path

import numpy
from photos import FIXTURES
from PIL import Image

# The crops end close to the face: their borders go on for so many pixels, so that the detector sees one.
BORDER = 32
LABELS = {
    "sex": ("male", {"1": "men", "0": "women"}),
    "eyeglasses": ("eyeglasses", {"1": "eyeglasses", "0": "no eyeglasses"}),
    "sunglasses": ("sunglasses", {"1": "sunglasses", "0": "no sunglasses"}),
    "facial hair": ("facial_hair", {"1": "facial hair", "0": "no facial hair"}),
    "smile": ("smile", {"1": "smile", "0": "no smile"}),
}
FAMILY = {
    "Dad": ("men", "parents"),
    "Mom": ("women", "parents"),
    "Son": ("men", "children"),
    "Daughter": ("women", "children"),
    "Man": ("men", ""),
    "Lady": ("women", ""),
}
MEN = {1, 3, 5, 8, 17, 20, 21, 22, 23, 24, 26, 29, 34, 37, 41, 43, 45}
UNSURE_OF_SEX = {2, 39}
OLDER = {6, 16, 18, 20, 23, 35, 37, 43}
UNSURE_OF_AGE = {1, 5, 17, 24, 38, 45, 46, 50}


def people_of_crops(data):
    """Identity -> its rows of labels.csv, of everybody with two crops or more, in an order drawn with a fixed seed."""
    by_identity = defaultdict(list)
    with open(data / "labels.csv", newline="") as labels:
        for row in csv.DictReader(labels):
            by_identity[row["identity"]].append(row)
    drawn = [(identity, rows) for identity, rows in sorted(by_identity.items()) if len(rows) >= 2]
    random.Random(1).shuffle(drawn)
    return dict(drawn)


def opened(archive, file):
    pixels = numpy.asarray(Image.open(io.BytesIO(archive.read(file))).convert("RGB"))
    return Image.fromarray(numpy.pad(pixels, ((BORDER, BORDER), (BORDER, BORDER), (0, 0)), "edge"))


def crops(options):
    """Writes the photos; their lines of groups.csv."""
    yield ["photo", *LABELS]
    with zipfile.ZipFile(options.data / "crops.zip") as archive:
        for identity, rows in list(people_of_crops(options.data).items())[: options.people]:
            for number, row in enumerate(rows, 1):
                photo = in_folder(options.out, identity, number, ".png")
                opened(archive, row["file"]).save(options.out / photo)
                yield [photo, *(group(row, label, names) for label, names in LABELS.values())]


def group(row, label, names):
    """Sunglasses are no eyeglasses: who wears the one is in no group of the other."""
    other = {"eyeglasses": "sunglasses", "sunglasses": "eyeglasses"}.get(label)
    return "" if row.get(other) == "1" else names.get(row[label], "")


def synthetic(options):
    yield ["photo", "sex", "age"]
    for path in sorted(FIXTURES.glob("identities/synthetic/face_*.jpg")):
        person, *variant = map(int, re.findall(r"\d+", path.stem))
        photo = in_folder(options.out, f"face_{person}", variant[0] + 2 if variant else 1, ".jpg")
        shutil.copy(path, options.out / photo)
        sex = "" if person in UNSURE_OF_SEX else "men" if person in MEN else "women"
        age = "" if person in UNSURE_OF_AGE else "older" if person in OLDER else "younger"
        yield [photo, sex, age]


def family(options):
    yield ["photo", "sex", "generation"]
    for path in sorted(FIXTURES.glob("identities/Family*.jpg")):
        person, kind, number = re.fullmatch(r"(Family\d-(\D+))(\d)", path.stem).groups()
        photo = in_folder(options.out, person, int(number), ".jpg")
        shutil.copy(path, options.out / photo)
        yield [photo, *FAMILY[kind]]


def in_folder(out, person, number, suffix):
    (out / person).mkdir(exist_ok=True)
    return Path(person) / f"{person}_{number:04d}{suffix}"


def main():
    sets = {"crops": crops, "synthetic": synthetic, "family": family}
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("set", choices=sets)
    parser.add_argument("out", type=Path)
    parser.add_argument("--data", type=Path, help="folder with crops.zip and labels.csv")
    parser.add_argument("--people", type=int, default=500, help="so many people of the crops")
    options = parser.parse_args()
    if options.set == "crops" and options.data is None:
        parser.error("crops need --data")
    if options.out.exists():
        sys.exit(f"{options.out} is there already")
    options.out.mkdir(parents=True)
    with open(options.out / "groups.csv", "w", newline="") as file:
        csv.writer(file).writerows(sets[options.set](options))


if __name__ == "__main__":
    main()
