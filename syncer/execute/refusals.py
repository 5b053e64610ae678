"""Refusals that explain nothing: narrowed to the value at fault while other calls get through, else the run stops.

What always holds: a value is blamed only when it was refused twice, a call that began in between was taken, and so was
the last that was answered before its second refusal; or, where nothing else is left, when the API itself answered one
that carried nothing. The same refusal of everything stops the run within `UNEXPLAINED_MAX` calls and blames no row.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from syncer.api.classify import JUDGED, Verdict
from syncer.errors import AGAIN, AccessError, UnreachableError
from syncer.execute.blame import FORBIDDEN, TOO_LARGE
from syncer.execute.reconcile import halves
from syncer.lifecycle.batch import State
from syncer.model import Kind

if TYPE_CHECKING:
    from collections.abc import Sequence

    from syncer.api.answers import Answer
    from syncer.api.client import SyncAnswer
    from syncer.execute.context import Context
    from syncer.execute.registry import BatchPast, InHand
    from syncer.ledger.values import Batch

UNEXPLAINED_MAX = 8
"""Refusals in a row, without a call that was taken, after which it is the way that is at fault."""
WARY = 2
"""Refusals in a row after which one value goes first, by itself, to see whether anything gets through."""
LAST_CHANCES = UNEXPLAINED_MAX - 2
"""Values that go once more after one call that carried nothing."""


class Refusals:
    """What was refused without a reason, and what got through meanwhile."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._in_a_row = 0
        self._started = self._taken = 0
        """The newest call that was started, and the newest of those that were taken, by their tickets."""
        self.misnamed = False
        """Whether the words of a refusal named values that were taken when they went by themselves."""

    @property
    def wary(self) -> bool:
        """Whether calls should go one by one: perhaps nothing gets through."""
        return self._in_a_row >= WARY

    def started(self, ticket: int) -> None:
        """Take note of a call."""
        self._started = ticket

    def took(self, ticket: int, past: BatchPast) -> None:
        """Take note that a call was taken: the way is open, and one value that was refused before it goes next."""
        self._in_a_row = 0
        self.misnamed |= past.is_named
        self._taken = max(self._taken, ticket)
        for entry in [entry for entry in self._aside() if self._is_open_since(entry)][:1]:
            entry.is_aside = False
            self._context.registry.to_front([entry.batch])

    def _is_open_since(self, entry: InHand) -> bool:
        return entry.past.refused_at is not None and self._taken > entry.past.refused_at

    def explained(self) -> None:
        """Take note of a refusal with a reason: the API is at work."""
        self._in_a_row = 0

    def is_all_aside(self) -> bool:
        """Tell whether all that is in hand stands aside: no other call can tell any more who is at fault."""
        aside = len(self._aside())
        return aside > 0 and aside == len(self._context.registry)

    def ask(self, at_s: float) -> None:
        """Ask, by a sync call that carries nothing, whether the way is open; what stands aside then goes once more.

        An async call without values is never made: it could select every code. What was refused as if for everybody
        goes once more as it is; refused again, nobody is blamed, and the run stops.
        """
        aside = self._aside()
        asked = [entry for entry in aside if _is_askable(entry)]
        if not asked:
            self._let_go_again(aside)
            return
        first = asked[0].batch
        key = self._context.owner(first).job.key[0]
        ticket = self._context.start_update(
            lambda client: client.upload_sync(key, []),
            lambda answer: self._on_answer(asked, ticket, answer),
            at_s,
            first,
        )

    def _on_answer(self, asked: Sequence[InHand], ticket: int, answer: SyncAnswer) -> None:
        context = self._context
        context.updates.answered(ticket, arrived_by_s=answer.arrived_by_s, took_s=answer.took_s)
        is_page = answer.page and answer.status_code == FORBIDDEN
        if not is_page:
            context.note_update(answer)
        if answer.verdict is Verdict.OK or (answer.status_code in JUDGED and not answer.page):
            context.health.succeeded(context.now_s())
            self._in_a_row = 0
            self._let_go_again(asked[:LAST_CHANCES])
        elif is_page or answer.verdict is Verdict.REFUSED:
            self._stop(answer)

    def _let_go_again(self, entries: Sequence[InHand]) -> None:
        for entry in entries:
            entry.is_aside, entry.past.is_last_chance = False, True

    def _stop(self, answer: Answer) -> None:
        kind = AccessError if answer.status_code == FORBIDDEN else UnreachableError
        self._context.stop = self._context.stop or kind(
            f"the API refused {self._in_a_row} calls in a row and took none meanwhile: {answer.message}; "
            "no row is blamed for it",
            remedy="correct what it refuses; a plan keeps its settings, like the campaign: so sync the file anew then",
            next=AGAIN,
        )

    def _aside(self) -> list[InHand]:
        """Return the single values that were refused while nothing got through: they go again once something does."""
        return [entry for entry in self._context.registry.of(State.PLANNED) if entry.is_aside]

    def parts(self, batch: Batch, answer: Answer) -> Sequence[Sequence[int]] | None:
        """Take note of a refusal; return the places of the parts to ask about. Empty: it is its one value's fault.

        None: it is not known whose, and the batch is to stand aside; the run may have been stopped.
        """
        entry = self._context.registry[batch]
        past = entry.past
        self._in_a_row += 1
        if self._in_a_row >= UNEXPLAINED_MAX:
            self._stop(answer)
            return None
        if batch.size > 1:
            middle = batch.size // 2
            others = [place for place in range(batch.size) if place != middle]
            return ((middle,), others) if self.wary else halves(batch.size)
        if self._in_a_row == 1 and self._is_open_since(entry):
            return ()
        if past.refused_at is None:
            past.refused_at = self._started
        past.refused_with = answer.status_code
        if not past.is_last_chance:
            return None
        is_others_taken = past.carried_at is not None and self._taken > past.carried_at
        if _is_askable(entry) and (batch.kind == Kind.SYNC or is_others_taken):
            return ()
        self._stop(answer)
        return None

    def carried(self, past: BatchPast, parts: Sequence[Batch]) -> None:
        """Let the parts of a refused call know when it, or what it was a part of, was first refused."""
        first = self._started if past.carried_at is None else past.carried_at
        for part in parts:
            self._context.registry[part].past.carried_at = first


def _is_askable(entry: InHand) -> bool:
    """Tell whether a call without values can show that a refusal is not everybody's."""
    return entry.past.refused_with in {FORBIDDEN, TOO_LARGE, *JUDGED}
