"""Log lines on standard error, as text for people or JSON for collectors. Standard `logging`; configured once by `cli`.

What is logged: warnings as they happen (throttled, an answer lost); with ``-v`` what a run does; with ``-vv`` every
change of a batch's state. No message ever holds a header, so none holds the token; should one, it is masked. One event
is one line, whatever stands in it.
"""

from __future__ import annotations

import json
import logging
import sys
import time

from syncer.safe.inert import inert, inert_json, inert_lines
from syncer.safe.masking import masked

FULL_TIME = "%Y-%m-%dT%H:%M:%SZ"
LEVELS = (logging.WARNING, logging.INFO, logging.DEBUG)

_lines: dict[str, object] = {"form": "text", "full_time": False}
"""How `say` writes, as `configure` was told."""


class _JsonFormatter(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        line = {
            "at": time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created)) + f".{record.msecs:03.0f}Z",
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": masked(record.getMessage()),
        }
        return inert_json(json.dumps(line, ensure_ascii=False))


class _TextFormatter(logging.Formatter):
    converter = staticmethod(time.gmtime)

    def __init__(self, *, full_time: bool = False) -> None:
        super().__init__("%(asctime)s %(levelname)s %(message)s", FULL_TIME if full_time else "%H:%M:%SZ")

    def format(self, record: logging.LogRecord) -> str:
        return inert(masked(super().format(record)))


def configure(*, verbose: int, quiet: bool, form: str, full_time: bool) -> None:
    """Send this program's log lines to standard error; `quiet` leaves errors only.

    ``form`` is ``text`` or ``json``; ``full_time`` lets lines of text begin with date and time (JSON always does).
    """
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_JsonFormatter() if form == "json" else _TextFormatter(full_time=full_time))
    _lines.update(form=form, full_time=full_time)
    logger = logging.getLogger("syncer")
    logger.handlers[:] = [handler]
    logger.propagate = False
    logger.setLevel(logging.ERROR if quiet else LEVELS[min(verbose, len(LEVELS) - 1)])


def say(words: str, *, level: int = logging.INFO) -> None:
    """Write words for people on standard error, whatever the log's level: as a JSON line where logs are JSON.

    Of several lines of text only the first begins with the time.
    """
    if _lines["form"] == "json":
        line = _JsonFormatter().format(logging.LogRecord("syncer", level, "", 0, words, None, None))
    else:
        line = inert_lines(masked(words))
        if _lines["full_time"]:
            line = f"{time.strftime(FULL_TIME, time.gmtime())} {line}"
    sys.stderr.write(line + "\n")
