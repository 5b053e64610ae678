"""What helps, as it can be pasted: with the files and the job that the command was given. Pure."""

from __future__ import annotations

import re
import shlex
from collections.abc import Sequence
from dataclasses import replace

from syncer.errors import GuardError, SyncerError

_COMMAND = re.compile(r"\bsyncer (sync|plan) FILE\b(?: --job \S+)?")


def pasteable(text: str, files: Sequence[str], job: str, *, job_named: bool) -> str:
    """Return what is to be done next about these files; ``job_named``: the command line named the job."""
    given = " ".join(shlex.quote(name) for name in files) + (f" --job {shlex.quote(job)}" if job_named else "")
    filled = _COMMAND.sub(lambda found: f"syncer {found[1]} {given}", text) if files else text
    return filled.replace("jobs.<name>", f"jobs.{job}")


def say_next(error: SyncerError, files: Sequence[str], job: str, *, job_named: bool) -> None:
    """Let an error say what to do about these files, and each guard of it too."""
    error.next = pasteable(error.next, files, job, job_named=job_named)
    if error.remedy is not None:
        error.remedy = pasteable(error.remedy, files, job, job_named=job_named)
    if isinstance(error, GuardError):
        error.stops = tuple(
            replace(stop, remedy=pasteable(stop.remedy, files, job, job_named=job_named)) for stop in error.stops
        )
