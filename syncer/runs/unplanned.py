"""Runs that only their file can finish: why they cannot be resumed, and the command that sends what is missing. Pure.

Such a run ended before its plan was stored, or what it had not sent was dropped when its ledger was put back.

What always holds: what stopped such a run is named, a guard above all; which file is the right one is not known here,
so the command names one only where the job finds its files, or its rows, by itself.
"""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

from syncer.errors import GuardError, UsageError

if TYPE_CHECKING:
    from syncer.config import Settings
    from syncer.ledger.values import Run


def unplanned_error(run: Run, settings: Settings) -> UsageError:
    """Return the error of a run that cannot be resumed."""
    again, finds = _again(run, settings)
    remedy = f"sync {'the newest full export' if run.planned else 'its export again'}: {again}"
    if not run.planned and run.exit_code == GuardError.exit_code:
        again += " --approve"
        remedy = f"see what the guard found; when the export is right: {again}"
    return UsageError(_words(run), remedy=remedy, next=again if finds else f"syncer status {run.id}")


def unplanned_note(run: Run, settings: Settings) -> str:
    """Say the same beside what was resumed."""
    error = unplanned_error(run, settings)
    return f"{error.message}; {error.remedy}"


def _words(run: Run) -> str:
    if run.planned:
        return f"what run {run.id} of job {run.job.name} had not sent was dropped when the ledger was put back"
    what = "was stopped by a guard" if run.exit_code == GuardError.exit_code else "ended"
    words = f"run {run.id} of job {run.job.name} {what} before its plan was stored, so nothing of it was sent"
    is_said = run.error is None or run.error.startswith(words)  # of a run that died alone, `resume` records these words
    return words if is_said else f"{words}: {run.error}"


def _again(run: Run, settings: Settings) -> tuple[str, bool]:
    """Return the command that syncs a job's export, and whether the job knows by itself what to read."""
    job = settings.jobs.get(run.job.name)
    finds = job is not None and (job.files.pattern is not None or job.source.query is not None)
    return f"syncer sync{'' if finds else ' FILE'} --job {shlex.quote(run.job.name)}", finds
