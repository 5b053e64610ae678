"""The transport's connection: whose answer is whose, what the deadline covers, and what was surely not sent."""

from __future__ import annotations

import contextlib
import socket
import ssl
import struct
import threading
import time

import pytest
import trustme

from syncer.api import transport as transport_module
from syncer.api.classify import Verdict, classify
from syncer.api.transport import Transport
from syncer.process.clock import SystemClock

TOKEN = "canary-51d0e7"


def answer(body=b"{}", *, status=b"200 OK", head=b""):
    return b"HTTP/1.1 " + status + b"\r\n" + head + b"Content-Length: %d\r\n\r\n" % len(body) + body


class RawServer:
    """Plays one script per connection, each in a thread of its own; `requests` holds what arrived, in order."""

    def __init__(self, *scripts, context=None):
        self.requests = []
        self.over = threading.Event()
        self._context = context
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self._threads = [threading.Thread(target=self._accept, args=(scripts,), daemon=True)]

    def __enter__(self):
        self._threads[0].start()
        return self

    def __exit__(self, *error):
        self.over.set()
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for thread in self._threads:
            thread.join(5)

    def _accept(self, scripts):
        for script in scripts:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            thread = threading.Thread(target=self._play, args=(connection, script), daemon=True)
            self._threads.append(thread)
            thread.start()

    def _play(self, connection, script):
        with contextlib.suppress(OSError), contextlib.ExitStack() as stack:
            stack.enter_context(connection)
            if self._context is not None:
                connection = stack.enter_context(self._context.wrap_socket(connection, server_side=True))
            script(self, connection)

    def take(self, connection):
        """Read one request whole and note it; return false when there is none."""
        data = b""
        while b"\r\n\r\n" not in data:
            part = connection.recv(65536)
            if not part:
                return False
            data += part
        head, _, body = data.partition(b"\r\n\r\n")
        lengths = [line.split(b":")[1] for line in head.split(b"\r\n") if line.lower().startswith(b"content-length")]
        while lengths and len(body) < int(lengths[0]):
            body += connection.recv(65536)
        self.requests.append(head + b"\r\n\r\n" + body)
        return True


def say(*pieces, pause_s=0.0, stay=False, times=1):
    """Return a script: take a request, say the pieces with pauses between; `times` over; then close, or stay."""

    def script(server, connection):
        for _ in range(times):
            if not server.take(connection):
                return
            for piece in pieces:
                connection.sendall(piece)
                if pause_s and server.over.wait(pause_s):
                    return
        if stay:
            server.over.wait(10)

    return script


def reset(server, connection):
    server.take(connection)
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def half_close(server, connection):
    server.take(connection)
    connection.shutdown(socket.SHUT_WR)
    server.over.wait(10)


@contextlib.contextmanager
def to(server, *, timeout_s=5.0, scheme="http", **settings):
    made = Transport(
        f"{scheme}://127.0.0.1:{server.port}", TOKEN, timeout_s=timeout_s, user_agent="t", clock=SystemClock(), **settings
    )  # fmt: skip
    try:
        yield made
    finally:
        made.close()


@pytest.fixture(scope="module")
def tls(tmp_path_factory):
    """Return a server's TLS context and the file of the authority that vouches for it."""
    authority, context = trustme.CA(), ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    pem = tmp_path_factory.mktemp("ca") / "ca.pem"
    authority.cert_pem.write_to_path(str(pem))
    return context, str(pem)


