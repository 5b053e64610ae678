"""Opening the ledger's database: durable settings, owner-only files, and its errors in our words.

What always holds: every transaction is durable when its commit returns (`synchronous` FULL or stronger); a ledger
file is created readable by its owner alone; a write transaction takes the write lock when it begins, so it can never
fail half-way because a reader became a writer. WAL mode is used only by SQLite versions without the WAL-reset bug.
"""

from __future__ import annotations

import os
import re
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from sqlalchemy import Connection, Engine, ExceptionContext, NullPool, create_engine, event

from syncer.errors import (
    ConfigError,
    LedgerBusyError,
    LedgerCorruptError,
    LedgerError,
    LedgerSchemaError,
    LedgerUnfinishedError,
    LedgerUntrustedError,
    LedgerWriteError,
)
from syncer.safe.files import Folder
from syncer.safe.trust import UntrustedError, quoted, require_own_links

SQLITE_ERRORS = (sqlite3.Error, UnicodeDecodeError)
"""What the driver raises; the latter where SQLite's own message quotes a damaged page."""
BUSY_TIMEOUT_S = 60
"""How long a statement waits for another process's short lock: a reader's, or a backup's."""
CACHE_KIB = 64 * 1024
_URL = re.compile(r"sqlite(?:\+pysqlite)?:///(?P<file>[^?]+)(?:\?.*)?", re.DOTALL)
_PATH = "ledger_path"
"""The option of a connection that tells which file it is."""
SIDE_FILES = ("-journal", "-wal", "-shm")
"""What SQLite keeps beside a database, and believes."""


def ledger_path(url: str) -> Path:
    """Return the file of an SQLite ledger; raise `ConfigError` for a URL that names none.

    It is read here, since SQLAlchemy undoes escapes (``%20``) in a file's name from its version 2.1 on alone.
    """
    found = _URL.fullmatch(url)
    if found is None or found["file"] == ":memory:":
        raise ConfigError(f"ledger.url must name an SQLite file, like sqlite:///syncer.db; it is {url!r}")
    return Path(unquote(found["file"], errors="surrogateescape"))


def open_engine(
    path: Path,
    *,
    read_only: bool = False,
    before_writing: Callable[[], None] = lambda: None,
    wait_s: float | None = None,
    named: Path | None = None,
) -> Engine:
    """Return an engine for an existing or empty file; nothing is opened before its first use.

    ``before_writing`` is called when a transaction that may write begins; what it raises ends the transaction.
    ``wait_s`` is how long a statement waits for another process's short lock; None: `BUSY_TIMEOUT_S`. ``named`` is what
    errors call the file: whose copy it is.
    """
    mode = "ro" if read_only else "rw"
    target, named = path.absolute().as_uri(), named or path
    timeout_s = BUSY_TIMEOUT_S if wait_s is None else wait_s
    engine = create_engine(
        "sqlite://",
        creator=lambda: sqlite3.connect(
            f"{target}?mode={mode}", uri=True, timeout=timeout_s, isolation_level=None, check_same_thread=False
        ),
        poolclass=NullPool,
        execution_options={_PATH: named},
    )
    event.listen(engine, "connect", lambda raw, _: _configure(raw, path, read_only=read_only))
    event.listen(engine, "begin", _beginning(path, before_writing) if not read_only else _begin_reading)
    event.listen(engine, "handle_error", lambda context: _translate(context, named))
    return engine


@contextmanager
def transaction(connection: Connection) -> Iterator[Connection]:
    """Give a connection in a transaction: the one door to the ledger. What is written inside is kept whole, or not.

    Whoever is inside already joins. Errors of the driver's own cursors (bulk.py), which SQLAlchemy does not see, are
    said in our words, too: they are the ledger's (exit 13), and no defect.
    """
    if connection.in_transaction():
        yield connection
        return
    try:
        with connection.begin():
            yield connection
    except SQLITE_ERRORS as error:
        raise ledger_error(error, connection.get_execution_options().get(_PATH, Path("ledger"))) from error


def _begin_reading(connection: Connection) -> None:
    connection.exec_driver_sql("BEGIN")


def _beginning(path: Path, before_writing: Callable[[], None]) -> Callable[[Connection], None]:
    """Return what begins a transaction that may write: on the file that was opened first, and on no other.

    SQLite would go on writing into a file that was deleted or replaced, as if nothing had happened (it looks for that
    in some modes only): a run would end well, and what it did would be known to nobody.
    """
    first: list[os.stat_result] = []

    def begin(connection: Connection) -> None:
        before_writing()
        try:
            found = os.stat(path)
        except OSError:
            found = None
        first.extend([found] if found is not None and not first else [])
        if found is None or not os.path.samestat(found, first[0]):
            raise _moved(path)
        connection.exec_driver_sql("BEGIN IMMEDIATE")

    return begin


def _moved(path: Path) -> LedgerWriteError:
    return LedgerWriteError(
        f"the ledger {path} was deleted, moved or replaced during the run",
        remedy="put the ledger back",
        next="syncer resume",
    )


