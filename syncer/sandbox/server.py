"""The sandbox as an HTTP server on loopback: routes, access, limits, latency, and faults made visible on the wire."""

from __future__ import annotations

import hashlib
import json
import socket
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from random import Random
from types import TracebackType
from typing import Any
from urllib.parse import parse_qsl, quote, unquote, urlsplit

from syncer.sandbox.api import ROUTES, Request, Route
from syncer.sandbox.config import ALL_PERMISSIONS, SandboxConfig
from syncer.sandbox.control import control
from syncer.sandbox.faults import TASK_KINDS, Fault, Faults
from syncer.sandbox.ingestion import Ingestion
from syncer.sandbox.limits import Throttle
from syncer.sandbox.products import Catalogue
from syncer.sandbox.scans import PRODUCTS, Lines, Page, Scans, microseconds
from syncer.sandbox.scm import iso_from
from syncer.sandbox.world import Sample, World, read_codes

LOG_REQUESTS_MAX = 200_000
HANG_STEP_S = 0.05
DAY_S = 86_400


@dataclass(frozen=True, slots=True)
class Logged:
    """One request that came in; the token is shown as a short hash only."""

    order: int
    at_s: float
    method: str
    path: str
    call: str
    status_code: int | None
    fault: str | None
    token: str


class Sandbox:
    """The emulator. Use as a context manager: it listens from construction to `close`."""

    def __init__(self, config: SandboxConfig | None = None) -> None:
        self.config = config or SandboxConfig()
        self.lock = threading.RLock()
        self._epoch_s = time.time()
        self._start_s = time.monotonic()
        self.iso = iso_from(self._epoch_s)
        self.requests: deque[Logged] = deque(maxlen=LOG_REQUESTS_MAX)
        self.reset()
        self._server = Server(("127.0.0.1", self.config.port), Handler)
        self._server.sandbox = self
        from syncer.sandbox.storage import Storage  # it builds on this module

        self.storage = Storage(self, self.config.storage_port)
        self.port: int = self._server.server_address[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self.stopping = threading.Event()
        self._thread: threading.Thread | None = None

    def reset(self) -> None:
        """Go back to the first state: codes as configured, no tasks, no log."""
        config = self.config
        if config.codes is not None:
            codes: Any = config.codes
        elif config.codes_file is not None:
            codes = read_codes(Path(config.codes_file))
        else:
            codes = Sample().rows
        codes = list(codes)
        scanned = [{"id": number, "sku": sku, "name": name} for number, sku, name in PRODUCTS if config.scans]
        self.catalogue = Catalogue(config.products, codes, scanned)
        self.world = World(codes, campaigns=config.campaigns, products=self.catalogue.known, seed=config.seed)
        self.faults = Faults(config.faults, config.seed)
        self.updates = Throttle(config.updates_per_second, 1.0)
        self.reads = Throttle(config.reads_per_minute, 60.0)
        self.random = Random(config.seed)  # noqa: S311  jitter, to be repeated by its seed
        today_us = int(self._epoch_s // DAY_S * DAY_S * 1e6)
        end_us = today_us if config.scans_end is None else microseconds(config.scans_end)
        self.scans = Scans(
            config.scans,
            campaign=config.scans_campaign,
            begin_us=end_us - int(config.scans_days * DAY_S * 1e6),
            end_us=end_us,
            seed=config.seed,
        )
        self.ingestion = Ingestion(config, self.world, self.random)
        self.requests.clear()

    def now_s(self) -> float:
        """Return the seconds since this sandbox began."""
        return time.monotonic() - self._start_s

    def wall_us(self, at_s: float) -> int:
        """Return a time of this sandbox as microseconds since the Unix epoch."""
        return int((self._epoch_s + at_s) * 1e6)

    def scan(self, **scan: Any) -> str:
        """Let a scan happen; return its uuid. With ``extended_id``, it sees that code's data as they are now."""
        with self.lock:
            now_s = self.now_s()
            self.world.advance(now_s)
            return self.scans.arrive(self._seen(scan), now_us=self.wall_us(now_s))

    def _seen(self, scan: dict[str, Any]) -> dict[str, Any]:
        if "extended_id" not in scan:
            return scan
        scan = dict(scan)
        (number,) = self.world.select({"extended_id": [str(scan.pop("extended_id"))]})
        code = self.world.codes[number]
        own = {"extended_id", "serial_number", "product", "activation_status", "blacklist_reason"}
        return {
            "code_message": code.fields["extended_id"],
            "serial_number": code.fields.get("serial_number", ""),
            "product_sku": code.fields.get("product"),
            "activation_status": int(code.fields["activation_status"]),
            "campaign": code.campaign,
            "scm_data": {name: value for name, value in code.fields.items() if name not in own},
            **scan,
        }

    def codes(self) -> list[dict[str, str]]:
        """Return every code with all its fields, as they are now."""
        with self.lock:
            self.world.advance(self.now_s())
            self.ingestion.advance(self.now_s())
            return self.world.state()

    def code(self, extended_id: str) -> dict[str, str]:
        """Return one code by its extended id."""
        with self.lock:
            self.world.advance(self.now_s())
            (number,) = self.world.select({"extended_id": [extended_id]})
            return dict(self.world.codes[number].fields)

    def calls(self, call: str) -> list[Logged]:
        """Return the logged requests of one kind, by the name of its route (sync, async, tasks, task, me)."""
        return [logged for logged in self.requests if logged.call == call]

    def __enter__(self) -> Sandbox:
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)
        self._thread.start()
        self.storage.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Stop listening; calls that hang are let go."""
        self.stopping.set()
        if self._thread is not None:
            self._server.shutdown()
            self._thread.join()
        self._server.server_close()
        self.storage.close()

    def serve_forever(self) -> None:
        """Serve in this thread until interrupted."""
        self.storage.start()
        self._server.serve_forever(0.1)

    def access(self, authorization: str | None, route: Route) -> tuple[int, dict[str, str]] | None:
        """Return the refusal of a request without the right token or permission; None when it may pass."""
        scheme, _, token = (authorization or "").partition(" ")
        if scheme != "UAT" or not token:
            return 401, {"detail": "Authentication credentials were not provided."}
        if self.config.tokens is None:
            return None
        permissions = self.config.tokens.get(token)
        if permissions is None:
            return 401, {"detail": "Invalid token."}
        if not route.permissions <= permissions:
            return 403, {"detail": "You do not have permission to perform this action."}
        return None

    def permissions(self, authorization: str | None) -> frozenset[str]:
        """Return what a token may do."""
        token = (authorization or "").partition(" ")[2]
        return ALL_PERMISSIONS if self.config.tokens is None else self.config.tokens.get(token, frozenset())


class Server(ThreadingHTTPServer):
    """A listening host of the sandbox."""

    daemon_threads = True
    block_on_close = False
    request_queue_size = 128
    sandbox: Sandbox

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing: clients that go away in the middle are part of the game."""


def serve(config: SandboxConfig, announce: Callable[[str], None]) -> None:
    """Run a sandbox until Ctrl-C; ``announce`` is told where it listens."""
    sandbox = Sandbox(config)
    announce(sandbox.url)
    try:
        sandbox.serve_forever()
    except KeyboardInterrupt:
        pass
    finally:
        sandbox.close()


class Handler(BaseHTTPRequestHandler):
    """Answers the API's host."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server_version = "syncer-sandbox"
    server: Server

    def log_message(self, format: str, *args: Any) -> None:
        """Keep quiet: `Sandbox.requests` is the log."""

    def do_GET(self) -> None:
        """Answer a GET."""
        self._answer()

    def do_POST(self) -> None:
        """Answer a POST."""
        self._answer()

    def _answer(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        parts = urlsplit(self.path)
        if parts.path == "/" or parts.path.startswith("/sandbox/"):
            status_code, document = control(
                self.server.sandbox, self.command, parts.path, dict(parse_qsl(parts.query)), body
            )
            self._send(status_code, document)
            return
        self._answer_api(parts.path, dict(parse_qsl(parts.query, keep_blank_values=True)), body)

    def _answer_api(self, path: str, query: dict[str, str], body: bytes) -> None:
        sandbox = self.server.sandbox
        route, arguments = _find(path)
        call = route.name if route else "none"
        with sandbox.lock:
            arrived_s = sandbox.now_s()
            sandbox.world.advance(arrived_s)
            fault = sandbox.faults.strike(call) if route else None
            refusal = self._refusal(route, path, arrived_s, fault)
            result: tuple[int, Any, dict[str, str]] = refusal or (0, None, {})
            if refusal is None and route is not None and not (fault and fault.kind == "late"):
                result = (*self._process(route, arguments, query, body, arrived_s, fault), {})
            late = (
                (route, arguments, query, body)
                if route and fault and fault.kind == "late" and refusal is None
                else None
            )
            order = len(sandbox.requests) + 1
            token = hashlib.sha256((self.headers.get("Authorization") or "").encode()).hexdigest()[:8]
            sandbox.requests.append(
                Logged(
                    order,
                    arrived_s,
                    self.command,
                    self.path,
                    call,
                    result[0] or None,
                    fault.kind if fault else None,
                    token,
                )
            )
        if late is not None and fault is not None:
            threading.Timer(fault.seconds, self._process_late, late).start()
        self._pause()
        if fault is None or not self._break(fault, result):
            self._send(*result)

    def _refusal(
        self, route: Route | None, path: str, arrived_s: float, fault: Fault | None
    ) -> tuple[int, Any, dict[str, str]] | None:
        """Return the answer to a request that is not processed; None for one that is."""
        sandbox = self.server.sandbox
        if route is None:
            if _find(path + "/")[0] is not None:  # Django's APPEND_SLASH; a POST loses its body on the way
                if self.command == "POST":
                    sandbox.world.violations.append(f"POST to {path} without the slash")
                return 301, None, {"Location": quote(path) + "/"}
            return 404, {"detail": "Not found."}, {}
        if self.command not in route.methods:
            return 405, {"detail": f'Method "{self.command}" not allowed.'}, {}
        denied = sandbox.access(self.headers.get("Authorization"), route)
        if denied is not None:
            return (*denied, {})
        throttle = sandbox.updates if route.is_update else sandbox.reads
        wait_s = throttle.admit(self.headers.get("Authorization") or "", arrived_s)
        if fault is not None and fault.kind == "status" and fault.status_code == 429:  # noqa: PLR2004
            wait_s = max(1, round(fault.seconds))
        if wait_s is not None:
            words = f"Request was throttled. Expected available in {wait_s} seconds."
            return 429, {"detail": words, "code": "throttled"}, {"Retry-After": str(wait_s)}
        if fault is None:
            return None
        if fault.kind == "status":
            return fault.status_code, {"detail": HTTPStatus(fault.status_code).phrase}, {}
        if fault.kind == "redirect":
            return 302, None, {"Location": fault.url}
        return (0, None, {}) if fault.kind == "drop_before" else None

    def _process(
        self,
        route: Route,
        arguments: Mapping[str, str],
        query: dict[str, str],
        body: bytes,
        now_s: float,
        fault: Fault | None,
    ) -> tuple[int, Any]:
        sandbox = self.server.sandbox
        document: Any = None
        if self.command == "POST":
            if not (self.headers.get("Content-Type") or "").startswith("application/json"):
                return 415, {"detail": f'Unsupported media type "{self.headers.get("Content-Type")}" in request.'}
            try:
                document = json.loads(body)
            except ValueError as error:
                return 400, {"detail": f"JSON parse error - {error}"}
        before = len(sandbox.world.tasks)
        answer = route.handle(
            Request(
                sandbox,
                self.command,
                urlsplit(self.path).path,
                arguments,
                query,
                document,
                now_s,
                self.headers.get("Authorization"),
            )
        )
        if fault is not None:
            answer = _bend(sandbox, fault, answer, before, self.path)
        return answer

    def _process_late(self, route: Route, arguments: Mapping[str, str], query: dict[str, str], body: bytes) -> None:
        sandbox = self.server.sandbox
        with sandbox.lock:
            now_s = sandbox.now_s()
            sandbox.world.advance(now_s)
            self._process(route, arguments, query, body, now_s, None)

    def _pause(self) -> None:
        config = self.server.sandbox.config
        if config.latency_s or config.jitter_s:
            with self.server.sandbox.lock:
                jitter_s = self.server.sandbox.random.random() * config.jitter_s
            time.sleep(config.latency_s + jitter_s)

    def _break(self, fault: Fault, result: tuple[int, Any, dict[str, str]]) -> bool:
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


def _find(path: str) -> tuple[Route | None, Mapping[str, str]]:
    for route in ROUTES:
        found = route.pattern.fullmatch(path)
        if found:
            return route, {name: unquote(text) for name, text in found.groupdict().items()}
    return None, {}


def _bend(sandbox: Sandbox, fault: Fault, answer: tuple[int, Any], tasks_before: int, asked: str) -> tuple[int, Any]:
    """Let a fault change what was processed: a task's fate, a count, the named items."""
    status_code, document = answer
    if status_code != 200 or not isinstance(document, dict):  # noqa: PLR2004
        return answer
    if fault.kind == "ingestion_stuck":
        for record in sandbox.ingestion.records.values():
            record.stuck |= record.key == document.get("record")
    elif fault.kind in TASK_KINDS and len(sandbox.world.tasks) > tasks_before:
        task = list(sandbox.world.tasks.values())[-1]
        task.fails |= fault.kind == "task_fail"
        task.stuck |= fault.kind == "task_stuck"
        task.forgotten |= fault.kind == "task_forgotten"
    elif fault.kind == "wrong_count":
        if "codes_affected" in document:
            document = {**document, "codes_affected": max(0, document["codes_affected"] + fault.delta)}
        elif len(sandbox.world.tasks) > tasks_before:
            list(sandbox.world.tasks.values())[-1].count_off_by = fault.delta
    elif fault.kind == "next_elsewhere":
        document["next"] = fault.url
    elif fault.kind == "page_again":
        document["next"] = sandbox.url + asked
    elif fault.kind == "no_items":
        document = {name: value for name, value in document.items() if name not in {"items", "changes"}}
    return status_code, document
