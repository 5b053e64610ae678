"""How result files are written: as the job's own exports are, so that its people's spreadsheets open them.

What always holds: cells that a spreadsheet would compute are written as `formulas.neutral` text, a cell that holds a
separator, a quote or a line end is quoted, and `source.results_reader` reads every file back as it was.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc

from syncer.arrow import texts
from syncer.safe.formulas import EXTRA_COLUMNS, NEEDING
from syncer.source.dialect import DELIMITERS
from syncer.source.rows import NOT_ENCODED
from syncer.source.tags import tagged

if TYPE_CHECKING:
    from syncer.safe.files import NewFile
    from syncer.source import Source

QUOTE = '"'
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


class ResultsWriter:
    """One result file, with its header."""

    def __init__(self, part: NewFile, form: ResultsForm, header: Sequence[str]) -> None:
        self._file = part.text(form.encoding)
        self._encoding = form.encoding
        self._between = texts([form.delimiter])[0]
        self._to_quote = f'[\\x{ord(form.delimiter):02x}"\r\n]'  # line ends of any kind: others may read the file
        if form.marked:
            self._file.write(MARK)
        self.write_rows([header], [EXTRA_COLUMNS])

    def write_rows(self, cells: Sequence[Sequence[str]], ours: Sequence[Sequence[str | int]]) -> None:
        """Write rows: of each the input's cells, then what this program says of it."""
        columns = [_column([self._encoded(cell) for cell in column]) for column in zip(*cells, strict=True)]
        told = [_column(column) for column in zip(*ours, strict=True)]
        if told:
            self.write_columns(columns, told)

    def write_columns(self, columns: Sequence[pa.Array], ours: Sequence[pa.Array]) -> None:
        """Write rows: the columns of the input, then those in which this program says something of each row."""
        inputs = [pc.replace_substring_regex(column, NEEDING, r"'\1", max_replacements=1) for column in columns]
        shown = [self._quoted(column.cast(pa.large_string())) for column in (*inputs, *ours)]
        rows = pc.binary_join_element_wise(*shown, self._between)
        self._file.write("".join(f"{row}\n" for row in rows.to_pylist()))

    def _encoded(self, cell: str) -> str:
        """Return a cell; one that the file's encoding lacks has a tag, since it is written as another."""
        with suppress(UnicodeEncodeError):
            cell.encode(self._encoding)
            return cell
        return tagged(NOT_ENCODED, cell)

    def _quoted(self, column: pa.LargeStringArray) -> pa.LargeStringArray:
        found = pc.match_substring_regex(column, self._to_quote)
        if not pc.any(found).as_py():
            return column
        doubled = pc.replace_substring(column, QUOTE, QUOTE + QUOTE)
        mark, nothing = texts([QUOTE])[0], texts([""])[0]
        return pc.if_else(found, pc.binary_join_element_wise(mark, doubled, mark, nothing), column)


def _column(cells: Sequence[str | int]) -> pa.LargeStringArray:
    """Return cells as a column; what is no Unicode becomes ``?``, as it would in the file."""
    return texts([str(cell).encode("utf-8", "replace").decode() for cell in cells])
