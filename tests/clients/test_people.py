"""Who may be whom: GroupFaces and DescribeUser, which are ours, and the commands `rekollect identify` and `rekollect group`."""

import json
import os
import subprocess

import pytest
from servers import BINARY, REGION
from test_conformance import send

OBAMA, OBAMA_TOO, BIDEN = "obama.jpg", "obama2.jpg", "biden.jpg"


def run(server, *args, **more):
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "REKOLLECT_"))}
    environment |= {"AWS_ENDPOINT_URL_REKOGNITION": server.url, "AWS_REGION": REGION, "AWS_ACCESS_KEY_ID": "any", "AWS_SECRET_ACCESS_KEY": "any"}
    return subprocess.run([BINARY, *args], env=environment | more, capture_output=True, text=True, timeout=60)


def ask(server, operation, **members):
    reply = send(server, operation, members)
    assert reply.status == 200, reply
    return reply.body


@pytest.fixture(scope="module", params=["sqlite", "postgres"])
def people(request, start_server, photo):
    """A server with two faces of one person and one of another, who all have no user; `faces` are their ids by their photos."""
    server = start_server(store=request.param)
    client = server.client
    client.create_collection(CollectionId="people")
    server.faces = {}
    for name in (OBAMA, OBAMA_TOO, BIDEN):
        (record,) = client.index_faces(CollectionId="people", Image={"Bytes": photo(name)}, ExternalImageId=name, MaxFaces=1)["FaceRecords"]
        server.faces[name] = record["Face"]["FaceId"]
    return server


def test_faces_are_grouped_by_who_resembles_whom(people):
    reply = ask(people, "GroupFaces", CollectionId="people")
    (group,) = reply["Groups"]
    assert {face["Face"]["ExternalImageId"] for face in group["Faces"]} == {OBAMA, OBAMA_TOO}
    assert [face["ExternalImageId"] for face in reply["UngroupedFaces"]] == [BIDEN]
    (match,) = people.client.search_faces(CollectionId="people", FaceId=people.faces[OBAMA])["FaceMatches"]
    # Of two faces, all averages are the one similarity that there is.
    assert [face["Similarity"] for face in group["Faces"]] == [match["Similarity"]] * 2 == [group["Confidence"]] * 2
    assert reply["FaceModelVersion"] == "7.3"
    assert reply == ask(people, "GroupFaces", CollectionId="people"), "the same faces, other groups"
    assert ask(people, "GroupFaces", CollectionId="people", MinFaces=3)["Groups"] == []
    assert ask(people, "GroupFaces", CollectionId="people", FaceMatchThreshold=match["Similarity"] + 1)["Groups"] == []
    assert len(ask(people, "GroupFaces", CollectionId="people", FaceMatchThreshold=0)["Groups"][0]["Faces"]) >= 2


def test_a_users_faces_are_told_from_the_least_typical_on_and_are_not_grouped_again(people):
    client, faces = people.client, people.faces
    client.create_user(CollectionId="people", UserId="barack")
    try:
        assert ask(people, "DescribeUser", CollectionId="people", UserId="barack")["Faces"] == []
        client.associate_faces(CollectionId="people", UserId="barack", FaceIds=list(faces.values())[:2])
        client.associate_faces(CollectionId="people", UserId="barack", FaceIds=[faces[BIDEN]], UserMatchThreshold=0)
        reply = ask(people, "DescribeUser", CollectionId="people", UserId="barack")
        assert reply["User"] == {"UserId": "barack", "UserStatus": "ACTIVE"}
        assert [face["Face"]["ExternalImageId"] for face in reply["Faces"]][0] == BIDEN, "whoever does not belong there comes first"
        similarities = [face["Similarity"] for face in reply["Faces"]]
        assert similarities == sorted(similarities) and similarities[0] < 50 < similarities[2]
        assert ask(people, "GroupFaces", CollectionId="people") == {"Groups": [], "UngroupedFaces": [], "FaceModelVersion": "7.3"}
        assert len(ask(people, "GroupFaces", CollectionId="people", Faces="ALL")["Groups"]) == 1
    finally:
        client.delete_user(CollectionId="people", UserId="barack")


