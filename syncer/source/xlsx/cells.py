"""From a cell of Excel to its text, when that is certain; else the reason why it is not. Pure.

Excel keeps 15 significant digits of a number and turns all further ones into zeros, drops leading zeros, turns what
looks like a date into one, and shows dates, decimals and large numbers as the language of its user wants them. So a
number is taken only when it is whole, has at most 15 digits, and is shown as its digits: by the formats General, Text
and 0, or by one like 000000, whose leading zeros are then part of the text; or as a day with year and month.
"""

from __future__ import annotations

import datetime as dt
import re
from dataclasses import dataclass
from decimal import Decimal
from typing import NamedTuple

from syncer.source.xlsx.formats import NumberFormat, NumberKind

LOST_DIGITS = "E121"
UNCERTAIN_NUMBER = "E122"
LOGICAL = "E123"
ERROR = "E124"
NO_VALUE = "E125"
TIME = "E126"
NO_TEXT = "E127"
AS_TEXT = "format the column as text in Excel and export again"
DIGITS_MAX = 15
_WHOLE_LIMIT = 10**DIGITS_MAX
_DIGITS = re.compile(r"[0-9]{1,15}")
_NUMBER = re.compile(r"[+-]?(?:[0-9]{1,400}(?:\.[0-9]{0,400})?|\.[0-9]{1,400})(?:[Ee][+-]?[0-9]{1,4})?")
_ISO_DAY = re.compile(r"([0-9]{4}-[0-9]{2}-[0-9]{2})(?:T00:00(?::00(?:\.0+)?)?Z?)?")
_ESCAPED = re.compile(r"_x([0-9A-Fa-f]{4})_")
_SURROGATE = re.compile("[\ud800-\udfff]")
_EPOCH_1900, _EPOCH_1904 = dt.date(1899, 12, 30), dt.date(1904, 1, 1)
_FIRST_SURE_DAY = dt.date(1900, 3, 1)
"""Before it Excel counts a day that never was, 1900-02-29."""
_FEBRUARY, _LAST_OF_FEBRUARY = 32, 60
"""What Excel counts on 1900-02-01, and on that day."""
_LAST_DAY = dt.date.max


class Cell(NamedTuple):
    """One cell as it stands in the file: where, its kind (attribute ``t``), its text, the number of its style."""

    column: int
    kind: str
    text: str | None
    style: int
    formula: bool


@dataclass(frozen=True, slots=True)
class CellFault:
    """Why a cell has no certain text: a rejection code, and words with the remedy; ``shown`` is the best guess."""

    code: str
    words: str
    shown: str


class Day(str):
    """The text of a cell that is a date: ``YYYY-MM-DD``."""

    __slots__ = ()


@dataclass(frozen=True, slots=True)
class CellReading:
    """How the cells of one workbook are read: the table of its texts, and whether it counts days from 1904.

    ``computed``: whether the values of formulas are those that the formulas have.
    """

    texts: list[str]
    from_1904: bool = False
    computed: bool = True

    def cell_text(self, cell: Cell, number_format: NumberFormat) -> str | CellFault:
        """Return a cell's text, or why there is none; an empty cell is ``""``. Raises `IndexError` for no such text."""
        _, kind, text, _, formula = cell
        if kind == "s":
            return unescaped(self.texts[_place(text)]) if text else ""
        if formula and (text is None or (kind == "n" and not text.strip())):
            words = "is a formula whose value was not saved; open and save the file in Excel, and export again"
            return CellFault(NO_VALUE, words, "")
        if text is None:
            return ""
        if kind in {"str", "inlineStr"}:
            return unescaped(text)
        if kind == "e":
            return CellFault(ERROR, f"is the error {text}; correct it in Excel and export again", text)
        if kind == "b":
            shown = {"1": "TRUE", "0": "FALSE"}.get(text.strip(), text)
            return CellFault(
                LOGICAL, f"is the logical value {shown}, whose text depends on the language; {AS_TEXT}", shown
            )
        if kind == "d":
            return _iso_day(text.strip())
        if kind != "n":
            return CellFault(UNCERTAIN_NUMBER, f"is of the kind {kind!r}, which no sheet has; {AS_TEXT}", text)
        text = text.strip()
        if not text:
            return ""
        if formula and not self.computed and not text.strip("0.+-"):
            words = "is a formula that was saved without being computed; open and save the file in Excel, export again"
            return CellFault(NO_VALUE, words, text)
        return _number(text, number_format, self.from_1904)


