"""Rejected rows by kind: how many for which reason and which value, and where the first of them stands. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from syncer.model import Rejection

VALUES_SHOWN = 5
VALUES_MAX = 10_000
"""Distinct values of a code that are counted one by one: of keys there may be as many as rows."""


@dataclass(frozen=True, slots=True)
class FaultyValue:
    """``rows`` rows that were rejected for one value; ``first`` is one of them."""

    value: str
    rows: int
    first: Rejection


@dataclass(frozen=True, slots=True)
class FaultKind:
    """The rows that were rejected with one code, most frequent values first; ``others`` have values beyond these."""

    code: str
    rows: int
    first: Rejection
    values: tuple[FaultyValue, ...]
    others: int


def by_kind(rejections: Sequence[Rejection]) -> tuple[FaultKind, ...]:
    """Count rejections by code and value, the most frequent code first."""
    codes = Counter[str]()
    first_of_code: dict[str, Rejection] = {}
    values: dict[str, Counter[str]] = {}
    first_of_value: dict[tuple[str, str], Rejection] = {}
    for row in rejections:
        codes[row.code] += 1
        first_of_code.setdefault(row.code, row)
        counted = values.setdefault(row.code, Counter())
        if row.value in counted or len(counted) < VALUES_MAX:
            counted[row.value] += 1
            first_of_value.setdefault((row.code, row.value), row)
    found = []
    for code, rows in codes.most_common():
        shown = values[code].most_common(VALUES_SHOWN)
        named = tuple(FaultyValue(value, count, first_of_value[code, value]) for value, count in shown)
        found.append(FaultKind(code, rows, first_of_code[code], named, rows - sum(one.rows for one in named)))
    return tuple(found)
