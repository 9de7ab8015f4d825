"""The service against Amazon's own model of it: every reply, every declared error, every constraint.

docs/compatibility.md is rendered from the tables below; UPDATE_COMPATIBILITY=1 writes it anew."""

import base64
import copy
import http.client
import json
import operator
import os
import re
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from functools import cached_property, reduce

import numpy
import pictures
import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from botocore.exceptions import ClientError
from databases import session
from model import ITEMS, MODEL, NOT_KEPT_IN_REPLIES, OPERATIONS, SHAPES
from model import errors_of, input_of, matches, members_of, output_of, problems, rules_of, status_of
from PIL import Image
from principals import file_of_keys, principal
from servers import REGION, ROOT

DOCUMENT = ROOT / "docs/compatibility.md"
AMZ_JSON = "application/x-amz-json-1.1"
UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
ARN = f"arn:aws:rekognition:{REGION}:000000000000:collection/"
PROJECT = f"arn:aws:rekognition:{REGION}:000000000000:project/name"
# A collection that there is.
PEOPLE = "people"
UNKNOWN_FACE = "11111111-2222-3333-4444-555555555555"
# Who may do nothing.
NOBODY = ("AKIANOBODY0000000001", "the-secret-of-nobody")


def blob(data):
    return base64.b64encode(data).decode()


# A value of each shape that a request may need; what they name does not exist.
SAMPLES = {
    "CollectionId": "no-such-collection",
    "ResourceArn": f"{ARN}no-such-collection",
    "UserId": "no-such-user",
    "FaceId": UNKNOWN_FACE,
    "FaceIdList": [UNKNOWN_FACE],
    "UserFaceIdList": [UNKNOWN_FACE],
    "Image": {"Bytes": blob(b"no image")},
    "ExternalImageId": "name",
    "ClientRequestToken": "token",
    "S3Bucket": "bucket",
    "TagMap": {"key": "value"},
    "TagKeyList": ["key"],
    "TagKey": "key",
    "TagValue": "value",
}
# Exactly one of two members that the model calls optional.
EITHER = {"SearchUsers": {"UserId": "no-such-user"}}


@dataclass
class Reply:
    """What came back, as it was on the wire."""

    operation: str
    request: dict = field(repr=False)
    status: int
    headers: dict = field(repr=False)
    body: dict

    @property
    def code(self):
        return self.body.get("__type")


def send(server, operation, members, key=None):
    """Sends a request by plain HTTP, so that no SDK stands between the wire and the test; with a key, signed by it."""
    body = json.dumps(members).encode()
    headers = {"Content-Type": AMZ_JSON, "X-Amz-Target": f"RekognitionService.{operation}"}
    if key:
        to_sign = AWSRequest("POST", f"{server.url}/", headers=headers, data=body)
        SigV4Auth(Credentials(*key), "rekognition", REGION).add_auth(to_sign)
        headers = dict(to_sign.headers)
    with closing(http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)) as connection:
        connection.request("POST", "/", body, headers)
        response = connection.getresponse()
        received = {name.lower(): value for name, value in response.getheaders()}
        return Reply(operation, members, response.status, received, json.load(response))


def succeed(server, operation, members):
    reply = send(server, operation, members)
    assert reply.status == 200, reply
    return reply


def smallest(operation, **members):
    """The smallest request that breaks no rule, with these members."""
    shape = SHAPES[input_of(operation)]
    required = {name: SAMPLES[shape["members"][name]["shape"]] for name in shape.get("required", [])}
    return {**required, **EITHER.get(operation, {}), **members}


def inside(operation, **members):
    """The same, in the collection that there is."""
    takes_one = "CollectionId" in SHAPES[input_of(operation)]["members"]
    return smallest(operation, **({"CollectionId": PEOPLE} if takes_one else {}), **members)


def with_image(operation, image):
    """A request in the collection that there is, with this image, or this pair of the same."""
    members = SHAPES[input_of(operation)]["members"]
    return inside(operation, **{name: image for name, member in members.items() if member["shape"] == "Image"})


