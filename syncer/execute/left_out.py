"""What an answer leaves out, values or fields: nothing took them, or it was so before and the API tells changes alone.

The rule, in four sentences. A value that is left out matched nothing where the API is known to count what stays as it
was. Elsewhere it is read back: what holds its data is confirmed, what no code has is unmatched. A code that does not
hold all of it may have come after the call, so it is asked for once more; what is left out again was not taken. Of what
cannot be read, a value that was never sent before is unmatched, as the API's documents say; any other stays in doubt,
and wanted.

So with a field that the answer does not name for a value which it does name. It was not taken, unless the code holds
what was sent: that is known of the value then, and proves nothing of its campaign. Where nobody could look, and the API
is known to tell changes alone, the value stays in doubt.

What always holds: a batch whose answer left values out keeps its state until they were read, so a process that dies
meanwhile asks again; one of which nothing is to be read waits for nobody, once others were read. Pure.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Container, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from syncer.execute.reconcile import ALL_APPLIED, Finding, Judgement, Shown
from syncer.mirror.words import only

if TYPE_CHECKING:
    from syncer.ledger.values import Batch, Item

READ_MAX = 100
"""Values of one batch that are read back: as many as a sync call carries."""
FRESH_READ_MAX = 5
"""Values of one batch that were never sent before, and are read back while nothing is known of how the API counts."""
FRESH_READ_RUN_MAX = 20
"""The same, of all batches of a run."""
CAME_SINCE = "codes have values that the answer left out: they are asked for once more"
"""What a batch says whose values go on in others since codes may have come after its call."""
UNREAD = "the answer names values without all of their fields, and these could not be read back"
"""What a batch says whose values are all there, and some of them in doubt."""
HELD_MAX = 100
"""With so many batches that wait for values to be read, these are read before more is sent: a death asks all again."""


@dataclass(frozen=True, slots=True)
class AskedCode:
    """A value to be read back: its key columns, its key text, and what was sent, as a canonical text.

    ``named``: the answer named it, without these fields. What one look misses then, nothing took. ``earlier``: by
    field, what the value was given before; a code that holds such a word did not take the one that was sent.
    """

    columns: tuple[str, ...]
    key: str
    data: str
    named: bool = False
    earlier: Mapping[str, Collection[str]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class CodeSeen:
    """What code data showed of one value: whether a code has it, which fields hold what was sent, and which did not.

    ``missing``: those that hold nothing, or an older word of ours. ``differs``: some field holds something else.
    ``unread``: some field stands in no column, so nobody can compare it.
    """

    exists: bool
    taken: frozenset[str] = frozenset()
    missing: frozenset[str] = frozenset()
    differs: bool = False
    unread: bool = False
    repeated: frozenset[str] = frozenset()
    """Those of ``taken`` that the value was given in the same words before: that they are held proves nothing."""


Earlier = Callable[[int, Sequence[tuple[str, int]]], Mapping[str, Mapping[str, Collection[str]]]]
"""Returns what values of a code space were given before some items, by key and field; takes their keys and ids."""
Look = Callable[[Sequence[AskedCode]], list[CodeSeen | None]]
"""Reads values back; None: nothing can be said of that one. May raise `SignalError`."""


def see_nothing(asked: Sequence[AskedCode]) -> list[CodeSeen | None]:
    """Answer where no code data is to be had."""
    return [None] * len(asked)


@dataclass(frozen=True, slots=True)
class Unsaid:
    """Fields of values that an answer names without them, by the place of the value, and the places that are read.

    ``unheard_of``: fields of which nothing was known. A code that holds one tells how the API answers.
    """

    by_place: Mapping[int, frozenset[str]] = field(default_factory=dict)
    asked: tuple[int, ...] = ()
    unheard_of: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class LeftOut:
    """A batch whose answer left values out, until these were read. Places count its items."""

    batch: Batch
    codes_affected: int
    judgement: Judgement
    shown: Shown | None
    attempt_id: int | None
    sent_before: frozenset[int]
    """Places of the values that something of ours may have written before."""
    asked: tuple[int, ...]
    """Places of the values to be read."""
    fields: Unsaid = Unsaid()

    def to_read(self, key: tuple[str, ...], items: Sequence[Item], earlier: Earlier) -> list[tuple[int, AskedCode]]:
        """Return what is to be read, each with its place; ``items``: the batch's, ``key``: its columns."""
        asked = [(place, items[place], items[place].data, False) for place in self.asked]
        asked += [
            (place, items[place], only(items[place].data, self.fields.by_place[place]), True)
            for place in self.fields.asked
        ]
        given = earlier(self.batch.space_id, [(item.key, item.id) for _, item, *_ in asked])
        return [
            (place, AskedCode(key, item.key, data, is_named, given.get(item.key, {})))
            for place, item, data, is_named in asked
        ]


def is_read_before_more(waiting: Sequence[LeftOut]) -> bool:
    """Tell whether what batches wait for is to be read before anything more is sent or looked at."""
    return len(waiting) >= HELD_MAX or any(one.fields.asked for one in waiting)


def leaves_out(judgement: Judgement) -> bool:
    """Tell whether a judgement says of values that they matched nothing since an answer left them out."""
    return judgement.finding is Finding.SOME and not judgement.contradicts


