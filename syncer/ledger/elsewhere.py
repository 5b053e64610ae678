"""What other code spaces have under way, or left unsent, and may reach the codes of this one. Reads only.

Two calls may reach one field of one code through two keys. Once both are under way, nobody chooses their order: an
older task may be run after a newer call. So older ones go first; while they are open, newer rows wait.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from syncer.ledger.bulk import raw_cursor
from syncer.ledger.crossing import Space, spaces_of_fields
from syncer.ledger.pictures import payload_texts
from syncer.lifecycle.batch import OPEN, State
from syncer.mirror.words import fields_of
from syncer.model import OpenElsewhere

if TYPE_CHECKING:
    from sqlalchemy import Connection

_OPEN = ", ".join(repr(state.value) for state in sorted(OPEN))
_OTHERS = f"""
FROM batches b CROSS JOIN items i ON i.id BETWEEN b.first_item_id AND b.first_item_id + b.size - 1
WHERE b.space_id = ?1 AND NOT b.split AND (?2 IS NULL OR b.run_id < ?2)
  AND (b.state IN ({_OPEN}) OR (?3 AND (b.state = '{State.PLANNED.value}' OR b.wanted)))
"""


def open_elsewhere(
    connection: Connection, space_id: int, apart: frozenset[int], *, unsent: bool, before_run: int | None
) -> list[OpenElsewhere]:
    """Return what other spaces, but those `apart`, have open.

    ``unsent``: what waits to be sent, too; ``before_run``: of earlier runs than that alone.
    """
    cursor = raw_cursor(connection)
    spaces = spaces_of_fields(cursor)
    own = spaces.get(space_id)
    found = []
    for other in spaces.values():
        if own is None or other.id in {space_id, *apart}:
            continue
        of_other = (other.id, before_run, unsent)
        payloads = [row[0] for row in cursor.execute(f"SELECT DISTINCT i.payload_id {_OTHERS}", of_other).fetchall()]
        fields = frozenset(field for text in payload_texts(connection, payloads).values() for field in fields_of(text))
        if fields:
            by = _link(own, other)
            values = cursor.execute(f"SELECT DISTINCT i.key {_OTHERS}", of_other).fetchall() if by else []
            found.append(OpenElsewhere(fields, frozenset(other.key), by, frozenset(key for (key,) in values)))
    return found


def _link(own: Space, other: Space) -> str:
    """Return the field of the own space that tells which value of the other one a code belongs to; empty: none does."""
    return other.key[0] if len(other.key) == 1 and other.key[0] in own.fields else ""
