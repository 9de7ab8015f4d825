"""Every operation at random against a model of what should be there: `make soak` (MINUTES=30).

Several clients, each with collections of its own, make calls that should succeed and some that should fail, and compare every answer with what they
remember. At the end: how many calls, which errors, and how much memory grew an hour.
"""

import argparse
import random
import sys
import tempfile
import threading
import time
import traceback
import uuid
from collections import Counter
from pathlib import Path

import numpy
from botocore.exceptions import ClientError

sys.path.insert(0, str(Path(__file__).parent / "clients"))
from servers import ROOT, Server, rekognition  # noqa: E402

CLIENTS = 4
MOST_COLLECTIONS = 3
MOST_FACES = 400
SAMPLE_SECONDS = 5
TOLD_AFTER = (5, 15, 30, 60)  # minutes
WARM_UP_SHARE = 0.25
STRANGER = str(uuid.UUID(int=0))


class Collection:
    def __init__(self):
        self.faces = {}  # FaceId -> ExternalImageId
        self.users = {}  # UserId -> its faces
        self.tags = {}

    def free(self):
        owned = set().union(*self.users.values()) if self.users else set()
        return [face for face in self.faces if face not in owned]


class Soaker(threading.Thread):
    def __init__(self, url, name, photos, until):
        super().__init__()
        self.client, self.name, self.photos, self.until = rekognition(url), name, photos, until
        self.random = random.Random(name)
        self.collections, self.calls, self.errors, self.failure = {}, Counter(), Counter(), None
        self.number = 0

    def run(self):
        steps = [getattr(self, step) for step in dir(self) if step.startswith("do_")] + 5 * [self.do_users]  # seven kinds of calls
        while time.monotonic() < self.until and not self.failure:
            step = self.random.choice(steps)
            try:
                step()
            except Exception:  # whatever it is, the model did not expect it
                self.failure = f"{self.name}, {step.__name__}:\n{traceback.format_exc()}"

    def call(self, operation, expected=None, **request):
        """The reply, or nothing where an error of this name was expected and came."""
        self.calls[operation] += 1
        try:
            reply = getattr(self.client, operation)(**request)
        except ClientError as error:
            code = error.response["Error"]["Code"]
            assert code == expected, f"{operation} answered {code}: {error}, expected {expected}"
            self.errors[code] += 1
            return None
        assert expected is None, f"{operation} succeeded, expected {expected}"
        return reply

    def some(self):
        """A collection, and its name; now and then one that is not there."""
        if not self.collections:
            self.do_create_collection()
        name = self.random.choice(sorted(self.collections))
        return name, self.collections[name]

    def image(self):
        self.number += 1
        data, faces = self.random.choice(self.photos)
        return {"Bytes": data + f"{self.name}-{self.number}".encode()}, faces

    def do_create_collection(self):
        if self.collections and self.random.random() < 0.2:
            name, _ = self.some()
            return self.call("create_collection", "ResourceAlreadyExistsException", CollectionId=name)
        if len(self.collections) < MOST_COLLECTIONS:
            self.number += 1
            name = f"{self.name}-{self.number}"
            tags = {"of": self.name} if self.random.random() < 0.5 else {}
            self.call("create_collection", CollectionId=name, **({"Tags": tags} if tags else {}))
            self.collections[name] = Collection()
            self.collections[name].tags = tags

    def do_delete_collection(self):
        if self.random.random() < 0.5:
            return self.call("delete_collection", "ResourceNotFoundException", CollectionId=f"{self.name}-gone")
        if self.collections and self.random.random() < 0.1:
            name, _ = self.some()
            self.call("delete_collection", CollectionId=name)
            del self.collections[name]

    def do_describe_collection(self):
        name, known = self.some()
        reply = self.call("describe_collection", CollectionId=name)
        assert (reply["FaceCount"], reply["UserCount"]) == (len(known.faces), len(known.users)), reply

    def do_list_collections(self):
        self.calls["list_collections"] += 1
        pages = self.client.get_paginator("list_collections").paginate(PaginationConfig={"PageSize": self.random.randint(1, 50)})
        ours = {name for page in pages for name in page["CollectionIds"] if name.startswith(f"{self.name}-")}
        assert ours == set(self.collections)

    def do_index_faces(self):
        name, known = self.some()
        if len(known.faces) > MOST_FACES:
            return
        image, faces = self.image()
        most = self.random.choice([None, 1, 2])
        external = f"photo-{self.number}"
        more = {"MaxFaces": most} if most else {}
        request = dict(CollectionId=name, Image=image, ExternalImageId=external, QualityFilter="NONE", **more)
        if self.random.random() < 0.2:
            request["DetectionAttributes"] = ["ALL"]
        reply = self.call("index_faces", **request)
        ids = [record["Face"]["FaceId"] for record in reply["FaceRecords"]]
        assert len(ids) == min(faces, most or faces) and len(reply["UnindexedFaces"]) == faces - len(ids)
        assert not set(ids) & set(known.faces)
        known.faces.update(dict.fromkeys(ids, external))
        if self.random.random() < 0.3:
            again = self.call("index_faces", **request)
            assert [record["Face"]["FaceId"] for record in again["FaceRecords"]] == ids, "the same image has the same faces"

    def do_index_into_nowhere(self):
        image, _ = self.image()
        self.call("index_faces", "ResourceNotFoundException", CollectionId=f"{self.name}-gone", Image=image)

    def do_index_rubbish(self):
        name, _ = self.some()
        self.call("index_faces", "InvalidImageFormatException", CollectionId=name, Image={"Bytes": self.random.randbytes(2000)})

    def do_list_faces(self):
        name, known = self.some()
        self.calls["list_faces"] += 1
        size = self.random.randint(5, 4096)
        pages = self.client.get_paginator("list_faces").paginate(CollectionId=name, PaginationConfig={"PageSize": size})
        listed = [face for page in pages for face in page["Faces"]]
        assert {face["FaceId"]: face.get("ExternalImageId") for face in listed} == known.faces and len(listed) == len(known.faces)

    def do_delete_faces(self):
        name, known = self.some()
        if not known.faces:
            return
        chosen = self.random.sample(sorted(known.faces), min(len(known.faces), self.random.randint(1, 20)))
        reply = self.call("delete_faces", CollectionId=name, FaceIds=[*chosen, STRANGER])
        free = set(known.free())
        assert set(reply["DeletedFaces"]) == free & set(chosen)
        reasons = {face["FaceId"]: face["Reasons"] for face in reply["UnsuccessfulFaceDeletions"]}
        assert all(reasons[face] == ["ASSOCIATED_TO_AN_EXISTING_USER"] for face in set(chosen) - free)
        for face in reply["DeletedFaces"]:
            del known.faces[face]

    def do_search_faces(self):
        name, known = self.some()
        if not known.faces:
            return self.call("search_faces", "InvalidParameterException", CollectionId=name, FaceId=STRANGER)
        face = self.random.choice(sorted(known.faces))
        found = self.call("search_faces", CollectionId=name, FaceId=face, FaceMatchThreshold=0, MaxFaces=4096)["FaceMatches"]
        assert {match["Face"]["FaceId"] for match in found} == set(known.faces) - {face}
        likeness = [match["Similarity"] for match in found]
        assert likeness == sorted(likeness, reverse=True)

    def do_search_faces_by_image(self):
        name, known = self.some()
        image, _ = self.image()
        found = self.call("search_faces_by_image", CollectionId=name, Image=image, FaceMatchThreshold=0, MaxFaces=4096)["FaceMatches"]
        assert {match["Face"]["FaceId"] for match in found} == set(known.faces)

    def do_detect_and_compare(self):
        image, faces = self.image()
        assert len(self.call("detect_faces", Image=image, Attributes=["ALL"])["FaceDetails"]) == faces
        reply = self.call("compare_faces", SourceImage=image, TargetImage=image, SimilarityThreshold=0)
        assert len(reply["FaceMatches"]) == faces and reply["FaceMatches"][0]["Similarity"] > 99

    def do_users(self):
        name, known = self.some()
        user = f"user-{self.random.randint(0, 20)}"
        kind = self.random.choice(["create", "delete", "give", "take", "list", "search", "by_image"])
        missing = None if user in known.users else "ResourceNotFoundException"
        if kind == "create":
            self.call("create_user", "ConflictException" if user in known.users else None, CollectionId=name, UserId=user)
            known.users.setdefault(user, set())
        elif kind == "delete":
            self.call("delete_user", missing, CollectionId=name, UserId=user)
            known.users.pop(user, None)
        elif kind == "give" and known.free():
            faces = known.free()[:3]
            reply = self.call("associate_faces", missing, CollectionId=name, UserId=user, FaceIds=faces, UserMatchThreshold=0)
            if reply:
                assert {face["FaceId"] for face in reply["AssociatedFaces"]} == set(faces), reply
                known.users[user] |= set(faces)
        elif kind == "take" and user in known.users and known.users[user]:
            faces = sorted(known.users[user])[:2]
            reply = self.call("disassociate_faces", CollectionId=name, UserId=user, FaceIds=faces)
            assert {face["FaceId"] for face in reply["DisassociatedFaces"]} == set(faces)
            known.users[user] -= set(faces)
        elif kind == "list":
            self.calls["list_users"] += 1
            pages = self.client.get_paginator("list_users").paginate(CollectionId=name, PaginationConfig={"PageSize": self.random.randint(1, 20)})
            assert {user["UserId"] for page in pages for user in page["Users"]} == set(known.users)
        else:
            whole = {user for user, faces in known.users.items() if faces}
            if kind == "search" and known.users.get(user):
                reply = self.call("search_users", CollectionId=name, UserId=user, UserMatchThreshold=0, MaxUsers=500)
                whole.discard(user)
            elif kind == "by_image":
                image, _ = self.image()
                reply = self.call("search_users_by_image", CollectionId=name, Image=image, UserMatchThreshold=0, MaxUsers=500, QualityFilter="NONE")
            else:
                return
            assert {match["User"]["UserId"] for match in reply["UserMatches"]} == whole

    def do_tags(self):
        name, known = self.some()
        arn = self.call("describe_collection", CollectionId=name)["CollectionARN"]
        key = f"key-{self.random.randint(0, 9)}"
        if self.random.random() < 0.6:
            self.call("tag_resource", ResourceArn=arn, Tags={key: str(self.number)})
            known.tags[key] = str(self.number)
        else:
            self.call("untag_resource", ResourceArn=arn, TagKeys=[key])
            known.tags.pop(key, None)
        assert self.call("list_tags_for_resource", ResourceArn=arn)["Tags"] == known.tags


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--minutes", type=float, default=30)
    parser.add_argument("--database-url", help="a Postgres, instead of SQLite")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, Server(Path(folder), database_url=options.database_url, env={"RUST_LOG": "warn"}) as server:
        photos = [with_count(server.client, path) for path in sorted((ROOT / "tests/photos").glob("*.jpg"))]
        until = time.monotonic() + 60 * options.minutes
        soakers = [Soaker(server.url, f"s{number}", photos, until) for number in range(CLIENTS)]
        [soaker.start() for soaker in soakers]
        samples = []
        while any(soaker.is_alive() for soaker in soakers):
            time.sleep(SAMPLE_SECONDS)
            samples.append((time.monotonic(), server.resident_megabytes()))
        failures = [soaker.failure for soaker in soakers if soaker.failure]
        report(soakers, samples)
        for failure in failures:
            print(f"\nFAILED {failure}")
        if server.stop() != 0 or failures:
            sys.exit(f"the soak failed; the server's log:\n{server.log.read_text()[-4000:]}")


