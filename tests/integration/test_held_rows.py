"""Rows whose older batch is not settled are held, recorded, and planned without their file once it is (promise 3)."""

from __future__ import annotations

import sqlite3
from contextlib import closing

from conftest import codes
from places import Place, held_by

from syncer.sandbox import Sandbox, SandboxConfig

COUNT = 150


def night(market):
    return {f"K{number:06d}": market for number in range(COUNT)}


def test_newer_rows_wait_for_a_call_in_doubt_and_go_out_without_their_file(tmp_path):
    fault = {"kind": "drop_before", "on": "async", "nth": 1}
    with Sandbox(SandboxConfig(codes=codes(COUNT), faults=(fault,), task_run_s=0.02, updates_per_second=1000)) as box:
        place = Place(tmp_path / "srv", box.url, extra={"SYNCER_API__SETTLE_S": "60"})
        lost = place.sync(night("DE"), deadline_s=3.0)["values"]["in_doubt"]
        assert lost > 0
        with closing(sqlite3.connect(place.ledger)) as database, database:  # another account's calls stay in doubt
            database.execute("UPDATE attempts SET account = 'account 7'")
        place.extra = {"SYNCER_API__SETTLE_S": "0.1"}
        held = place.sync(night("FR"), approve=True)
        assert (held["exit_code"], held["rows"]["held"]) == (3, lost)
        assert list(held_by(box).values()).count("FR") == COUNT - lost
        assert box.world.tasks == {} or all(task.codes_affected != lost for task in box.world.tasks.values())
        place.extra["SYNCER_API__TASK_TIMEOUT_S"] = "0.001"
        for _ in range(2):  # the first lets go of the call in doubt, and plans what waited for it
            ended = place.run("resume")
        assert ended["exit_code"] in {0, 3}
        assert held_by(box) == night("FR")
