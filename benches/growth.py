"""What a request costs as a collection grows, and what memory and a start cost: `make bench-growth`. With TEST_DATABASE_URL, which
tests/postgres.py sets, on Postgres as well.

SearchFaces is held against a comparison of all vectors in 64 bits, for PROBES probes at the largest size.
"""

import argparse
import os
import statistics
import sys
import tempfile
import threading
import time
import uuid
from contextlib import closing, contextmanager
from pathlib import Path

import gallery_of
import numpy
import photos

sys.path.insert(0, str(Path(__file__).parents[1] / "tests/clients"))
import databases  # noqa: E402
from servers import Server, rekognition  # noqa: E402

DIMENSIONS = {"standard": 128, "compact": 192, "accurate": 256}
COLLECTION = "growth"
CALLS = 60
WARM_UP = 5
CALLERS = 16
SECONDS = 5
NEAREST = 50


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--sizes", default="1000,10000,100000,1000000", help="faces (default: %(default)s)")
    parser.add_argument("--stores", default="sqlite,postgres")
    parser.add_argument("--probes", type=int, default=1000, help="probes compared with a full comparison (default: %(default)s)")
    parser.add_argument("--pack", default="standard")
    options = parser.parse_args()
    sizes = [int(size) for size in options.sizes.split(",")]
    embeddings = gallery_of.vectors(max(sizes), DIMENSIONS[options.pack])
    for store in options.stores.split(","):
        if store == "postgres" and not os.environ.get("TEST_DATABASE_URL"):
            print("no TEST_DATABASE_URL: Postgres is left out")
            continue
        columns = [measure(store, embeddings[:size], options, size == max(sizes)) for size in sizes]
        print(f"\n{store}, pack {options.pack}\n\n| | " + " | ".join(f"{size:,}" for size in sizes) + " |\n|---|" + "---|" * len(sizes))
        for name in columns[-1]:
            print(f"| {name} | " + " | ".join(column.get(name, "") for column in columns) + " |", flush=True)


def measure(store, embeddings, options, largest):
    with tempfile.TemporaryDirectory() as folder, database(store) as (url, connection):
        folder = Path(folder)
        with Server(folder, pack=options.pack, database_url=url) as server:
            server.client.create_collection(CollectionId=COLLECTION)
        if connection:
            names = gallery_of.fill_postgres(connection, COLLECTION, embeddings)
        else:
            names = gallery_of.fill_sqlite(folder / "data/rekollect.db", COLLECTION, embeddings)
        names = [str(uuid.UUID(bytes=name)) for name in names]
        with Server(folder, pack=options.pack, database_url=url, env={"RUST_LOG": "warn"}) as server:
            return figures(server, names, embeddings, options, largest)


@contextmanager
def database(store):
    """A database of its own on Postgres: its URL and a connection of pg8000; for SQLite neither."""
    if store == "sqlite":
        yield None, None
        return
    own = databases.Databases()
    url = own.create()
    try:
        with closing(databases.connection(url)) as connection:
            yield url, connection
    finally:
        own.drop_all()


