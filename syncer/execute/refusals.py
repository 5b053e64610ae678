"""Refusals that explain nothing: narrowed to the value at fault while other calls get through, else the run stops.

What always holds: a value is blamed only when it was refused twice, a call that began in between was taken, and so was
the last that was answered before its second refusal; or, where nothing else is left, when the API itself answered one
that carried nothing. The same refusal of everything stops the run within a few calls and blames no row.

Large calls prove little: where one row in ten is at fault, hardly one gets through. So once two calls in a row were
refused, single values ask, each from another place of the plan: when all of these are refused, nothing gets through.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from syncer.api.classify import JUDGED, Verdict
from syncer.errors import AGAIN, AccessError, UnreachableError
from syncer.execute.blame import FORBIDDEN, TOO_LARGE
from syncer.execute.reconcile import halves
from syncer.lifecycle.batch import State
from syncer.model import Kind, shown_key

if TYPE_CHECKING:
    from collections.abc import Sequence

    from syncer.api.answers import Answer
    from syncer.api.client import SyncAnswer
    from syncer.execute.context import Context
    from syncer.execute.registry import BatchPast, InHand
    from syncer.ledger.values import Batch

UNEXPLAINED_MAX = 6
"""Single values from other places refused in a row, without a call that was taken: then the way is at fault."""
UNEXPLAINED_LATER_MAX = 24
"""The same of what may be the values' fault, after a call of this run was taken: many rows are, rather than the way."""
WARY = 2
"""Refusals in a row after which one value goes, by itself, to see whether anything gets through."""
LAST_CHANCES = UNEXPLAINED_MAX
"""Values that go once more after one call that carried nothing."""
SPREAD = 0.618
"""How far apart the places of the plan are that are asked one after the other, as a share of it: nowhere twice soon."""


class Refusals:
    """What was refused without a reason, and what got through meanwhile."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._in_a_row = 0
        self.singles = 0
        """Those of them that carried one value of another place, sent while nothing got through."""
        self._is_single = False
        """Whether the newest call carries such a value: it is the only one on its way then."""
        self._started = 0
        """The newest call that was started, by its ticket."""
        self._taken: int | None = None
        """The newest of those that were taken; None: none of this run."""
        self.misnamed = False
        """Whether the words of a refusal named values that were taken when they went by themselves."""

    @property
    def wary(self) -> bool:
        """Whether calls should go one by one: perhaps nothing gets through."""
        return self._in_a_row >= WARY

    def started(self, ticket: int) -> None:
        """Take note of a call."""
        self._started, self._is_single = ticket, self.wary

    def took(self, ticket: int, past: BatchPast) -> None:
        """Take note that a call was taken: the way is open, and one value that was refused before it goes next."""
        self._got_through()
        self.misnamed |= past.is_named
        self._taken = ticket if self._taken is None else max(self._taken, ticket)
        for entry in [entry for entry in self._aside() if self._is_open_since(entry)][:1]:
            entry.is_aside = False
            self._context.registry.to_front([entry.batch])

    def _is_open_since(self, entry: InHand) -> bool:
        return entry.past.refused_at is not None and self._is_taken_since(entry.past.refused_at)

    def _is_taken_since(self, ticket: int) -> bool:
        return self._taken is not None and self._taken > ticket

    def explained(self) -> None:
        """Take note of a refusal with a reason: the API is at work."""
        self._got_through()

    def _got_through(self) -> None:
        self._in_a_row = self.singles = 0

    def place(self, values: int) -> int:
        """Return which of the values that are to be sent goes by itself: the first, then one far from the last."""
        return int(self.singles * SPREAD % 1 * values)

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
        is_judged = answer.status_code in JUDGED and not answer.page and self.singles < UNEXPLAINED_MAX
        if answer.verdict is Verdict.OK or is_judged:
            context.health.succeeded(context.now_s())
            self._got_through()
            self._let_go_again(asked[:LAST_CHANCES])
        elif is_page or answer.verdict is Verdict.REFUSED:
            self._stop(answer, asked[0].batch)

    def _let_go_again(self, entries: Sequence[InHand]) -> None:
        for entry in entries:
            entry.is_aside, entry.past.is_last_chance = False, True

    def _stop(self, answer: Answer, batch: Batch) -> None:
        """Stop the run, unless something did before; ``batch``: one that was refused."""
        kind, context = AccessError if answer.status_code == FORBIDDEN else UnreachableError, self._context
        remedy = "correct what it refuses; a plan keeps its settings, like the campaign: so sync the file anew then"
        if self._taken is not None:
            key = shown_key(context.ledger.items(batch)[0].key)
            remedy += f"; earlier calls of this run were taken, so see the rows that are unsent, too, like {key}"
        context.stop = context.stop or kind(
            f"the API refused {self._in_a_row} calls in a row and took none meanwhile: {answer.message}; "
            "no row is blamed for it",
            remedy=remedy,
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
        self.singles += self._is_single
        past.refused_with = answer.status_code
        if self.singles >= self._most(entry):
            self._stop(answer, batch)
            return None
        if batch.size > 1:
            return halves(batch.size)
        if self._in_a_row == 1 and self._is_open_since(entry):
            return ()
        if past.refused_at is None:
            past.refused_at = self._started
        if not past.is_last_chance:
            return None
        is_others_taken = self._is_taken_since(past.refused_at if past.carried_at is None else past.carried_at)
        if _is_askable(entry) and (batch.kind == Kind.SYNC or is_others_taken):
            return ()
        self._stop(answer, batch)
        return None

    def _most(self, entry: InHand) -> int:
        """Return how many single values in a row may be refused, the last of them this one's."""
        return UNEXPLAINED_LATER_MAX if self._taken is not None and _is_askable(entry) else UNEXPLAINED_MAX

    def carried(self, past: BatchPast, parts: Sequence[Batch]) -> None:
        """Let the parts of a refused call know when it, or what it was a part of, was first refused."""
        first = self._started if past.carried_at is None else past.carried_at
        for part in parts:
            self._context.registry[part].past.carried_at = first


def _is_askable(entry: InHand) -> bool:
    """Tell whether a call without values can show that a refusal is not everybody's."""
    return entry.past.refused_with in {FORBIDDEN, TOO_LARGE, *JUDGED}
