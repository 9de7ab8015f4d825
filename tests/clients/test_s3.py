"""Images in S3: out of a real S3 server (moto's) on loopback, out of a folder that stands in for one, and out of servers that misbehave."""

import hashlib
import json
import os
import socket
import subprocess
import sys
import threading
import time
import urllib.request
import uuid
from dataclasses import dataclass, field
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import boto3
import pictures
import pytest
from botocore.config import Config
from principals import allow, deny, file_of_keys, policy, principal
from servers import REGION, Server, rekognition
from test_errors import failure

MIB = 1 << 20
LIMIT = 15 * MIB
PIECE = 1 << 16

UNAVAILABLE = (
    "InvalidS3ObjectException",
    "Unable to get object metadata from S3. Check object key, region and/or access permissions.",
)
UNREADABLE = ("InvalidS3ObjectException", "Request has invalid S3 object.")
TOO_LARGE = ("ImageTooLargeException", "Image size is too large.")
AWAY = ("ThrottlingException", "Service Unavailable")
BUSY = ("ProvisionedThroughputExceededException", "S3 download limit exceeded.")

# Moto takes every key unless it is told otherwise.
KEY = {"REKOLLECT_S3_ACCESS_KEY_ID": "AKIAREKOLLECT", "REKOLLECT_S3_SECRET_ACCESS_KEY": "the-secret-half"}
# Of a host with this name moto knows that a bucket may stand before it.
CLOUD = "http://s3.amazonaws.com"

ODD_KEYS = [
    "with space.jpg",
    " at both ends ",
    "größe/straße.jpg",
    "日本/😀.jpg",
    "e\u0301 and é",
    "a+b",
    "100%",
    "c%2Fd",
    "c%2fd",
    "%2e%2e/x",
    "..%2Fx",
    "who?",
    "who?versionId=1&x=2",
    "page#1",
    "back\\slash",
    "a:b;c,d=e@f&g$h!i*j'k(l)m[n]{o}|~`^\"<>",
    "...",
    "dots/.../x",
    "SlowDown.jpg",
    "n" * 200,
]
# "c/d" and "e" are there. What a client makes of these keys when it tidies them up is one of the two, or outside of the bucket.
UNTIDY_KEYS = [
    "c//d", "/c/d", "c/d/", "//c/d", "c/./d", "./c/d", "e/../c/d", "c/../e", "/e", "e/", "e//", "/", "//", ".", "..", "../e",
    "../photos/e", "x/../../photos/e", "e\0", "\0", "c/\0d", "e\n",
]  # fmt: skip


def s3_object(name, bucket="photos", version=None):
    return {"S3Object": {"Bucket": bucket, "Name": name, **({"Version": version} if version else {})}}


def image_id(data):
    """The ImageId of an image, which follows from its bytes alone and so tells which object was read."""
    return str(uuid.UUID(bytes=hashlib.sha256(data).digest()[:16], version=3))


def read_id(client, collection, name, **where):
    """The ImageId of the object that the server reads."""
    reply = client.index_faces(CollectionId=collection, Image=s3_object(name, **where), MaxFaces=1)
    (record,) = reply["FaceRecords"]
    return record["Face"]["ImageId"]


def refusal(client, name, **where):
    return failure(client.detect_faces, Image=s3_object(name, **where))


def calls(collection, image, other):
    """Every operation that takes an image, with this one; CompareFaces takes two."""
    inside = {"CollectionId": collection, "Image": image}
    return [
        ("index_faces", {**inside, "ExternalImageId": "again"}),
        ("search_faces_by_image", {**inside, "FaceMatchThreshold": 0}),
        ("search_users_by_image", {**inside, "UserMatchThreshold": 0}),
        ("detect_faces", {"Image": image}),
        ("compare_faces", {"SourceImage": image, "TargetImage": other, "SimilarityThreshold": 0}),
        ("compare_faces", {"SourceImage": other, "TargetImage": image, "SimilarityThreshold": 0}),
    ]


def no_panic(server):
    assert "panicked" not in server.log.read_text()


class Moto:
    """A moto server, stopped at the end of the `with`; `client` gives boto3 clients of it."""

    def __init__(self, folder):
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port = free.getsockname()[1]
        self.url, self.log = f"http://127.0.0.1:{self.port}", folder / "moto.txt"

    def __enter__(self):
        command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(self.port)]
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(command, stdout=log, stderr=log)
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline and self.process.poll() is None:
            try:
                socket.create_connection(("127.0.0.1", self.port)).close()
                return self
            except ConnectionRefusedError:
                time.sleep(0.02)
        self.__exit__()
        raise AssertionError(f"moto did not get ready:\n{self.log.read_text()}")

    def __exit__(self, *_exception):
        self.process.terminate()
        self.process.wait()

    def client(self, service):
        config = Config(s3={"addressing_style": "path"})
        key = {"aws_access_key_id": "any", "aws_secret_access_key": "any"}
        return boto3.client(service, endpoint_url=self.url, region_name=REGION, config=config, **key)

    def check_signatures(self):
        """From now on every request needs a key that moto's IAM gave out, a true signature and a policy that allows it."""
        request = urllib.request.Request(f"{self.url}/moto-api/reset-auth", b"0", {"Content-Type": "text/plain"})
        urllib.request.urlopen(request, timeout=30).close()

    def gets(self):
        """What it was asked for, as in the first line of each request."""
        return [line.split('"')[1].split()[1] for line in self.log.read_text().splitlines() if '"GET ' in line]


