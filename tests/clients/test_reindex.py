"""`rekollect reindex`: a collection goes from one model pack to another, out of its photos, while it answers."""

import json
import signal
import subprocess
import threading
import time
import uuid

import pytest
from PIL import Image
from pictures import opened, saved
from servers import BINARY, REGION, rekognition
from test_enrol import FAILED, INTERRUPTED, PEOPLE, calls, environment, faults, image_id, people, server, small
from test_s3 import Moto

OLD = "compact"


@pytest.fixture
def old(server):
    """The name of an old collection; the new one is called the same with `-2`."""
    return f"people-{uuid.uuid4().hex[:12]}"


@pytest.fixture
def run(tmp_path, server):
    """Runs a command to its end, in the test's folder: `run("reindex", source, *flags)`."""

    def run(*args, code=0, url=server.url):
        line = [BINARY, *map(str, args), "--endpoint-url", url]
        done = subprocess.run(line, env=environment(), cwd=tmp_path, capture_output=True, text=True, timeout=120)
        assert done.returncode == code, done.stderr
        return done

    return run


@pytest.fixture
def reindex(run, old):
    return lambda source, *args, **more: run("reindex", source, "--from", old, "--to", f"{old}-2", *args, **more)


@pytest.fixture
def enrolled(server, run, old, people):
    """The people's faces in the old collection, by the old pack, with users and tags."""
    server.client.create_collection(CollectionId=old, Tags={"rekollect:pack": OLD, "team": "press"})
    run("enrol", people, "--collection", old, "--users")
    return old


def known(server, collection):
    """What a collection knows of its faces, beside their ids."""
    pages = server.client.get_paginator("list_faces").paginate(CollectionId=collection)
    found = [face for page in pages for face in page["Faces"]]
    return sorted((face["ImageId"], face.get("ExternalImageId", ""), face.get("UserId", "")) for face in found)


def ids(server, collection):
    """The ids of a collection's faces by their ExternalImageIds."""
    return {face["ExternalImageId"]: face["FaceId"] for face in server.client.list_faces(CollectionId=collection)["Faces"]}


def tags(server, collection):
    arn = server.client.describe_collection(CollectionId=collection)["CollectionARN"]
    return server.client.list_tags_for_resource(ResourceArn=arn)["Tags"]


def report(folder, old):
    """The photos of a report by their names, and what its last run says of the differences."""
    first, *rest = [json.loads(line) for line in (folder / f"reindex-{old}-2.jsonl").read_text().splitlines()]
    assert first["Reindexing"]["From"] == old and first["Reindexing"]["FromModel"] != first["Reindexing"]["ToModel"]
    photos, runs = {}, [[]]
    for line in rest:
        if "Photo" in line:
            photos[line["Photo"]] = line
        else:
            runs[-1].append(line)
            if "Summary" in line:
                runs.append([])
    *_, last, unfinished = [[], *runs]
    assert not unfinished
    told = {kind: [line[kind] for line in last if kind in line] for kind in ("LostFace", "ChangedMatches", "Summary")}
    return photos, told


def test_a_collection_goes_to_another_pack(server, enrolled, reindex, people, photo, tmp_path):
    client, new = server.client, f"{enrolled}-2"
    before = known(server, enrolled)
    done = reindex(people)
    assert "4 of 4 faces are in the new collection; 0 lost, 0 won; 2 users; of 4 faces that were compared" in done.stderr
    described = {name: client.describe_collection(CollectionId=name) for name in (enrolled, new)}
    assert described[enrolled]["FaceModelVersion"] != described[new]["FaceModelVersion"]
    assert known(server, enrolled) == known(server, new) == before
    assert tags(server, new) == {"team": "press"}
    for name in (enrolled, new):
        found = client.search_users_by_image(CollectionId=name, Image={"Bytes": photo("obama3.jpg")})
        assert [match["User"]["UserId"] for match in found["UserMatches"]] == ["barack"]
    # The report tells which face is which.
    photos, told = report(tmp_path, enrolled)
    pairs = {pair["OldFaceId"]: pair["FaceId"] for line in photos.values() for pair in line["Faces"]}
    were, are = ids(server, enrolled), ids(server, new)
    assert pairs == {were[name]: are[name] for name in were}
    (summary,) = told["Summary"]
    assert (summary["OldFaces"], summary["Faces"], summary["ComparedFaces"]) == (4, 4, 4)
    assert (tmp_path / f"reindex-{new}.jsonl").stat().st_mode & 0o777 == 0o600


