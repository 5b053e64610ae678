"""The limiters against a server that counts as the API does: no self-made 429, whatever is known late, at full rate."""

from __future__ import annotations

import heapq
import itertools
import math
from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from syncer.api.limits import MARGIN_S, ReadLimiter, UpdateLimiter


def most_in(arrivals, window_s):
    """Return the most arrivals that any window of `window_s` holds: open at its start, closed at its end."""
    ordered = sorted(arrivals)
    first = most = 0
    for last, at_s in enumerate(ordered):
        while ordered[first] <= at_s - window_s:
            first += 1
        most = max(most, last - first + 1)
    return most


@dataclass(frozen=True)
class Fate:
    """What happens to one call: when the caller comes to it, how its request travels, how long its answer takes."""

    idle_s: float
    jitter_s: float
    handshake_s: float
    latency_s: float


FATES = st.builds(
    Fate,
    idle_s=st.sampled_from([0.0, 0.0, 0.0, 0.03, 0.4, 2.0]),
    jitter_s=st.floats(0, MARGIN_S * 0.99),
    handshake_s=st.sampled_from([0.0, 0.0, 0.0, 0.02, 0.3, 0.9]),
    latency_s=st.sampled_from([0.0, 0.1, 1.5, 4.0]),
)


def drive(limiter, fates):
    """Make calls as the engine does: at the limiter's time, telling it of an arrival only when its answer is there."""
    now_s, starts, arrivals, answers = 50.0, [], [], []

    def learn(until_s):
        while answers and answers[0][0] <= until_s:
            answered_s, ticket, start_s, fresh = heapq.heappop(answers)
            limiter.arrived_by(ticket, answered_s if fresh else start_s)

    for fate in fates:
        now_s += fate.idle_s
        learn(now_s)
        while (slot_s := limiter.next_s(now_s)) > now_s:
            now_s = min(slot_s, answers[0][0]) if answers else slot_s
            assert now_s < math.inf, "waits for an answer, but none is to come"
            learn(now_s)
        fresh = fate.handshake_s > 0
        arrival_s = now_s + fate.handshake_s + fate.jitter_s
        ticket = limiter.started(now_s, fresh=fresh)
        heapq.heappush(answers, (arrival_s + fate.latency_s, ticket, now_s, fresh))
        starts.append(now_s)
        arrivals.append(arrival_s)
    return starts, arrivals


@given(fates=st.lists(FATES, min_size=12, max_size=60), per_second=st.sampled_from([1, 3, 10]))
def test_no_window_holds_more_than_the_limit_though_arrivals_are_known_only_from_answers(fates, per_second):
    _, arrivals = drive(UpdateLimiter(per_second), fates)
    assert most_in(arrivals, 1.0) <= per_second


@given(fates=st.lists(FATES, min_size=12, max_size=40))
def test_calls_are_never_closer_than_even_spacing(fates):
    starts, _ = drive(UpdateLimiter(10), fates)
    assert all(later - earlier >= 0.0999 for earlier, later in itertools.pairwise(starts))


@pytest.mark.parametrize("latency_s", [0.0, 0.15, 2.0, 10.0])
def test_warm_connections_reach_98_percent_of_the_limit_at_any_latency(latency_s):
    starts, _ = drive(UpdateLimiter(10), [Fate(0.0, 0.0, 0.0, latency_s)] * 501)
    assert 500 / (starts[-1] - starts[0]) >= 9.8


def test_a_call_on_a_fresh_connection_holds_its_place_until_it_is_answered():
    limiter = UpdateLimiter(2)
    first = limiter.started(10.0, fresh=True)
    limiter.started(10.5)
    assert limiter.next_s(11.1) == math.inf
    limiter.arrived_by(first, 10.4)
    assert limiter.next_s(11.1) == pytest.approx(11.4 + MARGIN_S)


def test_what_is_learned_late_about_a_call_of_long_ago_changes_nothing():
    limiter = UpdateLimiter(2)
    tickets = [limiter.started(at_s) for at_s in (0.0, 5.0, 10.0)]
    before_s = limiter.next_s(10.0)
    limiter.arrived_by(tickets[0], 9.0)
    assert limiter.next_s(10.0) == before_s


def test_a_call_that_turns_out_later_than_its_start_moves_the_window():
    limiter = UpdateLimiter(2)
    ticket = limiter.started(0.0)
    limiter.started(0.5)
    limiter.arrived_by(ticket, 0.3)
    assert limiter.next_s(0.6) == pytest.approx(1.3 + MARGIN_S)


def test_a_shorter_throttle_does_not_undo_a_longer_one():
    for limiter in (UpdateLimiter(10), ReadLimiter(3000)):
        limiter.throttled(9.0)
        limiter.throttled(4.0)
        assert limiter.next_s(0.0) == 9.0


def test_more_earlier_calls_than_the_limit_count_by_the_latest():
    limiter = UpdateLimiter(2)
    limiter.preload([3.0, 1.0, 2.0, 2.9])
    assert limiter.next_s(3.0) == pytest.approx(3.9 + MARGIN_S)


@given(
    per_minute=st.sampled_from([1, 7, 60, 600]),
    idle=st.lists(st.sampled_from([0.0, 0.0, 0.0, 0.5, 20.0, 90.0]), min_size=5, max_size=200),
)
def test_no_minute_holds_more_reads_than_the_limit(per_minute, idle):
    limiter, now_s, starts = ReadLimiter(per_minute), 0.0, []
    for pause_s in idle:
        now_s = limiter.next_s(now_s + pause_s)
        limiter.started(now_s)
        starts.append(now_s)
    assert most_in(starts, 60.0) <= per_minute


def test_reads_at_full_speed_keep_their_minute_and_come_near_it():
    limiter, now_s, starts = ReadLimiter(3000), 0.0, []
    while now_s < 200:
        now_s = limiter.next_s(now_s)
        limiter.started(now_s)
        starts.append(now_s)
    assert most_in(starts, 60.0) <= 3000
    assert len(starts) / now_s * 60 >= 0.98 * 3000


def test_a_few_reads_at_once_need_not_wait():
    limiter = ReadLimiter(3000)
    for _ in range(5):
        assert limiter.next_s(100.0) == 100.0
        limiter.started(100.0)


def test_an_answer_that_took_several_calls_counts_them_all():
    one, many = ReadLimiter(60), ReadLimiter(60)
    for _ in range(20):
        one.started(5.0)
    many.started(5.0, calls=20)
    assert many.next_s(5.0) == pytest.approx(one.next_s(5.0))
    assert many.next_s(5.0) > 5.0
