"""A database goes forward with the schema, and never back."""

import hashlib
import os
import sqlite3
import subprocess
import uuid

import numpy
import pytest
from databases import connection
from servers import BINARY, MODELS, ROOT, Server

FIRST = "0001_collections_and_faces"
FACE = uuid.uuid4()
COLLECTION = "old"


class Sqlite:
    blob, mark = "BLOB", "?"

    def __init__(self, folder):
        (folder / "data").mkdir(parents=True)
        self.connection = sqlite3.connect(folder / "data/rekollect.db", isolation_level=None)
        self.url = None

    def script(self, text):
        self.connection.executescript(text)

    def run(self, statement, values=()):
        return self.connection.execute(statement, values).fetchall()


class Postgres:
    blob, mark = "BYTEA", "%s"

    def __init__(self, url):
        self.url = url
        self.connection = connection(url)
        self.connection.autocommit = True

    def script(self, text):
        for statement in text.split(";"):
            if statement.strip():
                self.connection.cursor().execute(statement)

    def run(self, statement, values=()):
        cursor = self.connection.cursor()
        cursor.execute(statement, values)
        return cursor.fetchall() if cursor.description else []


@pytest.fixture(params=["sqlite", "postgres"])
def first_schema(request, tmp_path, databases):
    """A database as the first schema left it, with a collection and a face."""
    store = Sqlite(tmp_path) if request.param == "sqlite" else Postgres(databases.create())
    sql = (ROOT / "migrations" / request.param / f"{FIRST}.sql").read_text()
    store.script(
        f"CREATE TABLE _sqlx_migrations (version BIGINT PRIMARY KEY, description TEXT NOT NULL, "
        f"installed_on TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP, success BOOLEAN NOT NULL, checksum {store.blob} NOT NULL, execution_time BIGINT NOT NULL)"
    )
    store.script("\n".join(line.split("--")[0] for line in sql.splitlines()))
    note_step(store, 1, sql)
    account, version = account_and_version(tmp_path / "elsewhere")
    add(store, "collections", account=account, name=COLLECTION, face_model_version=version, created_at_ms=1, revision=1, face_count=1)
    ((key,),) = store.run("SELECT id FROM collections")
    box = dict(box_left=0.1, box_top=0.1, box_width=0.5, box_height=0.5)
    vector = numpy.eye(1, 128, dtype=numpy.float32).tobytes()
    add(store, "faces", collection_id=key, face_id=FACE.bytes, image_id=FACE.bytes, **box, confidence=99.0, embedding=vector, revision=1)
    add(store, "deleted_faces", collection_id=key, face_id=uuid.uuid4().bytes, revision=1)
    yield store, tmp_path
    store.connection.close()


def add(store, table, **values):
    marks = ", ".join([store.mark] * len(values))
    store.run(f"INSERT INTO {table} ({', '.join(values)}) VALUES ({marks})", tuple(values.values()))


def note_step(store, version, sql):
    add(
        store,
        "_sqlx_migrations",
        version=version,
        description="collections and faces",
        success=True,
        checksum=hashlib.sha384(sql.encode()).digest(),
        execution_time=1,
    )


def account_and_version(folder):
    """Of the collections that a server with its defaults makes."""
    with Server(folder) as server:
        made = server.client.create_collection(CollectionId="any")
        return made["CollectionArn"].split(":")[-2], made["FaceModelVersion"]


def test_a_database_of_the_first_schema_goes_on(first_schema, photo):
    store, folder = first_schema
    with Server(folder, database_url=store.url) as server:
        (face,) = server.client.list_faces(CollectionId=COLLECTION)["Faces"]
        assert face["FaceId"] == str(FACE)
        assert [tuple(row) for row in store.run("SELECT tombstones, pruned_to FROM collections")] == [(1, 0)]
        assert server.client.search_faces(CollectionId=COLLECTION, FaceId=str(FACE))["FaceMatches"] == []
        server.client.index_faces(CollectionId=COLLECTION, Image={"Bytes": photo("obama.jpg")})
        assert server.client.describe_collection(CollectionId=COLLECTION)["FaceCount"] == 2
        server.client.create_user(CollectionId=COLLECTION, UserId="somebody")
        given = server.client.associate_faces(CollectionId=COLLECTION, UserId="somebody", FaceIds=[str(FACE)])
        assert len(given["AssociatedFaces"]) == 1
        server.client.tag_resource(
            ResourceArn=server.client.describe_collection(CollectionId=COLLECTION)["CollectionARN"], Tags={"kept": "yes"}
        )


def test_a_newer_schema_is_refused_in_clear_words(first_schema):
    store, folder = first_schema
    note_step(store, 4711, "-- what a later version does")
    environment = {"PATH": os.environ["PATH"], "REKOLLECT_MODELS_DIR": str(MODELS), "REKOLLECT_DATA_DIR": str(folder / "data")}
    if store.url:
        environment["DATABASE_URL"] = store.url
    done = subprocess.run([BINARY, "serve", "--listen", "127.0.0.1:0"], env=environment, capture_output=True, text=True, timeout=30)
    assert done.returncode != 0
    assert "step 4711" in done.stderr and "newer" in done.stderr, done.stderr
    tables = {"sqlite": "SELECT name FROM sqlite_master", "postgres": "SELECT tablename FROM pg_tables"}["postgres" if store.url else "sqlite"]
    assert ("tags",) not in [tuple(row) for row in store.run(tables)], "nothing was changed"


