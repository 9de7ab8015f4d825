"""`rekollect enrol`: the release binary as a client, with photos, against servers that answer, throttle, fail or are not there."""

import csv
import hashlib
import http.server
import io
import json
import os
import shutil
import signal
import stat
import subprocess
import threading
import time
import urllib.request
import uuid

import pytest
from PIL import Image
from pictures import opened, saved
from servers import BINARY, KEYS, REGION, Server, get, rekognition
from test_s3 import Moto

# How many photos are enrolled through two kills: 5000 takes minutes.
PHOTOS_TO_KILL = int(os.environ.get("REKOLLECT_TEST_ENROLMENT", "300"))
FAILED, INTERRUPTED = 3, 130
PEOPLE = {"barack": ["obama.jpg", "obama2.jpg", "obama3.jpg"], "joe": ["biden.jpg"]}


def environment(**more):
    """Nothing of this machine's own settings."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("REKOLLECT_", "AWS_"))}
    return {**kept, "HOME": "/nonexistent", **KEYS, **more}


def command(server, source, collection, *args):
    return [BINARY, "enrol", source, "--collection", collection, "--endpoint-url", getattr(server, "url", server), *args]


@pytest.fixture
def enrol(tmp_path):
    """Runs the program to its end: `enrol(server, source, collection, *flags)`. Reports lie in the test's folder."""

    def run(server, source, collection, *args, code=0, env=None, seconds=120):
        done = subprocess.run(
            command(server, source, collection, *args),
            env=env or environment(),
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=seconds,
        )
        assert done.returncode == code, done.stderr
        return done

    return run


@pytest.fixture(scope="module")
def server(start_server):
    return start_server(args=["--enable-faults"])


@pytest.fixture
def name():
    return f"people-{uuid.uuid4().hex[:12]}"


@pytest.fixture(scope="module")
def small(photo):
    """The bytes of a photo, made smaller."""

    def read(name):
        image = opened(photo(name))
        image.thumbnail((400, 400))
        return saved(image)

    return read


@pytest.fixture
def people(tmp_path, small):
    """A sub-folder for each person."""
    folder = tmp_path / "people"
    for person, names in PEOPLE.items():
        (folder / person).mkdir(parents=True)
        for name in names:
            (folder / person / name).write_bytes(small(name))
    return folder


def image_id(data):
    """The ImageId of a photo, which follows from its bytes alone."""
    return str(uuid.UUID(bytes=hashlib.sha256(data).digest()[:16], version=3))


def faces(server, collection):
    """Every face, as the photo that it is of and its ExternalImageId, in order: twice what is there twice."""
    pages = server.client.get_paginator("list_faces").paginate(CollectionId=collection)
    return sorted((face["ImageId"], face.get("ExternalImageId")) for page in pages for face in page["Faces"])


def expected(photos):
    """What `faces` says when each of these (bytes by ExternalImageId) has one face."""
    return sorted((image_id(data), name) for name, data in photos.items())


def of_folder(folder, separator=":"):
    files = (path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)).replace("/", separator): path.read_bytes() for path in files}


def lines(path):
    """A report's lines after the first."""
    first, *rest = [json.loads(line) for line in path.read_text().splitlines()]
    assert first["Enrolment"]["Version"] == 1
    return rest


def calls(server, operation):
    """How many calls of an operation the server has answered."""
    _, text = get(server, "/metrics")
    counts = [line for line in text.splitlines() if line.startswith("rekollect_requests_total{") and f'operation="{operation}"' in line]
    return sum(float(line.rsplit(" ", 1)[1]) for line in counts)


def fault(server, **rule):
    data = json.dumps(rule).encode() if rule else None
    method = "POST" if rule else "DELETE"
    request = urllib.request.Request(f"{server.url}/_faults", data, {"Content-Type": "application/json"}, method=method)
    urllib.request.urlopen(request, timeout=30).close()


@pytest.fixture
def faults(server):
    """Adds rules by which calls fail, for this test."""
    yield lambda **rule: fault(server, **rule)
    fault(server)


