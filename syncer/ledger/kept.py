"""Old items that stay in the ledger when history moves: whatever a later run may still ask for.

Planning, sending and reconciling never read an archive, so each of their readers has its rule here:

    who reads                                       what stays for it
    the mirror, wishes (`wishes`)                   the item that made a value known last
    a call that was let go of and may still land    all items of its batch
    `resume`, metrics, reading back, what stopped   all items of each job's newest run that came to its end, of the
      runs counted (`unproven`, `counted`)            later ones, and of runs of which something is left
    newest words for fields (`untaken`)             per value and field, the newest word of all
    words that codes may hold (`earlier_words`)     per value and field, each word after which fewer than two others
                                                      were confirmed, once
    how many codes a value has (`counts_alone`)     per value, the last call that carried it alone
    links of other spaces (`crossing`)              per value, the last that was confirmed

What always holds: whether an item stays depends on newer items alone, so a ledger that was pruned before keeps no more
and no less than one that was not. Outcomes and origins stay with their item; of events, the end of each batch.
"""

from __future__ import annotations

from itertools import groupby
from operator import attrgetter
from typing import TYPE_CHECKING, NamedTuple

from syncer.lifecycle.batch import OPEN, Bucket, State
from syncer.mirror.words import field_of, fields_of, words_of

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterator, Sequence

WORDS_CONFIRMED = 2
"""Words of a field that were confirmed last: what a code holds that never took the newest one, and the newest one."""
_LEFT = ", ".join(repr(state.value) for state in sorted({*OPEN, State.PLANNED}))
_OF_BATCHES = "CROSS JOIN items i ON i.id BETWEEN b.first_item_id AND b.first_item_id + b.size - 1 WHERE i.id <= ?1"
_RULES = (
    "SELECT i.id FROM mirror m CROSS JOIN items i ON i.key = m.key AND i.batch_id = m.batch_id WHERE i.id <= ?1",
    f"SELECT i.id FROM batches b {_OF_BATCHES} AND b.state = '{State.ABANDONED}'",
    f"""SELECT i.id FROM runs r CROSS JOIN batches b ON b.run_id = r.id {_OF_BATCHES} AND (r.id >= (
        SELECT coalesce(max(c.id), 0) FROM runs c
        WHERE c.job_id = r.job_id AND c.planned AND c.ended_at IS NOT NULL AND c.error IS NULL)
    OR EXISTS (
        SELECT 1 FROM batches l WHERE l.run_id = r.id AND NOT l.split AND (l.wanted OR l.state IN ({_LEFT}))))""",
)
"""Each finds old items that stay, whatever else their values were sent."""
_ITEMS = f"""
SELECT i.key, b.space_id, i.id, i.source_id, p.data,
    b.attempts > 0 AND NOT b.split AND b.state <> '{State.REJECTED}'
        AND coalesce(o.bucket NOT IN ('{Bucket.UNMATCHED}', '{Bucket.REJECTED}'), true),
    b.state IN ('{State.CONFIRMED}', '{State.MISMATCHED}') AND o.item_id IS NULL, b.state = '{State.CONFIRMED}',
    b.size, coalesce(b.settled, 0), EXISTS (SELECT 1 FROM item_origins g WHERE g.item_id = i.id)
FROM items i INDEXED BY items_key CROSS JOIN batches b ON b.id = i.batch_id CROSS JOIN payloads p ON p.id = i.payload_id
LEFT JOIN outcomes o ON o.item_id = i.id ORDER BY i.key, i.id
"""
_KEPT = "CREATE TEMP TABLE kept (id INTEGER PRIMARY KEY)"
END_OF_BATCH = "EXISTS (SELECT 1 FROM batches b WHERE b.id = events.batch_id AND b.settled = events.id)"
"""An event that tells where in time a batch's values stand, and which run saw it."""


class SentItem(NamedTuple):
    """An item of one value, and what became of it; the text is what it carries."""

    key: str
    space_id: int
    id: int
    source_id: int
    text: str
    may_stand: bool
    """Whether codes may hold it, or may have held it."""
    is_confirmed: bool
    in_confirmed: bool
    """Whether its whole batch was confirmed."""
    size: int
    """Of its batch."""
    settled: int
    merged: bool
    """Whether some of its fields are from other files and lines than the rest: they may be older than its source."""


def choose(cursor: sqlite3.Cursor, items_to: int) -> None:
    """Let ``temp.kept`` hold the ids of the items, up to one, that stay."""
    cursor.execute("DROP TABLE IF EXISTS temp.kept")
    cursor.execute(_KEPT)
    for rule in _RULES:
        cursor.execute(f"INSERT OR IGNORE INTO temp.kept {rule}", (items_to,))
    reading = cursor.connection.cursor()
    stay = ((one,) for one in _needed(map(SentItem._make, reading.execute(_ITEMS))) if one <= items_to)
    cursor.executemany("INSERT OR IGNORE INTO temp.kept VALUES (?)", stay)


def _needed(rows: Iterator[SentItem]) -> Iterator[int]:
    """Yield what is needed of all items, key by key."""
    for _, of_key in groupby(rows, attrgetter("key")):
        by_space: dict[int, list[SentItem]] = {}
        for one in of_key:
            by_space.setdefault(one.space_id, []).append(one)
        for items in by_space.values():
            yield from needed(items) if len(items) > 1 else [items[0].id]


def needed(items: Sequence[SentItem]) -> set[int]:
    """Return the ids of those of all items of one value, oldest first, that somebody may still ask for. Pure."""
    by_id = items[::-1]
    found = {*_newest_words(items), *_words_that_may_stand(by_id)}
    confirmed = [one for one in by_id if one.in_confirmed]
    if confirmed:
        found.add(max(confirmed, key=attrgetter("settled")).id)
    found.update([one.id for one in confirmed if one.size == 1][:1])
    return found


def _newest_words(items: Sequence[SentItem]) -> Iterator[int]:
    """Yield the items with the newest word of a field, whatever became of it: of the greatest source."""
    said = set[str]()
    for one in sorted(items, key=attrgetter("source_id", "id"), reverse=True):
        fields = fields_of(one.text)
        if not said.issuperset(fields):
            yield one.id
        if not one.merged:  # else its word may be older than another one
            said.update(fields)


def _words_that_may_stand(by_id: Sequence[SentItem]) -> Iterator[int]:
    """Yield, once for each, the newest items with a word after which fewer than two others were confirmed."""
    given, confirmed = set[str](), dict[str, set[str]]()
    for one in by_id:
        if not one.may_stand:
            continue
        words = {word: confirmed.setdefault(field_of(word), set()) for word in words_of(one.text)}
        if any(word not in given and len(newer) < WORDS_CONFIRMED for word, newer in words.items()):
            yield one.id
        given.update(words)
        if one.is_confirmed:
            for word, newer in words.items():
                newer.add(word)
