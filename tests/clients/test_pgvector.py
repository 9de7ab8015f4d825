"""The search inside Postgres, on the Postgres with pgvector that a wheel carries."""

import os
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from databases import Databases, session
from servers import BINARY, MODELS, ROOT, Server
from test_boto3 import face_ids, index
from test_callers_leave import call_and_leave

sys.path.insert(0, str(ROOT / "tests"))
import postgres  # noqa: E402

PGVECTOR = {"REKOLLECT_SEARCH": "pgvector"}


@pytest.fixture(scope="module")
def database():
    before = os.environ.get("REKOLLECT_TEST_POSTGRES")
    os.environ["REKOLLECT_TEST_POSTGRES"] = "wheel"
    try:
        with postgres.cluster() as url:
            yield url
    finally:
        os.environ.pop("REKOLLECT_TEST_POSTGRES")
        if before is not None:
            os.environ["REKOLLECT_TEST_POSTGRES"] = before


@pytest.fixture(scope="module")
def both(database, tmp_path_factory):
    """Two servers on one database, one that searches in memory and one by pgvector."""
    folder = tmp_path_factory.mktemp("pgvector")
    with Server(folder / "memory", database_url=database) as memory, Server(folder / "pgvector", database_url=database, env=PGVECTOR) as tables:
        yield memory.client, tables.client


def answers(client, collection, face, **more):
    found = client.search_faces(CollectionId=collection, FaceId=face, FaceMatchThreshold=0, MaxFaces=100, **more)["FaceMatches"]
    return [(match["Face"]["FaceId"], pytest.approx(match["Similarity"], abs=1e-3)) for match in found]


def test_both_engines_agree_while_faces_come_and_go(both, photo):
    memory, tables = both
    memory.create_collection(CollectionId="shared")
    faces = []
    for number in range(1, 7):
        writer = (memory, tables)[number % 2]
        records = writer.index_faces(CollectionId="shared", Image={"Bytes": photo(f"sample{number}.jpg")}, QualityFilter="NONE")["FaceRecords"]
        faces += [record["Face"]["FaceId"] for record in records]
        assert answers(memory, "shared", faces[0]) == answers(tables, "shared", faces[0])
    assert len(answers(tables, "shared", faces[0])) == len(faces) - 1
    memory.delete_faces(CollectionId="shared", FaceIds=faces[1:4])
    left = {face for face, _ in answers(tables, "shared", faces[0])}
    assert left == set(faces[4:]), "a deleted face is not found, whoever deleted it"
    with pytest.raises(tables.exceptions.InvalidParameterException):
        tables.search_faces(CollectionId="shared", FaceId=faces[1])


def test_a_threshold_and_other_collections(both, photo):
    memory, tables = both
    for collection in ("left", "right"):
        tables.create_collection(CollectionId=collection)
    (me,) = face_ids(index(tables, "left", photo("obama.jpg"), "obama"))
    index(tables, "left", photo("biden.jpg"), "biden")
    index(tables, "right", photo("obama2.jpg"), "obama")
    assert tables.search_faces(CollectionId="left", FaceId=me)["FaceMatches"] == []
    found = tables.search_faces_by_image(CollectionId="right", Image={"Bytes": photo("obama.jpg")})["FaceMatches"]
    assert [match["Face"]["ExternalImageId"] for match in found] == ["obama"]
    tables.delete_collection(CollectionId="right")
    tables.create_collection(CollectionId="right")
    assert tables.search_faces_by_image(CollectionId="right", Image={"Bytes": photo("obama.jpg")})["FaceMatches"] == []


def test_users(both, photo):
    memory, tables = both
    memory.create_collection(CollectionId="users")
    obama = [face_ids(index(memory, "users", photo(f"obama{number}.jpg"), "obama"))[0] for number in ("", 2)]
    for user in ("obama", "nobody"):
        memory.create_user(CollectionId="users", UserId=user)
    memory.associate_faces(CollectionId="users", UserId="obama", FaceIds=obama)
    for client in both:
        found = client.search_users_by_image(CollectionId="users", Image={"Bytes": photo("obama3.jpg")})["UserMatches"]
        assert [match["User"]["UserId"] for match in found] == ["obama"]
        assert [match["User"]["UserId"] for match in client.search_users(CollectionId="users", FaceId=obama[0])["UserMatches"]] == ["obama"]
    memory.delete_user(CollectionId="users", UserId="obama")
    assert tables.search_users_by_image(CollectionId="users", Image={"Bytes": photo("obama3.jpg")})["UserMatches"] == []


