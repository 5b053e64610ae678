"""The order of a plan's values: a permutation, by key as far as the ranks reach, the same for the same input."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from syncer.model import Mode
from syncer.plan import batching, ordering
from syncer.plan.batching import batch
from syncer.plan.ordering import key_order

any_keys = st.lists(
    st.text(max_size=20) | st.sampled_from(["", "a", "aa", "K1", "K2", "ä", "a\0", "\0", "\U0010ffff", "x" * 300]),
    max_size=60,
)
short_keys = st.lists(st.text("HGD0123456789", max_size=10), max_size=60)


def ordered(keys, rows=None):
    rows = np.arange(len(keys), dtype=np.int32) if rows is None else np.array(rows, np.int32)
    order = key_order(pa.array(keys, pa.large_string()), rows)
    return np.arange(len(rows)) if order is None else order


@pytest.mark.parametrize("block_rows", [1, 3, 1 << 16])
@given(keys=any_keys, data=st.data())
def test_any_choice_of_rows_is_put_in_an_order_that_no_prefix_contradicts(block_rows, keys, data):
    rows = data.draw(st.lists(st.integers(0, len(keys) - 1), max_size=60)) if keys else []
    original, ordering.BLOCK_ROWS = ordering.BLOCK_ROWS, block_rows
    try:
        order = ordered(keys, rows).tolist()
    finally:
        ordering.BLOCK_ROWS = original
    assert sorted(order) == list(range(len(rows)))
    # A byte takes at most 8 of the 64 bits: seven bytes always decide, and what they leave open stays as it came.
    texts = [keys[rows[place]].encode() for place in order]
    ranked = [(text[:7].ljust(7, b"\0"), text, place) for text, place in zip(texts, order, strict=True)]
    for before, after in pairwise(ranked):
        assert before[0] <= after[0]
        assert before[1] != after[1] or before[2] < after[2]


@given(keys=short_keys)
def test_keys_of_few_characters_are_sorted_exactly(keys):
    assert [keys[place] for place in ordered(keys)] == sorted(keys)


def test_what_all_keys_share_takes_no_room():
    numbers = np.random.default_rng(4).permutation(5000)
    keys = [f"{'COMPANY-' * 5}{number:018d}" for number in numbers]
    assert [keys[place] for place in ordered(keys)] == sorted(keys)


def test_64_characters_that_are_one_of_two_decide_and_what_stands_behind_them_does_not():
    keys = ["1" * 64 + "0", "0" + "1" * 63 + "1", "0" + "1" * 63 + "0", "1" * 63 + "0" + "1", "0" * 65]
    assert ordered(keys).tolist() == [4, 1, 2, 3, 0]


def test_keys_that_agree_in_their_first_256_bytes_stay_as_they_came():
    assert ordered(["x" * 256 + f"{number:03d}" for number in range(500, 0, -1)]).tolist() == [*range(500)]
    assert ordered(["x" * 255 + "b", "x" * 255 + "a"]).tolist() == [1, 0]


def test_keys_that_ascend_are_left_alone():
    keys = pa.array([f"K{number:07d}" for number in range(200_000)], pa.large_string())
    assert key_order(keys, np.arange(200_000, dtype=np.int32)) is None
    assert key_order(keys, np.array([1, 0], np.int32)).tolist() == [1, 0]


@given(payload=st.lists(st.integers(0, 3), max_size=80))
def test_async_batches_come_in_the_order_of_their_first_items(payload):
    original, batching.ASYNC_VALUES_MAX = batching.ASYNC_VALUES_MAX, 5
    try:
        batches = batch(np.array(payload, np.int32), Mode.ASYNC)
    finally:
        batching.ASYNC_VALUES_MAX = original
    ends = np.cumsum(batches.sizes)
    pieces = [batches.order[end - size : end].tolist() for end, size in zip(ends, batches.sizes, strict=True)]
    assert [piece[0] for piece in pieces] == sorted(piece[0] for piece in pieces)
    assert all(piece == sorted(piece) for piece in pieces)
