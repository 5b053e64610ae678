"""One writer at a time: an operating-system lock beside the ledger, with its owner's name in it.

The kernel drops the lock with the process that holds it, however that ends; so there are no stale locks, and the text
in the file only says who holds it.
"""

from __future__ import annotations

import fcntl
import json
import os
import socket
from pathlib import Path
from types import TracebackType

from syncer import private
from syncer.errors import LedgerBusyError, LedgerWriteError


def lock_path(ledger: Path) -> Path:
    """Return the file that is locked while a run writes to `ledger`; the same one by whatever name it is called."""
    real = Path(os.path.realpath(ledger))
    return real.with_name(real.name + ".lock")


class LedgerLock:
    """Holds the right to write to a ledger, from construction to `release`.

    Raises `LedgerBusyError` at once, naming the owner, when another process has it.
    """

    def __init__(self, ledger: Path, *, since: str) -> None:
        path = lock_path(ledger)
        try:
            self._descriptor = private.open_or_create(path)
        except OSError as error:
            raise LedgerWriteError(
                f"the lock {path} cannot be opened: {error.strerror}",
                next=f"see what it is: ls -l {path}",
            ) from error
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            owner = _describe(os.pread(self._descriptor, 4096, 0))
            os.close(self._descriptor)
            raise LedgerBusyError(f"another run holds the ledger {ledger}: {owner}") from None
        except OSError as error:
            os.close(self._descriptor)
            raise LedgerWriteError(f"the lock {path} cannot be taken: {error.strerror}") from error
        owner_text = json.dumps({"pid": os.getpid(), "host": socket.gethostname(), "since": since}).encode()
        os.ftruncate(self._descriptor, 0)
        os.pwrite(self._descriptor, owner_text, 0)

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


def _describe(owner: bytes) -> str:
    try:
        known = json.loads(owner)
        return f"process {known['pid']} on {known['host']}, since {known['since']}"
    except (ValueError, KeyError, TypeError):
        return "its owner has not written its name yet"
