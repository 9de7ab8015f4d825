"""benches/rival.py as `make bench-rival` runs it, next to a stand-in for open-recognition: a checkout of that shape, with rekollect in it."""

import io
import signal
import socket
import subprocess
import sys
import time

import pytest
from pictures import saved
from PIL import Image
from servers import BINARY, MODELS, ROOT

SERVES = f"""
import os, sys
port = sys.argv[sys.argv.index("--port") + 1]
url = os.environ["OPEN_RECOGNITION_DATABASE_URL"]
assert url.startswith("postgresql://")
settings = {{"DATABASE_URL": url, "REKOLLECT_MODELS_DIR": {str(MODELS)!r}}}
os.execve({str(BINARY)!r}, ["rekollect", "serve", "--listen", f"127.0.0.1:{{port}}"], {{**os.environ, **settings}})
"""
NEVER_READY = """
import socket, sys, time
with socket.create_server(("127.0.0.1", int(sys.argv[sys.argv.index("--port") + 1]))):
    time.sleep(600)
"""
PHOTOS = ["obama.jpg", "biden.jpg"]
PATIENCE = 300
FAILS = "print('weights that cannot be downloaded'); raise SystemExit(1)"


@pytest.fixture
def checkout(tmp_path):
    def make(start):
        """`start` is what `python -m uvicorn` does in the checkout."""
        folder = tmp_path / "open-recognition"
        for path, text in (("src/interface/http/app.py", ""), ("uvicorn/__init__.py", ""), ("uvicorn/__main__.py", start)):
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / path).write_text(text)
        return folder

    return make


@pytest.fixture
def photos(photo, tmp_path):
    """Small ones: what they cost is not the question here."""
    for name in PHOTOS:
        image = Image.open(io.BytesIO(photo(name)))
        image.thumbnail((320, 320))
        (tmp_path / name).write_bytes(saved(image))
    return [str(tmp_path / name) for name in PHOTOS]


def command(folder, *arguments, python=sys.executable):
    return [sys.executable, ROOT / "benches/rival.py", "--checkout", folder, "--python", python, *arguments]


def refused(folder, *arguments, **options):
    done = subprocess.run(command(folder, *arguments, **options), capture_output=True, text=True, timeout=PATIENCE)
    assert done.returncode == 1 and done.stdout == "", done
    return done.stderr


def test_a_row_for_each_call_photo_and_number_of_callers(checkout, photos):
    arguments = ["--photos", *photos, "--calls", "2", "--callers", "1", "2"]
    done = subprocess.run(command(checkout(SERVES), *arguments), capture_output=True, text=True, timeout=PATIENCE)
    assert done.returncode == 0, done.stderr
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in done.stdout.splitlines() if line.startswith("|")][2:]
    operations = ["IndexFaces", "SearchFacesByImage", "DetectFaces"]
    assert [row[:3] for row in rows] == [[o, p, c] for o in operations for p in photos for c in "12"]
    # Both are rekollect here, so both find the same.
    assert [row[3] for row in rows if row[2] == "1"] == ["1, 1", "1, 1", "5, 5", "5, 5", "1, 1", "1, 1"]
    for _, _, _, _, ours, theirs, ratio, our_rate, their_rate, of_rates in rows:
        assert float(ratio) == pytest.approx(float(theirs.removesuffix(" ms")) / float(ours.removesuffix(" ms")), rel=0.2)
        assert float(of_rates) == pytest.approx(float(our_rate.removesuffix(" /s")) / float(their_rate.removesuffix(" /s")), rel=0.2)


def test_what_is_missing_is_named_before_anything_is_measured(checkout, tmp_path):
    assert "git clone https://github.com/eslazarev/open-recognition.git" in refused(tmp_path / "nowhere")
    folder = checkout(SERVES)
    assert "Run `uv sync`" in refused(folder, python=folder / ".venv/bin/python")
    assert "no photo" in refused(folder, "--photos", str(tmp_path / "nobody.jpg"))
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        assert f"cannot listen on port {port}" in refused(folder, "--port", port)


def test_the_last_lines_of_one_that_does_not_start_are_shown(checkout, photos):
    said = refused(checkout(FAILS), "--photos", *photos, "--calls", "1")
    assert said.endswith("open-recognition ended at its start with code 1. Its last lines:\n  weights that cannot be downloaded\n")


def test_ctrl_c_ends_it_and_the_server_that_runs(checkout, photos):
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    arguments = ["--photos", *photos, "--calls", "1", "--callers", "1", "--port", str(port)]
    running = subprocess.Popen(
        command(checkout(NEVER_READY), *arguments),
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # what runs these tests may ignore it
    )
    with running:
        assert any("open-recognition starts" in line for line in running.stderr)
        wait_until(lambda: listens(port))
        running.send_signal(signal.SIGINT)
        _, said = running.communicate(timeout=PATIENCE)
    assert running.returncode == 1 and said == "benches/rival.py: stopped; no server is left\n"
    assert not listens(port)


def listens(port):
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def wait_until(true, seconds=30):
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.1)
