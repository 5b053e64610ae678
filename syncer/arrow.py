"""NumPy and Python values as Arrow arrays, without a copy where there need be none.

`pyarrow.array` would do as well, but it imports pandas for its first call: a fifth of a second and 50 MB, which a night
that reads a CSV file needs for nothing else.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

if TYPE_CHECKING:
    import numpy.typing as npt


def numbers(values: npt.NDArray[Any], valid: npt.NDArray[np.bool_] | None = None) -> pa.Array:
    """Return numbers as an Arrow array over the same memory; those that are not `valid` are null."""
    values = np.ascontiguousarray(values)
    known = None if valid is None or valid.all() else pa.py_buffer(np.packbits(valid, bitorder="little"))
    return pa.Array.from_buffers(pa.from_numpy_dtype(values.dtype), len(values), [known, pa.py_buffer(values)])


def steps(count: int, most: int) -> Iterator[slice]:
    """Give the places of `count` items, at most so many at a time."""
    return (slice(begin, min(begin + most, count)) for begin in range(0, count, most))


def distinct_numbers(values: npt.NDArray[np.integer[Any]]) -> list[int]:
    """Return the distinct ones of many whole numbers, ascending: `np.unique` would copy and sort all of them."""
    found: list[int] = sorted(numbers(values).unique().to_pylist())
    return found


def at_places(column: npt.NDArray[Any], places: npt.NDArray[Any], dtype: Any = None) -> npt.NDArray[Any]:
    """Return what a column has at some places. What is nothing but zeros takes neither time nor memory."""
    dtype = dtype or column.dtype
    return column[places].astype(dtype, copy=False) if column.any() else np.zeros(len(places), dtype)


def truths(values: npt.NDArray[np.bool_]) -> pa.BooleanArray:
    """Return truth values as an Arrow array."""
    packed = pa.py_buffer(np.packbits(values, bitorder="little"))
    return pa.Array.from_buffers(pa.bool_(), len(values), [None, packed])


def texts(values: Sequence[str]) -> pa.LargeStringArray:
    """Return texts as an Arrow array."""
    encoded = [value.encode() for value in values]
    ends = np.zeros(len(encoded) + 1, np.int64)
    np.cumsum([len(value) for value in encoded], out=ends[1:])
    return pa.LargeStringArray.from_buffers(len(encoded), pa.py_buffer(ends), pa.py_buffer(b"".join(encoded)))


@lru_cache(maxsize=256)  # making one takes as long as a function does for hundreds of values
def text(value: str) -> pa.StringScalar:
    """Return one text as Arrow's functions take it."""
    return texts([value]).cast(pa.string())[0]


def as_numpy(array: pa.Array) -> npt.NDArray[Any]:
    """Return an Arrow array of whole numbers or truth values without nulls as NumPy sees it; numbers are not copied."""
    data = array.buffers()[1]
    if pa.types.is_boolean(array.type):
        if data is None:
            return np.empty(0, bool)
        bits = np.unpackbits(np.frombuffer(data, np.uint8), count=array.offset + len(array), bitorder="little")
        return bits[array.offset :].astype(bool)
    dtype = np.dtype(f"{'i' if pa.types.is_signed_integer(array.type) else 'u'}{array.type.bit_width // 8}")
    values = np.empty(0, dtype) if data is None else np.frombuffer(data, dtype)
    return values[array.offset : array.offset + len(array)]


def buffers(keys: pa.LargeStringArray) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.uint8]]:
    """Return where each text ends and the next one begins, and the bytes of all: the same memory, not a copy."""
    _, offset_buffer, data_buffer = keys.buffers()
    if offset_buffer is None or len(keys) == 0:
        return np.zeros(1, np.int64), np.empty(0, np.uint8)
    offsets = np.frombuffer(offset_buffer, np.int64)[keys.offset : keys.offset + len(keys) + 1]
    data = np.frombuffer(data_buffer, np.uint8) if data_buffer is not None else np.empty(0, np.uint8)
    return offsets, data
