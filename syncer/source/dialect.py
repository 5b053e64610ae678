"""How a file is written: declared in the settings, or found from its first rows; refused when it reads in two ways.

What always holds: what is declared is never overruled; of two readings that are both possible neither is taken; and
every refusal names the setting that decides.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice, pairwise

from syncer.errors import SourceError
from syncer.model import Dialect
from syncer.source.encodings import NOT_TEXT, encoding_advice
from syncer.source.fixed import FixedParser
from syncer.source.rows import LINE_END, NUL, WIDTH, Row, RowOptions, RowParser
from syncer.source.table import UNDECLARED, Fate, Marks, TableForm, holds_key

DELIMITERS = (",", ";", "\t", "|")
RARE = ("||", "|~|", "^", "~", "\x01", "\x1f", "\xa6", "\xa7")
"""Delimiters that are taken only where the header, split by them, names the key."""
SPACE = " "
"""A delimiter only where it is declared; a header of one column with a space in it is looked at twice."""
QUOTE, APOSTROPHE, BACKSLASH = '"', "'", "\\"
SAMPLE_ROWS = 200
SHOWN_MAX = 12
"""Names of a header that a remedy repeats."""
POSSIBLE = 0.5
"""The share of sampled rows that must have the header's width for a delimiter to be possible."""
NEWLINES = {"crlf": "\r\n", "lf": "\n", "cr": "\r", "any": ""}
NAMES = {",": "comma", ";": "semicolon", "\t": "tab", "|": "bar", " ": "space"}


@dataclass(frozen=True, slots=True)
class CsvForm:
    """What ``jobs.<name>.csv`` declares; None: to be detected. ``quote`` is empty when cells are never quoted.

    ``header``: the names of the columns of a file that has no header row; an empty last one is a column that must be
    empty. ``skip_lines``: lines before the header (or before the first row).
    """

    encoding: str | None = None
    delimiter: str | None = None
    widths: tuple[int, ...] | None = None
    quote: str | None = None
    escape: str | None = None
    header: tuple[str, ...] | None = None
    skip_lines: int = 0
    newline: str | None = None
    repeated_header: str = "refuse"
    max_damaged_percent: float = 10


@dataclass(frozen=True, slots=True)
class _Score:
    """How well a delimiter reads the sample: the header's width, and the share of rows that have it too."""

    delimiter: str
    width: int
    rows: int
    share: float
    wrong: str = ""
    """What is wrong with the first row that has another width."""
    behind: bool = False
    """Whether every row has one cell more than the header, a blank one at its end."""
    code: str = ""
    """The rejection code of what is wrong with it."""


def detect(
    text: str,
    form: CsvForm,
    *,
    encoding: str,
    name: str,
    line: int,
    final: bool,
    table: TableForm = UNDECLARED,
    key: Sequence[str] | None = None,
) -> Dialect:
    """Return the form of a file from its first rows (`text` begins with the header on `line`).

    ``final``: the text is the whole file; ``key`` names the key columns, where they are known. Raises `SourceError`
    when there are two ways to read it.
    """
    newline = NEWLINES[form.newline] if form.newline is not None else _newline(text, form.quote)
    if form.widths is not None:
        return Dialect(encoding, "", "", newline=newline, widths=form.widths)
    quote = _quote(text, name, line) if form.quote is None else form.quote
    sample = _Sample(text, form, quote, name, line, final, table, newline, key)
    delimiter = form.delimiter or _delimiter(sample, "").delimiter
    escape = _escape(sample, delimiter) if form.escape is None else form.escape
    if form.delimiter is not None:
        _refuse_widths(sample, _score(sample, delimiter, escape), encoding)
        return Dialect(encoding, delimiter, quote, escape, newline=newline)
    score = _delimiter(sample, escape)
    _refuse_widths(sample, score, encoding)
    evidence = score.rows * (score.width - 1)
    sure = round(score.share * (1 - 1 / (2 + evidence)), 3)
    return Dialect(encoding, score.delimiter, quote, escape, sure, newline)


