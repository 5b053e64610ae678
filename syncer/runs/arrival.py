"""Which files a job is to sync: those that its pattern finds, whole, ready, and not synced before.

What always holds: a file counts as there when a ready mark that is no older than it stands beside it, and it has kept
its size and time for ``settle_s``; its content is synced once, whatever its name, unless a file brings back what newer
ones overwrote; what was passed over for a newer file is not taken later; every wait ends. Where nothing new is awaited,
the files of the newest run are read again for as long as it is not complete. Reads and moves files, never writes one.
"""

from __future__ import annotations

import glob
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from shlex import quote
from typing import TYPE_CHECKING

from syncer.errors import ArrivalError, DeadlineError, UsageError
from syncer.runs.places import AwayError, ChangedError, Place, SeenFile, mark_of

if TYPE_CHECKING:
    from syncer.config.input_settings import FilesSettings
    from syncer.ledger.past_runs import Reading
    from syncer.process.clock import Clock
    from syncer.process.signals import Interrupt

Known = Callable[[Sequence[str]], "Mapping[str, Reading]"]
"""Gives, of some contents (SHA-256), those that completed runs of the job have read."""


@dataclass(frozen=True, slots=True)
class Newest:
    """A job's newest run that has a plan. ``begun_s`` is when it began, in seconds since 1970."""

    run_id: int
    begun_s: float
    is_complete: bool


NewestRun = Callable[[], Newest | None]
HOUR_S = 3600
MARK_S = 2.0
"""By how much a mark may be older than its file: some file systems keep every other second."""
_WRITTEN = "is still being written"


