"""The story of a value: its uploads, every call and change of their batches, what it holds now, and who scanned it.

Reads only. What always holds: a story is of one moment; nothing in it is summed up or left out, so each field can
be followed back to file, line, run, batch, task, answer and scan.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from syncer.ledger import audit, chosen, upload_reads
from syncer.ledger.bulk import raw_cursor
from syncer.ledger.knowledge import Knowledge
from syncer.mirror.picture import EVERY_FIELD, UNHEARD_OF, Picture

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from sqlalchemy import Connection

    from syncer.ledger.apart import Disjoint
    from syncer.ledger.upload_values import CodeUpload
    from syncer.ledger.values import HistoryEntry

SCANS_MAX = 100
"""Scans of one value that are told, the newest ones."""


@dataclass(frozen=True, slots=True)
class BatchEvent:
    """A change of a batch's state, with the call that it is about; None: it is about no call.

    ``id`` is its place in the order in which all changes were recorded. ``run_id`` is the run that saw it; ``answer``
    is what became of the call.
    """

    id: int
    batch_id: int
    at: str
    run_id: int
    event: str
    new_state: str
    detail: str | None
    reference: str | None
    verdict: str | None
    status_code: int | None
    answer: str | None


@dataclass(frozen=True, slots=True)
class FieldDoubt:
    """Why a field is uncertain that was known before. ``at`` None: the moment is not known."""

    field: str
    cause: str
    at: str | None


@dataclass(frozen=True, slots=True)
class CodeScan:
    """A scan of one code, with its SCM data at that time. ``at`` is UTC text."""

    uuid: str
    at: str
    campaign: int
    scm: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Story:
    """One value of a code space: all that the ledger knows of it, oldest first."""

    columns: tuple[str, ...]
    key: str
    now: Picture
    """What it is known to hold now, open calls and later writes of other spaces taken into account."""
    doubts: tuple[FieldDoubt, ...]
    """What made fields uncertain that are so now: the newest cause of each."""
    entries: tuple[HistoryEntry, ...]
    events: tuple[BatchEvent, ...]
    """In the order in which they were recorded."""
    uploads: tuple[CodeUpload, ...]
    scans: tuple[CodeScan, ...]


_EVENTS = """
SELECT e.id, e.batch_id, e.at, e.run_id, e.event, e.new_state, e.detail, a.reference, a.verdict, a.status_code,
       a.message
FROM json_each(?) j CROSS JOIN events e ON e.batch_id = j.value LEFT JOIN attempts a ON a.id = e.attempt_id
ORDER BY e.id
"""
_DOUBTS = """
SELECT m.key, s.field, s.cause, e.at FROM json_each(?2) j CROSS JOIN mirror m ON m.space_id = ?1 AND m.key = j.value
JOIN batches b ON b.id = m.batch_id CROSS JOIN stamps s ON s.space_id = ?1 AND s.settled > coalesce(b.settled, 0)
LEFT JOIN events e ON e.id = s.settled ORDER BY s.settled
"""
_SCANS = """
SELECT {column}, uuid, at_us, campaign, scm FROM scans WHERE {column} IN (SELECT value FROM json_each(?))
ORDER BY at_us, id
"""


def stories(
    connection: Connection,
    keys: Sequence[str],
    where: Sequence[tuple[str, str]],
    *,
    most: int,
    else_said: str | None = None,
    disjoint: Disjoint | None = None,
) -> tuple[list[Story], int]:
    """Return the stories of the first values that are meant (`choose_values`), and how many are.

    ``else_said``: where none is, those are that this word was ever said of (`choose_said`).
    """
    count = chosen.choose_values(connection, keys, where)
    if not count and else_said is not None:
        count = chosen.choose_said(connection, else_said)
    values = chosen.chosen_values(connection, most)
    cursor = raw_cursor(connection)
    columns = {space_id: tuple(json.loads(key)) for space_id, key in cursor.execute("SELECT id, key FROM spaces")}
    histories = audit.histories(connection, values, disjoint)
    events = _events(connection, {entry.batch_id for entries in histories.values() for entry in entries})
    own = chosen.own_codes_space(connection)
    pictures: dict[tuple[int, str], Picture] = {}
    scans: dict[tuple[int, str], list[CodeScan]] = {}
    doubts: dict[tuple[int, str], tuple[FieldDoubt, ...]] = {}
    for space_id in {space_id for space_id, _ in values}:
        of_space = [key for other, key in values if other == space_id]
        view = Knowledge(connection, space_id, disjoint).view(of_space)
        pictures.update(((space_id, key), view.get(key, UNHEARD_OF)) for key in of_space)
        for key, causes in _doubts(connection, space_id, of_space).items():
            named = {field: causes.get(field, causes.get(EVERY_FIELD)) for field in pictures[space_id, key].uncertain}
            doubts[space_id, key] = tuple(FieldDoubt(field, *why) for field, why in named.items() if why)
        for key, found in _scans(connection, columns.get(space_id, ("extended_id",)), of_space).items():
            scans[space_id, key] = found
    return [
        Story(
            columns.get(space_id, ("extended_id",)),
            key,
            pictures[space_id, key],
            doubts.get((space_id, key), ()),
            tuple(histories[space_id, key]),
            _recorded(events, histories[space_id, key]),
            tuple(upload_reads.history(connection, key)) if space_id == own else (),
            tuple(scans.get((space_id, key), ())),
        )
        for space_id, key in values
    ], count


def _events(connection: Connection, batch_ids: Iterable[int | None]) -> dict[int, list[BatchEvent]]:
    found: dict[int, list[BatchEvent]] = {}
    for row in raw_cursor(connection).execute(_EVENTS, (json.dumps(sorted(filter(None, batch_ids))),)):
        event = BatchEvent(*row)
        found.setdefault(event.batch_id, []).append(event)
    return found


def _recorded(events: Mapping[int, Sequence[BatchEvent]], entries: Iterable[HistoryEntry]) -> tuple[BatchEvent, ...]:
    of_value = {event.id: event for entry in entries for event in events.get(entry.batch_id or 0, ())}
    return tuple(of_value[number] for number in sorted(of_value))


def _doubts(connection: Connection, space_id: int, keys: Sequence[str]) -> dict[str, dict[str, tuple[str, str | None]]]:
    """Return the stamps over each value, by field: the youngest one's cause, and when it came."""
    found: dict[str, dict[str, tuple[str, str | None]]] = {}
    parameters = (space_id, json.dumps(list(keys), ensure_ascii=False))
    for key, field, cause, at in raw_cursor(connection).execute(_DOUBTS, parameters):
        found.setdefault(key, {})[field] = (cause, at)
    return found


def _scans(connection: Connection, columns: Sequence[str], keys: Sequence[str]) -> dict[str, list[CodeScan]]:
    """Return the newest scans of codes, oldest first, by the key that names them; of other keys there are none."""
    if tuple(columns) not in {("extended_id",), ("serial_number",)}:
        return {}
    found: dict[str, list[CodeScan]] = {}
    statement = _SCANS.format(column=columns[0])
    for key, uuid, at_us, campaign, scm in raw_cursor(connection).execute(statement, (json.dumps(list(keys)),)):
        at = datetime.fromtimestamp(at_us / 1e6, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        of_key = found.setdefault(key, [])
        of_key.append(CodeScan(uuid.hex(), at, campaign, json.loads(scm)))
        if len(of_key) > SCANS_MAX:
            del of_key[0]
    return found
