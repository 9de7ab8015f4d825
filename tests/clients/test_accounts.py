"""Accounts, which know nothing of each other, and the policies of those who call."""

import base64
import contextlib
import json
import uuid
from dataclasses import dataclass, replace

import pytest
from botocore.credentials import Credentials
from servers import REGION
from test_signatures import INVALID, MISSING, MISMATCH, UNKNOWN, ask, credentials_file, holder, signed

ONE, TWO = "111111111111", "222222222222"
UNKNOWN_FACE = "11111111-2222-3333-4444-555555555555"
NOT_FOUND, INVALID_TOKEN = "ResourceNotFoundException", "InvalidPaginationTokenException"
DENIED, THROTTLED = "AccessDeniedException", "ProvisionedThroughputExceededException"


def statement(effect, actions, resources="*"):
    return json.dumps({"Version": "2012-10-17", "Statement": [{"Effect": effect, "Action": actions, "Resource": resources}]})


def allow(actions, resources="*"):
    return statement("Allow", actions, resources)


def deny(actions, resources="*"):
    return statement("Deny", actions, resources)


def arn_of(collection, account=ONE, region=REGION):
    return f"arn:aws:rekognition:{region}:{account}:collection/{collection}"


def key_of(name):
    """The key of a principal of this name."""
    return Credentials(f"AKIA-{name}", f"the secret of {name}")


def blob(data):
    return {"Bytes": base64.b64encode(data).decode()}


class Refused(Exception):
    """Carries the code and the text."""


@dataclass(frozen=True)
class Caller:
    """Somebody with a key, at a server."""

    server: object
    name: str

    def __call__(self, operation, **members):
        reply = ask(self.server, signed(self.server, operation, members, key=key_of(self.name)))
        if reply.status != 200:
            assert reply.status == 400, reply
            raise Refused(reply.code, reply.text)
        return json.loads(reply.raw)

    def refused(self, operation, **members):
        """The code and the text that a call is refused with."""
        with pytest.raises(Refused) as raised:
            self(operation, **members)
        return raised.value.args

    def code(self, operation, **members):
        """The code that a call is refused with; None when it is not."""
        try:
            self(operation, **members)
        except Refused as refused:
            return refused.args[0]

    def index(self, collection, photo, name):
        """The id of the largest face of a photo, which is in the collection now."""
        reply = self("IndexFaces", CollectionId=collection, Image=blob(photo), ExternalImageId=name, MaxFaces=1)
        return reply["FaceRecords"][0]["Face"]["FaceId"]

    def found(self, collection, photo):
        """The names of the faces that an image is found to be."""
        reply = self("SearchFacesByImage", CollectionId=collection, Image=blob(photo))
        return [match["Face"]["ExternalImageId"] for match in reply["FaceMatches"]]

    def faces(self, collection, **more):
        return [face["FaceId"] for face in self("ListFaces", CollectionId=collection, **more)["Faces"]]

    def users(self, collection):
        return [user["UserId"] for user in self("ListUsers", CollectionId=collection)["Users"]]

    def people(self, operation, collection, **more):
        """The names of the users that a search finds."""
        return [match["User"]["UserId"] for match in self(operation, CollectionId=collection, **more)["UserMatches"]]


# Two accounts


class Tenants:
    """The owners of two accounts; where there are two servers on one store, each is at another one."""

    def __init__(self, servers):
        self.servers = servers
        self.one, self.two = Caller(servers[0], "one"), Caller(servers[-1], "two")

    def at_every_server(self, caller):
        return [Caller(server, caller.name) for server in self.servers]

    def all(self):
        return [caller for owner in (self.one, self.two) for caller in self.at_every_server(owner)]


OWNERS = "".join(holder(key_of(name), name=name, account=account) for name, account in [("one", ONE), ("two", TWO)])


