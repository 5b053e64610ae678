"""The one door to files: whatever the program makes, replaces, sweeps or trusts goes through here.

What always holds: a file is made 0600 and a folder 0700, whatever the umask (`NewFile.show_to_all` alone widens
that); a file gets its name whole, by a rename in a folder that was opened once, so no link that others plant is
followed; what is used in place is a plain file of ours with one name. `UntrustedError` says whose something is, with
which mode, and what helps. A file that is being written lies beside its name and is gone when that fails; only a
process that is killed leaves one, and the next takes it away. Links in the path above a folder are followed: people
move folders to other disks.
"""

from __future__ import annotations

import contextlib
import errno
import io
import os
import secrets
import shutil
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import IO, TextIO

from syncer.safe.trust import UntrustedError, quoted, require_file, require_ours, require_own_links

FILE_MODE = 0o600
FOLDER_MODE = 0o700
SHOWN_MODE = 0o644
DATABASE_MARK = b"SQLite format 3\0"
PART = ".part"
_OPEN = os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK


class Folder:
    """A folder that is open: what is done in it is done there, wherever its name leads by then. A context manager."""

    def __init__(self, path: Path, descriptor: int) -> None:
        self.path = path
        self._descriptor = descriptor

    @classmethod
    def open(cls, path: Path, *, make: bool = False) -> Folder:
        """Open a folder of ours; raise `UntrustedError` for a link, or for what others may change.

        ``make``: with the folders above, where there is none.
        """
        if make:
            for missing in reversed([one for one in (path, *path.parents) if not os.path.lexists(one)]):
                _make(missing, None)
        return cls._ours(path, path, None)

    @classmethod
    def above(cls, path: Path, *, ours: bool = True) -> Folder:
        """Open the folder that a file is in, by whatever links; ``ours``: raise when others may change it."""
        folder = cls(path.parent, os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC))
        if ours:
            folder._require_ours()
        return folder

    @classmethod
    def _ours(cls, path: Path, name: str | Path, above: int | None) -> Folder:
        try:
            descriptor = os.open(name, os.O_RDONLY | os.O_DIRECTORY | _OPEN, dir_fd=above)
        except OSError as error:
            if error.errno in {errno.ENOTDIR, errno.ELOOP} and _is_link(name, above):
                words = "is a link: nothing is read or written through it"
                raise UntrustedError(path, words, f"ls -ld {quoted(path)}  # and name the folder itself") from error
            raise
        folder = cls(path, descriptor)
        folder._require_ours()
        return folder

    def _require_ours(self) -> None:
        try:
            require_ours(self.path, os.fstat(self._descriptor))
        except UntrustedError:
            self.close()
            raise

    def sub(self, name: str, *, make: bool = False) -> Folder:
        """Open a folder of ours in this one, under the same conditions."""
        if make:
            _make(Path(name), self._descriptor)
        return self._ours(self.path / name, name, self._descriptor)

    def names(self) -> list[str]:
        """Return what is in the folder, in the order of the names."""
        return sorted(os.listdir(self._descriptor))

    def stat(self, name: str) -> os.stat_result | None:
        """Look at a name, not at what a link leads to; None: there is no such name."""
        try:
            return os.stat(name, dir_fd=self._descriptor, follow_symlinks=False)
        except FileNotFoundError:
            return None

    def create(self, name: str) -> int:
        """Create a file and return its descriptor to read and write; raise `FileExistsError` for a link too."""
        flags = os.O_CREAT | os.O_EXCL | os.O_RDWR | _OPEN
        descriptor = os.open(name, flags, FILE_MODE, dir_fd=self._descriptor)
        os.fchmod(descriptor, FILE_MODE)  # a umask may have taken even the owner's rights
        return descriptor

    def read(self, name: str) -> io.BufferedReader:
        """Open a plain file of ours to read."""
        descriptor = os.open(name, os.O_RDONLY | _OPEN, dir_fd=self._descriptor)
        try:
            require_file(self.path / name, os.fstat(descriptor))
        except OSError:
            os.close(descriptor)
            raise
        return os.fdopen(descriptor, "rb")

    def require_in_place(self, name: str) -> None:
        """Raise `UntrustedError` when this is there and no plain file of ours with one name: it is written in place."""
        found = self.stat(name)
        if found is not None:
            _require_one_name(self.path / name, found)

    def open_in_place(self, name: str) -> int:
        """Return the descriptor of a plain file of ours, for us alone, to read and write; created if it is missing."""
        with contextlib.suppress(FileExistsError):
            return self.create(name)
        descriptor = -1
        try:
            self.require_in_place(name)  # a device must not even be opened
            descriptor = os.open(name, os.O_RDWR | _OPEN, dir_fd=self._descriptor)
            found = os.fstat(descriptor)
            _require_one_name(self.path / name, found)
            if stat.S_IMODE(found.st_mode) != FILE_MODE and found.st_uid == os.geteuid():
                os.fchmod(descriptor, FILE_MODE)
        except OSError:
            if descriptor >= 0:
                os.close(descriptor)
            raise
        return descriptor

    def remove(self, name: str) -> None:
        """Remove a name, if it is there: of a link the link itself."""
        with contextlib.suppress(FileNotFoundError):
            os.unlink(name, dir_fd=self._descriptor)

    def move(self, name: str, to: str, *, into: Folder | None = None, new: bool = False) -> None:
        """Give a file another name, here or in another folder; ``new``: raise `FileExistsError` if that is taken."""
        target = (into or self)._descriptor
        if new:
            try:
                os.link(name, to, src_dir_fd=self._descriptor, dst_dir_fd=target, follow_symlinks=False)
            except FileExistsError:
                raise
            except OSError:  # a file system without hard links
                if (into or self).stat(to) is not None:
                    raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), to) from None
            else:
                self.remove(name)
                return
        os.rename(name, to, src_dir_fd=self._descriptor, dst_dir_fd=target)

    @contextmanager
    def temporary(self, name: str | None = None) -> Iterator[Folder]:
        """Give a new folder in this one, and remove it with all that is in it at the end.

        ``name``: under which one that a dead process left is removed, too; None: some name that nothing has.
        """
        name = f"{PART}-{secrets.token_hex(8)}" if name is None else name
        shutil.rmtree(name, ignore_errors=True, dir_fd=self._descriptor)
        with self.sub(name, make=True) as folder:
            try:
                yield folder
            finally:
                shutil.rmtree(name, ignore_errors=True, dir_fd=self._descriptor)

    def sync(self) -> None:
        """Make the names durable: what was created here, renamed or removed survives a power cut."""
        os.fsync(self._descriptor)

    def close(self) -> None:
        """Close the folder."""
        os.close(self._descriptor)

    def __enter__(self) -> Folder:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class NewFile:
    """A new file that is written beside its name: `keep` gives it the name, `drop` takes away what has none.

    ``folder`` must stay open until then.
    """

    def __init__(self, folder: Folder, name: str) -> None:
        self._folder, self._name, self._part = folder, name, name + PART
        folder.remove(self._part)
        self.path = folder.path / self._part
        self.file: IO[bytes] = os.fdopen(folder.create(self._part), "w+b")
        self._kept = False

    def text(self, encoding: str = "utf-8") -> TextIO:
        """Return the file for text whose line ends stay as they are; what the encoding lacks becomes ``?``."""
        return _Text(self.file, encoding=encoding, errors="replace", newline="", write_through=True)

    def show_to_all(self) -> None:
        """Let every account read the file: it holds what is no secret, for a monitor that runs as another user."""
        os.fchmod(self.file.fileno(), SHOWN_MODE)

    def keep(self, *, new: bool = False, into: Folder | None = None) -> None:
        """Make the file durable under its name, here or in another folder, in place of another file.

        ``new``: raise `FileExistsError` if there is one. Raises `OSError` when the name is a folder's or a device's.
        """
        self.file.flush()
        os.fsync(self.file.fileno())
        target = into or self._folder
        found = target.stat(self._name)
        if found is not None and not (stat.S_ISREG(found.st_mode) or stat.S_ISLNK(found.st_mode)):
            kind = errno.EISDIR if stat.S_ISDIR(found.st_mode) else errno.EINVAL
            raise OSError(kind, os.strerror(kind), self._name)
        self._folder.move(self._part, self._name, into=target, new=new)
        self._kept = True
        self.file.close()
        target.sync()

    def drop(self) -> None:
        """Leave nothing of a file that was not kept, also where its last bytes cannot be written."""
        try:
            self.file.close()
        finally:
            if not self._kept:
                self._folder.remove(self._part)


