"""What a run had to tell, and was killed before: the next one tells it, once."""

from __future__ import annotations

import os
import signal
import sqlite3
from contextlib import closing, suppress

from conftest import codes
from listeners import wait_for

HEADER = ("extended_id", "lot")
JOB = '[jobs.it]\nkey = "extended_id"\nexport = "changes"\n'


def killed_with_an_outcome(here, rows):
    """Run with these rows, whose task never ends; kill it once it has recorded what became of another value."""
    assert here.sync(here.write("zero.csv", HEADER, [("K000249", "L")])).code == 0
    with closing(sqlite3.connect(here.folder / "syncer.db")) as ledger, ledger:
        ledger.execute("UPDATE ledger SET counts_same = 1")  # so it need not read back whom an answer does not name
    here.box.faults.replace([{"kind": "task_stuck", "on": "async", "every": 1}])
    process = here.start("sync", here.write("first.csv", HEADER, rows))

    def outcomes():
        with suppress(sqlite3.OperationalError), closing(sqlite3.connect(here.folder / "syncer.db")) as ledger:
            return ledger.execute("SELECT count(*) FROM outcomes").fetchone()[0]

    wait_for(outcomes)
    os.kill(process.pid, signal.SIGKILL)
    process.communicate(timeout=30)
    here.box.faults.replace([])
    for task in here.box.world.tasks.values():
        task.stuck = False


def test_a_value_without_a_code_that_a_killed_run_saw_is_told_by_the_next_run(night):
    with night(codes=codes(250)) as here:
        here.config(JOB)
        killed_with_an_outcome(here, [("GHOST", "G"), *((f"K{n:06d}", "L") for n in range(150))])
        there = here.write("next.csv", HEADER, [("K000200", "L")])
        told = here.sync(there)
        assert (told.code, told.document["earlier"]["unmatched"]) == (3, 1), told.document
        assert "first.csv:2" in told.document["concerns"][0]["message"]
        again = here.sync(there)
        assert (again.code, again.document["earlier"]["unmatched"]) == (0, 0), again.document


def test_what_a_killed_run_saw_and_the_next_one_plans_anew_is_told_once(night):
    with night(codes=codes(250)) as here:
        here.config(JOB)
        killed_with_an_outcome(here, [("GHOST", "G"), *((f"K{n:06d}", "L") for n in range(150))])
        told = here.sync("first.csv")
        assert (told.code, told.document["values"]["unmatched"], told.document["earlier"]["unmatched"]) == (3, 1, 0)
        assert sum(concern["values"] for concern in told.document["concerns"]) == 1, told.document["concerns"]
