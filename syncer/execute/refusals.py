"""Refusals that explain nothing: narrowed to the value at fault while other calls get through, else the run stops.

What always holds: a value is blamed only when it was refused twice, and a witness was taken in between; or a call of
its kind (sync, async) that began in between, and the last that was answered before its second refusal.

The rule, in three sentences. Once six single values in a row were refused, or nothing else is left, a witness goes: a
sync call that names a value which the API took, and carries no field, so it writes nothing. If it is taken, the way is
open, and six of the values that were refused go once more: what is refused again is at fault. If it is refused like
them, the way is shut: the run stops within a few calls and blames no row.

Large calls prove little: where one row in ten is at fault, hardly one gets through. So once two calls in a row were
refused, single values ask, each from another place of the plan. An async value goes its last time by a sync call, where
its key can: what is taken so was not at fault, and after six of these no async call is made any more.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from syncer.api.classify import JUDGED, Verdict
from syncer.errors import AGAIN, AccessError, SyncerError, UnreachableError
from syncer.execute.blame import FORBIDDEN, TOO_LARGE
from syncer.execute.pieces import by_sync
from syncer.execute.reconcile import halves
from syncer.lifecycle.batch import State
from syncer.model import UNIQUE_KEYS, Kind, shown_key

if TYPE_CHECKING:
    from collections.abc import Sequence

    from syncer.api.answers import Answer
    from syncer.api.client import SyncAnswer
    from syncer.execute.batch_call import LoadedBatch
    from syncer.execute.context import Context
    from syncer.execute.registry import BatchPast, InHand
    from syncer.ledger.values import Batch

UNEXPLAINED_MAX = 6
"""Single values from other places refused in a row, without a call that was taken: then a witness tells whose fault."""
UNEXPLAINED_LATER_MAX = 24
"""The same, after a call of this run was taken, of values of which no sync call can tell: then the run stops."""
BLAMED_MAX = 2000
"""Values blamed in a row, with none taken between them: then the run stops. They have one fault in common."""
WARY = 2
"""Refusals in a row after which one value goes, by itself, to see whether anything gets through."""
LAST_CHANCES = UNEXPLAINED_MAX
"""Values that go once more after one witness."""
SPREAD = 0.618
"""How far apart the places of the plan are that are asked one after the other, as a share of it: nowhere twice soon."""


class Refusals:
    """What was refused without a reason, and what got through meanwhile."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._in_a_row = 0
        self.wary = False
        """Whether calls should go one by one: perhaps nothing gets through."""
        self.looks = 0
        """Single values of other places that were refused since something got through."""
        self._singles = Counter[str]()
        """By kind: those that were refused since a witness was taken, or another call; of async ones, an async call."""
        self._is_single = False
        """Whether the newest call carries such a value: it is the only one on its way then."""
        self.is_witness_due = False
        """Whether nothing but a witness can tell any more who is at fault."""
        self._started = 0
        """The newest call that was started, by its ticket."""
        self._taken: dict[str, int] = {}
        """The newest of those that were taken, by kind: sync calls may be taken while async ones are not."""
        self._witness: tuple[str, str] | None = None
        """A key column, and a value of it that the API took."""
        self._blamed = 0
        """Values that were blamed since one was taken."""
        self._otherwise = 0
        """Async values that were refused and that a sync call took then, since an async call was taken."""
        self._async_refused: Answer | None = None
        """How async calls are refused, whatever they carry; None: nothing shows that."""
        self.misnamed = False
        """Whether the words of a refusal named values that were taken when they went by themselves."""

    def started(self, ticket: int) -> None:
        """Take note of a call."""
        self._started, self._is_single = ticket, self.wary

    def took(self, ticket: int, loaded: LoadedBatch) -> None:
        """Take note that a call was taken: the way is open, and one value that was refused before it goes next."""
        batch, past = loaded.batch, self._context.registry[loaded.batch].past
        self._got_through()
        if batch.kind == Kind.ASYNC:
            self._singles.clear()
        else:
            del self._singles[Kind.SYNC]
        self._blamed = 0
        self.misnamed |= past.is_named
        self._taken[batch.kind] = max(ticket, self._taken.get(batch.kind, ticket))
        if self._is_for_sync(batch):
            self._witness = loaded.key[0], loaded.keys[0]
        if batch.kind == Kind.ASYNC:
            self._otherwise = 0
        elif past.refused_async is not None:
            self._otherwise += 1
            if self._otherwise >= UNEXPLAINED_MAX:
                self._hold_async(past.refused_async)
        for entry in [entry for entry in self._aside() if self._is_open_since(entry)][:1]:
            entry.is_aside = False
            self._context.registry.to_front([entry.batch])

    def _hold_async(self, answer: Answer) -> None:
        """From now on make no async call in this run: all are refused like this one, while sync calls are taken."""
        self._async_refused = answer
        for entry in self._context.registry.of(State.PLANNED):
            self.hold_back(entry)

    def hold_back(self, entry: InHand) -> None:
        """Let a batch stand aside if its call would be refused, whatever it carries: all others go."""
        if self._async_refused is not None and entry.batch.kind == Kind.ASYNC:
            entry.is_aside = True

    def _is_open_since(self, entry: InHand) -> bool:
        return self._is_taken_since(entry.past.refused_at, entry.batch.kind)

    def _is_taken_since(self, ticket: int | None, kind: str) -> bool:
        """Tell whether a call of a kind was taken that began after a ticket; None: after none."""
        return ticket is not None and self._taken.get(kind, ticket) > ticket

    def explained(self) -> None:
        """Take note of a refusal with a reason: the API is at work."""
        self._got_through()
        self._singles.clear()

    def _got_through(self) -> None:
        self._in_a_row = self.looks = 0
        self.wary = self.is_witness_due = False

    def place(self, values: int) -> int:
        """Return which of the values that are to be sent goes by itself: the first, then one far from the last."""
        return int(self.looks * SPREAD % 1 * values)

    def is_all_aside(self) -> bool:
        """Tell whether all that is in hand stands aside: no other call can tell any more who is at fault."""
        aside = len(self._aside())
        return aside > 0 and aside == len(self._context.registry)

    def ask(self, at_s: float) -> bool:
        """Ask, by a sync call that writes nothing, whether the way is open; what stands aside then goes once more.

        An async call without values is never made: it could select every code. What was refused as if for everybody
        goes once more as it is; refused again, nobody is blamed, and the run stops. Returns whether a call was made.
        """
        aside = self._aside()
        refused = self._async_refused
        asked = [one for one in aside if _is_askable(one) and not (refused and one.batch.kind == Kind.ASYNC)]
        if not asked and refused is not None:
            self._stop(refused, aside[0].batch, "the API refuses async calls, and takes sync calls")
            return False
        if not asked:
            self._let_go_again(aside)
            return False
        first = asked[0].batch
        column, items = self._call_of_witness(first)
        ticket = self._context.start_update(
            lambda client: client.upload_sync(column, items),
            lambda answer: self._on_answer(asked, ticket, answer),
            at_s,
            first,
        )
        return True

    def _call_of_witness(self, batch: Batch) -> tuple[str, list[dict[str, str]]]:
        """Return the key column and the items of a call that writes nothing; ``batch``: one that was refused.

        It names a value that this run had taken, else one of which the ledger knows all, else none.
        """
        column = self._context.owner(batch).job.key[0]
        if self._witness is None and self._is_for_sync(batch):
            known = self._context.ledger.any_known(batch.space_id)
            self._witness = None if known is None else (column, known)
        if self._witness is None:
            return column, []
        column, key = self._witness
        return column, [{column: key}]

    def _is_for_sync(self, batch: Batch) -> bool:
        """Tell whether sync calls are known to take the key of a batch."""
        job = self._context.owner(batch).job
        is_taken = job.key[0] in UNIQUE_KEYS or self._context.reach(job).sync_taken
        return is_taken and self._context.may_go_by_sync(job)

    def _on_answer(self, asked: Sequence[InHand], ticket: int, answer: SyncAnswer) -> None:
        context = self._context
        context.updates.answered(ticket, arrived_by_s=answer.arrived_by_s, took_s=answer.took_s)
        is_page = answer.page and answer.status_code == FORBIDDEN
        if not is_page:
            context.note_update(answer)
        if answer.verdict is Verdict.OK or _is_judged_otherwise(answer, asked):
            context.health.succeeded(context.now_s())
            self._in_a_row, self.is_witness_due = 0, False
            self._singles.clear()
            self._let_go_again(asked[:LAST_CHANCES])
        elif is_page or answer.verdict is Verdict.REFUSED:
            self._stop(answer, asked[0].batch)

    def _let_go_again(self, entries: Sequence[InHand]) -> None:
        """Let values go once more: async ones by sync calls, where a witness told that these are taken."""
        again = []
        for entry in entries:
            entry.past.is_last_chance, entry.is_aside = True, False
            again.append(self._by_sync(entry) if _is_askable(entry) else entry.batch)
        self._context.registry.to_front(again)

    def _by_sync(self, entry: InHand) -> Batch:
        """Let an async value go by a sync call, where its key can: what was refused so is not async calls' alone."""
        if entry.batch.kind == Kind.SYNC or not self._is_for_sync(entry.batch):
            return entry.batch
        batch = by_sync(self._context, entry.batch)
        self._context.registry[batch].past = entry.past
        return batch

    def _stop(self, answer: Answer, batch: Batch, words: str = "") -> None:
        """Stop the run, unless something did before; ``batch``: one that was refused."""
        words = words or f"the API refused {self._in_a_row} calls in a row and took none meanwhile"
        kind = AccessError if answer.status_code == FORBIDDEN else UnreachableError
        self._stop_with(kind, f"{words}: {answer.message}; no row is blamed for it", batch)

    def _stop_with(self, kind: type[SyncerError], words: str, batch: Batch) -> None:
        context = self._context
        remedy = "correct what it refuses; a plan keeps its settings, like the campaign: so sync the file anew then"
        if self._taken:
            key = shown_key(context.ledger.items(batch)[0].key)
            remedy += f"; earlier calls of this run were taken, so see the rows that are unsent, too, like {key}"
        context.stop = context.stop or kind(words, remedy=remedy, next=AGAIN)

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
        self.wary |= self._in_a_row >= WARY
        past.refused_with = answer.status_code
        if self._async_refused is not None and batch.kind == Kind.ASYNC:
            return None
        if batch.size > 1:
            return halves(batch.size)
        if answer.status_code in JUDGED and not answer.page:
            past.said = answer.status_code, answer.body_text
        if self._is_at_fault(entry):
            self._blame(batch, answer)
            return ()
        self._singles[batch.kind] += self._is_single
        self.looks += self._is_single
        if past.refused_at is None:
            past.refused_at = self._started
        if batch.kind == Kind.ASYNC:
            past.refused_async = answer
        singles = self._singles[batch.kind]
        self.is_witness_due = singles >= UNEXPLAINED_MAX and self._can_ask(entry)
        if past.is_last_chance or (singles >= self._most(entry) and not self.is_witness_due):
            if batch.kind == Kind.ASYNC and Kind.SYNC in self._taken:
                self._hold_async(answer)
            else:
                self._stop(answer, batch)
        return None

    def _is_at_fault(self, entry: InHand) -> bool:
        """Tell whether the second refusal of a value is its own fault."""
        if self._in_a_row == 1 and self._is_open_since(entry):
            return True
        if not entry.past.is_last_chance or not _is_askable(entry):
            return False
        past, kind = entry.past, entry.batch.kind
        since = past.refused_at if past.carried_at is None else past.carried_at
        return kind == Kind.SYNC or self._is_taken_since(since, kind)

    def _blame(self, batch: Batch, answer: Answer) -> None:
        """Count a value that is at fault; so many in a row stop the run: they have one fault in common."""
        self._blamed += 1
        if self._blamed >= BLAMED_MAX:
            words = f"the API refused {self._blamed} values in a row, each by itself and twice: {answer.message}"
            self._stop_with(UnreachableError, f"{words}; they are rejected, and the others are not sent", batch)

    def _can_ask(self, entry: InHand) -> bool:
        """Tell whether a witness can show that the refusal of a value is its own fault: one that names a value."""
        batch = entry.batch
        is_told_by_sync = batch.kind == Kind.SYNC or self._is_for_sync(batch)
        return _is_askable(entry) and is_told_by_sync and bool(self._call_of_witness(batch)[1])

    def _most(self, entry: InHand) -> int:
        """Return how many single values in a row may be refused where no witness tells, the last of them this one."""
        return UNEXPLAINED_LATER_MAX if entry.batch.kind in self._taken and _is_askable(entry) else UNEXPLAINED_MAX

    def carried(self, past: BatchPast, parts: Sequence[Batch]) -> None:
        """Let the parts of a refused call know when it, or what it was a part of, was first refused."""
        first = self._started if past.carried_at is None else past.carried_at
        for part in parts:
            self._context.registry[part].past.carried_at = first


def _is_askable(entry: InHand) -> bool:
    """Tell whether a call without values can show that a refusal is not everybody's."""
    return entry.past.refused_with in {FORBIDDEN, TOO_LARGE, *JUDGED}


def _is_judged_otherwise(answer: Answer, asked: Sequence[InHand]) -> bool:
    """Tell whether the API itself found a fault in a witness, and another one than in the values that were refused.

    Where its words to these differ from each other, other words prove nothing.
    """
    said = {entry.past.said for entry in asked if entry.past.said is not None}
    is_judged = answer.status_code in JUDGED and not answer.page
    return is_judged and len(said) <= 1 and (answer.status_code, answer.body_text) not in said
