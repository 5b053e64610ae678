"""The client against a server that speaks the API: what it sends is what the documents say, what it reads is typed."""

from __future__ import annotations

import time

import pytest
from conftest import TOKEN, codes

from syncer.api.classify import Verdict
from syncer.api.client import Client
from syncer.api.transport import Transport
from syncer.process.clock import SystemClock
from syncer.sandbox import Sandbox, SandboxConfig


@pytest.fixture
def pair():
    with Sandbox(SandboxConfig(codes=codes(150), updates_per_second=1000, task_run_s=0.0, page_size=2)) as box:
        transport = Transport(box.url, TOKEN, timeout_s=5, user_agent="test", clock=SystemClock())
        yield box, Client(transport)
        transport.close()


def test_a_sync_upload_tells_which_values_and_fields_were_taken(pair):
    box, client = pair
    answer = client.upload_sync(
        "extended_id", [{"extended_id": "K000001", "lot": "ü"}, {"extended_id": "x", "lot": "1"}]
    )
    assert (answer.verdict, answer.codes_affected, answer.items) == (Verdict.OK, 1, {"K000001": ["lot"]})
    assert box.code("K000001")["lot"] == "ü"


def test_an_async_upload_is_found_by_its_reference_over_pages_and_by_its_id(pair):
    _, client = pair
    ids = [client.upload_async({"extended_id": [f"K00000{n}"]}, {"lot": "1"}, "job-r1", None).task_id for n in range(5)]
    listed = client.tasks_by_reference("job-r1")
    assert (listed.complete, listed.calls, {task.id for task in listed.tasks}) == (True, 3, set(ids))
    time.sleep(0.02)
    task = client.task(ids[0]).task
    assert (task.remote_state, task.codes_affected, task.reference) == ("complete", 1, "job-r1")
    assert task.details.constraints == {"extended_id": ("K000000",)}  # a single value comes back unlisted
    assert {one.id for one in client.tasks([*ids, "unknown"]).tasks} == set(ids)
    assert client.task("unknown").not_found
    assert client.task("../me").calls == 0


def test_refusals_carry_the_apis_words(pair):
    _, client = pair
    answer = client.upload_async({"message": ["x"]}, {"status": "1"}, "r", 11)
    assert (answer.verdict, answer.status_code) == (Verdict.REFUSED, 400)
    assert "please use 'extended_id' instead" in answer.message
    assert "activation_status" in answer.body_text


def test_access_is_checked_with_me(pair):
    _, client = pair
    answer = client.me()
    assert (answer.verdict, answer.email) == (Verdict.OK, "sandbox@example.com")
    assert "scm_bulk_edit" in answer.permissions
    assert answer.date
