"""What sources of typed tables (Excel, Parquet, queries) share: a file held open, a checked header, chunks of text.

What always holds: a file is read through one handle, so that another that takes its name meanwhile changes nothing;
one that is written to while it is read raises.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from typing import IO

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from syncer.errors import SourceError
from syncer.model import Chunk, Rejection
from syncer.source.files import BLOCK_BYTES, InputFile

CHUNK_ROWS = 16_384
NUL = "E103"
LEAVE_OUT = "or leave the column out: name the columns that count in [jobs.<name>.columns]"


class HeldFile:
    """An input file with its handle and hash. ``sha256`` and ``size_bytes`` are those of its bytes on disk."""

    def __init__(self, file: InputFile) -> None:
        self.name = file.name
        self._file = file
        self.handle: IO[bytes] = file.open()
        try:
            self._stamp = self._look()
            digest = hashlib.sha256()
            while block := self.handle.read(BLOCK_BYTES):
                digest.update(block)
            self.handle.seek(0)
        except OSError as error:
            raise SourceError(f"cannot be read: {error.strerror}", file=file.name, next="copy the file again") from None
        self.sha256, self.size_bytes = digest.hexdigest(), self._stamp[0]
        self.mtime_s = None if file.piped else self._stamp[1] / 1e9

    def _look(self) -> tuple[int, int]:
        found = os.fstat(self.handle.fileno())
        return found.st_size, found.st_mtime_ns

    def check(self) -> None:
        """Raise `SourceError` when the file was written to since it was opened."""
        if self._look() != self._stamp:
            raise SourceError(
                "the file changed while it was being read", file=self.name, next="run again when it is whole"
            )

    def close(self) -> None:
        """Let go of the file."""
        self.handle.close()
        self._file.close()


def checked_header(names: Sequence[str], name: str, line: int | None) -> tuple[str, ...]:
    """Return the names of the columns; raise `SourceError` when one is missing or stands twice."""
    for place, column in enumerate(names, 1):
        if not column.strip():
            raise SourceError(f"column {place} of the header has no name", file=name, line=line)
        if column in names[: place - 1]:
            raise SourceError(f"the header names {column!r} twice", file=name, line=line)
    if not names:
        raise SourceError("there is no column", file=name, line=line, next="check the export that writes it")
    return tuple(names)


def text_chunk(
    position: int,
    names: Sequence[str],
    columns: Sequence[pa.Array],
    lines: Sequence[int],
    rejections: Sequence[Rejection] = (),
) -> Chunk:
    """Return a chunk of text columns, all without nulls; rows with a NUL character become rejections."""
    numbers = np.asarray(lines, np.int64)
    schema = pa.schema([(name, pa.string()) for name in names])
    batch = pa.RecordBatch.from_arrays(list(columns), schema=schema)
    found = {
        int(row): name
        for name, column in reversed(list(zip(names, columns, strict=True)))
        for row in np.flatnonzero(_has_nul(column))
    }
    if found:
        bad = sorted(found)
        rejections = [
            *rejections,
            *(
                Rejection(
                    position, int(numbers[row]), NUL, f"column {found[row]!r}: a NUL character",
                    cells=tuple(column[row].as_py() for column in columns),
                )
                for row in bad
            ),
        ]  # fmt: skip
        good = np.setdiff1d(np.arange(len(numbers)), bad)
        batch, numbers = batch.take(pa.array(good)), numbers[good]
    return Chunk(position, batch, numbers, tuple(sorted(rejections, key=lambda one: one.line)))


def _has_nul(column: pa.Array) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
    found: np.ndarray[tuple[int], np.dtype[np.bool_]] = pc.match_substring(column, "\0").to_numpy(zero_copy_only=False)
    return found
