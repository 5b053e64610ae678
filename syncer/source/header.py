"""What stands before the rows: skipped lines, a ``sep=`` line, the header; and the names that it gives the columns.

What always holds: a header that could be a row, names a column twice or leaves one without a name is refused, with
the setting that says what it is.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

from syncer.errors import SourceError
from syncer.model import Dialect
from syncer.safe.inert import QUOTED_MAX, brief
from syncer.source.dialect import CsvForm, detect, first_rows, parser_of
from syncer.source.encodings import encoding_advice
from syncer.source.names import column_names
from syncer.source.rows import NOT_ENCODED, Row, count_lines
from syncer.source.start import find_start
from syncer.source.table import MARK, UNDECLARED, TableForm

_NEWLINE = re.compile(r"\r\n|\n|\r")
_SEPARATOR_LINE = re.compile(r'"?sep=(?P<delimiter>[^\r\n"]{1,8})"?(?:\r\n|\n|\r)', re.IGNORECASE)
_RULER_LINE = re.compile(r"[|+, ;\t]*+--[-|+,; \t]*+(?:\r\n|\n|\r)")
_CONTROL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u2028\u2029]")
_FIGURES = re.compile(r"[-+$€£]?\d[\d.,:/ T-]*")
"""Numbers, dates and times: what names of columns hardly ever are."""


@dataclass(frozen=True, slots=True)
class Head:
    """The beginning of a file. ``text`` is all of it before the first row; ``width`` the cells of a row.

    ``before`` and ``behind`` tell whether every line begins, or ends, with a delimiter: then the cells before the
    first column, or behind the last, must be empty; ``width`` counts them too.
    """

    dialect: Dialect
    names: tuple[str, ...]
    width: int
    text: str
    line: int = 1
    before: bool = False
    behind: bool = False


def read_head(
    sample: str,
    form: CsvForm,
    *,
    encoding: str,
    name: str,
    final: bool,
    table: TableForm = UNDECLARED,
    key: Sequence[str] | None = None,
    by_place: bool = False,
) -> Head:
    """Return the beginning of a file; raise `SourceError` when it may be read in two ways.

    ``by_place``: columns may be without a name of their own (`names.column_names`).
    """
    start = _skip(sample, form.skip_lines, name)
    separator = _SEPARATOR_LINE.match(sample, start)
    if separator is not None:
        if form.delimiter not in {None, separator["delimiter"]}:
            raise SourceError(
                f"it says sep={separator['delimiter']}, but jobs.<name>.csv.delimiter is {form.delimiter!r}",
                file=name,
                line=1 + form.skip_lines,
                remedy="correct jobs.<name>.csv.delimiter, or leave it out",
            )
        form = replace(form, delimiter=separator["delimiter"])
        start = separator.end()
    if form.header is None:
        start = find_start(sample, start, form, table, key, name)
    body = sample[start:]
    line = 1 + count_lines(sample, 0, start)
    if not body.strip("\r\n"):
        raise SourceError("there is no header", file=name, line=line, remedy="check the export that writes it")
    dialect = detect(body, form, encoding=encoding, name=name, line=line, final=final, table=table, key=key)
    if form.header is not None:
        names, used = form.header, 0
    else:
        names, used, line = _first_row(body, dialect, table, name=name, line=line, final=final)
        names = (names[0].lstrip(MARK), *names[1:])
        _refuse_row(names, first_rows(body, dialect, table, final=final)[1:], name=name, line=line)
    width = len(names)
    before, behind = (False, False) if by_place else _nameless_edges(names)
    names = names[int(before) : width - int(behind)]
    if dialect.widths and len(dialect.widths) != width:
        raise SourceError(
            f"jobs.<name>.csv.widths has {len(dialect.widths)} columns, jobs.<name>.csv.header {width}",
            file=name, line=line, remedy="correct one of the two",
        )  # fmt: skip
    if table.trims:
        names = tuple(text.strip() for text in names)
    _refuse_controls(names, name, line)
    names = column_names(names, name, line, by_place=by_place)
    used = used if form.header is not None else _behind_ruler(body, used)
    return Head(dialect, names, width, sample[: start + used], line, before, behind)


def _behind_ruler(body: str, used: int) -> int:
    """Return where the rows begin, behind the line of dashes that databases draw under a header."""
    ruler = _RULER_LINE.match(body, used)
    return used if ruler is None else ruler.end()


def _skip(sample: str, lines: int, name: str) -> int:
    start = 0
    for _ in range(lines):
        newline = _NEWLINE.search(sample, start)
        if newline is None:
            words = f"the {lines} lines that jobs.<name>.csv.skip_lines leaves out are all there is"
            raise SourceError(words, file=name, remedy="set jobs.<name>.csv.skip_lines to fewer lines")
        start = newline.end()
    return start


def _first_row(
    body: str, dialect: Dialect, table: TableForm, *, name: str, line: int, final: bool
) -> tuple[tuple[str, ...], int, int]:
    """Return the first row, the characters up to its end, and its line."""
    table = replace(table, short_rows="reject", end=())
    parser = parser_of(dialect, table, name=name, width=None, line=line)
    row = next(parser.rows(body, final=final), None)
    if row is None:
        parser = parser_of(dialect, table, name=name, width=None, line=line)
        row = next(parser.rows(body, final=True), None)
    if row is None:
        raise SourceError("there is no header", file=name, line=line, remedy="check the export that writes it")
    if row.fault is not None:
        raise SourceError(
            f"the header is damaged: {row.fault.message()}",
            file=name,
            line=row.line,
            remedy=encoding_advice(dialect.encoding)
            if row.fault.code == NOT_ENCODED
            else "correct it, or declare how cells are quoted: jobs.<name>.csv.quote, escape",
        )
    return tuple(row.cells), parser.consumed, row.line


def _refuse_row(names: Sequence[str], rows: Sequence[Row], *, name: str, line: int) -> None:
    """Refuse a header that reads like the rows under it: the file may have none."""
    for place, text in enumerate(names):
        cells = [row.cells[place] for row in rows if len(row.cells) == len(names)]
        alike = sum(_FIGURES.fullmatch(cell) is not None for cell in cells)
        if _FIGURES.fullmatch(text) and (alike * 2 > len(cells) or not cells):
            raise SourceError(
                f"column {place + 1} of its first line is {brief(text)!r}, which may be data: is there no header row?",
                file=name,
                line=line,
                remedy='name the columns: jobs.<name>.csv.header = ["…", "…"]; and if it is a header: skip_lines = 1',
            )


def _nameless_edges(names: Sequence[str]) -> tuple[bool, bool]:
    """Tell whether a column before the first name, and one behind the last, are delimiters of a frame alone."""
    before = len(names) > 2 and not names[0].strip() and bool(names[1].strip())  # noqa: PLR2004  beside it and the last
    return before, len(names) - before > 1 and not names[-1].strip()


def _refuse_controls(names: Sequence[str], name: str, line: int) -> None:
    for place, text in enumerate(names, 1):
        if _CONTROL.search(text):
            raise SourceError(
                f"the name of column {place} holds a control character ({text[:QUOTED_MAX]!r}): "
                "do lines end in another way?",
                file=name,
                line=line,
                remedy='declare how the file is written: jobs.<name>.csv.encoding (a mainframe\'s: "cp037"), delimiter',
            )
