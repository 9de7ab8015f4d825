"""An S3 server that is slow, half-open, cut off or silent: each call ends in time, with an error that an SDK tries again, and afterwards all
is well without a restart."""

import threading
import time

import pytest
from botocore.exceptions import ClientError
from chaos import BLACK_HOLE, CUT, HALF_OPEN, SLOW, WELL, Proxy
from servers import REGION, Server, rekognition
from test_s3 import AWAY, KEY, Moto, buckets, moto, photo, s3_object  # noqa: F401

LIMIT = 3  # seconds for an object
CALLERS = 4
MOST_MEGABYTES = 400


@pytest.fixture(scope="module")
def place(tmp_path_factory, buckets):  # noqa: F811
    """A server whose S3 is behind a proxy."""
    with Proxy(buckets.moto.url) as proxy:
        args = ["--s3-endpoint", proxy.url, "--s3-region", REGION, "--s3-timeout", str(LIMIT)]
        with Server(tmp_path_factory.mktemp("s3-chaos"), args=args, env=KEY) as server:
            server.client.create_collection(CollectionId="people")
            yield server, proxy


@pytest.fixture
def well(place):
    yield place
    place[1].be(WELL)


def outcomes(server, seconds):
    """What callers get in this time: errors, or None; and the longest that one waited."""
    end, found, longest = time.monotonic() + seconds, [], []

    def call():
        client = rekognition(server.url)
        while time.monotonic() < end:
            begin = time.monotonic()
            try:
                client.index_faces(CollectionId="people", Image=s3_object("obama.jpg"), MaxFaces=1)
                found.append(None)
            except ClientError as error:
                found.append((error.response["Error"]["Code"], error.response["Error"]["Message"]))
            longest.append(time.monotonic() - begin)

    threads = [threading.Thread(target=call) for _ in range(CALLERS)]
    [thread.start() for thread in threads]
    [thread.join() for thread in threads]
    return set(found), max(longest)


@pytest.mark.parametrize("mode", [SLOW, HALF_OPEN, CUT, BLACK_HOLE])
def test_every_call_ends_in_time_and_all_is_well_again(well, mode):
    server, proxy = well
    assert outcomes(server, 0.5)[0] == {None}
    # In the middle of calls, and then from their beginning.
    threading.Timer(0.5, proxy.be, [mode]).start()
    found, longest = outcomes(server, LIMIT)
    assert found <= {None, AWAY}
    assert mode == SLOW or AWAY in found, "S3 was well all the time: this tested nothing"
    assert longest < LIMIT + 2
    proxy.be(WELL)
    # Connections from before may be dead without a word: each costs one silence, and not the call.
    found, longest = outcomes(server, 1)
    assert found == {None} and longest < LIMIT
    assert server.client.describe_collection(CollectionId="people")["FaceCount"] == 1
    assert "panicked" not in server.log.read_text()
    print(f"{mode}: {server.resident_megabytes('VmHWM'):.0f} MB at most")
    assert server.resident_megabytes("VmHWM") < MOST_MEGABYTES


def test_a_stalled_s3_holds_nobody_else(well, photo):  # noqa: F811
    """Nor does it hold a worker: images that are in the request are looked at meanwhile."""
    server, proxy = well
    proxy.be(BLACK_HOLE)
    stalled = threading.Thread(target=outcomes, args=(server, 1))
    stalled.start()
    begin = time.monotonic()
    assert len(server.client.detect_faces(Image={"Bytes": photo("obama.jpg")})["FaceDetails"]) == 1
    assert time.monotonic() - begin < LIMIT
    stalled.join()
