"""Opening the ledger's database: durable settings, owner-only files, and its errors in our words.

What always holds: every transaction is durable when its commit returns (`synchronous` FULL or stronger); a ledger
file is created readable by its owner alone; a write transaction takes the write lock when it begins, so it can never
fail half-way because a reader became a writer. WAL mode is used only by SQLite versions without the WAL-reset bug.
"""

from __future__ import annotations

import os
import sqlite3
from pathlib import Path
from typing import Any

from sqlalchemy import Engine, ExceptionContext, NullPool, create_engine, event
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError

from syncer import private
from syncer.errors import (
    ConfigError,
    LedgerBusyError,
    LedgerCorruptError,
    LedgerError,
    LedgerSchemaError,
    LedgerWriteError,
)

BUSY_TIMEOUT_S = 60
"""How long a statement waits for another process's short lock: a reader's, or a backup's."""
CACHE_KIB = 64 * 1024


def ledger_path(url: str) -> Path:
    """Return the file of an SQLite ledger; raise `ConfigError` for a URL that names none."""
    parsed = _parse(url)
    if parsed.get_backend_name() != "sqlite" or not parsed.database or parsed.database == ":memory:":
        raise ConfigError(f"ledger.url must name an SQLite file, like sqlite:///syncer.db; it is {url!r}")
    return Path(parsed.database)


def _parse(url: str) -> URL:
    try:
        return make_url(url)
    except ArgumentError:
        raise ConfigError(f"ledger.url is not a database URL: {url!r}; an example: sqlite:///syncer.db") from None


def open_engine(path: Path, *, read_only: bool = False) -> Engine:
    """Return an engine for an existing or empty file; nothing is opened before its first use."""
    mode = "ro" if read_only else "rw"
    target = path.absolute().as_uri()
    engine = create_engine(
        "sqlite://",
        creator=lambda: sqlite3.connect(
            f"{target}?mode={mode}", uri=True, timeout=BUSY_TIMEOUT_S, isolation_level=None, check_same_thread=False
        ),
        poolclass=NullPool,
    )
    event.listen(engine, "connect", lambda raw, _: _configure(raw, path, read_only=read_only))
    event.listen(
        engine, "begin", lambda connection: connection.exec_driver_sql("BEGIN" if read_only else "BEGIN IMMEDIATE")
    )
    event.listen(engine, "handle_error", lambda context: _translate(context, path))
    return engine


def create_file(path: Path) -> None:
    """Create an empty ledger file, 0600, where there is none. The folder must exist."""
    try:
        os.close(private.create(path))
    except FileExistsError:
        return
    except OSError as error:
        raise LedgerWriteError(f"the ledger {path} cannot be created: {error.strerror}") from error


def _configure(raw: sqlite3.Connection, path: Path, *, read_only: bool) -> None:
    try:
        _set_pragmas(raw, read_only=read_only)
    except sqlite3.Error as error:
        raise ledger_error(error, path) from error


def _set_pragmas(raw: sqlite3.Connection, *, read_only: bool) -> None:
    if not read_only:
        if wal_is_safe(sqlite3.sqlite_version_info):
            raw.execute("PRAGMA journal_mode=WAL")
            raw.execute("PRAGMA synchronous=FULL")
        else:
            raw.execute("PRAGMA journal_mode=DELETE")
            raw.execute("PRAGMA synchronous=EXTRA")  # also syncs the folder, or a power cut could undo a commit
    raw.execute("PRAGMA foreign_keys=ON")
    raw.execute(f"PRAGMA cache_size=-{CACHE_KIB}")
    raw.execute("PRAGMA temp_store=MEMORY")


def wal_is_safe(version: tuple[int, ...]) -> bool:
    """Tell whether this SQLite is free of the WAL-reset bug (fixed in 3.51.3, 3.50.7 and 3.44.6)."""
    return version >= (3, 51, 3) or (3, 50, 7) <= version < (3, 51) or (3, 44, 6) <= version < (3, 45)


def _translate(context: ExceptionContext, path: Path) -> BaseException | None:
    """Return the error that SQLAlchemy shall raise instead of its own; None leaves it."""
    error = context.original_exception
    return ledger_error(error, path) if isinstance(error, sqlite3.Error) else None


def ledger_error(error: sqlite3.Error, path: Path) -> LedgerError | LedgerBusyError:
    """Say in our words what SQLite said, with the way out."""
    name: str = getattr(error, "sqlite_errorname", "") or ""
    families: list[tuple[tuple[str, ...], type[Any], str]] = [
        (("SQLITE_BUSY", "SQLITE_LOCKED"), LedgerBusyError, "is locked by another program"),
        (("SQLITE_READONLY", "SQLITE_PERM", "SQLITE_AUTH"), LedgerWriteError, "cannot be written (read-only)"),
        (("SQLITE_FULL",), LedgerWriteError, "cannot grow: the disk is full"),
        (("SQLITE_IOERR",), LedgerWriteError, "cannot be read or written: the disk reports an error"),
        (("SQLITE_CANTOPEN",), LedgerWriteError, "cannot be opened"),
        (("SQLITE_CORRUPT", "SQLITE_NOTADB"), LedgerCorruptError, "is damaged or not a ledger"),
    ]
    for prefixes, kind, words in families:
        if name.startswith(prefixes):
            found: LedgerError | LedgerBusyError = kind(f"the ledger {path} {words} ({error})")
            return found
    if "no such table" in str(error) or "no such column" in str(error):
        return LedgerSchemaError(f"the ledger {path} lacks something this program needs ({error})")
    return LedgerError(f"the ledger {path} refused a statement ({error})")
