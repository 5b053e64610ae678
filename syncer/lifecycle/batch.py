"""The life of a batch: its states, the events, and one table of transitions.

Theory first. A batch is a set of key values with their data that travels in one update call. What makes its life
hard is that the API has no idempotency key: a call whose answer is lost may or may not have been processed. So the
ledger says *before* the request that it is about to be made (`SENDING`), and a batch whose answer is lost, or that is
found `SENDING` by a new process, is `IN_DOUBT`: its values are held until that is known.

    PLANNED     recorded, not on its way. The only state from which a call may start.
    SENDING     a call may be on its way. Committed before the first byte leaves.
    SUBMITTED   async: the API has a task for it, whose id the ledger knows.
    IN_DOUBT    the answer was lost. Async: only the list of tasks can tell. Sync: the data is absolute, and newer data
                for these values is held back, so it is sent again as a further attempt.
    CONFIRMED   the API said that every value was applied.                                                    (final)
    MISMATCHED  the API affected another number of codes than expected; which values is recorded, or is being
                found by the batches it was split into.                                                       (final)
    REJECTED    the API refused the call whole (400, 406); nothing of it was applied.                         (final)
    FAILED      the task ended in failure.                                                                    (final)
    SUPERSEDED  never sent; its values went into a newer plan.                                                (final)
    ABANDONED   let go of: nobody waits for it any more, and its values are held no longer. What it was to write is
                uncertain. It may still land, so every later run looks at it once.
    ENDED_LATE  let go of, and then seen to have ended, or to be gone: what it wrote is uncertain once more.  (final)

What always holds: a state changes by an event of this table and by nothing else (`after` raises on every other pair,
and the ledger's compare-and-set refuses what this module did not name); a final state has no way out; only `PLANNED`
leads to `SENDING`; no state that may have reached the API (`SENDING`, `SUBMITTED`, `IN_DOUBT`) leads to `SUPERSEDED`.

Pure: nothing here reads, writes or waits. `mermaid` draws the diagram of the README from the table.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType

from syncer.lifecycle.machine import draw, final_states, follow


class State(StrEnum):
    """Where a batch stands."""

    PLANNED = "planned"
    SENDING = "sending"
    SUBMITTED = "submitted"
    IN_DOUBT = "in_doubt"
    CONFIRMED = "confirmed"
    MISMATCHED = "mismatched"
    REJECTED = "rejected"
    FAILED = "failed"
    SUPERSEDED = "superseded"
    ABANDONED = "abandoned"
    ENDED_LATE = "ended_late"


class Event(StrEnum):
    """What can happen to a batch."""

    START = "start"
    """A call is about to be made; the attempt and its reference are recorded."""
    ACCEPTED = "accepted"
    """The API answered an async call with a task id."""
    ALL_APPLIED = "all_applied"
    """The answer (sync) or the complete task (async) accounts for every value."""
    MISCOUNTED = "miscounted"
    """The answer or the complete task does not account for every value."""
    REFUSED = "refused"
    """The API refused the call whole: 400, 406."""
    NOT_PROCESSED = "not_processed"
    """The call was not processed, for certain: 429, 401, 403, connection refused, DNS, TLS."""
    ANSWER_LOST = "answer_lost"
    """Time-out, reset, 5xx, or a 2xx that cannot be read; or the process that made the call died."""
    TASK_FOUND = "task_found"
    """The list of tasks has one with the attempt's reference and exactly its details."""
    SHOWN_ABSENT = "shown_absent"
    """Async: two looks, far enough apart, found no task with the attempt's reference."""
    SEND_AGAIN = "send_again"
    """Sync: absolute data, so the same call may be made once more."""
    TASK_FAILED = "task_failed"
    """The task ended in failure, or the API no longer knows it."""
    LET_GO = "let_go"
    """Waited for long enough, or told to by hand: what became of it may never be known."""
    SEEN_ENDED = "seen_ended"
    """A batch that was let go of has ended, or is known to nobody any more: it cannot land later than now."""
    REPLANNED = "replanned"
    """A newer plan, or smaller batches, took over the values of a batch that was never sent."""


TRANSITIONS: Mapping[tuple[State, Event], State] = MappingProxyType(
    {
        (State.PLANNED, Event.START): State.SENDING,
        (State.PLANNED, Event.REPLANNED): State.SUPERSEDED,
        (State.SENDING, Event.ACCEPTED): State.SUBMITTED,
        (State.SENDING, Event.ALL_APPLIED): State.CONFIRMED,
        (State.SENDING, Event.MISCOUNTED): State.MISMATCHED,
        (State.SENDING, Event.REFUSED): State.REJECTED,
        (State.SENDING, Event.NOT_PROCESSED): State.PLANNED,
        (State.SENDING, Event.ANSWER_LOST): State.IN_DOUBT,
        (State.IN_DOUBT, Event.TASK_FOUND): State.SUBMITTED,
        (State.IN_DOUBT, Event.SHOWN_ABSENT): State.PLANNED,
        (State.IN_DOUBT, Event.SEND_AGAIN): State.PLANNED,
        (State.SUBMITTED, Event.ALL_APPLIED): State.CONFIRMED,
        (State.SUBMITTED, Event.MISCOUNTED): State.MISMATCHED,
        (State.SUBMITTED, Event.TASK_FAILED): State.FAILED,
        (State.SUBMITTED, Event.LET_GO): State.ABANDONED,
        (State.IN_DOUBT, Event.LET_GO): State.ABANDONED,
        (State.ABANDONED, Event.SEEN_ENDED): State.ENDED_LATE,
    }
)
"""The whole life of a batch. What is not here cannot happen."""

FINAL: frozenset[State] = final_states(State, TRANSITIONS)
"""States without a way out."""

OPEN: frozenset[State] = frozenset({State.SENDING, State.SUBMITTED, State.IN_DOUBT})
"""States in which the API may have, or may still get, the batch's data: its values are held."""


class Bucket(StrEnum):
    """Where a planned value ended, as `values` of the contract counts it."""

    CONFIRMED = "confirmed"
    UNMATCHED = "unmatched"
    REJECTED = "rejected"
    IN_DOUBT = "in_doubt"
    PENDING = "pending"
    UNSENT = "unsent"
    SUPERSEDED = "superseded"
    """A later run's plan took the value over; only earlier runs have it."""


BUCKET_OF: Mapping[State, Bucket] = MappingProxyType(
    {
        State.PLANNED: Bucket.UNSENT,
        State.SENDING: Bucket.IN_DOUBT,
        State.IN_DOUBT: Bucket.IN_DOUBT,
        State.SUBMITTED: Bucket.PENDING,
        State.CONFIRMED: Bucket.CONFIRMED,
        State.MISMATCHED: Bucket.CONFIRMED,
        State.REJECTED: Bucket.REJECTED,
        State.FAILED: Bucket.REJECTED,
        State.SUPERSEDED: Bucket.SUPERSEDED,
        State.ABANDONED: Bucket.IN_DOUBT,
        State.ENDED_LATE: Bucket.IN_DOUBT,
    }
)
"""The bucket of a batch's values. `MISMATCHED`: of those for which no other outcome is recorded by value."""


def after(state: State, event: Event) -> State:
    """Return the state that follows; raise `IllegalTransitionError` and change nothing when there is none."""
    return follow(TRANSITIONS, state, event)


def mermaid() -> str:
    """Draw `TRANSITIONS` as a Mermaid state diagram."""
    return draw(TRANSITIONS, State.PLANNED)
