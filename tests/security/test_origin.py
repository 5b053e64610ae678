"""The token goes to the API's own host and nowhere else: no redirect, link, proxy, file or variable leads it away."""

from __future__ import annotations

import contextlib
import json
import socket
import ssl
import threading

import pytest
import trustme
from conftest import codes
from faults.test_transport import OK, server
from security.canary import CROOKED, PLAIN, leaks

from syncer.api.classify import Verdict, classify
from syncer.api.client import Client
from syncer.api.connection import bare_tls
from syncer.api.hooks import Hooks
from syncer.api.transport import Transport
from syncer.config import load_settings
from syncer.errors import ConfigError
from syncer.process.clock import SystemClock
from syncer.sandbox.config import ALL_PERMISSIONS

HEADER = ("extended_id", "a")


@contextlib.contextmanager
def recorder():
    """A listener that keeps every byte that anybody sends it; answers each connection with an empty 200."""
    listener = socket.create_server(("127.0.0.1", 0))
    listener.settimeout(0.02)
    seen: list[bytes] = []
    stop = threading.Event()

    def serve():
        while not stop.is_set():
            with contextlib.suppress(TimeoutError, OSError):
                connection, _ = listener.accept()
                with connection:
                    connection.settimeout(1)
                    seen.append(b"(connected)")
                    seen.append(connection.recv(65536))
                    connection.sendall(OK)

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield listener.getsockname()[1], seen
    finally:
        stop.set()
        thread.join(5)
        listener.close()


def made(port, token=PLAIN, scheme="http", host="127.0.0.1", **settings):
    return Transport(f"{scheme}://{host}:{port}", token, timeout_s=2, user_agent="t", clock=SystemClock(), **settings)


def answer_with(*headers, status="200 OK", body=b"{}"):
    """A server's script: every request is answered the same way, on a connection of its own."""

    def script(connection, seen, stop):
        data = b""
        while b"\r\n\r\n" not in data:
            part = connection.recv(65536)
            if not part:
                return
            data += part
        seen.append(data)
        lines = [f"HTTP/1.1 {status}", *headers, f"Content-Length: {len(body)}", "Connection: close", "", ""]
        connection.sendall("\r\n".join(lines).encode() + body)

    return script


TRICKS = (
    "http://127.0.0.1:{evil}/x", "//127.0.0.1:{evil}/x", "http://127.0.0.1:{own}@127.0.0.1:{evil}/", "http://api@127.0.0.1:{evil}/",
    "http://localhost:{evil}/", "http://[::1]:{evil}/", "http:\\\\127.0.0.1:{evil}\\", "https://127.0.0.1:{own}/", "HTTP://127.0.0.1:{evil}/",
    "http://127.0.0.1:{evil}#@127.0.0.1:{own}/", "http://127.0.0.1:{evil}\\@127.0.0.1:{own}/", "http://127.1:{evil}/", "http://2130706433:{evil}/",
    "ftp://127.0.0.1:{evil}/", "file:///etc/passwd", "\thttp://127.0.0.1:{evil}/", "http:/127.0.0.1:{evil}/",
)  # fmt: skip


@pytest.mark.parametrize(
    "status", ["301 Moved", "302 Found", "303 See Other", "307 Temporary", "308 Permanent", "300 Choices"]
)
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_no_redirect_is_followed(status, method):
    for trick in (TRICKS[0], TRICKS[2], "/elsewhere/"):
        with recorder() as (evil, stolen):
            script = answer_with(f"Location: {trick.format(evil=evil, own=1)}", status=status)
            with server(script, script) as (port, seen), contextlib.closing(made(port)) as transport:
                reply = transport.call(method, "/x/", body=b"{}" if method == "POST" else None)
                assert reply.status_code == int(status[:3])
                assert classify(reply) is Verdict.MISDIRECTED
                assert len(seen) == 1
                assert leaks(PLAIN, seen[0])  # it went where it belongs
        assert stolen == []


def test_no_next_link_leads_it_away():
    for trick in TRICKS:
        with recorder() as (evil, stolen), contextlib.ExitStack() as stack:
            first: list[bytes] = []

            def page(connection, seen, stop, trick=trick, evil=evil, first=first):
                link = trick.format(evil=evil, own=connection.getsockname()[1])
                body = {"count": 0, "previous": None, "results": [], "next": link if not first else None}
                first.append(b"")
                answer_with(body=json.dumps(body).encode())(connection, seen, stop)

            port, seen = stack.enter_context(server(page, page))
            transport = stack.enter_context(contextlib.closing(made(port)))
            Client(transport).tasks_by_reference("r")
            for request in seen:
                assert f"\r\nHost: 127.0.0.1:{port}\r\n".encode() in request
                assert request.startswith(b"GET /api/v2/scm/tasks/?")  # never the absolute form
        assert stolen == [], trick


