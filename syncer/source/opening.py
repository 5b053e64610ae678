"""Which reader an input needs: its first bytes decide, not its name."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from contextlib import ExitStack
from typing import IO, TYPE_CHECKING

from syncer.errors import SourceError
from syncer.source import archive, reader
from syncer.source.dialect import CsvForm
from syncer.source.files import InputFile

if TYPE_CHECKING:
    from syncer.source.protocol import Source


def open_sources(
    names: Sequence[str],
    form: CsvForm,
    *,
    stdin: IO[bytes] | None = None,
    sheet: str | None = None,
    key: Sequence[str] | None = None,
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
            sources.append(_open(position, file, form, sheet, key))
        stack.pop_all()
    return sources


def _open(position: int, file: InputFile, form: CsvForm, sheet: str | None, key: Sequence[str] | None) -> Source:
    """Open one input; its first bytes tell which reader it needs."""
    head = _head(file)
    if head == archive.OLE_MAGIC:
        raise SourceError(
            "it is a workbook of an old format (.xls), or one with a password",
            file=file.name,
            next="save it as an Excel workbook (.xlsx) without a password",
        )
    if head == archive.PARQUET_MAGIC:
        from syncer.source.parquet import ParquetSource

        return ParquetSource(position, file)
    if head.startswith(archive.ZIP_MAGICS) and _is_workbook(file):
        from syncer.source.excel import ExcelSource

        return ExcelSource(position, file, sheet=sheet, key=key)
    return reader.CsvSource(position, file, form)


def _head(file: InputFile) -> bytes:
    handle = file.open()
    try:
        return handle.read(archive.MAGIC_BYTES)
    except OSError as error:
        raise SourceError(f"cannot be read: {error.strerror}", file=file.name, next="copy the file again") from None
    finally:
        file.release(handle)


def _is_workbook(file: InputFile) -> bool:
    """Tell whether a ZIP file is an Excel workbook; raise `SourceError` when it is an office file that is none."""
    import zipfile

    with ExitStack() as stack:
        handle = file.open()
        if file.name != "-":
            stack.enter_context(handle)
        try:
            names = set(zipfile.ZipFile(handle).namelist())
        except (zipfile.BadZipFile, EOFError, ValueError, struct.error) as error:
            raise archive.damaged(file.name, str(error)) from None
    if "[Content_Types].xml" in names and "xl/workbook.xml" in names:
        return True
    if "[Content_Types].xml" in names or ("mimetype" in names and "content.xml" in names):
        raise SourceError(
            "it is an office file, but no Excel workbook (.xlsx)",
            file=file.name,
            next="save it as an Excel workbook (.xlsx) or as CSV",
        )
    return False
