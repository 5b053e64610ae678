"""What is an enum in the program is a CHECK in the database: no other word gets in, by whatever door."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy import CheckConstraint

from syncer.codes.rules import FILE_TYPES
from syncer.errors import LedgerError
from syncer.ledger.ledger import Ledger, upgrade_ledger
from syncer.ledger.reads import WISH
from syncer.ledger.schema import metadata
from syncer.ledger.values import CallEnd
from syncer.lifecycle.batch import Bucket, Event, State
from syncer.lifecycle.part import PartEvent, PartState
from syncer.model import Kind, Mode, RunState

AT = "2026-11-20T05:00:00.000Z"
OLD = Path(__file__).parent / "ledger_0005.sql"
KNOWN = {
    ("runs", "state"): RunState, ("runs", "mode"): Mode, ("batches", "kind"): (*Kind, WISH), ("batches", "state"): State,
    ("attempts", "verdict"): CallEnd, ("outcomes", "bucket"): Bucket, ("events", "event"): Event,
    ("events", "old_state"): State, ("events", "new_state"): State, ("uploads", "filetype"): FILE_TYPES,
    ("upload_parts", "state"): PartState, ("upload_events", "event"): PartEvent,
    ("upload_events", "old_state"): PartState, ("upload_events", "new_state"): PartState,
}  # fmt: skip
LEAST = {"INTEGER": 1, "TEXT": "x", "BOOLEAN": 0, "BIGINT": 1, "FLOAT": 0.0}


@pytest.fixture(scope="module")
def ledger_file(tmp_path_factory):
    path = tmp_path_factory.mktemp("words") / "l.db"
    Ledger.open_to_write(f"sqlite:///{path}", at=AT).close()
    return path


def row_of(database, table):
    """A row with something in every column that must have something, and a known word wherever there must be one."""
    columns = database.execute(f"PRAGMA table_info({table})").fetchall()
    least = {name: LEAST[kind] for _, name, kind, needed, default, key in columns if needed and not default and not key}
    return least | {column: str(next(iter(words))) for (of, column), words in KNOWN.items() if of == table}


def insert(database, table, row):
    names = ", ".join(row)
    database.execute(f"INSERT INTO {table} ({names}) VALUES ({', '.join('?' * len(row))})", tuple(row.values()))


@pytest.mark.parametrize(("table", "column"), KNOWN)
def test_every_word_of_the_enum_is_taken_and_no_other(ledger_file, table, column):
    with closing(sqlite3.connect(ledger_file)) as database:
        for number, word in enumerate(KNOWN[table, column]):
            differs = {"attempts": {"reference": str(number)}, "upload_parts": {"number": number}}.get(table, {})
            insert(database, table, {**row_of(database, table), **differs, column: str(word)})
        for wrong in ("", "x", "PLANNED", " sync"):
            with pytest.raises(sqlite3.IntegrityError, match=f"{table}_{column}_known"):
                insert(database, table, {**row_of(database, table), column: wrong})


def test_every_column_that_holds_one_of_a_few_words_is_bounded():
    bounded = {
        (table.name, str(check.name).removeprefix(f"{table.name}_").removesuffix("_known"))
        for table in metadata.sorted_tables
        for check in table.constraints
        if isinstance(check, CheckConstraint) and check.name
    }
    assert bounded == set(KNOWN)
    named = {"state", "old_state", "new_state", "event", "verdict", "bucket", "mode", "filetype"}
    columns = {(table.name, one.name) for table in metadata.sorted_tables for one in table.columns if one.name in named}
    assert columns <= bounded


def ids(database):
    tables = sorted({table for table, _ in KNOWN} - {"outcomes"})
    return {table: database.execute(f"SELECT id FROM {table} ORDER BY 1").fetchall() for table in tables}


def test_an_old_ledger_keeps_every_row_and_guard_and_takes_no_other_word(tmp_path):
    path = tmp_path / "l.db"
    with closing(sqlite3.connect(path)) as database:
        database.executescript(OLD.read_text(encoding="utf-8"))
        before = ids(database)
    upgrade_ledger(f"sqlite:///{path}", at=AT)
    with closing(sqlite3.connect(path)) as database:
        assert {table: rows[: len(before[table])] for table, rows in ids(database).items()} == before
        assert sum(map(len, before.values())) > 20
        assert database.execute("PRAGMA foreign_key_check").fetchall() == []
        assert database.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        with pytest.raises(sqlite3.IntegrityError, match="runs_state_known"):
            database.execute("UPDATE runs SET state = 'over'")
        with pytest.raises(sqlite3.IntegrityError, match="append-only"):
            database.execute("UPDATE events SET detail = 'x'")


def test_a_word_that_nobody_knows_stops_the_upgrade_and_changes_nothing(tmp_path):
    path = tmp_path / "l.db"
    with closing(sqlite3.connect(path)) as database:
        database.executescript(OLD.read_text(encoding="utf-8"))
        database.execute("UPDATE runs SET state = 'over' WHERE id = 1")
        database.commit()
    with pytest.raises(LedgerError, match="runs_state_known"):
        upgrade_ledger(f"sqlite:///{path}", at=AT)
    with closing(sqlite3.connect(path)) as database:
        assert database.execute("SELECT version_num FROM alembic_version").fetchone() == ("0005",)
