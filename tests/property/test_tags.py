"""Rows that the reader refused, as result files show them: nothing is lost, and each has a tag until it is mended."""

from __future__ import annotations

import re

from hypothesis import given
from hypothesis import strategies as st

from syncer.rejections import Rejection
from syncer.safe.formulas import EXTRA_COLUMNS
from syncer.source.encodings import NOT_TEXT
from syncer.source.tags import refused_cells, tag_of, tagged

cells = st.lists(st.text(st.sampled_from(f"ab ,\n'={NOT_TEXT}"), max_size=4), max_size=7)


@given(cells, st.integers(1, 4), st.lists(st.integers(0, 6), max_size=2), st.booleans())
def test_no_cell_of_a_refused_row_is_lost_and_one_has_a_tag(cells, width, wrong, is_ours):
    names = [f"c{place}" for place in range(width)]
    row = Rejection(0, 2, "E101", "", cells=tuple(cells), wrong=tuple(wrong))
    if is_ours:  # what the program said of the row stands behind its own cells
        row = Rejection(0, 2, "E101", "", cells=(*cells, "a.csv", "2", "E101", "words"), wrong=tuple(wrong))
    header = [*names, *EXTRA_COLUMNS] if is_ours else names
    if is_ours and len(cells) < width:
        return  # of too few cells nobody can tell which the program's are
    found = refused_cells(row, header, ",")
    assert list(found) == names
    assert any(map(tag_of, found.values()))
    plain = [re.sub(r"\[E101\] ?", "", cell) for cell in found.values()]
    filled = [*cells, *[""] * (width - len(cells))]
    assert ",".join(plain) == ",".join(filled).replace(NOT_TEXT, "\ufffd")
    again = Rejection(0, 2, "E101", "", cells=tuple(found.values()))
    assert refused_cells(again, names, ",") == found  # a second night adds nothing


@given(st.text(max_size=6))
def test_a_cell_is_tagged_once(text):
    once = tagged("E124", text)
    assert tag_of(once) == "E124"
    assert tagged("E121", once) == once
