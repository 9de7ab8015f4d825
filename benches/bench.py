"""The figures of docs/benchmarks.md, measured on this machine: `make bench`.

IndexFaces is measured as a client sees it: one client, one keep-alive connection, a 1080p JPEG with one face, each call under a new
external id so that a face is really stored. Between the calls, in the same run, the floor is measured: what no server can do without,
libjpeg-turbo's full decode of that JPEG and the bare inferences of the same weights at the same input sizes, on one thread.
"""

import argparse
import base64
import http.client
import json
import os
import platform
import socket
import sys
import tempfile
import time
from pathlib import Path

import numpy
import onnxruntime
import photos
import simplejpeg

sys.path.insert(0, str(Path(__file__).parents[1] / "tests/clients"))
from servers import BINARY, MODELS, ROOT, Server  # noqa: E402

try:
    import tomllib
except ModuleNotFoundError:  # Python 3.10
    import tomli as tomllib

FULL_HD = (1920, 1080)
COLLECTION = "bench"
WARM_UP = 20
STARTS = 5
MOST_TIMES_THE_FLOOR = 1.5
MOST_OF_YUNET = 0.9
LONGEST_START_SECONDS = 1.0
MOST_IDLE_MEGABYTES = 200


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--calls", type=int, default=300, help="measured calls (default: %(default)s)")
    parser.add_argument("--pack", default=os.environ.get("REKOLLECT_PACK", "compact"), help="model pack (default: %(default)s)")
    options = parser.parse_args()
    pack = Pack(options.pack)
    with tempfile.TemporaryDirectory() as folder:
        starts, idle = measure_starts(Path(folder), options.pack)
        with Server(Path(folder) / "load", pack=options.pack) as server:
            data, source = photos.one_face(server.client, FULL_HD)
            calls, floors = measure_index_faces(server, pack, data, options.calls)
            busy = resident_megabytes(server)
    embedder, detector = measure_bare_models(pack, options.calls)
    heading(options, source, data)
    report(calls, floors, embedder, detector, starts, idle, busy)


class Pack:
    """The weights of a pack in ONNX Runtime itself, and the input sizes that the server gives them."""

    def __init__(self, name):
        manifest = tomllib.loads((ROOT / "models/manifest.toml").read_text())
        pack = next(pack for pack in manifest["pack"] if pack["name"] == name)
        self.long_sides = pack["detector"]["long_sides"]
        self.detector = bare_model(manifest["file"][pack["detector"]["file"]]["path"])
        self.embedder = bare_model(manifest["file"][pack["embedder"]["file"]]["path"])
        side = pack["embedder"]["input_size"]
        self.face = numpy.zeros((1, 3, side, side), numpy.float32)

    def detector_inputs(self, width, height):
        """One for each scale: never enlarged, the sides padded to multiples of 32."""
        scales = sorted({min(1.0, side / max(width, height)) for side in self.long_sides})
        return [blank_input(round(width * scale), round(height * scale)) for scale in scales]


