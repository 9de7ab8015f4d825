"""Three servers on one Postgres, each behind a proxy of its own, and all of them killed, paused and cut off at random: what one of them
acknowledged, the next search on any other sees.

`REKOLLECT_TEST_HISTORY_SECONDS=600` makes it last ten minutes, `REKOLLECT_TEST_SEED` repeats what befalls the servers, `-s` shows what
was done."""

import itertools
import os
import random
import signal
import threading
import time
from collections import Counter
from contextlib import contextmanager, suppress

import pictures
import pytest
from botocore.exceptions import BotoCoreError, ClientError
from chaos import BLACK_HOLE, CUT, HALF_OPEN, SLOW, WELL, Proxy
from history import NEVER, Call, History, Read
from servers import Server, rekognition
from test_pgvector import PGVECTOR, database  # noqa: F401

SECONDS = int(os.environ.get("REKOLLECT_TEST_HISTORY_SECONDS", "60"))
SEED = int(os.environ.get("REKOLLECT_TEST_SEED", time.time_ns() % 1_000_000))
SERVERS, WRITERS, READERS = 3, 4, 3
WAIT, LIMIT = 2, 3  # seconds for a connection to the database, and for a statement
LIMITS = {"REKOLLECT_DATABASE_WAIT": str(WAIT), "REKOLLECT_DATABASE_TIMEOUT": str(LIMIT), "RUST_LOG": "warn"}
PATIENCE = 8  # of a client
MOST = 4096  # faces of an answer


class Place:
    """A server, and its way to the database. `torment` lets happen to it what happens to servers."""

    def __init__(self, folder, number, database_url, env):
        self.number, self.name, self.folder, self.env = number, f"server-{number}", folder / str(number), {**LIMITS, **env}
        self.proxy, self.chance = Proxy(database_url), random.Random(SEED + number)
        self.start()

    def start(self):
        """As a supervisor does: again, where the database did not answer in time."""
        while True:
            with suppress(AssertionError):
                self.server = Server(self.folder, database_url=self.proxy.url, args=["--workers", "1"], env=self.env)
                break
        self.client = rekognition(self.server.url, patience=PATIENCE)

    def kill(self):
        self.server.process.kill()
        self.server.process.wait()
        self.server.process.stdout.close()

    def torment(self, stopping, counts):
        # In turn, and each server begins with another: a short run has all of them.
        kinds = ["kills", "pauses", "cuts"]
        for turn in itertools.count(self.number):
            if stopping.wait(self.chance.uniform(1, 6)):
                break
            what, seconds = kinds[turn % len(kinds)], self.chance.uniform(0.2, 6)
            counts[what] += 1
            if what == "kills":
                self.kill()
                self.start()
            elif what == "pauses":
                self.server.process.send_signal(signal.SIGSTOP)
                time.sleep(seconds)
                self.server.process.send_signal(signal.SIGCONT)
            else:
                self.proxy.be(self.chance.choice([SLOW, HALF_OPEN, CUT, BLACK_HOLE]))
                time.sleep(seconds)
                self.proxy.be(WELL)


class Round:
    """A collection and its history. All of its faces resemble the first, so a search for that finds all others."""

    def __init__(self, client, name, image):
        self.name, self.image, self.history = name, image, History()
        self.lock, self.faces, self.made = threading.Lock(), {}, 0
        client.create_collection(CollectionId=name)
        self.first = self.index(client, "first")

    def index(self, client, name):
        members = {"Image": {"Bytes": self.image}, "ExternalImageId": name, "MaxFaces": 1, "QualityFilter": "NONE"}
        return client.index_faces(CollectionId=self.name, **members)["FaceRecords"][0]["Face"]["FaceId"]

    def add(self, client, _where, _chance):
        with self.lock:
            self.made += 1
            name = f"face-{self.made}"
        begin = time.monotonic()
        self.history.added[name] = Call(begin)
        face = self.index(client, name)
        self.history.added[name] = Call(begin, time.monotonic())
        with self.lock:
            self.faces[name] = face

    def remove(self, client, _where, chance):
        with self.lock:
            if not self.faces:
                return
            name = chance.choice(list(self.faces))
            face = self.faces.pop(name)
        begin = time.monotonic()
        self.history.removed[name] = Call(begin)
        client.delete_faces(CollectionId=self.name, FaceIds=[face])
        self.history.removed[name] = Call(begin, time.monotonic())

    def search(self, client, where, _chance=None):
        members = {"FaceId": self.first, "FaceMatchThreshold": 0, "MaxFaces": MOST}
        self.read(where, lambda: faces_of(client.search_faces(CollectionId=self.name, **members)))

    def search_by_image(self, client, where):
        members = {"Image": {"Bytes": self.image}, "FaceMatchThreshold": 0, "MaxFaces": MOST, "QualityFilter": "NONE"}
        self.read(where, lambda: faces_of(client.search_faces_by_image(CollectionId=self.name, **members)))

    def list(self, client, where):
        self.read(where, lambda: client.list_faces(CollectionId=self.name, MaxResults=MOST)["Faces"])

    def read(self, where, faces):
        begin = time.monotonic()
        found = frozenset(face["ExternalImageId"] for face in faces()) - {"first"}
        self.history.reads.append(Read(begin, time.monotonic(), found, where))


