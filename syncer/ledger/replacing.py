"""A whole ledger is put in the place of another one, which is kept aside.

What always holds: what is to be put there is whole, and stands beside the place, before the ledger that is there goes.
So who dies in between leaves what the next one finishes; and no journal of the one is ever read as the other's.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from syncer.safe.files import Folder

if TYPE_CHECKING:
    from pathlib import Path

JOURNALS = ("-journal", "-wal", "-shm")


def part_of(path: Path) -> Path:
    """Return where the ledger is made ready that shall be put at `path`."""
    return path.with_name(path.name + ".restoring")


def put_in_place(folder: Folder, path: Path, at: str) -> Path | None:
    """Move the ledger that is there aside, with its journal, and the one that is ready into its place; say where to.

    None: there was none. ``at`` (UTC text) names what is kept aside.
    """
    aside = path.with_name(f"{path.name}.{at.replace(':', '').replace('.', '')}.replaced")
    there = [suffix for suffix in ("", *JOURNALS) if folder.stat(path.name + suffix) is not None]
    for suffix in there:
        folder.move(path.name + suffix, aside.name + suffix)
    folder.move(part_of(path).name, path.name)
    folder.sync()
    return aside if "" in there else None


def finish(path: Path, at: str) -> None:
    """Finish what died between the two: the ledger that was there is away, and the one that is ready is not there."""
    with Folder.above(path) as folder:
        if folder.stat(path.name) is None and folder.stat(part_of(path).name) is not None:
            put_in_place(folder, path, at)
