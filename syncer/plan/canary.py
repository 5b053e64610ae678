"""Which values ask whether the API takes fields that it was never seen to take. Pure.

A count says that codes were affected, not that every field was taken; only the names in a sync answer do. So where a
plan would send such a field by async calls alone, some of its values travel by one sync call instead. They are spread
over all values, and over all products that the data names, since codes of several campaigns may stand in one file. The
plan needs one call more for it.

Values of which nothing was ever heard may be of another campaign than all others: they ask for every field, unless
their product tells the campaign.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from syncer.mirror.picture import PRODUCT
from syncer.mirror.words import value_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    import numpy.typing as npt

    from syncer.model import Batches
    from syncer.plan.payloads import Named, Payloads

    Places = npt.NDArray[np.int64]

VALUES = 50
"""Values that ask, spread over the plan."""
PRODUCTS_MAX = 50
"""Products of which one value asks: with the others one sync call carries them."""


class Question(NamedTuple):
    """Fields that are to be asked for among some of tonight's items (a mask over all).

    ``alike`` are the items whose answers prove it for these: themselves, and others of their campaign.
    """

    own: npt.NDArray[np.bool_]
    alike: npt.NDArray[np.bool_]
    fields: frozenset[str]


def canary(
    payload: npt.NDArray[np.int32], batches: Batches, payloads: Payloads, questions: Sequence[Question]
) -> Places:
    """Return the places of the items that ask; none where sync calls of the plan carry all that is to be asked anyway.

    ``payload`` numbers ``payloads``. The values of different campaigns, and those of which nothing was ever
    heard, are different questions: what the one half takes proves nothing of the other.
    """
    by_sync = np.zeros(len(payload), bool)
    by_sync[batches.order] = np.repeat(~batches.is_async, batches.sizes)
    asked = [_asking(payload, own, by_sync & alike, payloads, fields) for own, alike, fields in questions]
    found = [places for places, _ in asked if len(places)]
    most = max(1, VALUES // max(1, len(found)))
    chosen = np.unique(np.concatenate([_spread(places, most) for places in found])) if found else np.zeros(0, np.int64)
    of_products = [place for _, products in asked for place in products][:PRODUCTS_MAX]
    return np.union1d(chosen[:VALUES], np.array(of_products, np.int64))


def _asking(
    payload: npt.NDArray[np.int32],
    own: npt.NDArray[np.bool_],
    by_sync: npt.NDArray[np.bool_],
    payloads: Payloads,
    fields: frozenset[str],
) -> tuple[Places, list[int]]:
    """Return places of items with a field that no sync call carries: spread over all, and one of each product."""
    named = payloads.named()
    shown = frozenset(_fields(named, payload[by_sync]))
    asked: list[Places] = []
    products: dict[str | None, int] = {}
    for field in _unlike(named, fields - shown):
        places = np.flatnonzero(own & named.any_of([field])[payload])
        asked.append(_spread(places, VALUES))
        has_product = named.any_of([PRODUCT])[payload[places]]
        with_product = places if has_product.all() else places[has_product]
        for number, place in _first_places(payload[with_product], with_product, len(payloads)):
            products.setdefault(value_of(payloads.data[number], PRODUCT), place)
            if len(products) == PRODUCTS_MAX:
                break
    return (np.unique(np.concatenate(asked)) if asked else np.zeros(0, np.int64)), [*products.values()]


def _unlike(named: Named, fields: Iterable[str]) -> list[str]:
    """Return one of all fields that the same payloads name: who asks for the one asks for the others, too."""
    by_payloads = {tuple(field in one for one in named.lists): field for field in sorted(fields)}
    return sorted(by_payloads.values())


def _fields(named: Named, payload: npt.NDArray[np.int32]) -> Iterator[str]:
    """Yield the fields that some payloads name."""
    used = np.zeros(len(named.of), bool)
    used[payload] = True
    for number in np.unique(named.of[used]).tolist():
        yield from named.lists[number]


def _first_places(payload: npt.NDArray[np.int32], places: Places, payloads: int) -> Iterator[tuple[int, int]]:
    """Yield each payload among some places, and the first of its places; there are so many payloads."""
    first = np.full(payloads, -1, np.int64)
    first[payload[::-1]] = places[::-1]
    numbers = np.flatnonzero(first >= 0)
    yield from zip(numbers.tolist(), first[numbers].tolist(), strict=True)


def _spread(places: Places, most: int) -> Places:
    """Return `most` of some places, spread over all of them."""
    if len(places) <= most:
        return places
    return places[np.linspace(0, len(places) - 1, most).astype(np.int64)]
