"""Words that stay wanted though no row says them anew: of values that a late end of a call made uncertain.

A call that was let go of may land after newer data was confirmed, and nobody sees what it left behind. What was known
until then is what is wanted, so it is kept as a wish: the next plan sends it again.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from syncer.ledger.bulk import insert_rows, raw_cursor
from syncer.ledger.pictures import payload_numbers, payload_texts, read_pictures
from syncer.lifecycle.batch import State
from syncer.mirror.words import NOTHING, fields_of, only

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from syncer.ledger.values import Batch

# The source and line of a wish are those of the item that made the value known last.
_KNOWN = """
SELECT i.key, m.picture, i.payload_id, c.source_id, c.line FROM items i
JOIN mirror m ON m.space_id = ?1 AND m.key = i.key
JOIN items c ON c.key = i.key AND c.batch_id = m.batch_id
WHERE i.id BETWEEN ?2 AND ?3
"""
_WISH = """
INSERT INTO batches (run_id, job_id, space_id, kind, varying, state, campaign, unique_key, first_item_id, size,
                     changed_at)
VALUES (?, ?, ?, 'wish', 0, ?, ?, ?, ?, ?, ?) RETURNING id
"""


def wish_what_is_known(connection: Connection, batch: Batch, at: str) -> None:
    """Keep wanting what is known of the fields of `batch`, which may just have overwritten it."""
    cursor = raw_cursor(connection)
    span = (batch.space_id, batch.first_item_id, batch.first_item_id + batch.size - 1)
    rows = cursor.execute(_KNOWN, span).fetchall()
    pictures = read_pictures(connection, {picture for _, picture, *_ in rows})
    sent = payload_texts(connection, {payload_id for _, _, payload_id, *_ in rows})
    kept = [
        (key, only(pictures[picture].known, fields_of(sent[payload_id])), source_id, line)
        for key, picture, payload_id, source_id, line in rows
    ]
    kept = [row for row in kept if row[1] != NOTHING]
    if not kept:
        return
    numbers = payload_numbers(connection, {text for _, text, *_ in kept})
    first = cursor.execute("SELECT max(id) + 1 FROM items").fetchone()[0]
    about = (batch.run_id, batch.job_id, batch.space_id, State.PLANNED.value, batch.campaign, batch.unique)
    wish_id = cursor.execute(_WISH, (*about, first, len(kept), at)).fetchone()[0]
    items = (
        (first + place, wish_id, key, numbers[text], source_id, line)
        for place, (key, text, source_id, line) in enumerate(kept)
    )
    insert_rows(connection, "items", ("id", "batch_id", "key", "payload_id", "source_id", "line"), items)