def test_a_run_against_a_redirecting_server_sends_it_nowhere_else(night):
    with recorder() as (evil, stolen):
        faults = [
            {"kind": "redirect", "on": call, "every": 1, "url": f"http://api@127.0.0.1:{evil}/"}
            for call in ("sync", "async", "tasks", "me")
        ]
        with night(codes=codes(250), faults=tuple(faults)) as here:
            here.write("a.csv", HEADER, [(f"K{n:06d}", "x" if n < 150 else str(n)) for n in range(250)])
            assert here.sync("a.csv").code not in {0, 1}
            assert here.run("check").code == 5
            assert here.box.requests
    assert stolen == []


def test_nothing_planted_in_the_surroundings_changes_the_way(night, tmp_path_factory):
    home = tmp_path_factory.mktemp("home")
    planted = (
        "".join(f"machine {host} login mallory password planted\n" for host in ("127.0.0.1", "localhost"))
        + "default login mallory password planted\n"
    )
    for name in (".netrc", "_netrc", "other-netrc"):
        (home / name).write_text(planted)
        (home / name).chmod(0o600)
    with recorder() as (evil, stolen), night(codes=codes(250), tokens={CROOKED: ALL_PERMISSIONS}) as here:
        proxy = f"http://mallory:planted@127.0.0.1:{evil}"
        proxies = dict.fromkeys(
            ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy", "FTP_PROXY"), proxy
        )
        for netrc in ({}, {"NETRC": str(home / "other-netrc")}):
            here.write("a.csv", HEADER, [(f"K{n:06d}", f"{n}{bool(netrc)}") for n in range(250)])
            variables = {**proxies, **netrc, "NO_PROXY": "", "HOME": str(home), "SYNCER_API__TOKEN": CROOKED}
            assert here.sync("a.csv", "--approve", **variables).code == 0
        assert {logged.status_code for logged in here.box.requests} == {200}  # another Authorization would be refused
    assert stolen == []


@pytest.fixture
def authority():
    return trustme.CA()


def tls(authority, name="127.0.0.1"):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(name).configure_cert(context)
    return context


VARIABLES = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE")


@pytest.mark.parametrize("variable", [*VARIABLES, "SSL_CERT_DIR"])
def test_no_variable_makes_a_foreign_authority_trusted(monkeypatch, tmp_path, authority, variable):
    authority.cert_pem.write_to_path(tmp_path / "foreign.pem")
    monkeypatch.setenv(variable, str(tmp_path if variable.endswith("DIR") else tmp_path / "foreign.pem"))
    script = answer_with()
    with (
        server(script, context=tls(authority)) as (port, seen),
        contextlib.closing(made(port, scheme="https")) as transport,
    ):
        reply = transport.call("GET", "/x/")
        assert "certificate verify failed" in (reply.failure or "")
        assert classify(reply) is Verdict.NOT_PROCESSED
    assert seen == []


def test_a_declared_authority_is_trusted_and_it_alone(monkeypatch, tmp_path, authority):
    authority.cert_pem.write_to_path(tmp_path / "company.pem")
    other = trustme.CA()
    other.cert_pem.write_to_path(tmp_path / "other.pem")
    for variable in VARIABLES:
        monkeypatch.setenv(variable, str(tmp_path / "other.pem"))
    for signer, name, works in (
        (authority, "127.0.0.1", True),
        (other, "127.0.0.1", False),
        (authority, "evil.example", False),
    ):
        with server(answer_with(), context=tls(signer, name)) as (port, seen):
            reply = call_tls(port, tmp_path / "company.pem")
            assert (reply.status_code == 200) is works
            assert bool(seen) is works


def call_tls(port, ca_file):
    with contextlib.closing(made(port, scheme="https", ca_file=str(ca_file))) as transport:
        return transport.call("GET", "/x/")


