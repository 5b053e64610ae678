"""How often the process looks for garbage: seldom, since what it makes most of is modules, and columns in no cycle."""

from __future__ import annotations

import atexit
import gc

OBJECTS = 100_000
"""New objects after which the youngest are looked through; Python's own 700 come up at every import."""


def look_seldom() -> None:
    """Look for garbage seldom, and not once more at the end: both take a fifth of a short command's time.

    What has to be closed or written is closed by whoever opened it, never by the collector.
    """
    gc.set_threshold(OBJECTS, *gc.get_threshold()[1:])
    atexit.register(gc.freeze)
