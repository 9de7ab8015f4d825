"""How often a face that lies turned in an upright photo is found and known again, and what looking for such faces costs: `make bench-turned`.

Frames of 1920 x 1080 are made of the photos: one face cut out, brought to a height and turned by 0, 30, ... 330 degrees, on a background
without faces, alone or with two upright faces beside it. It is found when a box lies where it is, and matched when it has a similarity
of 80 or more to the face of the frame in which it stands upright. `--cost OTHER_BINARY` measures IndexFaces and DetectFaces on the
photos as they are, in turn with another binary; `--boxes` counts faces and double boxes on them.
"""

import argparse
import statistics
import sys
import tempfile
import time
from collections import defaultdict
from pathlib import Path

from photos import FIXTURES, SETS
from PIL import Image, ImageDraw, ImageOps

sys.path.insert(0, str(Path(__file__).parents[1] / "tests/clients"))
import pictures  # noqa: E402
import servers  # noqa: E402

FRAME = (1920, 1080)
ANGLES = range(0, 360, 30)
HEIGHTS = (40, 100, 300)
MATCHED = 80
REACH = 1.3  # of what is cut out around the face's middle, in face heights
BESIDE = ((150, 380), (1510, 420))
BESIDE_SIDE = 260


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--pack", default="standard")
    parser.add_argument("--faces", type=int, default=24)
    parser.add_argument("--only", choices=SETS, action="append", help="a set of photos")
    parser.add_argument("--cost", type=Path, metavar="OTHER_BINARY")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--boxes", action="store_true")
    options = parser.parse_args()
    paths = [path for name in options.only or SETS for path in SETS[name]]
    with tempfile.TemporaryDirectory() as folder:
        if options.cost:
            return compare_cost(Path(folder), options, paths)
        with servers.Server(Path(folder), pack=options.pack) as server:
            if options.boxes:
                return count_boxes(server.client, paths)
            table(server.client, options)


def table(client, options):
    """Found and matched by angle, height and company."""
    faces = list(cut_out(client, options))
    tiles = [square(image, box, 1.0, BESIDE_SIDE) for _, image, box in faces[:4]]
    found, matched, frames, missed = defaultdict(int), defaultdict(int), defaultdict(int), []
    for number, (name, image, box) in enumerate(faces):
        background = without_faces(image)
        beside = [tile for place, tile in enumerate(tiles) if place != number][:2]
        for height in HEIGHTS:
            for company in ("alone", "beside two"):
                frame = background.copy()
                for tile, place in zip(beside if company != "alone" else [], BESIDE):
                    frame.paste(tile, place)
                middle = (880 + 17 * number % 160, 480 + 11 * number % 120)
                look(client, frame, (image, box), height, middle, (name, company), (found, matched, frames, missed))
        print(f"{number + 1} of {len(faces)}", file=sys.stderr, flush=True)
    print("| degrees | " + " | ".join(f"{height} px, {company}" for height in HEIGHTS for company in ("alone", "beside two")) + " |")
    print("|---" * (1 + 2 * len(HEIGHTS)) + "|")
    columns = [(height, company) for height in HEIGHTS for company in ("alone", "beside two")]
    for angle in [*ANGLES, "all"]:
        cells = []
        for column in columns:
            keys = [(each, *column) for each in (ANGLES if angle == "all" else [angle])]
            sums = [sum(count[key] for key in keys) for count in (found, matched, frames)]
            cells.append("{}, {} of {}".format(*sums))
        print(f"| {angle} | " + " | ".join(cells) + " |")
    print(f"all: found {sum(found.values()) / sum(frames.values()):.4f}, matched {sum(matched.values()) / sum(frames.values()):.4f} of {sum(frames.values())}")
    for line in missed:
        print(line)


def look(client, frame, face, height, middle, label, counts):
    found, matched, frames, missed = counts
    collection = "turned"
    client.create_collection(CollectionId=collection)
    try:
        upright = None
        for angle in ANGLES:
            data = pictures.saved(with_face(frame, *face, height, angle, middle), quality=92)
            records = client.index_faces(CollectionId=collection, Image={"Bytes": data}, ExternalImageId=f"a{angle}", QualityFilter="NONE")["FaceRecords"]
            here = [record for record in records if lies_at(record["Face"]["BoundingBox"], middle, height)]
            if angle == 0:
                if not here:
                    return  # not even upright: nothing to compare with
                upright = here[0]["Face"]["FaceId"]
            key = (angle, height, label[1])
            frames[key] += 1
            found[key] += bool(here)
            best = 0
            for record in here:
                matches = client.search_faces(CollectionId=collection, FaceId=record["Face"]["FaceId"], FaceMatchThreshold=0, MaxFaces=100)["FaceMatches"]
                best = max([best] + [match["Similarity"] for match in matches if match["Face"]["FaceId"] == upright])
                if record["Face"]["FaceId"] == upright:
                    best = 100
            matched[key] += best >= MATCHED
            if best < MATCHED:
                missed.append(f"{label[0]}, {label[1]}, {height} px, {angle} degrees: {f'similarity {best:.0f}' if here else 'not found'}")
            if len(here) > 1:
                missed.append(f"{label[0]}, {label[1]}, {height} px, {angle} degrees: {len(here)} boxes")
    finally:
        client.delete_collection(CollectionId=collection)


