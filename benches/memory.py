"""What a server's memory comes to while it indexes many photos, and with collections of a second pack: `make bench-memory`."""

import argparse
import itertools
import sys
import tempfile
from pathlib import Path

import photos

sys.path.insert(0, str(Path(__file__).parents[1] / "tests/clients"))
from servers import Server  # noqa: E402

# Of six photos in a row.
MIX = [(640, 480), (640, 480), (1920, 1080), (640, 480), (640, 480), (4000, 3000)]
# And every so often one with twenty faces in the place of the last.
GROUP_EVERY = 3
SHARES = (0.05, 0.25, 0.5, 1)
OF_A_PACK = 20


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--photos", type=int, default=900, help="photos that are indexed (default: %(default)s)")
    parser.add_argument("--pack", default="standard", help="model pack (default: %(default)s)")
    parser.add_argument("--second", default="compact", help="a second pack (default: %(default)s)")
    parser.add_argument("--workers", type=int, default=2, help="workers of each pack (default: %(default)s)")
    options = parser.parse_args()
    args = ["--workers", str(options.workers)]
    with tempfile.TemporaryDirectory() as folder, Server(Path(folder), pack=options.pack) as server:
        one_face = {size: photos.one_face(server.client, size)[0] for size in set(MIX)}
        group = photos.group(server.client)
    print("| | resident |\n|---|---|")
    with tempfile.TemporaryDirectory() as folder, Server(Path(folder), pack=options.pack, args=args) as server:
        tell(server, "before the first photo")
        index = indexing(server, "many", {})
        marks = {max(1, round(share * options.photos)) for share in SHARES}
        for number, picture in enumerate(mixed(one_face, group, options.photos), 1):
            index(number, picture)
            if number in marks:
                tell(server, f"after {number} photos")
    with tempfile.TemporaryDirectory() as folder, Server(Path(folder), pack=options.pack, args=args) as server:
        tell(server, "another server, before the first photo")
        for pack in (options.pack, options.second):
            index = indexing(server, pack, {"rekollect:pack": pack}, DetectionAttributes=["ALL"])
            for number, picture in enumerate(mixed(one_face, group, OF_A_PACK)):
                index(number, picture)
            tell(server, f"after {OF_A_PACK} photos with all attributes in a collection of `{pack}`")


def mixed(one_face, group, count):
    for number, size in enumerate(itertools.islice(itertools.cycle(MIX), count), 1):
        yield group if number % (len(MIX) * GROUP_EVERY) == 0 else one_face[size]


def indexing(server, collection, tags, **options):
    server.client.create_collection(CollectionId=collection, Tags=tags)

    def index(number, picture):
        # A decoder stops at the end of the picture: another image with the same pixels.
        image = {"Bytes": picture + number.to_bytes(4, "little")}
        assert server.client.index_faces(CollectionId=collection, Image=image, **options)["FaceRecords"]

    return index


def tell(server, when):
    print(f"| {when} | {server.resident_megabytes():.0f} MB ({server.resident_megabytes('VmHWM'):.0f} MB at most) |", flush=True)


if __name__ == "__main__":
    main()
