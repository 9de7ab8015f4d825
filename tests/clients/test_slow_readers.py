"""Clients that ask for a page of 4,096 faces and read nothing of it, or a byte a second: what they hold of the server is bounded, in bytes
and in seconds. `REKOLLECT_TEST_SLOW_READERS=1000` makes so many of them, and `-s` shows the figures."""

import json
import os
import re
import socket
import sys
import time

import pytest
from servers import ROOT, Server, metric

sys.path.append(str(ROOT / "benches"))
import gallery_of  # noqa: E402

READERS = int(os.environ.get("REKOLLECT_TEST_SLOW_READERS", "200"))
FACES = 4096
ROOM, PATIENCE = 32, 4  # MiB of replies, and seconds to take one
LIMITS = {"REKOLLECT_MAX_REPLIES": str(ROOM << 20), "REKOLLECT_REPLY_TIMEOUT": str(PATIENCE), "RUST_LOG": "error"}
# MiB beside the replies: rows and texts of pages that are in work, and what the allocator keeps of them.
BESIDE = 120
# As on an Ethernet. Loopback's own is so large that the kernel would take a whole page off the server's hands.
SEGMENT = 1460
BODY = json.dumps({"CollectionId": "people", "MaxResults": FACES})
REQUEST = f"POST / HTTP/1.1\r\nHost: localhost\r\nX-Amz-Target: RekognitionService.ListFaces\r\nContent-Length: {len(BODY)}\r\n\r\n{BODY}"


class Reader:
    """Asks for a page, and again while the server is too busy to give it one. Then it has the page, until the server hangs up."""

    def __init__(self, port, drips):
        self.socket, self.drips, self.has_page, self.is_cut_off = socket.socket(), drips, False, False
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG, SEGMENT)
        self.socket.connect(("127.0.0.1", port))
        self.socket.sendall(REQUEST.encode())
        self.socket.setblocking(False)

    def step(self):
        try:
            if not self.has_page:
                self.has_page = self.socket.recv(12, socket.MSG_PEEK) == b"HTTP/1.1 200"
                if not self.has_page:
                    self.socket.recv(4096)
                    self.socket.sendall(REQUEST.encode())
                return
            # What the kernel has already can be read even then.
            self.is_cut_off = self.is_cut_off or self.socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) != 0
            if self.drips:
                self.socket.recv(1)
        except BlockingIOError:
            pass
        except ConnectionError:
            self.is_cut_off = True


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    folder = tmp_path_factory.mktemp("slow")
    with Server(folder, env=LIMITS) as server:
        server.client.create_collection(CollectionId="people")
        gallery_of.fill_sqlite(folder / "data/rekollect.db", "people", gallery_of.vectors(FACES, 128))
        yield server


@pytest.mark.parametrize("drips", [False, True], ids=["nothing", "a byte a second"])
def test_slow_readers_hold_a_bounded_memory_for_a_bounded_time(server, drips):
    before, kernel, samples = server.resident_megabytes(), kernel_megabytes(), []
    readers = [Reader(server.port, drips) for _ in range(READERS)]
    end = time.monotonic() + PATIENCE + 4
    while time.monotonic() < end:
        [reader.step() for reader in readers]
        samples.append((server.resident_megabytes() - before, kernel_megabytes() - kernel, reply_megabytes(server)))
        time.sleep(1)
    holders = [reader for reader in readers if reader.has_page]
    resident, in_sockets, replies = map(max, zip(*samples))
    print(
        f"\n{READERS} readers, of whom {len(holders)} got a page: from {before:.0f} to {before + resident:.0f} MB resident, "
        f"{in_sockets:.0f} MB in the kernel's sockets, {replies:.0f} MB of replies"
    )
    assert 0.9 * ROOM < replies <= ROOM, "that no more than this was held is what this tests"
    assert resident < ROOM + BESIDE
    # Whoever has not taken its page in time is cut off, and then all is well.
    [reader.socket.close() for reader in readers if not reader.has_page]
    end = time.monotonic() + PATIENCE + 3
    while time.monotonic() < end and not all(reader.is_cut_off for reader in holders):
        time.sleep(1)
        [reader.step() for reader in holders]
    assert all(reader.is_cut_off for reader in holders)
    assert reply_megabytes(server) == 0
    assert len(server.client.list_faces(CollectionId="people", MaxResults=FACES)["Faces"]) == FACES
    [reader.socket.close() for reader in holders]


def reply_megabytes(server):
    """What the server says that it holds for clients."""
    return metric(server, "reply_bytes") / (1 << 20)


def kernel_megabytes():
    """Buffers of every socket on this machine; none where the system does not tell."""
    try:
        with open("/proc/net/sockstat") as file:
            return int(re.search(r"TCP:.* mem (\d+)", file.read())[1]) * os.sysconf("SC_PAGE_SIZE") / (1 << 20)
    except FileNotFoundError:
        return 0