def bare_model(path):
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(MODELS / path, options, providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name
    return lambda data: session.run(None, {name: data})


def blank_input(width, height):
    return numpy.zeros((1, 3, -(-height // 32) * 32, -(-width // 32) * 32), numpy.float32)


def measure_index_faces(server, pack, data, count):
    """Milliseconds of the calls and of the floor, in turn, so that whatever slows this machine down slows both."""
    connection = http.client.HTTPConnection("127.0.0.1", server.port)
    connection.connect()
    connection.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    server.client.create_collection(CollectionId=COLLECTION)
    inputs = pack.detector_inputs(*FULL_HD)
    image = base64.b64encode(data).decode()
    calls, floors = [], []
    for number in range(WARM_UP + count):
        body = json.dumps({"CollectionId": COLLECTION, "ExternalImageId": f"call-{number}", "Image": {"Bytes": image}}).encode()
        calls.append(milliseconds(lambda: post(connection, "IndexFaces", body)))
        floors.append(milliseconds(lambda: floor(pack, data, inputs)))
    stored = server.client.describe_collection(CollectionId=COLLECTION)["FaceCount"]
    assert stored == len(calls), f"{stored} faces stored by {len(calls)} calls"
    return calls[WARM_UP:], floors[WARM_UP:]


def post(connection, operation, body):
    headers = {"Content-Type": "application/x-amz-json-1.1", "X-Amz-Target": f"RekognitionService.{operation}"}
    connection.request("POST", "/", body, headers)
    reply = connection.getresponse()
    text = reply.read()
    assert reply.status == 200, text


def floor(pack, data, inputs):
    simplejpeg.decode_jpeg(data)
    for blank in inputs:
        pack.detector(blank)
    pack.embedder(pack.face)


def measure_bare_models(pack, count):
    """Median milliseconds of the embedder for one face, and of the detector at 640x480, measured in turn."""
    blank = blank_input(640, 480)
    times = [(milliseconds(lambda: pack.embedder(pack.face)), milliseconds(lambda: pack.detector(blank))) for _ in range(WARM_UP + count)]
    return numpy.median(times[WARM_UP:], axis=0)


def measure_starts(folder, pack):
    """Milliseconds from the start of the process to the ready line, and megabytes resident then."""
    starts, idle = [], []
    for number in range(STARTS):
        with Server(folder / f"start-{number}", pack=pack) as server:
            starts.append(server.ready_after * 1000)
            time.sleep(1)
            idle.append(resident_megabytes(server))
    return starts, idle


def resident_megabytes(server):
    status = Path(f"/proc/{server.process.pid}/status")
    if not status.exists():
        return float("nan")
    line = next(line for line in status.read_text().splitlines() if line.startswith("VmRSS:"))
    return int(line.split()[1]) / 1024


def milliseconds(action):
    begin = time.perf_counter()
    action()
    return (time.perf_counter() - begin) * 1000


def heading(options, source, data):
    print(f"Machine: {processor()}, {os.cpu_count()} cores, {platform.system()} {platform.release()}; ONNX Runtime {onnxruntime.__version__}.")
    print(f"Pack {options.pack}, {options.calls} calls after {WARM_UP} to warm up; the picture is {source} as a JPEG of {len(data) // 1024} KiB.")
    print(f'Command: `make bench ARGS="--pack {options.pack} --calls {options.calls}"`\n')


def processor():
    path = Path("/proc/cpuinfo")
    names = [line.split(":")[1].strip() for line in path.read_text().splitlines() if line.startswith("model name")] if path.exists() else []
    return names[0] if names else platform.processor() or platform.machine()


def report(calls, floors, embedder, detector, starts, idle, busy):
    call, least = numpy.median(calls), numpy.median(floors)
    rows = [
        ("IndexFaces, 1080p, one face, p50", f"{call:.1f} ms", ""),
        ("IndexFaces, 1080p, one face, p99", f"{numpy.percentile(calls, 99):.1f} ms", ""),
        ("floor: decode and bare inferences, p50", f"{least:.1f} ms", ""),
        ("IndexFaces over the floor", f"{call / least:.2f}", f"at most {MOST_TIMES_THE_FLOOR}"),
        ("embedder, one face, one thread", f"{embedder:.2f} ms", ""),
        ("detector, 640x480, one thread", f"{detector:.2f} ms", ""),
        ("embedder over the detector", f"{embedder / detector:.2f}", f"at most {MOST_OF_YUNET} (compact)"),
        (f"start to ready, median of {STARTS}", f"{numpy.median(starts):.0f} ms", f"under {LONGEST_START_SECONDS * 1000:.0f} ms"),
        ("resident when idle", f"{numpy.median(idle):.0f} MB", f"under {MOST_IDLE_MEGABYTES} MB"),
        ("resident after the calls", f"{busy:.0f} MB", ""),
        ("binary", f"{BINARY.stat().st_size / 2**20:.1f} MB", ""),
    ]
    print("| | measured | bar |\n|---|---|---|")
    for name, value, bar in rows:
        print(f"| {name} | {value} | {bar} |")


if __name__ == "__main__":
    main()