@pytest.fixture(scope="module", params=["one server on SQLite", "two servers on Postgres"])
def tenants(request, start_server, databases, tmp_path_factory):
    how = {"args": ["--workers", "1"], "env": credentials_file(tmp_path_factory.mktemp("tenants"), OWNERS)}
    if "SQLite" in request.param:
        return Tenants([start_server(**how)])
    url = databases.create()
    return Tenants([start_server("postgres", database_url=url, **how) for _ in range(2)])


@pytest.fixture
def people(tenants):
    """The name of a collection that each account has."""
    name = f"people-{uuid.uuid4().hex}"
    for caller in (tenants.one, tenants.two):
        caller("CreateCollection", CollectionId=name)
    yield name
    for caller in (tenants.one, tenants.two):
        with contextlib.suppress(Refused):
            caller("DeleteCollection", CollectionId=name)


@pytest.fixture
def private(tenants):
    """The name of a collection that only the first account has."""
    name = f"private-{uuid.uuid4().hex}"
    tenants.one("CreateCollection", CollectionId=name, Tags={"owner": "one"})
    yield name
    tenants.one("DeleteCollection", CollectionId=name)


def test_names_do_not_clash(tenants, people, private):
    for caller, account in ((tenants.one, ONE), (tenants.two, TWO)):
        for there in tenants.at_every_server(caller):
            assert there("DescribeCollection", CollectionId=people)["CollectionARN"] == arn_of(people, account)
            assert there.refused("CreateCollection", CollectionId=people)[0] == "ResourceAlreadyExistsException"
            assert people in there("ListCollections")["CollectionIds"]
            assert (private in there("ListCollections")["CollectionIds"]) == (account == ONE)
    created = tenants.two("CreateCollection", CollectionId=private)
    assert created["CollectionArn"].endswith(f":{TWO}:collection/{private}")
    tenants.two("DeleteCollection", CollectionId=private)
    assert tenants.one("DescribeCollection", CollectionId=private)["FaceCount"] == 0


def requests_in(collection):
    """A request of each operation that names a collection."""
    here = {"CollectionId": collection}
    user, faces = {**here, "UserId": "user"}, {"FaceIds": [UNKNOWN_FACE]}
    image = {"Image": blob(b"no image")}
    return {
        "DescribeCollection": here,
        "ListFaces": here,
        "DeleteFaces": {**here, **faces},
        "SearchFaces": {**here, "FaceId": UNKNOWN_FACE},
        "IndexFaces": {**here, **image},
        "SearchFacesByImage": {**here, **image},
        "CreateUser": user,
        "DeleteUser": user,
        "ListUsers": here,
        "AssociateFaces": {**user, **faces},
        "DisassociateFaces": {**user, **faces},
        "SearchUsers": user,
        "SearchUsersByImage": {**here, **image},
        "DeleteCollection": here,
    }


def requests_about(arn):
    """A request of each operation that names a resource."""
    return {
        "TagResource": {"ResourceArn": arn, "Tags": {"team": "two"}},
        "UntagResource": {"ResourceArn": arn, "TagKeys": ["owner"]},
        "ListTagsForResource": {"ResourceArn": arn},
    }


def test_a_collection_of_another_account_does_not_exist(tenants, private):
    text = f"The collection id: {private} does not exist"
    for operation, members in requests_in(private).items():
        assert tenants.two.refused(operation, **members) == (NOT_FOUND, text), operation
    for account in (ONE, TWO):
        for arn in (arn_of(private, account), arn_of(private, account).removeprefix("arn:")):
            for operation, members in requests_about(arn).items():
                assert tenants.two.refused(operation, **members) == (NOT_FOUND, text), (operation, arn)
    for caller in tenants.at_every_server(tenants.one):
        assert caller("ListTagsForResource", ResourceArn=arn_of(private))["Tags"] == {"owner": "one"}
        assert caller("DescribeCollection", CollectionId=private)["UserCount"] == 0


