"""What is open of a ledger: its file, the connection, and the lock when it is open to write.

The door's methods stand by subject (`door_known.py`, `door_runs.py`, `door_history.py`, `door_writes.py`); `Ledger`
has them all. Each is one transaction around functions of the module that knows how: no SQL but theirs stands here.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from syncer.ledger.database import transaction

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from sqlalchemy import Connection

    from syncer.ledger.apart import Disjoint
    from syncer.ledger.lock import LedgerLock, Stamp


class Door:
    """An open database, and how anything is read or written in it. ``stamp``: what the lock file said of its time."""

    def __init__(
        self, path: Path, connection: Connection, lock: LedgerLock | None, *, stamp: Stamp | None = None
    ) -> None:
        self.path = path
        self.connection = connection
        self._lock = lock
        self._stamp = stamp
        self.disjoint: Disjoint = {}
        """What the configuration says of jobs that never reach the same codes; set by who opens the ledger."""

    @contextmanager
    def transaction(self) -> Iterator[Connection]:
        """Give a connection in a transaction: all that is read is of one moment, all that is written is kept or not."""
        with transaction(self.connection) as connection:
            yield connection