class _Text(io.TextIOWrapper):
    """Text over a new file, which outlives it."""

    def close(self) -> None:
        if not self.buffer.closed:
            self.flush()


@contextmanager
def new_file(folder: Folder, name: str) -> Iterator[NewFile]:
    """Give a new file beside a name in a folder; it is gone at the end unless it was kept."""
    part = NewFile(folder, name)
    try:
        yield part
    finally:
        part.drop()


@contextmanager
def replacing(path: Path) -> Iterator[NewFile]:
    """Give a new file that gets its name, in place of another, when nothing is raised.

    For what the user names: its folder may be one that many share. A link under its name is replaced, not followed. A
    database is never replaced: it may be a ledger.
    """
    with Folder.above(path, ours=False) as folder:
        if is_database(path):
            raise FileExistsError(errno.EEXIST, "it is a database, perhaps the ledger")
        with new_file(folder, path.name) as part:
            yield part
            part.keep()


def is_database(path: Path) -> bool:
    """Tell whether there is a database file of this name."""
    with suppress(OSError):
        if stat.S_ISREG(os.lstat(path).st_mode):
            with open_at_once(path) as file:
                return file.read(len(DATABASE_MARK)) == DATABASE_MARK
    return False


def read_own(path: Path) -> io.BufferedReader:
    """Open a plain file of ours in a folder of ours to read, neither through a link."""
    with Folder.open(path.parent) as folder:
        return folder.read(path.name)


