"""How result files are written: as the job's own exports are, so that its people's spreadsheets open them.

What always holds: cells that a spreadsheet would compute are written as `formulas.neutral` text, a cell that holds a
separator, a quote or a line end is quoted, and `source.results_reader` reads every file back as it was.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, TextIO

from syncer.safe.formulas import EXTRA_COLUMNS, neutral
from syncer.source.dialect import DELIMITERS

if TYPE_CHECKING:
    from syncer.safe.files import NewFile
    from syncer.source import Source

CRLF = "\r\n"
UTF_8, COMMA, SEMICOLON = "utf-8", ",", ";"
MARK = "\ufeff"


@dataclass(frozen=True, slots=True)
class ResultsForm:
    """Encoding and separator of result files; ``marked``: a byte order mark stands first."""

    encoding: str = UTF_8
    delimiter: str = COMMA
    marked: bool = False


def form_of(sources: Sequence[Source]) -> ResultsForm:
    """Return the form that all sources have; where they differ, and for workbooks and queries: commas, UTF-8.

    Spreadsheets of countries that separate by semicolons take UTF-8 only behind a mark; UTF-16 always needs one.
    """
    found = {(source.info.dialect.encoding, source.info.dialect.delimiter) for source in sources}
    if len(found) > 1:
        return ResultsForm()
    ((encoding, delimiter),) = found
    if delimiter not in DELIMITERS:
        return ResultsForm()
    wide = encoding.startswith(("utf-16", "utf-32"))
    return ResultsForm(encoding, delimiter, wide or (encoding == UTF_8 and delimiter == SEMICOLON))


class _Lines:
    """Takes whole lines from a csv writer, and ends them as these files end their lines."""

    def __init__(self, file: TextIO) -> None:
        self._file = file

    def write(self, line: str) -> None:
        self._file.write(line.removesuffix(CRLF) + "\n")


class ResultsWriter:
    """One result file, with its header."""

    def __init__(self, part: NewFile, form: ResultsForm, header: Sequence[str]) -> None:
        file = part.text(form.encoding)
        if form.marked:
            file.write(MARK)
        # Only what stands in the line terminator is surely quoted, a lone CR too; the lines themselves end in LF.
        self._writer = csv.writer(_Lines(file), delimiter=form.delimiter, lineterminator=CRLF)
        self.write(header, EXTRA_COLUMNS)

    def write(self, cells: Iterable[str], ours: Iterable[str | int]) -> None:
        """Write a row: the input's cells, then what this program says of it."""
        self._writer.writerow([*map(neutral, cells), *ours])
