"""When the next call may be made. Pure scheduling: no threads, no sleeping; the caller passes monotonic seconds.

The API counts like Django REST framework's throttle [P]: a call is refused when N calls were admitted within the last
second. What counts is when calls *arrive*, and that is known only within bounds: not before a call was started, not
after it was answered. So call n may start once the latest possible arrival of call n-N is more than a second ago. On
a warm connection arrival follows the start closely, and `MARGIN_S` covers the difference; on a fresh one it may come
a handshake later, and only the answer tells by how much.

Why that is enough: of any N+1 calls the last one started at least N places after the first, so later than a second and
a margin after the first one's latest arrival; and no call arrives before it starts.
"""

from __future__ import annotations

import itertools
import math
from collections import deque

WINDOW_S = 1.0
MARGIN_S = 0.015
"""How much later than a call's start its arrival may be, on a warm connection, without harm: costs 1.5 %."""
MINUTE_S = 60.1
"""What reads count as a minute: a little more, for their jitter."""


class UpdateLimiter:
    """Even spacing at ``per_second``, and never more than that many arrivals in any window of one second."""

    def __init__(self, per_second: float, *, margin_s: float = MARGIN_S) -> None:
        self._burst = max(1, int(per_second))
        self._window_s = self._burst / per_second * WINDOW_S
        self._spacing_s = self._window_s / self._burst
        self._margin_s = margin_s
        self._latest: deque[tuple[int, float]] = deque(maxlen=self._burst)
        """Of the last calls: ticket, and the latest time at which each can have arrived."""
        self._tickets = itertools.count(1)
        self._last_start_s = -1e9
        self._throttled_until_s = -1e9

    def next_s(self, now_s: float) -> float:
        """Return when the next call may start: `now_s`, or later; infinity: not before an answer has come."""
        earliest_s = max(now_s, self._throttled_until_s, self._last_start_s + self._spacing_s)
        if len(self._latest) == self._burst:
            earliest_s = max(earliest_s, self._latest[0][1] + self._window_s + self._margin_s)
        return earliest_s

    def started(self, at_s: float, *, fresh: bool = False) -> int:
        """Take note of a call that starts at `at_s`; return its ticket for `arrived_by`.

        ``fresh`` says that a connection has to be opened for it: then nobody knows when it arrives until its answer
        is there, so `arrived_by` must be called for it, and no call follows N places later before that.
        """
        ticket = next(self._tickets)
        self._latest.append((ticket, math.inf if fresh else at_s))
        self._last_start_s = max(self._last_start_s, at_s)
        return ticket

    def arrived_by(self, ticket: int, latest_s: float) -> None:
        """Take note that a call arrived at `latest_s` at the latest, as its answer tells (``arrived_by_s``)."""
        for place, (known, arrival_s) in enumerate(self._latest):
            if known == ticket:
                known_s = -math.inf if math.isinf(arrival_s) else arrival_s
                self._latest[place] = (ticket, max(known_s, latest_s))

    def throttled(self, until_s: float) -> None:
        """Hold every call until `until_s`: the API said so."""
        self._throttled_until_s = max(self._throttled_until_s, until_s)

    def preload(self, started_s: list[float]) -> None:
        """Count calls that an earlier process started within the last second or so."""
        for at_s in sorted(started_s)[-self._burst :]:
            self.started(at_s)


class ReadLimiter:
    """At most ``per_minute`` reads in any minute, evenly spaced but for a small burst; for all but updates [P].

    The burst is taken from the minute's reads, not added to them: a tenth of them at most.
    """

    def __init__(self, per_minute: float, *, burst: int = 10) -> None:
        burst = min(burst, int(per_minute / 10))
        self._spacing_s = MINUTE_S / (per_minute - burst)
        self._slack_s = self._spacing_s * burst
        self._due_s = -1e9
        self._throttled_until_s = -1e9

    def next_s(self, now_s: float) -> float:
        """Return when the next read may start: `now_s`, or later."""
        return max(now_s, self._throttled_until_s, self._due_s - self._slack_s)

    def started(self, at_s: float, calls: int = 1) -> None:
        """Take note of reads that start at `at_s`."""
        self._due_s = max(self._due_s, at_s) + self._spacing_s * calls

    def throttled(self, until_s: float) -> None:
        """Hold every read until `until_s`."""
        self._throttled_until_s = max(self._throttled_until_s, until_s)
