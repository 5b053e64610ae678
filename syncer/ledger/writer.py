"""The one writer of what happens to batches: each method is one event, one transaction, one durable commit.

Write order, which the promises rest on: `start` commits before the request leaves; `accepted` or `found` commits the
task id before anybody polls; the confirming methods commit the outcome together with the values' current state. Every
method is a compare-and-set (see transitions.py): called twice, the second call raises and changes nothing.
"""

from __future__ import annotations

import json
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy import bindparam, func, insert, select, text, update

from syncer.ledger import schema as t
from syncer.ledger.reads import batch as read_batch
from syncer.ledger.transitions import change_state
from syncer.lifecycle.batch import Bucket, Event, State

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from sqlalchemy import Connection

    from syncer.ledger.values import Batch
    from syncer.model import Kind
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
_CONFIRM = text(
    """
    INSERT INTO current (job_id, key, payload_id, batch_id)
    SELECT json_extract(b.value, '$[0]'), i.key, i.payload_id, i.batch_id FROM json_each(:batches) b
    CROSS JOIN items i ON i.id BETWEEN json_extract(b.value, '$[1]') AND json_extract(b.value, '$[2]')
    WHERE NOT EXISTS (SELECT 1 FROM outcomes o WHERE o.item_id = i.id)
    ORDER BY 1, 2
    ON CONFLICT (job_id, key) DO UPDATE SET payload_id = excluded.payload_id, batch_id = excluded.batch_id
    """
)


@dataclass(frozen=True, slots=True)
class Piece:
    """A part of a batch that goes on as a batch of its own: which of its items, by which kind of call."""

    kind: Kind
    item_ids: tuple[int, ...]


