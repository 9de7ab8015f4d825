"""The audit log: what its lines say, that nothing happens without one, and that a changed, cut or missing line shows."""

import base64
import http.client
import json
import os
import resource
import shutil
import signal
import socket
import subprocess
import time
from contextlib import ExitStack, closing
from pathlib import Path

import pytest
from botocore.exceptions import ClientError
from principals import allow, deny, file_of_keys, policy, principal
from servers import BINARY, MODELS, READY, Server, get, metric, rekognition
from test_boto3 import index

APP = ("AKIAAPP", "hush, this is the secret")


@pytest.fixture
def log(tmp_path):
    return tmp_path / "audit.jsonl"


def audited(log, **more):
    return {"REKOLLECT_AUDIT_LOG": str(log), **more}


def lines(*files):
    return [json.loads(line) for file in files for line in file.read_text().splitlines()]


def calls(log, event="outcome"):
    return [line for line in lines(log) if line["event"] == event]


def finished(log):
    return sorted(log.parent.glob(f"{log.name}.*"))


def verify(*arguments):
    done = subprocess.run([BINARY, "audit", "verify", *map(str, arguments)], capture_output=True, text=True, timeout=60)
    return done.returncode, done.stdout + done.stderr


def until(condition, seconds=15):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.1)


def test_every_change_and_search_has_its_lines(tmp_path, log, photo):
    """Each operation that changes: the intent first, with what it is about, and then the outcome. Each search: the outcome. No other."""
    with Server(tmp_path, env=audited(log)) as server:
        client, people = server.client, {"CollectionId": "people"}

        def told(call, **arguments):
            before = len(lines(log))
            reply = getattr(client, call)(**arguments)
            return reply, lines(log)[before:]

        def change(call, faces=(), users=(), **arguments):
            reply, (intent, outcome) = told(call, **arguments)
            assert (intent["event"], outcome["event"], outcome["outcome"]) == ("intent", "outcome", "ok")
            for line in (intent, outcome):
                assert line["operation"].lower() == call.replace("_", "")
                assert line["collection"] == "people"
                assert line["request_id"] == reply["ResponseMetadata"]["RequestId"]
                assert line["source"].startswith("127.0.0.1:") and line["account"] == "000000000000"
                assert "caller" in line and "access_key_id" not in line
            if faces is not None:
                assert sorted(intent.get("faces", [])) == sorted(outcome.get("faces", [])) == sorted(faces)
            assert intent.get("users", []) == outcome.get("users", []) == list(users)
            return reply, outcome

        reply, _ = change("create_collection", **people)
        arn = f"arn:{reply['CollectionArn']}"
        reply, outcome = change("index_faces", faces=None, Image={"Bytes": photo("obama.jpg")}, **people)
        face = reply["FaceRecords"][0]["Face"]["FaceId"]
        assert outcome["faces"] == [record["Face"]["FaceId"] for record in reply["FaceRecords"]]
        _, outcome = change("index_faces", faces=None, Image={"Bytes": photo("obama2.jpg")}, **people)
        (other,) = outcome["faces"]
        change("create_user", users=["barack"], UserId="barack", **people)
        change("associate_faces", [face], ["barack"], UserId="barack", FaceIds=[face], **people)
        change("tag_resource", ResourceArn=arn, Tags={"team": "a secret of the team"})
        change("untag_resource", ResourceArn=arn, TagKeys=["team"])

        searches = [
            ("search_faces", {"FaceId": face}, [face, other], []),
            ("search_faces_by_image", {"Image": {"Bytes": photo("obama.jpg")}}, [face, other], []),
            ("search_users", {"FaceId": other}, [other], ["barack"]),
            ("search_users", {"UserId": "barack"}, [], ["barack"]),
            ("search_users_by_image", {"Image": {"Bytes": photo("obama2.jpg")}}, [], ["barack"]),
        ]
        for call, arguments, faces, users in searches:
            _, (outcome,) = told(call, **people, **arguments)
            assert (outcome["outcome"], outcome.get("faces", []), outcome.get("users", [])) == ("ok", faces, users), call
        for call in ("list_faces", "list_users", "describe_collection", "list_collections"):
            assert told(call, **({} if call == "list_collections" else people))[1] == []

        change("disassociate_faces", [face], ["barack"], UserId="barack", FaceIds=[face], **people)
        # What was asked for, and what came of it.
        unknown = "00000000-0000-4000-8000-000000000000"
        _, (intent, outcome) = told("delete_faces", FaceIds=[face, unknown], **people)
        assert (intent["faces"], outcome["faces"]) == ([face, unknown], [face])
        change("delete_user", users=["barack"], UserId="barack", **people)
        change("delete_collection", **people)
        # What fails has its error, and without a change no intent.
        with pytest.raises(ClientError):
            client.delete_collection(**people)
        assert [line["event"] for line in lines(log)[-2:]] == ["intent", "outcome"]
        assert lines(log)[-1]["outcome"] == "ResourceNotFoundException"
        with pytest.raises(ClientError):
            client.search_faces(CollectionId="people", FaceId=other)
        assert (lines(log)[-1]["outcome"], lines(log)[-1]["faces"]) == ("ResourceNotFoundException", [other])
        with pytest.raises(ClientError):
            client.index_faces(CollectionId="not / a name", Image={"Bytes": b"x"})
        assert lines(log)[-1]["outcome"] == "ValidationException" and lines(log)[-2]["event"] == "outcome"
    text = log.read_text()
    assert "secret" not in text and max(map(len, text.splitlines())) < 2000
    assert log.stat().st_mode & 0o777 == 0o600
    assert verify(log) == (0, f"whole: {len(lines(log))} lines, number 1 to {len(lines(log))}\nlast hash: {lines(log)[-1]['hash']}\n")


