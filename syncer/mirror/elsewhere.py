"""What other code spaces have under way or unsent, and which words have to wait for it. Pure.

Of two words for one field of one code, which reach it through two keys, the older one goes first: its source says how
old a word is, whichever plan takes it up again.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from syncer.mirror.picture import EVERY_FIELD, PRODUCT, stamped
from syncer.mirror.words import value_of

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from syncer.mirror.picture import Picture


@dataclass(frozen=True, slots=True)
class OpenElsewhere:
    """What a job of another code space has under way, or unsent: newer words for the same field of the same code wait.

    ``fields``: per field that it writes, the source (the ledger's id) of its oldest word, 0 when one is under way; the
    greater source is the newer word. ``key`` are its own key columns. ``by``: its key, where that is a field of this
    space, so that ``values`` tell which codes are meant; empty: any. ``apart`` names jobs that never reach its codes.
    """

    fields: Mapping[str, int]
    key: frozenset[str]
    by: str
    values: frozenset[str]
    apart: frozenset[str] = frozenset()

    def holds(self, own_key: Collection[str], words: Mapping[str, int]) -> bool:
        """Tell whether some words (field → source), under `own_key`, may meet it and are newer."""
        if any(source > self.fields[field] for field, source in words.items() if field in self.fields):
            return True
        moving = [source for field, source in words.items() if field in self.key]  # it may reach other codes then
        if moving and max(moving) > min(self.fields.values()):
            return True
        meeting = [self.fields[field] for field in own_key if field in self.fields]
        return any(source > open_since for source in words.values() for open_since in meeting)

    def laid_over(self, picture: Picture, own_key: Collection[str]) -> Picture:
        """Return what is known of a value while this is under way: what it may have written is uncertain."""
        moving = PRODUCT in self.fields or not self.fields.keys().isdisjoint(own_key)
        linked = value_of(picture.known, self.by)
        if linked is not None and linked not in self.values and not moving:
            return picture
        return stamped(picture, [EVERY_FIELD] if moving else self.fields)
