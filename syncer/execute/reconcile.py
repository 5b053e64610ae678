"""Expected against affected: what an answer proves about each value of a batch. Pure.

The rule behind every function here: *confirmed means that the API said so*, by count and, where the answer names
values, by value. An answer that contradicts itself proves nothing; it leads to smaller questions, never to green.

Sources of fact: docs/api.md, "SCM upload, sync" (``items`` names the values that were affected and the fields
that were taken), "Tasks" (``codes_affected``), "SCM upload, async" (a value of another key may select many codes).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field, replace
from enum import StrEnum

from syncer.model import SPECIAL_FIELDS


class Finding(StrEnum):
    """What an answer proves about the values of a batch."""

    ALL = "all"
    """Every value was applied."""
    SOME = "some"
    """Exactly the values of `Judgement.unmatched` matched no code; all others were applied."""
    UNCLEAR = "unclear"
    """Something is missing or contradicts itself, and the answer does not say which values: ask in smaller pieces."""


@dataclass(frozen=True, slots=True)
class Judgement:
    """A finding, with the positions of the values that matched nothing and the words for the record.

    ``doubtful`` are those that an answer left out, or a field of them, though codes may hold what was sent.
    """

    finding: Finding
    unmatched: tuple[int, ...] = ()
    message: str = ""
    doubtful: tuple[int, ...] = ()
    contradicts: bool = False
    """Whether the answer counts something else than what it names, or what one value can have."""


@dataclass(frozen=True, slots=True)
class Reach:
    """What was learned about a job's key.

    ``high`` is the greatest average of codes per value that a batch ever had, None until learned; ``stopped`` is what
    the guard against too many codes said, until that is approved; ``sync_refused``: the API said that sync calls do not
    take the key; ``sync_taken``: it took one.
    """

    high: float | None = None
    stopped: str = ""
    sync_refused: bool = False
    sync_taken: bool = False

    def learned(self, codes_affected: int, values: int) -> Reach:
        """Return the reach with one more confirmed batch in it: each value has a code, whatever an API counts."""
        average = max(1.0, codes_affected / values)
        return replace(self, high=average if self.high is None else max(self.high, average))

    def exceeded(self, codes_affected: int, values: int, factor_max: float) -> bool:
        """Tell whether a batch reached more than `factor_max` times what was ever seen per value (0: never)."""
        if not factor_max or self.high is None:
            return False
        return codes_affected > factor_max * max(1.0, self.high) * values


ALL_APPLIED = Judgement(Finding.ALL)


def judge_count(values: int, codes_affected: int | None, *, unique: bool, expected: int | None) -> Judgement:
    """Judge a batch by its count alone: an async task, or a sync answer that names no values.

    Unique keys: one code per value, no more and no less. Of other keys a count proves nothing about one value among
    many (50 cases of two codes, and 50 that do not exist, are 100 too): only a count that equals what the values are
    ``expected`` to select does (None: not known), or that of a single value.
    """
    if codes_affected is None:
        return Judgement(Finding.UNCLEAR, message=f"the API does not say how many codes {values} values affected")
    if codes_affected == 0:
        return Judgement(Finding.SOME, tuple(range(values)), "no code has this value")
    if unique:
        return ALL_APPLIED if codes_affected == values else _unclear(values, codes_affected, values)
    if values == 1 or codes_affected == expected:
        return ALL_APPLIED
    if expected is None:
        message = f"{codes_affected} codes affected; how many each of {values} values selects is not known"
        return Judgement(Finding.UNCLEAR, message=message)
    return _unclear(values, codes_affected, expected)


def judge_named(
    keys: Sequence[str], codes_affected: int, named: AbstractSet[str] | None, *, unique: bool, expected: int | None
) -> Judgement:
    """Judge a sync answer that names the values it affected; ``named`` is None when it has no names at all.

    Where the names and the count agree, the names decide. Where they contradict each other, the values have to be
    asked for in smaller pieces; at a single value the contradiction is the finding.
    """
    if named is None:
        return judge_count(len(keys), codes_affected, unique=unique, expected=expected)  # this API names nothing
    affected = sum(key in named for key in keys)
    agree = (
        codes_affected == affected if unique else codes_affected >= affected and (affected > 0 or not codes_affected)
    )
    if not agree or affected < len(named):
        if len(keys) > 1:
            return _unclear(len(keys), codes_affected, affected)
        words = f"the answer contradicts itself: {codes_affected} codes for one value"
        if unique and named == {keys[0]} and codes_affected > 1:
            words = (
                f"the API counts {codes_affected} codes for this value, where the job expects one (jobs.<name>.unique)"
            )
        return Judgement(Finding.SOME, (0,), words, contradicts=True)
    if affected == len(keys):
        return ALL_APPLIED
    unmatched = tuple(place for place, key in enumerate(keys) if key not in named)
    return Judgement(Finding.SOME, unmatched, "no code has this value")


def _unclear(values: int, codes_affected: int, expected: int) -> Judgement:
    message = f"{codes_affected} codes affected, {expected} expected for {values} values"
    if values == 1:
        return Judgement(Finding.SOME, (0,), message, contradicts=True)
    return Judgement(Finding.UNCLEAR, message=message)


def named_or_counted(
    sent: Mapping[str, Iterable[str]], named: Mapping[str, Sequence[str]], codes_affected: int, *, unique: bool
) -> Mapping[str, Sequence[str]]:
    """Add to the values that an answer names, with no field, those that it counts and need not name.

    These are values of special fields alone, and all where it names nobody: perhaps no field of theirs was taken. They
    are counted only when the count leaves nobody out. ``sent`` gives the fields sent per value.
    """
    unnamed = [
        key for key, fields in sent.items() if key not in named and (not named or SPECIAL_FIELDS.issuperset(fields))
    ]
    counted = codes_affected == len(named) + len(unnamed) if unique else codes_affected > 0 and len(sent) == 1
    return {**named, **dict.fromkeys(unnamed, ())} if counted else named


@dataclass(frozen=True, slots=True)
class Shown:
    """What the names in one sync answer show of fields: which some value took; by value, those taken and not taken."""

    taken: Mapping[str, bool] = field(default_factory=dict)
    accepted: Mapping[str, frozenset[str]] = field(default_factory=dict)
    refused: Mapping[str, frozenset[str]] = field(default_factory=dict)


def shown_fields(sent: Mapping[str, Iterable[str]], named: Mapping[str, Iterable[str]]) -> Shown:
    """Return what an answer shows: ``sent`` gives the fields sent per value, ``named`` the fields taken per value.

    Special fields stand in no answer for certain; they count as taken.
    """
    taken: dict[str, bool] = {}
    accepted: dict[str, frozenset[str]] = {}
    refused: dict[str, frozenset[str]] = {}
    for key, fields in named.items():
        asked = frozenset(sent.get(key, ())) - SPECIAL_FIELDS
        missing = asked - frozenset(fields)
        accepted[key] = asked - missing
        taken.update(dict.fromkeys(asked - missing, True))
        for name in missing:
            taken.setdefault(name, False)
        if missing:
            refused[key] = missing
    return Shown(taken, accepted, refused)


def halves(count: int) -> tuple[range, range]:
    """Cut positions 0…count-1 into two parts, the first the greater by at most one."""
    middle = (count + 1) // 2
    return range(middle), range(middle, count)


def named_in(keys: Sequence[str], words: str) -> tuple[int, ...]:
    """Return the places of the values that the API's words name.

    The shape of an error body is not documented, so its text is searched. What is a part of a longer word or number
    there is no name: a serial number may be as short as ``1``.
    """
    return tuple(place for place, key in enumerate(keys) if _stands_in(key, words))


def _stands_in(key: str, words: str) -> bool:
    begin = words.find(key)
    while begin >= 0:
        end = begin + len(key)
        if not words[begin - 1 : begin].isalnum() and not words[end : end + 1].isalnum():
            return True
        begin = words.find(key, begin + 1)
    return False


def suspects(keys: Sequence[str], words: str) -> tuple[tuple[int, ...], tuple[int, ...]] | None:
    """Split a refused batch into the values that the API's words name and all others; None: they name none, or all."""
    named = set(named_in(keys, words))
    if not 0 < len(named) < len(keys):
        return None
    return tuple(sorted(named)), tuple(place for place in range(len(keys)) if place not in named)
