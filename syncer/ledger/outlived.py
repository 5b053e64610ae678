"""Calls that were still open when something else was seen to end: which of the two came last, nobody knows.

An upload of own codes ends, or a task that was let go of, while a call for the same values waits for its answer. The
call may have been processed before that end, so its own end makes nothing known, whatever the answer says.

What always holds: the note of it stands in the ledger, as a stamp of its own scope, from the transaction that records
the end of the one to that of the other. Nothing that is known when it is written is older than such a stamp.
"""

from __future__ import annotations

import json
from enum import StrEnum
from typing import TYPE_CHECKING

from syncer.ledger.apart import Apart
from syncer.ledger.bulk import raw_cursor
from syncer.ledger.crossing import Space, spaces_of_fields, stamp
from syncer.ledger.pictures import payload_texts
from syncer.lifecycle.batch import OPEN
from syncer.mirror.picture import EVERY_FIELD, PRODUCT
from syncer.mirror.words import fields_of

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterable

    from sqlalchemy import Connection

    from syncer.ledger.apart import Disjoint
    from syncer.ledger.values import Batch

AT_ITS_END = 0
"""The place in time of a stamp that is about what an open batch will confirm: nothing that is known now is older."""
_STILL_OPEN = f"""
SELECT b.id FROM batches b
WHERE b.space_id = ?1 AND b.job_id NOT IN (SELECT value FROM json_each(?3)) AND NOT b.split
AND b.state IN ({", ".join(repr(state.value) for state in OPEN)})
AND (?2 IS NULL OR EXISTS (SELECT 1 FROM json_each(?2) j CROSS JOIN items i ON i.key = j.value AND i.batch_id = b.id))
"""
_CARRIED = "SELECT i.key, i.payload_id FROM items i WHERE i.id BETWEEN ? AND ?"


class By(StrEnum):
    """What ended while a batch was open."""

    UPLOAD = "an upload of own codes"
    """Words for a value from before a code came under it are no wish for that code."""
    LATE_END = "a call that was let go of"
    """The batch's words are newer, so they stay wanted."""


def outlive(
    cursor: sqlite3.Cursor, space_id: int, values: Iterable[str] | None, by: By, apart: frozenset[int] = frozenset()
) -> None:
    """Take note of the open batches of a space that carry some values (None: any): `by` ended before them.

    ``apart`` are jobs that never reach the same codes.
    """
    listed = None if values is None else json.dumps(sorted({*values}), ensure_ascii=False)
    for (batch_id,) in cursor.execute(_STILL_OPEN, (space_id, listed, json.dumps([*apart]))).fetchall():
        cause = f"{by.value} ended while batch {batch_id} was open"
        stamp(cursor, space_id, EVERY_FIELD, _scope(batch_id, by), AT_ITS_END, cause)


def outlive_late_end(connection: Connection, batch: Batch, disjoint: Disjoint) -> None:
    """Take note of the open batches that may have been processed before a batch that was let go of."""
    cursor = raw_cursor(connection)
    rows = cursor.execute(_CARRIED, (batch.first_item_id, batch.first_item_id + batch.size - 1)).fetchall()
    texts = payload_texts(connection, {payload_id for _, payload_id in rows}).values()
    written = {field for text in texts for field in fields_of(text)}
    outlive(cursor, batch.space_id, [key for key, _ in rows], By.LATE_END)
    apart = Apart(connection, disjoint).from_job(batch.job_id)
    for other in spaces_of_fields(cursor).values():
        if other.id != batch.space_id and _reaches(written, other):
            outlive(cursor, other.id, None, By.LATE_END, apart)


def _reaches(written: set[str], other: Space) -> bool:
    """Tell whether a write of some fields may change what another space's values hold."""
    return PRODUCT in written or not written.isdisjoint(other.fields | {*other.key})


def outlived(connection: Connection, batch: Batch) -> frozenset[By]:
    """Return, once, what ended while a batch was open that ends now."""
    scopes = {_scope(batch.id, by): by for by in By}
    statement = "DELETE FROM stamps WHERE space_id = ? AND scope IN (?, ?) RETURNING scope"
    found = raw_cursor(connection).execute(statement, (batch.space_id, *scopes)).fetchall()
    return frozenset(scopes[scope] for (scope,) in found)


def _scope(batch_id: int, by: By) -> str:
    return json.dumps({"batch": batch_id, "ended": by.name.lower()})
