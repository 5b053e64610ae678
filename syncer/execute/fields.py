"""Which fields the campaigns take, as far as the ledger and this run know.

Values are of the campaign that their product tells, else of that of their job. What always holds: a field that some
values of a campaign take and others do not is proven by names alone, never by a count.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from syncer.ledger.ledger import Ledger
    from syncer.ledger.values import Batch, Item

Told = int | None
"""The campaign that a product tells; None: none does."""


class Fields:
    """What is known of fields; and which of them were refused, or taken again, in this run."""

    def __init__(self, ledger: Ledger) -> None:
        self.refused: set[str] = set()
        """Fields that were not taken in this run, or that rows name and that were not when they were last asked for."""
        self.taken_again: set[str] = set()
        """Fields that were refused before, and that a value took in this run: all values want them again."""
        self.named: dict[int | None, set[str]] = {}
        """Fields that answers of this run named as taken, by campaign (None: nobody knows it)."""
        self.shown: dict[int | None, set[str]] = {}
        """Those of them that the campaign was never seen to take before."""
        self._ledger = ledger
        self._refusing: dict[Told, frozenset[str]] | None = None
        """Fields that some value did not take, by campaign; None: the ledger was not asked yet."""

    def by_campaign(self, batch: Batch, items: Sequence[Item]) -> dict[Told, list[Item]]:
        """Return the items of a batch by the campaign that their products tell."""
        told = self._ledger.told_campaigns(batch)
        found: dict[Told, list[Item]] = {}
        for item in items:
            found.setdefault(told.get(item.id), []).append(item)
        return found

    def not_taken(self, told: Told, campaign: int | None) -> frozenset[str]:
        """Return the fields that a campaign was asked about, and was never seen to take; ``campaign``: the job's."""
        return frozenset(name for name, taken in self._proofs(told, campaign).items() if not taken)

    def mixed(self, told: Told, campaign: int | None) -> frozenset[str]:
        """Return the fields that some values of a campaign took and others did not: a count proves nothing of them."""
        if self._refusing is None:
            self._refusing = self._ledger.refusing()
        refusing = self._refusing.get(told)
        if not refusing:
            return frozenset()
        return frozenset(name for name, taken in self._proofs(told, campaign).items() if taken) & refusing

    def proven(self, told: Told, campaign: int | None) -> frozenset[str]:
        """Return the fields that a campaign was seen to take, and that no value of it refused."""
        taken = frozenset(name for name, is_taken in self._proofs(told, campaign).items() if is_taken)
        return taken - self.mixed(told, campaign)

    def known(self, told: Told, campaign: int | None, names: Iterable[str]) -> dict[str, bool | None]:
        """Return of each field whether all values of a campaign are known to take it (None: it was never asked for)."""
        proofs, mixed = self._proofs(told, campaign), self.mixed(told, campaign)
        return {name: proofs[name] and name not in mixed if name in proofs else None for name in names}

    def saw_named(self, campaign: int | None, names: Iterable[str]) -> None:
        """Take note of fields that an answer named as taken; to be called before it is recorded."""
        named, before = {*names}, self._ledger.proofs(campaign)
        self.named.setdefault(campaign, set()).update(named)
        self.shown.setdefault(campaign, set()).update(name for name in named if not before.get(name))

    def shown_late(self, told: Told, campaign: int | None) -> frozenset[str]:
        """Return the fields that a campaign was not known to take before this run, and was seen to take in it."""
        shown = self.shown.get(campaign if told is None else told, set())
        return frozenset(self.taken_again | shown)

    def saw_refused(self, fields: Mapping[Told, Collection[str]]) -> None:
        """Take note of fields that values did not take, by campaign."""
        for told, names in fields.items():
            if self._refusing is not None and names:
                self._refusing[told] = self._refusing.get(told, frozenset()).union(names)
            self.refused.update(names)

    def saw_taken_again(self, fields: Collection[str]) -> None:
        """Take note of fields that a value takes now, and refused before: who refuses them still will be told."""
        if fields:
            self.taken_again.update(fields)
            self.refused.difference_update(fields)
            self._refusing = None  # read anew: nobody is known to refuse them now

    def _proofs(self, told: Told, campaign: int | None) -> dict[str, bool]:
        return self._ledger.proofs(campaign if told is None else told)
