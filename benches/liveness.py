"""How soon a server accepts a connection and answers /healthz while it is busy: CALLERS callers search a large collection, and one indexes.

`make bench-liveness`. Each of them is a process or thread of its own on the same machine, so the figures hold their share of it as well."""

import argparse
import http.client
import json
import multiprocessing
import statistics
import sys
import tempfile
import threading
import time
import uuid
from pathlib import Path

import gallery_of
import photos

sys.path.insert(0, str(Path(__file__).parents[1] / "tests/clients"))
from servers import Server, rekognition  # noqa: E402

DIMENSIONS = 128
COLLECTION = "busy"
EVERY = 0.02


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--size", type=int, default=1_000_000, help="faces (default: %(default)s)")
    parser.add_argument("--callers", type=int, default=64, help="of SearchFaces (default: %(default)s)")
    parser.add_argument("--seconds", type=float, default=20)
    parser.add_argument("--no-indexing", action="store_true")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        with Server(folder) as server:
            server.client.create_collection(CollectionId=COLLECTION)
        names = gallery_of.fill_sqlite(folder / "data/rekollect.db", COLLECTION, gallery_of.vectors(options.size, DIMENSIONS))
        names = [str(uuid.UUID(bytes=name)) for name in names[:1000]]
        with Server(folder, env={"RUST_LOG": "warn"}) as server:
            begin = time.monotonic()
            server.client.search_faces(CollectionId=COLLECTION, FaceId=names[0])
            print(f"searchable {time.monotonic() - begin:.2f} s after the first question, {options.size:,} faces")
            report("idle", asked(server.port, 5))
            image, _ = photos.one_face(server.client, (640, 480))
            done = multiprocessing.Value("i", 0), multiprocessing.Value("i", 0)
            others = [multiprocessing.Process(target=search, args=(server.port, names, options.callers, done[0]), daemon=True)]
            if not options.no_indexing:
                others.append(multiprocessing.Process(target=index, args=(server.url, image, done[1]), daemon=True))
            [other.start() for other in others]
            time.sleep(2)
            before = [counter.value for counter in done]
            times = asked(server.port, options.seconds)
            rates = [(counter.value - was) / options.seconds for counter, was in zip(done, before)]
            [other.kill() for other in others]
            report(f"{options.callers} callers, {rates[0]:.0f} searches/s, {rates[1]:.1f} images/s", times)


def asked(port, seconds):
    """Milliseconds of each answer, on a connection of its own."""
    times, end = [], time.monotonic() + seconds
    while time.monotonic() < end:
        begin = time.perf_counter()
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
        connection.request("GET", "/healthz")
        assert connection.getresponse().read() == b"ok\n"
        connection.close()
        times.append(1000 * (time.perf_counter() - begin))
        time.sleep(EVERY)
    return times


def report(name, times):
    times.sort()
    p99 = times[int(0.99 * (len(times) - 1))]
    print(f"{name}: /healthz p50 {statistics.median(times):.1f} ms, p99 {p99:.1f} ms, longest {times[-1]:.1f} ms, of {len(times)}", flush=True)


def search(port, names, callers, done):
    def call(number):
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        while True:
            number += callers
            body = json.dumps({"CollectionId": COLLECTION, "FaceId": names[number % len(names)]})
            connection.request("POST", "/", body, {"X-Amz-Target": "RekognitionService.SearchFaces"})
            reply = connection.getresponse()
            assert reply.status == 200, reply.read()
            reply.read()
            with done.get_lock():
                done.value += 1

    threads = [threading.Thread(target=call, args=(number,), daemon=True) for number in range(callers)]
    [thread.start() for thread in threads]
    threading.Event().wait()


def index(url, image, done):
    client = rekognition(url)
    while True:
        done.value += 1
        # A decoder stops at the end of the picture: another image with the same pixels.
        client.index_faces(CollectionId=COLLECTION, Image={"Bytes": image + done.value.to_bytes(4, "little")})


if __name__ == "__main__":
    main()
