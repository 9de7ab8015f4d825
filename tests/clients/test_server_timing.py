"""The header Server-Timing: the log's times, for those who may see them."""

import re

import pytest
from botocore.exceptions import ClientError
from servers import Server, rekognition

KEY = ("AKIATIMING", "secret" * 8)
KEYS = {"REKOLLECT_ACCESS_KEY_ID": KEY[0], "REKOLLECT_SECRET_ACCESS_KEY": KEY[1]}


def timing(reply):
    header = reply["ResponseMetadata"]["HTTPHeaders"].get("server-timing")
    return header and {name: float(ms) for name, ms in (part.split(";dur=") for part in header.split(", "))}


def logged(server, reply):
    line = next(line for line in server.log.read_text().splitlines() if reply["ResponseMetadata"]["RequestId"] in line)
    return {name: float(ms) for name, ms in re.findall(r"(\w+)_ms=([0-9.]+)", line)}


def test_a_signed_caller_is_told_what_the_log_is_told(tmp_path, photo):
    with Server(tmp_path, env=KEYS) as server:
        client = rekognition(server.url, key=KEY)
        client.create_collection(CollectionId="people")
        reply = client.index_faces(CollectionId="people", Image={"Bytes": photo("obama.jpg")})
        assert timing(reply) == logged(server, reply)
        assert {"authenticate", "decode", "detect", "embed", "store", "total"} <= timing(reply).keys()
        assert sum(timing(reply).values()) <= 2.01 * timing(reply)["total"]
        with pytest.raises(ClientError) as refused:
            client.describe_collection(CollectionId="nobody")
        assert timing(refused.value.response) == logged(server, refused.value.response)


def test_an_anonymous_caller_is_told_nothing_unless_all_are(tmp_path):
    for name, args, env, told in [
        ("signed", [], KEYS, False),
        ("without keys", [], {}, False),
        ("all", ["--server-timing", "all"], KEYS, True),
        ("all without keys", ["--server-timing", "all"], {}, True),
    ]:
        with Server(tmp_path / name, args=args, env=env) as server:
            stranger = rekognition(server.url, key=(KEY[0], "wrong"))
            try:
                reply = stranger.list_collections()
            except ClientError as error:
                reply = error.response
            assert (timing(reply) is not None) == told, name
            assert (reply["ResponseMetadata"]["HTTPStatusCode"] == 200) == (not env)


def test_it_can_be_switched_off(tmp_path):
    with Server(tmp_path, args=["--server-timing", "off"], env=KEYS) as server:
        assert timing(rekognition(server.url, key=KEY).list_collections()) is None
