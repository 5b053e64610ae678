"""From a cell of Excel to its text, when that is certain; else the reason why it is not. Pure.

Excel keeps 15 significant digits of a number and turns all further ones into zeros, drops leading zeros, and shows
dates, decimals and large numbers as the language of its user wants them. So a number is taken only when it is whole,
has at most 15 digits, and is shown as its digits: by the formats General, Text and 0, or by one like 000000, whose
leading zeros are then part of the text.
"""

from __future__ import annotations

import datetime as dt
import re
from dataclasses import dataclass
from typing import Any

LOST_DIGITS = "E121"
UNCERTAIN_NUMBER = "E122"
LOGICAL = "E123"
ERROR = "E124"
NO_VALUE = "E125"
TIME = "E126"
AS_TEXT = "format the column as text in Excel and export again"
FORMULA = "f"
"""Data type of a formula that was saved without its value; the others are those of openpyxl."""
DIGITS_MAX = 15
_WHOLE_LIMIT = 10**DIGITS_MAX
_PLAIN = frozenset({"General", "@", "0"})
_ZEROS = re.compile(r"0+")
_SCIENTIFIC = re.compile(r"E[+-]", re.IGNORECASE)
_ESCAPED = re.compile(r"_x([0-9A-Fa-f]{4})_")
_FIRST_SURE_DATE = dt.date(1900, 3, 1)
"""Before it Excel counts a day that never was, 1900-02-29."""


@dataclass(frozen=True, slots=True)
class CellFault:
    """Why a cell has no certain text: a rejection code, and words with the remedy; ``shown`` is the best guess."""

    code: str
    words: str
    shown: str


def unescaped(text: str) -> str:
    """Return a text of the workbook's XML with its ``_x000D_`` as the characters that they stand for."""
    return _ESCAPED.sub(lambda found: chr(int(found[1], 16)), text) if "_x" in text else text


def cell_text(value: Any, data_type: str, number_format: str) -> str | CellFault:
    """Return a cell's text, or why there is none; an empty cell is ``""``."""
    if data_type == FORMULA:
        words = "is a formula whose value was not saved; open and save the file in Excel, and export again"
        return CellFault(NO_VALUE, words, "")
    if value is None:
        return ""
    if data_type == "e":
        return CellFault(ERROR, f"is the error {value}; correct it in Excel and export again", str(value))
    if isinstance(value, str):
        return unescaped(value)
    if isinstance(value, bool):
        shown = str(value).upper()
        return CellFault(LOGICAL, f"is the logical value {shown}, whose text depends on the language; {AS_TEXT}", shown)
    if isinstance(value, int | float):
        return _number(value, number_format)
    return _date(value)


def _number(value: float, number_format: str) -> str | CellFault:
    shown = repr(value)
    digits = shown.partition("e")[0].replace(".", "").replace("-", "").strip("0") if isinstance(value, float) else ""
    if _SCIENTIFIC.search(number_format) or not abs(value) < _WHOLE_LIMIT or len(digits) > DIGITS_MAX:
        words = f"is the number {shown}, which may have lost digits (Excel keeps {DIGITS_MAX}); {AS_TEXT}"
        return CellFault(LOST_DIGITS, words, shown)
    if value != int(value):
        return CellFault(
            UNCERTAIN_NUMBER, f"is the number {shown}, whose text depends on the language; {AS_TEXT}", shown
        )
    whole = int(value)
    if number_format in _PLAIN:
        return str(whole)
    if _ZEROS.fullmatch(number_format):
        return f"{'-' if whole < 0 else ''}{abs(whole):0{len(number_format)}d}"
    return CellFault(
        UNCERTAIN_NUMBER,
        f"is the number {whole} with the format {number_format!r}, so its text is not certain; {AS_TEXT}",
        str(whole),
    )


def _date(value: Any) -> str | CellFault:
    if isinstance(value, dt.datetime) and value.time() == dt.time():
        value = value.date()
    if isinstance(value, dt.date) and not isinstance(value, dt.datetime) and value >= _FIRST_SURE_DATE:
        return value.isoformat()
    return CellFault(
        TIME, f"is {value}, not a day since {_FIRST_SURE_DATE}; give the day alone, or {AS_TEXT}", str(value)
    )
