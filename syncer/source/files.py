"""Bytes of a file, decompressed and as UTF-8, in blocks; with the hash of what lay on disk.

What always holds: memory is bounded by a block; a second pass over a file that has changed raises; standard input is
kept in an unlinked temporary file, so that it can be read twice as well.
"""

from __future__ import annotations

import codecs
import hashlib
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from syncer.errors import SourceError
from syncer.source.archive import unpacked

BLOCK_BYTES = 1 << 20
MARK_BYTES = 200
"""Bytes from which an encoding is told."""
_BOMS = ((codecs.BOM_UTF8, "utf-8"), (codecs.BOM_UTF16_LE, "utf-16-le"), (codecs.BOM_UTF16_BE, "utf-16-be"))


class InputFile:
    """One input, which can be read any number of times from its beginning. ``name`` is for messages."""

    def __init__(self, name: str, stdin: IO[bytes] | None) -> None:
        self.name = name
        self.sha256 = ""
        """Of the bytes on disk, in hex; known after the first full pass."""
        self.size_bytes = 0
        self._spool = _spool(stdin) if name == "-" and stdin is not None else None
        if name == "-" and stdin is None:
            raise SourceError("there is no standard input", file=name)

    def close(self) -> None:
        """Let go of what was kept of standard input."""
        if self._spool is not None:
            self._spool.close()

    def open(self) -> IO[bytes]:
        """Open the file as it lies on disk. Closing the handle is the caller's, except for standard input's."""
        if self._spool is not None:
            self._spool.seek(0)
            return self._spool
        path = Path(self.name)
        if path.is_dir():
            raise SourceError("it is a folder; name the files in it", file=self.name)
        try:
            return path.open("rb")
        except OSError as error:
            raise SourceError(f"cannot be opened: {error.strerror}", file=self.name, next="ls -l FILE") from error

    def blocks(self) -> Iterator[bytes]:
        """Give the decompressed bytes; raise `SourceError` when the file changed since the last pass."""
        digest, size = hashlib.sha256(), 0
        handle = self.open()

        def raw() -> Iterator[bytes]:
            nonlocal size
            while block := handle.read(BLOCK_BYTES):
                digest.update(block)
                size += len(block)
                yield block

        try:
            yield from unpacked(self.name, handle, raw())
        except OSError as error:
            raise SourceError(
                f"cannot be read: {error.strerror}", file=self.name, next="copy the file again"
            ) from error
        finally:
            if handle is not self._spool:
                handle.close()
        if self.sha256 and digest.hexdigest() != self.sha256:
            raise SourceError(
                "the file changed while it was being read", file=self.name, next="run again when it is whole"
            )
        self.sha256, self.size_bytes = digest.hexdigest(), size


def utf8_blocks(file: InputFile, declared: str | None) -> tuple[str, Iterator[bytes]]:
    """Return a file's encoding and its text as blocks of UTF-8 without a BOM.

    A BOM decides, unless an encoding is declared; without either it is UTF-8. Bytes that are not of the encoding raise
    `SourceError` with their line.
    """
    blocks = file.blocks()
    first = b""
    while len(first) < MARK_BYTES and (block := next(blocks, None)) is not None:
        first += block
    found = next(((bom, name) for bom, name in _BOMS if first.startswith(bom)), (b"", "utf-8"))
    encoding = declared or found[1]
    if declared is None and not found[0] and _looks_like_utf16(first[:200]):
        raise SourceError(
            "there are NUL bytes at its beginning: it looks like UTF-16 without a mark",
            file=file.name,
            line=1,
            next='declare it: jobs.<name>.csv.encoding = "utf-16-le" (or utf-16-be)',
        )
    if found[0] and codecs.lookup(encoding).name in {codecs.lookup(found[1]).name, "utf-8-sig"}:
        first = first[len(found[0]) :]
    return encoding, _transcode(file.name, encoding, first, blocks)


def _looks_like_utf16(sample: bytes) -> bool:
    """Tell whether nearly every other byte is NUL, as in Latin text of two bytes a character."""
    return sample.count(0) * 3 > len(sample)


def _transcode(name: str, encoding: str, first: bytes, rest: Iterator[bytes]) -> Iterator[bytes]:
    decoder = codecs.getincrementaldecoder(encoding)("strict")
    lines = 1
    plain = encoding == "utf-8"
    block: bytes | None = first
    while block is not None:
        following = next(rest, None)
        try:
            if plain and block.isascii():  # as most blocks are: decoding it would give the same bytes again
                encoded = block
            else:
                encoded = decoder.decode(block, following is None).encode()
                plain = encoding == "utf-8" and not decoder.getstate()[0]
        except UnicodeDecodeError as error:
            line, column = _place(error, lines)
            raise SourceError(
                f"byte 0x{error.object[error.start]:02x} is not {encoding}",
                file=name,
                line=line,
                column=column,
                next='declare how the file is written, for example: jobs.<name>.csv.encoding = "cp1252"',
            ) from None
        lines += encoded.count(b"\n")
        if encoded:
            yield encoded
        block = following


def _place(error: UnicodeDecodeError, lines: int) -> tuple[int, int]:
    before = bytes(error.object[: error.start])
    return lines + before.count(b"\n"), len(before) - (before.rfind(b"\n") + 1) + 1


def _spool(stdin: IO[bytes]) -> IO[bytes]:
    spool: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115  it lives as long as the input
    while block := stdin.read(BLOCK_BYTES):
        spool.write(block)
    return spool