@pytest.mark.parametrize("store", ["sqlite", "postgres"])
def test_collections_of_another_pack_go_on_beside_those_of_the_default(store, tmp_path, databases, photo):
    """The default was `compact` up to 0.2.0: whoever names no pack and goes on to a later version serves another one, and the old one too."""
    url = databases.create() if store == "postgres" else None
    obama, image = {"Bytes": photo("obama.jpg")}, {"Bytes": photo("obama2.jpg")}
    with Server(tmp_path, pack="compact", database_url=url) as server:
        face = made_with_compact(server, obama)
        (alone,) = server.client.search_faces_by_image(CollectionId="people", Image=image)["FaceMatches"]

    with Server(tmp_path, pack=None, database_url=url) as server:
        told = [line for line in server.log.read_text().splitlines() if "collections of another pack" in line]
        assert len(told) == 1 and 'collections=1 face_model_version="7.1" pack="compact"' in told[0] and "WARN" not in told[0]
        server.client.create_collection(CollectionId="new")
        (record,) = server.client.index_faces(CollectionId="new", Image=obama)["FaceRecords"]
        assert record["Face"]["FaceId"] != face, "vectors of other models have other ids"
        versions = dict(zip(*map(server.client.list_collections().get, ("CollectionIds", "FaceModelVersions"))))
        assert versions == {"new": "7.3", "people": "7.1"}
        (old,) = server.client.search_faces_by_image(CollectionId="people", Image=image)["FaceMatches"]
        (new,) = server.client.search_faces_by_image(CollectionId="new", Image=image)["FaceMatches"]
        assert old["Face"]["FaceId"] == face and old["Similarity"] == alone["Similarity"]
        assert new["Similarity"] != old["Similarity"], "each has the curve of its own pack"
        (user,) = server.client.search_users_by_image(CollectionId="people", Image=image)["UserMatches"]
        assert user["User"]["UserId"] == "obama"
        (record,) = server.client.index_faces(CollectionId="people", Image=image)["FaceRecords"]
        second = record["Face"]["FaceId"]
        assert [match["Face"]["FaceId"] for match in server.client.search_faces(CollectionId="people", FaceId=face)["FaceMatches"]] == [second]
        given = server.client.associate_faces(CollectionId="people", UserId="obama", FaceIds=[second])
        assert [one["FaceId"] for one in given["AssociatedFaces"]] == [second]
        log = server.log.read_text()
        assert log.count("that pack runs now too") == 1

    with Server(tmp_path, pack="compact", database_url=url) as server:
        faces = {listed["FaceId"] for listed in server.client.list_faces(CollectionId="people")["Faces"]}
        assert faces == {face, second}
        assert len(server.client.search_faces_by_image(CollectionId="new", Image=image)["FaceMatches"]) == 1


def test_a_pack_whose_files_are_not_there_is_named_and_used_once_they_are(tmp_path, photo):
    obama, image = {"Bytes": photo("obama.jpg")}, {"Bytes": photo("obama2.jpg")}
    with Server(tmp_path, pack="compact") as server:
        face = made_with_compact(server, obama)
    models = tmp_path / "models"
    models.mkdir()
    for entry in MODELS.iterdir():
        if entry.name != "mobilefacenet.onnx":
            (models / entry.name).symlink_to(entry)
    with Server(tmp_path, pack=None, env={"REKOLLECT_MODELS_DIR": str(models)}) as server:
        (warning,) = [line for line in server.log.read_text().splitlines() if "WARN" in line]
        assert 'collections=1 face_model_version="7.1" pack="compact"' in warning and "setup.py --pack compact" in warning
        calls = {
            "index_faces": {"Image": image},
            "search_faces": {"FaceId": face},
            "search_faces_by_image": {"Image": image},
            "search_users": {"FaceId": face},
            "search_users_by_image": {"Image": image},
            "associate_faces": {"UserId": "obama", "FaceIds": [face]},
        }
        for operation, request in calls.items():
            with pytest.raises(server.client.exceptions.InvalidParameterException) as refusal:
                getattr(server.client, operation)(CollectionId="people", **request)
            assert refusal.value.response["Error"]["Message"] == (
                "The collection id: people was made with face model 7.1, which this server does not have: "
                "fetch the files of its pack compact, or index the photos into a new collection"
            ), operation
        assert [listed["FaceId"] for listed in server.client.list_faces(CollectionId="people")["Faces"]] == [face]
        (models / "mobilefacenet.onnx").write_bytes(b"half of it")
        with pytest.raises(server.client.exceptions.InvalidParameterException):
            server.client.search_faces(CollectionId="people", FaceId=face)
        (models / "mobilefacenet.onnx").unlink()
        (models / "mobilefacenet.onnx").symlink_to(MODELS / "mobilefacenet.onnx")
        (match,) = server.client.search_faces_by_image(CollectionId="people", Image=image)["FaceMatches"]
        assert match["Face"]["FaceId"] == face


def made_with_compact(server, image):
    """A face of a user, in a collection that the pack `compact` made."""
    server.client.create_collection(CollectionId="people")
    (record,) = server.client.index_faces(CollectionId="people", Image=image)["FaceRecords"]
    face = record["Face"]["FaceId"]
    server.client.create_user(CollectionId="people", UserId="obama")
    server.client.associate_faces(CollectionId="people", UserId="obama", FaceIds=[face])
    return face
