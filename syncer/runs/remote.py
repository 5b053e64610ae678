"""Files of other systems (S3, SFTP, Azure, Google) as a place of arrival, through fsspec: copied whole, then read.

What always holds: a copy lies in a folder of ours alone, under a number, whatever the file is called there; it counts
only when size, time and mark were the same before and after, and as many bytes came; it is gone with the command.
Credentials are found by each system's own convention. No address with a secret is taken, and no word that may hold one
is shown. SSH servers must be known (`~/.ssh/known_hosts`).
"""

from __future__ import annotations

import errno
import hashlib
import logging
import os
import re
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from syncer.errors import ConfigError, SyncerError
from syncer.runs.places import BLOCK_BYTES, NAMES_MAX, AwayError, ChangedError, SeenFile, not_moved, numbered
from syncer.runs.systems import System, is_access, open_system, system_of, told
from syncer.safe.files import PART, Folder
from syncer.source.foreign import quiet

if TYPE_CHECKING:
    from types import TracebackType

    from syncer.process.signals import Interrupt

log = logging.getLogger(__name__)
READ_BYTES = 8 * BLOCK_BYTES
"""Of one request for a part of a file."""
HOUR_S = 3600.0
_WILD = re.compile(r"[*?]")
Result = TypeVar("Result")


