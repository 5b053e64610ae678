"""How the API is reached with a job's settings, and what makes reads beside or without a run. Nothing is sent here."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from syncer import __version__
from syncer.api.limits import ReadLimiter
from syncer.api.reading import Reader
from syncer.execute.assemble import Connection
from syncer.runs.outside import REAL, Outside

C = TypeVar("C", bound="Speaker")

if TYPE_CHECKING:
    from syncer.api.answers import Speaker
    from syncer.api.client import Client
    from syncer.config import Settings
    from syncer.process.clock import Clock
    from syncer.process.signals import Interrupt


def reader_of(
    settings: Settings,
    clock: Clock,
    interrupt: Interrupt,
    *,
    started_s: float,
    deadline_s: float | None = None,
    limiter: ReadLimiter | None = None,
    outside: Outside = REAL,
) -> Reader[Client]:
    """Return what makes reads beside or without a run; raise `ConfigError` when there is no token.

    ``deadline_s`` are seconds after ``started_s`` (None: as configured); ``limiter`` is shared with others who
    read (None: nobody else does). Nothing is connected before the first read.
    """
    until_s = settings.run.until_s(deadline_s, started_s)
    client = connection_of(settings, outside).connect(clock)
    return reader_over(client, settings, clock, interrupt, deadline_s=until_s, limiter=limiter)


def reader_over(
    client: C,
    settings: Settings,
    clock: Clock,
    interrupt: Interrupt,
    *,
    deadline_s: float | None,
    limiter: ReadLimiter | None = None,
) -> Reader[C]:
    """Return what asks by a client of any kind, as patiently as is configured; ``deadline_s`` is monotonic."""
    api = settings.api
    limiter = limiter or ReadLimiter(api.reads_per_minute)
    return Reader(client, clock, limiter, interrupt, api.give_up_after_s, api.poll_s, deadline_s)


def connection_of(settings: Settings, outside: Outside = REAL) -> Connection:
    """Return how to reach the API; raise `ConfigError` when there is no token."""
    token = settings.api.require_token()
    token.reveal()  # a command that gives none is told before anything is recorded
    return Connection(
        base_url=settings.api.base_url,
        token=token.reveal,
        timeout_s=settings.api.timeout_s,
        user_agent=f"syncer/{__version__}",
        updates_per_second=settings.api.updates_per_second,
        reads_per_minute=settings.api.reads_per_minute,
        concurrency=settings.api.concurrency,
        ca_file=settings.api.ca_file,
        make=outside.transport,
    )
