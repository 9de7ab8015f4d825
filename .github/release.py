#!/usr/bin/env python3
"""What the release workflow knows of versions, notes and archives, kept here so that tests can run it (tests/packaging/test_workflows.py).

    release.py check v1.2.3 registry.example/owner/rekollect     lines for GITHUB_OUTPUT, or why this is no release
    release.py notes 1.2.3 [--links URL]                         the version's section of CHANGELOG.md
    release.py archive 1.2.3 linux-x86_64 --binary ... --models ... --licences ... --out dist [--native ...]

Plain Python, since it runs on a machine with nothing of the project installed.
"""

import argparse
import gzip
import io
import os
import re
import subprocess
import sys
import tarfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SHELLS = ("bash", "zsh", "fish")
# Where else the version stands.
FOLLOWERS = {
    "Cargo.lock": r'^name = "rekollect"\nversion = "(.+)"$',
    "fuzz/Cargo.lock": r'^name = "rekollect"\nversion = "(.+)"$',
    "console/package.json": r'^  "version": "(.+)",$',
    "packaging/helm/rekollect/Chart.yaml": r'^appVersion: "(.+)"$',
}
PAPERS = ("README.md", "CHANGELOG.md", "LICENSE-MIT", "LICENSE-APACHE")


class Refused(Exception):
    """A reason not to release, in words for whoever pushed the tag."""


# --- versions ---


def declared_version() -> str:
    """The package's version in Cargo.toml, which the other places follow."""
    package = re.search(r"^\[package\]$(.*?)(?=^\[|\Z)", read("Cargo.toml"), re.MULTILINE | re.DOTALL)
    version = package and re.search(r'^version = "([^"]+)"$', package[1], re.MULTILINE)
    if not version:
        raise Refused("Cargo.toml states no version of its package")
    return version[1]


def check(tag: str, image: str) -> dict[str, str]:
    """The release's outputs for other jobs."""
    version = declared_version()
    if tag != f"v{version}":
        raise Refused(f"the tag is {tag}, but Cargo.toml says {version}: its tag would be v{version}")
    for name, place in FOLLOWERS.items():
        found = re.search(place, read(name), re.MULTILINE)
        if not found or found[1] != version:
            raise Refused(f"{name} says {found[1] if found else 'no version'}, Cargo.toml {version}")
    notes(version)
    registry = registry_of(image)
    minor = version.rsplit(".", 1)[0]
    return {
        "version": version,
        "image": image,
        "registry": registry,
        "tags": " ".join(f"{image}:{name}" for name in (version, minor, "latest")),
    }


def registry_of(image: str) -> str:
    """The host of an image's full name. A name without one would go to a registry that nobody chose."""
    host, _, path = image.partition("/")
    if not re.fullmatch(r"[a-z0-9.-]+(:\d+)?", host) or not (set(host) & set(".:") or host == "localhost"):
        raise Refused(
            f"the image's name is {image!r}: set the repository's variable IMAGE to the full name with its registry, "
            "as in registry.example/owner/rekollect (RELEASING.md)"
        )
    if not re.fullmatch(r"[a-z0-9]+([._/-]+[a-z0-9]+)*", path):
        raise Refused(f"the image's name is {image!r}: lower-case letters and digits, and no tag")
    return host


# --- notes ---


def notes(version: str, links: str | None = None) -> str:
    """The section of one version, without its heading; links to files get the address that they need outside the repository."""
    heading = re.compile(r"^## \[([^\]]+)\]", re.MULTILINE)
    text = read("CHANGELOG.md")
    found = [match for match in heading.finditer(text) if match[1] == version]
    if len(found) != 1:
        raise Refused(f"CHANGELOG.md has {len(found) or 'no'} sections [{version}]: a release needs one")
    start = text.index("\n", found[0].start())
    end = text.find("\n## ", start)
    section = text[start : end if end > 0 else None].strip()
    if not section:
        raise Refused(f"CHANGELOG.md says nothing under [{version}]")
    if links:
        section = re.sub(r"\]\((?![a-z]+:|#)([^)]+)\)", rf"]({links.rstrip('/')}/\1)", section)
    return section + "\n"


def read(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


# --- archives ---


def archive(options: argparse.Namespace) -> Path:
    """Everything that a machine without the toolchain needs, in one folder: the program finds its models beside itself."""
    native = options.native or options.binary
    said = run(native, "--version").strip()
    if said != f"rekollect {options.version}":
        raise Refused(f"{native} says {said!r}, not version {options.version}")
    folder = f"rekollect-{options.version}-{options.platform}"
    members = {"rekollect": (options.binary.read_bytes(), 0o755)}
    for name in PAPERS:
        members[name] = ((ROOT / name).read_bytes(), 0o644)
    members["licences.md"] = (options.licences.read_bytes(), 0o644)
    for path in model_files(options.models):
        members[f"models/{path.relative_to(options.models)}"] = (path.read_bytes(), 0o644)
    for shell in SHELLS:
        members[f"completions/rekollect.{shell}"] = (run(native, "completions", shell).encode(), 0o644)
    members["man/rekollect.1"] = (run(native, "man").encode(), 0o644)

    options.out.mkdir(parents=True, exist_ok=True)
    target = options.out / f"{folder}.tar.gz"
    with target.open("wb") as file:
        # No time and no user of the machine that made it: the same files give the same bytes.
        with gzip.GzipFile(filename="", mode="wb", compresslevel=6, fileobj=file, mtime=0) as packed:
            with tarfile.open(fileobj=packed, mode="w", format=tarfile.PAX_FORMAT) as tar:
                for name, (content, mode) in sorted(members.items()):
                    entry = tarfile.TarInfo(f"{folder}/{name}")
                    entry.size, entry.mode, entry.mtime = len(content), mode, int(os.environ.get("SOURCE_DATE_EPOCH", 0))
                    tar.addfile(entry, io.BytesIO(content))
    return target


def model_files(folder: Path) -> list[Path]:
    """Of a models folder what the server reads; a checkout's has the set-up's own files besides."""
    files = [folder / "manifest.toml", *folder.glob("*.onnx"), *folder.glob("runtime/*")]
    kinds = {path.suffix for path in files if path.is_file()}
    if not {".toml", ".onnx"} < kinds or not any(path.parent.name == "runtime" for path in files):
        raise Refused(f"{folder} lacks the manifest, the weights or ONNX Runtime: make setup puts them there")
    return sorted(files)


def run(binary: Path, *arguments: str) -> str:
    return subprocess.run([binary.resolve(), *arguments], check=True, capture_output=True, text=True).stdout


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    command = commands.add_parser("check")
    command.add_argument("tag")
    command.add_argument("image")
    command = commands.add_parser("notes")
    command.add_argument("version")
    command.add_argument("--links", help="where the repository's files are at this version")
    command = commands.add_parser("archive")
    command.add_argument("version")
    command.add_argument("platform")
    command.add_argument("--native", type=Path, help="the same program for this machine, where --binary is for another")
    for name in ("binary", "models", "licences", "out"):
        command.add_argument(f"--{name}", type=Path, required=True)
    options = parser.parse_args()
    try:
        if options.command == "check":
            for name, value in check(options.tag, options.image).items():
                print(f"{name}={value}")
        elif options.command == "notes":
            print(notes(options.version, options.links), end="")
        else:
            print(archive(options))
    except Refused as reason:
        sys.exit(f"release: {reason}")


if __name__ == "__main__":
    main()
