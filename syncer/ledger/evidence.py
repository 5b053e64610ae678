"""Evidence for some values: the sealed rows about them, with what proves them, and the chain of seals. Reads only.

What always holds: a row is given as the text that was sealed; of its neighbours in the block only the hashes are given,
so nobody else's data leaves the ledger. What no seal covers yet is counted, and given nowhere.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from syncer.errors import LedgerCorruptError
from syncer.ledger import audit, chosen
from syncer.ledger.bulk import raw_cursor
from syncer.ledger.sealed_rows import TABLES, block_of_texts, chosen_blocks
from syncer.request import HistoryRequest

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Sequence

    from sqlalchemy import Connection

    from syncer.ledger.apart import Disjoint
    from syncer.ledger.values import HistoryEntry

_CHOSEN = {
    "items": "SELECT id FROM temp.chosen_items",
    "batches": "SELECT DISTINCT i.batch_id FROM temp.chosen_items c JOIN items i ON i.id = c.id",
    "sources": "SELECT DISTINCT i.source_id FROM temp.chosen_items c JOIN items i ON i.id = c.id",
    "payloads": "SELECT DISTINCT i.payload_id FROM temp.chosen_items c JOIN items i ON i.id = c.id",
    "attempts": "SELECT a.id FROM temp.evidence_batches c JOIN attempts a ON a.batch_id = c.id",
    "events": "SELECT e.id FROM temp.evidence_batches c JOIN events e ON e.batch_id = c.id",
}
_SEALS = "SELECT id, run_id, at, run, covers, previous, digest FROM seals ORDER BY id"


@dataclass(frozen=True, slots=True)
class SealedBlock:
    """A block that holds evidence. ``rows`` are texts of rows (JSON lists), or the hashes of those that are none."""

    table: str
    seal_id: int
    number: int
    rows: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Evidence:
    """What proves the history of some values. ``seals`` are rows of the chain, from the first that is needed on.

    ``blocks`` and ``entries`` are streams, to be read before the transaction ends. ``items`` counts the uploads that
    are sealed, ``unsealed`` those that no seal covers.
    """

    values: int
    items: int
    unsealed: int
    seals: tuple[tuple[Any, ...], ...]
    blocks: Iterator[SealedBlock]
    entries: Iterator[HistoryEntry]


def evidence(
    connection: Connection, keys: Sequence[str], where: Sequence[tuple[str, str]], disjoint: Disjoint
) -> Evidence:
    """Return the evidence for the values that are meant (`chosen.choose_values`); none are when no value is."""
    values = chosen.choose_values(connection, keys, where)
    chosen.choose_items(connection)
    cursor = raw_cursor(connection)
    seals = [tuple(row) for row in cursor.execute(_SEALS)]
    covers = [(row[0], json.loads(row[4])) for row in seals]
    sealed_to = covers[-1][1]["items"]["to"] if covers else 0
    cursor.execute("DELETE FROM temp.chosen_items WHERE id > ?", (sealed_to,))
    unsealed = cursor.rowcount
    count = cursor.execute("SELECT count(*) FROM temp.chosen_items").fetchone()[0]
    for table, statement in _CHOSEN.items():
        cursor.execute(f"CREATE TEMP TABLE IF NOT EXISTS evidence_{table} (id INTEGER PRIMARY KEY)")
        cursor.execute(f"DELETE FROM temp.evidence_{table}")
        cursor.execute(f"INSERT INTO temp.evidence_{table} {statement}")
    needed = [
        (seal_id, table, one) for seal_id, cover in covers for table, one in cover.items() if _has(cursor, table, one)
    ]
    first = min((seal_id for seal_id, *_ in needed), default=len(seals) + 1)
    return Evidence(
        values,
        count,
        unsealed,
        tuple(seals[first - 1 :]),
        _blocks(connection, needed),
        _entries(connection, sealed_to, disjoint),
    )


def _has(cursor: sqlite3.Cursor, table: str, sealed: dict[str, Any]) -> bool:
    """Tell whether the rows of a table that a seal covers may hold evidence: events stand for what follows them."""
    if not TABLES[table].chosen:
        return False
    statement = f"SELECT EXISTS (SELECT 1 FROM temp.evidence_{TABLES[table].ids} WHERE id > ? AND id <= ?)"
    return bool(cursor.execute(statement, (sealed["from"], sealed["to"])).fetchone()[0])


def _blocks(connection: Connection, needed: Sequence[tuple[int, str, dict[str, Any]]]) -> Iterator[SealedBlock]:
    for seal_id, table, sealed in needed:
        cursor = raw_cursor(connection)
        for number, rows in chosen_blocks(cursor, table, sealed["from"], sealed["to"]):
            if [block_of_texts(rows)] != sealed["blocks"][number : number + 1]:
                words = f"{table} are not what seal {seal_id} says: nothing that is packed would be proven"
                raise LedgerCorruptError(words, next="syncer audit verify")
            yield SealedBlock(table, seal_id, number, tuple(rows))


def _entries(connection: Connection, last_id: int, disjoint: Disjoint) -> Iterator[HistoryEntry]:
    after_id = 0
    while after_id < last_id:
        page, after_id = audit.export_page(
            connection, HistoryRequest(), after_id=after_id, last_id=last_id, chosen=True, disjoint=disjoint
        )
        yield from page
