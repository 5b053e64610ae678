"""Which values travel together: the fewest update calls that can carry them.

Two kinds of call (docs/api.md): *async* carries one payload to at most 1,000 values, *sync* carries at most 100
values with a payload each. For one key column, per payload with *n* values: full thousands go async; a remainder of
100 or more goes async; smaller remainders are pooled into sync calls. Minimal, because a call can carry at most 1,000
values of one payload or 100 of any: a remainder of 100 or more would fill at least one sync call by itself, and a
smaller one adds less than one to the pool.

With several key columns a call selects the codes that match *all* its constraints, so values of two varying columns
would select their cross product and reach codes that no row named. Hence exactly one column varies in a call; per
payload the one that needs the fewest calls. Composite keys go async only, and the fixed values count among the 1,000
values of a call.

Pure, vectorised over the items; deterministic. The items come in the order of their keys (ordering.py), and so do the
batches: the async ones in the order of their first items, then the sync ones. So what is confirmed together lies near
together in the ledger, with one set of data as with a thousand.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from syncer.model import Batches, Mode

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

    Ints = npt.NDArray[np.int64]

ASYNC_VALUES_MAX = 1000
"""Values that one async call may carry (docs/api.md, "SCM upload, async": at most 1K, never more in all)."""
SYNC_ITEMS_MAX = 100
"""Items that one sync call may carry (docs/api.md, "SCM upload, sync")."""


def batch(payload: npt.NDArray[np.int32] | Ints, mode: Mode) -> Batches:
    """Partition items with one key column, given each item's payload, into the fewest calls that `mode` allows."""
    items = len(payload)
    if mode is Mode.SYNC:
        return _pool(np.arange(items, dtype=np.int64))
    counts = np.bincount(payload)
    if mode is Mode.ASYNC:
        share = counts
    else:
        rest = counts % ASYNC_VALUES_MAX
        share = counts - np.where(rest < SYNC_ITEMS_MAX, rest, 0)
    goes_async = (share > 0)[payload]  # only these need sorting; of most payloads, all values are pooled
    candidates = np.flatnonzero(goes_async)
    order = candidates[np.argsort(payload[candidates], kind="stable")]
    counts[share == 0] = 0
    starts = np.cumsum(counts) - counts
    ordered = payload[order]
    beyond = np.arange(len(order), dtype=np.int64) - starts[ordered] >= share[ordered]
    goes_async[order[beyond]] = False
    pooled = np.flatnonzero(~goes_async)  # in the order of the items
    order, ordered = order[~beyond], ordered[~beyond]
    return _join(_slice(order, ordered, ASYNC_VALUES_MAX), _pool(pooled))


def batch_composite(payload: npt.NDArray[np.int32] | Ints, columns: Sequence[Ints]) -> Batches:
    """Partition items with several key columns into async calls of which exactly one column varies.

    ``columns[c][i]`` is a code for item *i*'s value in key column *c*. Per payload the varying column is the one that
    needs the fewest calls, the first of equals.
    """
    payload = np.asarray(payload, np.int64)
    if not len(payload):
        return _none()
    most = ASYNC_VALUES_MAX - (len(columns) - 1)
    payloads = int(payload.max()) + 1
    groupings = [
        _fold([payload, *(codes for at, codes in enumerate(columns) if at != varying)])
        for varying in range(len(columns))
    ]
    calls = np.zeros((len(columns), payloads), np.int64)
    for varying, groups in enumerate(groupings):
        _, examples, sizes = np.unique(groups, return_index=True, return_counts=True)
        np.add.at(calls[varying], payload[examples], -(-sizes // most))
    best = np.argmin(calls, axis=0)
    group = np.choose(best[payload], groupings) * len(columns) + best[payload]
    _, examples, of_item = np.unique(group, return_index=True, return_inverse=True)
    order = np.argsort(of_item, kind="stable")
    sliced = _slice(order, of_item[order], most)
    owner = payload[examples[sliced.payload]]
    return Batches(sliced.order, sliced.sizes, sliced.is_async, owner, best[owner])


def _fold(columns: Sequence[Ints]) -> Ints:
    """Number the distinct combinations of several columns of codes."""
    folded = np.zeros(len(columns[0]), np.int64)
    for column in columns:
        codes = np.asarray(column, np.int64)
        _, folded = np.unique(folded * (int(codes.max()) + 1) + codes, return_inverse=True)
    return folded


def _slice(order: Ints, group: npt.NDArray[np.int32] | Ints, most: int) -> Batches:
    """Cut items that are sorted by group into async batches of one group each, and put these in order.

    They bear the groups' numbers in place of the payloads'.
    """
    counts = np.bincount(group)
    pieces = -(-counts // most)
    owner = np.repeat(np.arange(len(counts), dtype=np.int64), pieces)
    piece = np.arange(len(owner), dtype=np.int64) - np.repeat(np.cumsum(pieces) - pieces, pieces)
    sizes = np.minimum(counts[owner] - piece * most, most)
    starts = np.cumsum(sizes) - sizes
    by_first = np.argsort(order[starts])
    owner, sizes, starts = owner[by_first], sizes[by_first], starts[by_first]
    order = np.concatenate([order[:0], *(order[at : at + size] for at, size in zip(starts, sizes, strict=True))])
    return Batches(order, sizes, np.ones(len(owner), bool), owner, np.zeros(len(owner), np.int64))


def _pool(order: Ints) -> Batches:
    """Cut items into sync batches."""
    sizes = np.minimum(len(order) - np.arange(0, len(order), SYNC_ITEMS_MAX), SYNC_ITEMS_MAX)
    zeros = np.zeros(len(sizes), np.int64)
    return Batches(order, sizes, zeros.astype(bool), zeros - 1, zeros)


def _none() -> Batches:
    empty = np.zeros(0, np.int64)
    return Batches(empty, empty, np.zeros(0, bool), empty, empty)


def _join(left: Batches, right: Batches) -> Batches:
    if not len(left) or not len(right):  # the other one as it is: there may be ten million items
        return left if len(left) else right
    return Batches(
        np.concatenate([left.order, right.order]),
        np.concatenate([left.sizes, right.sizes]),
        np.concatenate([left.is_async, right.is_async]),
        np.concatenate([left.payload, right.payload]),
        np.concatenate([left.varying, right.varying]),
    )
