"""The one place where a batch's state changes in the database.

Compare-and-set on the old state and the number of attempts, with the event in the same transaction; what `lifecycle`
does not allow raises before anything is written, and a batch that is no longer as the caller saw it raises too. The
state alone would not do: a batch in doubt may have been sent again by somebody else, and be in doubt anew. Every way
back to a state leads through a further attempt.
"""

from __future__ import annotations

import logging
from dataclasses import replace
from functools import cache
from typing import TYPE_CHECKING, Any

from sqlalchemy import bindparam, insert, update

from syncer.errors import StaleStateError
from syncer.ledger import schema as t
from syncer.lifecycle.batch import FINAL, Event, after

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import Connection, Update

    from syncer.ledger.values import Batch
    from syncer.lifecycle.batch import Bucket

log = logging.getLogger(__name__)
_EVENT = insert(t.events).returning(t.events.c.id)
_SETTLED = update(t.batches).where(t.batches.c.id == bindparam("batch_id")).values(settled=bindparam("event_id"))


@cache
def _compare_and_set(columns: tuple[str, ...]) -> Update:
    """Return the statement that sets the state and `columns`; made once: making it costs more than running it."""
    return (
        update(t.batches)
        .where(
            t.batches.c.id == bindparam("batch_id"),
            t.batches.c.state == bindparam("old_state"),
            t.batches.c.attempts == bindparam("old_attempts"),
        )
        .values({name: bindparam(f"new_{name}") for name in ("state", "changed_at", *columns)})
    )


def change_state(
    connection: Connection,
    batch: Batch,
    event: Event,
    *,
    run_id: int,
    at: str,
    attempt_id: int | None = None,
    detail: str | None = None,
    **columns: Any,
) -> Batch:
    """Let `event` happen to `batch`; return the batch as it stands afterwards.

    ``columns`` are further columns of ``batches`` to set with the state. Raises `IllegalTransitionError` when the event
    is not allowed, `StaleStateError` when the ledger holds another state than ``batch.state``; nothing is written then.
    """
    state = after(batch.state, event)
    new_values = {f"new_{name}": value for name, value in columns.items()}
    changed = connection.execute(
        _compare_and_set(tuple(columns)),
        {
            "batch_id": batch.id,
            "old_state": batch.state.value,
            "old_attempts": batch.attempts,
            "new_state": state.value,
            "new_changed_at": at,
            **new_values,
        },
    )
    if changed.rowcount != 1:
        raise StaleStateError(
            f"batch {batch.id} is no longer {batch.state.value!r} after {batch.attempts} attempts in the ledger"
        )
    event_id = connection.execute(
        _EVENT,
        {
            "at": at,
            "run_id": run_id,
            "batch_id": batch.id,
            "attempt_id": attempt_id,
            "event": event.value,
            "old_state": batch.state.value,
            "new_state": state.value,
            "detail": detail,
        },
    ).scalar_one()
    settled = batch.settled
    if state in FINAL:
        settled = event_id
        connection.execute(_SETTLED, {"batch_id": batch.id, "event_id": event_id})
    words = "batch %d: %s -> %s (%s)%s"
    more = f": {detail}" if detail else ""
    log.debug(words, batch.id, batch.state, state, event, more, extra={"batch": batch.id})
    return replace(batch, state=state, changed_at=at, settled=settled, **columns)


def end_values(connection: Connection, ended: Sequence[tuple[int, Bucket, str]]) -> None:
    """Record where some items ended that did not end as their batch did, and why: ``(item, bucket, words)`` each."""
    if ended:
        rows = [{"item_id": item, "bucket": bucket.value, "message": words} for item, bucket, words in ended]
        connection.execute(insert(t.outcomes), rows)
