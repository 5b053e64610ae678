"""Which files a job is to sync: those that its pattern finds, whole, ready, and not synced before.

What always holds: a file counts as there when its ready mark stands beside it and it has kept its size and time for
``settle_s``; its content is synced once, whatever its name; every wait ends. Reads and moves files, never writes one.
"""

from __future__ import annotations

import glob
import hashlib
import os
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from syncer.errors import ArrivalError, OutputError, UsageError
from syncer.safe.files import PART, Folder
from syncer.source.inputs import open_input

if TYPE_CHECKING:
    from syncer.config.settings import FilesSettings
    from syncer.process.clock import Clock
    from syncer.process.signals import Interrupt

Known = Callable[[Sequence[str]], Mapping[str, int]]
"""Gives, of some contents (SHA-256), those that a completed run of the job has read, with its number."""
LOOK_S = 1.0
"""Pause between two looks at a folder."""
BLOCK_BYTES = 1 << 20
HOUR_S = 3600


@dataclass(frozen=True, slots=True)
class _Look:
    """A file as it was seen."""

    path: str
    size: int
    mtime_ns: int
    inode: int

    @property
    def mtime_s(self) -> float:
        return self.mtime_ns / 1e9


@dataclass(slots=True)
class Arrival:
    """Waits for the files of one job. ``folder`` is where a relative pattern begins."""

    job: str
    files: FilesSettings
    folder: Path
    known: Known
    clock: Clock
    interrupt: Interrupt
    _since: dict[_Look, float] = field(default_factory=dict)
    _contents: dict[_Look, str] = field(default_factory=dict)

    def wait(self) -> list[tuple[str, ...]]:
        """Return what is to be synced: the files of one run after the other; none when all were synced before.

        Raises `ArrivalError` when no file has come, when the newest is too old, still being written, or without its
        ready mark; and also when all are known although `wait_s` or `max_age_h` says that a new one is expected.
        """
        begun_s = self.clock.monotonic_s()
        give_up_s = begun_s + max(self.files.wait_s, self.files.settle_s)
        while True:
            self.interrupt.check("while waiting for a file; nothing was sent")
            found, words = self._look()
            now_s = self.clock.monotonic_s()
            if found is not None and (found or self.files.wait_s == 0 or now_s >= give_up_s):
                if not found and self.files.wait_s > 0:
                    raise self._missing(words)
                return found
            unsettled = words.endswith(_WRITTEN)
            if now_s >= (give_up_s if unsettled else begun_s + self.files.wait_s):
                raise self._missing(words)
            self.clock.sleep_s(min(LOOK_S, give_up_s - now_s))

    def _look(self) -> tuple[list[tuple[str, ...]] | None, str]:
        """Look once: what is to be synced, or None; and what is missing."""
        there = self._there()
        if not there:
            return None, f"no file matches {self.files.pattern}"
        ready = [one for one in there if self._is_ready(one.path)]
        if not ready:
            return None, f"{there[-1].path} is there, but not its ready mark {self._mark(there[-1].path)}"
        newest = max(ready, key=lambda one: (one.mtime_ns, one.path))
        age_h = (self.clock.wall_s() - newest.mtime_s) / HOUR_S
        if self.files.max_age_h is not None and age_h > self.files.max_age_h:
            written = datetime.fromtimestamp(newest.mtime_s, UTC).strftime("%Y-%m-%d %H:%M:%SZ")
            return None, f"the newest file, {newest.path}, was written {age_h:,.1f} h ago ({written})"
        chosen = [newest] if self.files.take == "newest" else ready
        for one in chosen:
            if not self._is_settled(one):
                return None, f"{one.path} {_WRITTEN}"
        return self._new(chosen)

    def _there(self) -> list[_Look]:
        """Return the files that match, by name; marks, and what is being written under another name, are none."""
        found = []
        for path in sorted(glob.glob(str(self.folder / str(self.files.pattern)))):
            with suppress(OSError):
                stat = os.stat(path)
                if os.path.isfile(path) and not path.endswith(PART):
                    found.append(_Look(path, stat.st_size, stat.st_mtime_ns, stat.st_ino))
        marks = {self._mark(one.path) for one in found} if self.files.ready else set()
        return [one for one in found if one.path not in marks]

    def _mark(self, path: str) -> str:
        place = Path(path)
        name = str(self.files.ready).replace("{name}", place.name).replace("{stem}", place.stem)
        return str(place.parent / name)

    def _is_ready(self, path: str) -> bool:
        return self.files.ready is None or os.path.exists(self._mark(path))

    def _is_settled(self, one: _Look) -> bool:
        """Tell whether a file kept its size and time: by its time, or by what was seen of it here."""
        since_s = self._since.setdefault(one, self.clock.monotonic_s())
        quiet_s = self.files.settle_s
        return self.clock.wall_s() - one.mtime_s >= quiet_s or self.clock.monotonic_s() - since_s >= quiet_s

    def _new(self, chosen: Sequence[_Look]) -> tuple[list[tuple[str, ...]] | None, str]:
        """Leave out what was synced before: each content once, also within one folder."""
        contents = {one: self._content(one) for one in chosen}
        known = self.known([*contents.values()])
        if all(content in known for content in contents.values()):
            last = chosen[-1]
            return [], f"{last.path} was synced by run {known[contents[last]]}, and no newer file has come"
        if self.files.take == "all":
            return [tuple(one.path for one in chosen)], ""
        fresh = {content: one.path for one, content in reversed(contents.items()) if content not in known}
        return [(path,) for path in sorted(fresh.values())], ""

    def _content(self, one: _Look) -> str:
        if one not in self._contents:
            digest = hashlib.sha256()
            with open_input(Path(one.path), one.path) as file:
                while block := file.read(BLOCK_BYTES):
                    digest.update(block)
            self._contents[one] = digest.hexdigest()
        return self._contents[one]

    def _missing(self, words: str) -> ArrivalError:
        return ArrivalError(
            f"job {self.job}: {words}",
            next=f"see what the export does; when the file is there: syncer sync --job {self.job}",
        )

    def done(self, files: Sequence[str]) -> None:
        """Move files, with their ready marks, into the folder for what is done; raise `OutputError` if that fails."""
        if self.files.done is None:
            return
        target = self.folder / self.files.done
        try:
            Folder.open(target, make=True).close() if not target.is_dir() else None
            with Folder.above(target / "x", ours=False) as into:
                for path in files:
                    with Folder.above(Path(path), ours=False) as folder:
                        _move(folder, Path(path).name, into)
                        if self.files.ready is not None and folder.stat(Path(self._mark(path)).name) is not None:
                            _move(folder, Path(self._mark(path)).name, into)
        except OSError as error:
            raise OutputError(
                f"{', '.join(files)} cannot be moved to {target}: {error.strerror}; the run itself is recorded, and "
                "the same content is not synced again",
                next=f"ls -ld {target}",
            ) from error


