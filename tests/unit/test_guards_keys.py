"""Damaged keys, example by example: which are found, how many, which are shown, and what they should be."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from syncer.guards import keys as keyguard
from syncer.guards.keys import (
    Custom,
    Damage,
    Example,
    against_custom,
    altered,
    custom_of,
    fold,
    marks_apart,
    scientific,
    show,
)
from syncer.model import KnownBlock, ValidChunk
from syncer.plan.diff import Diff
from syncer.plan.records import Gatherer


def large(values):
    return pa.array([*values], pa.large_string())


def diff_of(keys, known=(), *, streamed=True):
    """Compare the keys of two files, the second of which begins with the tenth, with known ones: all, or those looked up."""
    gatherer = Gatherer(("a",))
    for source, part in enumerate((keys[:9], keys[9:])):
        field = pa.array(["x"] * len(part), pa.string()).dictionary_encode()
        lines = np.arange(2, 2 + len(part), dtype=np.int64)
        gatherer.add(ValidChunk(source, len(part), (pa.array(part, pa.string()),), (field,), lines, ()))
    diff = Diff(gatherer.records(), np.zeros(1, np.int64))
    seen = [key for key in known if streamed or key in {*keys}]
    diff.see_known(KnownBlock(large(seen), np.ones(len(seen), np.int64), of_all=streamed))
    diff.settle()
    return diff


@pytest.fixture(params=[4, 1 << 17])
def block_rows(request, monkeypatch):
    monkeypatch.setattr(keyguard, "BLOCK_ROWS", request.param)


def test_a_folded_key_has_no_outer_spaces_no_leading_zeros_and_small_letters():
    assert fold(large([" 00A1b0 ", "0", "", "é0", "00É"])).to_pylist() == ["a1b0", "", "", "é0", "é"]
    parts = ["00a\x1f00B0", "A0\x1f0", "0x", "a00b\x1fb"]
    assert fold(large(parts)).to_pylist() == ["a\x1fb0", "a0\x1f", "x", "a00b\x1fb"]


@pytest.mark.usefixtures("block_rows")
def test_numbers_as_a_spreadsheet_writes_them_are_scientific_and_all_else_is_not():
    right = ["8.71152E+12", "8,7e5", "1E+05", "1e+123", "-8.7E5", "+8.7E5", "A\x1f8.7E+5", "8.7E+5\x1fB", "8.7E123"]
    wrong = ["1E5", "1E+5", "1E+1234", "8.7E1234", "x8.7E5", "8.7E5x", "88.7E5", ".7E5", "8.E5", "K-1", "A,B", "1-E+05"]
    for key in right:
        assert scientific(diff_of(["K1", key])).count == 1, key
    assert scientific(diff_of(wrong)) is None
    assert scientific(diff_of(["8-7E5"])) is None
    assert scientific(diff_of([])) is None
    mixed = [key for pair in zip(wrong, right, strict=False) for key in pair]
    found = scientific(diff_of([*mixed, *right[:2]], [right[1], "other"]))
    assert found == Damage(8, 17, 17, (
        Example(0, 3, "8.71152E+12"), Example(0, 7, "1E+05"), Example(0, 9, "1e+123"),
    ))  # fmt: skip
    assert scientific(diff_of([*wrong, "A\x1f8.7E+5"])).examples == (Example(1, 5, "A + 8.7E+5"),)


@pytest.mark.usefixtures("block_rows")
def test_new_keys_are_compared_with_all_known_ones_that_no_row_names():
    known = ["00A1", "0B2", "C3", "D04", "stays", "0", "zz9", *(f"gone{n}" for n in range(5))]
    keys = ["stays", "a1", "new", "b2", "c3", "D4", "zz", *(f"n{n}" for n in range(8)), "d04"]
    assert altered(diff_of(keys, known), None) == Damage(4, 15, 15, (
        Example(0, 3, "a1", "00A1"), Example(0, 5, "b2", "0B2"), Example(0, 6, "c3", "C3"),
    ))  # fmt: skip
    assert altered(diff_of(["stays", "zz"], known), None) is None
    assert altered(diff_of(["stays", "C3"], ["stays", "C3"]), None) is None  # a row names each
    assert altered(diff_of(["c3", "C3"], ["C3", "x"]), None) is None  # C3 stands in the file too
    assert altered(diff_of([], known), None) is None


def test_where_not_all_known_keys_were_seen_up_to_two_hundred_are_looked_up():
    asked = []

    def look_up(folded, damaged=()):
        asked.append(folded)
        return [f"0{folded.upper()}", f"00{folded.upper()}"] if folded in damaged else []

    keys = [f"k{number}" for number in range(400, 1000)]
    few = diff_of(keys, streamed=False)
    assert altered(few, look_up) is None
    sample = [*asked]
    assert (len({*sample}), sample) == (200, [key for key in keys if key in {*sample}])
    assert altered(few, lambda one: look_up(one, sample[5:6])) is None  # of two hundred one is a chance
    found = altered(few, lambda one: look_up(one, [sample[150], sample[199]]))
    places = [(keys.index(key), key) for key in (sample[150], sample[199])]
    assert found == Damage(2, 200, 600, tuple(Example(1, at - 7, key, f"0{key.upper()}") for at, key in places))
    many = altered(few, lambda one: look_up(one, sample[10:44]))
    assert many.count == 34
    assert [one.key for one in many.examples] == sample[10:13]
    both = diff_of(["k1", "0K1", "new", "00K2", "k2", "0K2"], streamed=False)
    assert altered(both, lambda one: look_up(one, ["k1", "k2"])) == Damage(2, 6, 6, (
        Example(0, 2, "k1", "00K1"), Example(0, 3, "0K1", "00K1"),
    ))  # fmt: skip
    assert altered(diff_of(["k1"], streamed=False), lambda one: look_up(one, ["k1"])).count == 1


def numbers(count, width=6, first=100_000):
    return [f"{number:0{width}d}" for number in range(first, first + count)]


@pytest.mark.parametrize(
    ("keys", "custom"),
    [
        (numbers(99), Custom()),
        (numbers(100), Custom(6)),
        ([*numbers(99), "x"], Custom(6)),
        ([*numbers(99), "1"], Custom(6)),
        ([*numbers(98), "1", "x"], Custom()),
        ([*numbers(99), "012345"], Custom(6, padded=True)),
        ([*numbers(99), "0"], Custom(6)),
        ([*numbers(99), "٣٤٥٦٧٨"], Custom(6)),
        (["٣" * n for n in range(1, 200)], Custom()),
        ([f"AB-{n:05d}" for n in range(100)], Custom(case="upper", shapes=frozenset({"aa-00000"}))),
        ([f"ab-{n:05d}" for n in range(99)] + ["AB-7"], Custom(case="lower", shapes=frozenset({"aa-00000"}))),
        ([f"ab-{n:05d}" for n in range(98)] + ["AB-7", "7"], Custom()),
        ([f"A{n:03d}" for n in range(98)] + ["Ä_1", "AB1"], Custom(case="upper", shapes=frozenset({"a000", "a_0", "aa0"}))),
        ([f"A{n:03d}" for n in range(198)] + ["AB1", "1"], Custom(case="upper", shapes=frozenset({"a000"}))),
        ([f"a{n}B" for n in range(200)], Custom()),
        ([], Custom()),
    ],
)  # fmt: skip
def test_the_custom_of_keys_is_what_99_of_100_are(keys, custom):
    assert custom_of(diff_of(keys)) == custom


def test_of_many_keys_two_thousand_from_all_over_say_what_is_their_custom():
    odd = [key for number, key in enumerate(numbers(4000)) for key in ([f"x{key}"] if number % 2 else [key])]
    assert custom_of(diff_of(odd)) == custom_of(diff_of(sorted(odd))) == Custom()
    diff = diff_of(numbers(4001))
    assert len(keyguard._sample(diff.groups.leaders, 2000)) == 1334
    assert len(keyguard._sample(diff.groups.leaders[:2000], 2000)) == 2000
    assert len(keyguard._sample(diff.groups.leaders[:2001], 2000)) == 1001


@pytest.mark.usefixtures("block_rows")
def test_new_numbers_with_too_few_digits_have_lost_their_zeros():
    keys = [*numbers(8), "123", "x1", "٣", "12", "7", "1", "123"]
    damage = Damage(
        4, 14, 14, (Example(0, 10, "123", "000123"), Example(1, 4, "12", "000012"), Example(1, 5, "7", "000007")), 6
    )
    new = diff_of(keys)
    assert against_custom(new, Custom(6, padded=True), known=False) == damage
    assert against_custom(new, Custom(6), known=True) == damage
    assert against_custom(new, Custom(6), known=False) is None  # a series may begin with them
    assert against_custom(new, Custom(), known=True) is None
    partly = diff_of(keys, ["12", *numbers(8)])
    found = against_custom(partly, Custom(6), known=True)
    assert (found.count, found.looked_at, found.of) == (3, 5, 5)  # two digits are not known, but 34 would be usual
    both = diff_of([*keys, "34"], ["12", *numbers(8)])
    assert [one.key for one in against_custom(both, Custom(6), known=True).examples] == ["123", "7", "1"]
    assert against_custom(diff_of(numbers(9)), Custom(6), known=True) is None


@pytest.mark.usefixtures("block_rows")
@pytest.mark.parametrize(("case", "other", "name"), [(str.upper, str.lower, "upper"), (str.lower, str.upper, "lower")])
def test_new_keys_of_a_usual_form_in_the_other_letter_case_are_damaged(case, other, name):
    shapes = frozenset({"aa-00", "a0"})
    custom = Custom(case=name, shapes=shapes)
    keys = [
        *(case(f"ab-{n}") for n in range(10, 19)),
        other("ab-77"),
        other("c1"),
        case("a")[0] + other("b-78"),
        other("abc"),
    ]
    keys += ["7", other("z9"), case("z8"), other("é-22")]
    assert against_custom(diff_of(keys), custom, known=False) == Damage(4, 17, 17, (
        Example(1, 2, other("ab-77"), case("ab-77")), Example(1, 3, other("c1"), case("c1")),
        Example(1, 4, case("a") + other("b-78"), case("ab-78")),
    ))  # fmt: skip
    known = [*keys[:9], other("c1")]
    found = against_custom(diff_of(keys, known), custom, known=True)
    assert [one.key for one in found.examples] == [other("ab-77"), case("a") + other("b-78")]
    first = against_custom(diff_of(keys, known), custom, known=False)
    assert (first.count, first.of) == (3, 7)
    assert against_custom(diff_of([case("ab-10"), "77"]), custom, known=True) is None


def test_a_damage_is_shown_with_file_line_key_and_what_it_should_be():
    damage = Damage(2, 2, 2, (Example(0, 2, "a1", "00A1"), Example(1, 7, "8E+12")))
    assert show(damage, ["f.csv", "g.csv"], "perhaps") == "f.csv:2 'a1' (perhaps '00A1'), g.csv:7 '8E+12'"


@pytest.mark.usefixtures("block_rows")
def test_new_keys_with_marks_apart_are_told_with_the_first_and_how_many_stand_there_twice():
    keys = ["K1", "Zu\u0308rich", "Z\u00fcrich", "Zu\u0308rich", "o\u0308", *"123456", "\u00e9", "e\u0301", "東京"]
    (note,) = marks_apart(diff_of(keys, ["o\u0308"]), ["a.csv", "b.csv"])
    assert note.startswith("new keys with letters and marks apart (NFD): 2, the first: a.csv:3 'Zu\\u0308rich'; ")
    assert note.endswith("; in both ways stand in the files: 2")
    for other in (["K1", "é", "東京"], []):
        assert [*marks_apart(diff_of(other), ["a.csv", "b.csv"])] == []