def test_matches_that_changed_are_told(server, old, run, reindex, people, tmp_path):
    """At this threshold the two packs differ over Obama's photos; what each says is what a search says."""
    server.client.create_collection(CollectionId=old, Tags={"rekollect:pack": OLD})
    run("enrol", people, "--collection", old, "--users")
    reindex(people, "--threshold", "0", "--compare", "3")
    assert report(tmp_path, old)[1]["Summary"][0]["ComparedFaces"] == 3
    (tmp_path / f"reindex-{old}-2.jsonl").unlink()
    found = {}
    for collection in (old, f"{old}-2"):
        names = {face: name for name, face in ids(server, collection).items()}
        for face, name in names.items():
            matches = server.client.search_faces(CollectionId=collection, FaceId=face, FaceMatchThreshold=0)["FaceMatches"]
            found[collection, name] = {names[match["Face"]["FaceId"]]: match["Similarity"] for match in matches}
    # A threshold that some match of one of them passes, and not of the other.
    one, other, name, match = next(
        (found[old, name][match], found[f"{old}-2", name][match], name, match) for (of, name) in found if of == old for match in found[of, name]
        if abs(found[old, name][match] - found[f"{old}-2", name][match]) > 0.05
    )
    threshold = (one + other) / 2
    reindex(people, "--threshold", f"{threshold:.4f}")
    (summary,) = report(tmp_path, old)[1]["Summary"]
    told = {line["OldFaceId"]: line for line in report(tmp_path, old)[1]["ChangedMatches"]}
    were = ids(server, old)
    which = "LostMatches" if one > other else "WonMatches"
    (there,) = [line for line in told[were[name]][which] if line["OldFaceId"] == were[match]]
    assert there["Similarity"] == pytest.approx(max(one, other), abs=1e-3) and there["FaceId"] == ids(server, f"{old}-2")[match]
    wanted = {"LostMatches": 0, "WonMatches": 0}
    for (of, name), matches in found.items():
        for match, similarity in matches.items():
            second = found[f"{old}-2" if of == old else old, name][match]
            if similarity >= threshold > second:
                wanted["LostMatches" if of == old else "WonMatches"] += 1
    assert {kind: summary[kind] for kind in wanted} == wanted
    assert sum(len(line[kind]) for line in told.values() for kind in wanted) == sum(wanted.values())


def test_who_was_deleted_does_not_come_back(server, enrolled, reindex, people, small, tmp_path):
    """Not before, and not between two runs."""
    client, new = server.client, f"{enrolled}-2"
    (people / "joe" / "never.jpg").write_bytes(small("sample1.jpg"))
    client.disassociate_faces(CollectionId=enrolled, UserId="barack", FaceIds=[ids(server, enrolled)["barack:obama2.jpg"]])
    client.delete_faces(CollectionId=enrolled, FaceIds=[ids(server, enrolled)["barack:obama2.jpg"]])
    assert len(known(server, enrolled)) == 3
    done = reindex(people)
    assert "5 photos, 2 of them not in the old collection" in done.stderr and "3 of 3 faces" in done.stderr
    assert known(server, new) == known(server, enrolled)
    assert report(tmp_path, enrolled)[0]["joe/never.jpg"]["Status"] == "unknown"
    # Joe goes, a photo comes, a face changes its owner: the second run follows.
    client.delete_user(CollectionId=enrolled, UserId="joe")
    client.delete_faces(CollectionId=enrolled, FaceIds=[ids(server, enrolled)["joe:biden.jpg"]])
    client.index_faces(CollectionId=enrolled, ExternalImageId="sample", Image={"Bytes": small("sample1.jpg")})
    client.create_user(CollectionId=enrolled, UserId="somebody")
    client.associate_faces(CollectionId=enrolled, UserId="somebody", FaceIds=[ids(server, enrolled)["sample"]])
    client.disassociate_faces(CollectionId=enrolled, UserId="barack", FaceIds=[ids(server, enrolled)["barack:obama3.jpg"]])
    client.associate_faces(CollectionId=enrolled, UserId="somebody", FaceIds=[ids(server, enrolled)["barack:obama3.jpg"]], UserMatchThreshold=0)
    before = calls(server, "IndexFaces")
    done = reindex(people)
    assert "2 done before" in done.stderr and calls(server, "IndexFaces") == before + 1
    # The photo's own name in the source is another one: the old collection's counts.
    assert known(server, new) == known(server, enrolled)
    assert ("sample", "somebody") in {(name, user) for _, name, user in known(server, new)}


