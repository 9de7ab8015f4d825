"""The walk-through of the README with boto3, operation by operation."""

import re

import pytest

UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
LANDMARKS = ["eyeLeft", "eyeRight", "nose", "mouthLeft", "mouthRight"]


def index(client, collection, data, name=None, **options):
    if name:
        options["ExternalImageId"] = name
    return client.index_faces(CollectionId=collection, Image={"Bytes": data}, **options)


def face_ids(reply):
    return [record["Face"]["FaceId"] for record in reply["FaceRecords"]]


def area(face):
    return face["BoundingBox"]["Width"] * face["BoundingBox"]["Height"]


def test_collections_come_and_go(client, collection):
    described = client.describe_collection(CollectionId=collection)
    assert described["FaceCount"] == 0
    assert described["CollectionARN"] == f"arn:aws:rekognition:us-east-1:000000000000:collection/{collection}"
    second = f"{collection}-second"
    created = client.create_collection(CollectionId=second)
    assert created["StatusCode"] == 200
    assert created["CollectionArn"].endswith(f"collection/{second}")
    assert created["FaceModelVersion"] == described["FaceModelVersion"]

    pages = list(client.get_paginator("list_collections").paginate(PaginationConfig={"PageSize": 1}))
    listed = [name for page in pages for name in page["CollectionIds"]]
    assert {collection, second} <= set(listed)
    assert len(set(listed)) == len(listed) <= len(pages)
    assert [version for page in pages for version in page["FaceModelVersions"]] == [created["FaceModelVersion"]] * len(listed)

    assert client.delete_collection(CollectionId=second)["StatusCode"] == 200
    assert second not in client.list_collections()["CollectionIds"]


def test_a_person_is_found_again(client, collection, photo):
    indexed = index(client, collection, photo("obama.jpg"), "obama")
    assert indexed["UnindexedFaces"] == []
    (record,) = indexed["FaceRecords"]
    assert record["Face"]["ExternalImageId"] == "obama"
    assert UUID.fullmatch(record["Face"]["FaceId"]) and UUID.fullmatch(record["Face"]["ImageId"])
    assert [landmark["Type"] for landmark in record["FaceDetail"]["Landmarks"]] == LANDMARKS
    assert client.describe_collection(CollectionId=collection)["FaceCount"] == 1

    found = client.search_faces_by_image(CollectionId=collection, Image={"Bytes": photo("obama2.jpg")})
    (match,) = found["FaceMatches"]
    assert match["Face"]["FaceId"] == record["Face"]["FaceId"]
    assert 80 <= match["Similarity"] <= 100
    same = client.search_faces_by_image(CollectionId=collection, Image={"Bytes": photo("obama.jpg")}, FaceMatchThreshold=100)
    assert [match["Similarity"] for match in same["FaceMatches"]] == [100]
    other = client.search_faces_by_image(CollectionId=collection, Image={"Bytes": photo("biden.jpg")})
    assert other["FaceMatches"] == []
    assert other["SearchedFaceConfidence"] > 90


def test_faces_search_for_one_another(client, collection, photo):
    (first,) = face_ids(index(client, collection, photo("obama.jpg"), "obama"))
    (second,) = face_ids(index(client, collection, photo("obama2.jpg"), "obama"))
    (stranger,) = face_ids(index(client, collection, photo("biden.jpg"), "biden"))
    found = client.search_faces(CollectionId=collection, FaceId=first)
    assert found["SearchedFaceId"] == first
    assert [match["Face"]["FaceId"] for match in found["FaceMatches"]] == [second]
    everybody = client.search_faces(CollectionId=collection, FaceId=first, FaceMatchThreshold=0)["FaceMatches"]
    assert [match["Face"]["FaceId"] for match in everybody] == [second, stranger]
    assert everybody[0]["Similarity"] > everybody[1]["Similarity"]
    assert len(client.search_faces(CollectionId=collection, FaceId=first, FaceMatchThreshold=0, MaxFaces=1)["FaceMatches"]) == 1


def test_faces_of_a_group_are_listed_and_deleted(client, collection, photo):
    indexed = index(client, collection, photo("sample5.jpg"), "group")
    assert len(indexed["FaceRecords"]) == 5
    areas = [area(record["Face"]) for record in indexed["FaceRecords"]]
    assert areas == sorted(areas, reverse=True)
    ids = face_ids(indexed)

    pages = list(client.get_paginator("list_faces").paginate(CollectionId=collection, PaginationConfig={"PageSize": 2}))
    assert [len(page["Faces"]) for page in pages] == [2, 2, 1]
    assert [face["FaceId"] for page in pages for face in page["Faces"]] == sorted(ids)
    listed = client.list_faces(CollectionId=collection, FaceIds=[ids[3]])["Faces"]
    assert [face["FaceId"] for face in listed] == [ids[3]]

    unknown = "11111111-2222-3333-4444-555555555555"
    deleted = client.delete_faces(CollectionId=collection, FaceIds=[ids[0], ids[1], unknown])
    assert sorted(deleted["DeletedFaces"]) == sorted(ids[:2])
    assert [(failed["FaceId"], failed["Reasons"]) for failed in deleted["UnsuccessfulFaceDeletions"]] == [(unknown, ["FACE_NOT_FOUND"])]
    left = client.list_faces(CollectionId=collection)["Faces"]
    assert [face["FaceId"] for face in left] == sorted(ids[2:])
    assert client.describe_collection(CollectionId=collection)["FaceCount"] == 3


def test_max_faces_leaves_the_rest_unindexed(client, collection, photo):
    indexed = index(client, collection, photo("sample5.jpg"), MaxFaces=2, QualityFilter="NONE")
    assert len(indexed["FaceRecords"]) == 2
    assert [face["Reasons"] for face in indexed["UnindexedFaces"]] == [["EXCEEDS_MAX_FACES"]] * 3
    assert client.describe_collection(CollectionId=collection)["FaceCount"] == 2


@pytest.mark.parametrize("sample, faces", [(1, 3), (2, 3), (3, 3), (4, 4), (5, 5), (6, 4)])
def test_faces_are_detected(any_pack, photo, sample, faces):
    details = any_pack.detect_faces(Image={"Bytes": photo(f"sample{sample}.jpg")})["FaceDetails"]
    assert len(details) == faces
    for face in details:
        assert face["Confidence"] > 90
        assert set(face["Pose"]) == {"Roll", "Yaw", "Pitch"}
        assert 0 <= face["Quality"]["Brightness"] <= 100 and 0 <= face["Quality"]["Sharpness"] <= 100
        assert [landmark["Type"] for landmark in face["Landmarks"]] == LANDMARKS
        box, nose = face["BoundingBox"], face["Landmarks"][2]
        # In profile, the tip of the nose may reach a little out of the box.
        assert -0.1 < (nose["X"] - box["Left"]) / box["Width"] < 1.1
        assert 0 < (nose["Y"] - box["Top"]) / box["Height"] < 1
