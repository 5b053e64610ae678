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
from syncer.model import Kind

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
    since_s: float
    """The last moment at which a request for it can have been on its way."""
    next_look_s: float
    first_absent_s: float | None = None
    looking: bool = False

    def saw_absence(self, looked_s: float, now_s: float, settle_s: float) -> bool:
        """Take note of a look, begun at `looked_s`, that found nothing; tell whether that settles it."""
        if looked_s < self.since_s:
            self.next_look_s = now_s
            return False
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
                return Look(Verdict.OK, calls, "", task_id=task.id, attempt_id=attempt_id)
            return Look(Verdict.OK, calls, f"task {task.id} bears the reference {reference} but other details")
    return Look(Verdict.OK, calls, "", absent=True)


class Doubts:
    """The batches in doubt: looked for (async) or sent again (sync), until settled or left for the next run."""

    def __init__(
        self, context: Context, *, on_found: Callable[[Batch], None], on_again: Callable[[Batch], None]
    ) -> None:
        self._context = context
        self._on_found = on_found
        self._on_again = on_again
        self._doubts: dict[int, Doubt] = {}
        self._lost: dict[int, int] = {}

    def __len__(self) -> int:
        return len(self._doubts)

    def add(self, batch: Batch, since_s: float) -> None:
        """Take a batch whose answer was lost; ``since_s`` is the last moment at which its request can have been out."""
        self._lost[batch.id] = self._lost.get(batch.id, 0) + 1
        if self._lost[batch.id] > LOST_MAX:
            return
        if batch.kind == Kind.SYNC:
            self._on_again(self._context.writer.send_again(batch, self._context.at()))
            return
        references = self._context.ledger.lost_references(batch)
        self._doubts[batch.id] = Doubt(batch, references, since_s, self._context.now_s())

    def dispatch(self, now_s: float) -> float:
        """Start every look that is due; return when the next one is."""
        context = self._context
        next_s = NEVER_S
        for doubt in self._doubts.values():
            if doubt.looking:
                continue
            slot_s = max(context.slot_s(now_s, context.reads.next_s(now_s)), doubt.next_look_s)
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
        elif look.absent and doubt.saw_absence(looked_s, now_s, context.settings.settle_s):
            del self._doubts[doubt.batch.id]
            detail = f"no task with its reference in two looks, {context.settings.settle_s:g} s apart"
            self._on_again(context.writer.absent(doubt.batch, context.at(), detail=detail))
        elif not look.absent and look.verdict is Verdict.OK:
            del self._doubts[doubt.batch.id]  # a task with our reference and other data: nobody here can settle that
        elif not look.absent:
            doubt.saw_nothing(now_s)
