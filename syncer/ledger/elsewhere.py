"""What other code spaces have under way, or left unsent, and may reach the codes of this one. Reads only.

Two calls may reach one field of one code through two keys. Once both are under way, nobody chooses their order: an
older task may be run after a newer call. So the older word goes first, whoever wants it; while it is open, or waits
itself, newer ones wait. How old a word is its source says: a plan that takes it up again makes it no newer.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from syncer.ledger.bulk import raw_cursor
from syncer.ledger.crossing import Space, spaces_of_fields
from syncer.ledger.pictures import payload_texts
from syncer.lifecycle.batch import OPEN, State
from syncer.mirror.elsewhere import OpenElsewhere
from syncer.mirror.words import fields_of

if TYPE_CHECKING:
    import sqlite3

    from sqlalchemy import Connection

    from syncer.ledger.apart import Apart

_OPEN = ", ".join(repr(state.value) for state in sorted(OPEN))
_OTHERS = f"""
FROM batches b CROSS JOIN items i ON i.id BETWEEN b.first_item_id AND b.first_item_id + b.size - 1
WHERE b.space_id = ?1 AND b.job_id = ?2 AND NOT b.split
  AND (b.state IN ({_OPEN}) OR (?3 AND (b.state = '{State.PLANNED.value}' OR b.wanted)))
"""
_JOBS = f"""
SELECT DISTINCT b.job_id FROM batches b WHERE b.space_id = ?1 AND NOT b.split
  AND (b.state IN ({_OPEN}) OR (?2 AND (b.state = '{State.PLANNED.value}' OR b.wanted))) ORDER BY b.job_id
"""
_WORDS = f"""
SELECT i.payload_id, min(CASE WHEN b.state IN ({_OPEN}) THEN 0 ELSE i.source_id END) {_OTHERS} GROUP BY i.payload_id
"""
_MERGED = f"""
SELECT o.fields, min(o.source_id) {_OTHERS.replace("WHERE", "CROSS JOIN item_origins o ON o.item_id = i.id WHERE")}
GROUP BY o.fields
"""


def open_elsewhere(connection: Connection, space_id: int, apart: Apart, *, unsent: bool) -> list[OpenElsewhere]:
    """Return what the jobs of other spaces have open, each apart; ``unsent``: what waits to be sent, too."""
    cursor = raw_cursor(connection)
    spaces = spaces_of_fields(cursor)
    own = spaces.get(space_id)
    found = []
    for other in spaces.values():
        if own is None or other.id == space_id:
            continue
        for (job_id,) in cursor.execute(_JOBS, (other.id, unsent)).fetchall():
            of_other = (other.id, job_id, unsent)
            fields, by = _oldest_words(connection, cursor, of_other), _link(own, other)
            rows = cursor.execute(f"SELECT DISTINCT i.key {_OTHERS}", of_other).fetchall() if by else []
            values = frozenset(key for (key,) in rows)
            found.append(OpenElsewhere(fields, frozenset(other.key), by, values, apart.names(job_id)))
    return found


def _oldest_words(connection: Connection, cursor: sqlite3.Cursor, of_other: tuple[int, int, bool]) -> dict[str, int]:
    """Return the source of the oldest word for each field that a job of another space has open; 0: one is under way."""
    oldest: dict[str, int] = {}
    sources = dict(cursor.execute(_WORDS, of_other).fetchall())
    words = [(fields_of(text), sources[number]) for number, text in payload_texts(connection, list(sources)).items()]
    words += [(json.loads(fields), source) for fields, source in cursor.execute(_MERGED, of_other).fetchall()]
    for fields, source in words:
        for field in fields:
            oldest[field] = min(oldest.get(field, source), source)
    return oldest


def _link(own: Space, other: Space) -> str:
    """Return the field of the own space that tells which value of the other one a code belongs to; empty: none does."""
    return other.key[0] if len(other.key) == 1 and other.key[0] in own.fields else ""
