"""The standard streams, whatever state the program is started in: closed, full, or unable to write a character.

What always holds after `prepare`: no file of the program can get the number of a standard stream, so nothing that is
meant for a stream lands in a file; what cannot be written to standard error is dropped, since it is for people and the
exit code tells the truth; what cannot be written to standard output raises `StdoutError`, since somebody waits for it.
At one that is closed from the start nobody waits for words; data is not lost there without a word (`require_stdout`).
"""

from __future__ import annotations

import io
import os
import sys
from typing import Any, TextIO, cast

from syncer.errors import OutputError
from syncer.safe.inert import inert_lines


class StdoutError(OutputError):
    """Standard output cannot be written, so no document either."""


class _Dropping(io.FileIO):
    """Standard error: a full disk or a closed pipe must not stop a run."""

    def write(self, data: Any) -> int:
        try:
            return super().write(data)
        except OSError:
            return len(memoryview(data))


class ReaderGone(Exception):
    """Whoever read standard output has seen enough. No `OSError`: click ends a program with 1 on a broken pipe."""


class _Telling(io.FileIO):
    """Standard output: a failure becomes an error in our words; a reader that went away is a `ReaderGone`."""

    def write(self, data: Any) -> int:
        try:
            return super().write(data)
        except BrokenPipeError as error:
            raise ReaderGone from error
        except OSError as error:
            raise StdoutError(f"standard output cannot be written: {error.strerror}") from error


_closed: set[int] = set()
"""Numbers of the standard streams that were closed when this process began."""


def prepare() -> None:
    """Give the program three streams that can be used. Call it before anything else is opened.

    A ``COLUMNS`` that is no width (0 says that nobody knows) is taken away: tables would have no room for a letter.
    """
    if not os.environ.get("COLUMNS", "0").strip("0").isdecimal():
        os.environ.pop("COLUMNS", None)
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:  # closed: the lowest free number is this one
            os.open(os.devnull, os.O_RDONLY if number == 0 else os.O_WRONLY)
            _closed.add(number)
    if sys.stdin is None:
        sys.stdin = open(0, encoding="utf-8", closefd=False)  # noqa: SIM115  it lives as long as the program
    sys.stdout = _wrapped(sys.stdout, _Telling(1, "wb", closefd=False))
    sys.stderr = _wrapped(sys.stderr, _Dropping(2, "wb", closefd=False))


def require_stdout() -> None:
    """Raise `StdoutError` where standard output was closed from the start: data would go nowhere."""
    if 1 in _closed:
        raise unread("it is closed")


def unread(why: str) -> StdoutError:
    """Return the error of output that nobody can have read."""
    remedy = "what was done is recorded; give the program a standard output that is read to its end"
    return StdoutError(f"standard output cannot be written: {why}", remedy=remedy)


def abandon_stdout() -> None:
    """Let everything that is still to be written to standard output go nowhere."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    os.close(nowhere)


def speaks_utf8() -> bool:
    """Tell whether every character can be written to standard output; a name's broken bytes never can."""
    return sys.stdout.encoding.lower().replace("-", "") == "utf8"


class _Inert(io.TextIOBase):
    """A terminal that is shown data: it obeys nothing of what others wrote."""

    def __init__(self, terminal: TextIO) -> None:
        self._terminal = terminal

    def write(self, text: str) -> int:
        self._terminal.write(inert_lines(text))
        return len(text)

    def flush(self) -> None:
        self._terminal.flush()


def utf8_stdout() -> TextIO:
    """Return standard output for data: UTF-8 whatever the locale says, as it is; inert where it is a terminal.

    Raises `StdoutError` where it was closed from the start.
    """
    require_stdout()
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(encoding="utf-8")
    return cast("TextIO", _Inert(sys.stdout)) if sys.stdout.isatty() else sys.stdout


def _wrapped(stream: TextIO | None, raw: io.FileIO) -> TextIO:
    """Return a stream over `raw`, written like `stream`; characters that it does not have are written as escapes."""
    encoding = stream.encoding if stream is not None else "utf-8"
    if stream is not None:
        stream.flush()
    at_once = raw.isatty() or isinstance(raw, _Dropping)
    return io.TextIOWrapper(
        io.BufferedWriter(raw), encoding=encoding, errors="backslashreplace", line_buffering=at_once
    )
