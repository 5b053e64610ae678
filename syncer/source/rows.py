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
from syncer.source.encodings import NOT_TEXT

WIDTH = "E101"
STRAY_QUOTE = "E102"
NUL = "E103"
IN_DOUBT = "E104"
NOT_ENCODED = "E106"
LINE_END = "E107"
FORMULA_TEXT = "E108"
EVIDENCE = 8
"""Separators in right rows, one after the other, that show that lines near a damaged quote are rows."""
REACH_LINES_MAX = 16
REACH_EDITS_MAX = 200
"""How far a torn row may go on, and how many ways to mend it are tried to find that out."""
RESYNC_LINES_MAX = 1000
"""Lines behind one damaged quote that may be rejected; if no row is found in them, the file is refused."""
CELLS_MAX = 100_000
"""Of a row, or twice the header's: what has more is no row."""
EMPTY_COLUMNS_MAX = 1000
ODD_LINES_MAX = 16
"""Lines with another end than the file's that may follow one another; beyond that the file is of two kinds."""
_NEWLINE = re.compile(r"\r\n|\n|\r")
_ODD = {"\r\n": {"\n", "\r"}, "\n": {"\r"}, "\r": {"\n", "\r\n"}, "": set[str]()}
"""Line ends that tear a row, by the file's own; CRLF among LF ends a row in either reading."""


class RowFault(NamedTuple):
    """Why a row cannot be taken: its rejection code, and words. ``column`` is the cell at fault, from 1; 0: the row."""

    code: str
    words: str
    column: int = 0

    def message(self, before: int = 0) -> str:
        """Return the words with the column that they are about; ``before`` of them have no name, and do not count."""
        return f"column {self.column - before}: {self.words}" if self.column > before else self.words


class Row(NamedTuple):
    """One row. ``fault`` says why it cannot be taken; None: it can."""

    line: int
    cells: list[str]
    fault: RowFault | None = None


class _RowReading(NamedTuple):
    """A row as it reads from one place; ``torn``: its fault leaves in doubt where the next row begins."""

    cells: list[str]
    end: int
    fault: RowFault | None = None
    torn: bool = False
    closes: bool = False
    """Its first quote stands at the end of a cell, and may end one that was begun on an earlier line."""


class _Pending(NamedTuple):
    """A row that is not given yet, since damage behind it could still put it in doubt."""

    row: Row
    begin: int
    lines: int
    separators: int


class RowOptions(NamedTuple):
    """What a job declares of rows beside the form of its file, as ``jobs.<name>.table`` says it.

    ``padded``: spaces around a quoted cell are no part of it. ``wrapped``: neither is ``=`` before its quote;
    ``verbatim``: a cell ``="…"`` is text as it stands.
    ``short``: a row that ends early has blanks at its end. ``blanks``: blank lines are rows, since one ends the table.
    """

    padded: bool = False
    wrapped: bool = False
    verbatim: bool = False
    short: bool = False
    blanks: bool = False
    comment: str = ""
    newline: str = ""


PLAIN = RowOptions()


