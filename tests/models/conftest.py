"""Fixtures for the model tests: files made by `models/setup.py`, and the published files that they were made from."""

import importlib.util
import os
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import onnxruntime
import pytest

ROOT = Path(__file__).resolve().parents[2]
MODELS = ROOT / "models"
SOURCES = MODELS / ".cache" / "sources"
PHOTOS = MODELS / ".cache" / "photos"

sys.path.insert(0, str(MODELS))  # for `import convert`


def run_setup(*arguments: object) -> subprocess.CompletedProcess:
    command = [sys.executable, MODELS / "setup.py", *arguments]
    return subprocess.run([str(part) for part in command], capture_output=True, text=True)


@pytest.fixture(scope="session")
def setup_module() -> ModuleType:
    """`models/setup.py` as a module."""
    spec = importlib.util.spec_from_file_location("models_setup", MODELS / "setup.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def manifest(setup_module: ModuleType) -> dict:
    return setup_module.load_manifest()


@pytest.fixture(scope="session")
def compact() -> Path:
    """The folder of the `compact` pack's files, with its sources and the test photos; needs the package registries at most."""
    done = run_setup("--pack", "compact", "--sources", SOURCES, "--photos", PHOTOS)
    assert done.returncode == 0, done.stderr
    return MODELS


@pytest.fixture(scope="session")
def standard(compact: Path) -> Path:
    """The same for the `standard` pack."""
    done = run_setup("--pack", "standard", "--sources", SOURCES)
    assert done.returncode == 0, done.stderr
    return MODELS


@pytest.fixture(scope="session")
def accurate(compact: Path) -> Path:
    """The same for the `accurate` pack out of a mirror: tests do not ask its publishers."""
    mirrors = [*os.environ.get("REKOLLECT_MODEL_MIRROR", "").split(":"), SOURCES]
    if not any((Path(folder) / "yunet_n_dynamic.onnx").is_file() for folder in mirrors if folder):
        pytest.skip("the accurate pack is in no mirror (REKOLLECT_MODEL_MIRROR)")
    done = run_setup("--pack", "accurate", "--sources", SOURCES)
    if done.returncode != 0:
        pytest.skip(f"the accurate pack is not to be had here: {done.stderr.splitlines()[0]}")
    return MODELS


def infer(model: Path | bytes, image: np.ndarray) -> dict[str, np.ndarray]:
    """Run a model in ONNX Runtime on one thread; gives its outputs by name."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    content = model if isinstance(model, bytes) else str(model)
    session = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]
    return dict(zip(names, session.run(names, {"input": image}), strict=True))


def cosine(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Row by row."""
    a, b = a.astype(np.float64), b.astype(np.float64)
    return (a * b).sum(-1) / (np.linalg.norm(a, axis=-1) * np.linalg.norm(b, axis=-1))
