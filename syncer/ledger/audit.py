"""Everything that was ever sent, explained: per value from file and line to outcome. Reads only."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from sqlalchemy import func, select, text

from syncer.ledger import schema as t
from syncer.ledger.bulk import raw_cursor
from syncer.ledger.knowledge import Knowledge
from syncer.ledger.pictures import read_pictures
from syncer.ledger.reads import WISH
from syncer.ledger.values import HistoryEntry
from syncer.lifecycle.batch import BUCKET_OF, Bucket, State
from syncer.mirror.picture import UNHEARD_OF, Picture
from syncer.mirror.words import fields_of, missing_words

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from sqlalchemy import Connection, RowMapping

PAGE_ITEMS = 5_000
"""Items of one page of an export: read at once, in a transaction of its own."""

# An item that was split on goes out of the picture: its copy in the smaller batch tells the rest of its story.
_HISTORY = """
SELECT j.name AS job, i.key, p.data, b.run_id, s.name AS file, s.sha256, i.line, r.started_at AS planned_at,
       b.id AS batch_id, b.parent_id, b.kind, b.attempts, a.started_at AS sent_at, a.reference, b.task_id, b.state,
       b.split, b.changed_at AS outcome_at, b.codes_affected, o.bucket,
       CASE WHEN o.item_id IS NOT NULL THEN o.message
            WHEN b.state = 'mismatched' AND NOT b.split THEN NULL  -- said of others of its values
            ELSE b.message END AS message, i.id AS item_id, i.before_id, b.space_id
FROM items i
JOIN batches b ON b.id = i.batch_id
JOIN runs r ON r.id = b.run_id
JOIN jobs j ON j.id = b.job_id
JOIN payloads p ON p.id = i.payload_id
JOIN sources s ON s.id = i.source_id
LEFT JOIN outcomes o ON o.item_id = i.id
LEFT JOIN attempts a ON a.id = (SELECT max(id) FROM attempts WHERE batch_id = b.id)
WHERE {where}
ORDER BY i.id
LIMIT :most
"""


def history(connection: Connection, key: str) -> list[HistoryEntry]:
    """Return every upload of one key value, oldest first."""
    rows = connection.execute(text(_HISTORY.format(where="i.key = :key")), {"key": key, "most": -1})
    return list(_Explained(connection).entries(rows.mappings()))


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
    rows = connection.execute(text(_HISTORY.format(where=" AND ".join(where))), parameters).mappings().all()
    end_id = int(rows[-1]["item_id"]) if len(rows) == PAGE_ITEMS else last_id
    return list(_Explained(connection).entries(rows)), end_id


class _Explained:
    """Adds to rows of the history what was known before, what is known now, and which older files they carry."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._spaces: dict[int, Knowledge] = {}

    def entries(self, rows: Iterable[RowMapping]) -> Iterator[HistoryEntry]:
        block = list(rows)
        now: dict[tuple[int, str], Picture] = {}
        for space_id in {row["space_id"] for row in block}:
            knowledge = self._spaces.setdefault(space_id, Knowledge(self._connection, space_id))
            keys = {row["key"] for row in block if row["space_id"] == space_id}
            now.update(((space_id, key), picture) for key, picture in knowledge.view(keys).items())
        before = read_pictures(self._connection, {row["before_id"] for row in block})
        origins = self._origins([row["item_id"] for row in block])
        for row in block:
            picture = now.get((row["space_id"], row["key"]), UNHEARD_OF)
            yield _entry(row, before[row["before_id"]], picture, origins.get(row["item_id"], []))

    def _origins(self, item_ids: list[int]) -> dict[int, list[dict[str, Any]]]:
        found: dict[int, list[dict[str, Any]]] = {}
        statement = """SELECT o.item_id, s.name, o.line, o.fields FROM json_each(?) j
            CROSS JOIN item_origins o ON o.item_id = j.value JOIN sources s ON s.id = o.source_id"""
        rows = raw_cursor(self._connection).execute(statement, (json.dumps(item_ids),))
        for item_id, name, line, fields in rows:
            found.setdefault(item_id, []).append({"file": name, "line": line, "fields": json.loads(fields)})
        return found


def _entry(row: RowMapping, before: Picture, now: Picture, origins: Sequence[Mapping[str, Any]]) -> HistoryEntry:
    outcome: str = row["bucket"] or BUCKET_OF[State(row["state"])]
    if row["split"]:
        outcome = "asked again in smaller batches"
    elif row["kind"] == WISH:
        outcome = "held" if row["state"] == State.PLANNED else "planned again"
    elif outcome == Bucket.UNSENT and row["attempts"]:
        outcome = "to be sent again"
    known = json.loads(before.known)
    old = {field: known.get(field) for field in fields_of(row["data"]) if field in known or field in before.uncertain}
    given = {"outcome", "confirmed_now", "before", "origins"}
    return HistoryEntry(
        **{name: row[name] for name in HistoryEntry.__slots__ if name not in given},
        outcome=str(outcome),
        confirmed_now=outcome == Bucket.CONFIRMED and not missing_words(now.known, row["data"]),
        before=old,
        origins=tuple(origins),
    )
