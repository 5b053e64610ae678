"""The plan of a run: which values go to the API, with which data, in which calls; and what becomes of all other rows.

Deterministic: the same files and the same ledger give the same batches in the same order. Pure: no input, no output,
no time.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from syncer.arrow import as_numpy, at_places, distinct_numbers, numbers
from syncer.mirror.words import NOTHING
from syncer.model import KEY_SEPARATOR, Batches, Errand, Items, Mode, Origins, Plan, RowCounts
from syncer.plan.batching import batch, batch_composite
from syncer.plan.canary import Question, canary
from syncer.plan.diff import Carried, Diff, Side, Standing
from syncer.plan.ordering import key_order
from syncer.plan.states import SAME
from syncer.rejections import Rejections

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy.typing as npt

    from syncer.plan.payloads import Payloads

    Kinds = npt.NDArray[np.int16]
    """What keeps items apart: `ASKING`, or twice the errand's number, and one more for those that matched nothing."""


BLOCK_ROWS = 1 << 20
"""Items that are counted at a time."""
ASKING = -1
"""In place of what keeps values apart: they travel by sync calls, first of all, whose answers name the fields taken."""


NO_PAYLOAD = -1
OWN_MOST = 1
"""The greatest number that keeps apart values of the run's own errand: 0, or 1 for those that matched nothing."""


class Send(StrEnum):
    """How much of a row is sent."""

    CHANGES = "changes"
    """The fields that are not known to hold the row's value."""
    ROW = "row"
    """The whole row, when any of its fields is not known to hold the row's value."""
    ALL = "all"
    """The whole row, of unchanged rows too."""


@dataclass(frozen=True, slots=True)
class Asked:
    """Fields of which a count proves nothing, or too little: only names in sync answers tell that they were taken.

    Of the values of one campaign.
    """

    unproven: frozenset[str] = frozenset()
    """Never seen taken: some values ask."""
    of_fresh: frozenset[str] = frozenset()
    """Of values of which nothing was ever heard, some ask: they may be of another campaign."""
    mixed: frozenset[str] = frozenset()
    """Taken for some values and not for others: each value asks."""


def make_plan(
    diff: Diff,
    *,
    key: tuple[str, ...],
    fields: tuple[str, ...],
    mode: Mode,
    names: Sequence[str],
    own: Errand | None = None,
    send: Send = Send.CHANGES,
    asked: Mapping[int, Asked] = MappingProxyType({}),
) -> Plan:
    """Turn a settled comparison into a plan.

    ``names`` are the files' names, by position, for messages; ``own`` is the errand of the run that has the plan.
    ``asked`` says, per campaign that products tell (0: none does), which fields have to be asked for: their values, or
    some, travel by sync calls, which name them.
    """
    verdicts = diff.verdicts()
    sides = _Sides(diff, verdicts, send, own)
    order = key_order(sides.items.texts, sides.items.rows)
    items = _reordered(sides.items, order)
    apart = sides.apart if order is None else sides.apart[order]
    campaign = sides.campaign if order is None else sides.campaign[order]
    if mode is not Mode.SYNC and len(key) == 1 and len(sides.probes):
        apart = np.where(np.isin(items.rows, sides.probes) & (apart <= OWN_MOST), ASKING, apart)
    if mode is not Mode.SYNC and len(key) == 1:
        apart = _each_asking(apart, campaign, items, asked, diff.records.payloads)
    whole = _calls(items, len(key), mode)
    batches, errand_of = _batched(items, apart, len(key), mode, whole)
    if asked and len(key) == 1:
        questions = _questions(apart, campaign, items.before == 0, asked)
        asking = canary(items.payload, batches, diff.records.payloads, questions)
        if len(asking):
            apart = apart.copy()
            apart[asking] = ASKING
            batches, errand_of = _batched(items, apart, len(key), mode, whole)
    conflicts = diff.conflicts(names)
    payloads = diff.records.payloads
    return Plan(
        key=key,
        fields=fields,
        mode=mode,
        rows=_count(diff, verdicts, len(conflicts)),
        payloads=payloads.data,
        items=_reordered(items, batches.order),
        batches=batches,
        rejections=Rejections.together([diff.records.rejections, conflicts]).in_order(),
        known_keys=diff.known_keys,
        wishes=sides.wishes,
        untaken=sides.untaken,
        origins=sides.origins,
        errands=sides.errands,
        errand_of=errand_of,
        changes=_changes(items.payload, payloads),
        overwritten=int(diff.overwritten.sum()),
        minimum_updates=len(whole),
    )