def test_who_knocks_is_noted(tmp_path, log):
    all_but_one = policy(allow("rekognition:*"), deny("rekognition:DeleteCollection"))
    keys = file_of_keys(tmp_path, principal("app", APP, account="111122223333", policies=[all_but_one]))
    with Server(tmp_path, env=audited(log, REKOLLECT_CREDENTIALS=keys)) as server:
        app, stranger = rekognition(server.url, APP), rekognition(server.url, ("AKIANOBODY", "guessed"))
        liar = rekognition(server.url, (APP[0], "guessed"))
        app.create_collection(CollectionId="people")
        for client, call in ((app, "delete_collection"), (stranger, "delete_collection"), (liar, "describe_collection")):
            with pytest.raises(ClientError):
                getattr(client, call)(CollectionId="people")
        created, denied, unknown, untrue = calls(log)
        arn = "arn:aws:iam::111122223333:user/app"
        assert (created["caller"], created["access_key_id"], created["account"]) == (arn, "AKIAAPP", "111122223333")
        assert (denied["caller"], denied["operation"], denied["collection"], denied["outcome"]) == (
            arn,
            "DeleteCollection",
            "people",
            "AccessDeniedException",
        )
        assert (unknown["access_key_id"], unknown["outcome"]) == ("AKIANOBODY", "UnrecognizedClientException")
        assert (untrue["access_key_id"], untrue["outcome"]) == ("AKIAAPP", "InvalidSignatureException")
        assert "caller" not in unknown and "caller" not in untrue and "collection" not in untrue
        # A header that a client makes up says nothing of where it is.
        with closing(http.client.HTTPConnection("127.0.0.1", server.port)) as connection:
            connection.request("POST", "/", b"{}", {"X-Amz-Target": "RekognitionService.Made\nUp"[:23], "X-Forwarded-For": "203.0.113.5"})
            assert connection.getresponse().status == 400
        assert calls(log)[-1]["source"].startswith("127.0.0.1:") and "operation" not in calls(log)[-1]
        # Nobody fills the disk by knocking.
        before = len(calls(log))
        begun = time.monotonic()
        for _ in range(200):
            with pytest.raises(ClientError):
                stranger.list_collections()
        time.sleep(1.2)
        with pytest.raises(ClientError):
            stranger.list_collections()
        knocks = calls(log)[before:]
        assert len(knocks) <= 11 * (time.monotonic() - begun) + 11
        assert len(knocks) + sum(line.get("left_out", 0) for line in knocks) == 201
        assert knocks[-1]["left_out"] > 0
    assert verify(log)[0] == 0 and "hush" not in log.read_text()


