"""What is read of uploads of own codes, code by code: known ones, errors, histories, and what is wrong. Reads only."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from syncer.errors import IllegalTransitionError
from syncer.ledger.bulk import key_look_ups, raw_cursor
from syncer.ledger.upload_values import CodeError, CodeUpload
from syncer.lifecycle.part import NOTHING_CREATED, PartEvent, PartState, after

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pyarrow as pa
    from sqlalchemy import Connection

_NOTHING_CREATED = ", ".join(f"'{state.value}'" for state in sorted(NOTHING_CREATED))
_KNOWN = f"""
SELECT c.code, p.upload_id FROM json_each(?) j
CROSS JOIN upload_codes c ON c.code = j.value
JOIN upload_parts p ON p.id = c.part_id AND p.state NOT IN ({_NOTHING_CREATED})
WHERE NOT EXISTS (SELECT 1 FROM upload_errors e WHERE e.part_id = c.part_id AND e.code = c.code)
"""
_ERRORS = """
SELECT p.number AS part, e.code, coalesce(c.line, 0) AS line, e.name, e.message, coalesce(c.data, '{}')
FROM upload_errors e JOIN upload_parts p ON p.id = e.part_id
LEFT JOIN upload_codes c ON c.part_id = e.part_id AND c.code = e.code
WHERE p.upload_id = ? ORDER BY p.number, line, e.id LIMIT ?
"""
_CODES = "SELECT c.code FROM upload_parts p JOIN upload_codes c ON c.part_id = p.id WHERE p.upload_id = ?"
_LIKE = "SELECT code FROM upload_codes WHERE part_id = ? AND code >= ? AND code < ? ORDER BY code LIMIT 100"
_HISTORY = """
SELECT c.code, u.id, p.number, u.file, u.sha256, c.line, c.data, u.defaults, p.record_key, u.created_at,
       p.state, p.changed_at, coalesce(
         (SELECT e.name || ' ' || e.message FROM upload_errors e
          WHERE e.part_id = c.part_id AND e.code = c.code LIMIT 1), p.message)
FROM upload_codes c JOIN upload_parts p ON p.id = c.part_id JOIN uploads u ON u.id = p.upload_id
WHERE c.code = ? ORDER BY u.id
"""


def known_codes(connection: Connection, codes: pa.LargeStringArray) -> Iterator[tuple[pa.LargeStringArray, Any]]:
    """Stream those of `codes` that an earlier upload has created, or still may, with that upload's id."""
    for found, numbers in key_look_ups(connection, _KNOWN, [], codes):
        yield found, numbers[0]


def product_skus(connection: Connection) -> frozenset[str]:
    """Return the SKUs that the ledger knows from lists of all products; without such a list it knows none."""
    rows = raw_cursor(connection).execute(
        "SELECT DISTINCT sku FROM products WHERE EXISTS (SELECT 1 FROM product_pulls)"
    )
    return frozenset(str(sku) for (sku,) in rows)


def errors(connection: Connection, upload_id: int, most: int) -> list[CodeError]:
    """Return what the API said against codes of an upload, by part and line."""
    return [CodeError(*row) for row in raw_cursor(connection).execute(_ERRORS, (upload_id, most))]


def codes_of(connection: Connection, upload_id: int) -> set[str]:
    """Return all codes of an upload."""
    return {code for (code,) in raw_cursor(connection).execute(_CODES, (upload_id,))}


def codes_like(connection: Connection, part_id: int, begin: str) -> list[str]:
    """Return the codes of a part that begin with a text."""
    end = begin[:-1] + chr(ord(begin[-1]) + 1) if begin else "\U0010ffff"
    return [code for (code,) in raw_cursor(connection).execute(_LIKE, (part_id, begin, end))]


def history(connection: Connection, code: str) -> list[CodeUpload]:
    """Return every upload of one own code, oldest first."""
    return [CodeUpload(*row) for row in raw_cursor(connection).execute(_HISTORY, (code,))]


def problems(connection: Connection) -> list[str]:
    """Return what is wrong with the uploads of a ledger, in words: counts, and histories that cannot have been."""
    cursor = raw_cursor(connection)
    found = [
        f"part {row[0]} of an upload has {row[2]} codes instead of {row[1]}"
        for row in cursor.execute(
            """SELECT p.id, p.codes, coalesce(c.found, 0) FROM upload_parts p
               LEFT JOIN (SELECT part_id, count(*) AS found FROM upload_codes GROUP BY part_id) c ON c.part_id = p.id
               WHERE coalesce(c.found, 0) <> p.codes LIMIT 3"""
        )
    ]
    states: dict[int, str] = {}
    for part_id, event, old, new in cursor.execute(
        "SELECT part_id, event, old_state, new_state FROM upload_events ORDER BY id"
    ):
        here = states.get(part_id, PartState.PLANNED.value)
        try:
            legal = here == old and after(PartState(old), PartEvent(event)) == new
        except (IllegalTransitionError, ValueError):
            legal = False
        if not legal:
            found.append(f"part {part_id}: event {event!r} from {old!r} to {new!r} cannot follow {here!r}")
        states[part_id] = new
    for part_id, state in cursor.execute("SELECT id, state FROM upload_parts"):
        if states.get(part_id, PartState.PLANNED.value) != state:
            found.append(f"part {part_id} is {state!r}, which its events do not say")
    return found
