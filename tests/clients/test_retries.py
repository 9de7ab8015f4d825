"""A throttled call succeeds by the SDK's own retries, and without any fails with the service's error."""

import json
import urllib.request

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError
from servers import KEYS, REGION
from test_scenario import run

THROTTLED = "ProvisionedThroughputExceededException"


def retrying(url, attempts):
    """A boto3 client with the standard retry mode."""
    return boto3.client(
        "rekognition",
        region_name=REGION,
        endpoint_url=url,
        aws_access_key_id=KEYS["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=KEYS["AWS_SECRET_ACCESS_KEY"],
        config=Config(retries={"mode": "standard", "total_max_attempts": attempts}),
    )


def code_of(call, **arguments):
    try:
        call(**arguments)
    except ClientError as error:
        return error.response["Error"]["Code"]


def test_a_burst_beyond_the_rate(start_server):
    server = start_server(args=["--rates", "DescribeCollection=2"])
    server.client.create_collection(CollectionId="busy")
    codes = [code_of(server.client.describe_collection, CollectionId="busy") for _ in range(8)]
    assert codes[:2] == [None, None]
    assert THROTTLED in codes[2:]
    assert set(codes) == {None, THROTTLED}
    patient = retrying(server.url, attempts=10)
    replies = [patient.describe_collection(CollectionId="busy") for _ in range(8)]
    assert sum(reply["ResponseMetadata"]["RetryAttempts"] for reply in replies) > 0
    # Others than the named operation have no rate.
    assert {code_of(server.client.list_collections) for _ in range(8)} == {None}


@pytest.fixture(scope="module")
def faulty(start_server):
    server = start_server(args=["--enable-faults"])
    server.client.create_collection(CollectionId="faulty")
    return server


def faults(server, method, rule=None):
    """The rules of the server's faults, after one was added or all were removed."""
    data = json.dumps(rule).encode() if rule else None
    request = urllib.request.Request(f"{server.url}/_faults", data, {"Content-Type": "application/json"}, method=method)
    with urllib.request.urlopen(request, timeout=30) as reply:
        return json.load(reply)["rules"]


@pytest.fixture
def fail_twice(faulty):
    faults(faulty, "POST", {"operation": "DescribeCollection", "error": "ThrottlingException", "calls": 2})
    yield
    faults(faulty, "DELETE")


def test_boto3_calls_again(faulty, fail_twice):
    reply = retrying(faulty.url, attempts=5).describe_collection(CollectionId="faulty")
    assert reply["ResponseMetadata"]["RetryAttempts"] == 2


@pytest.mark.parametrize("client_name", ["js", "rust"])
def test_the_other_sdks_call_again_by_default(faulty, fail_twice, client_name):
    assert run(client_name, faulty.url, "describe", "faulty") == {"attempts": 3}


def test_faults_are_for_some_calls_and_can_be_taken_back(faulty, fail_twice):
    assert code_of(faulty.client.describe_collection, CollectionId="faulty") == "ThrottlingException"
    assert code_of(faulty.client.list_faces, CollectionId="faulty") is None
    (rule,) = faults(faulty, "GET")
    assert (rule["operation"], rule["error"], rule["calls_left"]) == ("DescribeCollection", "ThrottlingException", 1)
    assert faults(faulty, "DELETE") == []
    assert code_of(faulty.client.describe_collection, CollectionId="faulty") is None