def _each_asking(
    apart: Kinds, campaign: npt.NDArray[np.int32], items: Items, asked: Mapping[int, Asked], payloads: Payloads
) -> Kinds:
    """Let every value ask whose campaign takes a field for some values and not for others."""
    for told, one in asked.items():
        if one.mixed:
            naming = payloads.named().any_of(one.mixed)[items.payload] & (campaign == told)
            apart = np.where(naming & (apart <= OWN_MOST), ASKING, apart)
    return apart


def _questions(
    apart: Kinds, campaign: npt.NDArray[np.int32], fresh: npt.NDArray[np.bool_], asked: Mapping[int, Asked]
) -> list[Question]:
    """Return what some values have to ask: of each campaign, and of those of which nothing was ever heard."""
    questions = []
    for told, one in asked.items():
        tonights = (apart <= OWN_MOST) & (campaign == told)
        questions += [Question(tonights & ~fresh, tonights, one.unproven)] if one.unproven else []
        questions += [Question(tonights & fresh, tonights & fresh, one.of_fresh)] if one.of_fresh else []
    return questions


class _Sides:
    """The rows of the files and the carried values, as one: what is sent now, and what has to wait."""

    def __init__(self, diff: Diff, verdicts: npt.NDArray[np.uint8], send: Send, own: Errand | None) -> None:
        rows, carried = diff.rows, diff.carried
        wanted = (verdicts == Standing.NEW) | (verdicts == Standing.CHANGED)
        if send is Send.ALL:
            blank = diff.records.payloads.known_number(NOTHING)  # a row that says nothing has nothing to send
            wanted |= (verdicts == Standing.UNCHANGED) & (rows.wanted != (NO_PAYLOAD if blank is None else blank))
        sent = rows.send if send is Send.CHANGES else rows.wanted
        if len(rows.probes):
            wanted[rows.probes] = True
            sent = _with_whole(sent, rows)
        records = diff.records
        self.texts = records.keys if carried is None else pa.concat_arrays([records.keys, carried.keys])
        self._records = records
        self._beyond = len(records.keys)
        self.errands: tuple[Errand | None, ...] = (own,)
        items, self.apart, self.campaign = self._of_rows(diff, _places(wanted), sent)
        wishes, *_ = self._of_rows(diff, _places(verdicts == Standing.HELD), rows.wanted)
        self.probes = diff.groups.leaders_of(rows.probes).astype(np.int64)
        left_out = rows.left_out != SAME if len(rows.left_out) else np.zeros(len(verdicts), bool)
        left_out &= (verdicts != Standing.HELD) & (verdicts != Standing.CONFLICT)
        self.untaken, *_ = self._of_rows(diff, _places(left_out), rows.left_out)
        origins = [_placed(rows.origins, rows, 0)]
        if carried is not None:
            self.errands += tuple(errand for errand in carried.errands if errand != own)
            held = carried.states.held
            probing = np.isin(np.arange(len(held)), carried.probes)
            groups = _places(~held & ((carried.send != SAME) | probing))
            more, apart = self._of_carried(carried, groups, _with_whole(carried.send, carried))
            leaders = carried.states.groups.leaders_of(carried.probes) + self._beyond
            self.probes = np.concatenate([self.probes, leaders])
            if len(carried.left_out):
                left = _places((carried.left_out != SAME) & ~held)
                self.untaken = _joined(self.untaken, self._of_carried(carried, left, carried.left_out)[0])
            items, self.apart = _joined(items, more), np.concatenate([self.apart, apart])
            self.campaign = np.concatenate([self.campaign, carried.campaign[groups]])
            wishes = _joined(wishes, self._of_carried(carried, _places(held), carried.wanted)[0])
            origins.append(_placed(carried.origins, carried, self._beyond))
        self.items, self.wishes = items, wishes
        self.origins = _as_one(origins)

    def _of_rows(
        self, diff: Diff, groups: npt.NDArray[np.int32], payload: npt.NDArray[np.int32]
    ) -> tuple[Items, Kinds, npt.NDArray[np.int32]]:
        """Return the chosen keys in the order of their first rows, what keeps each apart, and its campaign."""
        side, records = diff.rows, self._records
        rows, picture = side.states.groups.leaders_of(groups), side.states.picture
        line, source = at_places(records.line, rows), at_places(records.source, rows, np.int32)
        items = Items(self.texts, rows, at_places(payload, groups), source, line, at_places(picture, groups))
        return items, at_places(side.absent, groups, np.int16), at_places(side.campaign, groups)

    def _of_carried(
        self, carried: Carried, groups: npt.NDArray[np.int32], payload: npt.NDArray[np.int32]
    ) -> tuple[Items, Kinds]:
        rows = (carried.states.groups.leaders_of(groups) + self._beyond).astype(np.int32)
        source = -carried.source_id[groups].astype(np.int32)
        before = carried.states.picture[groups]
        items = Items(self.texts, rows, payload[groups], source, carried.line[groups], before)
        errand = np.array([self.errands.index(one) for one in carried.errands], np.int64)[carried.errand[groups]]
        return items, (2 * errand + carried.absent[groups]).astype(np.int16)


