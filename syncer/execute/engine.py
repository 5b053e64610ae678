"""The engine: one loop that owns every decision and every write; lanes that only carry calls.

    settle   what earlier runs left open: look for tasks in doubt, send sync calls in doubt again, wait for tasks
    send     the plan in the ledger, batch by batch, at the API's rate, until nothing is left or something stops it

What always holds: the loop never blocks on the API; every answer is recorded before the next decision; a stop (a
signal, the deadline, a refusal of access, an API that is gone) starts nothing new, waits for the answers that are
under way (those of reads come, or are given up, within a moment of the deadline), and leaves the rest as it stands in
the ledger, from where `resume` goes on. The engine prints nothing, reads no clock and sleeps by nobody but its `Clock`
and `Lanes`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from syncer.errors import DeadlineError, SignalError, SyncerError, UnreachableError
from syncer.execute.batch_call import load_batch
from syncer.execute.context import NEVER_S, Context, Tally
from syncer.execute.doubt import Doubts
from syncer.execute.left_out import AskedCode, Look, is_read_before_more, see_nothing, shows_changes_alone
from syncer.execute.let_go import LetGo
from syncer.execute.outcome import Outcomes, reach_error
from syncer.execute.send import Sender
from syncer.execute.watch import TaskWatch
from syncer.lifecycle.batch import State
from syncer.process.clock import seconds_between
from syncer.process.times import duration

if TYPE_CHECKING:
    from syncer.execute.left_out import CodeSeen
    from syncer.process.signals import Interrupt

WAIT_MAX_S = 1.0
"""Longest wait without a look at the clock and the stop signs: keeps progress lines alive."""


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a phase has come, for whoever shows it."""

    phase: str
    updates: int
    tally: Tally
    tasks_pending: int
    in_doubt: int
    throttled: int
    waiting_for: str
    """Why nothing is being sent at this moment; empty while all is well."""


