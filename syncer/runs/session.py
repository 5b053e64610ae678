"""One run, from its first record to its last: the engine that drives it, how it ended, and what it came to.

What always holds: whatever ends the work (the end of the plan, a stop, an error of the ledger) is recorded as the
run's end when the ledger still takes it; the result is read back from the ledger, not remembered.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from typing import TYPE_CHECKING

from syncer import __version__
from syncer.api.limits import ReadLimiter
from syncer.api.reading import Reader
from syncer.errors import LedgerBusyError, LedgerError, SyncerError
from syncer.execute.assemble import Connection, make_engine, quarantine_s
from syncer.execute.context import EngineSettings
from syncer.execute.engine import Engine
from syncer.lifecycle.batch import OPEN
from syncer.model import RowCounts
from syncer.process.clock import Clock, utc_text
from syncer.results import Concern, Requests, Seconds, SyncResult

if TYPE_CHECKING:
    from collections.abc import Callable

    from syncer.config import Settings
    from syncer.execute.engine import Progress
    from syncer.ledger.ledger import Ledger
    from syncer.ledger.values import Run
    from syncer.process.signals import Interrupt

log = logging.getLogger(__name__)


class Session:
    """Drives one run. ``plan_s`` and the sending time are what the result reports."""

    def __init__(self, ledger: Ledger, run: Run, engine: Engine, clock: Clock, *, started_s: float) -> None:
        self.plan_s = 0.0
        self.error: SyncerError | None = None
        self._ledger = ledger
        self._run = run
        self._engine = engine
        self._clock = clock
        self._started_s = started_s
        self._send_s = 0.0

    def share_limits(self, reader: Reader) -> Reader:
        """Return `reader` keeping one limit with the engine, and counting into the run's reads."""
        context = self._engine.context
        reader.limiter, reader.counts = context.reads, context.counts
        return reader

    def settle(self) -> bool:
        """Settle what earlier runs left open; return whether nothing stopped it."""
        log.info("run %d: job %s by %s", self._run.id, self._run.job.name, " + ".join(self._run.job.key))
        interrupted = self._ledger.doubt_interrupted(
            self._run.id, at=utc_text(self._clock.wall_s()), uptime=self._clock.uptime()
        )
        if interrupted:
            log.warning("an earlier run was killed while %d calls were on their way: they are in doubt", interrupted)
        self.error = self._engine.settle()
        return self.error is None

    def send(self) -> None:
        """Send everything that is planned."""
        begun_s = self._clock.monotonic_s()
        settings = self._engine.context.settings
        not_before_s = quarantine_s(self._ledger, self._run, settings, self._clock)
        self.error = self._engine.send(not_before_s=not_before_s)
        self._send_s = self._clock.monotonic_s() - begun_s

    def end(self) -> None:
        """Record how the run ended. A ledger that takes nothing any more keeps what it has: `resume` starts there."""
        result = self.result(SyncResult("sync"))
        log.info("run %d: %s, exit code %d", self._run.id, result.state, result.exit_code)
        with suppress(LedgerError, LedgerBusyError):
            self._engine.context.writer.end_run(
                self._run.id,
                utc_text(self._clock.wall_s()),
                state=result.state,
                exit_code=result.exit_code,
                error=self.error.message if self.error else None,
                discarded_fields=result.discarded_fields,
            )

    def result(self, result: SyncResult) -> SyncResult:
        """Return `result` with everything that the ledger and the engine know about the run."""
        try:
            return self._from_ledger(result)
        except (LedgerError, LedgerBusyError) as error:
            return replace(result, run=self._run, error=self.error or error)

    def _from_ledger(self, result: SyncResult) -> SyncResult:
        ledger, context = self._ledger, self._engine.context
        run = ledger.run(self._run.id) or self._run
        kinds = ledger.kind_counts(run.id)
        open_batches = ledger.batches(states=sorted(OPEN), job_id=run.job.id)
        counts = context.counts
        return replace(
            result,
            run=run,
            rows=RowCounts(**run.rows),
            values=ledger.bucket_counts(run.id),
            sync_batches=kinds.get("sync", 0),
            async_batches=kinds.get("async", 0),
            requests=Requests(counts.updates, counts.reads, counts.throttled, counts.retries, run.minimum_updates),
            seconds=Seconds(self.plan_s, self._send_s, self._clock.monotonic_s() - self._started_s),
            discarded_fields=tuple(sorted({*run.discarded_fields, *context.evidence.discarded})),
            concerns=tuple(Concern(*concern) for concern in ledger.concerns(run.id)),
            earlier_in_doubt=sum(batch.size for batch in open_batches if batch.run_id != run.id),
            error=self.error,
        )


@contextmanager
def session(
    ledger: Ledger,
    run: Run,
    connection: Connection,
    settings: EngineSettings,
    clock: Clock,
    *,
    interrupt: Interrupt,
    started_s: float,
    deadline_s: float | None,
    observe: Callable[[Progress], None],
    record_end: bool = True,
) -> Iterator[Session]:
    """Give the session of a run, and record its end (unless that is recorded already) whatever happens inside.

    A `SyncerError` inside becomes the session's ``error``; anything else is recorded as far as possible and goes on.
    """
    engine, lanes = make_engine(
        connection, settings, ledger, run, clock, interrupt=interrupt, deadline_s=deadline_s, observe=observe
    )
    current = Session(ledger, run, engine, clock, started_s=started_s)
    try:
        yield current
    except SyncerError as error:
        current.error = error
    except BaseException as error:
        current.error = SyncerError(f"unexpected failure: {type(error).__name__}: {error}")
        current.end()
        raise
    finally:
        lanes.close()
    if record_end:
        current.end()


def reader_of(
    settings: Settings,
    clock: Clock,
    interrupt: Interrupt,
    *,
    started_s: float,
    deadline_s: float | None = None,
    limiter: ReadLimiter | None = None,
) -> Reader:
    """Return what makes reads beside or without a run; raise `ConfigError` when there is no token.

    ``deadline_s`` are seconds after ``started_s`` (None: as configured); ``limiter`` is shared with others who
    read (None: nobody else does). Nothing is connected before the first read.
    """
    connection = connection_of(settings)
    seconds = deadline_s if deadline_s is not None else settings.run.deadline_s
    return Reader(
        connection.connect(clock),
        clock,
        limiter or ReadLimiter(connection.reads_per_minute),
        interrupt,
        settings.api.give_up_after_s,
        settings.api.poll_s,
        None if seconds is None else started_s + seconds,
    )


def connection_of(settings: Settings) -> Connection:
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
    )
