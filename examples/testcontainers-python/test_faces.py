"""The image `rekollect` in a container that lives as long as the tests."""

import os
from pathlib import Path

import boto3
import pytest
from testcontainers.core.container import DockerContainer
from testcontainers.core.wait_strategies import HttpWaitStrategy


@pytest.fixture(scope="session")
def rekognition():
    container = DockerContainer("rekollect").with_env("REKOLLECT_AUTH", "open").with_exposed_ports(7350)
    # /readyz answers with 200 once the weights are loaded and the database answers.
    container.waiting_for(HttpWaitStrategy(7350, "/readyz").for_status_code(200))
    with container:
        url = f"http://{container.get_container_host_ip()}:{container.get_exposed_port(7350)}"
        keys = {"aws_access_key_id": "test", "aws_secret_access_key": "test"}
        yield boto3.client("rekognition", endpoint_url=url, region_name="us-east-1", **keys)


def test_a_person_is_found_again(rekognition):
    photo = {"Bytes": Path(os.environ["PHOTO"]).read_bytes()}
    rekognition.create_collection(CollectionId="people")
    rekognition.index_faces(CollectionId="people", Image=photo, ExternalImageId="ada")
    (match,) = rekognition.search_faces_by_image(CollectionId="people", Image=photo)["FaceMatches"]
    assert match["Face"]["ExternalImageId"] == "ada"
