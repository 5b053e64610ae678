"""The second pass: the good rows of a file, cut into files that the API takes, in a spool beside the ledger.

What always holds: a part's file is whole and on disk before the ledger speaks of it; it is readable by its owner
alone; a part is at most `limit` bytes; together the parts hold every good row once, in the file's order. The upload
sends these files, not the original: so it can go on when the original has changed or gone.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO, TYPE_CHECKING

import numpy as np

from syncer.codes.checking import Checked
from syncer.codes.reading import filled
from syncer.errors import LedgerUntrustedError, LedgerWriteError, SourceError
from syncer.ledger.upload_values import NewPart
from syncer.safe.files import Folder, read_own
from syncer.safe.trust import UntrustedError

if TYPE_CHECKING:
    from types import TracebackType

    from syncer.codes.reading import CodesBlock, CodesFile
    from syncer.ledger.upload_values import Part

SLICE_ROWS = 4096
END = {"csv": b"", "json": b"]\n"}
_COMMA = len(b",\n")
_ANEW = "anew"
"""The folder in the spool in which missing files are written again."""
_OURS = re.compile(r"[0-9a-f]{16}-[0-9]{1,6}\.(csv|json)")
"""The name of a part: the beginning of the upload's fingerprint, and the part's number. Nothing else is swept."""


def spool_folder(ledger: Path) -> Path:
    """Return the folder in which the parts' files of a ledger lie."""
    return ledger.with_name(f"{ledger.name}.codes")