def test_tags_are_those_of_ones_own_collection(tenants, people):
    for caller, account in ((tenants.one, ONE), (tenants.two, TWO)):
        caller("TagResource", ResourceArn=arn_of(people, account), Tags={"account": account})
    for other in (arn_of(people, ONE), arn_of(people, ONE).removeprefix("arn:")):
        for operation, members in requests_about(other).items():
            assert tenants.two.refused(operation, **members)[0] == NOT_FOUND
    for caller, account in ((tenants.one, ONE), (tenants.two, TWO)):
        arn = arn_of(people, account).removeprefix("arn:")
        assert caller("ListTagsForResource", ResourceArn=arn)["Tags"] == {"account": account}


def test_galleries_are_not_shared(tenants, people, photo):
    obama, again, biden = (photo(name) for name in ("obama.jpg", "obama2.jpg", "biden.jpg"))
    tenants.one.index(people, obama, "barack")
    tenants.two.index(people, biden, "joe")
    # Twice, and in turns: what one call loads into memory must not be what the next one finds.
    for caller in tenants.all() * 2:
        mine = caller.name == "one"
        assert caller.found(people, again) == (["barack"] if mine else [])
        assert caller.found(people, biden) == ([] if mine else ["joe"])
    tenants.two.index(people, again, "seen-by-two")
    for caller in tenants.all():
        assert caller.found(people, obama) == (["barack"] if caller.name == "one" else ["seen-by-two"])
    tenants.one("DeleteCollection", CollectionId=people)
    tenants.one("CreateCollection", CollectionId=people)
    for caller in tenants.all():
        assert caller.found(people, obama) == ([] if caller.name == "one" else ["seen-by-two"])


def test_a_face_of_another_account_does_not_exist(tenants, people, photo):
    theirs = tenants.one.index(people, photo("obama.jpg"), "barack")
    mine = tenants.two.index(people, photo("biden.jpg"), "joe")
    here = {"CollectionId": people}
    assert tenants.two.faces(people) == [mine]
    assert tenants.two.faces(people, FaceIds=[theirs, mine]) == [mine]
    not_found = ("InvalidParameterException", "faceId was not found in the collection.")
    assert tenants.two.refused("SearchFaces", **here, FaceId=theirs) == not_found
    assert tenants.two.refused("SearchUsers", **here, FaceId=theirs) == not_found
    assert tenants.two("SearchFaces", **here, FaceId=mine, FaceMatchThreshold=0)["FaceMatches"] == []
    tenants.two("CreateUser", **here, UserId="everybody")
    association = tenants.two("AssociateFaces", **here, UserId="everybody", FaceIds=[theirs, mine])
    assert association["AssociatedFaces"] == [{"FaceId": mine}]
    (failure,) = association["UnsuccessfulFaceAssociations"]
    assert failure["FaceId"] == theirs and failure["Reasons"] == ["FACE_NOT_FOUND"]
    taken = tenants.two("DisassociateFaces", **here, UserId="everybody", FaceIds=[theirs, mine])
    assert taken["DisassociatedFaces"] == [{"FaceId": mine}]
    deleted = tenants.two("DeleteFaces", **here, FaceIds=[theirs, mine])
    assert deleted["DeletedFaces"] == [mine]
    for caller in tenants.at_every_server(tenants.one):
        assert caller.faces(people) == [theirs]
        assert caller.found(people, photo("obama2.jpg")) == ["barack"]
        assert caller.users(people) == []


