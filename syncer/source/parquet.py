"""Parquet files as chunks of text columns, batch after batch.

What always holds: only types whose text is certain are taken (text, whole numbers, days); a column of another type is
refused by name before any row is given; a line's number is the row's, from 1; memory and time are bounded by the size
of the file, whatever it claims to hold.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
import pyarrow as pa

from syncer.errors import SourceError
from syncer.model import Chunk, Dialect, SourceInfo
from syncer.source.archive import RATIO_MAX
from syncer.source.chunks import text_chunk
from syncer.source.foreign import guarded
from syncer.source.parquet_text import certain, day_marks, expanded_bytes, is_textual, text_of
from syncer.source.results_reader import read_columns
from syncer.source.table import UNDECLARED, TableForm, key_names
from syncer.source.tables import CHUNK_ROWS, LEAVE_OUT, HeldFile, checked_header, finished

if TYPE_CHECKING:
    from syncer.source.files import InputFile

READ_BYTES = 1 << 20
FREE_BYTES = 256 << 20
"""Up to here a file may come to any text for its size."""
FREE_ROWS = 1 << 20
"""Up to here a file may hold any number of rows for its size."""
DICTIONARY_BYTES_MAX = 64 << 20
PIECE_BYTES = 32 << 20
"""Text that is made of a batch at once."""
THRIFT_BYTES_MAX, THRIFT_ITEMS_MAX = 16 << 20, 1_000_000
"""Of one name and one list in the file's own description."""
_INDEX = "__index_level_"
"""How pandas names an index without a name: it numbers the rows, and is no column of the table."""
Step = TypeVar("Step")


class ParquetSource:
    """One Parquet file. ``key`` names its key columns, where they are known."""

    def __init__(
        self,
        position: int,
        file: InputFile,
        *,
        key: Sequence[str] | None = None,
        table: TableForm = UNDECLARED,
        notes: tuple[str, ...] = (),
    ) -> None:
        self.position = position
        self.name = file.name
        self.warnings = notes
        self._file = HeldFile(file)
        self._table = table
        self._rows = 0
        self._expanded = 0
        self._strict: frozenset[str] | None = None
        try:
            self._schema = self._guarded(lambda: self._open().schema_arrow)
            names = [name for name in self._schema.names if not name.startswith(_INDEX)]
            self._left_out = len(self._schema.names) - len(names)
            self.header = checked_header([name.strip() if table.trims else name for name in names], self.name, None)
            self._column_of = dict(zip(self.header, names, strict=True))
        except BaseException:
            self.close()
            raise
        self._keys = key_names(self.header, key)

    @property
    def form_note(self) -> str:
        """Which columns are no part of the table."""
        return f"{self.name}: {self._left_out} index columns of pandas are left out" if self._left_out else ""

    def close(self) -> None:
        """Let go of the file."""
        self._file.close()

    def _open(self) -> Any:
        import pyarrow.parquet

        self._file.handle.seek(0)
        # Without the first two, Arrow would hold a whole row group of every column, however large the writer made it.
        options: dict[str, Any] = {
            "pre_buffer": False,
            "buffer_size": READ_BYTES,
            "thrift_string_size_limit": THRIFT_BYTES_MAX,
            "thrift_container_size_limit": THRIFT_ITEMS_MAX,
            "page_checksum_verification": True,  # of pages that have one, as Spark and Arrow can write them
        }
        file = pyarrow.parquet.ParquetFile(self._file.handle, **options)
        self._refuse_bombs(file.metadata)
        _try_columns(file.metadata, self._file.size_bytes)
        # A value that stands once in the file, for a million rows, is kept once in memory too.
        once = _dictionaries(file.metadata, file.schema_arrow)
        self._file.handle.seek(0)
        return pyarrow.parquet.ParquetFile(self._file.handle, read_dictionary=once, **options)

    def _guarded(self, read: Callable[[], Step]) -> Step:
        return guarded(read, file=self.name, what="the Parquet file", remedy="copy the file again")

    def _refuse_bombs(self, metadata: Any) -> None:
        """Refuse a file that claims to hold more than one of its size can."""
        size = self._file.size_bytes
        self._refuse_more(metadata.num_rows, size, FREE_ROWS, "rows")
        groups = [metadata.row_group(place) for place in range(metadata.num_row_groups)]
        self._refuse_more(sum(group.total_byte_size for group in groups), size, FREE_BYTES, "bytes")

    def _refuse_more(self, found: int, size: int, free: int, what: str) -> None:
        if found > free and found > RATIO_MAX * size:
            raise SourceError(
                f"it holds {found:,} {what}, more than {RATIO_MAX} times its size: no export does",
                file=self.name,
                remedy="look at it with care; if it is right, export it as CSV, and name that",
            )

    @property
    def info(self) -> SourceInfo:
        """What is known of the file after a full pass of `chunks`."""
        file = self._file
        dialect = Dialect("parquet", "", "")
        return SourceInfo(self.name, file.sha256, file.size_bytes, self._rows, dialect, self.header, file.mtime_s)

    def chunks(self, wanted: Sequence[str] | None = None) -> Iterator[Chunk]:
        """Read the file from its beginning; ``wanted`` names the columns to keep (None: all).

        Raises `SourceError` for a column of a type that has no certain text, or when the file changes meanwhile.
        """
        if wanted is not None or self._strict is None:
            self._strict = frozenset(self.header if wanted is None else wanted)
            self._refuse_types(self._strict)
        keep = [name for name in self.header if wanted is None or name in wanted]
        rows = self._pass(read_columns(self.header, wanted), self._strict)
        yield from finished(rows, self, self._table, keep, self._strict, self._keys)
        self._file.check()

    def _pass(self, keep: Sequence[str], strict: frozenset[str]) -> Iterator[Chunk]:
        columns = [self._column_of[name] for name in keep]
        file = self._guarded(self._open)
        batches = self._guarded(lambda: file.iter_batches(batch_size=CHUNK_ROWS, columns=columns, use_threads=False))
        rows = expanded = 0
        while (batch := self._guarded(partial(next, batches, None))) is not None:
            sizes = self._guarded(partial(expanded_bytes, batch))
            expanded += int(sizes.sum())
            self._refuse_more(expanded, self._file.size_bytes, FREE_BYTES, "bytes of text")
            self._refuse_more(rows + batch.num_rows, self._file.size_bytes, FREE_ROWS, "rows")
            begin = 0
            for end in _cuts(sizes):
                piece = batch.slice(begin, end - begin)
                yield self._guarded(partial(self._chunk, piece, rows + begin, keep, strict))
                begin = end
            rows += batch.num_rows
        if keep and rows != file.metadata.num_rows:
            raise SourceError(
                f"the Parquet file is damaged: it says {file.metadata.num_rows:,} rows, and {rows:,} were read",
                file=self.name,
                remedy="copy the file again",
            )
        self._rows = rows

    def _chunk(self, batch: pa.RecordBatch, before: int, keep: Sequence[str], strict: frozenset[str]) -> Chunk:
        faults: dict[int, tuple[str, str]] = {}
        places: dict[int, list[int]] = {}
        columns, days = [], {}
        for place, name in enumerate(keep):
            column = batch.column(place)
            text, wrong = text_of(column)
            if name in strict:
                for row, fault in wrong.items():
                    faults.setdefault(row, (fault[0], f"column {name!r} {fault[1]}"))
                    places.setdefault(row, []).append(place)
            columns.append(text)
            marks = day_marks(column)
            if marks is not None:
                days[name] = marks
        lines = range(before + 1, before + 1 + batch.num_rows)
        return text_chunk(self.position, keep, columns, lines, days=days, faults=faults, wrong=places)

    def _refuse_types(self, names: frozenset[str]) -> None:
        wrong = [
            self._schema.field(column)
            for name, column in self._column_of.items()
            if name in names and not certain(self._schema.field(column).type)
        ]
        if wrong:
            what = ", ".join(f"{field.name!r} is {field.type}" for field in wrong)
            raise SourceError(
                f"column {what}: the text of such a value is not certain",
                file=self.name,
                remedy=f"write it as text, a whole number or a date (DATE), {LEAVE_OUT}",
            )


