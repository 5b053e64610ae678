"""The sandbox answers programs of this machine, and no page that a browser shows."""

from __future__ import annotations

import http.client
import json

import pytest

from syncer.sandbox import Sandbox, SandboxConfig

JSON = "application/json"
FAULT = json.dumps([{"kind": "status", "on": "me", "nth": 1, "status_code": 503}])


@pytest.fixture(scope="module")
def box():
    with Sandbox(SandboxConfig()) as running:
        yield running


def ask(box, method="GET", path="/sandbox/state", body=None, **headers):
    connection = http.client.HTTPConnection("127.0.0.1", box.port, timeout=10)
    connection.putrequest(method, path, skip_host="Host" in headers, skip_accept_encoding=True)
    if body is not None and "Content-Length" not in headers and "Transfer-Encoding" not in headers:
        headers["Content-Length"] = str(len(body))
    for name, value in headers.items():
        connection.putheader(name, value)
    connection.endheaders()
    if body:
        connection.send(body.encode())
    answer = connection.getresponse()
    text = answer.read().decode()
    connection.close()
    return answer.status, text


@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "evil.example:8377",
        "127.0.0.1.evil.example",
        "localhost.evil.example:1",
        "127.0.0.2",
        "0.0.0.0",
        "user@127.0.0.1",
    ],
)
@pytest.mark.parametrize("path", ["/", "/sandbox/state", "/api/v2/me/"])
def test_another_hosts_name_is_refused(box, host, path):
    status, text = ask(box, path=path, Host=host)
    assert (status, "DEMO" in text) == (403, False)


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "localhost:8377", "LOCALHOST:1", "[::1]:8377"])
def test_its_own_names_are_answered(box, host):
    assert ask(box, Host=host)[0] == 200


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "http://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://127.0.0.1:8377"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
    ],
)
@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/sandbox/faults"),
        ("POST", "/sandbox/reset"),
        ("GET", "/sandbox/state"),
        ("POST", "/api/v2/scm/upload/"),
    ],
)
def test_a_page_is_refused_and_changes_nothing(box, headers, method, path):
    before = list(box.faults._rules)
    content = {"Content-Type": "text/plain", **headers}
    assert ask(box, method, path, FAULT if method == "POST" else None, **content)[0] == 403
    assert box.faults._rules == before


@pytest.mark.parametrize(
    "kind",
    [
        "text/plain",
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=x",
        "text/plain; application/json",
        None,
    ],
)
def test_a_form_is_no_json(box, kind):
    headers = {} if kind is None else {"Content-Type": kind}
    assert ask(box, "POST", "/sandbox/faults", FAULT, **headers)[0] == 415


def test_programs_are_answered(box):
    assert ask(box, "POST", "/sandbox/faults", "[]", **{"Content-Type": "application/json; charset=utf-8"})[0] == 200
    assert ask(box, "POST", "/sandbox/reset", "")[0] == 200
    assert ask(box, **{"Sec-Fetch-Site": "none"})[0] == 200  # an address that a person typed
    assert ask(box, path="/api/v2/me/", Authorization="UAT x")[0] == 200


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Content-Length": "-1"}, 400), ({"Content-Length": "1e3"}, 400), ({"Content-Length": "٣"}, 400),
        ({"Content-Length": str(1 << 60)}, 413), ({"Transfer-Encoding": "chunked"}, 411),
    ],
)  # fmt: skip
def test_a_body_of_no_reasonable_length_is_not_read(box, headers, status):
    if not headers.get("Content-Length", "").isascii():
        headers = {"Content-Length": "\xb3"}  # a header is Latin-1
    assert ask(box, "POST", "/sandbox/faults", "", **{"Content-Type": JSON, **headers})[0] == status
