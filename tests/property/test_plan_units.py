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
