"""The batches in hand: everything that this process still has to do something about, each in one place, by its state.

What always holds: a batch comes in, moves and leaves as the ledger's writer records its states (`Registry.follow`), so
no part of the engine can lose one or keep one for ever. Three steps are taken by hand: what an earlier run left open is
taken in (`Registry.take`), what stays open for a later run leaves (`Registry.leave`), and what waits for values to be
read back does so in `Context.left_out` (`Registry.hold`). The engine is done when nothing is in hand; what a stop
leaves in hand stands in the ledger in the same state.
"""

from __future__ import annotations

import logging
from collections import OrderedDict
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from syncer.lifecycle.batch import State

if TYPE_CHECKING:
    from syncer.api.answers import Answer
    from syncer.ledger.values import Batch

log = logging.getLogger(__name__)
ODD_MAX = 5
"""Odd answers about a task, or about the one that is looked for, after which its batch is left."""
RETRY_S = 2.0
"""Pause before a look that failed is repeated."""
FOLLOWED = (State.PLANNED, State.SENDING, State.IN_DOUBT, State.SUBMITTED)
"""States in which a batch is in hand. In all others it has ended, or this run has let go of it."""


@dataclass(slots=True)
class BatchPast:
    """What is remembered of a batch from state to state."""

    is_earlier: bool = False
    """Whether an earlier run lost its answer."""
    losses: int = 0
    """How often its answer was lost while the API was at work."""
    losses_seen: int = -1
    """How often the API had been seen at work at the last loss."""
    losses_alone: int = 0
    """How often its answer was lost, whatever the API did meanwhile."""
    is_too_large: bool = False
    """Whether its answer took too long."""
    refused_at: int | None = None
    """The newest call when it was first refused by itself, without a reason."""
    carried_at: int | None = None
    """The newest call when a call that carried it with others was first refused."""
    refused_with: int | None = None
    """The status of its last such refusal."""
    said: tuple[int | None, str] | None = None
    """Status and words of a value's own, where the API itself said them."""
    is_named: bool = False
    """Whether it holds just the values that the words of a refusal named."""
    is_last_chance: bool = False
    """Whether it goes once more since a witness was taken, or since nothing else is left."""
    refused_async: Answer | None = None
    """The last such refusal of it by an async call."""


@dataclass(slots=True)
class Odd:
    """Answers about one thing that say nothing of it, while the API answers about others (`Context.note_odd`)."""

    times: int = 0
    at: int = -1
    """How many reads had succeeded at the last of them: the API was at work since when there are more."""


@dataclass(slots=True)
class Doubt:
    """The looks for the task of a batch in doubt. Times are monotonic seconds.

    ``references`` maps the attempts that may have created a task to their ids. Earlier attempts stay in it: one that
    was shown absent once is looked for again, at no extra risk and little cost.
    """

    references: Mapping[str, int]
    next_look_s: float
    until_s: float
    """When to stop looking in this run."""
    first_absent_s: float | None = None
    odd: Odd = field(default_factory=Odd)

    def saw_absence(self, looked_s: float, settle_s: float) -> bool:
        """Take note of a look, begun at `looked_s`, that found nothing; tell whether that settles it."""
        if self.first_absent_s is None:
            self.first_absent_s = looked_s
        if looked_s - self.first_absent_s >= settle_s:
            return True
        self.next_look_s = self.first_absent_s + settle_s
        return False

    def saw_nothing(self, now_s: float) -> None:
        """Take note of a look that failed: it proves neither presence nor absence."""
        self.next_look_s = now_s + RETRY_S


@dataclass(slots=True)
class Watched:
    """The looks at the task of a batch. Times are monotonic seconds."""

    waited_s: float | None = None
    """How long earlier runs waited for it, which let go of it when its time is over; None: this run submitted it."""
    looked: bool = False
    missed: int = 0
    """Answers about several tasks that did not show this one."""
    odd: Odd = field(default_factory=Odd)
    said: str = "is still at work"
    unknown_since_s: float | None = None
    """When the API first said that it does not know the task."""
    uncounted_since_s: float | None = None
    """When it was first seen complete without a count."""


@dataclass(slots=True)
class InHand:
    """A batch in hand since `since_s` (monotonic) in its present state. Notes but for its `past` end with the state."""

    batch: Batch
    since_s: float
    past: BatchPast
    is_aside: bool = False
    """Planned, and not to be sent until other calls show who was at fault when it was refused."""
    is_looking: bool = False
    """Whether a look is on its way."""
    doubt: Doubt | None = None
    watched: Watched = field(default_factory=Watched)


class Registry:
    """The batches in hand, by state, in the order in which they are to be dealt with."""

    def __init__(self, now_s: Callable[[], float]) -> None:
        self._now_s = now_s
        self._by_id: dict[int, InHand] = {}
        self._by_state: dict[State, OrderedDict[int, InHand]] = {state: OrderedDict() for state in State}

    def __len__(self) -> int:
        return len(self._by_id)

    def __contains__(self, batch: Batch) -> bool:
        return batch.id in self._by_id

    def __getitem__(self, batch: Batch) -> InHand:
        return self._by_id[batch.id]

    def of(self, state: State) -> Collection[InHand]:
        """Return what is in a state, in order: a view, so copy it where batches move meanwhile."""
        return self._by_state[state].values()

    def take(self, batch: Batch) -> InHand:
        """Take a batch in hand, or move it to where its state belongs: behind all others there."""
        past = self._remove(batch)
        entry = InHand(batch, self._now_s(), past or BatchPast())
        self._by_id[batch.id] = self._by_state[batch.state][batch.id] = entry
        return entry

    def follow(self, batch: Batch) -> None:
        """Heed what the ledger recorded of a batch: it comes in, moves, or leaves with a state that ends it."""
        if batch.state in FOLLOWED:
            self.take(batch)
        else:
            self._remove(batch)

    def hold(self, batch: Batch) -> None:
        """Let a batch wait, in its state, for what is read of its values once nothing else is in hand."""
        self._remove(batch)

    def leave(self, batch: Batch, why: str) -> None:
        """Let a batch stay as the ledger has it, for a later run."""
        self._remove(batch)
        log.info("batch %d is left to a later run: %s", batch.id, why)

    def _remove(self, batch: Batch) -> BatchPast | None:
        entry = self._by_id.pop(batch.id, None)
        if entry is None:
            return None
        del self._by_state[entry.batch.state][batch.id]
        return entry.past

    def to_front(self, batches: Iterable[Batch]) -> None:
        """Let batches go before all others of their state, in the order given."""
        for batch in reversed([*batches]):
            self._by_state[batch.state].move_to_end(batch.id, last=False)

    def to_back(self, batches: Iterable[Batch]) -> None:
        """Let batches wait behind all others of their state, as far as they are still in it."""
        for batch in batches:
            if batch.id in self._by_state[batch.state]:
                self._by_state[batch.state].move_to_end(batch.id)
