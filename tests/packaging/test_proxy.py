"""The recipes for nginx and Caddy, run as they are written: only names, ports and folders are put in. An AWS SDK calls through each."""

import datetime
import ipaddress
import os
import re
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import time
import urllib.error
import urllib.request

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from servers import REGION, ROOT, Server

RECIPES = ROOT / "packaging/proxy"
KEY = ("AKIAPROXY", "hush-hush")
INSIDE = ["/metrics", "/healthz", "/readyz", "/console/", "/_faults"]
# Other ways to write a path, which a proxy and a server might read differently.
DISGUISED = ["//", "//metrics", "/./metrics", "/%6detrics", "/metrics/..", "/x/../metrics", "/metrics/../", "/?/../metrics", "/%2e/metrics"]


@pytest.fixture(scope="module")
def backend(tmp_path_factory):
    """A server with keys, on which everything is on that a proxy should keep inside."""
    env = {
        "REKOLLECT_ACCESS_KEY_ID": KEY[0],
        "REKOLLECT_SECRET_ACCESS_KEY": KEY[1],
        "REKOLLECT_METRICS": "on",
        "REKOLLECT_CONSOLE": "on",
        "REKOLLECT_ENABLE_FAULTS": "true",
        "REKOLLECT_CORS_ORIGINS": "https://photos.example",
    }
    with Server(tmp_path_factory.mktemp("backend"), env=env) as server:
        yield server


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    """A certificate for 127.0.0.1 that trusts itself: the files of chain and key."""
    folder = tmp_path_factory.mktemp("tls")
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.datetime.now(datetime.timezone.utc)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    (folder / "fullchain.pem").write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    private = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    (folder / "privkey.pem").write_bytes(private)
    return folder


def put(text, **places):
    """A recipe with this machine's places in it; every one of them has to be there to be replaced."""
    for written, here in places.values():
        assert written in text, f"the recipe has no {written!r}"
        text = text.replace(written, str(here))
    return text


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Proxy:
    """A running proxy: `url`, and `ca`, whom its certificate is to be trusted by."""

    def __init__(self, name, folder, backend, certificate):
        self.name, self.port, self.ca, self.folder = name, free_port(), certificate / "fullchain.pem", folder
        self.url = f"https://127.0.0.1:{self.port}"
        self.log = folder / "stderr.txt"
        args, environment = (self._nginx if name == "nginx" else self._caddy)(backend, certificate)
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(args, stdout=log, stderr=log, env={**os.environ, **environment})
        self._wait()

    def _nginx(self, backend, certificate):
        recipe = put(
            (RECIPES / "nginx.conf").read_text(),
            upstream=("server 127.0.0.1:7350;", f"server 127.0.0.1:{backend.port};"),
            listen=("listen 443 ssl;", f"listen 127.0.0.1:{self.port} ssl;"),
            certificate=("/etc/ssl/rekollect", certificate),
            log=("/var/log/nginx/rekollect.log", self.folder / "access.log"),
        )
        (self.folder / "rekollect.conf").write_text(recipe)
        # Folders for bodies and answers that do not fit into memory, into which nobody but root may write: were one put on disk, the call
        # would fail.
        spill = "".join(f"    {kind}_temp_path {self.folder / 'spill'};\n" for kind in ("proxy", "client_body", "fastcgi", "uwsgi", "scgi"))
        (self.folder / "nginx.conf").write_text(
            f"daemon off;\npid {self.folder / 'pid'};\nerror_log stderr info;\nevents {{}}\n"
            f"http {{\n{spill}    include {self.folder / 'rekollect.conf'};\n}}\n"
        )
        args = ["nginx", "-p", str(self.folder), "-c", str(self.folder / "nginx.conf")]
        tested = subprocess.run([*args, "-t"], capture_output=True, text=True)
        assert tested.returncode == 0, tested.stderr
        assert "[warn]" not in tested.stderr, tested.stderr
        return args, {}

    def _caddy(self, backend, certificate):
        recipe = put(
            (RECIPES / "Caddyfile").read_text(),
            upstream=("127.0.0.1:7350", f"127.0.0.1:{backend.port}"),
            # Port 80 and the port of its administration belong to the machine.
            options=("{\n\tservers {", "{\n\tadmin off\n\tauto_https disable_redirects\n\tservers {"),
            name=("\nfaces.example {", f"\n127.0.0.1:{self.port} {{\n\tbind 127.0.0.1"),
            certificate=("/etc/ssl/rekollect", certificate),
        )
        file = self.folder / "Caddyfile"
        file.write_text(recipe)
        home = {"HOME": str(self.folder), "XDG_DATA_HOME": str(self.folder), "XDG_CONFIG_HOME": str(self.folder)}
        return ["caddy", "run", "--adapter", "caddyfile", "--config", str(file)], home

    def _wait(self):
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline and self.process.poll() is None:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", self.port)) == 0:
                    return
            time.sleep(0.05)
        self.stop()
        raise AssertionError(f"{self.name} did not listen:\n{self.log.read_text()}")

    def client(self, key=KEY):
        return boto3.client(
            "rekognition",
            region_name=REGION,
            endpoint_url=self.url,
            aws_access_key_id=key[0],
            aws_secret_access_key=key[1],
            verify=str(self.ca),
            config=Config(retries={"total_max_attempts": 1}),
        )

    def get(self, path, method="GET", headers=None):
        request = urllib.request.Request(self.url + path, method=method, headers=headers or {})
        try:
            with urllib.request.urlopen(request, timeout=10, context=ssl.create_default_context(cafile=self.ca)) as reply:
                return reply.status, dict(reply.headers)
        except urllib.error.HTTPError as error:
            return error.code, dict(error.headers)

    def stop(self):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(timeout=10)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()


