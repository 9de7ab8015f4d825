"""The image that `make image` built, in the engine that REKOLLECT_TEST_ENGINE names (`make test-image` does)."""

import os
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "clients"))

from engines import engine_named  # noqa: E402


@pytest.fixture(scope="session")
def engine():
    name = os.environ.get("REKOLLECT_TEST_ENGINE")
    if not name:
        pytest.skip("REKOLLECT_TEST_ENGINE names no engine: make test-image")
    with engine_named(name) as engine:
        yield engine


@pytest.fixture
def start(engine):
    """Starts containers that are gone after the test: `start(volume, user="1234:0", env={...})`."""
    started = []

    def start(volume, user=None, env=None):
        container = engine.start(volume, user, env)
        started.append(container)
        return container

    yield start
    for container in started:
        container.remove()


@pytest.fixture
def volume(tmp_path):
    """A folder for /data as a new volume has it: of the image's user and group."""
    folder = tmp_path / "data"
    folder.mkdir(mode=0o770)
    os.chown(folder, 10001, 0)
    folder.chmod(0o770)
    # pytest's folders are root's alone, and a container's user has to pass through them.
    for parent in list(folder.parents)[:3]:
        if parent.owner() != "root" or parent in (Path("/"), Path("/tmp")):
            break
        parent.chmod(0o755)
    return folder