def test_without_pgvector_the_server_says_what_it_needs(tmp_path):
    environment = {"PATH": os.environ["PATH"], "REKOLLECT_MODELS_DIR": str(MODELS), "REKOLLECT_DATA_DIR": str(tmp_path), **PGVECTOR}
    done = subprocess.run([BINARY, "serve", "--listen", "127.0.0.1:0"], env=environment, capture_output=True, text=True, timeout=30)
    assert done.returncode != 0 and "needs a Postgres with the extension pgvector" in done.stderr, done.stderr


def refusal(tmp_path, database, *args):
    """What a server says that does not start on this database."""
    with pytest.raises(AssertionError) as failure, Server(tmp_path, database_url=database, env=PGVECTOR, args=args):
        pass
    return str(failure.value)


@pytest.fixture
def own(database):
    """A database of its own on that Postgres, and a way to change it as its owner."""
    databases = Databases(database)
    url = databases.create()
    yield url, lambda statement: Databases(url).execute(statement)
    databases.drop_all()


@pytest.mark.parametrize("version", ["0.7.4", "0.5.1"])
def test_an_old_pgvector_is_refused_with_the_version_that_is_needed(tmp_path, own, version):
    url, execute = own
    execute("CREATE EXTENSION vector")
    # The wheel carries one version: the catalogue is made to name another.
    execute(f"UPDATE pg_extension SET extversion = '{version}' WHERE extname = 'vector'")
    said = refusal(tmp_path / "old", url)
    assert "pgvector 0.8 or later" in said and version in said and "ALTER EXTENSION vector UPDATE" in said, said
    execute("UPDATE pg_extension SET extversion = '0.10.0' WHERE extname = 'vector'")
    with Server(tmp_path / "new", database_url=url, env=PGVECTOR):
        pass


def test_callers_that_leave_a_copy_do_not_take_every_connection(tmp_path, own, photo):
    """A copy that waits for another server goes on without its callers, and there is one of it, however many came and went."""
    url, execute = own
    with Server(tmp_path, database_url=url, env=PGVECTOR, args=("--database-connections", "4")) as server:
        server.client.create_collection(CollectionId="people")
        (face,) = face_ids(index(server.client, "people", photo("obama.jpg"), "obama"))
        server.client.search_faces(CollectionId="people", FaceId=face)
        index(server.client, "people", photo("biden.jpg"), "biden")
        with session(url) as other:
            other.run("BEGIN")
            other.run("SELECT * FROM vector_images FOR UPDATE")
            for _ in range(6):
                call_and_leave(server, "SearchFaces", CollectionId="people", FaceId=face)
            (busy,) = other.run("SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'")
            assert busy == [1], "each caller left a copy behind"
            for _ in range(3):
                assert server.client.list_collections()["CollectionIds"] == ["people"]
            other.run("ROLLBACK")
        assert len(server.client.search_faces(CollectionId="people", FaceId=face, FaceMatchThreshold=0)["FaceMatches"]) == 1


def test_one_connection_is_refused_by_the_name_of_its_setting(tmp_path, own):
    said = refusal(tmp_path, own[0], "--database-connections", "1")
    assert "REKOLLECT_DATABASE_CONNECTIONS" in said and "2 or more" in said, said


def test_two_connections_are_enough_whatever_is_copied_at_once(tmp_path, own, photo):
    """Faces and users of several collections, all of which have to be copied first. A copy holds one connection and needs another."""
    with Server(tmp_path, database_url=own[0], env=PGVECTOR, args=("--database-connections", "2")) as server:
        pairs = {}
        for number in range(8):
            collection = f"few-{number}"
            server.client.create_collection(CollectionId=collection)
            pairs[collection] = [face_ids(index(server.client, collection, photo(f"obama{more}.jpg"), "obama"))[0] for more in ("", 2)]
            server.client.create_user(CollectionId=collection, UserId="obama")
            server.client.associate_faces(CollectionId=collection, UserId="obama", FaceIds=pairs[collection])

        def search(question):
            collection, operation = question
            return getattr(server.client, operation)(CollectionId=collection, FaceId=pairs[collection][0])

        questions = [(collection, operation) for collection in pairs for operation in ("search_faces", "search_users")]
        with ThreadPoolExecutor(len(questions)) as pool:
            replies = list(pool.map(search, questions))
        assert [len(reply.get("FaceMatches") or reply.get("UserMatches")) for reply in replies] == [1] * len(questions)


