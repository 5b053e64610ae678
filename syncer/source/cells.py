"""What of a cell is content, as ``jobs.<name>.table`` declares it: without white space, null words, ``="…"``.

What always holds: nothing is changed that was not declared; the cells of key columns keep their white space unless it
is said of them too; a cell ``="00123"`` is never sent as it stands without a word (E108).
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from syncer.arrow import texts
from syncer.source.chunks import without
from syncer.source.results_reader import is_results_header, restored_chunk
from syncer.source.table import TableForm

if TYPE_CHECKING:
    from syncer.model import Chunk

FORMULA_TEXT = "E108"
_WRAPPED = r'^="((?s).*)"$'
_BEGIN = '="'


class CellForm:
    """Forms the cells of a table. ``header`` names its columns, ``keys`` those of the key."""

    def __init__(self, table: TableForm, header: Sequence[str], keys: Collection[str]) -> None:
        self._table = table
        self.restores = is_results_header(header)
        """Whether cells are made again as they were before they came into the results folder."""
        self._keys = frozenset(keys)
        self._null = texts(table.null).cast(pa.string())

    def formed(self, chunk: Chunk, strict: Collection[str]) -> Chunk:
        """Return a chunk with its cells formed; rows with ``="…"`` in a column that counts are rejected, undeclared."""
        chunk = restored_chunk(chunk) if self.restores else chunk
        table = self._table
        names = chunk.columns.schema.names
        wrapped: dict[int, list[str]] = {}
        columns = []
        for name in names:
            column = chunk.columns.column(name)
            if table.unwrap is not False:
                column = self._unwrapped(column, name, wrapped if name in strict else {})
            if table.trim == "all" or (table.trim == "fields" and name not in self._keys):
                column = pc.utf8_trim_whitespace(column)
            if table.null:
                column = pc.if_else(pc.is_in(column, value_set=self._null), "", column)
            columns.append(column)
        formed = replace(chunk, columns=pa.RecordBatch.from_arrays(columns, schema=chunk.columns.schema))
        if not wrapped:
            return formed
        words = 'is written as a formula, ="…"; when it stands for the text in it: jobs.<name>.table.unwrap = true'
        faults = {row: (FORMULA_TEXT, f"column {found[0]!r} {words}") for row, found in wrapped.items()}
        return without(formed, faults, {row: [*map(names.index, found)] for row, found in wrapped.items()})

    def _unwrapped(self, column: pa.Array, name: str, faults: dict[int, list[str]]) -> pa.Array:
        """Return a column without ``="…"`` where that is declared; else note the rows that have it."""
        if not pc.any(pc.starts_with(column, _BEGIN)).as_py():
            return column
        if self._table.unwrap:
            inner = pc.replace_substring_regex(column, _WRAPPED, r"\1")
            return pc.if_else(
                pc.match_substring_regex(column, _WRAPPED), pc.replace_substring(inner, '""', '"'), column
            )
        for row in np.flatnonzero(pc.match_substring_regex(column, _WRAPPED).to_numpy(zero_copy_only=False)):
            faults.setdefault(int(row), []).append(name)
        return column
