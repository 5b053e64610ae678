"""The catalogue of faults, first part: the network and what answers there. Each fault has its exit code and its words.

The program runs as a real process against a server that stands before the sandbox (tests/catalogue/front.py). After each
fault one run without it completes, and the server's record is right. Further parts: test_catalogue_*.py.
"""

from __future__ import annotations

import datetime
import json
import socket
import sqlite3
import ssl
from contextlib import closing, contextmanager

import pytest
import trustme
from catalogue.front import Act, Elsewhere, Front, body_of, bytes_of, changed, drip, http_answer, silence
from catalogue.kept import CODES, FACTS, Ends, assert_ends, assert_nothing_lost
from conftest import TOKEN

DOWN = ("syncer check", "syncer sync")
HUGE = b'{"codes_affected": 20, "task_id": "a", "x": "' + b"x" * (65 << 20) + b'"}'
DEEP = b'{"codes_affected": 20, "task_id": "a", "x": ' + b"[" * 100_000 + b"]" * 100_000 + b"}"
HTML = b"<html><body>Service is busy</body></html>"


def chunks(*pieces):
    return b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + b"".join(pieces)


def whole_but(spoil):
    """The true answer in HTTP, spoiled."""

    def say(front, connection, answer):
        connection.sendall(spoil(answer))
        return False

    return say


def in_chunks(answer, *, size=None, end=b"0\r\n\r\n"):
    return chunks(b"%x\r\n" % len(answer) if size is None else size, answer, b"\r\n", end)


