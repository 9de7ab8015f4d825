"""A machine whose clock jumps an hour ahead or back: signatures get the error that the service gives them, nothing else depends on the time
of day, and all is well when the clock is right again. libfaketime plays the clock."""

import glob
import http.client
import socket
import time

import pytest
from botocore.exceptions import ClientError
from servers import Server, rekognition
from test_boto3 import face_ids, index

KEY = ("AKIACLOCK", "secret" * 8)
HOUR = 3600
JUMPS = [HOUR, -HOUR]


class Clock:
    """The wall clock of one process, which `jump` sets by so many seconds. Its monotonic clock goes on."""

    def __init__(self, folder):
        found = glob.glob("/usr/lib/*/faketime/libfaketimeMT.so.1")
        if not found:
            pytest.skip("libfaketime is not installed (Debian: apt-get install libfaketime)")
        self.file = folder / "clock"
        self.jump(0)
        fake = {"FAKETIME_TIMESTAMP_FILE": str(self.file), "FAKETIME_NO_CACHE": "1", "FAKETIME_DONT_FAKE_MONOTONIC": "1"}
        self.env = {"LD_PRELOAD": found[0], **fake}

    def jump(self, seconds):
        whole = self.file.with_suffix(".new")
        whole.write_text(f"{seconds:+d}\n")
        whole.rename(self.file)


@pytest.fixture
def clock(tmp_path):
    return Clock(tmp_path)


def refusal(call, **members):
    with pytest.raises(ClientError) as refused:
        call(**members)
    error = refused.value.response["Error"]
    return error["Code"], error["Message"]


def test_a_signature_is_of_its_time_and_recovers_with_the_clock(tmp_path, clock):
    keys = {"REKOLLECT_ACCESS_KEY_ID": KEY[0], "REKOLLECT_SECRET_ACCESS_KEY": KEY[1]}
    with Server(tmp_path, env={**keys, **clock.env}) as server:
        client = rekognition(server.url, KEY)
        for seconds, text in ((HOUR, "Signature expired: "), (-HOUR, "Signature not yet current: ")):
            assert client.list_collections()["CollectionIds"] == []
            clock.jump(seconds)
            code, message = refusal(client.list_collections)
            assert code == "InvalidSignatureException" and message.startswith(text) and "5 min." in message
            clock.jump(0)
        # Within the five minutes that are allowed.
        for seconds in (240, -240, 0):
            clock.jump(seconds)
            assert client.list_collections()["CollectionIds"] == []


def test_what_was_stored_is_there_at_any_time(tmp_path, clock, photo):
    with Server(tmp_path, env=clock.env) as server:
        client = server.client
        client.create_collection(CollectionId="people")
        (first,) = face_ids(index(client, "people", photo("obama.jpg")))
        client.create_user(CollectionId="people", UserId="barack", ClientRequestToken="token")
        (second,) = face_ids(index(client, "people", photo("obama2.jpg")))
        page = client.list_faces(CollectionId="people", MaxResults=1)
        made = client.describe_collection(CollectionId="people")["CreationTimestamp"]
        for number, seconds in enumerate(JUMPS):
            clock.jump(seconds)
            # The same request again: its token is known, so it is no conflict.
            client.create_user(CollectionId="people", UserId="barack", ClientRequestToken="token")
            assert len(client.list_faces(CollectionId="people", NextToken=page["NextToken"])["Faces"]) == 1
            (third,) = face_ids(index(client, "people", photo("obama.jpg"), f"again-{number}"))
            assert {match["Face"]["FaceId"] for match in found(client, first)} == {second, third}
            client.delete_faces(CollectionId="people", FaceIds=[third])
            assert [match["Face"]["FaceId"] for match in found(client, first)] == [second]
            client.create_collection(CollectionId=f"later-{number}")
            later = client.describe_collection(CollectionId=f"later-{number}")["CreationTimestamp"]
            assert abs((later - made).total_seconds() - seconds) < 60
        assert client.describe_collection(CollectionId="people")["CreationTimestamp"] == made


def found(client, face):
    return client.search_faces(CollectionId="people", FaceId=face)["FaceMatches"]


@pytest.mark.parametrize("seconds", JUMPS)
def test_rates_and_times_out_run_on(tmp_path, clock, seconds):
    with Server(tmp_path, args=["--rates", "ListCollections=1", "--header-timeout", "2"], env=clock.env) as server:
        server.client.list_collections()
        idle = socket.create_connection(("127.0.0.1", server.port), timeout=10)
        begin = time.monotonic()
        clock.jump(seconds)
        code, _ = refusal(server.client.list_collections)
        assert code == "ProvisionedThroughputExceededException", "an hour of calls was not saved up"
        time.sleep(1.2)
        server.client.list_collections()
        assert idle.recv(1) == b"" and 1.5 < time.monotonic() - begin < 5
        connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=10)
        connection.request("GET", "/readyz")
        assert connection.getresponse().status == 200