class _Unread(io.RawIOBase):
    """A file of a size whose bytes nobody gets; ``asked`` tells whether somebody wanted some."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._place = 0
        self.asked = False

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._place

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        self._place = offset + {io.SEEK_SET: 0, io.SEEK_CUR: self._place, io.SEEK_END: self._size}[whence]
        return self._place

    def read(self, size: int = -1) -> bytes:  # noqa: ARG002  as files are read
        self.asked = True
        raise OSError("only the description of the file is looked at")


def _try_columns(metadata: Any, size: int) -> None:
    """Have the description of every column read where Arrow raises what is wrong in it.

    Asked for one by one, as `_dictionaries` does, a wrong description ends the process: Arrow lets no error out there.
    Before its first read, buffering ahead looks at the descriptions of all columns of all row groups.
    """
    import pyarrow.parquet

    unread = _Unread(size)
    try:
        file = pyarrow.parquet.ParquetFile(unread, metadata=metadata, pre_buffer=True)
        next(file.iter_batches(use_threads=False), None)
    except OSError:
        if not unread.asked:
            raise


def _dictionaries(metadata: Any, schema: Any) -> list[str]:
    """Return the columns of text whose values stand in dictionaries, as far as those fit into memory."""
    sizes: dict[str, int] = {}
    for group in map(metadata.row_group, range(metadata.num_row_groups)):
        for chunk in map(group.column, range(metadata.num_columns)):
            if chunk.has_dictionary_page:
                sizes[chunk.path_in_schema] = max(chunk.total_uncompressed_size, sizes.get(chunk.path_in_schema, 0))
    return [
        field.name for field in schema if is_textual(field.type) and 0 < sizes.get(field.name, 0) < DICTIONARY_BYTES_MAX
    ]


def _cuts(sizes: Any) -> list[int]:
    """Return where to cut a batch so that no piece has more text than `PIECE_BYTES`, but for one row of it."""
    cuts: list[int] = []
    ends = np.cumsum(sizes)
    done = 0
    while len(sizes) and (not cuts or cuts[-1] < len(sizes)):
        begin = cuts[-1] if cuts else 0
        end = max(int(np.searchsorted(ends, done + PIECE_BYTES, side="right")), begin + 1)
        cuts.append(end)
        done = int(ends[end - 1])
    return cuts