def test_what_went_leaves_the_tables_when_its_tombstones_went_too(tmp_path, own, photo):
    """Thousands of later deletions push them out."""
    url, execute = own
    with Server(tmp_path, database_url=url, env=PGVECTOR) as server:
        client, name = server.client, {"CollectionId": "people"}
        client.create_collection(**name)
        obama = [face_ids(index(client, "people", photo(f"obama{number}.jpg"), "obama"))[0] for number in ("", 2, 3)]
        for user in ("first", "second"):
            client.create_user(**name, UserId=user)
        client.associate_faces(**name, UserId="first", FaceIds=[obama[0]])
        client.associate_faces(**name, UserId="second", FaceIds=[obama[1]])
        assert len(answers(client, "people", obama[0])) == 2
        assert len(client.search_users(**name, UserId="first", UserMatchThreshold=0)["UserMatches"]) == 1

        client.delete_user(**name, UserId="second")
        assert len(client.delete_faces(**name, FaceIds=obama[1:])["DeletedFaces"]) == 2
        execute("DELETE FROM deleted_faces")
        execute("DELETE FROM deleted_users")
        execute("UPDATE collections SET tombstones = 0, pruned_to = revision")
        (biden,) = face_ids(index(client, "people", photo("biden.jpg"), "biden"))
        assert [face for face, _ in answers(client, "people", obama[0])] == [biden]
        assert client.search_users(**name, UserId="first", UserMatchThreshold=0)["UserMatches"] == []
        assert [execute(f"SELECT count(*) FROM {kind}_vectors") for kind in ("face", "user")] == [[[2]], [[1]]]
        with pytest.raises(client.exceptions.InvalidParameterException):
            client.search_faces(**name, FaceId=obama[1])


def test_a_search_and_a_deletion_of_its_collection_do_not_wait_for_each_other(tmp_path, own, photo):
    """Each would have what the other waits for: the note of how far the tables are, and the collection's row."""
    url, execute = own
    with Server(tmp_path, database_url=url, env=PGVECTOR) as server, ThreadPoolExecutor(1) as pool:
        server.client.create_collection(CollectionId="people")
        (obama,) = face_ids(index(server.client, "people", photo("obama.jpg"), "obama"))
        assert answers(server.client, "people", obama) == []
        index(server.client, "people", photo("biden.jpg"), "biden")
        # What a deletion does: the collection's row first, and then what belongs to it.
        with session(url) as deletion:
            deletion.run("SET lock_timeout = '200ms'")
            deletion.run("BEGIN")
            deletion.run("SELECT 1 FROM collections FOR UPDATE")
            search = pool.submit(answers, server.client, "people", obama)
            waiting = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
            until(lambda: execute(waiting) == [[1]])
            assert deletion.run("SELECT revision FROM vector_images FOR UPDATE") == [[1]]
            deletion.run("COMMIT")
        assert len(search.result()) == 1


def until(asked):
    end = time.monotonic() + 10
    while not asked():
        assert time.monotonic() < end
        time.sleep(0.02)


def test_many_index_and_search_at_once(both, photo):
    """More callers than connections, all of whom find the tables out of date."""
    _, tables = both
    collections = [f"crowd-{number}" for number in range(4)]
    for collection in collections:
        tables.create_collection(CollectionId=collection)

    def work(number):
        collection = collections[number % len(collections)]
        for turn in range(3):
            picture = {"Bytes": photo("obama.jpg") + f"{number}-{turn}".encode()}
            face = face_ids(tables.index_faces(CollectionId=collection, Image=picture))[0]
            found = {face for face, _ in answers(tables, collection, face)}
            assert len(found) >= turn

    with ThreadPoolExecutor(16) as pool:
        list(pool.map(work, range(16)))
    for collection in collections:
        assert len(answers(tables, collection, face_ids_of(tables, collection)[0])) == 11


def face_ids_of(client, collection):
    return [face["FaceId"] for face in client.list_faces(CollectionId=collection)["Faces"]]


def test_collections_of_two_packs_are_searched_side_by_side(database, tmp_path, photo):
    obama, image = {"Bytes": photo("obama.jpg")}, {"Bytes": photo("obama2.jpg")}
    for name, pack in [("of-compact", "compact"), ("of-standard", "standard")]:
        with Server(tmp_path / pack, pack=pack, database_url=database, env=PGVECTOR) as server:
            server.client.create_collection(CollectionId=name)
            index(server.client, name, obama["Bytes"])
    with Server(tmp_path / "both", database_url=database, env=PGVECTOR) as server:
        for name, version in [("of-compact", "7.1"), ("of-standard", "7.3")]:
            answer = server.client.search_faces_by_image(CollectionId=name, Image=image)
            assert len(answer["FaceMatches"]) == 1 and answer["FaceModelVersion"] == version
            server.client.delete_collection(CollectionId=name)
