"""`rekollect export` and `import`, from SQLite to Postgres and back: `make bench-transfer`. The searches of both stores have to answer the same."""

import argparse
import os
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import gallery_of
import growth

sys.path.insert(0, str(Path(__file__).parents[1] / "tests/clients"))
sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
import postgres  # noqa: E402
from servers import BINARY, Server  # noqa: E402

USERS, SEARCHES = 100, 300


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--faces", type=int, default=100_000)
    faces = parser.parse_args().faces
    print(f"{faces:,} faces of {growth.DIMENSIONS['standard']} numbers, {USERS} users\n")
    with tempfile.TemporaryDirectory() as folder, postgres.cluster() as url:
        folder = Path(folder)
        fill(folder / "sqlite", faces)
        answers = [searched(folder / "sqlite", faces)]
        files = [folder / "one.jsonl", folder / "two.jsonl"]
        run("export", files[0], {"REKOLLECT_DATA_DIR": str(folder / "sqlite/data")})
        print(f"  {files[0].stat().st_size / 2**20:.0f} MB")
        run("import", files[0], {"DATABASE_URL": url})
        answers.append(searched(folder / "postgres", faces, url))
        run("export", files[1], {"DATABASE_URL": url})
        run("import", files[1], {"REKOLLECT_DATA_DIR": str(folder / "back/data")})
        answers.append(searched(folder / "back", faces))
    print(f"\n{SEARCHES} searches of faces and {USERS} of users answer the same on all three: {answers[0] == answers[1] == answers[2]}")
    sys.exit(answers[0] != answers[1] or answers[1] != answers[2])


def fill(folder, faces):
    with Server(folder) as server:
        server.client.create_collection(CollectionId=growth.COLLECTION)
    embeddings = gallery_of.vectors(faces, growth.DIMENSIONS["standard"])
    gallery_of.fill_sqlite(folder / "data/rekollect.db", growth.COLLECTION, embeddings)
    with Server(folder) as server:
        for user in range(USERS):
            name, first = f"user-{user}", user * gallery_of.PERSON
            server.client.create_user(CollectionId=growth.COLLECTION, UserId=name)
            server.client.associate_faces(CollectionId=growth.COLLECTION, UserId=name, FaceIds=face_ids(faces)[first : first + 5])


def face_ids(faces):
    return [str(gallery_of.uuid.UUID(bytes=name)) for name in gallery_of.ids(faces)]


def searched(folder, faces, url=None):
    """What searches of some faces and of every user answer."""
    chosen = random.Random(5).sample(face_ids(faces), min(SEARCHES, faces))
    with Server(folder, database_url=url) as server:
        client = server.client
        found = [growth.search(client, face, 0, 50) for face in chosen]
        users = [client.search_users(CollectionId=growth.COLLECTION, UserId=f"user-{user}", UserMatchThreshold=0)["UserMatches"] for user in range(USERS)]
    return found, users


def run(command, file, place):
    environment = {name: value for name, value in os.environ.items() if name not in ("REKOLLECT_DATA_DIR", "DATABASE_URL")}
    begin = time.perf_counter()
    subprocess.run([BINARY, command, file], env={**environment, **place}, check=True, stderr=subprocess.DEVNULL)
    print(f"{command} {'Postgres' if 'DATABASE_URL' in place else 'SQLite'}: {time.perf_counter() - begin:.1f} s", flush=True)


if __name__ == "__main__":
    main()
