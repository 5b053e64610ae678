"""Reading back a few values after a run: whether the API took the fields that no answer named.

A count says that codes were affected, not which fields they took; where sync calls do not take the key, nothing else is
ever said. So a few values are read back from Scantrust's code data, once per field and campaign. What always holds: a
field is taken only when a code that was read holds the value it was given; it is refused only when two looks at least
``api.settle_s`` apart show codes without it, or with an older word of ours while no code holds the new one (two codes
with an older word, where nobody tells the campaign: it may be two campaigns). A value that
the code may have held before proves a field only where no answer could name it, and no other code lacks it. All else
proves nothing: a field that was never taken stays unproven. Then the run does not end with 0, unless ``known_fields``
says that the campaign has it.
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from syncer import __version__
from syncer.api.code_data import CodeDataClient
from syncer.errors import SignalError, SyncerError
from syncer.ledger.unproven import Unproven, ValuesSeen, codes_query
from syncer.model import KEY_SEPARATOR, UNIQUE_KEYS, Mode
from syncer.runs.code_rows import CodeRows, code_rows
from syncer.runs.outside import REAL, Outside
from syncer.runs.readers import connection_of, reader_over
from syncer.runs.summing import ReadBack

if TYPE_CHECKING:
    from syncer.api.limits import ReadLimiter
    from syncer.api.reading import Reader, RequestCounts
    from syncer.api.storage import StorageHost
    from syncer.config import Settings
    from syncer.ledger.ledger import Ledger
    from syncer.ledger.values import Run
    from syncer.process.clock import Clock
    from syncer.process.signals import Interrupt

log = logging.getLogger(__name__)
PATIENCE_S = 60.0
"""How long one look at code data may take; a document that is not made by then is asked for by the next run."""
OLDER_MIN = 2
"""Codes of an unknown campaign that have to hold an older word of ours, where others hold the new one."""
STOPPED = "while codes were read back; what was sent is recorded"
"""What a signal ends: after a run has sent everything, never "nothing was changed"."""


@dataclass(slots=True)
class CodeReader:
    """Reads code data for one run. ``deadline_s`` is the run's, monotonic; None: it has none."""

    settings: Settings
    clock: Clock
    interrupt: Interrupt
    deadline_s: float | None
    limiter: ReadLimiter
    counts: RequestCounts
    outside: Outside = REAL

    def rows(self, queries: Sequence[Mapping[str, str]]) -> tuple[list[CodeRows | None], str]:
        """Return what the codes of each query hold, and why nothing could be had, if so."""
        until_s = self.clock.monotonic_s() + PATIENCE_S
        if self.deadline_s is not None:
            until_s = min(until_s, self.deadline_s)
        try:
            with closing(connection_of(self.settings, self.outside).transport(self.clock)) as transport:
                reader: Reader[CodeDataClient] = reader_over(
                    CodeDataClient(transport), self.settings, self.clock, self.interrupt,
                    deadline_s=until_s, limiter=self.limiter,
                )  # fmt: skip
                reader.counts, reader.during = self.counts, STOPPED
                return code_rows(reader, self._storage(), queries), ""
        except SignalError:
            raise
        except SyncerError as error:
            log.warning("codes could not be read back: %s", error.message)
            return [None] * len(queries), error.message

    def pause(self) -> None:
        """Wait until what was written must be visible to every reader of the API."""
        until_s = self.clock.monotonic_s() + self.settings.api.settle_s
        while self.clock.monotonic_s() < until_s:  # bounded: every step but the last takes 0.1 s
            self.interrupt.check(STOPPED)
            self.clock.sleep_s(min(0.1, until_s - self.clock.monotonic_s()))

    def _storage(self) -> StorageHost:
        api = self.settings.api
        return self.outside.storage(timeout_s=api.timeout_s, user_agent=f"syncer/{__version__}", ca_file=api.ca_file)


@dataclass(slots=True)
class _Look:
    """What one value's codes show: fields that all hold as given, that some do not hold, that some hold as before.

    ``repeated``: fields that all hold as given, and may have held before that.
    """

    taken: set[str] = field(default_factory=set)
    missing: set[str] = field(default_factory=set)
    older: set[str] = field(default_factory=set)
    repeated: set[str] = field(default_factory=set)


