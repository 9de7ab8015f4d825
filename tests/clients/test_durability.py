"""What was acknowledged is there after whatever happens to the server, its disk and its database; what was not is there whole or not at all."""

import os
import random
import shutil
import subprocess
import sys
import threading
import time
from contextlib import contextmanager

import botocore.exceptions
import pytest
from servers import ROOT, Server, rekognition

sys.path.insert(0, str(ROOT / "tests"))
import postgres  # noqa: E402

KILLS = int(os.environ.get("REKOLLECT_TEST_KILLS", "15"))
WRITERS = 4
PEOPLE = "sample4.jpg"  # a photo with four faces
FACES = 4
EVERYTHING = 4096
LOST = (botocore.exceptions.ConnectionError, botocore.exceptions.HTTPClientError)


class Writer(threading.Thread):
    """Indexes, deletes, and gives faces to users, until the server is gone; keeps what was acknowledged and what was in the air."""

    def __init__(self, url, collection, photo, name, until=None):
        super().__init__()
        self.client, self.collection, self.photo, self.name = rekognition(url), collection, photo, name
        self.until = until
        self.images = {}  # ImageId -> its faces, all acknowledged
        self.deleted = set()
        self.users = set()
        self.unsure = set()  # faces whose deletion was not acknowledged
        self.unsure_users = set()
        self.refused = []

    def run(self):
        number = 0
        while self.until is None or time.monotonic() < self.until:
            number += 1
            try:
                self.step(number)
            except LOST:
                if self.until is None:
                    return
            except botocore.exceptions.ClientError as error:
                self.refused.append(error.response["Error"]["Code"])
                if self.until is None:
                    return
                time.sleep(0.05)

    def step(self, number):
        # Whatever follows the end of the picture makes it another image.
        image = {"Bytes": self.photo + f"{self.name}-{number}".encode()}
        records = self.client.index_faces(CollectionId=self.collection, Image=image, ExternalImageId=f"{self.name}-{number}")["FaceRecords"]
        faces = [record["Face"]["FaceId"] for record in records]
        self.images[records[0]["Face"]["ImageId"]] = faces
        if number % 3 == 0:
            user = f"{self.name}-{number}"
            self.unsure_users.add(user)
            self.client.create_user(CollectionId=self.collection, UserId=user)
            self.users.add(user)
        if number % 2 == 0:
            chosen = faces[:2]
            self.unsure |= set(chosen)
            gone = self.client.delete_faces(CollectionId=self.collection, FaceIds=chosen)["DeletedFaces"]
            self.deleted |= set(gone)


def check(client, collection, writers):
    """The collection holds what the writers were told that it does."""
    listed = list_faces(client, collection)
    ids = {face["FaceId"] for face in listed}
    by_image = {}
    for face in listed:
        by_image.setdefault(face["ImageId"], set()).add(face["FaceId"])
    for writer in writers:
        kept = {face for faces in writer.images.values() for face in faces} - writer.unsure
        assert not kept - ids, "acknowledged faces are lost"
        assert not writer.deleted & ids, "faces are back whose deletion was acknowledged"
    maybe_deleted = set().union(*(writer.unsure for writer in writers))
    for image, faces in by_image.items():
        known = known_faces(writers, image)
        if known is None:  # nobody was told its faces, so nobody can have deleted any
            assert len(faces) == FACES, f"an image is half there: {len(faces)} of {FACES} faces"
        else:
            missing = set(known) - faces
            assert missing in (set(), set(known) & maybe_deleted), f"a deletion is half done: {len(missing)} of {len(known)} faces are gone"
    users = {user["UserId"] for page in client.get_paginator("list_users").paginate(CollectionId=collection) for user in page["Users"]}
    assert not set().union(*(writer.users for writer in writers)) - users, "acknowledged users are lost"
    described = client.describe_collection(CollectionId=collection)
    assert (described["FaceCount"], described["UserCount"]) == (len(ids), len(users))
    if ids and len(ids) <= EVERYTHING:
        probe = min(ids)
        found = client.search_faces(CollectionId=collection, FaceId=probe, FaceMatchThreshold=0, MaxFaces=EVERYTHING)["FaceMatches"]
        assert {match["Face"]["FaceId"] for match in found} == ids - {probe}, "memory is not what the store is"


def known_faces(writers, image):
    return next((writer.images[image] for writer in writers if image in writer.images), None)


def list_faces(client, collection):
    return [face for page in client.get_paginator("list_faces").paginate(CollectionId=collection) for face in page["Faces"]]


