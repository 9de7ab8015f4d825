"""What each level of the quality filter leaves out, by reason: `make bench-quality`. The table of docs/quality.md."""

import os
import sys
import tempfile
from collections import Counter
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "tests/clients"))
from servers import ROOT, Server  # noqa: E402

PHOTOS = Path(os.environ.get("REKOLLECT_TEST_PHOTOS", ROOT / "tests/photos"))
FIXTURES = Path(os.environ.get("REKOLLECT_TEST_FIXTURES", "absent"))
SETS = {
    "photos of registry packages": sorted(PHOTOS.glob("*.jpg")),
    "identities/Family*": sorted(FIXTURES.glob("identities/Family*.jpg")),
    "scenes with a counted number": [p for p in sorted(FIXTURES.glob("scenes/*.jpg")) if p.stem.split("_")[-1].isdigit()],
    "other scenes": [p for p in sorted(FIXTURES.glob("scenes/*.jpg")) if not p.stem.split("_")[-1].isdigit()],
    "identities/synthetic": sorted(FIXTURES.glob("identities/synthetic/*.jpg")),
}
LEVELS = ("LOW", "AUTO", "MEDIUM", "HIGH")


def main():
    pack = sys.argv[1] if len(sys.argv) > 1 else "compact"
    print("| | faces | " + " | ".join(LEVELS) + " |\n|---|---|" + "---|" * len(LEVELS))
    with tempfile.TemporaryDirectory() as folder, Server(Path(folder), pack=pack) as server:
        server.client.create_collection(CollectionId="quality")
        for name, photos in SETS.items():
            if photos:
                columns = [dropped(server.client, photos, level) for level in LEVELS]
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


if __name__ == "__main__":
    main()
