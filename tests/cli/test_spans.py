"""Spans for OpenTelemetry, as a receiver on loopback gets them: command, run, plan, calls; never data or the token."""

from __future__ import annotations

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from conftest import TOKEN, codes
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

HEADER = ("extended_id", "market")


@pytest.fixture
def receiver():
    """A receiver of OTLP over HTTP; gives its address and the bodies that it was sent."""
    bodies = []

    class Receiver(BaseHTTPRequestHandler):
        def do_POST(self):
            import gzip

            body = self.rfile.read(int(self.headers["Content-Length"]))
            bodies.append(gzip.decompress(body) if self.headers.get("Content-Encoding") == "gzip" else body)
            bodies.append(str(self.headers).encode())
            self.send_response(200)
            self.end_headers()

        def log_message(self, *words):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Receiver)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/v1/traces", bodies
    server.shutdown()
    thread.join()
    server.server_close()


def spans_of(bodies):
    found = []
    for body in bodies[::2]:
        for resource in ExportTraceServiceRequest.FromString(body).resource_spans:
            found += [span for scope in resource.scope_spans for span in scope.spans]
    return found


def attributes(span):
    return {one.key: one.value.string_value or one.value.int_value for one in span.attributes}


def test_a_command_its_run_its_plan_and_each_call_are_spans_without_data(night, receiver):
    url, bodies = receiver
    with night(codes=codes(150)) as here:
        here.environment["SYNCER_TRACES__URL"] = url
        rows = [(f"K{n:06d}", "MARKET-DE") for n in range(120)] + [("NOPE0001", "MARKET-FR")]
        done = here.sync(here.write("a.csv", HEADER, rows))
        assert done.code == 3
        requests = done.document["requests"]
    spans = spans_of(bodies)
    named = {span.span_id: span.name for span in spans}
    tree = {(span.name, named.get(span.parent_span_id)) for span in spans}
    assert tree == {("syncer sync", None), ("run", "syncer sync"), ("plan", "run"), ("update", "run"), ("read", "run")}
    (command,) = (span for span in spans if span.name == "syncer sync")
    assert attributes(command) == {"syncer.exit_code": 3}
    (run,) = (span for span in spans if span.name == "run")
    assert attributes(run)["syncer.updates"] == requests["updates"]
    updates = [attributes(span) for span in spans if span.name == "update"]
    assert len(updates) == requests["updates"]
    assert {one["syncer.verdict"] for one in updates} == {"ok"}
    assert sum(one["syncer.values"] for one in updates) >= 121
    for body in bodies:
        for secret in (TOKEN, "K0000", "NOPE", "MARKET", "a.csv", here.box.url):
            assert secret.encode() not in body


def test_a_receiver_that_does_not_answer_is_one_warning_and_changes_nothing(night):
    with night(codes=codes(1)) as here:
        here.environment["SYNCER_TRACES__URL"] = "http://127.0.0.1:9/secret-path"
        here.environment["SYNCER_NOTIFY__TIMEOUT_S"] = "1"
        done = here.sync(here.write("a.csv", HEADER, [("K000000", "DE")]))
        assert done.code == 0
        assert done.err.count("traces.url does not take the spans") == 1
        assert "secret-path" not in done.err
