"""The header that stands again among the rows, in other letters or another order than the first. Pure.

What always holds: a row is one only when its cells are the names of the columns, each once; no cell is changed.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import pyarrow.compute as pc

from syncer.arrow import as_numpy, numbers

if TYPE_CHECKING:
    import numpy.typing as npt
    import pyarrow as pa

HEADER_AGAIN = "E109"
WORDS = "its cells are the names of the columns: the header again, in other letters or another order"


def rows_of_names(columns: pa.RecordBatch, wanted: Sequence[str]) -> npt.NDArray[np.int64]:
    """Return the rows that hold the names of the wanted columns, in any letter case and order."""
    names = {name.strip().casefold() for name in wanted}
    first = columns.column(wanted[0])
    lengths = as_numpy(pc.binary_length(first))
    found = np.flatnonzero(np.logical_or.reduce([lengths == one for one in {len(name.encode()) for name in wanted}]))
    if not len(found):
        return found
    likely = [row for row, text in zip(found, first.take(numbers(found)).to_pylist(), strict=True)
              if text.strip().casefold() in names]  # fmt: skip
    cells = [columns.column(name).take(numbers(np.array(likely, np.int64))).to_pylist() for name in wanted]
    rows = zip(likely, *cells, strict=True)
    return np.array([row for row, *texts in rows if {text.strip().casefold() for text in texts} == names], np.int64)
