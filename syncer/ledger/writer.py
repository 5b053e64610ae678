"""The one writer of what happens to batches: each method is one event, one transaction, one durable commit.

Write order, which the promises rest on: `start` commits before the request leaves; `accepted` or `found` commits the
task id before anybody polls; whatever ends a call commits its outcome together with what it means for the mirror
(design.md, rule 2: confirmed, absent, or uncertain). Every method is a compare-and-set (see transitions.py): called
twice, the second call raises and changes nothing.
"""

from __future__ import annotations

import json
from contextlib import contextmanager
from typing import TYPE_CHECKING

from sqlalchemy import bindparam, insert, update

from syncer.ledger import identity, mirror, proofs, seals
from syncer.ledger import schema as t
from syncer.ledger.database import transaction
from syncer.ledger.mirror import MirrorStep
from syncer.ledger.outlived import By, outlive_late_end, outlived
from syncer.ledger.reads import batch as read_batch
from syncer.ledger.splitting import Piece, split
from syncer.ledger.transitions import change_state, end_values
from syncer.ledger.values import CallEnd
from syncer.ledger.wishes import LEFT_OUT, OVERWRITTEN, wish_items, wish_what_is_known
from syncer.lifecycle.batch import Bucket, Event
from syncer.model import Kind

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Mapping, Sequence

    from sqlalchemy import Connection

    from syncer.ledger.apart import Disjoint
    from syncer.ledger.crossing import Span
    from syncer.ledger.values import Batch, SeenFields
    from syncer.process.clock import Uptime

# Statements are made once: making one costs more than running it.
_START = insert(t.attempts).returning(t.attempts.c.id)
_END_ATTEMPT = (
    update(t.attempts)
    .where(t.attempts.c.id == bindparam("attempt_id"), t.attempts.c.verdict.is_(None))
    .values({name: bindparam(f"new_{name}") for name in ("verdict", "ended_at", "status_code", "message")})
)
_LOST_AT = (
    update(t.attempts)
    .where(t.attempts.c.id == bindparam("attempt_id"))
    .values(lost_boot=bindparam("boot"), lost_uptime_s=bindparam("seconds"))
)
_END_RUN = (
    update(t.runs)
    .where(t.runs.c.id == bindparam("run_id"))
    .values(
        {name: bindparam(f"new_{name}") for name in ("state", "ended_at", "exit_code", "error", "discarded_fields")}
    )
)


