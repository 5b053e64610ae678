"""``syncer run``: the steps that ``nightly.steps`` lists, one after the other, each with its own exit code.

What always holds: what is wrong with the configuration of any step is found before the first one begins; a step that
failed never hides what others did; an interrupted step ends the night, whatever ``nightly.on_failure`` says. Exit code
3 is no failure: the step came to its end, and its rows are accounted for.
"""

from __future__ import annotations

import glob
import logging
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from syncer import commands, products
from syncer.config import Settings, pick_job
from syncer.errors import EXIT_NOT_CONFIRMED, EXIT_OK, ConfigError, SignalError, SyncerError, UsageError
from syncer.results import NightResult, PullResult, StepOutcome, SyncResult
from syncer.session import connection_of
from syncer.steps import ProductsStep, ScansStep, SyncStep

if TYPE_CHECKING:
    from syncer.commands import Surroundings
    from syncer.steps import Step

log = logging.getLogger(__name__)
Work = Callable[[], SyncResult | PullResult]


def run(settings: Settings, around: Surroundings) -> NightResult:
    """Do every step. Raises `ConfigError` before anything is done when a step cannot be done at all."""
    steps = settings.nightly.steps
    if not steps:
        raise ConfigError(
            "nightly.steps is empty: there is nothing to run",
            next='list the steps: [nightly] steps = [{products = {}}, {sync = {files = ["/data/export-*.csv"]}}]',
        )
    connection_of(settings)  # no step works without a token
    prepared = [(step, _PREPARE[type(step)](settings, step, around)) for step in steps]
    outcomes: list[StepOutcome] = []
    stopped = False
    for step, work in prepared:
        name = _name(step)
        if stopped:
            outcomes.append(StepOutcome(name))
            continue
        outcome = _do(name, work, around)
        outcomes.append(outcome)
        failed = outcome.exit_code not in {EXIT_OK, EXIT_NOT_CONFIRMED}
        interrupted = isinstance(outcome.error, SignalError)
        stopped = interrupted or (failed and settings.nightly.on_failure == "stop")
    return NightResult(tuple(outcomes), settings.nightly.on_failure)


def _do(name: str, work: Work, around: Surroundings) -> StepOutcome:
    """Do one step; whatever ends it is its outcome."""
    started_s = around.clock.monotonic_s()
    log.info("step %s", name)
    result: SyncResult | PullResult | None = None
    error: SyncerError | None = None
    try:
        around.interrupt.check(f"before the step {name}")  # it may have come when the step before was as good as done
        result = work()
        error = result.error if isinstance(result, SyncResult) else None
    except SyncerError as failure:
        error = failure
        if isinstance(failure, SignalError):
            failure.next = "syncer run"
    except Exception as failure:
        log.exception("step %s", name)
        error = SyncerError(f"unexpected failure: {type(failure).__name__}: {failure}")
    exit_code = error.status if error else result.exit_code if isinstance(result, SyncResult) else EXIT_OK
    return StepOutcome(name, exit_code, around.clock.monotonic_s() - started_s, result, error)


def _name(step: Step) -> str:
    return {ProductsStep: "products", SyncStep: "sync", ScansStep: "scans"}[type(step)]


def _prepare_products(settings: Settings, step: ProductsStep, around: Surroundings) -> Work:
    request = products.PullRequest(step.archived, step.format, Path(step.out) if step.out else None)
    products.export_form(request)
    return lambda: products.pull(settings, request, around)


def _prepare_sync(settings: Settings, step: SyncStep, around: Surroundings) -> Work:
    job = pick_job(settings, step.job)
    results = Path(step.results) if step.results else None

    def work() -> SyncResult:
        files = tuple(file for pattern in step.files for file in _matching(pattern))
        return commands.sync(settings, commands.Request(files, job.name, results=results), around)

    return work


def _matching(pattern: str) -> list[str]:
    """Return the files that a pattern names, in the order of their names, when its step begins."""
    if not glob.has_magic(pattern):
        return [pattern]
    found = sorted(glob.glob(pattern))
    if not found:
        raise UsageError(f"no file matches {pattern}", next="put the export there, or correct nightly.steps")
    return found


def _prepare_scans(settings: Settings, step: ScansStep, around: Surroundings) -> Work:  # noqa: ARG001  a hook
    """The hook for ``syncer scans pull``: return what pulls them with ``step.options``."""
    raise ConfigError("nightly.steps: scans cannot be pulled by this syncer yet", next="take the step out of [nightly]")


_PREPARE: dict[type, Callable[[Settings, Any, Surroundings], Work]] = {
    ProductsStep: _prepare_products,
    SyncStep: _prepare_sync,
    ScansStep: _prepare_scans,
}
