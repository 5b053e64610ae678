"""Recording what a judgement means for a batch: confirmed, partly unmatched, or asked again in smaller pieces."""

from __future__ import annotations

import shlex
from dataclasses import replace
from typing import TYPE_CHECKING

from syncer.errors import GuardError
from syncer.execute.batch_call import load_batch
from syncer.execute.context import Context
from syncer.execute.fields import Told
from syncer.execute.left_out import (
    CAME_SINCE,
    FRESH_READ_RUN_MAX,
    READ_MAX,
    LeftOut,
    Unsaid,
    came_since,
    judge_again,
    leaves_out,
    shown_too,
    to_be_read,
    unsaid,
)
from syncer.execute.pieces import of_places
from syncer.execute.reconcile import Finding, Judgement, Shown, halves
from syncer.ledger.splitting import Piece
from syncer.ledger.values import SeenFields
from syncer.lifecycle.batch import State
from syncer.mirror.words import fields_of
from syncer.model import Kind

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from syncer.execute.batch_call import LoadedBatch
    from syncer.execute.left_out import CodeSeen
    from syncer.ledger.values import Batch

PROOF_CODES = 10
"""Codes that have to be counted at least, in a call and once more in its parts, to show that what stays counts."""
PIECE_VALUES_MAX = 100
"""Values of one sync call (docs/api.md)."""


