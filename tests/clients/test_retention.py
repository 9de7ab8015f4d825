"""Faces that their collection keeps for a time: the tag `rekollect:expire-after`."""

import sqlite3
import time
from contextlib import closing

import pytest
from botocore.exceptions import ClientError
from servers import Server

TAG = "rekollect:expire-after"


def index(client, collection, image, name):
    (record,) = client.index_faces(CollectionId=collection, Image={"Bytes": image}, ExternalImageId=name)["FaceRecords"]
    return record["Face"]["FaceId"]


def names(client, collection):
    return {face["ExternalImageId"] for face in client.list_faces(CollectionId=collection)["Faces"]}


def test_faces_that_are_kept_no_longer_go_and_no_others(tmp_path, photo):
    obama, again = photo("obama.jpg"), photo("obama2.jpg")
    with Server(tmp_path) as server:
        client = server.client
        client.create_collection(CollectionId="short", Tags={TAG: "1d"})
        client.create_collection(CollectionId="long")
        for collection in ("short", "long"):
            old = index(client, collection, obama, "old")
            index(client, collection, again, "new")
            client.create_user(CollectionId=collection, UserId="obama")
            client.associate_faces(CollectionId=collection, UserId="obama", FaceIds=[old])
    with closing(sqlite3.connect(tmp_path / "data/rekollect.db")) as database:
        two_days_ago = int((time.time() - 2 * 86_400) * 1000)
        database.execute("UPDATE faces SET indexed_at_ms = ? WHERE external_image_id = 'old'", (two_days_ago,))
        database.commit()
    with Server(tmp_path, args=["--expiry-check", "1"]) as server:
        client = server.client
        deadline = time.monotonic() + 20
        while names(client, "short") != {"new"}:
            assert time.monotonic() < deadline, server.log.read_text()
            time.sleep(0.1)
        assert names(client, "long") == {"old", "new"}
        assert [match["Face"]["ExternalImageId"] for match in search(client, "short", obama)] == ["new"]
        assert client.search_users_by_image(CollectionId="short", Image={"Bytes": obama})["UserMatches"] == []
        assert "they are kept no longer" in server.log.read_text()
        # The tag can be set later, too.
        arn = client.describe_collection(CollectionId="long")["CollectionARN"]
        client.tag_resource(ResourceArn=arn, Tags={TAG: "36h"})
        while names(client, "long") != {"new"}:
            assert time.monotonic() < deadline + 20, server.log.read_text()
            time.sleep(0.1)


def search(client, collection, image):
    return client.search_faces_by_image(CollectionId=collection, Image={"Bytes": image})["FaceMatches"]


def test_a_time_that_is_none_is_refused_and_nothing_is_changed(client):
    with pytest.raises(ClientError) as refusal:
        client.create_collection(CollectionId="never", Tags={TAG: "a month"})
    assert refusal.value.response["Error"]["Code"] == "InvalidParameterException"
    assert "such as 45m, 12h or 30d" in refusal.value.response["Error"]["Message"]
    client.create_collection(CollectionId="never", Tags={TAG: "90d"})
    arn = client.describe_collection(CollectionId="never")["CollectionARN"]
    with pytest.raises(ClientError, match="0d"):
        client.tag_resource(ResourceArn=arn, Tags={TAG: "0d", "other": "tag"})
    assert client.list_tags_for_resource(ResourceArn=arn)["Tags"] == {TAG: "90d"}
    client.delete_collection(CollectionId="never")
