"""Rules across rows against a model that looks at one unit after the other."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from syncer.model import ValidChunk
from syncer.plan.records import Gatherer
from syncer.plan.units import UnitRule, without_broken

rows = st.lists(
    st.tuples(st.sampled_from("abcdefgh"), st.sampled_from(["", "C1", "C2", "C3"]), st.sampled_from(["x", "y"])),
    max_size=14,
)


def records_of(listed):
    gatherer = Gatherer(("case", "lot"))
    column = lambda place: pa.array([row[place] or None for row in listed], pa.string())  # noqa: E731
    fields = (column(1).dictionary_encode(), column(2).dictionary_encode())
    lines = np.arange(2, 2 + len(listed), dtype=np.int64)
    gatherer.add(ValidChunk(0, len(listed), (column(0),), fields, lines, ()))
    return gatherer.records()


@given(rows=rows, codes=st.none() | st.integers(1, 3), same=st.booleans())
def test_units_that_break_a_rule_are_rejected_whole_and_no_others(rows, codes, same):
    rows = list({row[0]: row for row in rows}.values())  # a key in two units is E210, and another test's
    found = without_broken(records_of(rows), [UnitRule("case", codes, ("lot",) if same else ())])
    expected = {}
    for unit in {row[1] for row in rows if row[1]}:
        of_unit = [(line, row) for line, row in enumerate(rows, 2) if row[1] == unit]
        if codes is not None and len(of_unit) != codes:
            expected |= {line: "E330" for line, _ in of_unit}
        elif same and len({row[2] for _, row in of_unit}) > 1:
            expected |= {line: "E331" for line, _ in of_unit}
    assert {row.line: row.code for row in found.rejections} == expected
    assert found.line.tolist() == [line for line in range(2, 2 + len(rows)) if line not in expected]
    assert found.rows_read == len(rows)
