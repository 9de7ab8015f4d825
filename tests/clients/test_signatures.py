"""Signatures: what botocore's signers sign is let in, and whatever was changed after that is refused.

Requests are written byte for byte, and what the server is asked for is to make a collection: one request that slips through shows
in the end."""

import datetime
import gzip
import hashlib
import http.client
import json
import os
import random
import re
import signal
import socket
import subprocess
import threading
import time
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, replace
from unittest import mock
from urllib.parse import parse_qsl, quote, urlencode, urlsplit

import botocore.auth
import pytest
from botocore.auth import SigV4Auth, SigV4QueryAuth
from botocore.awsrequest import AWSRequest
from botocore.compat import HTTPHeaders
from botocore.credentials import Credentials
from principals import file_of_keys, principal
from servers import BINARY, MODELS, REGION, Server, rekognition

AMZ_JSON = "application/x-amz-json-1.1"
TARGET = "RekognitionService."
PERMANENT = Credentials("AKIALASTING000000001", "first+Secret/with=signs")
OTHER = Credentials("AKIAOTHER00000000001", "second+Secret/with=signs")
TEMPORARY = Credentials("ASIAPASSING000000001", "third+Secret/with=signs", "first/+Token==")
OVER = Credentials("ASIAOVER000000000001", "fourth+Secret/with=signs", "second/+Token==")
KEYS = [PERMANENT, OTHER, TEMPORARY, OVER]
FORMS = {
    "header": {},
    "header with a token": {"key": TEMPORARY},
    "query": {"presigned": True},
    "query with a token": {"key": TEMPORARY, "presigned": True},
}

INVALID, INCOMPLETE = "InvalidSignatureException", "IncompleteSignatureException"
MISSING, UNKNOWN = "MissingAuthenticationTokenException", "UnrecognizedClientException"
MISMATCH = (
    "The request signature we calculated does not match the signature you provided. Check your AWS Secret Access Key and signing method. "
    "Consult the service documentation for details."
)
NO_SUCH_KEY = "The security token included in the request is invalid."
EMPTY = {"CollectionIds": [], "FaceModelVersions": []}


EVERYTHING = ['{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"rekognition:*","Resource":"*"}}']


def holder(key, expires=None, name=None, account="111111111111", policies=EVERYTHING):
    """A principal of a file of keys, with one key."""
    own = (key.access_key, key.secret_key, key.token, expires)
    return principal(name or key.access_key.lower(), own, account=account, policies=policies)


CREDENTIALS = "".join([*map(holder, [PERMANENT, OTHER, TEMPORARY]), holder(OVER, "2020-01-31T00:00:00Z")])


@dataclass(frozen=True)
class Request:
    """A request as it goes over the wire."""

    target: str
    headers: tuple
    body: bytes
    method: str = "POST"

    def wire(self):
        lines = [f"{self.method} {self.target} HTTP/1.1", *(f"{name}: {value}" for name, value in self.headers)]
        if self.value("Content-Length") is None:
            lines.append(f"Content-Length: {len(self.body)}")
        # Text stands for its UTF-8, and a surrogate for a byte that is none.
        return "\r\n".join([*lines, "", ""]).encode(errors="surrogateescape") + self.body

    def value(self, name):
        return next((value for known, value in self.headers if known.lower() == name.lower()), None)

    def without(self, name):
        return replace(self, headers=tuple(header for header in self.headers if header[0].lower() != name.lower()))

    def set(self, name, value):
        return replace(self, headers=tuple((known, value if known.lower() == name.lower() else old) for known, old in self.headers))

    def plus(self, name, value, first=False):
        more = ((name, value),)
        return replace(self, headers=more + self.headers if first else self.headers + more)

    # The parts of a signature, in whichever form it has.

    @property
    def presigned(self):
        return "X-Amz-Signature=" in self.target

    def part(self, name):
        if self.presigned:
            return dict(parse_qsl(urlsplit(self.target).query))[f"X-Amz-{name}"]
        if name in ("Date", "Security-Token"):
            return self.value(f"X-Amz-{name}")
        return re.search(f"{name}=([^,]*)", self.value("Authorization"))[1]

    def with_part(self, name, value):
        if self.presigned:
            pairs = parse_qsl(urlsplit(self.target).query, keep_blank_values=True)
            changed = [(known, value if known == f"X-Amz-{name}" else old) for known, old in pairs]
            return replace(self, target=f"/?{urlencode(changed, quote_via=quote, safe='')}")
        if name in ("Date", "Security-Token"):
            return self.set(f"X-Amz-{name}", value)
        return self.set("Authorization", re.sub(f"{name}=[^,]*", lambda _: f"{name}={value}", self.value("Authorization")))


class Choice:
    """What a signer signs: every header but some, where botocore leaves out user-agent and the like; and this body."""

    unsigned, body = (), b""

    def headers_to_sign(self, request):
        chosen = HTTPHeaders()
        for name, value in request.headers.items():
            if name.lower() not in self.unsigned:
                chosen[name.lower()] = value
        return chosen

    def payload(self, request):
        return hashlib.sha256(self.body).hexdigest()


class HeaderSigner(Choice, SigV4Auth):
    pass


class QuerySigner(Choice, SigV4QueryAuth):
    """botocore alone would move the body into the URL."""


@contextmanager
def clock(shift):
    """botocore's clock runs ahead by so many seconds."""
    now = datetime.datetime.now(datetime.timezone.utc).replace(tzinfo=None) + datetime.timedelta(seconds=shift)
    with mock.patch.object(botocore.auth, "get_current_datetime", lambda: now):
        yield


def signed(
    server,
    operation="ListCollections",
    members=None,
    *,
    key=PERMANENT,
    presigned=False,
    region=REGION,
    service="rekognition",
    headers=(),
    unsigned=(),
    shift=0,
    expires=60,
    body=None,
    path="/",
    method="POST",
):
    """A request to the server, signed by botocore: in a header, or in the query when it is to be presigned."""
    body = json.dumps(members or {}).encode() if body is None else body
    host = f"127.0.0.1:{server.port}"
    fields = {"Host": host, "Content-Type": AMZ_JSON, "X-Amz-Target": TARGET + operation, **dict(headers)}
    request = AWSRequest(method, f"http://{host}{path}", headers=fields)
    signer = QuerySigner(key, service, region, expires=expires) if presigned else HeaderSigner(key, service, region)
    signer.unsigned, signer.body = unsigned, body
    with clock(shift):
        signer.add_auth(request)
    url = urlsplit(request.url)
    target = url.path + (f"?{url.query}" if url.query else "")
    return Request(target, tuple(request.headers.items()), body, method)


@dataclass
class Reply:
    status: int
    code: str
    text: str
    raw: bytes


