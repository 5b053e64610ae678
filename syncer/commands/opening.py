"""Opening the ledger to write, as a command does: where the settings say, and waiting for its lock as they say."""

from __future__ import annotations

from typing import TYPE_CHECKING

from syncer.config.jobs import disjoint_jobs
from syncer.process.clock import utc_text
from syncer.runs.outside import REAL, Outside

if TYPE_CHECKING:
    from syncer.config import Settings
    from syncer.ledger.ledger import Ledger
    from syncer.process.clock import Clock


def open_to_write(settings: Settings, clock: Clock, outside: Outside = REAL) -> Ledger:
    """Open the ledger, creating it where there is none, and hold its lock until it is closed.

    Raises `LedgerBusyError` when another run still holds it after ``ledger.lock_wait_s``.
    """
    ledger = outside.ledger_to_write(settings, utc_text(clock.wall_s()))
    ledger.disjoint = {name: disjoint_jobs(settings.jobs, name) for name in settings.jobs}
    return ledger
