"""Everything that was ever sent, explained: per value from file and line to outcome. Reads only."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from sqlalchemy import text

from syncer.ledger.buckets import STANDS
from syncer.ledger.bulk import raw_cursor
from syncer.ledger.chosen import own_codes_space, upload_fields
from syncer.ledger.knowledge import Knowledge
from syncer.ledger.pictures import read_pictures
from syncer.ledger.reads import WISH
from syncer.ledger.values import HistoryEntry
from syncer.lifecycle.batch import BUCKET_OF, Bucket, State
from syncer.mirror.picture import UNHEARD_OF, Picture
from syncer.mirror.words import canonical, fields_of, missing_words

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from sqlalchemy import Connection, RowMapping, TextClause

    from syncer.ledger.apart import Disjoint
    from syncer.request import HistoryRequest

PAGE_ITEMS = 5_000
"""Items of one page of an export: read at once, in a transaction of its own."""
OWN_CODE = "own code"
"""The kind of an entry that is the upload of an own code."""

# An item that was split on goes out of the picture: its copy in the smaller batch tells the rest of its story.
_HISTORY = f"""
SELECT j.name AS job, i.key, j.key AS columns, p.data, b.run_id, s.name AS file, s.sha256, i.line,
       r.started_at AS planned_at, b.id AS batch_id, b.parent_id, b.kind, b.attempts, a.started_at AS sent_at,
       a.reference, b.task_id, b.state, {STANDS} AS stands, b.split, b.changed_at AS outcome_at, o.bucket,
       -- of the value, not of its batch: known where the batch is the value, or one value is one code
       CASE WHEN b.split OR b.state NOT IN ('confirmed', 'mismatched') THEN NULL
            WHEN o.item_id IS NOT NULL THEN iif(o.bucket = 'unmatched', 0, NULL)
            WHEN b.size = 1 THEN b.codes_affected
            WHEN b.unique_key THEN 1 END AS codes_affected,
       CASE WHEN o.item_id IS NOT NULL THEN o.message
            WHEN b.state = 'mismatched' AND NOT b.split THEN NULL  -- said of others of its values
            ELSE b.message END AS message, i.id AS item_id, i.before_id, b.space_id
FROM {{source}}
JOIN batches b ON b.id = i.batch_id
JOIN runs r ON r.id = b.run_id
JOIN jobs j ON j.id = b.job_id
JOIN payloads p ON p.id = i.payload_id
JOIN sources s ON s.id = i.source_id
LEFT JOIN outcomes o ON o.item_id = i.id
LEFT JOIN attempts a ON a.id = (SELECT max(id) FROM attempts WHERE batch_id = b.id)
WHERE {{where}}
ORDER BY i.id
LIMIT :most
"""

_CONDITIONS = {
    "since": "b.changed_at >= :since",
    "until": "b.changed_at < :until",
    "run_id": "b.run_id = :run_id",
    "job": "j.name = :job",
}
_FIELDS = """
SELECT fields FROM jobs WHERE (?1 IS NULL OR name = ?1)
AND (?2 IS NULL OR id IN (SELECT job_id FROM runs WHERE id = ?2))
"""
_OWN_CODES = """
SELECT c.code, c.part_id, c.data, u.id AS upload_id, u.file, u.sha256, c.line, u.defaults, p.record_key,
       u.created_at, p.state, p.changed_at, coalesce((SELECT e.name || ' ' || e.message FROM upload_errors e
         WHERE e.part_id = c.part_id AND e.code = c.code LIMIT 1), p.message) AS message