def cut_out(client, options):
    """Photos with a sure face, and its box in pixels."""
    sets = options.only or ["identities/Family*", "photos of registry packages", "identities/synthetic"]
    taken = 0
    for name in sets:
        paths = SETS[name]
        if name == "identities/synthetic":
            paths = [path for path in paths if path.stem.count("_") == 1][:: max(1, 50 // max(1, options.faces - taken))]
        for path in paths:
            image = ImageOps.exif_transpose(Image.open(path)).convert("RGB")
            image.thumbnail((1600, 1600))
            faces = client.detect_faces(Image={"Bytes": pictures.saved(image)})["FaceDetails"]
            if not faces or faces[0]["Confidence"] < 99:
                continue
            box = faces[0]["BoundingBox"]
            box = (box["Left"] * image.width, box["Top"] * image.height, box["Width"] * image.width, box["Height"] * image.height)
            if box[3] >= 90 and taken < options.faces:
                taken += 1
                yield path.name, image, box


def without_faces(image):
    """A background of the photo's own colours, in a few large spots, with the grain of a photo: a blurred photo would still show its face."""
    spots = image.resize((4, 3), Image.Resampling.BOX).resize(FRAME, Image.Resampling.BICUBIC)
    return Image.blend(spots, Image.effect_noise(FRAME, 60).convert("RGB"), 0.15)


def square(image, box, reach, side):
    left, top, width, height = box
    x, y, half = left + width / 2, top + height / 2, reach * height
    return image.crop((round(x - half), round(y - half), round(x + half), round(y + half))).resize((side, side), Image.Resampling.LANCZOS)


def with_face(frame, image, box, height, angle, middle):
    """The frame with a disc around the face, turned clockwise."""
    side = round(2 * REACH * height)
    # Turned at twice the size: a turn at the final one would cost sharpness that no camera loses.
    tile = square(image, box, REACH, 2 * side).rotate(-angle, Image.Resampling.BICUBIC).resize((side, side), Image.Resampling.LANCZOS)
    mask = Image.new("L", (2 * side, 2 * side))
    ImageDraw.Draw(mask).ellipse((2, 2, 2 * side - 3, 2 * side - 3), fill=255)
    frame = frame.copy()
    frame.paste(tile, (middle[0] - side // 2, middle[1] - side // 2), mask.resize((side, side), Image.Resampling.LANCZOS))
    return frame


def lies_at(box, middle, height):
    x, y = (box["Left"] + box["Width"] / 2) * FRAME[0], (box["Top"] + box["Height"] / 2) * FRAME[1]
    longer = max(box["Width"] * FRAME[0], box["Height"] * FRAME[1])
    return max(abs(x - middle[0]), abs(y - middle[1])) < 0.4 * height and 0.5 * height < longer < 2 * height


def compare_cost(folder, options, paths):
    """p50 of the photos as they are, with this binary and another, in turn."""
    binaries = {"this": servers.BINARY, "other": options.cost.absolute()}
    paths = [path for path in paths if path.stat().st_size < 5 << 20]
    times = defaultdict(list)
    running = {}
    for name, binary in binaries.items():
        servers.BINARY = binary
        running[name] = servers.Server(folder / name, pack=options.pack)
    try:
        for path in paths:
            data = {"Bytes": path.read_bytes()}
            mine = defaultdict(list)
            for round_ in range(options.rounds + 1):
                for name, server in running.items():
                    for operation in ("DetectFaces", "IndexFaces"):
                        begin = time.perf_counter()
                        if operation == "DetectFaces":
                            server.client.detect_faces(Image=data)
                        else:
                            server.client.create_collection(CollectionId="cost")
                            begin = time.perf_counter()
                            server.client.index_faces(CollectionId="cost", Image=data)
                        took = time.perf_counter() - begin
                        if operation == "IndexFaces":
                            server.client.delete_collection(CollectionId="cost")
                        if round_:
                            mine[operation, name].append(1000 * took)
            for key, values in mine.items():
                times[key].append(min(values))
        print("| | other | this | |\n|---|---|---|---|")
        for operation in ("DetectFaces", "IndexFaces"):
            this, other = times[operation, "this"], times[operation, "other"]
            print(f"| {operation}, p50 of {len(this)} photos, ms | {statistics.median(other):.1f} | {statistics.median(this):.1f} | {100 * (statistics.median(this) / statistics.median(other) - 1):+.1f} % |")
            print(f"| {operation}, mean, ms | {statistics.fmean(other):.1f} | {statistics.fmean(this):.1f} | {100 * (statistics.fmean(this) / statistics.fmean(other) - 1):+.1f} % |")
    finally:
        for server in running.values():
            server.stop()


def count_boxes(client, paths):
    """Faces, and pairs of boxes that share more than half of the smaller one."""
    faces = doubles = 0
    paths = [*paths, *sorted(FIXTURES.glob("exif/*.jpg")), *sorted(FIXTURES.glob("hostile/imagetestsuite/*.jpg"))]
    for path in paths:
        try:
            details = client.detect_faces(Image={"Bytes": path.read_bytes()})["FaceDetails"]
        except client.exceptions.ClientError:
            continue
        faces += len(details)
        boxes = [[detail["BoundingBox"][key] for key in ("Left", "Top", "Width", "Height")] for detail in details]
        for place, a in enumerate(boxes):
            for b in boxes[:place]:
                shared = [max(0, min(a[k] + a[k + 2], b[k] + b[k + 2]) - max(a[k], b[k])) for k in (0, 1)]
                if shared[0] * shared[1] > 0.5 * min(a[2] * a[3], b[2] * b[3]):
                    doubles += 1
                    print(f"{path.name}: {a} {b}")
        print(f"{path.name} {len(details)} " + " ".join(f"{detail['Confidence']:.1f}/{detail['Pose']['Roll']:.0f}" for detail in details), file=sys.stderr)
    print(f"{len(paths)} photos, {faces} faces, {doubles} double boxes")


if __name__ == "__main__":
    main()
