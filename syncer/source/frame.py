"""A DataFrame as chunks of text columns.

What always holds: text stays the text that it is, missing cells are empty, and only days are written as text here. A
number is refused by its column: whoever made a number of a code has lost its leading zeros already, and nobody can
tell. The rows are copied when the source is made, so that every pass sees the same; a line's number is the row's
place, from 1.
"""

from __future__ import annotations

import datetime as dt
import hashlib
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from syncer.errors import SourceError
from syncer.model import Chunk, Dialect, SourceInfo
from syncer.source.chunks import text_chunk
from syncer.source.parquet_text import FIRST_YEAR, SINCE
from syncer.source.results_reader import read_columns
from syncer.source.table import UNDECLARED, TableForm, key_names
from syncer.source.tables import CHUNK_ROWS, LEAVE_OUT, checked_header, finished

if TYPE_CHECKING:
    import numpy.typing as npt
    import pandas as pd

AS_TEXT = "read it as text: pandas.read_csv(FILE, dtype=str, keep_default_na=False)"


class FrameSource:
    """The rows of one DataFrame; ``name`` stands for it in messages, results and the ledger. Its index is left out."""

    position = 0
    form_note = ""

    def __init__(
        self,
        frame: pd.DataFrame,
        name: str,
        *,
        key: Sequence[str] | None = None,
        table: TableForm = UNDECLARED,
        notes: tuple[str, ...] = (),
    ) -> None:
        self.name = name
        self.warnings = notes
        self._table = table
        strangers = [column for column in frame.columns if not isinstance(column, str)]
        if strangers:
            words = f"the column {strangers[0]!r} has no text as its name"
            raise SourceError(words, file=name, remedy="frame.columns = frame.columns.astype(str)")
        names = [column.strip() if table.trims else column for column in frame.columns]
        self.header = checked_header(names, name, None)
        self._keys = key_names(self.header, key)
        self._rows = len(frame)
        self._columns: dict[str, pa.Array] = {}
        self._days: dict[str, npt.NDArray[np.bool_]] = {}
        self._faults: dict[str, SourceError] = {}
        self._unsent: dict[str, pd.Series[Any]] = {}
        for place, column in enumerate(self.header):
            try:
                self._columns[column], self._days[column] = self._texts(column, frame.iloc[:, place])
            except SourceError as error:  # of a column that is not sent it does not matter
                self._faults[column], self._unsent[column] = error, frame.iloc[:, place].copy()
        self._strict: frozenset[str] | None = None

    def _texts(self, column: str, series: pd.Series[Any]) -> tuple[pa.Array, npt.NDArray[np.bool_]]:
        days = np.zeros(len(series), np.bool_)
        plain = _plain_texts(series)
        if plain is not None:
            return plain, days
        texts = []
        for row, (value, missing) in enumerate(zip(series, series.isna(), strict=True)):
            text = "" if missing else _text(value)
            if text is None:
                raise self._uncertain(column, series, row, value)
            days[row] = not missing and isinstance(value, dt.date)
            texts.append(text)
        try:
            return pa.array(texts, pa.string()), days
        except UnicodeEncodeError:
            words = f"column {column!r} has a text that is no Unicode (a lone surrogate)"
            raise SourceError(words, file=self.name, remedy=f"{AS_TEXT}, {LEAVE_OUT}") from None

    def _uncertain(self, column: str, series: pd.Series[Any], row: int, value: Any) -> SourceError:
        line: int | None = row + 1
        if series.dtype.kind in "biufcm":  # all cells are alike: truths, numbers, lengths of time
            words, line = f"holds {series.dtype} and no text: leading zeros and long digits may be lost already", None
        elif isinstance(value, dt.date) and value.year < FIRST_YEAR:
            words = f"has {value!r}, which is no day {SINCE}"
        else:
            words = f"has {value!r}, which is no text but {type(value).__name__}"
        return SourceError(f"column {column!r} {words}", file=self.name, line=line, remedy=f"{AS_TEXT}, {LEAVE_OUT}")

    @property
    def info(self) -> SourceInfo:
        """What is known of the rows; the hash is of the texts of all columns that have a certain one."""
        digest, size = hashlib.sha256("\x1f".join(self.header).encode()), 0
        columns = [column for name, column in self._columns.items()]
        for begin in range(0, self._rows, CHUNK_ROWS):
            cells = [column.slice(begin, CHUNK_ROWS).to_pylist() for column in columns]
            written = "\x1e".join(map("\x1f".join, zip(*cells, strict=True))).encode("utf-8", "surrogatepass")
            digest.update(b"\x1e" + written)
            size += len(written)
        return SourceInfo(self.name, digest.hexdigest(), size, self._rows, Dialect("frame", "", ""), self.header)

    def chunks(self, wanted: Sequence[str] | None = None) -> Iterator[Chunk]:
        """Give the rows from the first on; raise `SourceError` for a wanted column that is no text.

        Of all columns (``wanted`` None, for the results folder) such a one is shown as Python writes its values.
        """
        if wanted is not None or self._strict is None:
            self._strict = frozenset(self.header if wanted is None else wanted)
            for column in self.header:
                if column in self._strict and column in self._faults:
                    raise self._faults[column]
        keep = [column for column in self.header if wanted is None or column in wanted]
        rows = self._pass(read_columns(self.header, wanted))
        yield from finished(rows, self, self._table, keep, self._strict, self._keys)

    def _pass(self, keep: Sequence[str]) -> Iterator[Chunk]:
        for begin in range(0, self._rows, CHUNK_ROWS):
            end = min(begin + CHUNK_ROWS, self._rows)
            columns = [self._cells(name, begin, end) for name in keep]
            days = {name: of[begin:end] for name, of in self._days.items() if name in keep and of[begin:end].any()}
            yield text_chunk(self.position, keep, columns, range(begin + 1, end + 1), days=days)

    def _cells(self, column: str, begin: int, end: int) -> pa.Array:
        if column in self._columns:
            return self._columns[column].slice(begin, end - begin)
        cells = self._unsent[column].iloc[begin:end]
        shown = ["" if gone else str(cell) for cell, gone in zip(cells, cells.isna(), strict=True)]
        return pa.array([cell.encode("utf-8", "replace").decode() for cell in shown], pa.string())

    def close(self) -> None:
        """Let go of the rows."""
        self._columns.clear()
        self._unsent.clear()


def _plain_texts(series: pd.Series[Any]) -> pa.Array | None:
    """Return a column that has nothing but texts and missing cells; None: each cell has to be looked at."""
    try:
        found = pa.array(series, from_pandas=True)
    except (pa.ArrowException, UnicodeEncodeError):
        return None
    if not pa.types.is_string(found.type) and not pa.types.is_large_string(found.type):
        return None
    texts = found.cast(pa.string()).fill_null("")
    return texts.combine_chunks() if isinstance(texts, pa.ChunkedArray) else texts  # several: of frames put together


def _text(value: Any) -> str | None:
    """Return the text of a cell; None: it is not certain."""
    if isinstance(value, str):
        return str(value)
    if isinstance(value, dt.datetime):  # pandas.Timestamp is one
        return _text(value.date()) if value.tzinfo is None and value.time() == dt.time() else None
    return value.isoformat() if isinstance(value, dt.date) and value.year >= FIRST_YEAR else None