@pytest.fixture(scope="module", params=["nginx", "caddy"])
def proxy(request, backend, certificate, tmp_path_factory):
    if not shutil.which(request.param):
        pytest.skip(f"no {request.param}: apt-get install {request.param}")
    proxy = Proxy(request.param, tmp_path_factory.mktemp(request.param), backend, certificate)
    yield proxy
    proxy.stop()


@pytest.fixture
def collection(proxy):
    client = proxy.client()
    client.create_collection(CollectionId=f"behind-{proxy.name}")
    yield f"behind-{proxy.name}"
    client.delete_collection(CollectionId=f"behind-{proxy.name}")


def test_signed_calls_arrive_whole(proxy, collection, photo):
    client = proxy.client()
    (face,) = client.index_faces(CollectionId=collection, Image={"Bytes": photo})["FaceRecords"]
    (match,) = client.search_faces_by_image(CollectionId=collection, Image={"Bytes": photo})["FaceMatches"]
    assert match["Face"]["FaceId"] == face["Face"]["FaceId"]
    with pytest.raises(ClientError, match="InvalidSignatureException"):
        proxy.client((KEY[0], "wrong")).list_collections()


def test_the_largest_photo_passes_and_a_larger_body_does_not(proxy, collection, photo):
    """5 MiB is what the service takes; what lies behind the end of a JPEG is not looked at."""
    client = proxy.client()
    largest = photo + bytes(5 * 1024 * 1024 - len(photo))
    assert client.index_faces(CollectionId=collection, Image={"Bytes": largest})["FaceRecords"]
    # Unsigned, which the server would answer with 403: nginx refuses it by its length, Caddy breaks off when that much has come.
    context = ssl.create_default_context(cafile=proxy.ca)
    with socket.create_connection(("127.0.0.1", proxy.port), timeout=20) as plain:
        with context.wrap_socket(plain, server_hostname="127.0.0.1") as connection:
            head = f"POST / HTTP/1.1\r\nHost: 127.0.0.1:{proxy.port}\r\nX-Amz-Target: RekognitionService.CompareFaces\r\n"
            connection.sendall(f"{head}Content-Length: {16 * 1024 * 1024 + 1}\r\n\r\n".encode())
            if proxy.name == "caddy":
                connection.sendall(bytes(16 * 1024 * 1024 + 1))
            assert connection.recv(65536).startswith({"nginx": b"HTTP/1.1 413 ", "caddy": b"HTTP/1.1 502 "}[proxy.name])


def test_a_long_answer_comes_whole(proxy, collection, photo):
    client = proxy.client()
    for number in range(300):
        client.create_user(CollectionId=collection, UserId=f"{number:0100}")
    users = client.list_users(CollectionId=collection, MaxResults=500)["Users"]
    assert len(users) == 300


@pytest.mark.parametrize("path", INSIDE)
def test_what_is_not_the_api_stays_inside(proxy, backend, path):
    if path in ("/metrics", "/healthz", "/readyz"):
        with urllib.request.urlopen(backend.url + path, timeout=10) as reply:
            assert reply.status == 200
    assert proxy.get(path)[0] == 404


@pytest.mark.parametrize("path", DISGUISED)
def test_nor_is_it_reached_by_another_spelling(proxy, path):
    assert proxy.get(path)[0] in (403, 404)


def test_other_methods_reach_the_api(proxy):
    """A page of a browser asks first, with OPTIONS."""
    status, headers = proxy.get("/", "OPTIONS", {"Origin": "https://photos.example", "Access-Control-Request-Method": "POST"})
    assert (status, headers.get("access-control-allow-origin", headers.get("Access-Control-Allow-Origin"))) == (200, "https://photos.example")


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion.TLSv1_1 is deprecated")
def test_old_tls_is_refused(proxy):
    context = ssl.create_default_context(cafile=proxy.ca)
    context.set_ciphers("DEFAULT:@SECLEVEL=0")
    context.minimum_version = context.maximum_version = ssl.TLSVersion.TLSv1_1
    with socket.create_connection(("127.0.0.1", proxy.port), timeout=10) as plain, pytest.raises((ssl.SSLError, ConnectionError)):
        context.wrap_socket(plain, server_hostname="127.0.0.1")


def test_no_signature_is_written_down(proxy):
    proxy.get("/?X-Amz-Signature=0123456789abcdef")
    if proxy.name == "nginx":
        lines = (proxy.folder / "access.log").read_text()
        assert re.search(r'"GET /" \d+ ', lines)
        assert "0123456789abcdef" not in lines
    assert "0123456789abcdef" not in proxy.log.read_text()


def test_connections_to_the_server_are_kept_and_given_up_in_time(proxy, backend, settings):
    """Given up before the server closes them, so that no call meets the closing."""
    recipe = (RECIPES / ("nginx.conf" if proxy.name == "nginx" else "Caddyfile")).read_text()
    (kept,) = re.findall(r"^\s*keepalive(?:_timeout)? (\d+)s;?$", recipe, re.MULTILINE)
    assert int(kept) < int(settings["REKOLLECT_HEADER_TIMEOUT"])
    if sys.platform != "linux":
        pytest.skip("connections are read from /proc")
    client = proxy.client()
    client.list_collections()
    before = connections(backend)
    for _ in range(20):
        client.list_collections()
    after = connections(backend)
    assert after and after <= before


def connections(backend):
    """The ports from which somebody is connected to the server, in either family."""
    found = set()
    for line in open("/proc/net/tcp").read().splitlines()[1:]:
        _, local, remote, state, *_ = line.split()
        if int(local.split(":")[1], 16) == backend.port and state == "01":
            found.add(remote)
    return found
