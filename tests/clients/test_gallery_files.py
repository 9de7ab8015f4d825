"""Gallery files: a start reads them, whatever ended the server before, and never answers otherwise than the database would."""

import os
import random
import sqlite3
import sys
import time
from contextlib import closing

import numpy
import pytest
from servers import ROOT, Server, metric

sys.path.insert(0, str(ROOT / "benches"))
import gallery_of  # noqa: E402

PEOPLE, DIMENSIONS = "people", 128
PATIENT = ["--gallery-wait", "300"]
WORTH_FILES = 20_000
KILLS = int(os.environ.get("REKOLLECT_TEST_KILLS", 8))


def fill(folder, count, seed=1):
    """Adds faces past a server that does not run, as one change; the ids of all."""
    names = [random.Random(seed * 1_000_000 + n).randbytes(16) for n in range(count)]
    return gallery_of.add_sqlite(folder / "data/rekollect.db", PEOPLE, names, gallery_of.vectors(count, DIMENSIONS, seed))


def uuid_of(name):
    text = name.hex()
    return "-".join((text[:8], text[8:12], text[12:16], text[16:20], text[20:]))


@pytest.fixture
def folder(tmp_path):
    with Server(tmp_path) as server:
        server.client.create_collection(CollectionId=PEOPLE)
    return tmp_path


def answers(server, names):
    found = {}
    for name in names:
        matches = server.client.search_faces(CollectionId=PEOPLE, FaceId=uuid_of(name), FaceMatchThreshold=0, MaxFaces=300)["FaceMatches"]
        found[name] = [(match["Face"]["FaceId"], match["Similarity"]) for match in matches]
    return found


def eventually_in_files(server):
    deadline = time.monotonic() + 30
    while not any(file.name == "manifest" for file in files_of(server.log.parent)):
        assert time.monotonic() < deadline, server.log.read_text()
        time.sleep(0.1)
    return metric(server, "gallery_file_bytes")


def files_of(folder):
    return [file for file in (folder / "data/galleries").rglob("*") if file.is_file() and file.name != "lock"]


def hide(folder, name):
    """Makes the database's vector of a face another one, which no revision tells."""
    with closing(sqlite3.connect(folder / "data/rekollect.db")) as store, store:
        vector = numpy.eye(DIMENSIONS, dtype=numpy.float32)[0]
        store.execute("UPDATE faces SET embedding = ? WHERE face_id = ?", (vector.tobytes(), name))


def test_a_start_reads_files_and_what_came_since(folder):
    names = fill(folder, WORTH_FILES)
    with Server(folder) as server:
        before = answers(server, names[:3])
        assert eventually_in_files(server) > WORTH_FILES * DIMENSIONS * 4
        server.client.delete_faces(CollectionId=PEOPLE, FaceIds=[before[names[0]][0][0]])
    hidden = before[names[1]][0][0]
    hide(folder, bytes.fromhex(hidden.replace("-", "")))
    with Server(folder) as server:
        after = answers(server, names[:3])
        assert after[names[1]] == before[names[1]], "it was read from the database"
        assert before[names[0]][0] not in after[names[0]], "a face that was deleted since is found"
    with Server(folder, args=["--gallery-files", "0"]) as server:
        assert hidden not in [face for face, _ in answers(server, names[1:2])[names[1]]]


def test_files_are_their_owners_and_go_with_their_collection(folder):
    names = fill(folder, WORTH_FILES)
    with Server(folder) as server:
        answers(server, names[:1])
        eventually_in_files(server)
        assert len(files_of(folder)) == 2
        for file in files_of(folder):
            assert file.stat().st_mode & 0o777 == 0o600 and file.parent.stat().st_mode & 0o777 == 0o700
        server.client.delete_collection(CollectionId=PEOPLE)
        assert files_of(folder) == [] and metric(server, "gallery_file_bytes") == 0


def test_no_more_files_than_are_allowed(folder):
    names = fill(folder, WORTH_FILES)
    with Server(folder, args=["--gallery-files", "1000000"]) as server:
        for name in names[1:6]:
            assert len(answers(server, names[:1])[names[0]]) == 300
            time.sleep(0.3)
            assert files_of(folder) == []
            server.client.delete_faces(CollectionId=PEOPLE, FaceIds=[uuid_of(name)])
        assert server.log.read_text().count("allows no more") == 1, "it is tried, and told, at every change"


def test_a_damaged_file_costs_a_new_reading_and_nothing_else(folder):
    names = fill(folder, WORTH_FILES)
    with Server(folder, args=["--gallery-files", "0"]) as server:
        truth = answers(server, names[:3])
    chance = random.Random(17)
    for turn in range(6):
        with Server(folder) as server:
            assert answers(server, names[:3]) == truth
            eventually_in_files(server)
        file = chance.choice(files_of(folder))
        if turn % 3 == 0:
            os.truncate(file, chance.randrange(file.stat().st_size))
        else:
            with file.open("r+b") as out:
                out.seek(chance.randrange(file.stat().st_size))
                out.write(bytes(100_000 if turn % 3 == 1 else 1))
        with Server(folder) as server:
            # Vectors are compared with their checksum when they are read: then one answer may be an error, which clients repeat.
            for _ in range(3):
                try:
                    assert answers(server, names[:3]) == truth
                    break
                except server.client.exceptions.InternalServerError:
                    pass
            else:
                pytest.fail(server.log.read_text())


