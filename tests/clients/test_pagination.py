"""The paginators of the SDKs walk long listings: each thing comes exactly once, faces in the order of their ids."""

import sqlite3
from contextlib import closing

import pytest
from test_boto3 import index
from test_scenario import CLIENTS, run

FACES = 10_000


@pytest.fixture(scope="module")
def listings(start_server, tmp_path_factory, photo):
    """A server with 10,000 faces in a collection, and some more users and collections than fit on three pages of seven."""
    folder = tmp_path_factory.mktemp("listings")
    server = start_server(env={"REKOLLECT_DATA_DIR": str(folder)})
    collections = [f"listed-{number:02}" for number in range(25)]
    for name in collections:
        server.client.create_collection(CollectionId=name)
    users = [f"user-{number:02}" for number in range(25)]
    for name in users:
        server.client.create_user(CollectionId=collections[0], UserId=name)
    index(server.client, collections[0], photo("obama.jpg"), "obama")
    faces = multiply(folder / "rekollect.db")
    return server, {"faces": faces, "users": users, "collections": collections}


def multiply(database):
    """Makes FACES of the one face in a store; the ids of all.

    By SQL and not by IndexFaces, which would need thousands of photos or minutes. That is fair: a listing reads rows and does not look
    into them, and these differ from rows that IndexFaces wrote only in their number and in what their ids follow from."""
    with closing(sqlite3.connect(database, timeout=30)) as connection:
        connection.executescript(f"""
            CREATE TEMP TABLE copies AS
                WITH RECURSIVE numbers (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < {FACES - 1})
                SELECT faces.* FROM faces, numbers;
            UPDATE copies SET face_id = randomblob(16);
            BEGIN IMMEDIATE;
            INSERT INTO faces SELECT * FROM copies;
            UPDATE collections SET face_count = {FACES} WHERE id = (SELECT DISTINCT collection_id FROM faces);
            COMMIT;
        """)
        ids = [row[0].hex() for row in connection.execute("SELECT face_id FROM faces ORDER BY face_id")]
    return ["-".join((id[:8], id[8:12], id[12:16], id[16:20], id[20:])) for id in ids]


@pytest.mark.parametrize("client_name", CLIENTS)
def test_each_thing_is_listed_once(listings, client_name):
    server, there = listings
    listed = run(client_name, server.url, "pages", there["collections"][0])
    assert len(listed["faces"]) == FACES
    assert listed["faces"] == there["faces"]
    assert sorted(listed["users"]) == there["users"]
    assert sorted(listed["collections"]) == there["collections"]


@pytest.mark.parametrize("size", [None, 999, 4096])
def test_pages_are_as_large_as_asked_for(listings, size):
    server, there = listings
    pages = server.client.get_paginator("list_faces").paginate(
        CollectionId=there["collections"][0], PaginationConfig={"PageSize": size} if size else {}
    )
    lengths = [len(page["Faces"]) for page in pages]
    assert lengths[:-1] == [size or lengths[0]] * (len(lengths) - 1)
    assert sum(lengths) == FACES == server.client.describe_collection(CollectionId=there["collections"][0])["FaceCount"]
