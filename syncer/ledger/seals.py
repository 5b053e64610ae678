"""Every run is sealed: a hash over what it added to the history, chained to the seal before. Proof for later years.

A seal covers the rows that the tables of the history have had since the seal before (by their ids, which only grow),
the outcomes that its events tell of, and how the run ended. Rows are hashed in blocks, so that what does not fit can be
named. What always holds: sealing adds one row and changes none; `verify` reads alone and needs nothing but the ledger.

A chain that is kept nowhere else proves nothing against whoever owns the ledger: he can make it again. So the newest
seal is given out (`audit seal`, messages of [notify]) to be kept elsewhere; `verify` holds the chain against it.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from syncer.ledger.bulk import raw_cursor

if TYPE_CHECKING:
    import sqlite3

    from sqlalchemy import Connection

BLOCK_ROWS = 1_000
"""Rows of one block: what does not fit is named to within as many."""
BLOCK_DIGITS = 16
"""Hex digits kept of a block's hash: they find the place, the seal's own hash proves it."""
FIRST = "0" * 64
"""What the first seal is chained to."""

_TABLES: Mapping[str, str] = {
    "sources": "SELECT id, json_array(id, run_id, name, sha256, size_bytes, rows, form) FROM sources",
    "payloads": "SELECT id, json_array(id, fingerprint, data) FROM payloads",
    "batches": "SELECT id, json_array(id, run_id, job_id, parent_id, kind, payload_id, varying, first_item_id, size)"
    " FROM batches",
    "items": "SELECT id, json_array(id, batch_id, key, payload_id, source_id, line) FROM items",
    "attempts": "SELECT id, json_array(id, batch_id, reference, started_at) FROM attempts",
    "events": "SELECT id, json_array(id, at, run_id, batch_id, attempt_id, event, old_state, new_state, detail)"
    " FROM events",
}
"""The columns of each table that never change, in the order of the ids."""
# An outcome is written with the event that its batch did not end as a whole, and belongs to that event's seal.
_OUTCOMES = """
SELECT e.id, json_array(o.item_id, o.bucket, o.message) FROM events e JOIN batches b ON b.id = e.batch_id
JOIN outcomes o ON o.item_id BETWEEN b.first_item_id AND b.first_item_id + b.size - 1
WHERE e.id > ? AND e.id <= ? AND e.new_state = 'mismatched' ORDER BY e.id, o.item_id
"""
_RUN = (
    "SELECT json_array(id, job_id, started_at, ended_at, state, exit_code, error, mode, rows, minimum_updates,"
    " discarded_fields, program) FROM runs WHERE id = ?"
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
    for table in _TABLES:
        last = cursor.execute(f"SELECT coalesce(max(id), 0) FROM {table}").fetchone()[0]
        begin = before[table]["to"] if table in before else 0
        covers[table] = _covered(cursor, table, begin, last)
    covers["outcomes"] = _covered(cursor, "outcomes", covers["events"]["from"], covers["events"]["to"])
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
    """Return everything that does not fit the seals, first things first; empty when all does.

    ``given``: a seal that was kept elsewhere; it must be one of the chain's.
    """
    cursor, faults, previous, ends = raw_cursor(connection), list[str](), FIRST, dict[str, int]()
    newest_of_run: dict[int, str] = {}
    seen = set[str]()
    query = "SELECT id, run_id, at, run, covers, previous, digest FROM seals ORDER BY id"
    for number, (seal_id, run_id, at, run, text, before, digest) in enumerate(cursor.execute(query).fetchall(), 1):
        if seal_id != number or before != previous:
            faults.append(
                f"the chain of seals is broken before seal {seal_id} of run {run_id}: one was taken out or moved"
            )
        if digest != _digest(before, run_id, at, run, text):
            faults.append(f"seal {seal_id} (run {run_id}, {at}) was changed")
        faults += _misfits(cursor, seal_id, run_id, json.loads(text), ends)
        newest_of_run[run_id] = run
        previous = digest
        seen.add(digest)
    for run_id, run in newest_of_run.items():
        row = cursor.execute(_RUN, (run_id,)).fetchone()
        if row is None or (row[0] != run and json.loads(row[0])[4] != "running"):
            faults.append(f"the record of run {run_id} (times, counts, exit code) is not what was sealed")
    if given is not None and given not in seen:
        faults.append(f"the given seal {given} is not in this ledger: its end was cut off, or it is another ledger")
    return faults


def _misfits(
    cursor: sqlite3.Cursor, seal_id: int, run_id: int, covers: Mapping[str, Mapping[str, Any]], ends: dict[str, int]
) -> Iterator[str]:
    """Yield what of the rows that a seal covers is not as it was sealed; `ends` are the ends of the seals before."""
    for table, sealed in covers.items():
        if sealed["from"] != ends.get(table, 0):
            yield f"seal {seal_id} (run {run_id}) does not begin where the one before ends: {table}"
        ends[table] = sealed["to"]
        found = _covered(cursor, table, sealed["from"], sealed["to"])
        if found == sealed:
            continue
        place = next(
            (n for n, (now, then) in enumerate(zip(found["blocks"], sealed["blocks"], strict=False)) if now != then),
            min(len(found["blocks"]), len(sealed["blocks"])),
        )
        first, last = place * BLOCK_ROWS + 1, min((place + 1) * BLOCK_ROWS, max(found["rows"], sealed["rows"]))
        words = f"{table} of run {run_id}: rows {first} to {last} of ids {sealed['from'] + 1} to {sealed['to']}"
        count = f" ({found['rows']} rows; {sealed['rows']} were sealed)" if found["rows"] != sealed["rows"] else ""
        yield f"{words} are not what was sealed{count}"


def _covered(cursor: sqlite3.Cursor, table: str, begin: int, end: int) -> dict[str, Any]:
    """Return what a seal says of the rows with ids after `begin` up to `end`."""
    whole, blocks, rows = hashlib.sha256(), list[str](), 0
    statement = _OUTCOMES if table == "outcomes" else f"{_TABLES[table]} WHERE id > ? AND id <= ? ORDER BY id"
    cursor.execute(statement, (begin, end))
    while lines := cursor.fetchmany(BLOCK_ROWS):
        data = "\n".join(line for _, line in lines).encode() + b"\n"
        whole.update(data)
        blocks.append(hashlib.sha256(data).hexdigest()[:BLOCK_DIGITS])
        rows += len(lines)
    return {"from": begin, "to": end, "rows": rows, "digest": whole.hexdigest(), "blocks": blocks}


def _digest(previous: str, run_id: int, at: str, run: str, covers: str) -> str:
    parts: Sequence[object] = (previous, run_id, at, run, covers)
    return hashlib.sha256(json.dumps(parts, separators=(",", ":"), ensure_ascii=False).encode()).hexdigest()
