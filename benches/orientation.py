"""How often a photo that lies turned is answered with the right turn, and how alike its faces are: `make bench-orientation`.

Each photo with a face is sent upright and turned by 90, 180 and 270 degrees, as PNG and as JPEG without Exif. A face of a turned photo counts
as alike when its best match among the faces of the upright one has a similarity of 95 or more.
"""

import argparse
import sys
import tempfile
from collections import Counter
from pathlib import Path

from photos import SETS
from PIL import Image, ImageOps

sys.path.insert(0, str(Path(__file__).parents[1] / "tests/clients"))
import pictures  # noqa: E402
from servers import Server  # noqa: E402

TURNED = {
    "ROTATE_0": None,
    "ROTATE_90": Image.Transpose.ROTATE_90,
    "ROTATE_180": Image.Transpose.ROTATE_180,
    "ROTATE_270": Image.Transpose.ROTATE_270,
}
FORMS = {"PNG": {"compress_level": 1}, "JPEG": {"quality": 80}}
LARGEST = 5 << 20  # bytes of an image in a request
ALIKE = 95


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--only", choices=SETS, action="append", help="a set of photos")
    parser.add_argument("--pack", default="standard")
    options = parser.parse_args()
    print("| | photos | sent | right turn | faces | alike | least similarity |\n|---|---|---|---|---|---|---|")
    wrong = []
    with tempfile.TemporaryDirectory() as folder, Server(Path(folder), pack=options.pack) as server:
        for name in options.only or SETS:
            count, least = Counter(), 100.0
            for photo in SETS[name]:
                least = min(least, look(server.client, photo, count, wrong))
            if count["sent"]:
                print(
                    f"| {name} | {count['photos']} | {count['sent']} | {count['right']} ({count['right'] / count['sent']:.4f}) "
                    f"| {count['faces']} | {count['alike']} ({count['alike'] / max(1, count['faces']):.4f}) | {least:.1f} |",
                    flush=True,
                )
    for line in wrong:
        print(line)


def look(client, photo, count, wrong):
    """Sends one photo in every turn and form; the least similarity of its faces."""
    upright = ImageOps.exif_transpose(Image.open(photo)).convert("RGB")
    collection = "orientation"
    client.create_collection(CollectionId=collection)
    try:
        known = index(client, collection, saved(upright, "PNG" if fits(upright) else "JPEG"), "upright")["FaceRecords"]
        least = 100.0
        if not known:
            return least
        count["photos"] += 1
        known = {record["Face"]["FaceId"] for record in known}
        for turn, method in TURNED.items():
            for form in FORMS:
                data = saved(upright if method is None else upright.transpose(method), form)
                if len(data) > LARGEST:
                    continue
                reply = index(client, collection, data, f"{turn}-{form}")
                count["sent"] += 1
                if reply["OrientationCorrection"] == turn:
                    count["right"] += 1
                else:
                    wrong.append(f"{photo.name} as {form}: {reply['OrientationCorrection']} instead of {turn}")
                    continue
                new = [record["Face"]["FaceId"] for record in reply["FaceRecords"] if record["Face"]["FaceId"] not in known]
                if len(reply["FaceRecords"]) < len(known):
                    wrong.append(f"{photo.name} as {form}, {turn}: {len(reply['FaceRecords'])} instead of {len(known)} faces")
                for face in new:
                    matches = client.search_faces(CollectionId=collection, FaceId=face, FaceMatchThreshold=0, MaxFaces=100)["FaceMatches"]
                    best = max((match["Similarity"] for match in matches if match["Face"]["FaceId"] in known), default=0)
                    count["faces"] += 1
                    count["alike"] += best >= ALIKE
                    least = min(least, best)
                    if best < ALIKE:
                        wrong.append(f"{photo.name} as {form}, {turn}: a face with a similarity of {best:.1f}")
        return least
    finally:
        client.delete_collection(CollectionId=collection)


def index(client, collection, data, name):
    return client.index_faces(CollectionId=collection, Image={"Bytes": data}, ExternalImageId=name, QualityFilter="NONE")


def fits(image):
    return len(saved(image, "PNG")) <= LARGEST


def saved(image, form):
    return pictures.saved(image, form, **FORMS[form])


if __name__ == "__main__":
    main()
