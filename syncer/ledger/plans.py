"""Plans and the ledger: what is known of a file's keys, and storing a plan.

Order of a plan's storing, in one transaction, so that a run has its whole plan or none of it: payloads; superseding
of the batches that earlier runs never sent; batches; items; the run's ``planned`` mark.
"""

from __future__ import annotations

import json
from contextlib import nullcontext
from functools import cache
from itertools import chain
from typing import TYPE_CHECKING, Any

from sqlalchemy import Table, bindparam, func, select, update

from syncer.ledger import schema as t
from syncer.ledger.bulk import (
    BLOCK_ROWS,
    index_afterwards,
    insert_rows,
    key_blocks,
    key_look_ups,
    raw_cursor,
    state_blocks,
)
from syncer.ledger.reads import batches_in, kin
from syncer.ledger.transitions import change_state
from syncer.lifecycle.batch import OPEN, Event, State
from syncer.model import CarriedBlock, Kind, KnownBlock

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    import numpy as np
    import numpy.typing as npt
    import pyarrow as pa
    from sqlalchemy import Connection, Select

    from syncer.ledger.values import Run
    from syncer.model import Plan

# SQLite cannot know how long a json_each() is, and would rather scan the whole state: CROSS JOIN fixes the order.
SCAN_FROM_KEYS = 50_000
"""With at least this many rows in the files, reading the whole current state beats looking each key up."""
INDEX_ITEMS_MIN, INDEX_ITEMS_MAX = 100_000, 4_000_000
"""Items of a plan at least, and of the whole ledger at most, for making their index anew: it is sorted in memory."""
INDEX_SHARE_MIN = 0.25
"""Least share of the plan's items in all: a smaller one costs less to put among the others."""
_BATCH_COLUMNS = (
    "id",
    "run_id",
    "job_id",
    "kind",
    "state",
    "payload_id",
    "varying",
    "first_item_id",
    "size",
    "changed_at",
)
_OF_STATES = """FROM batches b CROSS JOIN items i ON i.id BETWEEN b.first_item_id AND b.first_item_id + b.size - 1
    WHERE b.job_id IN (SELECT value FROM json_each(?)) AND NOT b.split AND b.state IN ({marks})"""


def payload_ids(connection: Connection, fingerprints: Sequence[str]) -> npt.NDArray[np.int64]:
    """Return the ledger's id of each fingerprint, -1 where it has never seen that data."""
    import numpy as np

    ids = np.full(len(fingerprints), -1, np.int64)
    statement = "SELECT j.key, p.id FROM json_each(?) j CROSS JOIN payloads p ON p.fingerprint = j.value"
    for begin in range(0, len(fingerprints), 10_000):
        block = json.dumps(fingerprints[begin : begin + 10_000])
        for place, payload_id in raw_cursor(connection).execute(statement, (block,)):
            ids[begin + place] = payload_id
    return ids


def payload_data(connection: Connection, ids: Sequence[int]) -> dict[int, str]:
    """Return the canonical data of payloads, by id."""
    statement = "SELECT p.id, p.data FROM json_each(?) j CROSS JOIN payloads p ON p.id = j.value"
    return dict(raw_cursor(connection).execute(statement, (json.dumps(list(ids)),)).fetchall())


def known(connection: Connection, job_id: int, keys: pa.LargeStringArray) -> Iterator[KnownBlock]:
    """Stream the current state of a job: of all its keys, or of `keys` alone when these are few."""
    if len(keys) >= SCAN_FROM_KEYS:
        for block, ids in state_blocks(connection, job_id):
            yield KnownBlock(block, ids, of_all=True)
        return
    statement = (
        "SELECT c.key, c.payload_id FROM json_each(?2) j CROSS JOIN current c ON c.job_id = ?1 AND c.key = j.value"
    )
    for block, (ids,) in key_look_ups(connection, statement, [job_id], keys):
        yield KnownBlock(block, ids)


def open_keys(connection: Connection, job_ids: Sequence[int]) -> Iterator[pa.LargeStringArray]:
    """Stream the keys whose batch may have reached the API, or still may: their newer rows are held back."""
    states = sorted(state.value for state in OPEN)
    statement = "SELECT i.key " + _OF_STATES.format(marks=", ".join("?" * len(states)))
    for block, _ in key_blocks(connection, statement, [json.dumps(job_ids), *states]):
        yield block


def unsent(connection: Connection, job_ids: Sequence[int]) -> Iterator[CarriedBlock]:
    """Stream the values of batches that were planned and never sent, oldest first."""
    statement = "SELECT i.key, i.payload_id, i.source_id, i.line " + _OF_STATES.format(marks="?") + " ORDER BY i.id"
    for keys, (ids, source_ids, lines) in key_blocks(connection, statement, [json.dumps(job_ids), State.PLANNED.value]):
        yield CarriedBlock(keys, ids, source_ids, lines)


# Statements are made once: making one costs more than running it.
_PLANNED = (
    update(t.runs)
    .where(t.runs.c.id == bindparam("run_id"))
    .values(planned=True, rows=bindparam("new_rows"), minimum_updates=bindparam("new_minimum_updates"))
)
_JOB_FIELDS = update(t.jobs).where(t.jobs.c.id == bindparam("job_id")).values(fields=bindparam("new_fields"))


