"""Cells whose value comes from the formula of another one: of an array, one that spills, a table of data. Pure.

What always holds: only the first cell of such a range has the formula in the file, but none of the others is taken for
a number that somebody typed. Bounded by `ARRAYS_MAX`.
"""

from __future__ import annotations

import re

from syncer.source.xlsx.merged import column_number
from syncer.source.xlsx.xml import XmlError

ARRAYS_MAX = 1000
"""Of one row: those of several cells that reach it."""
_RANGE = re.compile(r"\$?([A-Za-z]{1,3})\$?[0-9]{1,7}:\$?([A-Za-z]{1,3})\$?([0-9]{1,7})")


class ArrayScan:
    """Knows the ranges that were seen, as far as rows to come can lie in them."""

    def __init__(self) -> None:
        self._ranges: list[tuple[int, int, int]] = []

    def add(self, reference: str) -> None:
        """Take the range of a formula."""
        found = _RANGE.fullmatch(reference)
        if found is None:  # of one cell, which has the formula itself
            return
        if len(self._ranges) >= ARRAYS_MAX:
            raise XmlError("it has too many formulas of arrays: save their values")
        first, last = (column_number(letters.encode()) for letters in found.group(1, 2))
        self._ranges.append((first, last, int(found[3])))

    def start_row(self, line: int) -> None:
        """Forget the ranges that ended before this row."""
        if self._ranges:
            self._ranges = [one for one in self._ranges if one[2] >= line]

    def reach(self, column: int) -> bool:
        """Tell whether a formula gives the cell in this column of the row."""
        return any(first <= column <= last for first, last, _ in self._ranges)
