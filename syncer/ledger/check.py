"""Proving a ledger whole, and copying it while it is in use."""

from __future__ import annotations

import os
import shutil
import sqlite3
from contextlib import closing
from itertools import chain, count
from typing import TYPE_CHECKING

from sqlalchemy import text

from syncer.errors import (
    IllegalTransitionError,
    LedgerUnfinishedError,
    LedgerWriteError,
    UntrustedFileError,
    UsageError,
    unwritable,
)
from syncer.ledger.bulk import raw_cursor
from syncer.ledger.database import SQLITE_ERRORS, ledger_error, roll_back
from syncer.lifecycle.batch import Event, State, after
from syncer.safe.files import PART, Folder, new_file, open_at_once
from syncer.safe.trust import UntrustedError, quoted

if TYPE_CHECKING:
    from pathlib import Path

    from sqlalchemy import Connection

# Each statement finds rows that must not be; the words say what one of them would mean.
_RULES: tuple[tuple[str, str], ...] = (
    (
        "batches whose number of items is not their size",
        """SELECT b.id FROM batches b LEFT JOIN items i ON i.batch_id = b.id GROUP BY b.id
           HAVING count(i.id) <> b.size OR min(i.id) <> b.first_item_id
           OR max(i.id) <> b.first_item_id + b.size - 1""",
    ),
    (
        "items of no batch",
        "SELECT i.id FROM items i WHERE NOT EXISTS (SELECT 1 FROM batches b WHERE b.id = i.batch_id)",
    ),
    (
        "items of a payload or source that is not there",
        """SELECT i.id FROM items i WHERE NOT EXISTS (SELECT 1 FROM payloads p WHERE p.id = i.payload_id)
           OR NOT EXISTS (SELECT 1 FROM sources s WHERE s.id = i.source_id)""",
    ),
    (
        "mirrored values that no item explains",
        """SELECT m.key FROM mirror m WHERE NOT EXISTS (
             SELECT 1 FROM items i JOIN batches b ON b.id = i.batch_id
             WHERE i.key = m.key AND i.batch_id = m.batch_id AND b.space_id = m.space_id)""",
    ),
    (
        "mirrored values without their picture",
        """SELECT m.key FROM mirror m WHERE m.picture = 0
           OR (m.picture > 0 AND NOT EXISTS (SELECT 1 FROM payloads p WHERE p.id = m.picture))
           OR (m.picture < 0 AND NOT EXISTS (SELECT 1 FROM pictures q WHERE q.id = -m.picture
               AND (q.known_payload_id = 0 OR EXISTS (SELECT 1 FROM payloads p WHERE p.id = q.known_payload_id))))""",
    ),
    (
        "confirmed values that the mirror does not have",
        """SELECT i.key FROM batches b JOIN items i ON i.batch_id = b.id
           WHERE b.state IN ('confirmed', 'mismatched') AND NOT b.split
             AND NOT EXISTS (SELECT 1 FROM mirror m WHERE m.space_id = b.space_id AND m.key = i.key)""",
    ),
    (
        "batches or jobs in another code space than their key's",
        """SELECT j.name FROM jobs j LEFT JOIN spaces s ON s.id = j.space_id WHERE s.key IS NULL OR s.key <> j.key
           UNION ALL SELECT CAST(b.id AS TEXT) FROM batches b JOIN jobs j ON j.id = b.job_id
           WHERE b.space_id <> j.space_id""",
    ),
    (
        "origins of no item",
        "SELECT o.item_id FROM item_origins o WHERE NOT EXISTS (SELECT 1 FROM items i WHERE i.id = o.item_id)",
    ),
    (
        "values that stand in two batches which may both reach the API",
        """SELECT i.key FROM batches b JOIN items i ON i.batch_id = b.id
           WHERE NOT b.split AND b.kind <> 'wish' AND b.state IN ('planned', 'sending', 'submitted', 'in_doubt')
           GROUP BY b.space_id, i.key HAVING count(*) > 1""",
    ),
    (
        "batches whose count of unmatched values is not that of their outcomes",
        """SELECT b.id FROM batches b LEFT JOIN items i ON i.batch_id = b.id LEFT JOIN outcomes o ON o.item_id = i.id
           GROUP BY b.id HAVING count(o.item_id) <> b.unmatched""",
    ),
    (
        "split batches whose parts do not add up",
        """SELECT b.id FROM batches b WHERE b.split AND
           (SELECT coalesce(sum(size), 0) FROM batches p WHERE p.parent_id = b.id) <> b.size""",
    ),
    (
        "seen scans whose times are not as many as their ids",
        "SELECT pull_id FROM scan_seen WHERE length(uuids) <> 2 * length(times)",
    ),
    (
        "wishes that were sent",
        "SELECT id FROM batches WHERE kind = 'wish' AND state NOT IN ('planned', 'superseded')",
    ),
    ("submitted batches without a task", "SELECT id FROM batches WHERE state = 'submitted' AND task_id IS NULL"),
    (
        "tasks that two batches claim",
        "SELECT task_id FROM batches WHERE task_id IS NOT NULL GROUP BY task_id HAVING count(*) > 1",
    ),
)


_HAS_IDENTITY = "SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = 'ledger'"
"""Ledgers of older schemas have nothing to mark; the new one, which comes by the upgrade, has another id."""