def describe(dialect: Dialect, form: CsvForm) -> str:
    """Say in one line how a file is written, and how sure that is."""
    if dialect.widths:
        return f"{dialect.encoding}, columns of {', '.join(map(str, dialect.widths))} characters (as declared)"
    quote = f"quote {dialect.quote}" if dialect.quote else "no quotes"
    escape = f" escaped by {dialect.escape}" if dialect.escape else ""
    how = "as declared" if form.delimiter is not None else f"detected, {dialect.confidence:.0%} sure"
    return f"{dialect.encoding}, {named(dialect.delimiter)}, {quote}{escape} ({how})"


def named(delimiter: str) -> str:
    """Return a delimiter's name for people."""
    return NAMES.get(delimiter, delimiter if delimiter.isprintable() else repr(delimiter))


def row_options(table: TableForm, newline: str) -> RowOptions:
    """Return what a job declares of rows of text."""
    return RowOptions(
        padded=table.trims,
        wrapped=bool(table.unwrap),
        verbatim=table.unwrap is False,
        short=table.short_rows == "fill",
        blanks="" in table.end,
        comment=table.comment or "",
        newline=newline,
    )


def parser_of(
    dialect: Dialect, table: TableForm, *, name: str, width: int | None, line: int = 1
) -> RowParser | FixedParser:
    """Return the strict parser of a file, whose next row stands on `line`."""
    options = row_options(table, dialect.newline)
    if dialect.widths:
        return FixedParser(dialect.widths, line=line, options=options, encoding=dialect.encoding)
    return RowParser(
        dialect.delimiter, dialect.quote, name=name, width=width, line=line, escape=dialect.escape, options=options
    )


def first_rows(text: str, dialect: Dialect, table: TableForm, *, final: bool) -> list[Row]:
    """Return the first rows of a text; the last row of a sample may be cut, and is left out."""
    marks = Marks(table)
    for whole in (final, True):
        parser = parser_of(dialect, table, name="", width=None)
        rows: list[Row] = []
        for row in islice(parser.rows(text, final=whole), SAMPLE_ROWS):
            fate = marks.fate(row.cells) if any(row.cells) else marks.blank()
            if fate is Fate.END and rows:
                break
            if fate is Fate.ROW:
                rows.append(row)
        if rows:
            return rows
    return []


@dataclass(frozen=True, slots=True)
class _Sample:
    """The first text of a file, and what is declared of it."""

    text: str
    form: CsvForm
    quote: str
    name: str
    line: int
    final: bool
    table: TableForm
    newline: str
    key: Sequence[str] | None

    def rows(self, delimiter: str, escape: str) -> list[Row]:
        """Return the first rows as one delimiter reads them."""
        dialect = Dialect("", delimiter, self.quote, escape, newline=self.newline)
        return first_rows(self.text, dialect, self.table, final=self.final)

    def refusal(self, message: str, remedy: str) -> SourceError:
        """Return the error for a file that reads in two ways, or in none."""
        return SourceError(message, file=self.name, line=self.line, remedy=remedy)


def _newline(text: str, quote: str | None) -> str:
    """Return how most lines end outside quotes, as far as there are several ways: CRLF where it is in doubt."""
    if "\r" not in text:
        return "\n"
    if text.count("\r") == text.count("\r\n") == text.count("\n"):
        return "\r\n"
    q = re.escape(QUOTE if quote is None else quote)
    bare = re.sub(rf"{q}[^{q}]*+{q}", "", text) if q else text
    both = bare.count("\r\n")
    feeds, returns = bare.count("\n") - both, bare.count("\r") - both
    if both and both >= max(feeds, returns):
        return "\r\n"
    return "\r" if returns > feeds else "\n"


