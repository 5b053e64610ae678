"""Where values ended: counted, with the reasons, and one by one. Reads only.

What always holds: the buckets of a run sum to the values that it planned. Of a value that went on in a smaller batch,
or in a later plan of its run, the last word counts.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

from syncer.ledger.bulk import raw_cursor
from syncer.lifecycle.batch import BUCKET_OF, Bucket, State
from syncer.model import shown_key

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from sqlalchemy import Connection

_ALONE = """
SELECT i.key, b.codes_affected FROM json_each(?1) k
CROSS JOIN items i ON i.key = k.value
CROSS JOIN batches b ON b.id = i.batch_id AND b.size = 1 AND b.state = 'confirmed'
CROSS JOIN jobs j ON j.id = b.job_id AND j.key = ?2
ORDER BY i.id
"""


def counts_alone(connection: Connection, columns: Sequence[str], keys: Sequence[str]) -> dict[str, int]:
    """Return how many codes values of some key columns had when a call last carried each of them alone."""
    parameters = (json.dumps(list(keys)), json.dumps(list(columns)))
    return dict(raw_cursor(connection).execute(_ALONE, parameters).fetchall())


@dataclass(frozen=True, slots=True)
class Wanted:
    """Values of a job that a file asked for, and that are not confirmed: how many, and since when the oldest one."""

    job: str
    values: int
    since: str


_WANTED = """
SELECT j.name, sum(b.size - b.unmatched), min(r.started_at) FROM batches b
JOIN jobs j ON j.id = b.job_id JOIN runs r ON r.id = b.run_id
WHERE NOT b.split AND (b.wanted OR b.state IN ('planned', 'sending', 'submitted', 'in_doubt'))
GROUP BY j.name HAVING sum(b.size - b.unmatched) > 0
"""


def wanted(connection: Connection) -> list[Wanted]:
    """Return what is wanted and not confirmed, per job: planned, under way, waiting for a plan, or failed."""
    return [Wanted(*row) for row in raw_cursor(connection).execute(_WANTED)]


_TAKEN_UP = """(b.state IN ('failed', 'abandoned', 'ended_late') AND NOT b.wanted
    AND EXISTS (SELECT 1 FROM batches n WHERE n.run_id = b.run_id AND n.id > b.id AND n.parent_id IS NULL))"""
"""Of a batch that came to nothing, and whose values went on in a later plan of the same run (`resume` adds one)."""
STANDS = """iif(b.state = 'planned' AND (b.attempts > 0 OR b.parent_id IS NOT NULL) AND EXISTS (
    WITH RECURSIVE whole (id, parent_id, kind) AS (
        SELECT b.id, b.parent_id, b.kind
        UNION ALL SELECT p.id, p.parent_id, p.kind FROM whole w JOIN batches p ON p.id = w.parent_id)
    SELECT 1 FROM whole w JOIN attempts a ON a.batch_id = w.id
    WHERE a.verdict IN ('miscounted', 'accepted') OR (a.verdict = 'lost' AND w.kind = 'sync')), 'in_doubt', b.state)"""
"""The state of a batch, or `in_doubt`: it waits to be sent again, and a call that carried its values may have been
processed. (A lost async call of a batch that is planned again was shown absent.)"""
_BUCKET_COUNTS = f"""
SELECT iif({_TAKEN_UP}, 'superseded', {STANDS}), sum(b.size), sum(b.unmatched) FROM batches b
WHERE b.run_id = ? AND NOT b.split AND b.kind <> 'wish' GROUP BY 1
"""
_ASKED_ANEW = """(o.bucket = 'in_doubt' AND EXISTS (SELECT 1 FROM items v JOIN items w ON w.key = v.key AND w.id > v.id
    JOIN batches n ON n.id = w.batch_id AND n.run_id = b.run_id AND n.kind <> 'wish'
    WHERE v.id = o.item_id AND (b.state <> 'ended_late' OR n.settled IS NULL OR n.settled > b.settled)))"""
"""Of a value that an answer left out, nobody could tell why, or that a late end overwrote; and that a later call of the
same run carried."""
_SINGLE_COUNTS = f"""
SELECT iif({_ASKED_ANEW}, 'superseded', o.bucket), count(*) FROM batches b
CROSS JOIN outcomes o ON o.item_id BETWEEN b.first_item_id AND b.first_item_id + b.size - 1
WHERE b.run_id = ? AND NOT b.split AND b.kind <> 'wish' AND b.unmatched > 0 GROUP BY 1
"""


def bucket_counts(connection: Connection, run_id: int) -> dict[Bucket, int]:
    """Count the values of a run by where they stand now. They sum to the values planned."""
    counts, single, cursor = dict.fromkeys(Bucket, 0), 0, raw_cursor(connection)
    for state, size, with_outcome in cursor.execute(_BUCKET_COUNTS, (run_id,)).fetchall():
        counts[BUCKET_OF[State(state)]] += size - with_outcome
        single += with_outcome
    for bucket, values in cursor.execute(_SINGLE_COUNTS, (run_id,)).fetchall() if single else ():
        counts[Bucket(bucket)] += values
    return counts


_MOVED = """
SELECT EXISTS (SELECT 1 FROM json_each(?) j CROSS JOIN batches b ON b.run_id = j.value WHERE b.unmatched > (
    SELECT count(*) FROM outcomes o WHERE o.item_id BETWEEN b.first_item_id AND b.first_item_id + b.size - 1))
