"""Letting the values of a batch go on in smaller ones. Items are copied: history is never changed."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

from syncer.ledger.bulk import raw_cursor
from syncer.lifecycle.batch import State
from syncer.model import Kind

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterator, Sequence

    from sqlalchemy import Connection

    from syncer.ledger.values import Batch


@dataclass(frozen=True, slots=True)
class Piece:
    """A part of a batch that goes on as a batch of its own: which of its items, by which kind of call."""

    kind: Kind
    item_ids: tuple[int, ...]


_PAYLOAD = "SELECT payload_id FROM items WHERE id = ?"
_CHILD = """
INSERT INTO batches (run_id, job_id, space_id, parent_id, campaign, unique_key, kind, state, payload_id, varying,
                     first_item_id, size, changed_at)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) RETURNING id
"""
_ITEMS = """
INSERT INTO items (id, batch_id, key, payload_id, source_id, line, before_id)
SELECT ?1 + j.key, ?2, i.key, i.payload_id, i.source_id, i.line, i.before_id
FROM json_each(?3) j CROSS JOIN items i ON i.id = j.value ORDER BY j.key
"""
_ORIGINS = """
INSERT INTO item_origins (item_id, source_id, line, fields)
SELECT ?1 + j.key, o.source_id, o.line, o.fields FROM json_each(?2) j CROSS JOIN item_origins o ON o.item_id = j.value
"""


def split(connection: Connection, parent: Batch, pieces: Sequence[Piece], at: str) -> Iterator[int]:
    """Let the values of `parent` go on in one new batch per piece; stream the ids of these."""
    cursor = raw_cursor(connection)
    for piece in pieces:
        first = cursor.execute("SELECT max(id) FROM items").fetchone()[0] + 1
        payload_id = cursor.execute(_PAYLOAD, (piece.item_ids[0],)).fetchone()[0] if piece.kind is Kind.ASYNC else None
        inherited = (parent.run_id, parent.job_id, parent.space_id, parent.id, parent.campaign, parent.unique)
        own = (piece.kind.value, State.PLANNED.value, payload_id, parent.varying, first, len(piece.item_ids), at)
        child_id: int = cursor.execute(_CHILD, inherited + own).fetchone()[0]
        copy_items(cursor, piece.item_ids, first, child_id)
        yield child_id


def copy_items(cursor: sqlite3.Cursor, item_ids: Sequence[int], first_id: int, batch_id: int) -> None:
    """Let some items stand in another batch, too, under ids from `first_id` on: each field keeps its file and line."""
    ids = json.dumps(item_ids)
    cursor.execute(_ITEMS, (first_id, batch_id, ids))
    cursor.execute(_ORIGINS, (first_id, ids))