class Buckets:
    """The same objects on moto and in a folder."""

    def __init__(self, moto, folder):
        self.moto, self.s3, self.folder = moto, moto.client("s3"), folder
        self.create("photos")

    def create(self, bucket):
        self.s3.create_bucket(Bucket=bucket)
        (self.folder / bucket).mkdir(parents=True)

    def put(self, name, data, bucket="photos"):
        self.s3.put_object(Bucket=bucket, Key=name, Body=data)
        path = self.folder / bucket / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)


@pytest.fixture(scope="module")
def photo(photo):
    """The bytes of a photo, made smaller: these tests look at many, and not at their faces."""

    @cache
    def read(name):
        image = pictures.opened(photo(name))
        image.thumbnail((400, 400))
        return pictures.saved(image)

    return read


@pytest.fixture(scope="module")
def moto(tmp_path_factory):
    with Moto(tmp_path_factory.mktemp("moto")) as moto:
        yield moto


@pytest.fixture(scope="module")
def buckets(moto, tmp_path_factory, photo):
    buckets = Buckets(moto, tmp_path_factory.mktemp("s3"))
    for name in ("obama.jpg", "obama2.jpg", "biden.jpg"):
        buckets.put(name, photo(name))
    return buckets


@pytest.fixture(scope="module")
def by_path(start_server, buckets):
    return start_server(args=["--workers", "1", "--s3-endpoint", buckets.moto.url, "--s3-region", REGION], env=KEY)


@pytest.fixture(scope="module")
def by_host(start_server, buckets):
    """No name with a bucket in it resolves on loopback; but a proxy gets the whole address, and moto takes it as one."""
    settings = {"REKOLLECT_S3_ENDPOINT": CLOUD, "REKOLLECT_S3_STYLE": "virtual", **KEY}
    return start_server(args=["--workers", "1"], env={**settings, **through(buckets.moto)})


def through(moto):
    return {"HTTP_PROXY": moto.url, "http_proxy": moto.url}


@pytest.fixture(scope="module")
def in_folder(start_server, buckets):
    return start_server(args=["--workers", "1"], env={"REKOLLECT_S3_DIR": str(buckets.folder)})


@pytest.fixture(scope="module", params=["by_path", "by_host", "in_folder"])
def server(request):
    """A server with each kind of S3; `client` and `collection` are its."""
    return request.getfixturevalue(request.param)


@dataclass
class Answer:
    """What a server says to a request. Its body may be announced longer than it is: the connection ends behind it."""

    body: bytes = b""
    status: int = 200
    length: int | None = None
    headers: dict = field(default_factory=lambda: {"ETag": '"tag"'})


def error(status, code):
    return Answer(f"<Error><Code>{code}</Code><Message>text</Message></Error>".encode(), status)


def rest(data, start):
    """Answers to a client that takes up a broken download."""
    return Answer(data[start:], 206, headers={"ETag": '"tag"', "Content-Range": f"bytes {start}-{len(data) - 1}/{len(data)}"})


class Stub(ThreadingHTTPServer):
    """Stands in for an S3 server and answers as it is told, the last answer over and over; None hangs up without a word."""

    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), StubHandler)
        self.url = f"http://127.0.0.1:{self.server_address[1]}"
        self.answers, self.asked, self.sent = [], [], 0

    def __enter__(self):
        threading.Thread(target=self.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *exception):
        self.shutdown()
        super().__exit__(*exception)

    def answer(self, *answers):
        """From now on these; forgets what it was asked for and how many bytes of bodies it could send."""
        self.answers, self.asked, self.sent = answers, [], 0


class StubHandler(BaseHTTPRequestHandler):
    def do_GET(self):
        stub = self.server
        answer = stub.answers[min(len(stub.asked), len(stub.answers) - 1)]
        stub.asked.append((self.path, self.headers))
        if answer is None:
            return
        self.send_response(answer.status)
        self.send_header("Content-Length", str(len(answer.body) if answer.length is None else answer.length))
        for name, value in answer.headers.items():
            self.send_header(name, value)
        self.end_headers()
        try:
            for start in range(0, len(answer.body), PIECE):
                self.wfile.write(answer.body[start : start + PIECE])
                stub.sent += PIECE
        except OSError:
            pass  # the client wants no more

    do_PUT = do_GET

    def log_message(self, *_):
        pass


@pytest.fixture(scope="module")
def stub():
    with Stub() as stub:
        yield stub


@pytest.fixture(scope="module")
def with_stub(start_server, stub):
    """A server whose S3 is the stub. Its key is a temporary one."""
    token = {"REKOLLECT_S3_SESSION_TOKEN": "the-session-token"}
    return start_server(args=["--workers", "1", "--s3-endpoint", stub.url], env={**KEY, **token})


