"""Chunks of text columns: made, and without some of their rows.

What always holds: columns have no nulls; a row that is taken out with a reason is among the rejections.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from syncer.arrow import numbers
from syncer.model import Chunk
from syncer.rejections import Rejection

if TYPE_CHECKING:
    import numpy.typing as npt

    Days = npt.NDArray[np.bool_]

NUL = "E103"
NOT_ENCODED = "E106"


def text_chunk(
    position: int,
    names: Sequence[str],
    columns: Sequence[pa.Array],
    lines: Sequence[int],
    rejections: Sequence[Rejection] = (),
    days: Mapping[str, Days] | None = None,
    faults: Mapping[int, tuple[str, str]] | None = None,
    wrong: Mapping[int, Collection[int]] | None = None,
) -> Chunk:
    """Return a chunk of text columns, all without nulls; rows with a fault or a NUL character become rejections.

    ``faults`` are code and words, by row; ``wrong`` the places of the columns that they are about.
    """
    schema = pa.schema([(name, pa.string()) for name in names])
    batch = pa.RecordBatch.from_arrays(list(columns), schema=schema)
    ordered = tuple(sorted(rejections, key=lambda one: one.line))
    chunk = Chunk(position, batch, np.asarray(lines, np.int64), ordered, dict(days or {}))
    found: dict[int, tuple[str, str]] = {}
    places: dict[int, set[int]] = {row: set(of) for row, of in (wrong or {}).items()}
    for place, (name, column) in enumerate(zip(names, columns, strict=True)):
        for row in map(int, np.flatnonzero(_has_nul(column))):
            found.setdefault(row, (NUL, f"column {name!r}: a NUL character"))
            places.setdefault(row, set()).add(place)
    found |= faults or {}
    return without(chunk, dict(sorted(found.items())), places)


def without(
    chunk: Chunk, found: Mapping[int, tuple[str, str] | None], wrong: Mapping[int, Collection[int]] | None = None
) -> Chunk:
    """Return a chunk without some of its rows: those with a code and words are rejected, the others left out.

    ``wrong``: the places of the columns for which a row is rejected.
    """
    if not found:
        return chunk
    rejections = [
        Rejection(
            chunk.source,
            int(chunk.lines[row]),
            *fault,
            cells=tuple(_row(chunk, row)),
            wrong=tuple(sorted((wrong or {}).get(row, ()))),
        )
        for row, fault in found.items()
        if fault is not None
    ]
    together = tuple(sorted([*chunk.rejections, *rejections], key=lambda one: one.line))
    good = np.setdiff1d(np.arange(len(chunk.lines)), list(found))
    days = {name: marks[good] for name, marks in chunk.days.items()}
    return Chunk(chunk.source, chunk.columns.take(numbers(good)), chunk.lines[good], together, days)


def _row(chunk: Chunk, row: int) -> list[str]:
    return [column[row].as_py() for column in chunk.columns.columns]


def _has_nul(column: pa.Array) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
    found: np.ndarray[tuple[int], np.dtype[np.bool_]] = pc.match_substring(column, "\0").to_numpy(zero_copy_only=False)
    return found
