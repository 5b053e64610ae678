"""Excel workbooks as chunks of text columns: the table on one sheet.

What always holds: a line's number is Excel's row number; a cell without a certain text (`xlsx.cells`) rejects its row,
and one of a key column that has lost digits, or became a date, refuses the file, since then its neighbours cannot be
trusted either; of the sheet only a chunk is in memory (of the workbook, the table of its texts too, which is bounded).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from itertools import islice
from typing import TYPE_CHECKING, TypeVar

import numpy as np
import pyarrow as pa

from syncer.errors import SourceError
from syncer.model import Chunk, Dialect, SourceInfo
from syncer.rejections import Rejection
from syncer.source.chunks import text_chunk
from syncer.source.foreign import guarded
from syncer.source.names import NO_HEADER, column_names
from syncer.source.results_reader import is_results_header, read_columns, restored_header, table_of
from syncer.source.table import Fate, Marks, TableForm, find_header, key_names
from syncer.source.tables import CHUNK_ROWS, LEAVE_OUT, HeldFile, finished
from syncer.source.xlsx.cells import AS_TEXT, LOST_DIGITS, CellFault, Day
from syncer.source.xlsx.merged import MERGED
from syncer.source.xlsx.package import SAVE_ANEW
from syncer.source.xlsx.workbook import Workbook

if TYPE_CHECKING:
    from syncer.source.files import InputFile
    from syncer.source.xlsx.cells import Cell

WIDTH = "E101"
_COUNTS = "when it does not count, name those that do: [jobs.<name>.columns]"
BLOCK_CELLS = 1 << 19
SheetRow = tuple[int, list["Cell"]]
Step = TypeVar("Step")


class ExcelSource:
    """One sheet of a workbook. ``sheet`` names it (None: the first); ``key`` its key columns, where they are known."""

    def __init__(
        self,
        position: int,
        file: InputFile,
        *,
        sheet: str | None,
        key: Sequence[str] | None,
        table: TableForm,
        header: tuple[str, ...] | None = None,
        by_place: bool = False,
        notes: tuple[str, ...] = (),
    ) -> None:
        self.position = position
        self.name = file.name
        self._file = HeldFile(file)
        self.warnings = notes
        self._table = table
        self._by_place = by_place
        self._rows = 0
        self._strict: frozenset[str] | None = None
        try:
            self._book = self._guarded(lambda: Workbook(self._file.handle, self.name, sheet))
            self._merges = self._book.merges
            self._header_line, self._first_column, self.header = self._read_header(key, header)
        except BaseException:
            self.close()
            raise
        self._keys = key_names(self.header, key)

    def close(self) -> None:
        """Let go of the file."""
        self._file.close()

    @property
    def form_note(self) -> str:
        """Which sheet is read, and which of its rows is the header."""
        row = f", the header is row {self._header_line}" if self._header_line else ""
        others = f" (the others: {', '.join(map(repr, self.other_sheets[:5]))})" if self.other_sheets else ""
        return f"{self.name}: sheet {self._book.title!r}{others}{row}"

    @property
    def other_sheets(self) -> tuple[str, ...]:
        """The sheets that people see beside the one that is read."""
        return self._book.other_sheets

    def _guarded(self, read: Callable[[], Step]) -> Step:
        return guarded(read, file=self.name, what="the workbook", remedy=SAVE_ANEW)

    def _read_header(
        self, key: Sequence[str] | None, declared: tuple[str, ...] | None
    ) -> tuple[int, int, tuple[str, ...]]:
        """Return the header's row (0: none), the column before its first one, and the names.

        Names that are ``declared`` are those of the columns from A on, of the rows below `TableForm.header_row`.
        """
        first = self._guarded(lambda: next(self._texts_of_rows(), None))
        if first is not None and is_results_header(first[1]):  # error.csv, saved as a workbook
            self._table, declared = table_of(self._table), None
        if declared is not None:
            return self._table.header_row or 0, 0, declared if declared[-1] else declared[:-1]
        found = self._guarded(lambda: find_header(self._texts_of_rows(), self._table, key, self.name))
        if found is None:
            raise SourceError(
                f"the sheet {self._book.title!r} is empty", file=self.name, remedy="name another: jobs.<name>.sheet"
            )
        line, cells = found
        names: list[str | None] = [cell.strip() if self._table.trims else cell for cell in cells]
        for place, name in enumerate(cells, 1):
            if isinstance(name, _Doubtful):
                if not self._by_place:
                    words = f"the header's cell {self._book.coordinate(line, place)} {name.words}"
                    raise SourceError(words, file=self.name, line=line, column=place, remedy=f"{AS_TEXT}; {NO_HEADER}")
                names[place - 1] = None
        while names and names[-1] is not None and not names[-1].strip():
            names.pop()
        before = next(place for place, name in enumerate(names) if name is None or name.strip())
        named = column_names(names[before:], self.name, line, by_place=self._by_place)
        return line, before, restored_header(named, self.name)

    def _texts_of_rows(self) -> Iterator[tuple[int, list[str]]]:
        for line, cells in self._book.rows():
            texts = self._texts(cells, max((cell.column for cell in cells), default=0))
            yield line, [_Doubtful(text) if isinstance(text, CellFault) else text for text in texts]

    def _texts(self, cells: Sequence[Cell], width: int) -> list[str | CellFault]:
        texts: list[str | CellFault] = [""] * width
        for cell in cells:
            if cell.column <= width:
                texts[cell.column - 1] = self._book.text(cell)
        return texts

    @property
    def info(self) -> SourceInfo:
        """What is known of the file after a full pass of `chunks`."""
        file = self._file
        dialect = Dialect("xlsx", "", "")
        return SourceInfo(self.name, file.sha256, file.size_bytes, self._rows, dialect, self.header, file.mtime_s)

    def chunks(self, wanted: Sequence[str] | None = None) -> Iterator[Chunk]:
        """Read the sheet from its beginning; ``wanted`` names the columns to keep (None: all).

        Raises `SourceError` when a key column has lost digits, or when the file changes meanwhile.
        """
        if wanted is not None or self._strict is None:
            self._strict = frozenset(self.header if wanted is None else wanted)
        keep = [name for name in self.header if wanted is None or name in wanted]
        rows = self._pass(read_columns(self.header, wanted), self._strict)
        yield from finished(rows, self, self._table, keep, self._strict, self._keys, skip=False)
        self._file.check()

    def _pass(self, keep: Sequence[str], strict: frozenset[str]) -> Iterator[Chunk]:
        rows = self._book.rows()
        marks = Marks(self._table)
        count, ended, last = 0, False, self._header_line
        while not ended and (block := self._guarded(lambda: _block(rows))):
            taken, ended, last = self._guarded(partial(self._taken, block, marks, last))
            chunk = self._guarded(partial(self._chunk, taken, keep, strict))
            count += len(chunk.lines) + len(chunk.rejections)
            if len(chunk.lines) or chunk.rejections:
                yield chunk
        self._rows = count

    def _taken(
        self, block: Sequence[SheetRow], marks: Marks, last: int
    ) -> tuple[list[tuple[int, list[Cell], list[str | CellFault]]], bool, int]:
        """Return the rows of the table with their texts, whether it ended, and the last row seen."""
        taken: list[tuple[int, list[Cell], list[str | CellFault]]] = []
        for line, cells in block:
            if line <= self._header_line:
                self._without_merged(line, self._texts(cells, self._width) if self._merges else [])
                continue
            if line > last + 1 and marks.blank() is Fate.END:  # rows without a cell do not stand in the file
                return taken, True, line
            last = line
            texts = self._texts(cells, self._width)
            shown = [text.shown or "?" if isinstance(text, CellFault) else text for text in texts]
            outside = [] if self._by_place else [cell for cell in cells if self._is_outside(cell)]
            fate = marks.fate([*shown, "?"] if outside else shown)
            if fate is Fate.END:
                return taken, True, line
            self._without_merged(line, texts)
            if fate is Fate.ROW:
                taken.append((line, outside, texts[self._first_column :]))
        return taken, False, last

    @property
    def _width(self) -> int:
        return self._first_column + len(self.header)

    def _without_merged(self, line: int, texts: list[str | CellFault]) -> None:
        """Let a cell that is merged with another one have its content, or a fault; `texts` begin with column A."""
        for column, one in self._merges.see(line, texts) if self._merges else ():
            first = self._book.coordinate(one.first_line, one.first_column)
            fault = CellFault(
                MERGED, f'is merged with {first}; when it has the same content: jobs.<name>.table.merged = "fill"', ""
            )
            texts[column - 1] = self._merges.content(one) if self._table.merged == "fill" else fault

    def _is_outside(self, cell: Cell) -> bool:
        """Tell whether a cell has content beside the columns that the header names."""
        place = cell.column - self._first_column
        return not 0 < place <= len(self.header) and bool(cell.text or cell.formula)

    def _chunk(
        self,
        taken: Sequence[tuple[int, list[Cell], list[str | CellFault]]],
        keep: Sequence[str],
        strict: frozenset[str],
    ) -> Chunk:
        good: list[list[str]] = []
        lines: list[int] = []
        rejections: list[Rejection] = []
        for line, outside, texts in taken:
            fault = self._fault(line, texts, strict)
            shown = [text.shown if isinstance(text, CellFault) else text for text in texts]
            if fault is None and outside:
                place = self._book.coordinate(line, outside[0].column)
                fault = WIDTH, f"cell {place} has content, but its column has no name in the header; {_COUNTS}"
            if fault is None:
                good.append(shown)
                lines.append(line)
            else:
                wrong = tuple(
                    place
                    for place, name in enumerate(self.header)
                    if name in strict and isinstance(texts[place], CellFault)
                )
                rejections.append(Rejection(self.position, line, *fault, cells=tuple(shown), wrong=wrong))
        at = {name: place for place, name in enumerate(self.header)}
        places = {name: at[name] for name in keep}
        columns = [pa.array([row[place] for row in good], pa.string()) for place in places.values()]
        days = {
            name: np.fromiter((type(row[place]) is Day for row in good), bool, len(good))
            for name, place in places.items()
        }
        native = {name: marks for name, marks in days.items() if marks.any()}
        return text_chunk(self.position, keep, columns, lines, rejections, native)

    def _fault(self, line: int, texts: Sequence[str | CellFault], strict: frozenset[str]) -> tuple[str, str] | None:
        """Return the first fault's code, and the words of all, of the columns that count."""
        found: list[tuple[str, str, str, CellFault]] = []
        for place, (name, text) in enumerate(zip(self.header, texts, strict=True), 1 + self._first_column):
            if name not in strict:
                continue
            if name in self._keys and (type(text) is Day or (isinstance(text, CellFault) and text.code == LOST_DIGITS)):
                self._refuse_key(line, place, name, text)
            if isinstance(text, CellFault):
                found.append((name, self._book.coordinate(line, place), text.words, text))
        if not found:
            return None
        words = [f"column {name!r}, cell {where}, {words}" for name, where, words, _ in found]
        return found[0][3].code, "; ".join([*words, LEAVE_OUT])

    def _refuse_key(self, line: int, place: int, name: str, text: str | CellFault) -> None:
        if isinstance(text, CellFault):
            what = text.words
        else:
            what = f"is the date {text}: Excel makes dates of texts that look like one; {AS_TEXT}"
        raise SourceError(
            f"the key column {name!r}, cell {self._book.coordinate(line, place)}, {what}; the file is refused whole, "
            "since other keys may have been changed too",
            file=self.name,
            line=line,
            column=place,
            remedy=AS_TEXT,
        )


def _block(rows: Iterator[SheetRow]) -> list[SheetRow]:
    """Return the next rows: as many as a chunk has, and no more cells than memory has room for."""
    block: list[SheetRow] = []
    cells = 0
    for row in islice(rows, CHUNK_ROWS):
        block.append(row)
        cells += len(row[1])
        if cells >= BLOCK_CELLS:
            break
    return block


class _Doubtful(str):
    """What can be shown of a cell without a certain text, where the header is looked for."""

    __slots__ = ("words",)
    words: str

    def __new__(cls, fault: CellFault) -> _Doubtful:
        made = super().__new__(cls, fault.shown or "?")
        made.words = fault.words
        return made
