"""How a file is written: declared in the settings, or found from its first rows; refused when it reads in two ways.

What always holds: what is declared is never overruled; of two readings that are both possible neither is taken; and
every refusal names the setting that decides.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice

from syncer.errors import SourceError
from syncer.model import Dialect
from syncer.source.rows import Row, RowParser

DELIMITERS = (",", ";", "\t", "|")
SPACE = " "
"""A delimiter only where it is declared; a header of one column with a space in it is looked at twice."""
QUOTE, APOSTROPHE, BACKSLASH = '"', "'", "\\"
SAMPLE_ROWS = 200
POSSIBLE = 0.5
"""The share of sampled rows that must have the header's width for a delimiter to be possible."""
NAMES = {",": "comma", ";": "semicolon", "\t": "tab", "|": "bar", " ": "space"}


@dataclass(frozen=True, slots=True)
class CsvForm:
    """What ``jobs.<name>.csv`` declares; None: to be detected. ``quote`` is empty when cells are never quoted.

    ``header``: the names of the columns of a file that has no header row; an empty last one is a column that must be
    empty. ``skip_lines``: lines before the header (or before the first row).
    """

    encoding: str | None = None
    delimiter: str | None = None
    quote: str | None = None
    escape: str | None = None
    header: tuple[str, ...] | None = None
    skip_lines: int = 0
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


def detect(sample: str, form: CsvForm, *, encoding: str, name: str, line: int, final: bool) -> Dialect:
    """Return the form of a file from its first rows (`sample` begins with the header on `line`).

    ``final``: the sample is the whole file. Raises `SourceError` when there are two ways to read it.
    """
    quote = _quote(sample, name, line) if form.quote is None else form.quote
    unescaped = form.delimiter or _delimiter(sample, form, quote, "", name=name, line=line, final=final).delimiter
    escape = form.escape
    if escape is None:
        escape = _escape(sample, unescaped, quote, name=name, line=line, final=final)
    if form.delimiter is not None:
        score = _score(sample, form.delimiter, form, quote, escape, final=final)
        _refuse_widths(score, name, line)
        return Dialect(encoding, form.delimiter, quote, escape)
    score = _delimiter(sample, form, quote, escape, name=name, line=line, final=final)
    _refuse_widths(score, name, line)
    evidence = score.rows * (score.width - 1)
    return Dialect(encoding, score.delimiter, quote, escape, round(score.share * (1 - 1 / (2 + evidence)), 3))


def describe(dialect: Dialect, form: CsvForm) -> str:
    """Say in one line how a file is written, and how sure that is."""
    quote = f"quote {dialect.quote}" if dialect.quote else "no quotes"
    escape = f" escaped by {dialect.escape}" if dialect.escape else ""
    how = "as declared" if form.delimiter is not None else f"detected, {dialect.confidence:.0%} sure"
    return f"{dialect.encoding}, {NAMES.get(dialect.delimiter, dialect.delimiter)}, {quote}{escape} ({how})"


def sampled(sample: str, delimiter: str, quote: str, escape: str, *, final: bool) -> list[Row]:
    """Return the first rows as one delimiter reads them; the last row of a sample may be cut, and is left out."""
    for whole in (final, True):
        parser = RowParser(delimiter, quote, name="", width=None, escape=escape)
        rows = list(islice(parser.rows(sample, final=whole), SAMPLE_ROWS))
        if rows:
            return rows
    return []


def _score(sample: str, delimiter: str, form: CsvForm, quote: str, escape: str, *, final: bool) -> _Score:
    rows = sampled(sample, delimiter, quote, escape, final=final)
    if not rows:
        return _Score(delimiter, 0, 0, 0.0)
    width = len(rows[0].cells) if form.header is None else len(form.header)
    others = rows if form.header is not None else rows[1:]
    bad = [row for row in others if row.fault is not None or len(row.cells) != width]
    wrong = f"row {others.index(bad[0]) + 1}: {(bad[0].fault or ('', f'{len(bad[0].cells)} cells'))[1]}" if bad else ""
    right = len(others) - len(bad)
    return _Score(delimiter, width, right, right / len(others) if others else 1.0, wrong)