# What is in S3 is as good as what is in the request.


def prepare(client, collection, data):
    """Makes a collection with a face that is a user's."""
    client.create_collection(CollectionId=collection)
    (record,) = client.index_faces(CollectionId=collection, Image={"Bytes": data})["FaceRecords"]
    client.create_user(CollectionId=collection, UserId="somebody")
    client.associate_faces(CollectionId=collection, UserId="somebody", FaceIds=[record["Face"]["FaceId"]])


def replies(client, collection, image, other):
    def call(operation, arguments):
        reply = getattr(client, operation)(**arguments)
        return {name: value for name, value in reply.items() if name != "ResponseMetadata"}

    return [call(operation, arguments) for operation, arguments in calls(collection, image, other)]


def test_every_operation_answers_an_object_like_its_bytes(client, photo):
    image, other = photo("obama2.jpg"), photo("biden.jpg")
    for collection in ("inline", "stored"):
        prepare(client, collection, photo("obama.jpg"))
    inline = replies(client, "inline", {"Bytes": image}, {"Bytes": other})
    stored = replies(client, "stored", s3_object("obama2.jpg"), s3_object("biden.jpg"))
    indexed, faces, users, *_ = inline
    assert indexed["FaceRecords"] and faces["FaceMatches"] and users["UserMatches"]
    assert stored == inline
    for collection in ("inline", "stored"):
        client.delete_collection(CollectionId=collection)


def test_one_image_in_s3_and_one_in_the_request_compare(client, photo):
    images = s3_object("obama.jpg"), {"Bytes": photo("obama2.jpg")}
    for source, target in (images, images[::-1]):
        assert len(client.compare_faces(SourceImage=source, TargetImage=target)["FaceMatches"]) == 1


def test_a_bucket_is_in_the_path_or_in_the_host(buckets, by_path, by_host):
    for server, address in [(by_path, "/photos/biden.jpg"), (by_host, "http://photos.s3.amazonaws.com/biden.jpg")]:
        before = len(buckets.moto.gets())
        assert server.client.detect_faces(Image=s3_object("biden.jpg"))["FaceDetails"]
        assert buckets.moto.gets()[before:] == [address]


def test_a_key_is_taken_as_it_is_written(client, collection, buckets, photo):
    for name in ODD_KEYS:
        data = photo("obama.jpg") + name.encode()  # what follows the end of a JPEG is no part of the picture
        buckets.put(name, data)
        assert read_id(client, collection, name) == image_id(data), name


def test_no_key_is_tidied_up(server, client, buckets, photo):
    buckets.put("c/d", photo("obama.jpg"))
    buckets.put("e", photo("obama.jpg"))
    # S3 itself may have such a key; it is not read, and neither is its tidy neighbour.
    buckets.s3.put_object(Bucket="photos", Key="c//d", Body=photo("obama.jpg"))
    before = len(buckets.moto.gets())
    for name in UNTIDY_KEYS:
        assert refusal(client, name) == UNAVAILABLE, name
    assert buckets.moto.gets()[before:] == []
    no_panic(server)


def test_what_is_not_there(server, client):
    assert refusal(client, "nothing.jpg") == UNAVAILABLE
    assert refusal(client, "obama.jp") == UNAVAILABLE
    assert refusal(client, "obama.jpg", bucket="no-such-bucket") == UNAVAILABLE
    assert refusal(client, "obama.jpg", version="no-such-version") == UNAVAILABLE
    assert refusal(client, "obama.jpg", version="ü & x=1/../?#") == UNAVAILABLE
    assert refusal(client, "ü" * 1024) == UNAVAILABLE
    no_panic(server)


def test_what_is_no_image(client, buckets):
    for name, data in [("empty", b""), ("text", b"text")]:
        buckets.put(name, data)
        assert refusal(client, name)[0] == "InvalidImageFormatException"


def test_a_failed_image_leaves_nothing(client, collection):
    for name in ("nothing.jpg", "obama.jpg/"):
        for operation, arguments in calls(collection, s3_object(name), s3_object("obama.jpg")):
            assert failure(getattr(client, operation), **arguments) == UNAVAILABLE, operation
    assert client.describe_collection(CollectionId=collection)["FaceCount"] == 0
    assert client.list_faces(CollectionId=collection)["Faces"] == []


# Sizes.


@pytest.fixture(scope="module")
def large(buckets, photo):
    """An object of exactly the limit, and one of a byte more."""
    padded = photo("obama.jpg").ljust(LIMIT, b"\0")
    buckets.put("at-the-limit.jpg", padded)
    buckets.put("beyond.jpg", padded + b"\0")
    return padded


def test_an_object_may_have_fifteen_mib(client, collection, large):
    assert read_id(client, collection, "at-the-limit.jpg") == image_id(large)
    assert refusal(client, "beyond.jpg") == TOO_LARGE
    # What is in the request has a lower limit.
    code, text = failure(client.detect_faces, Image={"Bytes": large[: 5 * MIB + 1]})
    assert code == "ValidationException" and "'image.bytes'" in text


