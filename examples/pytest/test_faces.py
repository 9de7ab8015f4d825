"""Tests that use the fixtures of conftest.py. PHOTO names a photo of one person."""

import os
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def photo():
    return {"Bytes": Path(os.environ["PHOTO"]).read_bytes()}


def test_a_person_is_found_again(rekognition, collection, photo):
    indexed = rekognition.index_faces(CollectionId=collection, Image=photo, ExternalImageId="ada")
    (record,) = indexed["FaceRecords"]
    (match,) = rekognition.search_faces_by_image(CollectionId=collection, Image=photo)["FaceMatches"]
    assert match["Face"]["FaceId"] == record["Face"]["FaceId"]
    assert match["Face"]["ExternalImageId"] == "ada"


def test_another_test_left_nothing_behind(rekognition, collection, photo):
    assert rekognition.list_collections()["CollectionIds"] == [collection]
    assert rekognition.search_faces_by_image(CollectionId=collection, Image=photo)["FaceMatches"] == []
