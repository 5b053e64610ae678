"""Watching tasks: many in one call, with growing pauses, until each is complete, failed, unknown, or too late.

While updates are still being sent there is no hurry: one look every ``poll_s``. When everything is sent, looks come
quickly at first, since a small run should not wait for a round number; the pause doubles up to ``poll_s`` as long as
nothing ends.

What always holds: no answer about one task keeps the others from being looked at; every task is looked at before it is
left; what is left is pending for the next run, and let go of by a later run once ``task_timeout_s`` are over.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from itertools import islice
from typing import TYPE_CHECKING

from syncer.api.classify import Verdict
from syncer.execute.batch_call import load_batch
from syncer.execute.context import NEVER_S, Context
from syncer.execute.outcome import Outcomes
from syncer.execute.reconcile import judge_count
from syncer.execute.registry import ODD_MAX, Odd
from syncer.lifecycle.batch import State

if TYPE_CHECKING:
    from syncer.api.client import Task, TaskAnswer, TasksAnswer
    from syncer.execute.registry import InHand

POLL_TASKS_MAX = 100
"""Tasks asked for in one call."""
POLL_FIRST_S = 0.1
"""Pause before the first look once everything is sent."""
MISSED_MAX = 2
"""Answers without a task after which it is asked for by itself."""
TOGETHER_MAX = 2
"""Odd answers about many tasks after which each is asked for by its own address."""


class TaskWatch:
    """The schedule of looks at the tasks of submitted batches."""

    def __init__(self, context: Context, outcomes: Outcomes, *, all_sent: Callable[[], bool]) -> None:
        self._context = context
        self._outcomes = outcomes
        self._all_sent = all_sent
        self._looking = False
        self._hurrying = False
        self._together = True
        """Whether the API answers for many tasks at once; else each is asked for by its own address."""
        self._odd = Odd()
        """Its answers about many that say nothing of them, since the last that did."""
        self._failed = False
        """Whether the last look at many failed: then one alone shows whose fault that is."""
        self._alone_last = False
        self._pause_s = POLL_FIRST_S
        self._last_look_s = context.now_s()

    def dispatch(self, now_s: float) -> float:
        """Start a look when it is due; return when the next one is."""
        if self._looking or not self._context.registry.of(State.SUBMITTED):
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
        """Ask for many; every other time, when that failed or does not show some task, for one."""
        self._looking = True
        self._last_look_s = now_s
        watched = self._context.registry.of(State.SUBMITTED)
        asked = [*islice(watched, POLL_TASKS_MAX)]
        missed = (entry for entry in watched if entry.watched.missed >= MISSED_MAX)
        alone = asked[0] if self._failed else next(missed, None)
        if self._together and self._alone_last:
            alone = None
        self._alone_last = alone is not None
        if alone is None:
            ids = [_task_id(entry) for entry in asked]
            self._context.start_read(
                lambda client: client.tasks(ids), lambda answer: self._on_answer(asked, answer), now_s
            )
        else:
            task_id = _task_id(alone)
            self._context.start_read(
                lambda client: client.task(task_id), lambda answer: self._on_task_answer(alone, answer), now_s
            )

    def _on_answer(self, asked: list[InHand], answer: TasksAnswer) -> None:
        self._failed = answer.verdict is not Verdict.OK
        if self._failed:  # perhaps it does not take this question: its shape is a guess
            self._context.note_odd(self._odd, answer)
            self._together = answer.verdict is not Verdict.REFUSED and self._odd.times < TOGETHER_MAX
            self._looked(progress=False)
            return
        self._context.note_read(answer)
        self._odd.times = 0
        answered = {task.id: task for task in answer.tasks}
        shown = [entry for entry in asked if entry.batch.task_id in answered]
        whole = answer.complete or not shown  # cut into pages, it says nothing of the rest, which then goes first
        progress = False
        with self._context.writer.together():
            for entry in asked:
                task = answered.get(_task_id(entry))
                if task is not None:
                    progress |= self._on_task(entry, task)
                elif whole:
                    entry.watched.missed += 1
        self._to_back(asked if whole else shown)
        self._looked(progress=progress)

    def _on_task_answer(self, entry: InHand, answer: TaskAnswer) -> None:
        """Take the answer about one task: perhaps the API no longer knows it, or only its own address is odd."""
        context, watched = self._context, entry.watched
        if answer.verdict is Verdict.OK:
            context.note_read(answer)
            watched.looked = True
        elif context.note_odd(watched.odd, answer):
            watched.looked, watched.said = True, f"cannot be asked about: {answer.message}"
        progress = False
        if answer.verdict is Verdict.OK and answer.task is not None:
            progress = self._on_task(entry, answer.task)
        elif answer.not_found and context.ledger.sent_by_others(entry.batch, context.writer):
            # That it is not shown proves nothing: it may be running, and is not waited for in vain.
            watched.odd.times, watched.said = ODD_MAX, "may be another account's, and only that one sees its tasks"
        elif answer.not_found:
            now_s = context.now_s()
            if watched.unknown_since_s is None:
                watched.unknown_since_s = now_s
            elif now_s - watched.unknown_since_s >= context.settings.settle_s:
                self._fail(entry, f"the API no longer knows task {entry.batch.task_id}")
                progress = True
        self._to_back([entry])
        self._looked(progress=progress)

    def _to_back(self, entries: Iterable[InHand]) -> None:
        self._context.registry.to_back(entry.batch for entry in entries)

    def _looked(self, *, progress: bool) -> None:
        context = self._context
        self._looking = False
        self._pause_s = POLL_FIRST_S if progress else min(self._pause_s * 2, context.settings.poll_s)
        now_s, settle_s = context.now_s(), context.settings.settle_s
        for entry in [*context.registry.of(State.SUBMITTED)]:
            watched, over_s = entry.watched, self._over_s(entry)
            until_s = over_s
            if watched.unknown_since_s is not None:  # whether it is still known is settled in this run
                until_s = max(until_s, watched.unknown_since_s + 2 * settle_s)
            if not watched.looked or (now_s < until_s and watched.odd.times < ODD_MAX):
                continue
            if watched.waited_s is not None and now_s >= over_s:  # an earlier run had waited for it, too
                message = f"let go of: task {entry.batch.task_id} {watched.said}, longer than api.task_timeout_s"
                context.writer.let_go(entry.batch, context.at(), message=message)
            else:
                context.registry.leave(entry.batch, f"its task {watched.said}")

    def _over_s(self, entry: InHand) -> float:
        """Return when the time of a task is over."""
        return entry.since_s + max(0.0, self._context.settings.task_timeout_s - (entry.watched.waited_s or 0.0))

    def _on_task(self, entry: InHand, task: Task) -> bool:
        """Act on what is known of a task; return whether it ended."""
        watched, batch = entry.watched, entry.batch
        watched.looked, watched.missed, watched.unknown_since_s = True, 0, None
        if task.remote_state == "failed":
            self._fail(entry, f"task {task.id} failed: {task.error or 'the API gave no reason'}")
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
        loaded = load_batch(self._context, batch)
        expected = self._context.expected(loaded.run, loaded.keys, unique=batch.unique)
        judgement = judge_count(batch.size, task.codes_affected, unique=batch.unique, expected=expected)
        self._outcomes.settle(loaded, task.codes_affected, judgement)
        return True

    def _fail(self, entry: InHand, message: str) -> None:
        self._context.writer.task_failed(entry.batch, self._context.at(), message=message)
        self._context.tally.rejected += entry.batch.size


def _task_id(entry: InHand) -> str:
    assert entry.batch.task_id is not None  # noqa: S101  a submitted batch has one
    return entry.batch.task_id