def _place(text: str) -> int:
    """Return a place in the table of texts; one before its beginning would count from its end."""
    place = int(text)
    if place < 0:
        raise IndexError(f"there is no text {place}")
    return place


def unescaped(text: str) -> str | CellFault:
    """Return a text of the workbook's XML with its ``_x000D_`` as the characters that they stand for."""
    if "_x" not in text:
        return text
    plain = _ESCAPED.sub(lambda found: chr(int(found[1], 16)), text)
    if _SURROGATE.search(plain) is None:
        return plain
    try:
        return plain.encode("utf-16-le", "surrogatepass").decode("utf-16-le")
    except UnicodeDecodeError:
        words = "holds half a character (of those that are written as two); correct it in Excel and export again"
        return CellFault(NO_TEXT, words, text)


def _number(text: str, number_format: NumberFormat, from_1904: bool) -> str | CellFault:
    kind = number_format.kind
    if kind is NumberKind.DIGITS and _DIGITS.fullmatch(text):  # as nearly all are
        return text.lstrip("0").rjust(number_format.digits, "0") or "0"
    if not _NUMBER.fullmatch(text):
        return CellFault(UNCERTAIN_NUMBER, f"is {text!r}, which is no number as Excel writes it; {AS_TEXT}", text)
    value = Decimal(text)
    if kind in {NumberKind.DAY, NumberKind.PART, NumberKind.TIME}:
        return _day(value, text, number_format, from_1904)
    size = abs(value)
    significant = len("".join(map(str, value.as_tuple().digits)).strip("0"))
    if kind is NumberKind.SCIENTIFIC or size >= _WHOLE_LIMIT or significant > DIGITS_MAX:
        words = f"is the number {text}, which may have lost digits (Excel keeps {DIGITS_MAX}); {AS_TEXT}"
        return CellFault(LOST_DIGITS, words, text)
    if value != value.to_integral_value():
        return CellFault(UNCERTAIN_NUMBER, f"is the number {text}, whose text depends on the language; {AS_TEXT}", text)
    whole = int(value)
    if kind is NumberKind.DIGITS:
        return f"{'-' if whole < 0 else ''}{abs(whole):0{number_format.digits}d}"
    return CellFault(
        UNCERTAIN_NUMBER,
        f"is the number {whole} with the format {number_format.code!r}, so its text is not certain; {AS_TEXT}",
        str(whole),
    )


def _day(value: Decimal, text: str, number_format: NumberFormat, from_1904: bool) -> str | CellFault:
    """Return the day that a number counts."""
    epoch = _EPOCH_1904 if from_1904 else _EPOCH_1900
    days = (_LAST_DAY - epoch).days
    day = epoch + dt.timedelta(int(value)) if 0 <= value <= days else None
    if day is None or day < _FIRST_SURE_DAY or value != value.to_integral_value():
        shown = text if day is None else _as_shown(day, from_1904) + (" and a part of a day" if value % 1 else "")
        words = f"is {shown}, not a day since {_FIRST_SURE_DAY}; give the day alone, or {AS_TEXT}"
        return CellFault(TIME, words, shown)
    if number_format.kind is NumberKind.DAY:
        return Day(day.isoformat())
    if number_format.kind is NumberKind.TIME:
        words = f"is {text}, shown as a time ({number_format.code}), not as a day; give the day alone, or {AS_TEXT}"
        return CellFault(TIME, words, text)
    words = (
        f"is the date {day}, of which {number_format.code!r} does not show year, month and day: Excel may have made it "
        f"of a text like 1-Mar; {AS_TEXT}"
    )
    return CellFault(LOST_DIGITS, words, day.isoformat())


def _as_shown(day: dt.date, from_1904: bool) -> str:
    """Return a day as Excel shows it, which counts those before 1900-03-01 from 1900-01-00."""
    count = (day - _EPOCH_1900).days
    if from_1904 or count > _LAST_OF_FEBRUARY:
        return day.isoformat()
    return f"1900-01-{count:02d}" if count < _FEBRUARY else f"1900-02-{count - _FEBRUARY + 1:02d}"


def _iso_day(text: str) -> str | CellFault:
    found = _ISO_DAY.fullmatch(text)
    try:
        day = dt.date.fromisoformat(found[1]) if found else None
    except ValueError:
        day = None
    if day is None or day < _FIRST_SURE_DAY:
        words = f"is the date {text!r}, which is no day since {_FIRST_SURE_DAY} as ISO writes it; {AS_TEXT}"
        return CellFault(TIME, words, text)
    return Day(day.isoformat())
