"""Seed 002, "Upload SCM Data (ASYNC)": its examples, parameters and errors, in its order, asked of the sandbox."""

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
ASYNC, TASKS = "/api/v2/scm/upload/async/", "/api/v2/scm/tasks/"
PERMISSIONS = frozenset({"codes_view", "scm_bulk_edit", "scm_code_edit", "product_view"})
FIELDS = frozenset({"rfid", "case_number", "client_custom_field", "intended_market", "production_date"})
EXAMPLE = {
    "constraints": {"rfid": ["rfid1", "rfid2", "rfid3"]},
    "scm_data": {"client_custom_field": "some_val"},
    "campaign": 11,
    "reference": "SCM upload 11202020-10",
}
REFUSED = {
    "campaign": ["Incorrect type. Expected pk value, received str."],
    "scm_data": {"extended_id": "Invalid key name", "status": "Invalid key name, use 'activation_status' instead"},
    "constraints": {"message": "Invalid constraint name, please use 'extended_id' instead"},
}
LISTED = {"id", "state", "reference", "codes_affected", "created_by", "created_at", "started_at", "completed_at"}
"""The members of a task in the example of a list; that of a single task has ``details`` too."""


def sandbox(**settings):
    """A company with campaign 11: four codes with RFID tags, two of them in one case."""
    tagged = tuple(
        {"extended_id": f"EXT{n}", "serial_number": f"SER{n}", "rfid": f"rfid{n}", "case_number": f"case{n // 3}"}
        for n in (1, 2, 3, 4)
    )
    given = {"task_run_s": 0.0, "updates_per_second": 1000, "products": ({"sku": "prod2", "id": 959},), **settings}
    return Sandbox(SandboxConfig(codes=tagged, campaigns={11: FIELDS}, **given))


@pytest.fixture
def box():
    with sandbox() as box:
        yield box


def post(box, path, body, token=TOKEN):
    headers = {"Authorization": f"UAT {token}"} if token else {}
    return requests.post(box.url + path, json=body, headers=headers, timeout=5, allow_redirects=False)


def get(box, path, **query):
    return requests.get(box.url + path, params=query, headers=AUTH, timeout=5)


def uploaded(box, constraints, data=None, **more):
    """Upload data to the codes that constraints select; return the task as it ended."""
    answer = post(box, ASYNC, {"constraints": constraints, "scm_data": data or {"client_custom_field": "v"}, **more})
    assert (answer.status_code, set(answer.json())) == (200, {"task_id"}), answer.text
    until = time.monotonic() + 5
    while time.monotonic() < until:
        task = get(box, f"{TASKS}{answer.json()['task_id']}/").json()
        if task["state"] in {"complete", "failed"}:
            return task
    raise AssertionError("the task never ended")


def refusal(box, body):
    answer = post(box, ASYNC, body)
    assert answer.status_code == 400
    assert box.world.tasks == {}, "a refused upload makes no task"
    return answer.json()


def test_seed_002_the_token_needs_all_four_permissions():
    tokens = {"all": PERMISSIONS} | {f"no {one}": PERMISSIONS - {one} for one in PERMISSIONS}
    with sandbox(tokens=tokens) as box:
        assert post(box, ASYNC, EXAMPLE, "all").status_code == 200
        assert [post(box, ASYNC, EXAMPLE, token).status_code for token in tokens if token != "all"] == [403] * 4
        assert post(box, ASYNC, EXAMPLE, "").status_code == 401


def test_seed_002_fields_that_the_campaign_does_not_include_are_discarded(box):
    assert uploaded(box, {"extended_id": "EXT1"}, {"intended_market": "us", "colour": "red"})["state"] == "complete"
    assert box.code("EXT1")["intended_market"] == "us"
    assert "colour" not in box.code("EXT1")


@pytest.mark.parametrize(
    ("constraints", "codes"),
    [
        ({"extended_id": ["EXT1"]}, 1), ({"serial_number": ["SER1", "SER4"]}, 2), ({"rfid": ["rfid2"]}, 1),
        ({"case_number": ["case0"]}, 2), ({"rfid": ["rfid1", "rfid3"], "case_number": "case0"}, 1),
        ({"rfid": ["RFID1"]}, 0), ({"rfid": ["rfid"]}, 0), ({"rfid": [" rfid1"]}, 0),
    ],
)  # fmt: skip
def test_seed_002_constraints_of_every_kind_match_exactly_with_case_and_several_all_together(box, constraints, codes):
    task = uploaded(box, constraints)
    assert (task["state"], task["codes_affected"]) == ("complete", codes)
    assert sum("client_custom_field" in code for code in box.codes()) == codes


