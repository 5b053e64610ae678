"""Which reader an input needs: its first bytes decide, not its name."""

from __future__ import annotations

import zipfile
from collections.abc import Sequence
from contextlib import ExitStack
from typing import IO, TYPE_CHECKING

from syncer.errors import SourceError
from syncer.source import reader
from syncer.source.dialect import CsvForm
from syncer.source.files import InputFile
from syncer.source.foreign import guarded
from syncer.source.kinds import AS_XLSX, HEAD_BYTES, PARQUET_MAGIC, ZIP_MAGICS, refuse_stranger
from syncer.source.table import UNDECLARED, TableForm

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
) -> list[Source]:
    """Open files as far as their headers; ``-`` is standard input. Raises `SourceError` for one that cannot be read.

    ``sheet`` names the sheet of workbooks (None: the first). ``key`` names the key columns, where they are known: a
    workbook in which one of them has lost digits is refused whole.
    """
    if len(set(names)) < len(names):
        twice = next(name for place, name in enumerate(names) if name in names[:place])
        raise SourceError("the file is named twice", file=twice)
    with ExitStack() as stack:
        sources: list[Source] = []
        for position, name in enumerate(names):
            file = InputFile(name, stdin)
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

        return ParquetSource(position, file, key=key, table=table)
    if head.startswith(ZIP_MAGICS) and _is_office_file(file):
        from syncer.source.excel import ExcelSource

        return ExcelSource(position, file, sheet=sheet, key=key, table=table)
    return reader.CsvSource(position, file, form, key=key, table=table)


def _head(file: InputFile) -> bytes:
    handle = file.open()
    try:
        return handle.read(HEAD_BYTES)
    except OSError as error:
        raise SourceError(f"cannot be read: {error.strerror}", file=file.name, next="copy the file again") from None
    finally:
        file.release(handle)


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
