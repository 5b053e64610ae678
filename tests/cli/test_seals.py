"""Seals: whoever changes the history below its triggers is found, and told where; `audit seal` is what to keep elsewhere."""

from __future__ import annotations

import contextlib
import shutil
import sqlite3

import pytest
from conftest import codes, open_night

from syncer.ledger.ledger import Ledger

HEADER = ["extended_id", "market"]
NAMED = {
    "a payload": ("payloads", """UPDATE payloads SET data = '{"market":"XX"}' WHERE id = 1""", "payloads of run 1"),
    "a line": ("items", "UPDATE items SET line = line + 1 WHERE id = 2", "items of run 1 (seal 1)"),
    "a time": ("events", "UPDATE events SET at = '2020-01-01T00:00:00.000Z' WHERE id = 1", "events of run 1"),
    "an outcome": ("outcomes", "UPDATE outcomes SET bucket = 'confirmed'", "outcomes of run 1"),
    "a removed row": ("events", "DELETE FROM events WHERE id = 2", "rows; "),
    "an answer": ("attempts", "UPDATE attempts SET verdict = 'refused', status_code = 500 WHERE id = 1", "in attempts 1 to"),
    "a task": ("batches", "UPDATE batches SET task_id = '1' WHERE id = 1", "in batches 1 to"),
    "the state of a batch": ("batches", "UPDATE batches SET state = 'failed' WHERE id = 1", "batch 1 is 'failed'"),
    "a job's name": ("jobs", "UPDATE jobs SET name = 'other'", "the record of run 1"),
    "an outcome put in": ("outcomes", "INSERT INTO outcomes SELECT max(id), 'rejected', 'x' FROM items", "has an outcome, but no event"),
    "a row put in at the end": ("events", "INSERT INTO events SELECT 999, at, run_id, batch_id, attempt_id, event, old_state, new_state, detail FROM events WHERE id = 1", "added after the newest seal"),
    "a seal taken out": ("seals", "DELETE FROM seals WHERE id = 1", "chain"),
    "the newest seal taken out": ("seals", "DELETE FROM seals WHERE id = 3", "runs: 1 rows were added after the newest seal"),
}  # fmt: skip


@pytest.fixture(scope="module")
def sealed(tmp_path_factory):
    """A ledger with three runs, and the seal that was given out after the second."""
    folder = tmp_path_factory.mktemp("sealed")
    with open_night(folder, codes=codes(3)) as here:
        here.sync(here.write("a.csv", HEADER, [["K000000", "DE"], ["K000001", "DE"], ["NOPE0001", "FR"]]))
        shutil.copy(folder / "syncer.db", folder / "cut.db")
        here.sync(here.write("b.csv", HEADER, [["K000000", "FR"]]), "--approve")
        given = here.run("audit", "seal").out.strip()
        here.sync(here.write("c.csv", HEADER, [["K000002", "IT"]]), "--approve")
        verified = here.run("audit", "verify", "--json", "--seal", given)
        assert (verified.code, verified.document["faults"]) == (0, [])
        assert here.run("audit", "verify", "--seal", "0" * 64).code == 13
        assert here.run("audit", "verify", "--seal", given[:40]).code == 2  # half of one proves nothing
        assert here.run("audit", "verify", "--seal", f" {given.upper()}\n").code == 0
        assert here.run("ledger", "check").code == 0
    return folder / "syncer.db", given


def faults(path, given=None):
    with Ledger.reading(f"sqlite:///{path}") as ledger:
        return ledger.verify_seals(given)


@pytest.mark.parametrize(("table", "statements", "where"), NAMED.values(), ids=NAMED)
def test_what_was_changed_below_the_triggers_is_found_and_named(sealed, tmp_path, table, statements, where):
    copy = tmp_path / "syncer.db"
    shutil.copy(sealed[0], copy)
    with sqlite3.connect(copy) as connection:
        for (trigger,) in connection.execute(
            "SELECT name FROM sqlite_master WHERE type = 'trigger' AND tbl_name = ?", (table,)
        ).fetchall():
            connection.execute(f"DROP TRIGGER {trigger}")
        before = connection.total_changes
        connection.executescript(statements)
        assert connection.total_changes > before
    connection.close()
    with Ledger.reading(f"sqlite:///{copy}") as ledger:
        found = ledger.verify_seals(None)
    assert found
    assert any(where in one for one in found)


def test_a_cut_end_is_found_by_the_seal_that_was_kept_elsewhere(sealed):
    cut, given = sealed[0].with_name("cut.db"), sealed[1]
    assert faults(cut) == []  # a shorter history is a history, too
    (fault,) = faults(cut, given)
    assert "cut off" in fault


def test_a_history_whose_seals_were_all_taken_out_is_found_and_scripts_read_what(sealed, tmp_path):
    shutil.copy(sealed[0], tmp_path / "syncer.db")
    with contextlib.closing(sqlite3.connect(tmp_path / "syncer.db")) as database, database:
        database.execute("DROP TRIGGER seals_no_delete")
        assert database.execute("DELETE FROM seals").rowcount == 3
    with open_night(tmp_path) as here:
        for command, member in ((("audit", "verify"), "faults"), (("ledger", "check"), "problems")):
            done = here.run(*command, "--json")
            assert done.code == 13
            assert done.document[member] == ["there is no seal, though 3 runs ended with one: all were taken out"]


def test_a_sound_ledger_has_no_faults_however_its_runs_ended(sealed):
    assert faults(sealed[0]) == []
    assert faults(sealed[0], sealed[1]) == []


def test_the_file_and_line_of_each_field_are_sealed_too(tmp_path):
    """A row that only says a part: the other part keeps the place that it came from."""
    header = [*HEADER, "shipment"]
    with open_night(tmp_path, codes=codes(3)) as here:
        here.box.faults.replace([{"kind": "status", "status_code": 429, "on": "sync", "every": 1}])
        assert here.sync(here.write("a.csv", header, [["K000000", "DE", "S1"]]), "--deadline", "1").code == 10
        here.box.faults.replace([])
        assert here.sync(here.write("b.csv", header, [["K000000", "", "S2"]]), "--approve").code == 0
    path = tmp_path / "syncer.db"
    assert faults(path) == []
    with contextlib.closing(sqlite3.connect(path)) as database, database:
        for (trigger,) in database.execute("SELECT name FROM sqlite_schema WHERE type = 'trigger'").fetchall():
            database.execute(f"DROP TRIGGER {trigger}")
        assert database.execute("UPDATE item_origins SET line = 99").rowcount == 1
    assert "item_origins of run 2" in faults(path)[0]


def test_a_run_that_is_resumed_after_its_end_is_sealed_again(tmp_path):
    """A task failed, so its values wait; `resume` plans them for the run that had ended."""
    with open_night(tmp_path, codes=codes(150)) as here:
        here.box.faults.replace([{"kind": "task_fail", "on": "async", "nth": 1}])
        file = here.write("a.csv", HEADER, [[f"K{n:06d}", "DE"] for n in range(150)])
        assert here.sync(file, "--mode", "async").code == 3
        here.run("resume", "--json")
    assert faults(tmp_path / "syncer.db") == []
    assert {code["market"] for code in here.box.codes()} == {"DE"}
