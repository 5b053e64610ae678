"""Excel workbooks as chunks of text columns: one sheet, its first row with content is the header.

What always holds: a line's number is Excel's row number; a cell without a certain text (`excelcells`) rejects its row,
and one of a key column that has lost digits refuses the file, since then its neighbours cannot be trusted either; of
the sheet only a chunk is in memory (of the workbook, the table of its texts too, which is bounded).
"""

from __future__ import annotations

import warnings
import zlib
from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from syncer.errors import SourceError
from syncer.model import UNIQUE_KEYS, Chunk, Dialect, Rejection, SourceInfo
from syncer.source import archive
from syncer.source.excelcells import AS_TEXT, LOST_DIGITS, CellFault, cell_text
from syncer.source.tables import CHUNK_ROWS, LEAVE_OUT, HeldFile, checked_header, text_chunk

if TYPE_CHECKING:
    from syncer.source.files import InputFile
    from syncer.source.workbook import Cell, Workbook

WIDTH = "E101"
_BROKEN = (ValueError, KeyError, TypeError, IndexError, AttributeError, SyntaxError, zlib.error, EOFError, OSError)
"""What reading a damaged workbook raises; a ParseError of XML is a SyntaxError."""
Row = tuple[int, list["Cell"]]


class ExcelSource:
    """One sheet of a workbook. ``sheet`` names it (None: the first); ``key`` its key columns, where they are known."""

    form_note = ""
    warnings: tuple[str, ...] = ()

    def __init__(self, position: int, file: InputFile, *, sheet: str | None, key: Sequence[str] | None) -> None:
        self.position = position
        self.name = file.name
        self._file = HeldFile(file)
        self._rows = 0
        self._strict: frozenset[str] | None = None
        try:
            self._book = self._open(sheet)
            self.header, self._header_line = self._read_header()
        except BaseException:
            self.close()
            raise
        default = [name for name in ("extended_id", "serial_number") if name in self.header][:1]
        self._keys = frozenset(key or default) & frozenset(self.header) or UNIQUE_KEYS

    def close(self) -> None:
        """Let go of the file."""
        self._file.close()

    def _open(self, sheet: str | None) -> Workbook:
        try:
            from syncer.source import workbook
        except ImportError:
            raise archive.missing_extra(self.name, "Excel workbooks", "excel") from None
        book: Workbook = self._guarded(lambda: workbook.open_workbook(self._file.handle, self.name, sheet))
        return book

    def _guarded(self, read: Callable[[], Any]) -> Any:
        """Do one step of reading; what the library raises or warns of becomes one kind of error, or nothing."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of styles and extensions, which do not matter here
            try:
                return read()
            except _BROKEN as error:
                raise SourceError(
                    f"the workbook cannot be read: {type(error).__name__}: {error}",
                    file=self.name,
                    next="open it in Excel, save it again as .xlsx, and export again",
                ) from None

    def _read_header(self) -> tuple[tuple[str, ...], int]:
        rows = self._book.rows()
        while found := self._guarded(lambda: next(rows, None)):
            line, cells = found
            names = self._texts(cells, max((cell.column for cell in cells), default=0))
            for place, name in enumerate(names, 1):
                if isinstance(name, CellFault):
                    raise SourceError(f"the header's cell {name.words}", file=self.name, line=line, column=place)
            texts = [str(name) for name in names]
            while texts and not texts[-1].strip():
                texts.pop()
            if texts:
                return checked_header(texts, self.name, line), line
        raise SourceError(
            f"the sheet {self._book.title!r} is empty", file=self.name, next="name another: jobs.<name>.sheet"
        )

    def _texts(self, cells: Sequence[Cell], width: int) -> list[str | CellFault]:
        texts: list[str | CellFault] = [""] * width
        for cell in cells:
            if cell.column <= width:
                # Most cells are texts, and only a number's text depends on its format.
                number_format = self._book.number_format(cell) if cell.data_type == "n" else ""
                texts[cell.column - 1] = cell_text(cell.value, cell.data_type, number_format)
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
        rows = self._book.rows()
        count = 0
        while block := self._guarded(lambda: list(islice(rows, CHUNK_ROWS))):
            chunk = self._chunk(block, keep, self._strict)
            count += len(chunk.lines) + len(chunk.rejections)
            if len(chunk.lines) or chunk.rejections:
                yield chunk
        self._file.check()
        self._rows = count

    def _chunk(self, block: Sequence[Row], keep: Sequence[str], strict: frozenset[str]) -> Chunk:
        width = len(self.header)
        good: list[list[str]] = []
        lines: list[int] = []
        rejections: list[Rejection] = []
        for line, cells in block:
            if line <= self._header_line:
                continue
            texts = self._texts(cells, width)
            outside = [cell for cell in cells if cell.column > width and cell.value not in {None, ""}]
            if not outside and not any(texts):
                continue  # a blank row, as a blank line of a CSV file
            fault = self._fault(line, texts, strict)
            shown = [text.shown if isinstance(text, CellFault) else text for text in texts]
            if fault is None and outside:
                place = self._book.coordinate(line, outside[0].column)
                fault = WIDTH, f"cell {place} has content, but its column has no name in the header"
            if fault is None:
                good.append(shown)
                lines.append(line)
            else:
                rejections.append(Rejection(self.position, line, *fault, cells=tuple(shown)))
        places = [self.header.index(name) for name in keep]
        columns = [pa.array([row[place] for row in good], pa.string()) for place in places]
        return text_chunk(self.position, keep, columns, lines, rejections)

    def _fault(self, line: int, texts: Sequence[str | CellFault], strict: frozenset[str]) -> tuple[str, str] | None:
        """Return the first fault's code, and the words of all, of the columns that count."""
        found = [
            (place, name, text)
            for place, (name, text) in enumerate(zip(self.header, texts, strict=True), 1)
            if isinstance(text, CellFault) and name in strict
        ]
        for place, name, fault in found:
            if fault.code == LOST_DIGITS and name in self._keys:
                raise SourceError(
                    f"the key column {name!r}, cell {self._book.coordinate(line, place)}, {fault.words}; the file is "
                    "refused whole, since other keys may have lost digits too",
                    file=self.name,
                    line=line,
                    column=place,
                    next=AS_TEXT,
                )
        if not found:
            return None
        words = [
            f"column {name!r}, cell {self._book.coordinate(line, place)}, {fault.words}" for place, name, fault in found
        ]
        return found[0][2].code, "; ".join([*words, LEAVE_OUT])