_WRITTEN = "is still being written"


def _move(folder: Folder, name: str, into: Folder) -> None:
    for number in range(1000):
        with suppress(FileExistsError):
            folder.move(name, f"{name}{f'.{number}' if number else ''}", into=into, new=True)
            return
    raise FileExistsError(17, f"a thousand files are named {name}")


def named_files(patterns: Sequence[str], *, several: bool, job: str) -> tuple[str, ...]:
    """Return the files that the command line names, its patterns resolved.

    Raises `UsageError` for a pattern that no file matches, and for one that matches more than one full export, unless
    `several` files may belong together.
    """
    found: list[str] = []
    for pattern in patterns:
        if not glob.has_magic(pattern) or os.path.lexists(pattern):
            found.append(pattern)
            continue
        matching = sorted(glob.glob(pattern))
        if not matching:
            raise UsageError(f"no file matches {pattern}", next="put the export there, or correct the pattern")
        if len(matching) > 1 and not several:
            newest = max(matching, key=lambda path: (os.stat(path).st_mtime_ns, path))
            raise UsageError(
                f"{len(matching)} files match {pattern}, and a full export is one; the newest is {newest}. Parts of "
                f'one export are told by jobs.{job}.files.take = "all", files of changes by jobs.{job}.export',
                next=f"syncer sync --job {job} {newest}",
            )
        found += matching
    return tuple(found)
