"""The same image under the same name is stored once, however and wherever it arrives."""

from concurrent.futures import ThreadPoolExecutor

import pytest
from botocore.exceptions import ClientError
from test_boto3 import face_ids, index


def test_indexing_twice_stores_once(client, collection, photo):
    first = index(client, collection, photo("sample4.jpg"), "group")
    again = index(client, collection, photo("sample4.jpg"), "group")
    assert len(first["FaceRecords"]) == 4
    assert face_ids(again) == face_ids(first)
    assert client.describe_collection(CollectionId=collection)["FaceCount"] == 4
    renamed = index(client, collection, photo("sample4.jpg"), "others")
    assert not set(face_ids(renamed)) & set(face_ids(first))
    assert client.describe_collection(CollectionId=collection)["FaceCount"] == 8


def test_indexing_at_the_same_time_stores_once(client, collection, photo):
    data = photo("sample4.jpg")
    with ThreadPoolExecutor(8) as pool:
        replies = list(pool.map(lambda _: index(client, collection, data, "group"), range(16)))
    assert {tuple(face_ids(reply)) for reply in replies} == {tuple(face_ids(replies[0]))}
    assert client.describe_collection(CollectionId=collection)["FaceCount"] == 4
    assert len(client.list_faces(CollectionId=collection)["Faces"]) == 4


@pytest.fixture(scope="module")
def pair(start_server, databases):
    """Clients of two servers on one Postgres."""
    url = databases.create()
    return [start_server(store="postgres", database_url=url).client for _ in range(2)]


def test_two_servers_agree_at_once(pair, photo):
    one, other = pair
    other_photo = {"CollectionId": "shared", "Image": {"Bytes": photo("obama2.jpg")}}
    one.create_collection(CollectionId="shared")
    with pytest.raises(ClientError, match="ResourceAlreadyExistsException"):
        other.create_collection(CollectionId="shared")
    for _ in range(5):  # a change that is seen only after a while would slip through a single look now and then
        (face,) = face_ids(index(one, "shared", photo("obama.jpg")))
        assert [match["Face"]["FaceId"] for match in other.search_faces_by_image(**other_photo)["FaceMatches"]] == [face]
        assert one.delete_faces(CollectionId="shared", FaceIds=[face])["DeletedFaces"] == [face]
        assert other.search_faces_by_image(**other_photo)["FaceMatches"] == []

    index(other, "shared", photo("obama.jpg"))
    one.delete_collection(CollectionId="shared")
    with pytest.raises(ClientError, match="ResourceNotFoundException"):
        other.search_faces_by_image(**other_photo)
    one.create_collection(CollectionId="shared")
    assert other.search_faces_by_image(**other_photo)["FaceMatches"] == []
    other.delete_collection(CollectionId="shared")


def test_two_servers_store_once(pair, photo):
    one, other = pair
    one.create_collection(CollectionId="twice")
    data = photo("sample4.jpg")
    with ThreadPoolExecutor(8) as pool:
        replies = list(pool.map(lambda number: index(pair[number % 2], "twice", data, "group"), range(16)))
    assert {tuple(face_ids(reply)) for reply in replies} == {tuple(face_ids(replies[0]))}
    assert other.describe_collection(CollectionId="twice")["FaceCount"] == 4
    one.delete_collection(CollectionId="twice")
