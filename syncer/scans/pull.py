"""Pulling scans: one chain of pages after the other, each scan delivered once, resumable at any moment.

A *chain* is all pages from the first query to the one whose ``next`` is null. What always holds:

- A part is durable before its commit, and the commit moves the cursor and adds the part's ids: a process that dies in
  between leaves files that the next one removes, and pages that it reads again.
- A scan whose id was delivered since ``seen_from_us`` is not delivered again, whatever the pages repeat.
- The watermark moves only when a chain has ended, and never beyond the moment when the chain began: a clock that is
  wrong, at a phone or at the API, cannot hide later scans. The next chain begins ``overlap_us`` before it, and the ids
  from there on are kept, so a scan that arrives late, by less than the overlap, is delivered once too.
- A timeframe counts from the moment at which the first chain began: ``seen_from_us`` is its beginning from then on.
- A cursor that the API no longer takes begins the chain anew; what was delivered stays delivered.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from itertools import chain
from typing import TYPE_CHECKING

import numpy as np

from syncer.api.classify import Verdict
from syncer.api.scans import GONE, first_query
from syncer.errors import SyncerError, UnreachableError, UsageError
from syncer.ledger.scans import PullState, Seen
from syncer.process.clock import Clock, utc_text
from syncer.scans.columns import ScanBlock, block_of, joined, scm_fields
from syncer.scans.seen import SeenIds, ids_from

if TYPE_CHECKING:
    from collections.abc import Mapping

    from syncer.api.reading import Reader
    from syncer.api.scans import ScansAnswer, ScansClient
    from syncer.ledger.scans import ScanLedger
    from syncer.scans.parts import Destination

log = logging.getLogger(__name__)
PART_S_MAX = 60.0
"""A part is ended after this time at the latest, so that little is read again when the process dies."""
LOOK_S = 0.2
"""How often a signal is looked for while a page is on its way."""
RESTARTS_MAX = 3
"""How often a chain begins anew, without a commit in between, because its cursor is refused."""
CHAINS_MAX = 2
"""Chains of one pull: the one that an earlier process left, and one of its own."""
FRAME_DAYS = {"y": 366, "m": 31, "w": 7, "d": 1}
"""Days of a unit of a timeframe, rather too many than too few: a scan too much does no harm."""
FRAME_DAYS_MAX = 100 * 366
DAY_US = 86_400_000_000
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_FIRST_US = (datetime.min.replace(tzinfo=UTC) - _EPOCH) // timedelta(microseconds=1)


class NoCampaignError(UsageError):
    """Nothing is found where the scans of a campaign should be: it is missing, or the address is not the API's."""


@dataclass(frozen=True, slots=True)
class PullSettings:
    """How a pull behaves. ``parameters`` are the filters, with the earliest time that may be asked for.

    ``timeframe`` and ``begin_us`` (``--from``) are None when they are not given.
    """

    parameters: Mapping[str, str]
    timeframe: str | None
    begin_us: int | None
    overlap_us: int
    page_rows: int
    part_rows: int


@dataclass(slots=True)
class PullCounts:
    """What one run of a pull did."""

    pages: int = 0
    retries: int = 0
    delivered: int = 0
    repeated: int = 0
    too_late: int = 0
    restarts: int = 0
    parts: int = 0
    missing: int = 0
    """Scans that the API counted and never showed."""


