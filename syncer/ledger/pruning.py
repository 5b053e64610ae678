"""Moving old history to an archive: copy, verify, then delete in one transaction. Never by itself.

What always holds: whoever is killed at any moment leaves the whole history in the ledger, or in the ledger and its
archives; the mirror, runs, batches, calls, payloads and seals stay; `seals.verify` must find the history whole as it
will be read, before a row goes.
"""

from __future__ import annotations

import os
from contextlib import closing
from dataclasses import dataclass
from itertools import count
from typing import TYPE_CHECKING

from syncer.errors import LedgerCorruptError, UsageError
from syncer.ledger import archives, check, seals
from syncer.ledger.archives import Archive, Cut
from syncer.ledger.bulk import raw_cursor
from syncer.ledger.database import open_engine
from syncer.ledger.rotation import is_own_backup
from syncer.safe.files import Folder

if TYPE_CHECKING:
    from pathlib import Path

    from syncer.ledger.ledger import Ledger


@dataclass(frozen=True, slots=True)
class Pruned:
    """What was moved: up to which run, how many rows, to which file."""

    archive: Path
    run_id: int
    items: int
    events: int


def prune(ledger: Ledger, *, before: str, at: str) -> Pruned | None:
    """Move the history before a time to an archive beside the ledger; None: there is nothing that old.

    The ledger must be open to write.
    """
    with ledger.transaction() as connection:
        cursor = raw_cursor(connection)
        there = archives.known(cursor)
        cut = archives.find_cut(cursor, before)
    if cut is None:
        return None
    if len(there) >= archives.ARCHIVES_MAX:
        words = f"the ledger has {len(there)} archives, and no more can be read together"
        raise UsageError(
            words, remedy="begin a new ledger, and keep this one with its archives", next="syncer ledger info"
        )
    archive = _free_place(ledger, there)
    check.backup(ledger.path, archive, marked_at=at)
    _verify(ledger.path, [*there, Archive(archive.name, cut.items_to, cut.events_to)], cut)
    with ledger.transaction() as connection:
        items, events = archives.take_out(raw_cursor(connection), archive.name, cut, at)
    driver = ledger.connection.connection.driver_connection
    assert driver is not None  # noqa: S101  the ledger is open
    driver.execute("VACUUM")
    return Pruned(archive, cut.run_id, items, events)


def _free_place(ledger: Ledger, there: list[Archive]) -> Path:
    """Return where the next archive goes. A copy that a killed prune left, and nobody reads, is taken away first.

    What another ledger moved stays: that of before a restore may be put back, with its archives.
    """
    used = {one.file for one in there}
    names = (f"{ledger.path.name}.archive-{number}" for number in count(1))
    places = (ledger.path.with_name(name) for name in names if name not in used)
    archive = next(place for place in places if not os.path.lexists(place) or is_own_backup(place, ledger))
    if os.path.lexists(archive):
        with Folder.above(archive) as folder:
            folder.remove(archive.name)
    return archive


def _verify(path: Path, together: list[Archive], cut: Cut) -> None:
    """Raise `LedgerCorruptError` unless the history is whole as it is going to be read."""
    with closing(open_engine(path, read_only=True).connect()) as connection:
        driver = connection.connection.driver_connection
        assert driver is not None  # noqa: S101  it was just opened
        archives.attach(driver, path, together)
        with connection.begin():
            faults = seals.verify(connection, given=cut.seal)
    if faults:
        raise LedgerCorruptError("nothing was taken out, since the history does not fit its seals: " + faults[0])
