"""What seals cover: the columns of the history that never change again, as texts, and the hashes of blocks of them.

A row is hashed by itself, a block over the hashes of its rows. So a pack of evidence (evidence.py) can show one row and
prove it with the hashes of its neighbours, without their data. What always holds: a sealed table's rows are added in
the order of one growing id, of its own or of the event that made them final, and no sealed column is written later.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from syncer.lifecycle.batch import FINAL

if TYPE_CHECKING:
    import sqlite3

BLOCK_ROWS = 1_000
"""Rows of one block: what does not fit is named to within as many."""
BLOCK_DIGITS = 32
"""Hex digits kept of a block's hash: no second block with the same can be made."""
BEFORE_ALL = -(1 << 63)
"""Below every id."""


@dataclass(frozen=True, slots=True)
class SealedTable:
    """A table whose rows seals cover, or columns of it that become final with an event."""

    columns: str
    """The first one is the id of what the row is about."""
    source: str
    place: str
    """The id in whose order rows are added."""
    condition: str = ""
    within: str = ""
    """The order of rows that were added by one event."""
    chosen: str = ""
    """Which ids of what the row is about are evidence: a table of evidence.py."""

    def statement(self, *, flagged: bool = False) -> str:
        """Return the SELECT of the rows in a range of places; ``flagged``: with whether each is chosen."""
        of = self.columns.partition(",")[0]
        flag = f", {of} IN (SELECT id FROM temp.evidence_{self.chosen})" if flagged else ""
        return (
            f"SELECT json_array({self.columns}){flag} FROM {self.source} WHERE {self.place} > ? AND {self.place} <= ?"
            f"{self.condition} ORDER BY {self.place}{self.within}"
        )


_FINAL = ", ".join(f"'{state.value}'" for state in sorted(FINAL))
_EVENTS_OF = "events e JOIN {table} t ON t.id = e.{column}"

TABLES: Mapping[str, SealedTable] = {
    "sources": SealedTable("id, run_id, name, sha256, size_bytes, rows, form", "sources", "id", chosen="sources"),
    "payloads": SealedTable("id, fingerprint, data", "payloads", "id", chosen="payloads"),
    "batches": SealedTable(
        "id, run_id, job_id, parent_id, kind, payload_id, varying, first_item_id, size",
        "batches",
        "id",
        chosen="batches",
    ),
    "items": SealedTable("id, batch_id, key, payload_id, source_id, line", "items", "id", chosen="items"),
    "attempts": SealedTable("id, batch_id, reference, started_at", "attempts", "id", chosen="attempts"),
    "events": SealedTable(
        "id, at, run_id, batch_id, attempt_id, event, old_state, new_state, detail", "events", "id", chosen="events"
    ),
    "item_origins": SealedTable(
        "item_id, source_id, line, fields", "item_origins", "item_id", within=", source_id, line", chosen="items"
    ),
    # What follows becomes final with an event, and belongs to that event's seal.
    "answers": SealedTable(
        "t.id, t.verdict, t.status_code, t.message, t.ended_at, t.account",
        _EVENTS_OF.format(table="attempts", column="attempt_id"),
        "e.id",
        " AND e.event <> 'start'",
        chosen="attempts",
    ),
    "ends": SealedTable(
        "t.id, t.state, t.split, t.attempts, t.task_id, t.codes_affected, t.unmatched, t.message, t.changed_at",
        _EVENTS_OF.format(table="batches", column="batch_id"),
        "e.id",
        f" AND e.new_state IN ({_FINAL})",
        chosen="batches",
    ),
    "outcomes": SealedTable(
        "o.item_id, o.bucket, o.message",
        "events e JOIN batches b ON b.id = e.batch_id"
        " JOIN outcomes o ON o.item_id BETWEEN b.first_item_id AND b.first_item_id + b.size - 1",
        "e.id",
        " AND e.new_state = 'mismatched'",
        ", o.item_id",
        chosen="items",
    ),
}
OWN_IDS = ("sources", "payloads", "batches", "items", "attempts", "events")
"""Tables whose rows are added in the order of their own ids; of the others, origins follow the items."""


def ids_of(table: str) -> str:
    """Return the table in the order of whose ids the rows of another one are added."""
    return table if table in OWN_IDS else "items" if table == "item_origins" else "events"


def covered(cursor: sqlite3.Cursor, table: str, begin: int, end: int) -> dict[str, Any]:
    """Return what a seal says of the rows at places after `begin` up to `end`."""
    blocks, rows = list[str](), 0
    cursor.execute(TABLES[table].statement(), (begin, end))
    while lines := cursor.fetchmany(BLOCK_ROWS):
        blocks.append(block_hash([hashlib.sha256(line.encode()).digest() for (line,) in lines]))
        rows += len(lines)
    return {"from": begin, "to": end, "rows": rows, "blocks": blocks}


def block_hash(rows: Sequence[bytes]) -> str:
    """Return the hash of a block by the hashes of its rows."""
    return hashlib.sha256(b"".join(rows)).hexdigest()[:BLOCK_DIGITS]


def block_of_texts(rows: Sequence[str]) -> str:
    """Return the hash of a block of which each row is given as its text (a JSON list), or as its hash."""
    return block_hash([hashlib.sha256(r.encode()).digest() if r[0] == "[" else bytes.fromhex(r) for r in rows])


def chosen_blocks(cursor: sqlite3.Cursor, table: str, begin: int, end: int) -> Iterator[tuple[int, list[str]]]:
    """Yield the blocks that hold a chosen row: their number, and of each row its text, or its hash in place of it."""
    cursor.execute(TABLES[table].statement(flagged=True), (begin, end))
    number = 0
    while lines := cursor.fetchmany(BLOCK_ROWS):
        if any(is_chosen for _, is_chosen in lines):
            yield number, [line if flag else hashlib.sha256(line.encode()).hexdigest() for line, flag in lines]
        number += 1
