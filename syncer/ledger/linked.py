"""How many codes a value selects, as far as other spaces tell: a case has the codes that are known to be in it.

A value selects at least the codes that are known under it. So where a call counts just as many codes as are known
under all of its values, each value had its own, as long as nobody else moves codes between them. What always holds:
nothing is written; while another space has anything open, planned, or let go of and not ended that may move codes,
nothing is told.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from syncer.ledger.bulk import raw_cursor
from syncer.ledger.crossing import spaces_of_fields
from syncer.ledger.knowledge import Knowledge
from syncer.lifecycle.batch import OPEN, State
from syncer.mirror.words import NOTHING, value_of
from syncer.model import UNIQUE_KEYS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import Connection

    from syncer.ledger.apart import Disjoint

_STATES = ", ".join(f"'{state.value}'" for state in (State.PLANNED, *OPEN, State.ABANDONED))
_MOVES = f"SELECT EXISTS (SELECT 1 FROM batches WHERE space_id = ? AND NOT split AND state IN ({_STATES}))"
PICTURES_AT_ONCE = 10_000


def linked_counts(connection: Connection, space_id: int, columns: Sequence[str], disjoint: Disjoint) -> dict[str, int]:
    """Return how many codes are known under each value of a space; none for a key of several columns.

    Where two spaces know codes of a value, they may be the same ones: then the greater number counts.
    """
    found: dict[str, int] = {}
    cursor = raw_cursor(connection)
    for other in spaces_of_fields(cursor).values():
        if other.id == space_id or len(columns) > 1 or columns[0] not in other.fields:
            continue
        if cursor.execute(_MOVES, (other.id,)).fetchone()[0]:
            return {}
        if UNIQUE_KEYS.issuperset(other.key):
            counts = _counts(Knowledge(connection, other.id, disjoint), columns[0])
            found.update({value: max(count, found.get(value, 0)) for value, count in counts.items()})
    return found


def shaken(connection: Connection, space_id: int, keys: Sequence[str], disjoint: Disjoint) -> set[str]:
    """Return the values of which nothing is certain any more: codes may have come under them since a count."""
    from syncer.arrow import texts

    knowledge, found = Knowledge(connection, space_id, disjoint), set[str]()
    for block in knowledge.known(texts(keys)):
        numbers = block.pictures.tolist()
        pictures = knowledge.pictures({*numbers})
        values = zip(block.keys.to_pylist(), numbers, strict=True)
        found.update(value for value, number in values if pictures[number].known == NOTHING)
    return found


def _counts(knowledge: Knowledge, field: str) -> Counter[str]:
    """Count the values of a space by what is known of a field."""
    tally, counts = knowledge.tally(), Counter[str]()
    numbers = list(tally)
    for begin in range(0, len(numbers), PICTURES_AT_ONCE):
        for number, picture in knowledge.pictures(numbers[begin : begin + PICTURES_AT_ONCE]).items():
            value = None if picture.absent else value_of(picture.known, field)
            if value:
                counts[value] += tally[number]
    return counts
