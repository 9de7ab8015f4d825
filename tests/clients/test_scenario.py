"""One scenario with five clients: aws-cli, boto3, the AWS SDKs for JavaScript, Rust and Go, each a program that is given
nothing but the usual AWS_* variables and tells what it got as a JSON object. They have to tell the same: an image under the same
external id has the same FaceId in every collection, so that ids and similarities can be compared as they are.

The scenario, whose programs are scenario.py, js/scenario.mjs, rust/src/main.rs and go/main.go:

1.  create a collection with a tag, and describe it;
2.  index obama.jpg; search for biden.jpg, who is nobody there; index biden.jpg; list the faces;
3.  search by obama's face id with a threshold of 0, and by the image obama2.jpg;
4.  compare obama.jpg with obama2.jpg, detect the four faces of sample4.jpg;
5.  create a user for each face and associate it, along with a face that does not exist; list the users, search them by user id and
    by image; disassociate the faces, delete the users, list what is left: nothing;
6.  list the tags, add two, remove one, list them again; find the collection among all;
7.  delete the faces, and the one that does not exist; delete the collection;
8.  three errors: the collection that is gone, a name that no collection can have, an image that is none.

The first error that is not of these ends it, and is told as `refused`.
"""

import functools
import json
import os
import secrets
import shutil
import subprocess
import sys
import uuid
from pathlib import Path

import pytest
from conftest import PHOTOS
from principals import allow, deny, file_of_keys, policy, principal
from servers import KEYS, REGION, ROOT

HERE = Path(__file__).parent
RUST_CLIENT = Path(os.environ.get("REKOLLECT_RUST_CLIENT", ROOT / "target/clients/debug/rekollect-rust-client")).absolute()
GO_CLIENT = ROOT / "target/clients/go/rekollect-go-client"
GO_PATH = Path("/usr/share/gocode")  # where Debian puts the sources of its Go packages
CLIENTS = ["boto3", "aws-cli", "js", "rust", "go"]
# What a client cannot tell: Debian's SDK for Go is of 2022, and UnsuccessfulFaceDeletions of 2023.
UNKNOWN_TO = {"go": {"not_deleted"}}
ANY_KEY = (KEYS["AWS_ACCESS_KEY_ID"], KEYS["AWS_SECRET_ACCESS_KEY"])
ACCOUNT = "111122223333"
UNKNOWN_FACE = "11111111-2222-3333-4444-555555555555"


def command_of(client):
    """The command line that starts a client's program."""
    if client == "rust":
        if not RUST_CLIENT.exists():
            pytest.skip(f"{RUST_CLIENT} is missing: cargo build --manifest-path tests/clients/rust/Cargo.toml --target-dir target/clients")
        return [RUST_CLIENT]
    if client == "go":
        return [go_client()]
    if client == "js":
        if not (HERE / "js/node_modules").exists():
            pytest.skip("tests/clients/js/node_modules is missing: npm ci --prefix tests/clients/js")
        node = shutil.which("node") or pytest.skip("node is missing")
        version = subprocess.run([node, "--version"], capture_output=True, text=True, check=True).stdout.strip()
        if int(version.removeprefix("v").split(".")[0]) < 20:
            pytest.skip(f"the AWS SDK for JavaScript needs Node.js 20 or later, and this is {version}")
        return [node, HERE / "js/scenario.mjs"]
    return [sys.executable, HERE / "scenario.py", client]