"""


def counts_moved(connection: Connection, run_ids: Sequence[int]) -> bool:
    """Tell whether `bucket_counts` of some runs needs outcomes that were moved to an archive."""
    return bool(raw_cursor(connection).execute(_MOVED, (json.dumps(run_ids),)).fetchone()[0])


_WHOLE_BATCHES = f"""
SELECT {STANDS}, b.message, sum(b.size - b.unmatched), min(b.first_item_id) FROM batches b
WHERE b.run_id = ? AND NOT b.split AND b.kind <> 'wish' AND b.state NOT IN ('confirmed', 'mismatched', 'superseded')
  AND NOT {_TAKEN_UP}
GROUP BY 1, 2 ORDER BY 3 DESC LIMIT ?
"""
_SINGLE_VALUES = f"""
SELECT o.bucket, o.message, count(*), min(o.item_id) FROM batches b
CROSS JOIN outcomes o ON o.item_id BETWEEN b.first_item_id AND b.first_item_id + b.size - 1
WHERE b.run_id = ? AND NOT b.split AND b.unmatched > 0 AND NOT {_ASKED_ANEW}
GROUP BY o.bucket, o.message ORDER BY 3 DESC LIMIT ?
"""
CONCERNS_MAX = 20
"""Reasons that are told apart in a summary; the audit has them all."""


def concerns(connection: Connection, run_id: int) -> list[tuple[Bucket, str, int, str]]:
    """Return why values of a run are not confirmed: bucket, reason, how many, and one of their keys; most first."""
    found, cursor = [], raw_cursor(connection)
    for statement in (_SINGLE_VALUES, _WHOLE_BATCHES):
        for word, message, values, item_id in cursor.execute(statement, (run_id, CONCERNS_MAX)).fetchall():
            bucket = Bucket(word) if statement is _SINGLE_VALUES else BUCKET_OF[State(word)]
            key = cursor.execute("SELECT key FROM items WHERE id = ?", (item_id,)).fetchone()[0]
            found.append((bucket, message or "", values, shown_key(key)))
    return sorted(found, key=lambda concern: -concern[2])


_OUTCOMES = f"""
SELECT i.key, i.source_id, i.line, {STANDS}, o.bucket,
       coalesce(o.message, CASE WHEN b.state <> 'mismatched' THEN b.message END, '')
FROM batches b CROSS JOIN items i ON i.id BETWEEN b.first_item_id AND b.first_item_id + b.size - 1
LEFT JOIN outcomes o ON o.item_id = i.id
WHERE b.run_id = ? AND NOT b.split AND b.kind <> 'wish' AND NOT {_TAKEN_UP}
AND (o.bucket IS NULL OR NOT {_ASKED_ANEW})
"""


def planned_outcomes(connection: Connection, run_id: int) -> Iterator[tuple[str, int, int, Bucket, str]]:
    """Stream where every value of a run ended: key, source id, line, bucket, and what was said about it.

    Of values that a later plan of the run took up, the last plan's word counts.
    """
    for key, source_id, line, state, bucket, message in raw_cursor(connection).execute(_OUTCOMES, (run_id,)):
        yield key, source_id, line, Bucket(bucket) if bucket else BUCKET_OF[State(state)], message


@dataclass(frozen=True, slots=True)
class RefusedRow:
    """A row that is not confirmed: ``code`` is that of our rule (E101 …), or where the API left its value."""

    file: str
    line: int
    code: str
    key: str
    message: str


_UNTAKEN = """
SELECT i.key, s.name, i.line, coalesce(o.bucket, b.state), coalesce(o.message, b.message, '')
FROM batches b JOIN items i ON i.id BETWEEN b.first_item_id AND b.first_item_id + b.size - 1
JOIN sources s ON s.id = i.source_id LEFT JOIN outcomes o ON o.item_id = i.id
WHERE b.run_id = ? AND NOT b.split AND b.kind <> 'wish'
AND (o.bucket IN ('unmatched', 'rejected') OR b.state IN ('rejected', 'failed'))
ORDER BY i.source_id, i.line LIMIT ?
"""


def untaken_rows(connection: Connection, run_id: int, most: int) -> list[RefusedRow]:
    """Return the rows of a run whose values the API did not take, the first ones."""
    rows = raw_cursor(connection).execute(_UNTAKEN, (run_id, most)).fetchall()
    return [RefusedRow(file, line, word, shown_key(key), said) for key, file, line, word, said in rows]


_IS_WAITING = "NOT split AND (wanted OR (kind = 'wish' AND state = 'planned'))"


def waiting(connection: Connection, space_id: int | None) -> int:
    """Count the values of a code space (None: of all) that wait for a plan, since an older upload was open."""
    statement = """SELECT coalesce(sum(size), 0) FROM batches
        WHERE kind = 'wish' AND state = 'planned' AND NOT split AND (?1 IS NULL OR space_id = ?1)"""
    return int(raw_cursor(connection).execute(statement, (space_id,)).fetchone()[0])


def failed_wanted(connection: Connection, space_id: int) -> bool:
    """Tell whether a batch of a code space failed, or was let go of, and no plan has taken its values up."""
    statement = "SELECT EXISTS (SELECT 1 FROM batches WHERE wanted AND NOT split AND space_id = ?)"
    return bool(raw_cursor(connection).execute(statement, (space_id,)).fetchone()[0])


def waiting_runs(connection: Connection) -> list[int]:
    """Return, per code space in which values wait or failed, the newest run that wants one."""
    statement = f"SELECT max(run_id) FROM batches WHERE {_IS_WAITING} GROUP BY space_id ORDER BY space_id"
    return [run_id for (run_id,) in raw_cursor(connection).execute(statement)]
