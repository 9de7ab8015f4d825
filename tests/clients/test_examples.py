"""The examples' own tests, run as their README says without Docker: against the release binary, with photos out of registry packages."""

import json
import os
import re
import shutil
import subprocess
import sys

import pytest
from conftest import PHOTOS
from pictures import opened, saved
from PIL import Image
from servers import BINARY, REGION, ROOT, rekognition
from test_pgvector import PGVECTOR, database  # noqa: F401
from test_s3 import Moto
from test_scenario import HERE, command_of

EXAMPLES = ROOT / "examples"
PYTHON, JAVASCRIPT = EXAMPLES / "photo-app-python", EXAMPLES / "photo-app-javascript"
KEY = ("photo-app", "only-for-these-tests")
EVERY_FACE = EXAMPLES / "every-face-python"
PYTEST, CONTAINER_PYTHON, CONTAINER_RUST = EXAMPLES / "pytest", EXAMPLES / "testcontainers-python", EXAMPLES / "testcontainers-rust"
COMPOSE = ROOT / ".venv-test/bin/docker-compose"
COMPOSE_FILES = [
    PYTHON / "docker-compose.yml",
    JAVASCRIPT / "docker-compose.yml",
    ROOT / "docker-compose.yml",
    ROOT / "compose.production.yml",
]


@pytest.fixture(scope="module")
def photos(tmp_path_factory, photo):
    """A folder as the README of the examples wants it."""
    folder = tmp_path_factory.mktemp("photos")
    for person, names in {"barack": ["obama.jpg", "obama2.jpg", "obama3.jpg"], "joe": ["biden.jpg"]}.items():
        (folder / person).mkdir()
        for name in names:
            (folder / person / name).write_bytes(photo(name))
    (folder / "strangers.jpg").write_bytes(photo("sample4.jpg"))
    (folder / "barack+joe.jpg").write_bytes(side_by_side(photo("obama2.jpg"), photo("biden.jpg")))
    return folder


