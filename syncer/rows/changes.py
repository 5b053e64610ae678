"""What the steps of each field did to a run's rows, counted by value: so that a plan can show it before it is sent.

What always holds: memory is bounded, whatever the number of rows and of distinct values; as long as a field has no more
than `VALUES_MAX` values, every one of them is counted exactly.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pyarrow.compute as pc

from syncer.arrow import as_numpy, numbers

if TYPE_CHECKING:
    from syncer.model import Change, ValidChunk

VALUES_MAX = 1_000
"""Distinct values of a field that are counted one by one; keys have as many as rows, and are shown by the first."""


@dataclass(frozen=True, slots=True)
class ValueChange:
    """In ``rows`` rows a cell ``before`` (None: a constant) became ``after``; empty: the field is blank there."""

    before: str | None
    after: str
    rows: int


@dataclass(frozen=True, slots=True)
class FieldChanges:
    """What became of one field. ``origin`` is its column, its columns joined by ``+``, or empty for a constant.

    ``rows`` have another value than their cell; ``values`` are the changes in the order of their number. ``complete``:
    they are all of them; else the first that were seen.
    """

    field: str
    origin: str
    rows: int
    values: tuple[ValueChange, ...]
    complete: bool = True


class ChangeWatch:
    """Sees chunks pass, and counts what their fields' steps did. ``origins`` says of what each such field is made."""

    def __init__(self, origins: Mapping[str, str], constants: Mapping[str, str]) -> None:
        self._origins = origins
        self._constants = constants
        self._rows = 0
        self._changed = dict.fromkeys(origins, 0)
        self._values: dict[str, dict[tuple[str, str], int]] = {field: {} for field in origins}
        self._full: set[str] = set()

    def see(self, chunk: ValidChunk) -> None:
        """Take a chunk."""
        self._rows += len(chunk.lines)
        for change in chunk.changes:
            self._take(change)

    def _take(self, change: Change) -> None:
        if change.after is change.before:
            return
        rows = change.rows * ~as_numpy(pc.equal(change.before, change.after))
        self._changed[change.field] += int(rows.sum())
        if change.field in self._full:
            return
        values = self._values[change.field]
        places = np.flatnonzero(rows)
        if len(places) > VALUES_MAX:  # not even these few can all be counted: their first stand for them
            places = places[:VALUES_MAX]
            self._full.add(change.field)
        chosen = numbers(places)
        before, after = change.before.take(chosen).to_pylist(), change.after.take(chosen).to_pylist()
        for pair, count in zip(zip(before, after, strict=True), rows[places].tolist(), strict=True):
            values[pair] = values.get(pair, 0) + count
        if len(values) > VALUES_MAX:
            self._full.add(change.field)

    def fields(self) -> tuple[FieldChanges, ...]:
        """Return what was done to each field, in the order of their names, the constants too."""
        found = [
            FieldChanges(field, "", self._rows, (ValueChange(None, value, self._rows),))
            for field, value in self._constants.items()
        ]
        for field, origin in self._origins.items():
            full = field in self._full
            values = _most_first(self._values[field], keep_order=full)
            found.append(FieldChanges(field, origin, self._changed[field], values, complete=not full))
        return tuple(sorted(found, key=lambda one: one.field))


def _most_first(values: Mapping[tuple[str, str], int], *, keep_order: bool) -> tuple[ValueChange, ...]:
    pairs: Sequence[tuple[tuple[str, str], int]] = [*values.items()]
    if not keep_order:
        pairs = sorted(pairs, key=lambda one: (-one[1], one[0]))
    return tuple(ValueChange(before, after, rows) for (before, after), rows in pairs)
