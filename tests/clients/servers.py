"""Starts the release binary on a free loopback port, for the tests, `make accuracy` and `make bench` alike."""

import http.client
import os
import re
import select
import subprocess
import threading
import time
import uuid
from contextlib import closing
from pathlib import Path
from urllib.parse import urlsplit

import boto3
from botocore.config import Config

ROOT = Path(__file__).resolve().parents[2]
BINARY = Path(os.environ.get("REKOLLECT_BIN", ROOT / "target/release/rekollect")).absolute()
MODELS = Path(os.environ.get("REKOLLECT_MODELS_DIR", ROOT / "models")).absolute()
REGION = "us-east-1"
KEYS = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test", "AWS_DEFAULT_REGION": REGION}
# Threads may share a client, but not make two at once.
MAKING_A_CLIENT = threading.Lock()
READY = re.compile(r"rekollect ready: (https?://\S+)")

# The servers are on this machine: what a proxy of its owner answers is not theirs.
os.environ["no_proxy"] = os.environ["NO_PROXY"] = "127.0.0.1"


def rekognition(url, key=(KEYS["AWS_ACCESS_KEY_ID"], KEYS["AWS_SECRET_ACCESS_KEY"]), token=None, patience=60, verify=None, certificate=None):
    """A boto3 client of the server, with a key (its id and its secret). A retry would hide a server that fails now and then, so there
    is none; and the server is asked even what botocore would refuse by itself. It waits so many seconds for an answer. With TLS, `verify` is
    the CA that the server is known by, and `certificate` the client's own with its key."""
    config = Config(
        retries={"total_max_attempts": 1},
        parameter_validation=False,
        max_pool_connections=32,
        read_timeout=patience,
        client_cert=certificate,
    )
    with MAKING_A_CLIENT:
        return boto3.client(
            "rekognition",
            region_name=REGION,
            endpoint_url=url,
            aws_access_key_id=key[0],
            aws_secret_access_key=key[1],
            aws_session_token=token,
            config=config,
            verify=verify,
        )


def get(server, path):
    """Status and text of what the server tells without a signature."""
    with closing(http.client.HTTPConnection("127.0.0.1", server.port, timeout=10)) as connection:
        connection.request("GET", path)
        reply = connection.getresponse()
        return reply.status, reply.read().decode()


def metric(server, name):
    """What it counts under this name, without labels."""
    _, text = get(server, "/metrics")
    return float(next(line.split()[1] for line in text.splitlines() if line.startswith(f"rekollect_{name} ")))


class Server:
    """A running server: `url` is where it answers, `client` a boto3 client of it, `ready_after` the seconds that the start took.

    `args` are further flags of `rekollect serve`, `env` further variables; a start may take `patience` seconds. Where `pack` is None the
    server takes its default; `before_start` is called in the new process before it becomes the server."""

    def __init__(self, folder, pack="standard", database_url=None, args=(), env=None, patience=30, before_start=None):
        folder.mkdir(parents=True, exist_ok=True)
        self.log = folder / f"log-{uuid.uuid4().hex[:8]}.txt"
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("REKOLLECT_") and name != "DATABASE_URL"}
        settings = {"REKOLLECT_MODELS_DIR": str(MODELS), "REKOLLECT_DATA_DIR": str(folder / "data")}
        if pack:
            settings["REKOLLECT_PACK"] = pack
        if database_url:
            settings["DATABASE_URL"] = database_url
        begin = time.monotonic()
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [BINARY, "serve", "--listen", "127.0.0.1:0", *args],
                env={**inherited, **settings, **(env or {})},
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                preexec_fn=before_start,
            )
        self.url = self._wait_until_ready(patience)
        self.ready_after = time.monotonic() - begin
        self.client = rekognition(self.url)

    def _wait_until_ready(self, seconds):
        deadline = time.monotonic() + seconds
        while select.select([self.process.stdout], [], [], max(0, deadline - time.monotonic()))[0]:
            line = self.process.stdout.readline()
            if found := READY.match(line):
                return found[1]
            if not line:
                break
        self.process.kill()
        self.process.wait()
        raise AssertionError(f"the server did not get ready:\n{self.log.read_text()}")

    @property
    def port(self):
        return urlsplit(self.url).port

    def resident_megabytes(self, of="VmRSS"):
        """What of the process lies in memory, where the system tells as Linux does. `of`: RssAnon for its own alone, RssFile for files
        that it maps, VmHWM for the most that it ever was."""
        status = Path(f"/proc/{self.process.pid}/status")
        if not status.exists():
            return float("nan")
        line = next(line for line in status.read_text().splitlines() if line.startswith(f"{of}:"))
        return int(line.split()[1]) / 1024

    def __enter__(self):
        return self

    def __exit__(self, *_exception):
        if self.process.poll() is None:
            self.stop()

    def stop(self, seconds=30):
        """Asks the server to stop; its exit code."""
        self.process.terminate()
        try:
            return self.process.wait(timeout=seconds)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise AssertionError(f"the server did not stop within {seconds} s:\n{self.log.read_text()}") from None
        finally:
            self.process.stdout.close()
