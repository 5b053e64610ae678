"""Where a job's files lie: on this machine, or in another system. What is seen of them, what they hold, moving them.

What always holds: looking changes nothing; a file is told from another that took its name by size, time and mark; what
is moved overwrites nothing. Pipes, links to elsewhere and other things that are no plain files are none.
"""

from __future__ import annotations

import errno
import glob
import hashlib
import logging
import os
import shutil
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Protocol

from syncer.errors import OutputError
from syncer.safe.files import PART, Folder, new_file
from syncer.source.inputs import open_input

if TYPE_CHECKING:
    from syncer.config.input_settings import FilesSettings

log = logging.getLogger(__name__)
BLOCK_BYTES = 1 << 20
NAMES_MAX = 1000
"""How many files of one name a folder for what is done may have."""


@dataclass(frozen=True, slots=True)
class SeenFile:
    """A file as it was seen. ``mark`` changes with its content where a system tells that, else with the file itself."""

    path: str
    size: int
    mtime_ns: int
    mark: str

    @property
    def mtime_s(self) -> float:
        """When it was written, by its own system's clock."""
        return self.mtime_ns / 1e9


class AwayError(Exception):
    """A place cannot be looked at just now; it may be again."""


class ChangedError(Exception):
    """A file is not what was seen any more."""


class Place(Protocol):
    """One kind of place.

    ``skew_s`` is by how much the clock that its times come from may be wrong; ``pause_s`` the pause between two looks.
    """

    skew_s: float
    pause_s: float

    @property
    def copies(self) -> Mapping[str, Path]:
        """Where on this machine lies what a file held, for those that do not lie here themselves."""
        ...

    def look(self) -> list[SeenFile]:
        """Return the files that match, by name. Raises `AwayError`."""
        ...

    def written_s(self, path: str) -> float | None:
        """Return when such a file, of whatever size, was written; None: there is none. Raises `AwayError`."""
        ...

    def content(self, one: SeenFile) -> str:
        """Return the SHA-256 of a file's content, in hex. Raises `AwayError`, and `ChangedError`."""
        ...

    def pass_over(self, one: SeenFile) -> None:
        """Take note of a file that nobody reads, so that it can be moved like one that was."""
        ...

    def done(self, files: Mapping[str, str | None]) -> Mapping[str, str]:
        """Move files, with their marks (None: it has none), to where what is done lies; raise `OutputError`.

        A file that was written again since its content was read is the next run's, and stays with its mark. Returns
        where each of the others is now.
        """
        ...


class LocalPlace:
    """Folders of this machine. ``folder`` is where a relative pattern begins."""

    skew_s, pause_s = 0.0, 1.0
    copies: Mapping[str, Path] = {}

    def __init__(self, files: FilesSettings, folder: Path) -> None:
        self._pattern = os.path.join(glob.escape(str(folder)), str(files.pattern))
        self._done = None if files.done is None else folder / files.done
        self._contents: dict[SeenFile, str] = {}
        self._seen: dict[str, SeenFile] = {}

    def look(self) -> list[SeenFile]:
        """Return the plain files that match."""
        found = []
        for path in sorted(glob.glob(self._pattern)):
            with suppress(OSError):
                if os.path.isfile(path) and not path.endswith(PART):
                    found.append(_seen(path))
        return found

    def written_s(self, path: str) -> float | None:
        """Return the time of whatever has this name."""
        try:
            return os.stat(path).st_mtime_ns / 1e9
        except OSError:
            return None

    def content(self, one: SeenFile) -> str:
        """Read a file once, and remember what it held; raise `ChangedError` if it is not what was seen any more."""
        if one not in self._contents:
            digest = hashlib.sha256()
            with open_input(Path(one.path), one.path) as file:
                while block := file.read(BLOCK_BYTES):
                    digest.update(block)
            if _seen(one.path) != one:
                raise ChangedError(one.path)
            self._contents[one] = digest.hexdigest()
        self.pass_over(one)
        return self._contents[one]

    def pass_over(self, one: SeenFile) -> None:
        """Keep what was seen of it."""
        self._seen[one.path] = one

    def done(self, files: Mapping[str, str | None]) -> Mapping[str, str]:
        """Rename the files into the folder, which is made if there is none; onto another disk they are copied."""
        moved = dict[str, str]()
        if self._done is None:
            return moved
        target = self._done
        try:
            Folder.open(target, make=True).close() if not target.is_dir() else None
            with Folder.above(target / "x", ours=False) as into:
                for path, mark in files.items():
                    if _seen(path) != self._seen.get(path):
                        log.warning("%s was written again since it was seen: it stays for the next run", path)
                        continue
                    moved[path] = str(target / _move(path, into))
                    if mark is not None and os.path.lexists(mark):
                        _move(mark, into)
        except OSError as error:
            raise not_moved([*files], str(target), str(error.strerror), None, f"ls -ld {target}") from error
        return moved


def not_moved(files: Sequence[str], target: str, words: str, remedy: str | None, next: str) -> OutputError:
    """Return the error for files that could not be moved when they were done."""
    return OutputError(
        f"{', '.join(files)} cannot be moved to {target}: {words}; the run itself is recorded, and the same content is "
        "not synced again",
        remedy=remedy,
        next=next,
    )


def mark_of(path: str, form: str) -> str:
    """Return the name of the mark that stands beside a file; ``form`` is like ``{name}.done``."""
    folder, slash, name = path.rpartition("/")
    return folder + slash + form.replace("{name}", name).replace("{stem}", PurePosixPath(name).stem)


def numbered(name: str, number: int) -> str:
    """Return the name under which a file is put where ``number`` others have its own."""
    return f"{name}{f'.{number}' if number else ''}"


def _seen(path: str) -> SeenFile:
    found = os.stat(path)
    return SeenFile(path, found.st_size, found.st_mtime_ns, str(found.st_ino))


def _move(path: str, into: Folder) -> str:
    """Move a file into the folder; return its name there."""
    name = Path(path).name
    with Folder.above(Path(path), ours=False) as folder:
        for number in range(NAMES_MAX):
            with suppress(FileExistsError):
                try:
                    folder.move(name, numbered(name, number), into=into, new=True)
                except OSError as error:
                    if error.errno != errno.EXDEV:
                        raise
                    _move_by_copy(folder, name, into, numbered(name, number))
                return numbered(name, number)
    raise FileExistsError(errno.EEXIST, f"{NAMES_MAX:,} files are named {name}")


def _move_by_copy(folder: Folder, name: str, into: Folder, to: str) -> None:
    """Move a file to another disk: the copy is whole and durable before the file itself is gone."""
    with open_input(folder.path / name, name) as file, new_file(into, to) as copy:
        shutil.copyfileobj(file, copy.file, BLOCK_BYTES)
        found = os.fstat(file.fileno())
        copy.file.flush()
        os.utime(copy.file.fileno(), ns=(found.st_atime_ns, found.st_mtime_ns))
        copy.keep(new=True)
    folder.remove(name)
