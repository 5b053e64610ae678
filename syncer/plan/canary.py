"""Which values ask whether the API takes fields that it was never seen to take. Pure.

A count says that codes were affected, not that every field was taken; only the names in a sync answer do. So where a
plan would send such a field by async calls alone, some of its values travel by one sync call instead. They are spread
over all values, since codes of several campaigns may stand in one file. The plan needs one call more for it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from syncer.mirror.words import fields_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

    from syncer.model import Batches

VALUES = 50
"""Values that ask, per plan; one sync call carries them."""


def canary(
    payload: npt.NDArray[np.int32],
    own: npt.NDArray[np.bool_],
    batches: Batches,
    data: Sequence[str],
    unproven: frozenset[str],
) -> npt.NDArray[np.int64]:
    """Return the places of the items that ask; none where sync calls of the plan carry every unproven field anyway.

    ``own`` says which items are tonight's; ``data[n]`` is the text of payload *n*.
    """
    by_payload = {int(n): unproven.intersection(fields_of(data[n])) for n in np.unique(payload).tolist()}
    by_sync = np.zeros(len(payload), bool)
    by_sync[batches.order[np.repeat(~batches.is_async, batches.sizes)]] = True
    shown = {field for n in np.unique(payload[by_sync]).tolist() for field in by_payload[n]}
    asked: list[npt.NDArray[np.int64]] = []
    for field in sorted(frozenset().union(*by_payload.values()) - shown):
        carriers = [n for n, fields in by_payload.items() if field in fields]
        places = np.flatnonzero(own & np.isin(payload, carriers))
        asked.append(places[np.unique(np.linspace(0, len(places) - 1, min(VALUES, len(places))).astype(np.int64))])
    chosen = np.unique(np.concatenate(asked)) if asked else np.zeros(0, np.int64)
    return chosen[np.unique(np.linspace(0, len(chosen) - 1, min(VALUES, len(chosen))).astype(np.int64))]