class World:
    """The servers of these tests, each started when it is first asked for, and what is in them."""

    def __init__(self, start_server, databases, folder, photo):
        self._start_server, self._databases, self._folder, self.photo = start_server, databases, folder, photo

    def _start(self, *args, **more):
        return self._start_server(args=["--workers", "1", *args], **more)

    @cached_property
    def plain(self):
        server = self._start()
        succeed(server, "CreateCollection", {"CollectionId": PEOPLE})
        return server

    @cached_property
    def with_photos(self):
        """A server with a bucket of them."""
        bucket = self._folder / "s3/photos"
        bucket.mkdir(parents=True, exist_ok=True)
        for name in ("obama.jpg", "obama2.jpg", "sample5.jpg"):
            (bucket / name).write_bytes(self.photo(name))
        return self._start("--s3-dir", str(bucket.parent))

    @cached_property
    def denying(self):
        return self._start(env={"REKOLLECT_CREDENTIALS": file_of_keys(self._folder, principal("nobody", NOBODY))})

    @cached_property
    def slow(self):
        return self._start("--rates", "*=1")

    @cached_property
    def overloaded(self):
        return self._start("--max-bodies", "1")

    @cached_property
    def small(self):
        server = self._start("--max-collections", "1", "--max-faces", "1", "--max-users", "1")
        succeed(server, "CreateCollection", {"CollectionId": PEOPLE})
        succeed(server, "CreateUser", {"CollectionId": PEOPLE, "UserId": "first"})
        return server

    @cached_property
    def _database(self):
        return self._databases.create()

    @cached_property
    def on_postgres(self):
        server = self._start(store="postgres", database_url=self._database)
        succeed(server, "CreateCollection", {"CollectionId": PEOPLE})
        return server

    def alter(self, statement):
        """Goes behind the back of the server on Postgres."""
        with session(self._database) as behind:
            behind.run(statement)

    @contextmanager
    def broken_store(self):
        """The server on Postgres, which finds a table gone."""
        server = self.on_postgres
        self.alter("ALTER TABLE collections RENAME TO hidden")
        try:
            yield server
        finally:
            self.alter("ALTER TABLE hidden RENAME TO collections")

    @cached_property
    def crowd(self):
        """101 faces of the collection that there is: an image of one face over and over, under two names."""
        photo = self.photo("obama.jpg")
        (face,) = succeed(self.plain, "DetectFaces", {"Image": {"Bytes": blob(photo)}}).body["FaceDetails"]
        picture, box = pictures.opened(photo), face["BoundingBox"]
        left, top, width, height = (box[side] * picture.size[side in ("Top", "Height")] for side in ("Left", "Top", "Width", "Height"))
        tile = picture.crop((left - width / 3, top - height / 3, left + width * 4 / 3, top + height * 4 / 3)).resize((100, 110))
        wall = Image.new("RGB", (1000, 660))
        for n in range(60):
            wall.paste(tile, (n % 10 * 100, n // 10 * 110))
        members = {"CollectionId": PEOPLE, "Image": {"Bytes": blob(pictures.saved(wall))}, "QualityFilter": "NONE"}
        replies = [succeed(self.plain, "IndexFaces", {**members, "ExternalImageId": name}).body for name in ("once", "again")]
        return [record["Face"]["FaceId"] for reply in replies for record in reply["FaceRecords"]][:101]


@pytest.fixture(scope="module")
def world(start_server, databases, tmp_path_factory, photo):
    return World(start_server, databases, tmp_path_factory.mktemp("conformance"), photo)


# Replies

_OTHER = "the shape is shared with RecognizeCelebrities"
# Members that no reply of these tests has.
NOT_ANSWERED = {
    ("ComparedFace", "Emotions"): _OTHER,
    ("ComparedFace", "Smile"): _OTHER,
}


@pytest.fixture(scope="module")
def life(world):
    """The replies of a collection's life, in which every operation succeeds and every way that a reply can look comes up."""
    replies = []

    def call(operation, **members):
        replies.append(succeed(world.with_photos, operation, members))
        return replies[-1].body

    def image(name):
        return {"Bytes": blob(world.photo(name))}

    def stored(name):
        return {"S3Object": {"Bucket": "photos", "Name": name, "Version": "null"}}

    def index(image, name, **more):
        records = call("IndexFaces", **here, Image=image, ExternalImageId=name, **more)["FaceRecords"]
        return [record["Face"]["FaceId"] for record in records]

    here, arn = {"CollectionId": "life"}, f"{ARN}life"
    call("CreateCollection", **here, Tags={"team": "a", "empty": ""})
    call("TagResource", ResourceArn=arn, Tags={"größe": "10 m"})
    call("ListTagsForResource", ResourceArn=arn)
    call("UntagResource", ResourceArn=arn, TagKeys=["team", "unknown"])
    call("CreateCollection", CollectionId="second-page")
    first_page = call("ListCollections", MaxResults=1)
    call("ListCollections", NextToken=first_page["NextToken"])

    group = index(stored("sample5.jpg"), "group", DetectionAttributes=["ALL"], MaxFaces=3, QualityFilter="AUTO")
    (barack,), (again,) = (index(image(name), "barack") for name in ("obama.jpg", "obama2.jpg"))
    (joe,) = index(image("biden.jpg"), "joe")
    call("IndexFaces", **here, Image={"Bytes": blob(blank(80, 80))})
    call("DetectFaces", Image=image("obama.jpg"))
    call("DetectFaces", Image=stored("sample5.jpg"), Attributes=["ALL"])
    call("CompareFaces", SourceImage=image("obama.jpg"), TargetImage=stored("obama2.jpg"), SimilarityThreshold=50, QualityFilter="LOW")
    call("CompareFaces", SourceImage=image("sample1.jpg"), TargetImage=image("sample3.jpg"))

    for name in ("barack", "joe", "empty"):
        call("CreateUser", **here, UserId=name, ClientRequestToken=f"create-{name}")
    call("AssociateFaces", **here, UserId="joe", FaceIds=[joe])
    call("AssociateFaces", **here, UserId="barack", FaceIds=[barack], UserMatchThreshold=75, ClientRequestToken="associate")
    call("AssociateFaces", **here, UserId="barack", FaceIds=[again, joe, group[0], UNKNOWN_FACE])
    first_page = call("ListUsers", **here, MaxResults=1)
    call("ListUsers", **here, NextToken=first_page["NextToken"])
    first_page = call("ListFaces", **here, UserId="barack", FaceIds=[barack, again], MaxResults=1)
    call("ListFaces", **here, UserId="barack", FaceIds=[barack, again], NextToken=first_page["NextToken"])
    call("ListFaces", **here)

    call("SearchFaces", **here, FaceId=barack, MaxFaces=4096, FaceMatchThreshold=0)
    call("SearchFacesByImage", **here, Image=image("obama3.jpg"))
    call("SearchFacesByImage", **here, Image=stored("obama.jpg"), MaxFaces=2, FaceMatchThreshold=0, QualityFilter="HIGH")
    call("SearchUsers", **here, UserId="barack", MaxUsers=500, UserMatchThreshold=0)
    call("SearchUsers", **here, FaceId=again)
    call("SearchUsersByImage", **here, Image=stored("sample5.jpg"), MaxUsers=1, UserMatchThreshold=0, QualityFilter="NONE")
    call("SearchUsersByImage", **here, Image={"Bytes": blob(blank(80, 80))})

    faces = [barack, joe, UNKNOWN_FACE]
    call("DisassociateFaces", **here, UserId="barack", FaceIds=faces, ClientRequestToken="disassociate")
    call("DeleteFaces", **here, FaceIds=[barack, again, UNKNOWN_FACE])
    call("DeleteFaces", **here, FaceIds=[UNKNOWN_FACE])
    call("DescribeCollection", **here)
    call("DeleteUser", **here, UserId="joe", ClientRequestToken="delete")
    call("DeleteCollection", **here)
    return replies


def blank(width, height):
    """A picture without a face."""
    return pictures.png(numpy.zeros((height, width), numpy.uint8))


@pytest.mark.parametrize("operation", OPERATIONS)
def test_replies_keep_to_the_model(life, operation):
    asked = set()
    for reply in (reply for reply in life if reply.operation == operation):
        assert problems(reply.request, input_of(operation), seen=asked) == []
        assert problems(reply.body, output_of(operation)) == []
        assert_headers(reply)
    assert asked == members_of(input_of(operation))


@pytest.mark.parametrize(
    "place, value, problem",
    [
        (["Unknown"], 1, "IndexFacesResponse: the model has no member Unknown"),
        (["FaceRecords"], None, "IndexFacesResponse.FaceRecords: None is no list"),
        (["FaceRecords", 0, "Face", "FaceId"], "X", "IndexFacesResponse.FaceRecords[].Face.FaceId: 'X' breaks pattern"),
        (["FaceRecords", 0, "Face", "Confidence"], 100.5, "IndexFacesResponse.FaceRecords[].Face.Confidence: 100.5 breaks max 100"),
        (["FaceRecords", 0, "Face", "BoundingBox", "Top"], 0.1, "IndexFacesResponse.FaceRecords[].Face.BoundingBox.Top: 0.1 is no float"),
        (["UnindexedFaces", 0, "Reasons", 0], "UGLY", "IndexFacesResponse.UnindexedFaces[].Reasons[]: 'UGLY' breaks enum"),
    ],
)
def test_what_breaks_the_model_is_found(life, place, value, problem):
    (body,) = [copy.deepcopy(reply.body) for reply in life if reply.operation == "IndexFaces" and reply.body["UnindexedFaces"]]
    *way, last = place
    reduce(operator.getitem, way, body)[last] = value
    (found,) = problems(body, "IndexFacesResponse")
    assert found.startswith(problem)


def test_every_member_of_replies_comes_up(life):
    """A structure that several operations share has to be whole in one of them."""
    answered = set()
    for reply in life:
        problems(reply.body, output_of(reply.operation), seen=answered)
    members = set().union(*(members_of(output_of(operation), without=NOT_ANSWERED) for operation in OPERATIONS))
    assert members - answered == set(NOT_ANSWERED)


def assert_headers(reply):
    assert reply.headers["content-type"] == AMZ_JSON
    assert UUID.fullmatch(reply.headers["x-amzn-requestid"])


# Errors


def denied(world, operation):
    return send(world.denying, operation, smallest(operation), key=NOBODY)


def too_fast(world, operation):
    send(world.slow, operation, smallest(operation))
    return send(world.slow, operation, smallest(operation))


def no_memory(world, operation):
    return send(world.overloaded, operation, smallest(operation))


def broken_store(world, operation):
    with world.broken_store() as server:
        return send(server, operation, smallest(operation))


def unknown(world, operation):
    return send(world.plain, operation, smallest(operation))


def same_again(world, operation):
    members = inside(operation, **({"UserId": "twice"} if operation == "CreateUser" else {}))
    send(world.plain, operation, members)
    return send(world.plain, operation, members)


def wrong_token(world, operation):
    return send(world.plain, operation, inside(operation, NextToken="nonsense"))


def token_of_another(world, operation):
    user, token = f"user-of-{operation}", f"token-of-{operation}"
    if operation != "CreateUser":
        succeed(world.plain, "CreateUser", inside("CreateUser", UserId=user))
    succeed(world.plain, operation, inside(operation, UserId=user, ClientRequestToken=token))
    return send(world.plain, operation, inside(operation, UserId="another", ClientRequestToken=token))


def out_of_s3(world, operation):
    return send(world.plain, operation, with_image(operation, {"S3Object": {"Bucket": "bucket", "Name": "photo.jpg"}}))


def too_wide(world, operation):
    return send(world.plain, operation, with_image(operation, {"Bytes": blob(blank(10_001, 80))}))


def no_image(world, operation):
    return send(world.plain, operation, with_image(operation, SAMPLES["Image"]))


def over_quota(world, operation):
    if operation == "CreateCollection":
        return send(world.small, operation, {"CollectionId": "second"})
    if operation == "CreateUser":
        return send(world.small, operation, {"CollectionId": PEOPLE, "UserId": "second"})
    if operation == "IndexFaces":
        return send(world.small, operation, with_image(operation, {"Bytes": blob(world.photo("sample1.jpg"))}))
    if operation == "TagResource":
        succeed(world.plain, operation, {"ResourceArn": ARN + PEOPLE, "Tags": {f"key-{n}": "" for n in range(200)}})
        return send(world.plain, operation, {"ResourceArn": ARN + PEOPLE, "Tags": {"one-more": ""}})
    assert operation == "AssociateFaces"
    user = {"CollectionId": PEOPLE, "UserId": "many-faces"}
    succeed(world.plain, "CreateUser", user)
    assert len(succeed(world.plain, operation, {**user, "FaceIds": world.crowd[:100]}).body["AssociatedFaces"]) == 100
    return send(world.plain, operation, {**user, "FaceIds": world.crowd[100:], "UserMatchThreshold": 0})


def invalid(world, operation):
    if operation == "AssociateFaces":
        members = smallest(operation, CollectionId="of-other-models")
        succeed(world.on_postgres, "CreateCollection", {"CollectionId": "of-other-models"})
        world.alter("UPDATE collections SET face_model_version = '0.1' WHERE name = 'of-other-models'")
        return send(world.on_postgres, operation, members)
    return send(world.plain, operation, INVALID[operation]())


# Requests whose members are well-formed, each by itself.
INVALID = {
    "IndexFaces": lambda: with_image("IndexFaces", {}),
    "DetectFaces": lambda: with_image("DetectFaces", {**SAMPLES["Image"], "S3Object": {"Bucket": "bucket", "Name": "photo.jpg"}}),
    "CompareFaces": lambda: with_image("CompareFaces", {"Bytes": blob(blank(80, 80))}),
    "SearchFacesByImage": lambda: with_image("SearchFacesByImage", {"Bytes": blob(blank(80, 80))}),
    "SearchUsersByImage": lambda: with_image("SearchUsersByImage", {"Bytes": blob(blank(79, 80))}),
    "SearchFaces": lambda: inside("SearchFaces"),
    "SearchUsers": lambda: inside("SearchUsers", FaceId=UNKNOWN_FACE),
    "TagResource": lambda: smallest("TagResource", ResourceArn=PROJECT),
    "UntagResource": lambda: smallest("UntagResource", ResourceArn=PROJECT),
    "ListTagsForResource": lambda: smallest("ListTagsForResource", ResourceArn=PROJECT),
}

# How each error is provoked, on a running server and over the wire: by what, in words, and the call that gets it.
PROVOKED = {
    "AccessDeniedException": ("a caller whose policies allow nothing", denied),
    "ConflictException": ("making a user that there is", same_again),
    "IdempotentParameterMismatchException": ("a ClientRequestToken that came with another user or collection before", token_of_another),
    "ImageTooLargeException": ("an image of 10,001 pixels a side", too_wide),
    "InternalServerError": ("a table that is gone from the store (on Postgres)", broken_store),
    "InvalidImageFormatException": ("bytes that are neither JPEG nor PNG", no_image),
    "InvalidPaginationTokenException": ("a NextToken that the listing did not give out", wrong_token),
    "InvalidParameterException": (
        "an image that is missing, given twice, too small, or without a face where one is needed; a face that is not in the collection; "
        "two probes at once; an ARN of no collection; a collection of another model version",
        invalid,
    ),
    "InvalidS3ObjectException": ("an S3Object, on a server to which no S3 was named", out_of_s3),
    "ProvisionedThroughputExceededException": ("two calls in a row, with `--rates '*=1'`", too_fast),
    "ResourceAlreadyExistsException": ("making a collection that there is", same_again),
    "ResourceNotFoundException": ("a collection that there is not", unknown),
    "ServiceQuotaExceededException": (
        "one more, with `--max-collections 1`, `--max-faces 1` and `--max-users 1`; the 101st face of a user; the 201st tag",
        over_quota,
    ),
    "ThrottlingException": ("any call, with `--max-bodies 1`: the memory for bodies is used up", no_memory),
}

_CONSTRAINTS = "a value that is wrong breaks a constraint, which is a `ValidationException`, and what it names has errors of its own"
_STATELESS = "it has no store that could be broken under a running server, and what goes wrong with S3 has errors of its own"
_ONE_BY_ONE = "changes of a collection's users are made one after another, and none leaves a user in between two states"
_WITHOUT_WRONG_VALUES = (
    ["CreateCollection", "DescribeCollection", "ListCollections", "DeleteCollection", "ListFaces", "DeleteFaces"]
    + ["CreateUser", "DeleteUser", "ListUsers", "DisassociateFaces"]
)
CANNOT_OCCUR = {
    **{(operation, "InvalidParameterException"): _CONSTRAINTS for operation in _WITHOUT_WRONG_VALUES},
    **{(operation, "InternalServerError"): _STATELESS for operation in ("DetectFaces", "CompareFaces")},
    **{(operation, "ConflictException"): _ONE_BY_ONE for operation in ("DeleteUser", "AssociateFaces", "DisassociateFaces")},
    ("ListCollections", "ResourceNotFoundException"): "it names no resource, and an account without collections has an empty list of them",
}
DECLARED = [(operation, error) for operation in OPERATIONS for error in errors_of(operation)]


@pytest.mark.parametrize("operation, error", [pair for pair in DECLARED if pair not in CANNOT_OCCUR])
def test_declared_errors(world, operation, error):
    reply = PROVOKED[error][1](world, operation)
    assert (reply.status, reply.code) == (status_of(error), error), reply
    assert_headers(reply)
    assert "x-amzn-errortype" not in reply.headers
    if error == "AccessDeniedException":
        assert set(reply.body) == {"__type", "Message"}
        assert re.fullmatch(
            rf"User: arn:aws:iam::000000000000:user/nobody is not authorized to perform: rekognition:{operation} on resource: "
            rf"(\*|{ARN}no-such-collection) because no identity-based policy allows the rekognition:{operation} action",
            reply.body["Message"],
        )
    else:
        assert set(reply.body) == {"__type", "Code", "Logref", "Message"}
        assert (reply.body["Code"], bool(reply.body["Message"])) == (error, True)
        assert UUID.fullmatch(reply.body["Logref"]) and reply.body["Logref"] != reply.headers["x-amzn-requestid"]


def test_what_cannot_occur_is_declared():
    assert set(CANNOT_OCCUR) <= set(DECLARED)


# Operations that are not here

# What each is about, by its name.
ABSENT = {
    "labels, text, moderation, protective equipment and celebrities in images": (
        r"Detect(CustomLabels|Labels|ModerationLabels|ProtectiveEquipment|Text)|RecognizeCelebrities|GetCelebrityInfo"
    ),
    "videos": r"(Start|Get)(Celebrity|Person|Content|Face|Label|Segment|Text)(Recognition|Tracking|Moderation|Detection|Search)",
    "streams": r"\w+StreamProcessors?",
    "liveness": r"\w+FaceLiveness\w+",
    "analysis in bulk": r"\w+MediaAnalysisJobs?",
    "custom models": r"\w+(Project|Dataset)\w*",
}
NOT_HERE = sorted(set(MODEL["operations"]) - set(OPERATIONS))


def test_the_source_names_every_operation_that_is_not_here():
    source = (ROOT / "src/domain/absent.rs").read_text()
    assert re.findall(r'^    "(\w+)",$', source, re.MULTILINE) == NOT_HERE


@pytest.mark.parametrize("operation", NOT_HERE)
def test_what_is_not_here_is_refused_by_its_name(world, operation):
    reply = send(world.plain, operation, {})
    text = f"This server does not have the operation {operation}: it has those of Amazon Rekognition on faces in images and collections."
    assert (reply.status, reply.body) == (400, {"__type": "UnknownOperationException", "Message": text})
    assert_headers(reply)
    lines = [line for line in world.plain.log.read_text().splitlines() if reply.headers["x-amzn-requestid"] in line]
    assert len(lines) == 1 and f"this server does not have the operation {operation}" in lines[0], lines


def test_an_sdk_says_what_is_not_here(world):
    with pytest.raises(ClientError, match=r"UnknownOperationException.*does not have the operation DetectLabels"):
        world.plain.client.detect_labels(Image={"Bytes": b"no image"})


def test_only_a_known_key_learns_what_is_not_here(world):
    replies = [send(world.denying, operation, {}, key=("AKIASTRANGER00000001", "secret")) for operation in ("DetectLabels", "ListCollections")]
    assert [reply.code for reply in replies] == ["UnrecognizedClientException"] * 2
    assert send(world.denying, "DetectLabels", {}, key=NOBODY).code == "UnknownOperationException"


# Constraints

# Characters of every kind: all of ASCII that can be seen, and some beyond; of Unicode's categories one each that a pattern may name.
CHARACTERS = [*map(chr, range(32, 127)), *"\0\t\n\x7f", *"äΩ漢½€😀", "\u00a0", "\u2028", "\u200b", "\u093e", "Ⓐ"]


def put(shape_name, place, value):
    """A value of the shape with `value` at that place, and nothing beside it."""
    if not place:
        return value
    (name, *rest), shape = place, SHAPES[shape_name]
    if name == "[]":
        return [put(shape["member"]["shape"], rest, value)]
    if name == "key":
        return {value: SAMPLES[shape["value"]["shape"]]}
    if name == "value":
        return {SAMPLES[shape["key"]["shape"]]: value}
    return {name: put(shape["members"][name]["shape"], rest, value)}


def of_size(shape, size):
    """Values of a size: its characters, bytes or items, or the number itself."""
    kind = shape["type"]
    if kind in ("integer", "float"):
        return [size]
    if size < 0:
        return []
    if kind == "list":
        item = shape["member"]["shape"]
        return [[f"{n:08x}{UNKNOWN_FACE[8:]}" if item == "FaceId" else f"key-{n}" for n in range(size)]]
    if kind == "map":
        return [{f"key-{n:03}": "" for n in range(size)}]
    if kind == "blob":
        return [blob(bytes(size))]
    assert kind == "string"
    # Characters count, and not the bytes that they come in.
    return [letter * size for letter in "aä" if matches(shape.get("pattern", ".*"), letter)]


def texts(sample):
    """Texts like the sample: another character in it, before it, behind it, and some other changes."""
    changed = [sample[0] + character + sample[2:] for character in CHARACTERS]
    return [sample, *changed, "\n" + sample, sample + "\n", " " + sample, sample.upper(), sample + "0", f"aws:{sample}"]


def at_the_edge(rule):
    """Values that a rule just allows, and values that it just does not."""
    given = rule.shape.get(rule.name)
    if rule.name == "required":
        return [SAMPLES[rule.shape_name]], [None]
    if rule.name == "enum":
        return given, [given[0].lower(), f"{given[0]} ", "", "SOMETHING_ELSE"]
    if rule.name == "pattern":
        candidates = texts(SAMPLES[rule.shape_name])
        return ([text for text in candidates if matches(given, text) == good] for good in (True, False))
    step = (1 if rule.name == "max" else -1) * (0.001 if rule.shape["type"] == "float" else 1)
    return of_size(rule.shape, given), of_size(rule.shape, given + step)


def told(rule, members):
    """The value that an error tells of when a request breaks a rule: of an item, its whole list or map."""
    for name in rule.place:
        members = members if name in ITEMS else members.get(name)
    return members


def shown(value):
    """The value as the service prints it in the text of an error."""
    if isinstance(value, list):
        return f"[{', '.join(value)}]"
    if isinstance(value, dict):
        return f"{{{', '.join(f'{key}={item}' for key, item in value.items())}}}"
    return str(value)


def violation(rule, members):
    """The part of an error's text that tells of the rule, as a regular expression."""
    value = told(rule, members)
    if rule.shape["type"] == "blob" and value is not None:
        value = "java.nio.HeapByteBuffer[pos=0 lim={0} cap={0}]".format(len(base64.b64decode(value)))
    # Of a long value the server repeats the beginning.
    text, rest = shown(value)[:1000], ".*" if len(shown(value)) > 1000 else ""
    printed = "Value null" if value is None else f"Value '{re.escape(text)}{rest}'"
    words = re.escape(rule.words)
    if rule.place[-1] in ITEMS:
        words = rf"{ITEMS[rule.place[-1]]}\[.*{words}.*\]"
    return f"{printed} at '{re.escape(rule.path)}' failed to satisfy constraint: {words}"


def assert_taken(reply):
    """Whatever else is wrong with the request: it breaks no constraint."""
    assert reply.status == 200 or reply.code in errors_of(reply.operation), reply


def assert_refused(reply, rule):
    value = repr(told(rule, reply.request))[:99]
    assert (reply.status, reply.code, set(reply.body)) == (400, "ValidationException", {"__type", "message"}), (value, reply)
    beginning = r"(1 validation error|[2-9] validation errors) detected: "
    assert re.match(rf"{beginning}(.*; )?{violation(rule, reply.request)}", reply.body["message"], re.DOTALL), (value, reply)
    assert_headers(reply)


@pytest.mark.parametrize("rule", [rule for operation in OPERATIONS for rule in rules_of(operation)], ids=str)
def test_constraints(world, rule):
    def ask(value):
        return send(world.plain, rule.operation, smallest(rule.operation, **put(input_of(rule.operation), rule.place, value)))

    allowed, not_allowed = at_the_edge(rule)
    for value in allowed:
        assert_taken(ask(value))
    for value in not_allowed:
        assert_refused(ask(value), rule)
    if rule.name == "required":
        (name,) = rule.place
        absent = {other: member for other, member in smallest(rule.operation).items() if other != name}
        assert_refused(send(world.plain, rule.operation, absent), rule)


# The page

PAGE = """\
# Compatibility

Every AWS SDK is made from Amazon's model of the service, which lists the members of each request and reply, their constraints, and the
errors of each operation. This page says how far rekollect keeps to that model (`rekognition/2016-06-27`, as botocore carries it) in the 21
operations on faces. `tests/clients/test_conformance.py` compares the two, over plain HTTP with running servers:

- **Replies**: every operation succeeds, with every member of its request used. No reply has a member, type, length, number, pattern or word
  that the model does not know, and everything that the model says a reply may hold comes up.
- **Errors**: every error that the model declares for an operation is provoked for real. Status, code and envelope are the service's.
- **Constraints**: of every member, a value that a constraint just allows is taken, and one that it just does not is refused with a
  `ValidationException` that names the path, the value and the rule. (The model does not declare this error, but the service answers so.)

What differs is listed under [Exceptions](#exceptions).

## Operations

Of the {number} operations of the service, rekollect has the 21 on faces:

{operations}

One that is not here gets `UnknownOperationException` with status 400, and a message that names it. The call is a line in the log, and
counts in `rekollect_requests_total` under its own name. No answer is made up. [Why they are not here](non-goals.md).

What rekollect has beyond the service is on [a page of its own](extensions.md).

## Declared errors

Without the `Exception` at the end of their names.

{errors}

How each is provoked:

{ways}

Why the others cannot occur here:

{reasons}

## Exceptions

All in replies:

{replies}

## Keep this page current

It is rendered from the tables in the test, which fails when the page differs from them. To write it anew:

```sh
UPDATE_COMPATIBILITY=1 .venv-test/bin/python -m pytest tests/clients/test_conformance.py -k page
```
"""


def short(error):
    return error.removesuffix("Exception")


def table(heading, rows):
    rows = [heading, *rows]
    lines = [f"| {' | '.join(row)} |" for row in rows]
    return "\n".join([lines[0], "|---" * len(heading) + "|", *lines[1:]])


def by_reason(exceptions):
    """Rows of what is excepted for the same reason."""
    names = {}
    for what, why in exceptions.items():
        names.setdefault(why, []).append(f"`{what}`")
    return [(", ".join(what), why) for why, what in names.items()]


def operations():
    yield "faces: collections, users, searches, images", "yes", ", ".join(OPERATIONS)
    left = list(NOT_HERE)
    for about, pattern in ABSENT.items():
        yield about, "no", ", ".join(name for name in left if re.fullmatch(pattern, name))
        left = [name for name in left if not re.fullmatch(pattern, name)]
    assert left == [], "ABSENT says what each operation is about"


def errors_of_each():
    for operation in OPERATIONS:
        yes, no = [], []
        for error in sorted(errors_of(operation)):
            (no if (operation, error) in CANNOT_OCCUR else yes).append(short(error))
        yield operation, ", ".join(yes), ", ".join(no)


def reasons():
    names = {}
    for (operation, error), why in CANNOT_OCCUR.items():
        names.setdefault((short(error), why), []).append(operation)
    return [(error, ", ".join(operations), why) for (error, why), operations in names.items()]


def page():
    assert len(OPERATIONS) == 21
    not_kept = {place: why for (place, _rule), why in NOT_KEPT_IN_REPLIES.items()}
    not_answered = {".".join(member): why for member, why in NOT_ANSWERED.items()}
    return PAGE.format(
        number=len(MODEL["operations"]),
        operations=table(["about", "here", "operations"], operations()),
        errors=table(["operation", "provoked", "cannot occur"], errors_of_each()),
        ways=table(["error", "status", "provoked by"], [(short(error), str(status_of(error)), by) for error, (by, _) in PROVOKED.items()]),
        reasons=table(["error", "of", "because"], reasons()),
        replies=table(["where", "what"], by_reason({**not_kept, **not_answered})),
    )


def test_the_page_is_current():
    if os.environ.get("UPDATE_COMPATIBILITY"):
        DOCUMENT.write_text(page())
    assert DOCUMENT.read_text() == page(), "UPDATE_COMPATIBILITY=1 writes it anew"