class RowParser:
    """Parses text piece by piece; keeps count of physical lines. ``width`` None: any width is right.

    ``escape`` is the character that makes a quote part of a quoted cell, and a delimiter or a line end part of another;
    empty: quotes are doubled.
    """

    def __init__(
        self,
        delimiter: str,
        quote: str,
        *,
        name: str,
        width: int | None,
        line: int = 1,
        escape: str = "",
        options: RowOptions = PLAIN,
    ) -> None:
        self.line = line
        self.consumed = 0
        """Characters of the last text that made whole rows."""
        self._width = width
        self._name = name
        self._delimiter = delimiter
        self._quote = quote
        self._escape = escape
        self._options = options
        self._not_text = False
        edge, q, e = re.escape(delimiter), re.escape(quote), re.escape(escape)
        around = "" if not options.padded or delimiter == " " else " *+" if delimiter == "\t" else "[ \t]*+"
        end = rf"(?P<end>{edge}|\r\n|\n|\r|\Z)"
        many = len(delimiter) > 1
        if not quote:
            bare = _bare("", edge, e, many=many)
            quoted, cell = "(?!)", rf"(?P<bare>{bare})(?P<quoted>(?!))?"
        else:
            bare = _bare(q, edge, e, many=many)
            inner = rf"[^{q}{e}]*+(?:{e}(?s:.)[^{q}{e}]*+)*+" if escape else rf"[^{q}]*+(?:{q}{q}[^{q}]*+)*+"
            opens = rf"{around}{'=?' if options.wrapped else ''}{q}"
            quoted = rf"{opens}(?P<quoted>{inner}){q}{around}"
            cell = rf"(?:{quoted}|(?P<bare>{bare}))"
        self._opens = re.compile(opens) if quote else None
        self._cell = re.compile(cell + end)
        self._quoted = re.compile(quoted)
        self._edge = re.compile(end)
        # Blank lines, and rows of separators alone: an export may have millions of them, and none is a row.
        empty = rf"(?:(?:{edge}){{{width - 1}}})?" if width is not None and 1 < width <= EMPTY_COLUMNS_MAX else ""
        self._empty = None if options.blanks else re.compile(rf"(?:{empty}(?:\r\n|\n|\r))++")
        self._cells_max = CELLS_MAX if width is None else max(CELLS_MAX, 2 * width)
        self._places = re.compile(rf"{edge}|\r\n|\n|\r" + (f"|{q}" if quote else ""))
        self._escaped = re.compile(rf"{e}([{e}{q}])") if escape else None
        self._escaped_bare = (
            re.compile(rf"{e}({e}|{edge}|\r\n|\n|\r" + (f"|{q})" if quote else ")")) if escape else None
        )

    def rows(self, text: str, *, final: bool, give_up: bool = False) -> Iterator[Row]:
        """Give the whole rows of `text`; unless ``final``, its last row may be cut and is left unconsumed.

        ``consumed`` tells how much was used. ``give_up``: no more text is wanted for the first row, so that a quote
        that is not closed in `text` counts as never closed. Raises `SourceError` when no row is found behind a
        damaged one.
        """
        self.consumed = 0
        place, line, behind = 0, self.line, 0
        pending: deque[_Pending] = deque()
        self._not_text = NOT_TEXT in text
        while place < len(text):
            whole = final or give_up
            behind_blank = self._skip(text, place, final=final)
            if behind_blank is None:
                break
            if behind_blank > place:
                line += count_lines(text, place, behind_blank)
                place = behind_blank
                if not pending:
                    self.consumed, self.line = place, line
                continue
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
                if read.cells != [""] or self._width == 1 or self._options.blanks:
                    lines = count_lines(text, place, end)
                    separators = max(len(read.cells) - 1, 1)
                    pending.append(_Pending(Row(line, read.cells, read.fault), place, lines, separators))
                    behind += separators
                    # What damage behind the last row could not put in doubt any more is given.
                    while pending and self._is_sure(pending, behind):
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

    def _is_sure(self, pending: deque[_Pending], behind: int) -> bool:
        """Tell whether the oldest pending row can be given; of one column the last is kept: it may be a total."""
        if self._width == 1:
            return len(pending) > 1
        return self._width is None or behind - pending[0].separators >= EVIDENCE

    def _skip(self, text: str, place: int, *, final: bool) -> int | None:
        """Return where the text goes on behind what is no row at `place`: a comment, blank lines; None: it is cut."""
        if self._options.comment and text.startswith(self._options.comment, place):
            newline = _NEWLINE.search(text, place)
            return newline.end() if newline is not None else len(text) if final else None
        if self._empty is None:
            return place
        # The first half of a CRLF may be cut off here.
        blank = self._empty.match(text, place, len(text) - (not final and text[-1] == "\r"))
        return place if blank is None else blank.end()

    def _with_doubt(
        self, text: str, place: int, end: int, line: int, read: _RowReading, pending: deque[_Pending]
    ) -> list[Row]:
        """Return the pending rows, as far as they are sure, and the lines in doubt around the damage as rejected."""
        first = next((n for n, waiting in enumerate(pending) if read.closes or waiting.lines > 1), len(pending))
        before = RowFault(IN_DOUBT, f"it stands before the damaged quote of line {line}: a row, or part of a cell?")
        behind = RowFault(IN_DOUBT, f"it stands behind the damaged quote of line {line}: a row, or part of a cell?")
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
            cells = self._cells_of_line(written) if read.torn else read.cells
            rows.append(Row(line + n, cells, behind if n else read.fault))
        return rows

    def _cells_of_line(self, written: str) -> list[str]:
        """Return the cells of a line that is in doubt, as it reads by itself: they are shown, and never sent."""
        read = self._read(written, 0, final=True)
        return [""] if read is None else read.cells

    def _read(self, text: str, begin: int, *, final: bool) -> _RowReading | None:
        """Read the row at `begin`; None: it is cut."""
        cells: list[str] = []
        place = begin
        fault: RowFault | None = None
        ends = False
        while True:
            found = self._cell.match(text, place)
            if found is not None:
                cells.append(self._unquoted(found["quoted"]) if found["bare"] is None else self._plain(found["bare"]))
            elif self._opens is not None and self._opens.match(text, place):
                closed = self._quoted.match(text, place)
                if closed is None and not final:
                    return None
                alone = not cells and self._edge.match(text, place + 1) is not None
                newline = _NEWLINE.search(text, place)
                rest = text[place : len(text) if newline is None else newline.start()].split(self._delimiter)
                fault = self._torn(len(cells) + 1, closed)
                return _RowReading([*cells, *rest], len(text), fault, torn=True, closes=alone)
            else:
                found = self._edge.search(text, place)
                assert found is not None  # noqa: S101  the end of the text is an edge
                column = len(cells) + 1
                fault = fault or self._stray(text[place : found.start()], column)
                ends = ends or text.find(self._quote, begin) == found.start() - 1
                cells.append(text[place : found.start()])
            if len(cells) > self._cells_max:
                return self._endless(cells, text, place)
            place, end = found.end(), found["end"]
            if place == len(text) and end not in {"\n", "\r\n"} and not final:
                return None  # the row, or its CRLF, may go on in the next piece
            if end != self._delimiter:
                break
        if end in _ODD[self._options.newline] and not (final and place == len(text)):  # else nothing follows it
            return self._odd(cells, text, begin, place, final=final)
        fault = fault or self._fault(cells, text, begin, place)
        several = fault is not None and count_lines(text, begin, place - len(found["end"])) > 0
        # A line that begins with a lone quote may end a cell of an earlier line, whose opening quote is lost.
        alone = several and text.startswith(self._quote, begin) and self._edge.match(text, begin + 1) is not None
        closes = alone or (ends and (len(cells) != self._width or len(cells) <= EVIDENCE))
        return _RowReading(cells, place, fault, torn=several, closes=closes)

    def _odd(self, cells: list[str], text: str, begin: int, end: int, *, final: bool) -> _RowReading | None:
        """Read on to a line end that is the file's: all before it is one row with a line end in a cell, or several."""
        newline = self._options.newline
        proper = text.find(newline, end)
        if proper < 0 and not final:
            return None
        stop = len(text) if proper < 0 else proper + len(newline)
        lines = count_lines(text, begin, stop)
        if lines > ODD_LINES_MAX and self._width is not None:  # else it is a sample, and read in several ways
            raise SourceError(
                f"{lines} lines from here on end in another way than the others: is it one file?",
                file=self._name,
                line=self.line,
                remedy='when each line is a row: jobs.<name>.csv.newline = "any"; else quote the cells with line ends',
            )
        words = f"a line end {text[end - 1]!r} that is not the file's; quote the cell, or take it out"
        last = cells[-1] + text[end - 1 : stop].rstrip("\r\n")  # of a row that is LF's, the end may be CRLF
        together = [*cells[:-1], *last.split(self._delimiter)]
        return _RowReading(together, stop, RowFault(LINE_END, words, len(cells)))

    def _endless(self, cells: list[str], text: str, place: int) -> _RowReading:
        """Give up a row that no table has; a sample, which may be read in a wrong way, goes on with the next line."""
        if self._width is not None:
            raise SourceError(
                f"a row has more than {self._cells_max:,} cells, but the header has {self._width}",
                file=self._name,
                line=self.line,
                remedy="correct the line, or declare how the file is written: jobs.<name>.csv.delimiter, quote",
            )
        newline = _NEWLINE.search(text, place)
        return _RowReading(
            cells, len(text) if newline is None else newline.end(), RowFault(WIDTH, "more cells than a row has")
        )

    def _stray(self, cell: str, column: int) -> RowFault | None:
        """Return what is wrong with a cell that has a quote in it and does not begin with one."""
        if cell.startswith("=" + self._quote):
            if self._options.verbatim and cell.find(self._quote, 2) == len(cell) - 1:
                return None
            how = 'is written as ="…"; when it stands for the text in it: jobs.<name>.table.unwrap = true'
            return RowFault(FORMULA_TEXT, how, column)
        if cell.lstrip().startswith(self._quote):
            how = 'a quote behind white space; when that is no content: jobs.<name>.table.trim = "fields"'
            return RowFault(STRAY_QUOTE, how, column)
        return RowFault(STRAY_QUOTE, "a quote in the middle of a cell; double it and quote the cell", column)

    def _plain(self, bare: str) -> str:
        return bare if self._escaped_bare is None else self._escaped_bare.sub(r"\1", bare)

    def _unquoted(self, quoted: str) -> str:
        if self._escaped is not None:
            return self._escaped.sub(r"\1", quoted)
        return quoted.replace(self._quote * 2, self._quote)

    @staticmethod
    def _torn(column: int, closed: re.Match[str] | None) -> RowFault:
        if closed is None:
            return RowFault(STRAY_QUOTE, "a quote is opened and never closed", column)
        return RowFault(STRAY_QUOTE, "text follows the closing quote of the cell", column)

    def _fault(self, cells: list[str], text: str, begin: int, end: int) -> RowFault | None:
        missing = 0 if self._width is None else self._width - len(cells)
        if (
            self._options.short
            and missing > 0
            and cells != [""]
            and not _NEWLINE.search(text[begin:end].rstrip("\r\n"))
        ):
            cells.extend([""] * missing)
        if self._not_text and text.find(NOT_TEXT, begin, end) >= 0:
            column = next((n for n, cell in enumerate(cells, 1) if NOT_TEXT in cell), 1)
            return RowFault(NOT_ENCODED, "bytes that are not of the file's encoding", column)
        if self._width is not None and len(cells) != self._width and cells != [""]:
            counted = f"{len(cells)} cell{'' if len(cells) == 1 else 's'}"
            fill = '; when rows may end early: jobs.<name>.table.short_rows = "fill"' if missing > 0 else ""
            return RowFault(WIDTH, f"{counted} instead of {self._width}: a separator is missing or too many{fill}")
        if text.find("\0", begin, end) >= 0:
            column = next((n for n, cell in enumerate(cells, 1) if "\0" in cell), 1)
            return RowFault(NUL, "a NUL character", column)
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
            remedy='correct the line, or declare that cells are never quoted: jobs.<name>.csv.quote = ""',
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


def _bare(quote: str, edge: str, escape: str, *, many: bool) -> str:
    """Return the expression of a cell without quotes; each argument is an expression itself."""
    plain = rf"(?:(?!{edge})[^{quote}{escape}\r\n])*+" if many else rf"[^{quote}{edge}{escape}\r\n]*+"
    return rf"{plain}(?:{escape}(?:\r\n|(?s:.)|\Z){plain})*+" if escape else plain


def count_lines(text: str, begin: int, end: int) -> int:
    """Count the line ends (LF, CR, CRLF) in a part of a text."""
    newlines = text.count("\n", begin, end)
    returns = text.count("\r", begin, end)
    return newlines + returns - (text.count("\r\n", begin, end) if returns else 0)
