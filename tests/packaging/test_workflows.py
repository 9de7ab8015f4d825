"""The files of .github: linted, held against what they call, and their shell steps run where nothing but a machine is needed.

No runner is here, so that actions themselves (caches, uploads, pushes, signatures) are not run; docker, gh, rustup and cargo are stood in
for by scripts that write down how they were called.
"""

import hashlib
import os
import re
import shutil
import socket
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
GITHUB = ROOT / ".github"
WORKFLOWS = sorted((GITHUB / "workflows").glob("*.yml"))
ACTIONS = sorted((GITHUB / "actions").glob("*/action.yml"))
FORMS = [GITHUB / "ISSUE_TEMPLATE" / name for name in ("bug.yml", "feature.yml")]
IMAGE = "registry.example:5000/owner/rekollect"
DIGEST = "sha256:" + "d1" * 32

named = pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)


def load(path):
    # YAML 1.1 reads the key `on` as true.
    return {{True: "on"}.get(key, key): value for key, value in yaml.safe_load(path.read_text()).items()}


def steps(path):
    content = load(path)
    jobs = content["jobs"] if "jobs" in content else {"": content["runs"]}
    return [step for job in jobs.values() for step in job.get("steps", [])]


def scripts():
    return [(path, step["run"]) for path in WORKFLOWS + ACTIONS for step in steps(path) if "run" in step]


def version():
    return re.search(r'^version = "(.+)"$', (ROOT / "Cargo.toml").read_text(), re.MULTILINE)[1]


# --- read ---


