"""The strict parser of separated text: RFC 4180, with every departure noticed. The slow path, for what is not plain.

A row whose damage is surely its own (another width, a quote in the middle of a cell, a NUL) is marked with the reason
and its neighbours are read. Where a quote is opened and never closed, or closed in the middle of a cell, nobody can
tell where the next row begins: the file's structure is in doubt, and it is refused whole.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from syncer.errors import SourceError

WIDTH = "E101"
STRAY_QUOTE = "E102"
NUL = "E103"
_NEWLINE = re.compile(r"\r\n|\n|\r")


@dataclass(frozen=True, slots=True)
class Row:
    """One row. ``fault`` is its rejection code and message when it cannot be taken, else None."""

    line: int
    cells: list[str]
    fault: tuple[str, str] | None = None


class RowParser:
    """Parses text piece by piece; keeps count of physical lines. ``width`` None: any width is right."""

    def __init__(self, delimiter: str, quote: str, *, name: str, width: int | None, line: int = 1) -> None:
        self.line = line
        self.consumed = 0
        """Characters of the last text that made whole rows."""
        self._width = width
        self._name = name
        self._delimiter = delimiter
        self._quote = quote
        edge = re.escape(delimiter)
        if quote:
            q = re.escape(quote)
            cell = rf"(?:{q}(?P<quoted>(?:[^{q}]|{q}{q})*){q}|(?P<bare>[^{q}{edge}\r\n]*))"
        else:
            cell = rf"(?P<bare>[^{edge}\r\n]*)(?P<quoted>(?!))?"
        self._cell = re.compile(cell + rf"(?P<end>{edge}|\r\n|\n|\r|\Z)")

    def rows(self, text: str, *, final: bool) -> Iterator[Row]:
        """Give the whole rows of `text`; unless ``final``, its last row may be cut and is left unconsumed.

        ``consumed`` tells how much was used. Raises `SourceError` when the structure is in doubt.
        """
        self.consumed = 0
        place = 0
        while place < len(text):
            found = self._row(text, place, final=final)
            if found is None:
                return
            row, end = found
            self.line += _count_lines(text, place, end)
            place = self.consumed = end
            if row is not None:
                yield row

    def _row(self, text: str, begin: int, *, final: bool) -> tuple[Row | None, int] | None:
        """Parse the row at `begin`: the row (None: a blank line) and where the next begins; None: it is cut."""
        cells: list[str] = []
        place = begin
        fault: tuple[str, str] | None = None
        while True:
            found = self._cell.match(text, place)
            if found is None:
                if text[place] == self._quote:
                    if final or self._closed_badly(text, place):
                        self._doubt(text, begin, place)
                    return None
                cell, place, ended, cut = self._damaged_cell(text, place, final=final)
                if cut:
                    return None
                fault = (
                    STRAY_QUOTE,
                    f"column {len(cells) + 1}: a quote in the middle of a cell; double it or quote the cell",
                )
                cells.append(cell)
            else:
                quoted = found["quoted"]
                cells.append(found["bare"] if quoted is None else quoted.replace(self._quote * 2, self._quote))
                place, ended = found.end(), found["end"] != self._delimiter
                at_edge = place == len(text) and (not found["end"] or found["end"] == "\r")
                if ended and at_edge and not final:
                    return None  # the row, or its CRLF, may go on in the next piece
            if ended:
                break
            if place == len(text) and not final:
                return None
        if cells == [""] and self._width != 1:
            return None, place
        return Row(self.line, cells, fault or self._fault(cells, text[begin:place])), place

    def _closed_badly(self, text: str, place: int) -> bool:
        """Tell whether a quoted cell is closed somewhere, so that what follows it is what is wrong."""
        quote = self._quote
        at = text.find(quote, place + 1)
        while at >= 0 and text[at + 1 : at + 2] == quote:
            at = text.find(quote, at + 2)
        return 0 <= at < len(text) - 1

    def _doubt(self, text: str, begin: int, place: int) -> None:
        line = self.line + _count_lines(text, begin, place)
        closed = self._closed_badly(text, place)
        what = "text follows the closing quote of a cell" if closed else "a quote is opened and never closed"
        raise SourceError(
            f"{what}: where the next row begins is in doubt, so the file is refused whole",
            file=self._name,
            line=line,
            column=place - max(text.rfind("\n", 0, place), text.rfind("\r", 0, place)),
            next='correct the line, or declare that cells are never quoted: jobs.<name>.csv.quote = ""',
        )

    def _damaged_cell(self, text: str, place: int, *, final: bool) -> tuple[str, int, bool, bool]:
        """Read a cell with a quote in its middle to its end: cell, next place, whether the row ended, was cut."""
        end = place
        while end < len(text) and text[end] not in (self._delimiter, "\r", "\n"):
            end += 1
        if end == len(text):
            return text[place:], end, True, not final
        newline = _NEWLINE.match(text, end)
        if newline is None:
            return text[place:end], end + 1, False, False
        cut = newline.end() == len(text) and newline[0] == "\r" and not final
        return text[place:end], newline.end(), True, cut

    def _fault(self, cells: list[str], written: str) -> tuple[str, str] | None:
        if self._width is not None and len(cells) != self._width:
            if self._quote and self._quote in written and _NEWLINE.search(written.rstrip("\r\n")):
                raise SourceError(
                    f"a row of {len(cells)} cells instead of {self._width} goes over several lines inside quotes: "
                    "where it ends is in doubt, so the file is refused whole",
                    file=self._name,
                    line=self.line,
                )
            return WIDTH, f"{len(cells)} cells instead of {self._width}: a separator is missing or too many"
        if "\0" in written:
            return NUL, f"column {next(n for n, cell in enumerate(cells, 1) if chr(0) in cell)}: a NUL character"
        return None


def _count_lines(text: str, begin: int, end: int) -> int:
    newlines = text.count("\n", begin, end)
    returns = text.count("\r", begin, end)
    return newlines + returns - (text.count("\r\n", begin, end) if returns else 0)
