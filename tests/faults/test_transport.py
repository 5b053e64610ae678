"""The transport against servers that misbehave: one answer within its deadline, and the truth about what was sent."""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading
import time

import pytest
import trustme

from syncer.api.classify import RETRY_AFTER_MAX_S, Verdict, classify, retry_after_s
from syncer.api.client import Client
from syncer.api.transport import BODY_BYTES_MAX, Transport
from syncer.process.clock import SystemClock

TOKEN = "canary-77aa"
OK = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}"


@contextlib.contextmanager
def server(*scripts, context=None):
    """Answer the n-th connection with the n-th script, a function of the connection and the request's bytes."""
    listener = socket.create_server(("127.0.0.1", 0))
    listener.settimeout(0.02)
    seen = []
    stop = threading.Event()

    def serve():
        for script in scripts:
            connection = None
            while connection is None:
                if stop.is_set():
                    return
                try:
                    connection, _ = listener.accept()
                except TimeoutError:
                    continue
                except OSError:
                    return
            connection.settimeout(None)
            with contextlib.suppress(OSError), contextlib.ExitStack() as stack:
                stack.enter_context(connection)
                if context is not None:
                    connection = stack.enter_context(context.wrap_socket(connection, server_side=True))
                script(connection, seen, stop)

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield listener.getsockname()[1], seen
    finally:
        stop.set()
        listener.close()
        thread.join(5)


def request_of(connection):
    data = b""
    while b"\r\n\r\n" not in data:
        part = connection.recv(65536)
        if not part:
            return data
        data += part
    return data


def say(*pieces, pause_s=0.0, close=True, times=1):
    def script(connection, seen, stop):
        for _ in range(times):
            seen.append(request_of(connection))
            for piece in pieces:
                connection.sendall(piece)
                if stop.wait(pause_s):
                    return
        if not close:
            stop.wait(10)

    return script


def drip(head, body, pause_s=0.05):
    def script(connection, seen, stop):
        seen.append(request_of(connection))
        connection.sendall(head)
        for byte in body:
            if stop.wait(pause_s):
                return
            connection.sendall(bytes([byte]))

    return script


@contextlib.contextmanager
def transport(port, timeout_s=1.0, scheme="http", **settings):
    made = Transport(
        f"{scheme}://127.0.0.1:{port}", TOKEN, timeout_s=timeout_s, user_agent="t", clock=SystemClock(), **settings
    )
    try:
        yield made
    finally:
        made.close()


def call(script, **settings):
    with server(script) as (port, seen), transport(port, **settings) as made:
        began_s = time.monotonic()
        reply = made.call("POST", "/x/", body=b"{}")
        assert time.monotonic() - began_s < settings.get("timeout_s", 1.0) + 2
        return reply, seen


