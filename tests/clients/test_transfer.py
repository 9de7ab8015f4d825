"""Collections out of one store and into another: `rekollect export` and `import`."""

import hashlib
import json
import os
import stat
import subprocess

import pytest
from conftest import PHOTOS
from servers import BINARY, Server

PEOPLE, EMPTY = "people", "empty"


def program(*args, place=None, **more):
    """Runs the program on a server's store."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("REKOLLECT_") and name != "DATABASE_URL"}
    if place:
        environment |= {"REKOLLECT_DATA_DIR": str(place.folder / "data"), **({"DATABASE_URL": place.url} if place.url else {})}
    return subprocess.run([BINARY, *args], env=environment, capture_output=True, timeout=120, **more)


def succeed(*args, **more):
    done = program(*args, **more)
    assert done.returncode == 0, done.stderr.decode()
    return done


class Place:
    """Where a store is: `url` for Postgres."""

    def __init__(self, folder, url=None):
        self.folder, self.url = folder, url

    def serve(self, **more):
        return Server(self.folder, database_url=self.url, **more)


@pytest.fixture
def make_place(tmp_path, databases):
    return lambda store, name: Place(tmp_path / name, databases.create() if store == "postgres" else None)


@pytest.fixture(scope="module")
def filled(tmp_path_factory, photos):
    """A SQLite store with people, users and tags, and a collection without faces."""
    place = Place(tmp_path_factory.mktemp("filled"))
    with place.serve() as server:
        client = server.client
        client.create_collection(CollectionId=PEOPLE, Tags={"team": "größe a", "stage": "test"})
        client.create_collection(CollectionId=EMPTY)
        faces = {}
        for number, photo in enumerate(photos):
            records = client.index_faces(CollectionId=PEOPLE, Image={"Bytes": photo}, ExternalImageId=f"photo-{number}.jpg")["FaceRecords"]
            faces[number] = [record["Face"]["FaceId"] for record in records]
        for user, number in (("zoe", 0), ("abe", 1), ("nobody", None)):
            client.create_user(CollectionId=PEOPLE, UserId=user)
            if number is not None:
                client.associate_faces(CollectionId=PEOPLE, UserId=user, FaceIds=faces[number][:1])
        gone = faces[2][0]
        client.delete_faces(CollectionId=PEOPLE, FaceIds=[gone])
    return place


@pytest.fixture(scope="module")
def photos():
    return [photo.read_bytes() for photo in sorted(PHOTOS.glob("*.jpg"))[:6]]


def told(server):
    """Everything that the API tells of the store, without the times of replies."""
    client = server.client

    def ask(call, **members):
        return {name: value for name, value in call(CollectionId=PEOPLE, **members).items() if name != "ResponseMetadata"}

    faces = ask(client.list_faces, MaxResults=4096)
    users = ask(client.list_users, MaxResults=500)
    described = ask(client.describe_collection)
    return {
        "collections": client.list_collections()["CollectionIds"],
        "described": described,
        "tags": client.list_tags_for_resource(ResourceArn=described["CollectionARN"])["Tags"],
        "faces": faces,
        "users": users,
        "nearest": [ask(client.search_faces, FaceId=face["FaceId"], FaceMatchThreshold=0) for face in faces["Faces"]],
        "nearest users": [ask(client.search_users, UserId=user, UserMatchThreshold=0) for user in ("zoe", "abe")],
    }


def lines_of(path):
    """A file's lines as objects, without what differs between two stores that hold the same: a collection's revision, and the digest over it."""
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    return [{name: value for name, value in line.items() if name not in ("revision", "sha256")} for line in lines]


@pytest.mark.parametrize("store", ["sqlite", "postgres"])
def test_what_is_imported_is_what_was_exported(filled, make_place, tmp_path, store):
    there, back = make_place(store, "there"), make_place("sqlite", "back")
    file, again = tmp_path / "all.jsonl", tmp_path / "again.jsonl"
    assert "2 collections, 3 users" in succeed("export", file, place=filled).stderr.decode()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    succeed("import", file, place=there)
    succeed("export", again, place=there)
    assert lines_of(again) == lines_of(file)
    succeed("import", again, place=back)
    with filled.serve() as one, there.serve() as other, back.serve() as third:
        expected = told(one)
        assert len(expected["faces"]["Faces"]) > 3 and expected["nearest users"][0]["UserMatches"]
        assert told(other) == expected
        assert told(third) == expected


def test_a_stream_goes_from_store_to_store_beside_a_running_server(filled, make_place):
    there = make_place("sqlite", "there")
    with there.serve() as server, filled.serve() as origin:
        stream = succeed("export", "-", place=filled).stdout
        server.client.create_collection(CollectionId="own")
        succeed("import", "-", place=there, input=stream)
        assert {**told(server), "collections": None} == {**told(origin), "collections": None}
        # Once more changes nothing: what is there stays.
        assert b": 0 faces are new there" in succeed("import", "-", place=there, input=stream).stderr
        assert told(server)["faces"] == told(origin)["faces"]
        assert server.client.list_collections()["CollectionIds"] == [EMPTY, "own", PEOPLE]


def test_an_import_that_was_cut_off_is_made_whole_by_another(filled, make_place):
    there = make_place("sqlite", "there")
    stream = succeed("export", "-", place=filled).stdout
    for part in (0, len(stream) // 3, len(stream) - 40):
        cut = program("import", "-", place=there, input=stream[:part])
        assert cut.returncode == 1 and b"line " in cut.stderr
    succeed("import", "-", place=there, input=stream)
    with there.serve() as server, filled.serve() as origin:
        assert told(server) == told(origin)


def test_a_file_that_is_not_whole_changes_nothing(filled, make_place, tmp_path):
    there, file = make_place("sqlite", "there"), tmp_path / "all.jsonl"
    text = succeed("export", "-", place=filled).stdout.decode()
    for broken in (text[:-40], text.replace("photo-1.jpg", "photo-9.jpg"), text.replace('"version":1', '"version":9'), "", "{}\n"):
        file.write_text(broken)
        refused = program("import", file, place=there)
        assert refused.returncode == 1 and b"rekollect: line " in refused.stderr, refused.stderr
    with there.serve() as server:
        assert server.client.list_collections()["CollectionIds"] == []


def test_an_export_that_was_cut_off_goes_on(filled, tmp_path):
    file, part, cut = tmp_path / "all.jsonl", tmp_path / "all.jsonl.part", tmp_path / "cut.jsonl.part"
    succeed("export", file, place=filled)
    assert not part.exists()
    whole = file.read_bytes()
    for length in (0, 10, len(whole) // 4, len(whole) // 2, len(whole) - 10, len(whole)):
        cut.write_bytes(whole[:length])
        succeed("export", tmp_path / "cut.jsonl", place=filled)
        assert (tmp_path / "cut.jsonl").read_bytes() == whole, length


@pytest.fixture
def copy(filled, make_place):
    """A store of one's own with what `filled` has, and an export of it."""
    place = make_place("sqlite", "copy")
    succeed("import", "-", place=place, input=succeed("export", "-", place=filled).stdout)
    return place, succeed("export", "-", place=place).stdout


