"""Steps on columns against a model that takes one cell after the other: the same values, the same faults, any order."""

from __future__ import annotations

import re

import numpy as np
import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from syncer.model import Chunk
from syncer.rows.rules import FieldRule, RowRules, Steps
from syncer.rows.validate import Validator

words = st.text("abAB01 -é", max_size=5)
expressions = st.sampled_from([None, "([ab]+)", "^.(.*)$", "([0-9])", "-(é?)", "(?:a|b)([^a]*)"])


@st.composite
def steps(draw):
    case = draw(st.sampled_from(["", "upper", "lower"]))
    table = draw(st.none() | st.dictionaries(words, words, min_size=1, max_size=4))
    cased = getattr(str, case) if case else str
    if table is not None and len({cased(key) for key in table}) < len(table):
        table = None
    return Steps(
        origin=draw(st.sampled_from(["a", "{a}-{b}", "<{a}>"])),
        trim=draw(st.booleans()),
        null=tuple(draw(st.lists(words.filter(bool), max_size=2, unique=True))),
        strip_prefix=tuple(draw(st.lists(words.filter(bool), max_size=2, unique=True))),
        strip_suffix=tuple(draw(st.lists(words.filter(bool), max_size=2, unique=True))),
        extract=draw(expressions),
        upper=case == "upper",
        lower=case == "lower",
        pad=draw(st.sampled_from([0, 0, 3])),
        map=table,
        map_else=draw(st.sampled_from(["reject", "keep", "other"])),
    )


def model(steps, a, b):
    """Return what one row sends, None for nothing, or the code of its rejection in a list."""

    def cleaned(cell):
        cell = cell.strip() if steps.trim else cell
        return "" if cell in steps.null else cell

    parts = [cleaned(a), cleaned(b)] if "{b}" in steps.origin else [cleaned(a)]
    if "{" in steps.origin:
        blank = [not part.strip() for part in parts]
        if any(blank) and not all(blank):
            return ["E322"]
        template = steps.origin.replace("{a}", "{0}").replace("{b}", "{1}")
        value = "" if all(blank) else template.format(*parts)
    else:
        value = parts[0]
    for words, pattern in ((steps.strip_prefix, r"\A(?:{})"), (steps.strip_suffix, r"(?:{})\Z")):
        if words:
            longest = "|".join(re.escape(word) for word in sorted(words, key=len, reverse=True))
            value = re.sub(pattern.format(longest), "", value, count=1)
    if steps.extract and not value.strip():
        value = (re.search(steps.extract, value) or [None, ""])[1] or ""
    elif steps.extract:
        found = re.search(steps.extract, value)
        if found is None or not found[1]:
            return ["E321"]
        value = found[1]
    cased = str.upper if steps.upper else str.lower if steps.lower else str
    value = cased(value)
    if steps.pad and value:
        value = value.rjust(steps.pad, "0")
    if steps.map is not None:
        table = {cased(key): sent for key, sent in steps.map.items()}
        if value in table:
            value = table[value]
        elif value.strip() and steps.map_else == "reject":
            return ["E320"]
        elif value.strip() and steps.map_else != "keep":
            value = steps.map_else
    return value if value.strip() else None


@given(steps=steps(), rows=st.lists(st.tuples(words, words), min_size=1, max_size=12))
def test_columns_come_out_as_cell_after_cell_would(steps, rows):
    header = ("extended_id", "a", "b", "keep")
    rules = RowRules(("extended_id",), fields={"f": FieldRule(steps=steps)}, constants={"always": "x"})
    cells = [(f"K{place}", a, b, "") for place, (a, b) in enumerate(rows)]
    columns = [pa.array([row[place] for row in cells], pa.string()) for place in range(len(header))]
    batch = pa.RecordBatch.from_arrays(columns, names=list(header))
    validator = Validator(rules, header, "a.csv")
    valid = validator.check(Chunk(0, batch, np.arange(len(rows), dtype=np.int64)))
    column = valid.fields[validator.fields.index("f")]
    found = {int(line): column[row].as_py() for row, line in enumerate(valid.lines)}
    found |= {row.line: [row.code] for row in valid.rejections}
    assert [found[line] for line in range(len(rows))] == [model(steps, a, b) for a, b in rows]
    assert sum(change.rows.sum() for change in valid.changes) <= len(rows)