def test_seed_002_dates_of_any_form_are_accepted_and_saved_as_provided(box):
    for date in ("2026-11-20", "20/11/2026", "Nov 20"):
        uploaded(box, {"extended_id": "EXT1"}, {"production_date": date})
        assert box.code("EXT1")["production_date"] == date


def test_seed_002_a_constraint_value_that_is_duplicated_or_blank_is_refused(box):
    for values in (["rfid1", "rfid1"], [""], ["rfid1", ""], [], None):
        assert "constraints" in refusal(box, {**EXAMPLE, "constraints": {"rfid": values}})


def test_seed_002_five_constraints_with_a_thousand_values_and_no_more(box):
    five = dict.fromkeys(("extended_id", "serial_number", "rfid", "case_number", "intended_market"), "x")
    assert uploaded(box, five)["codes_affected"] == 0
    thousand = {"rfid": [f"rfid{n}" for n in range(1000)]}
    assert uploaded(box, thousand)["codes_affected"] == 4
    box.reset()
    assert "constraints" in refusal(box, {**EXAMPLE, "constraints": five | {"production_date": "x"}})
    assert "constraints" in refusal(box, {**EXAMPLE, "constraints": {"rfid": [*thousand["rfid"], "one more"]}})


def test_seed_002_values_are_strings(box):
    assert "scm_data" in refusal(box, {**EXAMPLE, "scm_data": {"client_custom_field": 7}})
    assert "constraints" in refusal(box, {**EXAMPLE, "constraints": {"rfid": [7]}})


@pytest.mark.parametrize("name", ["message", "product", "product_id", "campaign", "campaign_id"])
def test_seed_002_disallowed_constraints(box, name):
    assert list(refusal(box, {**EXAMPLE, "constraints": {name: ["x"]}})["constraints"]) == [name]


@pytest.mark.parametrize(
    ("data", "shown"),
    [
        ({"product": "prod2"}, "prod2"), ({"product": "959"}, "959"), ({"activation_status": "0"}, "0"),
        ({"activation_status": "1"}, "1"), ({"activation_status": "2", "blacklist_reason": "4"}, "2"),
    ],
)  # fmt: skip
def test_seed_002_special_keys_of_the_data_need_no_field_of_the_campaign(box, data, shown):
    uploaded(box, {"extended_id": "EXT1"}, data)
    assert box.code("EXT1")[next(iter(data))] == shown
    assert data.items() <= box.code("EXT1").items()


@pytest.mark.parametrize("data", [{"product": "none"}, {"activation_status": "3"}, {"blacklist_reason": "11"}])
def test_seed_002_special_keys_take_their_own_values_alone(box, data):
    assert refusal(box, {**EXAMPLE, "scm_data": data})["scm_data"].keys() == data.keys()


@pytest.mark.parametrize("name", ["extended_id", "serial_number", "message", "product_id", "status"])
def test_seed_002_disallowed_keys_of_the_data(box, name):
    words = refusal(box, {**EXAMPLE, "scm_data": {name: "1"}})["scm_data"][name]
    instead = {"product_id": "product", "status": "activation_status"}.get(name)
    assert words == "Invalid key name" + (f", use '{instead}' instead" if instead else "")


@pytest.mark.parametrize("name", ["constraints", "scm_data"])
def test_seed_002_constraints_and_data_are_required_and_nothing_else(box, name):
    needed = {one: EXAMPLE[one] for one in ("constraints", "scm_data")}
    assert post(box, ASYNC, needed).status_code == 200
    box.reset()
    assert list(refusal(box, {one: EXAMPLE[one] for one in EXAMPLE if one != name})) == [name]


def test_seed_002_with_a_campaign_its_fields_are_checked_against_the_constraints(box):
    unknown = {**EXAMPLE, "constraints": {"colour": ["red"]}}
    assert list(refusal(box, unknown)["constraints"]) == ["colour"]
    assert uploaded(box, unknown["constraints"])["codes_affected"] == 0, "without a campaign nothing is checked"


def test_seed_002_the_example_updates_the_codes_of_three_tags(box):
    task = uploaded(box, EXAMPLE["constraints"], EXAMPLE["scm_data"], campaign=11, reference=EXAMPLE["reference"])
    assert task["codes_affected"] == 3
    values = [code.get("client_custom_field") for code in box.codes()]
    assert values == ["some_val", "some_val", "some_val", None]


def test_seed_002_the_example_of_a_refusal_word_by_word(box):
    body = {"campaign": "11", "constraints": {"message": ["m"]}, "scm_data": {"extended_id": "x", "status": "active"}}
    assert refusal(box, body) == REFUSED


