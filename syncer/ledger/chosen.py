"""Which values of the history are meant by fields and key columns: "all codes of case C-17", "everything of lot 7".

A value is meant when any upload of it ever said so, or when its key does; then its whole history is meant. What was
found stands in tables of the connection's own (``temp``), so a choice of any size costs the process a few bytes a
value. Nothing of the ledger is written.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from syncer.errors import UsageError
from syncer.ledger.bulk import raw_cursor
from syncer.mirror.words import canonical
from syncer.model import KEY_SEPARATOR

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Sequence

    from sqlalchemy import Connection

OWN_CODE_COLUMNS = ("extended_id", "id")
"""Names by which own codes are asked for: the API's, and that of their files."""
_SAID = """
INSERT OR IGNORE INTO temp.meant SELECT b.space_id, i.key FROM items i JOIN batches b ON b.id = i.batch_id
WHERE i.payload_id IN (SELECT id FROM payloads p WHERE instr(',' || substr(data, 2, length(data) - 2) || ',', ?) > 0
  AND EXISTS (SELECT 1 FROM json_each(p.data) WHERE key = ? AND value = ?))  -- a cell may look like a delimiter
"""
_SAID_ANYWHERE = """
INSERT OR IGNORE INTO temp.chosen SELECT b.space_id, i.key FROM items i JOIN batches b ON b.id = i.batch_id
WHERE i.payload_id IN (SELECT id FROM payloads p WHERE instr(data, ?) > 0
  AND EXISTS (SELECT 1 FROM json_each(p.data) WHERE value = ?))
"""
_OWN_CODES_ANYWHERE = """
INSERT OR IGNORE INTO temp.chosen SELECT ?1, c.code FROM upload_codes c
JOIN upload_parts p ON p.id = c.part_id JOIN uploads u ON u.id = p.upload_id
WHERE EXISTS (SELECT 1 FROM json_each(c.data) WHERE CAST(value AS TEXT) = ?2)
  OR EXISTS (SELECT 1 FROM json_each(u.defaults) WHERE CAST(value AS TEXT) = ?2)
"""
_KEYED = """
INSERT OR IGNORE INTO temp.meant SELECT b.space_id, i.key FROM items i JOIN batches b ON b.id = i.batch_id
WHERE i.key = ? AND b.space_id = ?
"""
_KEYED_PARTS = """
SELECT DISTINCT i.key FROM batches b CROSS JOIN items i ON i.id BETWEEN b.first_item_id AND b.first_item_id + b.size - 1
WHERE b.space_id = ? AND instr(char(31) || i.key || char(31), char(31) || ? || char(31)) > 0
"""
_OWN_CODES = """
INSERT OR IGNORE INTO temp.meant SELECT ?1, c.code FROM upload_codes c
JOIN upload_parts p ON p.id = c.part_id JOIN uploads u ON u.id = p.upload_id
WHERE coalesce((SELECT CAST(value AS TEXT) FROM json_each(c.data) WHERE key = ?2),
               (SELECT CAST(value AS TEXT) FROM json_each(u.defaults) WHERE key = ?2)) = ?3
"""
_UPLOAD_FIELDS = """
SELECT key FROM uploads, json_each(defaults) UNION SELECT j.key FROM upload_codes c, json_each(c.data) j
"""


def own_codes_space(connection: Connection) -> int:
    """Return the code space of own codes, which are selected by ``extended_id``; 0 where no job was ever keyed so."""
    found = raw_cursor(connection).execute("SELECT id FROM spaces WHERE key = ?", (json.dumps(["extended_id"]),))
    row = found.fetchone()
    return 0 if row is None else int(row[0])


def choose_values(connection: Connection, keys: Sequence[str], where: Sequence[tuple[str, str]]) -> int:
    """Let ``temp.chosen`` hold (space_id, key) of the values that all of this is said of; return how many.

    ``keys`` are key values, any of which will do; without one, and with `where`, every value can be meant. Raises
    `UsageError` for a field that the ledger has never met.
    """
    cursor = raw_cursor(connection)
    _clear(cursor, "chosen")
    own = own_codes_space(connection)
    for number, (field, value) in enumerate(where):
        _clear(cursor, "meant")
        _mean(connection, field, value, own)
        if number == 0:
            cursor.execute("INSERT INTO temp.chosen SELECT * FROM temp.meant")
        else:
            cursor.execute("DELETE FROM temp.chosen WHERE (space_id, key) NOT IN (SELECT * FROM temp.meant)")
    listed = json.dumps(list(keys), ensure_ascii=False)
    if keys and where:
        cursor.execute("DELETE FROM temp.chosen WHERE key NOT IN (SELECT value FROM json_each(?))", (listed,))
    elif keys:
        cursor.execute(
            """INSERT OR IGNORE INTO temp.chosen SELECT b.space_id, i.key FROM json_each(?) k
               CROSS JOIN items i ON i.key = k.value CROSS JOIN batches b ON b.id = i.batch_id""",
            (listed,),
        )
        cursor.execute(
            """INSERT OR IGNORE INTO temp.chosen SELECT ?, c.code FROM json_each(?) k
               CROSS JOIN upload_codes c ON c.code = k.value""",
            (own, listed),
        )
    return int(cursor.execute("SELECT count(*) FROM temp.chosen").fetchone()[0])


