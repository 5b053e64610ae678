"""What a plan changes, field by field: old → new, counted, each change with an example. Reads, never plans."""

from __future__ import annotations

import json
import shlex
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from syncer.mirror.words import fields_of
from syncer.model import shown_key
from syncer.results import Difference

if TYPE_CHECKING:
    from syncer.ledger.ledger import Ledger
    from syncer.ledger.values import Job
    from syncer.mirror.picture import Picture
    from syncer.model import Plan

BLOCK_VALUES = 50_000
"""Values whose pictures are looked up at once."""
CHANGES_MAX = 20
"""Changes of one field that are listed, the most frequent first; the counts have them all."""


def differences(plan: Plan, names: Sequence[str], ledger: Ledger | None, job: Job | None) -> tuple[Difference, ...]:
    """Return the changes of each field. ``names`` are the files' names; a value of an earlier file has no example line.

    Worked out once per distinct pair of what is known and what is sent, never per value.
    """
    found: dict[tuple[str, str | None, bool, str], list[int]] = {}
    for picture, payload, count, place in _pairs(plan, ledger, job):
        old = {} if picture is None else json.loads(picture.known)
        uncertain = () if picture is None else picture.uncertain
        for field, new in json.loads(plan.payloads[payload]).items():
            change = (field, old.get(field), field in uncertain, new)
            seen = found.setdefault(change, [0, place])
            seen[0], seen[1] = seen[0] + count, min(seen[1], place)
    return _listed(plan, names, found)


def _pairs(plan: Plan, ledger: Ledger | None, job: Job | None) -> Iterator[tuple[Picture | None, int, int, int]]:
    """Yield what is known (None: nothing), the number of what is sent, how many values, and the place of the first."""
    if ledger is None or job is None:
        yield from _by_number(plan, {})
        return
    with ledger.knowledge(job.space_id) as knowledge:
        if knowledge.is_plain:
            yield from _by_number(plan, knowledge.pictures(set(plan.items.before.tolist())))
            return
        seen: dict[tuple[Picture | None, int], list[int]] = {}
        for begin in range(0, len(plan.items), BLOCK_VALUES):  # what lies over the mirror differs from value to value
            keys = plan.items.keys(begin, begin + BLOCK_VALUES)
            held, payloads = knowledge.view(keys), plan.items.payload[begin : begin + BLOCK_VALUES].tolist()
            for place, (key, payload) in enumerate(zip(keys, payloads, strict=True), begin):
                seen.setdefault((held.get(key), payload), [0, place])[0] += 1
        for (picture, payload), (count, place) in seen.items():
            yield picture, payload, count, place


def _by_number(plan: Plan, pictures: Mapping[int, Picture]) -> Iterator[tuple[Picture | None, int, int, int]]:
    pairs = (plan.items.before.astype(np.int64) << np.int64(32)) | plan.items.payload
    distinct, first, counts = np.unique(pairs, return_index=True, return_counts=True)
    for pair, place, count in zip(distinct.tolist(), first.tolist(), counts.tolist(), strict=True):
        yield pictures.get(pair >> 32), pair & 0xFFFFFFFF, count, place


def _listed(
    plan: Plan, names: Sequence[str], found: Mapping[tuple[str, str | None, bool, str], Sequence[int]]
) -> tuple[Difference, ...]:
    listed: list[Difference] = []
    for field in sorted({field for field, *_ in found}):
        of_field = [(count, place, change) for change, (count, place) in found.items() if change[0] == field]
        of_field.sort(key=lambda one: (-one[0], one[1]))
        for count, place, (_, old, uncertain, new) in of_field[:CHANGES_MAX]:
            (key,) = plan.items.keys(place, place + 1)
            source = int(plan.items.source[place])
            is_older = source < 0 or _is_older(plan, place, field)
            where = "" if is_older else f"{names[source]}:{plan.items.line[place]}"
            listed.append(Difference(field, old, uncertain, new, count, shown_key(key), where))
    return tuple(listed)


def _is_older(plan: Plan, place: int, field: str) -> bool:
    """Tell whether an item's word for a field comes from an earlier run's file."""
    origins = plan.origins
    merged = np.flatnonzero(origins.row == plan.items.rows[place])
    return any(field in origins.names[number] for number in origins.fields[merged].tolist())


def left_wanted(plan: Plan, fields: Collection[str]) -> tuple[str, ...]:
    """Say which fields go though tonight's files, whose own ``fields`` are given, have none: and how to drop them."""
    counts: dict[str, int] = {}
    numbers, sizes = np.unique(plan.items.payload, return_counts=True)
    for number, size in zip(numbers.tolist(), sizes.tolist(), strict=True):
        for field in fields_of(plan.payloads[number]):
            if field not in fields:
                counts[field] = counts.get(field, 0) + size
    return tuple(
        f"{field} (values: {count:,}) is no column of these files: an earlier run left it wanted, so it is sent; "
        f"to drop it: {shlex.join(['syncer', 'abandon', '--field', field])}"
        for field, count in sorted(counts.items())
    )
