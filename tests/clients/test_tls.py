"""TLS in the server: real clients over HTTPS, client certificates, files that change or are broken, and whoever is no client at all."""

import json
import os
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import threading
import time
from contextlib import closing, suppress

import pytest
from botocore.exceptions import ConnectionError as NoConnection
from botocore.exceptions import HTTPClientError, SSLError
from certificates import CA, DAY, private, serial_number
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from servers import BINARY, KEYS, MODELS, Server, rekognition


@pytest.fixture(scope="module")
def ca(tmp_path_factory):
    return CA(tmp_path_factory.mktemp("ca"), "Tests")


@pytest.fixture(scope="module")
def other_ca(tmp_path_factory):
    return CA(tmp_path_factory.mktemp("other"), "Strangers")


def tls(certificate, key, client_ca=None):
    settings = {"REKOLLECT_TLS_CERTIFICATE": str(certificate), "REKOLLECT_TLS_KEY": str(key)}
    return {**settings, "REKOLLECT_TLS_CLIENT_CA": str(client_ca)} if client_ca else settings


@pytest.fixture(scope="module")
def server(start_server, ca):
    """A server with a certificate of `ca`."""
    return start_server(env={**tls(*ca.issue("server")), "REKOLLECT_HEADER_TIMEOUT": "2", "REKOLLECT_MAX_REQUESTS": "1"})


def connect(server, ca, version=None, alpn=("http/1.1",), client=None):
    """A TLS connection to the server, which is known by `ca`."""
    context = ssl.create_default_context(cafile=ca.file)
    context.set_alpn_protocols(list(alpn))
    if version:
        context.minimum_version = context.maximum_version = version
    if client:
        context.load_cert_chain(*client)
    return context.wrap_socket(socket.create_connection(("127.0.0.1", server.port), timeout=10), server_hostname="127.0.0.1")


def readyz(connection):
    connection.sendall(b"GET /readyz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
    reply = b""
    while piece := connection.recv(4096):
        reply += piece
    return reply


def test_boto3_speaks_to_it(server, ca, photo):
    assert server.url.startswith("https://127.0.0.1:")
    client = rekognition(server.url, verify=str(ca.file))
    client.create_collection(CollectionId="people")
    client.index_faces(CollectionId="people", Image={"Bytes": photo("obama.jpg")}, ExternalImageId="obama")
    found = client.search_faces_by_image(CollectionId="people", Image={"Bytes": photo("obama2.jpg")})["FaceMatches"]
    assert [match["Face"]["ExternalImageId"] for match in found] == ["obama"]


def test_the_programs_own_commands_speak_to_it(server, ca, other_ca, tmp_path):
    plain = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "REKOLLECT_"))}
    environment = plain | KEYS | {"AWS_REGION": "us-east-1", "AWS_ENDPOINT_URL": server.url, "AWS_CONFIG_FILE": str(tmp_path / "none")}
    client = rekognition(server.url, verify=str(ca.file))
    with suppress(client.exceptions.ResourceAlreadyExistsException):
        client.create_collection(CollectionId="people")
    command = [BINARY, "group", "--collection", "people"]
    (tmp_path / "empty.pem").write_text("")
    for bundle, reason in [(str(ca.file), None), (str(other_ca.file), "no answer"), (str(tmp_path / "empty.pem"), "no certificate"), (str(tmp_path / "away"), "AWS_CA_BUNDLE")]:
        done = subprocess.run(command, env=environment | {"AWS_CA_BUNDLE": bundle}, capture_output=True, text=True, timeout=60)
        assert (done.returncode == 0) == (reason is None) and (reason or "") in done.stderr, (bundle, done.stderr)