class RemotePlace:
    """The files of another system that match a URL. A context manager: the copies are gone behind it.

    ``done`` is one that `config.done` takes. Raises `ConfigError` when a library is missing or access is refused.
    """

    def __init__(self, pattern: str, done: str | None, interrupt: Interrupt) -> None:
        self._system: System
        self._system, self._pattern = system_of(pattern)
        self._root = pattern[: len(pattern) - len(self._pattern)]
        """What stands before a path to make a URL of it."""
        self._where = "/".join(pattern.split("/", 3)[:3])
        """The bucket or host, for people."""
        self._done = None if done is None else done.rstrip("/")
        self._interrupt = interrupt
        self._stack = ExitStack()
        self._folder: Folder | None = None
        self._contents: dict[SeenFile, str] = {}
        self._looks: dict[str, SeenFile] = {}
        self.copies: dict[str, Path] = {}
        # Objects appear whole, with the time of that; a server's clock is its own.
        self.skew_s, self.pause_s = HOUR_S if self._system.appends else 0.0, 5.0
        self._opened: Any = None

    @property
    def _files(self) -> Any:
        """The file system, opened when it is asked first: a host may be away."""
        if self._opened is None:
            self._opened = open_system(self._system, self._where)
        return self._opened

    def __enter__(self) -> RemotePlace:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()

    def look(self) -> list[SeenFile]:
        """Return the plain files that match; names that lead elsewhere are none."""
        with self._interrupt.at_once(), self._asked():
            self._files.invalidate_cache()
            found = [self._seen(info) for info in self._matching() if info.get("type") == "file"]
        return sorted((one for one in found if not one.path.endswith((PART, "/"))), key=lambda one: one.path)

    def _matching(self) -> Iterator[Mapping[str, Any]]:
        """Give what is known of each file that the pattern names, folder after folder."""
        first, *rest = _WILD.split(self._pattern, maxsplit=1)
        if not rest:
            found = self._info(self._pattern)
            yield from [] if found is None else [found]
            return
        above = first.rpartition("/")[0]
        levels = self._pattern[len(above) :].lstrip("/").split("/")
        folders = [above or "/"]
        for depth, level in enumerate(levels, 1):
            wanted = re.compile("".join({"*": ".*", "?": "."}.get(sign, re.escape(sign)) for sign in level), re.DOTALL)
            inside = [info for folder in folders for info in self._listed(folder) if wanted.fullmatch(_name(info))]
            if depth == len(levels):
                yield from inside
            folders = [str(info["name"]).rstrip("/") for info in inside if info.get("type") == "directory"]

    def _listed(self, folder: str) -> list[Mapping[str, Any]]:
        """Return what is in a folder, and only what says that it is."""
        try:
            infos = self._files.ls(folder, detail=True)
        except (FileNotFoundError, NotADirectoryError):
            return []
        begin = folder.rstrip("/") + "/"
        return [
            info
            for info in infos
            if str(info["name"]).rstrip("/") == begin + _name(info) and _name(info) not in {"", ".", ".."}
        ]

    def _info(self, path: str) -> Mapping[str, Any] | None:
        try:
            self._files.invalidate_cache()
            found: Mapping[str, Any] = self._files.info(path)
        except FileNotFoundError:
            return None
        return found

    def _seen(self, info: Mapping[str, Any]) -> SeenFile:
        return SeenFile(self._root + str(info["name"]), int(info.get("size") or 0), _written_ns(info), _mark(info))

    def written_s(self, path: str) -> float | None:
        """Ask when such a file was written."""
        with self._interrupt.at_once(), self._asked():
            info = self._info(path.removeprefix(self._root))
        return None if info is None else _written_ns(info) / 1e9

    def content(self, one: SeenFile) -> str:
        """Copy a file whole into the folder that is ours alone."""
        if one not in self._contents:
            with self._interrupt.at_once(), self._asked():
                try:
                    self._contents[one] = self._copied(one)
                except FileNotFoundError:
                    raise ChangedError(one.path) from None
        return self._contents[one]

    def pass_over(self, one: SeenFile) -> None:
        """Keep what was seen of it in the list, whose marks need not be those of a single look."""
        self._looks[one.path] = replace(one, mark="")

    def _copied(self, one: SeenFile) -> str:
        path = one.path.removeprefix(self._root)
        before = self._info(path)
        if before is None or (before.get("size"), _written_ns(before)) != (one.size, one.mtime_ns):
            raise ChangedError(one.path)
        folder, name = self._private(), str(len(self._contents))
        folder.remove(name)
        digest, size = hashlib.sha256(), 0
        with (
            os.fdopen(folder.create(name), "wb") as copy,
            self._files.open(path, "rb", block_size=READ_BYTES, cache_type="none") as file,
        ):
            while size < one.size and (block := file.read(min(READ_BYTES, one.size - size))):
                digest.update(block)
                size += len(block)
                copy.write(block)
            copy.flush()
            os.utime(copy.fileno(), ns=(one.mtime_ns, one.mtime_ns))
        after = self._info(path)
        if after is None or size != one.size or self._seen(after) != self._seen(before):
            raise ChangedError(one.path)
        self.copies[one.path] = folder.path / name
        self._looks[one.path] = self._seen(after)
        return digest.hexdigest()

    def _private(self) -> Folder:
        if self._folder is None:
            above = self._stack.enter_context(Folder.above(Path(tempfile.gettempdir()) / "x", ours=False))
            self._folder = self._stack.enter_context(above.temporary())
        return self._folder

    def done(self, files: Mapping[str, str | None]) -> Mapping[str, str]:
        """Move files that are still what was read; one that was written again since is the next run's."""
        target, moved = "", dict[str, str]()
        try:
            with self._asked():
                for url, mark in files.items():
                    path = url.removeprefix(self._root)
                    target = self._done_folder(path)
                    found = self._info(path)
                    if found is None or not _is_same(self._seen(found), self._looks[url]):
                        log.warning("%s was written again since it was seen: it stays for the next run", url)
                        continue
                    moved[url] = self._root + self._move(path, target)
                    if mark is not None and self._info(mark.removeprefix(self._root)) is not None:
                        self._move(mark.removeprefix(self._root), target)
        except (AwayError, SyncerError) as error:
            words = error.message if isinstance(error, SyncerError) else str(error)
            raise not_moved(
                [*files], self._root + target, words, self._system.remedy.format(self._where), "syncer check"
            ) from None
        return moved

    def _done_folder(self, path: str) -> str:
        """Return the folder for what is done: a URL of the same system, or a name beside the file."""
        if self._done is not None and self._done.startswith(self._where):
            return self._done.removeprefix(self._root)
        return f"{path.rpartition('/')[0]}/{self._done}"

    def _move(self, path: str, folder: str) -> str:
        """Move a file into the folder; return its path there."""
        if self._system.appends:
            self._files.makedirs(folder, exist_ok=True)
        name = path.rpartition("/")[2]
        for number in range(NAMES_MAX):
            to = f"{folder}/{numbered(name, number)}"
            if self._info(to) is None:
                if self._system.appends:
                    self._files.mv(path, to)
                else:
                    self._files.cp_file(path, to)
                    self._files.rm_file(path)
                return to
        raise FileExistsError(17, f"{NAMES_MAX:,} files are named {name}")

    @contextmanager
    def _asked(self) -> Iterator[None]:
        """Let what a library raises be a refusal of access, or a place that is away; and let it print nothing."""
        try:
            with quiet():
                yield
        except (SyncerError, ChangedError, AwayError):
            raise
        except Exception as error:  # each system has errors of its own, and so have the libraries below it
            if isinstance(error, OSError) and error.errno in {errno.ENOSPC, errno.EDQUOT}:
                words = f"the copy does not fit into {tempfile.gettempdir()}: {error.strerror}"
                raise ConfigError(words, remedy="make room there, or set TMPDIR to a larger folder") from None
            if is_access(error):
                words = f"{self._where} gives no access: {told(error)}"
                raise ConfigError(words, remedy=self._system.remedy.format(self._where)) from None
            raise AwayError(f"{self._where} cannot be looked at: {told(error)}") from None


def _is_same(now: SeenFile, before: SeenFile) -> bool:
    return before == (now if before.mark else replace(now, mark=""))


def _name(info: Mapping[str, Any]) -> str:
    return str(info["name"]).rstrip("/").rpartition("/")[2]


def _written_ns(info: Mapping[str, Any]) -> int:
    """Return when a file was written, in whole seconds: listings and single looks tell more or less of a second."""
    for name in ("LastModified", "last_modified", "mtime", "updated"):
        found = info.get(name)
        if isinstance(found, str):
            found = datetime.fromisoformat(found)
        if isinstance(found, datetime):
            return int(found.timestamp()) * 10**9
    raise AwayError("it does not say when the file was written")


def _mark(info: Mapping[str, Any]) -> str:
    return str(info.get("ETag") or info.get("etag") or info.get("generation") or "").strip('"')
