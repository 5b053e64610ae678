"""What helps after a failure: what a person changes first, and the command to paste. Prints nothing.

What always holds: a command that is told can be pasted as it stands. Where an error names none, it is the one that
failed, as it was typed: a fact of this process, like its id. Of an address with a secret only that it was one is told.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence

from syncer.errors import AGAIN, SyncerError
from syncer.safe.addresses import holds_secret
from syncer.safe.inert import pasted

_typed: list[str] = []
_PROGRAM = re.compile(r"\Asyncer(?= )")


def remember(arguments: Sequence[str]) -> None:
    """Take note of what the command line says after the program's name, but for secrets of addresses."""
    _typed[:] = ["URL" if holds_secret(one) else one for one in arguments]


def next_of(error: SyncerError) -> str | None:
    """Return the command that helps; None: the same again, where nothing was typed (a notebook)."""
    again = pasted(["syncer", *_typed]) if _typed else None
    return configured(error.next) if error.next else again


def again_with(changed: Mapping[str, str | None]) -> str:
    """Return the command that failed with other values of some options (None: without them), to be an error's ``next``.

    All else stays as it was typed: without it the command would be another one. For the command's own code alone, as
    a step of a night was not typed. Where nothing was typed it is `AGAIN`.
    """
    if not _typed:
        return AGAIN
    end = _typed.index("--") if "--" in _typed else len(_typed)
    words, kept = iter(_typed[:end]), list[str]()
    for word in words:
        if word in changed:
            next(words, None)  # its value
        elif word.partition("=")[0] not in changed:
            kept.append(word)
    new = [part for name, value in changed.items() if value is not None for part in (name, value)]
    return pasted(["syncer", *kept, *new, *_typed[end:]])


def configured(command: str) -> str:
    """Return a command with the configuration that the one that was typed named: without it, another would be read."""
    named = _configuration()
    if named is None or "--config" in command:
        return command
    return _PROGRAM.sub(lambda found: f"{found[0]} {pasted(['--config', named])}", command)


def _configuration() -> str | None:
    """Return the file that was read: of several that were typed the last."""
    named = None
    for place, argument in enumerate(_typed):
        if argument == "--":
            break
        if argument == "--config" and place + 1 < len(_typed):
            named = _typed[place + 1]
        elif argument.startswith("--config="):
            named = argument.partition("=")[2]
    return named


def help_lines(error: SyncerError) -> Iterator[str]:
    """Give the lines that stand below an error's message."""
    if error.remedy is not None:
        yield f"remedy: {error.remedy}"
    following = next_of(error)
    if following is not None:
        yield f"next: {following}"
