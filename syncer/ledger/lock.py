"""One writer at a time: an operating-system lock beside the ledger, with its owner's name in it.

The kernel drops the lock with the process that holds it, however that ends; so there are no stale locks. The text in
the file says who holds it, or held it last, whether that one had a whole ledger (an empty one after that is a loss),
and the ledger's id and place in time (an older ledger after that is a copy that was put back). Whoever only rolls back
what a dead run left (`borrowed`) holds it for a moment, and writes no name.
"""

from __future__ import annotations

import fcntl
import json
import logging
import os
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from types import TracebackType

from syncer.errors import LedgerBusyError, LedgerUntrustedError, LedgerWriteError
from syncer.process.owner import Owner
from syncer.safe.files import Folder
from syncer.safe.trust import UntrustedError, quoted

log = logging.getLogger(__name__)
BORROWED_S = 0.5
"""How long the lock may be borrowed: nobody is told that it is held before that."""
LOOK_S = 0.1
"""Pause between looks at a lock that is held."""


TEXT_BYTES = 512
"""The text has always this length, and is written at once: who is killed meanwhile leaves the old one or the new."""


@dataclass(frozen=True, slots=True)
class Stamp:
    """What the lock file says of the ledger beside it: its id, and the newest begin or end of a run.

    ``becoming`` is the id that the ledger was about to take (empty: none): who died meanwhile left it with either.
    """

    id: str
    position: int
    becoming: str = ""


@dataclass(frozen=True, slots=True)
class LockWait:
    """How long a lock is waited for while another process has it, and what is done at every look meanwhile.

    ``look`` ends the wait by what it raises: a signal that has arrived, for one.
    """

    seconds: float = 0.0
    look: Callable[[], None] = lambda: None


NO_WAIT = LockWait()


def lock_path(ledger: Path) -> Path:
    """Return the file that is locked while a run writes to `ledger`; the same one by whatever name it is called."""
    real = Path(os.path.realpath(ledger))
    return real.with_name(real.name + ".lock")


class LedgerLock:
    """Holds the right to write to a ledger, from construction to `release`.

    Raises `LedgerBusyError`, naming the owner, when another process still has it after the wait, and what
    ``wait.look`` raises.
    """

    def __init__(self, ledger: Path, *, since: str, wait: LockWait = NO_WAIT) -> None:
        path = lock_path(ledger)
        try:
            with Folder.above(path) as folder:
                self._descriptor = folder.open_in_place(path.name)
        except UntrustedError as error:
            raise LedgerUntrustedError.of(error) from error
        except OSError as error:
            raise LedgerWriteError(
                f"the lock {path} cannot be opened: {error.strerror}",
                remedy="see what it is, and give write access to its folder",
                next=f"ls -ld {quoted(path.parent)} {quoted(path)}",
            ) from error
        try:
            self._take(ledger, wait)
        except OSError as error:
            os.close(self._descriptor)
            raise LedgerWriteError(f"the lock {path} cannot be taken: {error.strerror}") from error
        except BaseException:
            os.close(self._descriptor)
            raise
        self._path = path
        before = os.pread(self._descriptor, 4096, 0)
        self._owner = {"pid": os.getpid(), "host": socket.gethostname()[:64], "since": since}
        self.ledger_was_whole, self.stamp = _was_whole(before), _stamp(before)
        self._write(whole=self.ledger_was_whole)

    def _take(self, ledger: Path, wait: LockWait) -> None:
        began_s = time.monotonic()
        told = False
        while not _locked(self._descriptor):
            wait.look()
            waited_s = time.monotonic() - began_s
            if waited_s >= BORROWED_S:
                owner = _describe(os.pread(self._descriptor, 4096, 0))
                if waited_s >= wait.seconds:
                    raise LedgerBusyError(f"another run holds the ledger {ledger}: {owner}")
                if not told:
                    words = "another run holds the ledger (%s); waiting for it, %g s at most"
                    log.warning(words, owner, wait.seconds)
                    told = True
            time.sleep(LOOK_S)

    def ledger_is_whole(self) -> None:
        """Write down that there is a ledger now."""
        self.ledger_was_whole = True
        self._write(whole=True)

    def set_stamp(self, stamp: Stamp) -> None:
        """Write down, durably, where the ledger stands: call it only when the ledger says so already."""
        self.stamp, self.ledger_was_whole = stamp, True
        self._write(whole=True, durably=True)

    def announce(self, ledger_id: str) -> None:
        """Write down, durably, which id the ledger is about to take; `set_stamp` says that it has it."""
        if self.stamp is not None:
            self.stamp = replace(self.stamp, becoming=ledger_id)
            self._write(whole=self.ledger_was_whole, durably=True)

    def _write(self, *, whole: bool, durably: bool = False) -> None:
        place = {}
        if self.stamp is not None:
            place = {"ledger": self.stamp.id, "position": self.stamp.position, "becoming": self.stamp.becoming}
        text = json.dumps({**self._owner, "whole": whole, **place}).encode()
        try:
            os.pwrite(self._descriptor, text.ljust(TEXT_BYTES), 0)
            os.ftruncate(self._descriptor, TEXT_BYTES)
            if durably:
                os.fsync(self._descriptor)
        except OSError as error:
            raise LedgerWriteError(f"the lock {self._path} cannot be written: {error.strerror}") from error

    def require_held(self) -> None:
        """Raise `LedgerBusyError` when the lock's file was removed or replaced: another run may hold a new one."""
        if not same_file(self._path, self._descriptor):
            raise LedgerBusyError(
                f"the lock {self._path} was removed or replaced during the run: another run may have begun",
                remedy="leave the .lock file alone, and see that no other run is going on (syncer status)",
                next="syncer resume",
            )

    def release(self) -> None:
        """Give the lock up. The file stays: removing it would let two processes lock two different files."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def __enter__(self) -> LedgerLock:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()


@contextmanager
def borrowed(ledger: Path) -> Iterator[bool]:
    """Hold the lock for a moment, in nobody's name; give False when another process has it, or there is none."""
    try:
        path = lock_path(ledger)
        with Folder.above(path) as folder:
            if folder.stat(path.name) is None:
                raise FileNotFoundError(path)
            descriptor = folder.open_in_place(path.name)
    except OSError:
        yield False
        return
    try:
        yield _locked(descriptor)
    finally:
        os.close(descriptor)