@functools.cache
def go_client():
    """Builds the program offline, with the SDK as Debian packages it; Go's own cache makes a second build short."""
    go = shutil.which("go") or pytest.skip("go is missing: apt-get install golang-go golang-github-aws-aws-sdk-go-v2-dev")
    if not (GO_PATH / "src/github.com/aws/aws-sdk-go-v2/service/rekognition").exists():
        pytest.skip("the AWS SDK for Go is missing: apt-get install golang-github-aws-aws-sdk-go-v2-dev")
    environment = os.environ | {"GOPATH": str(GO_PATH), "GO111MODULE": "off", "GOFLAGS": ""}
    command = [go, "build", "-o", GO_CLIENT, "."]
    done = subprocess.run(command, cwd=HERE / "go", env=environment, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr
    return GO_CLIENT


def run(client, url, *arguments, key=ANY_KEY, token=None):
    """What a client's program tells, which knows no configuration of whoever runs the tests."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    environment |= {
        "AWS_ENDPOINT_URL": url,
        "AWS_REGION": REGION,
        "AWS_DEFAULT_REGION": REGION,
        "AWS_ACCESS_KEY_ID": key[0],
        "AWS_SECRET_ACCESS_KEY": key[1],
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
    }
    if token:
        environment["AWS_SESSION_TOKEN"] = token
    done = subprocess.run([*command_of(client), *arguments], env=environment, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def run_scenario(client, url, photo, **credentials):
    for name in ("obama.jpg", "obama2.jpg", "biden.jpg", "sample4.jpg"):
        photo(name)  # skips when it is missing
    collection = f"scenario-{uuid.uuid4().hex}"
    summary = run(client, url, "scenario", collection, PHOTOS, **credentials)
    return json.loads(json.dumps(summary).replace(collection, "COLLECTION"))


def known_to(client, members):
    return {name: value for name, value in members.items() if name not in UNKNOWN_TO.get(client, ())}


def check(summary, account, client, first):
    """That a summary is right, where ids and figures of a model are taken as they are, and what the first client told."""
    assert "refused" not in summary
    arn, version = f"aws:rekognition:{REGION}:{account}:collection/COLLECTION", summary["created"][2]
    (obama,), (biden,) = summary["indexed"], summary["indexed_more"]
    same, different = summary["compared"][0][0], summary["found_by_face"][1][0][1]
    assert different < 80 <= same
    confident, yaws = zip(*summary["detected"], strict=True)
    assert min(*confident, summary["found_by_image"][0], summary["users_by_image"][0]) > 90
    assert len(set(yaws)) == 4
    unknown = [[UNKNOWN_FACE, ["FACE_NOT_FOUND"]]]
    expected = {
        "created": [200, arn, version],
        "described": [0, 0, version, f"arn:{arn}"],
        "described_recent": True,
        "landmarks": ["eyeLeft", "eyeRight", "nose", "mouthLeft", "mouthRight"],
        "strangers": [],
        "listed": sorted([obama, biden]),
        "found_by_face": [obama[0], [["biden", different]]],
        "found_by_image": [summary["found_by_image"][0], [["obama", same]]],
        "compared": [[same], 0],
        "associated_barack": [[obama[0]], unknown, "ACTIVE"],
        "associated_joe": [[biden[0]], unknown, "ACTIVE"],
        "users": [["barack", "ACTIVE"], ["joe", "ACTIVE"]],
        "users_by_user": ["barack", [["joe", "ACTIVE", different]]],
        "users_by_image": [summary["users_by_image"][0], [["barack", "ACTIVE", same]]],
        "disassociated_barack": [[obama[0]], "CREATED"],
        "disassociated_joe": [[biden[0]], "CREATED"],
        "users_left": 0,
        "tags_at_first": {"team": "a"},
        "tags_at_last": {"stage": "test"},
        "collections": [version],
        "deleted": sorted([obama[0], biden[0]]),
        "not_deleted": unknown,
        "deleted_collection": 200,
        "no_collection": ["ResourceNotFoundException", "The collection id: COLLECTION does not exist"],
        "no_picture": ["InvalidImageFormatException", "Request has invalid image format"],
    }
    assert summary == summary | known_to(client, expected)
    assert summary == known_to(client, first)
    code, text = summary["no_valid_name"]
    assert code == "ValidationException"
    assert "'no spaces' at 'collectionId' failed to satisfy constraint" in text


@pytest.fixture(scope="module")
def told():
    """What the first client told, by account."""
    return {}


@pytest.mark.parametrize("client_name", CLIENTS)
def test_every_client_tells_the_same(server, client_name, photo, told):
    summary = run_scenario(client_name, server.url, photo)
    check(summary, "000000000000", client_name, told.setdefault("open", summary))


@pytest.fixture(scope="module")
def keys():
    """A key and a temporary key of each client."""
    return {
        (client, prefix): (f"{prefix}{secrets.token_hex(8).upper()}", secrets.token_urlsafe(30))
        for client in CLIENTS
        for prefix in ("AKIA", "ASIA")
    }


@pytest.fixture(scope="module")
def no_users():
    """The key of somebody who may do everything but make users."""
    return f"AKIA{secrets.token_hex(8).upper()}", secrets.token_urlsafe(30)


@pytest.fixture(scope="module")
def token():
    return secrets.token_urlsafe(200)


@pytest.fixture(scope="module")
def signed(start_server, keys, no_users, token, tmp_path_factory):
    """A server that knows these keys and no others."""
    everything, but_users = allow("rekognition:*"), deny("rekognition:CreateUser")
    of_the_app = [(*key, token) if prefix == "ASIA" else key for (_, prefix), key in keys.items()]
    known = file_of_keys(
        tmp_path_factory.mktemp("keys"),
        principal("photo-app", *of_the_app, account=ACCOUNT, policies=[policy(everything)]),
        principal("no-users", no_users, account=ACCOUNT, policies=[policy(everything, but_users)]),
    )
    return start_server(env={"REKOLLECT_CREDENTIALS": known})


@pytest.mark.parametrize("client_name", CLIENTS)
@pytest.mark.parametrize("prefix", ["AKIA", "ASIA"], ids=["key", "temporary-key"])
def test_every_client_tells_the_same_with_signatures(signed, client_name, prefix, keys, token, photo, told):
    credentials = {"key": keys[client_name, prefix], "token": token if prefix == "ASIA" else None}
    summary = run_scenario(client_name, signed.url, photo, **credentials)
    check(summary, ACCOUNT, client_name, told.setdefault("signed", summary))


@pytest.mark.parametrize("client_name", CLIENTS)
def test_a_wrong_secret_ends_it_at_once(signed, client_name, keys, photo):
    key, _ = keys[client_name, "AKIA"]
    summary = run_scenario(client_name, signed.url, photo, key=(key, secrets.token_urlsafe(30)))
    assert list(summary) == ["refused"]
    code, text = summary["refused"]
    assert code == "InvalidSignatureException"
    assert text.startswith("The request signature we calculated does not match the signature you provided.")


@pytest.mark.parametrize("client_name", CLIENTS)
def test_what_a_policy_denies_ends_it_there(signed, client_name, no_users, photo):
    summary = run_scenario(client_name, signed.url, photo, key=no_users)
    assert {"refused", "detected"} <= summary.keys() and not {"associated_barack", "deleted"} & summary.keys()
    code, text = summary["refused"]
    assert code == "AccessDeniedException"
    who = f"User: arn:aws:iam::{ACCOUNT}:user/no-users is not authorized to perform: rekognition:CreateUser"
    assert text.startswith(f"{who} on resource: ") and text.endswith(" with an explicit deny in an identity-based policy")
