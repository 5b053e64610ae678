"""What ended since a moment, of values that other runs planned: whoever ends them has to tell. Reads only.

Whoever dies has told nobody: the next process tells of that, too.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

from syncer.ledger.bulk import raw_cursor
from syncer.lifecycle.batch import BUCKET_OF, Bucket, State

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from sqlalchemy import Connection


@dataclass(frozen=True, slots=True)
class EndedValue:
    """A value of an earlier run that ended unmatched, rejected or in doubt, with the file and line it came from."""

    run_id: int
    job: str
    columns: tuple[str, ...]
    """The key columns of its job."""
    key: str
    data: dict[str, str]
    file: str
    line: int
    bucket: Bucket
    message: str


_NEWEST = "SELECT coalesce(max(id), 0) FROM events"
_TOLD_UNTIL = """
SELECT json_extract(s.covers, '$.events.to') FROM seals s JOIN runs r ON r.id = s.run_id WHERE r.exit_code IS NOT NULL
ORDER BY s.id DESC LIMIT 1
"""
_ENDED = """
SELECT b.run_id, j.name, j.key, i.key, p.data, s.name, i.line, o.bucket, b.state, coalesce(o.message, b.message, '')
FROM (SELECT batch_id, max(id) AS newest FROM events WHERE id > ?1 GROUP BY batch_id) e
CROSS JOIN batches b ON b.id = e.batch_id
CROSS JOIN items i ON i.id BETWEEN b.first_item_id AND b.first_item_id + b.size - 1
JOIN jobs j ON j.id = b.job_id
JOIN payloads p ON p.id = i.payload_id
JOIN sources s ON s.id = i.source_id
LEFT JOIN outcomes o ON o.item_id = i.id
WHERE NOT b.split AND (o.item_id IS NOT NULL OR b.state IN ('rejected', 'failed'))
  AND (b.state <> 'failed' OR b.wanted)  -- what a newer plan took over is that plan's to tell
  AND (b.state <> 'ended_late' OR EXISTS (  -- what it overwrote, and no call has written since
    SELECT 1 FROM mirror m JOIN pictures n ON n.id = -m.picture JOIN json_each(n.uncertain) u JOIN json_each(p.data) w
    WHERE m.space_id = b.space_id AND m.key = i.key AND w.key = u.value))
  AND b.run_id NOT IN (SELECT value FROM json_each(?3))
  AND (e.newest > ?2 OR NOT EXISTS (  -- of a process that died: what was planned anew since is that plan's to tell
    SELECT 1 FROM items n JOIN batches a ON a.id = n.batch_id
    WHERE n.key = i.key AND n.id > i.id AND a.space_id = b.space_id))
ORDER BY i.id
"""


def newest_event(connection: Connection) -> int:
    """Return the id of the last thing that happened; 0 when nothing has."""
    return int(raw_cursor(connection).execute(_NEWEST).fetchone()[0])


def told_until(connection: Connection) -> int:
    """Return the last event before the newest end of a run: what came after it, nobody lived to tell; 0: none ended."""
    row = raw_cursor(connection).execute(_TOLD_UNTIL).fetchone()
    return int(row[0]) if row is not None else 0


def ended_since(connection: Connection, told: int, begun: int, but: Sequence[int]) -> Iterator[EndedValue]:
    """Stream the values that ended unmatched, rejected or in doubt after the event `told`, of all runs `but` some.

    ``begun``: the last event before this process began; what ended between the two, processes saw that died.
    """
    for row in raw_cursor(connection).execute(_ENDED, (told, begun, json.dumps(list(but)))):
        run_id, job, columns, key, data, file, line, bucket, state, message = row
        where = Bucket(bucket) if bucket else BUCKET_OF[State(state)]
        yield EndedValue(run_id, job, tuple(json.loads(columns)), key, json.loads(data), file, line, where, message)