@pytest.mark.parametrize("store", ["sqlite", "postgres"])
def test_killed_at_any_moment(store, tmp_path, databases, photo):
    url = databases.create() if store == "postgres" else None
    chance = random.Random(4)
    done = None
    for kill in range(KILLS + 1):
        with Server(tmp_path, database_url=url) as server:
            if done:
                check(server.client, *done)
            if kill == KILLS:
                break
            collection = f"round-{kill}"
            server.client.create_collection(CollectionId=collection)
            writers = [Writer(server.url, collection, photo(PEOPLE), f"w{number}") for number in range(WRITERS)]
            [writer.start() for writer in writers]
            time.sleep(chance.uniform(0.05, 1.0))
            server.process.kill()
            server.process.wait()
            [writer.join() for writer in writers]
            done = collection, writers


def test_a_database_that_goes_away_and_comes_back(tmp_path, photo):
    seconds = float(os.environ.get("REKOLLECT_TEST_OUTAGE", "4"))
    with own_postgres() as (url, control), Server(tmp_path, database_url=url) as server:
        server.client.create_collection(CollectionId="steady")
        until = time.monotonic() + seconds + 8
        writers = [Writer(server.url, "steady", photo(PEOPLE), f"w{number}", until) for number in range(WRITERS)]
        [writer.start() for writer in writers]
        time.sleep(1.5)
        control("stop", "-m", "immediate")
        time.sleep(seconds)
        control("start", "-l", "again.log")
        [writer.join() for writer in writers]
        refused = {code for writer in writers for code in writer.refused}
        assert refused <= {"ThrottlingException"}, "an SDK tries such a call again"
        check(server.client, "steady", writers)
        indexed = server.client.index_faces(CollectionId="steady", Image={"Bytes": photo("obama.jpg")})
        assert indexed["FaceRecords"], "without a restart all is well again"


@contextmanager
def own_postgres():
    """A Postgres that may be stopped: its URL, and pg_ctl."""
    made = []
    original = postgres.start

    def start(binaries, owner, folder, further):
        made.append((binaries, owner, folder))
        original(binaries, owner, folder, further)

    postgres.start = start
    try:
        with postgres.cluster() as url:
            binaries, owner, folder = made[0]

            def control(verb, *flags):
                done = postgres.execute([binaries / "pg_ctl", verb, "-w", "-D", folder / "data", *flags], owner, folder)
                assert done.returncode == 0, done.stdout

            yield url, control
    finally:
        postgres.start = original


def test_changes_that_the_database_gives_up_are_made_again(tmp_path, databases, photo):
    """With serializable transactions Postgres refuses one of two changes of a collection at the same time."""
    url = databases.create() + "?options=-c%20default_transaction_isolation%3Dserializable"
    with Server(tmp_path, database_url=url, env={"RUST_LOG": "info,rekollect::store=debug"}) as server:
        server.client.create_collection(CollectionId="busy")
        failed, writers = [], 24

        def make_users(number):
            client = rekognition(server.url)
            for user in range(5):
                try:
                    client.create_user(CollectionId="busy", UserId=f"u{number}-{user}")
                except botocore.exceptions.ClientError as error:
                    failed.append(error)

        threads = [threading.Thread(target=make_users, args=(number,)) for number in range(writers)]
        [thread.start() for thread in threads]
        [thread.join() for thread in threads]
        assert not failed
        assert server.client.describe_collection(CollectionId="busy")["UserCount"] == 5 * writers
        assert "for the sake of another" in server.log.read_text(), "no change was given up: this tested nothing"


def test_a_full_disk_refuses_and_loses_nothing(tmp_path, photo):
    with small_disk(tmp_path) as folder, Server(folder) as server:
        server.client.create_collection(CollectionId="full")
        writer = Writer(server.url, "full", photo(PEOPLE), "w0", time.monotonic() + 60)
        number = 0
        while not writer.refused and number < 5000:
            number += 1
            try:
                writer.step(number)
            except botocore.exceptions.ClientError as error:
                writer.refused.append(error.response["Error"]["Code"])
        assert writer.refused == ["InternalServerError"]
        # What reads only goes on.
        check_images(server.client, "full", writer)
        (folder / "ballast").unlink()
        writer.step(number + 1)
        check_images(server.client, "full", writer)
        server.process.kill()
        server.process.wait()
        with Server(folder) as again:
            check(again.client, "full", [writer])


def check_images(client, collection, writer):
    ids = {face["FaceId"] for face in list_faces(client, collection)}
    kept = {face for faces in writer.images.values() for face in faces} - writer.unsure
    assert kept <= ids and not writer.deleted & ids


@contextmanager
def small_disk(folder):
    """A folder on a disk of 6 MB with a ballast of 2 MB on it, where this process may mount one."""
    place = folder / "disk"
    place.mkdir()
    if sys.platform != "linux" or os.geteuid() != 0 or not shutil.which("mount"):
        pytest.skip("only root on Linux can mount a small disk")
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=6m", "tmpfs", place], capture_output=True, text=True)
    if mounted.returncode != 0:
        pytest.skip(f"no small disk can be mounted here: {mounted.stderr.strip()}")
    try:
        (place / "ballast").write_bytes(bytes(2 << 20))
        yield place
    finally:
        subprocess.run(["umount", "-l", place], check=True)
