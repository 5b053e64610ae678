"""How a run went, for whoever looks at it in the morning: calls over time, ends by field, changes, what is not through.

Reads only. What always holds: what is counted is bounded by `VALUES_MAX` values a run, and how many were counted is
said; so a page about ten million values takes as long as one about a million.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from syncer.ledger.buckets import STANDS, RefusedRow
from syncer.ledger.bulk import raw_cursor
from syncer.ledger.pictures import payload_texts, read_pictures
from syncer.ledger.rejections import invalid_rows
from syncer.lifecycle.batch import BUCKET_OF, OPEN, Bucket, State
from syncer.mirror.picture import UNHEARD_OF
from syncer.mirror.words import field_of, value_of, words_of

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from syncer.ledger.values import Run

VALUES_MAX = 1_000_000
CHANGES_MAX = 8
"""Changes of one field that are listed, the most frequent first."""
CHANGES_COUNTED_MAX = 50_000
"""Changes of one field that are told apart; later, rarer ones are counted together."""
COLUMNS_MAX = 48
"""Columns of the picture of a run's calls."""
SECONDS_OF_COLUMN = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 43200, 86400)


@dataclass(frozen=True, slots=True)
class CallColumn:
    """Update calls that were started in a span of time: all, those that were throttled, and those that came to nothing.

    ``at`` is UTC text, the begin of the span.
    """

    at: str
    calls: int
    throttled: int
    failed: int


@dataclass(frozen=True, slots=True)
class FieldChange:
    """How often a run took a field from one value to another. ``old`` None: nothing was known, or it was uncertain."""

    old: str | None
    uncertain: bool
    new: str
    values: int


@dataclass(frozen=True, slots=True)
class FieldOutcome:
    """Where the values of one field ended, its most frequent changes, and how many values had rarer ones."""

    field: str
    ends: Mapping[Bucket, int]
    changes: tuple[FieldChange, ...]
    others: int


@dataclass(frozen=True, slots=True)
class NotThrough:
    """Values of one run that have one state and are still to be confirmed; the oldest has been so ``since``."""

    run_id: int
    job: str
    bucket: Bucket
    values: int
    since: str
    example: str
    message: str | None


@dataclass(frozen=True, slots=True)
class NightFacts:
    """What a run's page tells beyond its counts. ``counted`` are the values that the fields were counted over."""

    column_s: int
    columns: tuple[CallColumn, ...]
    fields: tuple[FieldOutcome, ...]
    counted: int
    invalid: tuple[RefusedRow, ...]
    """Rows that our rules refused: the first ones."""


_CALLS = """
SELECT min(a.started_at), count(*), sum(a.status_code IS 429), sum(a.verdict IN ('lost', 'refused', 'not_processed')
  AND a.status_code IS NOT 429) FROM attempts a JOIN batches b ON b.id = a.batch_id WHERE b.run_id = ?
GROUP BY CAST(strftime('%s', a.started_at) AS INTEGER) / ? ORDER BY 1
"""
_SPAN = """
SELECT max(strftime('%s', a.started_at)) - min(strftime('%s', a.started_at)) FROM attempts a
JOIN batches b ON b.id = a.batch_id WHERE b.run_id = ?
"""
_BATCHES = "SELECT id, size FROM batches WHERE run_id = ? AND NOT split AND kind <> 'wish' ORDER BY id"
_VALUES = f"""
SELECT i.payload_id, i.before_id, {STANDS}, o.bucket, count(*)
FROM json_each(?) j CROSS JOIN batches b ON b.id = j.value
CROSS JOIN items i ON i.id BETWEEN b.first_item_id AND b.first_item_id + b.size - 1
LEFT JOIN outcomes o ON o.item_id = i.id GROUP BY 1, 2, 3, 4 ORDER BY 5 DESC
"""
_BLOCK_VALUES = 50_000
"""Values that are counted at once."""
_UNSETTLED = ", ".join(f"'{state.value}'" for state in sorted({*OPEN, State.PLANNED, State.ABANDONED}))
_NOT_THROUGH = f"""
SELECT b.run_id, j.name, {STANDS}, sum(b.size), min(b.changed_at), min(b.first_item_id), max(b.message)
FROM batches b JOIN jobs j ON j.id = b.job_id
WHERE NOT b.split AND (b.wanted OR b.state IN ({_UNSETTLED})) GROUP BY 1, 2, 3 ORDER BY 5 LIMIT ?
"""


