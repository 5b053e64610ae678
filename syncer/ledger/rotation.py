"""Backups in a folder, of which the newest are kept: a name with its time, and never a foreign file taken away."""

from __future__ import annotations

import re
import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING

from syncer.errors import LedgerWriteError, UntrustedFileError, UsageError
from syncer.ledger import check
from syncer.ledger.database import SQLITE_ERRORS
from syncer.ledger.identity import identity_of
from syncer.safe.files import Folder
from syncer.safe.trust import UntrustedError, quoted

if TYPE_CHECKING:
    from pathlib import Path

    from syncer.ledger.ledger import Ledger

_TIME = r"\d{8}T\d{9}Z"


def backup_into(ledger: Ledger, folder: Path, *, keep: int, at: str) -> tuple[Path, list[Path]]:
    """Copy the ledger into a folder, then take away all but the newest ``keep`` of its own backups there.

    Its own are files with the name that this function gives, marked as backups, with the ledger's id. Returns the new
    file, and those that were taken away.
    """
    if not folder.is_dir():
        raise UsageError(f"{folder} is no folder", next=f"mkdir -p {quoted(folder)}")
    stem = ledger.path.stem
    target = folder / f"{stem}-{re.sub('[-:.]', '', at)}.db"
    check.backup(ledger.path, target, marked_at=at)
    shaped = re.compile(rf"{re.escape(stem)}-{_TIME}\.db")
    try:
        with Folder.open(folder) as opened:
            mine = [name for name in sorted(opened.names()) if shaped.fullmatch(name)]
            mine = [name for name in mine if is_own_backup(folder / name, ledger)]
            gone = [name for name in mine[:-keep] if name != target.name]  # a clock that went back made it look old
            for name in gone:
                opened.remove(name)
    except UntrustedError as error:
        raise UntrustedFileError.of(error) from error
    except OSError as error:
        raise LedgerWriteError(f"old backups in {folder} cannot be removed: {error.strerror}") from error
    return target, [folder / name for name in gone]


def is_own_backup(path: Path, ledger: Ledger) -> bool:
    """Tell whether a file says that it is a backup of this ledger; what cannot be read is none."""
    if path.is_symlink() or not path.is_file():
        return False
    try:
        with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)) as copy:
            row = copy.execute("SELECT id, backup_at FROM ledger").fetchone()
    except SQLITE_ERRORS:
        return False
    return row is not None and row[0] == identity_of(ledger).id and row[1] is not None