def _with_whole(sent: npt.NDArray[np.int32], side: Side) -> npt.NDArray[np.int32]:
    """Return what is sent of each group: all that is wanted, of those that ask whether fields are taken by now."""
    if len(side.probes):
        sent = sent.copy()
        sent[side.probes] = side.wanted[side.probes]
    return sent


def _places(chosen: npt.NDArray[np.bool_]) -> npt.NDArray[np.int32]:
    return np.flatnonzero(chosen).astype(np.int32)


def _joined(left: Items, right: Items) -> Items:
    if not len(right):
        return left
    columns = ("rows", "payload", "source", "line", "before")
    return Items(left.texts, *(np.concatenate([getattr(left, n), getattr(right, n)]) for n in columns))


def _placed(origins: Origins, side: Side, beyond: int) -> Origins:
    """Return origins with the keys' places in the texts of the plan, in place of their groups."""
    rows = side.states.groups.leaders_of(origins.row).astype(np.int64) + beyond
    return Origins(rows, origins.source_id, origins.line, origins.fields, origins.names)


def _as_one(parts: Sequence[Origins]) -> Origins:
    """Join origins that share one list of names."""
    columns = ("row", "source_id", "line", "fields")
    row, source_id, line, fields = (np.concatenate([getattr(part, name) for part in parts]) for name in columns)
    return Origins(row, source_id, line, fields, parts[0].names)


def _batched(
    items: Items, apart: Kinds, columns: int, mode: Mode, whole: Batches
) -> tuple[Batches, npt.NDArray[np.int64]]:
    """Group items into calls, with the errand of each: items that differ in `apart` travel apart.

    ``whole`` are the calls of all items together.
    """
    kinds = distinct_numbers(apart)
    if len(kinds) <= 1 and ASKING not in kinds:
        return whole, np.full(len(whole), kinds[0] // 2 if kinds else 0, np.int64)
    parts, errands = [], []
    for kind in kinds:
        places = np.flatnonzero(apart == kind)
        part = _calls(items, columns, Mode.SYNC if kind == ASKING else mode, places)
        parts.append(Batches(places[part.order], part.sizes, part.is_async, part.payload, part.varying))
        errands.append(np.full(len(part), max(kind, 0) // 2, np.int64))
    joined = (np.concatenate([getattr(part, name) for part in parts]) for name in Batches.__slots__)
    return Batches(*joined), np.concatenate(errands)


def _calls(items: Items, columns: int, mode: Mode, places: npt.NDArray[np.int64] | None = None) -> Batches:
    """Group items, or those at some places, into calls."""
    chosen = slice(None) if places is None else places
    if columns == 1:
        return batch(items.payload[chosen], mode)
    keys = items.texts.take(numbers(items.rows[chosen]))
    return batch_composite(items.payload[chosen], _key_codes(keys, columns))


def _changes(payload: npt.NDArray[np.int32], payloads: Payloads) -> dict[str, int]:
    """Count, per field, the values that get it."""
    named = payloads.named()
    values = np.zeros(len(named.lists), np.int64)
    for begin in range(0, len(payload), BLOCK_ROWS):
        values += np.bincount(named.of[payload[begin : begin + BLOCK_ROWS]], minlength=len(values))
    counts: dict[str, int] = {}
    for fields, count in zip(named.lists, values.tolist(), strict=True):
        for field in fields if count else ():
            counts[field] = counts.get(field, 0) + count
    return dict(sorted(counts.items()))


def _reordered(items: Items, order: npt.NDArray[np.int64] | npt.NDArray[np.int32] | None) -> Items:
    if order is None or (len(order) == len(items) and (order[1:] > order[:-1]).all()):  # as they are
        return items
    return items.taken(order)


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
