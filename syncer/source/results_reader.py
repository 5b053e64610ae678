"""Files of the results folder, read back: ``error.csv`` is mended by people and fed in again.

A file whose header ends in our own columns was written by `report.results`, so its form is known whatever the job
declares for its exports, and its cells are made again as they were before `formulas.neutral`. Any other file is left
exactly as it is.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import islice

import pyarrow as pa
import pyarrow.compute as pc

from syncer.errors import SourceError
from syncer.model import Chunk
from syncer.safe.formulas import EXTRA_COLUMNS, NEUTRAL, restored
from syncer.source.dialect import DELIMITERS, CsvForm
from syncer.source.files import InputFile, utf8_blocks
from syncer.source.rows import RowParser

QUOTE = '"'
SAMPLE_CHARACTERS = 1 << 16


def form_of(file: InputFile, declared: CsvForm) -> CsvForm:
    """Return how a file is written: as the results folder writes, when it is from there, else as declared.

    A spreadsheet may have saved it with another separator, or in the encoding that its people's exports have.
    """
    for encoding in dict.fromkeys((None, declared.encoding)):
        try:
            _, blocks = utf8_blocks(file, encoding)
            text = b"".join(islice(blocks, 1))[:SAMPLE_CHARACTERS].decode("utf-8", "ignore")
        except SourceError:
            continue
        for delimiter in DELIMITERS:
            if _is_ours(text, delimiter):
                return CsvForm(encoding, delimiter, quote=QUOTE)
    return declared


def _is_ours(text: str, delimiter: str) -> bool:
    try:
        row = next(RowParser(delimiter, QUOTE, name="", width=None).rows(text, final=True), None)
    except SourceError:
        return False
    return row is not None and is_results_header(row.cells)


def is_results_header(names: tuple[str, ...] | list[str]) -> bool:
    """Tell whether a header is one of the results folder's."""
    return tuple(names[-len(EXTRA_COLUMNS) :]) == EXTRA_COLUMNS


def restored_header(names: tuple[str, ...], file: str) -> tuple[str, ...]:
    """Return the input's own names; raise `SourceError` when two of them would be the same."""
    if not is_results_header(names):
        return names
    before = tuple(map(restored, names))
    if len(set(before)) < len(before):
        words = "its header names one column twice, with and without an apostrophe"
        raise SourceError(words, file=file, line=1, remedy="take one of the two columns out")
    return before


def restored_chunks(names: tuple[str, ...], chunks: Iterator[Chunk]) -> Iterator[Chunk]:
    """Give the chunks with every cell as the input had it."""
    if not is_results_header(names):
        yield from chunks
        return
    for chunk in chunks:
        columns = [
            pc.replace_substring_regex(column, NEUTRAL, r"\1", max_replacements=1) for column in chunk.columns.columns
        ]
        rejections = tuple(replace(row, cells=tuple(map(restored, row.cells))) for row in chunk.rejections)
        batch = pa.RecordBatch.from_arrays(columns, schema=chunk.columns.schema)
        yield replace(chunk, columns=batch, rejections=rejections)