def problems(connection: Connection) -> list[str]:
    """Return everything that is wrong with a ledger, in words; empty when it is whole."""
    found = [f"SQLite: {line}" for line in connection.execute(text("PRAGMA integrity_check")).scalars() if line != "ok"]
    found += [f"a row of {row[0]} points to nothing" for row in connection.execute(text("PRAGMA foreign_key_check"))]
    for words, statement in _RULES:
        rows = raw_cursor(connection).execute(f"SELECT * FROM ({statement}) LIMIT 4").fetchall()
        if rows:
            examples = ", ".join(str(row[0]) for row in rows[:3])
            found.append(f"{words}: {examples}{' …' if len(rows) > 3 else ''}")  # noqa: PLR2004
    return found + _illegal_histories(connection)


def _illegal_histories(connection: Connection) -> list[str]:
    """Replay the events of every batch through `lifecycle`: they must lead to the state that it has."""
    found = []
    states: dict[int, str] = {}  # as written: a damaged ledger may hold words that are no states
    rows = raw_cursor(connection).execute("SELECT batch_id, event, old_state, new_state FROM events ORDER BY id")
    for batch_id, event, old_state, new_state in rows:
        here = states.get(batch_id, State.PLANNED.value)
        try:
            legal = here == old_state and after(State(here), Event(event)) == new_state
        except (IllegalTransitionError, ValueError):
            legal = False
        if not legal:
            found.append(
                f"batch {batch_id}: event {event!r} from {old_state!r} to {new_state!r} cannot follow {here!r}"
            )
        states[batch_id] = new_state
    for batch_id, state in raw_cursor(connection).execute("SELECT id, state FROM batches"):
        end = states.get(batch_id, State.PLANNED.value)
        if end != state:
            found.append(f"batch {batch_id} is {state!r}; its events end in {end!r}")
    return found


def _another(target: Path, number: int) -> Path:
    """Return another name for a backup: in a folder of that name, or beside a file."""
    if target.is_dir():
        return target / f"syncer-{number - 1}.db"
    return target.with_name(f"{target.stem}-{number}{target.suffix}")


_WRITING = ("SQLITE_FULL", "SQLITE_IOERR_WRITE", "SQLITE_IOERR_FSYNC", "SQLITE_IOERR_TRUNCATE")
"""What SQLite says of a file that it writes: of two that are open here, only the copy is."""


def _unwritten(target: Path, words: str) -> LedgerWriteError:
    return LedgerWriteError(
        f"the backup {target} cannot be written: {words}",
        remedy="make room or give write access there, or name a file on another disk",
        next=f"df -h {quoted(target.parent)}",
    )


def backup(path: Path, target: Path, *, marked_at: str | None = None) -> None:
    """Copy a ledger, consistently, even while a run is going on; the copy is 0600 and never replaces a file.

    ``marked_at``: the copy says that it is a backup of that time, and is refused in a ledger's place.
    """
    other = next(name for number in count(2) if not os.path.lexists(name := _another(target, number)))
    exists = UsageError(
        f"{target} exists; a backup never replaces a file", next=f"syncer ledger backup {quoted(other)}"
    )
    if os.path.lexists(target):
        raise exists
    try:
        with (
            Folder.above(target) as folder,
            folder.temporary(target.name + PART) as apart,  # where nobody can put a journal beside the copy
            new_file(apart, target.name) as part,
        ):
            with (
                closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)) as original,
                closing(sqlite3.connect(part.path)) as copy,
            ):
                original.backup(copy)
                if marked_at is not None and copy.execute(_HAS_IDENTITY).fetchone():
                    copy.execute("UPDATE ledger SET backup_at = ?", (marked_at,))
                    copy.commit()
            part.keep(new=True, into=folder)
    except SQLITE_ERRORS as error:
        if (getattr(error, "sqlite_errorname", None) or "").startswith(_WRITING):
            raise _unwritten(target, str(error)) from error
        raise ledger_error(error, path) from error
    except FileExistsError:
        raise exists from None
    except UntrustedError as error:
        raise UntrustedFileError.of(error) from error
    except FileNotFoundError as error:
        raise unwritable(target, error) from error
    except OSError as error:
        raise _unwritten(target, error.strerror or str(error)) from error


def before_upgrade(path: Path, revision: str, at: str) -> Path:
    """Copy a ledger of an older schema, which is about to be upgraded; return where it is kept.

    A copy that is no older than the ledger is one of it, left by an upgrade that failed; an older one stays beside it.
    """
    first = path.with_name(f"{path.name}.{revision}.backup")
    written_ns = path.stat().st_mtime_ns
    names = chain([first], (_another(first, number) for number in count(2)))
    kept = next(one for one in names if not os.path.lexists(one) or one.lstat().st_mtime_ns >= written_ns)
    if not os.path.lexists(kept):
        backup(path, kept, marked_at=at)
    return kept


def backup_of_copy(path: Path, target: Path) -> None:
    """Copy a file that may be a plain copy of a ledger: as `backup`.

    What a run that died had begun to write stands in a journal beside such a file. It is undone in a copy of both.
    """
    try:
        backup(path, target)
    except LedgerUnfinishedError:
        with Folder.above(target) as folder, folder.temporary(f"{target.name}.copied") as apart:
            try:
                for suffix in ("", "-journal"):
                    with (
                        open_at_once(path.with_name(path.name + suffix)) as old,
                        os.fdopen(apart.create(path.name + suffix), "wb") as new,
                    ):
                        shutil.copyfileobj(old, new)
            except OSError as error:
                raise _unwritten(target, error.strerror or str(error)) from error
            roll_back(apart.path / path.name)
            backup(apart.path / path.name, target)