def two_faces(small):
    """A photo of two people side by side."""
    left, right = (opened(small(name)).resize((300, 400)) for name in ("obama.jpg", "biden.jpg"))
    both = Image.new("RGB", (600, 400))
    both.paste(left, (0, 0))
    both.paste(right, (300, 0))
    return saved(both)


def test_faces_that_only_the_new_model_finds_stay_when_they_are_asked_for(server, old, run, reindex, small, tmp_path):
    folder = tmp_path / "photos"
    folder.mkdir()
    (folder / "both.jpg").write_bytes(two_faces(small))
    (folder / "other.jpg").write_bytes(small("obama3.jpg"))
    server.client.create_collection(CollectionId=old, Tags={"rekollect:pack": OLD})
    server.client.index_faces(CollectionId=old, ExternalImageId="one", MaxFaces=1, Image={"Bytes": two_faces(small)})
    assert "1 of 1 faces are in the new collection; 0 lost, 1 won and 0 of those kept" in reindex(folder).stderr
    assert known(server, f"{old}-2") == known(server, old)
    done = run("reindex", folder, "--from", old, "--to", f"{old}-3", "--new-faces")
    assert "2 won and 2 of those kept" in done.stderr
    names = [name for _, name, _ in known(server, f"{old}-3")]
    assert sorted(names) == ["one", "one", "other.jpg"]
    # Another run with other wishes is another run.
    told = run("reindex", folder, "--from", old, "--to", f"{old}-3", code=1).stderr
    assert "belongs to another run" in told and len(known(server, f"{old}-3")) == 3


def test_faces_that_are_lost_are_told_with_their_reasons(server, enrolled, reindex, people, small, tmp_path):
    were = ids(server, enrolled)
    (people / "joe" / "biden.jpg").unlink()
    # The bytes are others, so it is another photo.
    (people / "barack" / "obama2.jpg").write_bytes(small("obama2.jpg") + b"\0")
    done = reindex(people)
    assert "2 of 4 faces are in the new collection; 2 lost" in done.stderr
    lost = {face["OldFaceId"]: face["Reasons"] for face in report(tmp_path, enrolled)[1]["LostFace"]}
    assert lost == {were["joe:biden.jpg"]: ["NO_PHOTO"], were["barack:obama2.jpg"]: ["NO_PHOTO"]}
    # Their user comes all the same.
    assert {user["UserId"] for user in server.client.list_users(CollectionId=f"{enrolled}-2")["Users"]} == {"barack", "joe"}
    # What somebody deletes from the new one is told, too.
    new = ids(server, f"{enrolled}-2")["barack:obama.jpg"]
    server.client.disassociate_faces(CollectionId=f"{enrolled}-2", UserId="barack", FaceIds=[new])
    server.client.delete_faces(CollectionId=f"{enrolled}-2", FaceIds=[new])
    reindex(people)
    lost = {face["OldFaceId"]: face["Reasons"] for face in report(tmp_path, enrolled)[1]["LostFace"]}
    assert lost[were["barack:obama.jpg"]] == ["DELETED"] and len(lost) == 3


def test_faces_that_the_new_model_refuses_are_told_with_its_reasons(server, old, run, reindex, small, tmp_path):
    folder = tmp_path / "photos"
    folder.mkdir()
    blurred = saved(opened(small("obama.jpg")).resize((60, 80)).resize((300, 400)))
    (folder / "blurred.jpg").write_bytes(blurred)
    server.client.create_collection(CollectionId=old, Tags={"rekollect:pack": OLD})
    stored = server.client.index_faces(CollectionId=old, ExternalImageId="b", Image={"Bytes": blurred}, QualityFilter="NONE")["FaceRecords"]
    assert len(stored) == 1
    assert "0 of 1 faces are in the new collection; 1 lost" in reindex(folder, "--quality-filter", "high").stderr
    photos, told = report(tmp_path, old)
    assert told["LostFace"] == photos["blurred.jpg"]["LostFaces"] == [{"OldFaceId": stored[0]["Face"]["FaceId"], "Reasons": ["LOW_SHARPNESS"]}]