class Outcomes:
    """Writes outcomes to the ledger, and keeps what they teach."""

    def __init__(self, context: Context) -> None:
        self._context = context

    def settle(
        self,
        loaded: LoadedBatch,
        codes_affected: int | None,
        judgement: Judgement,
        shown: Shown | None = None,
        *,
        attempt_id: int | None = None,
    ) -> None:
        """Record a judgement; what is unclear is split into batches that the queue will send.

        ``codes_affected`` None: the API did not say; only the names, or smaller questions, can tell then.
        ``shown`` is what a sync answer showed of fields; None: it, or the task, showed nothing.
        """
        with self._context.writer.together():
            self._learn_counts(loaded.batch, codes_affected or 0)
            fields = self._unsaid(loaded, judgement, shown)
            waits = fields.asked or (fields.by_place and self._context.left_out)
            if waits or (self._context.counts_same is not True and leaves_out(judgement)):
                self._hold(loaded, codes_affected or 0, judgement, shown, attempt_id, fields)
            else:
                self._record(loaded, codes_affected, judgement, shown, attempt_id)

    def _unsaid(self, loaded: LoadedBatch, judgement: Judgement, shown: Shown | None) -> Unsaid:
        """Return the fields of values that an answer names without them, as far as that says nothing of them."""
        context, batch, fields = self._context, loaded.batch, self._context.fields
        if shown is None or not shown.refused or not (judgement.finding is Finding.ALL or leaves_out(judgement)):
            return Unsaid()
        places = {item.id: place for place, item in enumerate(loaded.items)}
        refused = {
            places[item.id]: fields.known(told, batch.campaign, shown.refused[item.key])
            for told, items in fields.by_campaign(batch, loaded.items).items()
            for item in items
            if item.key in shown.refused
        }
        room = FRESH_READ_RUN_MAX - context.fresh_read
        return unsaid(refused, counts_same=context.counts_same, again=batch.attempts > 1, room=room)

    def _hold(
        self,
        loaded: LoadedBatch,
        codes_affected: int,
        judgement: Judgement,
        shown: Shown | None,
        attempt_id: int | None,
        fields: Unsaid,
    ) -> None:
        """Let a batch wait until what its answer left out was read; of too many values, ask anew in sync calls."""
        context, keys, counts_same = self._context, loaded.keys, self._context.counts_same
        known = context.ledger.written_before(loaded.batch.space_id, [keys[place] for place in judgement.unmatched])
        sent_before = frozenset(place for place in judgement.unmatched if keys[place] in known)
        room = FRESH_READ_RUN_MAX - context.fresh_read
        asked = to_be_read(judgement.unmatched, sent_before, counts_same=counts_same, room=room)
        doubted = len(judgement.unmatched if counts_same is False else sent_before)
        if doubted > READ_MAX and loaded.batch.kind == Kind.ASYNC and context.may_go_by_sync(loaded.run.job):
            self._ask_smaller(loaded, codes_affected, judgement.message, attempt_id)
        else:
            one = LeftOut(loaded.batch, codes_affected, judgement, shown, attempt_id, sent_before, asked, fields)
            # What others of the run showed when they were read is known.
            if not asked and not fields.asked and not context.left_out:
                self._end(one, loaded, {}, read=True)
                return
            context.fresh_read += len({*asked} - sent_before) + len(fields.asked)
            context.left_out.append(one)
            context.registry.hold(loaded.batch)

    def end_left_out(self, one: LeftOut, seen: Mapping[int, CodeSeen], *, read: bool) -> None:
        """Record what became of a batch whose answer left values out; ``seen``: by place, what was read of them.

        ``read``: whether they were asked about at all.
        """
        with self._context.writer.together():
            self._end(one, load_batch(self._context, one.batch), seen, read=read)

    def _end(self, one: LeftOut, loaded: LoadedBatch, seen: Mapping[int, CodeSeen], *, read: bool) -> None:
        now = self._unsaid(loaded, one.judgement, one.shown)
        if read and self._context.counts_same is False and not {*now.asked} <= {*one.fields.asked}:
            self._context.left_out.append(replace(one, fields=now))  # what others showed says that all has to be read
            return
        by_place = {place: names for place, names in one.fields.by_place.items() if place in {*seen, *now.by_place}}
        one = replace(one, fields=replace(one.fields, by_place=by_place))
        space_id, met = loaded.batch.space_id, self._context.met
        here = {key for key in loaded.keys if (space_id, key) in met}
        again = came_since(one, loaded.keys, seen, here)
        if again:
            gone = {place for place in one.judgement.unmatched if place not in seen or not seen[place].exists}
            met.update((space_id, key) for place, key in enumerate(loaded.keys) if place not in gone)
            rest = [place for place in range(len(loaded.keys)) if place not in {*again}]
            pieces = of_places(loaded.batch, [item.id for item in loaded.items], [again, rest])
            self._go_on(loaded, one.codes_affected, CAME_SINCE, one.attempt_id, pieces)
            return
        judgement = judge_again(one, seen, counts_same=self._context.counts_same, read=read)
        shown = shown_too(one, loaded.keys, seen, judgement.doubtful)
        self._record(loaded, one.codes_affected, judgement, shown, one.attempt_id)

    def _learn_counts(self, batch: Batch, codes_affected: int) -> None:
        """Learn from the parts of a call, with this one, whether codes are counted that hold what is sent already.

        They are when the parts are counted as often as the call was: nobody writes just so many codes in between.
        """
        context = self._context
        if context.counts_same is not None or batch.parent_id is None or codes_affected == 0:
            return
        parent = context.ledger.batch(batch.parent_id)
        if parent is None or parent.state is not State.MISMATCHED or parent.message == CAME_SINCE:
            return
        waiting = sum(one.codes_affected for one in context.left_out if one.batch.parent_id == parent.id)
        again = codes_affected + waiting + context.ledger.counted_in_parts(parent)
        if again >= max(parent.codes_affected or 0, PROOF_CODES):
            context.learn_counts(same=True)

    def _record(
        self,
        loaded: LoadedBatch,
        codes_affected: int | None,
        judgement: Judgement,
        shown: Shown | None,
        attempt_id: int | None,
    ) -> None:
        refused, named = self._note_fields(loaded, shown)
        if shown is None or not loaded.batch.unique:
            judgement, refused = self._without_names(loaded, judgement, refused)
        self._settle(loaded, codes_affected, judgement, attempt_id, refused, named=named)

    def _note_fields(self, loaded: LoadedBatch, shown: Shown | None) -> tuple[dict[int, frozenset[str]], bool]:
        """Record which fields were taken; return those that were not, by item, and whether all others were named.

        Of a value that may have many codes an answer names what any of them took: of all it is no better than a count.

        An API that tells changes alone does not name what a value held before: what all values of its campaign take
        counts as taken. Of a task only the count is told: what its campaign was never seen to take counts as not taken.
        """
        context, batch, fields = self._context, loaded.batch, self._context.fields
        refused: dict[int, frozenset[str]] = {}
        named = shown is not None and batch.unique
        seen: dict[Told, SeenFields] = {}
        refused_by: dict[Told, frozenset[str]] = {}
        for told, items in fields.by_campaign(loaded.batch, loaded.items).items():
            if shown is None:
                unproven = fields.not_taken(told, batch.campaign)
                missing = {item.id: unproven.intersection(fields_of(item.data)) for item in items} if unproven else {}
            else:
                missing = {item.id: shown.refused[item.key] for item in items if item.key in shown.refused}
                if missing and context.counts_same is False:
                    proven = fields.proven(told, batch.campaign)
                    named = named and all(names.isdisjoint(proven) for names in missing.values())
                    missing = {item: names - proven for item, names in missing.items()}
            here = {item: names for item, names in missing.items() if names}
            refused.update(here)
            refused_by[told] = frozenset().union(*here.values())
            if shown is not None and shown.accepted:
                accepted = {item.id: shown.accepted[item.key] for item in items if shown.accepted.get(item.key)}
                taken = dict.fromkeys(refused_by[told], False)
                taken.update(dict.fromkeys((name for names in accepted.values() for name in names), True))
                fields.saw_named(batch.campaign if told is None else told, (name for name in taken if taken[name]))
                seen[told] = SeenFields(taken, accepted if batch.unique else {}, refused_by[told])
        if shown is not None and shown.taken:
            fields.saw_taken_again(context.writer.saw_fields(batch, seen, context.began, context.at()))
        fields.saw_refused(refused_by)
        return refused, named

    def _without_names(
        self, loaded: LoadedBatch, judgement: Judgement, refused: dict[int, frozenset[str]]
    ) -> tuple[Judgement, dict[int, frozenset[str]]]:
        """Judge a count anew where some values are known to take a field that others do not: only names can tell.

        Where no call names values, or values may have many codes, such a field counts as not taken. So it does where
        even the parts of a sync call, which was asked again, are answered without names.
        """
        fields, doubtful, mixed_by = self._context.fields, dict[int, frozenset[str]](), dict[Told, frozenset[str]]()
        for told, items in fields.by_campaign(loaded.batch, loaded.items).items():
            mixed = mixed_by[told] = fields.mixed(told, loaded.batch.campaign) | self._shown_since(loaded.batch, told)
            doubtful.update({item.id: mixed.intersection(fields_of(item.data)) for item in items} if mixed else {})
        doubtful = {item: names for item, names in doubtful.items() if names}
        nobody = len(judgement.unmatched) + len(judgement.doubtful) == loaded.batch.size
        if not doubtful or judgement.finding is Finding.UNCLEAR or nobody:
            return judgement, refused
        is_first = loaded.batch.parent_id is None and loaded.batch.size > 1
        may_be_named = is_first if loaded.batch.kind == Kind.SYNC else self._context.may_go_by_sync(loaded.run.job)
        if may_be_named and loaded.batch.unique:
            names = ", ".join(sorted(frozenset().union(*doubtful.values())))
            return Judgement(Finding.UNCLEAR, message=f"not all values take {names}: a count does not tell"), refused
        fields.saw_refused(mixed_by)
        return judgement, {item: refused.get(item, frozenset()) | names for item, names in doubtful.items()}

    def _shown_since(self, batch: Batch, told: Told) -> frozenset[str]:
        """Return the fields that names showed in this run alone, of a batch whose calls were made before it."""
        context = self._context
        shown = context.fields.shown_late(told, batch.campaign)
        return shown if shown and context.ledger.begun_before(batch, context.began) else frozenset()

    def _settle(
        self,
        loaded: LoadedBatch,
        codes_affected: int | None,
        judgement: Judgement,
        attempt_id: int | None,
        refused: dict[int, frozenset[str]],
        *,
        named: bool,
    ) -> None:
        context, batch = self._context, loaded.batch
        self._guard_reach(loaded, codes_affected or 0, learn=judgement.finding is Finding.ALL)
        match judgement.finding:
            case Finding.ALL:
                context.writer.confirmed(
                    batch, codes_affected or 0, context.at(), attempt_id=attempt_id, refused=refused, named=named
                )
                context.tally.confirmed += batch.size
            case Finding.SOME:
                unmatched = [loaded.items[place].id for place in judgement.unmatched]
                doubtful = [loaded.items[place].id for place in judgement.doubtful]
                context.writer.miscounted(
                    batch,
                    codes_affected or 0,
                    context.at(),
                    message=judgement.message,
                    unmatched=unmatched,
                    doubtful=doubtful,
                    attempt_id=attempt_id,
                    refused=refused,
                    named=named,
                )
                context.tally.confirmed += batch.size - len(unmatched) - len(doubtful)
                context.tally.unmatched += len(unmatched)
            case _:  # unclear
                self._ask_smaller(loaded, codes_affected or 0, judgement.message, attempt_id)

    def _ask_smaller(self, loaded: LoadedBatch, codes_affected: int, message: str, attempt_id: int | None) -> None:
        pieces = self._smaller(loaded, codes_affected)
        if pieces:
            self._go_on(loaded, codes_affected, message, attempt_id, pieces)
        else:  # a task of one value that no sync call can name, and whose count is not told
            self._context.writer.let_go(loaded.batch, self._context.at(), message=message)

    def _go_on(
        self,
        loaded: LoadedBatch,
        codes_affected: int,
        message: str,
        attempt_id: int | None,
        pieces: Sequence[Piece],
    ) -> None:
        """Let the values of a batch go on in others, which are sent next."""
        context = self._context
        _, children = context.writer.miscounted(
            loaded.batch, codes_affected, context.at(), message=message, pieces=pieces, attempt_id=attempt_id
        )
        context.registry.to_front(children)

    def _guard_reach(self, loaded: LoadedBatch, codes_affected: int, *, learn: bool) -> None:
        """Stop the run when a batch reached far more codes than any before, whatever else is odd about its count."""
        context, batch, run = self._context, loaded.batch, loaded.run
        if batch.unique:
            return
        reach, most = context.reach(run.job), context.settings.max_codes_affected
        allowed = ""
        if reach.exceeded(codes_affected, batch.size, context.settings.max_reach_factor):
            allowed = f"never more than {reach.high:.1f} each were seen before"
        elif most and codes_affected > most:
            allowed = f"limits.max_codes_affected is {most}"
        if allowed:
            words = (
                f"batch {batch.id} reached {codes_affected} codes with {batch.size} values "
                f"({codes_affected / batch.size:.1f} each); {allowed}"
            )
            context.learn_reach(run.job, replace(reach, stopped=f"{words} (run {batch.run_id})"))
            context.stop = context.stop or reach_error(words, batch.run_id, run.job.name)
        elif learn:
            context.learn_reach(run.job, reach.learned(codes_affected, batch.size))

    def _smaller(self, loaded: LoadedBatch, codes_affected: int) -> list[Piece]:
        """Cut a batch into smaller questions: sync calls that name values, else smaller calls of the same kind.

        A sync batch whose answer was unclear is halved: a call of the same size would be answered the same. Where sync
        calls do not take the key, halves of what is known find what is missing; what is not known goes one by one.
        """
        context, batch = self._context, loaded.batch
        ids = [item.id for item in loaded.items]
        if batch.kind == Kind.ASYNC and context.may_go_by_sync(loaded.run.job):
            parts = [ids[begin : begin + PIECE_VALUES_MAX] for begin in range(0, len(ids), PIECE_VALUES_MAX)]
            return [Piece(Kind.SYNC, tuple(part)) for part in parts]
        if len(ids) == 1:
            return []
        counts = {} if loaded.batch.unique else self._counts(loaded, codes_affected)
        if loaded.batch.unique or batch.kind == Kind.SYNC or len(counts) == len(ids):
            return of_places(batch, ids, halves(len(ids)))
        known = [place for place, key in enumerate(loaded.keys) if key in counts]
        unknown = [place for place, key in enumerate(loaded.keys) if key not in counts]
        return of_places(batch, ids, [known, *([place] for place in unknown)])

    def _counts(self, loaded: LoadedBatch, codes_affected: int) -> dict[str, int]:
        """Return how many codes each value selects, as far as it is known and halves could find what is missing.

        A value may have more codes than other spaces know. Where a call counted more than are known, and where changes
        alone count, its parts would be counted otherwise than is known, too.
        """
        context = self._context
        counts = context.counts_of(loaded.run, loaded.keys, links=context.counts_same is not False)
        more = len(counts) == len(loaded.keys) and codes_affected > sum(counts.values())
        return context.counts_of(loaded.run, loaded.keys, links=False) if more else counts


def reach_error(words: str, run_id: int, job: str) -> GuardError:
    """Return the error of the guard that watches how many codes a value selects."""
    return GuardError(
        words,
        remedy=f"look at the batch's values in the portal (syncer status {run_id}); approve the reach if it is right",
        next=f"syncer resume --job {shlex.quote(job)} --approve",
    )