def test_actionlint_finds_nothing():
    tool = shutil.which("actionlint", path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    if tool is None:
        pytest.skip("there is no actionlint: make setup-tests installs it")
    done = subprocess.run([tool, *WORKFLOWS], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("script", sorted(GITHUB.glob("*.sh")), ids=lambda path: path.name)
def test_shellcheck_finds_nothing(script):
    tool = shutil.which("shellcheck")
    if tool is None:
        pytest.skip("there is no shellcheck: install Debian's package shellcheck")
    done = subprocess.run([tool, script], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout


@named
def test_a_workflow_asks_for_no_more_than_it_needs(path):
    content = load(path)
    allowed = {"publish": {"contents": "write", "id-token": "write", "attestations": "write"}}
    assert content["permissions"] in ({}, {"contents": "read"})
    assert content["defaults"] == {"run": {"shell": "bash"}}, "a pipe would succeed although its first command failed"
    assert "concurrency" in content
    for name, job in content["jobs"].items():
        rights = job.get("permissions", content["permissions"])
        assert rights == allowed.get(name, {"contents": "read"}), name
        assert "uses" in job or job["timeout-minutes"] <= 120, name
        for step in job.get("steps", []):
            if step.get("uses", "").startswith("actions/checkout@"):
                assert step["with"] == {"persist-credentials": False}, name


def test_actions_are_pinned_and_the_same_everywhere():
    pins = {}
    for path in WORKFLOWS + ACTIONS:
        for line in re.findall(r"uses: (.+)", path.read_text()):
            if line.startswith("./"):
                assert (ROOT / line).exists(), line
                continue
            pin = re.fullmatch(r"([\w.-]+/[\w.-]+)(?:/[\w.-]+)*@([0-9a-f]{40}) # (v\d+\.\d+\.\d+)", line)
            assert pin, f"{path.name}: {line} is not pinned by its commit, with its version behind it"
            assert pins.setdefault(pin[1], pin.groups()) == pin.groups()
    assert len(pins) >= 10


def test_values_of_others_reach_scripts_as_variables_only():
    assert [script for _, script in scripts() if "${{" in script] == []


def test_what_workflows_call_is_there():
    targets = set(re.findall(r"^([a-z][a-z-]*):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    called = {(path.name, word) for path, script in scripts() for word in re.findall(r"^ *make ([a-z-]+)", script, re.MULTILINE)}
    assert {word for _, word in called} >= {"lint", "deny", "test", "build", "fuzz", "test-image"}
    assert sorted(call for call in called if call[1] not in targets) == []
    files = {name for _, script in scripts() for name in re.findall(r"(?<![\w/])\.github/[\w./-]+", script)}
    assert files == {".github/release.py", ".github/try-archive.sh", ".github/try-image.sh"}
    for name in files:
        assert os.access(ROOT / name, os.X_OK), name


def test_ci_runs_what_the_readme_and_contributing_say():
    jobs = load(GITHUB / "workflows/ci.yml")["jobs"]
    runs = {name: [step["run"] for step in job["steps"] if "run" in step] for name, job in jobs.items()}
    assert {"make lint", "make deny"} <= set(runs["lint"]) and "make test" in runs["test"] and "make test-image" in runs["image"]
    for name, runner in (("aarch64", "ubuntu-24.04-arm"), ("macos", "macos-latest")):
        assert jobs[name]["runs-on"] == runner
        assert runs[name] == ["make build", "cargo test --release --locked --lib"]


# --- issue forms, dependabot ---


@pytest.mark.parametrize("path", FORMS, ids=lambda path: path.stem)
def test_an_issue_form_has_what_github_requires(path):
    form = load(path)
    assert form["name"] and form["description"] and set(form) <= {"name", "description", "title", "labels", "assignees", "body"}
    ids, labels = [], []
    for field in form["body"]:
        assert set(field) <= {"type", "id", "attributes", "validations"}
        attributes = field["attributes"]
        if field["type"] == "markdown":
            assert attributes["value"].strip()
            continue
        assert field["type"] in {"textarea", "input", "dropdown", "checkboxes"}
        assert re.fullmatch(r"[\w-]+", field["id"])
        assert set(field.get("validations", {})) <= {"required"}
        ids.append(field["id"])
        labels.append(attributes["label"])
        if field["type"] == "dropdown":
            options = attributes["options"]
            assert options and all(isinstance(option, str) for option in options) and len(set(options)) == len(options)
        if field["type"] == "checkboxes":
            assert all(option["label"] for option in attributes["options"])
    assert ids and len(set(ids)) == len(ids) and len(set(labels)) == len(labels)


def test_vulnerabilities_have_another_way_than_issues():
    assert load(GITHUB / "ISSUE_TEMPLATE/config.yml") == {"blank_issues_enabled": False}
    assert "Report a vulnerability" in FORMS[0].read_text() and "Report a vulnerability" in (ROOT / "SECURITY.md").read_text()
    assert "SECURITY.md" in (GITHUB / "pull_request_template.md").read_text()


def test_dependabot_knows_every_folder_that_locks_something():
    content = load(GITHUB / "dependabot.yml")
    assert content["version"] == 2
    folders = {}
    for update in content["updates"]:
        assert update["schedule"]["interval"] == "weekly" and update["groups"]
        folders[update["package-ecosystem"]] = {folder.strip("/") for folder in update["directories"]}
    marks = {"cargo": "Cargo.lock", "npm": "package-lock.json", "pip": "requirements.txt", "docker": "Dockerfile"}
    for ecosystem, mark in marks.items():
        command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", mark, f"*/{mark}"]
        listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
        assert folders[ecosystem] == {str(Path(name).parent).strip(".") for name in listed.stdout.split()}, ecosystem
    for folder in folders["github-actions"] - {""}:
        assert (ROOT / folder / "action.yml").exists()


# --- run ---


@pytest.fixture
def checkout(tmp_path):
    """A scratch copy of what the steps read, with the files that a runner gives them, and stand-ins for tools first on PATH."""
    folder = tmp_path / "checkout"
    for name in (".github", "packaging/licences", "packaging/helm"):
        shutil.copytree(ROOT / name, folder / name)
    files = ("Cargo.toml", "Cargo.lock", "CHANGELOG.md", "README.md", "LICENSE-MIT", "LICENSE-APACHE", "Dockerfile")
    for name in (*files, "fuzz/Cargo.lock", "console/package.json"):
        (folder / name).parent.mkdir(exist_ok=True)
        shutil.copy(ROOT / name, folder / name)
    (tmp_path / "tools").mkdir()
    return folder


def stand_in(checkout, name, script="true"):
    """A tool that notes its arguments and does what the script says."""
    tool = checkout.parent / "tools" / name
    tool.write_text(f'#!/bin/bash\nprintf "%s\\n" "{name} $*" >> "{checkout.parent}/calls"\n{script}\n')
    tool.chmod(0o755)


def calls(checkout):
    return (checkout.parent / "calls").read_text().splitlines()


def run_step(checkout, workflow, name, **environment):
    """Run a step's script as a runner does, and say what it wrote to its outputs."""
    path = next(path for path in WORKFLOWS + ACTIONS if str(path.relative_to(GITHUB)) == workflow)
    step = next(step for step in steps(path) if step.get("name") == name)
    given = {
        "PATH": f"{checkout.parent / 'tools'}{os.pathsep}{os.environ['PATH']}",
        "HOME": os.environ.get("HOME", "/"),
        **{key: os.environ[key] for key in ("CARGO_HOME", "RUSTUP_HOME", "RUSTUP_TOOLCHAIN") if key in os.environ},
        "GITHUB_OUTPUT": str(checkout.parent / "output"),
        "GITHUB_ENV": str(checkout.parent / "env"),
        "GITHUB_REF_NAME": f"v{version()}",
        "GITHUB_SERVER_URL": "https://forge.example",
        "GITHUB_REPOSITORY": "owner/rekollect",
        **environment,
    }
    script = checkout.parent / "step.sh"
    script.write_text(step["run"])
    return subprocess.run(
        [shutil.which("bash"), "--noprofile", "--norc", "-eo", "pipefail", script],
        cwd=checkout / step.get("working-directory", "."),
        env=given,
        capture_output=True,
        text=True,
    )


CHECK = "The tag is Cargo.toml's version, and CHANGELOG.md has its section"


def test_a_release_knows_its_version_registry_and_tags(checkout):
    done = run_step(checkout, "workflows/release.yml", CHECK, IMAGE=IMAGE)
    assert done.returncode == 0, done.stderr
    said = dict(line.split("=", 1) for line in (checkout.parent / "output").read_text().splitlines())
    minor = ".".join(version().split(".")[:2])
    assert said == {
        "version": version(),
        "image": IMAGE,
        "registry": "registry.example:5000",
        "tags": f"{IMAGE}:{version()} {IMAGE}:{minor} {IMAGE}:latest",
    }
    job = load(GITHUB / "workflows/release.yml")["jobs"]["check"]
    assert set(job["outputs"]) == set(said)


@pytest.mark.parametrize(
    ("environment", "reason"),
    [
        ({"GITHUB_REF_NAME": "v99.0.0"}, "the tag is v99.0.0, but Cargo.toml says"),
        ({"GITHUB_REF_NAME": version()}, "its tag would be v"),
        ({"IMAGE": ""}, "set the repository's variable IMAGE"),
        ({"IMAGE": "owner/rekollect"}, "the full name with its registry"),
        ({"IMAGE": "registry.example/owner/rekollect:latest"}, "and no tag"),
        ({"IMAGE": "registry.example/Owner/rekollect"}, "lower-case"),
        ({"IMAGE": "registry.example"}, "lower-case"),
    ],
)
def test_what_is_no_release_is_refused(checkout, environment, reason):
    done = run_step(checkout, "workflows/release.yml", CHECK, **{"IMAGE": IMAGE, **environment})
    assert done.returncode == 1
    assert reason in done.stderr
    assert (checkout.parent / "output").read_text() == ""


@pytest.mark.parametrize(
    ("heading", "reason"),
    [
        ("## [9.9.9] - 2026-01-01\n\ntext\n", "no sections"),
        ("## [VERSION]\n\n## [1.0.0]\ntext\n", "says nothing"),
        ("## [VERSION]\na\n## [VERSION]\nb\n", "2 sections"),
    ],
)
def test_a_version_without_its_section_is_no_release(checkout, heading, reason):
    (checkout / "CHANGELOG.md").write_text("# Changelog\n\n" + heading.replace("VERSION", version()))
    done = run_step(checkout, "workflows/release.yml", CHECK, IMAGE=IMAGE)
    assert done.returncode == 1 and reason in done.stderr


@pytest.mark.parametrize("name", ["Cargo.lock", "fuzz/Cargo.lock", "console/package.json", "packaging/helm/rekollect/Chart.yaml"])
def test_a_file_that_lags_behind_the_version_is_no_release(checkout, name):
    place = rf'((?:name = "rekollect"\nversion = |appVersion: |  "version": )"){re.escape(version())}"'
    (checkout / name).write_text(re.sub(place, r'\g<1>0.0.1"', (checkout / name).read_text()))
    done = run_step(checkout, "workflows/release.yml", CHECK, IMAGE=IMAGE)
    assert done.returncode == 1 and f"{name} says 0.0.1, Cargo.toml {version()}" in done.stderr


def test_notes_are_the_section_with_links_that_hold_outside(checkout):
    (checkout / "CHANGELOG.md").write_text(
        f"# Changelog\n\n## [{version()}] - 2026-01-02\n\n### Added\n\n"
        "- A [page](docs/a.md#b), a [site](https://other.example/).\n\n## [0.0.1]\n\nold\n"
    )
    done = run_step(checkout, "workflows/release.yml", "Notes", VERSION=version())
    assert done.returncode == 0, done.stderr
    page = f"https://forge.example/owner/rekollect/blob/v{version()}/docs/a.md#b"
    assert (checkout / "notes.md").read_text() == f"### Added\n\n- A [page]({page}), a [site](https://other.example/).\n"


def test_every_released_version_has_notes():
    text = (ROOT / "CHANGELOG.md").read_text()
    found = re.findall(r"^## \[(.+?)\] - \d{4}-\d\d-\d\d$", text, re.MULTILINE)
    assert version() in found and "0.1.0" in found
    for name in found:
        done = subprocess.run([GITHUB / "release.py", "notes", name], capture_output=True, text=True)
        assert done.returncode == 0 and "### " in done.stdout, done.stderr
        assert "\n## " not in done.stdout


@pytest.mark.parametrize("name", ["CHANGELOG.md", "RELEASING.md"])
def test_links_lead_to_files(name):
    links = re.findall(r"\]\((?![a-z]+:|#)([^)#]+)", (ROOT / name).read_text())
    assert [link for link in links if not (ROOT / link).exists()] == []


def image_files(checkout, system):
    """What buildx leaves of an image for one architecture, in small."""
    root = checkout / "image" / system
    for name in ("usr/local/bin", "opt/rekollect/models/runtime", "usr/share/doc/rekollect"):
        (root / name).mkdir(parents=True)
    program = root / "usr/local/bin/rekollect"
    program.write_text(f'#!/bin/bash\nif [ "$1" = --version ]; then echo "rekollect {version()}"; else echo "$*"; fi\n# {system}\n')
    program.chmod(0o755)
    models = root / "opt/rekollect/models"
    for name in ("manifest.toml", "detector.onnx", "runtime/libonnxruntime.so", "setup.py"):
        (models / name).write_text(f"{name} {system}")
    (root / "usr/share/doc/rekollect/licences.md").write_text("licences")
    return root


def test_archives_are_made_of_the_image_and_checksums_of_the_archives(checkout):
    roots = {"x86_64": image_files(checkout, "linux_amd64"), "aarch64": image_files(checkout, "linux_arm64")}
    # Another machine's program cannot be asked here for its completions: the native one is.
    (roots["aarch64"] / "usr/local/bin/rekollect").write_bytes(b"\x7fELF of another machine")
    done = run_step(checkout, "workflows/release.yml", "The Linux archives", VERSION=version())
    assert done.returncode == 0, done.stderr
    first = {}
    for cpu, root in roots.items():
        folder = f"rekollect-{version()}-linux-{cpu}"
        file = checkout / "dist" / f"{folder}.tar.gz"
        first[file] = hashlib.sha256(file.read_bytes()).hexdigest()
        with tarfile.open(file) as archive:
            names = {name.removeprefix(f"{folder}/") for name in archive.getnames()}
            program = archive.extractfile(f"{folder}/rekollect").read()
            completions = archive.extractfile(f"{folder}/completions/rekollect.zsh").read()
            assert archive.getmember(f"{folder}/rekollect").mode == 0o755
        assert names == {
            *("rekollect", "README.md", "CHANGELOG.md", "LICENSE-MIT", "LICENSE-APACHE", "licences.md", "man/rekollect.1"),
            *("completions/rekollect.bash", "completions/rekollect.zsh", "completions/rekollect.fish"),
            *("models/manifest.toml", "models/detector.onnx", "models/runtime/libonnxruntime.so"),
        }
        assert program == (root / "usr/local/bin/rekollect").read_bytes()
        assert completions == b"completions zsh\n"

    run_step(checkout, "workflows/release.yml", "The Linux archives", VERSION=version())
    assert {file: hashlib.sha256(file.read_bytes()).hexdigest() for file in first} == first, "not the same bytes again"
    (checkout / "dist/rekollect-1.tgz").write_text("chart")
    first[checkout / "dist/rekollect-1.tgz"] = hashlib.sha256(b"chart").hexdigest()
    done = run_step(checkout, "workflows/release.yml", "Checksums")
    assert done.returncode == 0, done.stderr
    sums = dict(reversed(line.split("  ")) for line in (checkout / "dist/SHA256SUMS").read_text().splitlines())
    assert sums == {file.name: value for file, value in first.items()}


@pytest.mark.parametrize("missing", ["manifest.toml", "detector.onnx", "runtime/libonnxruntime.so"])
def test_an_archive_that_would_not_run_is_not_made(checkout, missing):
    image_files(checkout, "linux_arm64")
    (image_files(checkout, "linux_amd64") / "opt/rekollect/models" / missing).unlink()
    done = run_step(checkout, "workflows/release.yml", "The Linux archives", VERSION=version())
    assert done.returncode == 1 and "lacks the manifest, the weights or ONNX Runtime" in done.stderr


def test_an_archive_of_another_version_is_not_made(checkout):
    image_files(checkout, "linux_amd64")
    done = run_step(checkout, "workflows/release.yml", "The Linux archives", VERSION="9.9.9")
    assert done.returncode == 1 and "not version 9.9.9" in done.stderr


def test_the_chart_is_a_file_of_the_release(checkout, helm):
    (checkout.parent / "tools/helm").symlink_to(Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")).absolute() / "tools/helm")
    done = run_step(checkout, "workflows/release.yml", "The Helm chart")
    assert done.returncode == 0, done.stderr
    (made,) = (checkout / "dist").glob("rekollect-*.tgz")
    with tarfile.open(made) as chart:
        assert f'appVersion: {version()}' in chart.extractfile("rekollect/Chart.yaml").read().decode().replace('"', "")


def test_tags_are_of_the_digest_that_was_signed(checkout):
    tags = [f"{IMAGE}:1.2.3", f"{IMAGE}:latest"]
    stand_in(checkout, "docker", f'if [ "$3" = inspect ]; then echo {DIGEST}; fi')
    done = run_step(checkout, "workflows/release.yml", "The image's tags", TAGS=" ".join(tags), IMAGE=IMAGE, DIGEST=DIGEST)
    assert done.returncode == 0, done.stderr
    made = [f"docker buildx imagetools create --tag {tag} {IMAGE}@{DIGEST}" for tag in tags]
    assert [call for call in calls(checkout) if " create " in call] == made

    stand_in(checkout, "docker", 'if [ "$3" = inspect ]; then echo sha256:other; fi')
    done = run_step(checkout, "workflows/release.yml", "The image's tags", TAGS=" ".join(tags), IMAGE=IMAGE, DIGEST=DIGEST)
    assert done.returncode == 1 and "sha256:other" in done.stdout


def test_the_release_takes_notes_and_every_file(checkout):
    (checkout / "dist").mkdir()
    for name in ("SHA256SUMS", "a.tar.gz"):
        (checkout / "dist" / name).touch()
    (checkout / "notes.md").write_text("### Added\n")
    stand_in(checkout, "gh")
    done = run_step(checkout, "workflows/release.yml", "The release", VERSION="1.2.3", IMAGE=IMAGE, DIGEST=DIGEST, GH_TOKEN="t")
    assert done.returncode == 0, done.stderr
    assert calls(checkout) == [
        f"gh release create v{version()} --verify-tag --title rekollect 1.2.3 --notes-file notes.md dist/SHA256SUMS dist/a.tar.gz"
    ]
    assert (checkout / "notes.md").read_text().endswith(f"\nImage: {IMAGE}:1.2.3 ({DIGEST})\n")


def test_what_is_signed(checkout):
    stand_in(checkout, "cosign")
    assert run_step(checkout, "workflows/release.yml", "Sign", IMAGE=IMAGE, DIGEST=DIGEST).returncode == 0
    signed = [call.split()[-1] for call in calls(checkout)]
    assert signed == [f"{IMAGE}@{DIGEST}", "dist/SHA256SUMS"]


def test_licences_on_macos_are_those_of_its_crates(checkout):
    stand_in(checkout, "cargo", "mkdir -p target/tools/bin && cp ../tools/cargo-about target/tools/bin/")
    stand_in(checkout, "cargo-about")
    done = run_step(checkout, "workflows/release.yml", "Licences of the crates")
    assert done.returncode == 0, done.stderr
    assert re.fullmatch(r"cargo install --locked --root target/tools --features cli cargo-about@\d+\.\d+\.\d+", calls(checkout)[0])
    assert "--config about-macos.toml" in calls(checkout)[1]
    ours, theirs = ((checkout / name).read_text().splitlines() for name in ("packaging/licences/about.toml", "about-macos.toml"))
    changed = [line for before, line in zip(ours, theirs, strict=True) if before != line]
    assert changed == ['targets = ["aarch64-apple-darwin"]']


def test_the_toolchain_is_the_dockerfiles(checkout):
    stand_in(checkout, "rustup")
    done = run_step(checkout, "actions/setup/action.yml", "Rust", TOOLCHAIN="")
    assert done.returncode == 0, done.stderr
    image = re.search(r"^FROM .*\brust:(\d+\.\d+(?:\.\d+)?)", (ROOT / "Dockerfile").read_text(), re.MULTILINE)[1]
    assert calls(checkout)[0].startswith(f"rustup toolchain install {image} ") and calls(checkout)[1] == f"rustup default {image}"
    assert (checkout.parent / "output").read_text() == f"toolchain={image}\n"

    run_step(checkout, "actions/setup/action.yml", "Rust", TOOLCHAIN="1.2")
    assert calls(checkout)[-1] == "rustup default 1.2"


def test_the_oldest_compiler_is_the_one_that_cargo_toml_promises(checkout):
    shutil.copytree(ROOT / "src", checkout / "src")
    (checkout / "tests/it").mkdir(parents=True)
    (checkout / "tests/it/main.rs").touch()
    done = run_step(checkout, "workflows/ci.yml", "Which version")
    assert done.returncode == 0, done.stderr
    promised = re.search(r'^rust-version = "(.+)"$', (ROOT / "Cargo.toml").read_text(), re.MULTILINE)[1]
    assert (checkout.parent / "output").read_text() == f"version={promised}\n"


def test_the_console_is_tested_in_the_runners_browser(checkout):
    stand_in(checkout, "google-chrome")
    done = run_step(checkout, "workflows/ci.yml", "A browser", PATH=str(checkout.parent / "tools"))
    assert done.returncode == 0, done.stderr
    assert (checkout.parent / "env").read_text() == f"REKOLLECT_TEST_CHROMIUM={checkout.parent / 'tools/google-chrome'}\n"


def test_an_archive_of_this_build_finds_faces(tmp_path):
    """Made and tried as the release does it, out of this checkout's build."""
    binary = Path(os.environ.get("REKOLLECT_BIN", ROOT / "target/release/rekollect")).absolute()
    models = Path(os.environ.get("REKOLLECT_MODELS_DIR", ROOT / "models")).absolute()
    if not binary.exists():
        pytest.skip("there is no binary: make build makes one")
    built = subprocess.run([binary, "--version"], capture_output=True, text=True, check=True).stdout.split()[1]
    (tmp_path / "licences.md").write_text("licences\n")
    made = subprocess.run(
        [GITHUB / "release.py", "archive", built, "linux-here", "--binary", binary, "--models", models]
        + ["--licences", tmp_path / "licences.md", "--out", tmp_path],
        capture_output=True,
        text=True,
    )
    assert made.returncode == 0, made.stderr
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
    settings = {name: value for name, value in os.environ.items() if not name.startswith("REKOLLECT_") and name != "DATABASE_URL"}
    tried = subprocess.run(
        [GITHUB / "try-archive.sh", made.stdout.strip(), ROOT / "docs/images/index.png"],
        env={**settings, "PORT": str(port)},
        capture_output=True,
        text=True,
        timeout=90,
    )
    assert tried.returncode == 0, tried.stdout + tried.stderr
    assert re.search(r"^faces: [1-9]", tried.stdout, re.MULTILINE) and tried.stdout.endswith("stopped in order\n")


@pytest.mark.parametrize(("health", "code", "passes"), [("healthy", "0", True), ("unhealthy", "0", False), ("healthy", "137", False)])
def test_an_image_that_does_not_serve_or_end_is_not_published(checkout, health, code, passes):
    stand_in(
        checkout,
        "docker",
        f'case "$*" in run*) echo c0ffee ;; *Health*) echo {health} ;; *ExitCode*) echo {code} ;; esac',
    )
    path = f"{checkout.parent / 'tools'}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run([GITHUB / "try-image.sh", f"{IMAGE}@{DIGEST}"], env={"PATH": path}, capture_output=True, text=True)
    assert (done.returncode == 0) == passes, done.stdout + done.stderr
    assert calls(checkout)[-1] == "docker rm --force --volumes c0ffee"
