"""Which ids are known: exact, at 16 bytes an id, so that a million of them need 16 MB. Pure.

Sorted runs of doubling sizes, each searched by bisection: adding a page costs a short sort now and then, seldom one of
everything.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

ID_BYTES = 16
Ids = npt.NDArray[np.bytes_]
"""An array of 16-byte ids. NumPy compares such texts byte by byte, so equal means equal."""


def ids_of(uuids: list[str]) -> Ids:
    """Return the ids of UUIDs in their 36-character form; raise `ValueError` when one is none."""
    raw = bytes.fromhex("".join(uuids).replace("-", ""))
    if len(raw) != ID_BYTES * len(uuids):
        raise ValueError("a uuid is not of the form 8-4-4-4-12")
    return ids_from(raw)


def ids_from(raw: bytes) -> Ids:
    """Return the ids that stand one after the other in `raw`."""
    return np.frombuffer(raw, dtype=f"S{ID_BYTES}")


class SeenIds:
    """A set of ids that only grows."""

    def __init__(self) -> None:
        self._runs: list[Ids] = []

    def __len__(self) -> int:
        return sum(len(run) for run in self._runs)

    def holds(self, ids: Ids) -> npt.NDArray[np.bool_]:
        """Tell, for each id, whether it is known."""
        found = np.zeros(len(ids), bool)
        for run in self._runs:
            places = np.searchsorted(run, ids)
            places[places == len(run)] = 0
            found |= run[places] == ids
        return found

    def add(self, ids: Ids) -> None:
        """Take ids in."""
        if not len(ids):
            return
        run = np.unique(ids)
        while self._runs and len(self._runs[-1]) <= 2 * len(run):
            run = np.concatenate([self._runs.pop(), run])
            run.sort()  # in place: the memory is what matters
        self._runs.append(run)