LOST = {
    "reset": reset,
    "half closed": half_close,
    "a length that is too long": say(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{}"),
    "two lengths": say(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n{}"),
    "a length below zero, then silence": say(b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n{}", stay=True),
    "only an interim answer": say(b"HTTP/1.1 100 Continue\r\n\r\n"),
    "an endless row of interim answers": say(*[b"HTTP/1.1 100 Continue\r\n\r\n"] * 200, pause_s=0.02),
    "an early hint taken for the end": say(b"HTTP/1.1 103 Early Hints\r\n\r\n" + answer(), stay=True),
    "a head without an end": say(b"HTTP/1.1 200 OK\r\nX: y\r\n", stay=True),
    "a header line without an end": say(b"HTTP/1.1 200 OK\r\nX: " + b"y" * 100_000, stay=True),
    "a status that is none": say(b"HTTP/1.1 20 OK\r\n\r\n"),
    "another protocol": say(b"SSH-2.0-OpenSSH_9.6\r\n"),
    "an unknown encoding inside gzip": say(answer(b"\x00" * 20, head=b"Content-Encoding: gzip\r\n")),
}


@pytest.mark.parametrize("name", LOST)
def test_a_post_whose_answer_is_lost_is_unknown_and_was_made_once(name):
    with RawServer(LOST[name], say(answer())) as server, to(server, timeout_s=0.6) as made:
        reply = made.call("POST", "/x/", body=b"{}")
        assert (reply.status_code, reply.body, reply.sent, classify(reply)) == (None, b"", True, Verdict.UNKNOWN)
        assert reply.failure
        assert len(server.requests) == 1


@pytest.mark.parametrize(
    ("script", "body"),
    [
        (say(b"HTTP/1.1 100 Continue\r\n\r\n" + answer(b"[1]")), b"[1]"),
        (say(b"HTTP/1.0 200 OK\r\n\r\n[2]"), b"[2]"),
        (say(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n[3]"), b"[3]"),
        (say(b"HTTP/1.1 200\r\nContent-Length: 3\r\n\r\n[4]"), b"[4]"),
        (say(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n[5\r\n1\r\n]\r\n0\r\n\r\n"), b"[5]"),
        (say(*[bytes([byte]) for byte in answer(b"[6]")], pause_s=0.001), b"[6]"),
    ],
    ids=["interim answer first", "HTTP/1.0", "ends by closing", "no reason phrase", "chunks", "byte by byte"],
)
def test_an_unusual_but_whole_answer_is_read(script, body):
    with RawServer(script) as server, to(server) as made:
        reply = made.call("GET", "/x/")
        assert (reply.status_code, reply.body, reply.failure) == (200, body, None)


@pytest.mark.parametrize("secure", [False, True], ids=["http", "https"])
@pytest.mark.parametrize("length", [2, 8000, 8192, 8193, 20_000])
def test_bytes_beyond_an_answer_end_the_connection_wherever_they_are_buffered(tls, secure, length):
    """The stray answer shares a segment, or a TLS record, with the true one: in no buffer may it survive."""
    context, authority = tls if secure else (None, None)
    first, stray = answer(b"x" * length), answer(b"STRAY" * 1000)
    settings = {"scheme": "https", "ca_file": authority} if secure else {}
    with RawServer(say(first + stray, stay=True), say(answer(b"mine")), context=context) as server:
        with to(server, **settings) as made:
            assert made.call("GET", "/a/").body == b"x" * length
            second = made.call("GET", "/b/")
        assert (second.body, second.fresh_connection) == (b"mine", True)


def test_a_stray_answer_that_comes_while_idle_ends_the_connection():
    late = say(answer(), answer(b"STRAY"), pause_s=0.05, stay=True)
    with RawServer(late, say(answer(b"mine"))) as server, to(server) as made:
        made.call("GET", "/a/")
        time.sleep(0.15)
        assert made.call("GET", "/b/").body == b"mine"


def test_a_connection_that_the_server_closed_while_idle_is_not_used_for_a_post():
    with RawServer(say(answer()), say(answer(b"mine"))) as server, to(server) as made:
        made.call("GET", "/a/")
        time.sleep(0.1)
        reply = made.call("POST", "/b/", body=b"{}")
        assert (reply.body, reply.fresh_connection) == (b"mine", True)


def test_a_connection_that_was_idle_for_long_is_not_used_again(monkeypatch):
    monkeypatch.setattr(transport_module, "IDLE_S_MAX", 0.05)
    with RawServer(say(answer(), stay=True), say(answer(b"new"))) as server, to(server) as made:
        made.call("GET", "/a/")
        time.sleep(0.1)
        assert made.call("GET", "/b/").body == b"new"


def test_many_answers_of_all_kinds_go_over_one_connection(tls):
    context, authority = tls
    bodies = [b"", b"x", b"y" * 100_000, b"[]"]
    pieces = [answer(body, head=b"Set-Cookie: sessionid=1\r\n") for body in bodies]
    pieces.append(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nz\r\n0\r\n\r\n")

    def script(server, connection):
        for piece in pieces:
            server.take(connection)
            connection.sendall(piece)

    with RawServer(script, context=context) as server, to(server, scheme="https", ca_file=authority) as made:
        replies = [made.call("POST", "/x/", body=b"{}") for _ in pieces]
        assert [reply.body for reply in replies] == [*bodies, b"z"]
        assert [reply.fresh_connection for reply in replies] == [True, False, False, False, False]
        assert not any(b"cookie" in request.lower() for request in server.requests)


def test_an_answer_that_closes_lets_the_server_see_the_end_at_once():
    ends = []

    def script(server, connection):
        server.take(connection)
        connection.sendall(answer(head=b"Connection: close\r\n"))
        connection.settimeout(5)
        ends.append(connection.recv(1))
        server.over.set()

    with RawServer(script) as server, to(server) as made:
        assert made.call("GET", "/a/").status_code == 200
        assert server.over.wait(5)
        assert ends == [b""]


def test_a_deadline_that_passes_before_the_connection_stands_sends_nothing(monkeypatch):
    resolve = socket.getaddrinfo

    def slowly(*arguments, **settings):
        time.sleep(0.4)
        return resolve(*arguments, **settings)

    monkeypatch.setattr(socket, "getaddrinfo", slowly)
    with RawServer(say(answer())) as server, to(server, timeout_s=0.1) as made:
        reply = made.call("POST", "/x/", body=b"{}")
        assert (reply.sent, classify(reply)) == (False, Verdict.NOT_PROCESSED)
        assert "0.1 s" in reply.failure
        assert server.requests == []


def test_a_handshake_that_never_ends_is_cut_and_nothing_was_sent():
    with RawServer(lambda server, connection: server.over.wait(10)) as server:
        with to(server, timeout_s=0.3, scheme="https") as made:
            reply = made.call("POST", "/x/", body=b"{}")
        assert (reply.sent, classify(reply)) == (False, Verdict.NOT_PROCESSED)


def test_a_server_that_speaks_no_tls_gets_nothing():
    with RawServer(say(answer())) as server, to(server, timeout_s=0.5, scheme="https") as made:
        reply = made.call("POST", "/x/", body=b"{}")
        assert (reply.sent, classify(reply), server.requests) == (False, Verdict.NOT_PROCESSED, [])


def test_tls_that_breaks_after_the_request_is_unknown(tls):
    context, authority = tls

    def script(server, connection):
        server.take(connection)
        plain = socket.socket(fileno=connection.detach())
        with plain:
            plain.sendall(b"this is no TLS record" * 10)

    with RawServer(script, context=context) as server, to(server, scheme="https", ca_file=authority) as made:
        reply = made.call("POST", "/x/", body=b"{}")
        assert (reply.sent, classify(reply)) == (True, Verdict.UNKNOWN)


def test_a_connection_that_stays_half_open_is_not_processed(monkeypatch):
    """A listener whose queue is full leaves the client in TCP's handshake: nothing can have been sent."""
    monkeypatch.setattr(transport_module, "CONNECT_S_MAX", 0.3)
    with socket.socket() as listener, contextlib.ExitStack() as stack:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        for _ in range(4):
            filler = stack.enter_context(socket.socket())
            filler.setblocking(False)
            filler.connect_ex(listener.getsockname())
        address = f"http://127.0.0.1:{listener.getsockname()[1]}"
        made = Transport(address, TOKEN, timeout_s=5, user_agent="t", clock=SystemClock())
        reply = made.call("POST", "/x/", body=b"{}")
        made.close()
        assert (reply.sent, classify(reply)) == (False, Verdict.NOT_PROCESSED)


def test_after_an_abort_no_call_begins():
    with RawServer(say(answer())) as server, to(server) as made:
        made.abort()
        reply = made.call("POST", "/x/", body=b"{}")
        assert (reply.sent, reply.status_code, server.requests) == (False, None, [])
        assert "aborted" in reply.failure


def test_a_watchdog_that_comes_late_does_not_hit_the_next_call():
    with RawServer(say(answer(), times=2)) as server, to(server) as made:
        made.call("GET", "/a/")
        made._watch.end(1, "late")
        reply = made.call("GET", "/b/")
        made._watch.end(1, "later still")
        assert (reply.status_code, reply.fresh_connection) == (200, False)
        assert made._watch.ended is None


@pytest.mark.parametrize(
    "location", [b"http://[x/", b"//", b"\xff\xfe", b"http://127.0.0.1:1/", b"/api/v2/me/", b"file:///etc/passwd"]
)
def test_a_redirect_leads_nowhere_and_is_told_as_one(location):
    redirect = answer(b"", status=b"301 Moved Permanently", head=b"Location: " + location + b"\r\n")
    with RawServer(say(redirect)) as server, to(server) as made:
        reply = made.call("POST", "/x", body=b"{}")
        assert (reply.status_code, classify(reply), len(server.requests)) == (301, Verdict.MISDIRECTED, 1)


@pytest.mark.parametrize("status", [b"200 OK", b"302 Found", b"400 Bad Request"])
def test_no_answer_is_read_beyond_the_limit_whatever_its_status(status, monkeypatch):
    monkeypatch.setattr(transport_module, "BODY_BYTES_MAX", 1_000_000)
    sent = []

    def flood(server, connection):
        server.take(connection)
        connection.sendall(b"HTTP/1.1 " + status + b"\r\nLocation: /y/\r\n\r\n")
        for _ in range(200):
            connection.sendall(b"x" * 1_000_000)
            sent.append(1)

    with RawServer(flood) as server, to(server) as made:
        reply = made.call("POST", "/x/", body=b"{}")
    assert (reply.status_code, reply.body, classify(reply)) == (None, b"", Verdict.UNKNOWN)
    assert len(sent) < 100


def test_a_failure_that_quotes_the_token_is_masked_before_it_is_cut():
    for padding in range(0, 320, 5):
        made = Transport("http://127.0.0.1:1", TOKEN, timeout_s=1, user_agent="t", clock=SystemClock())
        made._session.headers["X"] = "p" * padding + TOKEN + "\n"  # a header that requests refuses, and quotes
        reply = made.call("GET", "/x/")
        made.close()
        assert not reply.sent
        assert TOKEN[:8] not in reply.failure
        assert TOKEN not in repr(made)


def test_a_request_is_known_to_have_arrived_only_after_its_handshake_and_before_its_answer(tls):
    context, authority = tls

    def script(server, connection):
        for _ in range(3):
            server.take(connection)
            time.sleep(0.1)
            connection.sendall(answer())

    with RawServer(script, context=context) as server, to(server, scheme="https", ca_file=authority) as made:
        fresh, *warm = [made.call("POST", "/x/", body=b"{}") for _ in range(3)]
    assert fresh.sent_s < fresh.arrived_by_s < fresh.answered_s - 0.05
    assert all(reply.arrived_by_s == reply.sent_s for reply in warm)


def test_a_request_that_was_never_sent_arrived_when_it_began():
    with RawServer() as server, to(server) as made:
        made.abort()
        reply = made.call("POST", "/x/", body=b"{}")
    assert reply.arrived_by_s == reply.sent_s
