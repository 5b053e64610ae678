"""When the next call may be made. Pure scheduling: no threads, no sleeping; the caller passes monotonic seconds.

The API counts like Django REST framework's throttle [P]: a call is refused when N calls were *admitted* within the last
second. What counts is when calls arrive, and that is known only within bounds: not before a call was started, not after
it was answered. So call n starts a second and a margin after the latest possible arrival of call n-N.

Why that is enough while no call's way varies by more than the margin: of any N+1 calls the last one started at least N
places after the first, so later than a second and a margin after the first one's latest arrival; and no call arrives
before it starts.

Real networks vary by more, and three rules keep the rate there:

- **Close together.** The calls of a window start shortly one after the other, not evenly. The API counts arrivals in
  whatever order they come, and the k-th arrival of ten varies far less than the arrival of one call: the margin that
  even spacing would need is twice as wide.
- **A margin that is learned** (`_Margin`), from how much the answers' times of calls one window apart differ.
- **A share that is learned** (`_Share`): other programs may use the same token. A refusal of a call that was in time
  says that another program has its place; where ways vary, one that stands alone says that a call was early or late.

What is learned is forgotten slowly, so that calm costs little and a mistake ends.
"""

from __future__ import annotations

import itertools
import math
from collections import deque

MARGIN_MIN_S = 0.015
"""How much later than a call's start its arrival may always be without harm: costs 1.5 %."""
MARGIN_FIRST_S = 0.12
"""The margin until enough answers have come to learn one: it is needed twice, and costs a quarter of a second."""
MARGIN_MAX_S = 0.175
"""The widest margin. What varies more is the API's own work, which comes after it has counted the call."""
MARGIN_SPREADS = 1.4
"""The margin, in units of the difference that 80 % of the pairs of answers keep; tried on tests/rates.py."""
PAIRS_MIN, PAIRS_MAX = 5, 200
"""Pairs of answers from which a margin is learned: at least, and at most (20 s at the API's limit)."""
CAUTION_KEPT = 0.9995
"""What an answer without a refusal leaves of the caution: half of it is gone after 1,400 calls."""
CAUTION_STEP, CAUTION_MAX = 1.1, 1.5
"""What a refusal makes of the caution, at least 1; and its bound."""
PROBE_FIRST_S, PROBE_MAX_S = 6.0, 60.0
"""How long a share is kept before a greater one is tried; after each vain try longer, up to the second."""
PROBE_GROWTH = 5
"""So many times longer: a vain try costs a second, and another program rarely ends within one."""
PROBE_VAIN_S = 3.0
"""A refusal so soon after a try means that it was vain."""
TRY_S, REST_S = 1.0, 2.0
"""How long a try is waited for, and the pause until the next one after one that was not vain."""
ALONE_S = 20.0
"""A refusal with no other so long before it costs no place: it is more likely that a call of ours was early or late."""
TRIES = 4
"""So many tries in a row that were not vain make a place ours, once one was vain."""
CLOSENESS = 10
"""Calls of a window start this many times closer together than even spacing would have them."""
MINUTE_S = 60.1
"""What reads count as a minute: a little more, for their jitter."""


