"""How well and how fast faces are grouped: `make bench-grouping`.

The time is that of GroupFaces over faces that gallery_of.vectors draws, in people of ten. With --photos, a folder as benches/labelled.py
writes it (a sub-folder a person), it also indexes those photos and holds the groups against who is who, at several thresholds:

- pairs: of two photos of one person, whether they are in one group, and the other way round (precision, recall and F1);
- BCubed: the same, asked of each photo and its group, and averaged (Bagga and Baldwin 1998). Here large groups do not outweigh all others.

A face in no group is a group of its own. Photos in which no face was found, or more than one, are left out.
"""

import argparse
import os
import sys
import tempfile
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import gallery_of
import growth
import millions

sys.path.insert(0, str(Path(__file__).parents[1] / "tests/clients"))
from servers import Server  # noqa: E402

PEOPLE = "people"


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--sizes", default="1000,10000,100000", help="drawn faces (default: %(default)s)")
    parser.add_argument("--photos", type=Path, help="photos with a sub-folder a person")
    parser.add_argument("--thresholds", default="70,80,85,90,95")
    options = parser.parse_args()
    print("| drawn faces | time | groups | pairs: precision, recall, F1 | BCubed: precision, recall, F1 | resident before, at most |")
    print("|---|---|---|---|---|---|")
    for size in map(int, options.sizes.split(",")):
        drawn(size)
    if options.photos:
        with tempfile.TemporaryDirectory() as folder, Server(Path(folder), env={"RUST_LOG": "warn"}) as server:
            labels = index(server, options.photos)
            print(f"\n| threshold, {len(labels):,} photos of {len(set(labels.values())):,} people | groups | pairs: precision, recall, F1 | BCubed: precision, recall, F1 |")
            print("|---|---|---|---|")
            for threshold in map(int, options.thresholds.split(",")):
                groups, _ = grouped(server, PEOPLE, threshold)
                print(f"| {threshold} | {len(groups):,} | {scores(groups, labels)} |", flush=True)


def drawn(size):
    embeddings = gallery_of.vectors(size, growth.DIMENSIONS["standard"])
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        with Server(folder) as server:
            server.client.create_collection(CollectionId=PEOPLE)
        names = gallery_of.fill_sqlite(folder / "data/rekollect.db", PEOPLE, embeddings)
        labels = {gallery_of.uuid.UUID(bytes=name).urn[9:]: number // gallery_of.PERSON for number, name in enumerate(names)}
        with Server(folder, env={"RUST_LOG": "warn"}) as server:
            millions.ask(server.port, "SearchFaces", CollectionId=PEOPLE, FaceId=next(iter(labels)))
            before = server.resident_megabytes()
            groups, seconds = grouped(server, PEOPLE, 80)
            most = server.resident_megabytes("VmHWM")
    print(f"| {size:,} | {seconds:.1f} s | {len(groups):,} | {scores(groups, labels)} | {before:.0f}, {most:.0f} MB |", flush=True)


def grouped(server, collection, threshold):
    """The ids of each group's faces, and the seconds that it took."""
    reply = {}
    ask = lambda: reply.update(millions.ask(server.port, "GroupFaces", CollectionId=collection, FaceMatchThreshold=threshold))  # noqa: E731
    seconds = millions.seconds(ask)
    return [[face["Face"]["FaceId"] for face in group["Faces"]] for group in reply["Groups"]], seconds


def index(server, photos):
    """Indexes photos; who is on each face's."""
    server.client.create_collection(CollectionId=PEOPLE)
    files = sorted(file for file in photos.glob("*/*") if file.is_file())

    def one(file):
        reply = server.client.index_faces(CollectionId=PEOPLE, Image={"Bytes": file.read_bytes()}, ExternalImageId=file.name)
        faces = [record["Face"]["FaceId"] for record in reply["FaceRecords"]]
        if len(faces) > 1:
            server.client.delete_faces(CollectionId=PEOPLE, FaceIds=faces)
        return (faces[0], file.parent.name) if len(faces) == 1 else None

    with ThreadPoolExecutor(2 * os.cpu_count()) as pool:
        return dict(filter(None, pool.map(one, files)))


def scores(groups, labels):
    """Cells of a table: the scores of pairs, and those of BCubed."""
    group_of = {face: number for number, group in enumerate(groups) for face in group}
    faces = [(group_of.get(face, face), person) for face, person in labels.items()]
    of_group, of_person, of_both = Counter(group for group, _ in faces), Counter(person for _, person in faces), Counter(faces)
    pairs = lambda counts: sum(count * (count - 1) // 2 for count in counts.values())  # noqa: E731
    together = pairs(of_both)
    by_pairs = together / (pairs(of_group) or 1), together / (pairs(of_person) or 1)
    average = lambda of: sum(count * count / of(key) for key, count in of_both.items()) / len(faces)  # noqa: E731
    by_face = average(lambda key: of_group[key[0]]), average(lambda key: of_person[key[1]])
    return " | ".join(f"{p:.4f}, {r:.4f}, {2 * p * r / (p + r or 1):.4f}" for p, r in (by_pairs, by_face))


if __name__ == "__main__":
    main()
