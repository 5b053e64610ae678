"""Opening the ledger to write, as a command does: where the settings say, and waiting for its lock as they say.

What always holds: a signal ends the wait, and so does the command's deadline. Nothing is begun yet, and another run may
hold the lock for hours.
"""

from __future__ import annotations

from functools import partial
from math import inf
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


def left_s(until_s: float | None, clock: Clock) -> float:
    """Return the seconds until a deadline; without one, there is no end of them."""
    return inf if until_s is None else max(0.0, until_s - clock.monotonic_s())


def lock_wait(settings: Settings, interrupt: Interrupt, most_s: float = inf) -> LockWait:
    """Return how a lock is waited for: ``ledger.lock_wait_s`` at most, and no longer than until a signal comes.

    ``most_s`` is how long the command may wait at all.
    """
    words = "while waiting for another run to end; nothing was sent"
    return LockWait(min(settings.ledger.lock_wait_s, most_s), partial(interrupt.check, words))


def open_to_write(settings: Settings, environment: Surrounding, *, until_s: float | None = None) -> Ledger:
    """Open the ledger, creating it where there is none, and hold its lock until it is closed.

    Raises `LedgerBusyError` when another run still holds it after ``ledger.lock_wait_s``, or at ``until_s``, the
    command's deadline; and `SignalError` when a signal comes while it waits.
    """
    clock = environment.clock
    at, wait = utc_text(clock.wall_s()), lock_wait(settings, environment.interrupt, left_s(until_s, clock))
    ledger = environment.outside.ledger_to_write(settings, at, wait)
    ledger.disjoint = all_disjoint(settings.jobs)
    return ledger
