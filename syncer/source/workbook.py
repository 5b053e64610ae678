"""The rows of one sheet of a workbook, read as a stream through openpyxl. Needs the extra ``excel``.

openpyxl's own readers are extended in two places: a formula without its value is told from an empty cell, and texts
keep their ``_x005F_`` (openpyxl takes it out wherever it stands).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import IO, Any

from openpyxl.cell.read_only import ReadOnlyCell
from openpyxl.reader.excel import ExcelReader
from openpyxl.utils import get_column_letter
from openpyxl.worksheet._reader import DATA_TAG, FORMULA_TAG, INLINE_STRING, ROW_TAG, WorkSheetParser
from openpyxl.xml.constants import SHARED_STRINGS, SHEET_MAIN_NS
from openpyxl.xml.functions import iterparse

from syncer.errors import SourceError, did_you_mean
from syncer.source import archive
from syncer.source.excelcells import FORMULA

TEXTS_BYTES_MAX = 512 << 20
"""Of the table of texts, unpacked: it is held in memory."""
ROWS_MAX, COLUMNS_MAX = 1_048_576, 16_384
"""Of a sheet, by Excel's own limits."""

_ENTRY, _PLAIN, _RUN = (f"{{{SHEET_MAIN_NS}}}{name}" for name in ("si", "t", "r"))
"""Of a text: its entry in the table, its characters, and a part of it with a format of its own."""


@dataclass(frozen=True, slots=True)
class Cell:
    """One cell that stands in the file; ``data_type`` is openpyxl's, or `FORMULA`."""

    column: int
    value: Any
    data_type: str
    style: int


class Workbook:
    """One sheet of an open workbook."""

    def __init__(self, sheet: Any, name: str) -> None:
        self.title: str = sheet.title
        self._sheet = sheet
        self._name = name
        self._formats: dict[int, str] = {}

    def rows(self) -> Iterator[tuple[int, list[Cell]]]:
        """Give Excel's row numbers with the cells that stand in the row, in the sheet's order, from its beginning."""
        sheet, book = self._sheet, self._sheet.parent
        last = 0
        with sheet._get_source() as source:
            parser = _SheetParser(
                source,
                sheet._shared_strings,
                data_only=True,
                epoch=book.epoch,
                date_formats=book._date_formats,
                timedelta_formats=book._timedelta_formats,
            )
            for line, found in parser.rows():
                cells = [Cell(one["column"], one["value"], one["data_type"], one["style_id"]) for one in found]
                if not last < line <= ROWS_MAX or any(not 0 < cell.column <= COLUMNS_MAX for cell in cells):
                    raise SourceError(
                        "its rows or columns are out of order", file=self._name, line=line, next="save it anew in Excel"
                    )
                last = line
                yield line, cells

    def number_format(self, cell: Cell) -> str:
        """Return the number format of a cell, as Excel writes it in English: ``General``, ``000000``."""
        if cell.style not in self._formats:
            read_only = ReadOnlyCell(self._sheet, 1, cell.column, None, style_id=cell.style)
            self._formats[cell.style] = str(read_only.number_format)
        return self._formats[cell.style]

    @staticmethod
    def coordinate(line: int, column: int) -> str:
        """Return a cell's place in Excel's words: ``C7``."""
        return f"{get_column_letter(column)}{line}"


def open_workbook(handle: IO[bytes], name: str, sheet: str | None) -> Workbook:
    """Open a sheet (None: the first); raise `SourceError` when there is none such, or when the file is a bomb."""
    reader = _WorkbookReader(handle, read_only=True, data_only=True, keep_links=False)
    _refuse_bombs(reader.archive, name)
    reader.read()
    sheets = {one.title: one for one in reader.wb.worksheets}
    if sheet is not None and sheet not in sheets:
        raise SourceError(
            f"there is no sheet {sheet!r}{did_you_mean(sheet, sheets)}",
            file=name,
            next=f"name one of them in jobs.<name>.sheet: {', '.join(sheets)}",
        )
    if not sheets:
        raise SourceError("there is no sheet in it", file=name)
    found = next(iter(sheets.values())) if sheet is None else sheets[sheet]
    if sheet is None and found.sheet_state != "visible":
        raise SourceError(
            f"its first sheet, {found.title!r}, is hidden: nobody can tell whether it is the one that counts",
            file=name,
            next=f"name the sheet in jobs.<name>.sheet: {', '.join(sheets)}",
        )
    return Workbook(found, name)


def _refuse_bombs(file: Any, name: str) -> None:
    """Refuse what would fill the memory. A member never unpacks to more than it claims here."""
    members = file.infolist()
    size, packed = sum(one.file_size for one in members), sum(one.compress_size for one in members)
    texts = max((one.file_size for one in members if "sharedStrings" in one.filename), default=0)
    if size > max(archive.FREE_BYTES, archive.RATIO_MAX * packed) or texts > TEXTS_BYTES_MAX:
        raise SourceError(
            f"the workbook unpacks to {size >> 20} MB, of which {texts >> 20} MB are one table of texts: too much",
            file=name,
            next="export as CSV or Parquet instead",
        )
    if any(one.compress_type not in {0, 8} or one.flag_bits & 1 for one in members):
        raise SourceError("the workbook is packed in an unusual way", file=name, next="save it again in Excel")


def _text(element: Any) -> str:
    """Return the characters of a text without its formats and without its phonetic guide."""
    parts = []
    for child in element:
        if child.tag == _PLAIN:
            parts.append(child.text or "")
        elif child.tag == _RUN:
            parts.append(child.findtext(_PLAIN) or "")
    return "".join(parts)


class _WorkbookReader(ExcelReader):  # type: ignore[misc]  # openpyxl ships no types
    """Reads the table of texts as it is written."""

    def read_strings(self) -> None:
        part = self.package.find(SHARED_STRINGS)
        self.shared_strings: list[str] = []
        if part is None:
            return
        with self.archive.open(part.PartName[1:]) as source:
            for _, node in iterparse(source):
                if node.tag == _ENTRY:
                    self.shared_strings.append(_text(node))
                    node.clear()


class _SheetParser(WorkSheetParser):  # type: ignore[misc]
    """Reads the rows of a sheet, and nothing that follows them."""

    def rows(self) -> Iterator[tuple[int, list[dict[str, Any]]]]:
        for _, element in iterparse(self.source):
            if element.tag == ROW_TAG:
                row = self.parse_row(element)
                self.row_dimensions.clear()  # heights of rows, which would pile up
                element.clear()
                yield row
            elif element.tag == DATA_TAG:
                return

    def parse_cell(self, element: Any) -> dict[str, Any]:
        inline = element.find(INLINE_STRING) if element.get("t") == "inlineStr" else None
        if inline is not None:
            element.remove(inline)  # openpyxl would read it too, in half as long again for the whole sheet
        cell: dict[str, Any] = super().parse_cell(element)
        if inline is not None:
            cell["value"], cell["data_type"] = _text(inline), "s"
        # A formula whose value is an empty text has t="str"; without a value there is no t either.
        if cell["value"] is None and cell["data_type"] == "n" and element.find(FORMULA_TAG) is not None:
            cell["data_type"] = FORMULA
        return cell
