"""What an answer means outside the engine, said once: wait, error or stop; and which links to a next page are ours."""

from __future__ import annotations

import contextlib
from pathlib import Path

import pytest

import syncer
from syncer.api.answers import Answer
from syncer.api.classify import Verdict
from syncer.api.limits import ReadLimiter
from syncer.api.links import LINK_CHARACTERS_MAX, next_parameters, next_query
from syncer.api.reading import ForbiddenError, Reader, fault_of
from syncer.api.wire import UnreadableError
from syncer.errors import AGAIN, AccessError, DeadlineError, SignalError, SyncerError, UnreachableError
from syncer.process.clock import Clock
from syncer.process.signals import Interrupt

HTTPS = "https://api.example.com"
PATH = "/api/v2/things/"


class Ticking(Clock):
    """A clock that moves only by sleeping."""

    def __init__(self):
        self.now_s = 1000.0

    def monotonic_s(self):
        return self.now_s

    def wall_s(self):
        return self.now_s

    def sleep_s(self, seconds):
        self.now_s += seconds


class Scripted:
    """A client whose answers are written down; the last one is given for ever."""

    def __init__(self, *answers):
        self.answers = list(answers)
        self.asked_at_s = []

    until = staticmethod(contextlib.nullcontext)

    def close(self):
        pass


def answer(verdict, status_code=None, **members):
    return Answer(verdict=verdict, status_code=status_code, message="its words", **members)


OK, LOST = answer(Verdict.OK, 200), answer(Verdict.UNKNOWN, 500)
THROTTLED = answer(Verdict.NOT_PROCESSED, 429, retry_after_s=5.0)
PAGE = answer(Verdict.MISDIRECTED, 404, page=True)


def asked(*answers, takes=(), **members):
    """Ask once by a reader; return the answer, the reader, and when its calls were made."""
    clock, client = Ticking(), Scripted(*answers)
    members = {"give_up_after_s": 60.0, **members}
    reader = Reader(client, clock, ReadLimiter(3000), Interrupt(), **members)

    def call(client):
        client.asked_at_s.append(clock.now_s)
        return client.answers.pop(0) if len(client.answers) > 1 else client.answers[0]

    return lambda: reader.ask(call, takes=takes), reader, client.asked_at_s


@pytest.mark.parametrize(
    ("refused", "kind", "exit_code"),
    [
        (answer(Verdict.DENIED, 401), AccessError, 12), (answer(Verdict.DENIED, 403), ForbiddenError, 12),
        (answer(Verdict.MISDIRECTED, 302), UnreachableError, 5), (PAGE, UnreachableError, 5),
        (answer(Verdict.REFUSED, 400), SyncerError, 1),
    ],
)  # fmt: skip
def test_what_no_waiting_mends_stops_at_once(refused, kind, exit_code):
    ask, _reader, calls = asked(refused, OK, needs="scans_download")
    with pytest.raises(kind, match="its words") as caught:
        ask()
    assert (caught.value.status, len(calls)) == (exit_code, 1)
    assert ("scans_download" in caught.value.message) == (exit_code == 12)


@pytest.mark.parametrize("failed", [LOST, THROTTLED, answer(Verdict.NOT_PROCESSED)])
def test_what_waiting_mends_is_asked_again_until_it_is_answered(failed):
    ask, reader, calls = asked(failed, failed, OK)
    assert ask() is OK
    assert len(calls) == reader.counts.reads == 3
    assert reader.counts.throttled + reader.counts.retries == 2
    assert calls[2] - calls[0] >= (10.0 if failed is THROTTLED else 0.25)


@pytest.mark.parametrize("failed", [LOST, THROTTLED])
def test_an_api_that_fails_for_too_long_stops_and_the_next_question_waits_as_long(failed):
    ask, reader, _calls = asked(failed)
    for _ in range(2):
        began_s = reader.clock.now_s
        with pytest.raises(UnreachableError, match="without one success") as caught:
            ask()
        assert 55.0 <= reader.clock.now_s - began_s <= 130.0
        assert (caught.value.next, "syncer check" in caught.value.words) == (AGAIN, True)


def test_a_certificate_that_nobody_knows_leads_to_the_setting_for_an_authority_of_the_networks_own():
    words = "SSLCertVerificationError: [SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed: unable to get …"
    lost = [fault_of(Answer(verdict=Verdict.NOT_PROCESSED, message=one)) for one in (words, "refused")]
    assert ["api.ca_file" in one.words for one in lost] == [True, False]


UNTRUSTED = Answer(verdict=Verdict.NOT_PROCESSED, message="[SSL] certificate verify failed: certificate has expired")


def test_a_certificate_that_cannot_be_verified_stops_at_once_where_nobody_ever_answered():
    ask, _reader, calls = asked(UNTRUSTED, OK, is_new=True)
    with pytest.raises(UnreachableError, match="has expired") as caught:
        ask()
    assert (len(calls), "api.ca_file" in caught.value.words) == (1, True)


@pytest.mark.parametrize("members", [{}, {"is_new": True, "worked": True}])
def test_it_is_waited_for_where_the_api_was_before_and_the_end_says_what_helps(members):
    ask, _reader, calls = asked(UNTRUSTED, UNTRUSTED, OK, UNTRUSTED, **members)
    assert ask() is OK
    assert len(calls) == 3
    with pytest.raises(UnreachableError, match="without one success") as caught:
        ask()
    assert "api.ca_file" in caught.value.words


