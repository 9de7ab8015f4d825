"""The compose files, started for real in a Docker engine. Ports of this machine's choice stand in for the published ones."""

import os
import socket
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path

import pytest
from engines import output
from servers import ROOT, rekognition
from test_image import match, photo

COMPOSE = Path(sys.executable).with_name("docker-compose")
SECRETS = {
    "REKOLLECT_ACCESS_KEY_ID": "AKIACOMPOSE",
    "REKOLLECT_SECRET_ACCESS_KEY": "hush",
    "POSTGRES_PASSWORD": "Secret7",
    "S3_SECRET_KEY": "hush3",
}


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as server:
        return server.getsockname()[1]


@contextmanager
def started(engine, tmp_path, file, services, env):
    """The file's services while they are healthy; gives the port of each that has one."""
    if engine.name != "docker":
        pytest.skip("compose files are started with docker only")
    if not COMPOSE.exists():
        pytest.skip("the compose command line is packaged for Python 3.11 and later only")
    ports = {service: (free_port(), inside) for service, inside in services.items()}
    override = tmp_path / "ports.yml"
    lines = [f'  {name}:\n    ports: !override ["127.0.0.1:{port}:{inside}"]\n' for name, (port, inside) in ports.items()]
    override.write_text("services:\n" + "".join(lines))
    command = [COMPOSE, "--project-name", f"rekollect-test-{os.getpid()}", "--file", ROOT / file, "--file", override]
    options = {"env": {**os.environ, **env}, "cwd": ROOT}
    try:
        begin = time.monotonic()
        output(*command, "up", "--detach", "--wait", "--no-build", timeout=120, **options)
        print(f"{file}: healthy after {time.monotonic() - begin:.1f} s")
        yield {name: port for name, (port, _) in ports.items()}
    finally:
        subprocess.run([*command, "down", "--volumes", "--timeout", "5"], capture_output=True, **options)


def knows_again(client):
    client.create_collection(CollectionId="people")
    client.index_faces(CollectionId="people", Image=photo("obama.jpg"), ExternalImageId="obama")
    assert match(client) == ["obama"]


def test_one_service_is_all_that_an_integration_test_needs(engine, tmp_path):
    with started(engine, tmp_path, "docker-compose.yml", {"rekollect": 7350}, {}) as ports:
        knows_again(rekognition(f"http://127.0.0.1:{ports['rekollect']}"))


def test_the_production_stack_keeps_faces_in_postgres_and_checks_keys(engine, tmp_path):
    for image in ["pgvector/pgvector:pg17", "versity/versitygw:v1.8.0"]:
        if engine.name == "docker" and subprocess.run(["docker", "image", "inspect", image], capture_output=True).returncode:
            pytest.skip(f"{image} is not in this engine, and tests pull nothing: docker pull {image}")
    key = (SECRETS["REKOLLECT_ACCESS_KEY_ID"], SECRETS["REKOLLECT_SECRET_ACCESS_KEY"])
    with started(engine, tmp_path, "compose.production.yml", {"rekollect": 7350, "s3": 7070}, SECRETS) as ports:
        url = f"http://127.0.0.1:{ports['rekollect']}"
        knows_again(rekognition(url, key))
        stranger = rekognition(url)
        with pytest.raises(stranger.exceptions.ClientError, match="UnrecognizedClientException"):
            stranger.list_collections()
