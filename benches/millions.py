"""Collections of many millions of faces on one machine: `make bench-millions`. On SQLite, or with --postgres on the Postgres that
tests/postgres.py starts.

The faces are drawn as gallery_of.vectors draws them, in people of ten, and written into the store past the server, in the order of their
ids. What is found is held against a comparison of all vectors in 64 bits. Everything is asked by plain HTTP, so that no client's own time
counts.
"""

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
import growth
import numpy
import photos

sys.path.insert(0, str(Path(__file__).parents[1] / "tests/clients"))
from servers import Server  # noqa: E402

COLLECTION, OTHER = growth.COLLECTION, "small"
NEAREST = 100
CALLERS = 16
SECONDS = 8
HOURS = 7200
BLOCK = 100_000


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--size", type=int, default=1_000_000, help="faces (default: %(default)s)")
    parser.add_argument("--probes", type=int, default=20, help="probes compared with all vectors (default: %(default)s)")
    parser.add_argument("--folder", type=Path, help="where the store is made, or is from the last time")
    parser.add_argument("--postgres", action="store_true")
    parser.add_argument("--pack", default="standard", choices=growth.DIMENSIONS)
    parser.add_argument("--files", type=int, help="bytes of gallery files; 0 for none")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, growth.database("postgres" if options.postgres else "sqlite") as (url, connection):
        measure(options, options.folder or Path(folder), url, connection)


