"""One batch with its values, and the one call that carries it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

from syncer.model import KEY_SEPARATOR, Kind

if TYPE_CHECKING:
    from syncer.execute.context import Context
    from syncer.execute.lanes import Call
    from syncer.ledger.values import Batch, Item, Run


@dataclass(frozen=True, slots=True)
class LoadedBatch:
    """One batch with its values, ready to be sent."""

    batch: Batch
    items: tuple[Item, ...]
    run: Run
    """The run that planned it, tonight's or an earlier one: what travels with the values is its own."""

    @property
    def key(self) -> tuple[str, ...]:
        """The key columns that select its codes."""
        return self.run.job.key

    @property
    def keys(self) -> list[str]:
        """The key texts of the values, in order."""
        return [item.key for item in self.items]

    def sync_items(self) -> list[dict[str, str]]:
        """Return the items of a sync call: the key beside the data."""
        return [{self.key[0]: item.key, **json.loads(item.data)} for item in self.items]

    def constraints(self) -> dict[str, list[str]]:
        """Return the constraints of an async call: the varying column has all values, any other exactly one.

        Raises `ValueError` when another column would vary too: such a call could reach codes that no row named.
        """
        columns = list(zip(*(item.key.split(KEY_SEPARATOR) for item in self.items), strict=True))
        constraints = {}
        for place, (name, values) in enumerate(zip(self.key, columns, strict=True)):
            distinct = list(dict.fromkeys(values))
            if place != self.batch.varying and len(distinct) > 1:
                raise ValueError(f"batch {self.batch.id}: two constraints vary, {name!r} is one of them")
            constraints[name] = distinct
        return constraints

    def scm_data(self) -> dict[str, str]:
        """Return the one set of data of an async call."""
        data: dict[str, str] = json.loads(self.items[0].data)
        return data

    def call(self, reference: str) -> Call:
        """Return the one call that carries this batch; everything it needs is worked out now, not in a lane."""
        if self.batch.kind == Kind.ASYNC:
            constraints, scm_data, campaign = self.constraints(), self.scm_data(), self.batch.campaign
            return lambda client: client.upload_async(constraints, scm_data, reference, campaign)
        data_key, items = self.key[0], self.sync_items()
        return lambda client: client.upload_sync(data_key, items)


def load_batch(context: Context, batch: Batch) -> LoadedBatch:
    """Read the values of a batch."""
    return LoadedBatch(batch, tuple(context.ledger.items(batch)), context.owner(batch))