def test_a_folder_of_people_becomes_users(enrol, server, people, name, photo, tmp_path):
    done = enrol(server, people, name, "--create-collection", "--users")
    assert "4 photos: 4 indexed with 4 faces, 0 without a face to index, 0 failed" in done.stderr
    assert faces(server, name) == expected(of_folder(people))
    users = {user["UserId"] for user in server.client.list_users(CollectionId=name)["Users"]}
    assert users == {"barack", "joe"}
    found = server.client.search_users_by_image(CollectionId=name, Image={"Bytes": photo("obama3.jpg")})
    assert [match["User"]["UserId"] for match in found["UserMatches"]] == ["barack"]

    report = tmp_path / f"enrol-{name}.jsonl"
    assert stat.S_IMODE(report.stat().st_mode) == 0o600
    entries = {entry["Photo"]: entry for entry in lines(report)}
    assert set(entries) == {f"{person}/{photo}" for person, photos in PEOPLE.items() for photo in photos}
    entry = entries["joe/biden.jpg"]
    assert (entry["Status"], entry["ExternalImageId"], entry["UserId"]) == ("indexed", "joe:biden.jpg", "joe")
    (stored,) = [face for face in server.client.list_faces(CollectionId=name)["Faces"] if face["ExternalImageId"] == "joe:biden.jpg"]
    assert [face["FaceId"] for face in entry["Faces"]] == [stored["FaceId"]] and stored["UserId"] == "joe"

    # Once more does nothing, and a new photo alone is new.
    before = calls(server, "IndexFaces")
    assert "4 done before" in enrol(server, people, name, "--users").stderr
    shutil.copy(people / "joe/biden.jpg", people / "joe/again.jpg")
    assert "5 photos: 1 indexed with 1 faces, 0 without a face to index, 0 failed, 4 done before" in enrol(server, people, name, "--users").stderr
    assert calls(server, "IndexFaces") == before + 1
    assert faces(server, name) == expected(of_folder(people))


def test_users_can_come_later(enrol, server, people, name):
    enrol(server, people, name, "--create-collection", "--max-faces", "1")
    assert server.client.list_users(CollectionId=name)["Users"] == []
    # The photos are done, and their users are not.
    enrol(server, people, name, "--users")
    assert faces(server, name) == expected(of_folder(people))
    assert {face["UserId"] for face in server.client.list_faces(CollectionId=name)["Faces"]} == {"barack", "joe"}


def test_a_stranger_in_a_persons_folder_is_told(enrol, server, people, name, small, tmp_path):
    (people / "barack" / "z-stranger.jpg").write_bytes(small("biden.jpg"))
    done = enrol(server, people, name, "--create-collection", "--users", "--parallel", "1", "--report", "report.jsonl")
    assert "1 not associated with their users" in done.stderr
    (entry,) = [entry for entry in lines(tmp_path / "report.jsonl") if entry["Photo"] == "barack/z-stranger.jpg"]
    (refusal,) = entry["UnsuccessfulFaceAssociations"]
    assert refusal["Reasons"] == ["LOW_MATCH_CONFIDENCE"] and entry["Status"] == "indexed"
    face = {face["ExternalImageId"]: face for face in server.client.list_faces(CollectionId=name)["Faces"]}["barack:z-stranger.jpg"]
    assert "UserId" not in face


@pytest.mark.parametrize("kind", ["csv", "jsonl"])
def test_a_manifest(enrol, server, people, name, kind):
    rows = [
        {"path": "barack/obama.jpg", "ExternalImageId": "one", "UserId": "the-president"},
        {"path": "barack/obama2.jpg", "ExternalImageId": "two", "UserId": "the-president"},
        {"path": "joe/biden.jpg", "ExternalImageId": "three"},
    ]
    manifest = people / f"people.{kind}"
    if kind == "csv":
        text = io.StringIO()
        writer = csv.DictWriter(text, ["path", "ExternalImageId", "UserId"])
        writer.writeheader()
        writer.writerows(rows)
        manifest.write_text(text.getvalue())
    else:
        manifest.write_text("".join(json.dumps(row) + "\n" for row in rows))
    enrol(server, manifest, name, "--create-collection", "--users")
    assert faces(server, name) == expected({row["ExternalImageId"]: (people / row["path"]).read_bytes() for row in rows})
    owners = {face["ExternalImageId"]: face.get("UserId") for face in server.client.list_faces(CollectionId=name)["Faces"]}
    assert owners == {"one": "the-president", "two": "the-president", "three": None}
    assert "without --users it is not used" in enrol(server, manifest, name, "--report", "other.jsonl").stderr


