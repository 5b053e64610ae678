"""Everything that was ever sent, explained: per value from file and line to outcome. Reads only."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import func, select, text

from syncer.ledger import schema as t
from syncer.ledger.values import HistoryEntry
from syncer.lifecycle.batch import BUCKET_OF, Bucket, State

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sqlalchemy import Connection

PAGE_ITEMS = 5_000
"""Items of one page of an export: read at once, in a transaction of its own."""

# An item that was split on goes out of the picture: its copy in the smaller batch tells the rest of its story.
_HISTORY = """
SELECT j.name AS job, i.key, p.data, b.run_id, s.name AS file, s.sha256, i.line, r.started_at AS planned_at,
       b.id AS batch_id, b.parent_id, b.kind, b.attempts, a.started_at AS sent_at, a.reference, b.task_id, b.state,
       b.split, b.changed_at AS outcome_at, b.codes_affected, o.bucket,
       CASE WHEN o.item_id IS NOT NULL THEN o.message
            WHEN b.state = 'mismatched' AND NOT b.split THEN NULL  -- said of others of its values
            ELSE b.message END AS message,
       c.batch_id IS NOT NULL AND c.batch_id = b.id AS confirmed_now, i.id AS item_id
FROM items i
JOIN batches b ON b.id = i.batch_id
JOIN runs r ON r.id = b.run_id
JOIN jobs j ON j.id = b.job_id
JOIN payloads p ON p.id = i.payload_id
JOIN sources s ON s.id = i.source_id
LEFT JOIN outcomes o ON o.item_id = i.id
LEFT JOIN attempts a ON a.id = (SELECT max(id) FROM attempts WHERE batch_id = b.id)
LEFT JOIN current c ON c.job_id = b.job_id AND c.key = i.key
WHERE {where}
ORDER BY i.id
LIMIT :most
"""


def history(connection: Connection, key: str) -> list[HistoryEntry]:
    """Return every upload of one key value, oldest first."""
    rows = connection.execute(text(_HISTORY.format(where="i.key = :key")), {"key": key, "most": -1})
    return [_entry(row._asdict()) for row in rows]


def last_item_id(connection: Connection) -> int:
    """Return the id of the newest item; 0 when there is none."""
    return int(connection.execute(select(func.coalesce(func.max(t.items.c.id), 0))).scalar_one())


def export_page(
    connection: Connection, *, since: str | None, run_id: int | None, after_id: int, last_id: int
) -> tuple[list[HistoryEntry], int]:
    """Return a page of the uploads of many values (of one run, recorded since a UTC time, or all), and where it ends.

    It begins behind the item `after_id`; the last page ends at `last_id`.
    """
    where = ["i.id > :after_id", "i.id <= :last_id"]
    parameters: dict[str, Any] = {"after_id": after_id, "last_id": last_id, "most": PAGE_ITEMS}
    if since is not None:
        where.append("b.changed_at >= :since")
        parameters["since"] = since
    if run_id is not None:
        where.append("b.run_id = :run_id")
        parameters["run_id"] = run_id
    rows = connection.execute(text(_HISTORY.format(where=" AND ".join(where))), parameters).all()
    end_id = rows[-1].item_id if len(rows) == PAGE_ITEMS else last_id
    return [_entry(row._asdict()) for row in rows], end_id


def _entry(row: Mapping[str, Any]) -> HistoryEntry:
    outcome: str = row["bucket"] or BUCKET_OF[State(row["state"])]
    if row["split"]:
        outcome = "asked again in smaller batches"
    elif outcome == Bucket.UNSENT and row["attempts"]:
        outcome = "to be sent again"
    names = HistoryEntry.__slots__
    return HistoryEntry(
        **{name: row[name] for name in names if name not in {"outcome", "confirmed_now"}},
        outcome=str(outcome),
        confirmed_now=bool(row["confirmed_now"]),
    )