UNKNOWN_SCRIPTS = {
    "closes without a word": say(),
    "garbage for a status line": say(b"garbage\r\n\r\n"),
    "half a body": say(OK[:-1]),
    "a chunk cut short": say(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab"),
    "a chunk that is none": say(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nab\r\n0\r\n\r\n"),
    "never answers": say(close=False),
    "a head in drips": drip(b"", OK * 10),
    "a body in drips": drip(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n", b"x" * 1000),
    "drips without a length": drip(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n", b"x" * 1000),
    "a flood of headers": say(b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 5000 + b"\r\n"),
    "a broken gzip": say(b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 5\r\n\r\nhello"),
}


@pytest.mark.parametrize("name", UNKNOWN_SCRIPTS)
def test_a_lost_answer_is_unknown_and_comes_within_the_deadline(name):
    reply, seen = call(UNKNOWN_SCRIPTS[name])
    assert reply.status_code is None
    assert reply.sent
    assert reply.failure
    assert classify(reply) is Verdict.UNKNOWN
    assert TOKEN not in reply.failure
    assert len(seen) == 1, "a POST was repeated"


def test_nothing_left_when_the_connection_never_stood():
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    for address in (f"http://127.0.0.1:{port}", "http://no-such-host.invalid"):
        made = Transport(address, TOKEN, timeout_s=2, user_agent="t", clock=SystemClock())
        reply = made.call("POST", "/x/", body=b"{}")
        assert (reply.sent, classify(reply)) == (False, Verdict.NOT_PROCESSED)
        made.close()


def test_a_wrong_certificate_stops_before_anything_is_sent(tmp_path):
    right, wrong = trustme.CA(), trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    wrong.issue_cert("127.0.0.1").configure_cert(context)
    authority = tmp_path / "ca.pem"
    right.cert_pem.write_to_path(str(authority))
    with server(say(OK), context=context) as (port, seen):
        with transport(port, scheme="https", ca_file=str(authority)) as made:
            reply = made.call("POST", "/x/", body=b"{}")
        assert (reply.sent, classify(reply), seen) == (False, Verdict.NOT_PROCESSED, [])
        assert "certificate" in reply.failure.lower()


def test_a_right_certificate_is_accepted_and_planted_surroundings_are_not_read(tmp_path, monkeypatch):
    authority, context = trustme.CA(), ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    pem = tmp_path / "ca.pem"
    authority.cert_pem.write_to_path(str(pem))
    (tmp_path / ".netrc").write_text("machine 127.0.0.1 login eve password mallory\n")
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("NETRC", str(tmp_path / ".netrc"))
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", "/nonexistent.pem")
    with server(say(OK), context=context) as (port, seen), transport(port, scheme="https", ca_file=str(pem)) as made:
        reply = made.call("GET", "/x/")
        assert reply.status_code == 200
        assert f"Authorization: UAT {TOKEN}".encode() in seen[0]


def test_a_redirect_is_not_followed_and_the_token_goes_nowhere_else():
    with server(say(OK)) as (elsewhere, stolen):
        answer = f"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:{elsewhere}/\r\nContent-Length: 0\r\n\r\n".encode()
        reply, _ = call(say(answer))
        assert (reply.status_code, classify(reply), stolen) == (302, Verdict.MISDIRECTED, [])


def test_an_answer_that_nobody_asked_for_is_never_taken_for_the_next_one():
    stray = OK.replace(b"{}", b"[]")
    for pieces in ((OK + stray,), (OK, stray)):
        with (
            server(say(*pieces, pause_s=0.05, close=False), say(OK)) as (port, _),
            transport(port, timeout_s=0.5) as made,
        ):
            assert made.call("GET", "/a/").body == b"{}"
            time.sleep(0.2)
            assert made.call("GET", "/b/").body in {b"{}", b""}  # the right answer, or none: never the stray one


def test_a_connection_is_kept_and_known_to_be_warm():
    with server(say(OK, times=2)) as (port, seen), transport(port) as made:
        replies = [made.call("GET", "/a/"), made.call("GET", "/b/")]
        assert [reply.fresh_connection for reply in replies] == [True, False]
        assert len(seen) == 2


def test_an_endless_answer_is_cut_off():
    def flood(connection, seen, stop):
        seen.append(request_of(connection))
        connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
        while not stop.is_set():
            connection.sendall(b"x" * 1_000_000)

    reply, _ = call(flood, timeout_s=20)
    assert reply.status_code is None
    assert str(BODY_BYTES_MAX) in reply.failure


def test_abort_ends_a_call_at_once():
    with server(say(close=False)) as (port, _), transport(port, timeout_s=30) as made:
        threading.Timer(0.2, made.abort).start()
        began_s = time.monotonic()
        assert made.call("GET", "/x/").status_code is None
        assert time.monotonic() - began_s < 5


@pytest.mark.parametrize(
    ("head", "body", "seconds"),
    [
        (b"Retry-After: 7\r\n", b"{}", 7),
        (b"", b'{"detail": "Request was throttled. Expected available in 12 seconds."}', 12),
        (b"", b"nonsense", 1),
        (b"Retry-After: -5\r\n", b"{}", 1),
        (b"Retry-After: 99999999\r\n", b"{}", RETRY_AFTER_MAX_S),  # told as it is; the run gives up before
        (b"Retry-After: Wed, 21 Oct 2015 07:28:00 GMT\r\n", b"{}", 0),
    ],
)
def test_a_throttle_says_how_long_to_wait(head, body, seconds):
    answer = b"HTTP/1.1 429 Too Many Requests\r\n" + head + b"Content-Length: %d\r\n\r\n" % len(body) + body
    reply, _ = call(say(answer))
    assert classify(reply) is Verdict.NOT_PROCESSED
    assert retry_after_s(reply) == seconds


@pytest.mark.parametrize(
    "body",
    [
        b"", b"null", b"[]", b"{}", b'{"task_id": 5}', b'{"task_id": ""}', b'{"task_id": null}', b"{" * 100_000, b"\xff\xfe",
        b'{"task_id": "a"', b'{"task_id"', b'"text"', b"[" * 100_000, b'{"task_id": ["a"]}', b"<html></html>", b"NaN",
    ],
)  # fmt: skip
def test_an_unreadable_answer_to_an_upload_is_unknown(body):
    answer = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body
    with server(say(answer), say(answer)) as (port, _), transport(port) as made:
        accepted = Client(made).upload_async({"k": ["v"]}, {"f": "1"}, "r", None)
        assert accepted.verdict is Verdict.UNKNOWN
        assert accepted.message


@pytest.mark.parametrize(
    "body",
    [
        b'{"codes_affected": "3"}', b'{"codes_affected": -1}', b'{"codes_affected": 1.5}', b'{"codes_affected": true}',
        b'{"codes_affected": 99999999999999999999999}', b'{"codes_affected": 1, "items": []}', b"{}",
        b'{"codes_affected": 1, "items": {"a": "lot"}}', b'{"codes_affected": 1, "items": {"a": [1]}}',
    ],
)  # fmt: skip
def test_wrong_types_in_a_sync_answer_are_unknown(body):
    answer = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body
    with server(say(answer)) as (port, _), transport(port) as made:
        assert Client(made).upload_sync("k", [{"k": "v"}]).verdict is Verdict.UNKNOWN


def test_next_links_lead_nowhere_else():
    with server(say(OK)) as (elsewhere, stolen):
        page = f'{{"results": [], "next": "http://127.0.0.1:{elsewhere}/api/v2/scm/tasks/?offset=20"}}'.encode()
        answer = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(page) + page
        with server(say(answer)) as (port, _), transport(port) as made:
            listed = Client(made).tasks_by_reference("r")
        assert (listed.verdict, listed.complete, stolen) == (Verdict.OK, False, [])


def test_what_quotes_the_token_is_masked():
    body = f'{{"detail": "bad token {TOKEN}"}}'.encode()
    answer = b"HTTP/1.1 400 Bad Request\r\nContent-Length: %d\r\n\r\n" % len(body) + body
    with server(say(answer)) as (port, _), transport(port) as made:
        answer = Client(made).upload_sync("k", [{"k": "v"}])
        assert answer.verdict is Verdict.REFUSED
        assert TOKEN not in answer.message + answer.body_text + repr(made)
