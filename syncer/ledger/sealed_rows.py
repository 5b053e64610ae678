"""What seals cover: the columns of the history that never change again, as texts, and the hashes of blocks of them.

A row is hashed by itself, a block over the hashes of its rows. So a pack of evidence (evidence.py) can show one row and
prove it with the hashes of its neighbours, without their data. What always holds: a sealed table's rows are added in
the order of one growing id, of its own or of the event that made them final, and no sealed column is written later.
"""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from syncer.lifecycle import part
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
    order: str = ""
    """The order of the rows, where it is not that of their places alone."""
    chosen: str = ""
    """Which ids of what the row is about are evidence: a table of evidence.py; empty: none is."""
    ids: str = "events"
    """The table in the order of whose ids rows are added."""

    @property
    def of(self) -> str:
        """The column with the id of what a row is about."""
        return self.columns.partition(",")[0]

    def statement(self, *, flagged: bool = False) -> str:
        """Return the SELECT of the rows in a range of places; ``flagged``: with whether each is chosen."""
        flag = f", {self.of} IN (SELECT id FROM temp.evidence_{self.chosen})" if flagged else ""
        return f"SELECT json_array({self.columns}){flag} {self._rows}"

    def block_statement(self) -> str:
        """Return the SELECT of the first and last id of what the rows of one block are about, by place and number."""
        rows = f"SELECT {self.of} AS it {self._rows} LIMIT {BLOCK_ROWS} OFFSET ? * {BLOCK_ROWS}"
        return f"SELECT min(it), max(it) FROM ({rows})"

    @property
    def _rows(self) -> str:
        return (
            f"FROM {self.source} WHERE {self.place} > ? AND {self.place} <= ?{self.condition}"
            f" ORDER BY {self.order or self.place}"
        )


_FINAL = ", ".join(f"'{state.value}'" for state in sorted(FINAL))
_UPLOAD_FINAL = ", ".join(f"'{state.value}'" for state in sorted(part.FINAL))
_EVENTS_OF = "events e JOIN {table} t ON t.id = e.{column}"

TABLES: Mapping[str, SealedTable] = {
    "runs": SealedTable(  # as they began; how they end, a seal says beside (sealed_records.py)
        "id, job_id, started_at, mode, campaign, unique_key, program", "runs", "id", ids="runs"
    ),
    "sources": SealedTable(
        "id, run_id, name, sha256, size_bytes, rows, form", "sources", "id", chosen="sources", ids="sources"
    ),
    "payloads": SealedTable("id, fingerprint, data", "payloads", "id", chosen="payloads", ids="payloads"),
    "batches": SealedTable(
        "id, run_id, job_id, parent_id, kind, payload_id, varying, first_item_id, size",
        "batches",
        "id",
        chosen="batches",
        ids="batches",
    ),
    "aims": SealedTable("id, space_id, campaign, unique_key", "batches", "id", chosen="batches", ids="batches"),
    "items": SealedTable("id, batch_id, key, payload_id, source_id, line", "items", "id", chosen="items", ids="items"),
    # What was known of a value before: of a first load, nothing.
    "befores": SealedTable("id, before_id", "items", "id", " AND before_id <> 0", chosen="items", ids="items"),
    "attempts": SealedTable("id, batch_id, reference, started_at", "attempts", "id", chosen="attempts", ids="attempts"),
    "events": SealedTable(
        "id, at, run_id, batch_id, attempt_id, event, old_state, new_state, detail", "events", "id", chosen="events"
    ),
    "item_origins": SealedTable(
        "item_id, source_id, line, fields",
        "item_origins",
        "item_id",
        order="item_id, source_id, line",
        chosen="items",
        ids="items",
    ),
    "rejections": SealedTable("id, run_id, file, line, code, key, message", "rejections", "id", ids="rejections"),
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
        " AND e.new_state IN ('mismatched', 'ended_late')",
        "e.id, o.item_id",
        chosen="items",
    ),
    # Own codes. An upload is recorded whole; each of its parts ends with an event.
    "uploads": SealedTable(
        "id, created_at, file, sha256, size_bytes, fingerprint, filetype, defaults, url_prefix, allow_duplicates,"
        " codes, left_out, program",
        "uploads",
        "id",
        ids="uploads",
    ),
    "upload_parts": SealedTable(
        "id, upload_id, number, codes, size_bytes, sha256", "upload_parts", "id", ids="upload_parts"
    ),
    "upload_codes": SealedTable("id, codes, digest", "temp.own_codes", "id", ids="upload_parts"),  # a row for each part
    "upload_errors": SealedTable("id, part_id, code, name, message", "upload_errors", "id", ids="upload_errors"),
    "upload_events": SealedTable(
        "id, at, part_id, event, old_state, new_state, detail", "upload_events", "id", ids="upload_events"
    ),
    "upload_ends": SealedTable(
        "t.id, t.state, t.record_key, t.remote_status, t.message, t.changed_at",
        "upload_events e JOIN upload_parts t ON t.id = e.part_id",
        "e.id",
        f" AND e.new_state IN ({_UPLOAD_FINAL})",
        ids="upload_events",
    ),
}

ABOUT = {
    "answers": "attempts",
    "ends": "batches",
    "outcomes": "items",
    "item_origins": "items",
    "upload_codes": "parts",
}
"""What the first column of a table counts, where that is not the table's own rows."""


def newest_id(cursor: sqlite3.Cursor, table: str) -> int:
    """Return the place of the newest row that a seal of now covers."""
    return int(cursor.execute(f"SELECT coalesce(max(id), 0) FROM {TABLES[table].ids}").fetchone()[0])


def digest_own_codes(cursor: sqlite3.Cursor, after: int) -> None:
    """Hash the codes of every part of an upload after this one, for `covered`: they lie by code, so in one look."""
    cursor.execute("CREATE TEMP TABLE IF NOT EXISTS own_codes (id INTEGER PRIMARY KEY, codes INTEGER, digest TEXT)")
    cursor.execute("DELETE FROM temp.own_codes")
    if cursor.execute("SELECT 1 FROM upload_parts WHERE id > ? LIMIT 1", (after,)).fetchone() is None:
        return
    hashes, counts = defaultdict[int, "hashlib._Hash"](hashlib.sha256), Counter[int]()
    rows = cursor.execute("SELECT part_id, json_array(code, line, data) FROM upload_codes WHERE part_id > ?", (after,))
    for part_id, text in rows:
        hashes[part_id].update(text.encode())
        counts[part_id] += 1
    found = [(part_id, counts[part_id], one.hexdigest()) for part_id, one in hashes.items()]
    cursor.executemany("INSERT INTO temp.own_codes VALUES (?, ?, ?)", found)


def covered(cursor: sqlite3.Cursor, table: str, begin: int, end: int) -> dict[str, Any]:
    """Return what a seal says of the rows at places after `begin` up to `end`."""
    blocks, rows = list[str](), 0
    if begin >= end:  # nothing was added: not every table is cheap to look through
        return {"from": begin, "to": end, "rows": 0, "blocks": []}
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
