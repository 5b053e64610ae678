"""From the values that a database's driver gives to texts, when they are certain. Pure.

A timestamp without a zone is a day when it is midnight; bytes are text when they are UTF-8 without control characters;
of a value that is neither its row is told, as in Parquet. A value of another type (a decimal, a float, a truth) makes
its column an uncertain one.
"""

from __future__ import annotations

import datetime as dt
import re
import uuid
from collections.abc import Sequence
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import numpy as np

from syncer.source.chunks import NOT_ENCODED
from syncer.source.parquet_text import CONTROL, FIRST_YEAR, SINCE, TIME, VALUE_CHARACTERS_SHOWN

if TYPE_CHECKING:
    import numpy.typing as npt

TEXT, DAY, MOMENT, BYTES, ODD = range(5)
"""What a value was: a certain text, or a day; a time, or bytes, that is not; another one."""
_CERTAIN = ({str}, {int}, {uuid.UUID})
"""Types of which every value has a certain text."""


def texts_of(values: Sequence[Any]) -> tuple[list[str], npt.NDArray[np.uint8]]:
    """Return the texts of a column's values, nulls as empty ones, and what each value was."""
    kinds = set(map(type, values)) - {type(None)}
    if any(kinds <= certain for certain in _CERTAIN):
        return ["" if value is None else str(value) for value in values], np.zeros(len(values), np.uint8)
    told = [_told(value) for value in values]
    return [text for text, _ in told], np.array([mark for _, mark in told], np.uint8)


def _told(value: Any) -> tuple[str, int]:
    kind = type(value)
    if value is None:
        return "", TEXT
    if kind in {str, int, uuid.UUID} or (kind is Decimal and value.as_tuple().exponent == 0):
        return str(value), TEXT
    if kind is dt.date:
        return value.isoformat(), DAY if value.year >= FIRST_YEAR else MOMENT
    if kind is dt.datetime and value.tzinfo is None:
        return _told(value.date()) if value.time() == dt.time() else (str(value), MOMENT)
    if kind in {bytes, memoryview, bytearray}:
        try:
            text = bytes(value).decode()
            return text, BYTES if re.search(CONTROL, text) else TEXT
        except UnicodeDecodeError:
            return bytes(value).decode("utf-8", "backslashreplace"), BYTES
    return str(value).encode("utf-8", "backslashreplace").decode(), ODD


def faults_of(name: str, texts: Any, marks: npt.NDArray[np.uint8]) -> dict[int, tuple[str, str]]:
    """Return what is wrong with some rows of a column: code and words, by row."""
    faults = {}
    for row in np.flatnonzero((marks == MOMENT) | (marks == BYTES)).tolist():
        shown = texts[row].as_py()[:VALUE_CHARACTERS_SHOWN]
        if marks[row] == MOMENT:
            faults[row] = TIME, f"column {name!r} is {shown}, not a day {SINCE}; give the day alone"
        else:
            faults[row] = NOT_ENCODED, f"column {name!r} is no text in UTF-8: {shown!r}"
    return faults
