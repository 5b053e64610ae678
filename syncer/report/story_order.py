"""In which order a story is told: by time, but never against the order in which things were recorded. Pure.

A clock that was set back gives what came later an earlier time. What always holds: changes of batches stand as they
were recorded; a plan stands before all that became of it, and behind what earlier runs had seen. Times are shown as
they were noted; only where they run backwards does a moment count as late as the one before it.
"""

from __future__ import annotations

from itertools import accumulate, pairwise
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from syncer.ledger.story import BatchEvent
    from syncer.ledger.values import HistoryEntry


Place = tuple[str, int, int]
"""A time; the change before which, at which or behind which it is told; a number that tells which."""


class Recorded:
    """The changes of a value's batches, and where its moments are told: by time, then by a place among the changes."""

    def __init__(self, events: Sequence[BatchEvent], entries: Sequence[HistoryEntry]) -> None:
        self._events = list(zip(accumulate((event.at for event in events), max), events, strict=True))
        begun = {event.batch_id: event.at for event in reversed(events)}
        self._set_back = (
            any(event.at < at for at, event in self._events)
            or any(later.planned_at < one.planned_at for one, later in pairwise(entries))
            or any(begun.get(one.batch_id or 0, one.planned_at) < one.planned_at for one in entries)
        )

    def events(self) -> Iterator[tuple[Place, BatchEvent]]:
        """Give all changes in their order."""
        for number, (at, event) in enumerate(self._events):
            yield (at, number, 1), event

    def of_plans(self, entries: Iterable[HistoryEntry]) -> Iterator[tuple[Place, HistoryEntry]]:
        """Give where plans are told; they come in the order in which they were recorded."""
        at = ""
        for entry in entries:
            at = max(at, entry.planned_at)
            later = (n for n, (_, event) in enumerate(self._events) if event.batch_id >= (entry.batch_id or 0))
            number = next(later, len(self._events))
            if self._set_back:
                seen = [seen_at for seen_at, event in self._events[:number] if event.run_id < (entry.run_id or 0)]
                at = min([max([at, *seen]), *(seen_at for seen_at, _ in self._events[number : number + 1])])
            yield (at, number, 0), entry

    def of_end(self, entry: HistoryEntry) -> Place:
        """Return where the end of one value of a batch is told: behind the batch's last change."""
        number = max((n for n, (_, event) in enumerate(self._events) if event.batch_id == entry.batch_id), default=0)
        return max([entry.outcome_at, *(at for at, _ in self._events[number : number + 1])]), number, 2

    def of_other(self, at: str) -> Place:
        """Return where something is told that is no change of a batch."""
        return at, len(self._events), 3