@dataclass(slots=True)
class Arrival:
    """Waits for the files of one job."""

    job: str
    files: FilesSettings
    place: Place
    known: Known
    clock: Clock
    interrupt: Interrupt
    newest_run: NewestRun = lambda: None
    changes: bool = False
    """Whether its files hold only changes, so that each of them may bring something back."""
    synced: tuple[str, ...] = ()
    """The files that are there though they were synced before: a run before this one could not move them."""
    deadline_s: float | None = None
    """When the command shall be over, on the monotonic clock; None: it has no deadline."""
    passed_over: tuple[SeenFile, ...] = ()
    """Older files than the newest, which alone is taken: left behind, one would be the newest some night."""
    _since: dict[SeenFile, float] = field(default_factory=dict)
    _read_by: dict[str, int] = field(default_factory=dict)
    """Of each content that was synced before, by the last file that holds it: the run that read it."""

    def wait(self) -> list[tuple[str, ...]]:
        """Return what is to be synced: the files of one run after the other; none when all were synced before.

        Of these, those of the newest run are synced again if it is not complete.

        Raises `ArrivalError` when no file has come, when the newest is too old, still being written, or without its
        ready mark; and also when all are known although `wait_s` or `max_age_h` says that a new one is expected. And
        `DeadlineError` when the command's deadline comes while it waits.
        """
        begun_s = looked_s = self.clock.monotonic_s()
        give_up_s = begun_s + max(self.files.wait_s, self.files.settle_s)
        while True:
            self.interrupt.check("while waiting for a file; nothing was sent")
            found, words = self._look(looked_s)
            now_s = self.clock.monotonic_s()
            if found is not None and (found or self.files.wait_s == 0 or now_s >= give_up_s):
                if not found and self.files.wait_s > 0:
                    raise self._missing(words)
                return found or self._not_complete()
            unsettled = words.endswith(_WRITTEN)
            if now_s >= (give_up_s if unsettled else begun_s + self.files.wait_s):
                raise self._missing(words)
            if self.deadline_s is not None and now_s >= self.deadline_s:
                raise self._too_late(words)
            ends_s = give_up_s if self.deadline_s is None else min(give_up_s, self.deadline_s)
            self.clock.sleep_s(min(self.place.pause_s, ends_s - now_s))
            looked_s = self.clock.monotonic_s()

    def _look(self, now_s: float) -> tuple[list[tuple[str, ...]] | None, str]:
        """Look once: what is to be synced, or None; and what is missing. ``now_s`` is when the look began."""
        try:
            return self._look_once(now_s)
        except AwayError as error:
            return None, str(error)

    def _look_once(self, now_s: float) -> tuple[list[tuple[str, ...]] | None, str]:
        there = self._there()
        if not there:
            return None, f"no file matches {self.files.pattern}"
        lacking = {one: self._lacks(one) for one in there}
        ready, unready = [one for one in there if not lacking[one]], [words for words in lacking.values() if words]
        unmarked = unready[-1] if unready else ""
        if not ready or (unready and self.files.take == "all"):
            return None, unmarked
        written_s, _, _, newest = max((self._written_s(one), one.mtime_ns, one.path, one) for one in ready)
        age_h = (self.clock.wall_s() - written_s) / HOUR_S
        if self.files.max_age_h is not None and age_h > self.files.max_age_h:
            written = datetime.fromtimestamp(written_s, UTC).strftime("%Y-%m-%d %H:%M:%SZ")
            return None, f"the newest file, {newest.path}, was written {age_h:,.1f} h ago ({written})"
        chosen = [newest] if self.files.take == "newest" else ready
        unsettled = [one for one in chosen if not self._is_settled(one, now_s)]  # all of them are watched from now on
        if unsettled:
            return None, f"{unsettled[0].path} {_WRITTEN}"
        contents = dict[SeenFile, str]()
        for one in chosen:
            try:
                contents[one] = self.place.content(one)
            except ChangedError:
                return None, f"{one.path} {_WRITTEN}"
        self.passed_over = tuple(one for one in ready if one not in contents)
        if self.files.take == "all" and self._there() != there:
            return None, f"what matches {self.files.pattern} {_WRITTEN}"
        found, words = self._new(contents)
        return (None, unmarked) if unready and not found else (found, words)

    def _there(self) -> list[SeenFile]:
        """Return the files that match, by name; marks, and what is being written under another name, are none."""
        found = self.place.look()
        marks = {self._mark(one.path) for one in found} if self.files.ready else set()
        return [one for one in found if one.path not in marks]

    def _mark(self, path: str) -> str:
        return mark_of(path, str(self.files.ready))

    def _lacks(self, one: SeenFile) -> str:
        """Say what a file lacks to be ready. A mark that is older tells of what was there before.

        Beside a file whose time lies ahead, from a wrong clock or one of elsewhere, any mark counts.
        """
        if self.files.ready is None:
            return ""
        mark = self._mark(one.path)
        marked_s = self.place.written_s(mark)
        if marked_s is None:
            return f"{one.path} is there, but not its ready mark {mark}"
        if marked_s + MARK_S < one.mtime_s <= self.clock.wall_s():
            return f"{one.path} was written again after its ready mark {mark}, which tells of what was there before"
        return ""

    def _written_s(self, one: SeenFile) -> float:
        """Return when a file was written. A wrong clock may date one ahead: once read, it hides none of later."""
        newest = self.newest_run() if one.mtime_s > self.clock.wall_s() else None
        if newest is None:
            return one.mtime_s
        try:
            is_read = bool(self.known([self.place.content(one)]))
        except ChangedError:
            return one.mtime_s
        return min(one.mtime_s, newest.begun_s) if is_read else one.mtime_s

    def _is_settled(self, one: SeenFile, now_s: float) -> bool:
        """Tell whether a file kept its size and time: by its time, or by what was seen of it here."""
        since_s = self._since.setdefault(one, now_s)
        quiet_s = self.files.settle_s
        if not quiet_s or now_s - since_s >= quiet_s:
            return True
        return self.clock.wall_s() - one.mtime_s >= quiet_s + self.place.skew_s

    def _new(self, contents: Mapping[SeenFile, str]) -> tuple[list[tuple[str, ...]] | None, str]:
        """Leave out what was synced before: each content once, also within one folder, where its last place counts."""
        known = self.known([*contents.values()])
        last = {content: one.path for one, content in contents.items()}
        new = self._unsynced(contents, known, last)
        self.synced = tuple(one.path for one, content in contents.items() if content in known and one.path not in new)
        self._read_by = {path: known[content].run_id for content, path in last.items() if path not in new}
        if not new:
            one, content = [*contents.items()][-1]
            return [], f"{one.path} was synced by run {known[content].run_id}, and no newer file has come"
        if self.files.take == "all":
            self.synced = ()  # they go with the other parts
            return [tuple(one.path for one in contents)], ""
        return [(path,) for path in new], ""

    def _unsynced(
        self, contents: Mapping[SeenFile, str], known: Mapping[str, Reading], last: Mapping[str, str]
    ) -> list[str]:
        """Return the files that are to be read: of contents that no run has read, and what may bring something back.

        Such is one that comes after a file that is new. And so is the last file, a part, or any of changes, if another
        run came after the one that read the same. But the very file that was read, which is known by its time, has only
        stayed where it was.
        """
        new: list[str] = []
        for one, content in contents.items():
            reading = known.get(content)
            is_asked = self.changes or self.files.take == "all" or one.path == [*contents][-1].path
            is_back = is_asked and reading is not None and not reading.is_newest and one.mtime_s not in reading.times_s
            if last[content] == one.path and (reading is None or is_back or (new and self.files.take == "each")):
                new.append(one.path)
        return new

    def _not_complete(self) -> list[tuple[str, ...]]:
        """Return the files of the newest run, if it is not complete: what is not confirmed is not done either."""
        newest = self.newest_run()
        if newest is None or newest.is_complete:
            return []
        files = [(path,) for path, run_id in self._read_by.items() if run_id == newest.run_id]
        return [self.synced] if files and self.files.take == "all" else [*files]

    def _missing(self, words: str) -> ArrivalError:
        return ArrivalError(
            f"job {self.job}: {words}",
            remedy="see what the export does",
            next=f"syncer sync --job {self.job}",
        )

    def _too_late(self, words: str) -> DeadlineError:
        words = f"the deadline came while job {self.job} waited for its file; nothing was sent: {words}"
        return DeadlineError(words, next=f"syncer sync --job {self.job}")

    def done(self, files: Sequence[str]) -> Mapping[str, str]:
        """Move files, and what was passed over for them, with their ready marks; raise `OutputError` if that fails.

        Returns where each that was moved is now.
        """
        if self.files.done is None:
            return {}
        for one in self.passed_over:
            self.place.pass_over(one)
        files = [*files, *(one.path for one in self.passed_over)]
        return self.place.done({path: self._mark(path) if self.files.ready else None for path in files})

    def unread(self) -> tuple[str, ...]:
        """Return the files that were passed over, and were written since the newest run began: nobody has read them."""
        newest = self.newest_run() if self.passed_over else None
        return tuple(one.path for one in self.passed_over if newest is None or self._written_s(one) > newest.begun_s)


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
            raise UsageError(f"no file matches {pattern}", remedy="put the export there, or correct the pattern")
        if len(matching) > 1 and not several:
            newest = max(matching, key=lambda path: (os.stat(path).st_mtime_ns, path))
            raise _several(len(matching), pattern, newest, job)
        found += matching
    return tuple(found)


