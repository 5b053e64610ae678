"""The sandbox on the wire: hosts that listen on loopback, latency, answers, and what faults make of answers."""

from __future__ import annotations

import hashlib
import json
import socket
import threading
import time
from collections.abc import Mapping
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from syncer.sandbox.faults import Fault
from syncer.sandbox.scans import Lines, Page
from syncer.sandbox.state import Logged, SandboxState
from syncer.sandbox.visitors import BODY_BYTES_MAX, refusal

Result = tuple[int, Any, dict[str, str]]
"""Status code, document and headers of an answer; 0: none is to be given."""


class Host(ThreadingHTTPServer):
    """A listening host of the sandbox, on loopback, from construction to `close`."""

    daemon_threads = True
    block_on_close = False
    request_queue_size = 128

    def __init__(self, port: int, handler: type[Handler], sandbox: SandboxState) -> None:
        super().__init__(("127.0.0.1", port), handler)
        self.sandbox = sandbox
        self.port: int = self.server_address[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Serve in a thread of its own."""
        self._thread = threading.Thread(target=self.serve_forever, args=(0.02,), daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stop listening."""
        if self._thread is not None:
            self.shutdown()
            self._thread.join()
        self.server_close()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing: clients that go away in the middle are part of the game."""


class Handler(BaseHTTPRequestHandler):
    """What all hosts have in common. Each gives its own `answer`."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server_version = "syncer-sandbox"
    server: Host

    def answer(self, body: bytes) -> None:
        """Answer the request with this body."""
        raise NotImplementedError

    def log_message(self, format: str, *args: Any) -> None:
        """Keep quiet: `Sandbox.requests` is the log."""

    def do_GET(self) -> None:
        """Answer a GET."""
        self._receive()

    def do_POST(self) -> None:
        """Answer a POST."""
        self._receive()

    def _receive(self) -> None:
        """Read a request, and answer it when it was on its way for long enough."""
        storage_bytes_max = self.server.sandbox.config.storage_bytes_max
        refused = refusal(self.headers, bytes_max=max(BODY_BYTES_MAX, 2 * storage_bytes_max))
        if refused is not None:
            self.close_connection = True  # its body was not read
            self._send(refused[0], {"detail": refused[1]}, {"Connection": "close"})
            return
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self._be_on_the_way()
        self.answer(body)

    def _log(self, call: str, at_s: float, status_code: int, fault: Fault | None) -> None:
        """Note that this request came in. The caller holds the lock."""
        requests = self.server.sandbox.requests
        token = hashlib.sha256((self.headers.get("Authorization") or "").encode()).hexdigest()[:8]
        kind = fault.kind if fault else None
        order = len(requests) + 1
        requests.append(Logged(order, at_s, self.command, self.path, call, status_code or None, kind, token))

    def _give(self, result: Result, fault: Fault | None) -> None:
        """Give the answer after the latency, or what a fault makes of it."""
        self._pause()
        self._be_on_the_way()
        if fault is None or not self._break(fault, result):
            self._send(*result)

    def _pause(self) -> None:
        config = self.server.sandbox.config
        if config.latency_s or config.jitter_s:
            with self.server.sandbox.lock:
                jitter_s = self.server.sandbox.random.random() * config.jitter_s
            time.sleep(config.latency_s + jitter_s)

    def _be_on_the_way(self) -> None:
        sandbox = self.server.sandbox
        with sandbox.lock:
            seconds = sandbox.way(sandbox.random)
        if seconds:
            time.sleep(seconds)

    def _break(self, fault: Fault, result: Result) -> bool:
        """Spoil the answer on the wire; return False when it is to be sent as it is."""
        if result[0] >= 300 and fault.kind not in {"drop_before", "drop_after"}:  # noqa: PLR2004
            return False
        match fault.kind:
            case "drop_before" | "drop_after" | "late":
                self._close_at_once()
            case "hang":
                self._hang(fault.seconds)
            case "truncate":
                text = _encoded(result[1])[0]
                self._raw(200, text[: len(text) // 2], length=len(text))
                self._close_at_once()
            case "garbage":
                self._raw(200, b"\x00\xff{]not json")
            case "html":
                self._raw(200, b"<html><body>Service is busy</body></html>", kind="text/html")
            case "status_after":
                self._send(fault.status_code, {"detail": HTTPStatus(fault.status_code).phrase}, {})
            case "body":
                self._raw(200, fault.text.encode("utf-8", "surrogateescape"))
            case "slow_drip":
                self._drip(_encoded(result[1])[0], fault.seconds)
            case _:
                return False
        return True

    def _close_at_once(self) -> None:
        self.close_connection = True
        try:
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\x00\x00\x00\x00\x00\x00\x00")
            self.connection.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass

    def _hang(self, seconds: float) -> None:
        self.server.sandbox.stopping.wait(seconds)
        self._close_at_once()

    def _drip(self, text: bytes, pause_s: float) -> None:
        self._head(200, len(text), "application/json", {})
        for byte in text:
            if self.server.sandbox.stopping.wait(pause_s):
                break
            try:
                self.wfile.write(bytes([byte]))
            except OSError:
                break
        self._close_at_once()

    def _head(self, status_code: int, length: int, kind: str, headers: Mapping[str, str]) -> None:
        self.send_response(status_code)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(length))
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()

    def _raw(self, status_code: int, text: bytes, *, kind: str = "application/json", length: int | None = None) -> None:
        self._head(status_code, len(text) if length is None else length, kind, {})
        self.wfile.write(text)

    def _stream(self, status_code: int, lines: Lines) -> None:
        """Send an answer whose length nobody knows yet."""
        self.send_response(status_code)
        self.send_header("Content-Type", lines.kind)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        for chunk in lines.chunks:
            self.wfile.write(b"%x\r\n%s\r\n" % (len(chunk), chunk))
        self.wfile.write(b"0\r\n\r\n")

    def _send(self, status_code: int, document: Any, headers: Mapping[str, str] | None = None) -> None:
        if isinstance(document, Lines):
            self._stream(status_code, document)
            return
        text, kind = _encoded(document)
        self._headers_buffer: list[bytes]
        self.send_response(status_code)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(text)))
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self._headers_buffer.append(b"\r\n" + text)  # head and body in one packet
        self.flush_headers()


def _encoded(document: Any) -> tuple[bytes, str]:
    """Return an answer's body and its type: a file, a text, a page that is JSON already, or JSON."""
    if isinstance(document, bytes):
        return document, "application/zip"
    if isinstance(document, str):
        return document.encode(), "text/plain; charset=utf-8"
    if isinstance(document, Lines):
        return b"".join(document.chunks), document.kind
    if isinstance(document, Page):
        return document.encoded(), "application/json"
    return (b"" if document is None else json.dumps(document).encode()), "application/json"