class _Margin:
    """How much more than a window lies between a call and the one that stands in its place a window before.

    What varies on the way there cannot be told from what varies on the way back. Both together are twice the variance
    of the one, as the difference of two arrivals has it: so the spread of the answers' times serves for either.
    """

    def __init__(self, places: int) -> None:
        self._places = places
        self._took_s: dict[int, float] = {}
        self._differences_s: deque[float] = deque(maxlen=PAIRS_MAX)
        self._caution = 1.0
        self._learned_s = MARGIN_FIRST_S - MARGIN_MIN_S

    @property
    def seconds(self) -> float:
        """The margin now."""
        return MARGIN_MIN_S + min(self._learned_s * self._caution, MARGIN_MAX_S - MARGIN_MIN_S)

    @property
    def varies(self) -> bool:
        """Whether the answers' times are known to vary so much that a call may be early or late by itself."""
        return len(self._differences_s) >= PAIRS_MIN and self._learned_s > MARGIN_MIN_S

    def answered(self, ticket: int, took_s: float | None) -> None:
        """Learn from how long an answer took; None: it tells nothing about the others' ways."""
        before_s = self._took_s.pop(ticket - self._places, None)
        if took_s is None:
            return
        self._took_s[ticket] = took_s
        if before_s is not None:
            self._differences_s.append(abs(took_s - before_s))
        if len(self._differences_s) >= PAIRS_MIN:
            self._caution *= CAUTION_KEPT
            ordered = sorted(self._differences_s)
            self._learned_s = min(MARGIN_SPREADS * ordered[len(ordered) * 4 // 5], MARGIN_MAX_S - MARGIN_MIN_S)

    def was_short(self) -> None:
        """Take note of a refusal: widen the margin, and let it grow narrow again only slowly."""
        self._caution = min(CAUTION_MAX, max(1.0, self._caution * CAUTION_STEP))


class _Share:
    """How many of the calls that the API admits in a window are left for this program.

    Whoever is kept out by us is refused, and we do not see it: a place that we get without a refusal may be another's.
    So a place is tried by one call that comes just before our oldest one leaves the window: then the window holds all
    that everybody makes, and where no place is left it is we who are refused. After a vain try, a place is ours after
    `TRIES` in a row that were not; and one that a single try had won is given up.
    """

    def __init__(self, places: int) -> None:
        self._places = places
        self._step = max(1, places // 10)
        self.calls = places
        self._floor = 1
        self._probe_s = PROBE_FIRST_S
        self._kept_since_s = self._tried_s = self._refused_s = -math.inf
        self._extra = 0
        self._trying = self._in_doubt = False
        self._won, self._needed = 0, 1

    def tries(self, at_s: float) -> bool:
        """Whether a call at this time may be one more than the share: to try whether there is place for it."""
        if self._trying:
            return self._extra > 0
        return self.calls < self._places and at_s - self._kept_since_s > (REST_S if self._won else self._probe_s)

    def started(self, at_s: float, *, full: bool) -> None:
        """Take note of a call; ``full``: the window held the whole share when it started, so it may be a try."""
        if full and self.tries(at_s):
            if not self._trying:
                self._trying, self._tried_s, self._extra = True, at_s, self._step
            self._extra -= 1
        elif self._trying and at_s - self._tried_s > TRY_S:
            self._not_vain(at_s)

    def _not_vain(self, at_s: float) -> None:
        self._trying, self._kept_since_s = False, at_s
        self._won += 1
        if self._won < self._needed:
            return
        self.calls = min(self._places, self.calls + self._step)
        self._in_doubt = self._needed == 1
        self._won = 0
        if self.calls == self._places:
            self._needed = 1

    def refused(self, last_start_s: float, until_s: float, *, first: bool, varied: bool) -> bool:
        """Give up a place, unless the refusal was of a try, or stands alone where calls' ways ``varied``.

        Of several refusals at once, of which this is the ``first`` or not, at most half of all places are given up.
        Returns whether it was of a try.
        """
        vain = last_start_s - self._tried_s < PROBE_VAIN_S
        alone = varied and not vain and until_s - self._refused_s > ALONE_S
        if first:
            self._floor = max(1, self.calls // 2)
            self._probe_s = min(PROBE_MAX_S, self._probe_s * PROBE_GROWTH) if vain else PROBE_FIRST_S
            if vain:
                self._needed = TRIES
            if not vain or self._in_doubt:
                self.calls -= 0 if alone else self._step
            self._in_doubt, self._won, self._trying = False, 0, False
        else:
            self.calls -= self._step
        self.calls = max(self._floor, self.calls)
        self._kept_since_s = self._refused_s = until_s
        return vain


class UpdateLimiter:
    """At most ``per_second`` arrivals in any window of one second, and as near to that as the network allows."""

    def __init__(self, per_second: float) -> None:
        places = max(1, int(per_second))
        self._places = places
        self._window_s = places / per_second
        self._gap_s = self._window_s / places / CLOSENESS
        self._margin = _Margin(places)
        self._share = _Share(places)
        self._latest: deque[tuple[int, float]] = deque(maxlen=places)
        """Of the last calls: ticket, and the latest time at which each can have arrived."""
        self._tickets = itertools.count()
        self._last_start_s = -math.inf
        self._throttled_until_s = -math.inf

    @property
    def margin_s(self) -> float:
        """The margin that was learned."""
        return self._margin.seconds

    @property
    def share(self) -> int:
        """How many calls a window this program makes at most."""
        return self._share.calls

    def next_s(self, now_s: float) -> float:
        """Return when the next call may start: `now_s`, or later."""
        earliest_s = max(now_s, self._throttled_until_s, self._last_start_s + self._gap_s)
        if len(self._latest) == self._places:
            earliest_s = max(earliest_s, self._latest[0][1] + self._window_s + self._margin.seconds)
        free_s = self._free_s()
        early_s = max(earliest_s, free_s - self._margin.seconds)
        if early_s < free_s and self._share.tries(early_s):
            return early_s
        return max(earliest_s, free_s + self._margin.seconds)

    def _free_s(self) -> float:
        """Return when the oldest call of the share leaves the window, as far as is known."""
        calls = self._share.calls
        return self._latest[-calls][1] + self._window_s if len(self._latest) >= calls else -math.inf

    def started(self, at_s: float) -> int:
        """Take note of a call that starts at `at_s`; return its ticket for `answered`."""
        ticket = next(self._tickets)
        self._share.started(at_s, full=at_s < self._free_s())
        self._latest.append((ticket, at_s))
        self._last_start_s = max(self._last_start_s, at_s)
        return ticket

    def answered(self, ticket: int, *, arrived_by_s: float, took_s: float | None) -> None:
        """Take note of an answer: by when its call had arrived at the latest, and how long it took (None: no telling).

        On a warm connection a call arrives soon after its start; on a fresh one a handshake later.
        """
        for place, (known, arrived_s) in enumerate(self._latest):
            if known == ticket:
                self._latest[place] = (ticket, max(arrived_s, arrived_by_s))
        self._margin.answered(ticket, took_s)

    def throttled(self, until_s: float) -> None:
        """Hold every call until `until_s`: the API refused one, and said so."""
        first = self._last_start_s >= self._throttled_until_s
        self._throttled_until_s = max(self._throttled_until_s, until_s)
        vain = self._share.refused(self._last_start_s, self._throttled_until_s, first=first, varied=self._margin.varies)
        if first and not vain:
            self._margin.was_short()

    def preload(self, started_s: list[float]) -> None:
        """Count calls that an earlier process started within the last second or so."""
        for at_s in sorted(started_s)[-self._places :]:
            self.started(at_s)


class ReadLimiter:
    """At most ``per_minute`` reads in any minute, evenly spaced but for a small burst; for all but updates [P].

    The burst is taken from the minute's reads, not added to them: a tenth of them at most.
    """

    def __init__(self, per_minute: float, *, burst: int = 10) -> None:
        burst = min(burst, int(per_minute / 10))
        self._spacing_s = MINUTE_S / (per_minute - burst)
        self._slack_s = self._spacing_s * burst
        self._due_s = -math.inf
        self._throttled_until_s = -math.inf

    def next_s(self, now_s: float) -> float:
        """Return when the next read may start: `now_s`, or later."""
        return max(now_s, self._throttled_until_s, self._due_s - self._slack_s)

    def started(self, at_s: float, calls: int = 1) -> None:
        """Take note of reads that start at `at_s`."""
        self._due_s = max(self._due_s, at_s) + self._spacing_s * calls

    def throttled(self, until_s: float) -> None:
        """Hold every read until `until_s`."""
        self._throttled_until_s = max(self._throttled_until_s, until_s)