class Wire:
    """A connection that is kept open; `ask` says what a request is answered."""

    def __init__(self, server, timeout=20):
        self.connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=timeout)

    def __enter__(self):
        return self

    def __exit__(self, *_exception):
        self.connection.close()

    def ask(self, request):
        return self.ask_raw(request.wire())

    def ask_raw(self, data):
        self.connection.send(data)
        with closing(http.client.HTTPResponse(self.connection.sock)) as response:
            response.begin()
            raw = response.read()
            if response.will_close:
                self.connection.close()
        if raw.startswith(b"<"):
            return Reply(response.status, re.match(rb"<(\w+)>", raw)[1].decode(), "", raw)
        body = json.loads(raw) if raw else {}
        return Reply(response.status, body.get("__type", ""), body.get("message", body.get("Message", "")), raw)


def ask(server, request):
    with Wire(server) as wire:
        return wire.ask(request)


def assert_accepted(server, request):
    reply = ask(server, request)
    assert reply.status == 200, (request, reply)


def assert_refused(server, request, code, text):
    reply = ask(server, request)
    assert (reply.status, reply.code, reply.text) == (400, code, text), request


def credentials_file(folder, text=CREDENTIALS):
    return {"REKOLLECT_CREDENTIALS": file_of_keys(folder, text)}


@pytest.fixture(scope="module")
def guarded(start_server, tmp_path_factory):
    """A server for those who have a key."""
    return start_server(args=["--workers", "1"], env=credentials_file(tmp_path_factory.mktemp("guarded")))


# What is accepted


@pytest.mark.parametrize("key", [PERMANENT, TEMPORARY], ids=["permanent", "temporary"])
def test_boto3_is_let_in(guarded, key):
    client = rekognition(guarded.url, (key.access_key, key.secret_key), key.token)
    assert client.list_collections()["CollectionIds"] == []


@pytest.mark.parametrize("form", FORMS)
def test_both_forms_are_let_in(guarded, form):
    reply = ask(guarded, signed(guarded, **FORMS[form]))
    assert (reply.status, json.loads(reply.raw)) == (200, EMPTY)


@pytest.mark.parametrize("presigned", [False, True])
def test_any_header_may_be_signed(guarded, presigned):
    more = {
        "User-Agent": "aws-sdk-java/1.11.1 Linux/5",
        "Content-Length": "2",
        "amz-sdk-invocation-id": "6b1c4f8e-0000-4000-8000-000000000000",
        "amz-sdk-request": "attempt=1; max=3",
        "X-Amz-User-Agent": "aws-sdk-js/3",
        "X-Amz-Content-Sha256": hashlib.sha256(b"{}").hexdigest(),
        "X-Spaces": "  a   b    c  ",
        "X-Empty": "",
        "X-Other": "größe",
    }
    request = signed(guarded, headers=more, presigned=presigned)
    assert_accepted(guarded, request)
    # Their order is no matter, nor is the case of their names, nor are spaces around a value.
    assert_accepted(guarded, replace(request, headers=request.headers[::-1]))
    assert_accepted(guarded, replace(request, headers=tuple((name.upper(), f"  {value} ") for name, value in request.headers)))
    # A header that nobody signed may come on the way, as a proxy adds it.
    assert_accepted(guarded, signed(guarded, presigned=presigned).plus("X-Forwarded-For", "192.0.2.1").plus("User-Agent", "x"))


def test_a_signed_header_may_come_in_several_lines(guarded):
    request = signed(guarded, headers={"X-List": "a,b"})
    assert_accepted(guarded, request.without("X-List").plus("X-List", "a").plus("X-List", " b "))
    reply = ask(guarded, request.without("X-List").plus("X-List", "b").plus("X-List", "a"))
    assert (reply.code, reply.text) == (INVALID, MISMATCH)


def test_the_date_may_be_that_of_http(guarded):
    request = signed(guarded, headers={"Date": "now"})
    assert request.value("X-Amz-Date") is None and request.value("Date").endswith("-0000")
    assert_accepted(guarded, request)
    # Whoever adds the other date wins nothing: it counts, and so it has to be signed.
    later = signed(guarded, shift=60).value("X-Amz-Date")
    assert_refused(guarded, request.plus("X-Amz-Date", later), INVALID, "'x-amz-date' must be a 'SignedHeader' in the AWS Authorization.")


def test_a_signed_query_is_part_of_the_request(guarded):
    for query in ["?b=2&a=1&a=0", "?name", "?a=%2F%20+~", "?=x"]:
        request = signed(guarded)
        canonical = signed(guarded, path=f"/{query}")
        reply = ask(guarded, replace(request, target=canonical.target))
        assert (reply.code, reply.text) == (INVALID, MISMATCH)
    for query in ["?b=2&a=1&a=0", "?a=%2F%20~", "?name="]:
        assert_accepted(guarded, signed(guarded, path=f"/{query}"))


def test_the_target_may_be_in_absolute_form(guarded):
    assert_accepted(guarded, replace(signed(guarded), target=f"{guarded.url}/"))


@pytest.mark.parametrize("presigned", [False, True])
def test_every_region_is_taken_unless_some_are_named(guarded, start_server, tmp_path, presigned):
    for region in ("us-east-1", "eu-west-1", "ap-southeast-2"):
        assert_accepted(guarded, signed(guarded, region=region, presigned=presigned))
    server = start_server(args=["--workers", "1"], env={**credentials_file(tmp_path), "REKOLLECT_SIGNED_REGIONS": "eu-west-1"})
    assert_accepted(server, signed(server, region="eu-west-1", presigned=presigned))
    for region in ("us-east-1", "eu-west-2", "EU-WEST-1", "eu-west-1x", ""):
        text = f"Credential should be scoped to a valid region, not '{region}'. "
        assert_refused(server, signed(server, region=region, presigned=presigned), INVALID, text)


def test_a_presigned_url_may_be_called_again_until_it_expires(guarded):
    request = signed(guarded, presigned=True, expires=604_800)
    with Wire(guarded) as wire:
        assert [wire.ask(request).status for _ in range(3)] == [200, 200, 200]
    assert_accepted(guarded, signed(guarded, presigned=True, expires=600, shift=-590))


# What is not


def flipped(text, place):
    """The text with another character at this place."""
    old = text[place]
    new = chr(ord(old) ^ 1) if old.isalnum() and chr(ord(old) ^ 1).isalnum() else "q"
    return text[:place] + new + text[place + 1 :]


