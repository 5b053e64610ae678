"""Values that an answer leaves out: no code has them, or they held it before and the API counts what changed alone.

The rule, in four sentences. A value that is left out matched nothing where the API is known to count what stays as it
was. Elsewhere it is read back: what holds its data is confirmed, what no code has is unmatched. A code that does not
hold all of it may have come after the call, so it is asked for once more; what is left out again was not taken. Of what
cannot be read, a value that was never sent before is unmatched, as the API's documents say; any other stays in doubt,
and wanted.

What always holds: a batch whose answer left values out keeps its state until they were read, so a process that dies
meanwhile asks again; one of which nothing is to be read waits for nobody, once others were read. Pure.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from syncer.execute.reconcile import ALL_APPLIED, Finding, Judgement, Shown

if TYPE_CHECKING:
    from syncer.ledger.values import Batch

READ_MAX = 100
"""Values of one batch that are read back: as many as a sync call carries."""
FRESH_READ_MAX = 5
"""Values of one batch that were never sent before, and are read back while nothing is known of how the API counts."""
FRESH_READ_RUN_MAX = 20
"""The same, of all batches of a run."""
CAME_SINCE = "codes have values that the answer left out: they are asked for once more"
"""What a batch says whose values go on in others since codes may have come after its call."""
HELD_MAX = 100
"""With so many batches that wait for values to be read, these are read before more is sent: a death asks all again."""


@dataclass(frozen=True, slots=True)
class AskedCode:
    """A value to be read back: its key columns, its key text, and what was sent, as a canonical text."""

    columns: tuple[str, ...]
    key: str
    data: str


@dataclass(frozen=True, slots=True)
class CodeSeen:
    """What code data showed of one value: whether a code has it, and which fields hold what was sent, or nothing.

    ``differs``: some field holds something else. ``unread``: some field stands in no column, so nobody can compare it.
    """

    exists: bool
    taken: frozenset[str] = frozenset()
    missing: frozenset[str] = frozenset()
    differs: bool = False
    unread: bool = False


Look = Callable[[Sequence[AskedCode]], list[CodeSeen | None]]
"""Reads values back; None: nothing can be said of that one. May raise `SignalError`."""


def see_nothing(asked: Sequence[AskedCode]) -> list[CodeSeen | None]:
    """Answer where no code data is to be had."""
    return [None] * len(asked)


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


def _spread(places: list[int], most: int) -> list[int]:
    """Return at most so many places, from the first to the last."""
    if most <= 0 or len(places) <= most:
        return places[: max(0, most)]
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
    if not unmatched and not doubtful:
        return ALL_APPLIED
    return replace(one.judgement, unmatched=tuple(unmatched), doubtful=tuple(doubtful))


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


def shown_too(shown: Shown | None, keys: Sequence[str], seen: Mapping[int, CodeSeen]) -> Shown | None:
    """Add what was read of fields, by place, to what the answer showed of them."""
    applied = {keys[place]: found for place, found in seen.items() if found.exists and not found.differs}
    if not applied:
        return shown
    shown = shown or Shown()
    missing = dict.fromkeys((name for found in applied.values() for name in found.missing), False)
    taken = dict.fromkeys((name for found in applied.values() for name in found.taken), True)
    return Shown(
        {**missing, **shown.taken, **taken},
        {**shown.accepted, **{key: found.taken for key, found in applied.items()}},
        {**shown.refused, **{key: found.missing for key, found in applied.items() if found.missing}},
    )


def shows_changes_alone(seen: Iterable[CodeSeen]) -> bool:
    """Tell whether values hold what was sent though an answer left them out: then the API counts what changed alone."""
    return any(found.exists and found.taken and not found.differs for found in seen)