def side_by_side(*pictures):
    height = 600
    parts = [opened(data) for data in pictures]
    parts = [part.resize((part.width * height // part.height, height)) for part in parts]
    whole = Image.new("RGB", (sum(part.width for part in parts), height))
    left = 0
    for part in parts:
        whole.paste(part, (left, 0))
        left += part.width
    return saved(whole)


@pytest.fixture(scope="module")
def moto(tmp_path_factory):
    with Moto(tmp_path_factory.mktemp("moto")) as moto:
        yield moto


@pytest.fixture(scope="module", params=["sqlite", "pgvector"])
def server(request, start_server, moto):
    """A server that checks signatures, over SQLite as in a checkout and over Postgres with pgvector as in the compose files."""
    settings = {"REKOLLECT_ACCESS_KEY_ID": KEY[0], "REKOLLECT_SECRET_ACCESS_KEY": KEY[1]}
    settings |= {"REKOLLECT_S3_ENDPOINT": moto.url, "REKOLLECT_S3_ACCESS_KEY_ID": KEY[0], "REKOLLECT_S3_SECRET_ACCESS_KEY": KEY[1]}
    if request.param == "sqlite":
        return start_server(env=settings)
    return start_server(database_url=request.getfixturevalue("database"), env=settings | PGVECTOR)


def run(command, folder, server, moto, photos):
    """What a command says in a copy of an example, told by nothing but the SDK's own variables where it is."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "REKOLLECT_", "PYTEST_"))}
    environment |= {
        "PHOTOS": str(photos),
        "AWS_ENDPOINT_URL_REKOGNITION": server.url,
        "AWS_ENDPOINT_URL_S3": moto.url,
        "AWS_REGION": REGION,
        "AWS_DEFAULT_REGION": REGION,
        "AWS_ACCESS_KEY_ID": KEY[0],
        "AWS_SECRET_ACCESS_KEY": KEY[1],
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
    }
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def copy_of(example, tmp_path):
    ignored = shutil.ignore_patterns("node_modules", "target", "__pycache__", ".pytest_cache")
    return shutil.copytree(example, tmp_path / example.name, ignore=ignored)


def test_the_photo_app_in_python(server, moto, photos, tmp_path):
    folder = copy_of(PYTHON, tmp_path)
    told = run([sys.executable, "-m", "pytest", "--rootdir", ".", "--color=no"], folder, server, moto, photos)
    assert re.search(r"= 8 passed in ", told), told
    run([sys.executable, "photo_app.py", "add", "barack", photos / "barack/obama.jpg"], folder, server, moto, photos)
    told = run([sys.executable, "photo_app.py", "who", photos / "barack+joe.jpg"], folder, server, moto, photos)
    assert sorted(told.splitlines()) == ["a stranger", "barack"]
    run([sys.executable, "photo_app.py", "forget", "barack"], folder, server, moto, photos)
    assert run([sys.executable, "photo_app.py", "who", photos / "barack/obama.jpg"], folder, server, moto, photos) == "a stranger\n"


def test_every_face_in_python(server, moto, photos, tmp_path):
    folder = copy_of(EVERY_FACE, tmp_path)
    client = rekognition(server.url, KEY)
    client.create_collection(CollectionId="people")
    try:
        for name in ("barack", "joe"):
            (data, *_) = [path.read_bytes() for path in sorted((photos / name).iterdir())]
            client.index_faces(CollectionId="people", Image={"Bytes": data}, ExternalImageId=name)
        command = [sys.executable, "every_face.py", "people"]
        told = run([*command, photos / "barack+joe.jpg"], folder, server, moto, photos)
        assert sorted(told.splitlines()) == ["barack", "joe"]
        assert set(run([*command, photos / "strangers.jpg"], folder, server, moto, photos).splitlines()) == {"a stranger"}
    finally:
        client.delete_collection(CollectionId="people")


def test_the_photo_app_in_javascript(server, moto, photos, tmp_path):
    node, _ = command_of("js")
    folder = copy_of(JAVASCRIPT, tmp_path)
    (folder / "node_modules").symlink_to(HERE / "js/node_modules")
    told = run([node, "--test", "--test-reporter=tap"], folder, server, moto, photos)
    assert re.search(r"^# pass 8$", told, re.MULTILINE), told
    run([node, "photo-app.mjs", "add", "joe", photos / "joe/biden.jpg"], folder, server, moto, photos)
    told = run([node, "photo-app.mjs", "who", photos / "barack+joe.jpg"], folder, server, moto, photos)
    assert sorted(told.splitlines()) == ["a stranger", "joe"]
    run([node, "photo-app.mjs", "forget", "joe"], folder, server, moto, photos)
    assert run([node, "photo-app.mjs", "who", photos / "joe/biden.jpg"], folder, server, moto, photos) == "a stranger\n"


def test_the_examples_pin_what_the_tests_have():
    """So that what is tested here is what somebody who follows a README gets."""
    ours = (ROOT / "tests/requirements.txt").read_text()
    for example in (PYTHON, EVERY_FACE, PYTEST, CONTAINER_PYTHON):
        for line in (example / "requirements.txt").read_text().split():
            assert f"\n{line} \\\n" in ours, f"{example.name}: {line}"
    ours, theirs = (json.loads((folder / "package-lock.json").read_text())["packages"] for folder in (HERE / "js", JAVASCRIPT))
    wanted = json.loads((JAVASCRIPT / "package.json").read_text())["dependencies"]
    assert ours.pop("")["dependencies"] == theirs.pop("")["dependencies"] == wanted
    assert theirs == ours
    assert not any("resolved" in package for package in theirs.values())


@pytest.mark.parametrize("path", COMPOSE_FILES, ids=lambda path: f"{path.parent.name}-{path.stem}" if path.parent != ROOT else path.stem)
def test_a_compose_file_is_valid_and_names_settings_that_there_are(path):
    text = path.read_text()
    known = subprocess.run([BINARY, "serve", "--help"], capture_output=True, text=True, check=True).stdout
    named = set(re.findall(r"\b(?:REKOLLECT_\w+|DATABASE_URL)(?=:)", text))
    assert named, "it tells the server nothing"
    for name in named:
        assert re.search(rf"\[env: {name}\b", known), name
    if not COMPOSE.exists():
        pytest.skip("the compose command line is packaged for Python 3.11 and later only")
    wanted = re.findall(r"^(\w+)=$", (ROOT / ".env.example").read_text(), re.MULTILINE)
    environment = {"PATH": os.environ["PATH"], "PHOTOS": str(PHOTOS)} | dict.fromkeys(wanted, "x")
    command = [COMPOSE, "--file", path, "config", "--format", "json"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    services = json.loads(done.stdout)["services"]
    for service in services.values():
        for needed, condition in service.get("depends_on", {}).items():
            assert condition["condition"] == "service_healthy"
            assert "healthcheck" in services[needed] or services[needed]["image"] == "rekollect", "the image has a check of its own"


def test_the_readme_shows_the_compose_file_that_there_is():
    shown = re.search(r"^```yaml\n(.*?)^```$", (ROOT / "README.md").read_text(), re.MULTILINE | re.DOTALL)[1]
    assert shown == re.sub(r"^ *#.*\n", "", (ROOT / "docker-compose.yml").read_text(), flags=re.MULTILINE)


def plain(command, example, tmp_path, photo, **settings):
    """What the tests of an example say that start their own server."""
    (tmp_path / "ada.jpg").write_bytes(photo("obama.jpg"))
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "REKOLLECT_", "PYTEST_"))}
    environment |= {"PHOTO": str(tmp_path / "ada.jpg"), "AWS_CONFIG_FILE": os.devnull, **settings}
    done = subprocess.run(command, cwd=copy_of(example, tmp_path), env=environment, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_the_fixtures_for_pytest(photo, tmp_path):
    settings = {"REKOLLECT_BIN": str(BINARY), "REKOLLECT_MODELS_DIR": str(ROOT / "models")}
    told = plain([sys.executable, "-m", "pytest", "--rootdir", ".", "--color=no"], PYTEST, tmp_path, photo, **settings)
    assert re.search(r"= 2 passed in ", told), told


@pytest.fixture(scope="module")
def image():
    docker = shutil.which("docker") or pytest.skip("docker is missing")
    if subprocess.run([docker, "image", "inspect", "rekollect"], capture_output=True).returncode != 0:
        pytest.skip("no Docker engine with the image rekollect: docker build -t rekollect .")


def test_testcontainers_in_python(image, photo, tmp_path):
    command = [sys.executable, "-m", "pytest", "--rootdir", ".", "--color=no"]
    told = plain(command, CONTAINER_PYTHON, tmp_path, photo, TESTCONTAINERS_RYUK_DISABLED="true")
    assert re.search(r"= 1 passed in ", told), told


def test_testcontainers_in_rust(image, photo, tmp_path):
    cargo = shutil.which("cargo") or pytest.skip("cargo is missing")
    command = [cargo, "test", "--locked", "--target-dir", ROOT / "target/clients"]
    told = plain(command, CONTAINER_RUST, tmp_path, photo)
    assert "test a_person_is_found_again ... ok" in told, told
