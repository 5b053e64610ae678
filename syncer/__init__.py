"""syncer: brings Scantrust's track-and-trace data to the state of CSV exports, resumably, and accounts for it."""

from __future__ import annotations


def __getattr__(name: str) -> str:
    if name == "__version__":
        from importlib.metadata import version  # only who asks for it pays for it

        return version("syncer")
    raise AttributeError(name)
