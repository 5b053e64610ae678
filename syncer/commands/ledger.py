"""The commands that need the ledger alone: what was uploaded and how it ended; looking after the file.

They load neither the reader of files nor the API's client, so that they answer at once.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import permutations
from pathlib import Path
from typing import TYPE_CHECKING

from syncer.commands.environment import Environment
from syncer.commands.opening import open_to_write
from syncer.config import Settings, example_text
from syncer.errors import LedgerError, UntrustedFileError, UsageError
from syncer.ledger.check import backup as copy_to
from syncer.ledger.database import ledger_path
from syncer.ledger.ledger import Ledger, upgrade_ledger
from syncer.model import KEY_SEPARATOR
from syncer.process.clock import Clock, utc_text
from syncer.process.times import parse_moment
from syncer.results import Concern, InitResult, RunDetails, RunSummary
from syncer.safe.files import create_text
from syncer.safe.trust import UntrustedError

if TYPE_CHECKING:
    from syncer.ledger.seals import Seal
    from syncer.ledger.upload_values import CodeUpload
    from syncer.ledger.values import HistoryEntry, Run, UpgradeResult

RUN_BATCHES_MAX = 50
"""Batches that ``status RUN`` lists; the audit has them all."""


def status(settings: Settings, *, most: int) -> list[RunSummary]:
    """Return the newest runs, newest first."""
    with Ledger.reading(settings.ledger.url) as ledger:
        return [] if ledger is None else [_summary(ledger, run) for run in ledger.runs(most=most)]


def run_status(settings: Settings, run_id: int) -> RunDetails:
    """Return one run with its batches and what is not confirmed."""
    with _reading(settings) as ledger:
        run = _known_run(ledger, run_id)
        return RunDetails(
            _summary(ledger, run),
            tuple(ledger.sources(run_id)),
            ledger.batch_counts(run_id),
            tuple(Concern(*concern) for concern in ledger.concerns(run_id)),
            tuple(ledger.batches(run_id=run_id, most=RUN_BATCHES_MAX)),
        )


def audit_show(settings: Settings, key: Sequence[str]) -> tuple[list[HistoryEntry], list[CodeUpload]]:
    """Return all that was ever sent for one key value, and its uploads as an own code; both are oldest first.

    Several parts are those of a composite key, in any order.
    """
    with _reading(settings) as ledger:
        uploads = ledger.uploads().history(key[0]) if len(key) == 1 else []
        orders = dict.fromkeys(KEY_SEPARATOR.join(parts) for parts in permutations(key))
        return [entry for one in orders for entry in ledger.history(one)], uploads


@contextmanager
def audit_export(settings: Settings, *, since: str | None, run_id: int | None) -> Iterator[Iterator[HistoryEntry]]:
    """Give the uploads of many values as a stream. Raises `UsageError` for a time or a run that there is not."""
    moment = None if since is None else utc_text(parse_moment(since, "--since").timestamp())
    with _reading(settings) as ledger:
        if run_id is not None:
            _known_run(ledger, run_id)
        yield ledger.export(since=moment, run_id=run_id)


def newest_seal(settings: Settings) -> Seal | None:
    """Return the newest seal, to be kept elsewhere."""
    with _reading(settings) as ledger:
        return ledger.newest_seal()


def verify(settings: Settings, given: str | None) -> tuple[Seal | None, list[str]]:
    """Return the newest seal, and everything that does not fit the seals."""
    with _reading(settings) as ledger:
        return ledger.newest_seal(), ledger.verify_seals(given)


def upgrade(settings: Settings, environment: Environment) -> UpgradeResult:
    """Bring the ledger's schema to this program's, after a backup; create the ledger where there is none."""
    at = utc_text(environment.clock.wall_s())
    return upgrade_ledger(settings.ledger.url, at=at, wait_s=settings.ledger.lock_wait_s)


def check(settings: Settings) -> list[str]:
    """Return everything that is wrong with the ledger; raise `LedgerCorruptError` when it cannot even be read."""
    with _reading(settings) as ledger:
        return ledger.problems()


def backup(settings: Settings, target: Path, clock: Clock) -> None:
    """Copy the ledger consistently, even while a run is going on; the copy says that it is a backup."""
    with _reading(settings) as ledger:
        copy_to(ledger.path, target, marked_at=utc_text(clock.wall_s()))


def init(settings: Settings, folder: Path, environment: Environment, text: str | None = None) -> InitResult:
    """Write the configuration file (that was named, else ``config.toml`` in `folder`) and create the ledger.

    Neither is ever overwritten. ``text``: what stands in the configuration; None: the example.
    """
    config = settings.path or folder / "config.toml"
    if text is not None and os.path.lexists(config):
        raise UsageError(f"{config} is there, and is never overwritten", next=f"mv {config} {config}.old")
    if not config.parent.is_dir():
        words = f"the folder of {config} does not exist"
        raise UsageError(words, next=f"mkdir -p {config.parent}")
    wrote_config = not os.path.lexists(config)
    if wrote_config:
        try:  # who may write it decides where the token goes; who may read it sees a password that is put there
            create_text(config, example_text() if text is None else text)
        except UntrustedError as error:
            raise UntrustedFileError.of(error) from error
    path = ledger_path(settings.ledger.url)
    made_ledger = not path.exists()
    open_to_write(settings, environment.clock).close()
    return InitResult(config, wrote_config, path, made_ledger)


@contextmanager
def _reading(settings: Settings) -> Iterator[Ledger]:
    with Ledger.reading(settings.ledger.url) as ledger:
        if ledger is None:
            raise LedgerError(f"there is no ledger yet at {ledger_path(settings.ledger.url)}", next="syncer init")
        yield ledger


def _known_run(ledger: Ledger, run_id: int) -> Run:
    run = ledger.run(run_id)
    if run is None:
        raise UsageError(f"there is no run {run_id} in the ledger", next="syncer status")
    return run


def _summary(ledger: Ledger, run: Run) -> RunSummary:
    return RunSummary(run, ledger.bucket_counts(run.id), ledger.kind_counts(run.id))
