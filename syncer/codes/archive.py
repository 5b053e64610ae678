"""Extracting a work order's zip without trusting it: nothing leaves the target folder, and nothing is endless.

What always holds: every entry is looked at before the first byte is written; an absolute path, a ``..``, a link or any
other special file, an encrypted entry, a name twice, too many entries or too many bytes refuse the whole archive; an
entry that unpacks to more than it says is stopped; a file that exists is never replaced.
"""

from __future__ import annotations

import os
import re
import shutil
import stat
import tempfile
import zipfile
from io import BytesIO
from pathlib import Path, PurePosixPath

from syncer.errors import GuardError, LedgerWriteError, UsageError

ENTRIES_MAX = 10_000
BYTES_MAX = 2 << 30
PIECE_BYTES = 1 << 20
_ENCRYPTED = 0x1
_DRIVE = re.compile(r"[A-Za-z]:")


def extract(content: bytes, folder: Path, *, bytes_max: int = BYTES_MAX) -> list[Path]:
    """Extract an archive into `folder`, which is made; return the files. Raises `GuardError` and writes nothing."""
    try:
        with zipfile.ZipFile(BytesIO(content)) as archive:
            entries = _entries(archive, bytes_max)
            existing = [folder / name for name in entries if (folder / name).exists() or (folder / name).is_symlink()]
            if existing:
                raise UsageError(f"{existing[0]} exists; files are never replaced", next="name another folder: --out")
            return _write(archive, entries, folder, bytes_max)
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError, EOFError) as error:
        raise GuardError(f"the work order's file is no good zip: {error}", next=_NEXT) from error
    except OSError as error:
        raise LedgerWriteError(f"{folder} cannot be written: {error.strerror}", next="name another: --out") from error


_NEXT = "look at the work order in the portal; nothing was written"


def _entries(archive: zipfile.ZipFile, bytes_max: int) -> dict[str, zipfile.ZipInfo]:
    """Return the files of an archive by their safe relative names; raise `GuardError` for one that is not safe."""
    infos = archive.infolist()
    if len(infos) > ENTRIES_MAX:
        raise GuardError(f"the zip has {len(infos)} entries; at most {ENTRIES_MAX} are taken", next=_NEXT)
    if sum(info.file_size for info in infos) > bytes_max:
        raise GuardError(f"the zip unpacks to more than {bytes_max} bytes", next=_NEXT)
    entries: dict[str, zipfile.ZipInfo] = {}
    seen: set[str] = set()
    for info in infos:
        fault = _fault(info)
        if fault is not None:
            raise GuardError(f"the zip has an entry that is not safe, {info.filename!r}: {fault}", next=_NEXT)
        if info.is_dir():
            continue
        name = str(PurePosixPath(info.filename))
        if name.lower() in seen:
            raise GuardError(f"the zip names {info.filename!r} twice", next=_NEXT)
        seen.add(name.lower())
        entries[name] = info
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
    return None


def _write(archive: zipfile.ZipFile, entries: dict[str, zipfile.ZipInfo], folder: Path, bytes_max: int) -> list[Path]:
    """Unpack beside the folder first, then move: an archive that fails half-way leaves nothing."""
    folder.mkdir(parents=True, exist_ok=True)
    part = Path(tempfile.mkdtemp(prefix=".part-", dir=folder))
    try:
        left = bytes_max
        for name, info in entries.items():
            target = part / name
            target.parent.mkdir(parents=True, exist_ok=True)
            with archive.open(info) as packed, target.open("xb") as file:
                while piece := packed.read(PIECE_BYTES):
                    left -= len(piece)
                    if left < 0:
                        raise GuardError(f"the zip unpacks to more than {bytes_max} bytes", next=_NEXT)
                    file.write(piece)
                os.fsync(file.fileno())
        written = []
        for name in entries:
            target = folder / name
            _make_folders(folder, target.parent)
            os.link(part / name, target)  # fails where something is, unlike a rename
            written.append(target)
        return written
    finally:
        shutil.rmtree(part, ignore_errors=True)


def _make_folders(folder: Path, wanted: Path) -> None:
    """Make folders inside `folder`; one that is a link there already would lead out of it."""
    here = folder
    for name in wanted.relative_to(folder).parts:
        here /= name
        if here.is_symlink():
            raise GuardError(f"{here} is a link: nothing is written through it", next="name another folder: --out")
        here.mkdir(exist_ok=True)