class PartsWriter:
    """Writes the parts of one file; a context manager. ``rows`` gives what the ledger records, as it is written."""

    def __init__(self, file: CodesFile, folder: Path, stem: str, *, limit: int) -> None:
        self._file = file
        self._folder = _opened(folder, make=True)
        self._stem = stem
        self._limit = limit
        self._handle: IO[bytes] | None = None
        self._digest = hashlib.sha256()
        self._size = 0
        self._codes = 0
        self._held = b""
        self.parts: list[NewPart] = []

    def __enter__(self) -> PartsWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._handle is not None:
            self._handle.close()
        self._folder.close()

    def rows(self, checked: Checked) -> Iterator[tuple[str, int, int, str]]:
        """Write every good row; give code, part (from 0), line and data of each. To be read to its end."""
        try:
            begin = 0
            for block in self._file.blocks():
                end = begin + len(block.lines)
                good = block.take(np.flatnonzero(checked.good[begin:end]))
                begin = end
                for start in range(0, len(good.lines), SLICE_ROWS):
                    stop = min(start + SLICE_ROWS, len(good.lines))
                    yield from self._write(good.take(np.arange(start, stop, dtype=np.int64)))
            self._end_part()
            self._folder.sync()
        except OSError as error:
            raise LedgerWriteError(f"the files to upload cannot be written to {self._folder.path}: {error}") from error

    def _write(self, block: CodesBlock) -> Iterator[tuple[str, int, int, str]]:
        """Write a slice; cut it in halves where it does not fit."""
        data = block.encode()
        if self._handle is None:
            self._begin_part()
        rows = len(block.lines)
        if self._size + len(data) + len(END[self._file.filetype]) > self._limit:
            if rows > 1:
                places = np.arange(rows, dtype=np.int64)
                yield from self._write(block.take(places[: rows // 2]))
                yield from self._write(block.take(places[rows // 2 :]))
                return
            if not self._codes:
                raise SourceError(
                    f"a row is longer than a whole file may be ({self._limit} bytes)",
                    file=self._file.name,
                    line=int(block.lines[0]),
                )
            self._end_part()
            yield from self._write(block)
            return
        self._put(data)
        self._codes += rows
        yield from _recorded(block, len(self.parts))

    def _begin_part(self) -> None:
        self._folder.remove(self._name())
        self._handle = os.fdopen(self._folder.create(self._name()), "wb")
        self._digest, self._size, self._codes, self._held = hashlib.sha256(), 0, 0, b""
        self._put(self._file.header)

    def _name(self) -> str:
        return f"{self._stem}-{len(self.parts) + 1}.{self._file.filetype}"

    def _put(self, data: bytes) -> None:
        """Write bytes; of JSON the last comma is held back until it is known whether something follows."""
        assert self._handle is not None  # noqa: S101  a part was begun
        self._size += len(data)
        if self._file.filetype == "json":
            whole = self._held + data
            cut = len(whole) - (_COMMA if whole.endswith(b",\n") else 0)
            data, self._held = whole[:cut], whole[cut:]
        self._handle.write(data)
        self._digest.update(data)

    def _end_part(self) -> None:
        if self._handle is None:
            return
        end = b"\n]\n" if self._file.filetype == "json" else b""
        self._handle.write(end)
        self._digest.update(end)
        self._handle.flush()
        os.fsync(self._handle.fileno())
        size = os.fstat(self._handle.fileno()).st_size
        self._handle.close()
        self._handle = None
        self.parts.append(NewPart(self._codes, size, self._digest.hexdigest(), self._name()))


def _recorded(block: CodesBlock, part: int) -> Iterator[tuple[str, int, int, str]]:
    """Give what the ledger keeps of each row. One row at a time exists as an object; columns hold the rest."""
    names = [name for name in block.columns.schema.names if name != "id"]
    ids = filled(block.column("id")).to_pylist()
    others = [filled(block.column(name)).to_pylist() for name in names]
    lines = block.lines.tolist()
    for place, code in enumerate(ids):
        data = {name: cells[place] for name, cells in zip(names, others, strict=True) if cells[place]}
        yield code, part, lines[place], json.dumps(data, ensure_ascii=False)


def write_missing(file: CodesFile, folder: Path, missing: Sequence[Part], codes: set[str], *, limit: int) -> None:
    """Write files of an upload's parts, which are lost or changed, anew from the file of which it was made.

    ``codes`` are those of the upload, ``limit`` is that of its parts. What does not come out byte for byte as it was
    recorded is not taken, so the part still lacks its file.
    """
    left, good = set(codes), [np.zeros(0, np.bool_)]
    for block in file.blocks():
        found = np.zeros(len(block.lines), np.bool_)
        for place, code in enumerate(filled(block.column("id")).to_pylist()):
            found[place] = code in left
            left.discard(code)  # of several lines with one id the first was taken
        good.append(found)
    checked = Checked(0, np.concatenate(good), 0, 0, ())
    wanted = {part.spool: part.sha256 for part in missing}
    with _opened(folder, make=True) as spool, spool.temporary(_ANEW) as apart:
        with PartsWriter(file, apart.path, missing[0].spool.rpartition("-")[0], limit=limit) as writer:
            for _ in writer.rows(checked):
                pass
        for part in writer.parts:
            if wanted.get(part.spool) == part.sha256:
                apart.move(part.spool, part.spool, into=spool)
        spool.sync()


def sweep(folder: Path, wanted: set[str]) -> None:
    """Remove files of the spool that no open part needs: of ended parts, and of commands that died early."""
    if not os.path.lexists(folder):
        return
    with _opened(folder) as opened:
        for name in opened.names():
            if name not in wanted and _OURS.fullmatch(name):
                opened.remove(name)


def _opened(folder: Path, *, make: bool = False) -> Folder:
    try:
        return Folder.open(folder, make=make)
    except UntrustedError as error:
        raise LedgerUntrustedError.of(error) from error
    except OSError as error:
        raise LedgerWriteError(
            f"the folder of the files to upload, {folder}, cannot be used: {error.strerror}"
        ) from error


def file_fault(path: Path, sha256: str) -> str | None:
    """Say what is wrong with a part's file; None when it is there, byte for byte."""
    try:
        with read_own(path) as file:
            found = hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        return f"the file to upload, {path}, cannot be read: {error.strerror}"
    return None if found == sha256 else f"the file to upload, {path}, is not the one that was recorded"
