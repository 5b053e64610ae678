"""syncer: brings Scantrust's track-and-trace data to the state of CSV exports, resumably, and accounts for it.

As a library: `history`, `status` and `sync` (docs/library.md). They are loaded when they are asked for, so that whoever
imports the package for its version pays for nothing else; their types stand in the stub beside this file.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

__all__ = ["__version__", "history", "status", "sync"]


def __getattr__(name: str) -> Any:
    if name == "__version__":
        from importlib.metadata import version

        return version("syncer")
    if name in __all__:
        return getattr(import_module("syncer.library"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