def to_be_read(
    unmatched: Sequence[int], sent_before: frozenset[int], *, counts_same: bool | None, room: int
) -> tuple[int, ...]:
    """Return the places of the values to be read, of those that an answer left out.

    ``room``: how many more values that were never sent before the run may read while nothing is known of how the API
    counts.
    """
    if counts_same is False:
        return tuple(unmatched[:READ_MAX])
    fresh = [place for place in unmatched if place not in sent_before]
    return (*sorted(sent_before)[:READ_MAX], *_spread(fresh, min(FRESH_READ_MAX, room)))


def unsaid(
    refused: Mapping[int, Mapping[str, bool | None]], *, counts_same: bool | None, again: bool, room: int
) -> Unsaid:
    """Return the fields of which an answer says nothing for values that it names, and which of these are read.

    ``refused`` tells of each such field whether all values are known to take it (None: nobody knows). Where the API
    tells changes alone, nothing is read of it if all take it: it counts as taken. Nor, elsewhere, if it is known not
    to be taken. All are read of a call that was made `again`: the one before may have written just this.
    ``room``: as in `to_be_read`.
    """
    if counts_same:
        return Unsaid()
    left: set[bool | None] = {None, True} if counts_same is None else {None, False}
    by_place = {
        place: names
        for place, known in refused.items()
        if (names := frozenset(name for name, is_taken in known.items() if is_taken in left))
    }
    places = [*by_place]
    asked = places[:READ_MAX] if again or counts_same is False else _spread(places, min(FRESH_READ_MAX, room))
    unheard_of = frozenset(name for known in refused.values() for name, is_taken in known.items() if is_taken is None)
    return Unsaid(by_place, tuple(asked), unheard_of)


def _spread(places: list[int], most: int) -> list[int]:
    """Return at most so many places, from the first to the last."""
    if len(places) <= most:
        return places
    return [places[number * (len(places) - 1) // max(1, most - 1)] for number in range(most)]


def judge_again(one: LeftOut, seen: Mapping[int, CodeSeen], *, counts_same: bool | None, read: bool) -> Judgement:
    """Judge a batch by what was read of the values that its answer left out; ``read``: whether anything could be."""
    unmatched: list[int] = []
    doubtful: list[int] = []
    for place in one.judgement.unmatched:
        found = seen.get(place)
        if found is None:
            is_fresh = place not in one.sent_before and counts_same is None and read
            (unmatched if is_fresh or counts_same else doubtful).append(place)
        elif not found.exists:
            unmatched.append(place)
        elif found.differs:
            doubtful.append(place)
    if counts_same is False or not read:
        named = one.fields.by_place
        doubtful += [
            place for place in named if (found := seen.get(place)) is None or not found.exists or found.differs
        ]
    if not unmatched and not doubtful:
        return ALL_APPLIED
    message = one.judgement.message if one.judgement.unmatched else UNREAD
    return Judgement(Finding.SOME, tuple(unmatched), message, tuple(sorted(doubtful)))


def came_since(one: LeftOut, keys: Sequence[str], seen: Mapping[int, CodeSeen], met: Container[str]) -> list[int]:
    """Return the places of values whose code may have come after the call; ``met``: keys of codes from before it.

    It does not show all that was sent, so nothing tells that the call reached it.
    """
    return [
        place
        for place in one.judgement.unmatched
        if (found := seen.get(place)) is not None
        and found.exists
        and not found.differs
        and (found.missing or found.unread)
        and keys[place] not in met
    ]


def shown_too(
    one: LeftOut, keys: Sequence[str], seen: Mapping[int, CodeSeen], doubtful: Collection[int]
) -> Shown | None:
    """Add what was read of fields, by place, to what the answer showed of them.

    Of a value that it named, a field that the code holds is refused no more, nor one of a value in doubt. Whether its
    campaign takes that, nobody knows.
    """
    named = one.fields.by_place
    applied = {
        keys[place]: found for place, found in seen.items() if place not in named and found.exists and not found.differs
    }
    held = {
        keys[place]: names if place in doubtful else _held(names, seen.get(place)) for place, names in named.items()
    }
    if not applied and not held:
        return one.shown
    shown = one.shown or Shown()
    refused = {key: names - held.get(key, frozenset()) for key, names in shown.refused.items()}
    refused |= {key: found.missing for key, found in applied.items()}
    refused = {key: names for key, names in refused.items() if names}
    taken = {name for name, is_taken in shown.taken.items() if is_taken}.union(
        *(one.taken - one.repeated for one in applied.values())
    )
    return Shown(
        {**dict.fromkeys(frozenset().union(*refused.values()), False), **dict.fromkeys(taken, True)},
        {**shown.accepted, **{key: found.taken - found.repeated for key, found in applied.items()}},
        refused,
    )


def _held(names: frozenset[str], found: CodeSeen | None) -> frozenset[str]:
    """Return which of the fields that were read a code holds as they were sent."""
    if found is None or not found.exists:
        return frozenset()
    return found.taken if found.differs else names - found.missing


def shows_changes_alone(one: LeftOut, seen: Mapping[int, CodeSeen]) -> bool:
    """Tell whether codes hold what was sent though the answer left it out: then the API tells changes alone."""
    return any(
        found.exists
        and (found.taken & one.fields.unheard_of if place in one.fields.by_place else found.taken and not found.differs)
        for place, found in seen.items()
    )
