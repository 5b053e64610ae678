"""Grouping and finding keys: exact for any keys, whatever their hashes do."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

import syncer.plan.keys as keys_module
from syncer.plan.keys import group_keys, hash64

texts = st.lists(st.text(max_size=20) | st.sampled_from(["", "a", "aa", "K1", "K2", "ä", "\0"]), max_size=60)
COLLISIONS = {
    "honest": hash64,
    "three": lambda keys: hash64(keys) % np.uint64(3),
    "three apart": lambda keys: (hash64(keys) % np.uint64(3)) << np.uint64(62),
    "one": lambda keys: np.zeros(len(keys), np.uint64),
}


def arrow(values):
    return pa.array(values, pa.large_string())


def model(values):
    groups = {}
    for row, value in enumerate(values):
        groups.setdefault(value, []).append(row)
    return groups


MANY = ["ä", "K2", "a", "K1", "", "K2", "aa", "a", "\0", "K3", "K1", "K2", "b", "", "c", "d", "e", "f", "g", "h", "d"]


@pytest.mark.parametrize("name", COLLISIONS)
@example(values=MANY, wanted=[*reversed(MANY), "no", "none", "aaa"], block_rows=2, payloads=[0, 1, 0, 2, 0], cut=1)
@example(values=sorted({*MANY}), wanted=["ä", "no"] * 40, block_rows=1 << 16, payloads=[], cut=3)
@given(
    values=texts,
    wanted=texts,
    block_rows=st.sampled_from([1, 3, 1 << 16]),
    payloads=st.lists(st.integers(0, 2), max_size=9),
    cut=st.integers(0, 3),
)
def test_groups_are_exact_and_keys_are_found(name, values, wanted, block_rows, payloads, cut):
    original = keys_module.hash64, keys_module.BLOCK_ROWS
    keys_module.hash64, keys_module.BLOCK_ROWS = COLLISIONS[name], block_rows
    payload = np.resize(np.array([*payloads, 0], np.int32), len(values))
    try:
        groups = group_keys(arrow(values))
        expected = model(values)
        assert groups.leaders.tolist() == [rows[0] for rows in expected.values()]  # groups are in the rows' order
        assert [values[groups.leaders[g]] for g in groups.of_rows()] == values
        hashes = COLLISIONS[name](arrow([*expected])) >> np.uint64(groups.shift)
        shared = np.isin(hashes, [one for one, count in Counter(hashes.tolist()).items() if count > 1])
        assert groups.collided == {key: g for g, key in enumerate(expected) if shared[g]}
        assert groups.differing(payload).tolist() == [len({*payload[rows]}) > 1 for rows in expected.values()]
        chosen = np.arange(len(groups)) % 3 != cut
        found, sizes = groups.rows_of(chosen)
        of_chosen = [rows for rows, is_chosen in zip(expected.values(), chosen, strict=True) if is_chosen]
        assert found.tolist() == [row for rows in of_chosen for row in rows]
        assert sizes.tolist() == [len(rows) for rows in of_chosen]
        assert groups.of_leaders(np.arange(len(values))).tolist() == groups.leaders.tolist()
        assert groups.leaders_of(np.flatnonzero(chosen)).tolist() == groups.leaders[chosen].tolist()
        places = groups.find(arrow(wanted + values))
        for value, place in zip(wanted + values, places.tolist(), strict=True):
            assert (place == -1) == (value not in expected)
            assert place < 0 or values[groups.leaders[place]] == value
    finally:
        keys_module.hash64, keys_module.BLOCK_ROWS = original


@given(values=texts, cut=st.integers(0, 10))
def test_a_hash_depends_on_the_text_alone(values, cut):
    whole = hash64(arrow(values))
    assert hash64(arrow(values).slice(cut)).tolist() == whole[cut:].tolist()
    assert [hash64(arrow([value]))[0] for value in values] == whole.tolist()


def test_a_text_has_the_same_hash_in_every_process_and_version():
    known = {
        "": 0x0, "a": 0x4956C8DA5DBA1A24, "HGDT0000001": 0x41111156A7FA72DC, "12345678": 0x935361805C739E00,
        "123456789": 0x9EC30228E0091C2, "äääääääää": 0xE44BE5BEA50A5788, "K1\x1fK2": 0xFEDF4745CB2B724B,
        "x" * 100: 0xC75A81D6B6FE282C,
    }  # fmt: skip
    assert hash64(arrow(known)).tolist() == [*known.values()]
    assert hash64(arrow(["12345678", "HGDT0001"])).tolist()[0] == known["12345678"]  # of one width


def test_a_million_keys_hash_without_a_collision():
    keys = arrow([f"HGDT{number:07d}" for number in range(1_000_000)])
    assert len(np.unique(hash64(keys))) == len(keys)
