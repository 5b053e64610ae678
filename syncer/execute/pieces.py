"""Cutting batches into smaller calls before they are sent: too large, or of a kind that the API does not take."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from typing import TYPE_CHECKING

from syncer.execute.reconcile import halves
from syncer.ledger.splitting import Piece
from syncer.model import Kind

if TYPE_CHECKING:
    from syncer.execute.context import Context
    from syncer.ledger.values import Batch, Item


def halved(context: Context, batch: Batch) -> list[Batch]:
    """Cut a planned batch into two; return the parts."""
    ids = [item.id for item in context.ledger.items(batch)]
    return context.writer.repack(batch, of_places(batch, ids, halves(len(ids))), context.at())


def cut(context: Context, batch: Batch, most: int) -> list[Batch]:
    """Cut a planned batch into parts of at most `most` values; return them."""
    ids = [item.id for item in context.ledger.items(batch)]
    places = [range(begin, min(begin + most, len(ids))) for begin in range(0, len(ids), most)]
    return context.writer.repack(batch, of_places(batch, ids, places), context.at())


def by_sync(context: Context, batch: Batch) -> Batch:
    """Let the values of a planned batch go by a sync call; return the batch that they are in then."""
    ids = tuple(item.id for item in context.ledger.items(batch))
    (moved,) = context.writer.repack(batch, [Piece(Kind.SYNC, ids)], context.at())
    return moved


def of_places(batch: Batch, ids: Sequence[int], parts: Sequence[Sequence[int]]) -> list[Piece]:
    """Return pieces of a batch's own kind: each has the items at some of its places."""
    return [Piece(Kind(batch.kind), tuple(ids[place] for place in part)) for part in parts if part]


def by_data(items: Sequence[Item]) -> list[Piece]:
    """Return async pieces, one for each set of data: what a sync call carried together."""
    ordered = sorted(items, key=lambda item: (item.data, item.id))
    return [Piece(Kind.ASYNC, tuple(item.id for item in same)) for _, same in groupby(ordered, lambda item: item.data)]
