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

from syncer.ledger import archives, sealed_records
from syncer.ledger.bulk import raw_cursor
from syncer.ledger.sealed_rows import ABOUT, BEFORE_ALL, TABLES, covered, digest_own_codes, newest_id

if TYPE_CHECKING:
    import sqlite3

    from sqlalchemy import Connection

FIRST = "0" * 64
"""What the first seal is chained to."""
FAULTS_MAX = 20
"""Faults that are told; where there are more, the last one says so."""


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
    digest_own_codes(cursor, before.get("upload_codes", {"to": BEFORE_ALL})["to"])
    for table in TABLES:
        begin = before[table]["to"] if table in before else BEFORE_ALL
        covers[table] = covered(cursor, table, begin, newest_id(cursor, table))
    run = sealed_records.record(cursor, run_id)
    text = json.dumps(covers, separators=(",", ":"), sort_keys=True)
    digest = _digest(previous, run_id, at, run, text)
    statement = "INSERT INTO seals (run_id, at, run, covers, previous, digest) VALUES (?, ?, ?, ?, ?, ?)"
    cursor.execute(statement, (run_id, at, run, text, previous, digest))


def newest(connection: Connection) -> Seal | None:
    """Return the newest seal; None where no run has ended yet."""
    row = raw_cursor(connection).execute("SELECT id, run_id, at, digest FROM seals ORDER BY id DESC LIMIT 1").fetchone()
    return None if row is None else Seal(*row)


def digests(connection: Connection) -> list[str]:
    """Return the digests of all seals, oldest first."""
    return [digest for (digest,) in raw_cursor(connection).execute("SELECT digest FROM seals ORDER BY id")]


def verify(connection: Connection, *, given: str | None = None) -> list[str]:
    """Return what does not fit the seals, first things first, `FAULTS_MAX` of it; empty when all does.

    ``given``: a seal that was kept elsewhere; it must be one of the chain's.
    """
    faults = list(islice(_faults(raw_cursor(connection), given), FAULTS_MAX + 1))
    return faults if len(faults) <= FAULTS_MAX else [*faults[:FAULTS_MAX], "… and more"]


def add_for_old_runs(connection: Connection, at: str) -> None:
    """Seal runs that ended by a program without seals, one by one, in the caller's transaction: how each ended, too."""
    query = "SELECT id FROM runs WHERE ended_at IS NOT NULL AND NOT EXISTS (SELECT 1 FROM seals) ORDER BY id"
    for (run_id,) in raw_cursor(connection).execute(query).fetchall():
        add(connection, run_id, at)


def add_what_is_new(connection: Connection, run_id: int, at: str) -> None:
    """Seal what was recorded outside of a run that ends, in the caller's transaction; without it nothing is added."""
    if unsealed(connection):
        add(connection, run_id, at)


def unsealed(connection: Connection) -> int:
    """Return how many rows no seal covers yet: those of a run that is going on, or that died, and of own codes."""
    cursor = raw_cursor(connection)
    row = cursor.execute("SELECT covers FROM seals ORDER BY id DESC LIMIT 1").fetchone()
    return sum(_unsealed(cursor, {} if row is None else _ends(row[0])).values())


def _ends(covers: str) -> dict[str, int]:
    """Return up to where a seal covers each table."""
    return {table: sealed["to"] for table, sealed in json.loads(covers).items()}


def _unsealed(cursor: sqlite3.Cursor, ends: Mapping[str, int]) -> dict[str, int]:
    """Return the rows after the ends of the newest seal, by table."""
    counts = {}
    for name, table in TABLES.items():
        if table.source == name and not table.condition:
            query = f"SELECT count(*) FROM {name} WHERE {table.place} > ?"
            counts[name] = cursor.execute(query, (ends.get(name, BEFORE_ALL),)).fetchone()[0]
    return counts


def _faults(cursor: sqlite3.Cursor, given: str | None) -> Iterator[str]:
    previous = FIRST
    ends: Mapping[str, int] | None = dict.fromkeys(TABLES, BEFORE_ALL)
    newest_of_run: dict[int, str] = {}
    seen = set[str]()
    digest_own_codes(cursor, BEFORE_ALL)
    query = "SELECT id, run_id, at, run, covers, previous, digest FROM seals ORDER BY id"
    for number, (seal_id, run_id, at, run, text, before, digest) in enumerate(cursor.execute(query).fetchall(), 1):
        if seal_id != number or before != previous:
            yield f"the chain of seals is broken before seal {seal_id} of run {run_id}: one was taken out or moved"
        if digest != _digest(before, run_id, at, run, text):
            yield f"seal {seal_id} (run {run_id}, {at}) was changed"
            ends = None
        else:
            yield from _misfits(cursor, seal_id, run_id, json.loads(text), ends)
            ends = _ends(text)
            newest_of_run[run_id] = run
        previous = digest
        seen.add(digest)
    yield from sealed_records.misfits(cursor, newest_of_run)
    yield from archives.misfits(cursor)
    if seen and ends is not None and not sealed_records.goes_on(cursor):
        for table, count in _unsealed(cursor, ends).items():
            if count and not table.startswith("upload"):  # own codes wait for the seal of the next run
                yield f"{table}: {count} rows were added after the newest seal, and no run is going on"
    if not seen and (ended := sealed_records.ended_with_a_seal(cursor)):
        yield f"there is no seal, though {ended} runs ended with one: all were taken out"
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
        first, last = cursor.execute(TABLES[table].block_statement(), (sealed["from"], sealed["to"], place)).fetchone()
        where = "" if first is None else f", in {ABOUT.get(table, 'rows')} {first} to {last}"
        count = f" ({found['rows']} rows; {sealed['rows']} were sealed)" if found["rows"] != sealed["rows"] else ""
        yield f"{table} of run {run_id} (seal {seal_id}) are not what was sealed{where}{count}"


def _digest(previous: str, run_id: int, at: str, run: str, covers: str) -> str:
    parts = (previous, run_id, at, run, covers)
    return hashlib.sha256(json.dumps(parts, separators=(",", ":"), ensure_ascii=False).encode()).hexdigest()
