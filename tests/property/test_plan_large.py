"""What the plan does with more than fits in one step: made small here, so that every step is passed with few rows."""

from __future__ import annotations

import json

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

import syncer.plan.keys as keys_module
import syncer.plan.payloads as payloads_module
import syncer.plan.states as states_module
from syncer.mirror.picture import Picture
from syncer.mirror.words import canonical
from syncer.model import ValidChunk
from syncer.plan.columns import KeyColumn
from syncer.plan.keys import group_keys
from syncer.plan.payloads import Payloads
from syncer.plan.records import Gatherer
from syncer.plan.states import SAME, Deltas, EmptyBook, KeyStates

names = st.text("abK1ä", max_size=4)


def large(values):
    return pa.array(values, pa.large_string())


@given(values=st.lists(names, max_size=30), wanted=st.lists(names, max_size=40))
def test_any_number_of_keys_is_looked_up_in_steps(values, wanted):
    groups = group_keys(large(values))
    expected = groups.find(large(wanted)).tolist()
    whole = keys_module.LOOK_UP_BITS
    keys_module.LOOK_UP_BITS = 1
    try:
        stepped = group_keys(large(values))
        assert [values[stepped.leaders[g]] if g >= 0 else None for g in stepped.find(large(wanted)).tolist()] == [
            values[groups.leaders[g]] if g >= 0 else None for g in expected
        ]
    finally:
        keys_module.LOOK_UP_BITS = whole


cells = st.none() | st.sampled_from(["", "1", "2", 'q"', "ä", "\\", "\t"])


@pytest.mark.parametrize("folded_max", [1, 7, 1 << 62])
@given(table=st.lists(st.tuples(cells, cells, cells, cells), max_size=25))
def test_sets_of_data_are_told_apart_however_many_combinations_there_are(folded_max, table):
    fields = ("b", "a", "d", "c")
    columns = [pa.array([row[at] for row in table], pa.string()).dictionary_encode() for at in range(4)]
    whole = payloads_module.FOLDED_MAX
    payloads_module.FOLDED_MAX = folded_max
    try:
        payloads = Payloads()
        found = payloads.encode(fields, columns, len(table))
    finally:
        payloads_module.FOLDED_MAX = whole
    sent = [canonical({n: v for n, v in zip(fields, row, strict=True) if v is not None}) for row in table]
    assert [payloads.data[number] for number in found.tolist()] == sent
    assert payloads.data == list(dict.fromkeys(sent))
    payloads.number('{"e\\"":"1"}')
    named = payloads.named()
    assert [list(named.lists[number]) for number in named.of] == [list(json.loads(text)) for text in payloads.data]


def test_lines_beyond_two_thousand_million_are_kept_and_so_are_those_before_them():
    gatherer = Gatherer(("a",))
    lines = [2, 3, 2**31 - 1, 2**31, 2**40]
    for line in lines:
        field = pa.array(["x"], pa.string()).dictionary_encode()
        gatherer.add(ValidChunk(0, 1, (pa.array([f"K{line}"]),), (field,), np.array([line], np.int64), ()))
    records = gatherer.records()
    assert records.line.tolist() == lines
    assert records.keys.to_pylist() == [f"K{line}" for line in lines]


@given(st.lists(st.lists(names, max_size=4), max_size=6), st.integers(0, 2))
def test_texts_that_are_added_in_blocks_are_there_in_their_order(blocks, cut):
    column = KeyColumn()
    for block in blocks:
        column.add(large(["before"] * cut + block).slice(cut))
    assert column.array().to_pylist() == [text for block in blocks for text in block]


@example(pairs=[(picture, wanted) for picture in range(4) for wanted in range(4)] * 2, step=2, kept=3)
@given(
    pairs=st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), max_size=40),
    step=st.sampled_from([1, 2, 1 << 20]),
    kept=st.sampled_from([0, 3, 1 << 20]),
)
def test_deltas_are_the_same_whatever_a_step_holds_and_however_many_pairs_are_kept(pairs, step, kept):
    texts = [canonical({"a": str(n // 2), "b": str(n % 2)}) for n in range(4)]
    pictures = {-1: Picture(texts[0], ("c",)), -2: Picture(texts[1], (), ("b",)), -3: Picture(refused=("a",))}

    class Book(EmptyBook):
        def pictures(self, numbers):
            return {number: pictures[number] for number in numbers}

    payloads = Payloads()
    for text in texts:
        payloads.number(text)
    whole = states_module.KEYS_PER_STEP, states_module.PAIRS_KEPT_MAX
    states_module.KEYS_PER_STEP, states_module.PAIRS_KEPT_MAX = step, kept
    try:
        deltas = Deltas(payloads, np.full(4, -1, np.int64), Book())
        of = np.array([-picture for picture, _ in pairs], np.int32)
        send, over = deltas.of(of, np.array([wanted for _, wanted in pairs], np.int32))
    finally:
        states_module.KEYS_PER_STEP, states_module.PAIRS_KEPT_MAX = whole
    for (picture, wanted), number, overwrites in zip(pairs, send.tolist(), over.tolist(), strict=True):
        known = pictures.get(-picture, Picture())
        holds, asks = json.loads(known.known), json.loads(texts[wanted])
        missing = {n: v for n, v in asks.items() if holds.get(n) != v and n not in known.refused}
        assert (number == SAME) == (not missing)
        assert number == SAME or json.loads(payloads.data[number]) == missing
        assert overwrites == any(name in holds for name in missing)
    asked = {name for picture, wanted in pairs for name in pictures.get(-picture, Picture()).refused}
    assert set(deltas.refused) == asked & {"a", "b"}


def test_keys_that_are_known_absent_or_uncertain_are_told_apart():
    states = KeyStates(large(["a", "b", "c", "d"]))
    states.picture[:] = [0, 5, -1, -2]

    class Book(EmptyBook):
        def pictures(self, numbers):
            return {n: {-1: Picture(absent=True), -2: Picture('{"a":"1"}', ("b",))}[n] for n in numbers}

    known, absent = states.kinds(Book())
    order = [states.groups.leaders.tolist().index(row) for row in range(4)]
    assert sorted(zip(known.tolist(), absent.tolist(), strict=True)) == [
        (False, False), (False, True), (True, False), (True, False),
    ]  # fmt: skip
    assert len(order) == 4
