"""How many codes a key value selects, as ``jobs.<name>.expect`` declares it: a number, or a column of the files."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from syncer.plan.records import key_text

if TYPE_CHECKING:
    from syncer.model import Chunk, ValidChunk


_COUNT = re.compile("0*([1-9][0-9]{0,8})")
"""A number of codes; nothing has more of them."""


class DeclaredColumn:
    """What a column of a job's files says of how many codes each value selects.

    Cells that are no whole number above zero declare nothing; of a value in several rows the last one counts.
    """

    def __init__(self, column: str) -> None:
        self.column = column
        self.counts: dict[str, int] = {}

    def see(self, chunk: Chunk, valid: ValidChunk) -> None:
        """Take what the valid rows of a chunk declare."""
        is_valid = pa.array(np.isin(chunk.lines, valid.lines))
        cells = chunk.columns.column(self.column).filter(is_valid).to_pylist()
        for key, cell in zip(key_text(valid.keys).to_pylist(), cells, strict=True):
            if (count := _COUNT.fullmatch(cell.strip())) is not None:
                self.counts[key] = int(count[1])


class Expectations:
    """What is declared, by job. A column is read with the files, so a resumed run knows numbers alone."""

    def __init__(self, declared: Mapping[str, int | str | None]) -> None:
        self._numbers = {job: number for job, number in declared.items() if isinstance(number, int)}
        self._columns = {job: DeclaredColumn(column) for job, column in declared.items() if isinstance(column, str)}

    def column(self, job: str) -> DeclaredColumn | None:
        """Return the column that declares it for a job; None when a number does, or nothing."""
        return self._columns.get(job)

    def __call__(self, job: str, keys: Sequence[str]) -> Mapping[str, int]:
        """Return how many codes each of some values is declared to select; those of which nothing is are left out."""
        if job in self._numbers:
            return dict.fromkeys(keys, self._numbers[job])
        counts = self._columns[job].counts if job in self._columns else {}
        return {key: counts[key] for key in keys if key in counts}
