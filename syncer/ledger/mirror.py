"""The mirror in the database: what every key value is known to hold, and the steps that change it.

A row's ``picture`` is one signed number: above zero, exactly that payload is known; below, it is a row of ``pictures``.
So a first load and plain nights cost no more than a payload's id.

A *step* leads from one picture, over the data that was sent, to the next one. Many values share a step, so steps are
worked out once per distinct pair, kept in a temporary table for as long as the process lives, and applied by one
statement. They start from what the mirror holds at that moment, never from what it held when the plan was made.

What always holds: rows change in the transaction that records the end of a batch, and in no other. Before anything is
confirmed, the stamps that are due are folded in, by the rule of plans: a new place in time must not revive what a stamp
made uncertain.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Mapping, Sequence
from enum import IntEnum
from typing import TYPE_CHECKING

from syncer.ledger.apart import Apart
from syncer.ledger.bulk import insert_rows, raw_cursor
from syncer.ledger.crossing import spread
from syncer.ledger.pictures import intern, moves_of, payload_texts, read_pictures
from syncer.ledger.stamps import Stamps, places_of, stamps_of, under_stamps
from syncer.mirror.picture import ABSENT, Moves, Picture, all_counted, confirmed, counted, doubted, named

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from syncer.ledger.apart import Disjoint
    from syncer.ledger.crossing import Span


class MirrorStep(IntEnum):
    """What the end of a call means for the picture of each of its values. Doubts come last."""

    CONFIRMED = 0
    """By a task, which tells a count alone."""
    NAMED = 1
    """By a sync answer that names its values."""
    COUNTED = 2
    """By a sync answer without names."""
    DOUBTED = 3


_NEXT: dict[MirrorStep, Callable[[Picture, str, Moves], Picture]] = {
    MirrorStep.CONFIRMED: confirmed,
    MirrorStep.NAMED: named,
    MirrorStep.COUNTED: counted,
    MirrorStep.DOUBTED: doubted,
}

_STEPS = """
CREATE TEMP TABLE IF NOT EXISTS steps (
    kind INTEGER, space_id INTEGER, picture INTEGER, known_by INTEGER, payload_id INTEGER, after INTEGER,
    PRIMARY KEY (kind, space_id, picture, known_by, payload_id)) WITHOUT ROWID
"""
# The batch that confirmed a row last, where stamps of its space are younger: it tells which, and what they come to. So
# it does for a sync call where it was a task: what that had counted is still so.
_KNOWN_BY = f"""CASE WHEN EXISTS (SELECT 1 FROM stamps) AND EXISTS (
    SELECT 1 FROM stamps s WHERE s.space_id = m.space_id AND s.scope NOT LIKE '%"marked"%'
    AND s.settled > coalesce((SELECT b.settled FROM batches b WHERE b.id = m.batch_id), 0)
    ) OR ?2 IN ({MirrorStep.NAMED:d}, {MirrorStep.COUNTED:d}) AND EXISTS (
    SELECT 1 FROM batches b WHERE b.id = m.batch_id AND b.kind = 'async')
    THEN m.batch_id ELSE 0 END"""
_ITEMS = f"""
WITH spans AS MATERIALIZED (
    SELECT json_extract(value, '$[0]') AS space_id, json_extract(value, '$[1]') AS first,
           json_extract(value, '$[2]') AS last FROM json_each(?1)),
met AS (
    SELECT spans.space_id, i.key, i.payload_id, i.batch_id, coalesce(m.picture, 0) AS picture,
           CASE WHEN m.picture IS NULL THEN 0 ELSE {_KNOWN_BY} END AS known_by
    FROM spans CROSS JOIN items i ON i.id BETWEEN spans.first AND spans.last
    LEFT JOIN mirror m ON m.space_id = spans.space_id AND m.key = i.key
    WHERE ?2 = {MirrorStep.DOUBTED:d} OR NOT EXISTS (SELECT 1 FROM outcomes o WHERE o.item_id = i.id))
"""
# What was never sent before is known as it was sent: its payload is its picture.
_FIRST = f"?2 IN ({MirrorStep.CONFIRMED:d}, {MirrorStep.NAMED:d})"
_UNSEEN = f"""{_ITEMS}
SELECT DISTINCT space_id, picture, known_by, payload_id FROM met
WHERE NOT ({_FIRST} AND picture = 0) AND NOT EXISTS (
    SELECT 1 FROM temp.steps t WHERE t.kind = ?2 AND t.space_id = met.space_id AND t.picture = met.picture
    AND t.known_by = met.known_by AND t.payload_id = met.payload_id)
"""
_APPLY = f"""
INSERT INTO mirror (space_id, key, picture, batch_id)
{_ITEMS}
SELECT met.space_id, met.key, CASE WHEN {_FIRST} AND met.picture = 0 THEN met.payload_id ELSE t.after END, met.batch_id
FROM met LEFT JOIN temp.steps t ON t.kind = ?2 AND t.space_id = met.space_id AND t.picture = met.picture
    AND t.known_by = met.known_by AND t.payload_id = met.payload_id
