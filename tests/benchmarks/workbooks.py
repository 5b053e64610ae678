"""How truthfully workbooks of others are read: cell by cell beside a second reader, openpyxl.

    python tests/benchmarks/workbooks.py DIR…

Below DIR lie workbooks from anywhere (the test files of libraries, public reports); none is part of this project. Of each
the sheet is compared that the program would read. The outcome of a workbook:

    equal      every cell that has a text here has it there, and no cell with content is missing here
    refused    whole, with an error that says why
    alone      the second reader cannot read it
    different  a cell has another text, or is missing: each is shown

Cells without a certain text (decimals, truths, errors) are counted, and are no difference: they reject their row. Exit
status 1 when a workbook is different, or makes the program raise anything but an error of its own.
"""

from __future__ import annotations

import datetime as dt
import sys
import warnings
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import openpyxl

from syncer.errors import SourceError
from syncer.source.files import InputFile
from syncer.source.foreign import guarded
from syncer.source.kinds import HEAD_BYTES, refuse_stranger
from syncer.source.xlsx.cells import CellFault, unescaped
from syncer.source.xlsx.workbook import Workbook

Place = tuple[int, int]
SHOWN = 3
ENDINGS = {".xlsx", ".xlsm", ".xltx"}


def ours(path: Path) -> tuple[str, dict[Place, str], set[Place]]:
    """Return the sheet's name, the texts of its cells, and the places of those without a certain one."""
    with InputFile(str(path), None).open() as handle:
        refuse_stranger(handle.read(HEAD_BYTES), path.name)
        return guarded(lambda: _cells(handle, path.name), file=path.name, what="the workbook", remedy="save it anew")


def _cells(handle: Any, name: str) -> tuple[str, dict[Place, str], set[Place]]:
    book = Workbook(handle, name, None)
    found = {(line, cell.column): book.text(cell) for line, cells in book.rows() for cell in cells}
    texts = {place: text for place, text in found.items() if not isinstance(text, CellFault)}
    return book.title, texts, found.keys() - texts.keys()


def theirs(path: Path, sheet: str) -> dict[Place, Any]:
    """Return what the second reader sees in the cells of a sheet that have content."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        cells = openpyxl.load_workbook(path, data_only=True)[sheet]._cells.values()
    return {(cell.row, cell.column): cell.value for cell in cells if cell.value not in {None, ""}}


def is_same(text: str, value: Any) -> bool:
    """Tell whether a text is what another reader sees as a value of some type."""
    if isinstance(value, str):
        written = unescaped(value)  # openpyxl leaves Excel's escapes as they are
        return text in {value, written}
    if isinstance(value, dt.datetime):
        return value.time() == dt.time() and text == value.date().isoformat()
    if isinstance(value, bool) or not isinstance(value, int | float) or value != int(value):
        return False
    return text.lstrip("-").lstrip("0") == str(abs(int(value))).lstrip("0") and text.startswith("-") == (value < 0)


def differences(path: Path) -> tuple[str, list[str], Counter[str]]:
    """Return the outcome of a workbook, what is to be shown of it, and its counts of cells."""
    try:
        sheet, texts, doubtful = ours(path)
    except SourceError as error:
        return "refused", [error.message], Counter()
    try:
        values = theirs(path, sheet)
    except Exception as error:  # whatever another reader raises
        return "alone", [f"{type(error).__name__}: {error}"[:100]], Counter()
    wrong = [
        f"row {line}, column {column}: {text!r:.60} here, {values.get((line, column))!r:.60} there"
        for (line, column), text in texts.items()
        if text and not is_same(text, values.get((line, column)))
    ]
    missing = [place for place in values.keys() - doubtful if not texts.get(place) and str(values[place]).strip()]
    wrong += [f"row {line}, column {column}: {values[line, column]!r:.60} is missing here" for line, column in missing]
    counts = Counter(cells=sum(map(bool, texts.values())), doubtful=len(doubtful))
    return "different" if wrong else "equal", wrong[:SHOWN], counts


def workbooks(folders: list[str]) -> Iterator[Path]:
    """Give the workbooks below some folders."""
    for folder in folders:
        yield from (path for path in sorted(Path(folder).rglob("*")) if path.suffix.lower() in ENDINGS)


def main(folders: list[str]) -> int:
    """Compare all workbooks; return the exit status."""
    outcomes: Counter[str] = Counter()
    cells: Counter[str] = Counter()
    for path in workbooks(folders):
        outcome, shown, counts = differences(path)
        outcomes[outcome] += 1
        cells += counts
        if outcome != "equal":
            print(f"{outcome:9} {path.name}: {'; '.join(shown)}")
    print({**outcomes, **cells})
    return 1 if outcomes["different"] else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
