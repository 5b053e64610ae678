"""What helps after a failure: what a person changes first, and the command to paste. Prints nothing.

What always holds: a command that is told can be pasted as it stands. Where an error names none, it is the one that
failed, as it was typed: a fact of this process, like its id.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Sequence

from syncer.errors import SyncerError

_typed: list[str] = []


def remember(arguments: Sequence[str]) -> None:
    """Take note of what stood after the program's name. Only the command line calls this."""
    _typed[:] = arguments


def next_of(error: SyncerError) -> str | None:
    """Return the command that helps; None: the same again, where nothing was typed (a notebook)."""
    again = shlex.join(["syncer", *_typed]) if _typed else None
    return error.next or again


def help_lines(error: SyncerError) -> Iterator[str]:
    """Give the lines that stand below an error's message."""
    if error.remedy is not None:
        yield f"remedy: {error.remedy}"
    following = next_of(error)
    if following is not None:
        yield f"next: {following}"
