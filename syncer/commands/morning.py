"""Around every run: who is told that it began and how it ended, the numbers for a monitor, and the page left behind."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from importlib.util import find_spec
from typing import TYPE_CHECKING, Protocol, Self, TypeVar

from syncer import __version__
from syncer.commands.telling import Teller
from syncer.commands.working import Outcome, recorded
from syncer.errors import ConfigError, OutputError, SyncerError, unwritable
from syncer.ledger.ledger import Ledger
from syncer.process import spans
from syncer.process.clock import Clock

if TYPE_CHECKING:
    from syncer.config import Settings

log = logging.getLogger(__name__)


class LeavesBehind(Outcome, Protocol):
    """What a command returns that leaves a page and numbers behind; ``lacking``: the same, without one of them."""

    def lacking(self, error: OutputError) -> Self: ...


R = TypeVar("R", bound=LeavesBehind)
WORKS_MEASURED = 200
"""Newest works among which each job's last one is looked for, for its calls."""


def watched(
    settings: Settings, command: str, work: Callable[[int | None], R], clock: Clock, *, subject: str | None = None
) -> R:
    """Do a command's work, which is given the id of its record, and tell whoever is configured.

    ``subject`` is the job that was asked for. Raises what the work raises. That the page or the numbers cannot be
    written is the result's error, unless it has one: what was done is told all the same.
    """
    if settings.metrics.file is not None and find_spec("prometheus_client") is None:
        raise ConfigError("metrics.file needs the extra metrics", next="pip install 'syncer[metrics]'")
    if settings.traces.url is not None and find_spec("opentelemetry.exporter") is None:
        raise ConfigError("traces.url needs the extra otel", next="pip install 'syncer[otel]'")
    teller = Teller(settings, clock, command, subject or "")
    with _traced(settings, command) as spanned:
        teller.ping("start")
        teller.tell_of_the_dead()
        try:
            result = recorded(settings, clock, command, work, subject=subject or "")
        except SyncerError as error:
            spanned.note(exit_code=error.status)
            teller.ping(str(error.status))
            teller.tell(error.status, error)
            missing = _left_behind(partial(write_metrics, settings))
            if missing is not None:  # what ended the run is what counts
                log.warning(missing.message)
            raise
        spanned.note(exit_code=result.exit_code)
        teller.ping(str(result.exit_code))
        teller.tell(result.exit_code, result.error)
        for write in (partial(write_metrics, settings), partial(_write_page, settings, clock)):
            missing = _left_behind(write)
            if missing is not None and result.error is None:
                result = result.lacking(missing)
            elif missing is not None:
                log.warning(missing.message)
        return result


def _left_behind(write: Callable[[], None]) -> OutputError | None:
    """Write what a run leaves behind; return why that could not be done."""
    try:
        write()
    except OutputError as error:
        return error
    return None


@contextmanager
def _traced(settings: Settings, command: str) -> Iterator[spans.Open]:
    """Let a span be around a command, and send it with all that are made inside to ``traces.url``."""
    if settings.traces.url is None:
        yield spans.Open()
        return
    from syncer.api.otlp import Exporter

    with (
        spans.exported(Exporter(settings.traces.url.reveal(), settings.notify.timeout_s), __version__),
        spans.around(f"syncer {command}") as spanned,
    ):
        yield spanned


def write_metrics(settings: Settings) -> None:
    """Write the numbers of every job where ``metrics.file`` says, whole or not at all."""
    _, out = settings.left_behind()
    if out is None:
        return
    from syncer.report.metrics import metrics_text
    from syncer.safe.files import replacing

    with Ledger.reading(settings.ledger.url) as ledger:
        if ledger is None:
            return
        runs = {job: ledger.runs(most=WORKS_MEASURED, job_name=job) for job in {one.name for one in ledger.jobs()}}
        values = {job: ledger.bucket_counts(found[0].id) for job, found in runs.items() if found}
        text = metrics_text(runs, values, ledger.wanted(), ledger.works(most=WORKS_MEASURED, kinds=("sync", "resume")))
    try:
        with replacing(out) as part:
            part.show_to_all()
            part.file.write(text)
    except OSError as error:
        raise _not_left(unwritable(out, error)) from error


def _write_page(settings: Settings, clock: Clock) -> None:
    out, _ = settings.left_behind()
    if out is None:
        return
    from syncer.commands.report import write_report

    try:
        write_report(settings, (), last=settings.report.last, out=out, clock=clock)
    except SyncerError as error:
        raise _not_left(error) from error


def _not_left(error: SyncerError) -> OutputError:
    """Return the error of what a run could not leave behind."""
    return OutputError(f"the run is recorded, but {error.message}", remedy=error.remedy, next=error.next)
