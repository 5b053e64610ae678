"""Uploads of own codes under SIGKILL at every step and under faults at every call: one ingestion in the end."""

from __future__ import annotations

import hashlib
import signal

import pytest
from conftest import TOKEN

HEADER = ("id", "pallet_number")
ROWS = [(f"ABCD{n:05d}", f"pal{n % 7}") for n in range(60)]
POINTS = (
    "syncer.ledger.uploads:Uploads.add", "syncer.ledger.uploads:Uploads.change", "syncer.ledger.uploads:Uploads.ended",
    "syncer.api.transport:Transport.call", "syncer.api.storage:StorageHost.post",
)  # fmt: skip
"""Every durable change and every exchange with a host: before each, and after it, is a point at which the process dies."""
POINTS_MAX = 40


def run_killed(here, forks, at_point, *arguments):
    """Run the program and kill it at a point; return whether it was killed."""
    trap = {"where": "calls", "of": POINTS, "do": "kill", "at": at_point}
    done = forks.run(here.folder, here.variables(), *arguments, trap=trap)
    assert done.code in {0, -signal.SIGKILL}, done.err
    return done.code == -signal.SIGKILL


def assert_one_ingestion(here, rows=ROWS):
    """Each code once, one processing, one work order, and the token never at storage: by the server's own record."""
    assert sorted(code["extended_id"] for code in here.box.codes()) == sorted(row[0] for row in rows)
    begun = [record for record in here.box.ingestion.records.values() if record.processed]
    assert [record.processed for record in begun] == [1]
    assert [record.status for record in begun] == ["complete"]
    assert len(here.box.ingestion.work_orders.orders) == 1
    assert here.box.world.violations == []
    none = hashlib.sha256(b"").hexdigest()[:8]
    assert {logged.token for logged in here.box.calls("storage")} == {none}


@pytest.mark.parametrize("again", [("resume",), ("upload", "a.csv")], ids=["resume", "same command"])
@pytest.mark.parametrize("begin", range(1, POINTS_MAX, 4))
def test_an_upload_killed_at_every_step_creates_one_ingestion(night, forks, tmp_path_factory, begin, again):
    for at_point in range(begin, begin + 4):
        folder = tmp_path_factory.mktemp("killed")
        with night(codes=()) as here:
            here.folder = folder
            here.write("a.csv", HEADER, ROWS)
            killed = run_killed(here, forks, at_point, "codes", "upload", "a.csv")
            done = here.run("codes", *again, "--json")
            if done.document["uploads"] == []:  # killed before anything was recorded, or after the end
                recorded = here.run("codes", "list", "--json").document["uploads"]
                assert [one["state"] for one in recorded] == (["complete"] if here.box.requests else [])
                done = here.run("codes", "upload", "a.csv", "--json")
            assert done.code == 0, done.document
            assert_one_ingestion(here)
            assert not list((folder / "syncer.db.codes").iterdir()), "the spool is swept"
        if not killed:
            assert here.run("ledger", "check").code == 0
            return
    assert begin + 4 < POINTS_MAX, "there are more points than are tried"


def test_an_upload_that_is_killed_again_and_again_creates_one_ingestion(night, forks):
    with night(codes=()) as here:
        here.write("a.csv", HEADER, ROWS)
        for at_point in (3, 4, 5, 4, 3, 6, 4, 5):
            if not run_killed(here, forks, at_point, "codes", "upload", "a.csv"):
                break
        assert here.run("codes", "upload", "a.csv", "--json").code == 0
        assert_one_ingestion(here)


SPOILED = [
    {"kind": "drop_before"}, {"kind": "drop_after"}, {"kind": "truncate"}, {"kind": "garbage"}, {"kind": "html"},
    {"kind": "body", "text": "{}"}, {"kind": "body", "text": "[]"}, {"kind": "status", "status_code": 503},
    {"kind": "status_after", "status_code": 502}, {"kind": "hang", "seconds": 3.0}, {"kind": "late", "seconds": 0.3},
    {"kind": "slow_drip", "seconds": 0.2},
]  # fmt: skip


