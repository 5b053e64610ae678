"""Whose ledger it is, and the way back after a backup was put back or the API has moved."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING

from syncer.commands.environment import Environment
from syncer.commands.opening import lock_wait, open_to_write
from syncer.config import Settings
from syncer.errors import LedgerError
from syncer.ledger import recovery
from syncer.ledger.database import ledger_path
from syncer.ledger.identity import identity_of, pin_target
from syncer.ledger.ledger import Ledger
from syncer.process.clock import utc_text
from syncer.results import LedgerInfo
from syncer.runs.readers import reader_of
from syncer.runs.target import TargetCheck

if TYPE_CHECKING:
    from pathlib import Path

    from syncer.ledger.recovery import Recovery


def info(settings: Settings) -> LedgerInfo:
    """Say whose ledger it is and where it stands; a backup may be looked at, too."""
    path = ledger_path(settings.ledger.url)
    with Ledger.reading(settings.ledger.url) as ledger:
        if ledger is None:
            raise LedgerError(f"there is no ledger yet at {path}", next="syncer init")
        return LedgerInfo(path, identity_of(ledger), settings.api.base_url)


def adopt_target(settings: Settings, environment: Environment) -> LedgerInfo:
    """Let the ledger belong to what is configured; where that does not hold what it believes, it believes nothing."""
    clock = environment.clock
    token, at = settings.api.require_token(), utc_text(clock.wall_s())
    outside = environment.outside
    reader = reader_of(settings, clock, environment.interrupt, started_s=clock.monotonic_s(), outside=outside)
    with closing(reader), open_to_write(settings, environment) as ledger:
        target, is_known = TargetCheck(ledger, reader, settings.api.base_url, token.reveal).look()
        forgotten = None if is_known else recovery.forget(ledger, at=at, target=target)
        if is_known:
            pin_target(ledger, target)
        ledger.advance()
        return LedgerInfo(ledger.path, identity_of(ledger), settings.api.base_url, adopted=True, forgotten=forgotten)


def recover(settings: Settings, environment: Environment) -> Recovery:
    """Let the ledger believe nothing any more."""
    at, wait = utc_text(environment.clock.wall_s()), lock_wait(settings, environment.interrupt)
    return recovery.recover(ledger_path(settings.ledger.url), at=at, wait=wait)


def restore(settings: Settings, backup: Path, environment: Environment) -> Recovery:
    """Put a backup in the ledger's place; it believes nothing."""
    at, wait = utc_text(environment.clock.wall_s()), lock_wait(settings, environment.interrupt)
    return recovery.restore(ledger_path(settings.ledger.url), backup, at=at, wait=wait)