def faces_of(reply):
    return [match["Face"] for match in reply["FaceMatches"]]


class Clients:
    """They write and read, each on any of the servers, until told to stop. A collection that is full is left for the next."""

    def __init__(self, places, image, full):
        self.places, self.image, self.full = places, image, full
        self.rounds, self.counts, self.stopping = [], Counter(), threading.Event()
        self.next_round(places[0].client)

    def next_round(self, client):
        self.rounds.append(Round(client, f"round-{time.monotonic_ns()}", self.image))

    def run(self, number):
        chance = random.Random(1000 * SEED + number)
        while not self.stopping.is_set():
            place, now = chance.choice(self.places), self.rounds[-1]
            client = place.client
            what = now.search
            if number < WRITERS:
                what = chance.choice([now.add, now.add, now.remove if now.faces else now.add])
            try:
                if number == 0 and now.made > self.full:
                    self.next_round(client)
                what(client, place.name, chance)
                self.counts[what.__name__] += 1
            except (ClientError, BotoCoreError) as error:
                self.counts[error.response["Error"]["Code"] if isinstance(error, ClientError) else type(error).__name__] += 1
                time.sleep(0.05)

    @contextmanager
    def at_work(self):
        threads = [threading.Thread(target=self.run, args=(number,)) for number in range(WRITERS + READERS)]
        threads += [threading.Thread(target=place.torment, args=(self.stopping, self.counts)) for place in self.places]
        [thread.start() for thread in threads]
        try:
            yield
        finally:
            self.stopping.set()
            [thread.join() for thread in threads]


def check(folder, url, image, seconds, full, env):
    places = [Place(folder, number, url, env) for number in range(SERVERS)]
    try:
        clients = Clients(places, image, full)
        with clients.at_work():
            time.sleep(seconds)
        # What nobody heard the end of is over by now, one way or the other.
        time.sleep(WAIT + 3 * LIMIT)
        for now in clients.rounds:
            for place in places:
                for read in (now.search, now.search_by_image, now.list):
                    read(place.client, f"{place.name} at last")
        histories = [now.history for now in clients.rounds]
        violations = [text for history in histories for text in history.violations()]
        acknowledged = sum(call.end < NEVER for history in histories for call in [*history.added.values(), *history.removed.values()])
        print(f"\nseed {SEED}, {seconds} s: {acknowledged} changes acknowledged in {len(histories)} collections; {dict(clients.counts)}")
        assert not violations, f"seed {SEED}: {len(violations)} violations, such as {violations[:5]}"
        for history in histories:
            assert len({read.found for read in history.reads[-3 * SERVERS :]}) == 1, "the servers differ"
        assert {"kills", "pauses", "cuts"} <= clients.counts.keys() and acknowledged > seconds / 10, "this tested too little"
    finally:
        for place in places:
            place.kill()
            place.proxy.close()


@pytest.fixture
def image(photo):
    small = pictures.opened(photo("obama.jpg"))
    small.thumbnail((240, 240))
    return pictures.saved(small)


def test_what_one_server_acknowledged_the_next_search_on_any_sees(tmp_path, databases, image):
    check(tmp_path, databases.create(), image, SECONDS, MOST // 2, {})


def test_the_same_with_pgvector(tmp_path, database, image):  # noqa: F811
    check(tmp_path, database, image, max(20, SECONDS // 3), 200, PGVECTOR)


def test_a_checker_that_can_fail():
    """Each of these histories is wrong but for one call or moment."""
    early, late = Call(1, 2), Call(5, 6)
    nothing, it = frozenset(), frozenset({"it"})

    def history(*reads, added=early, removed=None):
        return History({"it": added}, {"it": removed} if removed else {}, [Read(*read, "a server") for read in reads])

    for right in (
        history((1.5, 3, nothing), (1.5, 1.6, it), (3, 4, it)),
        history((0, 1, nothing), (3, 4, it), (5.5, 7, it), (5.5, 7, nothing), (7, 8, nothing), removed=late),
        # Never acknowledged: at any moment, or never.
        history((3, 4, nothing), (7, 8, it), (9, 10, it), added=Call(1)),
        history((3, 4, it), (7, 8, it), (9, 10, nothing), removed=Call(5)),
        history((3, 4, nothing), added=Call(1)),
    ):
        assert right.violations() == []
    for wrong, text in (
        (history((3, 4, nothing)), "missed it"),
        (history((0.1, 0.2, it)), "before it was added"),
        (history((7, 8, it), removed=late), "removal was acknowledged"),
        (history((3, 4, nothing), removed=late), "missed it"),
        # Not acknowledged, but seen, and then not any more.
        (history((3, 4, it), (7, 8, nothing), added=Call(1)), "missed it"),
        (history((6, 7, nothing), (8, 9, it), removed=Call(5)), "missed it"),
        (history((3, 4, it | {"else"})), "which nobody added"),
    ):
        assert len(wrong.violations()) == 1 and text in wrong.violations()[0], wrong
