"""Files of the results folder, read back: ``error.csv`` is mended by people and fed in again.

A table whose header has our own columns was written by `runs.results_form`, whatever file a spreadsheet made of it
since. So its form is known whatever the job declares for its exports, its cells are made again as they were before
`formulas.neutral`, and a row with a tag is refused again. Any other file is left exactly as it is.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import islice

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from syncer.errors import SourceError
from syncer.model import Chunk
from syncer.safe.formulas import EXTRA_COLUMNS, NEUTRAL, restored
from syncer.source.chunks import without
from syncer.source.dialect import DELIMITERS, CsvForm
from syncer.source.files import InputFile, utf8_blocks
from syncer.source.rows import RowParser
from syncer.source.table import TableForm
from syncer.source.tags import TAG, tag_of

QUOTE = '"'
WINDOWS = "cp1252"
PERCENT = 100
SAMPLE_CHARACTERS = 1 << 16


def form_of(file: InputFile, declared: CsvForm) -> CsvForm:
    """Return how a file is written: as the results folder writes, when it is from there, else as declared.

    A spreadsheet may have saved it with another separator, or in the encoding that its people's exports have, or in
    that of western Windows. Any number of its rows may be refused again: that is what it holds.
    """
    for encoding in dict.fromkeys((None, declared.encoding, WINDOWS)):
        try:
            _, blocks = utf8_blocks(file, encoding)
            text = b"".join(islice(blocks, 1))[:SAMPLE_CHARACTERS].decode("utf-8", "ignore")
        except SourceError:
            continue
        for delimiter in DELIMITERS:
            if _is_ours(text, delimiter):
                return CsvForm(encoding, delimiter, quote=QUOTE, escape="", max_damaged_percent=PERCENT)
    return declared


def _is_ours(text: str, delimiter: str) -> bool:
    try:
        row = next(RowParser(delimiter, QUOTE, name="", width=None).rows(text, final=True), None)
    except SourceError:
        return False
    return row is not None and is_results_header(row.cells)


def table_of(declared: TableForm) -> TableForm:
    """Return what a job declares of cells, without what it declares of rows: here each row is one."""
    return TableForm(trim=declared.trim, null=declared.null, unwrap=declared.unwrap)


def is_results_header(names: Sequence[str]) -> bool:
    """Tell whether a header is one of the results folder's."""
    return set(EXTRA_COLUMNS) <= set(names)


def read_columns(header: Sequence[str], wanted: Sequence[str] | None) -> list[str]:
    """Return the columns that have to be read for those that are wanted (None: all), in the header's order.

    Of a file of the results folder that is each: a tag may stand in any.
    """
    if wanted is None or is_results_header(header):
        return list(header)
    return [name for name in header if name in wanted]


def restored_header(names: tuple[str, ...], file: str) -> tuple[str, ...]:
    """Return the input's own names; raise `SourceError` when two of them would be the same."""
    if not is_results_header(names):
        return names
    before = tuple(map(restored, names))
    if len(set(before)) < len(before):
        words = "its header names one column twice, with and without an apostrophe"
        raise SourceError(words, file=file, line=1, remedy="take one of the two columns out")
    return before


def restored_chunk(chunk: Chunk) -> Chunk:
    """Return a chunk with every cell as the input had it, without the rows that have a tag: they are refused again."""
    columns = [
        pc.replace_substring_regex(column, NEUTRAL, r"\1", max_replacements=1) for column in chunk.columns.columns
    ]
    rejections = tuple(replace(row, cells=tuple(map(restored, row.cells))) for row in chunk.rejections)
    batch = pa.RecordBatch.from_arrays(columns, schema=chunk.columns.schema)
    return _without_tags(replace(chunk, columns=batch, rejections=rejections))


def _without_tags(chunk: Chunk) -> Chunk:
    found: dict[int, tuple[str, str]] = {}
    wrong: dict[int, list[int]] = {}
    for place, name in enumerate(chunk.columns.schema.names):
        if name in EXTRA_COLUMNS:
            continue
        column = chunk.columns.column(place)
        for row in map(int, np.flatnonzero(pc.match_substring_regex(column, TAG).to_numpy(zero_copy_only=False))):
            code = tag_of(column[row].as_py())
            words = f"column {name!r} has the tag [{code}]: correct the cell, and take the tag out of it"
            found.setdefault(row, (str(code), words))
            wrong.setdefault(row, []).append(place)
    return without(chunk, found, wrong)


def of_columns(chunk: Chunk, names: Sequence[str]) -> Chunk:
    """Return a chunk with some of its columns alone."""
    return replace(chunk, columns=chunk.columns.select(list(names)))
