"""The sandbox against the documented facts of the API (docs/api.md; seeds 002 and 004), over HTTP."""

from __future__ import annotations

import time
from dataclasses import replace

import pytest
import requests
from conftest import codes

from syncer.sandbox import Sandbox, SandboxConfig

AUTH = {"Authorization": "UAT any"}
SYNC, ASYNC, TASKS = "/api/v2/scm/upload/", "/api/v2/scm/upload/async/", "/api/v2/scm/tasks/"


@pytest.fixture
def box():
    with Sandbox(SandboxConfig(codes=codes(30, lot="L1"), updates_per_second=1000, task_run_s=0.02)) as box:
        yield box


def post(box, path, body, **settings):
    return requests.post(box.url + path, json=body, headers=AUTH, timeout=5, allow_redirects=False, **settings)


def get(box, path, headers=AUTH):
    return requests.get(box.url + path, headers=headers, timeout=5, allow_redirects=False)


def done(box, task_id):
    until = time.monotonic() + 5
    while time.monotonic() < until:
        task = get(box, f"{TASKS}{task_id}/").json()
        if task["state"] in {"complete", "failed"}:
            return task
        time.sleep(0.01)
    raise AssertionError("the task never ended")


def test_access_needs_the_uat_scheme(box):
    assert get(box, "/api/v2/me/").status_code == 200
    for headers in ({}, {"Authorization": "Bearer x"}, {"Authorization": "UAT"}):
        assert get(box, "/api/v2/me/", headers).status_code == 401


def test_tokens_have_permissions():
    config = SandboxConfig(tokens={"reader": frozenset({"codes_view"})})
    with Sandbox(config) as box:
        assert post(box, SYNC, {}).json() == {"detail": "Invalid token."}
        headers = {"Authorization": "UAT reader"}
        assert requests.post(box.url + SYNC, json={}, headers=headers, timeout=5).status_code == 403
        assert get(box, "/api/v2/me/", headers).json()["permissions"] == ["codes_view"]


def test_a_path_without_its_slash_is_redirected_as_django_does(box):
    answer = post(box, SYNC.rstrip("/"), {})
    assert (answer.status_code, answer.headers["Location"]) == (301, SYNC)
    assert box.world.violations


def test_seed_004_sync_upload_names_values_fields_and_counts(box):
    items = [{"extended_id": "K000001", "intended_market": "cn"}, {"extended_id": "none", "intended_market": "de"}]
    answer = post(box, SYNC, {"data_key": "extended_id", "items": items}).json()
    assert answer["items"] == {"K000001": ["intended_market"]}
    assert (answer["total_updates"], answer["codes_affected"]) == (2, 1)
    assert box.code("K000001")["intended_market"] == "cn"


def test_sync_limits_and_strings(box):
    too_many = [{"extended_id": f"K{n}", "a": "b"} for n in range(101)]
    for items in (
        too_many,
        [],
        [{"a": "b"}],
        [{"extended_id": "K000001", "a": 5}],
        [{"extended_id": "K000001", "status": "1"}],
    ):
        assert post(box, SYNC, {"items": items}).status_code == 400, items
    assert box.world.journal == []


def test_sync_uploads_take_the_keys_of_the_documents_unless_told_otherwise(box):
    refused = post(box, SYNC, {"data_key": "lot", "items": [{"lot": "L1", "a": "1"}]})
    assert (refused.status_code, list(refused.json())) == (400, ["data_key"])
    assert box.world.journal == []


def test_a_key_may_select_several_codes_and_an_empty_text_clears(box):
    box.config = replace(box.config, sync_keys=None)
    assert post(box, SYNC, {"data_key": "lot", "items": [{"lot": "L1", "a": "1"}]}).json()["codes_affected"] == 30
    post(box, SYNC, {"items": [{"extended_id": "K000002", "a": ""}]})
    assert "a" not in box.code("K000002")
    assert box.code("K000003")["a"] == "1"


