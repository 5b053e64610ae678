"""Dropping words: what waits for a plan, and was not sent, says nothing of some fields any more.

What always holds: history stays. The other fields of a value stay wanted, each with its file and line. A batch that is
open, and what is known or uncertain, are as before.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from syncer.ledger import reads
from syncer.ledger.bulk import raw_cursor
from syncer.ledger.pictures import payload_texts
from syncer.ledger.transitions import change_state
from syncer.ledger.wishes import wish
from syncer.lifecycle.batch import Event, State
from syncer.mirror.words import NOTHING, fields_of, only, without

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Collection

    from sqlalchemy import Connection

    from syncer.ledger.values import Batch

_ITEMS = "SELECT id, key, payload_id, source_id, line FROM items WHERE id BETWEEN ? AND ?"
_ORIGINS = "SELECT item_id, source_id, line, fields FROM item_origins WHERE item_id BETWEEN ? AND ?"


def drop_words(connection: Connection, fields: Collection[str], at: str) -> tuple[int, list[int]]:
    """Drop what is wanted of some fields, in the caller's transaction; return how many values, and of which runs."""
    dropped, runs = 0, set[int]()
    for batch in reads.wanted_batches(connection):
        named, kept = _apart(connection, batch, frozenset(fields))
        if not named:
            continue
        dropped += named
        runs.add(batch.run_id)
        if batch.state is State.PLANNED:
            detail = f"dropped by hand: {', '.join(sorted(fields))}"
            change_state(connection, batch, Event.REPLANNED, run_id=batch.run_id, at=at, detail=detail)
        raw_cursor(connection).execute("UPDATE batches SET wanted = false WHERE id = ?", (batch.id,))
        if kept:
            errand = (batch.run_id, batch.job_id, batch.space_id, batch.campaign, int(batch.unique))
            wish(connection, errand, kept, at)
    return dropped, sorted(runs)


def _apart(connection: Connection, batch: Batch, fields: frozenset[str]) -> tuple[int, list[tuple[str, str, int, int]]]:
    """Return how many values of a batch name some of the fields, and what all of them want else."""
    cursor = raw_cursor(connection)
    span = (batch.first_item_id, batch.first_item_id + batch.size - 1)
    items = cursor.execute(_ITEMS, span).fetchall()
    texts = payload_texts(connection, {payload_id for _, _, payload_id, *_ in items})
    touched = {number for number, text in texts.items() if not fields.isdisjoint(fields_of(text))}
    named = sum(payload_id in touched for _, _, payload_id, *_ in items)
    if not named:
        return 0, []
    merged = _origins(cursor, span)
    kept = []
    for item_id, key, payload_id, source_id, line in items:
        rest = without(texts[payload_id], fields)
        for source, at_line, of in merged.get(item_id, ()):
            kept.append((key, only(rest, of), source, at_line))
            rest = without(rest, of)
        kept.append((key, rest, source_id, line))
    return named, [one for one in kept if one[1] != NOTHING]


def _origins(cursor: sqlite3.Cursor, span: tuple[int, int]) -> dict[int, list[tuple[int, int, list[str]]]]:
    """Return, by item, the fields that came from other files and lines than its own."""
    found: dict[int, list[tuple[int, int, list[str]]]] = {}
    for item_id, source_id, line, names in cursor.execute(_ORIGINS, span):
        found.setdefault(item_id, []).append((source_id, line, json.loads(names)))
    return found
