"""A rekollect of its own for the tests: started once for a run, and a fresh collection for each test."""

import os
import shutil
import subprocess
import uuid

import boto3
import pytest


@pytest.fixture(scope="session")
def rekollect(tmp_path_factory):
    """The address of a server that ends with the tests. REKOLLECT_MODELS_DIR is read by the server itself."""
    binary = os.environ.get("REKOLLECT_BIN") or shutil.which("rekollect") or pytest.fail("set REKOLLECT_BIN, or put rekollect on the PATH")
    folder = tmp_path_factory.mktemp("rekollect")
    command = [binary, "serve", "--listen", "127.0.0.1:0", "--data-dir", folder / "data"]
    # The log goes to a file: a pipe that nobody reads would stop the server once it is full.
    with open(folder / "log", "w") as log, subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, text=True) as server:
        try:
            ready = next((line for line in server.stdout if line.startswith("rekollect ready: ")), None)
            assert ready, (folder / "log").read_text()
            yield ready.split()[2]
        finally:
            server.terminate()


@pytest.fixture(scope="session")
def rekognition(rekollect):
    keys = {"aws_access_key_id": "test", "aws_secret_access_key": "test"}
    return boto3.client("rekognition", endpoint_url=rekollect, region_name="us-east-1", **keys)


@pytest.fixture
def collection(rekognition):
    """The name of a collection that only this test knows."""
    name = f"test-{uuid.uuid4().hex}"
    rekognition.create_collection(CollectionId=name)
    yield name
    rekognition.delete_collection(CollectionId=name)