def choose_said(connection: Connection, word: str) -> int:
    """Let ``temp.chosen`` hold the values that have this in their key, or were ever sent it; return how many."""
    cursor = raw_cursor(connection)
    _clear(cursor, "chosen")
    cursor.execute(_SAID_ANYWHERE, (canonical({"": word})[len('{"":') : -1], word))
    for space_id, key in cursor.execute("SELECT id, key FROM spaces").fetchall():
        if len(json.loads(key)) > 1:
            keys = cursor.execute(_KEYED_PARTS, (space_id, word)).fetchall()
            cursor.executemany("INSERT OR IGNORE INTO temp.chosen VALUES (?, ?)", [(space_id, one) for (one,) in keys])
    cursor.execute(_OWN_CODES_ANYWHERE, (own_codes_space(connection), word))
    return int(cursor.execute("SELECT count(*) FROM temp.chosen").fetchone()[0])


def choose_items(connection: Connection) -> None:
    """Let ``temp.chosen_items`` hold the ids of all items of the chosen values."""
    cursor = raw_cursor(connection)
    cursor.execute("CREATE TEMP TABLE IF NOT EXISTS chosen_items (id INTEGER PRIMARY KEY)")
    cursor.execute("DELETE FROM temp.chosen_items")
    cursor.execute(
        """INSERT INTO temp.chosen_items SELECT i.id FROM temp.chosen c CROSS JOIN items i ON i.key = c.key
           CROSS JOIN batches b ON b.id = i.batch_id AND b.space_id = c.space_id"""
    )


def chosen_values(connection: Connection, most: int) -> list[tuple[int, str]]:
    """Return the first of the chosen values, in the order of their keys: space and key."""
    statement = "SELECT space_id, key FROM temp.chosen ORDER BY key, space_id LIMIT ?"
    return raw_cursor(connection).execute(statement, (most,)).fetchall()


def upload_fields(connection: Connection) -> list[str]:
    """Return the fields that uploads of own codes ever named."""
    return sorted(row[0] for row in raw_cursor(connection).execute(_UPLOAD_FIELDS))


def _clear(cursor: sqlite3.Cursor, table: str) -> None:
    columns = "(space_id INTEGER, key TEXT, PRIMARY KEY (space_id, key)) WITHOUT ROWID"
    cursor.execute(f"CREATE TEMP TABLE IF NOT EXISTS {table} {columns}")
    cursor.execute(f"DELETE FROM temp.{table}")


def _mean(connection: Connection, field: str, value: str, own: int) -> None:
    """Add to ``temp.meant`` every value of which an upload said this, or whose key says it."""
    cursor = raw_cursor(connection)
    spaces = [(space_id, json.loads(key)) for space_id, key in cursor.execute("SELECT id, key FROM spaces")]
    fields = {name for (text,) in cursor.execute("SELECT fields FROM jobs") for name in json.loads(text)}
    columns = {column for _, key in spaces for column in key}
    of_uploads = upload_fields(connection)
    known = {*fields, *columns, *of_uploads, *OWN_CODE_COLUMNS}
    if field not in known:
        words = f"no field or key column {field!r} is in the ledger; there are: {', '.join(sorted(known))}"
        raise UsageError(words, remedy="take --where FIELD=VALUE with one of those")
    if field in fields:
        cursor.execute(_SAID, (f",{canonical({field: value})[1:-1]},", field, value))
    for space_id, key in spaces:
        if [field] == key:
            cursor.execute(_KEYED, (value, space_id))
        elif field in key:
            place = key.index(field)
            found = cursor.execute(_KEYED_PARTS, (space_id, value)).fetchall()
            rows = [(space_id, text) for (text,) in found if text.split(KEY_SEPARATOR)[place] == value]
            cursor.executemany("INSERT OR IGNORE INTO temp.meant VALUES (?, ?)", rows)
    if field in of_uploads:
        cursor.execute(_OWN_CODES, (own, field, value))
    if field in OWN_CODE_COLUMNS:
        statement = "INSERT OR IGNORE INTO temp.meant SELECT ?, code FROM upload_codes WHERE code = ?"
        cursor.execute(statement, (own, value))