def test_bad_photos_fail_and_the_others_go_on(server, enrolled, reindex, people, tmp_path):
    (people / "large.jpg").write_bytes(b"\xff\xd8" + bytes(6 << 20))
    (people / "gone.jpg").symlink_to(tmp_path / "nowhere")
    assert "gone.jpg" in reindex(people, code=1).stderr
    (people / "gone.jpg").unlink()
    done = reindex(people, code=FAILED)
    assert "5 photos, 0 of them not in the old collection, 1 failed; 4 of 4 faces" in done.stderr
    assert report(tmp_path, enrolled)[0]["large.jpg"]["Error"]["Code"] == "TooLarge"


def test_a_face_whose_photo_failed_is_told_so_and_comes_with_the_next_run(server, enrolled, reindex, people, faults, tmp_path):
    faults(operation="IndexFaces", error="InvalidImageFormatException", calls=1)
    reindex(people, "--parallel", "1", code=FAILED)
    ((face, reasons),) = [(face["OldFaceId"], face["Reasons"]) for face in report(tmp_path, enrolled)[1]["LostFace"]]
    assert reasons == ["PHOTO_FAILED"] and face in ids(server, enrolled).values()
    reindex(people)
    assert report(tmp_path, enrolled)[1]["LostFace"] == [] and known(server, f"{enrolled}-2") == known(server, enrolled)


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT], ids=["killed", "interrupted"])
def test_a_run_that_is_stopped_goes_on(server, old, run, reindex, small, tmp_path, how):
    folder = tmp_path / "many"
    folder.mkdir()
    # Each has a second face that only the new collection's pack would index: none may stay behind.
    picture = two_faces(small)
    server.client.create_collection(CollectionId=old, Tags={"rekollect:pack": OLD})
    for number in range(60):
        (folder / f"{number:02}.jpg").write_bytes(picture + str(number).encode())
    run("enrol", folder, "--collection", old, "--max-faces", "1")
    journal = tmp_path / f"reindex-{old}-2.jsonl"
    line = [BINARY, "reindex", folder, "--from", old, "--to", f"{old}-2", "--endpoint-url", server.url]
    for share in (15, 40):
        process = subprocess.Popen(line, env=environment(), cwd=tmp_path, stderr=subprocess.PIPE, text=True)
        while not journal.exists() or journal.read_bytes().count(b"\n") < share:
            assert process.poll() is None, process.stderr.read()
            time.sleep(0.005)
        process.send_signal(how)
        assert process.wait(timeout=60) == (-signal.SIGKILL if how == signal.SIGKILL else INTERRUPTED)
        assert "Summary" not in journal.read_text()
    with journal.open("ab") as file:
        file.write(b'{"Photo":"0')
    # Another one at the same time gets nothing to do.
    done = reindex(folder)
    assert "60 of 60 faces are in the new collection; 0 lost" in done.stderr and "done before" in done.stderr
    assert known(server, f"{old}-2") == known(server, old)


def test_what_cannot_be_done_leaves_nothing_behind(server, enrolled, run, reindex, people, tmp_path):
    new, names = f"{enrolled}-2", lambda: server.client.list_collections(MaxResults=4096)["CollectionIds"]
    told = reindex(people, "--model-pack", OLD, code=1).stderr
    assert f"{new} would have the model" in told and "name another pack with --model-pack" in told and new not in names()
    assert "names a pack that this server does not have" in reindex(people, "--model-pack", "none-such", code=1).stderr and new not in names()
    (tmp_path / "notes.txt").write_text("mine\n")
    assert "is no report of this command" in reindex(people, "--report", "notes.txt", code=1).stderr and new not in names()
    assert (tmp_path / "notes.txt").read_text() == "mine\n"
    assert "both name" in run("reindex", people, "--from", enrolled, "--to", enrolled, code=1).stderr
    assert "there is no collection nobody on" in run("reindex", people, "--from", "nobody", "--to", new, code=1).stderr and new not in names()
    assert "--to" in run("reindex", people, "--from", enrolled, code=2).stderr
    assert "is no regular file" in reindex(people, "--report", "/dev/full", code=1).stderr and new not in names()
    manifest = people / "people.csv"
    manifest.write_text("path,ExternalImageId\nbarack/obama.jpg,a\nbarack/gone.jpg,b\n")
    assert "line 3: barack/gone.jpg: No such file" in reindex(manifest, code=1).stderr and new not in names()
    # A new collection of the same name is not the one of the report, and another pack is not the one that it has.
    reindex(people)
    assert "leave --model-pack out" in reindex(people, "--model-pack", OLD, code=1).stderr
    server.client.delete_collection(CollectionId=new)
    assert "belongs to another run" in reindex(people, code=1).stderr and new not in names()


