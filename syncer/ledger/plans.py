"""Storing a plan.

The order, in one transaction, so that a run has its whole plan or none of it: payloads; superseding of the batches
that earlier runs of the code space never sent; batches; items; the wishes of what is held; the run's ``planned`` mark.
"""

from __future__ import annotations

import json
from contextlib import nullcontext
from functools import cache
from typing import TYPE_CHECKING, Any

from sqlalchemy import Table, bindparam, false, func, select, update

from syncer.errors import StaleStateError
from syncer.ledger import schema as t
from syncer.ledger.bulk import BLOCK_ROWS, index_afterwards, insert_rows
from syncer.ledger.pictures import payload_ids
from syncer.ledger.reads import WISH, batch, batch_of
from syncer.ledger.transitions import change_state
from syncer.ledger.untaken import not_said
from syncer.lifecycle.batch import Event, State
from syncer.mirror.words import fields_of, fingerprint
from syncer.model import Errand, Kind

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    import numpy as np
    import numpy.typing as npt
    from sqlalchemy import Connection, Select

    from syncer.ledger.values import Run
    from syncer.model import Items, Plan

INDEX_ITEMS_MIN, INDEX_ITEMS_MAX = 100_000, 4_000_000
"""Items of a plan at least, and of the whole ledger at most, for making their index anew: it is sorted in memory."""
INDEX_SHARE_MIN = 0.25
"""Least share of the plan's items in all: a smaller one costs less to put among the others."""
_BATCH_COLUMNS = (
    "id",
    "run_id",
    "job_id",
    "space_id",
    "kind",
    "state",
    "campaign",
    "unique_key",
    "payload_id",
    "varying",
    "first_item_id",
    "size",
    "changed_at",
)
_ITEM_COLUMNS = ("id", "batch_id", "key", "payload_id", "source_id", "line", "before_id")


# Statements are made once: making one costs more than running it.
_PLANNED = (
    update(t.runs)
    .where(t.runs.c.id == bindparam("run_id"), t.runs.c.ended_at.is_not_distinct_from(bindparam("seen_ended_at")))
    .values(planned=True, rows=bindparam("new_rows"), minimum_updates=bindparam("new_minimum_updates"))
)
_JOB_FIELDS = update(t.jobs).where(t.jobs.c.id == bindparam("job_id")).values(fields=bindparam("new_fields"))


_UNSENT = select(t.batches).where(
    t.batches.c.space_id == bindparam("space_id"),
    t.batches.c.split == false(),
    t.batches.c.state == State.PLANNED.value,
)
_TAKEN_OVER = (
    update(t.batches).where(t.batches.c.space_id == bindparam("in_space"), t.batches.c.wanted).values(wanted=False)
)


def store_plan(connection: Connection, run: Run, plan: Plan, source_ids: Sequence[int], *, at: str) -> None:
    """Record the plan of `run`. ``source_ids[n]`` is the ledger's id of the file at position *n*.

    All that earlier plans want in the code space went into this one: it is theirs no more. A run that has a plan
    already (`resume` takes up what had to wait) keeps the counts of its rows. Raises `StaleStateError` when the run
    ended since the caller saw it: another process took it for dead, and sealed its record.
    """
    import numpy as np

    ids = _store_payloads(connection, plan)
    space_id = run.job.space_id
    for row in connection.execute(_UNSENT, {"space_id": space_id}).all():
        unsent = batch_of(row)
        change_state(connection, unsent, Event.REPLANNED, run_id=run.id, at=at, detail=f"replanned by run {run.id}")
    connection.execute(_TAKEN_OVER, {"in_space": space_id})
    sources = np.array([*source_ids, 0], np.int64)  # the 0 is never used: it keeps the look-up valid without files
    first_batch = _next_id(connection, t.batches)
    first_item = _next_id(connection, t.items)
    _store_batches(connection, run, plan, ids, first_batch, first_item, at)
    _store_items(connection, plan, ids, sources, first_batch, first_item)
    _store_wishes(connection, run, plan, plan.wishes, ids, sources, at)
    _store_untaken(connection, run, plan, ids, sources, at)
    rows, minimum = _row_counts(plan), plan.minimum_updates
    if run.planned:  # its files were read and counted before: this plan adds to it
        rows, minimum = run.rows, run.minimum_updates + minimum
    planned = {"new_rows": json.dumps(rows), "new_minimum_updates": minimum}
    if connection.execute(_PLANNED, {"run_id": run.id, "seen_ended_at": run.ended_at, **planned}).rowcount != 1:
        raise StaleStateError(f"run {run.id} ended in the ledger while it was planned")
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

    ids = np.full(len(plan.payloads), -1, np.int64)
    is_used = np.zeros(len(plan.payloads), bool)
    is_used[plan.items.payload] = True
    is_used[plan.wishes.payload] = True
    is_used[plan.untaken.payload] = True
    used = np.flatnonzero(is_used)
    ids[used] = payload_ids(connection, [plan.payloads[n] for n in used.tolist()])
    missing = used[ids[used] < 0]
    first = _next_id(connection, t.payloads)
    ids[missing] = np.arange(first, first + len(missing))
    new = zip(ids[missing].tolist(), (plan.payloads[n] for n in missing.tolist()), strict=True)
    rows = ((number, fingerprint(text), text) for number, text in new)
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
    errands = [errand or Errand(run.job.id, run.campaign, run.unique) for errand in plan.errands]
    rows = (
        (
            first_batch + number,
            run.id,
            errands[errand].job_id,
            run.job.space_id,
            (Kind.ASYNC if is_async else Kind.SYNC).value,
            State.PLANNED.value,
            errands[errand].campaign,
            errands[errand].unique,
            int(ids[payload]) if is_async else None,
            varying,
            start,
            size,
            at,
        )
        for number, (is_async, payload, varying, start, size, errand) in enumerate(
            zip(
                batches.is_async.tolist(),
                batches.payload.tolist(),
                batches.varying.tolist(),
                starts.tolist(),
                batches.sizes.tolist(),
                plan.errand_of.tolist(),
                strict=True,
            )
        )
    )
    insert_rows(connection, "batches", _BATCH_COLUMNS, rows)