def test_the_chain_goes_on_over_starts_and_files(tmp_path, log, photo):
    for _ in range(3):
        with Server(tmp_path, env=audited(log, REKOLLECT_AUDIT_LOG_SIZE="3000")) as server:
            for number in range(4):
                server.client.create_collection(CollectionId=f"c{number}")
                server.client.delete_collection(CollectionId=f"c{number}")
    files = [*finished(log), log]
    assert len(files) > 4 and all(file.stat().st_size <= 3000 for file in files)
    numbers = [line["seq"] for line in lines(*files)]
    assert numbers == list(range(1, len(numbers) + 1))
    assert [line["event"] for line in lines(*files)].count("start") == 3
    code, text = verify(*files)
    assert (code, text.splitlines()[0]) == (0, f"whole: {len(numbers)} lines, number 1 to {len(numbers)}")
    # A part of it says what it follows.
    code, text = verify(*files[2:])
    assert code == 0 and f"the lines before follow from their last hash: {lines(files[1])[-1]['hash']}" in text
    # A missing file shows, and a swapped one.
    code, text = verify(*files[:1], *files[2:])
    assert code == 1 and f"{files[2]}, line 1: it has the number" in text
    assert verify(files[1], files[0], *files[2:])[0] == 1
    # The end between two files, when there is no current one.
    shutil.move(log, log.with_name(f"{log.name}.{time.strftime('%Y%m%dT%H%M%S', time.gmtime())}999Z-{numbers[-1]:012}"))
    time.sleep(1.1)
    with Server(tmp_path, env=audited(log)) as server:
        pass
    assert lines(log)[0]["seq"] == numbers[-1] + 1 and verify(*finished(log), log)[0] == 0
    # Only so many are kept, where that is wanted.
    with Server(tmp_path, env=audited(log, REKOLLECT_AUDIT_LOG_SIZE="1000", REKOLLECT_AUDIT_LOG_FILES="2")) as server:
        for _ in range(5):
            server.client.create_collection(CollectionId="c")
            server.client.delete_collection(CollectionId="c")
    assert len(finished(log)) == 2 and verify(*finished(log), log)[0] == 0


def test_a_changed_line_shows(tmp_path, log):
    with Server(tmp_path, env=audited(log)) as server:
        for number in range(3):
            server.client.create_collection(CollectionId=f"c{number}")
    whole = log.read_text().splitlines(keepends=True)
    assert len(whole) == 7

    def broken(changed):
        log.write_text("".join(changed))
        code, text = verify(log)
        assert code == 1 and text.startswith(f"rekollect: {log}, line "), text
        return text.removeprefix(f"rekollect: {log}, line ").strip()

    assert broken([*whole[:3], whole[3].replace('"c1"', '"c2"'), *whole[4:]]).startswith("4: its hash does not fit")
    assert broken([*whole[:3], *whole[4:]]).startswith("4: it has the number 5, and 4 comes next")
    assert broken([*whole[:3], whole[4], whole[3], *whole[5:]]).startswith("4: it has the number 5")
    assert broken([*whole[:6], whole[6][:50]]).startswith("7: it is cut off")
    assert broken([*whole[:3], "nothing\n", *whole[3:]]).startswith("4: it is no line")
    # The last lines alone can be taken away without a trace in the file: the hash that was noted shows it.
    log.write_text("".join(whole[:5]))
    assert verify(log)[0] == 0
    noted = json.loads(whole[6])["hash"]
    assert "no line has the hash that was noted" in verify("--contains", noted, log)[1]
    log.write_text("".join(whole))
    assert verify("--contains", noted, log)[0] == 0
    assert verify("--contains", "abc", log)[0] == 1 and verify("/nonexistent")[0] == 1
    # From standard input too.
    done = subprocess.run([BINARY, "audit", "verify", "-"], input=log.read_bytes(), capture_output=True, timeout=60)
    assert done.returncode == 0
    # What does not fit is not continued.
    log.write_text("".join([*whole[:6], whole[6].replace('"c2"', '"c1"')]))
    assert "cannot be continued: its hash does not fit" in refused(tmp_path, audited(log))
    assert log.read_text().count("\n") == 7


def refused(folder, environment):
    """What a server says that does not start."""
    settings = {"REKOLLECT_MODELS_DIR": str(MODELS), "REKOLLECT_DATA_DIR": str(folder / "data"), "REKOLLECT_PACK": "standard"}
    command = [BINARY, "serve", "--listen", "127.0.0.1:0"]
    done = subprocess.run(command, env={**os.environ, **settings, **environment}, capture_output=True, text=True, timeout=60)
    assert done.returncode == 1
    return done.stderr


