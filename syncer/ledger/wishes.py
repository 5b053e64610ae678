"""Words that stay wanted though no row says them anew: a late end made them uncertain, or a campaign takes them now.

A call that was let go of may land after newer data was confirmed, and nobody sees what it left behind; so may an upload
of own codes. What was known until then is what is wanted, so it is kept as a wish: the next plan sends it again.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from syncer.ledger.bulk import insert_rows, raw_cursor
from syncer.ledger.mirror import not_written_since, written_since
from syncer.ledger.pictures import payload_numbers, payload_texts, read_pictures
from syncer.ledger.splitting import copy_items
from syncer.lifecycle.batch import State
from syncer.mirror.words import NOTHING, fields_of, only

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import Connection

    from syncer.ledger.apart import Disjoint
    from syncer.ledger.values import Batch

# The source and line of a wish are those of the item that made the value known last.
_KNOWN = """
SELECT i.id, i.key, m.picture, m.batch_id, i.payload_id, c.source_id, c.line FROM items i
JOIN mirror m ON m.space_id = ?1 AND m.key = i.key
JOIN items c ON c.key = i.key AND c.batch_id = m.batch_id
WHERE i.id BETWEEN ?2 AND ?3
"""
_WISH = """
INSERT INTO batches (run_id, job_id, space_id, kind, varying, state, campaign, unique_key, first_item_id, size,
                     changed_at)
VALUES (?, ?, ?, 'wish', 0, ?, ?, ?, ?, ?, ?) RETURNING id
"""
LEFT_OUT = "the answer left it out: it held this before, or no code has it"
"""Of a value of which nobody can tell why an answer did not count it."""
OVERWRITTEN = (
    "its upload was let go of and ended late, perhaps over what another key has written since: nobody knows what it "
    "holds, and the newest export that names it sends it again"
)
"""Of a value whose newest word may be another key's, or lost with the ledger's time, so that none is sent again."""


class KnownWord(NamedTuple):
    """What is known of a key value, as a canonical text, and the batch that was confirmed for it last.

    ``origin`` is the source and line of the word; None: those of the batch's item.
    """

    key: str
    text: str
    batch_id: int
    origin: tuple[int, int] | None = None


# Whose errand a word was, and where its item came from.
_OF_BATCH = """
SELECT b.run_id, b.job_id, b.space_id, b.campaign, b.unique_key, i.source_id, i.line
FROM batches b JOIN items i ON i.batch_id = b.id AND i.key = ?2 WHERE b.id = ?1
"""


def keep_wanting(connection: Connection, words: Sequence[KnownWord], at: str) -> None:
    """Keep wanting words that something else may just have overwritten, each for those who sent it."""
    cursor = raw_cursor(connection)
    wishes: dict[tuple[int, int, int, int | None, int], list[tuple[str, str, int, int]]] = {}
    for word in words:
        row = cursor.execute(_OF_BATCH, (word.batch_id, word.key)).fetchone()
        if row is not None:
            *errand, source_id, line = row
            wishes.setdefault(tuple(errand), []).append((word.key, word.text, *(word.origin or (source_id, line))))
    for errand, kept in wishes.items():
        wish(connection, errand, kept, at)


def wish(
    connection: Connection,
    errand: tuple[int, int, int, int | None, int],
    kept: Sequence[tuple[str, str, int, int]],
    at: str,
) -> None:
    """Store a wish: key, text, source and line of each value; ``errand``: run, job, space, campaign, unique."""
    cursor, (run_id, job_id, space_id, campaign, unique) = raw_cursor(connection), errand
    numbers = payload_numbers(connection, {text for _, text, *_ in kept})
    first = cursor.execute("SELECT max(id) + 1 FROM items").fetchone()[0]
    about = (run_id, job_id, space_id, State.PLANNED.value, campaign, unique)
    wish_id = cursor.execute(_WISH, (*about, first, len(kept), at)).fetchone()[0]
    items = (
        (first + place, wish_id, key, numbers[text], source_id, line)
        for place, (key, text, source_id, line) in enumerate(kept)
    )
    insert_rows(connection, "items", ("id", "batch_id", "key", "payload_id", "source_id", "line"), items)


def wish_items(connection: Connection, batch: Batch, item_ids: Sequence[int], at: str) -> None:
    """Keep wanting what some items of `batch` carried: nobody knows whether their values hold it."""
    cursor = raw_cursor(connection)
    first = cursor.execute("SELECT max(id) + 1 FROM items").fetchone()[0]
    about = (batch.run_id, batch.job_id, batch.space_id, State.PLANNED.value, batch.campaign, batch.unique)
    wish_id = cursor.execute(_WISH, (*about, first, len(item_ids), at)).fetchone()[0]
    copy_items(cursor, item_ids, first, wish_id)


def wish_what_is_known(connection: Connection, batch: Batch, at: str, disjoint: Disjoint) -> list[int]:
    """Keep wanting what is known of the fields of `batch`, which may just have overwritten it.

    What a stamp is younger than is not: another key may have written a newer word, or the time that a ledger has lost.
    Returns the items of such words: an older one could be sent over a newer one, so nobody knows what is wanted.
    """
    cursor = raw_cursor(connection)
    span = (batch.space_id, batch.first_item_id, batch.first_item_id + batch.size - 1)
    rows = cursor.execute(_KNOWN, span).fetchall()
    values = {(picture, known_by) for _, _, picture, known_by, *_ in rows}
    known = read_pictures(connection, {picture for picture, _ in values})
    pictures = not_written_since(connection, batch.space_id, values, disjoint)
    since = written_since(connection, batch.space_id, {known_by for _, known_by in values}, disjoint)
    sent = payload_texts(connection, {payload_id for *_, payload_id, _, _ in rows})
    kept, held_back = list[tuple[str, str, int, int]](), list[int]()
    for item_id, key, picture, known_by, payload_id, source_id, line in rows:
        fields = fields_of(sent[payload_id])
        word = only(pictures[picture, known_by].known, fields)
        overwritten = since[known_by].intersection(fields, known[picture].uncertain)
        if overwritten or word != only(known[picture].known, fields):
            held_back.append(item_id)
        if word != NOTHING:
            kept.append((key, word, source_id, line))
    if kept:
        wish(connection, (batch.run_id, batch.job_id, batch.space_id, batch.campaign, batch.unique), kept, at)
    return held_back
