"""The one place where a batch's state changes in the database.

Compare-and-set on the old state, with the event in the same transaction; what `lifecycle` does not allow raises
before anything is written, and a batch that is no longer in the state the caller saw raises too.
"""

from __future__ import annotations

import logging
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from sqlalchemy import insert, update

from syncer.errors import IllegalTransitionError
from syncer.ledger import schema as t
from syncer.lifecycle import Event, after

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from syncer.ledger.values import Batch

log = logging.getLogger(__name__)


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

    ``columns`` are further columns of ``batches`` to set with the state. Raises `IllegalTransitionError`, and writes
    nothing, when the event is not allowed or the ledger holds another state than ``batch.state``.
    """
    state = after(batch.state, event)
    changed = connection.execute(
        update(t.batches)
        .where(t.batches.c.id == batch.id, t.batches.c.state == batch.state.value)
        .values(state=state.value, changed_at=at, **columns)
    )
    if changed.rowcount != 1:
        raise IllegalTransitionError(f"batch {batch.id} is no longer {batch.state.value!r} in the ledger")
    connection.execute(
        insert(t.events).values(
            at=at,
            run_id=run_id,
            batch_id=batch.id,
            attempt_id=attempt_id,
            event=event.value,
            old_state=batch.state.value,
            new_state=state.value,
            detail=detail,
        )
    )
    log.debug("batch %d: %s -> %s (%s)%s", batch.id, batch.state, state, event, f": {detail}" if detail else "")
    return replace(batch, state=state, changed_at=at, **columns)
