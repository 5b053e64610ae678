"""Which reader an input needs: its first bytes decide, not its name."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from typing import IO, TYPE_CHECKING, cast

from syncer.errors import SourceError
from syncer.source import archive, reader
from syncer.source.dialect import CsvForm
from syncer.source.files import InputFile

if TYPE_CHECKING:
    from syncer.source.seam import Source


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
            sources.append(_open(position, name, form, stdin, sheet, key))
            stack.callback(sources[-1].close)
        stack.pop_all()
    return sources


def _open(
    position: int, name: str, form: CsvForm, stdin: IO[bytes] | None, sheet: str | None, key: Sequence[str] | None
) -> Source:
    if name == "-" and stdin is not None:
        head = stdin.read(archive.MAGIC_BYTES)
        stdin = cast("IO[bytes]", _Replay(head, stdin))
    else:
        head = _head(name, stdin)
    if head == archive.OLE_MAGIC:
        raise SourceError(
            "it is a workbook of an old format (.xls), or one with a password",
            file=name,
            next="save it as an Excel workbook (.xlsx) without a password",
        )
    if head == archive.PARQUET_MAGIC:
        from syncer.source.parquet import ParquetSource

        return ParquetSource(position, InputFile(name, stdin))
    if not head.startswith(archive.ZIP_MAGICS):
        return reader.CsvSource(position, name, form, stdin)
    file = InputFile(name, stdin)
    with ExitStack() as stack:
        stack.callback(file.close)
        if not archive.is_workbook(file):
            return reader.CsvSource(position, name, form, file.open() if name == "-" else None)
        from syncer.source.excel import ExcelSource

        stack.pop_all()
        return ExcelSource(position, file, sheet=sheet, key=key)


def _head(name: str, stdin: IO[bytes] | None) -> bytes:
    file = InputFile(name, stdin)
    with file.open() as handle:
        try:
            return handle.read(archive.MAGIC_BYTES)
        except OSError as error:
            raise SourceError(f"cannot be read: {error.strerror}", file=name, next="copy the file again") from None


class _Replay:
    """Standard input with its first bytes put back."""

    def __init__(self, head: bytes, rest: IO[bytes]) -> None:
        self._head = head
        self._rest = rest

    def read(self, size: int) -> bytes:
        if self._head:
            head, self._head = self._head, b""
            return head
        return self._rest.read(size)