def test_a_manifest_that_is_wrong_does_nothing(enrol, server, people, name, tmp_path):
    manifest = people / "people.csv"
    manifest.write_text(
        "path,ExternalImageId\nbarack/obama.jpg,a\nbarack/gone.jpg,b\nbarack/obama2.jpg,a\nbarack/obama.jpg,c\njoe/biden.jpg,d e\n"
    )
    before = calls(server, "IndexFaces")
    told = enrol(server, manifest, name, "--create-collection", code=1).stderr
    for wanted in (
        "nothing was done",
        "line 3: barack/gone.jpg: No such file",
        "barack/obama.jpg and barack/obama2.jpg would both have the ExternalImageId a",
        "barack/obama.jpg is there twice",
        "line 6: an ExternalImageId has",
    ):
        assert wanted in told, told
    assert calls(server, "IndexFaces") == before and name not in server.client.list_collections()["CollectionIds"]
    assert not (tmp_path / f"enrol-{name}.jsonl").exists()
    manifest.write_text("path,ExternalImageId\nbarack/obama.jpg,a\nbarack/obama2.jpg,a\n")
    enrol(server, manifest, name, "--create-collection", "--shared-ids")
    assert [external for _, external in faces(server, name)] == ["a", "a"]


@pytest.fixture(scope="module")
def moto(tmp_path_factory):
    with Moto(tmp_path_factory.mktemp("moto")) as moto:
        yield moto


def test_a_bucket(enrol, start_server, moto, people, name, tmp_path):
    s3 = moto.client("s3")
    s3.create_bucket(Bucket="photos")
    for path in people.rglob("*.jpg"):
        s3.put_object(Bucket="photos", Key=f"team/{path.relative_to(people)}", Body=path.read_bytes())
    s3.put_object(Bucket="photos", Key="team/notes.txt", Body=b"no photo")
    s3.put_object(Bucket="photos", Key="teams/other.jpg", Body=b"of others")
    server = start_server(
        args=["--s3-endpoint", moto.url, "--s3-region", REGION],
        env={"REKOLLECT_S3_ACCESS_KEY_ID": "any", "REKOLLECT_S3_SECRET_ACCESS_KEY": "any"},
    )
    args = ["--create-collection", "--users", "--s3-endpoint-url", moto.url]
    done = enrol(server, "s3://photos/team/", name, *args)
    assert "4 photos: 4 indexed" in done.stderr and "1 other files are left out" in done.stderr
    assert faces(server, name) == expected(of_folder(people))
    assert {user["UserId"] for user in server.client.list_users(CollectionId=name)["Users"]} == {"barack", "joe"}
    # Its entity tag tells that an object has changed.
    s3.put_object(Bucket="photos", Key="team/joe/biden.jpg", Body=(people / "barack/obama.jpg").read_bytes())
    assert "1 indexed with 1 faces, 0 without a face to index, 0 failed, 3 done before" in enrol(server, "s3://photos/team", name, *args).stderr
    # By manifest, beside a file.
    manifest = people / "mixed.jsonl"
    rows = [{"path": "s3://photos/team/barack/obama.jpg", "ExternalImageId": "there"}, {"path": "joe/biden.jpg", "ExternalImageId": "here"}]
    manifest.write_text("\n".join(map(json.dumps, rows)))
    enrol(server, manifest, f"{name}-2", "--create-collection")
    wanted = {"there": (people / "barack/obama.jpg").read_bytes(), "here": (people / "joe/biden.jpg").read_bytes()}
    assert faces(server, f"{name}-2") == expected(wanted)
    told = enrol(server, "s3://nothing/team", name, "--s3-endpoint-url", moto.url, code=1).stderr
    assert "s3://nothing/team cannot be listed: S3 answered 404 Not Found NoSuchBucket" in told