class Engine:
    """Drives the batches of one run. Use `settle`, then (after a plan is stored) `send`."""

    def __init__(
        self,
        context: Context,
        *,
        interrupt: Interrupt,
        deadline_s: float | None = None,
        observe: Callable[[Progress], None] = lambda progress: None,
        look: Look = see_nothing,
    ) -> None:
        self.context = context
        self.look = look
        """Reads values back that answers left out."""
        self._interrupt = interrupt
        context.deadline_s = deadline_s
        self._observe = observe
        self._outcomes = outcomes = Outcomes(context)
        self._doubts = Doubts(context)
        self._sender = Sender(context, outcomes, self._doubts)
        self._watch = TaskWatch(context, outcomes, all_sent=self._sender.idle)
        self._let_go = LetGo(context)
        self._held_back: SyncerError | None = None
        self._phase = "settle"

    def settle(self) -> SyncerError | None:
        """Settle what earlier runs left open; return what stopped it, None when it ended by itself.

        The caller holds the ledger's lock and has put interrupted calls in doubt (`Ledger.doubt_interrupted`).
        """
        context = self.context
        wall_s = context.clock.wall_s()
        self._heed_reach_guard()
        self._let_go.take_up(context.ledger.batches(states=[State.ABANDONED]))
        for batch in context.ledger.batches(states=[State.IN_DOUBT], job_ids=context.jobs):
            self._doubts.begin(context.registry.take(batch), is_earlier=True)
        for batch in context.ledger.batches(states=[State.SUBMITTED], job_ids=context.jobs):
            entry = context.registry.take(batch)
            entry.watched.waited_s = max(0.0, seconds_between(batch.changed_at, wall_s))
        return self._run()

    def send(self, *, not_before_s: float = 0.0) -> SyncerError | None:
        """Send everything that the ledger holds as planned for the job; return what stopped it.

        ``not_before_s`` (monotonic) keeps newer data back while an older call may still be on its way.
        """
        if self.context.stop is not None:
            return self.context.stop
        self._phase = "send"
        self._sender.not_before_s = not_before_s
        self._sender.feed_plan()
        return self._run() or self._held_back

    def send_older(self, jobs: Sequence[int], *, not_before_s: float = 0.0) -> SyncerError | None:
        """Send what older plans of other jobs left unsent, and wait for it: newer data may follow for the same codes.

        Returns what stopped it; what a guard holds back stops nothing here.
        """
        context = self.context
        kept = context.jobs
        context.jobs = [job for job in jobs if kept is None or job in kept]
        stopped = self.send(not_before_s=not_before_s)
        context.jobs = kept
        return None if stopped is self._held_back else stopped

    def _heed_reach_guard(self) -> None:
        """Leave alone what the guard against too many codes has stopped, until that is approved.

        Other jobs go on; the run's own job does not.
        """
        context = self.context
        approved = not context.settings.max_reach_factor and not context.settings.max_codes_affected
        for job in context.ledger.jobs():
            reach = context.reach(job)
            if not reach.stopped or (context.jobs is not None and job.id not in context.jobs):
                continue
            if approved:
                context.learn_reach(job, replace(reach, high=None, stopped=""))
                continue
            self._held_back = reach_error(reach.stopped, context.run.id, job.name)
            if job.id == context.run.job.id:
                context.stop = self._held_back
            context.jobs = (
                [one.id for one in context.ledger.jobs() if one.id != job.id]
                if context.jobs is None
                else [one for one in context.jobs if one != job.id]
            )

    def _run(self) -> SyncerError | None:
        """Work until nothing is in hand, or something stops it.

        What answers left out is read when all else is done but what was refused without a reason. That may stop the
        run, and must keep nobody from telling what became of other values. Of many batches it is read in between, and
        of fields at once: no count may be believed of a field before that.
        """
        while True:  # bounded: what is asked again goes in smaller pieces
            self._loop()
            if not self.context.left_out:
                return self.context.stop
            self._end_left_out()

    def _end_left_out(self) -> None:
        """Read the values that answers left out, unless something stopped the run; record what became of them."""
        context, waiting = self.context, self.context.left_out
        context.left_out = []
        asked: list[AskedCode] = []
        places: list[tuple[int, int]] = []
        for number, one in enumerate(waiting):
            loaded = load_batch(context, one.batch)
            for place, code in one.to_read(loaded.key, loaded.items, context.ledger.earlier_words):
                asked.append(code)
                places.append((number, place))
        seen: list[CodeSeen | None] = []
        if asked and context.stop is None and not context.counts_same:  # it may have been learned meanwhile
            try:
                seen = self.look(asked)
            except SignalError as error:
                context.stop = error
        by_batch: list[dict[int, CodeSeen]] = [{} for _ in waiting]
        for (number, place), found in zip(places, seen, strict=False):  # none was seen after a stop
            if found is not None:
                by_batch[number][place] = found
        if any(shows_changes_alone(one, seen_here) for one, seen_here in zip(waiting, by_batch, strict=True)):
            context.learn_counts(same=False)
        for one, seen_here in zip(waiting, by_batch, strict=True):
            self._outcomes.end_left_out(one, seen_here, read=context.stop is None)

    def _loop(self) -> None:
        context = self.context
        while True:
            now_s = context.now_s()
            self._look_for_stops(now_s)
            due_s, is_urgent = NEVER_S, is_read_before_more(context.left_out)
            if context.stop is None and not is_urgent:
                due_s = min(part.dispatch(now_s) for part in (self._let_go, self._doubts, self._watch, self._sender))
            is_reading_next = is_urgent or (bool(context.left_out) and self._sender.is_stuck())
            if not context.in_flight and (context.stop is not None or is_reading_next or self._finished()):
                if isinstance(context.stop, DeadlineError) and self._finished():
                    context.stop = None  # nothing was left when it came
                self._show(now_s)
                return
            for ticket, answer in context.lanes.wait(min(due_s, now_s + WAIT_MAX_S)):
                context.answered(ticket, answer)
            self._show(now_s)

    def _finished(self) -> bool:
        return self._sender.idle() and not len(self.context.registry)

    def _look_for_stops(self, now_s: float) -> None:
        context = self.context
        if context.stop is not None:
            return
        if self._interrupt.signal_number is not None:
            number = self._interrupt.signal_number
            words = f"stopped by signal {number}; what was under way is recorded"
            context.stop = SignalError(words, signal_number=number, next="syncer resume")
        elif context.deadline_s is not None and now_s >= context.deadline_s:
            context.stop = DeadlineError("the deadline came before everything was sent and settled")
        elif (failing := context.given_up(now_s)) is not None:
            patience = duration(context.settings.give_up_after_s)
            context.stop = UnreachableError(
                f"the API has failed for {patience} (api.give_up_after_s) without one "
                f"success, or asks for a longer wait than that; the last failure: {failing.last_failure}"
            )

    def _show(self, now_s: float) -> None:
        context = self.context
        in_doubt = len(context.registry.of(State.IN_DOUBT))
        waiting_for = ""
        if context.health.troubled:
            waiting_for = f"the API fails: {context.health.last_failure}"
        elif now_s < self._sender.not_before_s and not self._sender.idle():
            waiting_for = "an older call whose answer was lost to be surely over"
        elif self._sender.idle() and in_doubt:
            waiting_for = "certainty about calls whose answers were lost"
        self._observe(
            Progress(
                self._phase,
                context.counts.updates,
                context.tally,
                len(context.registry.of(State.SUBMITTED)),
                in_doubt,
                context.counts.throttled,
                waiting_for,
            )
        )
