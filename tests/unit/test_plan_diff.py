"""What a comparison says beside what it sends: contradictions, keys without a row, campaigns, and who asks again."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

import syncer.plan.diff as diff_module
from syncer.mirror.picture import ABSENT, Picture
from syncer.mirror.words import canonical
from syncer.model import Errand, KnownBlock, ValidChunk, WantedBlock
from syncer.plan.diff import Diff, Standing
from syncer.plan.records import Gatherer
from syncer.plan.states import EmptyBook

CAMPAIGNS = {"P1": 7, "P2": 1}
ERRAND, OTHER = Errand(7, None, False), Errand(8, 3, True)


class Book(EmptyBook):
    """Pictures by their numbers; products tell campaigns where ``campaigns`` is given."""

    def __init__(self, pictures=None, *, campaigns=None, taken=()):
        self._pictures = pictures or {}
        self.campaigns, self.taken = campaigns, frozenset(taken)

    def pictures(self, numbers):
        return {number: self._pictures.get(number, Picture()) for number in numbers}


def large(values):
    return pa.array(list(values), pa.large_string())


def wanted(*words, errand=ERRAND):
    """A block of words that earlier plans want: (key, data's number, source), each a hundred lines down."""
    numbers = [np.array([word[place] for word in words], np.int64) for place in (1, 2)]
    return WantedBlock(large(word[0] for word in words), *numbers, numbers[1] + 100, errand)


def settled(rows, *, book=None, known=None, held=(), blocks=(), data=None):
    """Compare rows of (key, a, product), in files of four rows, with what is known of keys (numbers of pictures)."""
    gatherer = Gatherer(("a", "product"))
    for source, begin in enumerate(range(0, len(rows), 4)):
        part = rows[begin : begin + 4]
        columns = [pa.array([row[place] for row in part], pa.string()) for place in range(3)]
        fields = (columns[1].dictionary_encode(), columns[2].dictionary_encode())
        lines = np.arange(2, 2 + len(part), dtype=np.int64)
        gatherer.add(ValidChunk(source, len(part), (columns[0],), fields, lines, ()))
    records = gatherer.records()
    diff = Diff(records, np.full(len(records.payloads), -1, np.int64), book)
    mirror = KnownBlock(large(known or ()), np.array([*(known or {}).values()], np.int64))
    diff.see_known(mirror)
    diff.see_open(large(held))
    for block in blocks:
        diff.see_wanted(block, lambda ids: {one: data[one] for one in ids})
    if blocks and (carried := diff.carry()) is not None:
        carried.states.see_known(mirror)
        carried.states.see_open(large(held))
    diff.settle()
    return diff


def keys_of(side, groups):
    """The keys of some groups of a side."""
    return [side.keys[int(side.states.groups.leaders[group])].as_py() for group in groups]


@pytest.mark.parametrize("step", [1, 10_000])
def test_a_contradiction_names_the_first_ten_places_and_counts_the_rest(step, monkeypatch):
    monkeypatch.setattr(diff_module, "BLOCK_ROWS", step)
    rows = [("few", str(n), None) for n in range(3)] + [("many", str(n % 2), None) for n in range(10)]
    rows += [("more\x1fparts", str(n % 2), None) for n in range(12)] + [("good", "x", None)] * 2
    found = settled(rows).conflicts(["f", "g", "h", "i", "j", "k", "l"])
    assert {row.code for row in found} == {"E210"}
    ten = "f:5, g:2, g:3, g:4, g:5, h:2, h:3, h:4, h:5, i:2"
    words = "stands with different data on"
    expected = {
        "few": [f"key 'few' {words} f:2, f:3, f:4: leave one of them"] * 3,
        "many": [f"key 'many' {words} {ten}: leave one of them"] * 10,
        "more + parts": [
            f"key 'more + parts' {words} i:3, i:4, i:5, j:2, j:3, j:4, j:5, k:2, k:3, k:4 and 2 more: leave one of them"
        ] * 12,
    }  # fmt: skip
    assert {key: [row.message for row in found if row.key == key] for key in expected} == expected
    assert sorted((row.source, row.line) for row in found) == [(n // 4, 2 + n % 4) for n in range(25)]


def block(keys, *, of_all=True):
    return KnownBlock(large(keys), np.ones(len(keys), np.int64), of_all)


def test_known_keys_without_a_row_are_kept_where_all_were_seen_and_they_are_few():
    diff = settled([("K1", "x", None)])
    diff.see_known(block(["K2"], of_all=False))
    assert diff.absent is None
    diff.see_known(block(["K1"]))
    assert diff.absent == []
    diff.see_known(block(["K3", "K1", "K2"]))
    diff.see_known(block(["K1"]))
    diff.see_known(block(["K4"]))
    assert [one.to_pylist() for one in diff.absent] == [["K3", "K2"], ["K4"]]
    diff.see_known(block([f"L{n}" for n in range(99_997)]))
    assert sum(map(len, diff.absent)) == 100_000
    diff.see_known(block(["M"]))
    assert diff.absent is None
    diff.see_known(block(["N"]))
    assert diff.absent is None


def test_a_product_tells_the_campaign_the_one_that_is_wanted_or_the_one_that_a_code_has():
    pictures = {-1: Picture('{"product":"P1"}'), -2: Picture('{"product":"P9"}'), -3: Picture('{"a":"x"}')}
    rows = [
        ("K1", "x", "P2"), ("K2", "x", None), ("K3", "x", None), ("K4", "x", None), ("K5", "x", "P9"), ("K6", "x", None),
    ]  # fmt: skip
    known = {"K1": -1, "K2": -1, "K3": -2, "K4": -3, "K5": -1}
    book = Book(pictures, campaigns=CAMPAIGNS.get)
    diff = settled(rows, book=book, known=known, blocks=[wanted(("L1", 10, 1))], data={10: '{"product":"P1"}'})
    found = dict(zip(keys_of(diff.rows, range(6)), diff.rows.campaign.tolist(), strict=True))
    assert found == {"K1": 1, "K2": 7, "K3": 0, "K4": 0, "K5": 0, "K6": 0}
    assert diff.told_campaigns == [0, 1, 7]
    assert settled(rows, book=Book(pictures), known=known).told_campaigns == [0]
    of_one = settled([("K1", "x", "P2")], book=book, known=known)
    assert of_one.told_campaigns == [0, 1]
    older = settled([], book=book, known=known, blocks=[wanted(("L1", 10, 1))], data={10: '{"product":"P1"}'})
    assert older.told_campaigns == [0, 7]


@pytest.mark.parametrize(("taken", "asking"), [((), 1), (("b",), 1), (("a",), 2)])
def test_of_each_campaign_one_key_asks_again_for_a_field_and_two_where_some_values_take_it(taken, asking):
    """First those of the rows, then those of older words; never a key that is held, or that contradicts itself."""
    pictures = {-1: Picture('{"product":"P1"}', refused=("a",)), -2: Picture('{"product":"P2"}', refused=("a", "b"))}
    book = Book(pictures, campaigns=CAMPAIGNS.get, taken=taken)
    rows = [
        ("H", "x", None),
        ("C", "x", None),
        ("C", "y", None),
        ("N", None, "P1"),
        ("K1", "x", None),
        ("K2", "x", None),
    ]
    known = dict.fromkeys(("H", "C", "N", "K1", "K2", "K3", "L1", "L2"), -1) | {"M1": -2, "M2": -2, "M3": -2}
    data = {10: '{"a":"x"}', 11: '{"b":"x"}'}
    older = [wanted(("L1", 10, 1), ("M1", 10, 1), ("M2", 10, 1), ("M3", 11, 1))]
    diff = settled(rows, book=book, known=known, held=["H"], blocks=older, data=data)
    assert len(diff.rows.probes) == asking
    assert {*keys_of(diff.rows, diff.rows.probes)} <= {"K1", "K2"}
    probes = keys_of(diff.carried, diff.carried.probes)
    assert "M3" in probes  # nobody else is asked for the other field
    assert len({*probes} & {"M1", "M2"}) == asking
    assert "L1" not in probes  # its campaign was asked by the rows
    assert diff.refused_fields == ("a", "b")
    few = settled(rows[:1] + rows[3:5], book=book, known=known, held=["H"], blocks=older, data=data)
    assert keys_of(few.rows, few.rows.probes) == ["K1"]
    assert ("L1" in keys_of(few.carried, few.carried.probes)) == (asking == 2)


def test_what_was_not_taken_is_told_of_every_key_though_one_of_them_asks():
    pictures = {-1: Picture(refused=("a",))}
    diff = settled([("K1", "x", None), ("K2", "y", "P")], book=Book(pictures), known={"K1": -1, "K2": -1})
    texts = diff.records.payloads.data
    left = {key: texts[n] for key, n in zip(keys_of(diff.rows, range(2)), diff.rows.left_out.tolist(), strict=True)}
    assert left == {"K1": canonical({"a": "x"}), "K2": canonical({"a": "y"})}
    assert not len(settled([("K1", "x", None)]).rows.left_out)


def test_known_keys_are_counted_and_those_that_get_another_value_marked():
    pictures = {
        -1: Picture('{"a":"x"}'),
        -2: Picture('{"a":"y"}'),
        -3: Picture(uncertain=("a",)),
        -4: Picture('{"b":"1"}'),
        -5: ABSENT,
    }
    rows = [
        ("same", "x", None), ("other", "x", None), ("doubt", "x", None), ("field", "x", None), ("new", "x", None),
        ("gone", "x", None), ("held", "x", None), ("torn", "x", None), ("torn", "y", None), ("held new", "x", None),
    ]  # fmt: skip
    known = {"same": -1, "other": -2, "doubt": -3, "field": -4, "held": -2, "torn": -2, "gone": -5}
    diff = settled(rows, book=Book(pictures), known=known, held=["held", "held new"])
    assert (diff.known_keys, diff.absent_keys) == (6, 1)
    assert keys_of(diff.rows, np.flatnonzero(diff.overwritten)) == ["other"]
    news = {diff.records.keys[int(row)].as_py() for row in diff.new_leaders()}
    assert news == {"gone", "new"}


def test_the_ledgers_own_numbers_of_pictures_stand_on_both_sides_in_the_end():
    older, data = [wanted(("L1", 10, 1))], {10: '{"a":"x"}'}
    book = Book({-1: Picture(uncertain=("a",))})
    diff = settled([("K1", "x", None)], book=book, known={"K1": -1, "L1": -1}, blocks=older, data=data)
    diff.store_pictures(lambda numbers: numbers * 50)
    assert (diff.rows.states.picture.tolist(), diff.carried.states.picture.tolist()) == ([-50], [-50])
    alone = settled([("K1", "x", None)], book=book, known={"K1": -1})
    alone.store_pictures(lambda numbers: numbers * 50)
    assert alone.rows.states.picture.tolist() == [-50]


def test_a_key_of_which_no_word_is_said_waits_for_nothing():
    diff = settled([("K1", None, None), ("K2", "x", None)], held=["K1", "K2"])
    found = dict(zip(keys_of(diff.rows, range(2)), diff.verdicts().tolist(), strict=True))
    assert found == {"K1": Standing.UNCHANGED, "K2": Standing.HELD}
    assert settled([("K2", "x", None)], held=["K2"]).verdicts().tolist() == [Standing.HELD]


def test_older_words_travel_on_the_errand_of_the_newest_among_them():
    data = {10: '{"a":"x"}', 11: '{"b":"x"}'}
    blocks = [wanted(("L1", 10, 1), ("L2", 10, 5)), wanted(("L1", 11, 3), ("L2", 11, 2), ("L3", 11, 1), errand=OTHER)]
    diff = settled([], blocks=blocks, data=data)
    side, texts = diff.carried, diff.records.payloads.data
    errands = [side.errands[number] for number in side.errand.tolist()]
    assert dict(zip(keys_of(side, range(3)), errands, strict=True)) == {"L1": OTHER, "L2": ERRAND, "L3": OTHER}
    both, one = '{"a":"x","b":"x"}', '{"b":"x"}'
    assert [texts[number] for number in side.wanted.tolist()] == [
        {"L1": both, "L2": both, "L3": one}[key] for key in keys_of(side, range(3))
    ]
    lines = dict(zip(keys_of(side, range(3)), side.line.tolist(), strict=True))
    assert lines == {"L1": 103, "L2": 105, "L3": 101}
