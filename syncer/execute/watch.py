"""Watching tasks: many in one call, with growing pauses, until each is complete, failed, unknown, or too late.

While updates are still being sent there is no hurry: one look every ``poll_s``. When everything is sent, looks come
quickly at first, since a small run should not wait for a round number; the pause doubles up to ``poll_s`` as long as
nothing ends.

What always holds: no answer about one task keeps the others from being looked at; every task is looked at before it is
left; what is left is pending for the next run, and let go of by a later run once ``task_timeout_s`` are over.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from syncer.api.classify import Verdict
from syncer.execute.batch_call import load_batch
from syncer.execute.context import NEVER_S, Context
from syncer.execute.outcome import Outcomes
from syncer.execute.reconcile import judge_count

if TYPE_CHECKING:
    from syncer.api.client import Task, TaskAnswer, TasksAnswer
    from syncer.ledger.values import Batch

POLL_TASKS_MAX = 100
"""Tasks asked for in one call."""
POLL_FIRST_S = 0.1
"""Pause before the first look once everything is sent."""
MISSED_MAX = 2
"""Answers without a task after which it is asked for by itself."""
ODD_MAX = 5
"""Answers about a task alone that say nothing of it, while others are answered, after which it is left."""


@dataclass(slots=True)
class Watched:
    """A submitted batch. Times are monotonic seconds."""

    batch: Batch
    until_s: float
    """When to stop waiting in this run."""
    is_earlier: bool
    """Whether an earlier run submitted it: when its time is over, it is let go of."""
    looked: bool = False
    missed: int = 0
    odd: int = 0
    odd_at: int = -1
    """How many reads had succeeded at the last odd answer: the API was at work since when there are more."""
    said: str = "is still at work"
    unknown_since_s: float | None = None
    """When the API first said that it does not know the task."""
    uncounted_since_s: float | None = None
    """When it was first seen complete without a count."""


class TaskWatch:
    """The submitted batches of this run, and the schedule of looks at their tasks."""

    def __init__(self, context: Context, outcomes: Outcomes, *, all_sent: Callable[[], bool]) -> None:
        self._context = context
        self._outcomes = outcomes
        self._all_sent = all_sent
        self._watched: dict[str, Watched] = {}
        self._looking = False
        self._hurrying = False
        self._together = True
        """Whether the API answers for many tasks at once; else each is asked for by its own address."""
        self._alone_last = False
        self._pause_s = POLL_FIRST_S
        self._last_look_s = context.now_s()

    def __len__(self) -> int:
        return len(self._watched)

    def add(self, batch: Batch, waited_s: float | None = None) -> None:
        """Watch the task of a submitted batch; an earlier run has waited for it for `waited_s` (None: it is new)."""
        assert batch.task_id is not None  # noqa: S101  a submitted batch has one
        remaining_s = max(0.0, self._context.settings.task_timeout_s - (waited_s or 0.0))
        until_s = self._context.now_s() + remaining_s
        self._watched[batch.task_id] = Watched(batch, until_s, is_earlier=waited_s is not None)

    def dispatch(self, now_s: float) -> float:
        """Start a look when it is due; return when the next one is."""
        if not self._watched or self._looking:
            return NEVER_S
        context = self._context
        limit_s = context.reads.next_s(now_s)
        slot_s = max(context.slot_s(now_s, limit_s, context.reads_health), self._next_look_s())
        if slot_s > now_s:
            return slot_s
        self._look(now_s)
        return NEVER_S

    def _next_look_s(self) -> float:
        if not self._all_sent():
            self._hurrying = False
            return self._last_look_s + self._context.settings.poll_s
        if not self._hurrying:
            self._hurrying = True
            self._pause_s = POLL_FIRST_S
        return self._last_look_s + min(self._pause_s, self._context.settings.poll_s)

    def _look(self, now_s: float) -> None:
        """Ask for many; every other time, when some task is not shown that way, for that one."""
        self._looking = True
        self._last_look_s = now_s
        asked = [*self._watched][:POLL_TASKS_MAX]
        missed = (task_id for task_id, watched in self._watched.items() if watched.missed >= MISSED_MAX)
        alone = next(missed, None) if self._together else asked[0]
        self._alone_last = alone is not None and not (self._together and self._alone_last)
        if alone is None or not self._alone_last:
            self._context.start_read(
                lambda client: client.tasks(asked), lambda answer: self._on_answer(asked, answer), now_s
            )
        else:
            self._context.start_read(
                lambda client: client.task(alone), lambda answer: self._on_task_answer(alone, answer), now_s
            )

    def _on_answer(self, asked: list[str], answer: TasksAnswer) -> None:
        self._context.note_read(answer)
        if answer.verdict is Verdict.REFUSED:  # it does not take this question: its shape is a guess
            self._together = False
        if answer.verdict is not Verdict.OK:
            self._looked(progress=False)
            return
        answered = {task.id: task for task in answer.tasks}
        shown = [task_id for task_id in asked if task_id in answered]
        whole = answer.complete or not shown  # cut into pages, it says nothing of the rest, which then goes first
        progress = False
        with self._context.writer.together():
            for task_id in asked:
                task = answered.get(task_id)
                if task is not None:
                    progress |= self._on_task(task_id, task)
                elif whole:
                    self._watched[task_id].missed += 1
        self._rotate(asked if whole else shown)
        self._looked(progress=progress)

    def _on_task_answer(self, task_id: str, answer: TaskAnswer) -> None:
        """Take the answer about one task: perhaps the API no longer knows it, or only its own address is odd."""
        context, watched = self._context, self._watched[task_id]
        odd = answer.verdict is not Verdict.OK and not _stops(answer)
        if odd and context.reads_health.successes > watched.odd_at:  # others are answered: it is this task alone
            watched.odd += 1
            watched.odd_at = context.reads_health.successes
            watched.said = f"cannot be asked about: {answer.message}"
            context.counts.reads += answer.calls
        else:
            context.note_read(answer)
        progress = False
        watched.looked = True
        if answer.verdict is Verdict.OK and answer.task is not None:
            progress = self._on_task(task_id, answer.task)
        elif answer.not_found:
            now_s = context.now_s()
            if watched.unknown_since_s is None:
                watched.unknown_since_s = now_s
            elif now_s - watched.unknown_since_s >= context.settings.settle_s:
                self._fail(task_id, f"the API no longer knows task {task_id}")
                progress = True
        self._rotate([task_id])
        self._looked(progress=progress)

    def _looked(self, *, progress: bool) -> None:
        self._looking = False
        self._pause_s = POLL_FIRST_S if progress else min(self._pause_s * 2, self._context.settings.poll_s)
        now_s, settle_s = self._context.now_s(), self._context.settings.settle_s
        for task_id, watched in list(self._watched.items()):
            until_s = watched.until_s
            if watched.unknown_since_s is not None:  # whether it is still known is settled in this run
                until_s = max(until_s, watched.unknown_since_s + 2 * settle_s)
            if watched.looked and (now_s >= until_s or watched.odd >= ODD_MAX):
                self._leave(task_id, watched)

    def _leave(self, task_id: str, watched: Watched) -> None:
        """Leave a task to the next run; or let go of it, when its time was over and an earlier run had waited, too."""
        del self._watched[task_id]
        context = self._context
        if watched.is_earlier and context.now_s() >= watched.until_s:
            message = f"let go of: task {task_id} {watched.said}, longer than api.task_timeout_s"
            context.writer.let_go(watched.batch, context.at(), message=message)

    def _rotate(self, asked: list[str]) -> None:
        """Let those that were asked for wait behind the others."""
        for task_id in asked:
            watched = self._watched.pop(task_id, None)
            if watched is not None:
                self._watched[task_id] = watched

    def _on_task(self, task_id: str, task: Task) -> bool:
        """Act on what is known of a task; return whether it ended."""
        watched = self._watched[task_id]
        watched.looked, watched.missed, watched.unknown_since_s = True, 0, None
        if task.remote_state == "failed":
            self._fail(task_id, f"task {task_id} failed: {task.error or 'the API gave no reason'}")
            return True
        if task.remote_state != "complete":
            watched.said = f"is {task.remote_state!r}"
            return False
        now_s = self._context.now_s()
        if task.codes_affected is None:  # the count may come a moment later
            watched.said = "is complete, and names no count"
            watched.uncounted_since_s = watched.uncounted_since_s or now_s
            if now_s - watched.uncounted_since_s < self._context.settings.settle_s:
                return False
        del self._watched[task_id]
        loaded = load_batch(self._context, watched.batch)
        size, unique = watched.batch.size, watched.batch.unique
        expected = self._context.expected(loaded.run, loaded.keys, unique=unique)
        judgement = judge_count(size, task.codes_affected, unique=unique, expected=expected)
        self._outcomes.settle(loaded, task.codes_affected, judgement)
        return True

    def _fail(self, task_id: str, message: str) -> None:
        batch = self._watched.pop(task_id).batch
        self._context.writer.task_failed(batch, self._context.at(), message=message)
        self._context.tally.rejected += batch.size


def _stops(answer: TaskAnswer) -> bool:
    """Tell whether an answer is about more than its task: access, or throttling."""
    return answer.verdict is Verdict.DENIED or answer.retry_after_s is not None
