"""A server's life: it keeps what it acknowledged, and stops without dropping a request."""

import base64
import ctypes
import errno
import http.client
import json
import platform
import resource
import signal
import socket
import sqlite3
import stat
import struct
import subprocess
import sys
import threading
import time
from contextlib import closing, contextmanager, suppress
from pathlib import Path

import pytest
from chaos import BLACK_HOLE, Proxy
from servers import BINARY, Server, get
from test_boto3 import index


def test_faces_outlive_a_crash(tmp_path, photo):
    with Server(tmp_path) as server:
        server.client.create_collection(CollectionId="kept")
        index(server.client, "kept", photo("obama.jpg"), "obama")
        server.process.kill()
        server.process.wait()
    with Server(tmp_path) as server:
        found = server.client.search_faces_by_image(CollectionId="kept", Image={"Bytes": photo("obama2.jpg")})["FaceMatches"]
        assert [match["Face"]["ExternalImageId"] for match in found] == ["obama"]
        assert server.stop() == 0


def test_a_deleted_vector_is_not_in_the_file_any_more(tmp_path, photo):
    file = tmp_path / "data/rekollect.db"
    with Server(tmp_path) as server:
        server.client.create_collection(CollectionId="people")
        reply = server.client.index_faces(CollectionId="people", Image={"Bytes": photo("obama.jpg")})
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
        with closing(sqlite3.connect(f"file:{file}?mode=ro", uri=True)) as connection:
            (vector,) = connection.execute("SELECT embedding FROM faces").fetchone()
    assert vector in file.read_bytes()
    with Server(tmp_path) as server:
        server.client.delete_faces(CollectionId="people", FaceIds=[record["Face"]["FaceId"] for record in reply["FaceRecords"]])
    # The log beside the file is brought into it at an orderly end.
    assert all(vector not in path.read_bytes() for path in file.parent.rglob("*") if path.is_file())


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_request_in_flight_is_answered(tmp_path, photo, number):
    """The signal arrives when half of the request has: the clearest case of one in flight, and no matter of luck."""
    body = json.dumps({"Image": {"Bytes": base64.b64encode(photo("sample4.jpg")).decode()}}).encode()
    with Server(tmp_path) as server:
        connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=30)
        connection.putrequest("POST", "/")
        connection.putheader("Content-Type", "application/x-amz-json-1.1")
        connection.putheader("X-Amz-Target", "RekognitionService.DetectFaces")
        connection.putheader("Content-Length", str(len(body)))
        connection.endheaders(body[: len(body) // 2])
        time.sleep(0.5)
        server.process.send_signal(number)
        time.sleep(0.5)
        assert server.process.poll() is None
        connection.send(body[len(body) // 2 :])
        reply = connection.getresponse()
        assert reply.status == 200
        assert len(json.load(reply)["FaceDetails"]) == 4
        assert server.process.wait(timeout=30) == 0
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", server.port))


@contextmanager
def stalled(folder, databases, grace):
    """A server whose database swallows every byte and has a minute to answer, with calls in flight."""
    limits = {"REKOLLECT_DATABASE_TIMEOUT": "60", "REKOLLECT_DATABASE_WAIT": "60", "REKOLLECT_SHUTDOWN_TIMEOUT": str(grace)}
    with Proxy(databases.create()) as proxy, Server(folder, database_url=proxy.url, env=limits) as server:
        server.client.create_collection(CollectionId="people")
        proxy.be(BLACK_HOLE)

        def call():
            with suppress(Exception):
                server.client.describe_collection(CollectionId="people")

        [threading.Thread(target=call, daemon=True).start() for _ in range(3)]
        time.sleep(0.5)
        yield server


def test_a_stalled_database_does_not_hold_a_server_that_is_to_stop(tmp_path, databases):
    with stalled(tmp_path, databases, grace=2) as server:
        assert server.stop(seconds=6) == 0
        assert "does not let go of its connections" in server.log.read_text()


@pytest.mark.parametrize("second", [signal.SIGTERM, signal.SIGINT])
def test_a_second_signal_ends_a_server_at_once(tmp_path, databases, second):
    with stalled(tmp_path, databases, grace=60) as server:
        server.process.terminate()
        time.sleep(0.5)
        assert server.process.poll() is None
        server.process.send_signal(second)
        assert server.process.wait(timeout=2) == 0


def test_a_limit_of_files_that_may_not_be_raised_is_no_reason_not_to_start(tmp_path):
    """As in a sandbox whose filter of system calls keeps limits as they are."""
    refuse = refuse_new_limits()
    with Server(tmp_path, before_start=refuse) as server:
        assert server.client.list_collections()["CollectionIds"] == []
        text = server.log.read_text()
    assert "may not raise its limit of open files" in text and "files=512" in text, text
    assert "fewer files than --max-connections asks for" in text, text


def refuse_new_limits():
    """What a process does to itself so that it, and what it runs, have a soft limit of 512 files that no call raises."""
    numbers = {"x86_64": (0xC000003E, 302, 160), "aarch64": (0xC00000B7, 261, 164)}
    if sys.platform != "linux" or platform.machine() not in numbers:
        pytest.skip("only on Linux a process can keep system calls from itself")
    architecture, prlimit, setrlimit = numbers[platform.machine()]
    load, equal, give = 0x20, 0x15, 0x06
    allow, refuse = 0x7FFF0000, 0x00050000 | errno.EPERM
    # A program for the kernel: code, how many steps to skip if true and if false, number. Of prlimit it refuses only calls with a new
    # limit, the third argument: reading goes on.
    steps = [
        (load, 0, 0, 4), (equal, 0, 8, architecture),
        (load, 0, 0, 0), (equal, 5, 0, setrlimit), (equal, 0, 5, prlimit),
        (load, 0, 0, 32), (equal, 0, 2, 0),
        (load, 0, 0, 36), (equal, 1, 0, 0),
        (give, 0, 0, refuse), (give, 0, 0, allow),
    ]  # fmt: skip
    code = b"".join(struct.pack("HBBI", *step) for step in steps)
    buffer = ctypes.create_string_buffer(code, len(code))
    program = ctypes.create_string_buffer(struct.pack("HP", len(steps), ctypes.addressof(buffer)))
    libc = ctypes.CDLL(None, use_errno=True)
    no_new_privileges, seccomp, filter_mode = 38, 22, 2
    libc.prctl.argtypes = [ctypes.c_int, *[ctypes.c_void_p] * 4]

    def before_start():
        hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
        resource.setrlimit(resource.RLIMIT_NOFILE, (512, hard))
        for call in ((no_new_privileges, 1, 0, 0, 0), (seccomp, filter_mode, ctypes.addressof(program), 0, 0)):
            if libc.prctl(*call) != 0:
                raise OSError(ctypes.get_errno(), "prctl")
        assert buffer  # the program points into it

    return before_start


def test_healthcheck_tells_whether_a_server_is_ready(tmp_path):
    with Server(tmp_path) as server:
        check = [BINARY, "healthcheck", "--listen", f"127.0.0.1:{server.port}"]
        assert subprocess.run(check, timeout=10).returncode == 0
        server.stop()
        assert subprocess.run(check, timeout=10, capture_output=True).returncode == 1


def test_the_licence_of_the_net_of_traits_is_told_once_unless_it_is_off(tmp_path):
    told = "CelebA: non-commercial research data"
    with Server(tmp_path / "on") as server:
        pass
    assert server.log.read_text().count(told) == 1
    with Server(tmp_path / "off", env={"REKOLLECT_ATTRIBUTE_MODEL": "off"}) as server:
        pass
    assert told not in server.log.read_text()


@pytest.mark.parametrize("variable", [{}, {"ORT_DISABLE_TELEMETRY": "0"}], ids=["unset", "0"])
def test_onnx_runtime_reports_nothing_to_its_maker(tmp_path, photo, monkeypatch, variable):
    """Left alone it writes an id of the machine below HOME, and sends events."""
    home = tmp_path / "home"
    home.mkdir()
    monkeypatch.delenv("ORT_DISABLE_TELEMETRY", raising=False)
    with Server(tmp_path / "server", env={"HOME": str(home), **variable}) as server:
        server.client.create_collection(CollectionId="people")
        index(server.client, "people", photo("obama.jpg"))
        time.sleep(1)
        environment = Path(f"/proc/{server.process.pid}/environ")
        if environment.exists():
            assert b"\0ORT_DISABLE_TELEMETRY=1\0" in b"\0" + environment.read_bytes()
    assert list(home.rglob("*")) == []


def test_metrics_are_told_where_nobody_signs_or_where_that_is_wanted(tmp_path, photo):
    keys = {"REKOLLECT_ACCESS_KEY_ID": "AKIAMETRICS", "REKOLLECT_SECRET_ACCESS_KEY": "secret" * 8}
    with Server(tmp_path / "open") as server:
        server.client.detect_faces(Image={"Bytes": photo("obama.jpg")})
        text = metrics(server)
        assert 'rekollect_requests_total{operation="DetectFaces",code="OK"} 1' in text
        assert 'rekollect_stage_duration_seconds_count{stage="detect"} 1' in text
    for wanted, told in (({}, False), ({"REKOLLECT_METRICS": "on"}, True)):
        with Server(tmp_path / f"keys-{told}", env={**keys, **wanted}) as server:
            assert ("rekollect_process_resident_memory_bytes" in metrics(server)) == told


def metrics(server):
    return get(server, "/metrics")[1]
