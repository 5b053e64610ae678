"""Adding up: what several runs came to, and what a run has to tell of values that earlier runs planned. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from syncer.model import RowCounts, shown_key
from syncer.process.clock import seconds_between
from syncer.process.times import duration
from syncer.results import Concern, SyncResult

if TYPE_CHECKING:
    from syncer.ledger.endings import EndedValue
    from syncer.ledger.values import Batch
    from syncer.lifecycle.batch import Bucket


@dataclass(frozen=True, slots=True)
class ReadBack:
    """What values showed that were read back: fields refused, taken again, and proven by nothing; and why not.

    ``lacking``: fields that codes lack which a stopped run sent them, and that another key may have written since.
    """

    refused: frozenset[str] = frozenset()
    again: frozenset[str] = frozenset()
    unproven: tuple[str, ...] = ()
    note: str = ""
    lacking: tuple[str, ...] = ()


def added(results: Sequence[SyncResult]) -> SyncResult:
    """Return one result for runs that were driven together; the first one is the run that it names."""
    if len(results) == 1:
        return results[0]
    values: Counter[Bucket] = Counter()
    for one in results:
        values.update(one.values)
    return replace(
        results[0],
        rows=RowCounts(*(sum(getattr(one.rows, name) for one in results) for name in RowCounts.__slots__)),
        values=dict(values),
        sync_batches=sum(one.sync_batches for one in results),
        async_batches=sum(one.async_batches for one in results),
        discarded_fields=tuple(sorted({field for one in results for field in one.discarded_fields})),
        unproven_fields=tuple(sorted({field for one in results for field in one.unproven_fields})),
        goes_again=any(one.goes_again for one in results),
        runs=tuple(one.run for one in results if one.run is not None),
    )


def tell(ended: Iterable[EndedValue]) -> tuple[dict[Bucket, int], list[Concern]]:
    """Return how many values of earlier runs ended how, and why, each reason with the place of one of them."""
    counts: Counter[Bucket] = Counter()
    reasons: dict[tuple[Bucket, str, int], tuple[int, EndedValue]] = {}
    for value in ended:
        counts[value.bucket] += 1
        reason = (value.bucket, value.message, value.run_id)
        known, example = reasons.get(reason, (0, value))
        reasons[reason] = (known + 1, example)
    concerns = []
    for (bucket, message, run_id), (count, example) in reasons.items():
        words = f"{message} (planned by run {run_id}: {example.file}:{example.line})"
        concerns.append(Concern(bucket, words, count, shown_key(example.key)))
    return dict(counts), sorted(concerns, key=lambda concern: -concern.values)


def unproven_notes(found: Mapping[int, ReadBack]) -> list[str]:
    """Say, per run, which fields nobody saw taken, or codes lack, why, and what settles it."""
    lacking = [
        f"run {run_id}: codes lack {', '.join(one.lacking)}, which a run sent that was stopped; another key may have "
        "written newer words since, so nothing is sent again: sync the newest export that names all of its codes"
        for run_id, one in found.items()
        if one.lacking
    ]
    return lacking + [
        f"run {run_id}: no answer showed that {', '.join(one.unproven)} is taken: {one.note}. "
        "The next run looks again; known_fields of its job says that the campaign has it"
        for run_id, one in found.items()
        if one.unproven
    ]


OPEN_NOTES_MAX = 5
"""Open batches that are named one by one; `status RUN` has them all."""


def open_notes(batches: Sequence[Batch], wall_s: float) -> list[str]:
    """Name the batches that are not settled: since when each waits, for what, and the commands that help."""
    notes = []
    for batch in batches[:OPEN_NOTES_MAX]:
        age_s = max(0.0, seconds_between(batch.changed_at, wall_s))
        what = f"its task {batch.task_id} has not ended" if batch.task_id else "its answer was lost"
        notes.append(
            f"batch {batch.id} of run {batch.run_id} ({batch.size:,} values) has been {batch.state.value} "
            f"for {duration(age_s)}: {what}. syncer resume looks again; syncer abandon {batch.id} lets go of it"
        )
    if len(batches) > OPEN_NOTES_MAX:
        notes.append(f"{len(batches) - OPEN_NOTES_MAX:,} more batches are open: syncer status RUN")
    return notes
