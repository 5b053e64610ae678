"""What answers mean: the verdict by status code, how long to wait, what is shown, and what a list of tasks proves."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sampling import examples

from syncer.api import client as client_module
from syncer.api.classify import RETRY_AFTER_DEFAULT_S, RETRY_AFTER_MAX_S, Verdict, classify, retry_after_s
from syncer.api.client import Client
from syncer.api.transport import Reply, Transport
from syncer.api.words import BODY_CHARACTERS_MAX, MESSAGE_CHARACTERS_MAX, flat
from syncer.process.clock import SystemClock
from syncer.safe.masking import TokenMask

TOKEN = "canary-8e2b40"
BASE = "https://api.example.com"
NOON_S = datetime(2026, 11, 20, 12, tzinfo=UTC).timestamp()


def reply(status_code=200, body=b"", *, headers=None, sent=True):
    return Reply(
        status_code=status_code,
        headers=headers or {},
        body=body,
        failure=None if status_code is not None else "gone",
        sent=sent,
        fresh_connection=True,
        sent_s=1.0,
        answered_s=2.0,
        answered_wall_s=NOON_S,
        arrived_by_s=1.5,
    )


class Scripted(Transport):
    """A transport whose exchanges are given: the client above it is the real one."""

    def __init__(self, *replies, base_url=BASE):
        super().__init__(base_url, TOKEN, timeout_s=1, user_agent="t", clock=SystemClock())
        self.replies = list(replies)
        self.calls = []

    def call(self, method, path, *, params=None, body=None):
        self.calls.append((method, path, params, body))
        return self.replies.pop(0) if len(self.replies) > 1 else self.replies[0]


def client(*replies, **more):
    return Client(Scripted(*replies, **more))


def page(*ids, next=None, **more):
    tasks = [{"id": name, "state": "pending", "reference": "another"} for name in ids]
    return json.dumps({"results": tasks, "next": next, **more}).encode()


VERDICTS = {
    Verdict.OK: [200, 201, 202, 204],
    Verdict.REFUSED: [400, 402, 406, 409, 411, 412, 413, 414, 415, 422, 431],
    Verdict.NOT_PROCESSED: [429],
    Verdict.DENIED: [401, 403],
    Verdict.MISDIRECTED: [300, 301, 302, 303, 304, 307, 308, 404, 405, 407, 410, 421, 426, 451],
    Verdict.UNKNOWN: [100, 103, 199, 408, 500, 501, 502, 503, 504, 511, 520, 524, 599, 600, 999],
}


@pytest.mark.parametrize("verdict", VERDICTS)
def test_every_status_code_has_the_verdict_of_its_kind(verdict):
    assert {classify(reply(code, OWN_WORDS)) for code in VERDICTS[verdict]} == {verdict}


OWN_WORDS = b'{"detail": "Not found."}'


def test_the_apis_own_404_to_an_update_is_about_what_it_carries_and_any_other_about_the_address():
    assert classify(reply(404, OWN_WORDS), is_update=True) is Verdict.REFUSED
    assert classify(reply(404, OWN_WORDS)) is Verdict.MISDIRECTED
    for body in (b"", b"<html>no such site</html>", b'{"message": "Not Found"}', b"404 page not found"):
        assert classify(reply(404, body), is_update=True) is Verdict.MISDIRECTED
    uploads = client(reply(404, OWN_WORDS))
    assert uploads.upload_sync("k", []).verdict is uploads.upload_async({}, {}, "r", None).verdict is Verdict.REFUSED


def test_a_403_is_about_our_access_only_in_the_apis_own_words():
    for body in (b"", b"error code: 1020", b'{"message": "Forbidden"}', b"\xef\xbb\xbf<html>blocked", b'"no"'):
        answer = client(reply(403, body)).upload_sync("k", [])
        assert (answer.verdict, answer.page) == (Verdict.MISDIRECTED, True)
    answer = client(reply(403, b'{"detail": "You do not have permission."}')).upload_sync("k", [])
    assert (answer.verdict, answer.page) == (Verdict.DENIED, False)
    assert client(reply(401, b"\xef\xbb\xbf<html>log in")).me().page


def test_a_page_with_a_status_of_success_is_told_as_that_page():
    body = b"\xef\xbb\xbf<html><head><title>Sign\n in</title></head></html>"
    for answer in (client(reply(200, body)).me(), client(reply(201, body)).upload_sync("k", [])):
        assert (answer.verdict, answer.page) == (Verdict.UNKNOWN, True)
        assert "a page titled 'Sign in'" in answer.message
    assert "a page in HTML" in client(reply(200, b"<p>hello")).tasks(["a"]).message


def test_whatever_me_answers_with_success_says_that_the_token_works():
    for code, body in ((200, b'[{"id": 1}]'), (200, b'"ok"'), (200, b"null"), (204, b"")):
        answer = client(reply(code, body)).me()
        assert (answer.verdict, answer.account, answer.company) == (Verdict.OK, None, None)
    assert client(reply(200, b"")).me().verdict is Verdict.UNKNOWN


@pytest.mark.parametrize(
    ("body", "name"),
    [
        (b'{"count": 1, "results": [{"sku": null, "company": {"id": 7}}]}', "7"),
        (b'{"results": [{"id": 1}, 3, {"company": {"id": 7}}]}', "7"),
        (b'{"results": 3}', None),
        (b"[]", None),
    ],
)
def test_a_company_is_read_of_any_products_that_name_it(body, name):
    answer = client(reply(200, body)).company()
    assert (answer.verdict, answer.company and answer.company.id) == (Verdict.OK, name)


def test_products_that_cannot_be_read_or_asked_for_name_no_company():
    assert client(reply(200, b"<html>")).company().verdict is Verdict.UNKNOWN
    assert client(reply(403, OWN_WORDS)).company().verdict is Verdict.DENIED


def test_a_task_that_cannot_be_read_hides_no_other_and_lets_no_list_prove_an_absence():
    odd = [{"id": "x1", "state": "pending", "reference": 7}, {"id": 9, "reference": "r"}, {"reference": "s"}, 3]
    tasks = [{"id": "a", "state": "complete", "reference": "r", "codes_affected": 3}]
    for document in ({"results": [*odd, *tasks], "next": None}, [*odd, *tasks]):
        answer = client(reply(200, json.dumps(document).encode())).tasks_by_reference("r")
        assert (answer.verdict, answer.complete) == (Verdict.OK, False)
        assert [(task.id, task.reference) for task in answer.tasks] == [("x1", ""), ("a", "r")]
    strangers = [{"id": "x1", "state": "pending", "reference": 7}]
    assert client(reply(200, json.dumps(strangers).encode())).tasks_by_reference("r").complete


def test_without_an_answer_the_verdict_turns_on_whether_a_byte_left():
    assert classify(reply(None, sent=True)) is Verdict.UNKNOWN
    assert classify(reply(None, sent=False)) is Verdict.NOT_PROCESSED


@given(code=st.none() | st.integers(100, 999), sent=st.booleans())
def test_not_processed_is_never_said_of_a_request_that_may_have_been(code, sent):
    """Servers say 5xx, and nothing, after they have done the work."""
    processed_perhaps = sent and (code is None or code < 200 or code >= 500 or code == 408)
    if processed_perhaps:
        assert classify(reply(code, sent=sent)) is Verdict.UNKNOWN


@pytest.mark.parametrize(
    ("headers", "body", "seconds"),
    [
        ({"Retry-After": "7"}, b"", 7),
        ({"Retry-After": " 7 "}, b'{"detail": "Expected available in 3 seconds."}', 7),
        ({}, b'{"detail": "Request was throttled. Expected available in 1 second.", "code": "throttled"}', 1),
        ({}, b'{"detail": "Request was throttled. Expected available in 42 seconds."}', 42),
        ({}, b"", RETRY_AFTER_DEFAULT_S),
        ({}, b"\xff\xfe", RETRY_AFTER_DEFAULT_S),
        ({"Retry-After": "9" * 400}, b"", RETRY_AFTER_MAX_S),
        ({}, b"available in " + b"9" * 900 + b" seconds", RETRY_AFTER_DEFAULT_S),
        ({"Retry-After": "Fri, 20 Nov 2026 12:00:09 GMT"}, b"", 9),
        ({"Retry-After": "Fri, 20 Nov 2026 12:00:09 -0000"}, b"", 9),
        ({"Retry-After": "Fri, 20 Nov 2026 18:00:30 GMT", "Date": "Fri, 20 Nov 2026 18:00:00 GMT"}, b"", 30),
        ({"Retry-After": "Fri, 20 Nov 2026 11:00:00 GMT"}, b"", 0),
        ({"Retry-After": "Wed, 21 Oct 99999999999999999999 07:28:00 GMT"}, b"", RETRY_AFTER_DEFAULT_S),
        ({"Retry-After": "٧"}, b"", RETRY_AFTER_DEFAULT_S),
    ],
)
def test_a_throttle_says_how_long_in_its_header_else_its_body_and_within_bounds(headers, body, seconds):
    assert retry_after_s(reply(429, body, headers=headers)) == seconds


@given(header=st.text(max_size=60), date=st.text(max_size=40), body=st.binary(max_size=80))
def test_no_throttle_asks_for_more_than_the_bound_or_less_than_nothing(header, date, body):
    asked_s = retry_after_s(reply(429, body, headers={"Retry-After": header, "Date": date}))
    assert 0 <= asked_s <= RETRY_AFTER_MAX_S


@pytest.mark.parametrize("code", [200, 400, 503, None])
def test_only_a_throttle_is_a_throttle(code):
    assert retry_after_s(reply(code, headers={"Retry-After": "7"})) is None


@pytest.mark.parametrize(
    ("body", "complete"),
    [
        (page(), True),
        (page("a", count=1), True),
        (page("a", count=2), False),
        (page(count=1), False),
        (b'{"results": []}', False),
        (b'{"count": 0, "results": []}', False),
        (b"[]", True),
        (b' [{"id": "a", "state": "failed", "reference": "another"}]', True),
        (b' [{"id": "a", "state": "failed", "reference": null}]', True),
        (b' [{"id": "a", "state": "failed"}]', False),
        (page(next="https://elsewhere.example.com/api/v2/scm/tasks/?offset=20"), False),
    ],
)
def test_a_list_proves_an_absence_only_when_it_says_that_it_is_whole(body, complete):
    listed = client(reply(200, body)).tasks_by_reference("r")
    assert (listed.verdict, listed.complete) == (Verdict.OK, complete)


TASKS = "/api/v2/scm/tasks/"


@pytest.mark.parametrize(
    "link",
    [
        f"{BASE}{TASKS}?offset=1&reference=r",
        f"https://api.example.com:443{TASKS}?offset=1&reference=r",
        f"https://API.example.com{TASKS}?offset=1&reference=r",
        f"{TASKS}?offset=1&reference=r",
        "?offset=1&reference=r",
        f"http://api.example.com{TASKS}?offset=1&reference=r",
    ],
)
def test_a_next_link_on_this_server_is_followed_however_it_is_written(link):
    transport = Scripted(reply(200, page("a", next=link, count=2)), reply(200, page("b", count=2)))
    listed = Client(transport).tasks_by_reference("r")
    assert ([task.id for task in listed.tasks], listed.complete, listed.calls) == (["a", "b"], True, 2)
    assert transport.calls[1] == ("GET", TASKS, {"offset": "1", "reference": "r"}, None)


@pytest.mark.parametrize(
    "link",
    [
        f"https://api.example.com:8443{TASKS}?offset=1",
        f"https://api.example.com.evil.example{TASKS}?offset=1",
        f"https://api.example.com@evil.example{TASKS}?offset=1",
        f"//evil.example{TASKS}?offset=1",
        f"{BASE}/api/v2/me/?offset=1",
        f"{BASE}{TASKS}../../me/?offset=1",
        "http://[x/",
        "https://api.example.com:port/",
        "javascript:alert(1)",
        f"{BASE}{TASKS}?offset={'1' * 5000}",
    ],
)
def test_a_next_link_to_anywhere_else_is_not_followed(link):
    transport = Scripted(reply(200, page("a", next=link)))
    listed = Client(transport).tasks_by_reference("r")
    assert (len(listed.tasks), listed.complete, len(transport.calls)) == (1, False, 1)


def test_pages_without_an_end_are_bounded():
    transport = Scripted(reply(200, page("a", next=f"{TASKS}?offset=1")))
    listed = Client(transport).tasks_by_reference("r")
    assert (listed.complete, listed.calls, len(transport.calls)) == (False, *[client_module.PAGES_MAX] * 2)


def test_a_page_that_is_lost_makes_the_whole_list_unread():
    transport = Scripted(reply(200, page("a", next=f"{TASKS}?offset=1")), reply(503))
    listed = Client(transport).tasks_by_reference("r")
    assert (listed.verdict, listed.tasks, listed.complete, listed.calls) == (Verdict.UNKNOWN, (), False, 2)


def test_only_the_apis_own_404_says_that_there_is_no_such_task():
    ours = client(reply(404, b'{"detail": "Not found."}')).task("abc")
    assert (ours.verdict, ours.not_found, ours.task) == (Verdict.OK, True, None)
    for body in (b"", b"<html>no such site</html>", b"{}", b'"detail"', b'{"detail": 4}'):
        proxys = client(reply(404, body)).task("abc")
        assert (proxys.verdict, proxys.not_found) == (Verdict.MISDIRECTED, False)


def test_an_answer_about_another_task_is_unreadable():
    answer = client(reply(200, b'{"id": "xyz", "state": "complete", "codes_affected": 3}')).task("abc")
    assert (answer.verdict, answer.task) == (Verdict.UNKNOWN, None)


@pytest.mark.parametrize("task_id", ["", "../me", "a/b", "a?b", "a b", ".", "a%2f", "a#"])
def test_an_id_that_would_bend_the_path_is_not_sent(task_id):
    transport = Scripted(reply(200))
    answer = Client(transport).task(task_id)
    assert (answer.verdict, answer.calls, transport.calls) == (Verdict.UNKNOWN, 0, [])


@pytest.mark.parametrize("count", ["-1", "4611686018427387905", "1e3000", '"3"', "true", "2.5", "[]"])
def test_a_count_that_is_none_makes_a_sync_answer_unreadable_and_stays_out_of_a_task(count):
    task = b'{"id": "a", "state": "complete", "codes_affected": %s}' % count.encode()
    if count != "1e3000":  # no JSON number that anybody could hold
        assert client(reply(200, task)).task("a").task.codes_affected is None
        assert client(reply(200, b"[" + task + b"]")).tasks(["a"]).tasks[0].codes_affected is None
    assert (
        client(reply(200, b'{"codes_affected": %s}' % count.encode())).upload_sync("k", []).verdict is Verdict.UNKNOWN
    )


def test_an_unknown_word_for_a_state_is_kept_and_guessed_members_may_be_anything():
    for error in ('"why"', '["why"]', '{"why": 1}', '[{"why": [1]}]'):
        body = f'[{{"id": "a", "state": "re-queued", "errors": {error}, "new": {{"x": [1]}}}}]'.encode()
        task = client(reply(200, body)).tasks(["a"]).tasks[0]
        assert (task.remote_state, "why" in task.error) == ("re-queued", True)
    assert client(reply(200, b'[{"id": "a", "state": "failed", "error": 0}]')).tasks(["a"]).tasks[0].error == ""


def test_an_error_that_json_cannot_write_is_still_told():
    assert "cannot be shown" in flat([10**5000])


def test_details_come_back_as_lists_though_the_api_unlists_single_values():
    body = (
        b'{"id": "a", "state": "pending", "details": {"constraints": {"rfid": "x", "lot": ["y", "z"]},'
        b' "scm_data": {"f": "1"}}}'
    )
    details = client(reply(200, body)).task("a").task.details
    assert (details.constraints, details.scm_data) == ({"rfid": ("x",), "lot": ("y", "z")}, {"f": "1"})


@pytest.mark.parametrize("body", [b"{}", b'{"email": 4, "permissions": {"a": 1}}', b'{"permissions": [{"a": 1}]}'])
def test_access_stands_on_the_status_not_on_the_guessed_shape(body):
    answer = client(reply(200, body)).me()
    assert (answer.verdict, answer.email, answer.permissions) == (Verdict.OK, None, None)
    assert client(reply(200, b"<html>sign in</html>")).me().verdict is Verdict.UNKNOWN


@given(padding=st.integers(0, 2 * MESSAGE_CHARACTERS_MAX))
def test_no_part_of_the_token_survives_the_cutting_of_a_message(padding):
    body = json.dumps({"detail": "x" * padding + TOKEN}).encode()
    answer = client(reply(400, body)).upload_sync("k", [])
    assert TOKEN[:8] not in answer.message + repr(answer)
    answer = client(reply(400, TokenMask(TOKEN).body(body))).upload_sync("k", [])  # as `Transport` hands it on
    assert TOKEN[:8] not in answer.body_text


@settings(max_examples=examples(60))
@given(
    words=st.text(alphabet=st.characters(codec=None), max_size=700), status=st.sampled_from([400, 401, 404, 429, 500])
)
def test_a_message_is_one_bounded_line_that_any_ledger_takes(words, status):
    for body in (json.dumps({"detail": words}).encode(), words.encode("utf-8", "surrogatepass")):
        message = client(reply(status, body)).upload_sync("k", []).message
        assert message.isprintable()
        assert len(message) <= MESSAGE_CHARACTERS_MAX
        message.encode("utf-8")


def test_a_refusal_carries_its_whole_body_within_a_bound():
    answer = client(reply(400, b'{"items": ["' + b"K1 " * 100_000 + b'"]}')).upload_sync("k", [])
    assert len(answer.body_text) == BODY_CHARACTERS_MAX
    assert len(answer.message) == MESSAGE_CHARACTERS_MAX
    assert "K1 K1" not in repr(answer).replace(answer.message, "")
    assert client(reply(503, b"secret page")).upload_sync("k", []).body_text == ""


def test_a_redirect_is_told_with_its_target_and_a_page_in_html_is_not_quoted():
    assert "redirected to /x/" in client(reply(301, b"", headers={"Location": "/x/"})).me().message
    assert "HTML" in client(reply(502, b"<!doctype html><HTML><body>Bad gateway")).me().message


def test_times_are_handed_through_and_only_a_warm_connection_tells_how_long_an_answer_takes():
    fresh = reply(200, b'{"task_id": "t"}')
    answer = client(fresh).upload_async({"k": ["v"]}, {"f": "1"}, "r", 11)
    assert (answer.task_id, answer.took_s) == ("t", None)
    assert (answer.arrived_by_s, answer.answered_s) == (1.5, 2.0)
    assert client(replace(fresh, fresh_connection=False)).upload_async({}, {}, "r", 11).took_s == 1.0
    assert client(replace(reply(None), fresh_connection=False)).upload_async({}, {}, "r", 11).took_s is None


def test_the_bodies_are_those_of_the_documents():
    transport = Scripted(reply(200, b'{"task_id": "t", "codes_affected": 0}'))
    calls = Client(transport)
    calls.upload_sync("extended_id", [{"extended_id": "HGDT", "intended_market": "cn"}])
    calls.upload_async({"rfid": ["rfid1"]}, {"field": "ü\u2028"}, "SCM upload 1", 11)
    calls.upload_async({"rfid": ["rfid1"]}, {"field": ""}, "r", None)
    calls.tasks(["a", "b"])
    assert [(method, path, json.loads(body)) for method, path, _, body in transport.calls] == [
        (
            "POST",
            "/api/v2/scm/upload/",
            {"data_key": "extended_id", "items": [{"extended_id": "HGDT", "intended_market": "cn"}]},
        ),
        (
            "POST",
            "/api/v2/scm/upload/async/",
            {
                "constraints": {"rfid": ["rfid1"]},
                "scm_data": {"field": "ü\u2028"},
                "reference": "SCM upload 1",
                "campaign": 11,
            },
        ),
        (
            "POST",
            "/api/v2/scm/upload/async/",
            {"constraints": {"rfid": ["rfid1"]}, "scm_data": {"field": ""}, "reference": "r"},
        ),
        ("POST", "/api/v2/scm/tasks/", {"task_ids": ["a", "b"]}),
    ]


NAMES = "task_id codes_affected items results next count id state reference details constraints scm_data error errors"
MEMBERS = st.sampled_from([*NAMES.split(), "email", "permissions", "detail"])
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | st.sampled_from(["a", TASKS]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(MEMBERS | st.text(max_size=3), inner, max_size=5),
    max_leaves=12,
)
BODIES = JSON.map(lambda value: json.dumps(value).encode()) | st.binary(max_size=40)


@settings(max_examples=examples(300))
@given(body=BODIES, status=st.sampled_from([200, 200, 200, 201, 400, 404, 429, 500]))
def test_no_body_makes_the_client_raise(body, status):
    calls = client(reply(status, body, headers={"Retry-After": "soon", "Location": "x"}))
    answers = [
        calls.upload_sync("k", [{"k": "v"}]),
        calls.upload_async({"k": ["v"]}, {"f": "1"}, "r", None),
        calls.tasks(["a"]),
        calls.task("a"),
        calls.tasks_by_reference("r"),
        calls.me(),
    ]
    for answer in answers:
        assert answer.verdict in Verdict
        assert (answer.verdict is Verdict.OK) or answer.message
        assert answer.verdict is not Verdict.OK or 200 <= status < 300 or status == 404


NESTED = [b'{"error":' * depth + b"1" + b"}" * depth for depth in (50, 400, 900, 990, 5000, 100_000)]
STRANGE = [
    *NESTED,
    *[b'{"id":"a","state":"failed","error":' + body + b"}" for body in NESTED],
    b'{"id": "a", "state": "failed", "error": ' + b"9" * 10_000 + b"}",
    b'{"detail": ' + b"9" * 10_000 + b"}",
    b'{"detail": "\\ud800", "task_id": "\\udfff"}',
    b'{"task_id": "a", "task_id": 4}',
    b'{"task_id": "' + b"a" * 1_000_000 + b'"}',
    b'\xef\xbb\xbf{"task_id": "a"}',
    b'{"task_id": "\xff"}',
    b"[" * 100_000,
]


@pytest.mark.parametrize("body", STRANGE, ids=range(len(STRANGE)))
@pytest.mark.parametrize("status", [200, 400, 404])
def test_bodies_made_to_break_parsers_make_nothing_raise(body, status):
    calls = client(reply(status, body))
    assert calls.upload_async({"k": ["v"]}, {}, "r", None).verdict is not Verdict.OK
    calls.task("a")
    calls.tasks(["a"])
    calls.tasks_by_reference("r")
    calls.me()
