"""Rules across rows against a model that looks at one unit after the other."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from syncer.errors import ConfigError
from syncer.model import ValidChunk
from syncer.plan.records import Gatherer
from syncer.plan.units import UnitRule, require_fields, without_broken
from syncer.rejections import Rejection, Rejections

rows = st.lists(
    st.tuples(st.sampled_from("abcdefgh"), st.sampled_from(["", "C1", "C2", "C3"]), st.sampled_from(["x", "y", ""])),
    max_size=14,
)


def records_of(listed, block):
    """The records of rows that are read in blocks."""
    gatherer = Gatherer(("case", "lot"))
    for begin in range(0, len(listed), block):
        here = listed[begin : begin + block]
        columns = [pa.array([row[place] or None for row in here], pa.string()) for place in range(3)]
        lines = np.arange(2 + begin, 2 + begin + len(here), dtype=np.int64)
        fields = (columns[1].dictionary_encode(), columns[2].dictionary_encode())
        gatherer.add(ValidChunk(0, len(here), (columns[0],), fields, lines, ()))
    return gatherer.records()


@example(  # C1 has three codes of two, C2 two, C3 one; a is torn between two units and counts for none
    rows=[
        ("a", "C1", "x"),
        *((key, "C1", "x") for key in "bcd"),
        ("a", "C2", "x"),
        *((key, "C2", "x") for key in "ef"),
        ("g", "C3", "x"),
        ("h", "", "x"),
    ],
    block=14,
    codes=2,
    same=False,
    parts=False,
)
@example(rows=[("a", "C1", "x"), ("b", "C1", "x"), ("c", "C2", "x")], block=2, codes=2, same=True, parts=True)
@example(rows=[("a", "C1", "x"), ("b", "C1", "x"), ("c", "C2", "x")], block=2, codes=1, same=True, parts=True)
@example(rows=[("a", "C1", "x"), ("a", "C2", "x"), ("b", "C1", "x")], block=9, codes=1, same=False, parts=True)
@example(  # a word that is left alone is like another one that is, and unlike any other
    rows=[("a", "C1", ""), ("b", "C1", ""), ("c", "C2", ""), ("d", "C2", "x"), ("e", "C3", "y"), ("f", "C3", "")],
    block=9,
    codes=None,
    same=True,
    parts=False,
)
@given(
    rows=rows, block=st.integers(1, 14), codes=st.none() | st.integers(1, 3), same=st.booleans(), parts=st.booleans()
)
def test_units_that_break_a_rule_are_rejected_whole_and_no_others(rows, block, codes, same, parts):
    """A key that stands with different data is no code of any unit: E210 tells of its rows."""
    found = without_broken(records_of(rows, block), [UnitRule("case", codes, ("lot",) if same else (), parts)])
    torn = {key for key in "abcdefgh" if len({row for row in rows if row[0] == key}) > 1}
    expected = {}
    for unit in {row[1] for row in rows if row[1]}:
        of_unit = [(line, row) for line, row in enumerate(rows, 2) if row[1] == unit]
        count = len({row[0] for _, row in of_unit} - torn)
        if codes is not None and not (1 if parts else codes) <= count <= codes:
            expected |= {line: "E330" for line, _ in of_unit}
        elif same and len({row[2] for _, row in of_unit}) > 1:
            expected |= {line: "E331" for line, _ in of_unit}
    expected = {line: code for line, code in expected.items() if rows[line - 2][0] not in torn}
    assert {row.line: row.code for row in found.rejections} == expected
    assert found.line.tolist() == [line for line in range(2, 2 + len(rows)) if line not in expected]
    assert found.rows_read == len(rows)


def broken(listed, *rules, lost=0):
    """What is rejected of some rows by some rules, where so many others were rejected before: code, key and words."""
    records = records_of(listed, 3)
    before = Rejections.of([Rejection(0, 90 + number, "E201", "is blank") for number in range(lost)])
    found = without_broken(replace(records, rejections=before), rules)
    return [(row.code, row.key, row.message) for row in found.rejections if row.code != "E201"]


def test_each_rule_judges_the_rows_that_no_rule_before_it_rejected():
    listed = [("a", "C1", "x"), ("b", "C1", "y"), ("c", "C2", "x"), ("d", "", "x"), ("e", "C3", "y")]
    different = "case 'C1' has rows with lot 'x' and 'y'"
    few = 'has 1 codes, not 2; when files hold changes, and so parts of units: jobs.<name>.export = "changes"'
    assert broken(listed, UnitRule("case", 2, ("lot",)), UnitRule("lot", 2)) == [
        ("E331", "a", different), ("E331", "b", different),
        ("E330", "c", f"case 'C2' {few}"), ("E330", "d", "lot 'x' has 3 codes, not 2"), ("E330", "e", f"case 'C3' {few}"),
    ]  # fmt: skip
    assert broken(listed, UnitRule("case")) == broken(listed) == []
    assert [found[:2] for found in broken(listed, UnitRule("lot", 3))] == [("E330", "b"), ("E330", "e")]
    assert not broken([], UnitRule("case", 2))
    assert {code for code, *_ in broken([("d", "", "x"), *listed], UnitRule("case", same=("lot",)))} == {"E331"}


def test_where_a_code_may_be_missing_since_its_row_was_rejected_the_words_say_that_and_no_other_advice():
    words = "case 'C1' has 1 codes, not 2; rows that are rejected for a reason of their own do not count"
    assert broken([("a", "C1", "x")], UnitRule("case", 2), lost=1) == [("E330", "a", words)]
    torn = [("b", "C1", "x"), ("b", "C1", "y")]
    assert broken([("a", "C1", "x"), *torn], UnitRule("case", 2)) == [("E330", "a", words)]
    many = [(key, "C1", "x") for key in "abc"]
    assert broken(many, UnitRule("case", 2), lost=1) == [("E330", key, "case 'C1' has 3 codes, not 2") for key in "abc"]


def test_what_breaks_a_rule_is_told_with_its_unit_as_the_value():
    listed = [("a", "C1", "x"), ("b", "C2", "x"), ("c", "C2", "y")]
    found = without_broken(records_of(listed, 9), [UnitRule("case", 2, ("lot",))])
    assert [(row.key, row.value) for row in found.rejections] == [("a", "C1"), ("b", "C2"), ("c", "C2")]


@pytest.mark.parametrize(("rule", "name"), [(UnitRule("cas"), "cas"), (UnitRule("case", same=("lot", "lots")), "lots")])
def test_a_rule_about_a_field_that_is_not_sent_is_refused(rule, name):
    require_fields([UnitRule("case", 3, ("lot",))], ("case", "lot"))
    with pytest.raises(ConfigError, match=f"units.{rule.field}: '{name}' is no field that is sent"):
        require_fields([UnitRule("lot"), rule], ("case", "lot"))
