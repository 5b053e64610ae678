"""Grouping and finding keys: exact for any keys, whatever their hashes do."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

import syncer.plan.keys as keys_module
from syncer.plan.keys import group_keys, hash64

texts = st.lists(st.text(max_size=20) | st.sampled_from(["", "a", "aa", "K1", "K2", "ä", "\0"]), max_size=60)
COLLISIONS = {
    "honest": hash64,
    "three": lambda keys: hash64(keys) % np.uint64(3),
    "one": lambda keys: np.zeros(len(keys), np.uint64),
}


def arrow(values):
    return pa.array(values, pa.large_string())


def model(values):
    groups = {}
    for row, value in enumerate(values):
        groups.setdefault(value, []).append(row)
    return groups


@pytest.mark.parametrize("name", COLLISIONS)
@given(values=texts, wanted=texts)
def test_groups_are_exact_and_keys_are_found(name, values, wanted):
    original = keys_module.hash64
    keys_module.hash64 = COLLISIONS[name]
    try:
        groups = group_keys(arrow(values))
        expected = model(values)
        ends = [*groups.starts.tolist()[1:], len(values)]
        found = {
            values[groups.leaders[g]]: groups.order[groups.starts[g] : ends[g]].tolist() for g in range(len(groups))
        }
        assert found == expected
        assert all(rows[0] == leader for rows, leader in zip(found.values(), groups.leaders.tolist(), strict=True))
        assert [values[groups.leaders[g]] for g in groups.of_rows()] == values
        places = groups.find(arrow(wanted + values))
        for value, place in zip(wanted + values, places.tolist(), strict=True):
            assert (place >= 0) == (value in expected)
            assert place < 0 or values[groups.leaders[place]] == value
    finally:
        keys_module.hash64 = original


@given(values=texts, cut=st.integers(0, 10))
def test_a_hash_depends_on_the_text_alone(values, cut):
    whole = hash64(arrow(values))
    assert hash64(arrow(values).slice(cut)).tolist() == whole[cut:].tolist()
    assert [hash64(arrow([value]))[0] for value in values] == whole.tolist()


def test_a_million_keys_hash_without_a_collision():
    keys = arrow([f"HGDT{number:07d}" for number in range(1_000_000)])
    assert len(np.unique(hash64(keys))) == len(keys)
