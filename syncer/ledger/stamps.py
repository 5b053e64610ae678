"""Stamps laid over what a code space knows: one rule, for plans and for what a confirmation gives a new place in time.

A stamp makes what was known of a field at its place in time or before uncertain. Where it names a link (a field whose
value is the key of the space that wrote), the code's value there tells whether it is meant, and what it holds now.

What always holds: nothing is written; a field that a younger stamp may be about is known only where the link and what
the other space knows are.
"""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

from syncer.ledger.apart import FieldStamp
from syncer.ledger.bulk import raw_cursor
from syncer.ledger.pictures import read_pictures
from syncer.mirror.picture import Picture, all_counted, stamped
from syncer.mirror.words import NOTHING, laid_over, only, value_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from sqlalchemy import Connection

    from syncer.ledger.apart import Apart

_PLACES = """
SELECT b.id, coalesce(b.settled, 0), b.kind = 'async', b.job_id
FROM json_each(?) j CROSS JOIN batches b ON b.id = j.value
"""
_THEIRS = """
SELECT m.picture, coalesce(b.settled, 0), b.kind = 'async', coalesce(b.job_id, 0)
FROM mirror m LEFT JOIN batches b ON b.id = m.batch_id WHERE m.space_id = ? AND m.key = ?
"""


class KnownSince(NamedTuple):
    """When a value was confirmed last: the event of it, whether a count alone did, and by whose call (0: unknown)."""

    settled: int = 0
    counted: bool = True
    job: int = 0


class Stamps:
    """The stamps of one code space. Use it inside one transaction: what it reads of other spaces is read once."""

    def __init__(self, connection: Connection, space_id: int, apart: Apart, *, links: bool = True) -> None:
        """``apart`` tells which jobs never reach the same codes, though they write the same fields.

        ``links`` False: a linked stamp is about all values, as others are.
        """
        self._connection = connection
        self._links = links
        self._apart = apart
        self._stamps = _laid(connection, space_id)
        self._of_job: dict[int, list[FieldStamp]] = {}
        self._theirs: dict[int, list[FieldStamp]] = {}
        self._elsewhere: dict[tuple[int, str], tuple[Picture, int] | None] = {}

    def __bool__(self) -> bool:
        """Tell whether there is any."""
        return bool(self._stamps)

    def matters(self, place: KnownSince) -> KnownSince | None:
        """Return what of a place in time tells what lies over it; None: nothing does. Equal ones lie under the same."""
        over = self._over(place)
        if not over:
            return None
        # Without a link, the youngest event that has as many younger stamps stands for all of them.
        settled = place.settled if any(stamp.by for stamp in over) else over[-1].settled - 1
        return KnownSince(settled, place.counted and any(stamp.counted for stamp in over), place.job)

    def laid_over(self, picture: Picture, place: KnownSince) -> Picture:
        """Return a picture of this place in time under its stamps; a linked one tells what a value holds by its link.

        A link that another stamp is about tells nothing: another value may have been meant when the field was written.
        """
        over = [
            stamp for stamp in self._over(place) if place.counted or not stamp.counted or stamp.field in picture.counted
        ]
        changed = {stamp.field for stamp in over}
        for stamp in reversed(over):
            if self._links and stamp.by and stamp.by not in changed:
                picture = self._by_link(picture, stamp, place)
            else:
                picture = stamped(picture, [stamp.field])
        return picture

    def _over(self, place: KnownSince) -> list[FieldStamp]:
        if place.job not in self._of_job:
            self._of_job[place.job] = self._apart.concerning(self._stamps, place.job)
        return [stamp for stamp in self._of_job[place.job] if stamp.settled > place.settled]

    def _by_link(self, picture: Picture, stamp: FieldStamp, place: KnownSince) -> Picture:
        """Return a picture after a stamp whose link tells which value of the other space its code belongs to."""
        value = value_of(picture.known, stamp.by or "")
        if value is None:
            return stamped(picture, [stamp.field])
        found = self._in_space(stamp.through or 0, value)
        if found is None or stamp.field in picture.refused:
            return picture
        theirs, settled = found
        if theirs.absent or stamp.field in theirs.uncertain + theirs.refused:
            return stamped(picture, [stamp.field])
        word = only(theirs.known, [stamp.field])
        if settled <= place.settled or word == NOTHING:
            return picture
        rest = tuple(field for field in picture.uncertain if field != stamp.field)
        counted = {*picture.counted} - {stamp.field}
        if not place.counted:
            counted |= {stamp.field}.intersection(theirs.counted)
        return replace(picture, known=laid_over(picture.known, word), uncertain=rest, counted=tuple(sorted(counted)))

    def _in_space(self, space_id: int, key: str) -> tuple[Picture, int] | None:
        """Return what another space knows of a value, and its place in time; None when it never wrote it."""
        if (space_id, key) not in self._elsewhere:
            row = raw_cursor(self._connection).execute(_THEIRS, (space_id, key)).fetchone()
            self._elsewhere[space_id, key] = None if row is None else self._under_its_own(space_id, *row)
        return self._elsewhere[space_id, key]

    def _under_its_own(self, space_id: int, picture: int, settled: int, counted: int, job: int) -> tuple[Picture, int]:
        if space_id not in self._theirs:
            self._theirs[space_id] = _laid(self._connection, space_id)
        theirs = read_pictures(self._connection, [picture])[picture]
        theirs = all_counted(theirs) if counted else theirs
        return under_stamps(theirs, self._apart.concerning(self._theirs[space_id], job), settled), settled


def stamps_of(connection: Connection, space_id: int) -> list[FieldStamp]:
    """Return the stamps of a space, the youngest first."""
    statement = "SELECT settled, field, scope FROM stamps WHERE space_id = ? ORDER BY settled DESC, id"
    found = []
    for settled, field, scope in raw_cursor(connection).execute(statement, (space_id,)).fetchall():
        named = json.loads(scope) if scope else {}
        is_counted, is_marked = bool(named.get("counted")), bool(named.get("marked"))
        through, by, job = named.get("through"), named.get("by"), named.get("job")
        found.append(FieldStamp(settled, field, through, by, is_counted, is_marked, job))
    return found


def _laid(connection: Connection, space_id: int) -> list[FieldStamp]:
    return [stamp for stamp in stamps_of(connection, space_id) if not stamp.marked]


def under_stamps(picture: Picture, stamps: Sequence[FieldStamp], settled: int) -> Picture:
    """Return a picture with those stamps laid over it that are younger than an event, for all values alike."""
    fields = [stamp.field for stamp in stamps if stamp.settled > settled]
    return stamped(picture, fields) if fields else picture


def places_of(connection: Connection, batches: Iterable[int]) -> dict[int, KnownSince]:
    """Return the place in time of what each batch confirmed; the earliest one of a batch that is not there."""
    wanted = list(batches)
    rows = raw_cursor(connection).execute(_PLACES, (json.dumps(wanted),)).fetchall()
    found = {batch: KnownSince(settled, bool(counted), job) for batch, settled, counted, job in rows}
    return {batch: found.get(batch, KnownSince()) for batch in wanted}
