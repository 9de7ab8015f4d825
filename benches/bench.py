"""The figures of docs/benchmarks.md, measured on this machine: `make bench`.

IndexFaces is measured as a client sees it: one client, one keep-alive connection, each call under a new external id so that its faces are really
stored. Between the calls, in the same run, the floor is measured: libjpeg-turbo's full decode of that JPEG and the bare inferences of the same
weights at the same input sizes, on one thread. Then many callers, with one worker and with one a core.
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
import threading
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

SIZES = {"640 x 480": (640, 480), "1080p": (1920, 1080), "12 MP": (4000, 3000)}
GROUP = "1600 x 1280, twenty faces"
CALLERS = 4
SECONDS = 6
COLLECTION = "bench"
WARM_UP = 20
STARTS = 5
MOST_TIMES_1080P = 1.5
MOST_OF_YUNET = 0.9
LONGEST_START_SECONDS = 0.5
MOST_IDLE_MEGABYTES = 150


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--calls", type=int, default=150, help="measured calls of each picture (default: %(default)s)")
    parser.add_argument("--pack", default=os.environ.get("REKOLLECT_PACK", "standard"), help="model pack (default: %(default)s)")
    parser.add_argument("--server", default="", help="further flags of the server, such as --server='--execution-provider openvino'")
    parser.add_argument("--attributes", action="store_true", help="also DetectFaces with all attributes of twenty faces")
    parser.add_argument("--stages", action="store_true", help="also where the time goes, as Server-Timing tells it")
    options = parser.parse_args()
    pack, flags = Pack(options.pack), [*options.server.split(), *(["--server-timing", "all"] if options.stages else [])]
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        starts, idle = measure_starts(folder, options.pack, flags)
        with Server(folder / "load", pack=options.pack, args=flags) as server:
            pictures = {name: photos.one_face(server.client, size)[0] for name, size in SIZES.items()}
            pictures[GROUP] = photos.group(server.client)
            server.client.create_collection(CollectionId=COLLECTION)
            times = {name: measure_index_faces(server, pack, data, options.calls) for name, data in pictures.items()}
            busy = server.resident_megabytes()
        rates = {workers: measure_throughput(folder, options.pack, flags, workers, pictures) for workers in (1, os.cpu_count() or 1)}
        attributes = measure_attributes(folder, options.pack, flags, pictures) if options.attributes else None
    embedder, detector = measure_bare_models(pack, options.calls)
    heading(options)
    report_pictures(pictures, times, rates)
    if attributes:
        report_attributes(attributes)
    if options.stages:
        report_stages(times)
    report(options.pack, embedder, detector, starts, idle, busy)


class Pack:
    """The weights of a pack in ONNX Runtime itself, and the input sizes that the server gives them."""

    def __init__(self, name):
        manifest = tomllib.loads((ROOT / "models/manifest.toml").read_text())
        pack = next(pack for pack in manifest["pack"] if pack["name"] == name)
        self.long_sides = pack["detector"]["long_sides"]
        self.detector_file, self.embedder_file = (manifest["file"][pack[role]["file"]]["path"] for role in ("detector", "embedder"))
        self.detector, self.embedder = bare_model(self.detector_file), bare_model(self.embedder_file)
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
    """Milliseconds of the calls and of the floor, in turn, so that whatever slows this machine down slows both; and of the calls' stages."""
    connection = connected(server)
    height, width, _ = simplejpeg.decode_jpeg(data).shape
    inputs = pack.detector_inputs(width, height)
    image = base64.b64encode(data).decode()
    calls, floors, stages, faces = [], [], [], 0
    for number in range(WARM_UP + count):
        body = json.dumps({"CollectionId": COLLECTION, "ExternalImageId": f"{width}-{number}", "Image": {"Bytes": image}}).encode()
        reply = []
        calls.append(milliseconds(lambda: reply.append(post(connection, "IndexFaces", body))))
        faces = len(reply[0][0]["FaceRecords"])
        stages.append(stages_of(reply[0][1]))
        floors.append(milliseconds(lambda: floor(pack, data, inputs, faces)))
    return calls[WARM_UP:], floors[WARM_UP:], stages[WARM_UP:]


def measure_throughput(folder, pack, flags, workers, pictures):
    """Calls a second that CALLERS clients get together, by picture."""
    with Server(folder / f"workers-{workers}", pack=pack, args=[*flags, "--workers", str(workers)]) as server:
        server.client.create_collection(CollectionId=COLLECTION)
        return {name: throughput(server, data) for name, data in pictures.items()}


def measure_attributes(folder, pack, flags, pictures):
    """Calls of DetectFaces ALL a second with twenty faces, by callers; and milliseconds of one with one face, beside nobody and beside them."""
    with Server(folder / "attributes", pack=pack, args=flags) as server:
        rates = {callers: throughput(server, pictures[GROUP], detect_all, callers) for callers in (1, CALLERS)}
        one = pictures["640 x 480"]
        alone = median_of_one(server, one)
        crowd = threading.Thread(target=throughput, args=(server, pictures[GROUP], detect_all, 1))
        crowd.start()
        beside = median_of_one(server, one, until=lambda: not crowd.is_alive())
        crowd.join()
        return rates, alone, beside


def median_of_one(server, data, until=None):
    """The median milliseconds of DetectFaces of one face, for as long as it is not the end."""
    connection, times, end = connected(server), [], time.monotonic() + SECONDS
    until = until or (lambda: time.monotonic() > end)
    body = json.dumps({"Image": {"Bytes": base64.b64encode(data).decode()}}).encode()
    while not until():
        times.append(milliseconds(lambda: post(connection, "DetectFaces", body)))
    return numpy.median(times)