FROM {source} JOIN upload_parts p ON p.id = c.part_id JOIN uploads u ON u.id = p.upload_id
WHERE {where} ORDER BY c.code, c.part_id LIMIT :most
"""


def history(connection: Connection, key: str, disjoint: Disjoint | None = None) -> list[HistoryEntry]:
    """Return every upload of one key value, oldest first."""
    rows = connection.execute(_statement(["i.key = :key"]), {"key": key, "most": -1})
    return list(_Explained(connection, disjoint).entries(rows.mappings()))


def histories(
    connection: Connection, values: Sequence[tuple[int, str]], disjoint: Disjoint | None
) -> dict[tuple[int, str], list[HistoryEntry]]:
    """Return every upload of each of these values (space and key), oldest first."""
    keys = json.dumps(sorted({key for _, key in values}), ensure_ascii=False)
    where = ["i.key IN (SELECT value FROM json_each(:keys))"]
    rows = connection.execute(_statement(where), {"keys": keys, "most": -1}).mappings().all()
    found: dict[tuple[int, str], list[HistoryEntry]] = {value: [] for value in values}
    for row, entry in zip(rows, _Explained(connection, disjoint).entries(rows), strict=True):
        if (row["space_id"], row["key"]) in found:
            found[row["space_id"], row["key"]].append(entry)
    return found


def _statement(where: Sequence[str], *, chosen: bool = False) -> TextClause:
    """Return the statement of the history; ``chosen``: only of the items that were chosen (chosen.py)."""
    source = "temp.chosen_items c CROSS JOIN items i ON i.id = c.id" if chosen else "items i"
    return text(_HISTORY.format(source=source, where=" AND ".join(where)))


def last_item_id(connection: Connection) -> int:
    """Return the id of the newest item; 0 when there is none."""
    return int(raw_cursor(connection).execute("SELECT coalesce(max(id), 0) FROM items").fetchone()[0])


def export_page(
    connection: Connection,
    request: HistoryRequest,
    *,
    after_id: int,
    last_id: int,
    chosen: bool,
    disjoint: Disjoint | None,
) -> tuple[list[HistoryEntry], int]:
    """Return a page of the uploads that are asked for, and where it ends.

    It begins behind the item `after_id`; the last page ends at `last_id`. ``chosen``: only of what was chosen before.
    """
    where = ["i.id > :after_id", "i.id <= :last_id"]
    parameters: dict[str, Any] = {"after_id": after_id, "last_id": last_id, "most": PAGE_ITEMS}
    for name, condition in _CONDITIONS.items():
        value = getattr(request, name)
        if value is not None:
            where.append(condition)
            parameters[name] = value
    statement = _statement(where, chosen=chosen)
    rows = connection.execute(statement, parameters).mappings().all()
    end_id = int(rows[-1]["item_id"]) if len(rows) == PAGE_ITEMS else last_id
    return list(_Explained(connection, disjoint).entries(rows)), end_id


def last_part_id(connection: Connection) -> int:
    """Return the id of the newest part of an upload of own codes; 0 when there is none."""
    return int(raw_cursor(connection).execute("SELECT coalesce(max(id), 0) FROM upload_parts").fetchone()[0])


def uploads_page(
    connection: Connection, request: HistoryRequest, *, after: tuple[str, int], last_part: int
) -> tuple[list[HistoryEntry], tuple[str, int] | None]:
    """Return a page of uploads of own codes, as entries of the history, and where it ends; None: that was the last.

    It begins behind `after`, a code and the id of its part.
    """
    where = ["(c.code, c.part_id) > (:code, :part)", "c.part_id <= :last_part"]
    parameters: dict[str, Any] = {"code": after[0], "part": after[1], "last_part": last_part}
    for name in ("since", "until"):
        if (value := getattr(request, name)) is not None:
            where.append(_CONDITIONS[name].replace("b.", "p."))
            parameters[name] = value
    source = "upload_codes c"
    if request.where:
        source = "temp.chosen v CROSS JOIN upload_codes c ON c.code = v.key AND v.space_id = :space"
        parameters["space"] = own_codes_space(connection)
    statement = _OWN_CODES.format(source=source, where=" AND ".join(where))
    rows = connection.execute(text(statement), {**parameters, "most": PAGE_ITEMS}).mappings().all()
    end = (rows[-1]["code"], rows[-1]["part_id"]) if len(rows) == PAGE_ITEMS else None
    return [_upload_entry(row) for row in rows], end


def history_fields(connection: Connection, request: HistoryRequest) -> list[str]:
    """Return the fields that the entries asked for can have: those of their jobs, and of own codes where they are."""
    rows = raw_cursor(connection).execute(_FIELDS, (request.job, request.run_id))
    fields = {field for (names,) in rows for field in json.loads(names)}
    return sorted(fields.union(upload_fields(connection)) if tells_of_own_codes(request) else fields)


def tells_of_own_codes(request: HistoryRequest) -> bool:
    """Tell whether own codes are among what is asked for: runs and jobs are of SCM data alone."""
    return request.run_id is None and request.job is None


class _Explained:
    """Adds to rows of the history what was known before, what is known now, and which older files they carry."""

    def __init__(self, connection: Connection, disjoint: Disjoint | None) -> None:
        self._connection = connection
        self._disjoint = disjoint
        self._spaces: dict[int, Knowledge] = {}

    def entries(self, rows: Iterable[RowMapping]) -> Iterator[HistoryEntry]:
        block = list(rows)
        now: dict[tuple[int, str], Picture] = {}
        for space_id in {row["space_id"] for row in block}:
            knowledge = self._spaces.setdefault(space_id, Knowledge(self._connection, space_id, self._disjoint))
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
    outcome: str = row["bucket"] or BUCKET_OF[State(row["stands"])]
    if row["split"]:
        outcome = "asked again in smaller batches"
    elif row["kind"] == WISH:
        outcome = "held" if row["state"] == State.PLANNED else "planned again"
    elif outcome == Bucket.UNSENT and row["attempts"]:
        outcome = "to be sent again"
    known = json.loads(before.known)
    old = {field: known.get(field) for field in fields_of(row["data"]) if field in known or field in before.uncertain}
    given = {"columns", "outcome", "confirmed_now", "before", "origins"}
    return HistoryEntry(
        **{name: row[name] for name in HistoryEntry.__slots__ if name not in given},
        columns=tuple(json.loads(row["columns"])),
        outcome=str(outcome),
        confirmed_now=outcome == Bucket.CONFIRMED and not missing_words(now.known, row["data"]),
        before=old,
        origins=tuple(origins),
    )


def _upload_entry(row: RowMapping) -> HistoryEntry:
    """Return the upload of an own code as an entry of the history: it has a part of its own, no run and no batch."""
    data = {**json.loads(row["defaults"]), **json.loads(row["data"])}
    return HistoryEntry(
        job="",
        key=row["code"],
        columns=("extended_id",),
        data=canonical({name: str(value) for name, value in data.items()}),
        run_id=None,
        file=row["file"],
        sha256=row["sha256"],
        line=row["line"],
        planned_at=row["created_at"],
        batch_id=None,
        kind=OWN_CODE,
        attempts=None,
        sent_at=None,
        reference=None,
        task_id=row["record_key"],
        outcome=row["state"],
        outcome_at=row["changed_at"],
        codes_affected=None,
        message=row["message"],
        confirmed_now=False,
        before={},
        origins=(),
    )