def ends_and_middle(text):
    return sorted({0, len(text) // 2, len(text) - 1})


def tampered_headers(good):
    """Each signed header with another value, gone, twice, under another name."""
    special = {"x-amz-date": INCOMPLETE, "x-amz-security-token": UNKNOWN}
    for name in good.part("SignedHeaders").split(";"):
        value, code = good.value(name), special.get(name, INVALID)
        for place in ends_and_middle(value):
            # A flipped digit of a date is a date still, as a rule.
            yield f"{name}: character {place}", good.set(name, flipped(value, place)), None if name == "x-amz-date" else code
        for other in (f"{value}x", f"x{value}", f"{value},", "", value[:-1]):
            yield f"{name}: {other!r}", good.set(name, other), code
        if value.swapcase() != value:
            yield f"{name}: other case", good.set(name, value.swapcase()), code
        yield f"{name}: gone", good.without(name), code
        twice = INCOMPLETE if name in special else INVALID
        yield f"{name}: twice", good.plus(name, value), twice
        yield f"{name}: another before", good.plus(name, "x", first=True), twice
        yield f"{name}: another behind", good.plus(name, "x"), twice
        yield f"{name}: an empty one behind", good.plus(name, ""), twice
        yield f"{name}: under another name", good.without(name).plus(f"{name}x", value), code


def tampered_line(good):
    """Another method, path or query."""
    query = good.target[1:]
    for method in ("PUT", "GET", "DELETE", "PATCH", "OPTIONS", "post", "POSTS"):
        yield f"method {method}", replace(good, method=method), MISSING
    for path in ("//", "/.", "/..", "/%2F", "/x", "/_faults", "/healthz", "/index.html"):
        yield f"path {path}", replace(good, target=path + query), MISSING
    joint = "&" if query else "?"
    for more in ("a", "a=b", "=", "%00", "X-Amz-Target=x", "Action=ListCollections", "x-amz-signature=x", "X-Amz-Expiress=1"):
        yield f"query {more}", replace(good, target=good.target + joint + more), INVALID
        if query:
            yield f"query {more} in front", replace(good, target=f"/?{more}&{query[1:]}"), INVALID


def tampered_body(good):
    """Another body."""
    body = good.body
    for place in ends_and_middle(body):
        yield f"body: byte {place}", replace(good, body=body[:place] + bytes([body[place] ^ 1]) + body[place + 1 :]), INVALID
    others = {
        "empty": b"",
        "first byte gone": body[1:],
        "last byte gone": body[:-1],
        "a space more": body + b" ",
        "a line more": body + b"\n",
        "a NUL more": body + b"\0",
        "twice": body * 2,
        "another collection": body.replace(b"forged", b"forgeD"),
        "the same JSON": body.replace(b": ", b":"),
    }
    for name, other in others.items():
        yield f"body: {name}", replace(good, body=other), INVALID
    for encoding in ("gzip", "identity", "", "br"):
        yield f"content-encoding {encoding!r}", good.plus("Content-Encoding", encoding), INVALID
    yield "body: packed", replace(good.plus("Content-Encoding", "gzip"), body=gzip.compress(body)), INVALID
    chunked = replace(good, body=b"%x\r\n%s\r\n1\r\n \r\n0\r\n\r\n" % (len(body), body)).plus("Transfer-Encoding", "chunked")
    yield "body: a chunk more", chunked.plus("Content-Length", str(len(body))), INVALID


def tampered_scope(good):
    """Another date, scope or key."""
    key, day, region, service, end = good.part("Credential").split("/")
    date = good.part("Date")
    tomorrow = (datetime.datetime.strptime(day, "%Y%m%d") + datetime.timedelta(days=1)).strftime("%Y%m%d")

    def credential(*parts):
        return good.with_part("Credential", "/".join(parts))

    second = (datetime.datetime.strptime(date, "%Y%m%dT%H%M%SZ") + datetime.timedelta(seconds=-1)).strftime("%Y%m%dT%H%M%SZ")
    yield "date: a second less", good.with_part("Date", second), INVALID
    yield "date: tomorrow", good.with_part("Date", tomorrow + date[8:]), INVALID
    yield "date and scope: tomorrow", credential(key, tomorrow, region, service, end).with_part("Date", tomorrow + date[8:]), INVALID
    for other in (date[:-1], date.lower(), f"+{date[1:]}", date[:8], "20261301T000000Z", "now", "", f"{date}é"):
        yield f"date: {other!r}", good.with_part("Date", other), INCOMPLETE

    yield "scope: tomorrow", credential(key, tomorrow, region, service, end), INVALID
    for other in ("", "2026", f"{day} ", day[::-1]):
        yield f"scope: day {other!r}", credential(key, other, region, service, end), INVALID
    for other in ("us-east-2", "US-EAST-1", "", f"{region} x"):
        yield f"scope: region {other!r}", credential(key, day, other, service, end), INVALID
    for other in ("s3", "Rekognition", "rekognitio", ""):
        yield f"scope: service {other!r}", credential(key, day, region, other, end), INVALID
    for other in ("aws4_reques", "aws4_requestx", "AWS4_REQUEST", ""):
        yield f"scope: terminator {other!r}", credential(key, day, region, service, other), INVALID
    yield "scope: a part less", credential(key, day, region, service), INCOMPLETE
    yield "scope: nothing", good.with_part("Credential", ""), INCOMPLETE
    yield "scope: a part more", credential(key, day, region, service, end, end), INVALID
    yield "scope: the key's name is longer", credential("x", key, day, region, service, end), UNKNOWN

    for other in (key.lower(), f"{key}0", key[:-1], flipped(key, 5), f" {key}", ""):
        yield f"key {other!r}", credential(other, day, region, service, end), UNKNOWN
    # One that there is: the signature is not its own, and a token comes with it or does not.
    theirs = INVALID if key == PERMANENT.access_key else UNKNOWN
    yield "key of another", credential(OTHER.access_key, day, region, service, end), theirs
    yield "key with another token", credential(OVER.access_key, day, region, service, end), UNKNOWN


def tampered_signature(good):
    """Another signature."""
    signature = good.part("Signature")
    for place in range(len(signature)):
        nibble = f"{int(signature[place], 16) ^ (1 << place % 4):x}"
        yield f"signature: nibble {place}", good.with_part("Signature", signature[:place] + nibble + signature[place + 1 :]), INVALID
    others = [signature[:-1], f"{signature}0", signature[1:], f"0{signature}", signature * 2, signature[::-1], "0" * 64, "f" * 64, "x", ""]
    letters = [signature.upper()] if signature.upper() != signature else []
    for other in [*others, *letters, f"0x{signature}", signature[:-1] + "é", signature[:-1] + "%00"]:
        yield f"signature {other!r}", good.with_part("Signature", other), INVALID


def tampered_list(good):
    """Another list of signed headers."""
    names = good.part("SignedHeaders").split(";")
    lists = [names[::-1], [*names, "x-absent"], ["accept", *names], [*names, names[-1]], [*names, ""], ["", *names], [""]]
    lists += [[name.title() for name in names], [",".join(names)], [" ".join(names)], [f"{names[0]} ", *names[1:]]]
    lists += [[name for name in names if name != gone] for gone in names]
    for other in lists:
        # The header form ends a part at a comma; what follows is no pair.
        code = INCOMPLETE if "," in other[0] and not good.presigned else INVALID
        yield f"signed headers {';'.join(other)!r}", good.with_part("SignedHeaders", ";".join(other)), code
    extended = good.plus("Accept", "x").with_part("SignedHeaders", ";".join(sorted([*names, "accept"])))
    yield "signed headers: one more that is there", extended, INVALID


def tampered_token(good):
    """No token, another, or one more."""
    if good.value("X-Amz-Security-Token") or "X-Amz-Security-Token" in good.target:
        token = good.part("Security-Token")
        for other in (token[:-1], f"{token}x", token.lower(), OVER.token, "", quote(token, safe="")):
            yield f"token {other!r}", good.with_part("Security-Token", other), UNKNOWN
    elif not good.presigned:
        for other in (TEMPORARY.token, "x", ""):
            yield f"token {other!r} added", good.plus("X-Amz-Security-Token", other), UNKNOWN
    if good.presigned:
        for other in (TEMPORARY.token, "x", ""):
            added = replace(good, target=f"{good.target}&X-Amz-Security-Token={quote(other, safe='')}")
            yield f"token {other!r} added", added, INCOMPLETE if "X-Amz-Security-Token" in good.target else UNKNOWN


def tampered_form(good, other_form):
    """Two signatures at once, or a part of one missing or twice."""
    if good.presigned:
        for value in (other_form.value("Authorization"), "", "Bearer x"):
            yield f"a header too: {value!r}", good.plus("Authorization", value), INCOMPLETE
        pairs = parse_qsl(good.target[2:])
        for name, value in pairs:
            left = [pair for pair in pairs if pair[0] != name]
            # Without the parameters that make it one, there is no signature; a token is missed by its key.
            code = UNKNOWN if name == "X-Amz-Security-Token" else INCOMPLETE
            yield f"{name}: gone", replace(good, target=f"/?{urlencode(left)}"), code
            yield f"{name}: twice", replace(good, target=f"/?{urlencode([*pairs, (name, value)])}"), INCOMPLETE
            yield f"{name}: another one too", replace(good, target=f"/?{urlencode([(name, 'x'), *pairs])}"), INCOMPLETE
            yield f"{name}: in lower case", replace(good, target=f"/?{urlencode([*left, (name.lower(), value)])}"), code
        for expires in ("59", "61", "600", "060", "+60", "6e1", "0", "604801", "-1", "", "x"):
            code = INVALID if expires in ("59", "61", "600", "060") else INCOMPLETE
            yield f"expires {expires!r}", good.with_part("Expires", expires), code
        for algorithm in ("AWS4-HMAC-SHA1", "aws4-hmac-sha256", "AWS4-ECDSA-P256-SHA256", ""):
            yield f"algorithm {algorithm!r}", good.with_part("Algorithm", algorithm), INCOMPLETE
    else:
        authorization = good.value("Authorization")
        yield "authorization: twice", good.plus("Authorization", authorization), INCOMPLETE
        yield "authorization: another before", good.plus("Authorization", "Basic eDp4", first=True), INCOMPLETE
        yield "authorization: an empty one behind", good.plus("Authorization", ""), INCOMPLETE
        yield "authorization: gone", good.without("Authorization"), MISSING
        yield "authorization: a query too", replace(good, target=other_form.target), INCOMPLETE
        for name in ("X-Amz-Signature", "X-Amz-Algorithm", "X%2DAmz%2DSignature"):
            yield f"authorization: {name} too", replace(good, target=f"/?{name}=x"), INCOMPLETE


def tampered(server, form):
    """A request of this form, and everything that somebody could make of it: name, request, code (None: any)."""
    forged = {"operation": "CreateCollection", "members": {"CollectionId": "forged"}}
    good = signed(server, **forged, **FORMS[form])
    other_form = signed(server, **forged, key=FORMS[form].get("key", PERMANENT), presigned=not good.presigned)
    changed = [
        *tampered_headers(good),
        *tampered_line(good),
        *tampered_body(good),
        *tampered_scope(good),
        *tampered_signature(good),
        *tampered_list(good),
        *tampered_token(good),
        *tampered_form(good, other_form),
    ]
    return good, changed


REFUSED = {INVALID, INCOMPLETE, UNKNOWN, MISSING}


@pytest.mark.parametrize("form", FORMS)
def test_whatever_was_changed_is_refused(guarded, form, capsys):
    good, changed = tampered(guarded, form)
    with Wire(guarded) as wire:
        for name, request, code in changed:
            assert request != good, name
            reply = wire.ask(request)
            assert reply.status == (403 if reply.raw.startswith(b"<") else 400), (name, reply)
            assert reply.code in ({code} if code else REFUSED), (name, reply)
        with capsys.disabled():
            print(f"\n{form}: {len(changed)} tampered requests refused")
        assert json.loads(wire.ask(signed(guarded)).raw) == EMPTY
        # What all of them were made of was good.
        assert wire.ask(good).status == 200
        assert wire.ask(signed(guarded, "DeleteCollection", {"CollectionId": "forged"})).status == 200
    assert len(changed) > 220


@pytest.mark.parametrize("presigned", [False, True])
def test_a_signature_that_was_never_good_is_refused(guarded, presigned):
    """These are signed, but with another secret, for another service, or over less than there is."""

    def refused(code, text, **how):
        assert_refused(guarded, signed(guarded, "CreateCollection", {"CollectionId": "forged"}, presigned=presigned, **how), code, text)

    def uncovered(name):
        return f"'{name}' must be a 'SignedHeader' in the AWS Authorization."

    refused(INVALID, MISMATCH, key=Credentials(PERMANENT.access_key, OTHER.secret_key))
    refused(INVALID, MISMATCH, key=Credentials(TEMPORARY.access_key, PERMANENT.secret_key, TEMPORARY.token))
    refused(UNKNOWN, NO_SUCH_KEY, key=Credentials("AKIANOBODY0000000001", "x"))
    refused(UNKNOWN, NO_SUCH_KEY, key=Credentials(TEMPORARY.access_key, TEMPORARY.secret_key))
    refused(UNKNOWN, NO_SUCH_KEY, key=Credentials(TEMPORARY.access_key, TEMPORARY.secret_key, OVER.token))
    refused(UNKNOWN, NO_SUCH_KEY, key=Credentials(PERMANENT.access_key, PERMANENT.secret_key, TEMPORARY.token))
    refused("ExpiredTokenException", "The security token included in the request is expired", key=OVER)
    # Without the secret, nobody learns that a key is over.
    refused(INVALID, MISMATCH, key=Credentials(OVER.access_key, "x", OVER.token))
    refused(INVALID, "Credential should be scoped to correct service: 'rekognition'. ", service="s3")
    refused(INVALID, "'Host' or ':authority' must be a 'SignedHeader' in the AWS Authorization.", unsigned={"host"})
    refused(INVALID, uncovered("x-amz-target"), unsigned={"x-amz-target"})
    refused(INVALID, uncovered("content-encoding"), unsigned={"content-encoding"}, headers={"Content-Encoding": "gzip"})
    if not presigned:
        refused(INVALID, uncovered("x-amz-date"), unsigned={"x-amz-date"})
        refused(INVALID, uncovered("date"), unsigned={"date"}, headers={"Date": "now"})
    # The header is what botocore signs instead of the body, and not what the server takes for it.
    for claimed in ("UNSIGNED-PAYLOAD", "STREAMING-AWS4-HMAC-SHA256-PAYLOAD", hashlib.sha256(b"{}").hexdigest(), "", "x"):
        refused(INVALID, MISMATCH, headers={"X-Amz-Content-Sha256": claimed})
    assert json.loads(ask(guarded, signed(guarded)).raw) == EMPTY


MOMENT = r"(\d{8}T\d{6}Z)"
EXPIRED = re.compile(rf"Signature expired: {MOMENT} is now earlier than {MOMENT} \({MOMENT} - (\d+) (min|sec)\.\)")
EARLY = re.compile(rf"Signature not yet current: {MOMENT} is still later than {MOMENT} \({MOMENT} \+ (\d+) (min)\.\)")


def assert_out_of_time(server, request, form, sign, seconds):
    """Refused, with the request's date, the limit, and the server's time, in their places."""
    reply = ask(server, request)
    found = form.fullmatch(reply.text)
    assert (reply.status, reply.code) == (400, INVALID) and found, reply
    sent, limit, now = (datetime.datetime.strptime(found[n], "%Y%m%dT%H%M%SZ") for n in (1, 2, 3))
    assert found[1] == request.part("Date")
    assert limit - now == datetime.timedelta(seconds=sign * seconds)
    assert int(found[4]) * {"min": 60, "sec": 1}[found[5]] == seconds
    assert abs(now - datetime.datetime.now(datetime.timezone.utc).replace(tzinfo=None)) < datetime.timedelta(seconds=30)


def test_clocks_may_be_five_minutes_apart(guarded):
    for shift in (-290, 290):
        assert_accepted(guarded, signed(guarded, shift=shift))
    assert_out_of_time(guarded, signed(guarded, shift=-310), EXPIRED, -1, 300)
    assert_out_of_time(guarded, signed(guarded, shift=310), EARLY, 1, 300)
    # Years, and the wrong ones of the calendar.
    for days in (365, 3650):
        assert_out_of_time(guarded, signed(guarded, shift=-days * 86400), EXPIRED, -1, 300)
        assert_out_of_time(guarded, signed(guarded, shift=days * 86400), EARLY, 1, 300)


def test_a_presigned_url_lives_as_long_as_it_says(guarded):
    assert_accepted(guarded, signed(guarded, presigned=True, expires=30, shift=-20))
    assert_out_of_time(guarded, signed(guarded, presigned=True, expires=120, shift=-130), EXPIRED, -1, 120)
    assert_out_of_time(guarded, signed(guarded, presigned=True, expires=61, shift=-70), EXPIRED, -1, 61)
    assert_out_of_time(guarded, signed(guarded, presigned=True, expires=604_800, shift=-604_810), EXPIRED, -1, 604_800)
    assert_accepted(guarded, signed(guarded, presigned=True, shift=290))
    assert_out_of_time(guarded, signed(guarded, presigned=True, shift=310), EARLY, 1, 300)
    for expires in (0, 604_801, -1, "x"):
        text = "X-Amz-Expires must be a number of seconds between 1 and 604800."
        assert_refused(guarded, signed(guarded, presigned=True, expires=expires), INCOMPLETE, text)


# What is no signature

NOT_A_PAIR = "{part!r} not a valid key=value pair (missing equal-sign) in Authorization header: {header!r}."


def test_texts_of_what_cannot_be_read(guarded):
    good = signed(guarded)
    for header, text in {
        "": "Unsupported AWS 'algorithm': ''.",
        "Basic eDp4": "Unsupported AWS 'algorithm': 'Basic'.",
        "AWS AKIA:x": "Unsupported AWS 'algorithm': 'AWS'.",
        "AWS4-HMAC-SHA256 Credential": NOT_A_PAIR.format(part="Credential", header="AWS4-HMAC-SHA256 Credential"),
        "AWS4-HMAC-SHA256 Credential=a": "Authorization header requires 'Signature' parameter. "
        "Authorization header requires 'SignedHeaders' parameter. Authorization=AWS4-HMAC-SHA256 Credential=a",
        "AWS4-HMAC-SHA256 Credential=a, SignedHeaders=b, Signature=c": "Credential must have exactly 5 slash-delimited elements, "
        "e.g. keyid/date/region/service/term, got 'a'",
    }.items():
        assert_refused(guarded, good.set("Authorization", header), INCOMPLETE, text)
    text = "Authorization header requires existence of either a 'X-Amz-Date' or a 'Date' header."
    assert_refused(guarded, good.without("X-Amz-Date"), INCOMPLETE, text)
    text = "Date must be in ISO-8601 'basic format'. Got 'today'. See http://en.wikipedia.org/wiki/ISO_8601"
    assert_refused(guarded, good.set("X-Amz-Date", "today"), INCOMPLETE, text)
    assert_refused(guarded, good.without("Authorization"), MISSING, "Missing Authentication Token")
    wrong = {"termination": "Credential should be scoped with a valid terminator: 'aws4_request', not 'termination'. "}
    for end, text in wrong.items():
        assert_refused(guarded, good.with_part("Credential", good.part("Credential").replace("aws4_request", end)), INVALID, text)


def oddities(server):
    """Requests whose signature nobody could read, or whose every part is out of all measure."""
    # Signed with a secret that nobody has: nothing that is made of it may ever pass.
    key = Credentials(PERMANENT.access_key, "a secret of nobody")
    good, presigned = signed(server, key=key), signed(server, key=key, presigned=True)
    authorization = good.value("Authorization")
    yield from (good.set("Authorization", authorization[:length]) for length in range(0, len(authorization), 3))
    values = [
        *("Bearer x", "Negotiate", "Digest username=x", "AWS4-HMAC-SHA256", "AWS4-HMAC-SHA256 ", " ", ",", "=", ";", "\udcff" * 9, "ä€𝄞"),
        *(f"{authorization}\udcff", f"\udcc3{authorization}", "AWS4-HMAC-SHA256 " + "," * 50_000, "AWS4-HMAC-SHA256 " + "a=b," * 20_000),
        *("x" * 100_000, "AWS4-HMAC-SHA256 " + "x" * 100_000, authorization + "x" * 100_000, "AWS4-HMAC-SHA256 " + "=" * 100_000),
        *(authorization.replace("AKIA", "AKIA/" * 9000), authorization.replace("content-type", "a;" * 30_000 + "content-type")),
        *(authorization.replace(old, new) for old in (" ", ",", "=", ";", "/") for new in ("", "\t", "  ", "é", "%2C", old * 2)),
    ]
    yield from (good.set("Authorization", value) for value in values)
    dates = [
        "",
        "x" * 100_000,
        "2026-11-24T00:00:00Z",
        "99999999T999999Z",
        "00000000T000000Z",
        "٢٠٢٦١١٢٤T٠٠٠٠٠٠Z",
        "\udcff" * 16,
        "é" * 8,
        "(" * 9000,
    ]
    yield from (good.set("X-Amz-Date", date) for date in dates)
    https = ["Mon", "Thu, 01 Jan 1970 00:00:00 GMT", "Fri, 31 Dec 9999 23:59:59 GMT", "Tue, 24 Nov 26 14:00:00 EST", "(" * 9000, "\udcff"]
    yield from (good.without("X-Amz-Date").plus("Date", date) for date in https)
    yield from (good.plus("X-Amz-Security-Token", token) for token in ("x" * 100_000, "\udcff", "é"))
    yield from (good.set("X-Amz-Target", target) for target in ("", "x" * 100_000, "é", "\udcff", TARGET, TARGET * 9000))
    yield from (good.plus(f"X-Many-{n % 90}", "x") for n in range(3))
    queries = [
        "?",
        "?&",
        "?%",
        "?%zz=%",
        "?=%ff",
        "?a=%ff%fe",
        "?X-Amz-Signature",
        "?X-Amz-Signature=",
        "?X-Amz-Algorithm=%ff",
        "?" + "&" * 9000,
    ]
    yield from (replace(good.without("Authorization"), target=f"/{query}") for query in [*queries, "?" + "a&" * 9000, "?" + "%41" * 9000])
    for name, value in parse_qsl(presigned.target[2:]):
        for other in ("", "%", "%ff", "%00", "+", "%2", value + "%zz", "%C3%A9", "x" * 9000, quote(value, safe="") * 99):
            pairs = "&".join(f"{known}={other if known == name else quote(old, safe='')}" for known, old in parse_qsl(presigned.target[2:]))
            yield replace(presigned, target=f"/?{pairs}")


def assert_sane(reply, what):
    """A refusal of the client's request, and nothing that broke on the server's side."""
    assert reply.status in (400, 403, 413, 414, 431), (what, reply)


def test_what_cannot_be_read_is_refused(guarded):
    with Wire(guarded) as wire:
        for number, request in enumerate(oddities(guarded)):
            reply = wire.ask(request)
            assert_sane(reply, (number, request.target[:200], [(name, value[:200]) for name, value in request.headers]))
            assert not reply.raw or reply.code in REFUSED, reply
    assert "panicked" not in guarded.log.read_text()


def test_a_head_beyond_measure_ends_the_connection_and_nothing_else(guarded):
    good = signed(guarded)
    for head in (good.plus("X-Long", "x" * 1_000_000), replace(good, headers=good.headers + (("X-Many", "x"),) * 200)):
        # It may hang up while the rest of the head is on its way.
        with suppress(OSError):
            assert_sane(ask(guarded, head), "a head")
    for raw in (b"\0" * 100 + b"\r\n\r\n", b"POST\r\n\r\n", b"POST / HTTP/9.9\r\n\r\n", b"\x16\x03\x01\x02\x00\x01\xff\xff\r\n\r\n"):
        with Wire(guarded) as wire:
            assert_sane(wire.ask_raw(raw), raw)
    assert_accepted(guarded, good)


FUZZED = 2000
PIECES = [
    *"=,;/&%+ \t\"'\\:?#@",
    "%00",
    "%2C",
    "é",
    "\udcff",
    "AWS4-HMAC-SHA256",
    "Credential=",
    "SignedHeaders=",
    "Signature=",
    "X-Amz-Date=",
    "X-Amz-Signature=",
    "X-Amz-Algorithm=AWS4-HMAC-SHA256",
    "x-amz-target",
    "20260101T000000Z",
    "aws4_request",
    "host",
    "0" * 64,
    "-1",
]


def mangled(text, dice):
    """The text with some pieces cut out, doubled, or put in."""
    for _ in range(dice.randint(1, 4)):
        start = dice.randint(0, len(text))
        end = min(len(text), start + dice.choice([0, 0, 1, 1, 2, 8, 40]))
        piece = dice.choice([*PIECES, text[start:end] * 2, text[start:end][::-1], ""])
        text = text[:start] + piece + text[end:]
    return text


def test_nothing_random_is_accepted_or_breaks_the_server(guarded):
    dice = random.Random(20160627)
    key = Credentials(PERMANENT.access_key, "a secret of nobody", None)
    bases = [signed(guarded, key=key), signed(guarded, key=key, presigned=True)]
    codes = {}
    with Wire(guarded) as first, Wire(guarded) as second:
        for number in range(FUZZED):
            request = dice.choice(bases)
            # A space would end the target, and a tail that is no HTTP/1.1 the head.
            if dice.random() < (0.7 if request.presigned else 0.1):
                target = mangled(request.target, dice)
                request = replace(request, target="/" + re.sub(r"[\s\udcff]", "", target)[1:])
            for _ in range(dice.randint(0, 2)):
                place = dice.randrange(len(request.headers))
                name, value = request.headers[place]
                changed = (name, mangled(value, dice))
                request = replace(request, headers=request.headers[:place] + (changed,) + request.headers[place + 1 :])
            request = replace(request, body=mangled(request.body.decode(), dice).encode(errors="surrogateescape"))
            reply = dice.choice([first, second]).ask(request)
            assert_sane(reply, (number, request))
            codes[reply.code] = codes.get(reply.code, 0) + 1
    print(f"{FUZZED} random requests: {codes}")
    assert set(codes) <= {*REFUSED, ""} and codes[INCOMPLETE] > 100 and codes[INVALID] > 100
    assert "panicked" not in guarded.log.read_text()
    assert_accepted(guarded, signed(guarded))


# The last moment of the calendar is not the last of every time zone.
LAST_MOMENT = "Fri, 31 Dec 9999 23:59:59 -0100"


def test_a_date_beyond_the_calendar(tmp_path):
    with Server(tmp_path, args=["--workers", "1"], env=credentials_file(tmp_path)) as server:
        reply = ask(server, signed(server).without("X-Amz-Date").plus("Date", LAST_MOMENT))
        assert (reply.status, reply.code) == (400, INCOMPLETE)
        assert "panicked" not in server.log.read_text()


# What nobody may learn


def test_nothing_leaks(tmp_path):
    """No reply and no line of the log, however detailed, holds a secret, or a signature that the client did not send."""
    env = {**credentials_file(tmp_path), "RUST_LOG": "trace"}
    with Server(tmp_path, args=["--workers", "1"], env=env) as server, Wire(server) as wire:
        hidden, replies = {key.secret_key for key in KEYS} | {key.token for key in KEYS if key.token}, []
        for form in FORMS:
            good = signed(server, "CreateCollection", {"CollectionId": "forged"}, **FORMS[form])
            hidden.add(good.part("Signature"))
            wrong = good.with_part("Signature", "0" * 64)
            requests = [
                good,
                wrong,
                wrong.with_part("SignedHeaders", "host"),
                wrong.with_part("Credential", "x"),
                wrong.set("X-Amz-Target", "x"),
            ]
            replies += [wire.ask(request) for request in requests]
            replies.append(wire.ask(replace(wrong, body=b"{}")))
        replies.append(wire.ask(signed(server, key=OVER)))
        assert [reply.status for reply in replies].count(200) == 1
        assert server.stop() == 0
        log = server.log.read_text()
        assert log.count("CreateCollection") >= len(FORMS)
        for secret in hidden:
            assert secret not in log
            assert not any(secret.encode() in reply.raw for reply in replies)


def test_a_signature_that_was_sent_in_a_broken_header_is_not_logged(tmp_path):
    with Server(tmp_path, args=["--workers", "1"], env=credentials_file(tmp_path)) as server:
        good = signed(server)
        for more in (", junk", ", Signature=x"):
            assert ask(server, good.set("Authorization", good.value("Authorization") + more)).code == INCOMPLETE
        server.stop()
        # Whoever reads the log could send the request again for five minutes.
        assert good.part("Signature") not in server.log.read_text()


def test_nobody_without_a_key_fills_the_log(tmp_path):
    with Server(tmp_path, args=["--workers", "1"], env=credentials_file(tmp_path)) as server:
        before = server.log.stat().st_size
        reply = ask(server, signed(server).set("Authorization", "AWS4-HMAC-SHA256 " + "x" * 300_000))
        assert (reply.status, reply.code) == (400, INCOMPLETE)
        server.stop()
        assert server.log.stat().st_size - before < 10_000 and len(reply.raw) < 310_000


@pytest.mark.parametrize("stranger", ["no signature", "no key of ours", "no date of today"])
def test_nobody_without_a_key_uses_up_the_memory_for_bodies(start_server, tmp_path, stranger):
    server = start_server(args=["--workers", "1", "--max-bodies", "1000"], env=credentials_file(tmp_path))
    request = {
        "no signature": lambda: signed(server, body=b"x" * 1000).without("Authorization"),
        "no key of ours": lambda: signed(server, body=b"x" * 1000, key=Credentials("AKIANOBODY0000000001", "x")),
        "no date of today": lambda: signed(server, body=b"x" * 1000, shift=-86400),
    }[stranger]()
    with socket.create_connection(("127.0.0.1", server.port)) as slow:
        slow.sendall(request.wire()[:-1])
        time.sleep(0.1)
        assert_accepted(server, signed(server))


# Other keys while the server runs


def said(server, sentence, times=1, seconds=10):
    """Waits until the log has a sentence so many times."""
    deadline = time.monotonic() + seconds
    while server.log.read_text().count(sentence) < times:
        assert time.monotonic() < deadline, server.log.read_text()
        time.sleep(0.005)


class Rotation:
    """A server whose file of keys changes."""

    def __init__(self, server, file):
        self.server, self.file, self.times = server, file, 0

    def write(self, text, sentence="SIGHUP: the file of keys was read anew"):
        """Puts another file in the old one's place and has it read."""
        fresh = self.file.with_suffix(".new")
        fresh.write_text(text)
        os.replace(fresh, self.file)
        self.hang_up(sentence)

    def hang_up(self, sentence):
        before = self.server.log.read_text().count(sentence)
        self.server.process.send_signal(signal.SIGHUP)
        said(self.server, sentence, before + 1)


def test_keys_are_rotated_without_dropping_a_request(tmp_path):
    env = credentials_file(tmp_path)
    with Server(tmp_path, args=["--workers", "1"], env=env) as server:
        rotation, done, failures, counts = Rotation(server, tmp_path / "credentials.toml"), threading.Event(), [], []

        def call(form):
            count = 0
            try:
                with Wire(server) as wire:
                    while not done.is_set():
                        reply = wire.ask(signed(server, **FORMS[form]))
                        assert reply.status == 200, reply
                        count += 1
                    # And on a new connection each time.
                assert ask(server, signed(server, **FORMS[form])).status == 200
            except Exception as error:  # a failure of a thread is the test's
                failures.append(error)
            counts.append(count)

        threads = [threading.Thread(target=call, args=[form]) for form in FORMS]
        for thread in threads:
            thread.start()
        second = Credentials("AKIASECOND0000000001", "fifth+Secret")
        with Wire(server) as wire:
            for _ in range(15):
                rotation.write(CREDENTIALS.replace(holder(OTHER), "") + holder(second))
                assert wire.ask(signed(server, key=second)).status == 200
                reply = wire.ask(signed(server, key=OTHER))
                assert (reply.code, reply.text) == (UNKNOWN, NO_SUCH_KEY)
                rotation.write(CREDENTIALS)
                assert wire.ask(signed(server, key=second)).code == UNKNOWN
                assert wire.ask(signed(server, key=OTHER)).status == 200
        done.set()
        for thread in threads:
            thread.join(20)
        assert not failures
        print(f"30 rotations beside {sum(counts)} requests")
        assert min(counts) > 10


def test_a_key_may_get_another_secret_or_token(tmp_path):
    with Server(tmp_path, args=["--workers", "1"], env=credentials_file(tmp_path)) as server:
        rotation = Rotation(server, tmp_path / "credentials.toml")
        fresh = Credentials(PERMANENT.access_key, "sixth+Secret")
        rotation.write(CREDENTIALS.replace(PERMANENT.secret_key, fresh.secret_key).replace(TEMPORARY.token, "third/+Token"))
        assert_accepted(server, signed(server, key=fresh))
        assert_refused(server, signed(server), INVALID, MISMATCH)
        assert_accepted(server, signed(server, key=Credentials(TEMPORARY.access_key, TEMPORARY.secret_key, "third/+Token")))
        assert_refused(server, signed(server, key=TEMPORARY), UNKNOWN, NO_SUCH_KEY)


def test_a_broken_file_keeps_the_old_keys(tmp_path):
    broken = "the file of keys is broken, the old keys stay"
    with Server(tmp_path, args=["--workers", "1"], env=credentials_file(tmp_path)) as server:
        file, hidden = tmp_path / "credentials.toml", "HUSH-HUSH-HUSH"
        rotation = Rotation(server, file)
        fresh = holder(Credentials("AKIAFRESH00000000001", hidden))
        for text in [
            "",
            fresh[:-2],
            fresh.replace(f'"{hidden}"', hidden),
            fresh.replace(f'"{hidden}"', f'["{hidden}"]'),
            fresh.replace("secret_access_key", "secret_acess_key"),
            fresh.replace('"111111111111"', '"1"'),
            fresh.replace("rekognition:*", "rekognition"),
            fresh + fresh,
            fresh + 'expires = "tomorrow"',
            fresh + 'session_token = ""',
            f"\0{fresh}",
        ]:
            rotation.write(text, broken)
            assert_accepted(server, signed(server))
            assert ask(server, signed(server, key=Credentials("AKIAFRESH00000000001", hidden))).code == UNKNOWN
        file.unlink()
        rotation.hang_up(broken)
        file.mkdir()
        rotation.hang_up(broken)
        assert_accepted(server, signed(server))
        file.rmdir()
        rotation.write(fresh)
        assert_accepted(server, signed(server, key=Credentials("AKIAFRESH00000000001", hidden)))
        assert_refused(server, signed(server), UNKNOWN, NO_SUCH_KEY)
        assert hidden not in server.log.read_text()


def start_in_vain(*args, **env):
    """What a server says that refuses to start."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("REKOLLECT_") and name != "DATABASE_URL"}
    command = [BINARY, "serve", *args]
    done = subprocess.run(
        command, env={**inherited, "REKOLLECT_MODELS_DIR": str(MODELS), **env}, capture_output=True, text=True, timeout=20
    )
    assert done.returncode != 0 and "rekollect ready" not in done.stdout
    return done.stdout + done.stderr


def test_a_secret_without_quotes_is_not_shown(tmp_path):
    number = "823748237482374"
    env = credentials_file(tmp_path, holder(Credentials("AKIANUMBER0000000001", number)).replace(f'"{number}"', number))
    assert number not in start_in_vain("--data-dir", str(tmp_path), **env)


# Secure by default

PAIR = {"REKOLLECT_ACCESS_KEY_ID": PERMANENT.access_key, "REKOLLECT_SECRET_ACCESS_KEY": PERMANENT.secret_key}


@pytest.mark.parametrize(
    "args, env, why",
    [
        (["--listen", "0.0.0.0:0"], {}, "REKOLLECT_AUTH=open"),
        (["--listen", "[::]:0"], {}, "REKOLLECT_AUTH=open"),
        (["--listen", "0.0.0.0:0"], {"REKOLLECT_SIGNED_REGIONS": REGION}, "REKOLLECT_AUTH=open"),
        (["--listen", "0.0.0.0:0"], {"REKOLLECT_AUTH": "signed"}, "needs keys"),
        ([], {"REKOLLECT_AUTH": "signed"}, "needs keys"),
        ([], {"REKOLLECT_AUTH": "open", **PAIR}, "take one of them away"),
        ([], {"REKOLLECT_AUTH": ""}, "--auth"),
        ([], {"REKOLLECT_AUTH": "none"}, "--auth"),
        ([], {"REKOLLECT_ACCESS_KEY_ID": PERMANENT.access_key}, "--secret-access-key"),
        ([], {"REKOLLECT_SECRET_ACCESS_KEY": PERMANENT.secret_key}, "--access-key-id"),
        ([], {**PAIR, "REKOLLECT_SECRET_ACCESS_KEY": ""}, "empty"),
        ([], {**PAIR, "REKOLLECT_ACCESS_KEY_ID": ""}, "access key id"),
        ([], {"REKOLLECT_CREDENTIALS": ""}, "--credentials"),
        ([], {"REKOLLECT_CREDENTIALS": "/nonexistent/file"}, "/nonexistent/file"),
        ([], {"REKOLLECT_CREDENTIALS": "/nonexistent/file", **PAIR}, "cannot be used with"),
        ([], {**PAIR, "REKOLLECT_SIGNED_REGIONS": "us east"}, "--signed-regions"),
    ],
)
def test_a_server_that_would_be_open_by_accident_does_not_start(tmp_path, args, env, why):
    said_instead = start_in_vain(*(args or ["--listen", "127.0.0.1:0"]), "--data-dir", str(tmp_path), **env)
    assert why in said_instead
    assert PERMANENT.secret_key not in said_instead


def test_open_and_signed_servers_start_on_every_address(tmp_path):
    everywhere = ["--workers", "1", "--listen", "0.0.0.0:0"]
    with Server(tmp_path / "open", args=everywhere, env={"REKOLLECT_AUTH": "open"}) as server:
        assert server.url.startswith("http://0.0.0.0:")
        assert_accepted(server, signed(server).without("Authorization"))
        assert "REKOLLECT_AUTH=open: everybody who reaches the address" in server.log.read_text()
    with Server(tmp_path / "pair", args=everywhere, env=PAIR) as server:
        assert_accepted(server, signed(server))
        assert_refused(server, signed(server).without("Authorization"), MISSING, "Missing Authentication Token")
        server.process.send_signal(signal.SIGHUP)
        said(server, "there is no file of keys to read anew")
        assert_accepted(server, signed(server))
    with Server(tmp_path / "signed", args=everywhere, env={"REKOLLECT_AUTH": "signed", **credentials_file(tmp_path)}) as server:
        assert_accepted(server, signed(server))
        assert_refused(server, signed(server).without("Authorization"), MISSING, "Missing Authentication Token")


def test_the_health_of_a_server_is_no_secret_and_nothing_else_is_open(guarded):
    with Wire(guarded) as wire:
        host = ("Host", "x")
        plain = {path: wire.ask(Request(path, (host,), b"", "GET")) for path in ("/", "/_faults", "/metrics", "/collections")}
        assert {reply.status for reply in plain.values()} == {403}
    for path in ("/healthz", "/readyz"):
        with closing(http.client.HTTPConnection("127.0.0.1", guarded.port, timeout=20)) as connection:
            connection.request("GET", path)
            assert connection.getresponse().status == 200
