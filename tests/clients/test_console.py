"""The console in a browser: the tests of tests/console, on servers of their own.

REKOLLECT_TEST_CHROMIUM names another Chromium than the one on PATH, REKOLLECT_TEST_THOUSAND=1 has a thousand photos dropped instead of
two hundred, and REKOLLECT_SCREENSHOTS=folder takes the pictures of the README."""

import os
import secrets
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import PHOTOS
from crowd import export_of
from pictures import EXIF_ORIENTATION, opened, saved, with_exif_orientation
from PIL import Image
from servers import BINARY, ROOT, Server

HERE = ROOT / "tests/console"
CHROMIUM = os.environ.get("REKOLLECT_TEST_CHROMIUM") or shutil.which("chromium")
MANY = 1000 if os.environ.get("REKOLLECT_TEST_THOUSAND") else 200
TOO_LARGE = 5 * 1024 * 1024 + 1


@pytest.fixture(scope="module")
def photos(photo, tmp_path_factory):
    """A folder of photos that only these tests need."""
    folder = tmp_path_factory.mktemp("console")
    obama = photo("obama.jpg")
    (folder / "turned.jpg").write_bytes(with_exif_orientation(opened(obama), 6))
    # The service turns no PNG, whatever its Exif says.
    exif = Image.Exif()
    exif[EXIF_ORIENTATION] = 6
    opened(obama).save(folder / "turned.png", exif=exif)
    (folder / "broken.jpg").write_bytes(b"This is no photo.")
    Image.new("RGB", (320, 240), "gray").save(folder / "nobody.jpg")
    (folder / "large.jpg").write_bytes(obama.ljust(TOO_LARGE, b"\0"))
    (folder / "it's \"a\" photo.jpg").write_bytes(obama)
    (folder / "few/inner").mkdir(parents=True)
    (folder / "few/Zo\u00eb & co.jpg").write_bytes(obama)
    (folder / "few/inner/it's.jpg").write_bytes(photo("biden.jpg"))
    many = folder / "many"
    many.mkdir()
    small = opened(obama)
    small.thumbnail((320, 320))
    for index in range(MANY):
        if index % 50 == 49:
            (many / f"broken-{index}.jpg").write_bytes(b"This is no photo: %d." % index)
        else:
            # What follows a JPEG's end makes other bytes, and so another image, of one picture.
            (many / f"photo-{index}.jpg").write_bytes(saved(small) + b"%d" % index)
    return folder


def run(file, server, photos, timeout=300, **environment):
    """Runs a file of browser tests against a server; what node says of a failure is the failure."""
    if not CHROMIUM:
        pytest.skip("there is no Chromium: install Debian's package chromium, or name one in REKOLLECT_TEST_CHROMIUM")
    if not (HERE / "node_modules").exists():
        pytest.skip("tests/console/node_modules is missing: npm ci --prefix tests/console")
    node = shutil.which("node") or pytest.skip("node is missing")
    for name in ("obama2.jpg", "biden.jpg", "sample1.jpg", "sample3.jpg", "sample4.jpg"):
        if not (PHOTOS / name).exists():
            pytest.skip(f"{PHOTOS / name} is missing: python3 models/setup.py --photos tests/photos")
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    settings = {
        "REKOLLECT_URL": server.url,
        "REKOLLECT_TEST_PHOTOS": str(PHOTOS),
        "REKOLLECT_MADE_PHOTOS": str(photos),
        "REKOLLECT_TEST_CHROMIUM": CHROMIUM,
        # What the copied calls are run with: this Python has boto3, and the aws-cli beside it.
        "REKOLLECT_TEST_PYTHON": sys.executable,
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
    }
    command = [node, "--test", "--test-reporter=tap", HERE / file]
    done = subprocess.run(command, env={**inherited, **settings, **environment}, capture_output=True, text=True, timeout=timeout)
    print(done.stdout)
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_screen(start_server, photos):
    run("console.test.mjs", start_server(args=["--enable-faults"]), photos)


def test_keys(start_server, photos):
    key, secret = f"AKIA{secrets.token_hex(8).upper()}", secrets.token_urlsafe(30)
    server = start_server(env={"REKOLLECT_ACCESS_KEY_ID": key, "REKOLLECT_SECRET_ACCESS_KEY": secret})
    run("keys.test.mjs", server, photos, REKOLLECT_TEST_KEY=key, REKOLLECT_TEST_SECRET=secret)


def test_many_photos(start_server, photos):
    run("many.test.mjs", start_server(), photos, timeout=1200)


def test_trouble(start_server, photos):
    run("trouble.test.mjs", start_server(args=["--enable-faults"]), photos)


def test_who_is_in_a_picture(start_server, photos):
    run("picture.test.mjs", start_server(), photos)


def test_a_server_without_extensions(start_server, photos):
    run("without.test.mjs", start_server(args=["--extensions", "off"]), photos)


def test_people(tmp_path, photos):
    with Server(tmp_path) as server:
        bring(tmp_path, server, "alike", 130, alike=True)
        run("people.test.mjs", server, photos)


def test_a_crowd(tmp_path, photos):
    with Server(tmp_path) as server:
        bring(tmp_path, server, "crowd", 5000)
        run("crowd.test.mjs", server, photos)


def bring(folder, server, collection, faces, **more):
    """Imports made-up faces beside a running server, whose own models are said to have made them."""
    version = server.client.create_collection(CollectionId="any")["FaceModelVersion"]
    server.client.delete_collection(CollectionId="any")
    environment = {**os.environ, "REKOLLECT_DATA_DIR": str(folder / "data")}
    environment.pop("DATABASE_URL", None)
    subprocess.run([BINARY, "import", "-"], env=environment, input=export_of(collection, version, faces, **more), check=True)


def test_screenshots(start_server, photos):
    if not os.environ.get("REKOLLECT_SCREENSHOTS"):
        pytest.skip("REKOLLECT_SCREENSHOTS is not set: no pictures are taken")
    run("screenshots.test.mjs", start_server(), photos)
