"""Which reader an input needs: its first bytes decide, not its name."""

from __future__ import annotations

import os
import zipfile
from collections.abc import Mapping, Sequence
from contextlib import ExitStack, closing
from dataclasses import replace
from pathlib import Path
from typing import IO, TYPE_CHECKING

from syncer.errors import SourceError
from syncer.safe.inert import inert
from syncer.source import reader
from syncer.source.archive import members_of
from syncer.source.dialect import CsvForm
from syncer.source.files import InputFile
from syncer.source.foreign import guarded
from syncer.source.kinds import (
    AS_XLSX,
    COMMENTS_BYTES,
    GZIP_MAGIC,
    HEAD_BYTES,
    PARQUET_MAGIC,
    ZIP_MAGICS,
    ZSTD_MAGICS,
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
    member: str | None = None,
    key: Sequence[str] | None = None,
    table: TableForm = UNDECLARED,
    by_place: bool = False,
    copies: Mapping[str, Path] | None = None,
) -> list[Source]:
    """Open files as far as their headers; ``-`` is standard input. Raises `SourceError` for one that cannot be read.

    ``sheet`` names the sheet of workbooks (None: the first); ``member`` what counts in ZIP files, with ``*`` for
    anything: each is an input of its own (None: the one that is there). ``key`` names the key columns, where they are
    known: a workbook in which one of them has lost digits is refused whole. ``by_place``: the job says which columns
    count, so that others may be without a name of their own. ``copies`` are read in place of what is named.
    """
    files = [name if name == "-" else os.path.realpath((copies or {}).get(name, name)) for name in names]
    for place, name in enumerate(names):
        if files[place] in files[:place]:
            also = names[files.index(files[place])]
            words = "" if also == name else f": {inert(also)} is the same"
            raise SourceError(f"the file is named twice{words}", file=name, remedy="name it once")
    with ExitStack() as stack:
        sources: list[Source] = []
        for name in names:
            file = InputFile(name, stdin, (copies or {}).get(name))
            stack.callback(file.close)
            for part in _parts(file, member):
                notes = _unused_member(part, file, member)
                sources.append(_open(len(sources), part, form, sheet, key, table, by_place, notes))
        stack.pop_all()
    return sources


def _parts(file: InputFile, member: str | None) -> list[InputFile]:
    """Return the members of a ZIP file that count, or the file itself where nothing is said or it is none."""
    if member is None or not _head(file).startswith(ZIP_MAGICS) or _is_office_file(file):
        return [file]
    handle = file.open()
    try:
        return [file.of_member(name) for name in members_of(file.name, handle, member)]
    finally:
        file.release(handle)


def _unused_member(part: InputFile, file: InputFile, member: str | None) -> tuple[str, ...]:
    unheard = member is not None and part is file
    return (f"{file.name}: jobs.<name>.member applies to ZIP files alone, and was not used",) if unheard else ()


def _open(
    position: int,
    file: InputFile,
    form: CsvForm,
    sheet: str | None,
    key: Sequence[str] | None,
    table: TableForm,
    by_place: bool,
    before: tuple[str, ...],
) -> Source:
    """Open one input; its first bytes tell which reader it needs."""
    head = _head(file)
    refuse_stranger(head, file.name)
    if head.startswith(PARQUET_MAGIC):
        from syncer.source.parquet import ParquetSource

        notes = before + unused(file.name, "a Parquet file", form, table, sheet)
        return ParquetSource(position, file, key=key, table=table, notes=notes)
    if head.startswith(ZIP_MAGICS) and _is_office_file(file):
        from syncer.source.excel import ExcelSource

        notes = before + unused(file.name, WORKBOOK, form, table, None)
        return ExcelSource(
            position, file, sheet=sheet, key=key, table=table, header=form.header, by_place=by_place, notes=notes
        )
    packed = head.startswith((GZIP_MAGIC, *ZSTD_MAGICS, *ZIP_MAGICS))
    if is_json_lines(_unpacked_head(file) if packed or table.comment else head, table.comment):
        from syncer.source.jsonlines import JsonLinesSource

        of_rows, of_bytes = replace(table, comment=None), replace(form, encoding=None)
        notes = before + unused(file.name, "a file of JSON lines", of_bytes, of_rows, sheet)
        return JsonLinesSource(
            position, file, key=key, table=table, encoding=form.encoding, packed=packed, by_place=by_place, notes=notes
        )
    notes = before + unused(file.name, TEXT, form, table, sheet)
    return reader.CsvSource(position, file, form, key=key, table=table, by_place=by_place, notes=notes)


def require_text(file: InputFile, remedy: str) -> None:
    """Raise `SourceError`, with what helps, for a file that is no text, where nothing else is read."""
    try:
        head = _head(file)
        refuse_stranger(head, file.name)
        is_office = head.startswith(ZIP_MAGICS) and _is_office_file(file)
    except SourceError as error:
        error.remedy = remedy
        raise
    if is_office or head.startswith(PARQUET_MAGIC):
        what = "an Excel workbook" if is_office else "a Parquet file"
        raise SourceError(f"it is {what}", file=file.name, remedy=remedy)


def _head(file: InputFile) -> bytes:
    handle = file.open()
    try:
        return handle.read(HEAD_BYTES)
    except OSError as error:
        raise SourceError(f"cannot be read: {error.strerror}", file=file.name, remedy="copy the file again") from None
    finally:
        file.release(handle)


def _unpacked_head(file: InputFile) -> bytes:
    with closing(file.again()) as blocks:
        return next(blocks, b"")[:COMMENTS_BYTES]


def _is_office_file(file: InputFile) -> bool:
    """Tell whether a ZIP file is one of Excel's kind; raise `SourceError` for one that is surely no workbook."""
    from syncer.source.xlsx.package import folded

    handle = file.open()
    try:
        names = guarded(
            lambda: {folded(name) for name in zipfile.ZipFile(handle).namelist()},
            file=file.name,
            what="the compressed file is damaged and",
            remedy="copy the file again",
        )
    finally:
        file.release(handle)
    if "mimetype" in names and "content.xml" in names:
        raise SourceError("it is a spreadsheet of OpenDocument (.ods)", file=file.name, remedy=AS_XLSX)
    if "xl/workbook.bin" in names:
        raise SourceError("it is a binary workbook (.xlsb), no Excel workbook (.xlsx)", file=file.name, remedy=AS_XLSX)
    return bool(names & {"[content_types].xml", "_rels/.rels", "xl/workbook.xml"})