def test_seed_002_async_upload_becomes_a_task_with_details(box):
    body = {
        "constraints": {"extended_id": ["K000001", "K000002"]},
        "scm_data": {"f": "v"},
        "reference": "SCM upload 11202020-10",
    }
    task_id = post(box, ASYNC, body).json()["task_id"]
    task = done(box, task_id)
    assert {
        "id",
        "reference",
        "state",
        "codes_affected",
        "created_by",
        "created_at",
        "started_at",
        "completed_at",
    } < set(task)
    assert (task["state"], task["codes_affected"], task["details"]["scm_data"]) == ("complete", 2, {"f": "v"})
    listed = get(box, f"{TASKS}?reference=SCM+upload+11202020-10").json()
    assert (listed["count"], listed["next"], listed["results"][0]["id"]) == (1, None, task_id)
    assert "details" not in listed["results"][0]
    assert get(box, f"{TASKS}?state=failed").json()["count"] == 0
    for asked in ({"task_ids": [task_id, "unknown"]}, [task_id]):
        assert [one["id"] for one in post(box, TASKS, asked).json()["results"]] == [task_id]
    group = get(box, "/api/v2/scm/task-groups/SCM upload 11202020-10/".replace(" ", "%20"))
    assert (group.status_code, group.json()["tasks_count"]) == (200, 1)
    assert get(box, f"{TASKS}nope/").status_code == 404


def test_task_groups_sum_up(box):
    for n in (1, 2):
        body = {"constraints": {"extended_id": f"K00000{n}"}, "scm_data": {"f": "v"}, "reference": "ref1"}
        done(box, post(box, ASYNC, body).json()["task_id"])
    group = get(box, "/api/v2/scm/task-groups/ref1/").json()
    assert (group["tasks_count"], group["codes_affected"], group["completed"]) == (2, 2, True)
    assert group["state_stats"] == {"pending": 0, "in-progress": 0, "complete": 2, "failed": 0}


def test_seed_002_refusals_say_which_name_to_use(box):
    body = {"campaign": "11", "constraints": {"message": ["x"]}, "scm_data": {"extended_id": "x", "status": "1"}}
    answer = post(box, ASYNC, body)
    assert answer.status_code == 400
    assert answer.json() == {
        "campaign": ["Incorrect type. Expected pk value, received str."],
        "scm_data": {"extended_id": "Invalid key name", "status": "Invalid key name, use 'activation_status' instead"},
        "constraints": {"message": "Invalid constraint name, please use 'extended_id' instead"},
    }


def test_constraints_select_codes_that_match_all_of_them(box):
    body = {"constraints": {"lot": "L1", "extended_id": ["K000001", "k000002"]}, "scm_data": {"f": "v"}}
    assert done(box, post(box, ASYNC, body).json()["task_id"])["codes_affected"] == 1
    body = {"constraints": {"lot": ["L1", "L2"], "extended_id": ["K000001", "K000002"]}, "scm_data": {"f": "v"}}
    post(box, ASYNC, body)
    assert any("cross product" in words for words in box.world.violations)


@pytest.mark.parametrize(
    "constraints",
    [
        {},
        {"a": []},
        {"a": [1]},
        {"a": ["x", "x"]},
        {f"c{n}": "x" for n in range(6)},
        {"a": [str(n) for n in range(1001)]},
    ],
)
def test_constraints_out_of_bounds_are_refused(box, constraints):
    assert post(box, ASYNC, {"constraints": constraints, "scm_data": {"f": "v"}}).status_code == 400


def test_undefined_fields_are_discarded_silently_and_campaigns_check_constraints():
    config = SandboxConfig(codes=codes(3), campaigns={7: frozenset({"lot"})}, updates_per_second=1000)
    with Sandbox(config) as box:
        items = [{"extended_id": "K000000", "lot": "a", "colour": "b", "product": "P"}]
        assert post(box, SYNC, {"items": items}).json()["items"] == {"K000000": ["lot", "product"]}
        body = {"constraints": {"rfid": ["1"]}, "scm_data": {"lot": "x"}, "campaign": 7}
        assert post(box, ASYNC, body).status_code == 400
        assert post(box, ASYNC, {**body, "campaign": 8}).status_code == 400


