"""Plans made by hand, for tests of the ledger and the engine that need no files."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from syncer.model import Batches, Items, Mode, Origins, Plan, RowCounts

EMPTY = np.zeros(0, np.int64)


def items_of(keys, payload=None, order=None):
    """Items that name `keys`, in `order` (else as they come), with the payloads of these numbers (else the first)."""
    count = len(keys)
    order = np.arange(count) if order is None else order
    numbers = np.zeros(count, np.int32) if payload is None else np.array(payload, np.int32)[order]
    zeros = np.zeros(count, np.int32)
    return Items(pa.array(keys, pa.large_string()), order.astype(np.int32), numbers, zeros, order + 2, zeros)


def plan_of(keys, *, sizes=None, varying=None, payloads=('{"f":"1"}',), order=None, key=("k",), fields=("f",), held=()):
    """A plan of new keys. ``varying`` has, per batch, the place of the column that varies; -1: it goes by a sync call."""
    sizes = np.array([len(keys)] if sizes is None else sizes)
    varying = np.array([0] * len(sizes) if varying is None else varying)
    batches = Batches(np.arange(len(keys)), sizes, varying >= 0, np.where(varying >= 0, 0, -1), np.maximum(varying, 0))
    return Plan(
        key=key, fields=fields, mode=Mode.AUTO, rows=RowCounts(read=len(keys) + len(held), new=len(keys), held=len(held)),
        payloads=list(payloads), items=items_of(keys, order=order),
        batches=batches, rejections=(), known_keys=0, wishes=items_of(list(held)), untaken=items_of([]),
        origins=Origins(EMPTY, EMPTY, EMPTY, EMPTY, ()), errands=(None,), errand_of=np.zeros(len(sizes), np.int64),
        changes={}, overwritten=0, minimum_updates=len(sizes),
    )  # fmt: skip
