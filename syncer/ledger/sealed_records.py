"""What is sealed beside rows that are only added: how runs ended, and what sealed rows deny. Reads only.

A batch's state, an outcome and an answer are written when an event makes them so. The events are sealed; what has
none, or another than it says, was not written by this program.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from syncer.lifecycle.batch import FINAL

if TYPE_CHECKING:
    import sqlite3

_FINAL = ", ".join(f"'{state.value}'" for state in sorted(FINAL))
_RECORD = """
SELECT json_array(r.id, j.name, j.key, r.started_at, r.ended_at, r.state, r.exit_code, r.error, r.mode, r.rows,
  r.minimum_updates, r.discarded_fields, r.program, r.campaign, r.unique_key)
FROM runs r JOIN jobs j ON j.id = r.job_id WHERE r.id = ?
"""
_GOES_ON = """
SELECT EXISTS (SELECT 1 FROM runs WHERE ended_at IS NULL) OR EXISTS (SELECT 1 FROM works WHERE ended_at IS NULL)
"""
_SEALED_ONCE = """
SELECT count(*) FROM runs r WHERE r.ended_at IS NOT NULL AND EXISTS (SELECT 1 FROM works w WHERE w.run_id = r.id)
"""
DENIED: tuple[tuple[str, str], ...] = (
    (
        "batch {0} is {1!r}, but its events do not end so",
        """SELECT b.id, b.state FROM batches b WHERE b.state <> coalesce(
             (SELECT e.new_state FROM events e WHERE e.batch_id = b.id ORDER BY e.id DESC LIMIT 1), 'planned')""",
    ),
    (
        "batch {0} has its place in time at event {1}, but that is not its end",
        f"""SELECT b.id, b.settled FROM batches b WHERE b.settled IS NOT
             (SELECT max(e.id) FROM events e WHERE e.batch_id = b.id AND e.new_state IN ({_FINAL}))""",
    ),
    (
        "item {0} has an outcome, but no event of its batch says so",
        """SELECT o.item_id FROM outcomes o WHERE NOT EXISTS (
             SELECT 1 FROM items i JOIN events e ON e.batch_id = i.batch_id
               AND e.new_state IN ('mismatched', 'ended_late') WHERE i.id = o.item_id)""",
    ),
    (
        "attempt {0} has an answer, but no event says so",
        """SELECT a.id FROM attempts a WHERE a.verdict IS NOT NULL AND NOT EXISTS (
             SELECT 1 FROM events e WHERE e.batch_id = a.batch_id AND e.attempt_id = a.id AND e.event <> 'start')""",
    ),
)
"""What must not be, in words, and how it is found."""


def record(cursor: sqlite3.Cursor, run_id: int) -> str:
    """Return what a seal says of how a run ended."""
    return str(cursor.execute(_RECORD, (run_id,)).fetchone()[0])


def goes_on(cursor: sqlite3.Cursor) -> bool:
    """Tell whether a run or another work is going on, or died: then rows may wait for their seal."""
    return bool(cursor.execute(_GOES_ON).fetchone()[0])


def ended_with_a_seal(cursor: sqlite3.Cursor) -> int:
    """Return how many runs ended by a program that seals: it is younger than seals that records works."""
    return int(cursor.execute(_SEALED_ONCE).fetchone()[0])


def misfits(cursor: sqlite3.Cursor, sealed: Mapping[int, str]) -> Iterator[str]:
    """Yield what of the runs is not as it was ``sealed`` last, and what no event explains."""
    for run_id, then in sealed.items():
        row = cursor.execute(_RECORD, (run_id,)).fetchone()
        before = json.loads(then)
        if row is None or json.loads(row[0])[: len(before)] != before:
            yield f"the record of run {run_id} (job, times, counts, exit code) is not what was sealed"
    for words, statement in DENIED:
        for found in cursor.execute(statement).fetchall():
            yield words.format(*found)
