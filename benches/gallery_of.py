"""Collections of made-up faces, written into a store past the server: indexing a million photos would take a day."""

import io
import sqlite3
import uuid
from contextlib import closing

import numpy

PERSON = 10  # faces
BATCH = 20_000
COLUMNS = "collection_id, face_id, image_id, external_image_id, box_left, box_top, box_width, box_height, confidence, embedding, revision"


def vectors(count, dimensions, seed=1):
    """Unit vectors in groups of ten that resemble one another as photos of one person do: cosines of .5 to .8."""
    random = numpy.random.default_rng(seed)
    rows = numpy.empty((count, dimensions), numpy.float32)
    for start in range(0, count, BATCH):
        size = min(BATCH, count - start)
        people = random.standard_normal((-(-size // PERSON), dimensions), numpy.float32)
        people /= numpy.linalg.norm(people, axis=1, keepdims=True)
        faces = people.repeat(PERSON, 0)[:size]
        noise = random.standard_normal(faces.shape, numpy.float32)
        noise /= numpy.linalg.norm(noise, axis=1, keepdims=True)
        faces = faces + noise * random.uniform(0.5, 0.9, (size, 1)).astype(numpy.float32)
        rows[start : start + size] = faces / numpy.linalg.norm(faces, axis=1, keepdims=True)
    return rows


def ids(count):
    """Bytes of face ids, the same at every call."""
    return [uuid.uuid5(uuid.NAMESPACE_OID, str(number)).bytes for number in range(count)]


def rows_of(key, names, embeddings, first):
    for number, (name, embedding) in enumerate(zip(names, embeddings), first):
        yield key, name, name, f"photo-{number}", 0.3, 0.2, 0.2, 0.3, 99.5, embedding.tobytes(), number + 1


def fill_sqlite(file, collection, embeddings):
    names = ids(len(embeddings))
    write_sqlite(file, collection, names, [(0, embeddings)])
    return names


def fill_postgres(connection, collection, embeddings):
    """Through a connection of pg8000."""
    names = ids(len(embeddings))
    write_postgres(connection, collection, names, blocks_of(embeddings))
    return names


def blocks_of(embeddings):
    """Some at a time, each block with the number of its first."""
    for start in range(0, len(embeddings), BATCH):
        yield start, embeddings[start : start + BATCH]


def write_sqlite(file, collection, names, blocks):
    """Writes faces of these names, whose vectors come in blocks."""
    with sqlite3.connect(file) as connection:
        connection.execute("PRAGMA synchronous = OFF")
        (key,) = connection.execute("SELECT id FROM collections WHERE name = ?", (collection,)).fetchone()
        marks = ", ".join("?" * 11)
        for start, some in blocks:
            rows = rows_of(key, names[start : start + len(some)], some, start)
            connection.executemany(f"INSERT INTO faces ({COLUMNS}) VALUES ({marks})", rows)
            connection.commit()
        connection.execute("UPDATE collections SET face_count = ?, revision = ? WHERE id = ?", (len(names), len(names), key))
    connection.close()


def add_sqlite(file, collection, names, embeddings):
    """Adds faces to a store whose server does not run, as one change; the ids of all that are there, in their order."""
    with closing(sqlite3.connect(file)) as store, store:
        key, revision = store.execute("SELECT id, revision + 1 FROM collections WHERE name = ?", (collection,)).fetchone()
        rows = ((*row[:-1], revision) for row in rows_of(key, names, embeddings, 0))
        store.executemany(f"INSERT INTO faces ({COLUMNS}) VALUES ({', '.join('?' * 11)})", rows)
        added = (len(names), revision, key)
        store.execute("UPDATE collections SET face_count = face_count + ?, revision = ? WHERE id = ?", added)
        return [row[0] for row in store.execute("SELECT face_id FROM faces ORDER BY face_id")]


def write_postgres(connection, collection, names, blocks):
    """As `write_sqlite`, through a connection of pg8000."""
    cursor = connection.cursor()
    cursor.execute("SELECT id FROM collections WHERE name = %s", (collection,))
    (key,) = cursor.fetchone()
    for start, some in blocks:
        text = io.StringIO()
        for row in rows_of(key, names[start : start + len(some)], some, start):
            text.write("\t".join("\\\\x" + cell.hex() if isinstance(cell, bytes) else str(cell) for cell in row) + "\n")
        text.seek(0)
        cursor.execute(f"COPY faces ({COLUMNS}) FROM STDIN", stream=text)
    cursor.execute("UPDATE collections SET face_count = %s, revision = %s WHERE id = %s", (len(names), len(names), key))
    connection.commit()