def test_a_hook_trusts_the_declared_authority_too_beside_the_public_ones(monkeypatch, tmp_path, authority):
    """A network that has its own authority answers with it for every address, also for that of a webhook."""
    pem, other = tmp_path / "company.pem", trustme.CA()
    authority.cert_pem.write_to_path(pem)
    other.cert_pem.write_to_path(tmp_path / "other.pem")
    for variable in VARIABLES:
        monkeypatch.setenv(variable, str(tmp_path / "other.pem"))
    loaded = []
    monkeypatch.setattr("syncer.api.connection.bare_tls", lambda: loaded.append(bare_tls()) or loaded[-1])
    for signer, name, ca_file, works in (
        (authority, "127.0.0.1", str(pem), True),
        (authority, "127.0.0.1", None, False),
        (other, "127.0.0.1", str(pem), False),
        (authority, "evil.example", str(pem), False),
    ):
        with server(answer_with(), context=tls(signer, name)) as (port, seen):
            assert Hooks(5.0, "test", ca_file=ca_file).ping(f"https://127.0.0.1:{port}/x/") is works
            assert bool(seen) is works
    assert loaded[0].cert_store_stats()["x509_ca"] > 50, "the public authorities count, too"


def test_the_keys_of_a_connection_are_written_nowhere(monkeypatch, tmp_path, authority):
    monkeypatch.setenv("SSLKEYLOGFILE", str(tmp_path / "keys.log"))
    authority.cert_pem.write_to_path(tmp_path / "company.pem")
    context = tls(authority)
    with server(answer_with(), context=context) as (port, seen):
        assert call_tls(port, tmp_path / "company.pem").status_code == 200
    assert leaks(PLAIN, seen[0])
    assert not (tmp_path / "keys.log").exists()


def test_the_whole_program_uses_the_declared_authority(night, tmp_path, authority):
    authority.cert_pem.write_to_path(tmp_path / "company.pem")
    body = json.dumps({"email": "a@b.example"}).encode()
    with server(*[answer_with(body=body)] * 2, context=tls(authority)) as (port, seen), night() as here:
        url = {"SYNCER_API__BASE_URL": f"https://127.0.0.1:{port}"}
        here.config('[api]\nca_file = "company.pem"\n')
        done = here.run("check", "--json", **url)
        assert "accepts the token of a@b.example" in json.dumps(done.document)
        assert len(seen) == 1
        here.config("")
        refused = here.run("check", "--json", **url)
        assert refused.code == 5
        assert "certificate verify failed" in refused.out
        assert len(seen) == 1


def test_products_scans_and_own_codes_use_the_declared_authority_too(night, tmp_path, authority):
    """Own codes go to storage as well: another host, which answers with a certificate of the same authority."""
    authority.cert_pem.write_to_path(tmp_path / "company.pem")
    with night(codes=(), scans=3, ingestion_run_s=0.0) as here:
        ports = (here.box.port, int(here.box.storage_url.rpartition(":")[2]))
        api, storage = (tls_before(port, tls(authority)) for port in ports)
        with api as api_port, storage as storage_port:
            url = {"SYNCER_API__BASE_URL": f"https://127.0.0.1:{api_port}"}
            here.box.storage_url = f"https://127.0.0.1:{storage_port}"
            here.write("codes.csv", ["id"], [("ABCD00001",)])
            commands = (
                ("products", "pull"), ("scans", "pull", "--campaign", "1"), ("workorders", "list"),
                ("scans", "pull", "--campaign", "1", "--raw-csv"), ("codes", "upload", "codes.csv"),
            )  # fmt: skip
            for command in commands:
                here.config("")
                alone = here.run(*command, "--json", **url, SYNCER_API__GIVE_UP_AFTER_S="0.3")
                assert (alone.code, "certificate verify failed" in alone.out) == (5, True), command
                here.config('[api]\nca_file = "company.pem"\n')
                assert here.run(*command, "--json", **url).code in {0, 3}, command
        assert [code["extended_id"] for code in here.box.codes()] == ["ABCD00001"]