def figures(server, names, embeddings, options, largest):
    client, count = server.client, len(names)
    found = {"start to ready": f"{server.ready_after * 1000:.0f} ms", "resident at first": f"{server.resident_megabytes():.0f} MB"}
    before = server.resident_megabytes()
    begin = time.perf_counter()
    search(client, names[0])
    loading = time.perf_counter() - begin
    found["first search: the vectors are loaded"] = f"{loading:.2f} s ({count / loading:,.0f} faces/s)"
    memory = server.resident_megabytes() - before
    found["memory for them"] = f"{memory:.0f} MB ({memory * 2**20 / count:,.0f} bytes a face)"
    random = numpy.random.default_rng(2)
    probes = [names[k] for k in random.integers(0, count, WARM_UP + CALLS)]
    found["SearchFaces, threshold 80"] = p50(lambda n: search(client, probes[n]))
    found["SearchFaces, threshold 0, 4,096 answers"] = p50(lambda n: search(client, probes[n], 0, 4096))
    found[f"SearchFaces, {CALLERS} callers"] = f"{throughput(server, probes):,.0f} /s"
    data, _ = photos.one_face(client, (640, 480))
    image = lambda n: data + bytes([n % 256, n // 256])  # noqa: E731 a decoder stops at the end of the picture: another image with the same pixels
    new = []
    found["IndexFaces, 640 x 480"] = p50(
        lambda n: new.append(client.index_faces(CollectionId=COLLECTION, Image={"Bytes": image(n)})["FaceRecords"][0]["Face"]["FaceId"])
    )
    found["DeleteFaces"] = p50(lambda n: client.delete_faces(CollectionId=COLLECTION, FaceIds=[new[n]]))
    tokens = [None]
    while token := client.list_faces(CollectionId=COLLECTION, MaxResults=4096, **after(tokens[-1])).get("NextToken"):
        tokens.append(token)
    for name, token in (("first", tokens[0]), ("middle", tokens[len(tokens) // 2]), ("last", tokens[-1])):
        found[f"ListFaces, {name} page of 1,000"] = p50(lambda _: client.list_faces(CollectionId=COLLECTION, MaxResults=1000, **after(token)))
    found["DescribeCollection"] = p50(lambda _: client.describe_collection(CollectionId=COLLECTION))
    if largest and options.probes:
        found["recall against 64 bits"] = recall(client, names, embeddings, options.probes)
    return found


def after(token):
    return {"NextToken": token} if token else {}


def search(client, face, threshold=80, limit=80):
    return client.search_faces(CollectionId=COLLECTION, FaceId=face, FaceMatchThreshold=threshold, MaxFaces=limit)["FaceMatches"]


def p50(call):
    times = []
    for number in range(WARM_UP + CALLS):
        begin = time.perf_counter()
        call(number)
        times.append(1000 * (time.perf_counter() - begin))
    return f"{statistics.median(times[WARM_UP:]):.1f} ms"


def throughput(server, probes, threshold=80, limit=80):
    """Searches a second that many callers get together."""
    done, end = [0] * CALLERS, time.monotonic() + SECONDS

    def call(number):
        client = rekognition(server.url)
        while time.monotonic() < end:
            search(client, probes[(number + done[number]) % len(probes)], threshold, limit)
            done[number] += 1

    threads = [threading.Thread(target=call, args=(number,)) for number in range(CALLERS)]
    [thread.start() for thread in threads]
    [thread.join() for thread in threads]
    return sum(done) / SECONDS


def recall(client, names, embeddings, count):
    """The share of the true NEAREST faces that the server names, over so many probes; the truth is computed in 64 bits."""
    random = numpy.random.default_rng(3)
    chosen = random.choice(len(names), min(count, len(names)), replace=False)
    queries = embeddings[chosen].astype(numpy.float64)
    best = numpy.full((len(chosen), NEAREST + 1), -2.0)
    who = numpy.zeros((len(chosen), NEAREST + 1), numpy.int64)
    for start in range(0, len(embeddings), gallery_of.BATCH):
        cosines = queries @ embeddings[start : start + gallery_of.BATCH].astype(numpy.float64).T
        everything = numpy.concatenate([best, cosines], 1)
        labels = numpy.concatenate([who, numpy.broadcast_to(numpy.arange(start, start + cosines.shape[1]), cosines.shape)], 1)
        top = numpy.argpartition(-everything, NEAREST, 1)[:, : NEAREST + 1]
        best, who = numpy.take_along_axis(everything, top, 1), numpy.take_along_axis(labels, top, 1)
    right = total = 0
    for probe, row in zip(chosen, who):
        truth = {names[k] for k in row} - {names[probe]}
        said = {match["Face"]["FaceId"] for match in search(client, names[probe], 0, NEAREST)}
        right += len(truth & said)
        total += NEAREST
    return f"{right / total:.6f} ({len(chosen)} probes, the nearest {NEAREST})"


if __name__ == "__main__":
    main()