@pytest.mark.parametrize(
    ("state", "settings"),
    [
        ("pending", {"task_start_s": 3600.0}), ("in-progress", {"task_run_s": 3600.0}), ("complete", {}),
        ("failed", {"faults": ({"kind": "task_fail", "on": "async", "nth": 1},)}),
    ],
)  # fmt: skip
def test_seed_002_the_four_states_of_a_task_and_the_filter_that_finds_each(state, settings):
    with sandbox(**settings) as box:
        task_id = post(box, ASYNC, EXAMPLE).json()["task_id"]
        task = get(box, f"{TASKS}{task_id}/").json()
        assert task["state"] == state
        assert (task["started_at"] is None, task["completed_at"] is None) == (
            state == "pending",
            state in {"pending", "in-progress"},
        )
        assert bool(task.get("error")) == (state == "failed")
        for asked in ("pending", "in-progress", "complete", "failed"):
            found = get(box, TASKS, state=asked).json()["results"]
            assert [one["id"] for one in found] == ([task_id] if asked == state else [])
        stats = get(box, f"/api/v2/scm/task-groups/{EXAMPLE['reference']}/").json()["state_stats"]
        assert stats == {one: int(one == state) for one in ("pending", "in-progress", "complete", "failed")}


def test_seed_002_the_example_of_a_task(box):
    task = uploaded(box, {"rfid": ["test_rfid"]}, {"intended_market": "test"})
    assert set(task) == LISTED | {"details"}
    assert task["details"] == {"constraints": {"rfid": "test_rfid"}, "scm_data": {"intended_market": "test"}}
    assert (task["reference"], task["state"], task["created_by"]) == ("", "complete", 1638)
    assert task["created_at"] <= task["started_at"] <= task["completed_at"]
    assert get(box, f"{TASKS}6913d938-d6c3-4139-97d1-27c59c113ef0/").status_code == 404


def test_seed_002_the_example_of_the_list_and_its_filters(box):
    first = uploaded(box, {"rfid": "rfid1"}, reference="ref1")
    second = uploaded(box, {"rfid": "rfid2"})
    listed = get(box, TASKS).json()
    assert {name: listed[name] for name in listed if name != "results"} == {"count": 2, "next": None, "previous": None}
    assert listed["results"] == [{name: task[name] for name in LISTED} for task in (second, first)], "newest first"
    for query, found in (
        ({"reference": "ref1"}, [first]), ({"reference": ""}, [second]), ({"reference": "ref"}, []),
        ({"created_at": first["created_at"]}, [first]), ({"created_at": "2019-08-22T16:00:12.996409Z"}, []),
        ({"state": "complete", "reference": "ref1", "created_at": first["created_at"]}, [first]),
    ):  # fmt: skip
        assert [one["id"] for one in get(box, TASKS, **query).json()["results"]] == [one["id"] for one in found], query
    assert get(box, TASKS, created_at="yesterday").status_code == 400


def test_seed_002_many_tasks_in_one_answer_by_their_ids_in_either_form(box):
    ids = [uploaded(box, {"rfid": f"rfid{n}"})["id"] for n in (1, 2, 3)]
    for body in ({"task_ids": ids[:2]}, ids[:2]):
        answer = post(box, TASKS, body).json()
        assert set(answer) == {"count", "next", "previous", "results"}
        assert [one["id"] for one in answer["results"]] == ids[:2]
        assert all(set(one) == LISTED for one in answer["results"])
    for body in ({}, {"task_ids": "one"}, {"task_ids": [1]}):
        assert post(box, TASKS, body).status_code == 400


def test_seed_002_the_example_of_a_task_group(box):
    tasks = [uploaded(box, {"rfid": ["rfid1", "rfid2"]}, reference="ref1") for _ in range(3)]
    group = get(box, "/api/v2/scm/task-groups/ref1/").json()
    assert group == {
        "reference": "ref1",
        "tasks_count": 3,
        "codes_affected": 6,
        "completed": True,
        "state_stats": {"pending": 0, "in-progress": 0, "complete": 3, "failed": 0},
        "started_at": tasks[0]["started_at"],
        "completed_at": tasks[-1]["completed_at"],
    }
    assert get(box, "/api/v2/scm/task-groups/ref2/").status_code == 404


def test_seed_002_our_client_takes_the_same_way(box):
    transport = Transport(box.url, TOKEN, timeout_s=5, user_agent="test", clock=SystemClock())
    try:
        client = Client(transport)
        constraints = {name: tuple(values) for name, values in EXAMPLE["constraints"].items()}
        sent = client.upload_async(constraints, EXAMPLE["scm_data"], reference=EXAMPLE["reference"], campaign=11)
        assert sent.verdict is Verdict.OK
        refused = client.upload_async({"message": ("m",)}, {"status": "active"}, reference="r", campaign=11)
        assert refused.verdict is Verdict.REFUSED
        assert "activation_status" in refused.message
    finally:
        transport.close()
    assert [one.id for one in box.world.tasks.values()] == [sent.task_id]
