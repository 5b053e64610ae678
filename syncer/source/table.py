"""Where a table stands in its source, and what of it is no content: the rules that all kinds of source share. Pure.

What always holds: the key's names find the header, or a setting does, and of two rows that may be it neither is taken;
a last row that looks like a total, and a header that stands again, are never data; a cell is changed only as declared.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import Enum

from syncer.errors import SourceError
from syncer.model import UNIQUE_KEYS
from syncer.rejections import Rejection
from syncer.safe.inert import brief

TOTAL = "E105"
HEADER_ROWS_MAX = 50
"""Rows among which the header is looked for."""
MARK = "\ufeff"
_SUMS = (
    "total|totals|total general|total général|total geral|sum|sum total|summe|gesamt|gesamtsumme|insgesamt|ergebnis|"
    "gesamtergebnis|zwischensumme|somme|suma|suma końcowa|totale|totaal|eindtotaal|razem|celkem|součet|celkový součet|"
    "summa|yhteensä|összesen|végösszeg|toplam|genel toplam|итого|итог|общий итог|всего|合計|総計|小計|集計|合计|总计|"
    "小计|汇总|總計|小計|합계|총합계|요약|σ|∑"
)
_COUNTED = "rows?|records?|row\\(s\\)|record\\(s\\)|codes?|items?|zeilen?|datensätze?|lignes?|filas?|righe"
_DONE = "affected|selected|returned|in set|exported|processed|written|fetched|unloaded|ausgewählt"
_TOTAL = re.compile(
    rf"[*=#<\[( -]*+(?:(?:(?:grand|sub)[ -]?)?(?:{_SUMS})(?:\s(?:{_COUNTED}))?"
    rf"|(?:count|number of (?:{_COUNTED})|anzahl|(?:{_COUNTED}))(?=\s*+[:=])"
    r"|eof|end of (?:report|file|list|data|export))"
    r"(?:\s*+[:=][\d.,' ]*+|\s++[\d.,' ]*+)?+[*=#>\]) -]*+"
    rf"|\(?\d[\d.,']*\s(?:{_COUNTED})(?:\s(?:{_DONE}))?.?\)?|(?:{_DONE})\s\d[\d.,']*\s(?:{_COUNTED}).?"
    r"|[*=#<\[( -]++(?:end|ende|fin)\s*+[*=#>\]) -]++|(?:\*{2,}|={2,}|-{2,}|#{2,})(?:.*(?:\*{2,}|={2,}|-{2,}|#{2,}))?",
    re.IGNORECASE,
)
"""What a last row begins with that counts, sums up or closes the table, and is no code."""


_END_ALONE = re.compile("end|ende|fin|fine|koniec|trailer|footer|trl|конец|结束|終了|끝", re.IGNORECASE)
"""What alone closes a table when nothing stands beside it but the number of its rows: a key could be called so."""
_COUNT_DIGITS_MAX = 20
"""Of a number of rows, with the zeros before it."""


@dataclass(frozen=True, slots=True)
class TableForm:
    """What ``jobs.<name>.table`` declares. ``header_row``: None: found. ``unwrap`` None: a cell ``="…"`` is rejected.

    ``end`` and ``skip`` are texts that a row's first content may be, with ``*`` for anything; an empty one of ``end``
    is a blank row.
    """

    header_row: int | None = None
    end: tuple[str, ...] = ()
    skip: tuple[str, ...] = ()
    comment: str | None = None
    trim: str = "none"
    null: tuple[str, ...] = ()
    short_rows: str = "reject"
    unwrap: bool | None = None
    merged: str = "reject"

    @property
    def trims(self) -> bool:
        """Whether white space around names, and around the cells of fields, is no part of them."""
        return self.trim != "none"


UNDECLARED = TableForm()


class Fate(Enum):
    """What becomes of a row that stands in the table's place."""

    ROW = "it is one"
    LEFT_OUT = "it is none: blank, a comment, or of those to skip"
    END = "the table ended before it"


class Marks:
    """Tells rows from what stands between and behind them, by their first content."""

    def __init__(self, form: TableForm) -> None:
        self._ends_blank = "" in form.end
        self._end = _pattern([text for text in form.end if text])
        self._skip = _pattern(form.skip)
        self._comment = form.comment
        self.declared = bool(form.end or form.skip or form.comment)
        """Whether any row may be left out but for a blank one."""

    def fate(self, cells: Sequence[str]) -> Fate:
        """Return what becomes of a row with these cells."""
        first = first_content(cells)
        if not first:
            return Fate.END if self._ends_blank else Fate.LEFT_OUT
        if not self.declared:
            return Fate.ROW
        if self._end is not None and self._end.fullmatch(first):
            return Fate.END
        if self._comment is not None and first.startswith(self._comment):
            return Fate.LEFT_OUT
        return Fate.LEFT_OUT if self._skip is not None and self._skip.fullmatch(first) else Fate.ROW

    def blank(self) -> Fate:
        """Return what becomes of a row without content."""
        return Fate.END if self._ends_blank else Fate.LEFT_OUT