WHERE 1
ORDER BY 1, 2
ON CONFLICT (space_id, key) DO UPDATE SET picture = excluded.picture
"""
_TAKE_PLACE = ", batch_id = excluded.batch_id"
_ABSENT = """
INSERT INTO mirror (space_id, key, picture, batch_id)
SELECT ?1, i.key, ?2, i.batch_id FROM json_each(?3) j CROSS JOIN items i ON i.id = j.value WHERE 1 ORDER BY 2
ON CONFLICT (space_id, key) DO UPDATE SET picture = excluded.picture, batch_id = excluded.batch_id
"""


def apply_all(connection: Connection, steps: Mapping[MirrorStep, Sequence[Span]], disjoint: Disjoint) -> None:
    """Take the steps of all calls that end in a transaction, and let other spaces know; doubts come last.

    Where calls of several spaces end, each is folded under what the others wrote: no place in time that a value gets
    may be later than that.
    """
    ended = [span for spans in steps.values() for span in spans]
    several = len({space_id for space_id, *_ in ended}) > 1
    if several and spread(connection, ended):
        forget_steps(connection)
    for step, spans in steps.items():
        if spans:
            apply(connection, step, spans, disjoint, links=not several)
    if ended and spread(connection, ended):
        forget_steps(connection)


def apply(
    connection: Connection, step: MirrorStep, spans: Sequence[Span], disjoint: Disjoint, *, links: bool = True
) -> None:
    """Take `step` for the items of `spans`; a confirmation leaves out those that have an outcome of their own.

    It gives the values their place in time; a doubt leaves that, since it makes nothing known. ``links`` False: what
    other spaces know changes in the same transaction, so links tell nothing.
    """
    cursor, chosen = raw_cursor(connection), json.dumps(spans)
    cursor.execute(_STEPS)
    unseen = cursor.execute(_UNSEEN, (chosen, step)).fetchall()
    if unseen:
        _work_out(connection, step, unseen, disjoint, links=links)
    cursor.execute(_APPLY + ("" if step is MirrorStep.DOUBTED else _TAKE_PLACE), (chosen, step))


def _work_out(
    connection: Connection,
    step: MirrorStep,
    unseen: Sequence[tuple[int, int, int, int]],
    disjoint: Disjoint,
    *,
    links: bool,
) -> None:
    pictures = read_pictures(connection, {picture for _, picture, _, _ in unseen})
    texts = payload_texts(connection, {payload_id for *_, payload_id in unseen})
    places = places_of(connection, {known_by for _, _, known_by, _ in unseen if known_by})
    moves, after, stamps = moves_of(connection), list[Picture](), dict[int, Stamps]()
    apart = Apart(connection, disjoint)
    for space_id, picture, known_by, payload_id in unseen:
        before = pictures[picture]
        if known_by:
            if space_id not in stamps:
                stamps[space_id] = Stamps(connection, space_id, apart, links=links)
            before = stamps[space_id].laid_over(before, places[known_by])
            if places[known_by].counted:
                before = all_counted(before)
        after.append(_NEXT[step](before, texts[payload_id], moves))
    ids = intern(connection, after)
    rows = ((step, *pair, ids[picture]) for pair, picture in zip(unseen, after, strict=True))
    columns = ("kind", "space_id", "picture", "known_by", "payload_id", "after")
    insert_rows(connection, "temp.steps", columns, rows)


def forget_steps(connection: Connection) -> None:
    """Forget the steps that were worked out: they rest on stamps, and on what other spaces know, that have changed."""
    cursor = raw_cursor(connection)
    cursor.execute(_STEPS)
    cursor.execute("DELETE FROM temp.steps")


def mark_absent(connection: Connection, space_id: int, item_ids: Sequence[int]) -> None:
    """Record that the values of some items match no code: they hold nothing."""
    if not item_ids:
        return
    picture = intern(connection, [ABSENT])[ABSENT]
    raw_cursor(connection).execute(_ABSENT, (space_id, picture, json.dumps(item_ids)))
    forget_steps(connection)  # of another space's values that are linked to these


def not_written_since(
    connection: Connection, space_id: int, values: Collection[tuple[int, int]], disjoint: Disjoint
) -> dict[tuple[int, int], Picture]:
    """Return the pictures of values without what something else of ours may have written since; by picture and batch.

    ``values``: the number of each one's picture, and the batch that confirmed it last.
    """
    pictures = read_pictures(connection, {picture for picture, _ in values})
    stamps = [
        one for one in stamps_of(connection, space_id) if not one.counted
    ]  # by those that count nothing was written
    if not stamps:
        return {(picture, batch): pictures[picture] for picture, batch in values}
    places, apart = places_of(connection, {batch for _, batch in values}), Apart(connection, disjoint)
    return {
        (picture, batch): under_stamps(
            pictures[picture], apart.concerning(stamps, places[batch].job), places[batch].settled
        )
        for picture, batch in values
    }


def written_since(
    connection: Connection, space_id: int, batches: Collection[int], disjoint: Disjoint
) -> dict[int, frozenset[str]]:
    """Return per batch the fields that something else of ours may have written after it.

    Of a field that is uncertain for another reason, too, no picture tells that any more.
    """
    stamps = [one for one in stamps_of(connection, space_id) if not one.counted]
    apart = Apart(connection, disjoint)
    return {
        batch: frozenset(one.field for one in apart.concerning(stamps, place.job) if one.settled > place.settled)
        for batch, place in places_of(connection, batches).items()
    }
