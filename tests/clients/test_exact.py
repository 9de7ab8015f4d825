"""Searches find what a comparison of everything finds, with vectors of real faces: alone, and with thousands of neighbours each."""

import random
import sqlite3
import sys
import uuid
from contextlib import closing

import numpy
import pytest
from servers import ROOT, Server

sys.path.insert(0, str(ROOT / "benches"))
import gallery_of  # noqa: E402

PEOPLE = "people"
# So many are searched from files.
ENOUGH = 24_000


@pytest.mark.parametrize("pack", ["standard", "compact"])
def test_real_faces_get_the_answers_of_a_full_comparison(tmp_path, photo, pack):
    with Server(tmp_path, pack=pack) as server:
        server.client.create_collection(CollectionId=PEOPLE)
        for name in ("sample2.jpg", "sample4.jpg", "obama.jpg", "obama2.jpg"):
            server.client.index_faces(CollectionId=PEOPLE, Image={"Bytes": photo(name)}, QualityFilter="NONE")
        compare(server, tmp_path, probes=1000)
    crowd(tmp_path)
    with Server(tmp_path, pack=pack) as server:
        compare(server, tmp_path, probes=12)
        server.stop()
    # From the files of the run before.
    with Server(tmp_path, pack=pack) as server:
        compare(server, tmp_path, probes=4)


def vectors(folder):
    with closing(sqlite3.connect(folder / "data/rekollect.db")) as store:
        rows = store.execute("SELECT face_id, embedding FROM faces ORDER BY face_id").fetchall()
    return [row[0] for row in rows], numpy.stack([numpy.frombuffer(row[1], numpy.float32) for row in rows])


def crowd(folder):
    """Adds faces that resemble the real ones, from hardly to all but the last bits."""
    names, real = vectors(folder)
    draw = numpy.random.default_rng(17)
    count = ENOUGH // len(real)
    noise = draw.standard_normal((count, *real.shape)).astype(numpy.float32) / numpy.sqrt(real.shape[1])
    near = real + noise * numpy.geomspace(1e-5, 2, count, dtype=numpy.float32)[:, None, None]
    near = (near / numpy.linalg.norm(near, axis=2, keepdims=True)).reshape(-1, real.shape[1]).astype(numpy.float32)
    ids = [random.Random(n).randbytes(16) for n in range(len(near))]
    gallery_of.add_sqlite(folder / "data/rekollect.db", PEOPLE, ids, near)


def compare(server, folder, probes):
    names, all_vectors = vectors(folder)
    all_vectors = all_vectors.astype(numpy.float64)
    all_vectors /= numpy.linalg.norm(all_vectors, axis=1, keepdims=True)
    place = {name.hex(): number for number, name in enumerate(names)}
    for probe in random.Random(probes).sample(range(len(names)), min(probes, len(names))):
        cosines = all_vectors @ all_vectors[probe]
        cosines[probe] = -2
        everybody = None
        for threshold, limit in ((0, 4096), (80, 100), (99, 7)):
            matches = server.client.search_faces(
                CollectionId=PEOPLE, FaceId=str(uuid.UUID(bytes=names[probe])), FaceMatchThreshold=threshold, MaxFaces=limit
            )["FaceMatches"]
            found = [place[match["Face"]["FaceId"].replace("-", "")] for match in matches]
            assert len(set(found)) == len(found) and probe not in found
            similarities = [match["Similarity"] for match in matches]
            assert similarities == sorted(similarities, reverse=True)
            mine = cosines[found]
            # Nobody who is left out is nearer than somebody who is found; what differs by less, 32 bits cannot tell.
            assert (numpy.diff(mine) < 1e-6).all()
            assert numpy.delete(cosines, found).max(initial=-2) < mine.min(initial=2) + 1e-6
            # A threshold and a limit cut the longest answer off, and change nothing else.
            everybody = everybody or list(zip(found, similarities))
            assert found == [face for face, similarity in everybody if similarity >= threshold][:limit]
