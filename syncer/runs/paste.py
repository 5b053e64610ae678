"""What helps, as it can be pasted: with the files and the job that the command was given. Pure."""

from __future__ import annotations

import re
import shlex
from collections.abc import Sequence
from dataclasses import replace

from syncer.errors import ANY_JOB, GuardError, SyncerError
from syncer.safe.inert import pasted

_COMMAND = re.compile(r"\bsyncer (sync|plan) FILE\b(?: --job \S+)?")


def pasteable(text: str, files: Sequence[str], job: str, *, job_named: bool) -> str:
    """Return what to do next about these files (none: a query's rows); ``job_named``: the command named the job."""
    given = [pasted([name]) for name in files] + (["--job", shlex.quote(job)] if job_named else [])
    return of_job(_COMMAND.sub(lambda found: " ".join(["syncer", found[1], *given]), text), job)


def of_job(text: str, job: str) -> str:
    """Return words about a job's settings with the job's own name in them."""
    return text.replace(ANY_JOB, f"jobs.{job}")


def say_next(error: SyncerError, files: Sequence[str], job: str, *, job_named: bool) -> None:
    """Let an error say what to do about these files, and each guard of it too."""
    error.message = of_job(error.message, job)
    error.next = pasteable(error.next, files, job, job_named=job_named)
    if error.remedy is not None:
        error.remedy = pasteable(error.remedy, files, job, job_named=job_named)
    if isinstance(error, GuardError):
        error.stops = tuple(
            replace(stop, remedy=pasteable(stop.remedy, files, job, job_named=job_named)) for stop in error.stops
        )