class Writer:
    """Records what happens to the batches that one run drives. ``at`` is always UTC text (`clock.utc_text`)."""

    def __init__(self, connection: Connection, run_id: int) -> None:
        self._connection = connection
        self._run_id = run_id
        self._becoming_current: list[tuple[int, int, int]] = []

    @contextmanager
    def together(self) -> Iterator[None]:
        """Record all that is written inside in one transaction: durable together when this returns, or not at all.

        The values that become current are written at its end by one statement in the order of their keys, which costs
        a tenth of as many statements whose keys lie scattered.
        """
        if self._connection.in_transaction():
            yield
            return
        self._becoming_current.clear()
        with self._connection.begin():
            yield
            if self._becoming_current:
                self._connection.execute(_CONFIRM, {"batches": json.dumps(self._becoming_current)})

    def start(self, batch: Batch, reference: str, at: str) -> tuple[Batch, int]:
        """PLANNED → SENDING: a call may be on its way from the moment this returns. Returns the attempt's id too."""
        with self.together():
            attempt_id: int = self._connection.execute(
                _START, {"batch_id": batch.id, "reference": reference, "started_at": at}
            ).scalar_one()
            return self._change(batch, Event.START, at, attempt_id, attempts=batch.attempts + 1), attempt_id

    def accepted(self, batch: Batch, attempt_id: int, task_id: str, at: str) -> Batch:
        """SENDING → SUBMITTED: the API answered with a task."""
        with self.together():
            self._end_attempt(attempt_id, "accepted", at)
            return self._change(batch, Event.ACCEPTED, at, attempt_id, f"task {task_id}", task_id=task_id)

    def confirmed(self, batch: Batch, codes_affected: int, at: str, *, attempt_id: int | None = None) -> Batch:
        """SENDING or SUBMITTED → CONFIRMED: every value was applied; they become the current state."""
        with self.together():
            self._end_attempt(attempt_id, "applied", at)
            changed = self._change(
                batch, Event.ALL_APPLIED, at, attempt_id, f"{codes_affected} codes", codes_affected=codes_affected
            )
            self._make_current(changed)
            return changed

    def miscounted(
        self,
        batch: Batch,
        codes_affected: int,
        at: str,
        *,
        message: str,
        unmatched: Sequence[int] = (),
        pieces: Sequence[Piece] = (),
        attempt_id: int | None = None,
    ) -> tuple[Batch, list[Batch]]:
        """SENDING or SUBMITTED → MISMATCHED.

        Either the item ids that matched nothing are known (``unmatched``; all others become current), or nobody knows
        yet: then all values go on in new batches (``pieces``), which are returned, and this one settles nothing.
        """
        with self.together():
            self._end_attempt(attempt_id, "miscounted", at, message=message)
            changed = self._change(
                batch,
                Event.MISCOUNTED,
                at,
                attempt_id,
                f"{codes_affected} codes",
                codes_affected=codes_affected,
                unmatched=len(unmatched),
                message=message,
                split=bool(pieces),
            )
            if unmatched:
                self._connection.execute(
                    insert(t.outcomes),
                    [{"item_id": item, "bucket": Bucket.UNMATCHED.value, "message": message} for item in unmatched],
                )
            if not pieces:
                self._make_current(changed)
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
        """SENDING → REJECTED: nothing of the call was applied. With ``pieces`` its values go on in new batches."""
        with self.together():
            self._end_attempt(attempt_id, "refused", at, status_code, message)
            changed = self._change(batch, Event.REFUSED, at, attempt_id, message, message=message, split=bool(pieces))
            return changed, self._split(changed, pieces, at)

    def not_processed(self, batch: Batch, attempt_id: int, at: str, *, status_code: int | None, message: str) -> Batch:
        """SENDING → PLANNED: the call did nothing, for certain."""
        with self.together():
            self._end_attempt(attempt_id, "not_processed", at, status_code, message)
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
            self._end_attempt(attempt_id, "lost", at, status_code, message)
            self._connection.execute(
                _LOST_AT, {"attempt_id": attempt_id, "boot": uptime.boot, "seconds": uptime.seconds}
            )
            return self._change(batch, Event.ANSWER_LOST, at, attempt_id, message)

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
        """SUBMITTED → FAILED: the task ended in failure, or the API no longer knows it."""
        with self.together():
            return self._change(batch, Event.TASK_FAILED, at, None, message, message=message)

    def let_go(self, batch: Batch, at: str, *, message: str) -> Batch:
        """SUBMITTED or IN_DOUBT → ABANDONED: nobody waits for it any more. Whether it is applied is not known."""
        with self.together():
            return self._change(batch, Event.LET_GO, at, None, message, message=message)

    def late_end(self, batch: Batch, at: str, *, message: str) -> Batch:
        """ABANDONED → ENDED_LATE: it was seen to have ended, or to be gone, after it was let go of."""
        with self.together():
            return self._change(batch, Event.SEEN_ENDED, at, None, message, message=message)

    def learn_reach(self, job_id: int, reach: Mapping[str, object]) -> None:
        """Remember how many codes a key value of this job selects."""
        with self.together():
            self._connection.execute(update(t.jobs).where(t.jobs.c.id == job_id).values(reach=json.dumps(reach)))

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
        """Record how a run ended. A resumed run is ended again: the last word counts."""
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

    def _change(
        self,
        batch: Batch,
        event: Event,
        at: str,
        attempt_id: int | None,
        detail: str | None = None,
        **columns: object,
    ) -> Batch:
        return change_state(
            self._connection, batch, event, run_id=self._run_id, at=at, attempt_id=attempt_id, detail=detail, **columns
        )

    def _end_attempt(
        self,
        attempt_id: int | None,
        verdict: str,
        at: str,
        status_code: int | None = None,
        message: str | None = None,
    ) -> None:
        if attempt_id is not None:
            self._connection.execute(
                _END_ATTEMPT,
                {
                    "attempt_id": attempt_id,
                    "new_verdict": verdict,
                    "new_ended_at": at,
                    "new_status_code": status_code,
                    "new_message": message,
                },
            )

    def _make_current(self, batch: Batch) -> None:
        """Let the batch's values (but those with an outcome of their own) become current when the transaction ends."""
        self._becoming_current.append((batch.job_id, batch.first_item_id, batch.first_item_id + batch.size - 1))

    def _split(self, parent: Batch, pieces: Sequence[Piece], at: str) -> list[Batch]:
        """Let the values of `parent` go on in one new batch per piece. Items are copied: history is never changed."""
        children = []
        for piece in pieces:
            first = int(self._connection.execute(select(func.max(t.items.c.id))).scalar_one()) + 1
            child_id = self._connection.execute(
                insert(t.batches)
                .values(
                    run_id=parent.run_id,
                    job_id=parent.job_id,
                    parent_id=parent.id,
                    kind=piece.kind.value,
                    state=State.PLANNED.value,
                    payload_id=parent.payload_id if piece.kind == "async" else None,
                    varying=parent.varying,
                    first_item_id=first,
                    size=len(piece.item_ids),
                    changed_at=at,
                )
                .returning(t.batches.c.id)
            ).scalar_one()
            self._connection.execute(
                text(
                    "INSERT INTO items (id, batch_id, key, payload_id, source_id, line) "
                    "SELECT :first + j.key, :child, i.key, i.payload_id, i.source_id, i.line "
                    "FROM json_each(:ids) j CROSS JOIN items i ON i.id = j.value ORDER BY j.key"
                ),
                {"first": first, "child": child_id, "ids": json.dumps(piece.item_ids)},
            )
            children.append(read_batch(self._connection, child_id))
        return children
