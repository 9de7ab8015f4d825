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

import gallery_of
import growth
import numpy
from usearch.index import Index

sys.path.insert(0, str(Path(__file__).parents[1] / "tests/clients"))
sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
import databases  # noqa: E402
import postgres  # noqa: E402
from servers import Server  # noqa: E402

DIMENSIONS = growth.DIMENSIONS["standard"]
NEAREST, PERSON = growth.NEAREST, gallery_of.PERSON
HOURS = 7200
# An index wants to be in memory, and to be built there.
ROOMY = "shared_buffers = 4GB\nmaintenance_work_mem = 2GB\nmax_wal_size = 8GB\n"


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--size", type=int, default=100_000, help="faces (default: %(default)s)")
    parser.add_argument("--probes", type=int, default=300)
    parser.add_argument("--engines", default="memory,pgvector,usearch", help="which of them (default: %(default)s)")
    options = parser.parse_args()
    engines = options.engines.split(",")
    embeddings = gallery_of.vectors(options.size, DIMENSIONS)
    print(f"{options.size:,} faces of {DIMENSIONS} numbers, the nearest {NEAREST} of {options.probes} probes, {os.cpu_count()} cores\n")
    print(f"| | ready after | recall | of one person | p50 | {growth.CALLERS} callers | memory |\n|---|---|---|---|---|---|---|")
    os.environ["REKOLLECT_TEST_POSTGRES"] = "wheel"
    with tempfile.TemporaryDirectory() as folder, postgres.cluster(ROOMY) as url:
        folder = Path(folder)
        with Server(folder, database_url=url) as server:
            server.client.create_collection(CollectionId=growth.COLLECTION)
        connection = databases.connection(url)
        names = [str(uuid.UUID(bytes=name)) for name in gallery_of.fill_postgres(connection, growth.COLLECTION, embeddings)]
        connection.autocommit = True
        cursor = connection.cursor()
        quiet = {"RUST_LOG": "warn"}
        if "memory" in engines:
            with Server(folder, database_url=url, env=quiet) as server:
                loaded = seconds(lambda: first_search(server, names[0]))
                through_the_server("memory", server, loaded, names, embeddings, options.probes)
        if "pgvector" in engines:
            in_postgres(folder, url, cursor, quiet | {"REKOLLECT_SEARCH": "pgvector"}, names, embeddings, options.probes)
        connection.close()
    if "usearch" in engines:
        in_this_process(embeddings, options.probes)


def in_postgres(folder, url, cursor, env, names, embeddings, probes):
    """The way of docs/scaling.md to bring many faces in: copied without the index, which is built at the next start."""
    with Server(folder, database_url=url, env=env) as server:
        cursor.execute(f"DROP INDEX face_vectors_{DIMENSIONS}")
        copied = seconds(lambda: first_search(server, names[0]))
    with Server(folder, database_url=url, env=env, patience=HOURS) as server:
        print(f"| | copied in {copied:.0f} s, index built in {server.ready_after:.0f} s | | | | | |", flush=True)
        through_the_server("pgvector", server, copied + server.ready_after, names, embeddings, probes)
    cursor.execute("SELECT pg_relation_size(indexname::regclass) FROM pg_indexes WHERE indexname LIKE 'face_vectors_%%' AND indexdef LIKE '%%hnsw%%'")
    print(f"\npgvector's index on disk: {cursor.fetchone()[0] / 2**20:.0f} MB")


def seconds(action):
    begin = time.perf_counter()
    action()
    return time.perf_counter() - begin


def through_the_server(engine, server, ready, names, embeddings, probes):
    memory = server.resident_megabytes()
    recall = growth.recall(server.client, names, embeddings, probes).split()[0]
    same = of_one_person(lambda probe: {match["Face"]["FaceId"] for match in growth.search(server.client, names[probe], 0, NEAREST)}, names, probes)
    p50 = growth.p50(lambda n: growth.search(server.client, names[n * 7919 % len(names)], 0, NEAREST))
    rate = growth.throughput(server, [names[n * 7919 % len(names)] for n in range(1000)], 0, NEAREST)
    print(f"| {engine}, through the server | {ready:.1f} s | {recall} | {same:.4f} | {p50} | {rate:,.0f} /s | {memory:.0f} MB |", flush=True)


def of_one_person(search, names, probes):
    """The share of a person's other faces that are among the nearest found: what an application asks for."""
    chosen = numpy.random.default_rng(3).choice(len(names) // PERSON * PERSON, probes, replace=False)
    shares = []
    for probe in chosen:
        first = probe // PERSON * PERSON
        others = {names[face] for face in range(first, first + PERSON)} - {names[probe]}
        shares.append(len(others & search(probe)) / len(others))
    return numpy.mean(shares)


def first_search(server, face):
    """It waits until the vectors are in memory, or in the index: longer than boto3 would."""
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=HOURS)
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
    same = of_one_person(lambda probe: set(index.search(embeddings[probe], NEAREST + 1).keys.tolist()), range(len(embeddings)), probes)
    begin = time.perf_counter()
    many = embeddings[:2000]
    index.search(many, NEAREST + 1, threads=os.cpu_count())
    rate = len(many) / (time.perf_counter() - begin)
    print(f"\nusearch in this process, without HTTP or a store: ready after {ready:.1f} s, recall {right / (NEAREST * probes):.4f}, "
          f"of one person {same:.4f}, "
          f"p50 {numpy.median(times):.2f} ms, {rate:,.0f} /s on all cores, {index.memory_usage / 2**20:.0f} MB")


if __name__ == "__main__":
    main()