def test_an_old_collection_that_was_made_anew_empties_nothing(server, enrolled, reindex, people):
    reindex(people)
    server.client.delete_collection(CollectionId=enrolled)
    server.client.create_collection(CollectionId=enrolled, Tags={"rekollect:pack": OLD})
    assert "belongs to another run" in reindex(people, code=1).stderr
    assert len(known(server, f"{enrolled}-2")) == 4


def test_two_at_the_same_time_lose_nothing(server, enrolled, people, tmp_path):
    line = [BINARY, "reindex", people, "--from", enrolled, "--to", f"{enrolled}-2", "--endpoint-url", server.url]
    both = [subprocess.Popen(line, env=environment(), cwd=tmp_path, stderr=subprocess.PIPE, text=True) for _ in range(2)]
    told = [process.communicate(timeout=60)[1] for process in both]
    codes = sorted(process.returncode for process in both)
    # The second one is refused, unless it began when the first had ended.
    assert codes == [0, 0] or codes == [0, 1] and any("held by another run" in text for text in told), told
    assert known(server, f"{enrolled}-2") == known(server, enrolled)


def test_a_face_that_came_back_comes_back(server, enrolled, reindex, people, small):
    """Deleted from the old collection, followed, and indexed there again."""
    face = ids(server, enrolled)["joe:biden.jpg"]
    reindex(people)
    server.client.disassociate_faces(CollectionId=enrolled, UserId="joe", FaceIds=[face])
    server.client.delete_faces(CollectionId=enrolled, FaceIds=[face])
    assert "1 deleted, since the old collection has them no longer" in reindex(people).stderr
    assert len(known(server, f"{enrolled}-2")) == 3
    server.client.index_faces(CollectionId=enrolled, ExternalImageId="joe:biden.jpg", Image={"Bytes": small("biden.jpg")})
    assert "4 of 4 faces are in the new collection; 0 lost" in reindex(people).stderr
    assert known(server, f"{enrolled}-2") == known(server, enrolled)


def test_a_photo_under_two_names_keeps_both(server, old, reindex, small, tmp_path):
    folder = tmp_path / "photos"
    folder.mkdir()
    (folder / "obama.jpg").write_bytes(small("obama.jpg"))
    server.client.create_collection(CollectionId=old, Tags={"rekollect:pack": OLD})
    for name in ("obama.jpg", "president"):
        server.client.index_faces(CollectionId=old, ExternalImageId=name, Image={"Bytes": small("obama.jpg")})
    assert "2 of 2 faces" in reindex(folder).stderr
    assert known(server, f"{old}-2") == known(server, old)


