"""What a run touches of the world beside its clock: connections, lanes, chance, and the ledger's file.

What always holds: the real ones are the defaults, and each is made in one place, here. Whoever passes others in (the
simulator) drives the very commands that people use. Nothing heavy is loaded before it is needed.
"""

from __future__ import annotations

import secrets
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from syncer.api.client import Client
    from syncer.api.storage import StorageHost
    from syncer.api.transport import Transport
    from syncer.config import Settings
    from syncer.execute.lanes import Lanes
    from syncer.ledger.ledger import Ledger
    from syncer.ledger.lock import LockWait
    from syncer.process.clock import Clock


def _transport(*arguments: Any, **options: Any) -> Transport:
    from syncer.api.transport import Transport

    return Transport(*arguments, **options)


def _storage(**options: Any) -> StorageHost:
    from syncer.api.storage import StorageHost

    return StorageHost(**options)


def _lanes(connect: Callable[[], Client], count: int, clock: Clock) -> Lanes:
    from syncer.execute.lanes import ThreadLanes

    return ThreadLanes(connect, count, clock)


def _ledger_to_write(settings: Settings, at: str, wait: LockWait) -> Ledger:
    from syncer.ledger.ledger import Ledger

    return Ledger.open_to_write(settings.ledger.url, at=at, wait=wait)


def _ledger_to_read(settings: Settings) -> Ledger | None:
    from syncer.ledger.ledger import Ledger

    return Ledger.open_to_read(settings.ledger.url)


@dataclass(frozen=True, slots=True)
class Outside:
    """How a run reaches what is outside the process. The defaults are the real ways."""

    transport: Callable[..., Transport] = _transport
    """Makes one connection to the API, from the arguments of `Transport`."""
    storage: Callable[..., StorageHost] = _storage
    """Makes what fetches documents from storage, from the arguments of `StorageHost`."""
    lanes: Callable[[Callable[[], Client], int, Clock], Lanes] = _lanes
    """Makes the lanes of an engine: what makes the client of each, how many, and their clock."""
    suffix: Callable[[], str] = lambda: secrets.token_hex(4)
    """Gives what no other reference has."""
    ledger_to_write: Callable[[Settings, str, LockWait], Ledger] = _ledger_to_write
    """Opens the ledger that the settings name, at a wall time (`utc_text`), and holds its lock, for which it waits."""
    ledger_to_read: Callable[[Settings], Ledger | None] = _ledger_to_read
    """Opens the ledger for reading; gives None where there is none yet."""

    @contextmanager
    def reading(self, settings: Settings) -> Iterator[Ledger | None]:
        """Give the ledger for reading, None where there is none yet, and close it."""
        ledger = self.ledger_to_read(settings)
        try:
            yield ledger
        finally:
            if ledger is not None:
                ledger.close()


REAL = Outside()