def test_a_dry_run_says_what_would_be_done_and_does_nothing(enrol, server, people, name, tmp_path):
    (people / "joe" / "large.jpg").write_bytes(b"\xff\xd8" + bytes(6 << 20))
    before = calls(server, "IndexFaces")
    done = enrol(server, people, name, "--create-collection", "--users", "--dry-run", code=FAILED)
    assert f"would make the collection {name}\n" in done.stdout
    assert "would index joe/biden.jpg: ExternalImageId joe:biden.jpg, user joe\n" in done.stdout
    assert "would fail: joe/large.jpg: the file has 6291458 bytes" in done.stdout
    assert "4 photos would be indexed, 1 would fail, 0 are done before" in done.stderr
    assert calls(server, "IndexFaces") == before and name not in server.client.list_collections()["CollectionIds"]
    assert not (tmp_path / f"enrol-{name}.jsonl").exists()
    (people / "joe" / "large.jpg").unlink()
    enrol(server, people, name, "--create-collection", "--users")
    done = enrol(server, people, name, "--users", "--dry-run")
    assert done.stdout == "" and "0 photos would be indexed, 0 would fail, 4 are done before" in done.stderr


def test_bad_photos_are_told_and_the_others_go_on(enrol, server, people, name, photo, small, tmp_path):
    whole = small("obama.jpg")
    bad = {
        "cut.jpg": (whole[:500], "InvalidImageFormatException"),
        "text.png": (b"no photo at all", "InvalidImageFormatException"),
        "empty.jpg": (b"", "ValidationException"),
        "large.jpg": (whole + bytes(6 << 20), "TooLarge"),
        "tiny.jpg": (saved(opened(whole).resize((40, 40))), "InvalidParameterException"),
    }
    for file, (data, _) in bad.items():
        (people / file).write_bytes(data)
    (people / "nobody.png").write_bytes(saved(Image.new("RGB", (200, 200), "grey"), "PNG"))
    good = {name: data for name, data in of_folder(people).items() if ":" in name}
    done = enrol(server, people, name, "--create-collection", code=FAILED)
    assert f"10 photos: 4 indexed with 4 faces, 1 without a face to index, {len(bad)} failed" in done.stderr
    assert faces(server, name) == expected(good)
    entries = {entry["Photo"]: entry for entry in lines(tmp_path / f"enrol-{name}.jsonl")}
    assert {file: entries[file]["Error"]["Code"] for file in bad} == {file: code for file, (_, code) in bad.items()}
    assert entries["nobody.png"]["Status"] == "unindexed"
    # What is mended is done by the same command, and nothing else is.
    for file in bad:
        (people / file).write_bytes(small("sample1.jpg") + file.encode())
    before = calls(server, "IndexFaces")
    done = enrol(server, people, name)
    assert f"{len(bad)} indexed" in done.stderr and "5 done before" in done.stderr
    assert calls(server, "IndexFaces") == before + len(bad)


def test_faces_that_are_left_out_are_told_with_their_reasons(enrol, server, name, tmp_path, fixtures):
    folder = tmp_path / "scenes"
    folder.mkdir()
    shutil.copy(fixtures / "scenes" / "identification1.jpg", folder)
    enrol(server, folder, name, "--create-collection", "--max-faces", "2", "--quality-filter", "none", "--report", "two.jsonl")
    (entry,) = lines(tmp_path / "two.jsonl")
    assert len(entry["Faces"]) == 2 and len(faces(server, name)) == 2
    reasons = [face["Reasons"] for face in entry["UnindexedFaces"]]
    assert reasons and all(reason == ["EXCEEDS_MAX_FACES"] for reason in reasons)
    # Other terms are another enrolment's, and its report is left alone.
    told = enrol(server, folder, name, "--report", "two.jsonl", code=1).stderr
    assert "belongs to another run" in told and len(lines(tmp_path / "two.jsonl")) == 1