def named_remote(place: Place, pattern: str, *, several: bool, job: str) -> tuple[str, ...]:
    """Return the files of another system that one pattern names, copied; the same conditions hold."""
    try:
        matching = place.look()
        if not matching:
            raise UsageError(f"no file matches {pattern}", remedy="put the export there, or correct the address")
        if len(matching) > 1 and not several:
            newest = max(matching, key=lambda one: (one.mtime_ns, one.path))
            raise _several(len(matching), pattern, newest.path, job)
        for one in matching:
            place.content(one)
    except AwayError as error:
        raise UsageError(
            str(error), remedy="when it is there again", next=f"syncer sync --job {job} {quote(pattern)}"
        ) from None
    except ChangedError as error:
        raise UsageError(
            f"{error} changed while it was copied",
            remedy="when it is written",
            next=f"syncer sync --job {job} {quote(pattern)}",
        ) from None
    return tuple(one.path for one in matching)


def _several(count: int, pattern: str, newest: str, job: str) -> UsageError:
    return UsageError(
        f"{count} files match {pattern}, and a full export is one; the newest is {newest}. Parts of one export are "
        f'told by jobs.{job}.files.take = "all", files of changes by jobs.{job}.export',
        next=f"syncer sync --job {job} {quote(newest)}",
    )
