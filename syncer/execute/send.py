"""Sending batches, and what their answers mean.

Order, for every batch: its values are read, SENDING is committed with a fresh reference, the call is made; the answer
is committed before anything else is done with it.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import replace
from itertools import accumulate
from typing import TYPE_CHECKING

from syncer.api.classify import Verdict
from syncer.execute.batch_call import LoadedBatch, load_batch
from syncer.execute.blame import FORBIDDEN, Blame, blame
from syncer.execute.context import NEVER_S, PREPARE_S, Context
from syncer.execute.outcome import Outcomes
from syncer.execute.pieces import by_data, cut, of_places
from syncer.execute.reconcile import Finding, Shown, halves, judge_named, named_or_counted, shown_fields, suspects
from syncer.execute.refusals import UNEXPLAINED_MAX, Refusals
from syncer.ledger.splitting import Piece
from syncer.lifecycle.batch import State
from syncer.mirror.words import fields_of
from syncer.model import UNIQUE_KEYS, Kind

if TYPE_CHECKING:
    from syncer.api.client import AsyncAnswer, SyncAnswer
    from syncer.execute.doubt import Doubts
    from syncer.ledger.values import Batch

FEED_BATCHES = 50
"""Planned batches read from the ledger at a time."""
OTHERS_MAX = 100
"""Values of a batch that one is cut off in a long stretch of values at fault."""


class Sender:
    """Sends what is planned and in hand: the parts of split batches first, then the plan's, in its order."""

    def __init__(self, context: Context, outcomes: Outcomes, doubts: Doubts) -> None:
        self._context = context
        self._outcomes = outcomes
        self._doubts = doubts
        self._refusals = Refusals(context)
        self._last_id = 0
        self._feeding = False
        """Whether the ledger may hold more to send. What goes again, or was split, comes into hand by itself."""
        self.not_before_s = 0.0

    def feed_plan(self) -> None:
        """From now on send what the ledger holds as planned for the jobs, too."""
        self._feeding, self._last_id = True, 0

    def idle(self) -> bool:
        """Tell whether there is nothing to send at this moment."""
        return self._next() is None

    def is_stuck(self) -> bool:
        """Tell whether only a call that writes nothing can show any more who is at fault for what was refused."""
        return self._refusals.is_witness_due or (self.idle() and self._refusals.is_all_aside())

    def _next(self) -> Batch | None:
        """Return the planned batch that goes next; read more of the plan when none is in hand."""
        context = self._context
        while True:
            for entry in context.registry.of(State.PLANNED):
                if not entry.is_aside:
                    return entry.batch
            if not self._feeding:
                return None
            self._feed()

    def _feed(self) -> None:
        """Take the next planned batches of the ledger in hand."""
        context = self._context
        page = context.ledger.batches(
            states=[State.PLANNED], job_ids=context.jobs, after_id=self._last_id, most=FEED_BATCHES
        )
        self._feeding, self._last_id = bool(page), page[-1].id if page else 0
        for batch in page:
            if batch not in context.registry:
                self._refusals.hold_back(context.registry.take(batch))

    def _elsewhere(self) -> tuple[Batch, int]:
        """Return a planned batch and a place in it, far from where the last single value came from.

        Each look reaches further into the plan.
        """
        if self._feeding and self._refusals.looks:
            self._feed()
        planned = [entry.batch for entry in self._context.registry.of(State.PLANNED) if not entry.is_aside]
        ends = [*accumulate(batch.size for batch in planned)]
        place = self._refusals.place(ends[-1])
        number = bisect_right(ends, place)
        return planned[number], place - ends[number] + planned[number].size

    def _single(self, batch: Batch, place: int) -> Batch:
        """Cut the value at a place off a planned batch; return the batch of it.

        In a long stretch of values at fault the others go on in small batches: each cut copies those of its batch.
        """
        context, past = self._context, self._context.registry[batch].past
        ids = [item.id for item in context.ledger.items(batch)]
        others = [other for other in range(len(ids)) if other != place]
        most = OTHERS_MAX if self._refusals.looks >= UNEXPLAINED_MAX else len(others)
        rests = (others[begin : begin + most] for begin in range(0, len(others), most))
        parts = context.writer.repack(batch, of_places(batch, ids, [[place], *rests]), context.at())
        for part in parts:
            context.registry[part].past.carried_at = past.carried_at
        context.registry.to_front(parts)
        return parts[0]

    def dispatch(self, now_s: float) -> float:
        """Start every call whose slot has come; return when the next one is due."""
        context = self._context
        if self.is_stuck():
            if context.in_flight or context.left_out:
                return NEVER_S
            if (slot_s := self._slot_s(now_s)) > now_s + PREPARE_S:
                return slot_s - PREPARE_S
            if self._refusals.ask(slot_s):
                return NEVER_S
        while (batch := self._next()) is not None:
            if self._refusals.wary and context.in_flight:
                return NEVER_S
            if (slot_s := self._slot_s(now_s)) > now_s + PREPARE_S:
                return slot_s - PREPARE_S
            is_wary = self._refusals.wary and not context.registry[batch].past.is_last_chance
            batch, place = self._elsewhere() if is_wary else (batch, 0)
            loaded = load_batch(context, batch)
            if self._cut(loaded):
                continue
            if is_wary and batch.size > 1:
                loaded = load_batch(context, self._single(batch, place))
            self._send(loaded, slot_s)
        return NEVER_S

    def _slot_s(self, now_s: float) -> float:
        limit_s = self._context.updates.next_s(now_s)
        return max(self._context.slot_s(now_s, limit_s, self._context.health), self.not_before_s)

    def _cut(self, loaded: LoadedBatch) -> bool:
        """Cut a batch of a size or kind that the API is known not to take; its parts are queued in its place."""
        context, batch = self._context, loaded.batch
        most = context.sizes.most(batch.kind, batch.size)
        if batch.kind == Kind.SYNC and not context.may_go_by_sync(loaded.run.job):
            parts = context.writer.repack(batch, by_data(loaded.items), context.at())
        elif batch.size > most:
            parts = cut(context, batch, most)
        else:
            return False
        context.registry.to_front(parts)
        return True

    def _send(self, loaded: LoadedBatch, slot_s: float) -> None:
        context, batch = self._context, loaded.batch
        context.counts.retries += batch.attempts > 0
        number = batch.attempts + 1
        reference = f"{loaded.run.job.name}-r{batch.run_id}-b{batch.id}-a{number}-{context.new_suffix()}"
        call = loaded.call(reference)
        sending, attempt_id = context.writer.start(batch, reference, context.at())
        sent = replace(loaded, batch=sending)
        ticket = context.start_update(
            call, lambda answer: self._on_answer(sent, attempt_id, ticket, answer), slot_s, batch
        )
        self._refusals.started(ticket)

    def _on_answer(self, loaded: LoadedBatch, attempt_id: int, ticket: int, answer: AsyncAnswer | SyncAnswer) -> None:
        """Record what became of a call, whatever it was."""
        context, batch = self._context, loaded.batch
        context.updates.answered(ticket, arrived_by_s=answer.arrived_by_s, took_s=answer.took_s)
        is_page = answer.page and answer.status_code == FORBIDDEN  # a firewall's, about what was sent: not our access
        if not is_page:
            context.note_update(answer)
        writer, at = context.writer, context.at()
        match answer.verdict:
            case Verdict.OK if batch.kind == Kind.ASYNC:
                self._refusals.took(ticket, loaded)
                writer.accepted(batch, attempt_id, answer.task_id, at)  # type: ignore[union-attr]
            case Verdict.OK:
                self._refusals.took(ticket, loaded)
                self._on_sync_answer(loaded, attempt_id, answer)  # type: ignore[arg-type]
            case _ if is_page or answer.verdict is Verdict.REFUSED:
                self._on_refusal(loaded, attempt_id, answer)
            case Verdict.NOT_PROCESSED | Verdict.DENIED | Verdict.MISDIRECTED:
                writer.not_processed(batch, attempt_id, at, status_code=answer.status_code, message=answer.message)
            case _:  # unknown: it may have been processed
                lost = writer.lost(
                    batch,
                    attempt_id,
                    at,
                    uptime=context.clock.uptime(),
                    status_code=answer.status_code,
                    message=answer.message,
                )
                self._doubts.begin(context.registry[lost], timed_out=answer.timed_out)

    def _on_sync_answer(self, loaded: LoadedBatch, attempt_id: int, answer: SyncAnswer) -> None:
        context, run = self._context, loaded.run
        context.sizes.answered(Kind.SYNC, loaded.batch.size)
        if loaded.key[0] not in UNIQUE_KEYS:
            context.learn_reach(run.job, replace(context.reach(run.job), sync_taken=True))
        unique = loaded.batch.unique
        sent = {item.key: fields_of(item.data) for item in loaded.items}
        named = named_or_counted(sent, answer.items or {}, answer.codes_affected, unique=unique)
        expected = None if answer.items is not None else context.expected(run, loaded.keys, unique=unique)
        judgement = judge_named(
            loaded.keys,
            answer.codes_affected,
            None if answer.items is None else named.keys(),
            unique=unique,
            expected=expected,
        )
        shown: Shown | None = Shown()
        if judgement.finding is not Finding.UNCLEAR:  # without names it says of fields what a task says: nothing
            shown = None if answer.items is None else shown_fields(sent, named)
        self._outcomes.settle(loaded, answer.codes_affected, judgement, shown, attempt_id=attempt_id)

    def _on_refusal(self, loaded: LoadedBatch, attempt_id: int, answer: AsyncAnswer | SyncAnswer) -> None:
        """Charge a refusal to whom it belongs: what is at fault is rejected, everything else goes on in other calls."""
        context, batch = self._context, loaded.batch
        is_sync, size = batch.kind == Kind.SYNC, batch.size
        column = loaded.key[0] if len(loaded.key) == 1 else ""
        job, reach = loaded.run.job, context.reach(loaded.run.job)
        fault = blame(
            answer.status_code, answer.body_text, loaded.keys,
            page=answer.page, is_sync=is_sync, column=column, is_taken=reach.sync_taken,
        )  # fmt: skip
        if fault is Blame.KEY or fault is Blame.PERHAPS_KEY:
            context.sync_refused.add(job.id)
            if fault is Blame.KEY:
                context.learn_reach(job, replace(reach, sync_refused=True, sync_taken=False))
            self._refuse(loaded, attempt_id, answer, by_data(loaded.items))
        elif fault is Blame.SIZE and size > 1:
            context.sizes.refused(batch.kind, size)
            self._refuse_places(loaded, attempt_id, answer, halves(size))
        elif fault is Blame.VALUES:
            context.health.succeeded(context.now_s())
            self._refusals.explained()
            self._refuse_named(loaded, attempt_id, answer)
        elif fault is Blame.DATA:
            context.health.succeeded(context.now_s())
            self._refusals.explained()
            self._refuse_places(loaded, attempt_id, answer, ())
        elif (parts := self._refusals.parts(batch, answer)) is not None:
            self._refuse_places(loaded, attempt_id, answer, parts)
        else:
            at = context.at()
            planned = context.writer.not_processed(
                batch, attempt_id, at, status_code=answer.status_code, message=answer.message
            )
            context.registry[planned].is_aside = True

    def _refuse_named(self, loaded: LoadedBatch, attempt_id: int, answer: AsyncAnswer | SyncAnswer) -> None:
        """Let the values that the words name go on apart from the others; one that is alone is at fault.

        In halves where they name all, or named good ones before: each call could name another good one.
        """
        size = loaded.batch.size
        parts = None if self._refusals.misnamed else suspects(loaded.keys, answer.body_text)
        if parts is not None:
            named, _ = self._refuse_places(loaded, attempt_id, answer, parts)
            self._context.registry[named].past.is_named = True
        else:
            self._refuse_places(loaded, attempt_id, answer, halves(size) if size > 1 else ())

    def _refuse_places(
        self,
        loaded: LoadedBatch,
        attempt_id: int,
        answer: AsyncAnswer | SyncAnswer,
        parts: Sequence[Sequence[int]],
    ) -> list[Batch]:
        pieces = of_places(loaded.batch, [item.id for item in loaded.items], parts)
        return self._refuse(loaded, attempt_id, answer, pieces)

    def _refuse(
        self, loaded: LoadedBatch, attempt_id: int, answer: AsyncAnswer | SyncAnswer, pieces: Sequence[Piece]
    ) -> list[Batch]:
        """Record a refusal: of all values for good, or of this call; return the batches of `pieces`, which go on."""
        context, batch = self._context, loaded.batch
        past = context.registry[batch].past
        if not pieces:
            context.tally.rejected += batch.size
        _, children = context.writer.refused(
            batch, attempt_id, context.at(), status_code=answer.status_code, message=answer.message, pieces=pieces
        )
        self._refusals.carried(past, children)
        context.registry.to_front(children)
        return children
