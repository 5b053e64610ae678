"""One look at every batch that was let go of: has it ended meanwhile, or is it gone? Then it cannot land any more.

What is seen to have ended wrote what it wrote at a time that nobody knows, perhaps over newer data: its fields are
uncertain again (`Writer.late_end`). A look that fails is not repeated: the next run looks again.
"""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING

from syncer.api.classify import Verdict
from syncer.execute.batch_call import load_batch
from syncer.execute.context import NEVER_S, Context, is_about_every_call
from syncer.execute.doubt import Look, look_for_task
from syncer.execute.settling import unsettled_s
from syncer.lifecycle.batch import State
from syncer.model import Kind

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from syncer.api.client import TaskAnswer, TasksAnswer
    from syncer.execute.context import AnswerLike
    from syncer.execute.registry import InHand
    from syncer.ledger.values import Batch

LOOK_TASKS_MAX = 100
"""Tasks asked for in one call."""
ENDED = frozenset({"complete", "failed"})
"""The API's states of a task that has ended (docs/api.md, "Tasks")."""


class LetGo:
    """The one look at each batch that earlier runs let go of."""

    def __init__(self, context: Context) -> None:
        self._context = context

    def take_up(self, batches: Sequence[Batch]) -> None:
        """Take the batches to look at. A sync call has nothing to look at: it has ended by now."""
        for batch in batches:
            entry = self._context.registry.take(batch)
            if batch.kind != Kind.ASYNC and batch.task_id is None:
                self._end(entry, "a sync call ends within its time-out, whether or not it was processed")

    def dispatch(self, now_s: float) -> float:
        """Start a look when one is due; return when the next one is."""
        context = self._context
        if context.let_go_health.given_up(now_s):
            self._leave_all()
        waiting = [entry for entry in context.registry.of(State.ABANDONED) if not entry.is_looking]
        if not waiting:
            return NEVER_S
        slot_s = context.slot_s(now_s, context.reads.next_s(now_s), context.reads_health)
        if slot_s > now_s:
            return slot_s
        by_task = {entry.batch.task_id: entry for entry in waiting if entry.batch.task_id is not None}
        many = {task_id: entry for task_id, entry in by_task.items() if not entry.watched.missed}
        if many:
            self._ask_for_many(dict(islice(many.items(), LOOK_TASKS_MAX)), now_s)
        elif by_task:
            self._ask_for_one(*next(iter(by_task.items())), now_s)
        else:
            self._look_for(waiting[0], now_s)
        return now_s

    def _ask_for_many(self, asked: Mapping[str, InHand], now_s: float) -> None:
        ids = [*asked]
        for entry in asked.values():
            entry.is_looking = True
        self._context.start_read(lambda client: client.tasks(ids), lambda answer: self._on_many(asked, answer), now_s)

    def _ask_for_one(self, task_id: str, entry: InHand, now_s: float) -> None:
        entry.is_looking = True
        self._context.start_read(lambda client: client.task(task_id), lambda answer: self._on_one(entry, answer), now_s)

    def _look_for(self, entry: InHand, now_s: float) -> None:
        context, loaded = self._context, load_batch(self._context, entry.batch)
        references = context.ledger.lost_references(entry.batch)
        constraints, data = loaded.constraints(), loaded.scm_data()
        entry.is_looking = True
        context.start_read(
            lambda client: look_for_task(client, references, constraints, data),
            lambda look: self._on_look(entry, look),
            now_s,
        )

    def _on_many(self, asked: Mapping[str, InHand], answer: TasksAnswer) -> None:
        self._note(answer)
        shown = {task.id: task for task in answer.tasks}
        for task_id, entry in asked.items():
            entry.is_looking = False
            if task_id in shown:
                self._on_state(entry, task_id, shown[task_id].remote_state)
            elif answer.verdict is Verdict.OK and self._is_anothers(entry.batch):
                self._on_state(entry, None, "")  # that it is not shown proves nothing
            else:
                entry.watched.missed += 1

    def _on_one(self, entry: InHand, answer: TaskAnswer) -> None:
        task_id = entry.batch.task_id
        self._note(answer)
        if answer.not_found and not self._is_anothers(entry.batch):
            self._end(entry, f"the API no longer knows task {task_id}")
        else:
            self._on_state(entry, task_id, answer.task.remote_state if answer.task is not None else "")

    def _on_look(self, entry: InHand, look: Look) -> None:
        self._note(look)
        if look.absent and self._proves_absence(entry.batch):
            self._end(entry, "no task bears its reference")
        else:
            self._on_state(entry, look.task_id, look.remote_state)

    def _note(self, answer: AnswerLike) -> None:
        """Take note of an answer: one that fails is about what was let go of, and stops nothing but these looks."""
        if answer.verdict is Verdict.OK or is_about_every_call(answer):
            self._context.let_go_health.succeeded()
            self._context.note_read(answer)
        else:
            self._context.let_go_health.failed(self._context.now_s(), answer.message)
            self._context.count_read(answer)

    def _leave_all(self) -> None:
        """Leave to the next run what was not looked at while all looks failed for too long."""
        for entry in [*self._context.registry.of(State.ABANDONED)]:
            self._on_state(entry, None, "")

    def _on_state(self, entry: InHand, task_id: str | None, remote_state: str) -> None:
        """End what has ended; leave all else to the next run."""
        if task_id is not None and remote_state in ENDED:
            self._end(entry, f"task {task_id} has ended: {remote_state}")
        else:
            self._context.registry.leave(entry.batch, "it was let go of, and is not seen to have ended")

    def _proves_absence(self, batch: Batch) -> bool:
        """Tell whether none can come any more, and whether this account would see it (docs/design.md, "In doubt")."""
        context = self._context
        unsettled = unsettled_s(context.ledger.losses(batch), context.settings.settle_s, context.clock)
        return unsettled == 0 and not self._is_anothers(batch)

    def _is_anothers(self, batch: Batch) -> bool:
        """Tell whether another account made the call: only that one sees its tasks."""
        return self._context.ledger.sent_by_others(batch, self._context.writer)

    def _end(self, entry: InHand, message: str) -> None:
        self._context.writer.late_end(entry.batch, self._context.at(), message=message)
