"""The strict parser of separated text: RFC 4180, with every departure noticed. The slow path, for what is not plain.

A row whose damage is surely its own (another width, a quote in the middle of a cell, a NUL) is marked with the reason
and its neighbours are read. Where a quote is opened and never closed, is followed by text, or makes a row of another
width go over several lines, nobody can tell from the row itself where the next one begins. Then its first line is
rejected, and so is every line after it up to the first from which rows with `EVIDENCE` separators parse without a
fault: text inside a cell does not look like that. Nothing inside a damaged row is ever guessed.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from syncer.errors import SourceError

WIDTH = "E101"
STRAY_QUOTE = "E102"
NUL = "E103"
IN_DOUBT = "E104"
EVIDENCE = 8
"""Separators in right rows, one after the other, that show that a line behind a damaged quote begins a row."""
RESYNC_LINES_MAX = 1000
"""Lines behind one damaged quote that may be rejected; if no row is found in them, the file is refused."""
_NEWLINE = re.compile(r"\r\n|\n|\r")

Fault = tuple[str, str]
"""Rejection code and message."""


@dataclass(frozen=True, slots=True)
class Row:
    """One row. ``fault`` is its rejection code and message when it cannot be taken, else None."""

    line: int
    cells: list[str]
    fault: Fault | None = None


@dataclass(frozen=True, slots=True)
class _Reading:
    """A row as it reads from one place; ``torn``: its fault leaves in doubt where the next row begins."""

    cells: list[str]
    end: int
    fault: Fault | None = None
    torn: bool = False


class RowParser:
    """Parses text piece by piece; keeps count of physical lines. ``width`` None: any width is right.

    ``escape`` is the character that makes a quote inside a quoted cell part of it; empty: quotes are doubled.
    """

    def __init__(
        self, delimiter: str, quote: str, *, name: str, width: int | None, line: int = 1, escape: str = ""
    ) -> None:
        self.line = line
        self.consumed = 0
        """Characters of the last text that made whole rows."""
        self._width = width
        self._name = name
        self._delimiter = delimiter
        self._quote = quote
        self._escape = escape
        edge, q, e = re.escape(delimiter), re.escape(quote), re.escape(escape)
        end = rf"(?P<end>{edge}|\r\n|\n|\r|\Z)"
        if not quote:
            quoted, cell = "(?!)", rf"(?P<bare>[^{edge}\r\n]*)(?P<quoted>(?!))?"
        else:
            inner = rf"[^{q}{e}]*+(?:{e}(?s:.)[^{q}{e}]*+)*+" if escape else rf"[^{q}]*+(?:{q}{q}[^{q}]*+)*+"
            quoted = rf"{q}(?P<quoted>{inner}){q}"
            cell = rf"(?:{quoted}|(?P<bare>[^{q}{edge}\r\n]*))"
        self._cell = re.compile(cell + end)
        self._quoted = re.compile(quoted)
        self._edge = re.compile(end)
        self._escaped = re.compile(rf"{e}([{e}{q}])") if escape else None

    def rows(self, text: str, *, final: bool, give_up: bool = False) -> Iterator[Row]:
        """Give the whole rows of `text`; unless ``final``, its last row may be cut and is left unconsumed.

        ``consumed`` tells how much was used. ``give_up``: no more text is wanted for the first row, so that a quote
        that is not closed in `text` counts as never closed. Raises `SourceError` when no row is found behind a
        damaged one.
        """
        self.consumed = 0
        place = 0
        while place < len(text):
            whole = final or give_up
            read = self._read(text, place, final=whole)
            if read is None:
                return
            if read.torn:
                end = self._resume(text, place, final=whole)
                if end is None:
                    return
                assert read.fault is not None  # noqa: S101  a torn row has one
                rows = self._rejected(text[place:end], read.fault)
                self.line += len(rows)
            else:
                blank = read.cells == [""] and self._width != 1
                rows = [] if blank else [Row(self.line, read.cells, read.fault)]
                end = read.end
                self.line += count_lines(text, place, end)
            place = self.consumed = end
            give_up = False
            yield from rows

    def split(self, line: str) -> list[str]:
        """Return the cells of one whole line."""
        row = next(self.rows(line, final=True), None)
        return [] if row is None else row.cells

    def _read(self, text: str, begin: int, *, final: bool) -> _Reading | None:
        """Read the row at `begin`; None: it is cut."""
        cells: list[str] = []
        place = begin
        fault: Fault | None = None
        while True:
            found = self._cell.match(text, place)
            if found is not None:
                cells.append(self._unquoted(found["quoted"]) if found["bare"] is None else found["bare"])
            elif self._quote and text.startswith(self._quote, place):
                closed = self._quoted.match(text, place)
                if closed is None and not final:
                    return None
                return _Reading(cells, len(text), self._torn(len(cells) + 1, closed), torn=True)
            else:
                found = self._edge.search(text, place)
                assert found is not None  # noqa: S101  the end of the text is an edge
                column = len(cells) + 1
                fault = fault or (
                    STRAY_QUOTE, f"column {column}: a quote in the middle of a cell; double it and quote the cell"
                )  # fmt: skip
                cells.append(text[place : found.start()])
            place, end = found.end(), found["end"]
            if place == len(text) and end not in {"\n", "\r\n"} and not final:
                return None  # the row, or its CRLF, may go on in the next piece
            if end != self._delimiter:
                break
        fault = fault or self._fault(cells, text, begin, place)
        several = fault is not None and count_lines(text, begin, place - len(found["end"])) > 0
        return _Reading(cells, place, fault, torn=several)

    def _unquoted(self, quoted: str) -> str:
        if self._escaped is not None:
            return self._escaped.sub(r"\1", quoted)
        return quoted.replace(self._quote * 2, self._quote)

    @staticmethod
    def _torn(column: int, closed: re.Match[str] | None) -> Fault:
        if closed is None:
            return STRAY_QUOTE, f"column {column}: a quote is opened and never closed"
        return STRAY_QUOTE, f"column {column}: text follows the closing quote of the cell"

    def _fault(self, cells: list[str], text: str, begin: int, end: int) -> Fault | None:
        if self._width is not None and len(cells) != self._width and cells != [""]:
            return WIDTH, f"{len(cells)} cells instead of {self._width}: a separator is missing or too many"
        if text.find("\0", begin, end) >= 0:
            column = next((n for n, cell in enumerate(cells, 1) if "\0" in cell), 1)
            return NUL, f"column {column}: a NUL character"
        return None

    def _resume(self, text: str, begin: int, *, final: bool) -> int | None:
        """Return where rows surely begin again behind a torn row (the end of a whole text); None: more text is needed.

        Raises `SourceError` when `RESYNC_LINES_MAX` lines hold no such place.
        """
        place = begin
        for _ in range(RESYNC_LINES_MAX):
            newline = _NEWLINE.search(text, place)
            if newline is None or newline.end() == len(text):
                return len(text) if final else None
            place = newline.end()
            steady = self._width is None or self._is_steady(text, place, final=final)
            if steady is None:
                return None
            if steady:
                return place
        raise SourceError(
            f"behind a damaged quote there are {RESYNC_LINES_MAX} lines in which nobody can tell rows from the text "
            "of a cell, so the file is refused whole",
            file=self._name,
            line=self.line,
            next='correct the line, or declare that cells are never quoted: jobs.<name>.csv.quote = ""',
        )

    def _is_steady(self, text: str, place: int, *, final: bool) -> bool | None:
        """Tell whether right rows with enough separators stand at `place`; None: more text is needed."""
        separators = 0
        while separators < EVIDENCE and self._width != 1:
            if place == len(text):
                return False if final else None
            read = self._read(text, place, final=final)
            if read is None:
                return None
            if read.fault is not None:
                return False
            separators += len(read.cells) - 1
            place = read.end
        return self._width != 1

    def _rejected(self, text: str, fault: Fault) -> list[Row]:
        """Return the lines of a torn row, and those behind it that are in doubt, as rejected rows."""
        lines = _NEWLINE.split(text)
        if lines[-1] == "":
            lines.pop()
        doubt = (IN_DOUBT, f"it stands behind the damaged quote of line {self.line}: a row, or part of a cell?")
        return [
            Row(self.line + n, line.split(self._delimiter), doubt if n else fault)
            for n, line in enumerate(lines)
        ]  # fmt: skip


def count_lines(text: str, begin: int, end: int) -> int:
    """Count the line ends (LF, CR, CRLF) in a part of a text."""
    newlines = text.count("\n", begin, end)
    returns = text.count("\r", begin, end)
    return newlines + returns - (text.count("\r\n", begin, end) if returns else 0)
