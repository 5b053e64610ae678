"""What is packed, unpacked as a stream: gzip, Zstandard, and one member of a ZIP file.

What always holds: the file's first bytes decide, not its name; memory is bounded by a block, whatever the file claims;
a file that unpacks to far more than an export can is refused; so is one that is cut short, damaged, or packed twice.
"""

from __future__ import annotations

import glob
import json
import struct
import zlib
from collections.abc import Callable, Iterator
from fnmatch import fnmatchcase
from functools import partial
from pathlib import PurePosixPath
from typing import IO, TYPE_CHECKING

from syncer.errors import SourceError
from syncer.source.kinds import (
    GZIP_MAGIC,
    HEAD_BYTES,
    PARQUET_MAGIC,
    ZIP_MAGICS,
    ZSTD_MAGICS,
    refuse_stranger,
)

if TYPE_CHECKING:
    import zipfile

BLOCK_BYTES = 1 << 20
RATIO_MAX = 200
"""Exports shrink to a tenth or a fiftieth; what grows more than this when it is unpacked is a bomb."""
FREE_BYTES = 64 << 20
"""Up to here any ratio is let through: it does no harm."""
ZSTD_PIECE_BYTES = 1024
"""Four packed bytes can become 128 KiB, so this bounds what one step unpacks to 32 MiB."""
ZSTD_WINDOW_BYTES_MAX = 128 << 20
"""The limit that the zstd program has too; more has to be asked for there."""
_COPY_AGAIN = "copy the file again"
_UNPACK = "unpack it first, and name what was in it"


def unpacked(name: str, handle: IO[bytes], raw: Iterator[bytes], member: str | None = None) -> Iterator[bytes]:
    """Give the content of a file: `raw` as it is, or what is packed in it.

    ``handle`` is the file that `raw` reads; it is read again where a ZIP file needs it, once `raw` is exhausted.
    ``member`` names what counts in a ZIP file (None: the one that is there).
    """
    first = next(raw, b"")
    unpack = _unpacker(first, member)
    packed = 0

    def counted() -> Iterator[bytes]:
        nonlocal packed
        packed += len(first)
        yield first
        for block in raw:
            packed += len(block)
            yield block

    if unpack is None:
        yield from counted()
        return
    size = 0
    for block in unpack(name, handle, counted()):
        if not size:
            _refuse_packed_twice(name, block)
        size += len(block)
        if size > FREE_BYTES and size > RATIO_MAX * packed:
            raise SourceError(
                f"it unpacks to more than {RATIO_MAX} times its size: no export does",
                file=name,
                remedy="look at it with care; if it is right, unpack it first, and name what was in it",
            )
        yield block


def _unpacker(
    first: bytes, member: str | None = None
) -> Callable[[str, IO[bytes], Iterator[bytes]], Iterator[bytes]] | None:
    if first.startswith(GZIP_MAGIC):
        return _gunzip
    if first.startswith(ZSTD_MAGICS):
        return _unzst
    return partial(_unzip, member=member) if first.startswith(ZIP_MAGICS) else None


def _refuse_packed_twice(name: str, block: bytes) -> None:
    refuse_stranger(block[:HEAD_BYTES], name, inside=True)
    if block.startswith((GZIP_MAGIC, *ZSTD_MAGICS, *ZIP_MAGICS, PARQUET_MAGIC)):
        raise SourceError(
            "what is packed in it is no text but another packed or binary file", file=name, remedy=_UNPACK
        )


def _gunzip(name: str, _: IO[bytes], raw: Iterator[bytes]) -> Iterator[bytes]:
    """Unpack gzip, member after member."""
    member = zlib.decompressobj(wbits=31)
    try:
        for piece in raw:
            rest = piece
            while rest:
                if member.eof:
                    rest = rest.lstrip(b"\0")  # tapes and block devices fill up with them, and gunzip looks past them
                    if not rest:
                        break
                    member = zlib.decompressobj(wbits=31)
                if block := member.decompress(rest, BLOCK_BYTES):
                    yield block
                rest = member.unused_data if member.eof else member.unconsumed_tail
    except zlib.error as error:
        raise damaged(name, str(error)) from None
    if not member.eof:
        raise SourceError("the compressed file is cut short", file=name, remedy=_COPY_AGAIN)


def _unzst(name: str, _: IO[bytes], raw: Iterator[bytes]) -> Iterator[bytes]:
    """Unpack Zstandard, frame after frame."""
    try:
        import zstandard
    except ImportError:
        raise missing_extra(name, "Zstandard files", "zst") from None
    tool = zstandard.ZstdDecompressor(max_window_size=ZSTD_WINDOW_BYTES_MAX)
    frame = tool.decompressobj()
    try:
        for piece in raw:
            for begin in range(0, len(piece), ZSTD_PIECE_BYTES):
                rest = piece[begin : begin + ZSTD_PIECE_BYTES]
                while rest:
                    if frame.eof:
                        frame = tool.decompressobj()
                    if block := frame.decompress(rest):
                        yield block
                    rest = frame.unused_data if frame.eof else b""
    except zstandard.ZstdError as error:
        raise damaged(name, str(error)) from None
    if not frame.eof:
        raise SourceError("the compressed file is cut short", file=name, remedy=_COPY_AGAIN)


