"""Rows of columns with fixed widths. A line is a row; the spaces that fill a column up are no part of its cells.

What always holds: a line that goes on behind the last column, or ends within one that is not the last, is rejected;
one whose trailing blanks were cut off is right.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import accumulate

from syncer.source.encodings import NOT_TEXT
from syncer.source.rows import NOT_ENCODED, NUL, WIDTH, Fault, Row, RowOptions

_NEWLINE = re.compile(r"\r\n|\n|\r")


class FixedParser:
    """Cuts text piece by piece, as `RowParser` does; keeps count of lines."""

    def __init__(self, widths: tuple[int, ...], *, line: int, options: RowOptions) -> None:
        self.line = line
        self.consumed = 0
        """Characters of the last text that made whole rows."""
        self._ends = list(accumulate(widths))
        self._begins = [0, *self._ends[:-1]]
        self._options = options

    def rows(self, text: str, *, final: bool, give_up: bool = False) -> Iterator[Row]:
        """Give the whole rows of `text`; unless ``final``, its last line may be cut and is left unconsumed."""
        self.consumed = place = 0
        while place < len(text):
            newline = _NEWLINE.search(text, place)
            cut = newline is None or (newline.end() == len(text) and newline[0] == "\r")
            if cut and not (final or give_up):
                return
            end, stop = (newline.start(), newline.end()) if newline is not None else (len(text), len(text))
            written = text[place:end]
            row = Row(self.line, *self._cells(written))
            self.consumed = place = stop
            self.line += 1
            is_comment = bool(self._options.comment) and written.startswith(self._options.comment)
            if not is_comment and (written.strip() or self._options.blanks):
                yield row

    def _cells(self, written: str) -> tuple[list[str], Fault | None]:
        cells = [written[begin:end].strip(" ") for begin, end in zip(self._begins, self._ends, strict=True)]
        if not written.strip():
            return [""], None
        if NOT_TEXT in written:
            return cells, (NOT_ENCODED, "bytes that are not of the file's encoding")
        if "\0" in written:
            return cells, (NUL, "a NUL character")
        if written[self._ends[-1] :].strip(" "):
            return cells, (WIDTH, f"the line goes on behind its {self._ends[-1]} characters")
        return cells, None
