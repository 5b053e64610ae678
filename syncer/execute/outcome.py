"""Recording what a judgement means for a batch: confirmed, partly unmatched, or asked again in smaller pieces.

Non-unique keys need patience: before anything is known about how many codes a value selects, an odd count is looked
into by sync calls that name values; meanwhile other odd counts wait, and are judged by what was learned.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from syncer.errors import GuardError
from syncer.execute.context import Context
from syncer.execute.reconcile import Finding, Judgement, halves
from syncer.ledger.writer import Piece
from syncer.model import Kind

if TYPE_CHECKING:
    from syncer.execute.batch_call import LoadedBatch
    from syncer.ledger.values import Batch

PIECE_VALUES_MAX = 100
"""Values of one sync call (docs/api.md)."""


class Outcomes:
    """Writes outcomes to the ledger, and keeps what they teach."""

    def __init__(self, context: Context, *, on_piece: Callable[[Batch], None]) -> None:
        self._context = context
        self._on_piece = on_piece
        self._probes: set[int] = set()

    @property
    def probing(self) -> bool:
        """Whether the values of an odd count are being asked for one by one at this moment."""
        return bool(self._probes)

    def settle(
        self, loaded: LoadedBatch, codes_affected: int, judgement: Judgement, *, attempt_id: int | None = None
    ) -> None:
        """Record a judgement; what is unclear is split into batches that the queue will send."""
        context, batch = self._context, loaded.batch
        self._probes.discard(batch.id)
        finding = judgement.finding
        if finding is Finding.UNPROVEN:  # a composite key cannot be asked for by name: its multiple has to do
            finding = Finding.UNCLEAR if len(loaded.key) == 1 else Finding.ALL
        match finding:
            case Finding.ALL:
                context.writer.confirmed(batch, codes_affected, context.at(), attempt_id=attempt_id)
                context.tally.confirmed += batch.size
                self._learn(loaded, codes_affected)
            case Finding.SOME:
                unmatched = [loaded.items[place].id for place in judgement.unmatched]
                context.writer.miscounted(
                    batch,
                    codes_affected,
                    context.at(),
                    message=judgement.message,
                    unmatched=unmatched,
                    attempt_id=attempt_id,
                )
                context.tally.confirmed += batch.size - len(unmatched)
                context.tally.unmatched += len(unmatched)
            case _:  # unclear
                _, children = context.writer.miscounted(
                    batch,
                    codes_affected,
                    context.at(),
                    message=judgement.message or "how many codes a value selects is being learned",
                    pieces=_smaller(loaded),
                    attempt_id=attempt_id,
                )
                if not batch.unique:
                    self._probes.update(child.id for child in children)
                self.go_on(children)

    def go_on(self, pieces: Sequence[Batch]) -> None:
        """Let the parts of a split batch be sent, also while earlier runs are being settled: others wait for them."""
        for piece in pieces:
            self._on_piece(piece)

    def drop_probe(self, batch: Batch) -> None:
        """Forget a batch that will not be judged any more: refused, failed, or left in doubt."""
        self._probes.discard(batch.id)

    def _learn(self, loaded: LoadedBatch, codes_affected: int) -> None:
        context, batch, run = self._context, loaded.batch, loaded.run
        if batch.unique:
            return
        reach = context.reach(run.job)
        if reach.exceeded(codes_affected, batch.size, context.settings.max_reach_factor):
            average = codes_affected / batch.size
            context.stop = context.stop or GuardError(
                f"batch {batch.id} reached {codes_affected} codes with {batch.size} values ({average:.1f} each); "
                f"never more than {reach.high:.1f} each were seen before",
                next=f"syncer status {batch.run_id}, look at the values of batch {batch.id} in the portal; "
                "if the reach is right: syncer resume --approve",
            )
            return
        context.learn_reach(run.job, reach.learned(codes_affected, batch.size))


def _smaller(loaded: LoadedBatch) -> list[Piece]:
    """Cut a batch into smaller questions: sync calls that name values, else halves.

    A sync batch whose answer was unclear is halved too: a call of the same size would be answered the same.
    """
    ids = [item.id for item in loaded.items]
    if loaded.batch.kind == Kind.ASYNC and len(loaded.key) == 1:
        parts = [ids[begin : begin + PIECE_VALUES_MAX] for begin in range(0, len(ids), PIECE_VALUES_MAX)]
        return [Piece(Kind.SYNC, tuple(part)) for part in parts]
    kind = Kind(loaded.batch.kind)
    return [Piece(kind, tuple(ids[place] for place in half)) for half in halves(len(ids))]