def test_a_key_cannot_be_done_without(tmp_path, log):
    key, other, short = tmp_path / "audit.key", tmp_path / "other.key", tmp_path / "short.key"
    key.write_text("6b657920666f7220746865206175646974206c6f67\n")
    other.write_text("anotherkeyanotherkeyanotherkeyanotherkey\n")
    short.write_text("short\n")
    with Server(tmp_path, env=audited(log, REKOLLECT_AUDIT_KEY=str(key))) as server:
        server.client.create_collection(CollectionId="people")
    before = log.read_bytes()
    assert verify("--audit-key", key, log)[0] == 0
    for wrong in ([], ["--audit-key", other]):
        code, text = verify(*wrong, log)
        assert code == 1 and "line 1: its hash does not fit: the line was changed, or it was written with another key" in text
    assert "has less than 32 bytes" in verify("--audit-key", short, log)[1]
    for wrong in ({}, {"REKOLLECT_AUDIT_KEY": str(other)}):
        text = refused(tmp_path, audited(log, **wrong))
        assert "--audit-log (REKOLLECT_AUDIT_LOG): the last line of" in text and "name the key that it was written with" in text
    assert "--audit-key (REKOLLECT_AUDIT_KEY)" in refused(tmp_path, audited(log, REKOLLECT_AUDIT_KEY="/nonexistent"))
    assert log.read_bytes() == before
    assert "6b657920" not in log.read_text() + server.log.read_text()


def test_a_cut_line_is_told(tmp_path, log):
    with Server(tmp_path, env=audited(log)) as server:
        server.client.create_collection(CollectionId="people")
    whole = log.read_text().splitlines(keepends=True)
    for cut in (whole[-1][:120], whole[-1].rstrip("\n"), "x" * 100_000):
        log.write_text("".join(whole[:-1]) + cut)
        with Server(tmp_path, env=audited(log)) as server:
            pass
        repair = lines(log)[len(whole) - 1]
        assert (repair["event"], repair["cut_bytes"], repair["cut"]) == ("repair", len(cut), cut[:4096])
        assert lines(log)[-1]["event"] == "start" and verify(log)[0] == 0
        assert "a line says so now" in server.log.read_text()


def test_a_crash_loses_no_line_of_what_was_answered(tmp_path, log, photo):
    with Server(tmp_path, env=audited(log)) as server:
        server.client.create_collection(CollectionId="people")
        face = index(server.client, "people", photo("obama.jpg"), "obama")
        server.client.search_faces_by_image(CollectionId="people", Image={"Bytes": photo("obama2.jpg")})
        server.process.kill()
        server.process.wait()
    assert [line["operation"] for line in calls(log)] == ["CreateCollection", "IndexFaces", "SearchFacesByImage"]
    assert face and verify(log)[0] == 0


def test_one_log_has_one_writer(tmp_path, log):
    with Server(tmp_path / "one", env=audited(log)):
        assert "another server writes to it" in refused(tmp_path / "two", audited(log))
    assert verify(log)[0] == 0


def test_standard_output_and_streams(tmp_path):
    settings = {"REKOLLECT_MODELS_DIR": str(MODELS), "REKOLLECT_DATA_DIR": str(tmp_path), "REKOLLECT_PACK": "standard"}
    command, environment = [BINARY, "serve", "--listen", "127.0.0.1:0"], {**os.environ, **settings, **audited("-")}
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        said = []
        while not (said and (ready := READY.match(said[-1]))):
            said.append(process.stdout.readline())
            assert said[-1]
        rekognition(ready[1]).create_collection(CollectionId="people")
        process.terminate()
        said += process.stdout.readlines()
    text = "".join(line for line in said if line.startswith('{"seq"'))
    assert [json.loads(line)["event"] for line in text.splitlines()] == ["start", "intent", "outcome"]
    done = subprocess.run([BINARY, "audit", "verify", "-"], input=text, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout.splitlines()[0]) == (0, "whole: 3 lines, number 1 to 3")


def test_what_cannot_be_written_is_told_at_the_start(tmp_path):
    assert "No space left on device" in refused(tmp_path, audited("/dev/full"))
    assert "--audit-log (REKOLLECT_AUDIT_LOG): cannot open" in refused(tmp_path, audited(tmp_path / "none/audit.jsonl"))