def test_the_same_face_in_both_accounts_is_two_faces(tenants, people, photo):
    """A FaceId follows from the image, so that both accounts have the same one."""
    obama, here = photo("obama.jpg"), {"CollectionId": people}
    (face,) = {caller.index(people, obama, "barack") for caller in (tenants.one, tenants.two)}
    for caller in (tenants.one, tenants.two):
        caller("CreateUser", **here, UserId=f"of-{caller.name}")
        caller("AssociateFaces", **here, UserId=f"of-{caller.name}", FaceIds=[face])
    for caller in tenants.all():
        own = [f"of-{caller.name}"]
        assert caller.users(people) == own
        assert caller.people("SearchUsers", people, FaceId=face) == own
        assert caller.people("SearchUsersByImage", people, Image=blob(obama)) == own
        assert caller("ListFaces", **here)["Faces"][0]["UserId"] == own[0]
        other = "of-two" if caller.name == "one" else "of-one"
        assert caller.refused("SearchUsers", **here, UserId=other) == (NOT_FOUND, f"The user id: {other} does not exist")
        assert caller.refused("ListFaces", **here, UserId=other)[0] == NOT_FOUND
        assert caller.refused("DeleteUser", **here, UserId=other)[0] == NOT_FOUND
    tenants.one("DeleteUser", **here, UserId="of-one")
    tenants.one("DeleteFaces", **here, FaceIds=[face])
    for caller in tenants.at_every_server(tenants.two):
        assert caller.faces(people) == [face]
        assert caller.found(people, obama) == ["barack"]
        assert caller.people("SearchUsers", people, UserMatchThreshold=0, FaceId=face) == ["of-two"]
    assert tenants.one.faces(people) == []


def test_a_deleted_collection_is_only_ones_own(tenants, people, photo):
    tenants.one.index(people, photo("obama.jpg"), "barack")
    tenants.two("DeleteCollection", CollectionId=people)
    for caller in tenants.at_every_server(tenants.two):
        assert caller.refused("ListFaces", CollectionId=people)[0] == NOT_FOUND
    for caller in tenants.at_every_server(tenants.one):
        assert caller.found(people, photo("obama.jpg")) == ["barack"]


def test_pages_of_another_account_cannot_be_turned(tenants, people, private, photo):
    for caller in (tenants.one, tenants.two):
        for name in ("obama.jpg", "biden.jpg"):
            caller.index(people, photo(name), "face")
        for user in ("first", "second"):
            caller("CreateUser", CollectionId=people, UserId=user)
        caller("CreateCollection", CollectionId=f"{people}-second")
    here = {"CollectionId": people}
    for operation, members in (("ListCollections", {}), ("ListFaces", here), ("ListUsers", here)):
        tokens = {}
        for caller in (tenants.one, tenants.two):
            tokens[caller.name] = caller(operation, **members, MaxResults=1)["NextToken"]
        assert tokens["one"] != tokens["two"]
        for caller in tenants.all():
            for owner, token in tokens.items():
                # On any server, and by nobody but the one who got it.
                expected = None if owner == caller.name else INVALID_TOKEN
                assert caller.code(operation, **members, NextToken=token) == expected, (operation, caller.name, owner)
    for caller in (tenants.one, tenants.two):
        caller("DeleteCollection", CollectionId=f"{people}-second")


def test_client_request_tokens_are_an_accounts_own(tenants, people, photo):
    here, token = {"CollectionId": people}, uuid.uuid4().hex
    (face,) = {caller.index(people, photo("obama.jpg"), "barack") for caller in (tenants.one, tenants.two)}
    # The same token for different requests: a mismatch within one account, on any server, and nothing in two.
    tenants.one("CreateUser", **here, UserId="first", ClientRequestToken=token)
    tenants.two("CreateUser", **here, UserId="second", ClientRequestToken=token)
    for caller in tenants.all():
        text = f"The ClientRequestToken: {token} you have supplied is already in use."
        assert caller.refused("CreateUser", **here, UserId="third", ClientRequestToken=token) == (
            "IdempotentParameterMismatchException",
            text,
        )
    # The same token for the same request: each account's is carried out, and not taken for a repetition.
    again, both = f"{token}-again", {**here, "UserId": "both"}
    for caller in (tenants.one, tenants.two):
        caller("CreateUser", **both, ClientRequestToken=again)
        reply = caller("AssociateFaces", **both, FaceIds=[face], ClientRequestToken=f"{again}-faces")
        assert reply["AssociatedFaces"] == [{"FaceId": face}]
    for caller in tenants.all():
        assert caller.faces(people, UserId="both") == [face]
    assert tenants.one.users(people) == ["first", "both"] and tenants.two.users(people) == ["second", "both"]


