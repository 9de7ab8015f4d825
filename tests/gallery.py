"""Draws what the server finds on photos: boxes, landmarks, and the attributes beside each face. `make gallery` writes gallery/index.html with
a picture for each photo, to be looked at."""

import argparse
import html
import io
import os
import sys
import tempfile
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont, ImageOps

sys.path.insert(0, str(Path(__file__).parent / "clients"))
from servers import ROOT, Server  # noqa: E402

PHOTOS = Path(os.environ.get("REKOLLECT_TEST_PHOTOS", ROOT / "tests/photos"))
FIXTURES = Path(os.environ.get("REKOLLECT_TEST_FIXTURES", "/nonexistent"))
LONG_SIDE = 1400
JUDGEMENTS = ["Smile", "Beard", "Mustache", "Eyeglasses", "Sunglasses", "EyesOpen", "MouthOpen", "FaceOccluded"]


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("folder", nargs="?", type=Path, help="a folder of photos instead of those of the tests")
    parser.add_argument("--out", type=Path, default=Path("gallery"))
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    photos = sorted(options.folder.glob("*.jpg")) if options.folder else of_the_tests()
    rows = []
    with tempfile.TemporaryDirectory() as folder, Server(Path(folder)) as server:
        for photo in photos:
            data = photo.read_bytes()
            reply = server.client.detect_faces(Image={"Bytes": data}, Attributes=["ALL"])
            name = f"{photo.parent.name}-{photo.stem}.jpg"
            drawn(data, reply).save(options.out / name, quality=85)
            rows.append(f"<h2>{html.escape(name)}</h2><img src='{html.escape(name)}' style='max-width:100%'>")
    (options.out / "index.html").write_text("<!doctype html><title>Gallery</title>" + "".join(rows))
    print(f"{options.out / 'index.html'}: {len(rows)} photos")


def of_the_tests():
    """The photos of registry packages, and the further ones where they are there."""
    further = [*FIXTURES.glob("identities/Family*.jpg"), *FIXTURES.glob("scenes/*.jpg"), *FIXTURES.glob("identities/synthetic/face_?.jpg")]
    return sorted(PHOTOS.glob("*.jpg")) + sorted(further)


def drawn(data, reply):
    """The photo with everything in its place; an Exif orientation was applied, an estimated one was not."""
    image = ImageOps.exif_transpose(Image.open(io.BytesIO(data))).convert("RGB")
    scale = LONG_SIDE / max(image.size)
    image = image.resize((round(image.width * scale), round(image.height * scale)))
    draw, font = ImageDraw.Draw(image), ImageFont.load_default(14)
    if correction := reply.get("OrientationCorrection"):
        draw.text((4, 4), correction, "yellow", font, stroke_width=2, stroke_fill="black")
    for face in reply["FaceDetails"]:
        box = face["BoundingBox"]
        left, top = box["Left"] * image.width, box["Top"] * image.height
        right, bottom = left + box["Width"] * image.width, top + box["Height"] * image.height
        draw.rectangle((left, top, right, bottom), outline="lime", width=2)
        size = max(1.5, (right - left) / 90)
        for landmark in face["Landmarks"]:
            x, y = landmark["X"] * image.width, landmark["Y"] * image.height
            draw.ellipse((x - size, y - size, x + size, y + size), fill="red")
        beside = min(right + 4, image.width - 170)
        draw.multiline_text((beside, top), words(face), "white", font, stroke_width=2, stroke_fill="black")
    return image


def words(face):
    pose, eyes = face["Pose"], face["EyeDirection"]
    yes = [f"{name} {face[name]['Confidence']:.0f}" for name in JUDGEMENTS if face[name]["Value"]]
    no = [f"{name} {face[name]['Confidence']:.0f}" for name in JUDGEMENTS if not face[name]["Value"] and face[name]["Confidence"] < 80]
    emotions = [f"{emotion['Type']} {emotion['Confidence']:.0f}" for emotion in face["Emotions"][:2]]
    lines = [
        f"{face['Gender']['Value']} {face['Gender']['Confidence']:.0f}, {face['AgeRange']['Low']}-{face['AgeRange']['High']}",
        ", ".join(emotions),
        *yes,
        *[f"not {text}" for text in no],
        f"roll {pose['Roll']:.0f} yaw {pose['Yaw']:.0f} pitch {pose['Pitch']:.0f}",
        f"eyes {eyes['Yaw']:.0f} {eyes['Pitch']:.0f} ({eyes['Confidence']:.0f})",
        f"bright {face['Quality']['Brightness']:.0f} sharp {face['Quality']['Sharpness']:.0f}",
    ]
    return "\n".join(lines)


if __name__ == "__main__":
    main()
