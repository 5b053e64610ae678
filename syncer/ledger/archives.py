"""Old history apart: rows that were moved to archives, and how whoever reads the history gets all of it together.

An archive is a whole copy of the ledger, made before its old rows were taken out; it lies beside the ledger. Of each
archive the rows up to its end count, of the ledger the rows after the last end. What always holds: no row is in no
place; what a later run may ask for stays in the ledger (`kept`), so that planning and sending never need an archive; a
reader of history without one of the archives is refused.
"""

from __future__ import annotations

import sqlite3
from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING

from syncer.errors import LedgerArchiveError
from syncer.ledger import kept
from syncer.ledger.database import refuse_planted
from syncer.ledger.schema import append_only_triggers

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

MOVED = {"items": ("id", 0), "item_origins": ("item_id", 0), "outcomes": ("item_id", 0), "events": ("id", 1)}
"""Tables whose old rows move: by which id, and by which of an archive's two ends (items, events)."""
ARCHIVES_MAX = 8
"""SQLite joins ten files at most."""
_SEALS = """
SELECT id, run_id, digest, json_extract(covers, '$.items.to'), json_extract(covers, '$.events.to')
FROM seals WHERE at <= ?1 AND id <= (
    SELECT max(s.id) FROM seals s JOIN runs r ON r.id = s.run_id WHERE r.exit_code IS NOT NULL) ORDER BY id DESC
"""
"""None is later than what was told (`endings.told_until`)."""
# What is not at its end, or is wanted, is looked at by runs; its rows stay.
_UNFINISHED = """
SELECT 1 FROM batches WHERE first_item_id <= ? AND NOT split
AND (wanted OR state IN ('planned', 'sending', 'submitted', 'in_doubt') OR first_item_id + size - 1 > ?) LIMIT 1
"""

_BELOW_ALL = -(1 << 63)
_OF_ITEMS = ("item_origins", "outcomes")
_STAYED = " AND EXISTS (SELECT 1 FROM main.items i WHERE i.id = a.item_id)"
_UNEXPLAINED = """
SELECT m.key, m.batch_id FROM main.mirror m JOIN main.batches b ON b.id = m.batch_id
WHERE b.first_item_id <= ?
AND NOT EXISTS (SELECT 1 FROM main.items i WHERE i.batch_id = m.batch_id AND i.key = m.key) LIMIT 1
"""


@dataclass(frozen=True, slots=True)
class Archive:
    """A file beside the ledger, and the last ids of items and events that are read from it."""

    file: str
    items_to: int
    events_to: int


@dataclass(frozen=True, slots=True)
class Cut:
    """Where history is cut: at the seal of a run, after these ids."""

    run_id: int
    seal: str
    items_to: int
    events_to: int


def known(cursor: sqlite3.Cursor) -> list[Archive]:
    """Return the archives of a ledger, oldest first."""
    return [Archive(*row) for row in cursor.execute("SELECT file, items_to, events_to FROM archives ORDER BY id")]


def find_cut(cursor: sqlite3.Cursor, before: str) -> Cut | None:
    """Return the newest place before a time up to which all is at its end; None: there is nothing to move.

    The newest item and event stay always: new ids count on from them.
    """
    ends = [0, 0]
    for archive in known(cursor):
        ends = [archive.items_to, archive.events_to]
    newest = [
        cursor.execute(f"SELECT coalesce(max(id), 0) FROM {table}").fetchone()[0] for table in ("items", "events")
    ]
    for _, run_id, digest, items_to, events_to in cursor.execute(_SEALS, (before,)).fetchall():
        if items_to <= ends[0] or events_to <= ends[1]:
            return None
        if items_to >= newest[0] or events_to >= newest[1]:
            continue
        if cursor.execute(_UNFINISHED, (items_to, items_to)).fetchone() is None:
            return Cut(run_id, digest, items_to, events_to)
    return None


def attach(raw: sqlite3.Connection, path: Path, archives: Sequence[Archive]) -> None:
    """Let a connection that reads see the history of the ledger and of `archives` as one. Not within a transaction."""
    if not archives:
        return
    _join(raw, path, archives)
    for table, (column, which) in MOVED.items():
        parts, after = list[str](), 0
        for number, archive in enumerate(archives, 1):
            end = (archive.items_to, archive.events_to)[which]
            parts.append(f"SELECT * FROM archive_{number}.{table} WHERE {column} > {after} AND {column} <= {end}")
            after = end
        parts.append(f"SELECT * FROM main.{table} WHERE {column} > {after}")
        raw.execute(f"CREATE TEMP VIEW {table} AS {' UNION ALL '.join(parts)}")


