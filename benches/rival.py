"""rekollect and open-recognition side by side, on the same photos in one run: `make bench-rival CHECKOUT=folder`.

The two servers run one after the other, never at once, each with a database of its own on the Postgres with pgvector that a wheel
carries, and with its own defaults but for --server. The same client, boto3, sends both the same bytes. docs/comparison.md says how to get
the checkout, and has the figures.
"""

import argparse
import itertools
import os
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import photos
from bench import GROUP, SIZES, milliseconds, processor
from botocore.exceptions import BotoCoreError, ClientError

sys.path.insert(0, str(Path(__file__).parents[1] / "tests/clients"))
import databases  # noqa: E402
from servers import BINARY, ROOT, Server, rekognition  # noqa: E402

sys.path.insert(0, str(ROOT / "tests"))
from postgres import cluster, free_port  # noqa: E402

RIVAL = "open-recognition"
CLONE = "git clone https://github.com/eslazarev/open-recognition.git"
APPLICATION = "interface.http.app:app"
COLLECTION = "side-by-side"
# As many as the API allows: open-recognition's own default is one face a photo.
MOST_FACES = 100
MOST_MATCHES = 5
WARM_UP = 3
# Its first start downloads its weights.
START_SECONDS = 300
STOP_SECONDS = 20
LAST_LINES = 20
STARTUP_FAILURE = 3  # uvicorn's code
START = "import asyncio; from interface.http.app import app; asyncio.run(app.router.lifespan_context(app).__aenter__())"
PACKAGES = ("opencv-contrib-python", "onnxruntime", "uvicorn")


def main():
    options = parsed()
    signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))
    load = os.getloadavg()[0]
    os.environ["REKOLLECT_TEST_POSTGRES"] = "wheel"
    try:
        with tempfile.TemporaryDirectory() as folder, cluster() as url:
            folder, own = Path(folder), databases.Databases(url)
            with Server(folder / "rekollect", pack=options.pack, database_url=own.create(), args=options.server.split()) as server:
                pictures = given(options.photos) or made(server.client)
                ours = figures("rekollect", server.client, pictures, options)
            with Rival(options, own.create(), folder / "rival.log") as rival:
                theirs = figures(RIVAL, rival.client, pictures, options)
    except KeyboardInterrupt:
        sys.exit("benches/rival.py: stopped; no server is left")
    report(options, load, pictures, ours, theirs)


def parsed():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--checkout", type=Path, required=True, metavar="DIR", help=f"where `{CLONE}` put it")
    parser.add_argument("--python", type=Path, metavar="FILE", help="of its virtual environment (default: .venv/bin/python in the checkout)")
    parser.add_argument("--photos", type=Path, nargs="+", default=[], metavar="FILE", help="photos with faces, in place of the four that are made")
    parser.add_argument("--calls", type=positive, default=40, help="measured calls of each row (default: %(default)s)")
    parser.add_argument("--callers", type=positive, nargs="+", default=[1, 4], help="callers at once (default: 1 4)")
    parser.add_argument("--port", type=int, help=f"where {RIVAL} listens (default: any that is free)")
    parser.add_argument("--pack", default=os.environ.get("REKOLLECT_PACK", "standard"), help="rekollect's model pack (default: %(default)s)")
    parser.add_argument("--server", default="--search pgvector", help="further flags of rekollect (default: '%(default)s')")
    options = parser.parse_args()
    # Absolute, but no links followed: a virtual environment's Python is a link to the one it was made with.
    options.checkout = options.checkout.absolute()
    options.python = (options.python or options.checkout / ".venv/bin/python").absolute()
    options.port = options.port or free_port()
    if complaint := next(complaints(options), None):
        sys.exit(f"benches/rival.py: {complaint}")
    return options


def positive(text):
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError("at least 1")
    return number


def complaints(options):
    """What would come to light only after minutes of measuring."""
    if not (options.checkout / "src/interface/http/app.py").exists():
        yield f"no {RIVAL} in {options.checkout}: {CLONE}"
    if not os.access(options.python, os.X_OK):
        yield f"no virtual environment: there is no {options.python}. Run `uv sync` in {options.checkout}, or name another with --python"
    if not BINARY.exists():
        yield f"no rekollect in {BINARY}: make build"
    for photo in options.photos:
        if not photo.is_file():
            yield f"no photo {photo}"
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", options.port))
        except (OSError, OverflowError) as error:
            yield f"{RIVAL} cannot listen on port {options.port} ({error}): free it, or choose another with --port"


def given(paths):
    return {str(path): path.read_bytes() for path in paths}


def made(client):
    """Those of `make bench`."""
    return {**{f"{name}, one face": photos.one_face(client, size)[0] for name, size in SIZES.items()}, GROUP: photos.group(client)}


