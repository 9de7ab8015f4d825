"""A person is gone, and the server looked: EraseFaces, which is ours, and `rekollect erase`."""

import base64
import json
import sqlite3
from contextlib import closing

import pytest
from servers import Server, metric
from test_conformance import send
from test_gallery_files import PATIENT, PEOPLE, WORTH_FILES, eventually_in_files, fill, files_of, uuid_of
from test_people import ask, run
from test_pgvector import PGVECTOR, database  # noqa: F401
from test_transfer import Place, succeed


def index(client, image, name):
    (record,) = client.index_faces(CollectionId=PEOPLE, Image={"Bytes": image}, ExternalImageId=name, MaxFaces=1)["FaceRecords"]
    return record["Face"]["FaceId"]


def vectors(place):
    lines = map(json.loads, succeed("export", "-", place=place).stdout.decode().splitlines())
    return [base64.b64decode(line["embedding"]) for line in lines if "embedding" in line]


def fill_with_ada(server, photo):
    """A collection with a user of two faces, and one face of somebody else; the ids of the user's."""
    client = server.client
    client.create_collection(CollectionId=PEOPLE)
    faces = [index(client, photo(name), name) for name in ("obama.jpg", "obama2.jpg")]
    client.create_user(CollectionId=PEOPLE, UserId="ada")
    client.associate_faces(CollectionId=PEOPLE, UserId="ada", FaceIds=faces, ClientRequestToken="a-token")
    index(client, photo("biden.jpg"), "somebody")
    return faces


@pytest.mark.parametrize("engine", ["sqlite", "postgres", "pgvector"])
def test_nothing_is_left_of_a_user_and_everything_of_the_others(engine, tmp_path, databases, request, photo):
    url = {"sqlite": lambda: None, "postgres": databases.create, "pgvector": lambda: request.getfixturevalue("database")}[engine]()
    place = Place(tmp_path, url)
    with place.serve(env=PGVECTOR if engine == "pgvector" else None) as server:
        client = server.client
        faces = fill_with_ada(server, photo)
        assert len(client.search_faces_by_image(CollectionId=PEOPLE, Image={"Bytes": photo("obama.jpg")})["FaceMatches"]) == 2
        before = vectors(place)
        done = run(server, "erase", "--collection", PEOPLE, "--user", "ada")
        assert done.returncode == 0, done.stderr + done.stdout
        lines = done.stdout.splitlines()
        assert lines[0] == "erased user ada" and {line.split()[-1] for line in lines[1:3]} == set(faces)
        assert all(line.split(": ")[1].startswith("0") for line in lines[3:]) and len(lines) >= 5
        assert client.list_users(CollectionId=PEOPLE)["Users"] == []
        assert [face["ExternalImageId"] for face in client.list_faces(CollectionId=PEOPLE)["Faces"]] == ["somebody"]
        assert client.search_faces_by_image(CollectionId=PEOPLE, Image={"Bytes": photo("obama.jpg")})["FaceMatches"] == []
        (left,) = vectors(place)
        gone = [vector for vector in before if vector != left]
        assert len(gone) == 2
        if engine == "sqlite":
            files = [file.read_bytes() for file in (tmp_path / "data").glob("rekollect.db*")]
            assert not any(vector in file for vector in gone for file in files) and any(left in file for file in files)
            looked = next(line for line in lines if "database files" in line)
            assert "bytes looked through" in looked
        client.create_user(CollectionId=PEOPLE, UserId="faceless")
        reply = ask(server, "EraseFaces", CollectionId=PEOPLE, UserId="faceless")
        assert reply["ErasedFaces"] == [] and reply["ErasedUser"] == "faceless" and not any(place["Found"] for place in reply["Places"])
        assert client.list_users(CollectionId=PEOPLE)["Users"] == []
        client.delete_collection(CollectionId=PEOPLE)


def test_gallery_files_are_cleaned_at_once(tmp_path):
    with Server(tmp_path) as server:
        server.client.create_collection(CollectionId=PEOPLE)
    names = fill(tmp_path, WORTH_FILES)
    with Server(tmp_path, args=[*PATIENT, "--gallery-cleaning", "3600"]) as server:
        face = uuid_of(names[7])
        ask(server, "SearchFaces", CollectionId=PEOPLE, FaceId=face)
        assert eventually_in_files(server) > 0
        with closing(sqlite3.connect(tmp_path / "data/rekollect.db")) as store:
            (vector,) = store.execute("SELECT embedding FROM faces WHERE face_id = ?", (names[7],)).fetchone()
        assert any(vector in file.read_bytes() for file in files_of(tmp_path))
        reply = ask(server, "EraseFaces", CollectionId=PEOPLE, FaceIds=[face])
        places = {place["Place"]: place for place in reply["Places"]}
        assert reply["ErasedFaces"] == [face] and not any(place["Found"] for place in places.values()), reply
        assert places["GALLERY_FILES"]["Bytes"] > WORTH_FILES * 500 and places["DATABASE_FILES"]["Bytes"] > WORTH_FILES * 500
        assert not any(vector in file.read_bytes() for file in files_of(tmp_path))
        assert metric(server, "gallery_members") == WORTH_FILES - 1


def test_who_is_not_there_is_told(tmp_path, photo):
    with Server(tmp_path) as server:
        fill_with_ada(server, photo)
        for members, code in [
            ({"UserId": "nobody"}, "ResourceNotFoundException"),
            ({}, "InvalidParameterException"),
            ({"UserId": "ada", "FaceIds": ["11111111-2222-3333-4444-555555555555"]}, "InvalidParameterException"),
        ]:
            reply = send(server, "EraseFaces", {"CollectionId": PEOPLE, **members})
            assert reply.body["__type"].split("#")[-1] == code, reply
        done = run(server, "erase", "--collection", PEOPLE, "--face", "11111111-2222-3333-4444-555555555555")
        assert done.returncode == 0 and "there was no such face" in done.stdout
        assert server.client.describe_collection(CollectionId=PEOPLE)["FaceCount"] == 3
        assert run(server, "erase", "--collection", PEOPLE).returncode == 2
        done = run(server, "erase", "--collection", "nowhere", "--user", "ada")
        assert done.returncode == 1 and "ResourceNotFoundException" in done.stderr
