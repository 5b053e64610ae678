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

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from syncer.api.answers import Answer
    from syncer.execute.context import Context
    from syncer.ledger.values import Batch

UNEXPLAINED_MAX = 8
"""Refusals in a row, without a call that was taken, after which it is the way that is at fault."""
WARY = 2
"""Refusals in a row after which one value goes first, by itself, to see whether anything gets through."""


class Refusals:
    """What was refused without a reason, and what got through meanwhile."""

    def __init__(self, context: Context, *, on_again: Callable[[Batch], None]) -> None:
        self._context = context
        self._on_again = on_again
        self._in_a_row = 0
        self._taken = 0
        self._since: dict[int, int] = {}
        """By batch: how many calls had been taken when it, or what it is a part of, was first refused."""
        self.aside: dict[int, Batch] = {}
        """Single values that were refused while nothing got through: they go again once something does."""
        self._last_chance: set[int] = set()

    @property
    def wary(self) -> bool:
        """Whether calls should go one by one: perhaps nothing gets through."""
        return self._in_a_row >= WARY

    def took(self) -> None:
        """Take note that a call was taken: the way is open."""
        self._in_a_row = 0
        self._taken += 1
        self._release()

    def explained(self) -> None:
        """Take note of a refusal with a reason: the API is at work."""
        self._in_a_row = 0

    def waiting(self) -> bool:
        """Let what stands aside go once more, now that nothing else is left; tell whether there is any."""
        self._last_chance.update(self.aside)
        return self._release()

    def _release(self) -> bool:
        released = [*self.aside.values()]
        self.aside.clear()
        for batch in released:
            self._on_again(batch)
        return bool(released)

    def parts(self, batch: Batch, answer: Answer) -> Sequence[Sequence[int]] | None:
        """Take note of a refusal; return the places of the parts to ask about. Empty: it is its one value's fault.

        None: it is not known whose, and the batch is to be `put_aside`; the run may have been stopped.
        """
        context = self._context
        self._in_a_row += 1
        since = self._since.setdefault(batch.id, self._taken)
        if self._in_a_row >= UNEXPLAINED_MAX or (batch.id in self._last_chance and not self._taken):
            kind = AccessError if answer.status_code == FORBIDDEN else UnreachableError
            context.stop = context.stop or kind(
                f"the API refused {self._in_a_row} calls in a row and took none meanwhile: {answer.message}; "
                "no row is blamed for it",
                next="syncer check, then: syncer resume",
            )
            return None
        if batch.size > 1:
            middle = batch.size // 2
            others = [place for place in range(batch.size) if place != middle]
            return ((middle,), others) if self.wary else halves(batch.size)
        return () if self._taken > since or batch.id in self._last_chance else None

    def put_aside(self, batch: Batch) -> None:
        """Keep a planned batch of one value until another call shows whose fault it is."""
        self.aside[batch.id] = batch

    def inherit(self, parent: Batch, children: Iterable[Batch]) -> None:
        """Let the parts of a refused batch count from when it was refused."""
        since = self._since.pop(parent.id, self._taken)
        for child in children:
            self._since[child.id] = since
