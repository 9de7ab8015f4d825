"""The many photos of the fixtures folder, for checkouts that have it beside them."""

import re
from urllib.request import urlopen

import pytest
from botocore.exceptions import ClientError


def people(fixtures):
    """The photos of every person: Family1-Dad1.jpg and Family1-Dad2.jpg are one."""
    persons = {}
    for path in sorted((fixtures / "identities").glob("Family*.jpg")):
        persons.setdefault(re.sub(r"\d+$", "", path.stem), []).append(path)
    return persons


@pytest.fixture
def family_collection(any_pack):
    any_pack.create_collection(CollectionId="families")
    yield "families"
    any_pack.delete_collection(CollectionId="families")


def test_every_person_is_found_by_their_other_photos(any_pack, family_collection, fixtures):
    persons = people(fixtures)
    assert sum(len(paths) for paths in persons.values()) > len(persons) > 1
    for person, paths in persons.items():
        indexed = any_pack.index_faces(CollectionId=family_collection, Image={"Bytes": paths[0].read_bytes()}, ExternalImageId=person)
        assert len(indexed["FaceRecords"]) == 1, paths[0].name
    wrong = []
    for person, paths in persons.items():
        for path in paths[1:]:
            found = any_pack.search_faces_by_image(CollectionId=family_collection, Image={"Bytes": path.read_bytes()}, FaceMatchThreshold=0)
            similarities = {match["Face"]["ExternalImageId"]: match["Similarity"] for match in found["FaceMatches"]}
            assert set(similarities) == set(persons)
            wrong += [(path.name, name, value) for name, value in similarities.items() if (value >= 80) != (name == person)]
    assert wrong == []


def test_every_face_of_a_scene_is_detected(any_pack, fixtures):
    scenes = [path for path in sorted((fixtures / "scenes").glob("*.jpg")) if re.fullmatch(r"\d+_\d+", path.stem)]
    assert scenes
    counted = {path.name: len(any_pack.detect_faces(Image={"Bytes": path.read_bytes()})["FaceDetails"]) for path in scenes}
    assert counted == {path.name: int(path.stem.split("_")[1]) for path in scenes}


def test_hostile_files_get_a_clean_answer(server, collection, fixtures):
    files = [path for path in sorted((fixtures / "hostile").rglob("*")) if path.suffix in (".jpg", ".png")]
    assert files
    unclean = {}
    for path in files:
        try:
            server.client.index_faces(CollectionId=collection, Image={"Bytes": path.read_bytes()})
        except ClientError as error:
            if error.response["ResponseMetadata"]["HTTPStatusCode"] != 400:
                unclean[path.name] = str(error)
    assert unclean == {}
    assert urlopen(f"{server.url}/healthz").status == 200
    assert urlopen(f"{server.url}/readyz").status == 200