def _score(sample: _Sample, delimiter: str, escape: str) -> _Score:
    rows, form = sample.rows(delimiter, escape), sample.form
    if not rows:
        return _Score(delimiter, 0, 0, 0.0)
    width = len(rows[0].cells) if form.header is None else len(form.header)
    others = rows if form.header is not None else rows[1:]
    short = sample.table.short_rows == "fill"
    bad = [row for row in others if row.fault or len(row.cells) > width or (len(row.cells) < width and not short)]
    wrong = code = ""
    if bad:
        fault = bad[0].fault
        code = WIDTH if fault is None else fault.code
        words = f"{len(bad[0].cells)} cells" if fault is None else fault.message()
        wrong = f"row {others.index(bad[0]) + 1}: {words}"
    right = len(others) - len(bad)
    behind = (
        form.header is None
        and bool(others)
        and all(row.fault is None and len(row.cells) == width + 1 and not row.cells[-1] for row in others)
    )
    return _Score(delimiter, width, right, right / len(others) if others else 1.0, wrong, behind, code)


def _delimiter(sample: _Sample, escape: str) -> _Score:
    """Return the delimiter that stands in the header and gives the rows the header's width; refuse two of them."""
    scores = [_score(sample, delimiter, escape) for delimiter in (*DELIMITERS, SPACE)]
    space = scores.pop()
    rare = [] if sample.form.header is not None else _rare(sample, escape)
    if len(rare) == 1:
        return rare[0]
    in_header = [score for score in scores if score.width > 1 and (sample.form.header is None or score.rows)]
    if not in_header:
        return _one_column(sample, scores[0], space, escape)
    possible = [score for score in in_header if score.share >= POSSIBLE] or in_header
    if len(possible) == 1:
        return possible[0]
    found = " or ".join(named(score.delimiter) for score in possible)
    either = " or ".join(f'"{score.delimiter}"'.replace("\t", "\\t") for score in possible)
    raise sample.refusal(
        f"its columns may be separated by {found}", f"declare which: jobs.<name>.csv.delimiter = {either}"
    )


def _rare(sample: _Sample, escape: str) -> list[_Score]:
    """Return the readings by delimiters that are hardly ever used: only where they alone bring the key to light."""
    found = []
    for delimiter in RARE:
        if delimiter not in sample.text:
            continue
        rows = sample.rows(delimiter, escape)
        if not rows or len(rows[0].cells) < 2 or not holds_key(rows[0].cells, sample.key):  # noqa: PLR2004
            continue
        score = _score(sample, delimiter, escape)
        if score.share >= POSSIBLE:
            found.append(score)
    return found


def _one_column(sample: _Sample, alone: _Score, space: _Score, escape: str) -> _Score:
    """Return the reading of a header without a delimiter: one column, unless its rows say something else."""
    header = sample.form.header
    if header is not None and len(header) > 1:
        raise sample.refusal(
            f"no delimiter splits its rows into the {len(header)} columns that jobs.<name>.csv.header names",
            "declare it: jobs.<name>.csv.delimiter, or correct jobs.<name>.csv.header",
        )
    cut = _cuts([row.cells[0] for row in sample.rows("\0", escape) if len(row.cells) == 1])
    if cut:
        raise sample.refusal(
            "its columns may be of fixed width, without a delimiter",
            f'declare it: jobs.<name>.csv.widths = {cut}; or jobs.<name>.csv.delimiter = "," when it is one column',
        )
    if space.width > 1 and space.rows and space.share >= POSSIBLE:
        raise sample.refusal(
            "its rows may be one column, or columns separated by spaces",
            'declare which: jobs.<name>.csv.delimiter = "," (one column) or " "; or jobs.<name>.csv.widths',
        )
    for delimiter in DELIMITERS:
        widths = [len(row.cells) for row in sample.rows(delimiter, escape)[1:]]
        if len(widths) > 1 and min(widths) > 1 and len(set(widths)) == 1:
            raise sample.refusal(
                f"its first line has one column, but its rows have {widths[0]}, separated by {NAMES[delimiter]}",
                "correct the header; or say where it stands: jobs.<name>.csv.skip_lines, jobs.<name>.table.header_row",
            )
    return _Score(",", 1, alone.rows, 1.0)