def delete_a_face(client):
    free = [face["FaceId"] for face in client.list_faces(CollectionId=PEOPLE)["Faces"] if not face.get("UserId")]
    client.delete_faces(CollectionId=PEOPLE, FaceIds=free[:1])


def make_anew(client):
    """A collection of the same name with the same number of changes."""
    revision = client.describe_collection(CollectionId=EMPTY)["FaceCount"]
    assert revision == 0
    client.delete_collection(CollectionId=EMPTY)
    client.create_collection(CollectionId=EMPTY)


@pytest.mark.parametrize(
    "change",
    [
        delete_a_face,
        make_anew,
        lambda client: client.create_collection(CollectionId="before"),
        lambda client: client.create_collection(CollectionId="zebra"),
        lambda client: client.delete_collection(CollectionId=EMPTY),
        lambda client: client.tag_resource(
            ResourceArn=client.describe_collection(CollectionId=PEOPLE)["CollectionARN"], Tags={"stage": "later"}
        ),
    ],
    ids=["a face deleted", "made anew", "one before", "one behind", "one deleted", "a tag"],
)
@pytest.mark.parametrize("share", [0.05, 0.5, 0.95])
def test_what_changed_since_an_export_was_cut_off_is_written_anew(copy, tmp_path, change, share):
    place, whole = copy
    with place.serve() as server:
        change(server.client)
    (tmp_path / "all.jsonl.part").write_bytes(whole[: int(share * len(whole))])
    succeed("export", tmp_path / "all.jsonl", place=place)
    assert (tmp_path / "all.jsonl").read_bytes() == succeed("export", "-", place=place).stdout