def segment_of(folder):
    [segment] = (file for file in files_of(folder) if file.name != "manifest")
    return segment


def in_files(folder, names):
    """Starts and stops a server that writes files."""
    with Server(folder) as server:
        found = answers(server, names)
        eventually_in_files(server)
    return found


def test_damage_that_is_met_while_a_gallery_catches_up_costs_a_new_reading_and_nothing_else(folder):
    names = fill(folder, WORTH_FILES)
    in_files(folder, names[:1])
    with segment_of(folder).open("r+b") as out:
        out.seek(-WORTH_FILES * DIMENSIONS * 4, os.SEEK_END)
        out.write(bytes(WORTH_FILES * DIMENSIONS * 4))
    # So many leave that those who stay move, and their vectors are read.
    with Server(folder, args=["--gallery-files", "0"]) as server:
        for first in range(0, 12_000, 4_000):
            server.client.delete_faces(CollectionId=PEOPLE, FaceIds=[uuid_of(name) for name in names[first : first + 4_000]])
        truth = answers(server, names[-2:])
    with Server(folder) as server:
        for _ in range(3):
            try:
                assert answers(server, names[-2:]) == truth
                break
            except server.client.exceptions.InternalServerError:
                pass
        else:
            pytest.fail(server.log.read_text())


def test_a_database_that_was_restored_does_not_get_the_files_of_its_lost_future(folder):
    database = folder / "data/rekollect.db"
    backup = database.read_bytes()
    lost = fill(folder, WORTH_FILES, seed=1)
    in_files(folder, lost[:1])
    for file in (folder / "data").glob("rekollect.db*"):
        file.unlink()
    database.write_bytes(backup)
    # The revision is the one of before, and the faces are others.
    names = fill(folder, WORTH_FILES, seed=2)
    with Server(folder, args=["--gallery-files", "0"]) as server:
        truth = answers(server, names[:2])
    with Server(folder) as server:
        assert answers(server, names[:2]) == truth


@pytest.mark.parametrize("when", ["after a start", "while the server runs"])
def test_vectors_of_deleted_faces_leave_files_by_themselves(folder, when):
    def is_in_files(vector):
        try:
            return any(vector in file.read_bytes() for file in files_of(folder))
        except FileNotFoundError:
            return is_in_files(vector)

    names = fill(folder, WORTH_FILES)
    with closing(sqlite3.connect(folder / "data/rekollect.db")) as store:
        vector, stays = (store.execute("SELECT embedding FROM faces WHERE face_id = ?", (name,)).fetchone()[0] for name in names[:2])
    in_files(folder, names[:1])
    assert is_in_files(vector)
    args = []
    if when == "while the server runs":
        args = ["--gallery-cleaning", "1"]
    else:
        with Server(folder) as server:
            server.client.delete_faces(CollectionId=PEOPLE, FaceIds=[uuid_of(names[0])])
    with Server(folder, args=args) as server:
        if args:
            time.sleep(1)
            server.client.delete_faces(CollectionId=PEOPLE, FaceIds=[uuid_of(names[0])])
        deadline = time.monotonic() + 20
        # Nobody searches.
        while is_in_files(vector):
            assert time.monotonic() < deadline, server.log.read_text()
            time.sleep(0.2)
        assert is_in_files(stays)
        found = answers(server, names[1:3])
    with Server(folder, args=["--gallery-files", "0"]) as server:
        assert answers(server, names[1:3]) == found


def test_a_kill_at_any_moment_leaves_the_answers_of_the_database(folder):
    """REKOLLECT_TEST_KILLS of them, while a gallery is read, written, changed and merged."""
    chance = random.Random(99)
    for kill in range(KILLS):
        names = fill(folder, WORTH_FILES if kill % 8 == 0 else chance.choice([300, 3_000]), seed=kill + 1)
        server = Server(folder, args=PATIENT)
        end = time.monotonic() + chance.uniform(0, 1.2)
        try:
            while time.monotonic() < end:
                answers(server, [chance.choice(names)])
                count = min(chance.choice([0, 1, 300]), len(names) - 1)
                gone = [names.pop(chance.randrange(len(names))) for _ in range(count)]
                if gone:
                    server.client.delete_faces(CollectionId=PEOPLE, FaceIds=[uuid_of(name) for name in gone])
        finally:
            server.process.kill()
            server.process.wait()
        if kill % 4 == 3 or kill == KILLS - 1:
            with closing(sqlite3.connect(folder / "data/rekollect.db")) as store:
                there = [row[0] for row in store.execute("SELECT face_id FROM faces ORDER BY face_id")]
            probes = chance.sample(there, 5)
            with Server(folder, args=[*PATIENT, "--gallery-files", "0"]) as server:
                truth = answers(server, probes)
            with Server(folder, args=PATIENT) as server:
                assert answers(server, probes) == truth
