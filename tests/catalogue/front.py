"""A server that stands before the sandbox: it passes calls on, or not, and answers with any bytes at all.

Whether a call reaches the sandbox and what is said to it are two decisions, so that a test can lie: a call that was
never processed is answered as if it had been. Loopback alone; every connection has a thread of its own.
"""

from __future__ import annotations

import contextlib
import http.client
import re
import socket
import ssl
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

ROUTES = (
    ("sync", r"POST /api/v2/scm/upload/ "),
    ("async", r"POST /api/v2/scm/upload/async/ "),
    ("list", r"GET /api/v2/scm/tasks/\?"),
    ("tasks", r"POST /api/v2/scm/tasks/ "),
    ("look", r"GET /api/v2/scm/tasks/ "),
    ("task", r"GET /api/v2/scm/tasks/[^/?]+/ "),
    ("me", r"GET /api/v2/me/ "),
)


@dataclass(frozen=True)
class Call:
    """One request as it came in: which call of the API, the how-many-th of these, and its bytes."""

    name: str
    number: int
    head: bytes
    body: bytes


Say = Callable[["Front", socket.socket, bytes], bool]
"""Says something, given the sandbox's answer (empty when the call was not passed on); whether to keep the connection."""


@dataclass(frozen=True)
class Act:
    """What becomes of a call: whether it reaches the sandbox, and what is said."""

    say: Say
    pass_on: bool = True


def http_answer(body: bytes, *, status: bytes = b"200 OK", head: bytes = b"") -> bytes:
    """Return an answer in HTTP."""
    return b"HTTP/1.1 " + status + b"\r\n" + head + b"Content-Length: %d\r\n\r\n" % len(body) + body


def bytes_of(raw: bytes, *, stay: bool = False) -> Say:
    """Say these bytes, then close the connection, or leave it open and silent."""

    def say(front: Front, connection: socket.socket, answer: bytes) -> bool:
        connection.sendall(raw)
        if stay:
            front.over.wait(10)
        return False

    return say


def body_of(body: bytes) -> Say:
    """Say a whole answer with status 200 and this body."""

    def say(front: Front, connection: socket.socket, answer: bytes) -> bool:
        connection.sendall(http_answer(body))
        return True

    return say


def changed(change: Callable[[bytes], bytes]) -> Say:
    """Say the sandbox's answer, its body changed."""

    def say(front: Front, connection: socket.socket, answer: bytes) -> bool:
        connection.sendall(http_answer(change(answer)))
        return True

    return say


def drip(pause_s: float) -> Say:
    """Say the true answer, one byte at a time."""

    def say(front: Front, connection: socket.socket, answer: bytes) -> bool:
        for byte in http_answer(answer):
            connection.sendall(bytes([byte]))
            if front.over.wait(pause_s):
                break
        return True

    return say


def silence(front: Front, connection: socket.socket, answer: bytes) -> bool:
    """Say nothing at all, and keep the connection open."""
    front.over.wait(30)
    return False


@dataclass
class Front:
    """Listens before the sandbox at `box_port`. ``bend`` decides on each call; None passes it on and back unchanged."""

    box_port: int
    bend: Callable[[Call], Act | None] = lambda call: None
    context: ssl.SSLContext | None = None
    passing: frozenset[str] = frozenset({"look", "me"})
    """Calls that are passed on whatever `bend` says: by these a run sees to whom its ledger belongs, before it sends."""
    calls: list[Call] = field(default_factory=list)
    over: threading.Event = field(default_factory=threading.Event)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def __enter__(self) -> Front:
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.port = self._listener.getsockname()[1]
        self.url = f"{'https' if self.context else 'http'}://127.0.0.1:{self.port}"
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.over.set()
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def count(self, name: str) -> int:
        """Return how many calls of a kind came in."""
        with self._lock:
            return sum(call.name == name for call in self.calls)

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self._listener.accept()
                threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        with contextlib.suppress(OSError, http.client.HTTPException), contextlib.ExitStack() as stack:
            stack.enter_context(connection)
            if self.context is not None:
                connection = stack.enter_context(self.context.wrap_socket(connection, server_side=True))
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            box = http.client.HTTPConnection("127.0.0.1", self.box_port, timeout=30)
            stack.callback(box.close)
            while (call := self._take(connection)) is not None:
                act = None if call.name in self.passing else self.bend(call)
                status, body = self._pass_on(box, call) if act is None or act.pass_on else (b"", b"")
                if act is None:
                    connection.sendall(http_answer(body, status=status))
                elif not act.say(self, connection, body):
                    return

    def _take(self, connection: socket.socket) -> Call | None:
        data = b""
        while b"\r\n\r\n" not in data:
            part = connection.recv(65536)
            if not part:
                return None
            data += part
        head, _, body = data.partition(b"\r\n\r\n")
        found = re.search(rb"(?i)^content-length: *(\d+)", head, re.MULTILINE)
        while found and len(body) < int(found[1]):
            body += connection.recv(65536)
        line = head.decode("latin-1")
        name = next((name for name, form in ROUTES if re.match(form, line)), "other")
        with self._lock:
            call = Call(name, 1 + sum(earlier.name == name for earlier in self.calls), head, body)
            self.calls.append(call)
        return call

    def _pass_on(self, box: http.client.HTTPConnection, call: Call) -> tuple[bytes, bytes]:
        method, target, _ = call.head.split(b"\r\n")[0].decode("latin-1").split(" ")
        headers: dict[str, Any] = {}
        for line in call.head.decode("latin-1").split("\r\n")[1:]:
            name, _, value = line.partition(": ")
            if name.lower() in {"authorization", "content-type"}:
                headers[name] = value
        box.request(method, target, call.body or None, headers)
        answer = box.getresponse()
        return f"{answer.status} {answer.reason}".encode(), answer.read()


class Elsewhere:
    """A listener that nobody should ever speak to: it keeps whatever it is sent."""

    def __enter__(self) -> Elsewhere:
        self.heard: list[bytes] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self._listener.accept()
                with connection:
                    connection.settimeout(2)
                    self.heard.append(b"connected")
                    self.heard.append(connection.recv(65536))
                    connection.sendall(http_answer(b'{"count": 0, "next": null, "previous": null, "results": []}'))
