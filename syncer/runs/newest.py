"""What ``check`` sees of the exports that jobs wait for: the header of the newest file, by which names can be judged.

Reads no row, and copies nothing from other systems: of those only ``plan`` can tell.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from syncer.config import JobSettings, Settings
from syncer.errors import SyncerError
from syncer.plan.units import UnitRule, require_fields
from syncer.process.signals import Interrupt
from syncer.results import CheckResult
from syncer.runs.inputs import open_inputs
from syncer.runs.paste import say_next
from syncer.runs.places import LocalPlace
from syncer.safe.urls import is_remote


def check_exports(settings: Settings) -> list[CheckResult]:
    """Look at the newest file of each job that waits for files on this machine, and at what those with a query say."""
    folder = Path.cwd() if settings.path is None else settings.path.parent
    waiting = [job for job in settings.jobs.values() if job.files.pattern is not None]
    found = [_check_newest(job, folder) for job in waiting if not is_remote(str(job.files.pattern))]
    return [*found, *_missing_libraries(waiting), *_wrong_sources(settings)]


def _missing_libraries(waiting: Sequence[JobSettings]) -> Iterator[CheckResult]:
    """Yield the jobs that wait for files of another system whose library is not installed."""
    from syncer.runs.systems import require_library

    for job in waiting:
        if is_remote(str(job.files.pattern)):
            try:
                require_library(str(job.files.pattern))
            except SyncerError as error:
                yield CheckResult(f"newest export of {job.name}", "", error)


def _wrong_sources(settings: Settings) -> Iterator[CheckResult]:
    """Yield the jobs whose query, or its database's address, could never be asked."""
    from syncer.source.query import require_sense

    for job in settings.jobs.values():
        source = job.source
        if source.url is not None and source.query is not None:
            try:
                require_sense(
                    source.url.reveal(), source.query, job=job.name, password_apart=source.password is not None
                )
            except SyncerError as error:
                say_next(error, [], job.name, job_named=True)
                yield CheckResult(f"source of {job.name}", "", error)


def _check_newest(job: JobSettings, folder: Path) -> CheckResult:
    what = f"newest export of {job.name}"
    newest = max(LocalPlace(job.files, folder).look(), key=lambda one: one.mtime_ns, default=None)
    if newest is None:
        return CheckResult(what, f"none is there yet: {job.files.pattern}")
    try:
        opened = open_inputs(
            job, [newest.path], None, copies={}, stdin=None, interrupt=Interrupt(), observe=lambda rows: None
        )
        with opened as (_, validator):
            require_fields([UnitRule(name, one.codes, one.same) for name, one in job.units.items()], validator.fields)
    except SyncerError as error:
        say_next(error, [newest.path], job.name, job_named=True)
        return CheckResult(what, "", error)
    columns = f"its header has all that the job names; sent are {', '.join(validator.fields)}"
    return CheckResult(what, f"{newest.path}: {columns}")