def _delimiter(sample: str, form: CsvForm, quote: str, escape: str, *, name: str, line: int, final: bool) -> _Score:
    """Return the delimiter that stands in the header and gives the rows the header's width; refuse two of them."""
    scores = [_score(sample, delimiter, form, quote, escape, final=final) for delimiter in (*DELIMITERS, SPACE)]
    space = scores.pop()
    in_header = [score for score in scores if score.width > 1 and (form.header is None or score.rows)]
    if not in_header:
        return _one_column(sample, scores[0], space, form, quote, escape, name=name, line=line, final=final)
    possible = [score for score in in_header if score.share >= POSSIBLE] or in_header
    if len(possible) == 1:
        return possible[0]
    raise _two_readings(possible, name, line)


def _one_column(
    sample: str, alone: _Score, space: _Score, form: CsvForm, quote: str, escape: str, *, name: str, line: int,
    final: bool,
) -> _Score:  # fmt: skip
    """Return the reading of a header without a delimiter: one column, unless its rows say something else."""
    if form.header is not None and len(form.header) > 1:
        raise SourceError(
            f"no delimiter splits its rows into the {len(form.header)} columns that jobs.<name>.csv.header names",
            file=name, line=line, next="declare it: jobs.<name>.csv.delimiter, or correct jobs.<name>.csv.header",
        )  # fmt: skip
    if space.width > 1 and space.rows and space.share >= POSSIBLE:
        raise SourceError(
            "its rows may be one column, or columns separated by spaces",
            file=name, line=line, next='declare which: jobs.<name>.csv.delimiter = "," (one column) or " "',
        )  # fmt: skip
    for delimiter in DELIMITERS:
        widths = [len(row.cells) for row in sampled(sample, delimiter, quote, escape, final=final)[1:]]
        if len(widths) > 1 and min(widths) > 1 and len(set(widths)) == 1:
            raise SourceError(
                f"its first line has one column, but its rows have {widths[0]}, separated by {NAMES[delimiter]}",
                file=name, line=line,
                next="correct the header; or skip what stands before it: jobs.<name>.csv.skip_lines",
            )  # fmt: skip
    return _Score(",", 1, alone.rows, 1.0)


def _two_readings(possible: Sequence[_Score], name: str, line: int) -> SourceError:
    found = " or ".join(NAMES[score.delimiter] for score in possible)
    return SourceError(
        f"its columns may be separated by {found}",
        file=name,
        line=line,
        next="declare which: jobs.<name>.csv.delimiter",
    )


def _refuse_widths(score: _Score, name: str, line: int) -> None:
    if score.share >= POSSIBLE:
        return
    raise SourceError(
        f"separated by {NAMES.get(score.delimiter, score.delimiter)}, the header has {score.width} columns, but most "
        f"rows have another number or are damaged; {score.wrong}",
        file=name,
        line=line,
        next="correct the header; or declare how the file is written: jobs.<name>.csv.delimiter, quote, escape, "
        "header (no header row) or skip_lines (lines before it)",
    )


def _quote(sample: str, name: str, line: int) -> str:
    """Return the quote character: always the double quote, but a file whose cells stand in apostrophes is refused."""
    separators = "".join(re.escape(delimiter) for delimiter in DELIMITERS)
    quoted = re.findall(rf"(?:^|[{separators}])'[^'\r\n]*'(?=[{separators}\r\n]|\Z)", sample, re.MULTILINE)
    if len(quoted) > 1 and not re.search(rf'(?:^|[{separators}])"', sample, re.MULTILINE):
        raise SourceError(
            "its cells stand in apostrophes: these may be quotes, or part of the text",
            file=name, line=line, next="declare which: jobs.<name>.csv.quote = \"'\" (quotes) or '\"' (text)",
        )  # fmt: skip
    return QUOTE


def _escape(sample: str, delimiter: str, quote: str, *, name: str, line: int, final: bool) -> str:
    """Return how quotes inside cells are written: empty for doubled ones, or the backslash before them."""
    if not quote or BACKSLASH + quote not in sample:
        return ""
    doubled, escaped = (sampled(sample, delimiter, quote, escape, final=final) for escape in ("", BACKSLASH))
    if [row.cells for row in doubled] == [row.cells for row in escaped]:
        return ""
    faults = [_damaged(doubled), _damaged(escaped)]
    if faults[0] and not faults[1]:
        return BACKSLASH
    if faults[1] and not faults[0]:
        return ""
    raise SourceError(
        "a backslash stands before a quote: it may escape the quote, or be part of the text",
        file=name, line=line, next="declare which: jobs.<name>.csv.escape = '\\' (it escapes) or \"\" (text)",
    )  # fmt: skip


def _damaged(rows: Sequence[Row]) -> int:
    width = len(rows[0].cells) if rows else 0
    return sum(row.fault is not None or len(row.cells) != width for row in rows)
