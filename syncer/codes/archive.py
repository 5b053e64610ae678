"""Extracting a work order's zip without trusting it: nothing leaves the target folder, and nothing is endless.

What always holds: every entry is looked at before the first byte is written; an absolute path, a ``..``, a link or any
other special file, an encrypted entry, one packed otherwise than deflated (Python unpacks all else without a bound), a
name twice or both a file's and a folder's, too many entries or bytes, or no file at all refuse the whole archive; an
entry that unpacks to more than it says is stopped; a file that exists is never replaced.
"""

from __future__ import annotations

import re
import stat
import struct
import zipfile
import zlib
from contextlib import ExitStack
from io import BytesIO
from pathlib import Path, PurePosixPath

from syncer.errors import AGAIN, GuardError, LedgerWriteError, UntrustedFileError, UsageError
from syncer.safe.files import Folder, new_file
from syncer.safe.trust import UntrustedError

ENTRIES_MAX = 10_000
BYTES_MAX = 2 << 30
PIECE_BYTES = 1 << 20
_ENCRYPTED = 0x1
_ENTRY = b"PK\x01\x02"
_DAMAGED = (zipfile.BadZipFile, zlib.error, struct.error, NotImplementedError, RuntimeError, EOFError, ValueError)
"""What the reader of zips raises for one that is damaged."""
_DRIVE = re.compile(r"[A-Za-z]:")


def extract(content: bytes, folder: Path, *, bytes_max: int = BYTES_MAX) -> list[Path]:
    """Extract an archive into `folder`, which is made; return the files. Raises `GuardError` and writes nothing."""
    if content.count(_ENTRY) > ENTRIES_MAX:  # before they are read: each takes far more memory than bytes
        raise _refused(f"the zip has more than {ENTRIES_MAX} entries")
    try:
        with zipfile.ZipFile(BytesIO(content)) as archive:
            entries = _entries(archive, bytes_max)
            existing = [folder / name for name in entries if (folder / name).exists() or (folder / name).is_symlink()]
            if existing:
                raise UsageError(f"{existing[0]} exists; files are never replaced", remedy="name another folder: --out")
            return _write(archive, entries, folder, bytes_max)
    except _DAMAGED as error:
        raise _refused(f"the work order's file is no good zip: {error}") from error
    except UntrustedError as error:
        raise UntrustedFileError.of(error) from error
    except OSError as error:
        raise LedgerWriteError(
            f"{folder} cannot be written: {error.strerror}", remedy="name another: --out", next=AGAIN
        ) from error


def _refused(words: str) -> GuardError:
    """Return the error of an archive that is not extracted."""
    return GuardError(words, remedy="look at the work order in the portal; nothing was written", next=AGAIN)


def _entries(archive: zipfile.ZipFile, bytes_max: int) -> dict[str, zipfile.ZipInfo]:
    """Return the files of an archive by their safe relative names; raise `GuardError` for one that is not safe."""
    infos = archive.infolist()
    if len(infos) > ENTRIES_MAX:
        raise _refused(f"the zip has {len(infos)} entries; at most {ENTRIES_MAX} are taken")
    if sum(info.file_size for info in infos) > bytes_max:
        raise _refused(f"the zip unpacks to more than {bytes_max} bytes")
    entries: dict[str, zipfile.ZipInfo] = {}
    seen: set[str] = set()
    for info in infos:
        fault = _fault(info)
        if fault is not None:
            raise _refused(f"the zip has an entry that is not safe, {info.filename!r}: {fault}")
        if info.is_dir():
            continue
        name = str(PurePosixPath(info.filename))
        if name.lower() in seen:
            raise _refused(f"the zip names {info.filename!r} twice")
        seen.add(name.lower())
        entries[name] = info
    if not entries:
        raise _refused("the zip holds no file")
    for name in entries:
        both = next((str(above) for above in PurePosixPath(name).parents if str(above).lower() in seen), None)
        if both is not None:
            raise _refused(f"the zip has {both!r} as a file and as a folder")
    return entries


def _fault(info: zipfile.ZipInfo) -> str | None:
    name = info.orig_filename
    parts = PurePosixPath(info.filename).parts
    kind = stat.S_IFMT(info.external_attr >> 16)
    if not info.filename or not parts or "\0" in name or not info.filename.isprintable():
        return "its name cannot be written"
    if info.filename.startswith("/") or "\\" in name or _DRIVE.match(info.filename):
        return "its path is absolute, or not a plain one"
    if ".." in parts:
        return "its path leads out of the folder"
    if kind not in {0, stat.S_IFREG, stat.S_IFDIR}:
        return "it is a link or a special file"
    if info.flag_bits & _ENCRYPTED:
        return "it is encrypted"
    if info.compress_type not in {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED}:
        return "it is packed in an unusual way"
    return None


def _write(archive: zipfile.ZipFile, entries: dict[str, zipfile.ZipInfo], folder: Path, bytes_max: int) -> list[Path]:
    """Unpack beside the folder first, then move: an archive that fails half-way leaves nothing."""
    left = bytes_max
    with Folder.open(folder, make=True) as target, target.temporary() as apart:
        for place, info in enumerate(entries.values()):
            with archive.open(info) as packed, new_file(apart, str(place)) as part:
                while piece := packed.read(PIECE_BYTES):
                    left -= len(piece)
                    if left < 0:
                        raise _refused(f"the zip unpacks to more than {bytes_max} bytes")
                    part.file.write(piece)
                part.keep()
        for place, name in enumerate(entries):
            path = PurePosixPath(name)
            with ExitStack() as stack:
                inner = target
                for step in path.parts[:-1]:
                    inner = stack.enter_context(inner.sub(step, make=True))
                apart.move(str(place), path.name, into=inner, new=True)
                inner.sync()
    return [folder / name for name in entries]
