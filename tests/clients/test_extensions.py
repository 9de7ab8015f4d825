"""SearchAllFacesByImage, which is ours, over each store and engine of search: no SDK knows it, so requests are signed by botocore's signer alone."""

import pytest
from principals import allow, deny, file_of_keys, policy, principal
from servers import REGION
from test_conformance import blob, send
from test_pgvector import PGVECTOR, database  # noqa: F401

OPERATION = "SearchAllFacesByImage"
OWNER, SEARCHER, READER = ("AKIAOWNER00000000001", "owner"), ("AKIASEARCHER00000001", "searcher"), ("AKIAREADER0000000001", "reader")
GROUPS = ["scenes/identification1.jpg", "scenes/000_5.jpg", "scenes/012_4.jpg", "scenes/016_8.jpg"]


@pytest.fixture(scope="module", params=["sqlite", "postgres", "pgvector"])
def server(request, start_server, tmp_path_factory):
    folder = tmp_path_factory.mktemp("extensions")
    people = f"arn:aws:rekognition:{REGION}:000000000000:collection/people"
    all_but_ours = policy(allow("rekognition:*"), deny(f"rekognition:{OPERATION}"))
    keys = file_of_keys(
        folder,
        principal("owner", OWNER, policies=[policy(allow("*"))]),
        principal("searcher", SEARCHER, policies=[policy(allow(f"rekognition:{OPERATION}", people))]),
        principal("reader", READER, policies=[all_but_ours]),
    )
    (folder / "s3/photos").mkdir(parents=True)
    settings = {"REKOLLECT_CREDENTIALS": keys, "REKOLLECT_S3_DIR": str(folder / "s3")}
    if request.param == "pgvector":
        server = start_server(database_url=request.getfixturevalue("database"), env=settings | PGVECTOR)
    else:
        server = start_server(store=request.param, env=settings)
    server.photos = folder / "s3/photos"
    return server


def ask(server, collection, image, key=OWNER, **more):
    return send(server, OPERATION, {"CollectionId": collection, "Image": image, **more}, key=key)


def own(server, operation, **members):
    reply = send(server, operation, members, key=OWNER)
    assert reply.status == 200, reply
    return reply.body


@pytest.fixture(scope="module")
def people(server, photo):
    own(server, "CreateCollection", CollectionId="people")
    for name in ("obama", "biden"):
        own(server, "IndexFaces", CollectionId="people", Image={"Bytes": blob(photo(f"{name}.jpg"))}, ExternalImageId=name)
    return "people"


def test_every_face_of_a_real_group_finds_itself(server, fixtures):
    for number, name in enumerate(GROUPS):
        image, collection = {"Bytes": blob((fixtures / name).read_bytes())}, f"group-{number}"
        own(server, "CreateCollection", CollectionId=collection)
        records = own(server, "IndexFaces", CollectionId=collection, Image=image, QualityFilter="NONE")["FaceRecords"]
        assert len(records) > 2, name
        # Every other face belongs to a user of its own.
        owners = {}
        for record in records[::2]:
            face = record["Face"]["FaceId"]
            owners[face] = f"user-of-{face}"
            own(server, "CreateUser", CollectionId=collection, UserId=owners[face])
            own(server, "AssociateFaces", CollectionId=collection, UserId=owners[face], FaceIds=[face])
        reply = ask(server, collection, image, FaceMatchThreshold=99, UserMatchThreshold=99)
        assert reply.status == 200, reply
        found = reply.body["Faces"]
        assert [face["FaceDetail"]["BoundingBox"] for face in found] == [record["FaceDetail"]["BoundingBox"] for record in records], name
        sizes = [face["FaceDetail"]["BoundingBox"]["Width"] * face["FaceDetail"]["BoundingBox"]["Height"] for face in found]
        assert sizes == sorted(sizes, reverse=True), name
        for face, record in zip(found, records):
            best = face["FaceMatches"][0]
            assert (best["Face"]["FaceId"], best["Similarity"]) == (record["Face"]["FaceId"], pytest.approx(100, abs=0.01)), name
            owner = owners.get(record["Face"]["FaceId"])
            users = [match["User"]["UserId"] for match in face["UserMatches"]]
            assert (owner in users) if owner else True, name
        # The service's own searches answer the same for each face by itself.
        for face, record in list(zip(found, records))[:3]:
            alone = own(server, "SearchFaces", CollectionId=collection, FaceId=record["Face"]["FaceId"], FaceMatchThreshold=99)
            assert [match["Face"]["FaceId"] for match in alone["FaceMatches"]] == [match["Face"]["FaceId"] for match in face["FaceMatches"][1:]]
        own(server, "DeleteCollection", CollectionId=collection)


def test_it_is_a_right_of_its_own(server, people, photo):
    image = {"Bytes": blob(photo("obama2.jpg"))}
    assert ask(server, people, image, key=SEARCHER).status == 200
    elsewhere = ask(server, "elsewhere", image, key=SEARCHER)
    assert elsewhere.code == "AccessDeniedException" and f"rekognition:{OPERATION} on resource" in elsewhere.body["Message"]
    assert send(server, "SearchFacesByImage", {"CollectionId": people, "Image": image}, key=SEARCHER).code == "AccessDeniedException"
    assert ask(server, people, image, key=READER).code == "AccessDeniedException"
    assert ask(server, people, image, key=(OWNER[0], "another secret")).code == "InvalidSignatureException"
    assert send(server, OPERATION, {"CollectionId": people, "Image": image}).code == "MissingAuthenticationTokenException"


def test_an_image_in_s3(server, people, photo):
    (server.photos / "obama3.jpg").write_bytes(photo("obama3.jpg"))
    stored = {"S3Object": {"Bucket": "photos", "Name": "obama3.jpg"}}
    (face,) = ask(server, people, stored).body["Faces"]
    assert [match["Face"]["ExternalImageId"] for match in face["FaceMatches"]] == ["obama"]
    # Who may search may not read any photo for that: to such a caller it looks like one that is not there.
    assert ask(server, people, stored, key=SEARCHER).code == "InvalidS3ObjectException"
    assert ask(server, people, {"S3Object": {"Bucket": "photos", "Name": "none.jpg"}}).code == "InvalidS3ObjectException"


def test_the_log_has_one_line_of_it(server, people, photo):
    reply = ask(server, people, {"Bytes": blob(photo("obama2.jpg"))})
    lines = [line for line in server.log.read_text().splitlines() if reply.headers["x-amzn-requestid"] in line]
    assert len(lines) == 1 and OPERATION in lines[0] and "search_ms" in lines[0], lines