def test_answers_count_and_name_only_what_changed_where_the_sandbox_is_told_so():
    codes = tuple({"extended_id": f"E{n}", "market": "de"} for n in range(3))
    with Sandbox(SandboxConfig(codes=codes, changes_only=True)) as box:
        items = [{"extended_id": f"E{n}", "market": "de", **({"lot": "1"} if n == 1 else {})} for n in range(3)]
        answer = post(box, SYNC, {"data_key": "extended_id", "items": items}).json()
        assert (answer["total_updates"], answer["codes_affected"], answer["items"]) == (3, 1, {"E1": ["lot"]})
        assert answer["changes"] == [{"id": 1, "fields": ["lot"]}]


def test_the_limit_of_updates_is_a_sliding_second_and_says_when_to_come_again():
    with Sandbox(SandboxConfig(codes=codes(1), updates_per_second=10)) as box:
        answers = [post(box, SYNC, {"items": [{"extended_id": "K000000", "a": "b"}]}) for _ in range(12)]
        assert [answer.status_code for answer in answers] == [200] * 10 + [429] * 2
        assert answers[-1].json()["code"] == "throttled"
        assert answers[-1].headers["Retry-After"] == "1"
        assert get(box, "/api/v2/me/").status_code == 200


def test_lists_are_paged_with_absolute_links():
    with Sandbox(SandboxConfig(codes=codes(50), updates_per_second=1000, page_size=20)) as box:
        for n in range(45):
            post(box, ASYNC, {"constraints": {"extended_id": f"K{n:06d}"}, "scm_data": {"f": "v"}})
        url, seen = f"{box.url}{TASKS}", []
        while url:
            page = requests.get(url, headers=AUTH, timeout=5).json()
            seen += [task["id"] for task in page["results"]]
            url = page["next"]
        assert len(set(seen)) == len(seen) == page["count"] == 45


def test_the_control_door_shows_and_changes_everything(box):
    assert requests.get(box.url, timeout=5).text.count("/sandbox/") >= 8
    post(box, "/sandbox/codes", [{"extended_id": "NEW1"}])
    assert get(box, "/sandbox/state?extended_id=NEW1").json()["codes"] == [
        {"extended_id": "NEW1", "activation_status": "0"}
    ]
    assert post(box, "/sandbox/faults", [{"kind": "status", "on": "me", "nth": 1, "status_code": 503}]).json() == {
        "faults": 1
    }
    assert [get(box, "/api/v2/me/").status_code for _ in range(2)] == [503, 200]
    assert post(box, "/sandbox/faults", [{"kind": "nonsense"}]).status_code == 400
    logged = get(box, "/sandbox/requests").json()["requests"]
    assert logged[0]["call"] == "me"
    assert "any" not in str(logged)
    for path in ("tasks", "journal", "violations"):
        assert get(box, f"/sandbox/{path}").status_code == 200
    post(box, "/sandbox/reset", None)
    assert len(box.codes()) == 30


def test_other_methods_and_bodies_are_refused(box):
    assert get(box, SYNC).status_code == 405
    assert get(box, "/api/v2/none/").status_code == 404
    assert (
        requests.post(
            box.url + SYNC, data=b"{", headers={**AUTH, "Content-Type": "application/json"}, timeout=5
        ).status_code
        == 400
    )
    assert requests.post(box.url + SYNC, data=b"{}", headers=AUTH, timeout=5).status_code == 415


def test_codes_are_read_from_a_file_of_either_delimiter(tmp_path):
    for text in ("extended_id,lot\nA1,x\nA2,\n", "\ufeffextended_id;lot\nA1;x\nA2;\n"):
        path = tmp_path / "codes.csv"
        path.write_text(text, encoding="utf-8")
        with Sandbox(SandboxConfig(codes_file=str(path))) as box:
            assert [code.get("lot") for code in box.codes()] == ["x", None]
