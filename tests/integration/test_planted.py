"""Bugs that were once planted from outside and found by no test: each kind has its scene here.

What is judged is what the server holds and what the history says, not counts alone.
"""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from dataclasses import replace

import numpy as np
import pytest
from conftest import codes

from syncer.ledger.ledger import Ledger
from syncer.lifecycle.batch import Bucket
from syncer.plan.batching import ASYNC_VALUES_MAX, batch_composite
from syncer.results import RowCounts, SyncResult

REFUSED_ONCE = ({"kind": "status", "on": "sync", "nth": 1, "status_code": 401},)
"""The first call stops the run when its plan is stored, and nothing was processed."""


def reading(here):
    return Ledger.reading(f"sqlite:///{here.folder}/syncer.db")


def test_a_cell_of_one_blank_is_empty_and_is_never_sent_as_text(night, forks):
    with night(codes=codes(3, market="before")) as here:
        rows = [("K000000", " ", "L0"), ("K000001", "   ", "L1"), ("K000002", "DE", "L2")]
        here.write("a.csv", ("extended_id", "market", "lot"), rows)
        assert forks.run(here.folder, here.variables(), "sync", "a.csv").code == 0
        held = here.server()
        assert [held[key]["market"] for key, _, _ in rows] == ["before", "before", "DE"]
        assert [held[key]["lot"] for key, _, _ in rows] == ["L0", "L1", "L2"]


@pytest.mark.parametrize("columns", [2, 3, 5])
@pytest.mark.parametrize("values", [994, 999, 1000, 1001, 2000])
def test_the_fixed_values_of_a_composite_call_count_among_its_thousand(columns, values):
    fixed = [np.zeros(values, np.int64)] * (columns - 1)
    batches = batch_composite(np.zeros(values, np.int32), [np.arange(values), *fixed])
    assert int(batches.sizes.sum()) == values
    assert all(int(size) + columns - 1 <= ASYNC_VALUES_MAX for size in batches.sizes)
    assert len(batches) == -(-values // (ASYNC_VALUES_MAX - columns + 1))


DONE = SyncResult("sync", values={Bucket.CONFIRMED: 5, Bucket.SUPERSEDED: 1})


@pytest.mark.parametrize(
    "left",
    [
        {"earlier_in_doubt": 1},
        {"earlier": {Bucket.REJECTED: 1}},
        {"earlier": {Bucket.UNMATCHED: 1}},
        {"waiting": 1},
        {"discarded_fields": ("lot",)},
        {"rows": RowCounts(invalid=1)},
        *({"values": {Bucket.CONFIRMED: 5, bucket: 1}} for bucket in Bucket if bucket not in DONE.values),
    ],
    ids=str,
)
def test_each_thing_that_is_left_makes_exit_3_by_itself(left):
    assert (DONE.exit_code, DONE.state) == (0, "complete")
    one = replace(DONE, **left)
    assert (one.exit_code, one.state) == (3, "incomplete")
    after = replace(DONE, before=(one,))  # another file's run, of which nothing is left
    assert (after.exit_code, after.state) == (3, "complete")


def test_the_end_of_a_resumed_run_is_recorded_in_that_run(night, forks):
    with night(codes=codes(5), faults=REFUSED_ONCE) as here:
        here.write("a.csv", ("extended_id", "lot"), [(f"K{n:06d}", f"L{n}") for n in range(5)])
        assert forks.run(here.folder, here.variables(), "sync", "a.csv").code == 12
        with reading(here) as ledger:
            (stopped,) = ledger.runs()
            assert (stopped.state, stopped.exit_code) == ("stopped", 12)
        assert forks.run(here.folder, here.variables(), "resume").code == 0
        with reading(here) as ledger:
            (ended,) = ledger.runs()
            assert (ended.id, ended.state, ended.exit_code) == (stopped.id, "complete", 0)
            assert ended.ended_at > stopped.ended_at
            assert not ended.error
        assert {held["lot"] for held in here.server().values()} == {f"L{n}" for n in range(5)}


def test_a_value_that_is_carried_into_the_next_night_keeps_its_file_and_line(night, forks):
    with night(codes=codes(8), faults=REFUSED_ONCE) as here:
        here.write("a.csv", ("extended_id", "lot"), [(f"K{n:06d}", f"L{n}") for n in range(5)])
        here.write("b.csv", ("extended_id", "lot"), [("K000007", "new"), ("K000001", "newer")])
        assert forks.run(here.folder, here.variables(), "sync", "a.csv").code == 12
        assert forks.run(here.folder, here.variables(), "sync", "b.csv").code == 0
        with reading(here) as ledger:
            sent = {key: ledger.history(key)[-1] for key in (f"K{n:06d}" for n in (0, 1, 2, 3, 4, 7))}
        assert {key: (entry.file, entry.line) for key, entry in sent.items()} == {
            **{f"K{n:06d}": ("a.csv", n + 2) for n in (0, 2, 3, 4)},
            "K000007": ("b.csv", 2),
            "K000001": ("b.csv", 3),
        }
        assert {entry.outcome for entry in sent.values()} == {"confirmed"}
        held = here.server()
        assert [held[f"K{n:06d}"]["lot"] for n in range(5)] == ["L0", "newer", "L2", "L3", "L4"]


def test_a_task_that_has_had_its_time_is_not_waited_for_again_the_next_night(night, forks):
    faults = ({"kind": "task_stuck", "on": "async", "nth": 1},)
    with night(codes=codes(150), faults=faults) as here:
        here.write("a.csv", ("extended_id", "lot"), [(f"K{n:06d}", "L") for n in range(150)])
        short = here.variables(SYNCER_API__TASK_TIMEOUT_S="0.2")
        assert forks.run(here.folder, short, "sync", "a.csv").code == 3
        with closing(sqlite3.connect(here.folder / "syncer.db")) as ledger, ledger:  # the first night was an hour ago
            ledger.execute("UPDATE batches SET changed_at = '2026-01-01T00:00:00.000000Z' WHERE state = 'submitted'")
        patient = here.variables(SYNCER_API__TASK_TIMEOUT_S="90")
        again = forks.run(here.folder, patient, "resume", "--json")
        assert again.document["seconds"]["total"] < 60
        assert again.code in {0, 3}


@pytest.mark.parametrize("cell", ['19",', ",", ":", '":', '","', '\\",', "\\"])
def test_a_cell_that_looks_like_the_ledgers_own_delimiters_is_a_cell_like_any_other(night, forks, cell):
    """Found by a property: texts were taken apart at `","`, which stands in the canonical form of some values, too."""
    with night(codes=codes(2)) as here:
        for name, market in (("a.csv", "DE"), ("b.csv", "FR"), ("c.csv", "FR")):
            here.write(name, ("extended_id", "lot", "market", "size"), [("K000001", cell, market, "1")])
            done = forks.run(here.folder, here.variables(), "sync", name, "--approve", "--json")
            assert done.code == 0, done.err
            held = here.server()["K000001"]
            assert (held["lot"], held["market"], held["size"]) == (cell, market, "1")
            with reading(here) as ledger:
                sent = json.loads(ledger.history("K000001")[-1].data)
            assert sent == ({"lot": cell, "market": "DE", "size": "1"} if market == "DE" else {"market": "FR"})
        assert done.document["rows"]["unchanged"] == 1
