"""The ledger: everything ever planned, sent and answered, in one database. A leaf: it knows neither files nor the API.

`Ledger.open_to_write` takes the lock (one writer at a time); `Ledger.open_to_read` does not, and changes
nothing but what a dead run left unfinished, which it rolls back. This module opens, closes and upgrades; what can be
asked and written stands by subject in ``door_*.py``.
"""

from __future__ import annotations

import time
from contextlib import ExitStack, closing, contextmanager
from typing import TYPE_CHECKING, cast

from syncer.errors import LedgerError, LedgerUnfinishedError
from syncer.ledger import archives, check, identity, migrate, replacing, seals, uploads
from syncer.ledger.bulk import raw_cursor
from syncer.ledger.database import (
    create_file,
    ledger_path,
    open_engine,
    refuse_empty,
    refuse_planted,
    roll_back,
    transaction,
)
from syncer.ledger.door_history import HistoryDoor
from syncer.ledger.door_known import KnownDoor
from syncer.ledger.door_writes import WritesDoor
from syncer.ledger.lock import NO_WAIT, LedgerLock, LockWait, Stamp, borrowed, read_stamp, was_whole
from syncer.ledger.schema import SCHEMA_REVISION
from syncer.ledger.values import UpgradeResult
from syncer.safe.trust import quoted

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterator
    from pathlib import Path
    from types import TracebackType

UNFINISHED_LOOKS, UNFINISHED_LOOK_S = 50, 0.1
"""How often, and with which pause, a reader looks whether a new run has rolled back what a dead one left."""


class Ledger(WritesDoor, KnownDoor, HistoryDoor):
    """An open ledger. Methods that read may be called at any time; those that write need `open_to_write`."""

    @classmethod
    def open_to_write(cls, url: str, *, at: str, wait: LockWait = NO_WAIT) -> Ledger:
        """Open the ledger, creating it where there is none, and hold its lock until `close`.

        Raises `LedgerBusyError` when another run still holds it after the wait, `LedgerSchemaError` when its schema
        is another program's, and `LedgerOldError` when it is a backup or an older copy.
        """
        path = ledger_path(url)
        _require_folder(path)
        refuse_planted(path)
        lock = LedgerLock(path, since=at, wait=wait)
        with ExitStack() as stack:
            stack.callback(lock.release)
            if lock.ledger_was_whole:
                replacing.finish(path, at)
            create_file(path, may_be_empty=not lock.ledger_was_whole)
            connection = stack.enter_context(closing(open_engine(path, before_writing=lock.require_held).connect()))
            with transaction(connection):
                is_new = migrate.revision(connection) is None
                if is_new:
                    migrate.upgrade(connection)
                migrate.require_current(connection)
                identity.require_in_time(connection, None if is_new else lock.stamp, path)
                found = identity.read(connection)
            lock.set_stamp(Stamp(found.id, found.position))
            stack.pop_all()  # from here on it is the ledger that closes them
        return cls(path, connection, lock)

    @classmethod
    def open_to_read(cls, url: str) -> Ledger | None:
        """Open the ledger for reading; None where there is none yet.

        What a run that died inside a commit had begun to write is rolled back first, under the lock; a run that holds
        the lock does that itself, and is waited for.
        """
        path = ledger_path(url)
        _require_folder(path)
        for _ in range(UNFINISHED_LOOKS):
            try:
                return cls._open_to_read(path)
            except LedgerUnfinishedError as error:
                unfinished = error
            with borrowed(path) as held:
                if held:
                    roll_back(path)
            if not held:
                time.sleep(UNFINISHED_LOOK_S)
        raise unfinished

    @classmethod
    def _open_to_read(cls, path: Path) -> Ledger | None:
        if not path.exists():
            return None
        refuse_planted(path)
        if path.stat().st_size == 0:
            refuse_empty(path, may_be_empty=not was_whole(path))
            return None
        stamp = read_stamp(path)  # before the ledger is read: a run may begin meanwhile
        connection = open_engine(path, read_only=True).connect()
        ledger = cls(path, connection, None, stamp=stamp)
        try:
            with ledger.transaction():
                migrate.require_current(connection)
        except BaseException:
            ledger.close()
            raise
        return ledger

    @classmethod
    @contextmanager
    def reading(cls, url: str, *, whole: bool = False) -> Iterator[Ledger | None]:
        """Give the ledger for reading, None where there is none yet, and close it.

        ``whole``: with the history that was moved to archives; raises `LedgerArchiveError` when one is not there.
        """
        ledger = cls.open_to_read(url)
        try:
            if whole and ledger is not None:
                ledger.add_archives()
            yield ledger
        finally:
            if ledger is not None:
                ledger.close()

    def add_archives(self) -> None:
        """Read the history that was moved to archives, too, from now on; raise `LedgerArchiveError` without one."""
        with self.transaction() as connection:
            moved = archives.known(raw_cursor(connection))
        driver = self.connection.connection.driver_connection
        archives.attach(cast("sqlite3.Connection", driver), self.path, moved)

    def close(self) -> None:
        """Let go of the database, then of the lock."""
        self.connection.close()
        if self._lock is not None:
            self._lock.release()

    def __enter__(self) -> Ledger:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    # ── whose it is ──────────────────────────────────────────────────────────────────────────────────────────────────

    def require_in_time(self) -> None:
        """Raise `LedgerOldError` for a backup or an older copy: for who reads the ledger to say what would be sent."""
        with self.transaction() as connection:
            identity.require_in_time(connection, self._stamp, self.path)

    def advance(self) -> None:
        """Let the ledger's place in time grow, at the begin and at the end of what sends; then tell the lock file."""
        assert self._lock is not None  # noqa: S101  who only reads sends nothing
        with self.transaction() as connection:
            position = identity.advance(connection)
            ledger_id = identity.read(connection).id
        self._lock.set_stamp(Stamp(ledger_id, position))

    def announce(self, ledger_id: str) -> None:
        """Tell the lock file which id the ledger is about to take (`recovery.forget`)."""
        assert self._lock is not None  # noqa: S101  who only reads takes none
        self._lock.announce(ledger_id)

    def uploads(self) -> uploads.Uploads:
        """Return the uploads of own codes in this ledger."""
        return uploads.Uploads(self)


def _require_folder(path: Path) -> None:
    """Raise `LedgerError` when the ledger's folder is not there: a misspelt address is no ledger without runs."""
    if not path.parent.is_dir():
        raise LedgerError(
            f"the folder of the ledger does not exist: {path.parent}", next=f"mkdir -p {quoted(path.parent)}"
        )


def upgrade_ledger(url: str, *, at: str, wait: LockWait = NO_WAIT) -> UpgradeResult:
    """Run the migrations that a ledger lacks, after a backup beside it; create the ledger where there is none."""
    path = ledger_path(url)
    _require_folder(path)
    refuse_planted(path)
    with LedgerLock(path, since=at, wait=wait) as lock:
        create_file(path, may_be_empty=not lock.ledger_was_whole)
        with open_engine(path).connect() as connection:
            with transaction(connection):
                before = migrate.revision(connection)
            if before is None:
                lock.stamp = None  # of a ledger that was here before
            saved = None
            if before is not None and before < SCHEMA_REVISION:
                saved = check.before_upgrade(path, before, at)
            with migrate.upgrading(connection):
                if before is None or before < SCHEMA_REVISION:
                    migrate.upgrade(connection)
                migrate.require_current(connection)
                if saved is not None:
                    seals.add_for_old_runs(connection, at)
        lock.ledger_is_whole()
    return UpgradeResult(path, before, SCHEMA_REVISION, saved)