# Policies

PEOPLE = arn_of("people")
NOBODY_ALLOWS = "because no identity-based policy allows the {} action"
EXPLICIT = "with an explicit deny in an identity-based policy"
POLICIES = {
    "nobody": [],
    "owner": [allow("rekognition:*")],
    "reader": [allow(["rekognition:List*", "rekognition:Describe*"])],
    "lower-case": [allow("REKOGNITION:describecollection")],
    "one-letter": [allow("rekognition:SearchFac?s")],
    "people-only": [allow("rekognition:*", PEOPLE)],
    "people-and-nothing": [allow("rekognition:*", [PEOPLE, "arn:aws:rekognition:*:*:*"])],
    "teams": [allow("rekognition:*", arn_of("team-*"))],
    "other-region": [allow("rekognition:*", arn_of("*", region="eu-west-1"))],
    "other-account": [allow("rekognition:*", arn_of("*", account=TWO))],
    "other-service": [allow("s3:*"), allow("rekollect:*")],
    "no-deletion": [allow("rekognition:*"), deny("rekognition:Delete*")],
    "denied-first": [deny("*", arn_of("secret*")), allow("*")],
    "no-tags": [allow("rekognition:CreateCollection")],
    "tags": [allow(["rekognition:CreateCollection", "rekognition:TagResource"])],
    "tags-elsewhere": [allow("rekognition:CreateCollection"), allow("rekognition:TagResource", arn_of("team-*"))],
    "tags-denied": [allow("*"), deny("rekognition:TagResource")],
    "operator": [allow("rekollect:ManageFaults")],
    "operator-of-people": [allow("rekollect:ManageFaults", PEOPLE)],
}


def everybody():
    return "".join(holder(key_of(name), name=name, account=ONE, policies=policies) for name, policies in POLICIES.items())


@pytest.fixture(scope="module")
def ruled(start_server, tmp_path_factory):
    """A server with policies; `ruled(name)` calls it as the principal of this name."""
    env = credentials_file(tmp_path_factory.mktemp("ruled"), everybody() + OWNERS)
    server = start_server(args=["--workers", "1", "--enable-faults"], env=env)
    for collection in ("people", "secret", "team-a"):
        Caller(server, "owner")("CreateCollection", CollectionId=collection)
    return lambda name: Caller(server, name)


def denial(name, operation, resource, why=NOBODY_ALLOWS, action=None):
    """What somebody is told who may not do this to that."""
    action = action or f"rekognition:{operation}"
    text = f"User: arn:aws:iam::{ONE}:user/{name} is not authorized to perform: {action} on resource: {resource} {why.format(action)}"
    return DENIED, text


def every_request(collection):
    """A request of each operation, and the resource that it is about."""
    image = blob(b"no image")
    requests = {operation: (members, arn_of(collection)) for operation, members in requests_in(collection).items()}
    requests |= {operation: (members, arn_of(collection)) for operation, members in requests_about(arn_of(collection)).items()}
    requests["CreateCollection"] = {"CollectionId": collection}, arn_of(collection)
    requests["ListCollections"] = {}, "*"
    requests["DetectFaces"] = {"Image": image}, "*"
    requests["CompareFaces"] = {"SourceImage": image, "TargetImage": image}, "*"
    assert len(requests) == 21
    return requests


def test_without_a_policy_nothing_is_allowed(ruled):
    nobody = ruled("nobody")
    for collection in ("people", "no-such-collection"):
        for operation, (members, resource) in every_request(collection).items():
            assert nobody.refused(operation, **members) == denial("nobody", operation, resource)
    assert ruled("owner")("DescribeCollection", CollectionId="people")["UserCount"] == 0


