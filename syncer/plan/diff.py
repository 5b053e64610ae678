"""What the ledger knows against what the files say: which keys are new, changed, unchanged, or held.

The ledger's side comes as blocks of columns, streamed past; the files' side is the sorted hashes of `KeyGroups`. The
ledger's own payload ids stand for data: one list translates the plan's payload numbers into them, so no data is
compared.
"""

from __future__ import annotations

from enum import IntEnum
from typing import TYPE_CHECKING

import numpy as np

from syncer.arrow import numbers
from syncer.model import CarriedBlock, KnownBlock, Rejection, shown_key
from syncer.plan.keys import KeyGroups, group_keys

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt
    import pyarrow as pa

    from syncer.plan.records import Records

CONFLICT_CODE = "E210"
"""One key, different data (docs/rejections.md)."""
ABSENT_MAX = 100_000
"""Known keys without a row that are kept, for the guard on damaged keys."""
LINES_NAMED_MAX = 10
"""Lines that one message names before it says how many more there are."""


class Standing(IntEnum):
    """What a key's rows mean, compared with the ledger."""

    NEW = 0
    CHANGED = 1
    UNCHANGED = 2
    HELD = 3
    CONFLICT = 4


class Diff:
    """Compares the records of a run with the ledger, block by block; then `verdicts` says what each key is.

    ``ledger_ids[n]`` is the ledger's id of payload *n*, -1 when the ledger has never seen that data.
    """

    def __init__(self, records: Records, ledger_ids: npt.NDArray[np.int64]) -> None:
        self.records = records
        self.groups: KeyGroups = group_keys(records.keys)
        self._ledger_ids = ledger_ids
        self._known = np.zeros(len(self.groups), bool)
        self._same = np.zeros(len(self.groups), bool)
        self._held = np.zeros(len(self.groups), bool)
        self._conflict = self._find_conflicts()
        self.carried: list[CarriedBlock] = []
        self.absent: list[pa.LargeStringArray] | None = None
        """The known keys that no row names, in blocks; None where they were not seen, or are too many."""
        self._absent_keys = 0

    def _find_conflicts(self) -> npt.NDArray[np.bool_]:
        conflict = np.zeros(len(self.groups), bool)
        if len(self.groups) < len(self.records.keys):
            payload = self.records.payload[self.groups.order]
            of_leader = np.repeat(self.records.payload[self.groups.leaders], self.groups.sizes())
            group = np.repeat(np.arange(len(self.groups)), self.groups.sizes())
            conflict[group[payload != of_leader]] = True
        return conflict

    def see_known(self, block: KnownBlock) -> None:
        """Take a block of the ledger's current state."""
        found = self.groups.find(block.keys)
        hits = found >= 0
        groups = found[hits]
        self._known[groups] = True
        planned_ids = self._ledger_ids[self.records.payload[self.groups.leaders[groups]]]
        self._same[groups] = planned_ids == block.payload_ids[hits]
        if block.of_all and self._absent_keys <= ABSENT_MAX:
            self._see_absent(block, np.flatnonzero(~hits))

    def _see_absent(self, block: KnownBlock, rows: npt.NDArray[np.int64]) -> None:
        """Keep known keys that no row names, as long as they are few: such a file is a full export."""
        self._absent_keys += len(rows)
        if self._absent_keys > ABSENT_MAX:
            self.absent = None
            return
        self.absent = self.absent or []
        if len(rows):
            self.absent.append(block.keys.take(numbers(rows)))

    def see_open(self, keys: pa.LargeStringArray) -> None:
        """Take keys whose earlier batch may still reach the API: their rows are held back."""
        found = self.groups.find(keys)
        self._held[found[found >= 0]] = True

    def see_unsent(self, block: CarriedBlock) -> None:
        """Take values of earlier unsent batches: those that no valid row names are carried into this plan."""
        found = self.groups.find(block.keys)
        absent = np.flatnonzero(found < 0)
        # A key whose rows contradict each other is not sent from this file; the earlier, valid data still is.
        contradicted = np.flatnonzero((found >= 0) & self._conflict[found]) if len(self.groups) else absent[:0]
        rows = np.union1d(absent, contradicted)
        if len(rows):
            self.carried.append(
                CarriedBlock(
                    block.keys.take(numbers(rows)),
                    block.payload_ids[rows],
                    block.source_ids[rows],
                    block.lines[rows],
                )
            )

    def verdicts(self) -> npt.NDArray[np.uint8]:
        """Return the `Standing` of each key group."""
        verdicts = np.full(len(self.groups), Standing.NEW, np.uint8)
        verdicts[self._known] = Standing.CHANGED
        verdicts[self._same] = Standing.UNCHANGED
        verdicts[self._held] = Standing.HELD
        verdicts[self._conflict] = Standing.CONFLICT
        return verdicts

    def new_leaders(self) -> npt.NDArray[np.int32]:
        """Return the first row of each key that the ledger has no confirmed state for, and no open batch."""
        return self.groups.leaders[~self._known & ~self._held]

    @property
    def known_keys(self) -> int:
        """How many of the files' keys the ledger has a confirmed state for."""
        return int(self._known.sum())

    def conflicts(self, names: Sequence[str]) -> list[Rejection]:
        """Reject every row of each key that stands with different data; each message names all its lines."""
        rejections: list[Rejection] = []
        if not self._conflict.any():
            return rejections
        records, groups = self.records, self.groups
        ends = np.append(groups.starts, len(groups.order))
        for group in np.flatnonzero(self._conflict):
            rows = groups.order[ends[group] : ends[group + 1]]
            places = [f"{names[records.source[row]]}:{records.line[row]}" for row in rows[:LINES_NAMED_MAX]]
            more = f" and {len(rows) - LINES_NAMED_MAX} more" if len(rows) > LINES_NAMED_MAX else ""
            key = records.keys[int(groups.leaders[group])].as_py()
            message = (
                f"key {shown_key(key)!r} stands with different data on {', '.join(places)}{more}: leave one of them"
            )
            rejections += [
                Rejection(int(records.source[row]), int(records.line[row]), CONFLICT_CODE, message, key) for row in rows
            ]
        return rejections
