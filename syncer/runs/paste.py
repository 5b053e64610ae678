"""What helps, as it can be pasted: with the files, the job and the options that the command was given. Pure."""

from __future__ import annotations

import re
import shlex
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from syncer.errors import ANY_JOB, GuardError, SyncerError
from syncer.safe.inert import pasted

if TYPE_CHECKING:
    from syncer.request import SyncRequest

_COMMAND = re.compile(r"\bsyncer (sync|plan) FILE\b(?: --job \S+)?")
_PIPED = re.compile(r"(?<=\| )syncer sync -\Z")


def options_of(request: SyncRequest) -> tuple[str, ...]:
    """Return the options that say how files are read, what is sent of them, and where the rest is written.

    Without them the same files would be another night: other keys, other calls, no results.
    """
    options = [word for column in request.key or () for word in ("--key", column)]
    options += [] if request.mode is None else ["--mode", request.mode]
    options += ["--force"] if request.force else []
    options += [] if request.results is None else ["--results", str(request.results)]
    return tuple(options)


def pasteable(text: str, files: Sequence[str], job: str, *, job_named: bool, options: Sequence[str] = ()) -> str:
    """Return what to do next about these files (none: a query's rows); ``job_named``: the command named the job.

    ``options`` are further ones of the command (`options_of`).
    """
    named = [pasted([_no_option(name)]) for name in files]
    given = [*(["--job", shlex.quote(job)] if job_named else []), *(pasted([word]) for word in options)]
    text = _COMMAND.sub(lambda found: " ".join(["syncer", found[1], *named, *given]), text)
    return of_job(_PIPED.sub(lambda found: " ".join([found[0], *given]), text), job)


def _no_option(name: str) -> str:
    """Return a file's name as no command takes it for an option; standard input is called ``-``."""
    return f"./{name}" if name.startswith("-") and name != "-" else name


def of_job(text: str, job: str) -> str:
    """Return words about a job's settings with the job's own name in them."""
    return text.replace(ANY_JOB, f"jobs.{job}")


def say_next(
    error: SyncerError, files: Sequence[str], job: str, *, job_named: bool, options: Sequence[str] = ()
) -> None:
    """Let an error say what to do about these files, and each guard of it too."""

    def said(text: str) -> str:
        return pasteable(text, files, job, job_named=job_named, options=options)

    error.message = of_job(error.message, job)
    error.next = said(error.next)
    if error.remedy is not None:
        error.remedy = said(error.remedy)
    if isinstance(error, GuardError):
        error.stops = tuple(replace(stop, remedy=said(stop.remedy)) for stop in error.stops)
