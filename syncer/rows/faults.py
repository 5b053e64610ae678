"""Rejected rows by kind: how many for which reason and which value, and where the first of them stands. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from syncer.rows.codes import CODES

if TYPE_CHECKING:
    from syncer.rejections import Rejection, Rejections

VALUES_SHOWN = 5
"""Of a code; of keys there may be as many as rows."""


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
    remedy: str
    rows: int
    first: Rejection
    values: tuple[FaultyValue, ...]
    others: int


def by_kind(rejections: Rejections | tuple[()]) -> tuple[FaultKind, ...]:
    """Count rejections by code and value, the most frequent code first."""
    if isinstance(rejections, tuple):
        return ()
    found = []
    for code, rows, first, values in rejections.by_kind(VALUES_SHOWN):
        named = tuple(FaultyValue(value, count, rejections[place]) for value, count, place in values)
        _, remedy = CODES[code]
        found.append(FaultKind(code, remedy, rows, rejections[first], named, rows - sum(one.rows for one in named)))
    return tuple(found)