def test_what_another_choice_left_behind_is_not_in_the_file(copy, tmp_path):
    place, whole = copy
    (tmp_path / "one.jsonl.part").write_bytes(whole[:-40])
    succeed("export", tmp_path / "one.jsonl", "--collection", EMPTY, place=place)
    assert (tmp_path / "one.jsonl").read_bytes() == succeed("export", "-", "--collection", EMPTY, place=place).stdout


def test_other_files_and_other_exports_are_left_alone(filled, tmp_path):
    (tmp_path / "all.jsonl.part").write_text("my notes")
    refused = program("export", tmp_path / "all.jsonl", place=filled)
    assert refused.returncode == 1 and b"no part of an export" in refused.stderr
    assert (tmp_path / "all.jsonl.part").read_text() == "my notes"
    missing = program("export", tmp_path / "none.jsonl", place=Place(tmp_path / "mistyped"))
    assert missing.returncode == 1 and b"there is no store" in missing.stderr
    assert not (tmp_path / "mistyped").exists()


def test_a_line_without_an_end_is_not_read_to_its_end(filled, make_place):
    endless = b'{"kind":"header","version":1}' + b" " * (64 << 20)
    refused = program("import", "-", place=make_place("sqlite", "there"), input=endless)
    assert refused.returncode == 1 and b"rekollect: line 2" in refused.stderr and b"column 1048576" in refused.stderr


def test_one_collection_can_be_chosen(filled, tmp_path):
    exported = succeed("export", "-", "--collection", EMPTY, place=filled).stdout
    kinds = [json.loads(line)["kind"] for line in exported.splitlines()]
    assert kinds == ["header", "collection", "end", "complete"]
    missing = program("export", "-", "--collection", "nowhere", place=filled)
    assert missing.returncode == 1 and b"no collection nowhere" in missing.stderr and missing.stdout == b""
    elsewhere = succeed("export", "-", "--account", "123456789012", place=filled).stdout
    assert [json.loads(line)["kind"] for line in elsewhere.splitlines()] == ["header", "complete"]


def test_vectors_of_other_models_are_refused(filled, make_place):
    there = make_place("sqlite", "there")
    stream = succeed("export", "-", "--collection", EMPTY, place=filled).stdout
    succeed("import", "-", place=there, input=stream)
    header, collection, _, complete = (json.loads(line) for line in stream.splitlines())
    collection["face_model_version"] = "1.0"
    first = json.dumps(collection).encode() + b"\n"
    end = {"kind": "end", "users": 0, "faces": 0, "sha256": hashlib.sha256(first).hexdigest()}
    other = b"".join([json.dumps(header).encode() + b"\n", first, json.dumps(end).encode() + b"\n", json.dumps(complete).encode() + b"\n"])
    refused = program("import", "-", place=there, input=other)
    assert refused.returncode == 1 and b"model version" in refused.stderr


def test_shells_and_manuals_know_every_command():
    manual = succeed("man").stdout.decode()
    for command in ("serve", "export", "import", "models", "healthcheck", "completions"):
        assert f"REKOLLECT {command.upper()}" in manual
    assert "\\-\\-database\\-url" in manual
    for shell in ("bash", "zsh", "fish"):
        completions = succeed("completions", shell).stdout
        assert b"healthcheck" in completions and b"database-url" in completions
    bash = subprocess.run(["bash", "-n"], input=succeed("completions", "bash").stdout)
    assert bash.returncode == 0
