"""Callers that go away, or stop waiting, and what the server does for them meanwhile."""

import json
import re
import socket
import sqlite3
import sys
import time
import uuid
from contextlib import closing

import numpy
import pytest
from botocore.exceptions import ClientError
from chaos import SLOW, WELL, Proxy
from databases import connection
from servers import ROOT, Server, get, metric

sys.path.insert(0, str(ROOT / "benches"))
import gallery_of  # noqa: E402

DIMENSIONS = 128
PATIENCE = 30


def call_and_leave(server, operation, seconds=0.2, **members):
    """As an SDK does whose time-out is this short."""
    body = json.dumps(members)
    head = f"POST / HTTP/1.1\r\nHost: localhost\r\nX-Amz-Target: RekognitionService.{operation}\r\nContent-Length: {len(body)}\r\n\r\n"
    with socket.create_connection(("127.0.0.1", server.port)) as connection:
        connection.sendall((head + body).encode())
        time.sleep(seconds)


def code_of(call, **members):
    try:
        call(**members)
    except ClientError as error:
        return error.response["Error"]["Code"]


def eventually(condition):
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, "it never came to be"
        time.sleep(0.05)


def fill(server, database, collection, count):
    """Gives a collection made-up faces; the id of the first."""
    embeddings = gallery_of.vectors(count, DIMENSIONS)
    if database:
        with closing(connection(database)) as there:
            names = gallery_of.fill_postgres(there, collection, embeddings)
    else:
        names = gallery_of.fill_sqlite(server.log.parent / "data" / "rekollect.db", collection, embeddings)
    return str(uuid.UUID(bytes=names[0]))


def test_a_change_counts_as_a_request_until_it_ends_although_its_caller_has_gone(tmp_path):
    with Server(tmp_path, args=["--max-requests", "2", "--database-wait", "60"]) as server:
        with closing(sqlite3.connect(tmp_path / "data" / "rekollect.db", isolation_level=None)) as file:
            file.execute("BEGIN IMMEDIATE")  # nobody else may write
            for number in range(2):
                call_and_leave(server, "CreateCollection", CollectionId=f"left-{number}")
            assert code_of(server.client.create_collection, CollectionId="third") == "ThrottlingException"
            assert metric(server, "requests_in_progress") == 2
            file.execute("ROLLBACK")
        eventually(lambda: metric(server, "requests_in_progress") == 0)
        assert server.client.list_collections()["CollectionIds"] == ["left-0", "left-1"]


def test_a_gallery_loads_to_its_end_although_whoever_asked_for_it_has_gone(tmp_path, databases):
    faces = 20_000
    database = databases.create()
    with Proxy(database) as proxy, Server(tmp_path, database_url=proxy.url) as server:
        server.client.create_collection(CollectionId="people")
        face = fill(server, database, "people", faces)
        proxy.be(SLOW)
        call_and_leave(server, "SearchFaces", seconds=1, CollectionId="people", FaceId=face)
        status, text = get(server, "/readyz?full")
        assert status == 503 and json.loads(text)["loading"]["of"] == faces, text
        assert metric(server, "galleries_loading") == 1 and get(server, "/readyz")[0] == 200
        proxy.be(WELL)
        eventually(lambda: metric(server, "gallery_members") == faces)
        assert get(server, "/readyz?full")[0] == 200 and metric(server, "vectors_to_load") == 0


def test_a_search_of_a_gallery_that_loads_is_throttled_in_time_and_told_when_to_try_again(tmp_path, databases):
    database = databases.create()
    with Proxy(database) as proxy, Server(tmp_path, database_url=proxy.url, args=["--gallery-wait", "1"]) as server:
        server.client.create_collection(CollectionId="people")
        face = fill(server, database, "people", 20_000)
        proxy.be(SLOW)
        begin = time.monotonic()
        with pytest.raises(server.client.exceptions.ThrottlingException) as refused:
            server.client.search_faces(CollectionId="people", FaceId=face)
        assert 0.9 < time.monotonic() - begin < 3
        assert int(refused.value.response["ResponseMetadata"]["HTTPHeaders"]["retry-after"]) >= 1
        proxy.be(WELL)
        eventually(lambda: code_of(server.client.search_faces, CollectionId="people", FaceId=face) is None)
        assert metric(server, "gallery_members") == 20_000