# Endpoints and keys.


@pytest.fixture(scope="module")
def signed(start_server):
    """A server that knows one key, and a client with that key."""
    server = start_server(args=["--access-key-id", "AKIAKNOWN", "--metrics", "on"], env={"REKOLLECT_SECRET_ACCESS_KEY": "hush:;#="})
    server.client = rekognition(server.url, ("AKIAKNOWN", "hush:;#="))
    return server


def test_a_wrong_key_ends_it_at_once(enrol, signed, people, name, tmp_path):
    for key, code in (
        ({}, "UnrecognizedClientException"),
        ({"AWS_ACCESS_KEY_ID": "AKIAKNOWN", "AWS_SECRET_ACCESS_KEY": "wrong-secret"}, "InvalidSignatureException"),
    ):
        before = calls(signed, "IndexFaces")
        done = enrol(signed, people, name, "--create-collection", env=environment(**key), code=1, seconds=10)
        assert code in done.stderr and "wrong-secret" not in done.stderr
        assert calls(signed, "IndexFaces") == before
    # Nothing stands in the way of the right one.
    right = environment(AWS_ACCESS_KEY_ID="AKIAKNOWN", AWS_SECRET_ACCESS_KEY="hush:;#=")
    assert "4 indexed" in enrol(signed, people, name, "--create-collection", env=right).stderr


def test_a_key_of_a_profile(enrol, signed, people, name, tmp_path):
    (tmp_path / "keys").write_text("[faces]\naws_access_key_id = AKIAKNOWN\naws_secret_access_key = hush:;#=\n")
    (tmp_path / "profiles").write_text(f"[profile faces]\nregion = {REGION}\nendpoint_url = {signed.url}\n")
    files = {"AWS_SHARED_CREDENTIALS_FILE": str(tmp_path / "keys"), "AWS_CONFIG_FILE": str(tmp_path / "profiles")}
    bare = {name: value for name, value in environment(**files).items() if name not in KEYS}
    line = [BINARY, "enrol", people, "--collection", name, "--create-collection"]
    for number, (args, more) in enumerate([(["--profile", "faces"], {}), ([], {"AWS_PROFILE": "faces"})]):
        report = ["--report", tmp_path / f"{number}.jsonl"]
        done = subprocess.run([*line, *args, *report], env={**bare, **more}, capture_output=True, text=True, timeout=60)
        assert done.returncode == 0 and "4 indexed" in done.stderr, done.stderr
    done = subprocess.run(line, env=bare, capture_output=True, text=True, timeout=60)
    assert done.returncode == 1 and "no endpoint" in done.stderr


def test_nobody_at_the_endpoint_is_told_soon(enrol, people, name):
    begin = time.monotonic()
    told = enrol("http://127.0.0.1:9", people, name, code=1).stderr
    assert "no answer from http://127.0.0.1:9/" in told and time.monotonic() - begin < 10


def test_somebody_else_at_the_endpoint_is_told(enrol, people, name):
    class Page(http.server.BaseHTTPRequestHandler):
        def do_POST(self):
            self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b"<html>welcome</html>")

        def log_message(self, *_arguments):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Page) as page:
        threading.Thread(target=page.serve_forever, daemon=True).start()
        told = enrol(f"http://127.0.0.1:{page.server_address[1]}", people, name, code=1).stderr
        page.shutdown()
    assert "is this the right address?" in told and "welcome" not in told


def test_a_collection_that_is_not_there(enrol, server, people, name):
    told = enrol(server, people, name, code=1).stderr
    assert f"there is no collection {name}" in told and "--create-collection" in told


def test_a_collection_that_goes_away_ends_it(enrol, server, many, name, tmp_path):
    folder, _ = many(60)
    process = start(server, folder, name, tmp_path)
    wait_for_lines(process, tmp_path / "report.jsonl", 10)
    server.client.delete_collection(CollectionId=name)
    assert process.wait(timeout=60) == 1
    told = process.stderr.read()
    assert "still to do" in told and "ResourceNotFoundException" in told


