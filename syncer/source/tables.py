"""What sources of typed tables (Excel, Parquet, JSON, queries) share: a file held open, a checked header, the last row.

What always holds: a file is read through one handle, so that another that takes its name meanwhile changes nothing;
one that is written to while it is read raises.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Collection, Iterator, Sequence
from typing import IO, TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from syncer.errors import SourceError
from syncer.model import Chunk
from syncer.safe.inert import brief
from syncer.source.cells import CellForm
from syncer.source.chunks import without
from syncer.source.files import BLOCK_BYTES, InputFile
from syncer.source.results_reader import of_columns, restored_header, table_of
from syncer.source.table import MARK, Fate, Marks, TableForm, first_content, refuse_repeated, total

if TYPE_CHECKING:
    from syncer.source.protocol import Source

CHUNK_ROWS = 16_384
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
            raise SourceError(
                f"cannot be read: {error.strerror}", file=file.name, remedy="copy the file again"
            ) from None
        self.sha256, self.size_bytes = digest.hexdigest(), self._stamp[0]
        self.mtime_s = None if file.piped else self._stamp[1] / 1e9

    def _look(self) -> tuple[int, int]:
        found = os.fstat(self.handle.fileno())
        return found.st_size, found.st_mtime_ns

    def check(self) -> None:
        """Raise `SourceError` when the file was written to since it was opened."""
        if self._look() != self._stamp:
            raise SourceError(
                "the file changed while it was being read", file=self.name, remedy="wait until it is whole"
            )

    def close(self) -> None:
        """Let go of the file."""
        self.handle.close()
        self._file.close()


def checked_header(names: Sequence[str], name: str, line: int | None) -> tuple[str, ...]:
    """Return the names of the columns; raise `SourceError` when one is missing or stands twice."""
    seen: set[str] = set()
    for place, column in enumerate(names, 1):
        if not column.strip():
            words = f"column {place} of the header has no name"
            raise SourceError(words, file=name, line=line, remedy="name it where the table is written")
        if column in seen:
            words = f"the header names {brief(column)!r} twice"
            raise SourceError(words, file=name, line=line, remedy="rename one where the table is written")
        seen.add(column)
    if not names:
        raise SourceError("there is no column", file=name, line=line, remedy="check the export that writes it")
    return restored_header(tuple(names), name)


def finished(
    chunks: Iterator[Chunk],
    source: Source,
    table: TableForm,
    keep: Sequence[str],
    strict: Collection[str],
    keys: Collection[str],
    *,
    skip: bool = True,
) -> Iterator[Chunk]:
    """Give the chunks of a table with its cells as ``table`` declares them, without what is no row of it.

    ``keep`` names the columns that are given, ``strict`` those that count, in every pass alike; ``skip`` is false where
    rows were left out before. Raises `SourceError` for a header that stands again.
    """
    cells = CellForm(table, source.header, keys)
    table = table_of(table) if cells.restores else table
    marks = Marks(TableForm(skip=table.skip)) if skip and table.skip else None
    held: Chunk | None = None
    for found in chunks:
        if held is not None:
            yield of_columns(held, keep)
        chunk = found if marks is None else _without_skipped(found, marks, strict)
        held = cells.formed(_without_headers(chunk, source, strict), strict)
    if held is None:
        return
    last = len(held.lines) - 1
    if last >= 0 and not any(one.line > held.lines[last] for one in held.rejections):
        columns = [held.columns.column(name) for name in held.columns.schema.names if name in strict]
        shown, above = ([column[row].as_py() for column in columns if row >= 0] for row in (last, last - 1))
        fault = total(held.source, int(held.lines[last]), shown, above)
        held = without(held, {} if fault is None else {last: (fault.code, fault.message)})
    yield of_columns(held, keep)


def _without_skipped(chunk: Chunk, marks: Marks, strict: Collection[str]) -> Chunk:
    columns = [chunk.columns.column(name).to_pylist() for name in chunk.columns.schema.names if name in strict]
    rows = enumerate(zip(*columns, strict=True))
    return without(
        chunk, {row: None for row, texts in rows if first_content(texts) and marks.fate(texts) is not Fate.ROW}
    )


def _without_headers(chunk: Chunk, source: Source, strict: Collection[str]) -> Chunk:
    """Refuse a row in which every cell is the name of its column."""
    names = [name for name in chunk.columns.schema.names if name in strict]
    alike: pa.Array | None = None
    for name in names:
        same = pc.equal(pc.utf8_ltrim(chunk.columns.column(name), MARK), name)
        alike = same if alike is None else pc.and_(alike, same)
        if not alike.true_count:
            return chunk
    if alike is None or not len(chunk.lines):
        return chunk
    row = int(np.flatnonzero(alike.to_numpy(zero_copy_only=False))[0])
    raise refuse_repeated(source.name, int(chunk.lines[row]), f"table.skip = [{names[0]!r}]")