@pytest.mark.parametrize("length, body", [(LIMIT + 1, b""), (1 << 40, b""), (LIMIT + 1, bytes(LIMIT + 1)), (1 << 40, bytes(32 * MIB))])
def test_an_object_that_is_too_large_is_not_read(with_stub, stub, length, body):
    """The first two never send a byte, so that whoever waits for one fails otherwise; the others send for as long as somebody reads."""
    stub.answer(Answer(body, length=length))
    assert refusal(with_stub.client, "large.jpg") == TOO_LARGE
    assert len(stub.asked) == 1
    assert stub.sent < LIMIT  # what the sockets between take


# Versions.


@pytest.fixture(scope="module")
def versions(buckets, photo):
    """Ids and bytes of the versions of versioned/who.jpg: from before the bucket had versions, an old one, the newest."""
    buckets.s3.create_bucket(Bucket="versioned")
    bodies = [photo(name) for name in ("obama.jpg", "obama2.jpg", "biden.jpg")]

    def put(body):
        return buckets.s3.put_object(Bucket="versioned", Key="who.jpg", Body=body).get("VersionId", "null")

    first = put(bodies[0])
    enabled = {"Status": "Enabled"}
    buckets.s3.put_bucket_versioning(Bucket="versioned", VersioningConfiguration=enabled)
    return dict(zip([first, put(bodies[1]), put(bodies[2])], bodies))


@pytest.fixture(params=["by_path", "by_host"])
def remote(request):
    return request.getfixturevalue(request.param).client


def test_each_version_of_an_object_is_its_own(remote, versions):
    remote.create_collection(CollectionId="versions")
    where = {"collection": "versions", "name": "who.jpg", "bucket": "versioned"}
    assert len(versions) == 3 and "null" in versions
    for version, data in versions.items():
        assert read_id(remote, version=version, **where) == image_id(data)
    assert read_id(remote, **where) == image_id(list(versions.values())[-1])
    remote.delete_collection(CollectionId="versions")


def test_a_version_that_is_no_object(remote, buckets, versions, photo):
    name = f"deleted-{uuid.uuid4().hex}.jpg"
    version = buckets.s3.put_object(Bucket="versioned", Key=name, Body=photo("obama.jpg"))["VersionId"]
    # An id of another object's version, and ids of none.
    for wrong in [*versions, str(uuid.uuid4()), "null", "0"]:
        assert refusal(remote, name, bucket="versioned", version=wrong) == UNAVAILABLE, wrong
    marker = buckets.s3.delete_object(Bucket="versioned", Key=name)["VersionId"]
    assert refusal(remote, name, bucket="versioned") == UNAVAILABLE
    assert refusal(remote, name, bucket="versioned", version=marker) == UNAVAILABLE
    assert remote.detect_faces(Image=s3_object(name, bucket="versioned", version=version))["FaceDetails"]


def test_a_folder_has_one_version(in_folder, photo):
    details = in_folder.client.detect_faces(Image=s3_object("obama.jpg", version="null"))["FaceDetails"]
    assert details == in_folder.client.detect_faces(Image={"Bytes": photo("obama.jpg")})["FaceDetails"]


# Buckets that are no host names.


@pytest.mark.parametrize("bucket", ["...", ".photos", "photos.", "a..b", "-a-", "a_b", "b" * 64, "b" * 255, "photos.s3.amazonaws.com"])
def test_no_other_bucket_is_read(server, client, bucket):
    assert refusal(client, "obama.jpg", bucket=bucket) == UNAVAILABLE
    no_panic(server)


@pytest.mark.parametrize("bucket", ["xn--a", "a.xn--zzzz"])
def test_a_bucket_that_makes_no_host(by_host, bucket):
    assert refusal(by_host.client, "obama.jpg", bucket=bucket) == UNAVAILABLE


@pytest.mark.parametrize("name", ["by_path", "in_folder", "by_host"])
def test_a_bucket_in_capitals_is_another(request, name):
    assert refusal(request.getfixturevalue(name).client, "obama.jpg", bucket="PHOTOS") == UNAVAILABLE


# Keys for the S3 server.