def test_a_collection_that_is_full_ends_it(enrol, start_server, many, name):
    server = start_server(args=["--max-faces", "10"])
    folder, _ = many(40)
    told = enrol(server, folder, name, "--create-collection", "--parallel", "2", code=1).stderr
    assert "ServiceQuotaExceededException" in told and "10 indexed" in told and "0 failed, 30 still to do" in told
    assert len(faces(server, name)) == 10


# Throttling, faults, kills.


@pytest.fixture(scope="module")
def many(tmp_path_factory, photo):
    """A folder of so many photos that differ in their bytes, each with one face; and those bytes by their ExternalImageId."""
    bases = []
    for base in ("obama.jpg", "obama2.jpg", "biden.jpg"):
        image = opened(photo(base))
        image.thumbnail((220, 220))
        bases.append(image)
    made = {}

    def make(count):
        if count not in made:
            folder = tmp_path_factory.mktemp("many")
            for number in range(count):
                # Some 100 in a sub-folder; a comment in the file makes it another photo.
                path = folder / f"{number // 100:03}" / f"{number:05}.jpg"
                path.parent.mkdir(exist_ok=True)
                path.write_bytes(saved(bases[number % len(bases)], comment=f"photo {number}".encode()))
            made[count] = folder, of_folder(folder)
        return made[count]

    return make


def start(server, source, collection, folder, *args):
    """Starts an enrolment whose report is report.jsonl in a folder."""
    line = command(server, source, collection, "--create-collection", "--report", folder / "report.jsonl", *args)
    return subprocess.Popen(line, env=environment(), cwd=folder, stderr=subprocess.PIPE, text=True)


def wait_for_lines(process, report, count):
    """Until the report has so many lines."""
    deadline = time.monotonic() + 300
    while not report.exists() or report.read_bytes().count(b"\n") <= count:
        assert process.poll() is None and time.monotonic() < deadline, process.stderr.read()
        time.sleep(0.005)


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT], ids=["killed", "interrupted"])
def test_an_enrolment_that_is_stopped_twice_ends_with_exactly_the_right_faces(enrol, server, many, name, tmp_path, how):
    folder, photos = many(PHOTOS_TO_KILL)
    report = tmp_path / "report.jsonl"
    before, begin = calls(server, "IndexFaces"), time.monotonic()
    for share in (1 / 3, 2 / 3):
        process = start(server, folder, name, tmp_path)
        wait_for_lines(process, report, int(share * len(photos)))
        process.send_signal(how)
        code = process.wait(timeout=60)
        assert code == (-signal.SIGKILL if how == signal.SIGKILL else INTERRUPTED)
        assert report.read_bytes().count(b"\n") < len(photos)
        if how == signal.SIGINT:
            assert "the same command goes on from here" in process.stderr.read()
    # As if the second kill had come in the middle of a line.
    with report.open("ab") as file:
        file.write(b'{"Photo":"000/000')
    done = enrol(server, folder, name, "--report", report, seconds=1200)
    assert "done before" in done.stderr and "still to do" not in done.stderr
    assert faces(server, name) == expected(photos)
    entries = lines(report)
    assert sorted(entry["Photo"].replace("/", ":") for entry in entries) == sorted(photos)
    # What was in progress at a kill is asked again, and nothing else: none is lost or done twice.
    again = calls(server, "IndexFaces") - before - len(photos)
    assert 0 <= again <= (2 * 8 if how == signal.SIGKILL else 0)
    print(f"{len(photos)} photos, stopped twice: {time.monotonic() - begin:.0f} s, {again:.0f} asked again")


def test_a_second_interrupt_does_not_wait(server, people, name, tmp_path, faults):
    faults(operation="IndexFaces", latency_ms=20_000)
    process = start(server, people, name, tmp_path)
    wait_for_lines(process, tmp_path / "report.jsonl", 0)
    time.sleep(0.5)
    process.send_signal(signal.SIGTERM)
    assert "once more stops at once" in process.stderr.readline()
    process.send_signal(signal.SIGINT)
    assert process.wait(timeout=5) == INTERRUPTED


