"""``syncer run``: the steps that ``nightly.steps`` lists, one after the other, each with its own exit code.

What always holds: what is wrong with the configuration of any step is found before the first one begins; a step that
failed never hides what others did; an interrupted step ends the night, whatever ``nightly.on_failure`` says. Exit code
3 is no failure: the step came to its end, and its rows are accounted for.
"""

from __future__ import annotations

import glob
import logging
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from syncer.commands import arrivals, products
from syncer.commands.environment import Environment
from syncer.commands.places import require_place_of
from syncer.commands.working import recorded
from syncer.config import Settings, pick_job
from syncer.errors import EXIT_NOT_CONFIRMED, EXIT_OK, ConfigError, SignalError, SyncerError, UsageError
from syncer.request import ProductsRequest, ScansRequest, SyncRequest, SyncStep, UploadRequest, name_of
from syncer.results import NightResult, StepOutcome, StepResult, SyncResult
from syncer.runs.readers import connection_of
from syncer.safe.urls import is_remote

log = logging.getLogger(__name__)
Work = Callable[[], StepResult]


def run(settings: Settings, environment: Environment, night_id: int | None = None) -> NightResult:
    """Do every step, each recorded as one of the night ``night_id``.

    Raises `ConfigError` before anything is done when a step cannot be done at all.
    """
    steps = settings.nightly.steps
    if not steps:
        raise ConfigError(
            "nightly.steps is empty: there is nothing to run",
            remedy='list the steps: [nightly] steps = [{products = {}}, {sync = {files = ["/data/export-*.csv"]}}]',
        )
    connection_of(settings)  # no step works without a token
    for number, step in enumerate(steps, 1):
        require_place_of(number, step)
    prepared = [(step, _PREPARE[type(step)](settings, step, environment)) for step in steps]
    outcomes: list[StepOutcome] = []
    stopped = False
    for step, work in prepared:
        name = name_of(step)
        if stopped:
            outcomes.append(StepOutcome(name))
            continue
        outcome = _do(name, _recorded(settings, environment, name, work, night_id), environment)
        outcomes.append(outcome)
        failed = outcome.exit_code not in {EXIT_OK, EXIT_NOT_CONFIRMED}
        interrupted = isinstance(outcome.error, SignalError)
        stopped = interrupted or (failed and settings.nightly.on_failure == "stop")
    return NightResult(tuple(outcomes), settings.nightly.on_failure)


def _recorded(settings: Settings, environment: Environment, name: str, work: Work, night_id: int | None) -> Work:
    return lambda: recorded(settings, environment.clock, name, lambda _: work(), night_id=night_id)


def _do(name: str, work: Work, environment: Environment) -> StepOutcome:
    """Do one step; whatever ends it is its outcome."""
    started_s = environment.clock.monotonic_s()
    log.info("step %s", name)
    result: StepResult | None = None
    error: SyncerError | None = None
    try:
        environment.interrupt.check(f"before the step {name}")  # it may have come late in the step before
        result = work()
        error = result.error
    except SyncerError as failure:
        error = failure
    except Exception as failure:
        log.exception("step %s", name)
        error = SyncerError(f"unexpected failure: {type(failure).__name__}: {failure}")
    if isinstance(error, SignalError) and not isinstance(result, SyncResult):
        error.next = "syncer run"  # each command would name itself
    exit_code = error.status if error else result.exit_code if result else EXIT_OK
    return StepOutcome(name, exit_code, environment.clock.monotonic_s() - started_s, result, error)


def _prepare_products(settings: Settings, step: ProductsRequest, environment: Environment) -> Work:
    return lambda: products.pull(settings, step, environment)


def _prepare_sync(settings: Settings, step: SyncStep, environment: Environment) -> Work:
    job = pick_job(settings, step.job)
    results = Path(step.results) if step.results else None

    def work() -> SyncResult:
        files = tuple(
            file for pattern in step.files for file in ([pattern] if is_remote(pattern) else _matching(pattern))
        )
        return arrivals.sync(settings, SyncRequest(files, job.name, results=results), environment)

    return work


def _matching(pattern: str) -> list[str]:
    """Return the files that a pattern names, in the order of their names, when its step begins."""
    if not glob.has_magic(pattern):
        return [pattern]
    found = sorted(glob.glob(pattern))
    if not found:
        raise UsageError(f"no file matches {pattern}", remedy="put the export there, or correct nightly.steps")
    return found


def _prepare_scans(settings: Settings, step: ScansRequest, environment: Environment) -> Work:
    from syncer.commands import scans

    work = scans.raw_csv if step.raw_csv else scans.pull
    return lambda: work(settings, step, environment)


def _prepare_codes(settings: Settings, step: UploadRequest, environment: Environment) -> Work:
    from syncer.commands import codes
    from syncer.commands.codes_errors import ERRORS_SUFFIX

    def work() -> StepResult:
        # What an earlier night wrote beside it is no file to be uploaded.
        errors = None if step.errors is None else step.errors.absolute()
        files = [
            file
            for file in _matching(step.file)
            if file == step.file or not (file.endswith(ERRORS_SUFFIX) or Path(file).absolute() == errors)
        ]
        if len(files) != 1:
            words = f"{len(files)} files match {step.file}, and a step uploads one"
            raise UsageError(words, remedy="leave one there, or correct nightly.steps")
        theirs = codes.CodesEnvironment(environment.clock, environment.interrupt, environment.on_rows)
        return codes.upload(settings, replace(step, file=files[0]), theirs)

    return work


_PREPARE: dict[type, Callable[[Settings, Any, Environment], Work]] = {
    ProductsRequest: _prepare_products,
    SyncStep: _prepare_sync,
    ScansRequest: _prepare_scans,
    UploadRequest: _prepare_codes,
}