def test_the_aws_cli_speaks_to_it(server, ca, tmp_path):
    environment = {**os.environ, **KEYS, "AWS_CONFIG_FILE": str(tmp_path / "none"), "AWS_MAX_ATTEMPTS": "1"}
    command = [sys.executable, "-m", "awscli", "rekognition", "list-collections", "--endpoint-url", server.url, "--output", "json"]
    done = subprocess.run([*command, "--ca-bundle", str(ca.file)], env=environment, capture_output=True, text=True, timeout=60)
    assert "CollectionIds" in json.loads(done.stdout), done.stderr
    refused = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60)
    assert refused.returncode != 0 and "SSL" in refused.stderr


def test_a_client_that_knows_another_ca_refuses_it(server, other_ca):
    with pytest.raises(SSLError):
        rekognition(server.url, verify=str(other_ca.file)).list_collections()


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_both_versions_are_spoken(server, ca, version):
    with connect(server, ca, version) as connection:
        assert connection.version() == {ssl.TLSVersion.TLSv1_2: "TLSv1.2", ssl.TLSVersion.TLSv1_3: "TLSv1.3"}[version]
        assert connection.selected_alpn_protocol() == "http/1.1"
        assert readyz(connection).startswith(b"HTTP/1.1 200")
    # Who speaks nothing but HTTP/2 hears it in the handshake.
    with pytest.raises(ssl.SSLError):
        connect(server, ca, alpn=("h2",))


def test_plain_http_is_hung_up_on(server, ca):
    with closing(socket.create_connection(("127.0.0.1", server.port), timeout=10)) as connection:
        connection.sendall(b"GET /readyz HTTP/1.1\r\nHost: localhost\r\n\r\n")
        reply = b""
        while piece := connection.recv(4096):
            reply += piece
        # An alert of TLS, and the end.
        assert reply[:1] in (b"\x15", b"") and len(reply) < 20
    with pytest.raises((NoConnection, HTTPClientError)):
        rekognition(server.url.replace("https", "http")).list_collections()
    with connect(server, ca) as connection:
        assert readyz(connection).startswith(b"HTTP/1.1 200")


def test_who_does_not_shake_hands_takes_no_requests_place(server, ca):
    silent = [socket.create_connection(("127.0.0.1", server.port), timeout=20) for _ in range(20)]
    for connection in silent[::2]:
        connection.sendall(b"\x16\x03\x01")
    # One request at a time, and that is free.
    for _ in range(3):
        rekognition(server.url, verify=str(ca.file)).list_collections()
    begun = time.monotonic()
    for connection in silent:
        with closing(connection), suppress(ConnectionResetError):
            assert connection.recv(100) == b""
    assert time.monotonic() - begun < 10


