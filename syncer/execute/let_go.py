"""One look at every batch that was let go of: has it ended meanwhile, or is it gone? Then it cannot land any more.

What is seen to have ended wrote what it wrote at a time that nobody knows, perhaps over newer data: its fields are
uncertain again (`Writer.late_end`). A look that fails is not repeated: the next run looks again.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from syncer.api.classify import Verdict
from syncer.execute.batch_call import load_batch
from syncer.execute.context import NEVER_S, Context
from syncer.execute.doubt import Look, look_for_task
from syncer.execute.settling import unsettled_s
from syncer.model import Kind

if TYPE_CHECKING:
    from collections.abc import Sequence

    from syncer.api.client import TaskAnswer, TasksAnswer
    from syncer.ledger.values import Batch

LOOK_TASKS_MAX = 100
"""Tasks asked for in one call."""
ENDED = frozenset({"complete", "failed"})
"""The API's states of a task that has ended (docs/api.md, "Tasks")."""


class LetGo:
    """The batches that earlier runs let go of, and the looks at them that are still to be made."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._batches: dict[str, Batch] = {}
        self._together: list[list[str]] = []
        self._alone: list[str] = []
        self._lost: list[Batch] = []
        self._looking = 0

    def __len__(self) -> int:
        return len(self._together) + len(self._alone) + len(self._lost) + self._looking

    def add(self, batches: Sequence[Batch]) -> None:
        """Take the batches to look at. A sync call has nothing to look at: it has ended by now."""
        for batch in batches:
            if batch.task_id is not None:
                self._batches[batch.task_id] = batch
            elif batch.kind == Kind.ASYNC:
                self._lost.append(batch)
            else:
                self._end(batch, "a sync call ends within its time-out, whether or not it was processed")
        ids = [*self._batches]
        self._together = [ids[begin : begin + LOOK_TASKS_MAX] for begin in range(0, len(ids), LOOK_TASKS_MAX)]

    def dispatch(self, now_s: float) -> float:
        """Start a look when one is due; return when the next one is."""
        if len(self) == self._looking:
            return NEVER_S
        context = self._context
        slot_s = context.slot_s(now_s, context.reads.next_s(now_s), context.reads_health)
        if slot_s > now_s:
            return slot_s
        self._looking += 1
        if self._together:
            ids = self._together.pop()
            context.start_read(lambda client: client.tasks(ids), lambda answer: self._on_many(ids, answer), now_s)
        elif self._alone:
            task_id = self._alone.pop()
            context.start_read(lambda client: client.task(task_id), lambda answer: self._on_one(task_id, answer), now_s)
        else:
            self._look_for(self._lost.pop(), now_s)
        return now_s

    def _look_for(self, batch: Batch, now_s: float) -> None:
        context, loaded = self._context, load_batch(self._context, batch)
        references, constraints, data = context.ledger.lost_references(batch), loaded.constraints(), loaded.scm_data()
        context.start_read(
            lambda client: look_for_task(client, references, constraints, data),
            lambda look: self._on_look(batch, look),
            now_s,
        )

    def _on_many(self, ids: list[str], answer: TasksAnswer) -> None:
        self._looking -= 1
        self._context.note_read(answer)
        shown = {task.id: task for task in answer.tasks}
        for task_id in ids:
            if task_id not in shown:
                self._alone.append(task_id)
            elif shown[task_id].remote_state in ENDED:
                self._end(self._batches[task_id], f"task {task_id} has ended: {shown[task_id].remote_state}")

    def _on_one(self, task_id: str, answer: TaskAnswer) -> None:
        self._looking -= 1
        if answer.verdict is Verdict.OK or answer.verdict is Verdict.DENIED or answer.retry_after_s is not None:
            self._context.note_read(answer)
        if answer.not_found:
            self._end(self._batches[task_id], f"the API no longer knows task {task_id}")
        elif answer.task is not None and answer.task.remote_state in ENDED:
            self._end(self._batches[task_id], f"task {task_id} has ended: {answer.task.remote_state}")

    def _on_look(self, batch: Batch, look: Look) -> None:
        self._looking -= 1
        self._context.note_read(look)
        if look.absent:
            if self._proves_absence(batch):
                self._end(batch, "no task bears its reference")
        elif look.task_id is not None and look.remote_state in ENDED:
            self._end(batch, f"task {look.task_id} has ended: {look.remote_state}")

    def _proves_absence(self, batch: Batch) -> bool:
        """Tell whether none can come any more, and whether this account would see it (docs/design.md, "In doubt")."""
        context = self._context
        return unsettled_s(
            context.ledger.losses(batch), context.settings.settle_s, context.clock
        ) == 0 and not context.ledger.sent_by_others(batch, context.writer.account)

    def _end(self, batch: Batch, message: str) -> None:
        self._context.writer.late_end(batch, self._context.at(), message=message)
