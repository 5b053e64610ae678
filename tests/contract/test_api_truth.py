"""A verdict tells the truth about the server: whatever goes wrong, what is called not processed was not processed."""

from __future__ import annotations

import contextlib
import socket
import time

import pytest
from conftest import TOKEN, codes

from syncer.api.classify import Verdict
from syncer.api.client import Client
from syncer.api.transport import Transport
from syncer.process.clock import SystemClock
from syncer.sandbox import Sandbox, SandboxConfig

SURELY_NOT = {Verdict.REFUSED, Verdict.NOT_PROCESSED, Verdict.DENIED, Verdict.MISDIRECTED}
FAULTS = [
    *[{"kind": kind} for kind in ("drop_before", "drop_after", "truncate", "garbage", "html")],
    {"kind": "hang", "seconds": 5},
    {"kind": "slow_drip", "seconds": 0.1},
    {"kind": "late", "seconds": 0.05},
    {"kind": "redirect", "url": "http://127.0.0.1:9/stolen/"},
    *[{"kind": "status", "status_code": code} for code in (400, 401, 403, 404, 405, 406, 408, 429, 500, 502, 503, 504)],
    *[{"kind": "status_after", "status_code": code} for code in (500, 502, 503, 504)],
    *[{"kind": "body", "text": text} for text in ("", "[]", "{}", "null", '{"task_id": 1}', '{"codes_affected": "1"}')],
]


@contextlib.contextmanager
def calls_to(base_url, timeout_s=0.2):
    transport = Transport(base_url, TOKEN, timeout_s=timeout_s, user_agent="test", clock=SystemClock())
    try:
        yield Client(transport)
    finally:
        transport.close()


def named(fault):
    return "-".join(str(value) for value in fault.values())


@pytest.mark.parametrize("fault", FAULTS, ids=named)
def test_what_is_said_of_an_upload_is_what_became_of_it(fault):
    rules = tuple({**fault, "on": call, "nth": 1} for call in ("sync", "async"))
    with Sandbox(SandboxConfig(codes=codes(3), updates_per_second=1000, faults=rules)) as box:
        with calls_to(box.url) as client:
            sync = client.upload_sync("extended_id", [{"extended_id": "K000001", "lot": "7"}])
            task = client.upload_async({"extended_id": ["K000002"]}, {"lot": "8"}, "job-r1-b1-a1", None)
        if fault["kind"] == "late":
            time.sleep(0.1)  # what is on its way lands
        processed = [(sync, box.code("K000001").get("lot") == "7"), (task, bool(box.world.tasks))]
        uploads = [request for request in box.requests if request.call in {"sync", "async"}]
    assert len(uploads) == 2, "an upload was repeated"
    for answer, was_processed in processed:
        assert answer.verdict is not Verdict.OK or was_processed
        assert answer.verdict not in SURELY_NOT or not was_processed
        assert answer.verdict is Verdict.OK or answer.message


@pytest.mark.parametrize("fault", FAULTS, ids=named)
def test_no_read_that_went_wrong_proves_an_absence(fault):
    rules = tuple({**fault, "on": call, "every": 1} for call in ("tasks", "task", "me"))
    with Sandbox(SandboxConfig(codes=codes(3), updates_per_second=1000)) as box, calls_to(box.url) as client:
        task_id = client.upload_async({"extended_id": ["K000002"]}, {"lot": "8"}, "job-r1-b1-a1", None).task_id
        box.faults.replace(rules)
        listed, one, me = client.tasks_by_reference("job-r1-b1-a1"), client.task(task_id), client.me()
    assert not (listed.verdict is Verdict.OK and listed.complete and not listed.tasks) or fault.get("text") == "[]"
    assert one.task is None or one.task.id == task_id
    is_json = fault.get("text") in {"{}", "[]", "null", '{"task_id": 1}', '{"codes_affected": "1"}'}
    assert me.verdict is not Verdict.OK or (is_json and me.account is me.company is None)


def test_a_path_without_its_slash_is_never_asked_for():
    with Sandbox(SandboxConfig(codes=codes(3), updates_per_second=1000)) as box, calls_to(box.url) as client:
        client.upload_sync("extended_id", [{"extended_id": "K000001", "lot": "7"}])
        task_id = client.upload_async({"extended_id": ["K000002"]}, {"lot": "8"}, "r", 1).task_id
        client.tasks([task_id])
        client.task(task_id)
        client.tasks_by_reference("r & s/ü?")
        client.me()
        assert [request.status_code for request in box.requests] == [200] * 6
        assert box.world.violations == []


def test_no_message_shows_the_token_and_access_is_told_apart():
    with Sandbox(SandboxConfig(codes=codes(1), tokens={TOKEN: frozenset()})) as box, calls_to(box.url) as client:
        refused = client.upload_sync("extended_id", [{"extended_id": "K000000", "lot": "1"}])
        assert (refused.verdict, refused.status_code) == (Verdict.DENIED, 403)
        assert client.me().verdict is Verdict.OK
    with Sandbox(SandboxConfig(codes=codes(1), tokens={"other": frozenset()})) as box, calls_to(box.url) as client:
        unknown = client.me()
        assert (unknown.verdict, unknown.status_code) == (Verdict.DENIED, 401)
    assert TOKEN not in repr([refused, unknown])


def test_a_self_made_throttle_is_told_with_its_wait():
    with Sandbox(SandboxConfig(codes=codes(1), updates_per_second=1)) as box, calls_to(box.url) as client:
        item = [{"extended_id": "K000000", "lot": "1"}]
        client.upload_sync("extended_id", item)
        throttled = client.upload_sync("extended_id", item)
    assert (throttled.verdict, throttled.status_code, throttled.retry_after_s) == (Verdict.NOT_PROCESSED, 429, 1.0)


def test_where_nobody_listens_nothing_was_processed():
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    with calls_to(f"http://127.0.0.1:{port}") as client:
        answer = client.upload_async({"extended_id": ["K000002"]}, {"lot": "8"}, "r", None)
    assert (answer.verdict, answer.status_code, answer.retry_after_s) == (Verdict.NOT_PROCESSED, None, None)
