"""Key values of a space that are known: counted, those like another one, what they were given. Reads only."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from syncer.ledger.bulk import raw_cursor
from syncer.lifecycle.batch import State
from syncer.model import KEY_SEPARATOR

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterable, Iterator, Sequence

    from sqlalchemy import Connection

SEEKS_MAX = 1_000
"""Looks at the ledger for one key: of nearly all keys a few dozen."""
_THERE = "(m.picture > 0 OR NOT EXISTS (SELECT 1 FROM pictures q WHERE q.id = -m.picture AND q.absent))"
_WRITTEN = """
SELECT m.key FROM json_each(?2) j CROSS JOIN mirror m ON m.space_id = ?1 AND m.key = j.value
WHERE m.picture > 0 OR EXISTS (
    SELECT 1 FROM pictures q WHERE q.id = -m.picture AND (q.known_payload_id > 0 OR q.uncertain <> '[]'))
"""
_EARLIER = """
SELECT i.key, p.data FROM json_each(?2) j
CROSS JOIN items i ON i.key = json_extract(j.value, '$[0]') AND i.id < json_extract(j.value, '$[1]')
JOIN batches b ON b.id = i.batch_id AND b.space_id = ?1 JOIN payloads p ON p.id = i.payload_id ORDER BY i.id
"""
_AT_REST = f"""
SELECT k.key FROM (SELECT key FROM mirror WHERE space_id = ?1 AND picture > 0 LIMIT {SEEKS_MAX}) k
WHERE NOT EXISTS (
    SELECT 1 FROM items i JOIN batches b ON b.id = i.batch_id
    WHERE i.key = k.key AND b.space_id = ?1 AND b.state = '{State.PLANNED.value}')
LIMIT 1
"""
_SEEK = "SELECT key, picture FROM mirror WHERE space_id = ? AND key >= ? ORDER BY key LIMIT 1"


def known_count(connection: Connection, space_id: int, most: int | None) -> int:
    """Count the key values that the mirror has of a space, and not as absent; up to ``most`` of them.

    What is uncertain of them is no matter: a value whose every field may have changed is there all the same.
    """
    statement = f"SELECT count(*) FROM (SELECT 1 FROM mirror m WHERE m.space_id = ? AND {_THERE} LIMIT ?)"
    return int(raw_cursor(connection).execute(statement, (space_id, -1 if most is None else most)).fetchone()[0])


def any_known(connection: Connection, space_id: int) -> str | None:
    """Return a key of a space of which all is known and nothing is planned; None where `SEEKS_MAX` keys hold none."""
    row = raw_cursor(connection).execute(_AT_REST, (space_id,)).fetchone()
    return None if row is None else str(row[0])


def known_alike(connection: Connection, space_id: int, folded: str) -> list[str]:
    """Return known keys that are `folded` up to leading zeros and letter case, in no more than `SEEKS_MAX` seeks.

    Goes down the space's keys in their order, letter by letter, along the beginnings that exist: the cost is that of
    the key's length, whatever the number of keys.
    """
    cursor, found, seeks = raw_cursor(connection), list[str](), 0
    waiting = [("", 0)]
    while waiting and seeks < SEEKS_MAX:
        begin, at = waiting.pop()
        seeks += 1
        row = cursor.execute(_SEEK, (space_id, begin)).fetchone()
        if row is None or not row[0].startswith(begin):
            continue
        if at == len(folded) and row[0] == begin and _knows(cursor, row[1]):
            found.append(begin)
        waiting += _longer(begin, at, folded)
    return found


def written_before(connection: Connection, space_id: int, keys: Sequence[str]) -> frozenset[str]:
    """Return those of some values of which a field is known or uncertain: something of ours may have written them."""
    return frozenset(
        key for (key,) in raw_cursor(connection).execute(_WRITTEN, (space_id, json.dumps(keys, ensure_ascii=False)))
    )


def earlier_words(
    connection: Connection, space_id: int, items: Iterable[tuple[str, int]]
) -> dict[str, dict[str, list[str]]]:
    """Return all that values were given before some items, by key and field, the newest word last.

    ``items``: their keys and ids. A word that was given several times in a row stands once.
    """
    found: dict[str, dict[str, list[str]]] = {}
    asked = json.dumps(list(items), ensure_ascii=False)
    for key, data in raw_cursor(connection).execute(_EARLIER, (space_id, asked)):
        for name, value in json.loads(data).items():
            words = found.setdefault(key, {}).setdefault(name, [])
            if words[-1:] != [value]:
                words.append(value)
    return found


def _knows(cursor: sqlite3.Cursor, picture: int) -> bool:
    """Tell whether a picture has a known field: a value that matched nothing is no example of a right key."""
    if picture > 0:
        return True
    statement = "SELECT known_payload_id FROM pictures WHERE id = ?"
    return bool(cursor.execute(statement, (-picture,)).fetchone()[0])


def _longer(begin: str, at: int, folded: str) -> Iterator[tuple[str, int]]:
    """Give longer beginnings of keys, each with the place in the folded key up to which it is like it."""
    if at == 0 or folded[at - 1] == KEY_SEPARATOR:
        yield begin + "0", at  # a zero that the folded key has lost
    end = at
    while end < len(folded) and folded[end].upper() == folded[end]:
        end += 1
        if folded[end - 1] == KEY_SEPARATOR:
            break
    plain = begin + folded[at:end]
    if end == len(folded) or (end > at and folded[end - 1] == KEY_SEPARATOR):
        if end > at:
            yield plain, end
        return
    yield plain + folded[end], end + 1
    yield plain + folded[end].upper(), end + 1