def _unzip(name: str, handle: IO[bytes], raw: Iterator[bytes], *, member: str | None) -> Iterator[bytes]:
    """Unpack one member of a ZIP file. Its list of members stands at its end, so all of `raw` is read before."""
    import zipfile

    for _ in raw:
        pass
    try:
        with zipfile.ZipFile(handle) as archive, archive.open(_chosen(name, archive, member)) as found:
            while block := found.read(BLOCK_BYTES):
                yield block
    # A seek before 0 is an OSError; a RuntimeError, what a member asks for and nobody knows: a patch, a method.
    except (zipfile.BadZipFile, zlib.error, EOFError, ValueError, struct.error, RuntimeError, OSError) as error:
        raise damaged(name, str(error)) from None


def members_of(name: str, handle: IO[bytes], pattern: str) -> list[str]:
    """Return the members of a ZIP file that count, by their names: those that ``pattern`` fits, path and all or not.

    Raises `SourceError` when it fits none, fits two of one name, or others but for their letter case.
    """
    import zipfile

    try:
        names = [one.filename for one in _contents(zipfile.ZipFile(handle))]
    except (zipfile.BadZipFile, ValueError, struct.error, OSError) as error:
        raise damaged(name, str(error)) from None
    found = sorted(one for one in names if _fits(one, pattern))
    left_out = [one for one in names if one not in found and _fits(one.lower(), pattern.lower())]
    if found and left_out:
        raise SourceError(
            f"files ({_listed(left_out)}) in the ZIP file fit {pattern!r} (jobs.<name>.member) but for letter case",
            file=name,
            remedy=_name_members([*found, *left_out]),
        )
    if not found or len(set(found)) < len(found):
        what = "are two files of one name" if found else f"is no file like {pattern!r} (jobs.<name>.member)"
        remedy = _UNPACK if found or not names else _name_members(names)
        raise SourceError(f"there {what} in the ZIP file ({_listed(names)})", file=name, remedy=remedy)
    return found


def _fits(name: str, pattern: str) -> bool:
    return fnmatchcase(name, pattern) or fnmatchcase(name.rpartition("/")[2], pattern)


def _contents(archive: zipfile.ZipFile) -> list[zipfile.ZipInfo]:
    return [one for one in archive.infolist() if not one.is_dir() and not _is_shadow(one.filename)]


def _listed(names: list[str]) -> str:
    return f"{len(names)}: " + ", ".join(names[:3]) + (", …" if len(names) > 3 else "")  # noqa: PLR2004


def _name_members(names: list[str]) -> str:
    """Return what to declare, by names that are there: all of CSV, or of one ending, in their letter case; or one."""
    tables = [one for one in names if one.lower().endswith(".csv")] or names
    written = sorted({PurePosixPath(one).suffix for one in tables})
    endings = {one.lower() for one in written}
    pattern = glob.escape(tables[0])
    if len(endings) == 1 and written[0] and not any("readme" in one.lower() for one in tables):
        any_case = "".join(f"[{one.lower()}{one.upper()}]" if one.isalpha() else one for one in endings.pop())
        pattern = "*" + (written[0] if len(written) == 1 else any_case)
    said = json.dumps(pattern, ensure_ascii=False)
    return f"name those that count: jobs.<name>.member = {said} (several are the parts of one export)"


def _chosen(name: str, archive: zipfile.ZipFile, wanted: str | None) -> zipfile.ZipInfo:
    members = [one for one in _contents(archive) if wanted in {None, one.filename}]
    if len(members) != 1:
        names = [one.filename for one in members]
        what = f"are several files ({_listed(names)})" if names else "is no file"
        raise SourceError(
            f"there {what} in the ZIP file; there must be one, or it must be said which count",
            file=name,
            remedy=_name_members(names) if len(set(names)) > 1 else _UNPACK,
        )
    if members[0].flag_bits & 1:
        raise SourceError(
            "the ZIP file is encrypted", file=name, remedy="unpack it with its password, and name what was in it"
        )
    if members[0].compress_type not in {0, 8}:  # stored, deflated; Python unpacks all others without a bound
        raise SourceError("the ZIP file is packed in an unusual way", file=name, remedy=_UNPACK)
    return members[0]


def _is_shadow(path: str) -> bool:
    """Tell whether a member is what macOS and Windows put beside people's files."""
    name = path.rpartition("/")[2]
    return path.startswith("__MACOSX/") or name.startswith("._") or name in {".DS_Store", "Thumbs.db", "desktop.ini"}


def damaged(name: str, words: str) -> SourceError:
    """Return the error for a compressed file that cannot be unpacked whole."""
    return SourceError(f"the compressed file is damaged: {words}", file=name, remedy=_COPY_AGAIN)


def missing_extra(name: str, what: str, extra: str) -> SourceError:
    """Return the error for a library that is not installed because nobody asked for it."""
    return SourceError(f"{what} need a library that is not installed", file=name, next=f"pip install 'syncer[{extra}]'")
