"""The valid rows of all files of a run, gathered as columns: key, payload number, file, line."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from syncer.arrow import numbers
from syncer.model import KEY_SEPARATOR, PRINTED_SEPARATOR, ValidChunk
from syncer.plan.columns import Column, KeyColumn
from syncer.plan.payloads import Payloads
from syncer.rejections import RejectionCause, Rejections

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
    rejections: Rejections


def without_payloads(records: Records, unwanted: Mapping[int, RejectionCause]) -> Records:
    """Return `records` without the rows that bear one of some payloads.

    Each is rejected for the cause of its payload.
    """
    which = np.full(len(records.payloads), -1, np.int64)
    which[[*unwanted]] = np.arange(len(unwanted))
    return without_rows(records, which[records.payload], [*unwanted.values()])


def without_rows(records: Records, which: npt.NDArray[np.int64], causes: Sequence[RejectionCause]) -> Records:
    """Return `records` without the rows that have a cause: row *i* the cause ``causes[which[i]]``; -1: none."""
    rejected = rejected_rows(records, np.flatnonzero(which >= 0), which[which >= 0], causes)
    good = np.flatnonzero(which < 0)
    return replace(
        records,
        keys=records.keys.take(numbers(good)),
        payload=records.payload[good],
        source=records.source[good],
        line=records.line[good],
        rejections=Rejections.together([records.rejections, rejected]),
    )


def rejected_rows(
    records: Records, rows: npt.NDArray[np.int64], which: npt.NDArray[np.int64], causes: Sequence[RejectionCause]
) -> Rejections:
    """Return some rows as rejected: the *i*-th of them for ``causes[which[i]]``."""
    keys = records.keys.take(numbers(rows))
    shown = pc.replace_substring(keys, KEY_SEPARATOR, PRINTED_SEPARATOR)
    return Rejections.of_rows(records.source[rows], records.line[rows], shown, which, causes)


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
        self._rejections: list[Rejections] = []
        self._rows_read = 0

    def add(self, chunk: ValidChunk) -> None:
        """Take the rows of one chunk."""
        rows = len(chunk.lines)
        self._rows_read += chunk.rows
        if len(chunk.rejections):
            self._rejections.append(chunk.rejections)
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
            rejections=Rejections.together(self._rejections),
        )
