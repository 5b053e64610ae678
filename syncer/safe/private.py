"""Files that are their owner's alone: made with mode 0600 whatever the umask, never through a link that others planted.

What always holds: a file that comes out of here is new or a plain file; a temporary file lies in the folder of what it
becomes, and is gone when its writing fails. Only a process that is killed leaves one; the next one takes it away.
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

MODE = 0o600


def create(path: Path) -> int:
    """Create a file, 0600, and return its descriptor to read and write; raise `FileExistsError` for a link too."""
    descriptor = os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW, MODE)
    os.fchmod(descriptor, MODE)  # a umask may have taken even the owner's rights
    return descriptor


def open_or_create(path: Path) -> int:
    """Return the descriptor of a plain file to read and write, created 0600 if it is missing; raise `OSError` else."""
    with contextlib.suppress(FileExistsError):
        return create(path)
    descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise OSError(errno.EINVAL, "it is not a plain file", str(path))
    return descriptor


def sync_folder(folder: Path) -> None:
    """Make the names in a folder durable: what was created in it, renamed or removed survives a power cut."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def part_of(target: Path) -> Iterator[Path]:
    """Give an empty temporary file beside `target`; remove it at the end, unless it was renamed by then."""
    part = target.with_name(target.name + ".part")
    part.unlink(missing_ok=True)
    try:
        os.close(create(part))
        yield part
    finally:
        part.unlink(missing_ok=True)


def move_new(part: Path, target: Path) -> None:
    """Give a file its name; raise `FileExistsError` when something has that name already, a dangling link too."""
    try:
        os.link(part, target, follow_symlinks=False)
    except FileExistsError:
        raise
    except OSError:  # a file system without hard links
        if os.path.lexists(target):
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(target)) from None
        part.rename(target)
