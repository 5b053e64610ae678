"""Number formats: what a number of Excel means is told by them alone. Pure but for `read_formats`.

Only what is certain counts: a format that is shown in another way from language to language, or that is not known, is
`NumberKind.OTHER`, and so is one of Excel's own numbers that the file gives another meaning.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum
from typing import IO

from syncer.source.xlsx.xml import Attributes, XmlError, read_all

STYLES_MAX = 65_536
"""Formats of cells, and number formats, by Excel's own limits."""
CODE_CHARACTERS_MAX = 1024


class NumberKind(Enum):
    """What a number with some format is."""

    DIGITS = "its digits"
    DAY = "a day: year, month and day are shown"
    PART = "a date of which the year, the month or the day is not shown"
    TIME = "a time"
    SCIENTIFIC = "a number of which not all digits are shown"
    OTHER = "something whose text is not certain"


@dataclass(frozen=True, slots=True)
class NumberFormat:
    """A number format: its code in English, what it means, and to how many digits zeros fill a number up."""

    code: str
    kind: NumberKind
    digits: int = 1


_LITERAL = re.compile(r'"[^"]*"|\\.|[_*].')
_BRACKETS = re.compile(r"\[(?!(?:h+|m+|s+)\])[^\[\]]*+\]", re.IGNORECASE)
_ELAPSED = re.compile(r"\[(?:h+|m+|s+)\]", re.IGNORECASE)
_ZEROS = re.compile(r"0+")
_SCIENTIFIC = re.compile(r"[0#?]\.?E[+-]", re.IGNORECASE)
_NUMBER = re.compile(r"[0-9]{1,9}")
_OWN = {
    0: "General", 1: "0", 2: "0.00", 3: "#,##0", 4: "#,##0.00", 9: "0%", 10: "0.00%", 11: "0.00E+00", 12: "# ?/?",
    13: "# ??/??", 14: "mm-dd-yy", 15: "d-mmm-yy", 16: "d-mmm", 17: "mmm-yy", 18: "h:mm AM/PM", 19: "h:mm:ss AM/PM",
    20: "h:mm", 21: "h:mm:ss", 22: "m/d/yy h:mm", 37: "#,##0 ;(#,##0)", 38: "#,##0 ;[Red](#,##0)",
    39: "#,##0.00;(#,##0.00)", 40: "#,##0.00;[Red](#,##0.00)", 45: "mm:ss", 46: "[h]:mm:ss", 47: "mmss.0",
    48: "##0.0E+0", 49: "@",
}  # fmt: skip
_EAST_ASIAN_DAYS = frozenset({27, 28, 29, 30, 31, 36, 50, 51, 54, 57, 58})
"""ECMA-376, part 1, 18.8.30: days in all four languages, though Chinese shows some without the day or the year."""
GENERAL = NumberFormat("General", NumberKind.DIGITS)


def classified(code: str) -> NumberFormat:
    """Return what a format's code means."""
    if code.lower() == "general" or code == "@":
        return NumberFormat(code, NumberKind.DIGITS)
    if _ZEROS.fullmatch(code):
        return NumberFormat(code, NumberKind.DIGITS, len(code))
    bare = _BRACKETS.sub("", _LITERAL.sub("", code)).partition(";")[0].lower()
    if "general" in bare:
        return NumberFormat(code, NumberKind.OTHER)
    if _SCIENTIFIC.search(bare):
        return NumberFormat(code, NumberKind.SCIENTIFIC)
    if _ELAPSED.search(bare):
        return NumberFormat(code, NumberKind.TIME)
    letters = set(bare.replace("am/pm", "").replace("a/p", ""))
    if letters & set("0#?%@") - ({"0"} if letters & set("ydhs") else set()):
        return NumberFormat(code, NumberKind.OTHER)
    year, month, day, clock = bool(letters & set("yeb")), "m" in letters, "d" in letters, bool(letters & set("hs"))
    if year and month and day:
        return NumberFormat(code, NumberKind.DAY)
    if clock:
        return NumberFormat(code, NumberKind.TIME)
    return NumberFormat(code, NumberKind.PART if year or month or day else NumberKind.OTHER)


def format_of(number: int, codes: dict[int, str]) -> NumberFormat:
    """Return the format with a number, as the file's own codes and Excel's list say; unknown is `NumberKind.OTHER`."""
    own = classified(_OWN[number]) if number in _OWN else None
    if number in codes:
        told = classified(codes[number])
        return told if own is None or own.kind is told.kind else NumberFormat(codes[number], NumberKind.OTHER)
    if own is not None:
        return own
    if number in _EAST_ASIAN_DAYS:
        return NumberFormat(f"number {number}", NumberKind.DAY)
    return NumberFormat(f"number {number}, which is not described", NumberKind.OTHER)


def read_formats(part: IO[bytes]) -> list[NumberFormat]:
    """Return the format of every style of cells. Raises `XmlError`."""
    codes: dict[int, str] = {}
    numbers: list[int] = []
    inside: list[str] = []

    def start(tag: str, attributes: Attributes) -> None:
        if tag in {"cellXfs", "dxfs"}:
            inside.append(tag)
        elif tag == "numFmt" and inside[-1:] != ["dxfs"]:
            codes[_whole(attributes.get("numFmtId"))] = attributes.get("formatCode", "")[:CODE_CHARACTERS_MAX]
        elif tag == "xf" and inside[-1:] == ["cellXfs"]:
            numbers.append(_whole(attributes.get("numFmtId") or "0"))
        if len(codes) > STYLES_MAX or len(numbers) > STYLES_MAX:
            raise XmlError(f"it has more than {STYLES_MAX:,} styles")

    def end(tag: str) -> None:
        if tag in {"cellXfs", "dxfs"}:
            inside.pop()

    read_all(part, start, end)
    known: dict[int, NumberFormat] = {}
    for number in set(numbers):
        known[number] = format_of(number, codes)
    return [known[number] for number in numbers]


def _whole(text: str | None) -> int:
    """Return a number of a format; -1, which is none, for what is no number."""
    return int(text) if text is not None and _NUMBER.fullmatch(text) else -1