class ScanPull:
    """One run of a pull. ``state`` is what is committed; ``counts`` is what this run did."""

    def __init__(
        self,
        reader: Reader[ScansClient],
        ledger: ScanLedger,
        state: PullState,
        destination: Destination,
        settings: PullSettings,
        clock: Clock,
        *,
        observe: Callable[[int], None],
    ) -> None:
        self.state = state
        self.counts = PullCounts()
        self._reader, self._ledger, self._destination = reader, ledger, destination
        self._settings, self._clock, self._observe = settings, clock, observe
        self._seen, self._shown = SeenIds(), SeenIds()
        self._blocks: list[ScanBlock] = []
        self._working = state  # what the next commit makes of `state`
        self._part_began_s = 0.0
        self._count: int | None = None
        self._queries: set[int] = set()
        self._restarts = 0
        self._first: str | None = None
        """The query of the chain's first page, when this process made it: then a refusal is about the filters."""

    def run(self) -> None:
        """Pull everything that is new; raise `SyncerError` when something stops it: what came before is committed."""
        self._destination.prepare(self.state)
        for seen in self._ledger.seen(self.state):
            ids = ids_from(seen.uuids)
            self._seen.add(ids)
            if seen.chain == self.state.chain:
                self._shown.add(ids)
        resumed = self.state.chain_query is not None
        with ThreadPoolExecutor(1, "scans") as pool:
            for _ in range(CHAINS_MAX if resumed else 1):
                try:
                    self._chain(pool)
                except SyncerError:
                    self._reader.client.abort()
                    with suppress(SyncerError):  # what is not committed now is read again
                        self._commit_part()
                    raise
                except BaseException:
                    self._reader.client.abort()
                    raise

    # ── a chain ──────────────────────────────────────────────────────────────────────────────────────────────────

    def _chain(self, pool: ThreadPoolExecutor) -> None:
        if self.state.chain_query is None:
            self._begin()
        query: str | None = self.state.chain_query
        self._part_began_s = self._clock.monotonic_s()
        coming: Future[ScansAnswer] | None = None
        while query is not None:
            answer, block = self._page(pool, query, coming)
            if answer is None or block is None:
                query, coming = self._restart_chain(), None
                continue
            # The next page travels while this one is worked on.
            coming = self._ask(pool, answer.following) if answer.following is not None else None
            self._take(block)
            self._working = replace(self._working, chain_query=answer.following)
            self._queries.add(hash(query))
            self.counts.pages += 1
            query = answer.following
            if query is not None and self._part_is_full():
                self._commit_part()
            self._observe(self.counts.delivered + self._pending() + self.counts.repeated)
        self._end()

    def _begin(self) -> None:
        """Commit that a chain begins, before anything of it is written."""
        now_us = int(self._clock.wall_s() * 1e6)
        state = self.state
        if state.seen_from_us is None and self._settings.timeframe is not None:
            # Once and for all: counted from each pull's own moment it would leave out what came before the first scan.
            state = replace(state, seen_from_us=frame_begins_us(self._settings.timeframe, now_us))
        self._first = self._first_query(state)
        self._commit(
            replace(
                state,
                chain=state.chain + 1,
                chain_query=self._first,
                chain_began_us=now_us,
                chain_newest_us=None,
                chain_shown=0,
            )
        )
        self._shown, self._count = SeenIds(), None
        self._queries.clear()

    def _first_query(self, state: PullState) -> str:
        """Return the query of a chain's first page: from the watermark, less the overlap; the first time, of all."""
        parameters, begins_us = dict(self._settings.parameters), [state.seen_from_us]
        if state.watermark_us is not None:
            begins_us += [state.watermark_us - self._settings.overlap_us, self._settings.begin_us]
        if known_us := [us for us in begins_us if us is not None]:
            parameters["date_from"] = iso(max(known_us))
        return first_query(parameters, page_rows=self._settings.page_rows)

    def _restart_chain(self) -> str:
        """Begin the chain anew: the API does not take its cursor any more."""
        self._restarts += 1
        self.counts.restarts += 1
        if self._restarts > RESTARTS_MAX:
            raise UnreachableError("the API keeps refusing the cursors that it gives", next=self._reader.again)
        log.warning("the API no longer takes the cursor: the chain of pages begins anew, nothing is delivered twice")
        self._first = query = self._first_query(self.state)
        self._shown, self._count = SeenIds(), None
        self._queries.clear()
        self._working = replace(self._working, chain_query=query, chain_shown=0)
        return query

    def _end(self) -> None:
        """Commit the last part of a chain with the watermark, and forget the ids that no later chain can show."""
        working = self._working
        missing = max(0, (self._count or 0) - working.chain_shown)
        self.counts.missing += missing
        if missing:  # pages were lost: the watermark stays, so that the next run reads them all again
            log.warning("the API counts %d scans more than its pages showed", missing)
            self._commit_part()
            return
        newest_us, began_us = working.chain_newest_us, working.chain_began_us
        marks = [] if newest_us is None or began_us is None else [min(newest_us, began_us)]
        marks += [] if working.watermark_us is None else [working.watermark_us]
        if marks:
            from_us = max(marks) - self._settings.overlap_us
            from_us = from_us if working.seen_from_us is None else max(from_us, working.seen_from_us)
            self._working = replace(working, watermark_us=max(marks), seen_from_us=from_us)
        self._commit_part(ended=True)

    # ── a page ───────────────────────────────────────────────────────────────────────────────────────────────────

    def _page(
        self, pool: ThreadPoolExecutor, query: str, coming: Future[ScansAnswer] | None
    ) -> tuple[ScansAnswer | None, ScanBlock | None]:
        """Read a page until it is whole; (None, None) when the API no longer takes its cursor."""
        while True:  # bounded as `Reader.ask` is
            answer, block = self._usable(self._answer(coming or self._ask(pool, query)))
            coming = None
            if not self._reader.note(answer, takes=(Verdict.REFUSED,)):
                self.counts.retries += 1
                continue
            if block is not None:
                self._count = answer.count if self._count is None else self._count
                return answer, block
            if query == self._first:
                raise refusal(answer, self._settings.parameters["campaign_id"])
            return None, None

    def _usable(self, answer: ScansAnswer) -> tuple[ScansAnswer, ScanBlock | None]:
        """Return a page with its scans; one that cannot be used is no answer, and is asked for again."""
        if answer.verdict is not Verdict.OK:
            return answer, None
        try:
            block = block_of(answer.scans)
        except (ValueError, OverflowError) as error:
            words = f"the page cannot be used: {error}"
        else:
            if answer.following is None or hash(answer.following) not in self._queries:
                return answer, block
            words = "'next' leads back to a page of this chain"
        return replace(answer, verdict=Verdict.UNKNOWN, message=words), None

    def _ask(self, pool: ThreadPoolExecutor, query: str) -> Future[ScansAnswer]:
        """Start to read a page, when the API's limits and its health allow."""
        self._reader.turn()
        return pool.submit(self._reader.client.page, query)

    def _answer(self, coming: Future[ScansAnswer]) -> ScansAnswer:
        while True:  # bounded by the time-out of a call
            self._reader.check()
            try:
                return coming.result(LOOK_S)
            except TimeoutError:
                continue

    # ── parts ────────────────────────────────────────────────────────────────────────────────────────────────────

    def _take(self, block: ScanBlock) -> None:
        """Add the scans of a page that were not delivered yet to the part."""
        if not len(block):
            return
        _, first = np.unique(block.ids, return_index=True)
        once = np.zeros(len(block), bool)
        once[first] = True
        working = self._working
        late = np.zeros(len(block), bool)
        known = self._seen.holds(block.ids)
        if working.seen_from_us is not None:
            late = (block.times_us < working.seen_from_us) & ~known & once
        fresh = once & ~known & ~late
        shown = 0
        if self._count is not None:  # only then is there something to compare with
            shown = int((once & ~self._shown.holds(block.ids)).sum())
            self._shown.add(block.ids[~self._shown.holds(block.ids)])
        self._seen.add(block.ids[fresh])
        newest_us = int(block.times_us.max())
        repeated, too_late = int(len(block) - fresh.sum() - late.sum()), int(late.sum())
        self._working = replace(
            working,
            chain_newest_us=max(newest_us, working.chain_newest_us or newest_us),
            chain_shown=working.chain_shown + shown,
            repeated=working.repeated + repeated,
            too_late=working.too_late + too_late,
        )
        self.counts.repeated += repeated
        self.counts.too_late += too_late
        chosen = block.only(fresh)
        if len(chosen):
            fields = dict.fromkeys((*self._working.fields, *scm_fields(chosen)))
            self._working = replace(self._working, fields=tuple(fields))
            self._blocks.append(chosen)

    def _pending(self) -> int:
        """Count the scans that came and are in no part yet."""
        return sum(map(len, self._blocks))

    def _part_is_full(self) -> bool:
        return (
            self._pending() >= self._settings.part_rows or self._clock.monotonic_s() - self._part_began_s >= PART_S_MAX
        )

    def _commit_part(self, *, ended: bool = False) -> None:
        """Make the part durable, then commit it with the cursor behind it."""
        self._part_began_s = self._clock.monotonic_s()
        if not self._blocks:
            if self._working != self.state or ended:
                self._commit(self._working, kept=self._kept(None) if ended else None)
            return
        part = joined(self._blocks, self._working.fields)
        number = self.state.parts + 1
        self._destination.write(part, number)
        after = replace(self._working, parts=number, scans=self.state.scans + len(part))
        delivered = Seen(after.chain, part.ids.tobytes(), part.times_us.astype("<i8").tobytes())
        rows = self._destination.rows(part, self.state)
        at = utc_text(self._clock.wall_s())
        if ended:
            self._ledger.commit(self.state, after, at=at, kept=self._kept(delivered), rows=rows)
        else:
            self._ledger.commit(self.state, after, at=at, delivered=delivered, rows=rows)
        self._blocks.clear()
        self.state = self._working = after
        self.counts.parts += 1
        self.counts.delivered += len(part)
        self._restarts = 0

    def _commit(self, after: PullState, *, kept: list[Seen] | None = None) -> None:
        self._ledger.commit(self.state, after, at=utc_text(self._clock.wall_s()), kept=kept)
        self.state = self._working = after

    def _kept(self, delivered: Seen | None) -> list[Seen]:
        """Return the ids that a later chain can show again: those from ``seen_from_us`` on."""
        from_us = self._working.seen_from_us
        kept = []
        for seen in chain(self._ledger.seen(self.state), () if delivered is None else (delivered,)):
            if from_us is None:
                kept.append(seen)
                continue
            times_us = np.frombuffer(seen.times, "<i8")
            chosen = times_us >= from_us
            if chosen.any():
                ids = ids_from(seen.uuids)[chosen]
                kept.append(Seen(seen.chain, ids.tobytes(), times_us[chosen].tobytes()))
        return kept


def frame_begins_us(timeframe: str, now_us: int) -> int:
    """Return when a timeframe like ``1y`` begins; what is longer than `FRAME_DAYS_MAX` begins so many days ago."""
    days = int(timeframe.strip("-")[:-1]) * FRAME_DAYS[timeframe[-1]]
    return now_us - min(days, FRAME_DAYS_MAX) * DAY_US


def refusal(answer: ScansAnswer, campaign: str) -> UsageError:
    """Return the error of a first page, or of the CSV, that the API refuses: for its campaign, or for its filters."""
    if answer.status_code in GONE:
        words = f"the API has no campaign {campaign}, or no scans of it for this token: {answer.message}"
        return NoCampaignError(words, remedy="correct --campaign", next="syncer scans pull --help")
    return UsageError(f"the API refuses the filters: {answer.message}", next="syncer scans pull --help")


def iso(at_us: int) -> str:
    """Write microseconds since the epoch as the API takes times; what is before the year 1 as its beginning."""
    at = _EPOCH + timedelta(microseconds=max(at_us, _FIRST_US))
    return at.replace(tzinfo=None).isoformat(timespec="microseconds") + "Z"
