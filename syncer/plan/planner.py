"""The plan of a run: which values go to the API, with which data, in which calls; and what becomes of all other rows.

Deterministic: the same files and the same ledger give the same batches in the same order. Pure: no input, no output,
no time.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from syncer.arrow import as_numpy, numbers
from syncer.model import KEY_SEPARATOR, Items, Mode, Plan, RowCounts
from syncer.plan.batching import batch, batch_composite
from syncer.plan.diff import Diff, Standing
from syncer.plan.ordering import key_order

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy.typing as npt


def make_plan(
    diff: Diff,
    *,
    key: tuple[str, ...],
    fields: tuple[str, ...],
    mode: Mode,
    names: Sequence[str],
    carried_data: Mapping[int, str],
    force: bool = False,
) -> Plan:
    """Turn a finished comparison into a plan.

    ``names`` are the files' names, by position, for messages. ``carried_data`` maps the ledger's payload ids of
    carried values to their canonical data. ``force`` sends unchanged values too.
    """
    verdicts = diff.verdicts()
    wanted = (verdicts == Standing.NEW) | (verdicts == Standing.CHANGED)
    if force:
        wanted |= verdicts == Standing.UNCHANGED
    chosen = np.zeros(len(diff.records.keys), bool)
    chosen[diff.groups.leaders[wanted]] = True
    items = _with_carried(diff, _of_rows(diff, np.flatnonzero(chosen).astype(np.int32)), carried_data)
    items = _reordered(items, key_order(items.texts, items.rows))
    if len(key) == 1:
        batches = batch(items.payload, mode)
    else:
        batches = batch_composite(items.payload, _key_codes(items.texts.take(numbers(items.rows)), len(key)))
    conflicts = diff.conflicts(names)
    return Plan(
        key=key,
        fields=fields,
        mode=mode,
        rows=_count(diff, verdicts, len(conflicts)),
        payloads=diff.records.payloads.data,
        fingerprints=diff.records.payloads.fingerprints(),
        items=_reordered(items, batches.order),
        batches=batches,
        rejections=tuple(sorted((*diff.records.rejections, *conflicts), key=lambda r: (r.source, r.line))),
        known_keys=diff.known_keys,
    )


def _of_rows(diff: Diff, rows: npt.NDArray[np.int32]) -> Items:
    records = diff.records
    return Items(records.keys, rows, records.payload[rows], records.source[rows].astype(np.int32), records.line[rows])


def _reordered(items: Items, order: npt.NDArray[np.int64] | npt.NDArray[np.int32] | None) -> Items:
    if order is None or (order[1:] > order[:-1]).all():  # as they are: nothing has to be moved
        return items
    return Items(items.texts, items.rows[order], items.payload[order], items.source[order], items.line[order])


def _with_carried(diff: Diff, items: Items, data: Mapping[int, str]) -> Items:
    """Append the values that earlier runs left unsent and that no row of these files names."""
    if not diff.carried:
        return items
    payloads = diff.records.payloads
    new_numbers = {payload_id: payloads.number(text) for payload_id, text in data.items()}
    texts = pa.concat_arrays([items.texts, *(block.keys for block in diff.carried)])
    ids = np.concatenate([block.payload_ids for block in diff.carried])
    distinct, inverse = np.unique(ids, return_inverse=True)
    payload = np.array([new_numbers[int(payload_id)] for payload_id in distinct], np.int32)[inverse]
    return Items(
        texts,
        np.concatenate([items.rows, np.arange(len(items.texts), len(texts), dtype=np.int32)]),
        np.concatenate([items.payload, payload]),
        np.concatenate([items.source, *(-block.source_ids.astype(np.int32) for block in diff.carried)]),
        np.concatenate([items.line, *(block.lines for block in diff.carried)]),
    )


def _key_codes(keys: pa.LargeStringArray, columns: int) -> list[npt.NDArray[np.int64]]:
    """Return, per key column, a code for each key's value in it."""
    parts = pc.split_pattern(keys, KEY_SEPARATOR)
    return [
        as_numpy(pc.list_element(parts, column).dictionary_encode().indices).astype(np.int64)
        for column in range(columns)
    ]


def _count(diff: Diff, verdicts: npt.NDArray[np.uint8], conflicting_rows: int) -> RowCounts:
    groups = [np.count_nonzero(verdicts == verdict) for verdict in Standing]
    return RowCounts(
        read=diff.records.rows_read,
        new=int(groups[Standing.NEW]),
        changed=int(groups[Standing.CHANGED]),
        unchanged=int(groups[Standing.UNCHANGED]),
        held=int(groups[Standing.HELD]),
        duplicate=len(diff.records.keys) - conflicting_rows - int(len(verdicts) - groups[Standing.CONFLICT]),
        invalid=len(diff.records.rejections) + conflicting_rows,
    )