def test_what_is_about_no_resource_needs_a_star(ruled):
    for name in ("people-only", "people-and-nothing"):
        caller = ruled(name)
        for operation, (members, resource) in every_request("people").items():
            if resource == "*":
                assert caller.refused(operation, **members) == denial(name, operation, "*")
    assert "people" in ruled("reader")("ListCollections")["CollectionIds"]
    assert ruled("owner").code("DetectFaces", Image=blob(b"no image")) == "InvalidImageFormatException"


def test_one_collection_only(ruled):
    caller = ruled("people-only")
    for operation, (members, resource) in every_request("secret").items():
        assert caller.refused(operation, **members) == denial("people-only", operation, resource)
    for operation, (members, resource) in every_request("people").items():
        if resource != "*" and operation != "DeleteCollection":
            assert caller.code(operation, **members) != DENIED, operation
    for arn in (PEOPLE, PEOPLE.removeprefix("arn:")):
        caller("TagResource", ResourceArn=arn, Tags={"k": "v"})
        assert caller("ListTagsForResource", ResourceArn=arn)["Tags"]["k"] == "v"
    # However the other one is written, it is the other one; and what is no collection's ARN is none of its own either.
    others = [arn_of("secret"), arn_of("secret").removeprefix("arn:"), arn_of("people", TWO), arn_of("people", region="eu-west-1")]
    others += [f"arn:{PEOPLE}", f"{PEOPLE}/../secret", PEOPLE.upper(), PEOPLE.replace("aws", "*"), arn_of("peopl*"), f"{PEOPLE}:x"]
    for arn in others:
        for operation, members in requests_about(arn).items():
            resource = arn if arn.startswith("arn:") else f"arn:{arn}"
            assert caller.refused(operation, **members) == denial("people-only", operation, resource)


@pytest.mark.parametrize(
    "name, operation, collection, allowed",
    [
        ("reader", "DescribeCollection", "people", True),
        ("reader", "ListFaces", "people", True),
        ("reader", "SearchFaces", "people", False),
        ("lower-case", "DescribeCollection", "people", True),
        ("lower-case", "ListFaces", "people", False),
        ("one-letter", "SearchFaces", "people", True),
        ("one-letter", "SearchFacesByImage", "people", False),
        ("teams", "ListFaces", "team-a", True),
        ("teams", "ListFaces", "people", False),
        ("teams", "ListFaces", "Team-a", False),
        ("other-region", "ListFaces", "people", False),
        ("other-account", "ListFaces", "people", False),
        ("other-service", "ListFaces", "people", False),
        ("no-deletion", "ListFaces", "people", True),
        ("denied-first", "ListFaces", "people", True),
        ("operator", "ListFaces", "people", False),
    ],
)
def test_wildcards(ruled, name, operation, collection, allowed):
    members = requests_in(collection)[operation]
    if allowed:
        assert ruled(name).code(operation, **members) != DENIED
    else:
        assert ruled(name).refused(operation, **members) == denial(name, operation, arn_of(collection))


def test_a_denial_beats_every_permission(ruled):
    for operation in ("DeleteCollection", "DeleteFaces", "DeleteUser"):
        members = requests_in("people")[operation]
        assert ruled("no-deletion").refused(operation, **members) == denial("no-deletion", operation, PEOPLE, EXPLICIT)
    for operation, (members, resource) in every_request("secret").items():
        if resource != "*":
            assert ruled("denied-first").refused(operation, **members) == denial("denied-first", operation, resource, EXPLICIT)
    bare = arn_of("secret").removeprefix("arn:")
    for operation, members in requests_about(bare).items():
        assert ruled("denied-first").refused(operation, **members) == denial("denied-first", operation, f"arn:{bare}", EXPLICIT)
    assert "secret" in ruled("denied-first")("ListCollections")["CollectionIds"]