def read_trusted(path: Path) -> tuple[bytes, os.stat_result]:
    """Return what a file that decides something holds, and its look; raise `UntrustedError` if others may change it.

    It may be a link of ours or root's, as administrators and containers make them.
    """
    require_own_links(path)
    with open_at_once(path) as file:
        found = os.fstat(file.fileno())
        require_file(path, found)
        return file.read(), found


def open_at_once(path: Path) -> io.BufferedReader:
    """Open whatever has a name to read, without waiting for who writes it; the caller looks at what it is."""
    return os.fdopen(os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK), "rb")


def spool() -> IO[bytes]:
    """Return a temporary file without a name: nobody else can open it, and it is gone with the process."""
    return tempfile.TemporaryFile()


def _make(path: Path, above: int | None) -> None:
    """Make a folder for us alone, if there is nothing under its name."""
    with contextlib.suppress(FileExistsError):
        os.mkdir(path, FOLDER_MODE, dir_fd=above)
        descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | _OPEN, dir_fd=above)
        try:
            os.fchmod(descriptor, FOLDER_MODE)  # a umask may have taken even the owner's rights
        finally:
            os.close(descriptor)


def _is_link(name: str | Path, above: int | None) -> bool:
    try:
        return stat.S_ISLNK(os.stat(name, dir_fd=above, follow_symlinks=False).st_mode)
    except OSError:
        return False


def _require_one_name(path: Path, found: os.stat_result) -> None:
    require_file(path, found)
    if found.st_nlink > 1:
        copy = quoted(path.with_name(f"{path.name}.copy"))
        words = f"has {found.st_nlink} names (hard links): through another of them others may hold it"
        raise UntrustedError(path, words, f"cp -p {quoted(path)} {copy} && mv {copy} {quoted(path)}")