def test_two_at_the_same_time(enrol, server, many, name, tmp_path):
    folder, photos = many(60)
    first = start(server, folder, name, tmp_path)
    wait_for_lines(first, tmp_path / "report.jsonl", 0)
    # The same report is refused; another one is the same photos once more, and doubles nothing.
    told = enrol(server, folder, name, "--report", tmp_path / "report.jsonl", code=1).stderr
    assert "is held by another run that goes on now" in told
    enrol(server, folder, name, "--report", tmp_path / "second.jsonl")
    assert first.wait(timeout=60) == 0, first.stderr.read()
    assert faces(server, name) == expected(photos)
    assert len(lines(tmp_path / "report.jsonl")) == len(lines(tmp_path / "second.jsonl")) == len(photos)


def test_two_at_the_same_time_share_users(enrol, server, people, name, tmp_path):
    first = start(server, people, name, tmp_path, "--users")
    enrol(server, people, name, "--create-collection", "--users", "--report", tmp_path / "second.jsonl")
    assert first.wait(timeout=60) == 0, first.stderr.read()
    assert faces(server, name) == expected(of_folder(people))
    assert {face["UserId"] for face in server.client.list_faces(CollectionId=name)["Faces"]} == {"barack", "joe"}


def test_a_server_that_throttles_gets_its_time(enrol, start_server, many, name):
    server = start_server(args=["--rates", "IndexFaces=10"])
    folder, photos = many(40)
    begin = time.monotonic()
    done = enrol(server, folder, name, "--create-collection", "--parallel", "16")
    assert f"{len(photos)} indexed" in done.stderr and "calls made again" in done.stderr
    assert faces(server, name) == expected(photos)
    # A second's worth may come at once.
    assert time.monotonic() - begin >= (len(photos) - 10) / 10


@pytest.mark.parametrize("error", ["InternalServerError", "ThrottlingException", "ProvisionedThroughputExceededException"])
def test_calls_that_fail_now_and_then_are_made_again(enrol, server, many, name, faults, error):
    folder, photos = many(40)
    faults(operation="IndexFaces", error=error, probability=0.4, seed=11)
    done = enrol(server, folder, name, "--create-collection")
    assert "calls made again" in done.stderr
    assert faces(server, name) == expected(photos)


def test_photos_whose_user_failed_are_tried_again(enrol, server, people, name, faults, tmp_path):
    faults(operation="AssociateFaces", error="LimitExceededException", calls=2)
    enrol(server, people, name, "--create-collection", "--users", "--parallel", "1", code=FAILED)
    failed = [entry for entry in lines(tmp_path / f"enrol-{name}.jsonl") if entry["Status"] == "failed"]
    assert [entry["Error"]["Operation"] for entry in failed] == ["AssociateFaces"] * 2
    assert "2 indexed" in enrol(server, people, name, "--users").stderr
    assert faces(server, name) == expected(of_folder(people))
    assert {face["UserId"] for face in server.client.list_faces(CollectionId=name)["Faces"]} == {"barack", "joe"}


def test_a_server_that_is_started_anew_is_waited_for(enrol, tmp_path, many, name):
    folder, photos = many(60)
    with Server(tmp_path / "server") as first:
        port = first.port
        process = start(first, folder, name, tmp_path)
        wait_for_lines(process, tmp_path / "report.jsonl", 10)
        first.process.kill()
        first.process.wait()
    with Server(tmp_path / "server", args=["--listen", f"127.0.0.1:{port}"]) as second:
        assert process.wait(timeout=120) == 0, process.stderr.read()
        assert faces(second, name) == expected(photos)


def test_the_help_has_examples():
    done = subprocess.run([BINARY, "enrol", "--help"], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0 and "rekollect enrol people/ --collection people --create-collection --users" in done.stdout
    assert "Exit codes:" in done.stdout
