"""Opening the ledger to write, as a command does: where the settings say, and waiting for its lock as they say.

What always holds: a signal ends the wait. Nothing is begun yet, and another run may hold the lock for hours.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Protocol

from syncer.config.jobs import all_disjoint
from syncer.ledger.lock import LockWait
from syncer.process.clock import utc_text

if TYPE_CHECKING:
    from syncer.config import Settings
    from syncer.ledger.ledger import Ledger
    from syncer.process.clock import Clock
    from syncer.process.signals import Interrupt
    from syncer.runs.outside import Outside


class Surrounding(Protocol):
    """What every command has that opens the ledger."""

    @property
    def clock(self) -> Clock: ...
    @property
    def interrupt(self) -> Interrupt: ...
    @property
    def outside(self) -> Outside: ...


def lock_wait(settings: Settings, interrupt: Interrupt) -> LockWait:
    """Return how a lock is waited for: ``ledger.lock_wait_s`` at most, and no longer than until a signal comes."""
    words = "while waiting for another run to end; nothing was sent"
    return LockWait(settings.ledger.lock_wait_s, partial(interrupt.check, words))


def open_to_write(settings: Settings, environment: Surrounding) -> Ledger:
    """Open the ledger, creating it where there is none, and hold its lock until it is closed.

    Raises `LedgerBusyError` when another run still holds it after ``ledger.lock_wait_s``, and `SignalError` when a
    signal comes while it waits.
    """
    at, wait = utc_text(environment.clock.wall_s()), lock_wait(settings, environment.interrupt)
    ledger = environment.outside.ledger_to_write(settings, at, wait)
    ledger.disjoint = all_disjoint(settings.jobs)
    return ledger
