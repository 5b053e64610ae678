"""Columns that grow: rows are added block by block, and lie in one piece at the end without ever being there twice."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from syncer.arrow import buffers

if TYPE_CHECKING:
    import numpy.typing as npt

STEP_BYTES = 16 << 20
"""Least growth of a large column. Large blocks of memory are moved by the operating system without copying."""
STEP_SHARE = 8
"""Growth by at least an eighth bounds the copying where that is not so."""


class Column:
    """Numbers of one type."""

    def __init__(self, dtype: type[np.generic]) -> None:
        self._data: npt.NDArray[Any] = np.empty(0, dtype)
        self._rows = 0

    @property
    def dtype(self) -> np.dtype[Any]:
        """The type of the numbers."""
        return self._data.dtype

    def widen(self, dtype: type[np.generic]) -> None:
        """Go on with a wider type."""
        if self._data.dtype != dtype:
            self._data = self._data.astype(dtype)

    def add(self, block: npt.NDArray[Any]) -> None:
        """Append a block."""
        end = self._rows + len(block)
        if end > len(self._data):
            # Growth is filled with zeros, so small columns double.
            least = min(len(self._data), STEP_BYTES // self._data.itemsize)
            step = max(len(self._data) // STEP_SHARE, least, len(block))
            self._data.resize(len(self._data) + step, refcheck=False)  # nobody has seen the array yet
        self._data[self._rows : end] = block
        self._rows = end

    def array(self) -> npt.NDArray[Any]:
        """Return the column; nothing may be added afterwards."""
        self._data.resize(self._rows, refcheck=False)
        return self._data


class KeyColumn:
    """Texts, as an Arrow array."""

    def __init__(self) -> None:
        self._text = Column(np.uint8)
        self._ends = Column(np.int64)
        self._ends.add(np.zeros(1, np.int64))
        self._bytes = 0

    def add(self, keys: pa.LargeStringArray) -> None:
        """Append texts, of which none is null."""
        offsets, data = buffers(keys)
        self._text.add(data[offsets[0] : offsets[-1]])
        self._ends.add(offsets[1:] + (self._bytes - offsets[0]))
        self._bytes += int(offsets[-1] - offsets[0])

    def array(self) -> pa.LargeStringArray:
        """Return the texts; nothing may be added afterwards."""
        ends = self._ends.array()
        return pa.LargeStringArray.from_buffers(len(ends) - 1, pa.py_buffer(ends), pa.py_buffer(self._text.array()))
