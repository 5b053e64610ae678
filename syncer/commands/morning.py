"""Around every run: who is told that it began and how it ended, and the page that is left behind.

A message is sent once per change: when a job's runs begin to end in another way than before, and when all is well
again. It holds counts and the command that helps, never data. What the run before came to is read from the ledger,
so nothing has to be remembered. A run that never came to be (another holds the ledger, a setting is wrong) is told
each time: nothing records it.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from syncer import __version__
from syncer.commands.working import Outcome, recorded
from syncer.errors import EXIT_NOT_CONFIRMED, EXIT_OK, OutputError, SyncerError, UsageError
from syncer.ledger.ledger import Ledger
from syncer.process.clock import Clock

if TYPE_CHECKING:
    from syncer.api.hooks import Hooks
    from syncer.config import Settings
    from syncer.ledger.values import Run
    from syncer.safe.masking import Secret

log = logging.getLogger(__name__)
R = TypeVar("R", bound=Outcome)
RUNS_COMPARED = 50
"""Newest runs among which the one before of the same job is looked for."""


def watched(settings: Settings, command: str, work: Callable[[int | None], R], clock: Clock) -> R:
    """Do a command's work, which is given the id of its record, and tell whoever is configured.

    Raises what the work raises, or `OutputError` for the page.
    """
    hooks = _hooks(settings)
    try:
        _ping(settings, hooks, "start")
        before, _ = _runs(settings)
        try:
            result = recorded(settings, clock, command, work)
        except SyncerError as error:
            _tell(settings, hooks, command, error.status, error, before)
            raise
        _tell(settings, hooks, command, result.exit_code, result.error, before)
        _write_page(settings, clock)
        return result
    finally:
        if hooks is not None:
            hooks.close()


def tell_test(settings: Settings) -> list[tuple[str, bool]]:
    """Send a message and a ping that say that they are a test; return which addresses answered well."""
    hooks = _hooks(settings)
    if hooks is None:
        raise UsageError("there is nobody to tell", next="set notify.webhook_url or notify.ping_url")
    try:
        told = []
        if settings.notify.webhook_url is not None:
            document = {"text": "syncer: this is a test", "command": "notify test", "exit_code": 0}
            told.append(("notify.webhook_url", hooks.tell(settings.notify.webhook_url.reveal(), document)))
        if settings.notify.ping_url is not None:
            told.append(("notify.ping_url", hooks.ping(settings.notify.ping_url.reveal())))
        return told
    finally:
        hooks.close()


def message_of(
    command: str, exit_code: int, error: SyncerError | None, before: Run | None, after: Run | None, seal: str | None
) -> Any:
    """Return what is told, or None when nothing has changed since the run before. Pure."""
    ran = after is not None and (before is None or after.id != before.id or after.exit_code != before.exit_code)
    earlier = EXIT_OK if before is None else before.exit_code
    if exit_code == earlier and (ran or exit_code == EXIT_OK):
        return None
    if exit_code == EXIT_OK:
        words = "all is well again"
    elif exit_code == EXIT_NOT_CONFIRMED:
        words = "finished, but some rows are not confirmed"
    else:
        words = error.message if error is not None else f"ended with exit code {exit_code}"
    document: dict[str, Any] = {
        "text": f"syncer {command}: {words} (exit code {exit_code})",
        "command": command,
        "exit_code": exit_code,
        "next": error.next if error is not None else "syncer status",
    }
    if ran and after is not None:
        document |= {"run": after.id, "job": after.job.name, "rows": dict(after.rows), "seal": seal}
    return document


def _hooks(settings: Settings) -> Hooks | None:
    if settings.notify.webhook_url is None and settings.notify.ping_url is None:
        return None
    from syncer.api.hooks import Hooks

    return Hooks(settings.notify.timeout_s, f"syncer/{__version__}")


def _ping(settings: Settings, hooks: Hooks | None, what: str) -> None:
    url: Secret | None = settings.notify.ping_url
    if hooks is not None and url is not None:
        hooks.ping(f"{url.reveal()}/{what}")


def _tell(
    settings: Settings,
    hooks: Hooks | None,
    command: str,
    exit_code: int,
    error: SyncerError | None,
    before: Sequence[Run],
) -> None:
    if hooks is None:
        return
    _ping(settings, hooks, str(exit_code))
    url = settings.notify.webhook_url
    if url is not None:
        runs, seal = _runs(settings)
        after = next(iter(runs), None)
        same_job = (run for run in before if after is not None and run.job.name == after.job.name)
        document = message_of(command, exit_code, error, next(same_job, None), after, seal)
        if document is not None:
            hooks.tell(url.reveal(), document)


def _runs(settings: Settings) -> tuple[list[Run], str | None]:
    """Return the newest runs, newest first, and the newest seal; none where the ledger cannot be read."""
    if settings.notify.webhook_url is None:
        return [], None
    try:
        with Ledger.reading(settings.ledger.url) as ledger:
            if ledger is None:
                return [], None
            seal = ledger.newest_seal()
            return ledger.runs(most=RUNS_COMPARED), seal.digest if seal else None
    except SyncerError:  # the work itself will say so
        return [], None


def _write_page(settings: Settings, clock: Clock) -> None:
    if settings.report.out is None:
        return
    from syncer.commands.report import write_report

    folder = settings.path.parent if settings.path is not None else Path.cwd()
    out = folder / settings.report.out
    try:
        write_report(settings, (), last=settings.report.last, out=out, clock=clock)
    except SyncerError as error:
        raise OutputError(f"the run is done and recorded, but its report is not written: {error.message}") from error