def with_count(client, path):
    """A photo, and how many faces it has when they are asked for one by one."""
    data = path.read_bytes()
    return data, len(client.detect_faces(Image={"Bytes": data})["FaceDetails"])


def report(soakers, samples):
    calls, errors = sum((soaker.calls for soaker in soakers), Counter()), sum((soaker.errors for soaker in soakers), Counter())
    print(f"{calls.total():,} calls of {len(calls)} kinds; errors that were expected: {dict(errors)}")
    steady = numpy.array(samples[int(len(samples) * WARM_UP_SHARE) :])
    slope = 3600 * numpy.polyfit(steady[:, 0], steady[:, 1], 1)[0] if len(steady) > 2 else float("nan")
    print(f"memory {steady[0, 1]:.0f} MB after the warm-up, {steady[-1, 1]:.0f} MB at the end, most {steady[:, 1].max():.0f} MB; slope {slope:+.1f} MB an hour")
    began = samples[0][0] - SAMPLE_SECONDS
    at = {minutes: memory for when, memory in samples for minutes in TOLD_AFTER if abs(when - began - 60 * minutes) < 2 * SAMPLE_SECONDS}
    print("memory " + ", ".join(f"after {minutes} min {memory:.0f} MB" for minutes, memory in sorted(at.items())))
    print(", ".join(f"{name} {count}" for name, count in sorted(calls.items())))


if __name__ == "__main__":
    main()