def _store_wishes(
    connection: Connection,
    run: Run,
    plan: Plan,
    wishes: Items,
    ids: npt.NDArray[np.int64],
    sources: npt.NDArray[np.int64],
    at: str,
) -> int | None:
    """Keep what is wanted for some values: a later plan takes it up, with or without its file. Returns the batch."""
    count = len(wishes)
    if not count:
        return None
    batch_id, first = _next_id(connection, t.batches), _next_id(connection, t.items)
    own = plan.errands[0] or Errand(run.job.id, run.campaign, run.unique)
    wish = (WISH, State.PLANNED.value, own.campaign, own.unique, None, 0, first, count, at)
    insert_rows(connection, "batches", _BATCH_COLUMNS, [(batch_id, run.id, own.job_id, run.job.space_id, *wish)])
    insert_rows(
        connection,
        "items",
        _ITEM_COLUMNS,
        _item_rows(wishes, ids, sources, first, lambda places: [batch_id] * len(places)),
    )
    _store_origins(connection, plan, wishes, first)
    return batch_id


def _store_untaken(
    connection: Connection, run: Run, plan: Plan, ids: npt.NDArray[np.int64], sources: npt.NDArray[np.int64], at: str
) -> None:
    """Keep in the history what is wanted and is in no call, since it was not taken: what was not said before."""
    items, space_id = plan.untaken, run.job.space_id
    new: list[int] = []
    for begin in range(0, len(items), BLOCK_ROWS):
        texts = [plan.payloads[number] for number in items.payload[begin : begin + BLOCK_ROWS].tolist()]
        keys = items.keys(begin, begin + BLOCK_ROWS)
        new += [begin + place for place in not_said(connection, space_id, keys, texts)]
    batch_id = _store_wishes(connection, run, plan, items.taken(new), ids, sources, at)
    if batch_id is not None:
        detail = "not sent: the campaign does not take these fields"
        change_state(connection, batch(connection, batch_id), Event.REPLANNED, run_id=run.id, at=at, detail=detail)


def _store_origins(connection: Connection, plan: Plan, items: Items, first_item: int) -> None:
    """Record which fields of merged items came from other files and lines than the item's own."""
    import numpy as np

    origins = plan.origins
    if not len(origins) or not len(items):
        return
    order = np.argsort(items.rows, kind="stable")
    places = np.minimum(np.searchsorted(items.rows[order], origins.row), len(items) - 1)
    item = order[places]
    there = np.flatnonzero(items.rows[item] == origins.row)
    named: dict[tuple[int, int, int], set[str]] = {}  # a line may have said it in several parts
    for place in there.tolist():
        number = int(item[place])
        sent = {*fields_of(plan.payloads[int(items.payload[number])])}
        fields = sent.intersection(origins.names[int(origins.fields[place])])
        if fields:
            said_at = first_item + number, int(origins.source_id[place]), int(origins.line[place])
            named.setdefault(said_at, set()).update(fields)
    rows = [(*said_at, json.dumps(sorted(fields), ensure_ascii=False)) for said_at, fields in sorted(named.items())]
    insert_rows(connection, "item_origins", ("item_id", "source_id", "line", "fields"), rows)


def _store_items(
    connection: Connection,
    plan: Plan,
    ids: npt.NDArray[np.int64],
    sources: npt.NDArray[np.int64],
    first_batch: int,
    first_item: int,
) -> None:
    import numpy as np

    items = plan.items
    ends = np.cumsum(plan.batches.sizes)

    def batch_ids(places: npt.NDArray[np.int64]) -> list[int]:
        numbers: list[int] = (first_batch + np.searchsorted(ends, places, "right")).tolist()
        return numbers

    anew = is_most(len(items), first_item - 1 + len(items)) and _scatters(plan)
    with index_afterwards(connection, "items_key") if anew else nullcontext():
        insert_rows(connection, "items", _ITEM_COLUMNS, _item_rows(items, ids, sources, first_item, batch_ids))
    _store_origins(connection, plan, items, first_item)


def _item_rows(
    items: Items,
    ids: npt.NDArray[np.int64],
    sources: npt.NDArray[np.int64],
    first_item: int,
    batch_ids: Callable[[npt.NDArray[np.int64]], list[int]],
) -> Iterator[tuple[int, int, str, int, int, int, int]]:
    import numpy as np

    for begin in range(0, len(items), BLOCK_ROWS):
        end = min(begin + BLOCK_ROWS, len(items))
        source = items.source[begin:end]
        yield from zip(
            range(first_item + begin, first_item + end),
            batch_ids(np.arange(begin, end)),
            items.keys(begin, end),
            ids[items.payload[begin:end]].tolist(),
            np.where(source >= 0, sources[np.maximum(source, 0)], -source).tolist(),
            items.line[begin:end].tolist(),
            items.before[begin:end].tolist(),
            strict=True,
        )


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
