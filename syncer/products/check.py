"""Which products does the company have? Asked before rows are sent: a row that names an unknown one is rejected.

A copy in the ledger answers, as long as it is young; what it lacks is looked up one by one, and when that is much, the
list is read anew. What always holds: a product is called unknown only when the API said so about this very SKU, or when
a whole list that was read just now lacks it and look-ups of others of its kind agreed. In any other case rows go on:
the API has the last word.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from syncer.api.reading import ForbiddenError, Reader
from syncer.ledger.products import known_names, last_pull, store_products, store_pull
from syncer.process.clock import utc_text
from syncer.products.pull import Observe, UnreadProductError, look_up, pull_products

if TYPE_CHECKING:
    from syncer.api.client import Client
    from syncer.ledger.ledger import Ledger

log = logging.getLogger(__name__)
LOOK_UPS_MAX = 50
"""Single look-ups of one run; when the copy lacks more, the whole list is read anew."""
HOUR_S = 3600.0


@dataclass(frozen=True, slots=True)
class CheckedProducts:
    """The names that no product bears, and what there is to say about the check."""

    unknown: frozenset[str] = frozenset()
    notes: tuple[str, ...] = ()


ProductCheck = Callable[[frozenset[str]], CheckedProducts]
"""Told every product that rows name (SKUs, or ids as text), says which of them are unknown."""


def by_copy(ledger: Ledger | None, *, wall_s: float, max_age_h: float) -> ProductCheck:
    """Return a check by the ledger's copy alone, for ``plan``: a copy that is missing or too old checks nothing."""

    def vet(named: frozenset[str]) -> CheckedProducts:
        if not named:
            return CheckedProducts()
        pull = last_pull(ledger) if ledger is not None else None
        if ledger is None or pull is None:
            return CheckedProducts(
                notes=("products are not checked: the ledger has no copy of them (syncer products pull)",)
            )
        if pull.seen_at < utc_text(wall_s - max_age_h * HOUR_S):
            words = f"products are not checked: their copy is of {pull.seen_at}, older than products.max_age_h"
            return CheckedProducts(notes=(f"{words} (syncer products pull)",))
        unknown = named - known_names(ledger, named, since=pull.seen_at)
        words = f"{len(unknown)} products are not in the copy of {pull.seen_at}; sync asks the API about them"
        return CheckedProducts(unknown, (words,) if unknown else ())

    return vet


def by_api(ledger: Ledger, reader: Reader[Client], *, max_age_h: float, observe: Observe) -> ProductCheck:
    """Return a check by the ledger's copy, refreshed when it is too old, and by look-ups of what it lacks."""

    def vet(named: frozenset[str]) -> CheckedProducts:
        if not named:
            return CheckedProducts()
        try:
            return _Check(ledger, reader, named, max_age_h, observe).run()
        except ForbiddenError:
            return CheckedProducts(notes=("products are not checked: the token lacks the permission product_view",))

    return vet


class _Check:
    def __init__(
        self, ledger: Ledger, reader: Reader[Client], named: frozenset[str], max_age_h: float, observe: Observe
    ) -> None:
        self._ledger = ledger
        self._reader = reader
        self._named = named
        self._observe = observe
        self._fresh = False
        horizon = utc_text(reader.clock.wall_s() - max_age_h * HOUR_S)
        pull = last_pull(ledger)
        self._since = pull.seen_at if pull is not None and pull.seen_at >= horizon else ""

    def run(self) -> CheckedProducts:
        if not self._since:
            self._pull()
        missing = self._missing()
        if len(missing) > LOOK_UPS_MAX and not self._fresh:
            self._pull()
            missing = self._missing()
        if not missing:
            return CheckedProducts()
        found = self._look_up(missing[:LOOK_UPS_MAX])
        unknown = frozenset(missing) - found
        if not self._fresh and any(name.isdigit() for name in unknown):
            self._pull()  # `product` may be an id as well, and only the list knows ids
            unknown &= frozenset(self._missing())
        if found and len(missing) > LOOK_UPS_MAX:
            unknown &= frozenset(missing[:LOOK_UPS_MAX])
            words = f"{len(missing) - LOOK_UPS_MAX} products are not checked: the API's list lacks some that it knows"
            return CheckedProducts(unknown, (words,))
        return CheckedProducts(unknown)

    def _pull(self) -> None:
        log.info("reading the list of products")
        pull = pull_products(self._reader, archived=True, observe=self._observe)
        store_pull(self._ledger, pull.record, pull.products)
        self._since, self._fresh = pull.record.seen_at, True

    def _missing(self) -> list[str]:
        return sorted(self._named - known_names(self._ledger, self._named, since=self._since))

    def _look_up(self, skus: list[str]) -> frozenset[str]:
        """Return those that the API knows, and keep what can be read of them."""
        known, products = set[str](), []
        for sku in skus:
            try:
                product = look_up(self._reader, sku)
            except UnreadProductError:
                known.add(sku)
                continue
            if product is not None:
                known.add(sku)
                products.append(product)
        store_products(self._ledger, products)
        return frozenset(known)