def read_back(
    ledger: Ledger,
    run: Run,
    reader: CodeReader,
    *,
    fields: Collection[str] | None,
    declared: Collection[str],
    named: Mapping[int | None, Collection[str]],
    begun: int,
    at: str,
) -> ReadBack:
    """Read back a few values of a run, and record what they show.

    ``fields`` are those that rows name (None: what the run sent), ``declared`` those that ``known_fields`` vouches for,
    ``named`` those that answers of the run named, by campaign; ``begun``: the last event before this process began.
    """
    chosen = ledger.unproven(run, fields, named, declared, begun)
    if not chosen:
        return ReadBack()
    looks, note = _looks(reader, run, chosen)
    doubtful = [number for number, look in enumerate(looks) if look.missing or look.older]
    if doubtful:
        reader.pause()
        again, _ = _looks(reader, run, [chosen[number] for number in doubtful])
        for number, look in zip(doubtful, again, strict=True):
            first = looks[number]
            looks[number] = _Look(look.taken, look.missing & first.missing, look.older & first.older)
    lacking = set[str]()
    for one, look in zip(chosen, looks, strict=True):
        lacking |= look.missing & one.uncertain
        look.missing -= one.uncertain  # its campaign is not to blame
        others = [other for of, other in zip(chosen, looks, strict=True) if of.told == one.told]
        told = (one.told is not None or run.campaign is not None) and not one.is_older
        look.missing |= look.older - _excused(others, told=told)
        if not _is_named(run):
            look.taken |= look.repeated.difference(*(other.missing | other.older for other in others))
    seen = _by_campaign(chosen, looks)
    taken_again = ledger.record_read_back(run, seen, at)
    refused = frozenset(name for look in looks for name in look.missing)
    unproven = sorted(_unproven(ledger, run, chosen, looks) - {*declared} - refused)
    note = note or "what Scantrust shows of the values that were read back is not what they were given"
    return ReadBack(refused, frozenset(taken_again), tuple(unproven), note if unproven else "", tuple(sorted(lacking)))


def _excused(looks: Sequence[_Look], *, told: bool) -> frozenset[str]:
    """Return the fields of which an older word proves nothing: others of the campaign hold the new one.

    Somebody else may have written it. Where neither a product nor the job tells the campaign, two are not excused; nor
    of what a run sent that was stopped: the campaign may have taken the field since.
    """
    taken = frozenset[str]().union(*(look.taken for look in looks))
    return frozenset(name for name in taken if told or sum(name in look.older for look in looks) < OLDER_MIN)


def _is_named(run: Run) -> bool:
    """Tell whether sync answers name what values of a run take: only they tell it of what a code may have held."""
    return run.mode != Mode.ASYNC and len(run.job.key) == 1 and run.job.key[0] in UNIQUE_KEYS


def _looks(reader: CodeReader, run: Run, chosen: Sequence[Unproven]) -> tuple[list[_Look], str]:
    queries = [codes_query(run.job.key, one.key) for one in chosen]
    found, note = reader.rows(queries)
    return [_compared(run.job.key, one, rows) for one, rows in zip(chosen, found, strict=True)], note


def _compared(key: Sequence[str], one: Unproven, found: CodeRows | None) -> _Look:
    """Compare what the codes of one value hold with what it was given.

    Only rows that show the value itself count: a filter that an API does not know may be ignored by it.
    """
    look = _Look()
    if found is None or not {*key} <= {*found.header}:
        return look
    asked = dict(zip(key, one.key.split(KEY_SEPARATOR), strict=True))
    rows = [row for row in found.rows if all(row.get(column) == part for column, part in asked.items())]
    for name, value in one.words.items() if rows else ():
        cells = [row.get(name, "") for row in rows]
        if all(cell == value for cell in cells):
            (look.repeated if one.repeats(name) else look.taken).add(name)
        elif not all(cells):
            look.missing.add(name)
        elif not (frozenset(cells) - {value}).isdisjoint(one.earlier.get(name, ())):
            look.older.add(name)
    return look


def _by_campaign(chosen: Sequence[Unproven], looks: Sequence[_Look]) -> dict[int | None, ValuesSeen]:
    seen: dict[int | None, ValuesSeen] = {}
    for one, look in zip(chosen, looks, strict=True):
        here = seen.setdefault(one.told, ValuesSeen())
        here.taken |= look.taken
        if look.taken:
            here.accepted[one.item_id] = look.taken
        if look.missing:
            here.refused[one.item_id] = look.missing
    return seen


def _unproven(ledger: Ledger, run: Run, chosen: Sequence[Unproven], looks: Sequence[_Look]) -> set[str]:
    """Return the fields that nobody proved; a proof that does not hold for values never heard of is forgotten."""
    left = set[str]()
    for told in {one.told for one in chosen}:
        campaign = run.campaign if told is None else told
        mine = [(one, look) for one, look in zip(chosen, looks, strict=True) if one.told == told]
        left |= _names(mine) - ledger.proofs(campaign).keys()
        fresh = [(one, look) for one, look in mine if one.unheard_of]
        shown = {name for _, look in fresh for name in (*look.taken, *look.missing)}
        if open_names := _names(fresh) - shown:
            ledger.forget_proofs(campaign, open_names)
            left |= open_names
    return left


def _names(pairs: Iterable[tuple[Unproven, _Look]]) -> set[str]:
    return {name for one, _ in pairs for name in one.words}
