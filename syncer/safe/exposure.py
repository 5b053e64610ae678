"""What a process shows when it goes wrong: tracebacks without the token, and no memory image at all.

What always holds after `cover`: every traceback that Python prints by itself, of any thread, goes through `masked`; the
process leaves no core dump, and its memory and its environment can be read by the administrator alone.
"""

from __future__ import annotations

import os
import resource
import sys
import threading
from contextlib import suppress

from syncer.safe.inert import inert_lines
from syncer.safe.masking import TOKEN_VARIABLE, masked, remember

PR_SET_DUMPABLE = 4
"""Of ``prctl(2)``, Linux alone."""


def cover() -> None:
    """Let nothing of the token out where no handler is: to be called first of all, before anything can fail."""
    remember(os.environ.get(TOKEN_VARIABLE, ""))
    with suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    sys.excepthook = lambda _kind, error, _trace: _print(error)
    threading.excepthook = lambda lost: _print(lost.exc_value)
    sys.unraisablehook = lambda lost: _print(lost.exc_value)


def hide_memory() -> None:
    """Forbid dumps that no limit forbids (to a crash handler of the system), and reading by other programs.

    Does nothing where the system has no such call.
    """
    if sys.platform == "linux":
        import ctypes  # here, because it takes as long to load as all of --version

        with suppress(OSError, AttributeError):
            ctypes.CDLL(None).prctl(PR_SET_DUMPABLE, 0, 0, 0, 0)


def shown_traceback(error: BaseException) -> str:
    """Return the traceback of an error, fit to be shown."""
    import traceback  # here, because a run that goes well has no use for it

    return inert_lines(masked("".join(traceback.format_exception(error))))


def _print(error: BaseException | None) -> None:
    with suppress(OSError, ValueError, AttributeError):  # standard error may be gone
        if error is not None:
            sys.stderr.write(shown_traceback(error))
