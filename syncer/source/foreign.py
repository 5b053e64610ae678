"""One guard around readers that are not this program's own: whatever they raise, print or warn of stays inside.

What always holds: what goes wrong in one is a `SourceError` that names the file and a remedy (exit 2); standard output
belongs to this program alone; what a hostile file makes a library ask for beyond `MEMORY_BYTES` is not given.
"""

from __future__ import annotations

import contextlib
import resource
import sys
import threading
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

from syncer.errors import SourceError, SyncerError
from syncer.safe.inert import inert

MEMORY_BYTES = 768 << 20
"""What a reader may take beyond what the process has: with that, it stays within 1 GiB."""
WORDS_MAX = 300
_STATM = Path("/proc/self/statm")
_lock = threading.RLock()

Result = TypeVar("Result")


def guarded(read: Callable[[], Result], *, file: str, what: str, remedy: str) -> Result:
    """Do one step of reading; ``what`` ("the workbook") and ``remedy`` are for the message. Raises `SourceError`."""
    try:
        with quiet(), _bounded():
            return read()
    except SyncerError:
        raise
    except MemoryError:
        raise SourceError(
            f"{what} needs more memory than the {MEMORY_BYTES >> 20} MB that a file may take",
            file=file,
            remedy="look at it with care; if it is right, export it as CSV, and name that",
        ) from None
    except Exception as error:  # libraries raise whatever they met: IndexError, struct.error, classes of their own
        words = inert(" ".join(str(error).split()))[:WORDS_MAX]
        kind = "" if type(error).__module__.startswith("syncer.") else f"{type(error).__name__}: "
        raise SourceError(f"{what} cannot be read: {kind}{words}", file=file, remedy=remedy) from None


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Send what a library prints to standard error, and let it warn of nothing."""
    with warnings.catch_warnings(), contextlib.redirect_stdout(sys.stderr):
        warnings.simplefilter("ignore")
        yield


@contextlib.contextmanager
def _bounded() -> Iterator[None]:
    """Let the process grow by `MEMORY_BYTES` and no more, where the system can be asked to."""
    with _lock:
        soft, hard = resource.getrlimit(resource.RLIMIT_AS)
        try:
            grown = int(_STATM.read_text(encoding="ascii").split()[0]) * resource.getpagesize() + MEMORY_BYTES
        except (OSError, ValueError):  # no Linux: what the readers check themselves has to do
            yield
            return
        limits = [limit for limit in (soft, grown) if limit != resource.RLIM_INFINITY]
        resource.setrlimit(resource.RLIMIT_AS, (min(limits), hard))
        try:
            yield
        finally:
            resource.setrlimit(resource.RLIMIT_AS, (soft, hard))
