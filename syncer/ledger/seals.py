"""Every run is sealed: a hash over what it added to the history, chained to the seal before. Proof for later years.

A seal covers the rows that the tables of the history have had since the seal before (sealed_rows.py), the answers,
ends and outcomes that its events made final, and how the run ended. Rows are hashed in blocks, so that what does not
fit can be named. What always holds: sealing adds one row and changes none; `verify` reads alone and needs nothing but
the ledger.

A chain that is kept nowhere else proves nothing against whoever owns the ledger: he can make it again. So the newest
seal is given out (`audit seal`, messages of [notify]) to be kept elsewhere; `verify` holds the chain against it.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Any

from syncer.ledger.bulk import raw_cursor
from syncer.ledger.sealed_rows import BEFORE_ALL, BLOCK_ROWS, TABLES, covered, ids_of

if TYPE_CHECKING:
    import sqlite3

    from sqlalchemy import Connection

FIRST = "0" * 64
"""What the first seal is chained to."""
FAULTS_MAX = 20
"""Faults that are told; where there are more, the last one says so."""
_STATES = """
SELECT b.id, b.state FROM batches b WHERE b.state <> coalesce(
  (SELECT e.new_state FROM events e WHERE e.batch_id = b.id ORDER BY e.id DESC LIMIT 1), 'planned')
"""
_RUN = (
    "SELECT json_array(r.id, j.name, j.key, r.started_at, r.ended_at, r.state, r.exit_code, r.error, r.mode, r.rows,"
    " r.minimum_updates, r.discarded_fields, r.program) FROM runs r JOIN jobs j ON j.id = r.job_id WHERE r.id = ?"
)


@dataclass(frozen=True, slots=True)
class Seal:
    """One seal: ``digest`` (64 hex digits) stands for everything that was recorded up to ``at``."""

    id: int
    run_id: int
    at: str
    digest: str


def add(connection: Connection, run_id: int, at: str) -> None:
    """Seal a run that has just ended, in the caller's transaction."""
    cursor = raw_cursor(connection)
    newest = cursor.execute("SELECT digest, covers FROM seals ORDER BY id DESC LIMIT 1").fetchone()
    previous, before = (FIRST, {}) if newest is None else (newest[0], json.loads(newest[1]))
    covers = {}
    for table in TABLES:
        last = cursor.execute(f"SELECT coalesce(max(id), 0) FROM {ids_of(table)}").fetchone()[0]
        begin = before[table]["to"] if table in before else BEFORE_ALL
        covers[table] = covered(cursor, table, begin, last)
    run = cursor.execute(_RUN, (run_id,)).fetchone()[0]
    text = json.dumps(covers, separators=(",", ":"), sort_keys=True)
    digest = _digest(previous, run_id, at, run, text)
    statement = "INSERT INTO seals (run_id, at, run, covers, previous, digest) VALUES (?, ?, ?, ?, ?, ?)"
    cursor.execute(statement, (run_id, at, run, text, previous, digest))


def newest(connection: Connection) -> Seal | None:
    """Return the newest seal; None where no run has ended yet."""
    row = raw_cursor(connection).execute("SELECT id, run_id, at, digest FROM seals ORDER BY id DESC LIMIT 1").fetchone()
    return None if row is None else Seal(*row)


def verify(connection: Connection, *, given: str | None = None) -> list[str]:
    """Return what does not fit the seals, first things first, `FAULTS_MAX` of it; empty when all does.

    ``given``: a seal that was kept elsewhere; it must be one of the chain's.
    """
    faults = list(islice(_faults(raw_cursor(connection), given), FAULTS_MAX + 1))
    return faults if len(faults) <= FAULTS_MAX else [*faults[:FAULTS_MAX], "… and more"]


def unsealed(connection: Connection) -> int:
    """Return how many items and events no seal covers yet: those of a run that is going on, or that died."""
    cursor = raw_cursor(connection)
    row = cursor.execute("SELECT covers FROM seals ORDER BY id DESC LIMIT 1").fetchone()
    ends = {} if row is None else {table: sealed["to"] for table, sealed in json.loads(row[0]).items()}
    count = "SELECT count(*) FROM {table} WHERE id > ?"
    return sum(
        cursor.execute(count.format(table=table), (ends.get(table, BEFORE_ALL),)).fetchone()[0]
        for table in ("items", "events")
    )


def _faults(cursor: sqlite3.Cursor, given: str | None) -> Iterator[str]:
    previous = FIRST
    ends: Mapping[str, int] | None = dict.fromkeys(TABLES, BEFORE_ALL)
    newest_of_run: dict[int, str] = {}
    seen = set[str]()
    query = "SELECT id, run_id, at, run, covers, previous, digest FROM seals ORDER BY id"
    for number, (seal_id, run_id, at, run, text, before, digest) in enumerate(cursor.execute(query).fetchall(), 1):
        if seal_id != number or before != previous:
            yield f"the chain of seals is broken before seal {seal_id} of run {run_id}: one was taken out or moved"
        if digest != _digest(before, run_id, at, run, text):
            yield f"seal {seal_id} (run {run_id}, {at}) was changed"
            ends = None
        else:
            covers = json.loads(text)
            yield from _misfits(cursor, seal_id, run_id, covers, ends)
            ends = {table: sealed["to"] for table, sealed in covers.items()}
        newest_of_run[run_id] = run
        previous = digest
        seen.add(digest)
    for run_id, run in newest_of_run.items():
        row = cursor.execute(_RUN, (run_id,)).fetchone()
        if row is None or (row[0] != run and json.loads(row[0])[5] != "running"):
            yield f"the record of run {run_id} (job, times, counts, exit code) is not what was sealed"
    for batch_id, state in cursor.execute(_STATES).fetchall():
        yield f"batch {batch_id} is {state!r}, but its events do not end so"
    if given is not None and given not in seen:
        yield f"the given seal {given} is not in this ledger: its end was cut off, or it is another ledger"


def _misfits(
    cursor: sqlite3.Cursor,
    seal_id: int,
    run_id: int,
    covers: Mapping[str, Mapping[str, Any]],
    ends: Mapping[str, int] | None,
) -> Iterator[str]:
    """Yield what of the rows that a seal covers is not as it was sealed.

    ``ends`` are the ends of the seal before; None: that one was changed.
    """
    for table, sealed in covers.items():
        if ends is not None and sealed["from"] != ends.get(table, BEFORE_ALL):
            yield f"seal {seal_id} (run {run_id}) does not begin where the one before ends: {table}"
        found = covered(cursor, table, sealed["from"], sealed["to"])
        if found == sealed:
            continue
        place = next(
            (n for n, (now, then) in enumerate(zip(found["blocks"], sealed["blocks"], strict=False)) if now != then),
            min(len(found["blocks"]), len(sealed["blocks"])),
        )
        first, last = place * BLOCK_ROWS + 1, min((place + 1) * BLOCK_ROWS, max(found["rows"], sealed["rows"]))
        count = f" ({found['rows']} rows; {sealed['rows']} were sealed)" if found["rows"] != sealed["rows"] else ""
        yield f"{table} of run {run_id} (seal {seal_id}): rows {first} to {last} are not what was sealed{count}"


def _digest(previous: str, run_id: int, at: str, run: str, covers: str) -> str:
    parts = (previous, run_id, at, run, covers)
    return hashlib.sha256(json.dumps(parts, separators=(",", ":"), ensure_ascii=False).encode()).hexdigest()
