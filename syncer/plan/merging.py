"""Older words under newer ones: what earlier plans want and a newer row does not name stays wanted (design.md, rule 4).

Field by field, the newest word counts; the greater source is the newer one. Each field keeps its own file and line.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from syncer.mirror.words import NOTHING, fields_of, laid_over, without
from syncer.model import Origins

if TYPE_CHECKING:
    import numpy.typing as npt

    from syncer.plan.payloads import Payloads

    Numbers = npt.NDArray[np.int32]


@dataclass(frozen=True, slots=True)
class OlderWords:
    """Older data of some keys, as columns: the key's group, the payload's number, the ledger's source id, the line."""

    group: npt.NDArray[np.int64]
    payload: Numbers
    source_id: npt.NDArray[np.int64]
    line: npt.NDArray[np.int64]

    @classmethod
    def joined(cls, parts: Sequence[OlderWords]) -> OlderWords:
        """Return several as one."""
        if not parts:
            empty = np.zeros(0, np.int64)
            return cls(empty, empty.astype(np.int32), empty, empty)
        columns = ("group", "payload", "source_id", "line")
        return cls(*(np.concatenate([getattr(part, name) for part in parts]) for name in columns))

    def taken(self, rows: npt.NDArray[np.int64]) -> OlderWords:
        """Return some of the rows."""
        return OlderWords(self.group[rows], self.payload[rows], self.source_id[rows], self.line[rows])

    def newest_first(self) -> tuple[OlderWords, npt.NDArray[np.int64]]:
        """Return the rows by group, the newest of each first, and each row's rank in its group."""
        rows = self.taken(np.lexsort((-self.source_id, self.group)))
        first = np.append(True, rows.group[1:] != rows.group[:-1])[: len(rows.group)]
        starts = np.flatnonzero(first)
        return rows, np.arange(len(rows.group)) - starts[np.cumsum(first) - 1]


class Merger:
    """Lays words over older words, once per distinct pair of payloads, and remembers where each field came from."""

    def __init__(self, payloads: Payloads) -> None:
        self._payloads = payloads
        self._names: list[tuple[str, ...]] = []
        self._found: dict[tuple[int, int], tuple[int, int]] = {}

    def covered(self, older: Numbers, newer: Numbers) -> npt.NDArray[np.bool_]:
        """Tell of which pairs the newer payload names every field of the older one."""
        return self._merged(older, newer)[1] < 0

    def lay_over(self, older: OlderWords, wanted: Numbers) -> tuple[Numbers, Origins]:
        """Lay ``wanted`` (the payload of each group) over older words; return both as one, and which of these stay."""
        rows, ranks = older.newest_first()
        kept: list[tuple[OlderWords, npt.NDArray[np.int64]]] = []
        for rank in np.unique(ranks).tolist():
            part = rows.taken(np.flatnonzero(ranks == rank))
            merged, fields = self._merged(part.payload, wanted[part.group])
            wanted = wanted.copy()  # it may be a column of the rows
            wanted[part.group] = merged
            stays = np.flatnonzero(fields >= 0)
            kept.append((part.taken(stays), fields[stays]))
        parts = OlderWords.joined([part for part, _ in kept])
        numbers = np.concatenate([fields for _, fields in kept]) if kept else np.zeros(0, np.int64)
        return wanted, Origins(parts.group, parts.source_id, parts.line, numbers, self._names)

    def _merged(self, older: Numbers, newer: Numbers) -> tuple[Numbers, npt.NDArray[np.int64]]:
        """Return per row the merged payload's number, and that of the list of fields that the older one adds, or -1."""
        distinct, of_row = np.unique((older.astype(np.int64) << np.int64(32)) | newer, return_inverse=True)
        found = [self._pair(pair >> 32, pair & 0xFFFFFFFF) for pair in distinct.tolist()]
        merged = np.array([number for number, _ in found], np.int32)[of_row]
        return merged, np.array([fields for _, fields in found], np.int64)[of_row]

    def _pair(self, older: int, newer: int) -> tuple[int, int]:
        pair = older, newer
        if pair not in self._found:
            data = self._payloads.data
            left = NOTHING if older == newer else without(data[older], fields_of(data[newer]))
            if left == NOTHING:
                self._found[pair] = newer, -1
            else:
                self._names.append(tuple(fields_of(left)))
                self._found[pair] = self._payloads.number(laid_over(left, data[newer])), len(self._names) - 1
        return self._found[pair]
