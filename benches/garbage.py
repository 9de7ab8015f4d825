"""How much is stored that is no readable face, and how many real faces are lost: `make bench-garbage`.

Folders of pictures without a real face (`--without DIR`, each one a kind: animals, statues, drawings): whatever is stored of them is
garbage. Kinds made of the test photos (faces cut at the border, covered by half, blurred, tiny): a stored vector is garbage if it has
less than 80 of similarity to the face that it was made of. Of the photos as they are, what the filter leaves out is lost.
"""

import argparse
import itertools
import sys
import tempfile
from collections import Counter, defaultdict
from pathlib import Path

from photos import SETS, TILE, portraits
from PIL import Image, ImageFilter, ImageOps

sys.path.insert(0, str(Path(__file__).parents[1] / "tests/clients"))
import pictures  # noqa: E402
from servers import Server  # noqa: E402

LEVELS = ("NONE", "LOW", "AUTO", "MEDIUM", "HIGH")
MATCHED = 80
LONGEST = 1600
SMALLEST = 90  # the server refuses smaller pictures
# What a cover hides, in widths and heights of the box.
HALVES = {"lower": (-0.1, 0.55, 1.1, 1.1), "upper": (-0.1, -0.1, 1.1, 0.5), "left": (-0.1, -0.1, 0.5, 1.1)}
COLOURS = ((40, 60, 110), (200, 200, 200), (20, 20, 20))


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("pack", nargs="?", default="standard")
    parser.add_argument("--without", type=Path, action="append", default=[], metavar="DIR", help="pictures without a real face")
    parser.add_argument("--faces", type=int, default=60, help="so many faces of the photos to make kinds of")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, Server(Path(folder), pack=options.pack) as server:
        garbage(server.client, options)
        lost(server.client)


def garbage(client, options):
    """Garbage stored, of so many pictures, by kind and level."""
    tried, stored, matched = Counter(), Counter(), Counter()
    for kind, picture, whole in [*of_folders(options.without), *of_photos(client, options.faces)]:
        tried[kind] += 1
        for level in LEVELS:
            faces = index(client, picture, level, whole)
            stored[kind, level] += len(faces)
            matched[kind, level] += sum(similarity >= MATCHED for similarity in faces)
    print(f"of pictures: garbage stored (readable faces stored)\n\n| | pictures | {' | '.join(LEVELS)} |\n|---|---|{'---|' * len(LEVELS)}")
    for kind in tried:
        cells = [f"{stored[kind, level] - matched[kind, level]} ({matched[kind, level]})" for level in LEVELS]
        print(f"| {kind} | {tried[kind]} | {' | '.join(cells)} |")


def index(client, picture, level, whole):
    """The similarity of each face that is stored to the one that the picture was made of; 0 where there was none."""
    client.create_collection(CollectionId="garbage")
    try:
        if whole:
            client.index_faces(CollectionId="garbage", Image={"Bytes": whole}, ExternalImageId="whole", QualityFilter="NONE")
        found = client.index_faces(CollectionId="garbage", Image={"Bytes": picture}, QualityFilter=level)["FaceRecords"]
        return [similarity_to_whole(client, record["Face"]["FaceId"]) if whole else 0 for record in found]
    finally:
        client.delete_collection(CollectionId="garbage")


def similarity_to_whole(client, face):
    matches = client.search_faces(CollectionId="garbage", FaceId=face, FaceMatchThreshold=0, MaxFaces=100)["FaceMatches"]
    return max((match["Similarity"] for match in matches if match["Face"].get("ExternalImageId") == "whole"), default=0)


def of_folders(folders):
    for folder in folders:
        for path in sorted(path for path in folder.rglob("*") if path.suffix.lower() in (".jpg", ".jpeg", ".png", ".webp")):
            image = ImageOps.exif_transpose(Image.open(path)).convert("RGBA")
            image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image).convert("RGB")
            image.thumbnail((LONGEST, LONGEST))
            yield folder.name, pictures.saved(resized(image, max(1, SMALLEST / min(image.size)))), None


def of_photos(client, wanted):
    """Kind, picture and the portrait that it was made of."""
    paths = [path for name, paths in SETS.items() for path in (paths[::10] if "synthetic" in name else paths)]
    for number, image in enumerate(itertools.islice((tile for path in paths for tile in portraits(client, path)), wanted)):
        whole = pictures.saved(image)
        box = client.detect_faces(Image={"Bytes": whole})["FaceDetails"][0]["BoundingBox"]
        left, top, width, height = (TILE * box[side] for side in ("Left", "Top", "Width", "Height"))
        for kind, picture in variants(image, (left, top, width, height), COLOURS[number % len(COLOURS)]):
            scale = max(1, SMALLEST / min(picture.size))
            yield kind, pictures.saved(resized(picture, scale)), whole


def resized(image, scale):
    return image.resize([max(1, round(scale * side)) for side in image.size], Image.Resampling.LANCZOS)


def variants(image, box, colour):
    """What becomes of a portrait whose face is in this box (left, top, width, height)."""
    left, top, width, height = box
    for percent in (30, 50, 70):
        share = percent / 100
        yield f"cut at the side, {percent} % gone", image.crop((round(left + share * width), 0, TILE, TILE))
        yield f"cut at the top, {percent} % gone", image.crop((0, round(top + share * height), TILE, TILE))
        yield f"cut at the bottom, {percent} % gone", image.crop((0, 0, TILE, round(top + (1 - share) * height)))
    for half, (x, y, right, bottom) in HALVES.items():
        corner = (round(left + x * width), round(top + y * height))
        size = (round((right - x) * width), round((bottom - y) * height))
        for what, cover in (("one colour", Image.new("RGB", size, colour)), ("texture", texture(size))):
            covered = image.copy()
            covered.paste(cover, corner)
            yield f"{half} half covered, {what}", covered
    for deviation in (4, 8):
        yield f"blurred by {deviation} px of 200", image.filter(ImageFilter.GaussianBlur(deviation * height / 200))
    for high in (10, 14):
        picture, tiny = Image.new("RGB", (TILE, TILE), (110, 110, 110)), resized(image, high / height)
        picture.paste(tiny, ((TILE - tiny.width) // 2, (TILE - tiny.height) // 2))
        yield f"{high} px high", picture


def texture(size):
    """Coloured spots with grain."""
    spots = [Image.effect_noise((6, 6), 90).resize(size, Image.Resampling.BICUBIC) for _ in range(3)]
    return Image.merge("RGB", [Image.blend(spot, Image.effect_noise(size, 70), 0.35) for spot in spots])


def lost(client):
    """What each level leaves out of the photos as they are, by reason."""
    print(f"\nlost of real faces\n\n| | faces | {' | '.join(LEVELS[1:])} |\n|---|---|{'---|' * (len(LEVELS) - 1)}")
    client.create_collection(CollectionId="real")
    for name, paths in SETS.items():
        faces, reasons = 0, defaultdict(Counter)
        for path in paths:
            for level in LEVELS[1:]:
                reply = client.index_faces(CollectionId="real", Image={"Bytes": path.read_bytes()}, QualityFilter=level)
                reasons[level].update([" and ".join(sorted(face["Reasons"])) for face in reply["UnindexedFaces"]])
            faces += len(reply["FaceRecords"]) + len(reply["UnindexedFaces"])
        cells = [", ".join(f"{count} {reason}" for reason, count in reasons[level].most_common()) or "0" for level in LEVELS[1:]]
        print(f"| {name} | {faces} | {' | '.join(cells)} |")
    client.delete_collection(CollectionId="real")


if __name__ == "__main__":
    main()