def misfits(cursor: sqlite3.Cursor) -> Iterator[str]:
    """Yield where rows that stayed in a ledger differ from what its archives hold, as far as these are attached.

    History is read from the archives; what stayed explains the mirror, and the next plan reads it.
    """
    attached = {name for _, name, _ in cursor.execute("PRAGMA database_list")}
    begins = dict.fromkeys(MOVED, _BELOW_ALL)
    for number, archive in enumerate(known(cursor), 1):
        if f"archive_{number}" not in attached:
            return
        for table, (column, which) in MOVED.items():
            end = (archive.items_to, archive.events_to)[which]
            statements = [_unlike("main", f"archive_{number}", cursor, table, column)]
            if table in _OF_ITEMS:  # of an item everything stayed, or nothing
                statements.append(_unlike(f"archive_{number}", "main", cursor, table, column) + _STAYED)
            for statement in statements:
                found = cursor.execute(f"{statement} LIMIT 1", (begins[table], end)).fetchone()
                if found is not None:
                    yield f"{table} in the ledger are not as in its archive {archive.file}: at {column} {found[0]}"
            begins[table] = end
    missing = cursor.execute(_UNEXPLAINED, (begins["items"],)).fetchone()
    if missing is not None:
        yield f"an item that explains what is known of {missing[0]!r} was taken out of the ledger: batch {missing[1]}"


def _unlike(one: str, other: str, cursor: sqlite3.Cursor, table: str, column: str) -> str:
    """Return the SELECT of the places, between two, of rows that another database does not hold alike."""
    columns = cursor.execute(f"PRAGMA main.table_info({table})").fetchall()
    same = " AND ".join(f"b.{name} = a.{name}" for _, name, _, _, _, in_key in columns if in_key)
    left, right = (", ".join(f"{alias}.{name}" for _, name, *_ in columns) for alias in "ab")
    return (
        f"SELECT a.{column} FROM {one}.{table} a WHERE a.{column} > ? AND a.{column} <= ?"
        f" AND NOT EXISTS (SELECT 1 FROM {other}.{table} b WHERE {same} AND ({left}) IS ({right}))"
    )


def bring_together(copy: Path, path: Path) -> None:
    """Put the history that was moved from a ledger back into a copy of it, for who looks at the copy alone."""
    with closing(sqlite3.connect(copy.absolute().as_uri(), uri=True, isolation_level=None)) as raw:
        archives = known(raw.cursor())
        _join(raw, path, archives)
        raw.execute("BEGIN")
        for number, archive in enumerate(archives, 1):
            for table, (column, which) in MOVED.items():
                end = (archive.items_to, archive.events_to)[which]
                raw.execute(
                    f"INSERT OR IGNORE INTO main.{table} SELECT * FROM archive_{number}.{table} WHERE {column} <= ?",
                    (end,),
                )
        raw.execute("COMMIT")


def _join(raw: sqlite3.Connection, path: Path, archives: Sequence[Archive]) -> None:
    """Let a connection read the archives, too, that lie beside a ledger."""
    for number, archive in enumerate(archives, 1):
        file = path.with_name(archive.file)
        if not file.is_file():
            raise LedgerArchiveError(f"the archive {file} of the ledger's old history is not there")
        refuse_planted(file)
        raw.execute(f"ATTACH ? AS archive_{number}", (f"{file.absolute().as_uri()}?mode=ro",))


def take_out(cursor: sqlite3.Cursor, file: str, cut: Cut, at: str) -> tuple[int, int]:
    """Take the rows out that an archive holds, in the caller's transaction; return how many items and events.

    The triggers that keep history from being deleted are gone for this transaction alone: they come back in it.
    """
    triggers = {one.split()[2]: one for one in append_only_triggers()}
    lifted = [f"{table}_no_delete" for table in MOVED]
    for name in lifted:
        cursor.execute(f"DROP TRIGGER {name}")
    kept.choose(cursor, cut.items_to)  # of the rows that an earlier one left, too: its archive has them
    for table in ("item_origins", "outcomes"):
        cursor.execute(f"DELETE FROM {table} WHERE item_id <= ? AND item_id NOT IN temp.kept", (cut.items_to,))
    items = cursor.execute("DELETE FROM items WHERE id <= ? AND id NOT IN temp.kept", (cut.items_to,)).rowcount
    events = cursor.execute(f"DELETE FROM events WHERE id <= ? AND NOT {kept.END_OF_BATCH}", (cut.events_to,)).rowcount
    cursor.execute(
        "INSERT INTO archives (file, made_at, run_id, seal, items_to, events_to) VALUES (?, ?, ?, ?, ?, ?)",
        (file, at, cut.run_id, cut.seal, cut.items_to, cut.events_to),
    )
    for name in lifted:
        cursor.execute(triggers[name])
    return items, events