def night_facts(connection: Connection, run: Run) -> NightFacts:
    """Return what a run's page tells beyond its counts."""
    cursor = raw_cursor(connection)
    span_s = int(cursor.execute(_SPAN, (run.id,)).fetchone()[0] or 0)
    column_s = next((s for s in SECONDS_OF_COLUMN if span_s < s * COLUMNS_MAX), SECONDS_OF_COLUMN[-1])
    columns = tuple(CallColumn(*row) for row in cursor.execute(_CALLS, (run.id, column_s)))
    fields, counted = _fields(connection, run.id)
    return NightFacts(column_s, columns, fields, counted, tuple(invalid_rows(connection, run.id)))


def not_through(connection: Connection, *, most: int) -> list[NotThrough]:
    """Return what no run has confirmed yet, of all runs, the oldest first: counted by run, job and state."""
    cursor = raw_cursor(connection)
    found = []
    for run_id, job, state, values, since, item_id, message in cursor.execute(_NOT_THROUGH, (most,)).fetchall():
        key = cursor.execute("SELECT key FROM items WHERE id = ?", (item_id,)).fetchone()
        found.append(NotThrough(run_id, job, BUCKET_OF[State(state)], values, since, key[0] if key else "", message))
    return found


def _fields(connection: Connection, run_id: int) -> tuple[tuple[FieldOutcome, ...], int]:
    ends: dict[str, Counter[Bucket]] = {}
    changes: dict[str, Counter[tuple[str | None, bool, str]]] = {}
    counted = 0
    for word, before, bucket, count, is_first in _words(connection, run_id):
        field = field_of(word)
        ends.setdefault(field, Counter())[bucket] += count
        counted += count if is_first else 0
        old, uncertain = before(field)
        change = (old, uncertain, value_of(f'{{"{word}"}}', field) or "")
        of_field = changes.setdefault(field, Counter())
        if change in of_field or len(of_field) < CHANGES_COUNTED_MAX:
            of_field[change] += count
    found = []
    for field in sorted(ends):
        listed = tuple(FieldChange(*change, n) for change, n in changes[field].most_common(CHANGES_MAX))
        others = ends[field].total() - sum(one.values for one in listed)
        found.append(FieldOutcome(field, dict(ends[field]), listed, others))
    return tuple(found), counted


def _words(connection: Connection, run_id: int) -> Iterator[tuple[str, _Before, Bucket, int, bool]]:
    """Yield each word that values were sent, what was known before, how they ended, and how many they are."""
    for batch_ids in _blocks(connection, run_id):
        rows = raw_cursor(connection).execute(_VALUES, (json.dumps(batch_ids),)).fetchall()
        texts = payload_texts(connection, {row[0] for row in rows})
        pictures = read_pictures(connection, {row[1] for row in rows})
        for payload_id, before_id, state, bucket, count in rows:
            picture = pictures.get(before_id, UNHEARD_OF)
            before = _Before(picture.known, picture.uncertain)
            ended = Bucket(bucket) if bucket else BUCKET_OF[State(state)]
            for place, word in enumerate(words_of(texts[payload_id])):
                yield word, before, ended, count, place == 0


def _blocks(connection: Connection, run_id: int) -> Iterator[list[int]]:
    """Yield the batches of a run in blocks of `_BLOCK_VALUES` values or so, up to `VALUES_MAX` of them."""
    block, values, all_values = list[int](), 0, 0
    for batch_id, size in raw_cursor(connection).execute(_BATCHES, (run_id,)).fetchall():
        if block and (values + size > _BLOCK_VALUES or all_values + size > VALUES_MAX):
            yield block
            block, values = [], 0
        if all_values + size > VALUES_MAX:
            return
        block.append(batch_id)
        values, all_values = values + size, all_values + size
    if block:
        yield block


@dataclass(frozen=True, slots=True)
class _Before:
    """What was known of a value before: asked field by field."""

    known: str
    uncertain: tuple[str, ...]

    def __call__(self, field: str) -> tuple[str | None, bool]:
        return value_of(self.known, field), field in self.uncertain