def test_what_is_preloaded_is_there_before_anybody_asks(tmp_path):
    with Server(tmp_path) as server:
        for name in ("people", "staff"):
            server.client.create_collection(CollectionId=name)
            fill(server, None, name, 3_000)
    with Server(tmp_path, args=["--preload", "staff,nobody"]) as server:
        eventually(lambda: get(server, "/readyz?full")[0] == 200)
        assert metric(server, "gallery_members") == 3_000
        assert "nothing to preload" in server.log.read_text()
    with Server(tmp_path, args=["--preload", "*"]) as server:
        eventually(lambda: get(server, "/readyz?full")[0] == 200)
        assert metric(server, "gallery_members") == 6_000


def test_a_collection_that_is_deleted_while_it_loads_is_not_loaded_any_further(tmp_path, databases):
    database = databases.create()
    with Proxy(database) as proxy, Server(tmp_path, database_url=proxy.url) as server:
        server.client.create_collection(CollectionId="people")
        face = fill(server, database, "people", 20_000)
        proxy.be(SLOW)
        call_and_leave(server, "SearchFaces", seconds=1, CollectionId="people", FaceId=face)
        assert metric(server, "galleries_loading") == 1
        proxy.be(WELL)
        server.client.delete_collection(CollectionId="people")
        assert metric(server, "galleries_loading") == 0
        server.client.create_collection(CollectionId="people")
        assert code_of(server.client.search_faces, CollectionId="people", FaceId=face) == "InvalidParameterException"


def test_galleries_keep_within_the_memory_that_they_may_take(tmp_path):
    """Those go that were searched longest ago; one that can never fit is refused, with the setting's name."""
    faces = {"first": 20_000, "second": 20_000, "third": 20_000, "huge": 60_000}
    few = ["--max-requests", "2", "--max-bodies", "8000000", "--max-replies", "8000000", "--workers", "1", "--max-pixels", "1000000"]
    few += ["--gallery-files", "0"]  # with files, all of them fit
    with Server(tmp_path, args=few) as server:
        for name in faces:
            server.client.create_collection(CollectionId=name)
        some = {name: fill(server, None, name, count) for name, count in faces.items()}
    with pytest.raises(AssertionError, match="leaves nothing for the vectors") as refused:
        Server(tmp_path, args=[*few, "--max-memory", "1000000"])
    # What all else takes, and room for two of them and a half: a face takes some 660 bytes. What the server has differs by some MiB from
    # start to start.
    memory = sum(int(number) for number in re.findall(r"(\d+) MiB", str(refused.value))) + 32
    with Server(tmp_path, args=[*few, "--max-memory", str(memory << 20)]) as server:
        for name in ("first", "second", "first", "third"):
            assert code_of(server.client.search_faces, CollectionId=name, FaceId=some[name]) is None
        assert metric(server, "gallery_members") == 40_000, server.log.read_text()
        assert "makes room for another" in server.log.read_text()
        with pytest.raises(server.client.exceptions.InvalidParameterException, match="REKOLLECT_MAX_MEMORY"):
            server.client.search_faces(CollectionId="huge", FaceId=some["huge"])
        assert metric(server, "gallery_members") == 40_000
        for _ in range(3):
            for name in ("first", "second", "third"):
                found = server.client.search_faces(CollectionId=name, FaceId=some[name], FaceMatchThreshold=0)
                assert len(found["FaceMatches"]) == 80
        assert metric(server, "gallery_bytes") < 35 << 20


def test_vectors_of_made_up_faces_are_of_the_length_that_the_pack_has(tmp_path, photo):
    with Server(tmp_path) as server:
        server.client.create_collection(CollectionId="people")
        server.client.index_faces(CollectionId="people", Image={"Bytes": photo("obama.jpg")})
        with closing(sqlite3.connect(tmp_path / "data" / "rekollect.db")) as file:
            (vector,) = file.execute("SELECT embedding FROM faces").fetchone()
    assert len(numpy.frombuffer(vector, numpy.float32)) == DIMENSIONS
