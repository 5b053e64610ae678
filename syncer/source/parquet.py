"""Parquet files as chunks of text columns, batch after batch.

What always holds: only types whose text is certain are taken (text, whole numbers, days); a column of another type is
refused by name before any row is given; a line's number is the row's, from 1; memory is bounded by a batch.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc

from syncer.errors import SourceError
from syncer.model import Chunk, Dialect, SourceInfo
from syncer.source.tables import CHUNK_ROWS, LEAVE_OUT, HeldFile, checked_header, text_chunk

if TYPE_CHECKING:
    from syncer.source.files import InputFile

READ_BYTES = 1 << 20


class ParquetSource:
    """One Parquet file."""

    form_note = ""
    warnings: tuple[str, ...] = ()

    def __init__(self, position: int, file: InputFile) -> None:
        self.position = position
        self.name = file.name
        self._file = HeldFile(file)
        self._rows = 0
        self._strict: frozenset[str] | None = None
        try:
            self._schema = self._open().schema_arrow
            self.header = checked_header(self._schema.names, self.name, None)
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Let go of the file."""
        self._file.close()

    def _open(self) -> Any:
        import pyarrow.parquet

        self._file.handle.seek(0)
        try:
            # Without these two, Arrow would hold a whole row group of every column, however large the writer made it.
            return pyarrow.parquet.ParquetFile(self._file.handle, pre_buffer=False, buffer_size=READ_BYTES)
        except (pa.ArrowException, OSError) as error:
            raise self._damaged(error) from None

    def _damaged(self, error: Exception) -> SourceError:
        return SourceError(f"the Parquet file cannot be read: {error}", file=self.name, next="copy the file again")

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
        file = self._open()
        rows = 0
        batches = file.iter_batches(batch_size=CHUNK_ROWS, columns=keep, use_threads=False)
        while True:
            try:
                batch = next(batches, None)
                if batch is None:
                    break
                columns = [self._text(batch.column(name), name) for name in keep]
            except (pa.ArrowException, OSError) as error:
                raise self._damaged(error) from None
            if batch.num_rows:
                lines = range(rows + 1, rows + 1 + batch.num_rows)
                rows += batch.num_rows
                yield text_chunk(self.position, keep, columns, lines)
        self._file.check()
        self._rows = rows

    def _refuse_types(self, names: frozenset[str]) -> None:
        wrong = [field for field in self._schema if field.name in names and not _is_certain(field.type)]
        if wrong:
            what = ", ".join(f"{field.name!r} is {field.type}" for field in wrong)
            raise SourceError(
                f"column {what}: the text of such a value is not certain",
                file=self.name,
                next=f"write it as text, a whole number or a date (DATE, not a timestamp), {LEAVE_OUT}",
            )

    def _text(self, column: Any, name: str) -> Any:
        if not _is_certain(column.type):
            return _best_guess(column)
        try:
            column.validate(full=True)
        except pa.ArrowInvalid as error:
            raise SourceError(f"column {name!r} is not valid text: {error}", file=self.name) from None
        if pa.types.is_date64(column.type):
            column = column.cast(pa.date32())
        return pc.fill_null(column.cast(pa.string()), "")


def _is_certain(kind: Any) -> bool:
    types = pa.types
    if types.is_dictionary(kind):
        return _is_certain(kind.value_type)
    return bool(
        types.is_string(kind)
        or types.is_large_string(kind)
        or types.is_string_view(kind)
        or types.is_integer(kind)
        or types.is_date(kind)
        or types.is_null(kind)
        or (types.is_decimal(kind) and kind.scale == 0)
    )


def _best_guess(column: Any) -> Any:
    """Return the text of a column that is not sent; it is for the results folder alone."""
    return pa.array(["" if value is None else str(value) for value in column.to_pylist()], pa.string())