def refuse_empty(path: Path, *, may_be_empty: bool) -> None:
    """Raise `LedgerCorruptError` for an empty file where a ledger was: what that knew would be sent again."""
    if not may_be_empty and path.exists() and path.stat().st_size == 0:
        raise LedgerCorruptError(
            f"the ledger {path} is empty, and was not: its content is lost",
            remedy="put back the newest good backup; or remove the empty file, and everything is sent anew",
        )


def refuse_planted(path: Path) -> None:
    """Raise `LedgerUntrustedError` when another account may have planted or changed the ledger or SQLite's own files.

    The ledger's own name may be a link of ours: that is how people move it to another disk.
    """
    try:
        real = require_own_links(path)
        Folder.above(path).close()  # whoever writes there decides where a link leads
        with Folder.above(real) as folder:
            for ending in ("", *SIDE_FILES):
                folder.require_in_place(real.name + ending)
    except UntrustedError as error:
        raise LedgerUntrustedError.of(error) from error
    except OSError:  # whoever opens it says what is wrong
        return


def create_file(path: Path, *, may_be_empty: bool = True) -> None:
    """Create an empty ledger file, 0600, where there is none. The folder must exist."""
    try:
        with Folder.above(path) as folder:
            os.close(folder.create(path.name))
    except FileExistsError:
        refuse_empty(path, may_be_empty=may_be_empty)
    except UntrustedError as error:
        raise LedgerUntrustedError.of(error) from error
    except OSError as error:
        raise LedgerWriteError(f"the ledger {path} cannot be created: {error.strerror}") from error


def roll_back(path: Path) -> None:
    """Undo what a writer that died had begun to write (SQLite does that when it opens a file to write).

    SQLite's own locks keep it from what a living writer does. The caller holds the ledger's lock.
    """
    try:
        with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=rw", uri=True, timeout=BUSY_TIMEOUT_S)) as raw:
            raw.execute("SELECT count(*) FROM sqlite_schema").fetchone()
    except SQLITE_ERRORS as error:
        raise ledger_error(error, path) from error


def _configure(raw: sqlite3.Connection, path: Path, *, read_only: bool) -> None:
    try:
        _set_pragmas(raw, read_only=read_only)
    except SQLITE_ERRORS as error:
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
    set_cache(raw, CACHE_KIB)
    raw.execute("PRAGMA temp_store=MEMORY")


def set_cache(raw: sqlite3.Connection | sqlite3.Cursor, size_kib: int) -> None:
    """Bound the memory in which a connection keeps pages."""
    raw.execute(f"PRAGMA cache_size=-{size_kib}")


def wal_is_safe(version: tuple[int, ...]) -> bool:
    """Tell whether this SQLite is free of the WAL-reset bug (fixed in 3.51.3, 3.50.7 and 3.44.6)."""
    return version >= (3, 51, 3) or (3, 50, 7) <= version < (3, 51) or (3, 44, 6) <= version < (3, 45)


def _translate(context: ExceptionContext, path: Path) -> BaseException | None:
    """Return the error that SQLAlchemy shall raise instead of its own; None leaves it."""
    error = context.original_exception
    return ledger_error(error, path) if isinstance(error, SQLITE_ERRORS) else None


def ledger_error(error: sqlite3.Error | UnicodeDecodeError, path: Path) -> LedgerError | LedgerBusyError:
    """Say in our words what SQLite said, with the way out."""
    if isinstance(error, UnicodeDecodeError):
        return LedgerCorruptError(f"the ledger {path} is damaged or not a ledger (what it says of itself is no text)")
    name: str = getattr(error, "sqlite_errorname", "") or ""
    if name == "SQLITE_READONLY_DBMOVED":
        return _moved(path)
    families: list[tuple[tuple[str, ...], type[Any], str]] = [
        (("SQLITE_BUSY", "SQLITE_LOCKED"), LedgerBusyError, "is locked by another program"),
        (
            ("SQLITE_READONLY_ROLLBACK", "SQLITE_READONLY_RECOVERY"),
            LedgerUnfinishedError,
            "was left by a run that died",
        ),
        (("SQLITE_READONLY", "SQLITE_PERM", "SQLITE_AUTH"), LedgerWriteError, "cannot be written (read-only)"),
        (("SQLITE_FULL",), LedgerWriteError, "cannot grow: the disk is full"),
        (("SQLITE_IOERR",), LedgerWriteError, "cannot be read or written: the disk reports an error"),
        (("SQLITE_CANTOPEN",), LedgerWriteError, "cannot be opened"),
        (("SQLITE_CORRUPT", "SQLITE_NOTADB"), LedgerCorruptError, "is damaged or not a ledger"),
    ]
    for prefixes, kind, words in families:
        if name.startswith(prefixes):
            found: LedgerError | LedgerBusyError = kind(f"the ledger {path} {words} ({error})")
            if name.startswith("SQLITE_CANTOPEN") and path.exists() and not os.access(path, os.R_OK):
                found.remedy = "run as the account that it belongs to, or give this one access"
                found.next = f"ls -l {quoted(path)}"  # every command of this account ends alike
            return found
    if "no such table" in str(error) or "no such column" in str(error):
        return LedgerSchemaError(f"the ledger {path} lacks something this program needs ({error})")
    return LedgerError(f"the ledger {path} refused a statement ({error})")