class Writer:
    """Records what happens to the batches that one run drives. ``at`` is always UTC text (`clock.utc_text`)."""

    def __init__(self, connection: Connection, run_id: int, disjoint: Disjoint | None = None) -> None:
        self._connection = connection
        self._disjoint = disjoint or {}
        self._run_id = run_id
        self.on_change: Callable[[Batch], None] = lambda batch: None
        """Is told of every state that is recorded, as the batch stands then."""
        self.account: str | None = None  # whose token makes the calls; None: not known yet
        self.sees_unsigned = True  # the tasks of calls that do not say who made them; False: nobody knows that
        self._steps: dict[MirrorStep, list[Span]] = {step: [] for step in MirrorStep}
        self._refused: dict[int, dict[int, Collection[str]]] = {}

    @contextmanager
    def together(self) -> Iterator[None]:
        """Record all that is written inside in one transaction: durable together when this returns, or not at all.

        What it means for the mirror is written at its end, by one statement in the order of the keys, which costs a
        tenth of as many statements whose keys lie scattered. Doubts come last: where a value is confirmed and doubted
        in one moment, nobody knows.
        """
        if self._connection.in_transaction():
            yield
            return
        for spans in self._steps.values():
            spans.clear()
        self._refused.clear()
        with transaction(self._connection):
            yield
            mirror.apply_all(self._connection, self._steps, self._disjoint)
            for space_id, by_item in self._refused.items():
                proofs.refuse(self._connection, space_id, by_item)

    def start(self, batch: Batch, reference: str, at: str) -> tuple[Batch, int]:
        """PLANNED → SENDING: a call may be on its way from the moment this returns. Returns the attempt's id too."""
        with self.together():
            attempt_id: int = self._connection.execute(
                _START, {"batch_id": batch.id, "reference": reference, "started_at": at, "account": self.account}
            ).scalar_one()
            return self._change(batch, Event.START, at, attempt_id, attempts=batch.attempts + 1), attempt_id

    def accepted(self, batch: Batch, attempt_id: int, task_id: str, at: str) -> Batch:
        """SENDING → SUBMITTED: the API answered with a task."""
        with self.together():
            self._end_attempt(attempt_id, CallEnd.ACCEPTED, at)
            return self._change(batch, Event.ACCEPTED, at, attempt_id, f"task {task_id}", task_id=task_id)

    def confirmed(
        self,
        batch: Batch,
        codes_affected: int,
        at: str,
        *,
        attempt_id: int | None = None,
        refused: Mapping[int, Collection[str]] | None = None,
        named: bool = True,
    ) -> Batch:
        """SENDING or SUBMITTED → CONFIRMED: every value was applied; from now on their fields are known.

        ``refused`` are fields that the API did not take, by item. ``named``: whether a sync answer named the values.
        """
        with self.together():
            self._end_attempt(attempt_id, CallEnd.APPLIED, at)
            changed = self._change(
                batch, Event.ALL_APPLIED, at, attempt_id, _codes(codes_affected), codes_affected=codes_affected
            )
            self._confirm(changed, at, refused, named=named)
            return changed

    def saw_fields(
        self,
        batch: Batch,
        seen: Mapping[int | None, SeenFields],
        since: int,
        at: str,
    ) -> list[str]:
        """Record which fields an answer showed to be taken; return those that values want again (`proofs.saw`).

        ``seen``: by the campaign that products tell (None: they do not). ``since``: the last event before this process
        began. To be called before the batch is confirmed, so that all values want these fields again.
        """
        again = set[str]()
        with self.together():
            for told, fields in seen.items():
                again |= proofs.saw(self._connection, batch, told, fields, since, at, self._disjoint)
        return sorted(again)

    def miscounted(
        self,
        batch: Batch,
        codes_affected: int,
        at: str,
        *,
        message: str,
        unmatched: Sequence[int] = (),
        doubtful: Sequence[int] = (),
        pieces: Sequence[Piece] = (),
        attempt_id: int | None = None,
        refused: Mapping[int, Collection[str]] | None = None,
        named: bool = True,
    ) -> tuple[Batch, list[Batch]]:
        """SENDING or SUBMITTED → MISMATCHED.

        Either the item ids that matched nothing are known (``unmatched``; all others are confirmed, but those of
        which nobody can tell: ``doubtful``, which stay wanted), or nobody knows yet: then all values go on in new
        batches (``pieces``), which are returned, and this one settles nothing.
        """
        with self.together():
            self._end_attempt(attempt_id, CallEnd.MISCOUNTED, at, message=message)
            changed = self._change(
                batch,
                Event.MISCOUNTED,
                at,
                attempt_id,
                _codes(codes_affected),
                codes_affected=codes_affected,
                unmatched=len(unmatched) + len(doubtful),
                message=message,
                split=bool(pieces),
            )
            ended = [*((item, Bucket.UNMATCHED, message) for item in unmatched),
                     *((item, Bucket.IN_DOUBT, LEFT_OUT) for item in doubtful)]  # fmt: skip
            end_values(self._connection, ended)
            if pieces:
                self._step(MirrorStep.DOUBTED, changed)
            elif batch.size == 1 and unmatched and codes_affected:
                self._step(MirrorStep.DOUBTED, changed)  # it contradicts itself: something was changed all the same
            else:
                self._confirm(changed, at, refused, {*unmatched, *doubtful}, named=named)
                mirror.mark_absent(self._connection, changed.space_id, unmatched)
                self._steps[MirrorStep.DOUBTED] += [(changed.space_id, item, item) for item in doubtful]
                if doubtful:
                    wish_items(self._connection, changed, doubtful, at)
            return changed, self._split(changed, pieces, at)

    def refused(
        self,
        batch: Batch,
        attempt_id: int,
        at: str,
        *,
        status_code: int | None,
        message: str,
        pieces: Sequence[Piece] = (),
    ) -> tuple[Batch, list[Batch]]:
        """SENDING → REJECTED: nobody promises that nothing was applied. With ``pieces`` its values go on in others."""
        with self.together():
            self._end_attempt(attempt_id, CallEnd.REFUSED, at, status_code, message)
            changed = self._change(batch, Event.REFUSED, at, attempt_id, message, message=message, split=bool(pieces))
            self._step(MirrorStep.DOUBTED, changed)
            return changed, self._split(changed, pieces, at)

    def not_processed(self, batch: Batch, attempt_id: int, at: str, *, status_code: int | None, message: str) -> Batch:
        """SENDING → PLANNED: the call did nothing, for certain."""
        with self.together():
            self._end_attempt(attempt_id, CallEnd.NOT_PROCESSED, at, status_code, message)
            return self._change(batch, Event.NOT_PROCESSED, at, attempt_id, message)

    def lost(
        self,
        batch: Batch,
        attempt_id: int,
        at: str,
        *,
        uptime: Uptime,
        status_code: int | None = None,
        message: str,
    ) -> Batch:
        """SENDING → IN_DOUBT: the call may or may not have been processed. ``uptime`` is ``at`` by the steady clock."""
        with self.together():
            self._end_attempt(attempt_id, CallEnd.LOST, at, status_code, message)
            self._connection.execute(
                _LOST_AT, {"attempt_id": attempt_id, "boot": uptime.boot, "seconds": uptime.seconds}
            )
            changed = self._change(batch, Event.ANSWER_LOST, at, attempt_id, message)
            self._step(MirrorStep.DOUBTED, changed)
            return changed

    def found(self, batch: Batch, attempt_id: int, task_id: str, at: str) -> Batch:
        """IN_DOUBT → SUBMITTED: the task of an attempt whose answer was lost is adopted."""
        with self.together():
            return self._change(batch, Event.TASK_FOUND, at, attempt_id, f"task {task_id}", task_id=task_id)

    def absent(self, batch: Batch, at: str, *, detail: str) -> Batch:
        """IN_DOUBT → PLANNED: no task was created (async)."""
        with self.together():
            return self._change(batch, Event.SHOWN_ABSENT, at, None, detail)

    def send_again(self, batch: Batch, at: str) -> Batch:
        """IN_DOUBT → PLANNED: a sync call carries absolute data, so it may be made once more."""
        with self.together():
            return self._change(batch, Event.SEND_AGAIN, at, None)

    def task_failed(self, batch: Batch, at: str, *, message: str) -> Batch:
        """SUBMITTED → FAILED: the task ended in failure, or the API no longer knows it. Its values stay wanted."""
        with self.together():
            changed = self._change(batch, Event.TASK_FAILED, at, None, message, message=message, wanted=True)
            self._step(MirrorStep.DOUBTED, changed)
            return changed

    def repack(self, batch: Batch, pieces: Sequence[Piece], at: str) -> list[Batch]:
        """PLANNED → SUPERSEDED: its values go on in new batches (returned) of a size or kind that the API takes."""
        with self.together():
            changed = self._change(batch, Event.REPLANNED, at, None, "cut before it was sent", split=True)
            return self._split(changed, pieces, at)

    def let_go(self, batch: Batch, at: str, *, message: str) -> Batch:
        """SUBMITTED or IN_DOUBT → ABANDONED: nobody waits for it any more. Whether it is applied is not known."""
        with self.together():
            changed = self._change(batch, Event.LET_GO, at, None, message, message=message, wanted=True)
            self._step(MirrorStep.DOUBTED, changed)
            return changed

    def late_end(self, batch: Batch, at: str, *, message: str) -> Batch:
        """ABANDONED → ENDED_LATE: it was seen to have ended, or to be gone, after it was let go of.

        It may have overwritten newer data, which is wanted again. Where that may be over a newer word of another key,
        nobody knows what is wanted: those values are in doubt, and whoever sees this end tells of them.
        """
        with self.together():
            held_back = wish_what_is_known(self._connection, batch, at, self._disjoint)
            about: dict[str, object] = {"message": message, "unmatched": len(held_back)}
            changed = self._change(batch, Event.SEEN_ENDED, at, None, message, **about)
            end_values(self._connection, [(item, Bucket.IN_DOUBT, OVERWRITTEN) for item in held_back])
            self._step(MirrorStep.DOUBTED, changed)
            outlive_late_end(self._connection, changed, self._disjoint)
            return changed

    def learn_reach(self, job_id: int, reach: Mapping[str, object]) -> None:
        """Remember how many codes a key value of this job selects."""
        with self.together():
            self._connection.execute(update(t.jobs).where(t.jobs.c.id == job_id).values(reach=json.dumps(reach)))

    def learn_counts(self, *, same: bool) -> None:
        """Remember whether the API's answers count, and name, what a call leaves as it was (`identity.counts_same`)."""
        with self.together():
            identity.learn_counts(self._connection, same=same)

    def end_run(
        self,
        run_id: int,
        at: str,
        *,
        state: str,
        exit_code: int,
        error: str | None,
        discarded_fields: Sequence[str],
    ) -> None:
        """Record how a run ended, and seal it. A resumed run is ended again: the last word counts."""
        with self.together():
            self._connection.execute(
                _END_RUN,
                {
                    "run_id": run_id,
                    "new_state": state,
                    "new_ended_at": at,
                    "new_exit_code": exit_code,
                    "new_error": error,
                    "new_discarded_fields": json.dumps(sorted(discarded_fields)),
                },
            )
            seals.add(self._connection, run_id, at)

    def _change(
        self,
        batch: Batch,
        event: Event,
        at: str,
        attempt_id: int | None,
        detail: str | None = None,
        **columns: object,
    ) -> Batch:
        changed = change_state(
            self._connection, batch, event, run_id=self._run_id, at=at, attempt_id=attempt_id, detail=detail, **columns
        )
        self.on_change(changed)
        return changed

    def _end_attempt(
        self,
        attempt_id: int | None,
        verdict: CallEnd,
        at: str,
        status_code: int | None = None,
        message: str | None = None,
    ) -> None:
        if attempt_id is not None:
            self._connection.execute(
                _END_ATTEMPT,
                {
                    "attempt_id": attempt_id,
                    "new_verdict": verdict.value,
                    "new_ended_at": at,
                    "new_status_code": status_code,
                    "new_message": message,
                },
            )

    def _step(self, step: MirrorStep, batch: Batch, refused: Mapping[int, Collection[str]] | None = None) -> None:
        """Let the end of a batch change what is known of its values, when the transaction ends."""
        self._refused.setdefault(batch.space_id, {}).update(refused or {})
        self._steps[step].append(_span(batch))

    def _confirm(
        self,
        batch: Batch,
        at: str,
        refused: Mapping[int, Collection[str]] | None,
        others: Collection[int] = (),
        *,
        named: bool,
    ) -> None:
        """Let what a batch carried be known, but of its items `others`; of none where something outlived its call."""
        by_sync = MirrorStep.NAMED if named else MirrorStep.COUNTED
        self._step(by_sync if batch.kind == Kind.SYNC else MirrorStep.CONFIRMED, batch, refused)
        ended = outlived(self._connection, batch)
        if ended:
            self._steps[MirrorStep.DOUBTED].append(_span(batch))
        if By.LATE_END in ended and len(others) < batch.size:
            kept = [n for n in range(batch.first_item_id, batch.first_item_id + batch.size) if n not in others]
            wish_items(self._connection, batch, kept, at)

    def _split(self, parent: Batch, pieces: Sequence[Piece], at: str) -> list[Batch]:
        """Let the values of `parent` go on in one new batch per piece."""
        children = [read_batch(self._connection, child) for child in split(self._connection, parent, pieces, at)]
        for child in children:
            self.on_change(child)
        return children


def _span(batch: Batch) -> Span:
    return batch.space_id, batch.first_item_id, batch.first_item_id + batch.size - 1


def _codes(count: int) -> str:
    return f"{count} {'code' if count == 1 else 'codes'}"
