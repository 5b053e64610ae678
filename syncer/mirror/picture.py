"""What one key value is known to hold, and how each end of a call changes that (design.md, rules 1 to 3).

A field is *known* with a value, *uncertain* (something of ours may have changed it, or may yet), *refused* (sent, and
not taken), or nothing was ever heard of it. Only a known field can be equal to what a row wants; all others that the
row names are its *delta*. Nothing here remembers what was sent: only what the server said or showed.

A count says that codes were affected, not that each field was taken. Where a value was confirmed by calls of both
kinds, its picture tells which of its known fields no answer named.

What always holds: no field is known and uncertain at once; an absent value knows nothing; a doubt never adds a known
field; what was counted is known. Pure: the ledger stores pictures, the plan compares with them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

from syncer.mirror.words import NOTHING, field_of, fields_of, laid_over, missing_words, only, text_of, value_of, without
from syncer.model import SPECIAL_FIELDS

PRODUCT = "product"
"""The SCM key that gives a code its product, by SKU or id (docs/api.md, "Special SCM fields")."""
TOGETHER = frozenset({"activation_status", "blacklist_reason"})
"""Fields that travel together: whether a server takes one without the other was never tried against any."""
EVERY_FIELD = ""
"""In place of a field's name in a stamp: all of them."""

Moves = Callable[[str | None, str], bool]
"""Tells whether a change of product (from None: it is not known) may move a code to another campaign."""
Campaigns = Callable[[str], int | None]
"""Tells the campaign of a product, as far as it is known."""


def may_move(old: str | None, new: str) -> bool:
    """Answer for a ledger that knows no products: any other product may stand in another campaign."""
    return old != new


@dataclass(frozen=True, slots=True)
class Picture:
    """What one key value holds as far as anybody knows. ``known`` is a canonical text, the lists are sorted.

    ``absent``: no code had this value when it was last asked for. ``counted``: known fields that no answer named,
    where a sync call confirmed the value last; after an async one, which names none, all of them are.
    """

    known: str = NOTHING
    uncertain: tuple[str, ...] = ()
    refused: tuple[str, ...] = ()
    absent: bool = False
    counted: tuple[str, ...] = ()

    @property
    def is_plain(self) -> bool:
        """Whether it is nothing but known fields."""
        return not self.uncertain and not self.refused and not self.absent and not self.counted


UNHEARD_OF = Picture()
"""Of a value that was never sent."""
ABSENT = Picture(absent=True)
"""Of a value that matched no code: nobody holds anything under it."""


def moves_code(picture: Picture, sent: str, moves: Moves) -> bool:
    """Tell whether data may move a code to a campaign that is not known to be the one it is in."""
    if '"product":"' not in sent:  # a quick look: nearly all data names none
        return False
    new = value_of(sent, PRODUCT)
    return new is not None and moves(value_of(picture.known, PRODUCT), new)


def campaign_in(picture: Picture, sent: str, campaigns: Campaigns) -> int | None:
    """Return the campaign of a code that gets `sent`: its product tells, the new one or the one that it has."""
    texts = (text for text in (sent, picture.known) if '"product":"' in text)  # a quick look: most name none
    product = next((value for text in texts if (value := value_of(text, PRODUCT)) is not None), None)
    return campaigns(product) if product else None


def delta(picture: Picture, wanted: str, moves: Moves = may_move, *, missing: Sequence[str] | None = None) -> str:
    """Return what of `wanted` has to be sent: `NOTHING` when each of its fields is known and equal.

    ``missing`` are the words of `wanted` that are not known, where somebody has looked already.
    """
    if missing is None:
        missing = missing_words(picture.known, wanted)
    if picture.refused:
        missing = [word for word in missing if field_of(word) not in picture.refused]
    if not missing:
        return NOTHING
    text = text_of(missing)
    if len(text) == len(wanted):
        return wanted
    if moves_code(picture, text, moves):
        return without(wanted, picture.refused)
    if not TOGETHER.isdisjoint(fields_of(text)):
        return only(wanted, {*fields_of(text), *TOGETHER})
    return text