@pytest.mark.parametrize("call", ["post_data", "storage", "process", "record"])
@pytest.mark.parametrize("fault", SPOILED, ids=lambda fault: "-".join(map(str, fault.values())))
def test_a_fault_at_any_call_leaves_one_ingestion(night, call, fault):
    rules = ({**fault, "on": call, "nth": 1}, {**fault, "on": call, "nth": 2})
    with night(codes=(), faults=rules) as here:
        here.write("a.csv", HEADER, ROWS)
        done = here.run(
            "codes", "upload", "a.csv", "--json", SYNCER_API__GIVE_UP_AFTER_S="20", SYNCER_API__TIMEOUT_S="1"
        )
        assert done.code == 0, done.document
        assert_one_ingestion(here)


@pytest.mark.parametrize("call", ["post_data", "process", "record"])
def test_a_throttled_call_waits_and_a_refused_token_stops(night, call):
    rule = {"kind": "status", "on": call, "nth": 1, "status_code": 429, "seconds": 1}
    with night(codes=(), faults=(rule,)) as here:
        here.write("a.csv", HEADER, ROWS)
        assert here.run("codes", "upload", "a.csv", "--json").code == 0
        assert_one_ingestion(here)
    for status_code in (401, 403):
        with night(codes=(), faults=({**rule, "status_code": status_code},)) as here:
            (here.folder / "syncer.db").unlink()
            done = here.run("codes", "upload", "a.csv", "--json")
            assert (done.code, done.document["error"]["code"]) == (12, "access")
            assert here.run("codes", "resume", "--json").code == 0
            assert_one_ingestion(here)


def test_a_storage_that_redirects_or_refuses_gets_nothing_more_and_the_upload_goes_on_later(night):
    for fault in ({"kind": "redirect", "url": "http://127.0.0.1:9/"}, {"kind": "status", "status_code": 403}):
        with night(codes=(), faults=({**fault, "on": "storage", "every": 1},)) as here:
            (here.folder / "syncer.db").unlink(missing_ok=True)
            here.write("a.csv", HEADER, ROWS)
            done = here.run("codes", "upload", "a.csv", "--json")
            assert (done.code, done.document["error"]["code"]) == (5, "unreachable")
            assert len(here.box.calls("storage")) == 3
            assert here.box.calls("process") == []
            here.box.faults.replace([])
            assert here.run("codes", "resume", "--json").code == 0
            assert_one_ingestion(here)


def test_a_form_that_expired_between_two_runs_is_replaced(night):
    with night(codes=(), faults=({"kind": "status", "on": "storage", "every": 1, "status_code": 503},)) as here:
        here.write("a.csv", HEADER, ROWS)
        done = here.run("codes", "upload", "a.csv", "--json", SYNCER_API__GIVE_UP_AFTER_S="0.2")
        assert done.code == 5
        here.box.faults.replace([])
        for record in here.box.ingestion.records.values():
            record.created_s -= 3600  # for storage the form is too old, whatever our clock says
        assert here.run("codes", "resume", "--json").code == 0
        assert len(here.box.ingestion.records) == 2
        assert_one_ingestion(here)


def test_processing_that_never_ends_is_left_pending_and_found_later(night):
    with night(codes=(), faults=({"kind": "ingestion_stuck", "on": "process", "nth": 1},)) as here:
        here.write("a.csv", HEADER, ROWS)
        done = here.run("codes", "upload", "a.csv", "--json", SYNCER_API__TASK_TIMEOUT_S="0.5")
        assert (done.code, done.document["upload"]["state"], done.document["codes"]["open"]) == (3, "open", 60)
        late = here.run("codes", "upload", "a.csv", "--json", "--deadline", "0.5")
        assert (late.code, late.document["error"]["code"]) == (10, "deadline")
        for record in here.box.ingestion.records.values():
            record.stuck = False
        assert here.run("codes", "resume", "--json").code == 0
        assert_one_ingestion(here)
        assert len(here.box.calls("process")) == 1


def test_the_token_stands_nowhere_but_in_requests_to_the_api(night):
    with night(codes=()) as here:
        here.write("a.csv", HEADER, ROWS)
        done = here.run("codes", "upload", "a.csv", "-v", "-v")
        files = [path.read_bytes() for path in here.folder.rglob("*") if path.is_file()]
        assert TOKEN not in done.out + done.err
        assert not any(TOKEN.encode() in content for content in files)
        assert_one_ingestion(here)
