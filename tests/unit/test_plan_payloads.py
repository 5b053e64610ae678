"""Sets of data, numbered: each once, in canonical form, however it came, and with the names of its fields."""

from __future__ import annotations

import json

import pyarrow as pa
import pytest

import syncer.plan.payloads as payloads_module
from syncer.mirror.words import canonical
from syncer.plan.payloads import Payloads

FIELDS = ("b", "a", 'q"', "ä")
TABLE = [
    ("1", None, None, None), (None, "1", None, None), ("1", "1", "1", "1"), (None, None, None, None), ("", None, None, ""),
    ("1", None, None, None), ('q"', None, None, None), ("a\\", "\t", None, None), ("\x1f", " ", "!", "ä"),
    (None, None, None, "\x7f\u2028\U0001f600"), ("", None, None, ""), (None, "1", None, None), ("\n", None, " a ", None),
]  # fmt: skip


ALIKE = [
    ("2", None, None, None),
    (None, "2", None, None),
    ("3", None, None, None),
    (None, "3", None, "3"),
    ("4", None, None, None),
]
"""Some that name the same fields."""


def encode(payloads, table, fields=FIELDS, *, cut=0):
    """The numbers of rows, whose columns begin behind `cut` rows of another table."""
    first = [tuple(f"cut{place}" for place in range(len(fields)))] * cut
    columns = [
        pa.array([row[at] for row in [*first, *table]], pa.string()).dictionary_encode().slice(cut)
        for at in range(len(fields))
    ]
    return payloads.encode(fields, columns, len(table)).tolist()


def sent(row, fields=FIELDS):
    return canonical({name: cell for name, cell in zip(fields, row, strict=True) if cell is not None})


def check(payloads, texts):
    """Every set of data stands once, in the order of its appearance, and each is found again with its fields."""
    assert payloads.data == [*dict.fromkeys(texts)]
    assert len(payloads) == len(payloads.data)
    assert [payloads.known_number(text) for text in payloads.data] == [*range(len(payloads))]
    named = payloads.named()
    assert [list(named.lists[place]) for place in named.of] == [list(json.loads(text)) for text in payloads.data]
    assert len({*named.lists}) == len(named.lists)
    for wanted in (["a"], ["a", "e"], ['q"'], ["none"], []):
        assert named.any_of(wanted).tolist() == [
            not json.loads(text).keys().isdisjoint(wanted) for text in payloads.data
        ]


@pytest.mark.parametrize("folded_max", [1, 7, 1 << 62])
@pytest.mark.parametrize("look", [False, True])
@pytest.mark.parametrize("cut", [0, 2])
def test_data_is_the_same_in_whatever_chunks_it_comes_and_whoever_else_names_some(folded_max, look, cut, monkeypatch):
    monkeypatch.setattr(payloads_module, "FOLDED_MAX", folded_max)
    payloads, texts = Payloads(), []
    for part in (TABLE[:4], TABLE[2:3], [], TABLE[4:9], TABLE[:9], TABLE[9:], ALIKE):
        numbers = encode(payloads, part, cut=cut)
        texts += [sent(row) for row in part]
        assert [payloads.data[number] for number in numbers] == [sent(row) for row in part]
        if look:
            check(payloads, texts)
        for text in (sent(TABLE[0]), '{"e":"1"}', canonical({"e": str(len(texts)), "a": "1"})):
            assert payloads.data[payloads.number(text)] == text
            texts.append(text)
    check(payloads, texts)
    other = ("c", "a")
    assert [payloads.data[n] for n in encode(payloads, [("1", None), (None, "1")], other)] == ['{"c":"1"}', '{"a":"1"}']
    check(payloads, [*texts, '{"c":"1"}', '{"a":"1"}'])


def test_no_data_at_all_is_data_too():
    payloads = Payloads()
    assert payloads.known_number("{}") is None
    assert payloads.encode((), (), 0).tolist() == []
    assert payloads.encode((), (), 3).tolist() == [0, 0, 0]
    assert payloads.data == ["{}"]
    assert payloads.named().of.tolist() == [0]
    assert [*payloads.named().lists] == [()]


def test_more_combinations_than_an_integer_holds_are_told_apart():
    """65 fields of one value, or nine of 255, have more than 64 bits can tell apart: a sum of them loses the first one."""
    bits = [("x",) + (None,) * 64, (None,) * 65, (None,) + ("x",) * 64, ("x",) * 65]
    bytes_ = [(str(value),) * 9 for value in range(255)] + [("1",) + ("5",) * 8, ("2",) + ("5",) * 8]
    for rows in (bits, bytes_):
        fields = tuple(f"f{number:02d}" for number in range(len(rows[0])))
        payloads = Payloads()
        assert encode(payloads, [*rows, *reversed(rows)], fields) == [*range(len(rows)), *reversed(range(len(rows)))]
        assert payloads.data == [sent(row, fields) for row in rows]


@pytest.mark.parametrize("special", ['"', "\\", "\t", "\x1f", "\0"])
def test_one_character_that_has_to_be_escaped_is(special):
    payloads = Payloads()
    assert encode(payloads, [("a",), (special,)], ("f",)) == [0, 1]
    assert payloads.data == ['{"f":"a"}', canonical({"f": special})]
