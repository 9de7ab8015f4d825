"""Search engines on the same vectors: `make bench-search`. The exact scan in memory and pgvector's HNSW, both through the server, and usearch's HNSW in
this process. The truth is a comparison of all vectors in 64 bits. Postgres is the one with pgvector that a wheel carries.
"""

import argparse
import http.client
import json
import os
import sys
import tempfile
import time
import uuid
from pathlib import Path
from urllib.parse import urlsplit

import gallery_of
import growth
import numpy
import pg8000.dbapi
from usearch.index import Index

sys.path.insert(0, str(Path(__file__).parents[1] / "tests/clients"))
sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
import postgres  # noqa: E402
from servers import Server  # noqa: E402

DIMENSIONS = growth.DIMENSIONS["compact"]
NEAREST = growth.NEAREST


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--size", type=int, default=100_000, help="faces (default: %(default)s)")
    parser.add_argument("--probes", type=int, default=300)
    options = parser.parse_args()
    embeddings = gallery_of.vectors(options.size, DIMENSIONS)
    print(f"{options.size:,} faces of {DIMENSIONS} numbers, the nearest {NEAREST} of {options.probes} probes, {os.cpu_count()} cores\n")
    print(f"| | ready after | recall | p50 | {growth.CALLERS} callers | memory |\n|---|---|---|---|---|---|")
    os.environ["REKOLLECT_TEST_POSTGRES"] = "wheel"
    with tempfile.TemporaryDirectory() as folder, postgres.cluster() as url:
        folder = Path(folder)
        with Server(folder, database_url=url) as server:
            server.client.create_collection(CollectionId=growth.COLLECTION)
        place = urlsplit(url)
        connection = pg8000.dbapi.connect(user=place.username, host=place.hostname, port=place.port, database=place.path.lstrip("/"))
        names = [str(uuid.UUID(bytes=name)) for name in gallery_of.fill_postgres(connection, growth.COLLECTION, embeddings)]
        for engine in ("memory", "pgvector"):
            with Server(folder, database_url=url, env={"REKOLLECT_SEARCH": engine, "RUST_LOG": "warn"}) as server:
                through_the_server(engine, server, names, embeddings, options.probes)
        cursor = connection.cursor()
        cursor.execute("SELECT pg_relation_size(indexname::regclass) FROM pg_indexes WHERE indexname LIKE 'face_vectors_%%' AND indexdef LIKE '%%hnsw%%'")
        print(f"\npgvector's index on disk: {cursor.fetchone()[0] / 2**20:.0f} MB")
        connection.close()
    in_this_process(embeddings, options.probes)


def through_the_server(engine, server, names, embeddings, probes):
    before = server.resident_megabytes()
    begin = time.perf_counter()
    first_search(server, names[0])
    ready = time.perf_counter() - begin
    memory = server.resident_megabytes() - before
    recall = growth.recall(server.client, names, embeddings, probes).split()[0]
    p50 = growth.p50(lambda n: growth.search(server.client, names[n * 7919 % len(names)], 0, NEAREST))
    rate = growth.throughput(server, [names[n * 7919 % len(names)] for n in range(1000)], 0, NEAREST)
    print(f"| {engine}, through the server | {ready:.1f} s | {recall} | {p50} | {rate:,.0f} /s | {memory:.0f} MB |", flush=True)


def first_search(server, face):
    """It waits until the vectors are in memory, or in the index: longer than boto3 would."""
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=7200)
    headers = {"Content-Type": "application/x-amz-json-1.1", "X-Amz-Target": "RekognitionService.SearchFaces"}
    connection.request("POST", "/", json.dumps({"CollectionId": growth.COLLECTION, "FaceId": face}), headers)
    reply = connection.getresponse()
    assert reply.status == 200, reply.read()


def in_this_process(embeddings, probes):
    index = Index(ndim=DIMENSIONS, metric="ip", dtype="f16")
    begin = time.perf_counter()
    index.add(numpy.arange(len(embeddings)), embeddings, threads=os.cpu_count())
    ready = time.perf_counter() - begin
    chosen = numpy.random.default_rng(3).choice(len(embeddings), probes, replace=False)
    right, times = 0, []
    for probe in chosen:
        begin = time.perf_counter()
        found = index.search(embeddings[probe], NEAREST + 1).keys
        times.append(1000 * (time.perf_counter() - begin))
        cosines = embeddings.astype(numpy.float64) @ embeddings[probe].astype(numpy.float64)
        truth = numpy.argpartition(-cosines, NEAREST)[: NEAREST + 1]
        right += len(set(found.tolist()) & set(truth.tolist()) - {probe})
    begin = time.perf_counter()
    many = embeddings[:2000]
    index.search(many, NEAREST + 1, threads=os.cpu_count())
    rate = len(many) / (time.perf_counter() - begin)
    print(f"\nusearch in this process, without HTTP or a store: ready after {ready:.1f} s, recall {right / (NEAREST * probes):.4f}, "
          f"p50 {numpy.median(times):.2f} ms, {rate:,.0f} /s on all cores, {index.memory_usage / 2**20:.0f} MB")


if __name__ == "__main__":
    main()