@contextlib.contextmanager
def tls_before(port, context):
    """Speak TLS in front of a plain server on this machine; give the port."""
    listening = socket.create_server(("127.0.0.1", 0))

    def pump(source, sink):
        with contextlib.suppress(OSError):
            while part := source.recv(65536):
                sink.sendall(part)
        with contextlib.suppress(OSError):
            sink.shutdown(socket.SHUT_WR)

    def serve(plain):
        with (
            contextlib.suppress(OSError),
            context.wrap_socket(plain, server_side=True) as outer,
            socket.create_connection(("127.0.0.1", port)) as inner,
        ):
            back = threading.Thread(target=pump, args=(inner, outer), daemon=True)
            back.start()
            pump(outer, inner)
            back.join(10)

    def accept():
        with contextlib.suppress(OSError):
            while True:
                threading.Thread(target=serve, args=(listening.accept()[0],), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    with listening:
        yield listening.getsockname()[1]
        listening.shutdown(socket.SHUT_RDWR)


@pytest.mark.parametrize(("text", "words"), [(None, "cannot be read"), ("not a certificate", "holds no certificate")])
def test_an_authority_that_is_none_is_said_at_once(tmp_path, text, words):
    if text is not None:
        (tmp_path / "ca.pem").write_text(text)
    with pytest.raises(ConfigError, match=words):
        load_settings(explicit=None, environ={"SYNCER_API__CA_FILE": str(tmp_path / "ca.pem")}, cwd=tmp_path)


@pytest.mark.parametrize(
    "url",
    [
        "https://user@api.scantrust.com", "https://:pw@api.scantrust.com", "https://@api.scantrust.com", "https://api.scantrust.com\\@evil.example",
        "https://api.scantrust.com?x=1", "https://api.scantrust.com#x", "https://api.scantrust.com:port", "https://api.scantrust.com\r\nHost: evil", "https:///x",
        "http://api.scantrust.com", "http://127.0.0.1.evil.example", "http://localhost.evil.example", "http://127.0.0.1@evil.example", "ftp://127.0.0.1", "https://ａpi.scantrust.com",
        "http://0.0.0.0", "http://2130706433",
    ],
)  # fmt: skip
def test_an_address_that_could_lead_elsewhere_is_refused(tmp_path, url):
    (tmp_path / "config.toml").write_text(f"[api]\nbase_url = {json.dumps(url)}\n", encoding="utf-8")
    with pytest.raises(ConfigError, match="base_url"):
        load_settings(explicit=None, environ={}, cwd=tmp_path)


def test_no_cookie_is_kept():
    script = answer_with("Set-Cookie: session=planted; Path=/", "Set-Cookie: other=planted; Domain=127.0.0.1")
    with server(script, script) as (port, seen), contextlib.closing(made(port)) as transport:
        for _ in range(2):
            assert transport.call("GET", "/x/").status_code == 200
    assert [b"Cookie" in request for request in seen] == [False, False]


def echoes(status, token):
    """An answer that repeats the token wherever an answer has room."""
    quoted = json.dumps(token)[1:-1]
    body = {
        "detail": f"who is UAT {token}?", "task_id": token, "id": token, "codes_affected": 1, "items": {token: [token]}, "email": token, "permissions": [token],
        "results": [{"id": token, "state": token, "reference": token, "error": {"header": quoted}}], "next": None, "count": 1, "state": token,
        "error": token, "errors": [token], "reference": token,
    }  # fmt: skip
    return answer_with(
        f"Location: /{token}",
        f"Retry-After: {token}",
        f"Set-Cookie: a={token}",
        f"Date: {token}",
        status=status,
        body=json.dumps(body).encode(),
    )


@pytest.mark.parametrize(
    "status", ["200 OK", "302 Found", "400 Bad", "401 No", "403 No", "404 None", "406 No", "429 Slow", "500 Broken"]
)
@pytest.mark.parametrize("token", [PLAIN, CROOKED], ids=["plain", "crooked"])
def test_a_server_that_repeats_it_tells_it_to_nobody(status, token):
    calls = [
        lambda client: client.upload_async({"extended_id": ["a"]}, {"b": "c"}, "r", None), lambda client: client.me(), lambda client: client.task("a"),
        lambda client: client.tasks(["a"]), lambda client: client.tasks_by_reference("r"),
    ]  # fmt: skip
    with server(*[echoes(status, token)] * len(calls)) as (port, seen):
        for call in calls:
            with contextlib.closing(made(port, token)) as transport:
                answer = call(Client(transport))
            shown = {
                name: getattr(answer, name)
                for name in ("message", "body_text", "task_id", "email")
                if hasattr(answer, name)
            }
            tasks = [(task.remote_state, task.error) for task in getattr(answer, "tasks", ())]
            assert not leaks(token, repr((shown, tasks))), shown
        assert len(seen) == len(calls)
        assert all(leaks(token, request) for request in seen)
