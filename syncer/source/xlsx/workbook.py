"""One sheet of a workbook: found, and read row by row.

What always holds: the sheet, the table of texts and the styles were seen to be sound as a whole before the first row
is given; rows come in the sheet's order, each cell in a place of its own; memory is bounded by a row and the table.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterator
from typing import IO, Any, NamedTuple

from syncer.errors import SourceError, did_you_mean
from syncer.source.xlsx.arrays import ArrayScan
from syncer.source.xlsx.cells import Cell, CellFault, CellReading
from syncer.source.xlsx.formats import GENERAL, NumberFormat, NumberKind, read_formats
from syncer.source.xlsx.merged import MergeScan
from syncer.source.xlsx.package import SAVE_ANEW, Package
from syncer.source.xlsx.xml import Attributes, Events, XmlError, read_all

TEXTS_BYTES_MAX = 384 << 20
"""Of the table of texts, which is held in memory."""
ROWS_MAX, COLUMNS_MAX = 1_048_576, 16_384
"""Of a sheet, by Excel's own limits."""
SHEETS_MAX = 10_000
STRANGERS_MAX = 1_000_000
"""Elements of a sheet that are no part of a row, before its last row."""
_REFERENCE = re.compile(r"([A-Za-z]{1,3})([0-9]{1,7})")
_RELATION_SPACES = (
    "http://schemas.openxmlformats.org/officeDocument/2006/relationships id",
    "http://purl.oclc.org/ooxml/officeDocument/relationships id",
)
_UNKNOWN_STYLE = NumberFormat("of an unknown style", NumberKind.OTHER)
_MAIN_PART = "xl/workbook.xml"


class Sheet(NamedTuple):
    """A sheet of cells: its name, whether people see it, and its part; None: the workbook has no such part."""

    name: str
    visible: bool
    part: str | None


def main_part(package: Package) -> str:
    """Return the part that a package is about, found as Excel finds it."""
    for kind, target in package.relations("").values():
        if kind == "officeDocument" and target in package:
            return target
    return _MAIN_PART