def store_plan(connection: Connection, run: Run, plan: Plan, source_ids: Sequence[int], *, at: str) -> None:
    """Record the plan of `run`. ``source_ids[n]`` is the ledger's id of the file at position *n*."""
    ids = _store_payloads(connection, plan)
    for batch in batches_in(connection, states=[State.PLANNED], job_ids=kin(connection, run.job, plan.fields)):
        change_state(connection, batch, Event.REPLANNED, run_id=run.id, at=at, detail=f"replanned by run {run.id}")
    first_batch = _next_id(connection, t.batches)
    first_item = _next_id(connection, t.items)
    _store_batches(connection, run, plan, ids, first_batch, first_item, at)
    _store_items(connection, plan, ids, source_ids, first_batch, first_item)
    planned = {"new_rows": json.dumps(_row_counts(plan)), "new_minimum_updates": len(plan.batches)}
    connection.execute(_PLANNED, {"run_id": run.id, **planned})
    fields = sorted({*run.job.fields, *plan.fields})
    connection.execute(_JOB_FIELDS, {"job_id": run.job.id, "new_fields": json.dumps(fields)})


def _row_counts(plan: Plan) -> Mapping[str, int]:
    rows = plan.rows
    return {name: getattr(rows, name) for name in rows.__slots__}


def _next_id(connection: Connection, table: Table) -> int:
    return int(connection.execute(_greatest_id(table)).scalar_one()) + 1


@cache
def _greatest_id(table: Table) -> Select[Any]:
    """Return the statement of `_next_id`; made once, since making it costs more than running it."""
    return select(func.coalesce(func.max(table.c.id), 0))


def _store_payloads(connection: Connection, plan: Plan) -> npt.NDArray[np.int64]:
    """Store the payloads that the plan's items use and the ledger lacks; return the ledger's id of each payload."""
    import numpy as np

    ids = payload_ids(connection, plan.fingerprints)
    used = np.zeros(len(plan.payloads), bool)
    used[plan.items.payload] = True
    missing = np.flatnonzero(used & (ids < 0))
    first = _next_id(connection, t.payloads)
    ids[missing] = np.arange(first, first + len(missing))
    rows = ((int(ids[n]), plan.fingerprints[n], plan.payloads[n]) for n in missing.tolist())
    insert_rows(connection, "payloads", ("id", "fingerprint", "data"), rows)
    return ids


def _store_batches(
    connection: Connection,
    run: Run,
    plan: Plan,
    ids: npt.NDArray[np.int64],
    first_batch: int,
    first_item: int,
    at: str,
) -> None:
    import numpy as np

    batches = plan.batches
    starts = first_item + np.cumsum(batches.sizes) - batches.sizes
    rows = (
        (
            first_batch + number,
            run.id,
            run.job.id,
            (Kind.ASYNC if is_async else Kind.SYNC).value,
            State.PLANNED.value,
            int(ids[payload]) if is_async else None,
            varying,
            start,
            size,
            at,
        )
        for number, (is_async, payload, varying, start, size) in enumerate(
            zip(
                batches.is_async.tolist(),
                batches.payload.tolist(),
                batches.varying.tolist(),
                starts.tolist(),
                batches.sizes.tolist(),
                strict=True,
            )
        )
    )
    insert_rows(connection, "batches", _BATCH_COLUMNS, rows)


def _store_items(
    connection: Connection,
    plan: Plan,
    ids: npt.NDArray[np.int64],
    source_ids: Sequence[int],
    first_batch: int,
    first_item: int,
) -> None:
    import numpy as np

    items = plan.items
    sources = np.array([*source_ids, 0], np.int64)  # the 0 is never used: it keeps the look-up valid without files
    ends = np.cumsum(plan.batches.sizes)

    def block(begin: int) -> Iterator[tuple[int, int, str, int, int, int]]:
        end = min(begin + BLOCK_ROWS, len(items))
        source = items.source[begin:end]
        return zip(
            range(first_item + begin, first_item + end),
            (first_batch + np.searchsorted(ends, np.arange(begin, end), "right")).tolist(),
            items.keys(begin, end),
            ids[items.payload[begin:end]].tolist(),
            np.where(source >= 0, sources[np.maximum(source, 0)], -source).tolist(),
            items.line[begin:end].tolist(),
            strict=True,
        )

    rows = chain.from_iterable(block(begin) for begin in range(0, len(items), BLOCK_ROWS))
    anew = is_most(len(items), first_item - 1 + len(items)) and _scatters(plan)
    with index_afterwards(connection, "items_key") if anew else nullcontext():
        insert_rows(connection, "items", ("id", "batch_id", "key", "payload_id", "source_id", "line"), rows)


def is_most(planned: int, items: int) -> bool:
    """Tell whether making the index of all items anew pays for those that were planned."""
    return planned >= max(INDEX_ITEMS_MIN, items * INDEX_SHARE_MIN) and items <= INDEX_ITEMS_MAX


def _scatters(plan: Plan) -> bool:
    """Tell whether the keys of most batches lie among those of others, as of async calls with many sets of data."""
    import numpy as np
    import pyarrow.compute as pc

    from syncer.arrow import numbers

    ends = np.cumsum(plan.batches.sizes)
    last = plan.items.texts.take(numbers(plan.items.rows[ends[:-1] - 1]))
    following = plan.items.texts.take(numbers(plan.items.rows[ends[:-1]]))
    behind = pc.sum(pc.greater(last, following)).as_py() or 0
    return bool(behind * 2 > len(last))