def measure(options, folder, url, connection):
    args = ["--gallery-wait", "3600", *(["--gallery-files", str(options.files)] if options.files is not None else [])]
    quiet = {"RUST_LOG": "warn"}
    names = [str(uuid.UUID(bytes=name)) for name in ids(options.size)[:: max(1, options.size // 1000)]]
    if not (folder / "filled").exists():
        with Server(folder, options.pack, database_url=url) as server:
            server.client.create_collection(CollectionId=COLLECTION)
            server.client.create_collection(CollectionId=OTHER)
        begin = time.perf_counter()
        fill(folder / "data/rekollect.db", connection, options.size, growth.DIMENSIONS[options.pack])
        tell(f"{options.size:,} faces written past the server", f"{time.perf_counter() - begin:.0f} s")
        (folder / "filled").touch()
    with Server(folder, options.pack, database_url=url, args=args, env=quiet, patience=600) as server:
        before = server.resident_megabytes()
        longest = []
        with others(server, longest):
            tell("first answer, read from the database", f"{seconds(lambda: search(server, names[0])):.1f} s")
        tell("meanwhile, 100 a second: SearchFaces in another collection, p99", f"{numpy.percentile(longest, 99):.1f} ms")
        settle(server)
        tell("memory then", memory(server, before, options.size))
    with Server(folder, options.pack, database_url=url, args=args, env=quiet, patience=600) as server:
        before = server.resident_megabytes()
        first = seconds(lambda: search(server, names[0]))
        tell("the next start, and its first answer", f"{server.ready_after + first:.2f} s")
        for threshold in (80, 0):
            times = [1000 * seconds(lambda: search(server, name, threshold)) for name in names[:200]]
            tell(f"SearchFaces, threshold {threshold}, {NEAREST} faces: p50, p99", f"{statistics.median(times):.1f} ms, {numpy.percentile(times, 99):.1f} ms")
        tell(f"SearchFaces, threshold 80, {CALLERS} callers", f"{throughput(server, names):,.0f} /s")
        tell("memory then", memory(server, before, options.size))
        if options.probes:
            tell("answers that a comparison of everything gives", compared(server, options))
        indexing(server, names)
    files = sum(file.stat().st_size for file in (folder / "data").rglob("*") if "galleries" in file.parts and file.is_file())
    store = "" if url else f", {sum(file.stat().st_size for file in (folder / 'data').glob('rekollect.db*')) / 1e9:.2f} GB of database"
    tell("on the disk", f"{files / 1e9:.2f} GB of gallery files{store}")


def tell(what, figure):
    print(f"| {what} | {figure} |", flush=True)


def blocks(count, dimensions):
    """The vectors of a gallery, some at a time, the same at every call."""
    for start in range(0, count, BLOCK):
        yield start, gallery_of.vectors(min(BLOCK, count - start), dimensions, seed=start + 1)


def ids(count):
    """Bytes of face ids, which rise: a database takes them fastest."""
    numbers = numpy.random.default_rng(1).integers(0, 2**63, (count, 2), numpy.uint64)
    numbers = numbers[numpy.argsort(numbers[:, 0])]
    text = numbers.byteswap().tobytes()
    return [text[at : at + 16] for at in range(0, len(text), 16)]


def fill(file, connection, count, dimensions):
    if connection:
        gallery_of.write_postgres(connection, COLLECTION, ids(count), blocks(count, dimensions))
    else:
        gallery_of.write_sqlite(file, COLLECTION, ids(count), blocks(count, dimensions))


def seconds(action):
    begin = time.perf_counter()
    action()
    return time.perf_counter() - begin


CONNECTIONS = threading.local()


def ask(port, operation, **request):
    if getattr(CONNECTIONS, "port", None) != port:
        CONNECTIONS.port, CONNECTIONS.one = port, http.client.HTTPConnection("127.0.0.1", port, timeout=HOURS)
    headers = {"Content-Type": "application/x-amz-json-1.1", "X-Amz-Target": f"RekognitionService.{operation}"}
    CONNECTIONS.one.request("POST", "/", json.dumps(request), headers)
    reply = CONNECTIONS.one.getresponse()
    text = reply.read()
    assert reply.status == 200, text
    return json.loads(text)


def search(server, face, threshold=80, limit=NEAREST):
    return ask(server.port, "SearchFaces", CollectionId=COLLECTION, FaceId=face, FaceMatchThreshold=threshold, MaxFaces=limit)


class others:
    """Somebody who asks for other things, 100 times a second, while something goes on."""

    def __init__(self, server, times):
        self.server, self.times, self.end = server, times, threading.Event()
        data, _ = photos.one_face(server.client, (640, 480))
        records = server.client.index_faces(CollectionId=OTHER, Image={"Bytes": data})["FaceRecords"]
        self.face = records[0]["Face"]["FaceId"]
        self.thread = threading.Thread(target=self.go)

    def go(self):
        while not self.end.wait(0.01):
            self.times.append(1000 * seconds(lambda: ask(self.server.port, "SearchFaces", CollectionId=OTHER, FaceId=self.face)))

    def __enter__(self):
        self.thread.start()

    def __exit__(self, *_exception):
        self.end.set()
        self.thread.join()


def settle(server):
    """Waits until nothing is written any more."""
    ask(server.port, "DescribeCollection", CollectionId=COLLECTION)
    before = None
    while (now := Path(f"/proc/{server.process.pid}/io").read_text().split("write_bytes: ")[1]) != before:
        before = now
        time.sleep(3)


def memory(server, before, count):
    anon, file, most = (server.resident_megabytes(of) for of in ("RssAnon", "RssFile", "VmHWM"))
    resident = server.resident_megabytes()
    each = (resident - before) * 2**20 / count
    return f"{resident:,.0f} MB resident ({anon:,.0f} MB its own, {file:,.0f} MB of files; {most:,.0f} MB at most), {each:.0f} bytes a face beyond the server's own {before:.0f} MB"


def throughput(server, names):
    """Of callers in processes of their own: Python runs one thread at a time."""
    with multiprocessing.Pool(2) as pool:
        done = pool.starmap(call, [(server.port, names[half::2]) for half in range(2)])
    return sum(done) / SECONDS


def call(port, names):
    done, end = [0] * (CALLERS // 2), time.monotonic() + SECONDS

    def go(caller):
        while time.monotonic() < end:
            ask(port, "SearchFaces", CollectionId=COLLECTION, FaceId=names[(caller * 37 + done[caller]) % len(names)], FaceMatchThreshold=80, MaxFaces=NEAREST)
            done[caller] += 1

    threads = [threading.Thread(target=go, args=(caller,)) for caller in range(CALLERS // 2)]
    [thread.start() for thread in threads]
    [thread.join() for thread in threads]
    return sum(done)


def indexing(server, names):
    client = server.client
    # A collection that is full takes no more.
    client.delete_faces(CollectionId=COLLECTION, FaceIds=names[-4 * growth.CALLS :])
    data, _ = photos.one_face(client, (640, 480))
    new = []
    image = lambda n: data + bytes([n % 256, n // 256])  # noqa: E731 another image with the same pixels
    index = lambda n: new.append(client.index_faces(CollectionId=COLLECTION, Image={"Bytes": image(n)})["FaceRecords"][0]["Face"]["FaceId"])  # noqa: E731
    tell("IndexFaces, 640 x 480, p50", growth.p50(index))
    tell("a search after each of them, p50", growth.p50(lambda n: (index(100 + n), search(server, new[-1]))[1]))
    tell("DeleteFaces, p50", growth.p50(lambda n: client.delete_faces(CollectionId=COLLECTION, FaceIds=[new[n]])))
    for face in new[-growth.CALLS - growth.WARM_UP :]:
        client.delete_faces(CollectionId=COLLECTION, FaceIds=[face])


def compared(server, options):
    """The share of the truly nearest that the server names."""
    names = ids(options.size)
    chosen = numpy.random.default_rng(3).choice(options.size, options.probes, replace=False)
    probes = {}
    for start, some in blocks(options.size, growth.DIMENSIONS[options.pack]):
        probes |= {face: some[face - start].astype(numpy.float64) for face in chosen if start <= face < start + len(some)}
    queries = numpy.stack([probes[face] for face in chosen])
    best, who = numpy.full((len(chosen), 0), 0.0), numpy.zeros((len(chosen), 0), numpy.int64)
    for start, some in blocks(options.size, growth.DIMENSIONS[options.pack]):
        cosines = queries @ some.astype(numpy.float64).T
        near = numpy.argpartition(-cosines, NEAREST, 1)[:, : NEAREST + 1]
        best = numpy.concatenate([best, numpy.take_along_axis(cosines, near, 1)], 1)
        who = numpy.concatenate([who, near + start], 1)
        keep = numpy.argsort(-best, 1)[:, : NEAREST + 1]
        best, who = numpy.take_along_axis(best, keep, 1), numpy.take_along_axis(who, keep, 1)
    right, CONNECTIONS.port = 0, None  # the server has closed the connection meanwhile
    for face, row in zip(chosen, who):
        truth = [str(uuid.UUID(bytes=names[k])) for k in row if k != face]
        said = [match["Face"]["FaceId"] for match in search(server, str(uuid.UUID(bytes=names[face])), 0)["FaceMatches"]]
        right += len(set(truth) & set(said))
    return f"{right / (NEAREST * len(chosen)):.6f} ({len(chosen)} probes, the nearest {NEAREST})"


if __name__ == "__main__":
    main()
