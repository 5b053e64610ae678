"""What the ledger knows of uploads over time, for comparing with what scans saw: reads only."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy import text

from syncer.lifecycle.batch import Bucket, State

if TYPE_CHECKING:
    from sqlalchemy import Connection

KEYS_PER_QUERY = 500
_NOT_REACHED = frozenset({Bucket.UNMATCHED.value, State.REJECTED.value})


@dataclass(frozen=True, slots=True)
class SentValue:
    """One value's upload that may have reached the API. Times are the ledger's UTC texts.

    ``confirmed_at`` is None when it was never confirmed for this value: then it may have landed, or not.
    """

    item_id: int
    column: str
    key: str
    data: dict[str, str]
    sent_at: str
    confirmed_at: str | None
    run_id: int
    batch_id: int
    file: str
    line: int


# The batch in which a value was first sent tells when it may have landed: for the parts of a split batch that is not
# before the split one's run began. An item of a batch that was never sent, or was refused, did not reach the API.
_UPLOADS = """
SELECT i.id, json_extract(j.key, '$[0]') AS key_column, i.key, p.data, b.run_id, b.id AS batch_id, s.name, i.line,
       CASE WHEN b.parent_id IS NULL THEN (SELECT min(a.started_at) FROM attempts a WHERE a.batch_id = b.id)
            ELSE (SELECT r.started_at FROM batches w JOIN runs r ON r.id = w.run_id WHERE w.id = b.parent_id)
            END AS sent_at,
       CASE WHEN b.state IN ('confirmed', 'mismatched') AND o.item_id IS NULL
            THEN (SELECT max(e.at) FROM events e WHERE e.batch_id = b.id AND e.new_state = b.state) END AS confirmed_at,
       o.bucket, b.state
FROM items i
JOIN batches b ON b.id = i.batch_id
JOIN jobs j ON j.id = b.job_id
JOIN payloads p ON p.id = i.payload_id
JOIN sources s ON s.id = i.source_id
LEFT JOIN outcomes o ON o.item_id = i.id
WHERE json_array_length(j.key) = 1 AND json_extract(j.key, '$[0]') = :key_column
  AND i.key IN (SELECT value FROM json_each(:keys)) AND NOT b.split
ORDER BY i.id
"""


def uploads(connection: Connection, column: str, keys: Sequence[str]) -> Iterator[SentValue]:
    """Stream the uploads of key values by a key column, in the order of their planning."""
    statement = text(_UPLOADS)
    for begin in range(0, len(keys), KEYS_PER_QUERY):
        wanted = json.dumps(keys[begin : begin + KEYS_PER_QUERY], ensure_ascii=False)
        for row in connection.execute(statement, {"key_column": column, "keys": wanted}):
            if row.sent_at is None or row.bucket in _NOT_REACHED or row.state in _NOT_REACHED:
                continue
            yield SentValue(
                item_id=row.id,
                column=row.key_column,
                key=row.key,
                data=json.loads(row.data),
                sent_at=row.sent_at,
                confirmed_at=row.confirmed_at,
                run_id=row.run_id,
                batch_id=row.batch_id,
                file=row.name,
                line=row.line,
            )


def incomparable_fields(connection: Connection, columns: Sequence[str]) -> dict[str, list[str]]:
    """Return the fields that cannot be followed code by code, with the keys that write them.

    They are written by jobs whose key is not one of `columns`: nobody can tell which codes those values selected.
    """
    found: dict[str, list[str]] = {}
    for key, fields in connection.execute(text("SELECT key, fields FROM jobs")):
        named = json.loads(key)
        if len(named) != 1 or named[0] not in columns:
            for field in json.loads(fields):
                found.setdefault(field, []).append("+".join(named))
    return found


def discarded_fields(connection: Connection) -> set[str]:
    """Return the fields that the campaign was ever seen to discard."""
    rows = connection.execute(text("SELECT discarded_fields FROM runs WHERE discarded_fields <> '[]'")).scalars()
    return {field for row in rows for field in json.loads(row)}
