"""Spans of requests, as a collector gets them by OTLP."""

import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from botocore.exceptions import ClientError
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from servers import Server

TRACE, PARENT = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"


class Collector:
    def __init__(self):
        self.spans, self.resources, self.paths = [], [], set()
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                sent = ExportTraceServiceRequest.FromString(self.rfile.read(int(self.headers["Content-Length"])))
                outer.paths.add(self.path)
                for resource in sent.resource_spans:
                    outer.resources.append({one.key: one.value.string_value for one in resource.resource.attributes})
                    for scope in resource.scope_spans:
                        outer.spans.extend(scope.spans)
                self.send_response(200)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"

    def close(self):
        self.server.shutdown()
        self.server.server_close()


@pytest.fixture
def collector():
    collector = Collector()
    yield collector
    collector.close()


def attributes(span):
    return {one.key: one.value.string_value or one.value.int_value for one in span.attributes}


def traced(headers):
    """Has boto3 send these headers too."""
    return lambda request, **_: request.headers.update(headers)


def test_a_request_is_a_span_with_its_stages_below(tmp_path, collector, photo):
    with Server(tmp_path, env={"OTEL_EXPORTER_OTLP_ENDPOINT": collector.url}) as server:
        client = server.client
        client.create_collection(CollectionId="traced")
        client.meta.events.register("before-send.rekognition.IndexFaces", traced({"traceparent": f"00-{TRACE}-{PARENT}-01"}))
        reply = client.index_faces(CollectionId="traced", Image={"Bytes": photo("obama.jpg")})
        with pytest.raises(ClientError):
            client.describe_collection(CollectionId="nowhere")
    # What had not been sent yet is sent at the end.
    assert collector.paths == {"/v1/traces"}
    assert collector.resources[0]["service.name"] == "rekollect"
    whole = {span.name: span for span in collector.spans if span.kind == span.SPAN_KIND_SERVER}
    assert set(whole) == {"CreateCollection", "IndexFaces", "DescribeCollection"}
    index = whole["IndexFaces"]
    assert (index.trace_id.hex(), index.parent_span_id.hex()) == (TRACE, PARENT)
    assert attributes(index)["aws.request_id"] == reply["ResponseMetadata"]["RequestId"]
    assert attributes(index)["http.response.status_code"] == 200
    below = [span for span in collector.spans if span.parent_span_id == index.span_id]
    assert {"receive", "parse", "decode", "detect", "align", "embed", "store", "encode"} <= {span.name for span in below}
    assert all(span.trace_id == index.trace_id for span in below)
    slack = 1_000_000  # the ends are those of two clocks
    for span in below:
        assert index.start_time_unix_nano - slack <= span.start_time_unix_nano <= span.end_time_unix_nano
        assert span.end_time_unix_nano <= index.end_time_unix_nano + slack
    missed = whole["DescribeCollection"]
    assert attributes(missed)["error.type"] == "ResourceNotFoundException"
    assert missed.status.code == missed.status.STATUS_CODE_UNSET
    assert missed.trace_id != index.trace_id


def test_what_the_caller_does_not_sample_is_not_sent(tmp_path, collector):
    with Server(tmp_path, env={"OTEL_EXPORTER_OTLP_ENDPOINT": collector.url}) as server:
        client = server.client
        client.meta.events.register("before-send.rekognition.CreateCollection", traced({"traceparent": f"00-{TRACE}-{PARENT}-00"}))
        client.create_collection(CollectionId="quiet")
        client.list_collections()
    assert {span.name for span in collector.spans if span.kind == span.SPAN_KIND_SERVER} == {"ListCollections"}


def test_a_collector_that_is_away_costs_no_request(tmp_path, collector):
    collector.close()
    with Server(tmp_path, env={"OTEL_EXPORTER_OTLP_ENDPOINT": collector.url}) as server:
        begin = time.monotonic()
        for number in range(50):
            server.client.create_collection(CollectionId=f"c{number}")
        assert time.monotonic() - begin < 5
        assert server.stop() == 0
    assert "traces did not reach" in server.log.read_text() or "OTLP" in server.log.read_text() or "opentelemetry" in server.log.read_text().lower()


def test_without_a_collector_nothing_is_sent(tmp_path, collector):
    with Server(tmp_path) as server:
        server.client.list_collections()
    assert collector.spans == []
