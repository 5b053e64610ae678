"""What the steps of fields did, counted by value: all of a few values, the first of many, and every row."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pyarrow as pa
import pytest

import syncer.rows.changes as changes_module
from syncer.model import Change
from syncer.rows.changes import ChangeWatch, FieldChanges, ValueChange


def change(field, *values):
    """A field whose cells (before, after, rows) were made something of."""
    before, after = (pa.array([value[place] for value in values], pa.string()) for place in (0, 1))
    return Change(field, before, after, np.array([value[2] for value in values], np.int64))


def seen(origins, constants, *chunks):
    watch = ChangeWatch(origins, constants)
    for rows, *changes in chunks:
        watch.see(SimpleNamespace(lines=np.arange(rows), changes=changes))
    return watch.fields()


def test_the_most_frequent_change_comes_first_and_what_stayed_as_it_was_is_none():
    as_it_is = pa.array(["x"], pa.string())
    found = seen(
        {"market": "Land", "lot": "a + b"},
        {"brand": "B"},
        (
            9,
            change("market", ("y", "Y", 2), ("x", "x", 5), ("z", "Z", 2)),
            Change("lot", as_it_is, as_it_is, np.array([9])),
        ),
        (4, change("market", ("a", "A", 3), ("x", "x", 1)), change("lot", ("1", "", 4))),
        (3, change("market", ("b", "A", 2), ("y", "X", 2), ("z", "Z", 1), ("n", "N", 0))),
    )
    assert found == (
        FieldChanges("brand", "", 16, (ValueChange(None, "B", 16),), complete=True),
        FieldChanges("lot", "a + b", 4, (ValueChange("1", "", 4),), complete=True),
        FieldChanges(
            "market", "Land", 12,
            (
                ValueChange("a", "A", 3), ValueChange("z", "Z", 3), ValueChange("b", "A", 2), ValueChange("y", "X", 2),
                ValueChange("y", "Y", 2),
            ),
            complete=True,
        ),
    )  # fmt: skip
    assert seen({"f": "F"}, {}) == (FieldChanges("f", "F", 0, (), complete=True),)


def values(field, text, rows=1):
    return change(field, *((letter, letter.upper(), rows) for letter in text))


@pytest.mark.parametrize(
    ("chunks", "shown", "complete"),
    [
        (["cab"], "abc", True),
        (["ca", "b"], "abc", True),
        (["dcba"], "dcb", False),  # of one chunk as many as are kept
        (["cb", "da"], "cbda", False),  # those of a chunk that began before it was full
        (["cb", "da", "e", "c"], "cbda", False),
        (["dcba", "f", "d"], "dcb", False),
        (["cab", "cab"], "abc", True),
    ],
)
def test_of_more_values_than_are_kept_the_first_are_shown_and_all_rows_are_counted(
    chunks, shown, complete, monkeypatch
):
    monkeypatch.setattr(changes_module, "VALUES_MAX", 3)
    (one,) = seen({"f": "F"}, {}, *((len(text), values("f", text)) for text in chunks))
    assert "".join(value.before for value in one.values) == shown
    assert (one.rows, one.complete) == (sum(map(len, chunks)), complete)
    full, other = seen(
        {"f": "F", "g": "G"}, {}, (4, values("f", "dcba")), (1, values("f", "d", 7), values("g", "d", 7))
    )
    assert [value.rows for value in full.values] == [1, 1, 1]
    assert (full.rows, other.rows, other.complete) == (11, 7, True)


@pytest.mark.parametrize(("count", "complete"), [(1000, True), (1001, False)])
def test_a_thousand_values_are_counted_one_by_one(count, complete):
    (one,) = seen({"f": "F"}, {}, (count, change("f", *((f"v{number}", "", 1) for number in range(count)))))
    assert (len(one.values), one.rows, one.complete) == (1000, count, complete)
