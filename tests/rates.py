"""A network and an API on a virtual clock, to see what rate a limiter makes of them. Deterministic: one seed, one night.

The engine's way of calling (`make_calls`): at most eight calls in flight, each handed over shortly before its time, each
refusal a pause of a second. The API counts by *arrival*; the way there and the way back are drawn one by one.
"""

from __future__ import annotations

import heapq
import itertools
import math
import statistics
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from random import Random
from typing import Any

from syncer.execute.context import PREPARE_S
from syncer.sandbox.limits import Throttle

LIMIT = 10
CONCURRENCY = 8
PAUSE_S = 1.0
"""What a refusal costs: the API asks for a second."""

Draw = Callable[[Random], float]

WAYS: dict[str, Draw] = {
    "75 ms": lambda random: 0.075,
    "75 ± 19 ms": lambda random: max(0.001, random.gauss(0.075, 0.019)),
    "75-225 ms": lambda random: random.uniform(0.075, 0.225),
    "40 ms + lognormal": lambda random: 0.04 + random.lognormvariate(-3.2, 0.6),
}
"""One-way delays of networks, in seconds."""
GOALS = {"75 ms": 9.7, "75 ± 19 ms": 9.3, "75-225 ms": 8.5, "40 ms + lognormal": 8.4}
"""Calls a second to reach with them, over 300 calls and more."""


class SlidingWindow:
    """Refuses a call when `LIMIT` were admitted within the last second."""

    def __init__(self) -> None:
        self._throttle = Throttle(LIMIT, 1.0)

    def admit(self, at_s: float) -> bool:
        return self._throttle.admit("t", at_s) is None


class FixedWindow:
    """Refuses a call when `LIMIT` were admitted since the last full second."""

    def __init__(self) -> None:
        self._second = self._admitted = 0

    def admit(self, at_s: float) -> bool:
        if int(at_s) != self._second:
            self._second, self._admitted = int(at_s), 0
        if self._admitted == LIMIT:
            return False
        self._admitted += 1
        return True


class TokenBucket:
    """Refuses a call when no token is left of `LIMIT`, which come back at `LIMIT` a second."""

    def __init__(self) -> None:
        self._tokens, self._at_s = float(LIMIT), 0.0

    def admit(self, at_s: float) -> bool:
        self._tokens = min(LIMIT, self._tokens + (at_s - self._at_s) * LIMIT)
        self._at_s = at_s
        if self._tokens < 1:
            return False
        self._tokens -= 1
        return True


def every(period_s: float, jitter_s: float = 0.0) -> Callable[[Random], Iterator[float]]:
    """Return when another program's calls arrive: one a period."""
    return lambda random: (number * period_s + random.uniform(0, jitter_s) for number in itertools.count())


@dataclass(frozen=True)
class Made:
    """What a night came to. ``theirs`` is the share of the other program's calls that were admitted."""

    rate: float
    throttled: float
    theirs: float
    most_in_flight: int
    starts: tuple[float, ...]


def make_calls(
    limiter: Any,
    way: Draw,
    *,
    calls: int = 300,
    seed: int = 0,
    server: Any = None,
    other: Callable[[Random], Iterator[float]] | None = None,
    work: Draw = lambda random: 0.0,
    fresh_s: float = 0.0,
) -> Made:
    """Make calls until as many were admitted; return what came of it.

    ``work`` is how long the API works on an admitted call; ``fresh_s`` how much longer the first call of each of the
    eight connections is on its way.
    """
    random, server, order = Random(seed), server or SlidingWindow(), itertools.count()
    events: list[tuple[float, int, str, Any]] = []

    def at(when_s: float, kind: str, what: Any = None) -> None:
        heapq.heappush(events, (when_s, next(order), kind, what))

    others: Iterator[float] = iter(()) if other is None else other(random)
    if other is not None:
        at(next(others), "other")
    begun_s = now_s = 5.0
    left, in_flight, most, admitted, refused, their = calls, 0, 0, 0, 0, deque[bool]()
    starts: list[float] = []
    while admitted < calls:
        slot_s = limiter.next_s(now_s) if left and in_flight < CONCURRENCY else math.inf
        if slot_s - PREPARE_S <= now_s:
            ticket = limiter.started(slot_s)
            handshake_s = fresh_s if len(starts) < CONCURRENCY else 0.0
            at(slot_s + handshake_s + way(random), "arrive", (ticket, slot_s + handshake_s, handshake_s > 0))
            starts.append(slot_s)
            left, in_flight = left - 1, in_flight + 1
            most = max(most, in_flight)
            continue
        if not events or slot_s - PREPARE_S < events[0][0]:
            now_s = slot_s - PREPARE_S
            continue
        when_s, _, kind, what = heapq.heappop(events)
        now_s = max(now_s, when_s)
        if kind == "other":
            their.append(server.admit(when_s))
            at(next(others), "other")
        elif kind == "arrive":
            ok = server.admit(when_s)
            at(when_s + (work(random) if ok else 0.0) + way(random), "answer", (*what, ok))
        else:
            ticket, left_s, fresh, ok = what
            in_flight -= 1
            limiter.answered(ticket, arrived_by_s=left_s, took_s=None if fresh else now_s - left_s)
            admitted, refused, left = admitted + ok, refused + (not ok), left + (not ok)
            if not ok:
                limiter.throttled(now_s + PAUSE_S)
    theirs = statistics.mean(their) if their else 1.0
    return Made(calls / (now_s - begun_s), refused / (calls + refused), theirs, most, tuple(starts))
