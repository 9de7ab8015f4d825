"""A database that is slow, stalled, cut off or crowded: each call ends in time, with an error that an SDK tries again, and afterwards all is
well without a restart, and nothing is lost."""

import http.client
import threading
import time
from contextlib import contextmanager

import pytest
from botocore.exceptions import ClientError
from chaos import BLACK_HOLE, CUT, HALF_OPEN, SLOW, WELL, Proxy
from databases import session
from servers import Server, rekognition

WAIT, LIMIT = 1, 2  # seconds for a connection, and for a statement
LIMITS = {"REKOLLECT_DATABASE_WAIT": str(WAIT), "REKOLLECT_DATABASE_TIMEOUT": str(LIMIT), "REKOLLECT_DATABASE_CONNECTIONS": "4"}
CALLERS = 6
MOST_MEGABYTES = 400
AT_MOST = 2 * (WAIT + LIMIT)  # of a call, whatever the database does
THROTTLED = "ThrottlingException"


class Caller(threading.Thread):
    """Makes and deletes users, lists and searches, until told to stop; keeps what was acknowledged, how long calls took, and errors."""

    def __init__(self, url, name, collection, face):
        super().__init__()
        self.client, self.name, self.collection, self.face = rekognition(url), name, collection, face
        self.kept, self.deleted, self.codes, self.longest = set(), set(), [], 0
        self.stopping = threading.Event()

    def run(self):
        number = 0
        while not self.stopping.is_set():
            number += 1
            user = f"{self.name}-{number}"
            if self.call(self.client.create_user, UserId=user):
                self.kept.add(user)
            self.call(self.client.search_faces, FaceId=self.face)
            self.call(self.client.list_users, MaxResults=10)
            if number % 2 == 0 and user in self.kept:
                self.kept.discard(user)
                if self.call(self.client.delete_user, UserId=user):
                    self.deleted.add(user)

    def call(self, operation, **members):
        begin = time.monotonic()
        try:
            operation(CollectionId=self.collection, **members)
            self.codes.append(None)
            return True
        except ClientError as error:
            self.codes.append(error.response["Error"]["Code"])
            time.sleep(0.02)
            return False
        finally:
            self.longest = max(self.longest, time.monotonic() - begin)


@contextmanager
def callers(server, collection, face, tag):
    threads = [Caller(server.url, f"{tag}{number}", collection, face) for number in range(CALLERS)]
    [thread.start() for thread in threads]
    try:
        yield threads
    finally:
        [thread.stopping.set() for thread in threads]
        [thread.join() for thread in threads]


@pytest.fixture(scope="module")
def place(tmp_path_factory, databases, photo):
    """A server whose database is behind a proxy, with a collection that holds a face."""
    url = databases.create()
    with Proxy(url) as proxy, Server(tmp_path_factory.mktemp("chaos"), database_url=proxy.url, env=LIMITS) as server:
        server.client.create_collection(CollectionId="steady")
        (record,) = server.client.index_faces(CollectionId="steady", Image={"Bytes": photo("obama.jpg")})["FaceRecords"]
        yield server, proxy, record["Face"]["FaceId"], url
        proxy.be(WELL)


@pytest.fixture
def well(place):
    """The same, after whatever the test before did."""
    yield place
    place[1].be(WELL)


@pytest.mark.parametrize("mode", [SLOW, HALF_OPEN, CUT, BLACK_HOLE])
def test_every_call_ends_in_time_and_all_is_well_again(well, mode):
    server, proxy, face, url = well
    with callers(server, "steady", face, mode[0]) as threads:
        time.sleep(0.5)
        proxy.be(mode)
        time.sleep(3)
    codes = {code for thread in threads for code in thread.codes}
    assert codes <= {None, THROTTLED}
    assert mode == SLOW or THROTTLED in codes, "the database was well all the time: this tested nothing"
    assert max(thread.longest for thread in threads) < AT_MOST
    proxy.be(WELL)
    # Connections that gave no answer may be held for as long as they have for it.
    time.sleep(LIMIT)
    with callers(server, "steady", face, f"{mode[0]}-again") as again:
        time.sleep(1)
    assert {code for thread in again for code in thread.codes} == {None}
    users = {user["UserId"] for page in server.client.get_paginator("list_users").paginate(CollectionId="steady") for user in page["Users"]}
    for thread in threads + again:
        assert not thread.kept - users, "acknowledged users are lost"
        assert not thread.deleted & users, "users are back whose deletion was acknowledged"
    assert backends(url) <= int(LIMITS["REKOLLECT_DATABASE_CONNECTIONS"]), "connections are left behind"
    print(f"{mode}: {server.resident_megabytes('VmHWM'):.0f} MB at most")
    assert server.resident_megabytes("VmHWM") < MOST_MEGABYTES


def test_a_stalled_database_is_away_for_a_probe_too(well):
    server, proxy, face, _url = well
    assert ready(server)
    proxy.be(BLACK_HOLE)
    assert not ready(server)
    proxy.be(WELL)
    time.sleep(LIMIT)
    assert ready(server)


def test_crowded_callers_are_throttled_and_the_log_says_why(well):
    """A row that another session locks holds every connection until the statement's time is up. The rest get none."""
    server, _proxy, face, url = well
    with session(url) as other:
        other.run("BEGIN")
        other.run("SELECT 1 FROM collections FOR UPDATE")
        with callers(server, "steady", face, "x") as threads:
            time.sleep(LIMIT + WAIT + 1)
        other.run("ROLLBACK")
    codes = {code for thread in threads for code in thread.codes}
    assert codes <= {None, THROTTLED} and THROTTLED in codes
    assert max(thread.longest for thread in threads) < AT_MOST
    log = server.log.read_text()
    assert "no connection was free or made within 1s: 4 of 4 are busy" in log
    assert "canceling statement due to statement timeout" in log or "the database gave no answer within 2s" in log


def test_no_server_holds_a_row_after_it_stopped_answering(well):
    """What it gave up, the database gives up too."""
    server, proxy, _face, url = well
    proxy.be(HALF_OPEN)
    begin = time.monotonic()
    with pytest.raises(ClientError) as refused:
        server.client.create_user(CollectionId="steady", UserId="unheard")
    assert refused.value.response["Error"]["Code"] == THROTTLED
    assert time.monotonic() - begin < AT_MOST
    proxy.be(WELL)
    time.sleep(LIMIT)
    with session(url) as other:
        other.run("SET lock_timeout = 1000")
        other.run("SELECT 1 FROM collections FOR UPDATE")


def ready(server):
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=10)
    connection.request("GET", "/readyz")
    return connection.getresponse().status == 200


def backends(url):
    """Sessions of others on the database."""
    others = "datname = current_database() AND pid <> pg_backend_pid() AND backend_type = 'client backend'"
    with session(url) as other:
        return other.run(f"SELECT count(*) FROM pg_stat_activity WHERE {others}")[0][0]
