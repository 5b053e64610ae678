"""The strict parser of separated text: RFC 4180, with every departure noticed. The slow path, for what is not plain.

A row whose damage is surely its own (another width, a NUL, a quote in the middle of a cell) is marked with the reason
and its neighbours are read. Where a quote is opened and never closed, is followed by text, or makes a row of another
width go over several lines, the row is *torn*: nobody can tell from it alone where the next one begins. Then its first
line is rejected, and with it

- lines behind it that one quote more or less would make part of it, and all up to the first from which rows with
  `EVIDENCE` separators parse without a fault: text inside a cell does not look like that;
- rows before it, within the same distance, from the first that goes over several lines: its quote may be the wrong one.
  The same holds for the rows before a quote that looks like the end of a cell begun on an earlier line.

Nothing inside a damaged row is ever guessed.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterator
from typing import NamedTuple

from syncer.errors import SourceError

WIDTH = "E101"
STRAY_QUOTE = "E102"
NUL = "E103"
IN_DOUBT = "E104"
EVIDENCE = 8
"""Separators in right rows, one after the other, that show that lines near a damaged quote are rows."""
REACH_LINES_MAX = 16
REACH_EDITS_MAX = 200
"""How far a torn row may go on, and how many ways to mend it are tried to find that out."""
RESYNC_LINES_MAX = 1000
"""Lines behind one damaged quote that may be rejected; if no row is found in them, the file is refused."""
_NEWLINE = re.compile(r"\r\n|\n|\r")

Fault = tuple[str, str]
"""Rejection code and message."""


class Row(NamedTuple):
    """One row. ``fault`` is its rejection code and message when it cannot be taken, else None."""

    line: int
    cells: list[str]
    fault: Fault | None = None


class _RowReading(NamedTuple):
    """A row as it reads from one place; ``torn``: its fault leaves in doubt where the next row begins."""

    cells: list[str]
    end: int
    fault: Fault | None = None
    torn: bool = False
    closes: bool = False
    """Its first quote stands at the end of a cell, and may end one that was begun on an earlier line."""


class _Pending(NamedTuple):
    """A row that is not given yet, since damage behind it could still put it in doubt."""

    row: Row
    begin: int
    lines: int
    separators: int


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
        self._places = re.compile(rf"{edge}|\r\n|\n|\r" + (f"|{q}" if quote else ""))
        self._escaped = re.compile(rf"{e}([{e}{q}])") if escape else None

    def rows(self, text: str, *, final: bool, give_up: bool = False) -> Iterator[Row]:
        """Give the whole rows of `text`; unless ``final``, its last row may be cut and is left unconsumed.

        ``consumed`` tells how much was used. ``give_up``: no more text is wanted for the first row, so that a quote
        that is not closed in `text` counts as never closed. Raises `SourceError` when no row is found behind a
        damaged one.
        """
        self.consumed = 0
        place, line, behind = 0, self.line, 0
        pending: deque[_Pending] = deque()
        while place < len(text):
            whole = final or give_up
            read = self._read(text, place, final=whole)
            if read is None or (give_up and not read.torn and read.end == len(text)):
                break
            if read.torn or read.closes:
                end = self._resume(text, place, final=whole) if read.torn else read.end
                if end is None:
                    break
                rows = self._with_doubt(text, place, end, line, read, pending)
                give_up, behind = False, 0
            else:
                end = read.end
                rows = []
                if read.cells != [""] or self._width == 1:
                    lines = count_lines(text, place, end)
                    separators = max(len(read.cells) - 1, 1)
                    pending.append(_Pending(Row(line, read.cells, read.fault), place, lines, separators))
                    behind += separators
                    # What damage behind the last row could not put in doubt any more is given.
                    while pending and (behind - pending[0].separators >= EVIDENCE or self._width in {None, 1}):
                        behind -= pending[0].separators
                        rows.append(pending.popleft().row)
            line += count_lines(text, place, end)
            place = end
            if end == len(text) and text[-1] not in "\r\n" and read.torn:
                line += 1
            self.consumed, self.line = (pending[0].begin, pending[0].row.line) if pending else (place, line)
            yield from rows
        if final:
            self.consumed, self.line = place, line
            yield from (waiting.row for waiting in pending)

    def _with_doubt(
        self, text: str, place: int, end: int, line: int, read: _RowReading, pending: deque[_Pending]
    ) -> list[Row]:
        """Return the pending rows, as far as they are sure, and the lines in doubt around the damage as rejected."""
        first = next((n for n, waiting in enumerate(pending) if read.closes or waiting.lines > 1), len(pending))
        before = (IN_DOUBT, f"it stands before the damaged quote of line {line}: a row, or part of a cell?")
        behind = (IN_DOUBT, f"it stands behind the damaged quote of line {line}: a row, or part of a cell?")
        rows = [
            waiting.row if n < first or waiting.row.fault is not None
            else Row(waiting.row.line, waiting.row.cells, before)
            for n, waiting in enumerate(pending)
        ]  # fmt: skip
        pending.clear()
        lines = _NEWLINE.split(text[place:end]) if read.torn else [""]
        if lines[-1] == "" and read.torn:
            lines.pop()
        for n, written in enumerate(lines):
            cells = written.split(self._delimiter) if read.torn else read.cells
            rows.append(Row(line + n, cells, behind if n else read.fault))
        return rows

    def _read(self, text: str, begin: int, *, final: bool) -> _RowReading | None:
        """Read the row at `begin`; None: it is cut."""
        cells: list[str] = []
        place = begin
        fault: Fault | None = None
        ends = False
        while True:
            found = self._cell.match(text, place)
            if found is not None:
                cells.append(self._unquoted(found["quoted"]) if found["bare"] is None else found["bare"])
            elif self._quote and text.startswith(self._quote, place):
                closed = self._quoted.match(text, place)
                if closed is None and not final:
                    return None
                alone = not cells and self._edge.match(text, place + 1) is not None
                return _RowReading(cells, len(text), self._torn(len(cells) + 1, closed), torn=True, closes=alone)
            else:
                found = self._edge.search(text, place)
                assert found is not None  # noqa: S101  the end of the text is an edge
                column = len(cells) + 1
                fault = fault or (
                    STRAY_QUOTE, f"column {column}: a quote in the middle of a cell; double it and quote the cell"
                )  # fmt: skip
                ends = ends or text.find(self._quote, begin) == found.start() - 1
                cells.append(text[place : found.start()])
            place, end = found.end(), found["end"]
            if place == len(text) and end not in {"\n", "\r\n"} and not final:
                return None  # the row, or its CRLF, may go on in the next piece
            if end != self._delimiter:
                break
        fault = fault or self._fault(cells, text, begin, place)
        several = fault is not None and count_lines(text, begin, place - len(found["end"])) > 0
        closes = ends and (len(cells) != self._width or len(cells) <= EVIDENCE)
        return _RowReading(cells, place, fault, torn=several, closes=closes)

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
        newline = _NEWLINE.search(text, begin)
        place = None if newline is None else newline.end()
        if self._width is not None:
            place = self._reach(text, begin, final=final)
        for _ in range(RESYNC_LINES_MAX):
            if place is None or place == len(text):
                return len(text) if final else None
            steady = self._width is None or self._is_steady(text, place, final=final)
            if steady is None:
                return None
            if steady:
                return place
            newline = _NEWLINE.search(text, place)
            place = None if newline is None else newline.end()
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

    def _reach(self, text: str, begin: int, *, final: bool) -> int | None:
        """Return the end of the last line to which a torn row may go on: where one quote mends it; None: more text."""
        newline = _NEWLINE.search(text, begin)
        reach = len(text) if newline is None else newline.end()
        behind = reach
        for _ in range(REACH_LINES_MAX):
            if newline is None or newline.end() == len(text):
                if not final:
                    return None
                end = stop = len(text)
            else:
                end, stop = newline.start(), newline.end()
            if self._is_mendable(text[begin:end].rstrip("\r\n")):
                reach = stop
            if stop == len(text) or text.count(self._delimiter, behind, stop) >= 3 * EVIDENCE:
                break
            newline = _NEWLINE.search(text, stop)
        return reach

    def _is_mendable(self, text: str) -> bool:
        """Tell whether one quote more or less makes one right row of a text."""
        if text.count(self._quote) % 2 == 0 and not self._escape:
            return False
        edges = [found.start() for found in self._places.finditer(text)]
        if len(edges) > REACH_EDITS_MAX:
            return False
        mended = [text[:at] + self._quote + text[at:] for at in (*edges, len(text))]
        mended += [text[:at] + text[at + 1 :] for at in edges if text[at] == self._quote]
        for attempt in mended:
            read = self._read(attempt, 0, final=True)
            if read is not None and read.fault is None and read.end == len(attempt):
                longest = max((cell.count(self._delimiter) for cell in read.cells if _NEWLINE.search(cell)), default=0)
                if longest < EVIDENCE:  # else the cell would hold what only rows look like
                    return True
        return False


def count_lines(text: str, begin: int, end: int) -> int:
    """Count the line ends (LF, CR, CRLF) in a part of a text."""
    newlines = text.count("\n", begin, end)
    returns = text.count("\r", begin, end)
    return newlines + returns - (text.count("\r\n", begin, end) if returns else 0)
