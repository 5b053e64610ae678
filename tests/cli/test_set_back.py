"""A clock that was set back: the story of a value and the list of work are told as they were recorded."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from types import SimpleNamespace

import pytest
from conftest import codes

from syncer.report.story_order import Recorded

HEADER = ("extended_id", "market")


def put_forward(here, run_id, hours):
    """Let a run have been made by a clock that was ahead."""
    later = f"strftime('%Y-%m-%dT%H:%M:%fZ', {{0}}, '+{hours} hours')"
    with closing(sqlite3.connect(here.folder / "syncer.db")) as database, database:
        for (trigger,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
            database.execute(f"DROP TRIGGER {trigger}")
        for table, columns in {"runs": ("started_at", "ended_at"), "events": ("at",)}.items():
            which = "id" if table == "runs" else "run_id"
            for column in columns:
                statement = f"UPDATE {table} SET {column} = {later.format(column)} WHERE {which} = ?"
                database.execute(statement, (run_id,))


def test_what_was_recorded_later_is_told_later(night):
    with night(codes=codes(2)) as here:
        for market in ("DE", "FR"):
            assert here.sync(here.write(f"{market}.csv", HEADER, [("K000000", market), ("K000001", market)])).code == 0
        put_forward(here, 1, hours=5)
        (story,) = here.run("audit", "show", "K000000", "--json").document["stories"]
        told = [(one["run"], one["what"]) for one in story["moments"]]
        assert told == [(run, what) for run in (1, 2) for what in ("planned", "sent", "confirmed")]
        assert [line.split()[0] for line in here.run("status").out.splitlines()[1:3]] == ["2", "1"]


def event(number, batch_id, at, run_id=None):
    return SimpleNamespace(id=number, batch_id=batch_id, at=at, run_id=run_id or batch_id)


def entry(batch_id, planned_at, outcome_at="", run_id=None):
    return SimpleNamespace(
        batch_id=batch_id, planned_at=planned_at, outcome_at=outcome_at, run_id=run_id or batch_id
    )  # fmt: skip


def times(events, *entries):
    return [at for (at, _, _), _ in Recorded(events, entries).of_plans(entries)]


@pytest.mark.parametrize(
    ("events", "entries", "expected"),
    [
        ((), (entry(1, "05"),), ["05"]),
        ((event(1, 1, "06"), event(2, 1, "07")), (entry(1, "05"), entry(2, "08")), ["05", "08"]),
        # A run that was resumed saw the end of its batch after a later run had planned: nothing ran backwards.
        ((event(1, 1, "06"), event(2, 1, "09")), (entry(1, "05"), entry(2, "08")), ["05", "08"]),
        # The second run began, and sent, by a clock that was set back.
        ((event(1, 1, "06"), event(2, 1, "07"), event(3, 2, "02")), (entry(1, "05"), entry(2, "01")), ["05", "07"]),
        # What it planned was never sent.
        ((event(1, 1, "06"), event(2, 1, "07")), (entry(1, "05"), entry(2, "01")), ["05", "07"]),
        # The first plan was replaced before it was sent.
        ((event(1, 1, "02", 2), event(2, 2, "03")), (entry(1, "05"), entry(2, "01")), ["02", "02"]),
        # Set back between a plan and its call.
        ((event(1, 1, "04"), event(2, 1, "05")), (entry(1, "06"),), ["04"]),
    ],
)
def test_a_plan_is_told_before_what_became_of_it_and_behind_what_earlier_runs_saw(events, entries, expected):
    assert times(events, *entries) == expected


def test_changes_stand_as_recorded_and_the_end_of_a_value_behind_those_of_its_batch():
    order = Recorded([event(1, 1, "06"), event(2, 1, "03"), event(3, 2, "04")], [entry(1, "05")])
    assert [(place[:2], one.id) for place, one in order.events()] == [(("06", 0), 1), (("06", 1), 2), (("06", 2), 3)]
    assert order.of_end(entry(1, "05", outcome_at="03")) == ("06", 1, 2)
    assert order.of_end(entry(1, "05", outcome_at="07")) == ("07", 1, 2)
    assert Recorded([], []).of_end(entry(None, "05", outcome_at="03")) == ("03", 0, 2)
