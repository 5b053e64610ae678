"""Watching tasks: many in one call, with growing pauses, until each is complete, failed, unknown, or too late.

While updates are still being sent there is no hurry: one look every ``poll_s``. When everything is sent, looks come
quickly at first, since a small run should not wait for a round number; the pause doubles up to ``poll_s`` as long as
nothing ends.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from syncer.api.classify import Verdict
from syncer.execute.batch_call import load_batch
from syncer.execute.context import NEVER_S, Context
from syncer.execute.outcome import Outcomes
from syncer.execute.reconcile import Finding, judge_count

if TYPE_CHECKING:
    from syncer.api.client import Task, TaskAnswer, TasksAnswer
    from syncer.ledger.values import Batch

POLL_TASKS_MAX = 100
"""Tasks asked for in one call."""
POLL_FIRST_S = 0.1
"""Pause before the first look once everything is sent."""
MISSED_MAX = 2
"""Answers without a task after which it is asked for by itself."""


@dataclass(slots=True)
class Watched:
    """A submitted batch. Times are monotonic seconds."""

    batch: Batch
    until_s: float
    """When to stop waiting in this run."""
    missed: int = 0
    unknown_since_s: float | None = None
    """When the API first said that it does not know the task."""
    codes_affected: int | None = None
    """Of a complete task whose odd count waits for what is being learned about the key's reach."""


class TaskWatch:
    """The submitted batches of this run, and the schedule of looks at their tasks."""

    def __init__(self, context: Context, outcomes: Outcomes, *, all_sent: Callable[[], bool]) -> None:
        self._context = context
        self._outcomes = outcomes
        self._all_sent = all_sent
        self._watched: dict[str, Watched] = {}
        self._looking = False
        self._hurrying = False
        self._pause_s = POLL_FIRST_S
        self._last_look_s = context.now_s()

    def __len__(self) -> int:
        return len(self._watched)

    def add(self, batch: Batch, waited_s: float = 0.0) -> None:
        """Watch the task of a submitted batch, which has been waited for `waited_s` already."""
        assert batch.task_id is not None  # noqa: S101  a submitted batch has one
        remaining_s = max(0.0, self._context.settings.task_timeout_s - waited_s)
        self._watched[batch.task_id] = Watched(batch, self._context.now_s() + remaining_s)

    def dispatch(self, now_s: float) -> float:
        """Start a look when it is due; return when the next one is."""
        self._settle_odd()
        due = [task_id for task_id, watched in self._watched.items() if watched.codes_affected is None]
        if not due or self._looking:
            return NEVER_S
        context = self._context
        slot_s = max(context.slot_s(now_s, context.reads.next_s(now_s)), self._next_look_s())
        if slot_s > now_s:
            return slot_s
        self._look(due[:POLL_TASKS_MAX], now_s)
        return NEVER_S

    def _next_look_s(self) -> float:
        if not self._all_sent():
            self._hurrying = False
            return self._last_look_s + self._context.settings.poll_s
        if not self._hurrying:
            self._hurrying = True
            self._pause_s = POLL_FIRST_S
        return self._last_look_s + min(self._pause_s, self._context.settings.poll_s)

    def _look(self, due: list[str], now_s: float) -> None:
        self._looking = True
        self._last_look_s = now_s
        alone = next((task_id for task_id in due if self._watched[task_id].missed >= MISSED_MAX), None)
        if alone is None:
            self._context.start_read(
                lambda client: client.tasks(due), lambda answer: self._on_answer(due, answer), now_s
            )
        else:
            self._context.start_read(
                lambda client: client.task(alone), lambda answer: self._on_task_answer(alone, answer), now_s
            )

    def _on_answer(self, asked: list[str], answer: TasksAnswer) -> None:
        self._context.note_read(answer)
        if answer.verdict is not Verdict.OK:
            self._looked(progress=False)
            return
        answered = {task.id: task for task in answer.tasks}
        progress = False
        with self._context.writer.together():
            for task_id in asked:
                task = answered.get(task_id)
                if task is not None:
                    progress |= self._on_task(task_id, task)
                elif answer.complete:
                    self._watched[task_id].missed += 1
        self._looked(progress=progress)
        # An answer that was cut into pages says nothing of the rest, which is then asked for first.
        self._rotate(asked if answer.complete else [task_id for task_id in asked if task_id in answered])

    def _on_task_answer(self, task_id: str, answer: TaskAnswer) -> None:
        """Take the answer about a task that lists do not show: perhaps the API no longer knows it."""
        context, watched = self._context, self._watched[task_id]
        context.note_read(answer)
        progress = False
        if answer.verdict is Verdict.OK and answer.task is not None:
            watched.missed = 0
            progress = self._on_task(task_id, answer.task)
        elif answer.not_found:
            now_s = context.now_s()
            if watched.unknown_since_s is None:
                watched.unknown_since_s = now_s
            elif now_s - watched.unknown_since_s >= context.settings.settle_s:
                self._fail(task_id, f"the API no longer knows task {task_id}")
                progress = True
        self._looked(progress=progress)
        self._rotate([task_id])

    def _looked(self, *, progress: bool) -> None:
        self._looking = False
        self._pause_s = POLL_FIRST_S if progress else min(self._pause_s * 2, self._context.settings.poll_s)

    def _rotate(self, asked: list[str]) -> None:
        """Let those that were asked for wait behind the others; let go of those that were waited for long enough.

        A task that the API does not show is not let go: whether it still knows it is settled in this run, or an old
        task that it has forgotten would hold its values back for ever.
        """
        now_s = self._context.now_s()
        for task_id in asked:
            watched = self._watched.pop(task_id, None)
            if watched is None:
                continue
            if now_s < watched.until_s or watched.missed:
                self._watched[task_id] = watched
            else:
                self._outcomes.drop_probe(watched.batch)

    def _on_task(self, task_id: str, task: Task) -> bool:
        """Act on what is known of a task; return whether it ended."""
        watched = self._watched[task_id]
        watched.missed = 0
        watched.unknown_since_s = None
        if task.remote_state == "failed":
            self._fail(task_id, f"task {task_id} failed: {task.error or 'the API gave no reason'}")
            return True
        if task.remote_state != "complete" or task.codes_affected is None:
            return False
        watched.codes_affected = task.codes_affected
        self._settle(task_id, watched)
        return True

    def _fail(self, task_id: str, message: str) -> None:
        batch = self._watched.pop(task_id).batch
        self._context.writer.task_failed(batch, self._context.at(), message=message)
        self._context.tally.rejected += batch.size
        self._outcomes.drop_probe(batch)

    def _settle(self, task_id: str, watched: Watched) -> None:
        context, batch = self._context, watched.batch
        assert watched.codes_affected is not None  # noqa: S101  only complete tasks come here
        run = context.owner(batch)
        judgement = judge_count(batch.size, watched.codes_affected, unique=batch.unique, reach=context.reach(run.job))
        if judgement.finding is Finding.UNCLEAR and self._outcomes.probing:
            return
        if judgement.finding is Finding.UNPROVEN and not self._nothing_to_learn():
            return
        del self._watched[task_id]
        self._outcomes.settle(load_batch(context, batch), watched.codes_affected, judgement)

    def _nothing_to_learn(self) -> bool:
        """Tell whether no answer is to come any more that could show how many codes a value selects."""
        return self._all_sent() and not self._context.in_flight and not self._outcomes.probing

    def _settle_odd(self) -> None:
        """Judge again the counts that waited, once nothing is being learned any more."""
        for task_id, watched in list(self._watched.items()):
            if watched.codes_affected is not None and not self._outcomes.probing:
                self._settle(task_id, watched)