def test_tags_at_creation_need_the_right_to_tag(ruled):
    def create(name, collection, **more):
        return ruled(name).refused("CreateCollection", CollectionId=collection, **more)

    tags = {"Tags": {"k": "v"}}
    assert create("no-tags", "new", **tags) == denial("no-tags", "TagResource", arn_of("new"))
    assert create("tags-elsewhere", "new", **tags) == denial("tags-elsewhere", "TagResource", arn_of("new"))
    assert create("tags-denied", "new", **tags) == denial("tags-denied", "TagResource", arn_of("new"), EXPLICIT)
    assert "new" not in ruled("owner")("ListCollections")["CollectionIds"]
    for name, collection, more in (
        ("no-tags", "new-1", {}),
        ("no-tags", "new-2", {"Tags": {}}),
        ("tags", "new-3", tags),
        ("tags-elsewhere", "team-b", tags),
        ("tags-denied", "new-4", {}),
    ):
        assert ruled(name)("CreateCollection", CollectionId=collection, **more)["StatusCode"] == 200
        ruled("owner")("DeleteCollection", CollectionId=collection)


def test_the_order_of_checks(ruled):
    """Each request has every fault that comes later, too."""
    server, nobody, owner = ruled("nobody").server, key_of("nobody"), key_of("owner")

    def refusal(operation, body, key, tamper=lambda request: request):
        reply = ask(server, tamper(signed(server, operation, body=body, key=key)))
        assert reply.status == 400
        return reply.code, reply.text

    no_json, other_type = b'{"CollectionId": ', b'{"CollectionId": ["no name"]}'
    no_name, no_collection = b'{"CollectionId": "no name"}', b'{"CollectionId": "no-such-collection"}'
    forged = Credentials(nobody.access_key, "another secret")
    assert refusal("NoOperation", no_json, nobody, lambda request: request.without("Authorization"))[0] == MISSING
    assert refusal("NoOperation", no_json, key_of("stranger"))[0] == UNKNOWN
    assert refusal("NoOperation", no_json, forged) == (INVALID, MISMATCH)
    assert refusal("NoOperation", no_json, nobody) == ("UnknownOperationException", "")
    assert refusal("DescribeCollection", no_json, nobody) == ("SerializationException", "")
    assert refusal("DescribeCollection", other_type, nobody)[0] == "SerializationException"
    assert refusal("DescribeCollection", no_name, nobody)[0] == "ValidationException"
    assert refusal("DescribeCollection", no_collection, nobody)[0] == DENIED
    assert refusal("DescribeCollection", no_collection, owner)[0] == NOT_FOUND


def test_whoever_may_not_look_learns_nothing(ruled):
    """A collection that is there, and one that is not: the same refusal but for the name, which the caller gave."""
    for name in ("nobody", "teams", "other-account", "denied-first"):
        for there, missing in (("secret", "secret-of-nobody"), ("secret", "secret2")):
            for operation, (members, resource) in every_request(there).items():
                if resource != "*":
                    others, _ = every_request(missing)[operation]
                    code, text = ruled(name).refused(operation, **members)
                    assert (code, text.replace(arn_of(there), arn_of(missing))) == ruled(name).refused(operation, **others)
                    assert code == DENIED


# Rates