def test_a_page_of_a_deployment_is_waited_for_where_the_api_was_before():
    ask, _reader, calls = asked(OK, PAGE, answer(Verdict.MISDIRECTED, 302), OK, answer(Verdict.MISDIRECTED, 404))
    assert ask() is OK
    assert ask() is OK
    assert len(calls) == 4
    with pytest.raises(UnreachableError, match="is not the API"):  # that is the API's own word
        ask()


@pytest.mark.parametrize("taken", [answer(Verdict.REFUSED, 400), answer(Verdict.MISDIRECTED, 404), PAGE])
def test_a_refusal_is_an_answer_for_whom_it_says_something_and_never_that_of_the_token(taken):
    ask, _, _ = asked(taken, takes=(Verdict.REFUSED, 404))
    assert ask() is taken
    ask, _, _ = asked(answer(Verdict.DENIED, 401), takes=(Verdict.DENIED,))
    with pytest.raises(AccessError):
        ask()


@pytest.mark.parametrize(
    ("members", "words"),
    [
        ({"status_code": 503}, "wait until what answers there is well again"),
        ({"status_code": 200}, "wait until what answers there is well again"),
        ({"status_code": 504, "timed_out": True}, "api.timeout_s"),
        ({"timed_out": True}, "api.timeout_s"),
        ({"message": "connection refused"}, "correct api.base_url or the network"),
    ],
)
def test_who_asks_once_is_told_what_helps_where_the_answer_says_nothing_of_the_call(members, words):
    error = fault_of(Answer(verdict=Verdict.UNKNOWN, **members))
    assert (words in error.remedy, error.next, error.exit_code) == (True, "syncer check", 5)


def test_who_asks_once_is_told_how_long_a_throttled_api_asks_to_wait():
    """`syncer check`; the body of a 429 may be empty."""
    error = fault_of(
        Answer(verdict=Verdict.NOT_PROCESSED, status_code=429, message="status 429: ", retry_after_s=3600.0)
    )
    assert error.message == "the API is throttling, and asks to wait 1 h (3600 s): status 429: "
    assert error.exit_code == 5


def test_calls_keep_the_limit_an_answer_of_many_calls_too():
    many = answer(Verdict.OK, 200, calls=3)
    ask, reader, calls = asked(many)
    reader.limiter = ReadLimiter(60)
    for _ in range(60):
        ask()
    assert (len(calls), reader.counts.reads) == (60, 180)
    assert calls[-1] - calls[0] >= 100.0


def test_a_deadline_and_a_signal_end_every_wait_and_say_what_they_ended():
    ask, reader, _ = asked(LOST, deadline_s=1003.0, again="syncer codes resume", during="while codes were uploaded")
    with pytest.raises(DeadlineError, match="while codes were uploaded") as caught:
        ask()
    assert caught.value.next == "syncer codes resume"
    reader.interrupt.signal_number = 15
    with pytest.raises(SignalError, match="while codes were uploaded") as stopped:
        reader.check()
    assert stopped.value.next == "syncer codes resume"


@pytest.mark.parametrize(
    ("base_url", "link"),
    [
        (HTTPS, f"{HTTPS}{PATH}?offset=2"), (HTTPS, f"{HTTPS}:443{PATH}?offset=2"), (f"{HTTPS}:443", f"{HTTPS}{PATH}?offset=2"),
        (HTTPS, f"http://api.example.com{PATH}?offset=2"), (HTTPS, f"http://API.example.com:80{PATH}?offset=2"),
        (HTTPS, f"{PATH}?offset=2"), (HTTPS, "?offset=2"), (f"{HTTPS}:8443", f"http://api.example.com:8443{PATH}?offset=2"),
        ("http://127.0.0.1:8000", f"https://127.0.0.1:8000{PATH}?offset=2"), (f"{HTTPS}/", f"{HTTPS}{PATH}?offset=2"),
        ("http://[::1]:8000", f"http://[0:0::1]:8000{PATH}?offset=2"),
    ],
)  # fmt: skip
def test_a_link_to_our_host_port_and_path_is_ours_whatever_its_scheme(base_url, link):
    assert next_query(link, base_url, PATH) == "offset=2"
    assert next_parameters(link, base_url, PATH) == {"offset": "2"}


@pytest.mark.parametrize(
    "link",
    [
        f"https://elsewhere.example.com{PATH}?offset=2", f"{HTTPS}:8443{PATH}?offset=2", f"{HTTPS}/api/v2/other/?offset=2",
        f"https://api.example.com.evil.example{PATH}?a=b", f"https://api.example.com@evil.example{PATH}?a=b", f"//evil.example{PATH}?a=b",
        f"ftp://api.example.com{PATH}?a=b", f"{HTTPS}:99999{PATH}?a=b", f"{HTTPS}:x{PATH}?a=b", "https://[::1?a=b", f"{HTTPS}{PATH}",
        f"{HTTPS}{PATH}?a={'x' * LINK_CHARACTERS_MAX}", "javascript:alert(1)", f"http://api.example.com:443{PATH}?a=b",
    ],
)  # fmt: skip
def test_no_other_link_is_followed(link):
    with pytest.raises(UnreadableError, match="next page"):
        next_query(link, HTTPS, PATH)


def test_one_module_judges_links_and_one_besides_the_engine_waits_for_the_api():
    sources = {path: path.read_text(encoding="utf-8") for path in Path(syncer.__file__).parent.rglob("*.py")}
    judges = {path.name for path, text in sources.items() if "urljoin(" in text and "sandbox" not in path.parts}
    assert judges == {"links.py"}
    waiting = {"/".join(path.parts[-2:]) for path, text in sources.items() if " Health(" in text}
    assert waiting == {"api/reading.py", "execute/context.py"}