class Workbook:
    """An open workbook, of which one sheet is read: the one named, else the first. Raises `SourceError`."""

    def __init__(self, handle: IO[bytes], name: str, sheet: str | None) -> None:
        self._name = name
        self._package = Package(handle, name)
        self._main = main_part(self._package)
        self._from_1904, self._computed = False, True
        sheets = self._read_sheets()
        self.sheet = _chosen(sheets, sheet, name)
        self.other_sheets = tuple(one.name for one in sheets if one.visible and one is not self.sheet)
        parts = dict(self._package.relations(self._main).values())
        self._formats = self._read_part(parts.get("styles"), read_formats, [])
        texts: list[str] = self._read_part(parts.get("sharedStrings"), _read_texts, [])
        self.reading = CellReading(texts, self._from_1904, self._computed)
        assert self.sheet.part is not None  # noqa: S101  `_chosen` takes no other
        scan = MergeScan()
        self._package.open(self.sheet.part, scan.see).close()
        self.merges = scan.merges()

    @property
    def title(self) -> str:
        """The name of the sheet."""
        return self.sheet.name

    def _read_part(self, part: str | None, read: Callable[[IO[bytes]], Any], default: Any) -> Any:
        if part is None or part not in self._package:
            return default
        with self._package.open(part) as source:
            return read(source)

    def _read_sheets(self) -> list[Sheet]:
        targets = self._package.relations(self._main)
        sheets: list[Sheet] = []
        roots: list[str] = []

        def start(tag: str, attributes: Attributes) -> None:
            if not roots:
                roots.append(tag)
            if tag == "sheet":
                if len(sheets) > SHEETS_MAX:
                    raise XmlError("it has too many sheets")
                relation = next((attributes[name] for name in _RELATION_SPACES if name in attributes), "")
                kind, part = targets.get(relation, ("worksheet", f"xl/worksheets/sheet{len(sheets) + 1}.xml"))
                found = part if part in self._package else None
                shown = attributes.get("state", "visible") == "visible"
                sheets.append(Sheet(attributes.get("name", ""), shown, found if kind == "worksheet" else ""))
            elif tag == "workbookPr":
                self._from_1904 = attributes.get("date1904", "0").lower() in {"1", "true", "on"}
            elif tag == "calcPr":
                self._computed = attributes.get("fullCalcOnLoad", "0").lower() not in {"1", "true", "on"}

        if self._main in self._package:
            with self._package.open(self._main) as source:
                read_all(source, start)
        if roots != ["workbook"]:
            raise SourceError(
                "it is an office file, but no Excel workbook (.xlsx)",
                file=self._name,
                remedy="save it as an Excel workbook (.xlsx) or as CSV",
            )
        return [sheet for sheet in sheets if sheet.part != ""]

    def rows(self) -> Iterator[tuple[int, list[Cell]]]:
        """Give Excel's row numbers with the cells that stand in the row, from the sheet's beginning."""
        assert self.sheet.part is not None  # noqa: S101  as above
        last = 0
        with self._package.open(self.sheet.part) as source:
            reader = _SheetReader()
            for _ in reader.events.read(source):
                for line, cells in reader.rows:
                    columns = {cell.column for cell in cells}
                    if not last < line <= ROWS_MAX or len(columns) < len(cells):
                        raise SourceError(
                            "its rows or columns are out of order", file=self._name, line=line, remedy=SAVE_ANEW
                        )
                    last = line
                    yield line, cells
                reader.rows.clear()

    def text(self, cell: Cell) -> str | CellFault:
        """Return a cell's text, or why there is none that is certain."""
        # Most cells are texts, and only a number's text depends on its format.
        return self.reading.cell_text(cell, self._number_format(cell) if cell.kind == "n" else GENERAL)

    def _number_format(self, cell: Cell) -> NumberFormat:
        if not self._formats and not cell.style:
            return GENERAL
        return self._formats[cell.style] if 0 <= cell.style < len(self._formats) else _UNKNOWN_STYLE

    @staticmethod
    def coordinate(line: int, column: int) -> str:
        """Return a cell's place in Excel's words: ``C7``."""
        letters = ""
        while column:
            column, letter = divmod(column - 1, 26)
            letters = chr(ord("A") + letter) + letters
        return f"{letters}{line}"


def _chosen(sheets: list[Sheet], wanted: str | None, name: str) -> Sheet:
    names = ", ".join(sheet.name for sheet in sheets[:20])
    if not sheets:
        raise SourceError("there is no sheet in it", file=name, remedy=SAVE_ANEW)
    found = next((sheet for sheet in sheets if sheet.name == wanted), None) if wanted is not None else sheets[0]
    if found is None:
        raise SourceError(
            f"there is no sheet {wanted!r}{did_you_mean(str(wanted), [sheet.name for sheet in sheets])}",
            file=name,
            remedy=f"name one of them in jobs.<name>.sheet: {names}",
        )
    if wanted is None and not found.visible:
        raise SourceError(
            f"its first sheet, {found.name!r}, is hidden: nobody can tell whether it is the one that counts",
            file=name,
            remedy=f"name the sheet in jobs.<name>.sheet: {names}",
        )
    if found.part is None:
        raise SourceError(f"the part of its sheet {found.name!r} is missing", file=name, remedy=SAVE_ANEW)
    return found


class _Texts:
    """Gathers a text that may come in runs: their characters alone, without formats and without the phonetic guide."""

    def __init__(self) -> None:
        self.events = Events(self.start, self.end)
        self.texts: list[str] = []
        self._held_bytes = 0
        self._pieces: list[str] = []
        self._guide = 0
        self._inside = False

    def start(self, tag: str, _: Attributes) -> None:
        if tag == "si":
            self._pieces, self._inside = [], True
        elif tag == "rPh":
            self._guide += 1
        elif tag == "t" and self._inside and not self._guide:
            self.events.listen()

    def end(self, tag: str) -> None:
        if tag == "t" and self._inside and not self._guide:
            self._pieces.append(self.events.heard())
        elif tag == "rPh":
            self._guide -= 1
        elif tag == "si":
            text = "".join(self._pieces)
            self._inside = False
            self._held_bytes += (sys.getsizeof(text) if text else 0) + 8
            if self._held_bytes > TEXTS_BYTES_MAX:
                raise XmlError(
                    f"its table of texts takes more than {TEXTS_BYTES_MAX >> 20} MB: export as CSV or Parquet instead"
                )
            self.texts.append(text)


