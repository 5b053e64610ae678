"""One run, from its first record to its last: the engine that drives it, how it ended, and what it came to.

What always holds: whatever ends the work (the end of the plan, a stop, an error of the ledger) is recorded as the
run's end when the ledger still takes it; the result is read back from the ledger, not remembered.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from typing import TYPE_CHECKING

from syncer.errors import (
    AGAIN,
    AccessError,
    DeadlineError,
    LedgerBusyError,
    LedgerError,
    LedgerWriteError,
    SignalError,
    SyncerError,
    UnreachableError,
)
from syncer.execute.assemble import Connection, make_engine, quarantine_s
from syncer.execute.context import EngineSettings
from syncer.execute.engine import Engine
from syncer.ledger.identity import identity_of
from syncer.lifecycle.batch import OPEN, Bucket, State
from syncer.model import RowCounts, Target
from syncer.process import spans
from syncer.process.clock import Clock, utc_text
from syncer.process.logs import about
from syncer.results import Concern, Requests, Seconds, SyncResult
from syncer.runs.left_out import LeftOutReader
from syncer.runs.outside import REAL, Outside
from syncer.runs.paste import of_job
from syncer.runs.summing import ReadBack, added, open_notes, tell, unproven_notes

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping

    from syncer.api.limits import ReadLimiter
    from syncer.api.reading import RequestCounts
    from syncer.execute.engine import Progress
    from syncer.ledger.endings import EndedValue
    from syncer.ledger.ledger import Ledger
    from syncer.ledger.values import Run
    from syncer.process.signals import Interrupt
    from syncer.runs.read_back import CodeReader
    from syncer.runs.target import TargetCheck

log = logging.getLogger(__name__)
RESUME = "syncer resume"
LEFT = (Bucket.UNSENT, Bucket.PENDING, Bucket.IN_DOUBT)
"""Where a value stands as long as something is left to be done about it."""


class Session:
    """Drives one run, or several that are resumed together. ``plan_s`` and the sending time are what it reports."""

    def __init__(
        self,
        ledger: Ledger,
        run: Run,
        engine: Engine,
        clock: Clock,
        target: TargetCheck,
        code_reader: CodeReader,
        *,
        started_s: float,
        others: Sequence[Run] = (),
        record_end: bool = True,
    ) -> None:
        self.code_reader = code_reader
        self.plan_s = 0.0
        self.record_end = record_end
        """Whether the runs' ends are to be recorded: not of a run that ended before and had nothing left."""
        self.error: SyncerError | None = None
        self.is_resumable = True
        """Whether `resume` can finish the run: not before its plan is stored."""
        self._ledger = ledger
        self._run = run
        self._others = tuple(others)
        self._touched: list[Run] = []
        self.begun_event, self._told_event = ledger.newest_event(), ledger.told_until()
        self._engine = engine
        self._clock = clock
        self._target = target
        self._unasked: SyncerError | None = None
        self._read_back: dict[int, ReadBack] = {}
        self._started_s = started_s
        self._send_s = 0.0

    def confirm_target(self) -> None:
        """Make sure, once, that the ledger belongs to what it would write to; raise when it does not.

        An API that cannot be asked now is no reason not to store a plan: `send` then stops before anything is sent.
        """
        try:
            self._target.confirm()
        except (AccessError, UnreachableError, DeadlineError, SignalError) as error:
            error.next = RESUME if isinstance(error, SignalError) else type(error).default_next
            self._unasked = error
        writer = self._engine.context.writer
        writer.account, writer.sees_unsigned = self._target.account, self._target.sees_unsigned

    def recall_refused(self, runs: Sequence[Run]) -> None:
        """Take note of mapped fields that are not taken, of runs that died before they could say so themselves."""
        mapped = {field for run in runs if run.exit_code is None for field in run.job.fields}
        if mapped:
            refused = frozenset[str]().union(*self._ledger.refusing().values())
            self._engine.context.fields.refused.update(refused & mapped)

    def settle(self) -> bool:
        """Settle what earlier runs left open; return whether nothing stopped it."""
        log.info("run %d: job %s by %s", self._run.id, self._run.job.name, " + ".join(self._run.job.key))
        interrupted = self._ledger.doubt_interrupted(
            self._run.id, at=utc_text(self._clock.wall_s()), uptime=self._clock.uptime()
        )
        if interrupted:
            log.warning("an earlier run was killed while calls were on their way: %d, in doubt now", interrupted)
        if self._ledger.batches(states=[*sorted(OPEN), State.ABANDONED], most=1):
            self.confirm_target()
        self.error = self._unasked or self._engine.settle()
        return self.error is None

    def send_older(self, jobs: Sequence[int]) -> bool:
        """Send what older plans of `jobs` left unsent, before anything is planned; return whether it went well."""
        if self._ledger.batches(states=[State.PLANNED], job_ids=jobs, most=1):
            self.confirm_target()
            settings = self._engine.context.settings
            not_before_s = quarantine_s(self._ledger, self._engine.context.jobs, settings, self._clock)
            self.error = self._unasked or self._engine.send_older(jobs, not_before_s=not_before_s)
        return self.error is None

    def send(self) -> None:
        """Send everything that is planned, to whom the ledger belongs."""
        if self._unasked is not None:
            late = isinstance(self._unasked, DeadlineError)
            self.error = None if late and not self._is_anything_left() else self._unasked
            return
        begun_s = self._clock.monotonic_s()
        settings = self._engine.context.settings
        not_before_s = quarantine_s(self._ledger, self._engine.context.jobs, settings, self._clock)
        self.error = self._engine.send(not_before_s=not_before_s)
        self._send_s = self._clock.monotonic_s() - begun_s

    def take_up(self, runs: Iterable[Run]) -> None:
        """Take runs along to which a plan was added: their ends are recorded anew."""
        mine = {run.id for run in (self._run, *self._others)}
        more = [run for run in runs if run.id not in mine]
        self._others = (*self._others, *more)
        self.record_end = True

    def seal_again(self, runs: Iterable[Run]) -> None:
        """Take note of runs of other jobs that a plan was added to: their records are sealed anew with this one's."""
        self._touched += [run for run in runs if run.id not in {one.id for one in self._touched}]

    def note_refused(self, fields: Iterable[str]) -> None:
        """Take note of fields that rows name, and that the API did not take when it was last asked."""
        self._engine.context.fields.refused.update(fields)

    def read_back(self, look: Callable[[Run], ReadBack]) -> None:
        """Read back, of each run, a few values whose fields no answer named; nothing is read after a stop."""
        fields = self._engine.context.fields
        for run in (self._run, *self._others) if self.error is None else ():
            found = self._read_back[run.id] = look(run)
            fields.saw_taken_again(found.again)
            fields.refused.update(found.refused)

    def named_fields(self) -> Mapping[int | None, Collection[str]]:
        """Return the fields that answers of this run named as taken, by campaign (None: nobody knows it)."""
        return self._engine.context.fields.named

    def takes_again(self) -> frozenset[str]:
        """Return the fields that a value refused before, and took in this run."""
        return frozenset(self._engine.context.fields.taken_again)

    def _is_anything_left(self) -> bool:
        states = [State.PLANNED, *sorted(OPEN)]
        return bool(self._ledger.batches(states=states, job_ids=self._engine.context.jobs, most=1))

    def end(self) -> None:
        """Record how each run ended. A ledger that takes nothing any more keeps what it has: `resume` starts there."""
        with suppress(LedgerError, LedgerBusyError):
            for run in (self._run, *self._others, *self._touched):
                if self._others or run in self._touched:  # what stopped the others did not stop a run that was done
                    result = self._of_run(SyncResult("sync"), run)
                    left = any(result.values.get(bucket) for bucket in LEFT)
                    result = replace(result, error=self.error if left else None)
                else:
                    result = self._from_ledger(SyncResult("sync"))
                log.info("run %d: %s, exit code %d", run.id, result.state, result.exit_code)
                self._engine.context.writer.end_run(
                    run.id,
                    utc_text(self._clock.wall_s()),
                    state=result.state,
                    exit_code=result.exit_code,
                    error=of_job(result.error.message, run.job.name) if result.error else None,
                    discarded_fields=result.discarded_fields,
                )

    def result(self, result: SyncResult) -> SyncResult:
        """Return `result` with everything that the ledger and the engine know about the runs.

        Where all of these had ended before, what stops this process stops none of them: it tells of no run then.
        """
        if self.error is not None and not self.is_resumable and self.error.next == RESUME:
            self.error.next = AGAIN  # its file is needed
        elif isinstance(self.error, LedgerWriteError) and self.is_resumable and self.error.next == AGAIN:
            self.error.next = RESUME
        try:
            found = self._from_ledger(result)
            if self.error is None or self.record_end:
                return found
            told = ("seconds", "concerns", "earlier", "earlier_in_doubt", "waiting", "ledger", "target", "notes")
            requests = replace(found.requests, minimum_updates=0)
            return replace(result, requests=requests, error=self.error, **{name: getattr(found, name) for name in told})
        except (LedgerError, LedgerBusyError) as error:
            return replace(result, run=self._run, error=self.error or error)

    def ended_earlier(self) -> Iterator[EndedValue]:
        """Stream values of earlier runs that ended unmatched or rejected, here or in a process that died: we tell."""
        mine = [run.id for run in (self._run, *self._others)]
        return self._ledger.ended_since(self._told_event, self.begun_event, mine)

    def _from_ledger(self, result: SyncResult) -> SyncResult:
        ledger, counts = self._ledger, self._engine.context.counts
        results = [self._of_run(result, run) for run in (self._run, *self._others)]
        mine = {one.run.id for one in results if one.run is not None}
        open_batches = ledger.batches(states=sorted(OPEN), job_ids=self._engine.context.jobs)
        earlier, told = tell(self.ended_earlier())
        minimum = sum(one.requests.minimum_updates for one in results)
        identity = identity_of(ledger)
        return replace(
            added(results),
            requests=Requests(counts.updates, counts.reads, counts.throttled, counts.retries, minimum),
            seconds=Seconds(self.plan_s, self._send_s, self._clock.monotonic_s() - self._started_s),
            concerns=(*(concern for one in results for concern in one.concerns), *told),
            earlier={bucket: count for bucket, count in earlier.items() if bucket is not Bucket.IN_DOUBT},
            waiting=sum(map(ledger.waiting, {run.job.space_id for run in (self._run, *self._others)})),
            ledger=identity,
            target=Target(self._target.base_url, identity.company),
            notes=(
                *result.notes,
                *self._target.notes,
                *unproven_notes(self._read_back),
                *open_notes(open_batches, self._clock.wall_s()),
            ),
            earlier_in_doubt=sum(batch.size for batch in open_batches if batch.run_id not in mine)
            + earlier.get(Bucket.IN_DOUBT, 0),
            error=self.error,
        )

    def _of_run(self, result: SyncResult, run: Run) -> SyncResult:
        """Return what one run came to."""
        ledger, context = self._ledger, self._engine.context
        run, fields, found = ledger.run(run.id) or run, context.fields, self._read_back.get(run.id, ReadBack())
        kinds = ledger.kind_counts(run.id)
        return replace(
            result,
            run=run,
            rows=RowCounts(**run.rows),
            values=ledger.bucket_counts(run.id),
            sync_batches=kinds.get("sync", 0),
            async_batches=kinds.get("async", 0),
            requests=Requests(minimum_updates=run.minimum_updates),
            discarded_fields=tuple(sorted({*run.discarded_fields} - fields.taken_again | fields.refused)),
            unproven_fields=tuple(sorted({*found.unproven, *found.lacking})),
            concerns=tuple(Concern(*concern) for concern in ledger.concerns(run.id)),
            waiting=ledger.waiting(run.job.space_id),
            goes_again=ledger.failed_wanted(run.job.space_id),
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
    target: TargetCheck,
    started_s: float,
    deadline_s: float | None,
    observe: Callable[[Progress], None],
    expect: Callable[[str, Sequence[str]], Mapping[str, int]],
    jobs: Sequence[int] | None,
    others: Sequence[Run] = (),
    record_end: bool = True,
    outside: Outside = REAL,
    code_reader: Callable[[ReadLimiter, RequestCounts], CodeReader],
) -> Iterator[Session]:
    """Give the session of a run, and of `others` that are resumed with it, which drives the batches of `jobs`.

    Records their ends (unless that is recorded already) whatever happens inside. ``code_reader`` makes what reads code
    data, from the engine's limit for reads and the counts of its calls.

    A `SyncerError` inside becomes the session's ``error``; anything else is recorded as far as possible and goes on.
    """
    with spans.around("run", run=run.id, job=run.job.name) as spanned, about(run=run.id, job=run.job.name):
        ledger.advance()
        engine, lanes = make_engine(
            connection, settings, ledger, run, clock,
            interrupt=interrupt, deadline_s=deadline_s, jobs=jobs, expect=expect, observe=observe,
            make_lanes=outside.lanes, new_suffix=outside.suffix,
        )  # fmt: skip
        reader = code_reader(engine.context.reads, engine.context.counts)
        engine.look = LeftOutReader(reader)
        current = Session(
            ledger, run, engine, clock, target, reader, started_s=started_s, others=others, record_end=record_end
        )
        target.share(engine.context.reads, engine.context.counts)
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
        if current.record_end:
            current.end()
        with suppress(LedgerError, LedgerBusyError):
            ledger.seal(run.id, utc_text(clock.wall_s()))  # of a run that had ended: what was seen of older calls
            ledger.advance()
        counts = engine.context.counts
        spanned.note(updates=counts.updates, reads=counts.reads, throttled=counts.throttled, retries=counts.retries)