def test_a_full_user_changes_a_face(server, old, run, reindex, small, tmp_path):
    """A user has a hundred faces at most, so one has to go before another comes."""
    folder = tmp_path / "photos"
    folder.mkdir()
    for number in range(101):
        (folder / f"{number:03}.jpg").write_bytes(small("obama.jpg") + str(number).encode())
    server.client.create_collection(CollectionId=old, Tags={"rekollect:pack": OLD})
    run("enrol", folder, "--collection", old)
    server.client.create_user(CollectionId=old, UserId="full")
    names = ids(server, old)
    server.client.associate_faces(CollectionId=old, UserId="full", FaceIds=[names[f"{number:03}.jpg"] for number in range(100)])
    reindex(folder, "--compare", "0")
    assert known(server, f"{old}-2") == known(server, old)
    server.client.disassociate_faces(CollectionId=old, UserId="full", FaceIds=[names["000.jpg"]])
    server.client.associate_faces(CollectionId=old, UserId="full", FaceIds=[names["100.jpg"]])
    reindex(folder, "--compare", "0")
    assert known(server, f"{old}-2") == known(server, old)
    # A user that is full by others' work does not end a run: who gets no user is told.
    server.client.disassociate_faces(CollectionId=old, UserId="full", FaceIds=[names["001.jpg"]])
    server.client.associate_faces(CollectionId=old, UserId="full", FaceIds=[names["000.jpg"]])
    (more,) = server.client.index_faces(CollectionId=f"{old}-2", ExternalImageId="more", Image={"Bytes": small("obama2.jpg")})["FaceRecords"]
    new = ids(server, f"{old}-2")
    server.client.disassociate_faces(CollectionId=f"{old}-2", UserId="full", FaceIds=[new["001.jpg"]])
    server.client.associate_faces(CollectionId=f"{old}-2", UserId="full", FaceIds=[more["Face"]["FaceId"]], UserMatchThreshold=0)
    done = reindex(folder, "--compare", "0")
    assert "1 faces not associated with theirs" in done.stderr and "1 others are in the new collection" in done.stderr
    journal = [json.loads(line) for line in (tmp_path / f"reindex-{old}-2.jsonl").read_text().splitlines()]
    (told,) = [line["NotAssociated"] for line in journal if "NotAssociated" in line]
    assert told["FaceIds"] == [new["000.jpg"]] and "100 faces" in told["Reason"]


def test_a_face_that_the_old_collection_gets_later_is_won_no_more(server, old, reindex, small, tmp_path):
    folder = tmp_path / "photos"
    folder.mkdir()
    (folder / "both.jpg").write_bytes(two_faces(small))
    server.client.create_collection(CollectionId=old, Tags={"rekollect:pack": OLD})
    server.client.index_faces(CollectionId=old, ExternalImageId="one", MaxFaces=1, Image={"Bytes": two_faces(small)})
    assert "1 won and 0 of those kept" in reindex(folder).stderr
    server.client.index_faces(CollectionId=old, ExternalImageId="one", Image={"Bytes": two_faces(small)})
    assert "2 of 2 faces are in the new collection; 0 lost, 0 won" in reindex(folder).stderr


@pytest.mark.parametrize("slow", ["CreateUser", "SearchFaces"])
def test_a_run_can_be_stopped_after_the_photos(server, enrolled, reindex, people, faults, tmp_path, slow):
    """While users are made and while matches are compared; then no difference is told as if it were all."""
    faults(operation=slow, latency_ms=10_000)
    line = [BINARY, "reindex", people, "--from", enrolled, "--to", f"{enrolled}-2", "--endpoint-url", server.url]
    process = subprocess.Popen(line, env=environment(), cwd=tmp_path, stderr=subprocess.PIPE, text=True)
    before, deadline = calls(server, slow), time.monotonic() + 30
    journal = tmp_path / f"reindex-{enrolled}-2.jsonl"
    while not journal.exists() or journal.read_bytes().count(b"\n") < 5:
        assert process.poll() is None and time.monotonic() < deadline, process.stderr.read()
        time.sleep(0.01)
    time.sleep(1)
    process.send_signal(signal.SIGINT)
    process.send_signal(signal.SIGTERM)
    assert process.wait(timeout=5) == INTERRUPTED and calls(server, slow) == before
    assert journal.read_text().count("\n") == 5
    faults()
    reindex(people)
    assert known(server, f"{enrolled}-2") == known(server, enrolled)


def test_a_dry_run_says_what_would_be_done_and_does_nothing(server, enrolled, reindex, people, small, tmp_path):
    (people / "joe" / "never.jpg").write_bytes(small("sample1.jpg"))
    before = calls(server, "IndexFaces")
    done = reindex(people, "--dry-run")
    assert "would index joe/biden.jpg: ExternalImageId joe:biden.jpg\n" in done.stdout
    assert "not in the old collection: joe/never.jpg\n" in done.stdout
    wanted = "nothing was done; 4 photos would be indexed for 4 faces of the old collection, whose other 0 have no photo here; 1 photos are not in it"
    assert wanted in done.stderr
    assert calls(server, "IndexFaces") == before and f"{enrolled}-2" not in server.client.list_collections(MaxResults=4096)["CollectionIds"]
    assert not (tmp_path / f"reindex-{enrolled}-2.jsonl").exists()
    (people / "joe" / "biden.jpg").unlink()
    assert "for 3 faces of the old collection, whose other 1 have no photo here" in reindex(people, "--dry-run").stderr
    server.client.create_collection(CollectionId=f"{enrolled}-2", Tags={"rekollect:pack": OLD})
    assert "would have the model" in reindex(people, "--dry-run", code=1).stderr


