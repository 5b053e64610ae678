"""Rows whose older batch is not settled are held, recorded, and planned without their file once it is (promise 3)."""

from __future__ import annotations

import sqlite3
from contextlib import closing, contextmanager

from conftest import codes
from places import Place, held_by

from syncer.ledger.recovery import recover
from syncer.process.clock import utc_text
from syncer.sandbox import Sandbox, SandboxConfig

COUNT = 150


def night(market):
    return {f"K{number:06d}": market for number in range(COUNT)}


@contextmanager
def held_rows(folder):
    """Give a machine and a server: of the first night's calls one stays in doubt, so rows of the second one are held."""
    fault = {"kind": "drop_before", "on": "async", "nth": 1}
    with Sandbox(SandboxConfig(codes=codes(COUNT), faults=(fault,), task_run_s=0.02, updates_per_second=1000)) as box:
        place = Place(folder / "srv", box.url, extra={"SYNCER_API__SETTLE_S": "60"})
        lost = place.sync(night("DE"), deadline_s=8.0)["values"]["in_doubt"]
        assert lost > 0
        with closing(sqlite3.connect(place.ledger)) as database, database:  # another account's calls stay in doubt
            database.execute("UPDATE attempts SET account = 'account 7'")
        place.extra = {"SYNCER_API__SETTLE_S": "0.1"}
        held = place.sync(night("FR"), approve=True)
        assert (held["exit_code"], held["rows"]["held"]) == (3, lost)
        yield place, box, lost


def test_what_is_held_when_a_ledger_is_put_back_is_dropped_and_listed(tmp_path):
    """It would go out over what was sent in the lost time."""
    with held_rows(tmp_path) as (place, box, lost):
        done = recover(place.ledger, at=utc_text(0.0))
        assert [(batch.values, batch.state.value) for batch in done.unsent] == [(lost, "planned")]
        ended = place.sync({"K000000": "IT"}, approve=True)
        assert (ended["exit_code"], ended["requests"]["updates"]) == (0, 1)
        assert list(held_by(box).values()).count("FR") <= COUNT - lost


def test_newer_rows_wait_for_a_call_in_doubt_and_go_out_without_their_file(tmp_path):
    with held_rows(tmp_path) as (place, box, lost):
        assert list(held_by(box).values()).count("FR") == COUNT - lost
        assert box.world.tasks == {} or all(task.codes_affected != lost for task in box.world.tasks.values())
        place.extra["SYNCER_API__TASK_TIMEOUT_S"] = "0.001"
        for _ in range(2):  # the first lets go of the call in doubt, and plans what waited for it
            ended = place.run("resume")
        assert ended["exit_code"] in {0, 3}
        assert held_by(box) == night("FR")