WIRE = {
    # what is said to every call; it was processed, so every upload is in doubt until the next run
    "one byte a second": (drip(1.0), ("0.4 s",)),
    "a drip that outlasts timeout_s by far": (drip(0.05), ("0.4 s",)),
    "no answer, the connection stays": (silence, ("0.4 s",)),
    "the connection is closed without a word": (bytes_of(b""), ()),
    "JSON beyond the limit": (body_of(HUGE), ("longer than",)),
    "JSON nested 100,000 deep": (body_of(DEEP), ("status 200", "cannot be read")),
    "HTML with 200": (body_of(HTML), ("status 200", "a page")),
    "nothing with 200": (body_of(b""), ("status 200", "cannot be read")),
    "half of the answer": (whole_but(lambda answer: http_answer(answer)[: -max(1, len(answer) // 2)]), ()),
    "an answer shorter than its length": (whole_but(lambda a: http_answer(a).replace(b"h: ", b"h: 1", 1)), ()),
    "chunks of bad size": (whole_but(lambda a: in_chunks(a, size=b"xyz\r\n")), ()),
    "chunks of negative size": (whole_but(lambda a: in_chunks(a, size=b"-5\r\n")), ()),
    "a chunk shorter than its size": (whole_but(lambda a: in_chunks(a, size=b"ffffff\r\n")), ()),
    "chunks without an end": (whole_but(lambda a: in_chunks(a, end=b"")), ()),
    "gzip that is none": (
        whole_but(lambda a: http_answer(a, head=b"Content-Encoding: gzip\r\n")), ()),
    "a 500": (bytes_of(http_answer(b"{}", status=b"500 X")), ("status 500",)),
    "a 502 in HTML": (bytes_of(http_answer(HTML, status=b"502 X")), ("status 502", "HTML")),
}  # fmt: skip


@pytest.mark.parametrize("name", WIRE)
def test_an_answer_that_is_spoiled_on_its_way(place, forks, record_property, name):
    say, words = WIRE[name]
    with Front(place.box.port, lambda call: Act(say)) as front:
        # What is long must have arrived before the deadline does, to be refused for what it is.
        deadline_s = "0.4" if "0.4 s" in words else "5"
        variables = place.variables(SYNCER_API__BASE_URL=front.url, SYNCER_API__TIMEOUT_S=deadline_s)
        done = forks.run(place.folder, variables, "sync", "--json", "a.csv")
    assert_ends(done, Ends(5, ("the API has failed", *words), DOWN))
    assert done.document["values"]["confirmed"] == 0
    assert_nothing_lost(place, forks)
    record_property("covered", FACTS)


@contextmanager
def nothing_listens(here):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    yield f"http://127.0.0.1:{port}", None


@contextmanager
def unknown_host(here):
    yield "https://no-such-host.invalid", None


def server_context(authority, name, **settings):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(name, **settings).configure_cert(context)
    return context


def certificate(name="127.0.0.1", *, trusted=True, **settings):
    @contextmanager
    def bring_about(here):
        authority = trustme.CA()
        pem = here.folder / "authority.pem"
        (authority if trusted else trustme.CA()).cert_pem.write_to_path(str(pem))
        with Front(here.box.port, context=server_context(authority, name, **settings)) as front:
            yield front.url, {"where": "authority", "file": str(pem)}
            assert front.calls == []

    return bring_about


LONG_AGO = datetime.datetime(2020, 1, 1, tzinfo=datetime.UTC)
UNREACHED = {
    # nothing of a call can have been processed: everything stays unsent
    "connection refused": (nothing_listens, ("refused",)),
    "a host that no name server knows": (unknown_host, ("no-such-host.invalid",)),
    "a certificate of nobody known": (certificate(trusted=False), ("certificate verify failed",)),
    "a certificate that has expired": (certificate(not_after=LONG_AGO), ("certificate has expired",)),
    "another host's certificate": (certificate("example.org"), ("127.0.0.1",)),
}


def belong_to(place, url):
    """Let the ledger say that the API was at an address before, or that it was at none."""
    with closing(sqlite3.connect(place.folder / "syncer.db")) as ledger, ledger:
        ledger.execute("UPDATE ledger SET base_url = ?", (url,))


@pytest.mark.parametrize("name", UNREACHED)
def test_a_server_that_is_not_reached(place, forks, record_property, name):
    bring_about, words = UNREACHED[name]
    with bring_about(place) as (url, trap):
        variables = place.variables(SYNCER_API__BASE_URL=url)
        done = forks.run(place.folder, variables, "sync", "--json", "a.csv", trap=trap)
        checked = forks.run(place.folder, variables, "check", "--json", trap=trap)
        belong_to(place, url)
        later = forks.run(place.folder, variables, "resume", "--json", trap=trap)
        belong_to(place, None)
    assert_ends(later, Ends(5, ("the API has failed", *words), ("syncer resume",)))
    is_untrusted = "certificate" in name  # no passing trouble where the API never was
    first = ("does not answer as it should", *words) if is_untrusted else ("the API has failed", *words)
    assert_ends(done, Ends(5, first, ("api.ca_file", "syncer sync") if is_untrusted else DOWN))
    assert done.document["values"]["unsent"] == CODES
    assert_ends(checked, Ends(5, words, ("api.base_url", "syncer check")))
    assert_nothing_lost(place, forks)
    record_property("covered", FACTS)


def test_with_the_right_certificate_the_same_way_works(place, forks):
    """The faults of certificates above are faults of certificates, not of the way the test goes."""
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(place.folder / "authority.pem"))
    trap = {"where": "authority", "file": str(place.folder / "authority.pem")}
    with Front(place.box.port, context=server_context(authority, "127.0.0.1")) as front:
        variables = place.variables(SYNCER_API__BASE_URL=front.url)
        assert forks.run(place.folder, variables, "sync", "--json", "a.csv", trap=trap).code == 0
    assert_nothing_lost(place, forks)


@pytest.mark.parametrize("status", [b"301 Moved Permanently", b"302 Found", b"303 See Other", b"307 X", b"308 X"])
def test_a_redirect_to_another_host_gets_neither_token_nor_data(place, forks, record_property, status):
    with Elsewhere() as elsewhere:
        redirect = http_answer(b"", status=status, head=b"Location: " + elsewhere.url.encode() + b"/x/\r\n")
        with Front(place.box.port, lambda call: Act(bytes_of(redirect), pass_on=False)) as front:
            done = forks.run(place.folder, place.variables(SYNCER_API__BASE_URL=front.url), "sync", "--json", "a.csv")
            assert all(f"UAT {TOKEN}".encode() in call.head for call in front.calls)
        assert elsewhere.heard == []
    assert_ends(
        done,
        Ends(
            5,
            ("is not the API", "redirected to http://127.0.0.1"),
            ("run again", "a proxy", "api.base_url", "syncer sync"),
        ),
    )
    assert_nothing_lost(place, forks)
    record_property("covered", FACTS)


def test_a_next_link_to_another_host_is_not_followed_and_proves_no_absence(place, forks, record_property):
    """The async answer is lost and the list of tasks goes on elsewhere: the batch stays in doubt, none is created anew."""
    with Elsewhere() as elsewhere:

        def lead_away(answer):
            return json.dumps({"count": 2, "next": f"{elsewhere.url}/api/v2/scm/tasks/", "results": []}).encode()

        def bend(call):
            if call.name == "async":
                return Act(bytes_of(b""))
            return Act(changed(lead_away)) if call.name == "list" else None

        with Front(place.box.port, bend) as front:
            done = forks.run(place.folder, place.variables(SYNCER_API__BASE_URL=front.url), "sync", "--json", "a.csv")
            assert front.count("list") >= 1
        assert elsewhere.heard == []
    assert_ends(done, Ends(3))
    assert done.document["values"]["in_doubt"] == 110
    assert len(place.box.world.tasks) == 1
    assert_nothing_lost(place, forks)
    assert len(place.box.world.tasks) == 1
    record_property("covered", FACTS)
