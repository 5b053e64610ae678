"""Where the files of a job go when they are done: never back to where they are waited for. Pure."""

from __future__ import annotations

import glob
import os
from fnmatch import fnmatchcase
from pathlib import Path

from syncer.safe.urls import is_remote


def done_fault(pattern: str, done: str, folder: Path) -> str | None:
    """Return what is wrong with ``files.done``, in words that follow its name; None: nothing.

    ``folder`` is where relative paths begin; in another system ``done`` is a name beside each file, or a URL.
    """
    if not is_remote(pattern):
        watched = os.path.normpath(os.path.join(glob.escape(str(folder)), os.path.dirname(pattern)))
        target = os.path.normpath(folder / done)
        return _watched_too(done) if _matches(target, watched, dots=False) else None
    place = "/".join(pattern.split("/", 3)[:3])
    name = done.rstrip("/").removeprefix(f"{place}/")
    if "://" in name or name.startswith("/") or not {"", ".", ".."}.isdisjoint(name.split("/")):
        return f'must be a name beside the files, or a URL of the same bucket or host: "done", or "{place}/done"'
    watched = pattern.rpartition("/")[0]
    target = f"{place}/{name}" if "://" in done else f"{watched}/{name}"
    return _watched_too(done) if _matches(target, watched.replace("[", "[[]"), dots=True) else None


def _watched_too(done: str) -> str:
    return f"is {done!r}, where new files are waited for: each would be found there again; name another folder"


def _matches(folder: str, pattern: str, *, dots: bool) -> bool:
    """Tell whether a pattern names a folder; ``dots``: its wildcards also stand for names that begin with one."""
    names, levels = folder.split("/"), pattern.split("/")
    if len(names) != len(levels):
        return False
    hidden = any(name.startswith(".") and not level.startswith(".") for name, level in zip(names, levels, strict=True))
    return (dots or not hidden) and all(map(fnmatchcase, names, levels))