def _cuts(lines: Sequence[str]) -> list[int]:
    """Return the widths of columns, where each name of the first line stands over cells that begin below it."""
    begins = [found.start() for found in re.finditer(r"(?:^|(?<= ))[^ ]", lines[0])] if lines else []
    if len(begins) < 2 or len(lines) < 3 or not all("  " in line.strip() for line in lines):  # noqa: PLR2004
        return []
    if any(line[begin - 1 : begin].strip() for line in lines for begin in begins[1:]):
        return []
    return [*(end - begin for begin, end in pairwise(begins)), max(map(len, lines)) - begins[-1]]


_HELP = {
    LINE_END: 'when every kind of line end ends a row: jobs.<name>.csv.newline = "any"; or ',
    NUL: "take the NUL characters out in the source system; or ",
}
"""What helps first with rows that are damaged so."""


def _refuse_widths(sample: _Sample, score: _Score, encoding: str) -> None:
    if score.share >= POSSIBLE:
        return
    if NOT_TEXT in sample.text:
        raise sample.refusal("most of its rows have bytes that are not of its encoding", encoding_advice(encoding))
    if score.behind:
        cells = sample.rows(score.delimiter, "")[0].cells
        shown = [json.dumps(name, ensure_ascii=False) for name in cells] if len(cells) <= SHOWN_MAX else ['"…"']
        names = ", ".join([*shown, '""'])
        raise sample.refusal(
            "its rows end with a delimiter more than the header has",
            f"correct the export; or jobs.<name>.csv.header = [{names}] and jobs.<name>.csv.skip_lines = {sample.line}",
        )
    raise sample.refusal(
        f"separated by {named(score.delimiter)}, the header has {score.width} columns, but most "
        f"rows have another number or are damaged; {score.wrong}",
        f"{_HELP.get(score.code, '')}correct the header; or declare how the file is written: "
        "jobs.<name>.csv.delimiter, quote, escape, header (no header row); or where the table stands: "
        "jobs.<name>.csv.skip_lines, jobs.<name>.table.header_row, short_rows",
    )


def _quote(text: str, name: str, line: int) -> str:
    """Return the quote character: always the double quote, but a file whose cells stand in apostrophes is refused."""
    separators = "".join(re.escape(delimiter) for delimiter in DELIMITERS)
    quoted = re.findall(rf"(?:^|[{separators}])'[^'\r\n]*'(?=[{separators}\r\n]|\Z)", text, re.MULTILINE)
    if len(quoted) > 1 and not re.search(rf'(?:^|[{separators}])"', text, re.MULTILINE):
        raise SourceError(
            "its cells stand in apostrophes: these may be quotes, or part of the text",
            file=name, line=line, remedy="declare which: jobs.<name>.csv.quote = \"'\" (quotes) or '\"' (text)",
        )  # fmt: skip
    return QUOTE


def _escape(sample: _Sample, delimiter: str) -> str:
    """Return how quotes inside cells are written: empty for doubled ones, or the backslash before them."""
    if not sample.quote or BACKSLASH + sample.quote not in sample.text:
        return ""
    doubled, escaped = (sample.rows(delimiter, escape) for escape in ("", BACKSLASH))
    if [row.cells for row in doubled] == [row.cells for row in escaped]:
        return ""
    faults = [_damaged(doubled), _damaged(escaped)]
    if faults[0] and not faults[1]:
        return BACKSLASH
    if faults[1] and not faults[0]:
        return ""
    raise sample.refusal(
        "a backslash stands before a quote: it may escape the quote, or be part of the text",
        "declare which: jobs.<name>.csv.escape = '\\' (it escapes) or \"\" (text)",
    )


def _damaged(rows: Sequence[Row]) -> int:
    width = len(rows[0].cells) if rows else 0
    return sum(row.fault is not None or len(row.cells) != width for row in rows)
