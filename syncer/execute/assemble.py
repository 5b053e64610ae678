"""Putting an engine together from settings: lanes with clients, limits that know of earlier processes, context."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from syncer.api.client import Client
from syncer.api.limits import ReadLimiter, UpdateLimiter
from syncer.api.transport import Transport
from syncer.execute.context import Context, EngineSettings
from syncer.execute.engine import Engine, Progress
from syncer.execute.settling import unsettled_s
from syncer.ledger.identity import identity_of
from syncer.process.clock import Clock, seconds_between, utc_text
from syncer.process.signals import Interrupt

if TYPE_CHECKING:
    from syncer.execute.lanes import Lanes
    from syncer.ledger.ledger import Ledger
    from syncer.ledger.values import Run

REMEMBERED_S = 2.0
"""How far back calls of earlier processes still count against the API's limit per second."""


@dataclass(frozen=True, slots=True)
class Connection:
    """How to reach the API. ``token`` is shown to nobody: not by `repr`, not in messages."""

    base_url: str
    token: Callable[[], str]
    timeout_s: float
    user_agent: str
    updates_per_second: float
    reads_per_minute: float
    concurrency: int
    ca_file: str | None = None
    make: Callable[..., Transport] = Transport
    """Makes what carries a call there and its answer back."""

    def connect(self, clock: Clock) -> Client:
        """Return a client with a connection of its own."""
        return Client(self.transport(clock))

    def transport(self, clock: Clock, *, timeout_s: float | None = None) -> Transport:
        """Return a connection to the API for any client; ``timeout_s`` None: as configured."""
        return self.make(
            self.base_url,
            self.token(),
            timeout_s=self.timeout_s if timeout_s is None else timeout_s,
            user_agent=self.user_agent,
            clock=clock,
            ca_file=self.ca_file,
        )


def make_engine(
    connection: Connection,
    settings: EngineSettings,
    ledger: Ledger,
    run: Run,
    clock: Clock,
    *,
    interrupt: Interrupt,
    deadline_s: float | None,
    jobs: Sequence[int] | None,
    expect: Callable[[str, Sequence[str]], Mapping[str, int]],
    observe: Callable[[Progress], None],
    make_lanes: Callable[[Callable[[], Client], int, Clock], Lanes],
    new_suffix: Callable[[], str],
) -> tuple[Engine, Lanes]:
    """Return an engine that works for `run` on the batches of `jobs` (ids; None: all), and its lanes to be closed."""
    lanes = make_lanes(lambda: connection.connect(clock), connection.concurrency, clock)
    updates = UpdateLimiter(connection.updates_per_second)
    updates.preload(_started_lately(ledger, clock))
    ledger_id = identity_of(ledger).id
    context = Context(
        ledger=ledger,
        run=run,
        writer=ledger.writer(run.id),
        clock=clock,
        lanes=lanes,
        updates=updates,
        reads=ReadLimiter(connection.reads_per_minute),
        settings=settings,
        new_suffix=lambda: f"{ledger_id}.{new_suffix()}",
        jobs=jobs,
        expect=expect,
    )
    return Engine(context, interrupt=interrupt, deadline_s=deadline_s, observe=observe), lanes


def _started_lately(ledger: Ledger, clock: Clock) -> list[float]:
    """Return when earlier processes made their last calls, as monotonic times of this one."""
    now_s, wall_s = clock.monotonic_s(), clock.wall_s()
    started = ledger.attempts_since(utc_text(wall_s - REMEMBERED_S))
    return [now_s - min(max(seconds_between(at, wall_s), 0.0), REMEMBERED_S) for at in started]


def quarantine_s(ledger: Ledger, jobs: Sequence[int] | None, settings: EngineSettings, clock: Clock) -> float:
    """Return the monotonic time before which no newer data may be sent; 0.0 when there is no such time.

    A sync call whose answer was lost was sent again with the same data, and confirmed; the lost one may still land. So
    may a call in doubt that was let go of while it was young. Newer data waits until ``settle_s`` after the loss.
    """
    wait_s = unsettled_s(ledger.lost_unheld(jobs), settings.settle_s, clock)
    return clock.monotonic_s() + wait_s if wait_s > 0 else 0.0
