"""Batches: every item once, within the API's limits, in provably the fewest calls (against brute force)."""

from __future__ import annotations

import math
from collections import Counter
from functools import cache

import numpy as np
from hypothesis import example, given, settings
from hypothesis import strategies as st
from sampling import examples

from syncer.model import Mode
from syncer.plan import batching
from syncer.plan.batching import batch, batch_composite

payloads = st.lists(st.integers(0, 6), max_size=40)


def fewest_calls(counts, async_max, sync_max):
    """Try every number of async calls and async values per payload; pool the rest. No cleverness."""
    choices = []
    for count in counts:
        options = {}
        for carried in range(count + 1):
            calls = math.ceil(carried / async_max)
            options[count - carried] = min(options.get(count - carried, calls), calls)
        choices.append(options)

    @cache
    def best(place, pooled):
        if place == len(choices):
            return math.ceil(pooled / sync_max)
        return min(calls + best(place + 1, pooled + rest) for rest, calls in choices[place].items())

    return best(0, 0)


def parts(batches):
    assert batches.sizes.sum() == len(batches.order)
    assert len({*map(len, (batches.sizes, batches.is_async, batches.payload, batches.varying))}) == 1
    ends = np.cumsum(batches.sizes).tolist()
    return [batches.order[end - size : end].tolist() for end, size in zip(ends, batches.sizes.tolist(), strict=True)]


def check_partition(payload, batches, async_max, sync_max):
    pieces = parts(batches)
    assert sorted(item for piece in pieces for item in piece) == list(range(len(payload)))
    assert not batches.varying.any()
    assert all(piece == sorted(piece) for piece in pieces)
    begins = [(not is_async, piece[0]) for is_async, piece in zip(batches.is_async, pieces, strict=True)]
    assert begins == sorted(begins)
    for number, piece in enumerate(pieces):
        if batches.is_async[number]:
            assert {payload[item] for item in piece} == {batches.payload[number]}
            assert 0 < len(piece) <= async_max
        else:
            assert batches.payload[number] == -1
            assert 0 < len(piece) <= sync_max


@settings(max_examples=examples(300))
@example(payload=[], limits=(6, 2))
@example(payload=[2, 0, 2, 2, 2, 2, 2, 2], limits=(6, 2))  # the one that is pooled comes first, and its number too
@example(payload=[1, 0] * 60, limits=(50, 3))  # many of each, so that only a stable order keeps theirs
@example(payload=[0, 1, 2, 1, 2, 2, 0, 2, 2, 2], limits=(4, 2))
@given(payload=payloads, limits=st.sampled_from([(6, 2), (5, 3), (4, 4), (7, 1)]))
def test_auto_needs_the_fewest_calls_that_any_mix_could_need(payload, limits):
    with small_limits(*limits):
        batches = batch(np.array(payload, np.int32), Mode.AUTO)
    check_partition(payload, batches, *limits)
    assert len(batches) == fewest_calls(tuple(Counter(payload).values()), *limits)


@example(payload=[])
@given(payload=payloads)
def test_sync_and_async_modes_use_one_kind_and_the_fewest_of_it(payload):
    with small_limits(6, 2):
        sync = batch(np.array(payload, np.int32), Mode.SYNC)
        only_async = batch(np.array(payload, np.int32), Mode.ASYNC)
    check_partition(payload, sync, 6, 2)
    check_partition(payload, only_async, 6, 2)
    assert not sync.is_async.any()
    assert only_async.is_async.all()
    assert len(sync) == math.ceil(len(payload) / 2)
    assert len(only_async) == sum(math.ceil(count / 6) for count in Counter(payload).values())


def test_the_real_limits_at_their_edges():
    for count, expected in (
        (99, [0, 1]),
        (100, [1, 0]),
        (1000, [1, 0]),
        (1099, [1, 1]),
        (1100, [2, 0]),
        (1001, [1, 1]),
    ):
        batches = batch(np.zeros(count, np.int32), Mode.AUTO)
        assert [int(batches.is_async.sum()), int((~batches.is_async).sum())] == expected


@settings(max_examples=examples(200))
@example(rows=[])
@example(rows=[(1, n % 5, n // 5, 0) for n in range(25)] + [(0, 4 - n % 5, n // 5, 1) for n in range(25)])
@example(rows=[(0, n, 0, 0) for n in range(5)] + [(1, 0, n, 1) for n in range(5)] + [(2, 0, 0, n) for n in range(2, 5)])
@given(
    rows=st.lists(
        st.tuples(st.integers(0, 3), st.integers(0, 4), st.integers(0, 4), st.integers(0, 2)),
        max_size=40,
        unique_by=lambda row: row[1:],
    )
)
def test_composite_calls_reach_only_pairs_that_rows_name_and_are_the_fewest_of_their_kind(rows):
    payload = np.array([row[0] for row in rows], np.int32)
    columns = [np.array([row[place] for row in rows], np.int64) for place in (1, 2, 3)]
    with small_limits(6, 2):
        batches = batch_composite(payload, columns)
    expected = 0
    for number in {row[0] for row in rows}:
        mine = [row[1:] for row in rows if row[0] == number]
        expected += min(
            sum(math.ceil(n / 4) for n in Counter(key[:at] + key[at + 1 :] for key in mine).values()) for at in range(3)
        )
    assert len(batches) == expected
    assert batches.is_async.all()
    pieces = parts(batches)
    assert sorted(item for piece in pieces for item in piece) == list(range(len(rows)))
    assert all(piece == sorted(piece) for piece in pieces)
    assert pieces == sorted(pieces)
    for place, piece in enumerate(pieces):
        constraints = [sorted({rows[item][at] for item in piece}) for at in (1, 2, 3)]
        varying = [at for at, values in enumerate(constraints) if len(values) > 1]
        assert varying in ([], [batches.varying[place]])
        assert math.prod(map(len, constraints)) == len(piece)
        assert sum(map(len, constraints)) <= 6
        assert {rows[item][0] for item in piece} == {batches.payload[place]}


@given(payload=payloads)
def test_the_same_items_give_the_same_batches(payload):
    first, second = (batch(np.array(payload, np.int32), Mode.AUTO) for _ in range(2))
    assert parts(first) == parts(second)


class small_limits:
    """Shrink the API's limits, so that brute force can try everything."""

    def __init__(self, async_max, sync_max):
        self.limits = (async_max, sync_max)

    def __enter__(self):
        self.before = (batching.ASYNC_VALUES_MAX, batching.SYNC_ITEMS_MAX)
        batching.ASYNC_VALUES_MAX, batching.SYNC_ITEMS_MAX = self.limits

    def __exit__(self, *_):
        batching.ASYNC_VALUES_MAX, batching.SYNC_ITEMS_MAX = self.before
