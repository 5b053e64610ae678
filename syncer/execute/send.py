"""Sending batches, and what their answers mean.

Order, for every batch: its values are read, SENDING is committed with a fresh reference, the call is made; the answer
is committed before anything else is done with it.
"""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

from syncer.api.classify import Verdict
from syncer.execute.batch_call import LoadedBatch, load_batch
from syncer.execute.context import NEVER_S, PREPARE_S, Context
from syncer.execute.outcome import Outcomes
from syncer.execute.reconcile import Finding, judge_named, suspects
from syncer.ledger.writer import Piece
from syncer.lifecycle.batch import State
from syncer.model import Kind

if TYPE_CHECKING:
    from syncer.api.client import AsyncAnswer, SyncAnswer
    from syncer.ledger.values import Batch

FEED_BATCHES = 50
"""Planned batches read from the ledger at a time."""


class Sender:
    """The queue of batches to send: those that have to go again first, then the plan's, in its order."""

    def __init__(
        self,
        context: Context,
        outcomes: Outcomes,
        *,
        on_submitted: Callable[[Batch], None],
        on_lost: Callable[[Batch, float], None],
    ) -> None:
        self._context = context
        self._outcomes = outcomes
        self._on_submitted = on_submitted
        self._on_lost = on_lost
        self._again: dict[int, Batch] = {}
        self._page: deque[Batch] = deque()
        self._last_id = 0
        self._feeding = False
        self._fed = False
        """Whether the ledger holds nothing more to send; what is to go again, or was split, comes through `again`."""
        self.not_before_s = 0.0

    def feed_plan(self) -> None:
        """From now on send what the ledger holds as planned for the jobs, too."""
        self._feeding = True

    def again(self, batch: Batch) -> None:
        """Queue a batch that is PLANNED: one that goes once more, or a part of one that was split."""
        self._again[batch.id] = batch

    def idle(self) -> bool:
        """Tell whether there is nothing to send at this moment."""
        return not self._again and not self._page and not self._fill_page()

    def _fill_page(self) -> bool:
        if self._feeding and not self._page and not self._fed:
            found = self._context.ledger.batches(
                states=[State.PLANNED], job_ids=self._context.jobs, after_id=self._last_id, most=FEED_BATCHES
            )
            if found:
                self._last_id = found[-1].id
            self._fed = not found
            self._page.extend(batch for batch in found if batch.id not in self._again)
        return bool(self._page)

    def dispatch(self, now_s: float) -> float:
        """Start every call whose slot has come; return when the next one is due."""
        context = self._context
        while not self.idle():
            slot_s = max(context.slot_s(now_s, context.updates.next_s(now_s)), self.not_before_s)
            if slot_s > now_s + PREPARE_S:
                return slot_s - PREPARE_S
            batch = self._again.pop(next(iter(self._again))) if self._again else self._page.popleft()
            self._send(load_batch(context, batch), slot_s)
        return NEVER_S

    def _send(self, loaded: LoadedBatch, slot_s: float) -> None:
        context, batch = self._context, loaded.batch
        context.counts.retries += batch.attempts > 0
        number = batch.attempts + 1
        reference = f"{loaded.run.job.name}-r{batch.run_id}-b{batch.id}-a{number}-{context.new_suffix()}"
        call = loaded.call(reference)
        sending, attempt_id = context.writer.start(batch, reference, context.at())
        sent = replace(loaded, batch=sending)
        ticket = context.start_update(call, lambda answer: self._on_answer(sent, attempt_id, ticket, answer), slot_s)

    def _on_answer(self, loaded: LoadedBatch, attempt_id: int, ticket: int, answer: AsyncAnswer | SyncAnswer) -> None:
        """Record what became of a call, whatever it was."""
        context, batch = self._context, loaded.batch
        context.updates.answered(ticket, arrived_by_s=answer.arrived_by_s, took_s=answer.took_s)
        context.note_update(answer)
        writer, at = context.writer, context.at()
        match answer.verdict:
            case Verdict.OK if batch.kind == Kind.ASYNC:
                self._on_submitted(writer.accepted(batch, attempt_id, answer.task_id, at))  # type: ignore[union-attr]
            case Verdict.OK:
                self._on_sync_answer(loaded, attempt_id, answer)  # type: ignore[arg-type]
            case Verdict.REFUSED:
                self._on_refusal(loaded, attempt_id, answer)
            case Verdict.NOT_PROCESSED | Verdict.DENIED | Verdict.MISDIRECTED:
                self.again(
                    writer.not_processed(batch, attempt_id, at, status_code=answer.status_code, message=answer.message)
                )
            case _:  # unknown: it may have been processed
                lost = writer.lost(
                    batch,
                    attempt_id,
                    at,
                    uptime=context.clock.uptime(),
                    status_code=answer.status_code,
                    message=answer.message,
                )
                self._on_lost(lost, answer.answered_s)

    def _on_sync_answer(self, loaded: LoadedBatch, attempt_id: int, answer: SyncAnswer) -> None:
        named = answer.items or {}
        judgement = judge_named(
            loaded.keys,
            answer.codes_affected,
            None if answer.items is None else named.keys(),
            unique=loaded.batch.unique,
            reach=self._context.reach(loaded.run.job),
        )
        if judgement.finding is not Finding.UNCLEAR:
            self._context.evidence = self._context.evidence.with_answer(
                {item.key: json.loads(item.data).keys() for item in loaded.items},
                {key: frozenset(fields) for key, fields in named.items()},
            )
        self._outcomes.settle(loaded, answer.codes_affected, judgement, attempt_id=attempt_id)

    def _on_refusal(self, loaded: LoadedBatch, attempt_id: int, answer: AsyncAnswer | SyncAnswer) -> None:
        """A refused sync batch is narrowed to the defective items; an async one is refused for all its values."""
        context, batch = self._context, loaded.batch
        pieces: list[Piece] = []
        if batch.kind == Kind.SYNC and batch.size > 1:
            ids = [item.id for item in loaded.items]
            pieces = [
                Piece(Kind.SYNC, tuple(ids[place] for place in part))
                for part in suspects(loaded.keys, answer.message + answer.body_text)
            ]
        else:
            context.tally.rejected += batch.size
            self._outcomes.drop_probe(batch)
        _, children = context.writer.refused(
            batch, attempt_id, context.at(), status_code=answer.status_code, message=answer.message, pieces=pieces
        )
        self._outcomes.go_on(children)
