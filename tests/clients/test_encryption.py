"""Vectors that the database cannot read: --vector-keys, and `rekollect encrypt`."""

import base64
import json
import secrets

import pytest
from conftest import PHOTOS
from servers import Server
from test_transfer import Place, program, succeed

COLLECTION = "people"


def new_key():
    return base64.b64encode(secrets.token_bytes(32)).decode()


def key_file(folder, *keys):
    file = folder / f"keys-{secrets.token_hex(4)}"
    file.write_text("".join(f"{key}\n" for key in keys))
    return str(file)


def image(name):
    return {"Bytes": (PHOTOS / name).read_bytes()}


def vectors_of(place, tmp_path, **env):
    """The vectors' bytes, as an export has them."""
    done = succeed("export", "-", *(f"--vector-keys={file}" for file in env.values()), place=place)
    lines = map(json.loads, done.stdout.decode().splitlines())
    return [base64.b64decode(line["embedding"]) for line in lines if "embedding" in line]


def on_disk(place):
    return b"".join(file.read_bytes() for file in sorted((place.folder / "data").glob("rekollect.db*")))


def fill(server):
    client = server.client
    client.create_collection(CollectionId=COLLECTION)
    (record,) = client.index_faces(CollectionId=COLLECTION, Image=image("obama.jpg"))["FaceRecords"]
    client.create_user(CollectionId=COLLECTION, UserId="obama")
    client.associate_faces(CollectionId=COLLECTION, UserId="obama", FaceIds=[record["Face"]["FaceId"]])


def check(server):
    answer = server.client.search_faces_by_image(CollectionId=COLLECTION, Image=image("obama2.jpg"))
    assert len(answer["FaceMatches"]) == 1
    answer = server.client.search_users_by_image(CollectionId=COLLECTION, Image=image("obama2.jpg"))
    assert [match["User"]["UserId"] for match in answer["UserMatches"]] == ["obama"]


@pytest.mark.parametrize("store", ["sqlite", "postgres"])
def test_vectors_are_found_and_stay_secret_through_changes_of_their_key(store, tmp_path, databases):
    place = Place(tmp_path, databases.create() if store == "postgres" else None)
    with place.serve() as server:
        fill(server)
    (vector,) = vectors_of(place, tmp_path)
    assert store == "postgres" or vector in on_disk(place), "the vector is not where this test looks for it"

    old, new = new_key(), new_key()
    first = key_file(tmp_path, old)
    done = succeed("encrypt", "--vector-keys", first, place=place)
    assert b"1 of faces and 1 of users were rewritten" in done.stderr and old.encode() not in done.stderr
    assert vector not in on_disk(place)
    assert vectors_of(place, tmp_path, keys=first) == [vector]
    with place.serve(env={"REKOLLECT_VECTOR_KEY": old}) as server:
        check(server)
        assert old not in server.log.read_text()
        server.client.index_faces(CollectionId=COLLECTION, Image=image("obama2.jpg"), ExternalImageId="second")
    for env, reason in [({}, "which this server does not have"), ({"REKOLLECT_VECTOR_KEY": new}, "which this server does not have")]:
        with pytest.raises(AssertionError, match=reason):
            place.serve(env=env)

    # The key is changed while a server works.
    both = key_file(tmp_path, new, old)
    with place.serve(env={"REKOLLECT_VECTOR_KEYS": both}) as server:
        done = succeed("encrypt", "--vector-keys", both, place=place)
        assert b"2 of faces and 1 of users were rewritten" in done.stderr
        server.client.delete_faces(CollectionId=COLLECTION, FaceIds=[only(server, "second")])
        check(server)
    last = key_file(tmp_path, new)
    with place.serve(env={"REKOLLECT_VECTOR_KEYS": last}) as server:
        check(server)
    assert vector not in on_disk(place)

    succeed("encrypt", "--decrypt", "--vector-keys", last, place=place)
    with place.serve() as server:
        check(server)


def only(server, name):
    faces = server.client.list_faces(CollectionId=COLLECTION)["Faces"]
    return next(face["FaceId"] for face in faces if face.get("ExternalImageId") == name)


def test_keys_that_are_none_are_told_and_nothing_is_changed(tmp_path):
    place = Place(tmp_path)
    with place.serve() as server:
        fill(server)
    before = on_disk(place)
    broken, empty = key_file(tmp_path, new_key()[:-4]), key_file(tmp_path, "# none yet")
    for file, reason in [(broken, "line 1 is no key"), (empty, "has no key of vectors"), (str(tmp_path / "away"), "cannot read the keys")]:
        done = program("encrypt", "--vector-keys", file, place=place)
        assert done.returncode == 1 and reason in done.stderr.decode(), done.stderr
        with pytest.raises(AssertionError, match=reason):
            place.serve(env={"REKOLLECT_VECTOR_KEYS": file})
    assert program("encrypt", place=place).returncode == 1
    elsewhere = Place(tmp_path / "elsewhere")
    assert b"there is no store" in program("encrypt", "--vector-keys", key_file(tmp_path, new_key()), place=elsewhere).stderr
    assert not (elsewhere.folder / "data").exists()
    assert on_disk(place) == before


def test_with_keys_no_open_copy_of_vectors_is_kept(tmp_path, databases):
    keys = key_file(tmp_path, new_key())
    left = tmp_path / "data/galleries/1-face_vectors/segment"
    left.parent.mkdir(parents=True)
    left.write_bytes(b"vectors of before")
    with Server(tmp_path, env={"REKOLLECT_VECTOR_KEYS": keys}) as server:
        fill(server)
        check(server)
        assert not left.exists()
    with pytest.raises(AssertionError, match="leave one of them out"):
        Server(tmp_path / "pg", database_url=databases.create(), env={"REKOLLECT_VECTOR_KEYS": keys, "REKOLLECT_SEARCH": "pgvector"})
