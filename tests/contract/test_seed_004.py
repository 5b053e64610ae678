"""Seed 004, how to upload SCM data by either method: its steps and examples, in their order, asked of the sandbox."""

from __future__ import annotations

import time

import pytest
import requests
from conftest import TOKEN

from syncer.api.classify import Verdict
from syncer.api.client import Client
from syncer.api.transport import Transport
from syncer.process.clock import SystemClock
from syncer.sandbox import Sandbox, SandboxConfig

AUTH = {"Authorization": f"UAT {TOKEN}"}
SYNC, ASYNC = "/api/v2/scm/upload/", "/api/v2/scm/upload/async/"
PERMISSIONS = frozenset({"codes_view", "scm_bulk_edit", "scm_code_edit", "product_view"})
SYNC_EXAMPLE = {
    "data_key": "extended_id",
    "items": [
        {"extended_id": "HGDTQD54D5SD86EEDFS", "intended_market": "cn"},
        {"extended_id": "JF5FPO58DFITE4EDXD2", "intended_market": "de"},
    ],
}
ASYNC_EXAMPLE = {
    "constraints": {"extended_id": ["ACsofByKKTvj", "Bjr1U5dt3M8X", "JKZlcPU6Za4q"]},
    "scm_data": {"purchase_number": "test19102022"},
    "reference": "SCM Upload",
}
NAMES = [item["extended_id"] for item in SYNC_EXAMPLE["items"]] + ASYNC_EXAMPLE["constraints"]["extended_id"]
CODES = tuple({"extended_id": name, "serial_number": f"SER{number}"} for number, name in enumerate(NAMES))
CAMPAIGN = {1: frozenset({"intended_market", "purchase_number", "production_date", "rfid"})}


def sandbox(**settings):
    return Sandbox(SandboxConfig(**{"codes": CODES, "campaigns": CAMPAIGN, "updates_per_second": 1000, **settings}))


@pytest.fixture
def box():
    with sandbox() as box:
        yield box


def post(box, path, body, headers=AUTH):
    return requests.post(box.url + path, json=body, headers=headers, timeout=5, allow_redirects=False)


def test_seed_004_the_header_is_the_word_uat_a_space_and_the_token():
    with sandbox(tokens={TOKEN: PERMISSIONS}) as box:
        for path, body in ((SYNC, SYNC_EXAMPLE), (ASYNC, ASYNC_EXAMPLE)):
            assert post(box, path, body).status_code == 200
            for wrong in (TOKEN, f"UAT{TOKEN}", f"Token {TOKEN}", "UAT another", "UAT "):
                assert post(box, path, body, {"Authorization": wrong}).status_code == 401, wrong
            assert post(box, path, body, {}).status_code == 401


@pytest.mark.parametrize("lacking", sorted(PERMISSIONS))
def test_seed_004_both_methods_need_the_same_four_permissions(lacking):
    with sandbox(tokens={TOKEN: PERMISSIONS - {lacking}}) as box:
        assert [post(box, path, body).status_code for path, body in ((SYNC, {}), (ASYNC, {}))] == [403, 403]


def test_seed_004_the_example_of_a_sync_upload_is_done_when_it_is_answered(box):
    answer = post(box, SYNC, SYNC_EXAMPLE)
    assert answer.status_code == 200
    assert [box.code(name)["intended_market"] for name in NAMES[:2]] == ["cn", "de"]
    said = answer.json()
    assert (said["total_updates"], said["codes_affected"]) == (2, 2)
    assert said["items"] == {name: ["intended_market"] for name in NAMES[:2]}, "affected and posted codes are given"


def test_seed_004_its_address_without_the_slash_leads_to_the_one_with_it(box):
    """The guide writes ``/api/v2/scm/upload``; a redirected POST loses its body, so our client sends the slash."""
    answer = post(box, SYNC.rstrip("/"), SYNC_EXAMPLE)
    assert (answer.status_code, answer.headers["Location"]) == (301, SYNC)
    assert box.world.journal == []


def test_seed_004_the_key_is_extended_id_by_default_or_serial_number(box):
    assert post(box, SYNC, {"items": SYNC_EXAMPLE["items"]}).json()["codes_affected"] == 2
    items = [{"serial_number": "SER2", "intended_market": "fr"}, {"serial_number": "ser3", "intended_market": "fr"}]
    answer = post(box, SYNC, {"data_key": "serial_number", "items": items}).json()
    assert answer["items"] == {"SER2": ["intended_market"]}
    assert box.code(NAMES[2])["intended_market"] == "fr"
    assert "intended_market" not in box.code(NAMES[3])


