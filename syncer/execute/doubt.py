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
from syncer.execute.registry import ODD_MAX, Doubt
from syncer.lifecycle.batch import State
from syncer.model import Kind
from syncer.process.clock import seconds_between
from syncer.process.times import duration

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from syncer.api.client import Client
    from syncer.execute.registry import InHand
    from syncer.ledger.values import Batch

LOST_MAX = 4
"""Lost answers of one batch in one run after which it stays in doubt for the next run."""
NARROW = 2
"""Lost answers of one batch, while others came, after which it goes on in halves: a value of it may be at fault."""
NARROW_ALONE = 5
"""The same where no other answer came: then it is the API that fails, unless there was nothing else to ask."""


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
    is_listed: bool = False
    """Whether the API answered with a list of tasks: what failed then is about one task alone."""
    status_code: int | None = None
    retry_after_s: float | None = None


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
                    is_listed=True,
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
    """What becomes of batches in doubt: looked for (async) or sent again (sync), until settled or left."""

    def __init__(self, context: Context) -> None:
        self._context = context

    def begin(self, entry: InHand, *, timed_out: bool = False, is_earlier: bool = False) -> None:
        """Begin with a batch whose answer was lost; `timed_out`: it took too long; `is_earlier`: in an earlier run.

        Losses while the whole API is down do not count against the batch: patience with that is `Health`'s.
        """
        context, batch, past = self._context, entry.batch, entry.past
        past.is_earlier |= is_earlier
        past.is_too_large |= timed_out
        past.losses_alone += 1
        past.losses += context.successes > past.losses_seen
        past.losses_seen = context.successes
        if past.losses > LOST_MAX:
            self._leave(entry, "its answer was lost again and again")
        elif batch.kind == Kind.SYNC:
            self._requeue(entry, context.writer.send_again(batch, context.at()))

    def _requeue(self, entry: InHand, planned: Batch) -> None:
        """Send a batch again; in halves when its answer took too long, or was lost again while others came.

        What its value does to the API it does to halves, too: so these are cut at their first loss.
        """
        context, past = self._context, entry.past
        if past.is_too_large:
            context.sizes.timed_out(planned.kind, planned.size)
        is_at_fault = past.losses >= NARROW or past.losses_alone >= NARROW_ALONE
        if planned.size == 1 or not (past.is_too_large or is_at_fault):
            context.registry.to_front([planned])
            return
        parts = halved(context, planned)
        for part in parts:
            context.registry[part].past.losses = min(past.losses, NARROW - 1)
        context.registry.to_front(parts)

    def _leave(self, entry: InHand, words: str) -> None:
        """Leave a batch to the next run; let go of one that an earlier run had left, after the time of a task."""
        context, batch = self._context, entry.batch
        if entry.past.is_earlier:
            age_s = seconds_between(context.ledger.first_attempt_at(batch), context.clock.wall_s())
            if age_s > context.settings.task_timeout_s:
                words = f"let go of after {duration(age_s)} in doubt: {words}"
                context.writer.let_go(batch, context.at(), message=words)
                return
        context.registry.leave(batch, words)

    def dispatch(self, now_s: float) -> float:
        """Start every look that is due; return when the next one is."""
        context = self._context
        next_s = NEVER_S
        for entry in [*context.registry.of(State.IN_DOUBT)]:
            if entry.is_looking:
                continue
            doubt = entry.doubt = entry.doubt or self._doubt(entry)
            if now_s >= doubt.until_s:
                self._leave(entry, "no look settles it")
                continue
            slot_s = max(context.slot_s(now_s, context.reads.next_s(now_s), context.reads_health), doubt.next_look_s)
            if slot_s <= now_s:
                self._look(entry, doubt, now_s)
            else:
                next_s = min(next_s, slot_s)
        return next_s

    def _doubt(self, entry: InHand) -> Doubt:
        context = self._context
        until_s = entry.since_s + context.settings.settle_s + context.settings.give_up_after_s
        return Doubt(context.ledger.lost_references(entry.batch), entry.since_s, until_s)

    def _look(self, entry: InHand, doubt: Doubt, now_s: float) -> None:
        loaded = load_batch(self._context, entry.batch)
        references, constraints, scm_data = doubt.references, loaded.constraints(), loaded.scm_data()
        entry.is_looking = True
        self._context.start_read(
            lambda client: look_for_task(client, references, constraints, scm_data),
            lambda look: self._on_answer(entry, doubt, look, now_s),
            now_s,
        )

    def _on_answer(self, entry: InHand, doubt: Doubt, look: Look, looked_s: float) -> None:
        context, batch = self._context, entry.batch
        entry.is_looking = False
        if look.verdict is not Verdict.OK:
            self._on_odd(entry, doubt, look)
            return
        context.note_read(look)
        if look.task_id is not None and look.attempt_id is not None:
            context.writer.found(batch, look.attempt_id, look.task_id, context.at())
        elif look.absent and context.ledger.sent_by_others(batch, context.writer):
            # tasks are their account's: that none is seen proves nothing
            self._leave(entry, "another account may have sent it, and only that one sees its tasks")
        elif look.absent and doubt.saw_absence(looked_s, context.settings.settle_s):
            detail = f"no task with its reference in two looks, {duration(context.settings.settle_s)} apart"
            self._requeue(entry, context.writer.absent(batch, context.at(), detail=detail))
        elif not look.absent:
            self._leave(entry, look.message)  # our reference and other data: nobody here can settle that

    def _on_odd(self, entry: InHand, doubt: Doubt, look: Look) -> None:
        """Look again after a look that failed; leave a batch whose task, or reference, cannot be asked about."""
        context = self._context
        if look.is_listed:
            context.reads_health.succeeded(context.now_s())
        context.note_odd(doubt.odd, look)
        if doubt.odd.times >= ODD_MAX:
            self._leave(entry, f"its task cannot be asked about: {look.message}")
        else:
            doubt.saw_nothing(context.now_s())
