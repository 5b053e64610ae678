"""Which values ask whether the API takes fields that it was never seen to take. Pure.

A count says that codes were affected, not that every field was taken; only the names in a sync answer do. So where a
plan would send such a field by async calls alone, some of its values travel by one sync call instead. They are spread
over all values, and over all products that the data names, since codes of several campaigns may stand in one file. The
plan needs one call more for it.

Values of which nothing was ever heard may be of another campaign than all others: they ask for every field.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from syncer.mirror.picture import PRODUCT
from syncer.mirror.words import fields_of, value_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

    from syncer.model import Batches

    Places = npt.NDArray[np.int64]

VALUES = 50
"""Values that ask, spread over the plan."""
PRODUCTS_MAX = 50
"""Products of which one value asks: with the others one sync call carries them."""


def canary(
    payload: npt.NDArray[np.int32],
    own: npt.NDArray[np.bool_],
    batches: Batches,
    data: Sequence[str],
    unproven: frozenset[str],
    fresh: npt.NDArray[np.bool_],
    asked_of_fresh: frozenset[str],
) -> Places:
    """Return the places of the items that ask; none where sync calls of the plan carry all that is to be asked anyway.

    ``own`` says which items are tonight's; ``data[n]`` is the text of payload *n*. ``fresh`` are items of which nothing
    was ever heard; they ask for ``asked_of_fresh``, the others for the ``unproven`` fields alone.
    """
    by_sync = np.zeros(len(payload), bool)
    by_sync[batches.order[np.repeat(~batches.is_async, batches.sizes)]] = True
    asked = [
        _asking(payload, own & is_new, by_sync & is_new if is_new is fresh else by_sync, data, fields)
        for is_new, fields in ((~fresh, unproven), (fresh, asked_of_fresh))
        if fields
    ]
    found = [places for places, _ in asked]
    chosen = np.unique(np.concatenate(found)) if found else np.zeros(0, np.int64)
    of_products = [place for _, products in asked for place in products][:PRODUCTS_MAX]
    return np.union1d(_spread(chosen), np.array(of_products, np.int64))


def _asking(
    payload: npt.NDArray[np.int32],
    own: npt.NDArray[np.bool_],
    by_sync: npt.NDArray[np.bool_],
    data: Sequence[str],
    fields: frozenset[str],
) -> tuple[Places, list[int]]:
    """Return places of items with a field that no sync call carries: spread over all, and one of each product."""
    by_payload = _asked_of(_used(payload[own]), data, fields)
    shown = {field for n in _used(payload[by_sync & own]) for field in by_payload[n]}
    asked: list[Places] = []
    products: dict[str | None, int] = {}
    for field in sorted(frozenset().union(*by_payload.values()) - shown):
        carriers = [n for n, named in by_payload.items() if field in named]
        places = np.flatnonzero(own & np.isin(payload, carriers))
        asked.append(_spread(places))
        numbers, first = np.unique(payload[places], return_index=True)
        for number, place in zip(numbers.tolist(), places[first].tolist(), strict=True):
            products.setdefault(value_of(data[number], PRODUCT), place)
    of_products = [place for product, place in products.items() if product is not None]
    return (np.unique(np.concatenate(asked)) if asked else np.zeros(0, np.int64)), of_products


def _asked_of(used: Sequence[int], data: Sequence[str], fields: frozenset[str]) -> dict[int, frozenset[str]]:
    """Return which of some fields each payload names; payloads that name the same ones share one set."""
    sets: dict[tuple[str, ...], frozenset[str]] = {}
    found: dict[int, frozenset[str]] = {}
    for number in used:
        named = tuple(fields_of(data[number]))
        asked = sets.get(named)
        if asked is None:
            asked = sets[named] = fields.intersection(named)
        found[number] = asked
    return found


def _used(payload: npt.NDArray[np.int32]) -> list[int]:
    used: list[int] = np.flatnonzero(np.bincount(payload)).tolist()
    return used


def _spread(places: Places) -> Places:
    """Return `VALUES` of some places, spread over all of them."""
    if len(places) <= VALUES:
        return places
    return places[np.unique(np.linspace(0, len(places) - 1, VALUES).astype(np.int64))]
