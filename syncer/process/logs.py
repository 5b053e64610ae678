"""Log lines on standard error, as text for people or JSON for collectors. Standard `logging`; configured by `cli`.

What is logged: warnings as they happen (throttled, an answer lost); with ``-v`` what a run does; with ``-vv`` every
change of a batch's state. What libraries warn of goes the same way. One event is one line, whatever stands in it.

What always holds: a line is whole when it comes to `_written`, which masks the token last; nothing is added after that.
Lines of a process that systemd's journal reads begin with their level (``<4>``), as sd-daemon(3) says.
"""

from __future__ import annotations

import json
import logging
import os
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import pairwise, takewhile

from syncer.safe.exposure import shown_traceback
from syncer.safe.inert import inert, inert_json, inert_lines
from syncer.safe.masking import masked

FULL_TIME = "%Y-%m-%dT%H:%M:%SZ"
SHORT_TIME = "%H:%M:%SZ"
LEVELS = (logging.WARNING, logging.INFO, logging.DEBUG)
ABOUT = ("run", "job", "batch")
"""What a line may be about; a log call names it by ``extra``, or code around it by `about`."""
_PRIORITIES = ((logging.ERROR, 3), (logging.WARNING, 4), (logging.INFO, 6), (logging.DEBUG, 7))
"""Levels of syslog, which the journal takes over."""

_TELLING_ADDRESSES = ("urllib3", "apprise")
"""Libraries whose warnings hold addresses, which may be secrets; what went wrong is told in our own words."""

_lines: dict[str, bool] = {"json": False, "full_time": False, "journal": False}
"""How lines are written, as `configure` was told."""
_about: dict[str, object] = {}


@contextmanager
def about(**what: object) -> Iterator[None]:
    """Let JSON lines that are logged meanwhile say what they are about: a run, a job, a batch."""
    before = {name: _about[name] for name in what if name in _about}
    _about.update({name: value for name, value in what.items() if value is not None})
    try:
        yield
    finally:
        for name in what:
            _about.pop(name, None)
        _about.update(before)


class _Handler(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        try:
            words = record.getMessage()
            error = record.exc_info[1] if record.exc_info else None
            trace = None if error is None else shown_traceback(error)
            if _lines["json"]:
                what = {name: getattr(record, name) for name in ABOUT if hasattr(record, name)}
                line = _json_line(record.levelname, record.name, words, record.created, trace, {**_about, **what})
            else:
                begin = "" if _lines["journal"] and not _lines["full_time"] else f"{_time(record.created)} "
                line = begin + inert(f"{record.levelname} {words}" + (f"\n{trace}" if trace else ""))
            _written(line, record.levelno)
        except Exception:
            self.handleError(record)


def configure(*, verbose: int, quiet: bool, form: str, full_time: bool) -> None:
    """Send log lines to standard error; `quiet` leaves errors only.

    ``form`` is ``text`` or ``json``; ``full_time`` lets lines of text begin with date, time and zone (JSON always has
    them). Libraries are heard from warnings on,
    but for those whose words may hold a secret.
    """
    _lines.update(json=form == "json", full_time=full_time, journal=_is_journal())
    handler = _Handler()
    for name, level in (("", logging.WARNING), ("syncer", LEVELS[min(verbose, len(LEVELS) - 1)])):
        logger = logging.getLogger(name)
        logger.handlers[:] = [handler]
        logger.propagate = False
        logger.setLevel(logging.ERROR if quiet else level)
    for name in _TELLING_ADDRESSES:
        logging.getLogger(name).setLevel(logging.CRITICAL)
    logging.raiseExceptions = False
    logging.captureWarnings(capture=True)


def foresee(arguments: Sequence[str]) -> None:
    """Write lines as a command line asks for, before it is read: what is wrong with it is told in the same way."""
    words = list(takewhile(lambda word: word != "--", arguments))
    forms = [word for before, word in pairwise(words) if before == "--log-format"]
    forms += [word.partition("=")[2] for word in words if word.startswith("--log-format=")]
    _lines.update(json="json" in forms, full_time="--log-time" in words, journal=_is_journal())


def say(words: str, *, level: int = logging.INFO, timed: bool = False) -> None:
    """Write words for people on standard error, whatever the log's level: as a JSON line where logs are JSON.

    Of several lines of text only the first begins with the time; ``timed``: it does so also without `full_time`.
    """
    now_s = time.time()
    if _lines["json"]:
        line = _json_line(logging.getLevelName(level), "syncer", words, now_s, None, _about)
    else:
        line = inert_lines(words)
        if _lines["full_time"] or (timed and not _lines["journal"]):
            line = f"{_time(now_s)} {line}"
    _written(line, level)


def _json_line(level: str, logger: str, words: str, at_s: float, trace: str | None, what: dict[str, object]) -> str:
    milliseconds = int(at_s * 1000) % 1000
    line = {
        "at": f"{time.strftime('%Y-%m-%dT%H:%M:%S', time.gmtime(at_s))}.{milliseconds:03d}Z",
        "level": level.lower(),
        "logger": logger,
        **what,
        "message": words,
    }
    if trace is not None:
        line["traceback"] = trace
    return inert_json(json.dumps(line, ensure_ascii=False, default=str))


def _time(at_s: float) -> str:
    return time.strftime(FULL_TIME if _lines["full_time"] else SHORT_TIME, time.gmtime(at_s))


def _written(text: str, level: int) -> None:
    """Write finished lines, the token masked: the last thing that happens to them."""
    if _lines["journal"]:
        priority = next((number for least, number in _PRIORITIES if level >= least), 7)
        text = "\n".join(f"<{priority}>{line}" for line in text.split("\n"))
    sys.stderr.write(masked(text) + "\n")


def _is_journal() -> bool:
    """Tell whether standard error is the journal's, as systemd says by device and inode."""
    try:
        device, _, inode = os.environ.get("JOURNAL_STREAM", "").partition(":")
        found = os.fstat(sys.stderr.fileno())
        return (found.st_dev, found.st_ino) == (int(device), int(inode))
    except (OSError, ValueError, AttributeError):
        return False
