"""Ten times the load that the server can bear: `make bench-overload`.

Full load first: so many callers as images may be in work or wait. Then so many more, each again a moment after it was refused, that ten times as many
calls come as are served; then one caller after the storm. And a healthy caller beside 2,000 idle connections and 200 that send a header a byte at a time.
"""

import base64
import http.client
import json
import os
import socket
import sys
import tempfile
import threading
import time
from pathlib import Path

import numpy
import photos

sys.path.insert(0, str(Path(__file__).parents[1] / "tests/clients"))
from servers import Server  # noqa: E402

SECONDS = 8
TIMES = 10
PAUSE = 0.2  # seconds before a caller that was refused tries again
QUEUE = 64  # the server's default
IDLE = 2000
SLOW = 200
HEADERS = {"Content-Type": "application/x-amz-json-1.1", "X-Amz-Target": "RekognitionService.DetectFaces"}


def main():
    with tempfile.TemporaryDirectory() as folder, Server(Path(folder), env={"RUST_LOG": "error"}) as server:
        data, _ = photos.one_face(server.client, (640, 480))
        body = json.dumps({"Image": {"Bytes": base64.b64encode(data).decode()}}).encode()
        room = room_for_images(server)
        print(f"{os.cpu_count()} cores; room for {room} images in work or waiting; a JPEG of 640 x 480 with one face, {SECONDS} s each\n")
        alone = storm(server, body, 1)
        full = storm(server, body, room)
        over = storm(server, body, room + round(TIMES * served_a_second(full) * PAUSE))
        time.sleep(1)
        after = storm(server, body, 1)
        with crowd(server):
            crowded = storm(server, body, 1)
        print("| | callers | served /s | served, p50 | served, p99 | refused /s | refused, p50 | refused, p99 | other answers | resident |")
        print("|---|---|---|---|---|---|---|---|---|---|")
        for name, row in (
            ("one caller", alone),
            ("full load", full),
            ("ten times as many calls", over),
            ("one caller, a second later", after),
            (f"one caller beside {IDLE} idle and {SLOW} slow connections", crowded),
        ):
            print(f"| {name} | {row} |")


def room_for_images(server):
    """Two workers and the queue, as the flags set them."""
    return (os.cpu_count() or 1) + QUEUE


def served_a_second(row):
    return float(row.split("|")[1])


def storm(server, body, callers):
    served, refused, other = [], [], []
    end = time.monotonic() + SECONDS

    def call():
        connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)
        while time.monotonic() < end:
            begin = time.perf_counter()
            connection.request("POST", "/", body, HEADERS)
            reply = connection.getresponse()
            text = reply.read()
            took = 1000 * (time.perf_counter() - begin)
            if reply.status == 200:
                served.append(took)
            elif b"ThrottlingException" in text:
                refused.append(took)
                time.sleep(PAUSE)
            else:
                other.append(text)

    threads = [threading.Thread(target=call) for _ in range(callers)]
    [thread.start() for thread in threads]
    [thread.join() for thread in threads]
    return f"{callers} | {rate(served)} | {rate(refused)} | {len(other)} | {server.resident_megabytes():.0f} MB"


def rate(times):
    if not times:
        return "0 | |"
    return f"{len(times) / SECONDS:.0f} | {numpy.percentile(times, 50):.0f} ms | {numpy.percentile(times, 99):.0f} ms"


class crowd:
    """Connections that say nothing, and some that say a byte a second."""

    def __init__(self, server):
        self.port, self.sockets, self.over = server.port, [], threading.Event()

    def __enter__(self):
        for number in range(IDLE + SLOW):
            self.sockets.append(socket.create_connection(("127.0.0.1", self.port)))
        self.dripping = threading.Thread(target=self.drip)
        self.dripping.start()

    def drip(self):
        text = b"POST / HTTP/1.1\r\nHost: x\r\nX-Slow: " + b"a" * 1000
        for at in range(len(text)):
            for slow in self.sockets[IDLE:]:
                try:
                    slow.send(text[at : at + 1])
                except OSError:
                    pass  # the server had enough of it
            if self.over.wait(1):
                return

    def __exit__(self, *_exception):
        self.over.set()
        self.dripping.join()
        [each.close() for each in self.sockets]


if __name__ == "__main__":
    main()
