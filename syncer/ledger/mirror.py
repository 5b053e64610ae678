"""The mirror in the database: what every key value is known to hold, and the steps that change it.

A row's ``picture`` is one signed number: above zero, exactly that payload is known; below, it is a row of ``pictures``.
So a first load and plain nights cost no more than a payload's id.

A *step* leads from one picture, over the data that was sent, to the next one. Many values share a step, so steps are
worked out once per distinct pair, kept in a temporary table for as long as the process lives, and applied by one
statement. They start from what the mirror holds at that moment, never from what it held when the plan was made.

What always holds: rows change in the transaction that records the end of a batch, and in no other. Before anything is
confirmed, the stamps that are due are folded in: a new place in time must not revive what a stamp made uncertain.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterable, Sequence
from enum import IntEnum
from typing import TYPE_CHECKING, NamedTuple

from syncer.ledger.bulk import insert_rows, raw_cursor
from syncer.ledger.pictures import intern, moves_of, payload_texts, read_pictures
from syncer.mirror.picture import ABSENT, Moves, Picture, confirmed, doubted, stamped

if TYPE_CHECKING:
    from sqlalchemy import Connection

Span = tuple[int, int, int]
"""A space, and the first and last id of items in it."""


class FieldStamp(NamedTuple):
    """What was known of a field at `settled` or before is uncertain. ``field`` empty: of every field.

    ``through`` is the space that wrote it, ``by`` the field that tells which of its values is meant; None: all are.
    ``counted``: of values that a count confirmed alone, since names showed that not all take the field.
    """

    settled: int
    field: str
    through: int | None = None
    by: str | None = None
    counted: bool = False


class MirrorStep(IntEnum):
    """What the end of a call means for the picture of each of its values."""

    CONFIRMED = 0
    DOUBTED = 1


_NEXT: dict[MirrorStep, Callable[[Picture, str, Moves], Picture]] = {
    MirrorStep.CONFIRMED: confirmed,
    MirrorStep.DOUBTED: doubted,
}

_STEPS = """
CREATE TEMP TABLE IF NOT EXISTS steps (
    kind INTEGER, space_id INTEGER, picture INTEGER, later INTEGER, payload_id INTEGER, after INTEGER,
    PRIMARY KEY (kind, space_id, picture, later, payload_id)) WITHOUT ROWID
"""
# How many stamps of its space are younger than a row: the same number means the same stamps.
_LATER = """CASE WHEN NOT EXISTS (SELECT 1 FROM stamps) THEN 0 ELSE (
    SELECT count(*) FROM stamps s WHERE s.space_id = m.space_id
    AND s.settled > coalesce((SELECT b.settled FROM batches b WHERE b.id = m.batch_id), 0)) END"""
_ITEMS = f"""
WITH spans AS MATERIALIZED (
    SELECT json_extract(value, '$[0]') AS space_id, json_extract(value, '$[1]') AS first,
           json_extract(value, '$[2]') AS last FROM json_each(?1)),
met AS (
    SELECT spans.space_id, i.key, i.payload_id, i.batch_id, coalesce(m.picture, 0) AS picture,
           CASE WHEN m.picture IS NULL THEN 0 ELSE {_LATER} END AS later
    FROM spans CROSS JOIN items i ON i.id BETWEEN spans.first AND spans.last
    LEFT JOIN mirror m ON m.space_id = spans.space_id AND m.key = i.key
    WHERE ?2 = 1 OR NOT EXISTS (SELECT 1 FROM outcomes o WHERE o.item_id = i.id))
"""
_UNSEEN = f"""{_ITEMS}
SELECT DISTINCT space_id, picture, later, payload_id FROM met
WHERE NOT (?2 = 0 AND picture = 0) AND NOT EXISTS (
    SELECT 1 FROM temp.steps t WHERE t.kind = ?2 AND t.space_id = met.space_id AND t.picture = met.picture
    AND t.later = met.later AND t.payload_id = met.payload_id)
"""
_APPLY = f"""
INSERT INTO mirror (space_id, key, picture, batch_id)
{_ITEMS}
SELECT met.space_id, met.key, CASE WHEN ?2 = 0 AND met.picture = 0 THEN met.payload_id ELSE t.after END, met.batch_id
FROM met LEFT JOIN temp.steps t ON t.kind = ?2 AND t.space_id = met.space_id AND t.picture = met.picture
    AND t.later = met.later AND t.payload_id = met.payload_id
