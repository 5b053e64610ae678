"""Rows of columns with fixed widths. A line is a row; the spaces that fill a column up are no part of its cells.

Widths count characters. What always holds: a line that goes on behind the last column is rejected; one whose trailing
blanks were cut off is right. Where nobody can tell which characters stand in which column, the line is rejected too: it
has a tab, or its writer counted bytes, or places on a screen. That is seen where all lines are of one length but for
those with letters that take more than one.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from itertools import accumulate

from syncer.source.encodings import NOT_TEXT
from syncer.source.rows import NOT_ENCODED, NUL, WIDTH, Row, RowFault, RowOptions

_COUNTED = "widths count characters; export it in an encoding of one byte each, or with a delimiter"
_NEWLINE = re.compile(r"\r\n|\n|\r")


class FixedParser:
    """Cuts text piece by piece, as `RowParser` does; keeps count of lines."""

    def __init__(self, widths: tuple[int, ...], *, line: int, options: RowOptions, encoding: str) -> None:
        self.line = line
        self._encoding = encoding
        self._cut_off = False
        """Whether a line of plain letters was shorter than the widths: then lengths tell nothing."""
        self.consumed = 0
        """Characters of the last text that made whole rows."""
        self._ends = list(accumulate(widths))
        self._begins = [0, *self._ends[:-1]]
        self._options = options

    def rows(self, text: str, *, final: bool, give_up: bool = False) -> Iterator[Row]:
        """Give the whole rows of `text`; unless ``final``, its last line may be cut and is left unconsumed."""
        self.consumed = place = 0
        held: Row | None = None  # the last row may be a total: it is given with the end of the text
        line = self.line
        while place < len(text):
            newline = _NEWLINE.search(text, place)
            cut = newline is None or (newline.end() == len(text) and newline[0] == "\r")
            if cut and not (final or give_up):
                break
            begin, end = place, newline.start() if newline is not None else len(text)
            place = newline.end() if newline is not None else len(text)
            written = text[begin:end]
            is_comment = bool(self._options.comment) and written.startswith(self._options.comment)
            if not is_comment and (written.strip() or self._options.blanks):
                if held is not None:
                    self.consumed, self.line = begin, line
                    yield held
                held = Row(line, *self._cells(written))
            line += 1
            if held is None:
                self.consumed, self.line = place, line
        if held is not None and (final or give_up):
            self.consumed, self.line = place, line
            yield held

    def _cells(self, written: str) -> tuple[list[str], RowFault | None]:
        cells = [written[begin:end].strip(" ") for begin, end in zip(self._begins, self._ends, strict=True)]
        if not written.strip():
            return [""], None
        if NOT_TEXT in written:
            return cells, RowFault(NOT_ENCODED, "bytes that are not of the file's encoding")
        if "\0" in written:
            return cells, RowFault(NUL, "a NUL character")
        if "\t" in written:
            return cells, RowFault(WIDTH, "a tab stands in the line, and nobody can tell for how many characters")
        width = self._ends[-1]
        if self._counts_otherwise(written, width):
            return cells, RowFault(
                WIDTH,
                f"its bytes or its places on a screen, not its characters, come to {width}: {_COUNTED}",
            )
        if written[width:].strip(" "):
            return cells, RowFault(WIDTH, f"the line goes on behind its {width} characters")
        return cells, None

    def _counts_otherwise(self, written: str, width: int) -> bool:
        """Tell whether who wrote a line counted something else than characters."""
        if written.isascii():
            self._cut_off = self._cut_off or len(written) < width
            return False
        places = [*map(_places, written)]
        if sum(places) == width and set(places) != {1}:
            return not self._cut_off
        in_bytes = len(written) != width and len(written.encode(self._encoding, "replace")) == width
        return in_bytes and not self._cut_off


def _places(sign: str) -> int:
    """Return how many places a character takes on a screen."""
    return 0 if unicodedata.combining(sign) else 2 if unicodedata.east_asian_width(sign) in {"W", "F"} else 1
