"""Refusals that explain nothing: narrowed to the value at fault while other calls get through, else the run stops.

What always holds: a value is blamed only when another call was taken after it, or the call that carried it, was first
refused, or when nothing else is left in a run that had calls taken; the same refusal of everything stops the run within
`UNEXPLAINED_MAX` calls and blames no row.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from syncer.errors import AccessError, UnreachableError
from syncer.execute.blame import FORBIDDEN
from syncer.execute.reconcile import halves
from syncer.lifecycle.batch import State

if TYPE_CHECKING:
    from collections.abc import Sequence

    from syncer.api.answers import Answer
    from syncer.execute.context import Context
    from syncer.execute.registry import BatchPast, InHand
    from syncer.ledger.values import Batch

UNEXPLAINED_MAX = 8
"""Refusals in a row, without a call that was taken, after which it is the way that is at fault."""
WARY = 2
"""Refusals in a row after which one value goes first, by itself, to see whether anything gets through."""


class Refusals:
    """What was refused without a reason, and what got through meanwhile."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._in_a_row = 0
        self._taken = 0

    @property
    def wary(self) -> bool:
        """Whether calls should go one by one: perhaps nothing gets through."""
        return self._in_a_row >= WARY

    def took(self) -> None:
        """Take note that a call was taken: the way is open."""
        self._in_a_row = 0
        self._taken += 1
        for entry in self._aside():
            entry.is_aside = False

    def explained(self) -> None:
        """Take note of a refusal with a reason: the API is at work."""
        self._in_a_row = 0

    def nothing_else_left(self) -> None:
        """Let what stands aside go once more: no other call can tell any more who is at fault."""
        for entry in self._aside():
            entry.is_aside, entry.past.is_last_chance = False, True

    def _aside(self) -> list[InHand]:
        """Return the single values that were refused while nothing got through: they go again once something does."""
        return [entry for entry in self._context.registry.of(State.PLANNED) if entry.is_aside]

    def parts(self, batch: Batch, answer: Answer) -> Sequence[Sequence[int]] | None:
        """Take note of a refusal; return the places of the parts to ask about. Empty: it is its one value's fault.

        None: it is not known whose, and the batch is to stand aside; the run may have been stopped.
        """
        context, past = self._context, self._context.registry[batch].past
        self._in_a_row += 1
        first = self.first_refused(past)
        if self._in_a_row >= UNEXPLAINED_MAX or (past.is_last_chance and not self._taken):
            kind = AccessError if answer.status_code == FORBIDDEN else UnreachableError
            context.stop = context.stop or kind(
                f"the API refused {self._in_a_row} calls in a row and took none meanwhile: {answer.message}; "
                "no row is blamed for it",
                remedy="see what the API refuses (syncer check)",
                next="syncer resume",
            )
            return None
        if batch.size > 1:
            middle = batch.size // 2
            others = [place for place in range(batch.size) if place != middle]
            return ((middle,), others) if self.wary else halves(batch.size)
        return () if past.is_last_chance or self._taken > first else None

    def first_refused(self, past: BatchPast) -> int:
        """Return how many calls had been taken when a batch, or what it is a part of, was first refused."""
        if past.refused_at is None:
            past.refused_at = self._taken
        return past.refused_at