def index(image, number):
    return "IndexFaces", {"CollectionId": COLLECTION, "ExternalImageId": number, "Image": {"Bytes": image}}


def detect_all(image, _number):
    return "DetectFaces", {"Attributes": ["ALL"], "Image": {"Bytes": image}}


def throughput(server, data, request=index, callers=CALLERS):
    """Calls a second that so many clients get together."""
    image, done, end = base64.b64encode(data).decode(), [0] * callers, time.monotonic() + SECONDS

    def call(caller):
        connection = connected(server)
        while time.monotonic() < end:
            done[caller] += 1
            operation, body = request(image, f"{len(data)}-{caller}-{done[caller]}")
            post(connection, operation, json.dumps(body).encode())

    threads = [threading.Thread(target=call, args=(caller,)) for caller in range(callers)]
    [thread.start() for thread in threads]
    [thread.join() for thread in threads]
    return sum(done) / SECONDS


def connected(server):
    connection = http.client.HTTPConnection("127.0.0.1", server.port)
    connection.connect()
    connection.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return connection


def post(connection, operation, body):
    headers = {"Content-Type": "application/x-amz-json-1.1", "X-Amz-Target": f"RekognitionService.{operation}"}
    connection.request("POST", "/", body, headers)
    reply = connection.getresponse()
    text = reply.read()
    assert reply.status == 200, text
    return json.loads(text), reply.headers.get("server-timing", "")


def stages_of(timing):
    return {name: float(ms) for name, ms in (part.split(";dur=") for part in timing.split(", ") if part)}


def floor(pack, data, inputs, faces):
    simplejpeg.decode_jpeg(data)
    for blank in inputs:
        pack.detector(blank)
    for _ in range(faces):
        pack.embedder(pack.face)


def measure_bare_models(pack, count):
    """Median milliseconds of the embedder for one face, and of the detector at 640x480, measured in turn."""
    blank = blank_input(640, 480)
    times = [(milliseconds(lambda: pack.embedder(pack.face)), milliseconds(lambda: pack.detector(blank))) for _ in range(WARM_UP + count)]
    return numpy.median(times[WARM_UP:], axis=0)


def measure_starts(folder, pack, flags):
    """Milliseconds from the start of the process to the ready line, and megabytes resident then."""
    starts, idle = [], []
    for number in range(STARTS):
        with Server(folder / f"start-{number}", pack=pack, args=flags) as server:
            starts.append(server.ready_after * 1000)
            time.sleep(1)
            idle.append(server.resident_megabytes())
    return starts, idle


def milliseconds(action):
    begin = time.perf_counter()
    action()
    return (time.perf_counter() - begin) * 1000


def heading(options):
    print(f"Machine: {processor()}, {os.cpu_count()} cores, {platform.system()} {platform.release()}; ONNX Runtime {onnxruntime.__version__}.")
    print(f"Pack {options.pack}, {options.calls} calls of each picture after {WARM_UP} to warm up, {CALLERS} callers for {SECONDS} s.")
    further = [f"--server='{options.server}'"] if options.server else []
    further += [f"--{name}" for name in ("attributes", "stages") if getattr(options, name)]
    print(f'Command: `make bench ARGS="{" ".join([f"--pack {options.pack} --calls {options.calls}", *further])}"`\n')


def processor():
    path = Path("/proc/cpuinfo")
    names = [line.split(":")[1].strip() for line in path.read_text().splitlines() if line.startswith("model name")] if path.exists() else []
    return names[0] if names else platform.processor() or platform.machine()


def report_pictures(pictures, times, rates):
    (one, few), (cores, many) = sorted(rates.items()) if len(rates) > 1 else [*rates.items()] * 2
    print(f"| IndexFaces | JPEG | p50 | p99 | floor, p50 | over the floor | {one} worker | {cores} workers | ratio |")
    print("|---|---|---|---|---|---|---|---|---|")
    for name, data in pictures.items():
        calls, floors, _ = times[name]
        call, least = numpy.median(calls), numpy.median(floors)
        print(
            f"| {name} | {len(data) // 1024} KiB | {call:.1f} ms | {numpy.percentile(calls, 99):.1f} ms | {least:.1f} ms | {call / least:.2f} "
            f"| {few[name]:.1f} /s | {many[name]:.1f} /s | {many[name] / few[name]:.2f} |"
        )
    full, large = (numpy.median(times[name][0]) for name in ("1080p", "12 MP"))
    print(f"\n12 MP over 1080p: {large / full:.2f} (bar {MOST_TIMES_1080P})\n")


def report_attributes(measured):
    rates, alone, beside = measured
    for callers, rate in rates.items():
        print(f"DetectFaces with all attributes of twenty faces, {callers} at a time: {rate:.2f} /s")
    print(f"DetectFaces of one face of 640 x 480, p50: {alone:.1f} ms alone, {beside:.1f} ms beside one of the former\n")


def report_stages(times):
    names = list(dict.fromkeys(name for _, _, stages in times.values() for call in stages for name in call))
    print(f"| ms, medians | {' | '.join(names)} |\n|{'---|' * (len(names) + 1)}")
    for picture, (_, _, stages) in times.items():
        medians = (numpy.median([call.get(name, 0) for call in stages]) for name in names)
        print(f"| {picture} | {' | '.join(f'{median:.1f}' for median in medians)} |")
    print()


def report(pack, embedder, detector, starts, idle, busy):
    rows = [
        ("embedder, one face, one thread", f"{embedder:.2f} ms", ""),
        ("detector, 640x480, one thread", f"{detector:.2f} ms", ""),
        ("embedder over the detector", f"{embedder / detector:.2f}", f"at most {MOST_OF_YUNET}" if pack == "compact" else ""),
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
