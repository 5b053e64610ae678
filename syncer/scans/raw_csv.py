"""The API's own CSV, passed through byte by byte, and which of its lines are broken. Nothing is mended.

The API does not quote: a comma in a value shifts its line, a line break cuts it in two. A line is sound when it
has as many cells as the header and begins with a UUID; what looks sound may still be wrong when two faults cancel out,
so JSON is the source of truth (docs/scans.md). What does not begin with the API's first column is no CSV at all.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path

from syncer.errors import AGAIN, OutputError
from syncer.safe.files import Folder, NewFile
from syncer.scans.columns import DOCUMENTED

SHOWN_LINES = 20
"""Broken lines that are told by number; all are counted."""
_HEADER_BEGINS = f"{DOCUMENTED[0]},".encode()
_BEGINS = re.compile(rb"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12},")


@dataclass(slots=True)
class RawCsv:
    """Writes a CSV to a file beside its name, looking at every line; after `ended`, `finish` gives it its name."""

    path: Path
    lines: int = 0
    """Lines but for the header."""
    broken: int = 0
    broken_lines: list[int] = field(default_factory=list)
    """The first of them, counted from 1, the header."""
    size_bytes: int = 0
    _cells: int = -1
    _is_csv: bool = False
    _rest: bytes = b""
    _folder: Folder | None = None
    _part: NewFile | None = None

    def begin(self) -> None:
        """Start, or start anew after an answer that broke off."""
        self.drop()
        self.lines = self.broken = self.size_bytes = 0
        self.broken_lines.clear()
        self._cells, self._is_csv, self._rest = -1, False, b""
        try:
            self._folder = Folder.above(self.path, ours=False)
            self._part = NewFile(self._folder, self.path.name)
        except OSError as error:
            raise self._error(error) from error

    def take(self, part: bytes) -> None:
        """Write a part of the answer, and look at the lines that it completes."""
        assert self._part is not None  # noqa: S101  `begin` made it
        try:
            self._part.file.write(part)
        except OSError as error:
            raise self._error(error) from error
        self.size_bytes += len(part)
        *whole, self._rest = (self._rest + part).split(b"\n")
        for line in whole:
            self._look(line.removesuffix(b"\r"))

    def _look(self, line: bytes) -> None:
        if self._cells < 0:
            self._cells = line.count(b",")
            self._is_csv = line.startswith(_HEADER_BEGINS)
            return
        self.lines += 1
        if line.count(b",") != self._cells or not _BEGINS.match(line):
            self.broken += 1
            if len(self.broken_lines) < SHOWN_LINES:
                self.broken_lines.append(self.lines + 1)

    def ended(self) -> bool:
        """Look at a last line without an end; return whether the first one is the header of the API's CSV."""
        if self._rest:
            self._look(self._rest)
            self._rest = b""
        return self._is_csv

    def finish(self) -> None:
        """Make the file durable under its name."""
        assert self._part is not None  # noqa: S101  `begin` made it
        try:
            self._part.keep()
        except OSError as error:
            raise self._error(error) from error
        self.drop()

    def drop(self) -> None:
        """Leave nothing behind of an answer that is worth nothing."""
        if self._part is not None:
            self._part.drop()
        if self._folder is not None:
            self._folder.close()
        self._part = self._folder = None

    def _error(self, error: OSError) -> OutputError:
        words = f"{self.path} cannot be written: {error.strerror}; nothing was put in its place"
        return OutputError(words, remedy="make room or give write access", next=AGAIN)
