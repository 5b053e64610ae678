"""What is wrong with the rows of a chunk, noted rule by rule; and the rejections that come of it. Pure.

What always holds: of a row the first cause that is noted gives the code and the value, the words of all are told; a
cause stands once, however many rows have it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from syncer.rejections import RejectionCause

if TYPE_CHECKING:
    import numpy.typing as npt


class Notes:
    """The causes found in ``rows`` rows. ``cause[row]`` numbers `causes`; -1: nothing is wrong with the row."""

    def __init__(self, rows: int) -> None:
        self.causes: list[RejectionCause] = []
        self.cause: npt.NDArray[np.int64] = np.full(rows, -1, np.int64)

    @property
    def faulty(self) -> npt.NDArray[np.bool_]:
        """Which rows something is wrong with."""
        return self.cause >= 0

    def note(self, rows: npt.NDArray[np.int64], causes: Sequence[RejectionCause], which: npt.NDArray[np.int64]) -> None:
        """Note of each of some rows (each named once) the cause ``causes[which[i]]``, behind what is noted of it."""
        numbers = len(self.causes) + which
        self.causes += causes
        before = self.cause[rows]
        self.cause[rows[before < 0]] = numbers[before < 0]
        again = np.flatnonzero(before >= 0)
        if not len(again):
            return
        width = len(self.causes)
        pairs, places = np.unique(before[again] * width + numbers[again], return_inverse=True)
        self.cause[rows[again]] = width + places
        for first, second in zip((pairs // width).tolist(), (pairs % width).tolist(), strict=True):
            code, words, value = self.causes[first]
            self.causes.append(RejectionCause(code, f"{words}; {self.causes[second].message}", value))

    def note_alike(self, rows: npt.NDArray[np.int64], code: str, words: str) -> None:
        """Note the same of all these rows."""
        if len(rows):
            self.note(rows, [RejectionCause(code, words)], np.zeros(len(rows), np.int64))