def test_a_full_disk_in_the_middle_of_a_line(start_server, tmp_path, photo):
    """The limit of a file's size stands in for the disk. It cuts a line after some bytes, as a full disk does; with Postgres no other file
    grows here."""
    log = tmp_path / "audit.jsonl"
    server = start_server(store="postgres", env=audited(log), before_start=lambda: signal.signal(signal.SIGXFSZ, signal.SIG_IGN))
    client, image = server.client, {"Bytes": photo("obama.jpg")}
    client.create_collection(CollectionId="people")
    index(client, "people", photo("obama.jpg"), "obama")
    whole = log.read_bytes()
    _, hard = resource.prlimit(server.process.pid, resource.RLIMIT_FSIZE)

    def room(more):
        limit = log.stat().st_size + more if more is not None else hard
        resource.prlimit(server.process.pid, resource.RLIMIT_FSIZE, (limit, hard))

    def fails(call, **arguments):
        with pytest.raises(ClientError) as failure:
            getattr(client, call)(**arguments)
        assert failure.value.response["Error"]["Code"] == "InternalServerError"
        assert failure.value.response["Error"]["Message"] == "Internal server error"

    room(100)
    fails("delete_faces", CollectionId="people", FaceIds=[face["FaceId"] for face in client.list_faces(CollectionId="people")["Faces"]])
    # Not a byte of the line stays.
    assert log.read_bytes() == whole
    assert get(server, "/readyz") == (503, "the audit log cannot be written\n") and metric(server, "audit_failing") == 1
    fails("create_collection", CollectionId="more")
    fails("search_faces_by_image", CollectionId="people", Image=image)
    # What neither changes nor searches goes on, and nothing was changed.
    assert client.list_collections()["CollectionIds"] == ["people"]
    assert len(client.list_faces(CollectionId="people")["Faces"]) == 1
    room(None)
    until(lambda: get(server, "/readyz")[0] == 200)
    assert metric(server, "audit_failing") == 0
    client.create_collection(CollectionId="more")
    resumed = next(line for line in lines(log) if line["event"] == "resume")
    # Of each refused change, intent and outcome; of the search its outcome. Nothing was owed.
    assert resumed["unwritten"] == 5
    assert log.read_bytes().startswith(whole) and verify(log)[0] == 0

    # Room for the intent alone: the change is made and told, and its outcome is written when it can be.
    client.delete_collection(CollectionId="more")
    intent, outcome = lines(log)[-2:]
    assert (intent["event"], outcome["event"]) == ("intent", "outcome")
    room(len(json.dumps(intent, separators=(",", ":"))) + 10)
    client.create_collection(CollectionId="more")
    assert "more" in client.list_collections()["CollectionIds"]
    assert lines(log)[-1]["event"] == "intent" and get(server, "/readyz")[0] == 503
    room(None)
    until(lambda: get(server, "/readyz")[0] == 200)
    owed, resumed = lines(log)[-2:]
    assert (owed["event"], owed["operation"], owed["outcome"], resumed["event"]) == ("outcome", "CreateCollection", "ok", "resume")
    assert verify(log)[0] == 0


def test_a_log_that_is_removed_goes_on(tmp_path, log):
    with Server(tmp_path, env=audited(log)) as server:
        server.client.create_collection(CollectionId="one")
        end = lines(log)[-1]["seq"]
        log.unlink()
        server.client.create_collection(CollectionId="two")
    assert lines(log)[0]["seq"] == end + 1
    assert "the audit log was removed" in server.log.read_text()


def test_whoever_leaves_has_a_line(tmp_path, log, photo):
    """Clients that go away while a photo of theirs waits, or is looked at: one worker needs longer for all of them than they stay."""
    with Server(tmp_path, env=audited(log), args=["--workers", "1"]) as server:
        server.client.create_collection(CollectionId="people")
        body = json.dumps({"CollectionId": "people", "Image": {"Bytes": base64.b64encode(photo("sample4.jpg")).decode()}}).encode()
        head = f"POST / HTTP/1.1\r\nHost: localhost\r\nX-Amz-Target: RekognitionService.SearchFacesByImage\r\nContent-Length: {len(body)}\r\n\r\n"
        with ExitStack() as leaving:
            for _ in range(12):
                connection = leaving.enter_context(closing(socket.create_connection(("127.0.0.1", server.port))))
                connection.sendall(head.encode() + body)
            time.sleep(0.1)
        until(lambda: len(calls(log)) >= 13)
        assert {line["outcome"] for line in calls(log)[1:]} <= {"abandoned", "ok"}
        assert any(line["outcome"] == "abandoned" for line in calls(log))


def test_the_help_has_an_example():
    done = subprocess.run([BINARY, "audit", "verify", "--help"], capture_output=True, text=True, timeout=60)
    assert "rekollect audit verify --audit-key" in done.stdout and "Example" in done.stdout
    manual = subprocess.run([BINARY, "man"], capture_output=True, text=True, timeout=60)
    assert "REKOLLECT AUDIT VERIFY" in manual.stdout


