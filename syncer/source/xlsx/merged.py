"""Cells that are merged over several rows: Excel shows the content of the first in all of them; the others are blank.

What always holds: what people see as content is not taken for a blank cell; it is taken for that content where the job
says so, else its row is told. What is merged within one row is a title or a long remark, and stays. Bounded by
`RANGES_MAX` and the columns of the table.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from typing import NamedTuple

from syncer.source.xlsx.cells import CellFault
from syncer.source.xlsx.xml import XmlError

MERGED = "E128"
RANGES_MAX = 1_000_000
_MARK = b"mergeCells"
_BYTES_MAX = 64 << 20
_CORNER = rb"\$?([A-Za-z]{1,3})\$?([0-9]{1,7})"
_RANGE = re.compile(rb"<(?:\w+:)?mergeCell\b[^>]*?\bref=[\"']" + _CORNER + rb":" + _CORNER + rb"[\"']")


class _Range(NamedTuple):
    first_line: int
    last_line: int
    first_column: int


class MergeScan:
    """Sees the bytes of a sheet pass, and keeps those that tell which cells are merged: they stand behind the rows."""

    def __init__(self) -> None:
        self._before = b""
        self._kept: list[bytes] = []
        self._size = 0

    def see(self, block: bytes) -> None:
        """Take the next bytes."""
        if not self._kept:
            text = self._before + block
            place = text.find(_MARK)
            self._before = text[-len(_MARK) :]
            if place < 0:
                return
            block = text[place:]
        self._kept.append(block)
        self._size += len(block)
        if self._size > _BYTES_MAX:
            raise XmlError("what follows its rows is larger than any workbook's")

    def merges(self) -> Merges:
        """Return the merged cells that were seen."""
        return Merges(b"".join(self._kept))


class Merges:
    """The merged cells of a sheet. Rows are shown to it from the first one on."""

    def __init__(self, text: bytes) -> None:
        ranges: list[tuple[_Range, int]] = []
        for found in _RANGE.finditer(text):
            if len(ranges) >= RANGES_MAX:
                raise XmlError("it has too many merged cells")
            left, top, right, bottom = found.groups()
            if int(top) < int(bottom):
                ranges.append((_Range(int(top), int(bottom), column_number(left)), column_number(right)))
        self._ranges = sorted(ranges)
        self._of_column: dict[int, tuple[list[int], list[_Range]]] = {}
        self._content: dict[_Range, str | CellFault] = {}
        self._width = 0

    def __bool__(self) -> bool:
        return bool(self._ranges)

    def _widen(self, width: int) -> None:
        """Know the ranges by their columns, as far as the table reaches."""
        for column in range(self._width + 1, width + 1):
            here = [one for one, right in self._ranges if one.first_column <= column <= right]
            if here:
                self._of_column[column] = ([one.first_line for one in here], here)
        self._width = max(self._width, width)

    def see(self, line: int, texts: list[str | CellFault]) -> list[tuple[int, _Range]]:
        """Take a row from column 1 on; return the columns of its blank cells that are merged with another's content."""
        self._widen(len(texts))
        found = []
        for column, (lines, ranges) in self._of_column.items():
            place = bisect_right(lines, line) - 1
            if place < 0 or line > ranges[place].last_line or column > len(texts):
                continue
            one = ranges[place]
            if (line, column) == (one.first_line, one.first_column):
                self._content[one] = texts[column - 1]
            elif line > one.first_line and not texts[column - 1] and self._content.get(one, "") != "":
                found.append((column, one))
        return found

    def content(self, one: _Range) -> str | CellFault:
        """Return the content of the first cell of a range."""
        return self._content[one]


def column_number(letters: bytes) -> int:
    """Return the number of a column from its letters: 28 of AB."""
    number = 0
    for letter in letters.decode().upper():
        number = number * 26 + ord(letter) - ord("A") + 1
    return number
