"""Which reader an input needs: its first bytes decide, not its name."""

from __future__ import annotations

import zipfile
from collections.abc import Mapping, Sequence
from contextlib import ExitStack, closing
from dataclasses import replace
from pathlib import Path
from typing import IO, TYPE_CHECKING

from syncer.errors import SourceError
from syncer.source import reader
from syncer.source.dialect import CsvForm
from syncer.source.files import InputFile
from syncer.source.foreign import guarded
from syncer.source.kinds import (
    AS_XLSX,
    GZIP_MAGIC,
    HEAD_BYTES,
    PARQUET_MAGIC,
    ZIP_MAGICS,
    ZSTD_MAGIC,
    is_json_lines,
    refuse_stranger,
)
from syncer.source.table import UNDECLARED, TableForm
from syncer.source.unused import TEXT, WORKBOOK, unused

if TYPE_CHECKING:
    from syncer.source.protocol import Source


def open_sources(
    names: Sequence[str],
    form: CsvForm,
    *,
    stdin: IO[bytes] | None = None,
    sheet: str | None = None,
    key: Sequence[str] | None = None,
    table: TableForm = UNDECLARED,
    copies: Mapping[str, Path] | None = None,
) -> list[Source]:
    """Open files as far as their headers; ``-`` is standard input. Raises `SourceError` for one that cannot be read.

    ``sheet`` names the sheet of workbooks (None: the first). ``key`` names the key columns, where they are known: a
    workbook in which one of them has lost digits is refused whole. ``copies`` are read in place of
    what is named.
    """
    if len(set(names)) < len(names):
        twice = next(name for place, name in enumerate(names) if name in names[:place])
        raise SourceError("the file is named twice", file=twice)
    with ExitStack() as stack:
        sources: list[Source] = []
        for position, name in enumerate(names):
            file = InputFile(name, stdin, (copies or {}).get(name))
            stack.callback(file.close)
            sources.append(_open(position, file, form, sheet, key, table))
        stack.pop_all()
    return sources


def _open(
    position: int, file: InputFile, form: CsvForm, sheet: str | None, key: Sequence[str] | None, table: TableForm
) -> Source:
    """Open one input; its first bytes tell which reader it needs."""
    head = _head(file)
    refuse_stranger(head, file.name)
    if head.startswith(PARQUET_MAGIC):
        from syncer.source.parquet import ParquetSource

        notes = unused(file.name, "a Parquet file", form, table, sheet)
        return ParquetSource(position, file, key=key, table=table, notes=notes)
    if head.startswith(ZIP_MAGICS) and _is_office_file(file):
        from syncer.source.excel import ExcelSource

        notes = unused(file.name, WORKBOOK, form, table, None)
        return ExcelSource(position, file, sheet=sheet, key=key, table=table, notes=notes)
    if is_json_lines(_unpacked_head(file) if head.startswith((GZIP_MAGIC, ZSTD_MAGIC, *ZIP_MAGICS)) else head):
        from syncer.source.jsonlines import JsonLinesSource

        notes = unused(file.name, "a file of JSON lines", replace(form, encoding=None), table, sheet)
        return JsonLinesSource(position, file, key=key, table=table, encoding=form.encoding, notes=notes)
    notes = unused(file.name, TEXT, form, table, sheet)
    return reader.CsvSource(position, file, form, key=key, table=table, notes=notes)


def _head(file: InputFile) -> bytes:
    handle = file.open()
    try:
        return handle.read(HEAD_BYTES)
    except OSError as error:
        raise SourceError(f"cannot be read: {error.strerror}", file=file.name, next="copy the file again") from None
    finally:
        file.release(handle)


def _unpacked_head(file: InputFile) -> bytes:
    with closing(file.again()) as blocks:
        return next(blocks, b"")[:HEAD_BYTES]


def _is_office_file(file: InputFile) -> bool:
    """Tell whether a ZIP file is one of Excel's kind; raise `SourceError` for one that is surely no workbook."""
    from syncer.source.xlsx.package import folded

    with ExitStack() as stack:
        handle = file.open()
        if file.name != "-":
            stack.enter_context(handle)
        names = guarded(
            lambda: {folded(name) for name in zipfile.ZipFile(handle).namelist()},
            file=file.name,
            what="the compressed file is damaged and",
            next="copy the file again",
        )
    if "mimetype" in names and "content.xml" in names:
        raise SourceError("it is a spreadsheet of OpenDocument (.ods)", file=file.name, next=AS_XLSX)
    if "xl/workbook.bin" in names:
        raise SourceError("it is a binary workbook (.xlsb), no Excel workbook (.xlsx)", file=file.name, next=AS_XLSX)
    return bool(names & {"[content_types].xml", "_rels/.rels", "xl/workbook.xml"})