@pytest.fixture(scope="module")
def guarded(tmp_path_factory, photo):
    """A moto that checks signatures and policies, with keys by what they are: environments of rekollect."""
    with Moto(tmp_path_factory.mktemp("guarded")) as moto:
        moto.client("s3").create_bucket(Bucket="photos")
        for name in ("plain.jpg", "".join(ODD_KEYS[:-1])):
            moto.client("s3").put_object(Bucket="photos", Key=name, Body=photo("obama.jpg"))
        iam, sts = moto.client("iam"), moto.client("sts")
        may_read = policy({"Effect": "Allow", "Action": ["s3:GetObject", "s3:GetObjectVersion"], "Resource": "arn:aws:s3:::photos/*"})
        trust = policy({"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"AWS": "*"}})
        for user in ("reader", "nobody"):
            iam.create_user(UserName=user)
        iam.put_user_policy(UserName="reader", PolicyName="read", PolicyDocument=may_read)
        role = iam.create_role(RoleName="reader", AssumeRolePolicyDocument=trust)["Role"]["Arn"]
        iam.put_role_policy(RoleName="reader", PolicyName="read", PolicyDocument=may_read)
        reader, nobody = (iam.create_access_key(UserName=user)["AccessKey"] for user in ("reader", "nobody"))
        temporary = sts.assume_role(RoleArn=role, RoleSessionName="test")["Credentials"]
        moto.check_signatures()
        yield moto, {
            "lasting": key_settings(reader),
            "temporary": key_settings(temporary, temporary["SessionToken"]),
            "without rights": key_settings(nobody),
            "unknown": key_settings({**reader, "AccessKeyId": "AKIAUNKNOWN"}),
            "wrong secret": key_settings({**reader, "SecretAccessKey": "not-the-secret-half"}),
            "wrong token": key_settings(temporary, "not-the-session-token"),
            "without its token": key_settings(temporary),
        }


def key_settings(key, token=None):
    settings = {"REKOLLECT_S3_ACCESS_KEY_ID": key["AccessKeyId"], "REKOLLECT_S3_SECRET_ACCESS_KEY": key["SecretAccessKey"]}
    return {**settings, "REKOLLECT_S3_SESSION_TOKEN": token} if token else settings


@pytest.mark.parametrize("key", ["lasting", "temporary"])
@pytest.mark.parametrize("style", ["path", "virtual"])
def test_requests_are_truly_signed(guarded, tmp_path, key, style):
    """Also for a key with every character that signatures have been known to stumble over."""
    moto, keys = guarded
    endpoint = moto.url if style == "path" else CLOUD
    args = ["--workers", "1", "--s3-endpoint", endpoint, "--s3-style", style]
    with Server(tmp_path, args=args, env={**keys[key], **through(moto)}) as server:
        for name in ("plain.jpg", "".join(ODD_KEYS[:-1])):
            for version in (None, "null"):
                assert server.client.detect_faces(Image=s3_object(name, version=version))["FaceDetails"]


@pytest.mark.parametrize("key", ["without rights", "unknown", "wrong secret", "wrong token", "without its token"])
def test_a_key_that_s3_refuses(guarded, tmp_path, key):
    moto, keys = guarded
    with Server(tmp_path, args=["--workers", "1", "--s3-endpoint", moto.url], env=keys[key]) as server:
        before = len(moto.gets())
        assert refusal(server.client, "plain.jpg") == UNAVAILABLE
        assert len(moto.gets()) == before + 1
        log = server.log.read_text()
        assert not [secret for name, secret in keys[key].items() if not name.endswith("_ID") and secret in log]


def fetched_key(number):
    """A key for a while, as a machine's metadata and a container's agent give it."""
    key = {"AccessKeyId": f"ASIA{number}", "SecretAccessKey": "half", "Token": f"token-{number}", "Expiration": "2100-01-01T00:00:00Z"}
    return Answer(json.dumps({**key, "Code": "Success", "Type": "AWS-HMAC", "LastUpdated": "2020-01-01T00:00:00Z"}).encode())


def check_fetched_key(server, stub, data):
    """Every bucket is asked with the one key that was fetched."""
    stub.answer(Answer(data))
    for bucket in ("photos", "other"):
        assert server.client.detect_faces(Image=s3_object("who.jpg", bucket=bucket))["FaceDetails"]
    assert [(path, headers["x-amz-security-token"]) for path, headers in stub.asked] == [
        ("/photos/who.jpg", "token-1"),
        ("/other/who.jpg", "token-1"),
    ]


def test_the_key_of_a_machine(tmp_path, stub, photo):
    """The metadata are at an address that is not on loopback: a proxy stands in for it."""
    with Stub() as metadata:
        metadata.answer(Answer(b"token"), Answer(b"role"), fetched_key(1), fetched_key(2))
        with Server(tmp_path, args=["--workers", "1", "--s3-endpoint", stub.url], env=through(metadata)) as server:
            check_fetched_key(server, stub, photo("obama.jpg"))
        assert [path.split("/")[2] for path, _ in metadata.asked] == ["169.254.169.254"] * 3


def test_the_key_of_a_container(tmp_path, stub, photo):
    (tmp_path / "token").write_text("agent")
    with Stub() as agent, Stub() as metadata:
        agent.answer(fetched_key(1), fetched_key(2))
        metadata.answer(error(404, "NoRole"))
        named = {"AWS_CONTAINER_CREDENTIALS_FULL_URI": agent.url, "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE": str(tmp_path / "token")}
        env = {**named, **through(metadata)}
        with Server(tmp_path, args=["--workers", "1", "--s3-endpoint", stub.url], env=env) as server:
            check_fetched_key(server, stub, photo("obama.jpg"))
        assert [headers["Authorization"] for _, headers in agent.asked] == ["agent"]


# Servers that misbehave.


@pytest.fixture
def counted(with_stub, stub, photo):
    """A collection with one face on the server whose S3 is the stub; afterwards it still has that one."""
    client, name = with_stub.client, f"test-{uuid.uuid4().hex}"
    client.create_collection(CollectionId=name)
    client.index_faces(CollectionId=name, Image={"Bytes": photo("obama.jpg")})
    yield name
    stub.answer(error(404, "NoSuchKey"))
    assert client.describe_collection(CollectionId=name)["FaceCount"] == 1
    client.delete_collection(CollectionId=name)


BODY = bytes(1000)


@pytest.mark.parametrize(
    "answers, expected",
    [
        pytest.param([error(403, "AccessDenied")], UNAVAILABLE, id="no access"),
        pytest.param([error(404, "NoSuchKey")], UNAVAILABLE, id="no object"),
        pytest.param([error(301, "PermanentRedirect")], UNAVAILABLE, id="another region"),
        pytest.param([error(500, "InternalError")], AWAY, id="broken"),
        pytest.param([error(503, "ServiceUnavailable")], BUSY, id="unavailable"),
        pytest.param([error(503, "SlowDown")], BUSY, id="busy"),
        pytest.param([None], AWAY, id="hangs up"),
        pytest.param([Answer(BODY, length=2000)], UNREADABLE, id="hangs up in the body"),
        pytest.param([Answer(BODY, length=2000, headers={})], AWAY, id="hangs up in the body, no tag"),
        pytest.param([Answer(BODY, length=2000), None], AWAY, id="hangs up in the body, then at once"),
        pytest.param([Answer(BODY, length=2000), Answer(BODY)], UNREADABLE, id="body short and then another"),
        pytest.param([Answer(b"", length=2000)], UNREADABLE, id="no body"),
        pytest.param([Answer(BODY, length="many")], UNAVAILABLE, id="no number"),
    ],
)
def test_a_server_that_fails(with_stub, stub, counted, answers, expected):
    stub.answer(*answers)
    begin = time.monotonic()
    assert failure(with_stub.client.index_faces, CollectionId=counted, Image=s3_object("who.jpg")) == expected
    # It is tried again, but not for long.
    assert time.monotonic() - begin < 10
    assert 1 <= len(stub.asked) <= 5
    assert {path for path, _ in stub.asked} == {"/photos/who.jpg"}
    no_panic(with_stub)


def test_a_passing_failure_is_not_seen(with_stub, stub, photo):
    data = photo("obama.jpg")
    for first, second in [
        (error(503, "SlowDown"), Answer(data)),
        (None, Answer(data)),
        (Answer(data[:1000], length=len(data)), rest(data, 1000)),
    ]:
        stub.answer(first, second)
        assert len(with_stub.client.detect_faces(Image=s3_object("who.jpg"))["FaceDetails"]) == 1
        assert len(stub.asked) == 2


def test_the_second_of_two_images_fails(with_stub, stub, photo):
    stub.answer(Answer(photo("obama.jpg")), error(404, "NoSuchKey"))
    two = {"SourceImage": s3_object("one.jpg"), "TargetImage": s3_object("two.jpg")}
    assert failure(with_stub.client.compare_faces, **two) == UNAVAILABLE
    assert [path for path, _ in stub.asked] == ["/photos/one.jpg", "/photos/two.jpg"]


def test_nothing_listens(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as free:
        nobody = f"http://127.0.0.1:{free.getsockname()[1]}"
    with Server(tmp_path, args=["--workers", "1", "--s3-endpoint", nobody], env=KEY) as server:
        begin = time.monotonic()
        assert refusal(server.client, "obama.jpg") == AWAY
        assert time.monotonic() - begin < 10
        no_panic(server)


def test_nowhere_is_an_s3(tmp_path):
    with Server(tmp_path, args=["--workers", "1"]) as server:
        assert refusal(server.client, "obama.jpg") == UNAVAILABLE


def test_the_collection_comes_before_the_image(with_stub, stub):
    stub.answer(error(404, "NoSuchKey"))
    image = s3_object("who.jpg")
    for operation in ("index_faces", "search_faces_by_image", "search_users_by_image"):
        code, _ = failure(getattr(with_stub.client, operation), CollectionId="no-such-collection", Image=image)
        assert code == "ResourceNotFoundException"
    assert stub.asked == []


def test_an_object_called_slow_down(with_stub, stub):
    stub.answer(error(404, "NoSuchKey"))
    assert refusal(with_stub.client, "SlowDown.jpg") == UNAVAILABLE


def test_a_download_that_is_taken_up_again_does_not_grow(with_stub, stub, photo):
    data = photo("obama.jpg")
    grown = data.ljust(LIMIT + MIB, b"\0")
    stub.answer(Answer(data[:1000], length=len(data)), rest(grown, 0))
    refused = refusal(with_stub.client, "who.jpg")
    assert refused in (TOO_LARGE, UNREADABLE)


def test_a_redirect_leads_nowhere(with_stub, stub, photo):
    with Stub() as elsewhere:
        elsewhere.answer(Answer(photo("obama.jpg")))
        stub.answer(Answer(status=307, headers={"Location": f"{elsewhere.url}/photos/who.jpg"}))
        assert refusal(with_stub.client, "who.jpg") == UNAVAILABLE
        assert [headers.get("x-amz-security-token") for _, headers in elsewhere.asked] == []


def test_a_token_is_not_logged(with_stub, stub):
    text = "<Error><Code>ExpiredToken</Code><Message>The token has expired.</Message><Token-0>the-session-token</Token-0></Error>"
    stub.answer(Answer(text.encode(), 400))
    assert refusal(with_stub.client, "who.jpg") == UNAVAILABLE
    assert "the-session-token" not in with_stub.log.read_text()


def test_a_long_answer_is_not_logged(with_stub, stub):
    before = with_stub.log.stat().st_size
    stub.answer(Answer(b"x" * MIB, 403))
    assert refusal(with_stub.client, "who.jpg") == UNAVAILABLE
    assert with_stub.log.stat().st_size - before < PIECE


# Settings.


@pytest.mark.parametrize(
    "args, env",
    [
        pytest.param(["--s3-endpoint", "http://127.0.0.1:1", "--s3-style", "virtual"], KEY, id="bucket before an address of numbers"),
        pytest.param(["--s3-endpoint", "http://127.0.0.1:99999"], KEY, id="no port"),
        pytest.param(["--s3-endpoint", "http://a b"], KEY, id="no host"),
        pytest.param(["--s3-endpoint", "http://127.0.0.1:1"], {**KEY, "REKOLLECT_S3_SESSION_TOKEN": "token\n"}, id="line end in the token"),
        pytest.param(["--s3-endpoint", "http://127.0.0.1:1"], {**KEY, "REKOLLECT_S3_ACCESS_KEY_ID": "id\n"}, id="line end in the id"),
    ],
)
def test_a_setting_that_cannot_work(tmp_path, args, env):
    """Told at the start, best of all; at the latest by the error of an object."""
    try:
        server = Server(tmp_path, args=["--workers", "1", *args], env=env)
    except AssertionError:
        return
    with server:
        assert refusal(server.client, "obama.jpg") == UNAVAILABLE


def test_a_folder_that_is_not_there(tmp_path):
    with pytest.raises(AssertionError, match="cannot open the S3 folder"):
        Server(tmp_path, args=["--s3-dir", str(tmp_path / "nowhere")])


# The folder: no key, however written, leaves its bucket.


@pytest.fixture(scope="module")
def fenced(tmp_path_factory, start_server, photo):
    """A server with a folder in which everything that can lead astray does, and the folder."""
    outside = tmp_path_factory.mktemp("outside")
    folder = outside / "s3"
    for bucket in ("photos/album", "other"):
        (folder / bucket).mkdir(parents=True)
    inside, secret = photo("obama.jpg"), photo("biden.jpg")
    (folder / "photos/album/a.jpg").write_bytes(inside)
    for path in (outside / "secret.jpg", folder / "other/secret.jpg", folder / "loose.jpg"):
        path.write_bytes(secret)
    photos = folder / "photos"
    (photos / "link-inside").symlink_to("album/a.jpg")
    for name, target in {
        "link": "../other/secret.jpg",
        "link-up": "../../secret.jpg",
        "link-absolute": outside / "secret.jpg",
        "link-to-link": "link-up",
        "link-to-itself": "link-to-itself",
        "link-to-nothing": "nothing",
        "link-to-device": "/dev/zero",
        "folder-link": "../other",
        "folder-link-up": "../..",
        "folder-link-root": "/",
    }.items():
        (photos / name).symlink_to(target)
    (folder / "bucket-link").symlink_to(outside)
    os.mkfifo(photos / "pipe")
    return start_server(args=["--workers", "1", "--s3-dir", str(folder)]), folder


def test_a_link_may_stay_inside_its_bucket(fenced, photo):
    server, _ = fenced
    details = server.client.detect_faces(Image=s3_object("link-inside"))["FaceDetails"]
    assert details == server.client.detect_faces(Image={"Bytes": photo("obama.jpg")})["FaceDetails"]


def test_no_key_leaves_its_bucket(fenced):
    server, folder = fenced
    absolute = str(folder.parent / "secret.jpg")
    names = [
        "../other/secret.jpg", "../../secret.jpg", "album/../../other/secret.jpg", "../loose.jpg", "..", "../photos/album/a.jpg",
        absolute, f"/{absolute}", f"album/{absolute}", f"../../../../../../../../../../../..{absolute}", f"file://{absolute}",
        "%2e%2e/other/secret.jpg", "..%2Fother%2Fsecret.jpg", "%2e%2e%2fother%2fsecret.jpg", absolute.replace("/", "%2F"),
        "..\\other\\secret.jpg", "\\..\\other\\secret.jpg", "..\\..\\secret.jpg", "．．/other/secret.jpg", "‥/other/secret.jpg",
        "link", "link-up", "link-absolute", "link-to-link", "link-to-itself", "link-to-nothing", "link-to-device",
        "folder-link/secret.jpg", "folder-link-up/secret.jpg", f"folder-link-root{absolute}", "folder-link-root/dev/zero",
        "album/a.jpg\0", "album/a.jpg\0.png", "\0../other/secret.jpg", "album", "album/", "album/a.jpg/", "album/a.jpg/..", "album/a.jpg/b",
        "pipe", "~", "~root/secret.jpg", "$HOME", "*", "album/*", "k" * 1024, "ü" * 1024, "k/" * 511 + "k", "../" * 340 + "x",
    ]  # fmt: skip
    begin = time.monotonic()
    for name in names:
        assert refusal(server.client, name) == UNAVAILABLE, name
    for bucket in ("bucket-link", "loose.jpg", "...", "..-", "b" * 255):
        for name in ("secret.jpg", "s3/other/secret.jpg"):
            assert refusal(server.client, name, bucket=bucket) == UNAVAILABLE, bucket
    assert time.monotonic() - begin < 10  # a pipe waits for its other end
    no_panic(server)
    assert server.client.detect_faces(Image=s3_object("album/a.jpg"))["FaceDetails"]


# Rights.


PRINCIPALS = {
    "nothing": [],
    "objects": [allow("s3:GetObject", "arn:aws:s3:::photos/*")],
    "versions": [allow("s3:GetObjectVersion", "arn:aws:s3:::photos/*")],
    "public": [allow("s3:GetObject", "arn:aws:s3:::photos/public/*")],
    "other": [allow("s3:GetObject", "arn:aws:s3:::other/*"), allow("s3:PutObject")],
    "most": [allow("s3:*"), deny("s3:GetObject*", "arn:aws:s3:::photos/private/*"), deny("s3:*", "arn:aws:s3:::secret/*")],
}


def credentials(folder):
    """Writes a file of principals who may do everything with faces; with objects, what is theirs."""
    entries = [
        principal(name, (f"AKIA{name}", "hush"), policies=[policy(allow("rekognition:*"), *statements)])
        for name, statements in PRINCIPALS.items()
    ]
    return file_of_keys(folder, *entries)


@pytest.fixture(scope="module")
def signed(tmp_path_factory, start_server, buckets, photo):
    """Clients of a server that knows its callers, by their names."""
    for name in ("public/a.jpg", "private/a.jpg", "publicity.jpg"):
        buckets.put(name, photo("obama.jpg"))
    known = credentials(tmp_path_factory.mktemp("signed"))
    server = start_server(args=["--workers", "1", "--credentials", known, "--s3-dir", str(buckets.folder)])
    return {name: rekognition(server.url, (f"AKIA{name}", "hush")) for name in PRINCIPALS}


@pytest.mark.parametrize(
    "who, name, version, allowed",
    [
        ("nothing", "public/a.jpg", None, False),
        ("nothing", "public/a.jpg", "null", False),
        ("objects", "public/a.jpg", None, True),
        ("objects", "private/a.jpg", None, True),
        ("objects", "public/a.jpg", "null", False),
        ("versions", "public/a.jpg", "null", True),
        ("versions", "public/a.jpg", None, False),
        ("public", "public/a.jpg", None, True),
        ("public", "private/a.jpg", None, False),
        ("public", "publicity.jpg", None, False),
        ("public", "public/../private/a.jpg", None, False),
        ("public", "public//../private/a.jpg", None, False),
        ("public", "public/a.jpg", "null", False),
        ("other", "public/a.jpg", None, False),
        ("most", "public/a.jpg", None, True),
        ("most", "private/a.jpg", None, False),
        ("most", "private/a.jpg", "null", False),
        # Whether there is such an object is nothing that a stranger learns.
        ("public", "private/nothing.jpg", None, False),
    ],
)
def test_an_object_is_for_those_who_may_read_it(signed, who, name, version, allowed):
    image = s3_object(name, version=version)
    if allowed:
        assert len(signed[who].detect_faces(Image=image)["FaceDetails"]) == 1
    else:
        assert failure(signed[who].detect_faces, Image=image) == UNAVAILABLE


def test_every_operation_needs_the_right_to_read(signed):
    client = signed["public"]
    client.create_collection(CollectionId="public")
    both = s3_object("public/a.jpg"), s3_object("private/a.jpg")
    for operation, arguments in calls("public", *both[::-1]):
        assert failure(getattr(client, operation), **arguments) == UNAVAILABLE, operation
    assert client.describe_collection(CollectionId="public")["FaceCount"] == 0
    for operation, arguments in calls("public", both[0], both[0]):
        getattr(client, operation)(**arguments)
    assert client.describe_collection(CollectionId="public")["FaceCount"] == 1


def test_capitals_lead_around_no_policy(tmp_path, buckets, photo):
    buckets.create("secret")
    buckets.put("a.jpg", photo("obama.jpg"), bucket="secret")
    args = ["--workers", "1", "--credentials", credentials(tmp_path), "--s3-endpoint", CLOUD, "--s3-style", "virtual"]
    with Server(tmp_path, args=args, env={**KEY, **through(buckets.moto)}) as server:
        client = rekognition(server.url, ("AKIAmost", "hush"))
        for bucket in ("secret", "Secret", "SECRET"):
            assert refusal(client, "a.jpg", bucket=bucket) == UNAVAILABLE, bucket
