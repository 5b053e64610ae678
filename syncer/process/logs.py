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

from syncer.safe.inert import inert, inert_json
from syncer.safe.masking import masked

LEVELS = (logging.WARNING, logging.INFO, logging.DEBUG)


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

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)s %(message)s", "%H:%M:%SZ")

    def format(self, record: logging.LogRecord) -> str:
        return inert(masked(super().format(record)))


def configure(*, verbose: int, quiet: bool, form: str) -> None:
    """Send this program's log lines to standard error; `quiet` leaves errors only."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_JsonFormatter() if form == "json" else _TextFormatter())
    logger = logging.getLogger("syncer")
    logger.handlers[:] = [handler]
    logger.propagate = False
    logger.setLevel(logging.ERROR if quiet else LEVELS[min(verbose, len(LEVELS) - 1)])