def test_seed_004_batches_are_not_larger_than_100():
    many = tuple({"extended_id": f"K{number:03}"} for number in range(101))
    items = [{**code, "intended_market": "cn"} for code in many]
    with sandbox(codes=many) as box:
        assert post(box, SYNC, {"items": items}).status_code == 400
        assert box.world.journal == []
        assert post(box, SYNC, {"items": items[:100]}).json()["codes_affected"] == 100


def test_seed_004_a_defective_item_intercepts_its_whole_batch(box):
    for defective in ({"intended_market": "us"}, {"extended_id": NAMES[2], "status": "1"}, {"extended_id": ""}):
        answer = post(box, SYNC, {"items": [*SYNC_EXAMPLE["items"], defective]})
        assert (answer.status_code, list(answer.json())) == (400, ["items"])
    assert box.world.journal == []


def test_seed_004_fields_that_the_campaign_does_not_include_are_discarded_by_both_methods(box):
    item = {"extended_id": NAMES[0], "colour": "red", "intended_market": "cn"}
    assert post(box, SYNC, {"items": [item]}).json()["items"] == {NAMES[0]: ["intended_market"]}
    ended(box, post(box, ASYNC, {**ASYNC_EXAMPLE, "scm_data": {"colour": "red"}}).json()["task_id"])
    assert all("colour" not in code for code in box.codes())


def ended(box, task_id):
    until = time.monotonic() + 5
    while time.monotonic() < until:
        task = requests.get(f"{box.url}/api/v2/scm/tasks/{task_id}/", headers=AUTH, timeout=5).json()
        if task["state"] == "complete":
            return task
    raise AssertionError("the task never ended")


def test_seed_004_the_example_of_an_async_upload_answers_with_a_task_whose_state_is_looked_up(box):
    answer = post(box, ASYNC, ASYNC_EXAMPLE)
    assert (answer.status_code, set(answer.json())) == (200, {"task_id"})
    task = ended(box, answer.json()["task_id"])
    assert (task["codes_affected"], task["reference"]) == (3, "SCM Upload")
    assert {name: values for name, values in task["details"].items() if name in ASYNC_EXAMPLE} == {
        "constraints": ASYNC_EXAMPLE["constraints"],
        "scm_data": ASYNC_EXAMPLE["scm_data"],
    }
    assert [code.get("purchase_number") for code in box.codes()] == [None, None, *["test19102022"] * 3]


def test_seed_004_a_sync_upload_may_time_out_and_is_sent_again():
    """The guide: it "can potentially time out, requiring resending the request"; the data is absolute, so that is safe."""
    with sandbox(faults=({"kind": "drop_after", "on": "sync", "nth": 1},)) as box:
        transport = Transport(box.url, TOKEN, timeout_s=5, user_agent="test", clock=SystemClock())
        client = Client(transport)
        try:
            assert client.upload_sync("extended_id", SYNC_EXAMPLE["items"]).verdict is Verdict.UNKNOWN
            again = client.upload_sync("extended_id", SYNC_EXAMPLE["items"])
        finally:
            transport.close()
        assert (again.verdict, again.codes_affected) == (Verdict.OK, 2)
        assert [box.code(name)["intended_market"] for name in NAMES[:2]] == ["cn", "de"]


def test_seed_004_our_program_uploads_both_examples_each_by_its_method(night):
    with night(codes=CODES, campaigns=CAMPAIGN) as here:
        here.config('[jobs.default]\nknown_fields = ["purchase_number", "intended_market"]\n')  # so that nothing asks
        items = SYNC_EXAMPLE["items"]
        here.write("sync.csv", list(items[0]), [list(item.values()) for item in items])
        rows = [[name, "test19102022"] for name in ASYNC_EXAMPLE["constraints"]["extended_id"]]
        here.write("async.csv", ["extended_id", "purchase_number"], rows)
        for file, mode, values in (("sync.csv", "sync", 2), ("async.csv", "async", 3)):
            done = here.sync(file, "--mode", mode)
            assert (done.code, done.document["values"]["confirmed"], done.document["batches"][mode]) == (0, values, 1)
        calls = [request.call for request in here.box.requests if request.call in {"sync", "async"}]
        assert calls == ["sync", "async"]
        held = {code["extended_id"]: code for code in here.box.codes()}
        assert [held[item["extended_id"]]["intended_market"] for item in items] == ["cn", "de"]
        assert [held[name]["purchase_number"] for name, _ in rows] == ["test19102022"] * 3