def test_rates_are_by_account_and_operation(start_server, tmp_path):
    env = credentials_file(tmp_path, OWNERS + everybody())
    server = start_server(args=["--workers", "1", "--rates", "DescribeCollection=3,*=100"], env=env)
    one, two, same, nobody = (Caller(server, name) for name in ("one", "two", "reader", "nobody"))
    for caller in (one, two):
        caller("CreateCollection", CollectionId="busy")

    def codes(caller, calls, collection="busy"):
        return [caller.code("DescribeCollection", CollectionId=collection) for _ in range(calls)]

    # A call that is refused before it counts is no call: whoever has no right cannot use up the rate of those who have one.
    assert codes(nobody, 20) == [DENIED] * 20
    assert codes(one, 3) == [None] * 3
    text = (THROTTLED, "Provisioned Rate exceeded.")
    assert one.refused("DescribeCollection", CollectionId="busy") == text
    # Beyond the rate, nobody is told whether there is such a collection; and the account is one, whoever calls.
    assert one.refused("DescribeCollection", CollectionId="no-such-collection") == text
    assert same.refused("DescribeCollection", CollectionId="busy") == text
    assert {one.code("ListFaces", CollectionId="busy") for _ in range(10)} == {None}
    assert codes(two, 3) == [None] * 3
    assert codes(two, 10).count(THROTTLED) >= 9


def test_quotas_are_by_account(start_server, tmp_path):
    server = start_server(args=["--workers", "1", "--max-collections", "1"], env=credentials_file(tmp_path, OWNERS))
    for name in ("one", "two"):
        caller = Caller(server, name)
        caller("CreateCollection", CollectionId="first")
        assert caller.refused("CreateCollection", CollectionId="second")[0] == "ServiceQuotaExceededException"


# Faults on demand

RULE = {"operation": "ListFaces", "error": "ConflictException", "calls": 1}


def manage(caller, method="GET", rule=None, **more):
    """What a request for the rules of faults is answered."""
    body = json.dumps(rule).encode() if rule else b""
    return ask(caller.server, signed(caller.server, path="/_faults", method=method, body=body, key=key_of(caller.name), **more))


def test_faults_are_managed_by_those_who_may(ruled):
    operator, owner = ruled("operator"), ruled("owner")
    for name in ("nobody", "owner", "people-only", "operator-of-people"):
        for method, rule in (("GET", None), ("POST", RULE), ("DELETE", None), ("POST", {"operation": "no JSON"})):
            reply = manage(ruled(name), method, rule)
            assert (reply.code, reply.text) == denial(name, None, "*", action="rekollect:ManageFaults")
            assert reply.status == 400
    good = manage(operator, "POST", RULE)
    assert good.status == 200 and json.loads(good.raw)["rules"][0]["calls_left"] == 1
    assert owner.code("ListFaces", CollectionId="people") == "ConflictException"
    assert owner.code("ListFaces", CollectionId="people") is None
    # The rules come after the permission.
    manage(operator, "POST", RULE)
    assert ruled("nobody").code("ListFaces", CollectionId="people") == DENIED
    assert json.loads(manage(operator).raw)["rules"] != []
    assert json.loads(manage(operator, "DELETE").raw)["rules"] == []


def test_requests_for_faults_are_signed(ruled):
    server, key = ruled("operator").server, key_of("operator")
    get = signed(server, path="/_faults", method="GET", body=b"", key=key)
    post = signed(server, path="/_faults", method="POST", body=json.dumps(RULE).encode(), key=key)
    listing = signed(server, key=key)
    for request, code in (
        (get.without("Authorization"), MISSING),
        (post.without("Authorization"), MISSING),
        (replace(get, method="DELETE"), INVALID),
        (replace(get, method="POST", body=post.body), INVALID),
        (replace(post, body=post.body.replace(b"1", b"9")), INVALID),
        (replace(post, body=b""), INVALID),
        (replace(post, target="/_faults?"), None),
        (replace(post, target="/_faults?x"), INVALID),
        # A signature for the one resource is none for the other.
        (replace(listing, target="/_faults"), INVALID),
        (replace(post, target="/"), INVALID),
    ):
        assert ask(server, request).code == (code or ""), request
    rules = json.loads(manage(ruled("operator"), "DELETE").raw)["rules"]
    assert rules == []


def test_without_the_flag_there_is_no_such_resource(tenants):
    server = tenants.servers[0]
    reply = ask(server, signed(server, path="/_faults", method="GET", body=b"", key=key_of("one")))
    assert (reply.status, reply.code) == (403, MISSING)