def confirmed(before: Picture, sent: str, moves: Moves = may_move) -> Picture:
    """Return the picture after a task's count said that the server took `sent`: its place tells that all is counted."""
    return replace(named(before, sent, moves), counted=())


def counted(before: Picture, sent: str, moves: Moves = may_move) -> Picture:
    """Return the picture after a sync call's count said that the server took `sent`, and no name."""
    after = named(before, sent, moves)
    return replace(after, counted=tuple(_sorted([*after.counted, *_discardable(sent)])))


def all_counted(before: Picture) -> Picture:
    """Return the picture of a value that a task confirmed last, as one that a sync call is to confirm next."""
    return replace(before, counted=tuple(_sorted(_discardable(before.known))))


def named(before: Picture, sent: str, moves: Moves = may_move) -> Picture:
    """Return the picture after the server named the value, and the fields of `sent` among those that it took."""
    fields = frozenset(fields_of(sent))
    known, uncertain = before.known, [field for field in before.uncertain if field not in fields]
    rest = [field for field in before.counted if field not in fields]
    if moves_code(before, sent, moves):  # what was not sent along may have stayed behind
        uncertain = _sorted([*uncertain, *(field for field in fields_of(known) if field not in fields)])
        known, rest = NOTHING, []
    refused = tuple(field for field in before.refused if field not in fields)
    return Picture(laid_over(known, sent), tuple(uncertain), refused, counted=tuple(rest))


def doubted(before: Picture, sent: str, moves: Moves = may_move) -> Picture:
    """Return the picture after `sent` may have been processed, and nobody knows how it ended."""
    fields = {*fields_of(sent)}
    if moves_code(before, sent, moves):
        fields.update(fields_of(before.known))
    return _uncertain_in(before, fields)


def not_taken(before: Picture, fields: Iterable[str]) -> Picture:
    """Return the picture after the server named the value and left some of the fields out that were sent."""
    chosen = frozenset(fields)
    uncertain = tuple(field for field in before.uncertain if field not in chosen)
    refused = tuple(_sorted([*before.refused, *chosen]))
    return replace(_unknown(before, chosen), uncertain=uncertain, refused=refused)


def asked_again(before: Picture, fields: Iterable[str]) -> Picture:
    """Return the picture after a campaign was seen to take fields that it had refused: they count as never heard of."""
    chosen = frozenset(fields)
    return replace(before, refused=tuple(field for field in before.refused if field not in chosen))


def refused_words(picture: Picture, wanted: str) -> list[str]:
    """Return the fields of `wanted` that this value did not take when they were last sent."""
    return [field for field in fields_of(wanted) if field in picture.refused] if picture.refused else []


def stamped(before: Picture, fields: Iterable[str]) -> Picture:
    """Return the picture after what is known of some fields (`EVERY_FIELD`: of all) can no longer be relied on."""
    chosen, known = frozenset(fields), fields_of(before.known)
    return _uncertain_in(before, known if EVERY_FIELD in chosen else chosen.intersection(known))


def _uncertain_in(before: Picture, fields: Iterable[str]) -> Picture:
    chosen = frozenset(fields)
    return replace(_unknown(before, chosen), uncertain=tuple(_sorted([*before.uncertain, *chosen])))


def _unknown(before: Picture, chosen: frozenset[str]) -> Picture:
    rest = tuple(field for field in before.counted if field not in chosen)
    return replace(before, known=without(before.known, chosen), counted=rest)


def _discardable(text: str) -> list[str]:
    return [field for field in fields_of(text) if field not in SPECIAL_FIELDS]


def _sorted(fields: Iterable[str]) -> list[str]:
    return sorted({*fields})


def overwrites(picture: Picture, missing: Sequence[str]) -> bool:
    """Tell whether words that are not known are about a field that is: what is uncertain or unheard of is no change."""
    if picture.known == NOTHING:
        return False
    fields = {*fields_of(picture.known)}
    return any(field_of(word) in fields for word in missing)
