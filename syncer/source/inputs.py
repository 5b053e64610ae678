"""Opening what the user names: a plain file, in the folder where it is named; never a pipe that nobody may write to.

What always holds: nothing is waited for; a link is followed as far as its own folder reaches, because whoever may put
files into a folder could put one there that leads to any file of this account, whose lines then stand in messages.
Folders themselves may be links. The descriptors of a process (`/dev/stdin`, a shell's ``<(…)``) are taken.
"""

from __future__ import annotations

import errno
import os
import stat
from itertools import islice
from pathlib import Path
from typing import IO

from syncer.errors import SourceError, did_you_mean
from syncer.safe.files import open_at_once
from syncer.safe.trust import quoted

NAMES_MAX = 1_000
"""Names of a folder among which one like a missing file's is looked for."""
NO_ROOM = frozenset({errno.ENOSPC, errno.EDQUOT})
"""What a write says when there is no room."""
OWN_DESCRIPTORS = ("/dev/stdin", "/dev/fd/", "/proc/self/fd/")


def look_at(path: Path) -> str:
    """Return the command that shows a file, or the nearest folder above it that is there."""
    there = next((one for one in (path, *path.parents) if one.exists()), Path())
    return f"ls -l {quoted(there)}"


def _near(path: Path) -> str:
    """Return a question about a file of the same folder whose name is nearest; empty when there is none."""
    try:
        with os.scandir(path.parent) as found:
            return "" if path.exists() else did_you_mean(path.name, [one.name for one in islice(found, NAMES_MAX)])
    except OSError:
        return ""


def open_input(path: Path, name: str) -> IO[bytes]:
    """Open a file to read; ``name`` is for messages. Raises `SourceError` for what is none, or leads elsewhere."""
    try:
        if path.is_dir():
            raise SourceError("it is a folder; name the files in it", file=name, next=f"ls {quoted(path)}")
        file = open_at_once(path)
    except OSError as error:
        raise SourceError(f"cannot be opened: {error.strerror}{_near(path)}", file=name, next=look_at(path)) from error
    try:
        _require_input(path, name, os.fstat(file.fileno()))
    except BaseException:
        file.close()
        raise
    os.set_blocking(file.fileno(), True)
    return file


def _require_input(path: Path, name: str, found: os.stat_result) -> None:
    if str(path).startswith(OWN_DESCRIPTORS):
        return
    if not stat.S_ISREG(found.st_mode):
        raise SourceError(
            "it is no plain file, but a pipe or a device, which may be waited for without end",
            file=name,
            next=f"cat {quoted(path)} | syncer sync -",
        )
    if not path.is_symlink():
        return
    target = Path(os.path.realpath(path))
    if not target.is_relative_to(os.path.realpath(path.parent)) or not os.path.samestat(found, os.stat(target)):
        raise SourceError(
            "it is a link that leads out of its folder: whoever puts one there decides what is read",
            file=name,
            remedy="name the file that is meant",
            next=f"syncer plan {quoted(target)}",
        )


def unkept(error: OSError, name: str) -> SourceError:
    """Return the error of rows that a temporary file does not take."""
    words = f"cannot be kept in a temporary file: {error.strerror}"
    return SourceError(words, file=name, remedy="set TMPDIR to a folder with room")
