"""A real HTTP server on loopback that writes down what it is told: for webhooks, pings and services."""

from __future__ import annotations

import contextlib
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from syncer.process.clock import SystemClock


class Listener(BaseHTTPRequestHandler):
    """Writes down what it is told."""

    def _note(self):
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.server.told.append((self.command, self.path, json.loads(body) if body else None, dict(self.headers)))
        self.send_response(self.server.answer)
        self.send_header("Location", "http://127.0.0.1:9/elsewhere")
        self.end_headers()

    do_GET = do_POST = _note

    def log_message(self, *words):
        pass


@contextlib.contextmanager
def listening(answer=200):
    server = ThreadingHTTPServer(("127.0.0.1", 0), Listener)
    server.told, server.answer = [], answer
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    try:
        yield server, f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def hooks(told):
    return [(method, path) for method, path, _, _ in told], [document for _, _, document, _ in told if document]


def wait_for(look, seconds=20.0):
    clock = SystemClock()
    end_s = clock.monotonic_s() + seconds
    while not (found := look()):
        assert clock.monotonic_s() < end_s, "it never came"
        clock.sleep_s(0.05)
    return found