@dataclass(frozen=True, slots=True)
class Holder:
    """Whether a process holds a ledger's lock (None: it cannot be told), and who wrote its name into it last."""

    held: bool | None
    owner: Owner | None


def holder(ledger: Path) -> Holder:
    """Tell who holds the lock of `ledger`: for who reads. It is borrowed for a moment where it is free."""
    path = lock_path(ledger)
    try:
        with Folder.above(path) as folder:
            descriptor = folder.open_in_place(path.name) if folder.stat(path.name) is not None else None
    except OSError:
        return Holder(None, None)
    if descriptor is None:
        return Holder(False, None)
    try:
        held = not _locked(descriptor)
        known = json.loads(os.pread(descriptor, 4096, 0))
        return Holder(held, Owner(str(known["host"]), int(known["pid"])))
    except (ValueError, KeyError, TypeError):
        return Holder(held, None)
    finally:
        os.close(descriptor)


def _locked(descriptor: int) -> bool:
    """Take the lock when it is free; tell whether it was."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def same_file(path: Path, descriptor: int) -> bool:
    """Tell whether `path` still names the open file."""
    try:
        return os.path.samestat(os.stat(path), os.fstat(descriptor))
    except OSError:
        return False


def was_whole(ledger: Path) -> bool:
    """Tell whether the last run that held the lock of `ledger` had come to a whole one."""
    try:
        return _was_whole(lock_path(ledger).read_bytes()[:4096])
    except OSError:
        return False


def read_stamp(ledger: Path) -> Stamp | None:
    """Return what the lock file says of `ledger`; None where it says nothing."""
    try:
        return _stamp(lock_path(ledger).read_bytes()[:4096])
    except OSError:
        return None


def _stamp(owner: bytes) -> Stamp | None:
    try:
        known = json.loads(owner)
        return Stamp(str(known["ledger"]), int(known["position"]), str(known.get("becoming", "")))
    except (ValueError, KeyError, TypeError):
        return None


def _was_whole(owner: bytes) -> bool:
    try:
        return json.loads(owner)["whole"] is True
    except (ValueError, KeyError, TypeError):
        return False


def _describe(owner: bytes) -> str:
    try:
        known = json.loads(owner)
        return f"process {known['pid']} on {known['host']}, since {known['since']}"
    except (ValueError, KeyError, TypeError):
        return "its owner has not written its name yet"