def _pattern(texts: Sequence[str]) -> re.Pattern[str] | None:
    """Return what the texts match as a whole: ``*`` is anything."""
    if not texts:
        return None
    return re.compile("|".join(map(_expression, texts)), re.DOTALL)


def _expression(text: str) -> str:
    """Return a text as a regular expression that never goes back over what a ``*`` took: time stays in proportion."""
    first, *parts = [re.escape(part) for part in text.split("*")]
    if not parts:
        return first
    return first + "".join(f"(?>.*?{part})" for part in parts[:-1] if part) + ".*" + parts[-1]


def first_content(cells: Sequence[str]) -> str:
    """Return the first cell of a row that is not blank, without the white space around it; else ""."""
    return next((text for cell in cells if (text := cell.strip())), "")


def total(position: int, line: int, cells: Sequence[str], before: Sequence[str] = ()) -> Rejection | None:
    """Return the rejection of a source's last row when it looks like a total under the others.

    ``before``: the cells of the row above it.
    """
    first, *others = [text for cell in cells if (text := cell.strip())] or [""]
    alone = len(cells) > 1 and not others
    counted = len(others) == 1 and _END_ALONE.fullmatch(first) is not None and _counts_rows(others[0], line)
    if _TOTAL.fullmatch(first) is None and not counted and not (alone and _closes(first, line, before)):
        return None
    words = f"the last row begins with {brief(first)!r}: a total, or the end of a list, is no code"
    return Rejection(position, line, TOTAL, words, cells=tuple(cells))


def _closes(first: str, line: int, before: Sequence[str]) -> bool:
    """Tell whether the only content of a last row is a trailer's: a word for the end, or how many rows there were."""
    if _END_ALONE.fullmatch(first):
        return True
    return len(first) <= len(str(line)) and _counts_rows(first, line) and not first_content(before).isdigit()


def _counts_rows(text: str, line: int) -> bool:
    """Tell whether a text in this line is how many rows or lines a table has up to it: ``0000002`` is a trailer's."""
    return text.isascii() and text.isdigit() and len(text) <= _COUNT_DIGITS_MAX and line - 2 <= int(text) <= line


def refuse_repeated(file: str, line: int, how: str) -> SourceError:
    """Return the error for a header that stands again among the rows."""
    return SourceError(
        "the header stands here again: are these two tables, or the pages of one?",
        file=file,
        line=line,
        remedy=f"when it is one table: jobs.<name>.{how}; else give each a file of its own",
    )


def key_names(header: Sequence[str], key: Sequence[str] | None) -> frozenset[str]:
    """Return the key columns of a header: those named, else the one that it suggests, else all that may be one."""
    default = [name for name in ("extended_id", "serial_number") if name in header][:1]
    return frozenset(key or default) & frozenset(header) or UNIQUE_KEYS


def holds_key(cells: Sequence[str], key: Sequence[str] | None) -> bool:
    """Tell whether a row names the key columns (None: any that codes are known by)."""
    named = {cell.strip().lstrip(MARK) for cell in cells}
    return named >= set(key) if key else bool(named & UNIQUE_KEYS)


def find_header(
    rows: Iterator[tuple[int, Sequence[str]]], form: TableForm, key: Sequence[str] | None, file: str
) -> tuple[int, Sequence[str]] | None:
    """Return the header (number and cells) among the first rows: the one that is set, else the first with the key.

    Without a row that has the key, the first one with content; None: there is no row. Raises `SourceError`.
    """
    before: list[tuple[int, Sequence[str]]] = []
    for line, cells in rows:
        if form.header_row is not None and line > form.header_row:
            break
        if not first_content(cells) or (form.comment and first_content(cells).startswith(form.comment)):
            continue
        if line == form.header_row:
            return line, cells
        if form.header_row is None:
            if holds_key(cells, key):
                _refuse_another(before, line, cells, file)
                return line, cells
            before.append((line, cells))
            if len(before) >= HEADER_ROWS_MAX:
                break
    if form.header_row is not None:
        raise SourceError(
            f"row {form.header_row}, which jobs.<name>.table.header_row names, is blank or missing",
            file=file,
            remedy="name the row that holds the columns' names, or leave the setting out",
        )
    return before[0] if before else None


def _refuse_another(before: Sequence[tuple[int, Sequence[str]]], line: int, cells: Sequence[str], file: str) -> None:
    """Refuse a header that has a row before it which may be one too: it is as wide."""
    width = sum(bool(cell.strip()) for cell in cells)
    for other, texts in before:
        if sum(bool(cell.strip()) for cell in texts) >= max(width, 2):
            raise SourceError(
                f"row {line} names the key, but row {other} may be the header too",
                file=file,
                line=other,
                remedy=f"say which: jobs.<name>.table.header_row = {line} (or {other})",
            )