def test_what_does_not_exist_is_told_in_the_services_words(people):
    for operation, members, code in [
        ("GroupFaces", {"CollectionId": "nowhere"}, "ResourceNotFoundException"),
        ("DescribeUser", {"CollectionId": "people", "UserId": "nobody"}, "ResourceNotFoundException"),
        ("GroupFaces", {"CollectionId": "people", "MinFaces": 1}, "ValidationException"),
    ]:
        reply = send(people, operation, members)
        assert (reply.status, reply.body["__type"].split("#")[-1]) == (400, code), reply


def test_extensions_are_switched_off_together(start_server):
    server = start_server(args=["--extensions", "off"])
    server.client.create_collection(CollectionId="people", Tags={"rekollect:pack": "none", "rekollect:expire-after": "never"})
    for operation in ("GroupFaces", "DescribeUser", "SearchAllFacesByImage"):
        reply = send(server, operation, {"CollectionId": "people"})
        assert reply.body["__type"].split("#")[-1] == "UnknownOperationException", reply


def test_a_tag_names_the_pack_of_a_new_collection(people):
    client = people.client
    client.create_collection(CollectionId="compact", Tags={"rekollect:pack": "compact"})
    assert client.describe_collection(CollectionId="compact")["FaceModelVersion"] == "7.1"
    client.delete_collection(CollectionId="compact")
    with pytest.raises(client.exceptions.InvalidParameterException, match="rekollect:pack.*: best"):
        client.create_collection(CollectionId="best", Tags={"rekollect:pack": "best"})
    assert "best" not in client.list_collections()["CollectionIds"]


def test_identify_names_everybody_on_a_photo(people, tmp_path, photo):
    party = tmp_path / "party.jpg"
    party.write_bytes(photo(OBAMA_TOO))
    done = run(people, "identify", str(party), "--collection", "people")
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(f"{party}: 1 face\n  1  ") and f"faces {OBAMA_TOO} (100.0), {OBAMA} (" in done.stdout
    done = run(people, "identify", str(party), "--collection", "people", "--json", "--matches", "1")
    line = json.loads(done.stdout)
    assert line["Photo"] == str(party) and [match["Face"]["ExternalImageId"] for match in line["Faces"][0]["FaceMatches"]] == [OBAMA_TOO]


def test_identify_goes_on_behind_a_photo_that_cannot_be_looked_at(people, tmp_path, photo):
    good, cut = tmp_path / "good.jpg", tmp_path / "cut.jpg"
    good.write_bytes(photo(BIDEN))
    cut.write_bytes(photo(BIDEN)[:2000])
    done = run(people, "identify", str(tmp_path / "away.jpg"), str(cut), str(good), "--collection", "people")
    assert done.returncode == 3 and done.stdout.startswith(f"{good}: 1 face")
    assert "away.jpg: No such file" in done.stderr and "cut.jpg: " in done.stderr and "InvalidImageFormatException" in done.stderr
    done = run(people, "identify", str(good), str(good), "--collection", "nowhere")
    assert done.returncode == 1 and done.stderr.count("ResourceNotFoundException") == 1, done.stderr


def test_group_writes_a_line_for_each_group(people):
    done = run(people, "group", "--collection", "people")
    assert done.returncode == 0 and "2 faces in 1 groups, 1 in none" in done.stderr, done.stderr
    group, rest = map(json.loads, done.stdout.splitlines())
    assert group["Group"] == 1 and {face["Face"]["FaceId"] for face in group["Faces"]} == {people.faces[OBAMA], people.faces[OBAMA_TOO]}
    assert [face["FaceId"] for face in rest["UngroupedFaces"]] == [people.faces[BIDEN]]
    assert run(people, "group", "--collection", "nowhere").returncode == 1