def test_a_client_that_reads_nothing_is_cut_off(start_server, ca):
    server = start_server(env={**tls(*ca.issue("reader")), "REKOLLECT_REPLY_TIMEOUT": "1"})
    with connect(server, ca) as connection:
        connection.settimeout(20)
        # Replies of more than all buffers on the way, until the server reads no more of these.
        with suppress(TimeoutError, ConnectionError, ssl.SSLError):
            for _ in range(20_000):
                connection.sendall(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n" * 10)
        time.sleep(3)
        with pytest.raises((ConnectionError, ssl.SSLError)):
            while connection.recv(1 << 16):
                pass
            raise ssl.SSLEOFError("ended without a goodbye")
    with connect(server, ca) as connection:
        assert readyz(connection).startswith(b"HTTP/1.1 200")


def test_a_handshake_in_progress_holds_up_no_end(tmp_path, ca):
    with Server(tmp_path, env=tls(*ca.issue("ending"))) as server:
        with closing(socket.create_connection(("127.0.0.1", server.port))):
            time.sleep(0.3)
            begun = time.monotonic()
            assert server.stop() == 0
            assert time.monotonic() - begun < 5


def test_a_renewed_certificate_is_served_and_a_broken_one_is_not(tmp_path, ca):
    """Callers go on meanwhile, each call on a connection of its own, and none fails."""
    certificate, key = tmp_path / "tls.pem", tmp_path / "tls.key"

    def install(pair):
        shutil.copy(pair[0], certificate)
        shutil.copy(pair[1], key)

    def served():
        with connect(server, ca) as connection:
            return serial_number(connection.getpeercert(binary_form=True))

    def until(condition, seconds=20):
        deadline = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < deadline, server.log.read_text()
            time.sleep(0.2)

    install(ca.issue("first"))
    with Server(tmp_path, env=tls(certificate, key)) as server:
        first, failures, calls, enough = served(), [], [0], threading.Event()

        def call_on():
            while not enough.is_set():
                try:
                    rekognition(server.url, verify=str(ca.file)).list_collections()
                    calls[0] += 1
                except Exception as failure:
                    failures.append(failure)

        caller = threading.Thread(target=call_on)
        caller.start()
        # By itself, within seconds.
        install(ca.issue("second"))
        until(lambda: served() != first)
        second = served()
        # A broken file: told, and nothing else.
        certificate.write_text("-----BEGIN CERTIFICATE-----\nAAAA")
        server.process.send_signal(signal.SIGHUP)
        until(lambda: "cannot be used, the old certificate stays" in server.log.read_text())
        # An expired one, and the key of another.
        install(ca.issue("expired", (-3 * DAY, -DAY)))
        server.process.send_signal(signal.SIGHUP)
        until(lambda: "expired at" in server.log.read_text())
        shutil.copy(ca.issue("third")[0], certificate)
        server.process.send_signal(signal.SIGHUP)
        until(lambda: "is not the key of the certificate" in server.log.read_text())
        certificate.unlink()
        server.process.send_signal(signal.SIGHUP)
        until(lambda: "cannot read" in server.log.read_text())
        assert served() == second
        # SIGHUP does not wait for the next look.
        install(ca.issue("fourth"))
        server.process.send_signal(signal.SIGHUP)
        until(lambda: served() != second, 4)
        enough.set()
        caller.join()
        assert not failures and calls[0] > 5
        assert "PRIVATE KEY" not in server.log.read_text()


@pytest.fixture(scope="module")
def strict(start_server, ca):
    """A server that asks for client certificates of `ca`."""
    return start_server(env=tls(*ca.issue("strict"), client_ca=ca.file))


class TestClientCertificates:
    def test_one_of_the_ca_is_let_in(self, strict, ca):
        for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
            with connect(strict, ca, version, client=ca.issue("client")) as connection:
                assert readyz(connection).startswith(b"HTTP/1.1 200")
        rekognition(strict.url, verify=str(ca.file), certificate=tuple(map(str, ca.issue("client")))).list_collections()

    @pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
    def test_none_one_of_another_ca_and_an_expired_one_are_not(self, strict, ca, other_ca, version):
        for client in (None, other_ca.issue("stranger"), ca.issue("late", (-3 * DAY, -DAY))):
            # With TLS 1.3 a client hears of it with the first answer.
            with pytest.raises((ssl.SSLError, ConnectionError)), connect(strict, ca, version, client=client) as connection:
                assert readyz(connection) == b""
                raise ConnectionError("hung up without a word")

    def test_boto3_hears_that_it_has_none(self, strict, ca):
        with pytest.raises((NoConnection, HTTPClientError)):
            rekognition(strict.url, verify=str(ca.file)).list_collections()

    def test_the_health_check_needs_nothing_more(self, strict, ca):
        settings = tls(ca.folder / "strict.pem", ca.folder / "strict.key", ca.file)
        assert healthcheck(strict, settings).returncode == 0
        # With other files it is no more than a client without a certificate of the CA.
        other = healthcheck(strict, tls(*CA(ca.folder / "another", "Another").issue("another"), ca.file))
        assert other.returncode == 1 and "rekollect: " in other.stderr


def healthcheck(server, settings):
    command = [BINARY, "healthcheck", "--listen", f"127.0.0.1:{server.port}"]
    return subprocess.run(command, env={**os.environ, **settings}, capture_output=True, text=True, timeout=20)


def test_the_health_check_speaks_tls(server, ca):
    settings = tls(ca.folder / "server.pem", ca.folder / "server.key")
    assert healthcheck(server, settings).returncode == 0
    # Files that are gone since do not make the server that has read them ill.
    assert healthcheck(server, tls("/nonexistent", "/nonexistent")).returncode == 0
    plain = healthcheck(server, {})
    assert plain.returncode == 1 and "not ready" in plain.stderr or "rekollect: " in plain.stderr


@pytest.mark.parametrize(
    ("prepare", "says"),
    [
        (lambda ca, folder: tls(folder / "none.pem", ca.issue("a")[1]), ["--tls-certificate (REKOLLECT_TLS_CERTIFICATE)", "none.pem"]),
        (lambda ca, folder: tls(ca.issue("a")[0], folder / "none.key"), ["--tls-key (REKOLLECT_TLS_KEY)", "none.key"]),
        (lambda ca, folder: tls(ca.issue("a")[0], ca.issue("b")[1]), ["--tls-key", "is not the key of the certificate in"]),
        (lambda ca, folder: tls(ca.issue("a")[1], ca.issue("a")[1]), ["--tls-certificate", "has no certificate"]),
        (lambda ca, folder: tls(ca.issue("a")[0], ca.issue("a")[0]), ["--tls-key", "has no private key"]),
        (lambda ca, folder: tls(ca.issue("a")[0], locked_key(folder)), ["--tls-key", "behind a password"]),
        (lambda ca, folder: tls(cut(ca.issue("a")[0]), ca.folder / "a.key"), ["--tls-certificate", "cannot be understood"]),
        (lambda ca, folder: tls(*ca.issue("a", (-3 * DAY, -DAY))), ["--tls-certificate", "expired at"]),
        (lambda ca, folder: tls(*ca.issue("a", (DAY, 3 * DAY))), ["--tls-certificate", "not valid before"]),
        (lambda ca, folder: tls(*ca.issue("a"), ca.folder / "a.key"), ["--tls-client-ca (REKOLLECT_TLS_CLIENT_CA)", "has no certificate"]),
        (lambda ca, folder: {"REKOLLECT_TLS_CERTIFICATE": str(ca.issue("a")[0])}, ["--tls-key"]),
        (lambda ca, folder: {"REKOLLECT_TLS_CLIENT_CA": str(ca.file)}, ["--tls-certificate"]),
    ],
    ids=[
        "no certificate file", "no key file", "key of another", "key for a certificate", "certificate for a key", "locked key", "cut file",
        "expired", "not yet valid", "key for a CA", "key not named", "client CA alone",
    ],
)  # fmt: skip
def test_what_cannot_be_served_is_told_at_the_start(tmp_path, ca, prepare, says):
    environment = {**os.environ, "REKOLLECT_MODELS_DIR": str(MODELS), "REKOLLECT_DATA_DIR": str(tmp_path / "data"), **prepare(ca, tmp_path)}
    done = subprocess.run([BINARY, "serve", "--listen", "127.0.0.1:0"], env=environment, capture_output=True, text=True, timeout=60)
    assert done.returncode != 0
    assert all(part in done.stderr for part in says), done.stderr
    assert "PRIVATE KEY" not in done.stderr and not (tmp_path / "data").exists()


def locked_key(folder):
    file = folder / "locked.key"
    file.write_bytes(private(ec.generate_private_key(ec.SECP256R1()), serialization.BestAvailableEncryption(b"hush")))
    return file


def cut(file):
    file.write_text(file.read_text()[:200])
    return file


def test_an_end_that_is_near_is_told(tmp_path, ca):
    with Server(tmp_path, env=tls(*ca.issue("short", (-DAY, 3 * DAY)))) as server:
        deadline = time.monotonic() + 5
        while "the certificate expires soon" not in server.log.read_text():
            assert time.monotonic() < deadline
            time.sleep(0.1)