WHERE 1
ORDER BY 1, 2
ON CONFLICT (space_id, key) DO UPDATE SET picture = excluded.picture
"""
_TAKE_PLACE = ", batch_id = excluded.batch_id"
_PLACES = "SELECT id, coalesce(settled, 0) FROM batches WHERE id IN (SELECT value FROM json_each(?))"
_ABSENT = """
INSERT INTO mirror (space_id, key, picture, batch_id)
SELECT ?1, i.key, ?2, i.batch_id FROM json_each(?3) j CROSS JOIN items i ON i.id = j.value WHERE 1 ORDER BY 2
ON CONFLICT (space_id, key) DO UPDATE SET picture = excluded.picture, batch_id = excluded.batch_id
"""


def apply(connection: Connection, step: MirrorStep, spans: Sequence[Span]) -> None:
    """Take `step` for the items of `spans`; a confirmation leaves out those that have an outcome of their own.

    It gives the values their place in time; a doubt leaves that, since it makes nothing known.
    """
    cursor, chosen = raw_cursor(connection), json.dumps(spans)
    cursor.execute(_STEPS)
    unseen = cursor.execute(_UNSEEN, (chosen, step)).fetchall()
    if unseen:
        _work_out(connection, step, unseen)
    cursor.execute(_APPLY + (_TAKE_PLACE if step is MirrorStep.CONFIRMED else ""), (chosen, step))


def _work_out(connection: Connection, step: MirrorStep, unseen: Sequence[tuple[int, int, int, int]]) -> None:
    pictures = read_pictures(connection, {picture for _, picture, _, _ in unseen})
    texts = payload_texts(connection, {payload_id for *_, payload_id in unseen})
    moves, stamped = moves_of(connection), {space_id: stamps_of(connection, space_id) for space_id, *_ in unseen}
    after = []
    for space_id, picture, later, payload_id in unseen:
        before = under_stamps(pictures[picture], stamped[space_id], later)
        after.append(_NEXT[step](before, texts[payload_id], moves))
    ids = intern(connection, after)
    rows = ((step, *pair, ids[picture]) for pair, picture in zip(unseen, after, strict=True))
    columns = ("kind", "space_id", "picture", "later", "payload_id", "after")
    insert_rows(connection, "temp.steps", columns, rows)


def forget_steps(connection: Connection) -> None:
    """Forget the steps that were worked out: after stamps have changed, the same number means other ones."""
    cursor = raw_cursor(connection)
    cursor.execute(_STEPS)
    cursor.execute("DELETE FROM temp.steps")


def stamps_of(connection: Connection, space_id: int) -> list[FieldStamp]:
    """Return the stamps of a space, the youngest first."""
    statement = "SELECT settled, field, scope FROM stamps WHERE space_id = ? ORDER BY settled DESC, id"
    found = []
    for settled, field, scope in raw_cursor(connection).execute(statement, (space_id,)).fetchall():
        named = json.loads(scope) if scope else {}
        found.append(FieldStamp(settled, field, named.get("through"), named.get("by"), bool(named.get("counted"))))
    return found


def under_stamps(picture: Picture, stamps: Sequence[FieldStamp], later: int) -> Picture:
    """Return a picture with the youngest `later` of its space's stamps laid over it, for all values alike."""
    return stamped(picture, [stamp.field for stamp in stamps[:later]]) if later else picture


def mark_absent(connection: Connection, space_id: int, item_ids: Iterable[int]) -> None:
    """Record that the values of some items match no code: they hold nothing."""
    picture = intern(connection, [ABSENT])[ABSENT]
    raw_cursor(connection).execute(_ABSENT, (space_id, picture, json.dumps(list(item_ids))))


def not_written_since(
    connection: Connection, space_id: int, values: Collection[tuple[int, int]], apart: Collection[int] = ()
) -> dict[tuple[int, int], Picture]:
    """Return the pictures of values without what something else of ours may have written since; by picture and batch.

    ``values``: the number of each one's picture, and the batch that confirmed it last. ``apart`` are spaces that never
    reach the same codes.
    """
    pictures = read_pictures(connection, {picture for picture, _ in values})
    stamps = [  # by those that count nothing was written
        one for one in stamps_of(connection, space_id) if not one.counted and one.through not in apart
    ]
    if not stamps:
        return {(picture, batch): pictures[picture] for picture, batch in values}
    batches = json.dumps(sorted({batch for _, batch in values}))
    places = dict(raw_cursor(connection).execute(_PLACES, (batches,)).fetchall())
    return {
        (picture, batch): under_stamps(pictures[picture], stamps, sum(s.settled > places[batch] for s in stamps))
        for picture, batch in values
    }
