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
from syncer.mirror.picture import Picture, may_move
from syncer.mirror.words import NOTHING, canonical
from syncer.model import KnownBlock, ValidChunk
from syncer.plan.columns import KeyColumn
from syncer.plan.keys import group_keys
from syncer.plan.payloads import Payloads
from syncer.plan.records import Gatherer
from syncer.plan.states import SAME, Deltas, EmptyBook, KeyStates

names = st.text("abK1ä", max_size=4)


def large(values):
    return pa.array(values, pa.large_string())


@example(values=["a", "b"], wanted=[*"abcabcba"])
@example(values=["a", "b"], wanted=[*"bcbabacbaabac"])
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


WANTED = [*(canonical({"a": str(n // 2), "b": str(n % 2)}) for n in range(4)), NOTHING, '{"b":"1"}', '{"a":"1"}']
"""The last two are met after the ledger has told its numbers."""
PICTURES = {
    -1: Picture(WANTED[0], ("c",)), -2: Picture(WANTED[1], (), ("b",)), -3: Picture(refused=("a",)),
    1: Picture(WANTED[0]), 8: Picture(WANTED[3]), 9: Picture('{"a":"9"}'), 0: Picture(),
}  # fmt: skip
EVERY_PAIR = [(picture, wanted) for picture in PICTURES for wanted in range(7)]


class PlainBook(EmptyBook):
    """Tells texts where a number is that of a payload, and pictures of all others."""

    def pictures(self, numbers):
        return {number: {-1: PICTURES[-1], -2: PICTURES[-2], -3: PICTURES[-3]}[number] for number in numbers}

    def texts(self, ids):
        return {number: {1: WANTED[0], 8: WANTED[3], 9: '{"a":"9"}'}[number] for number in ids}


@example(pairs=EVERY_PAIR * 2, step=2, kept=3, read=2)
@example(pairs=EVERY_PAIR, step=1 << 20, kept=1 << 20, read=1 << 20)
@example(pairs=[(0, n) for n in range(4)], step=1 << 20, kept=1 << 20, read=1 << 20)
@example(pairs=[(0, n) for n in range(7)], step=1 << 20, kept=1 << 20, read=1 << 20)
@given(
    pairs=st.lists(st.sampled_from(EVERY_PAIR), max_size=60),
    step=st.sampled_from([1, 2, 1 << 20]),
    kept=st.sampled_from([0, 3, 1 << 20]),
    read=st.sampled_from([1, 2, 1 << 20]),
)
def test_deltas_are_the_same_whatever_a_step_holds_and_however_many_pairs_are_kept(pairs, step, kept, read):
    payloads = Payloads()
    met = [text for number, text in enumerate(WANTED[:5]) if number < 4 or any(one[1] >= 4 for one in pairs)]
    for text in met:
        payloads.number(text)
    whole = states_module.KEYS_PER_STEP, states_module.PAIRS_KEPT_MAX, states_module.PAIRS_PER_STEP
    states_module.KEYS_PER_STEP, states_module.PAIRS_KEPT_MAX, states_module.PAIRS_PER_STEP = step, kept, read
    of = np.array([picture for picture, _ in pairs], np.int32)
    wanted = np.array([wanted for _, wanted in pairs], np.int32)
    try:
        deltas = Deltas(payloads, np.array([1, -1, -1, 8, -1][: len(met)], np.int64), PlainBook())
        if len(met) == 5:
            assert [payloads.number(text) for text in WANTED[5:]] == [5, 6]
        send, over = deltas.of(of, wanted)
        left = deltas.left_out(of, wanted)
    finally:
        states_module.KEYS_PER_STEP, states_module.PAIRS_KEPT_MAX, states_module.PAIRS_PER_STEP = whole
    assert wanted.tolist() == [one for _, one in pairs]
    expected_refused = set()
    for (picture, asked), number, overwrites, out in zip(
        pairs, send.tolist(), over.tolist(), left.tolist(), strict=True
    ):
        known = PICTURES[picture]
        holds, asks = json.loads(known.known), json.loads(WANTED[asked])
        missing = {n: v for n, v in asks.items() if holds.get(n) != v and n not in known.refused}
        not_taken = {n: v for n, v in asks.items() if n in known.refused}
        assert (number == SAME) == (not missing)
        assert number == SAME or json.loads(payloads.data[number]) == missing
        assert overwrites == any(name in holds for name in missing)
        assert (out == SAME) == (not not_taken)
        assert out == SAME or json.loads(payloads.data[out]) == not_taken
        expected_refused |= not_taken.keys()
    assert deltas.refused == expected_refused
    there = {picture for picture, _ in pairs}
    assert {field: {*numbers} for field, numbers in deltas.refusing(of, ["a", "b", "c"]).items()} == {
        "a": there & {-3}, "b": there & {-2}, "c": set(),
    }  # fmt: skip


def test_of_data_that_the_ledger_knows_as_it_is_wanted_nothing_is_read():
    payloads = Payloads()
    wanted = [payloads.number('{"a":"1"}'), payloads.number(NOTHING)]
    book = PlainBook()
    book.texts = book.pictures = None
    send, over = Deltas(payloads, np.array([1, -1]), book).of(np.array([1, -1], np.int32), np.array(wanted, np.int32))
    assert (send.tolist(), over.any()) == ([SAME, SAME], False)


@pytest.mark.parametrize(
    ("moves", "sent"), [(may_move, {"a": "0", "product": "P2"}), (lambda old, new: False, {"product": "P2"})]
)
def test_where_a_product_moves_a_code_all_that_is_wanted_of_it_is_sent(moves, sent):
    payloads, book = Payloads(), PlainBook()
    book.moves, book.pictures = moves, lambda numbers: {n: Picture('{"a":"0","product":"P1"}') for n in numbers}
    wanted = [payloads.number('{"a":"0","product":"P1"}'), payloads.number('{"a":"0","product":"P2"}')]
    send, over = Deltas(payloads, np.array([-1, -1]), book).of(np.array([-1, -1], np.int32), np.array(wanted, np.int32))
    assert (send[0], over.tolist(), json.loads(payloads.data[send[1]])) == (SAME, [False, True], sent)


def test_of_a_ledger_that_is_not_there_nothing_is_known():
    payloads = Payloads()
    numbers = np.array([payloads.number('{"a":"x"}'), payloads.number(NOTHING)] * 3, np.int32)
    book = EmptyBook()
    send, over = Deltas(payloads, np.array([-1, -1], np.int64), book).of(
        np.array([0, 0, 5, 5, -5, -5], np.int32), numbers
    )
    assert send.tolist() == [0, SAME, 0, SAME, 0, SAME]
    assert not over.any()
    assert (book.campaigns, book.taken) == (None, frozenset())
    assert book.moves(None, "P1") == may_move(None, "P1")


def test_what_the_ledger_and_open_batches_say_of_other_keys_changes_nothing():
    states = KeyStates(large(["c", "a", "b", "a"]))
    assert states.see_known(KnownBlock(large(["x", "a", "y", "b"]), np.array([4, -3, 6, 7]))).tolist() == [
        False, True, False, True,
    ]  # fmt: skip
    states.see_open(large(["z", "b"]))
    of_key = {key: states.groups.find(large([key]))[0] for key in "abc"}
    assert {key: (int(states.picture[at]), bool(states.held[at])) for key, at in of_key.items()} == {
        "a": (-3, False), "b": (7, True), "c": (0, False),
    }  # fmt: skip


@pytest.mark.parametrize(
    ("numbers", "known"), [([0, 5, -1, -2], "bd"), ([0, 5, 0, -2], "bd"), ([0, 0, -1, 0], ""), ([0, 5, 0, 0], "b")]
)
def test_keys_that_are_known_absent_or_uncertain_are_told_apart(numbers, known):
    states = KeyStates(large(["a", "b", "c", "d"]))
    at = states.groups.find(large(["a", "b", "c", "d"]))
    states.picture[at] = numbers

    class Book(EmptyBook):
        def pictures(self, numbers):
            return {n: {-1: Picture(absent=True), -2: Picture('{"a":"1"}', ("b",))}[n] for n in numbers}

    found = states.kinds(Book())
    assert ["".join(np.array([*"abcd"])[one[at]]) for one in found] == [known, "c" if numbers[2] == -1 else ""]