class Rival:
    """open-recognition, started as its README says; `client` is a boto3 client of it."""

    def __init__(self, options, database_url, log):
        self.python, self.log = options.python, log
        # What reads it knows this one of Postgres' two names alone.
        settings = {"OPEN_RECOGNITION_DATABASE_URL": database_url.replace("postgres://", "postgresql://", 1)}
        self.place = {"cwd": options.checkout, "env": {**os.environ, **settings}, "stdin": subprocess.DEVNULL, "stderr": subprocess.STDOUT}
        with log.open("wb") as out:
            self.process = subprocess.Popen([self.python, "-m", "uvicorn", APPLICATION, "--port", str(options.port)], stdout=out, **self.place)
        self.client = rekognition(f"http://127.0.0.1:{options.port}")

    def __enter__(self):
        try:
            self.wait_until_ready()
        except BaseException:
            self.stop()
            raise
        return self

    def wait_until_ready(self):
        print(f"{RIVAL} starts; its first start downloads its weights", file=sys.stderr, flush=True)
        deadline = time.monotonic() + START_SECONDS
        while self.process.poll() is None and time.monotonic() < deadline:
            try:
                self.client.list_collections()
                return
            except (BotoCoreError, ClientError):
                time.sleep(0.5)
        code = self.process.poll()
        what = f"is not ready after {START_SECONDS} s" if code is None else f"ended at its start with code {code}"
        lines = [f"  {line}" for line in self.said(code).splitlines()[-LAST_LINES:]]
        sys.exit("\n".join([f"benches/rival.py: {RIVAL} {what}. Its last lines:", *lines]))

    def said(self, code):
        """Its log; and why it did not start. Its migrations silence uvicorn, so that is asked of the same start without uvicorn."""
        log = self.log.read_text(errors="replace")
        if code != STARTUP_FAILURE:
            return log
        return log + subprocess.run([self.python, "-c", START], stdout=subprocess.PIPE, text=True, **self.place).stdout

    def __exit__(self, *_exception):
        self.stop()

    def stop(self):
        self.process.terminate()
        try:
            self.process.wait(timeout=STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


def figures(name, client, pictures, options):
    """By operation, photo and number of callers: how many faces or matches were found, p50 in ms, calls a second."""
    client.create_collection(CollectionId=COLLECTION)
    found = {}
    for (operation, call), (picture, data) in itertools.product(OPERATIONS.items(), pictures.items()):
        try:
            count = [call(client, data) for _ in range(WARM_UP)][-1]
            for callers in options.callers:
                found[operation, picture, callers] = (count, *measure(lambda: call(client, data), callers, options.calls))
        except (BotoCoreError, ClientError) as error:
            sys.exit(f"benches/rival.py: {name}, {operation} of {picture}: {error}")
        print(f"{name}: {operation}, {picture}", file=sys.stderr, flush=True)
    return found


def index_faces(client, data):
    """A new ExternalImageId each time, so that its faces are really stored."""
    name = f"photo-{next(NUMBERS)}"
    return len(client.index_faces(CollectionId=COLLECTION, Image={"Bytes": data}, ExternalImageId=name, MaxFaces=MOST_FACES)["FaceRecords"])


def search_faces_by_image(client, data):
    return len(client.search_faces_by_image(CollectionId=COLLECTION, Image={"Bytes": data}, MaxFaces=MOST_MATCHES)["FaceMatches"])


NUMBERS = itertools.count()
# In this order: what is searched has been indexed.
OPERATIONS = {"IndexFaces": index_faces, "SearchFacesByImage": search_faces_by_image, "DetectFaces": photos.count_faces}


def measure(call, callers, calls):
    """Milliseconds of the median call, and calls a second."""
    times, left, over = [], itertools.count(), threading.Event()

    def work():
        while not over.is_set() and next(left) < calls:
            times.append(milliseconds(call))

    begin = time.perf_counter()
    with ThreadPoolExecutor(callers) as crew:
        try:
            [each.result() for each in [crew.submit(work) for _ in range(callers)]]
        finally:
            over.set()  # Ctrl-C, or a call that failed: nobody begins another
    return statistics.median(times), calls / (time.perf_counter() - begin)


def report(options, load, pictures, ours, theirs):
    print(f"Machine: {processor()}, {os.cpu_count()} cores; load {load:.2f} before, and each server alone.")
    print(f"{said_by([BINARY, '--version'])}, commit {commit(ROOT)}, pack {options.pack}, `{options.server}`. {rival_version(options)}.")
    sizes = ", ".join(f"{name}: {len(data) // 1024} KiB" for name, data in pictures.items())
    print(f"{options.calls} calls a row after {WARM_UP} to warm up. {sizes}.\n")
    print(f"| call | photo | callers | found by rekollect, {RIVAL} | p50, rekollect | p50, {RIVAL} | ratio | calls, rekollect | calls, {RIVAL} | ratio |")
    print("|---|---|---|---|---|---|---|---|---|---|")
    for (operation, picture, callers), (our_count, our_p50, our_rate) in ours.items():
        count, p50, rate = theirs[operation, picture, callers]
        print(
            f"| {operation} | {picture} | {callers} | {our_count}, {count} | {our_p50:.1f} ms | {p50:.1f} ms | {p50 / our_p50:.2f} "
            f"| {our_rate:.1f} /s | {rate:.1f} /s | {our_rate / rate:.2f} |"
        )


def rival_version(options):
    """Of the package, of the commit, and of what it computes with."""
    code = f"from importlib.metadata import version; print(', '.join(f'{{name}} {{version(name)}}' for name in {(RIVAL, *PACKAGES)}))"
    version, _, packages = said_by([options.python, "-c", code]).partition(", ")
    return f"{version or RIVAL}, commit {commit(options.checkout)}" + (f", with {packages}" if packages else "")


def commit(folder):
    """`-dirty` tells that files were changed, such as the weights."""
    return said_by(["git", "-C", folder, "describe", "--always", "--exclude", "*", "--dirty"]) or "unknown"


def said_by(command):
    done = subprocess.run(command, capture_output=True, text=True)
    return done.stdout.strip() if done.returncode == 0 else ""


if __name__ == "__main__":
    main()
