"""What checking a signature costs: `make bench-signatures`.

Two servers, one that checks signatures and one that takes any, get the same signed requests in turn: IndexFaces with an image of 2 MB
(2.8 MB of base64) into a collection that does not exist, so that a call ends right after its signature, JSON and name were looked at. The
cost is the difference of the two, as a client sees it on a keep-alive connection. Signing is the client's affair and not timed.
"""

import argparse
import base64
import http.client
import json
import os
import platform
import statistics
import sys
import tempfile
import time
from pathlib import Path
from urllib.parse import urlsplit

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

sys.path.insert(0, str(Path(__file__).parents[1] / "tests/clients"))
from servers import REGION, Server  # noqa: E402

KEY = Credentials("AKIABENCH", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY")
HEADERS = {"Content-Type": "application/x-amz-json-1.1", "X-Amz-Target": "RekognitionService.IndexFaces"}
MOST_MILLISECONDS = 0.5
WARM_UP = 20


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--calls", type=int, default=400, help="measured calls of each server (default: %(default)s)")
    parser.add_argument("--bytes", type=int, default=2_000_000, help="bytes of the image (default: %(default)s)")
    options = parser.parse_args()
    image = base64.b64encode(os.urandom(options.bytes)).decode()
    body = json.dumps({"CollectionId": "nowhere", "Image": {"Bytes": image}}).encode()
    keys = {"REKOLLECT_ACCESS_KEY_ID": KEY.access_key, "REKOLLECT_SECRET_ACCESS_KEY": KEY.secret_key}
    quiet = {"RUST_LOG": "warn"}
    with tempfile.TemporaryDirectory() as folder:
        with Server(Path(folder) / "open", env=quiet) as unchecked, Server(Path(folder) / "signed", env={**quiet, **keys}) as checked:
            connections = {server: http.client.HTTPConnection("127.0.0.1", server.port) for server in (unchecked, checked)}
            times = {server: [] for server in connections}
            for call in range(WARM_UP + options.calls):
                for server, connection in connections.items():
                    seconds = timed(connection, server.url, body)
                    if call >= WARM_UP:
                        times[server].append(1000 * seconds)
    print(f"{platform.processor() or platform.machine()}, {os.cpu_count()} cores; {options.calls} calls each, image of {options.bytes} bytes")
    report("any signature taken", times[unchecked])
    report("signatures checked", times[checked])
    cost = statistics.median(times[checked]) - statistics.median(times[unchecked])
    verdict = "met" if cost < MOST_MILLISECONDS else "missed"
    print(f"cost of a signature, p50: {cost:.2f} ms (bar: under {MOST_MILLISECONDS} ms, {verdict})")


def timed(connection, url, body):
    request = AWSRequest("POST", url + "/", headers={**HEADERS, "Host": urlsplit(url).netloc}, data=body)
    SigV4Auth(KEY, "rekognition", REGION).add_auth(request)
    headers = dict(request.headers.items())
    begin = time.perf_counter()
    connection.request("POST", "/", body, headers)
    reply = connection.getresponse()
    answer = reply.read()
    elapsed = time.perf_counter() - begin
    assert b"ResourceNotFoundException" in answer, answer
    return elapsed


def report(what, milliseconds):
    ordered = sorted(milliseconds)
    print(f"{what:22} p50 {ordered[len(ordered) // 2]:6.2f} ms   p99 {ordered[int(len(ordered) * 0.99)]:6.2f} ms")


if __name__ == "__main__":
    main()
