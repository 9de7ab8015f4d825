"""The walk-through of the README with the aws-cli, as a program of its own."""

import json
import os
import subprocess
import sys
import uuid

import pytest
from conftest import PHOTOS
from servers import KEYS


@pytest.fixture
def aws(server, tmp_path):
    """Runs `aws rekognition ...` away from the configuration of whoever runs the tests; the reply, or the error's text."""
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith("AWS_")},
        **KEYS,
        "AWS_CONFIG_FILE": str(tmp_path / "config"),
        "AWS_SHARED_CREDENTIALS_FILE": str(tmp_path / "credentials"),
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_MAX_ATTEMPTS": "1",
    }

    def run(*arguments, fails=False):
        command = [sys.executable, "-m", "awscli", "rekognition", *arguments, "--endpoint-url", server.url, "--output", "json"]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120)
        assert (done.returncode != 0) == fails, done.stderr
        return done.stderr if fails else json.loads(done.stdout)

    return run


def test_walk_through(aws, photo):
    def image(name):
        photo(name)  # skips when it is missing
        return f"fileb://{PHOTOS / name}"

    collection = ("--collection-id", f"cli-{uuid.uuid4().hex}")
    assert aws("create-collection", *collection)["StatusCode"] == 200
    assert collection[1] in aws("list-collections")["CollectionIds"]

    indexed = aws("index-faces", *collection, "--image-bytes", image("obama.jpg"), "--external-image-id", "obama")
    (face,) = [record["Face"] for record in indexed["FaceRecords"]]
    assert face["ExternalImageId"] == "obama"
    assert aws("describe-collection", *collection)["FaceCount"] == 1
    assert aws("list-faces", *collection)["Faces"][0]["FaceId"] == face["FaceId"]

    found = aws("search-faces-by-image", *collection, "--image-bytes", image("obama2.jpg"))["FaceMatches"]
    assert [match["Face"]["FaceId"] for match in found] == [face["FaceId"]]
    assert aws("search-faces-by-image", *collection, "--image-bytes", image("biden.jpg"))["FaceMatches"] == []
    assert aws("search-faces", *collection, "--face-id", face["FaceId"])["FaceMatches"] == []
    assert len(aws("detect-faces", "--image-bytes", image("sample4.jpg"))["FaceDetails"]) == 4

    assert aws("delete-faces", *collection, "--face-ids", face["FaceId"])["DeletedFaces"] == [face["FaceId"]]
    assert aws("delete-collection", *collection)["StatusCode"] == 200
    assert "(ResourceNotFoundException)" in aws("describe-collection", *collection, fails=True)