def _read_texts(part: IO[bytes]) -> list[str]:
    reader = _Texts()
    for _ in reader.events.read(part):
        pass
    return reader.texts


class _SheetReader:
    """Turns the events of a sheet into rows: ``rows`` has those that ended since it was cleared."""

    def __init__(self) -> None:
        self.events = Events(self.start, self.end)
        self.rows: list[tuple[int, list[Cell]]] = []
        self._line = 0
        self._cells: list[Cell] = []
        self._columns: dict[str, int] = {}
        self._strangers = 0
        self._in_row = self._guide = False
        self._column, self._count, self._kind, self._style = 0, 0, "n", 0
        self._text: str | None = None
        self._pieces: list[str] | None = None
        self._formula = False
        self._arrays = ArrayScan()

    def start(self, tag: str, attributes: Attributes) -> None:
        if tag == "c" and self._in_row:
            self._start_cell(attributes)
        elif tag == "v" or (tag == "t" and self._pieces is not None and not self._guide):
            self.events.listen()
        elif tag == "f":
            self._formula = True
            if attributes.get("t") in {"array", "dataTable"}:
                self._arrays.add(attributes.get("ref", ""))
        elif tag == "is":
            self._pieces = []
        elif tag == "rPh":
            self._guide = True
        elif tag == "row":
            number = attributes.get("r")
            self._line = self._line + 1 if number is None else int(number[:9])
            self._in_row, self._cells, self._column, self._count = True, [], 0, 0
            self._arrays.start_row(self._line)
        else:
            self._strangers += 1
            if self._strangers > STRANGERS_MAX:
                raise XmlError("most of the sheet is no part of its rows")

    def _start_cell(self, attributes: Attributes) -> None:
        reference = attributes.get("r")
        self._column = self._column + 1 if reference is None else self._column_of(reference)
        self._count += 1
        if self._count > COLUMNS_MAX or not 0 < self._column <= COLUMNS_MAX:
            raise XmlError(f"row {self._line} has more than {COLUMNS_MAX:,} cells")
        self._kind = attributes.get("t") or "n"
        style = attributes.get("s")
        self._style = int(style[:9]) if style else 0
        self._text, self._pieces, self._formula, self._guide = None, None, False, False

    def _column_of(self, reference: str) -> int:
        found = _REFERENCE.fullmatch(reference)
        if found is None or int(found[2]) != self._line:
            raise XmlError(f"row {self._line} has a cell {reference[:20]!r}, which stands elsewhere")
        letters = found[1]
        column = self._columns.get(letters, 0)
        if not column:
            for letter in letters.upper():
                column = column * 26 + ord(letter) - ord("A") + 1
            self._columns[letters] = column
        return column

    def end(self, tag: str) -> None:
        if tag == "v":
            self._text = self.events.heard()
        elif tag == "t":
            if self._pieces is not None and not self._guide:
                self._pieces.append(self.events.heard())
        elif tag == "c":
            if self._kind == "inlineStr" and self._pieces is not None:
                self._text = "".join(self._pieces)
            self._pieces = None
            if self._text is not None or self._formula:  # else it has a format alone
                formula = self._formula or self._arrays.reach(self._column)
                self._cells.append(Cell(self._column, self._kind, self._text, self._style, formula))
        elif tag == "rPh":
            self._guide = False
        elif tag == "row":
            self.rows.append((self._line, self._cells))
            self._in_row = False
        elif tag == "sheetData":
            self.events.ended = True
