"""Ledgers in memory for the simulator: the declared schema, one database per schedule, a connection per process."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from dataclasses import replace
from functools import cache
from pathlib import Path

from sqlalchemy import Connection, StaticPool, create_engine, event, insert, text

from syncer.ledger import archives, identity
from syncer.ledger.ledger import Ledger
from syncer.ledger.lock import Stamp
from syncer.ledger.schema import SCHEMA_REVISION, append_only_triggers, ledger, metadata

AFTER_COMMIT = "after a commit"
LEDGER_ID = "5eed5eed5eed"
NEVER = "2999-01-01T00:00:00.000Z"
STATEMENTS = 2000  # all processes of a schedule share one connection: each statement is prepared once for all of them


class Database(sqlite3.Connection):
    """A database in memory that is closed when nobody holds it any more: a schedule that failed has no last word.

    ``stamp`` is what its lock file would say of it; ``moved`` are the rows that `prune` took out, by table.
    """

    stamp = None
    moved = None

    def __del__(self):
        self.close()


@cache
def empty_ledger():
    """Return the bytes of an empty ledger: the declared schema, which the migrations are proven equal to."""
    database = sqlite3.connect(":memory:", isolation_level=None, factory=Database)
    engine = create_engine("sqlite://", creator=lambda: database, poolclass=StaticPool)
    with engine.begin() as connection:
        metadata.create_all(connection)
        connection.execute(text("CREATE TABLE alembic_version (version_num TEXT)"))
        connection.execute(text("INSERT INTO alembic_version VALUES (:r)"), {"r": SCHEMA_REVISION})
        connection.execute(insert(ledger).values(id=LEDGER_ID, position=0))
        for statement in append_only_triggers():
            connection.execute(text(statement))
    return database.serialize()


def fresh_database():
    """Return a ledger in memory, without a run."""
    database = sqlite3.connect(
        ":memory:", isolation_level=None, check_same_thread=False, factory=Database, cached_statements=STATEMENTS
    )
    database.deserialize(empty_ledger())
    return database


def overwrite(database, saved):
    """Put what was saved in a database's place; `deserialize` would do so under statements that are still in use."""
    with closing(sqlite3.connect(":memory:")) as copy:
        copy.deserialize(saved)
        copy.backup(database)


def copy_of(database):
    """Return a copy of a ledger, as another machine has it that got its files."""
    copy = fresh_database()
    overwrite(copy, database.serialize())
    copy.stamp = database.stamp
    return copy


def prune(database):
    """Move all history that may be moved, as ``ledger prune`` does; return how many items went."""
    cursor = database.cursor()
    cursor.execute("BEGIN IMMEDIATE")
    before = {table: cursor.execute(f"SELECT * FROM {table}").fetchall() for table in archives.MOVED}
    cut, items = archives.find_cut(cursor, NEVER), 0
    if cut is not None:
        items, _ = archives.take_out(cursor, "archive", cut, NEVER)
        database.moved = database.moved or {}
        for table, rows in before.items():
            left = {*cursor.execute(f"SELECT * FROM {table}").fetchall()}
            database.moved.setdefault(table, []).extend(row for row in rows if row not in left)
    cursor.execute("COMMIT")
    return items


def whole(database):
    """Return a ledger with its whole history: itself, or a copy into which the rows that were moved are put back."""
    if not database.moved:
        return database
    copy = copy_of(database)
    for table, rows in database.moved.items():
        if rows:
            copy.executemany(f"INSERT INTO {table} VALUES ({', '.join('?' * len(rows[0]))})", rows)
    copy.commit()
    return copy


class MemoryLock:
    """Stands for the lock file of a ledger in memory: it keeps the stamp; whom it lets in, the schedule decides."""

    def __init__(self, database):
        self._database = database

    def set_stamp(self, stamp):
        """Keep where the ledger stands."""
        self._database.stamp = stamp

    def announce(self, ledger_id):
        """Keep the id that it is about to take."""
        if self._database.stamp is not None:
            self._database.stamp = replace(self._database.stamp, becoming=ledger_id)

    def release(self):
        """Nobody waits for it."""


# One engine for all schedules, so that each statement is compiled once; every process has a connection of its own.
_engine = create_engine("sqlite://", poolclass=StaticPool)
_commit = Connection._commit_impl


@event.listens_for(_engine, "begin")
def _begin(connection):
    _step_of(connection)("")
    connection.connection.driver_connection.execute("BEGIN IMMEDIATE")


def _step_of(connection):
    """Return the step of the process that a connection belongs to: kept in it, so that it goes when the process goes."""
    return vars(connection).get("step_of_its_process", lambda what: None)


def _step_around_commit(connection):
    step = _step_of(connection)
    step("before a commit")
    _commit(connection)
    step(AFTER_COMMIT)


Connection._commit_impl = _step_around_commit


def open_ledger(database, step, folder=Path()):
    """Open the ledger for a process on the database, which outlives it; it may die before and after every commit.

    `step` is told of both; of the begin of a transaction it is told nothing (""), but a dead process begins none.
    All processes share the database's one connection. So a dead one may not touch it when its remains are collected,
    whenever that is: a pool would roll back what a living one is writing. And what a process keeps in tables of its
    connection is gone for the next one, as with a connection of its own.
    """
    for (table,) in database.execute("SELECT name FROM sqlite_temp_master WHERE type = 'table'").fetchall():
        database.execute(f"DROP TABLE temp.{table}")
    _engine.pool = StaticPool(lambda: database, dialect=_engine.dialect, reset_on_return=None)
    connection = _engine.connect()
    connection.step_of_its_process = step
    return Ledger(folder / "sim", connection, MemoryLock(database), stamp=database.stamp)


def open_in_time(database, step, folder=Path()):
    """Open the ledger as a command does that writes: a backup or an older copy is refused."""
    opened = open_ledger(database, step, folder)
    try:
        opened.require_in_time()
    except BaseException:
        opened.close()
        raise
    found = identity.identity_of(opened)
    database.stamp = Stamp(found.id, found.position)
    return opened
