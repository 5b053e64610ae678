"""The valid rows of all files of a run, gathered as columns: key, payload number, file, line."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from syncer.arrow import numbers
from syncer.model import KEY_SEPARATOR, Rejection, ValidChunk, shown_key
from syncer.plan.columns import Column, KeyColumn
from syncer.plan.payloads import Payloads

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy.typing as npt


@dataclass(frozen=True, slots=True)
class Records:
    """All valid rows, in the order of the files and their lines; one entry per row in each column.

    ``keys`` is the key text (composite keys joined by `KEY_SEPARATOR`); ``payload`` numbers ``payloads``; ``source``
    is the file's position; ``line`` the row's line. ``rows_read`` counts rejected rows too.
    """

    keys: pa.LargeStringArray
    payload: npt.NDArray[np.int32]
    source: npt.NDArray[np.int16]
    line: npt.NDArray[np.int32] | npt.NDArray[np.int64]
    payloads: Payloads
    rows_read: int
    rejections: tuple[Rejection, ...]


def without_payloads(records: Records, unwanted: Mapping[int, tuple[str, str, str]]) -> Records:
    """Return `records` without the rows that bear one of some payloads.

    Each is rejected with the code, the words and the wrong value of its payload.
    """
    bad = np.isin(records.payload, np.fromiter(unwanted, np.int32, len(unwanted)))
    rejections = []
    for row in np.flatnonzero(bad).tolist():
        code, message, value = unwanted[int(records.payload[row])]
        key = shown_key(records.keys[row].as_py())
        rejections.append(Rejection(int(records.source[row]), int(records.line[row]), code, message, key, value=value))
    good = np.flatnonzero(~bad)
    return replace(
        records,
        keys=records.keys.take(numbers(good)),
        payload=records.payload[good],
        source=records.source[good],
        line=records.line[good],
        rejections=(*records.rejections, *rejections),
    )


def key_text(keys: Sequence[pa.Array]) -> pa.LargeStringArray:
    """Join the key columns of a chunk into one key text per row."""
    columns = [column.cast(pa.large_string()) for column in keys]
    if len(columns) == 1:
        return columns[0]
    return pc.binary_join_element_wise(*columns, pa.scalar(KEY_SEPARATOR, pa.large_string()))


class Gatherer:
    """Takes `ValidChunk` after `ValidChunk` and keeps of each row a few bytes beside its key."""

    def __init__(self, fields: Sequence[str]) -> None:
        self._fields = tuple(fields)
        self._payloads = Payloads()
        self._keys = KeyColumn()
        self._payload = Column(np.int32)
        self._source = Column(np.int16)
        self._line = Column(np.int32)
        self._rejections: list[Rejection] = []
        self._rows_read = 0

    def add(self, chunk: ValidChunk) -> None:
        """Take the rows of one chunk."""
        rows = len(chunk.lines)
        self._rows_read += chunk.rows
        self._rejections.extend(chunk.rejections)
        if rows:
            self._keys.add(key_text(chunk.keys))
            self._payload.add(self._payloads.encode(self._fields, chunk.fields, rows))
            self._source.add(np.full(rows, chunk.source, np.int16))
            if chunk.lines[-1] > np.iinfo(self._line.dtype).max:
                self._line.widen(np.int64)
            self._line.add(chunk.lines)

    def records(self) -> Records:
        """Return everything taken so far, and let go of it (the gatherer is used up)."""
        return Records(
            keys=self._keys.array(),
            payload=self._payload.array(),
            source=self._source.array(),
            line=self._line.array(),
            payloads=self._payloads,
            rows_read=self._rows_read,
            rejections=tuple(self._rejections),
        )
