"""Bytes of a file, decompressed and as UTF-8, in blocks; with the hash of what lay on disk.

What always holds: memory is bounded by a block; a pass over a file that changes meanwhile, or that has changed since an
earlier pass, raises; standard input and pipes are kept in an unlinked temporary file, so that they can be read twice.
"""

from __future__ import annotations

import hashlib
import os
import select
from collections.abc import Generator, Iterator
from copy import copy as copy_of
from itertools import chain
from pathlib import Path
from typing import IO

from syncer.errors import SourceError
from syncer.safe.files import spool
from syncer.safe.inert import inert
from syncer.source.archive import unpacked
from syncer.source.encodings import MARK_BYTES, Decoder, encoding_of
from syncer.source.inputs import open_input, unkept

BLOCK_BYTES = 1 << 20
END_MARK, END_MARKS_MAX = b"\x1a", 4096
"""What may stand at the end of a text, up to the end of a disk's block."""
WAIT_S = 0.2
"""How long a signal may wait while standard input is silent."""


class InputFile:
    """One input, which can be read any number of times from its beginning.

    ``name`` is for messages; ``copy`` is read in its place.
    """

    def __init__(self, name: str, stdin: IO[bytes] | None, copy: Path | None = None) -> None:
        self._path = copy or Path(name)
        self._member: str | None = None
        self.name = inert(shown_name(name))
        self.sha256 = ""
        """Of the bytes on disk, in hex; known after the first full pass."""
        self.size_bytes = 0
        self._form: tuple[int, ...] = ()
        """Which file it was, its size and when it was written, when it was opened first."""
        self._spool: IO[bytes] | None = None
        if name == "-":
            if stdin is None:
                raise SourceError("there is no standard input", file=name, remedy="name the file")
            self._spool = _spool(stdin, self.name)
        elif self._path.exists() and not (self._path.is_file() or self._path.is_dir()):
            with self.open() as pipe:  # of a shell: a second opening would not begin at its beginning
                self._spool = _spool(pipe, self.name)

    def of_member(self, member: str) -> InputFile:
        """Return one member of this ZIP file as an input of its own."""
        part = copy_of(self)
        part._member, part.name = member, f"{self.name}: {inert(member)}"
        return part

    @property
    def piped(self) -> bool:
        """Whether it comes through standard input or a pipe, and has no moment of writing of its own."""
        return self._spool is not None

    @property
    def mtime_s(self) -> float | None:
        """When the file was last written, known after the first full pass; None of what comes through a pipe."""
        return None if self.piped or not self._form else self._form[3] / 1e9

    def close(self) -> None:
        """Let go of what was kept of standard input."""
        if self._spool is not None:
            self._spool.close()

    def open(self) -> IO[bytes]:
        """Open the file as it lies on disk; `release` takes the handle back."""
        if self._spool is not None:
            self._spool.seek(0)
            return self._spool
        return open_input(self._path, self.name)

    def release(self, handle: IO[bytes]) -> None:
        """Close what `open` returned, unless it is the one copy of what can be read only once."""
        if handle is not self._spool:
            handle.close()

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
            form = _form(handle)
            if form != (self._form or form):
                raise self._changed()
            self._form = form
            yield from unpacked(self.name, handle, raw(), self._member)
            if _form(handle) != form or (handle is not self._spool and size != os.fstat(handle.fileno()).st_size):
                raise self._changed()
        except OSError as error:
            raise SourceError(
                f"cannot be read: {error.strerror}", file=self.name, remedy="copy the file again"
            ) from error
        finally:
            self.release(handle)
        if self.sha256 and digest.hexdigest() != self.sha256:
            raise self._changed()
        self.sha256, self.size_bytes = digest.hexdigest(), size

    def again(self) -> Generator[bytes]:
        """Give the decompressed bytes while another pass goes on, which is not disturbed."""
        handle = self.open() if self._spool is None else self._spool
        place = handle.tell()
        handle.seek(0)
        try:
            yield from unpacked(self.name, handle, iter(lambda: handle.read(BLOCK_BYTES), b""), self._member)
        finally:
            if handle is self._spool:
                handle.seek(place)
            else:
                handle.close()

    def _changed(self) -> SourceError:
        return SourceError(
            "the file changed while it was being read",
            file=self.name,
            remedy="wait until whoever writes the file is done",
        )


def shown_name(name: str) -> str:
    """Return a file's name as text: its bytes as UTF-8 whatever the locale, those that are none as escapes."""
    return os.fsencode(name).decode("utf-8", "backslashreplace")


def _form(handle: IO[bytes]) -> tuple[int, ...]:
    found = os.fstat(handle.fileno())
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns


def utf8_blocks(file: InputFile, declared: str | None) -> tuple[str, Iterator[bytes]]:
    """Return a file's encoding and its text as blocks of UTF-8 without a byte order mark. Raises `SourceError`."""
    blocks = file.blocks()
    first = b""
    while len(first) < MARK_BYTES and (block := next(blocks, None)) is not None:
        first += block
    encoding, mark = encoding_of(first[:MARK_BYTES], declared, file.name)
    text = _decoded(Decoder(encoding, file.name, file.again), first[len(mark) :], blocks)
    return encoding, _without_end_marks(_with_single_returns(text))


def _without_end_marks(blocks: Iterator[bytes]) -> Iterator[bytes]:
    """Give a text without the Ctrl-Z at its end: for DOS it ends a file, and no cell has it there."""
    held = b""
    for block in blocks:
        text = held + block
        kept = text.rstrip(END_MARK)
        held = text[len(kept) :]
        if len(held) > END_MARKS_MAX:
            kept, held = text, b""
        if kept:
            yield kept


def _with_single_returns(blocks: Iterator[bytes]) -> Iterator[bytes]:
    """Give a text without the second return of line ends, where all of the first block have two.

    Programs that write CRLF through another layer which makes CRLF of each LF end lines so.
    """
    first = next(blocks, b"")
    if not 0 < first.count(b"\n") == first.count(b"\r\r\n"):
        yield first
        yield from blocks
        return
    rest = b""
    for block in chain((first,), blocks):
        text = rest + block
        cut = len(text) - (len(text) - len(text.rstrip(b"\r")))
        yield text[:cut].replace(b"\r\r\n", b"\r\n")
        rest = text[cut:]
    yield rest


def _decoded(decoder: Decoder, first: bytes, rest: Iterator[bytes]) -> Iterator[bytes]:
    block: bytes | None = first
    while block is not None:
        following = next(rest, None)
        if encoded := decoder.decode(block, final=following is None):
            yield encoded
        block = following


def _spool(stream: IO[bytes], name: str) -> IO[bytes]:
    try:
        kept = spool()
        for block in _as_they_come(stream):
            kept.write(block)
        kept.flush()
    except OSError as error:
        raise unkept(error, name) from error
    return kept


def _as_they_come(stream: IO[bytes]) -> Iterator[bytes]:
    """Give what a stream says until its end. A signal is seen at the latest after `WAIT_S`, however long it is silent.

    A plain read would miss one that comes just before it blocks, and wait for whoever writes to end.
    """
    try:
        number = stream.fileno()
    except OSError:  # no stream of the system
        yield from iter(lambda: stream.read(BLOCK_BYTES), b"")
        return
    waiting = select.poll()
    waiting.register(number, select.POLLIN)
    while True:
        while not waiting.poll(WAIT_S * 1000):
            pass
        block = os.read(number, BLOCK_BYTES)
        if not block:
            return
        yield block
