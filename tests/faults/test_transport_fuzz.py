"""Any bytes at all for an answer: a reply within the deadline, one request, no exception, and the next call in step."""

from __future__ import annotations

import contextlib
import socket
import threading
from urllib.parse import parse_qs, urlsplit

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sampling import examples

from syncer.api.classify import classify
from syncer.api.transport import Transport
from syncer.process.clock import SystemClock

PIECES = [
    b"HTTP/1.1 200 OK\r\n", b"HTTP/1.0 200\r\n", b"HTTP/1.1 204 No Content\r\n", b"HTTP/1.1 301 X\r\n", b"HTTP/2 200\r\n",
    b"HTTP/1.1 100 Continue\r\n\r\n", b"HTTP/1.1 103 Early\r\n\r\n", b"HTTP/1.1 429 Slow\r\n", b"HTTP/1.1 99999 X\r\n",
    b"Content-Length: 2\r\n", b"Content-Length: 0\r\n", b"Content-Length: 9999999999999999999999\r\n", b"Content-Length: x\r\n",
    b"Transfer-Encoding: chunked\r\n", b"Content-Encoding: gzip\r\n", b"Content-Encoding: gzip, gzip, deflate\r\n",
    b"Content-Encoding: br, zstd, x\r\n", b"Connection: close\r\n", b"Location: http://[\r\n", b"Location: //x:y/\r\n",
    b"Set-Cookie: a=b; Path=/\r\n", b"Retry-After: 1\r\n", b": no name\r\n", b"no colon\r\n", b" folded\r\n", b"X: \x00\xff\r\n",
    b"\r\n", b"\n", b"\r", b"{}", b"2\r\n{}\r\n0\r\n\r\n", b"2;ext=1\r\n{}\r\n", b"-1\r\n", b"ffffffffffffffff\r\n", b"0\r\n\r\n",
    b"\x1f\x8b\x08\x00\x00\x00\x00\x00", b"\x00", b"x" * 9000, b"",
]  # fmt: skip


class Spouting:
    """Answers every request on ``/say/`` with the bytes at hand, then closes; any other one with the path it named."""

    def __init__(self):
        self.bytes = b""
        self.said = 0
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self._listener.accept()
                threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection):
        with contextlib.suppress(OSError), connection, connection.makefile("rb") as lines:
            while line := lines.readline():
                target = line.split()[1].decode()
                while lines.readline() not in {b"\r\n", b""}:
                    pass
                if target == "/say/":
                    self.said += 1
                    connection.sendall(self.bytes)
                    return
                word = parse_qs(urlsplit(target).query)["word"][0].encode()
                connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(word) + word)

    def close(self):
        self._listener.close()


@pytest.fixture(scope="module")
def pair():
    server = Spouting()
    transport = Transport(f"http://127.0.0.1:{server.port}", "canary", timeout_s=5, user_agent="t", clock=SystemClock())
    yield server, transport
    transport.close()
    server.close()


@settings(max_examples=examples(250))
@given(pieces=st.lists(st.sampled_from(PIECES) | st.binary(max_size=12), max_size=9), headed=st.booleans())
def test_no_bytes_make_a_call_raise_repeat_or_leave_the_connection_out_of_step(pair, pieces, headed):
    server, transport = pair
    server.bytes = (b"HTTP/1.1 200 OK\r\n" if headed else b"") + b"".join(pieces)
    said_before = server.said
    assert transport.call("GET", "/echo/", params={"word": "before"}).body == b"before"
    reply = transport.call("GET", "/say/")
    assert (reply.status_code is None) != (reply.failure is None)
    assert reply.failure is None or (reply.body == b"" and reply.failure)
    assert reply.sent
    classify(reply)
    assert server.said == said_before + 1
    assert transport.call("GET", "/echo/", params={"word": "after"}).body == b"after"
