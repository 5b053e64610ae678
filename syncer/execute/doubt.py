"""Looking for the task of an async call whose answer was lost: found, shown absent, or still unknown.

The list of tasks, filtered by the attempt's `reference`, is the only handle (docs/api.md, "Tasks"). A task is
ours only when its ``details`` equal what was sent. It is shown absent by two looks, at least ``settle_s`` apart, both
after the last moment at which the request can have been on its way.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from syncer.api.classify import Verdict
from syncer.execute.batch_call import load_batch
from syncer.execute.context import NEVER_S, Context
from syncer.execute.pieces import halved
from syncer.model import Kind
from syncer.process.clock import seconds_between

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from syncer.api.client import Client
    from syncer.ledger.values import Batch

RETRY_S = 2.0
"""Pause before a look that failed is repeated."""
LOST_MAX = 4
"""Lost answers of one batch in one run after which it stays in doubt for the next run."""


@dataclass(frozen=True, slots=True)
class Look:
    """What one look found out. ``task_id`` is the task that is ours; ``absent`` is true when surely none is there."""

    verdict: Verdict
    calls: int
    message: str
    task_id: str | None = None
    attempt_id: int | None = None
    remote_state: str = ""
    absent: bool = False
    status_code: int | None = None
    retry_after_s: float | None = None


@dataclass(slots=True)
class Doubt:
    """A batch in doubt and the looks at it so far. Times are monotonic seconds.

    ``references`` maps the attempts that may have created a task to their ids. Earlier attempts stay in it: one that
    was shown absent once is looked for again, at no extra risk and little cost.
    """

    batch: Batch
    references: Mapping[str, int]
    next_look_s: float
    until_s: float
    """When to stop looking in this run."""
    first_absent_s: float | None = None
    looking: bool = False

    def saw_absence(self, looked_s: float, settle_s: float) -> bool:
        """Take note of a look, begun at `looked_s`, that found nothing; tell whether that settles it."""
        if self.first_absent_s is None:
            self.first_absent_s = looked_s
        if looked_s - self.first_absent_s >= settle_s:
            return True
        self.next_look_s = self.first_absent_s + settle_s
        return False

    def saw_nothing(self, now_s: float) -> None:
        """Take note of a look that failed: it proves neither presence nor absence."""
        self.next_look_s = now_s + RETRY_S


def look_for_task(
    client: Client,
    references: Mapping[str, int],
    constraints: Mapping[str, Sequence[str]],
    scm_data: Mapping[str, str],
) -> Look:
    """Ask the API for tasks with these references, and compare their details with what was sent. Runs in a lane."""
    calls = 0
    sent = ({name: sorted(values) for name, values in constraints.items()}, dict(scm_data))
    for reference, attempt_id in references.items():
        listed = client.tasks_by_reference(reference)
        calls += listed.calls
        if listed.verdict is not Verdict.OK or not listed.complete:
            return Look(
                listed.verdict,
                calls,
                listed.message or "the list of tasks is incomplete",
                status_code=listed.status_code,
                retry_after_s=listed.retry_after_s,
            )
        for task in listed.tasks:
            if task.reference != reference:
                continue  # a server that ignores the filter lists everybody's tasks
            detailed = client.task(task.id)
            calls += detailed.calls
            if detailed.verdict is not Verdict.OK or detailed.task is None or detailed.task.details is None:
                return Look(
                    detailed.verdict,
                    calls,
                    detailed.message or "the task's details are missing",
                    status_code=detailed.status_code,
                    retry_after_s=detailed.retry_after_s,
                )
            details = detailed.task.details
            if ({name: sorted(values) for name, values in details.constraints.items()}, dict(details.scm_data)) == sent:
                state = detailed.task.remote_state
                return Look(Verdict.OK, calls, "", task_id=task.id, attempt_id=attempt_id, remote_state=state)
            return Look(Verdict.OK, calls, f"task {task.id} bears the reference {reference} but other details")
    return Look(Verdict.OK, calls, "", absent=True)


class Doubts:
    """The batches in doubt: looked for (async) or sent again (sync), until settled or left for the next run."""

    def __init__(
        self, context: Context, *, on_found: Callable[[Batch], None], on_again: Callable[[Sequence[Batch]], None]
    ) -> None:
        self._context = context
        self._on_found = on_found
        self._on_again = on_again
        self._doubts: dict[int, Doubt] = {}
        self._earlier: set[int] = set()
        self._lost: dict[int, tuple[int, int]] = {}
        """How often each batch was lost while the API was at work, and how often that had been seen by then."""

    def __len__(self) -> int:
        return len(self._doubts)

    def add(self, batch: Batch, *, timed_out: bool = False, is_earlier: bool = False) -> None:
        """Take a batch whose answer was lost; `timed_out`: it took too long; `is_earlier`: an earlier run lost it.

        Losses while the whole API is down do not count against the batch: patience with that is `Health`'s.
        """
        context = self._context
        if is_earlier:
            self._earlier.add(batch.id)
        times, seen = self._lost.get(batch.id, (0, -1))
        times += context.successes > seen
        self._lost[batch.id] = (times, context.successes)
        if times > LOST_MAX:
            self._leave(batch, "its answer was lost again and again")
        elif batch.kind == Kind.SYNC:
            again = context.writer.send_again(batch, context.at())
            if timed_out:
                context.sizes.timed_out(batch.kind, batch.size)
            self._on_again([again] if not timed_out or batch.size == 1 else halved(context, again))
        else:
            now_s = context.now_s()
            until_s = now_s + context.settings.settle_s + context.settings.give_up_after_s
            self._doubts[batch.id] = Doubt(batch, context.ledger.lost_references(batch), now_s, until_s)

    def _leave(self, batch: Batch, words: str) -> None:
        """Leave a batch to the next run; let go of one that an earlier run had left, after the time of a task."""
        context = self._context
        if batch.id not in self._earlier:
            return
        began = context.ledger.first_attempt_at(batch)
        age_s = seconds_between(began, context.clock.wall_s())
        if age_s > context.settings.task_timeout_s:
            context.writer.let_go(batch, context.at(), message=f"let go of after {age_s:,.0f} s in doubt: {words}")

    def dispatch(self, now_s: float) -> float:
        """Start every look that is due; return when the next one is."""
        context = self._context
        next_s = NEVER_S
        for doubt in [*self._doubts.values()]:
            if doubt.looking:
                continue
            if now_s >= doubt.until_s:
                del self._doubts[doubt.batch.id]
                self._leave(doubt.batch, "no look settles it")
                continue
            slot_s = max(context.slot_s(now_s, context.reads.next_s(now_s), context.reads_health), doubt.next_look_s)
            if slot_s <= now_s:
                self._look(doubt, now_s)
            else:
                next_s = min(next_s, slot_s)
        return next_s

    def _look(self, doubt: Doubt, now_s: float) -> None:
        loaded = load_batch(self._context, doubt.batch)
        references, constraints, scm_data = doubt.references, loaded.constraints(), loaded.scm_data()
        doubt.looking = True
        self._context.start_read(
            lambda client: look_for_task(client, references, constraints, scm_data),
            lambda look: self._on_answer(doubt, look, now_s),
            now_s,
        )

    def _on_answer(self, doubt: Doubt, look: Look, looked_s: float) -> None:
        context = self._context
        context.note_read(look)
        doubt.looking = False
        now_s = context.now_s()
        if look.task_id is not None and look.attempt_id is not None:
            del self._doubts[doubt.batch.id]
            self._on_found(context.writer.found(doubt.batch, look.attempt_id, look.task_id, context.at()))
        elif look.absent and context.ledger.sent_by_others(doubt.batch, context.writer.account):
            del self._doubts[doubt.batch.id]  # tasks are their account's: that none is seen proves nothing
            self._leave(doubt.batch, "another account sent it, and only that one sees its tasks")
        elif look.absent and doubt.saw_absence(looked_s, context.settings.settle_s):
            del self._doubts[doubt.batch.id]
            detail = f"no task with its reference in two looks, {context.settings.settle_s:g} s apart"
            self._on_again([context.writer.absent(doubt.batch, context.at(), detail=detail)])
        elif not look.absent and look.verdict is Verdict.OK:
            del self._doubts[doubt.batch.id]
            self._leave(doubt.batch, look.message)  # our reference and other data: nobody here can settle that
        elif not look.absent:
            doubt.saw_nothing(now_s)