def test_photos_of_a_bucket(start_server, run, people, old, tmp_path):
    with Moto(tmp_path) as moto:
        s3 = moto.client("s3")
        s3.create_bucket(Bucket="photos")
        for path in people.rglob("*.jpg"):
            s3.put_object(Bucket="photos", Key=f"team/{path.relative_to(people)}", Body=path.read_bytes())
        server = start_server(
            args=["--s3-endpoint", moto.url, "--s3-region", REGION],
            env={"REKOLLECT_S3_ACCESS_KEY_ID": "any", "REKOLLECT_S3_SECRET_ACCESS_KEY": "any"},
        )
        server.client.create_collection(CollectionId=old, Tags={"rekollect:pack": OLD})
        run("enrol", "s3://photos/team/", "--collection", old, "--users", "--s3-endpoint-url", moto.url, url=server.url)
        s3.put_object(Bucket="photos", Key="team/joe/never.jpg", Body=(people / "joe/biden.jpg").read_bytes() + b"\0")
        arguments = ["s3://photos/team", "--from", old, "--to", f"{old}-2", "--s3-endpoint-url", moto.url]
        done = run("reindex", *arguments, url=server.url)
        assert "5 photos, 1 of them not in the old collection, 0 failed; 4 of 4 faces are in the new collection" in done.stderr
        assert known(server, f"{old}-2") == known(server, old) and len(known(server, old)) == 4
        assert "4 done before" in run("reindex", *arguments, url=server.url).stderr
        # Photos that share a name: the second one came to the old collection after the first run.
        server.client.create_collection(CollectionId=f"{old}-3", Tags={"rekollect:pack": OLD})
        keys = ("team/barack/obama.jpg", "team/barack/obama2.jpg")
        manifest = tmp_path / "shared.csv"
        manifest.write_text("path,ExternalImageId\n" + "".join(f"s3://photos/{key},barack\n" for key in keys))
        arguments = [manifest, "--from", f"{old}-3", "--to", f"{old}-4"]
        for key in keys:
            server.client.index_faces(CollectionId=f"{old}-3", ExternalImageId="barack", Image={"S3Object": {"Bucket": "photos", "Name": key}})
            run("reindex", *arguments, url=server.url)
            assert known(server, f"{old}-4") == known(server, f"{old}-3")


def test_the_old_collection_answers_all_the_while(server, enrolled, reindex, people, photo, faults):
    """Searches of the old collection find the same before, during and after."""
    faults(operation="IndexFaces", latency_ms=1000)
    client = rekognition(server.url)
    wanted = client.search_faces_by_image(CollectionId=enrolled, Image={"Bytes": photo("obama.jpg")})["FaceMatches"]
    done = threading.Event()
    answers = []

    def ask():
        while not done.is_set():
            answers.append(client.search_faces_by_image(CollectionId=enrolled, Image={"Bytes": photo("obama.jpg")})["FaceMatches"])

    asking = threading.Thread(target=ask)
    asking.start()
    try:
        reindex(people)
    finally:
        done.set()
        asking.join()
    assert len(answers) > 3 and all(answer == wanted for answer in answers)


def test_a_photo_is_known_by_its_content(server, enrolled, reindex, tmp_path, small):
    """Whatever its file is called now, and wherever it lies."""
    heap = tmp_path / "heap"
    heap.mkdir()
    for number, name in enumerate(name for names in PEOPLE.values() for name in names):
        (heap / f"{number}.jpg").write_bytes(small(name))
    reindex(heap)
    assert known(server, f"{enrolled}-2") == known(server, enrolled)
    assert image_id(small("biden.jpg")) in {image for image, *_ in known(server, f"{enrolled}-2")}
